import { assert, describe, it } from "@effect/vitest"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { operationsWithoutWait } from "./noWaitOperations.ts"
import { Embedded, eventually, look, pass, queueOf, warnings } from "./onBroker.ts"
import { connected, openOn } from "./scripted.ts"

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

  it.effect("fails a consumer whose queue is not there as an answer would, and no other", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* queueOf("q", "1")
      const taken: Array<string> = []
      const other = yield* channel.consume({ queue: "q", noWait: true }).pipe(
        Stream.runForEach((delivery) => Effect.zipRight(Effect.sync(() => taken.push(delivery.text)), delivery.ack)),
        Effect.fork
      )
      yield* pass
      const fault = yield* Effect.flip(Stream.runDrain(channel.consume({ queue: "none", noWait: true })))
      assert.deepInclude<object>({ ...fault }, { _tag: "ChannelError", reason: "NotFound", method: "basic.consume" })
      yield* queueOf("q", "2")
      yield* eventually("consumed", () => taken.length === 2)
      assert.isTrue(Option.isNone(yield* Fiber.poll(other)))
      yield* Effect.exit(Stream.runDrain(channel.consume({ queue: "none", noWait: true, onCancel: "end" })))
      yield* Effect.repeatN(pass, 20)
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 1 })
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.scoped("takes what comes to a consumer before anything else does, and waits for no answer to confirm.select", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm({ noWait: true }))
      const number = yield* peer.openChannel
      assert.isTrue((yield* peer.expect("ConfirmSelect")).noWait)
      const channel = yield* Fiber.join(opening)
      const consuming = yield* Effect.fork(
        Stream.runCollect(Stream.take(channel.consume({ queue: "q", consumerTag: "c", noWait: true, batch: 1 }), 1))
      )
      assert.isTrue((yield* peer.expect("BasicConsume")).noWait)
      yield* peer.deliver(number, {
        _tag: "BasicDeliver",
        consumerTag: "c",
        deliveryTag: 1,
        redelivered: false,
        exchange: "",
        routingKey: "q"
      }, "x")
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      assert.deepStrictEqual(Array.from(yield* Fiber.join(consuming), ({ text }) => text), ["x"])
    }).pipe(Effect.provide(layerMemory)))

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
