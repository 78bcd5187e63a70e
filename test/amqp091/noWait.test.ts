import { assert, describe, it } from "@effect/vitest"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import { operationsWithoutWait } from "./noWaitOperations.ts"
import { Embedded, eventually, look, pass, warnings } from "./onBroker.ts"

describe("noWait", () => {
  it.effect("does what it would with an answer, and tells 0 for each count", () =>
    Effect.scoped(operationsWithoutWait(false)).pipe(Effect.provide(Embedded)))

  it.effect("needs the name of a queue that is declared", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const fault = yield* Effect.flip(channel.queueDeclare({ noWait: true }))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "Refused")
      assert.strictEqual(yield* channel.number, 1)
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("tells a refusal in a warning alone; the channel opens again", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueBind({ queue: "none", exchange: "amq.topic", noWait: true })
      yield* eventually("warned of", () => told.some((each) => each.includes("404")))
      yield* pass
      yield* channel.queueDeclare({ queue: "q" })
      assert.strictEqual((yield* look("q")).ready, 0)
    }).pipe(Effect.scoped, Effect.provide(Embedded), Effect.provide(warnings(told)))
  })
})
