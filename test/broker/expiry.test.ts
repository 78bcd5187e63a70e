import { assert, describe, it } from "@effect/vitest"
import { Arguments, Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Reconnect from "../../src/Reconnect.ts"

const channel = Effect.flatMap(
  Connection.make({ url: "memory://", heartbeat: null, reconnect: Reconnect.none }),
  (connection) => Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
)

const ready = Effect.flatMap(
  Broker.Broker,
  ({ queues }) => Effect.map(queues(), (all) => all.map(({ name, ready }) => [name, ready]))
)

describe("Broker", () => {
  it.scoped("sleeps to the next that can expire, not for each, and wakes for what does", () =>
    Effect.gen(function*() {
      const { publishAll, queueDeclare } = yield* channel
      const before = Chunk.size(yield* TestClock.sleeps())
      for (const [queue, messageTtl] of [["slow", "3 seconds"], ["fast", "1 second"]] as const) {
        yield* queueDeclare({ queue, arguments: Arguments.queue({ messageTtl }) })
        yield* publishAll(Array.from({ length: 500 }, () => ({ routingKey: queue, content: "" })))
      }
      yield* queueDeclare({ queue: "idle", arguments: Arguments.queue({ expires: "2 seconds" }) })
      // The client's own, and those given up for an earlier one, are among them: but not a thousand.
      assert.isBelow(Chunk.size(yield* TestClock.sleeps()) - before, 6)

      const seen: Array<unknown> = []
      for (let second = 0; second < 3; second++) {
        yield* TestClock.adjust("1 second")
        seen.push(yield* ready)
      }
      assert.deepStrictEqual(seen, [
        [["slow", 500], ["fast", 0], ["idle", 0]],
        [["slow", 500], ["fast", 0]],
        [["slow", 0], ["fast", 0]]
      ])
    }).pipe(Effect.provide(Broker.layerMemory)))
})
