/** Clocks that are not of whole milliseconds, and sleeps that end too early: nothing may go round without time passing. */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, ConnectionPool } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Network from "./network.ts"
import type { Pace } from "./world.ts"
import { World } from "./world.ts"

/** Whatever sleeps to a deadline, and lets it come. */
const deadlines = Effect.gen(function*() {
  const broker = yield* Broker.make({ consumerTimeout: "1.3 seconds" })
  const connect = {
    host: "broker",
    heartbeat: "1 second",
    publishTimeout: "700.7 millis",
    operationTimeout: "900.3 millis",
    blockedTimeout: "901.9 millis",
    closeTimeout: "200.2 millis"
  } as const
  const connection = yield* Connection.make(connect)
  const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
  yield* channel.queueDeclare({ queue: "q", arguments: { "x-message-ttl": 333, "x-expires": 4444 } })

  // Nothing is said for a while: heartbeats.
  yield* Effect.sleep("4.4 seconds")
  yield* broker.loseNext(1)
  const lost = yield* Effect.flip(channel.publish({ routingKey: "", content: "" }))
  assert.strictEqual(lost._tag, "OutcomeUnknown")

  const silence = yield* broker.silence()
  const late = yield* Effect.flip(channel.queueDeclare({ queue: "other" }))
  assert.strictEqual(late._tag, "OperationTimeout")
  yield* Effect.sleep("3 seconds")
  yield* silence.heal
  yield* connection.ready({ timeout: "30 seconds" })

  const { epoch } = yield* connection.info
  const block = yield* broker.block("memory")
  yield* Effect.sleep("2.2 seconds")
  yield* block.heal
  yield* connection.ready({ timeout: "30 seconds" })
  assert.isAbove((yield* connection.info).epoch, epoch)

  const pool = yield* ConnectionPool.make({ ...connect, limit: 2, idleTimeToLive: "500.5 millis" })
  yield* Effect.scoped(pool.get())
  yield* Effect.sleep("2 seconds")
  assert.strictEqual((yield* pool.stats).idle, 0)
})

const passes = async (pace: Pace, seed: number) => {
  const world = new World(seed, pace)
  const { server, transport } = Network.make(world)
  const exit = await world.run(
    deadlines.pipe(
      Effect.scoped,
      Logger.withMinimumLogLevel(LogLevel.None),
      Effect.provideService(Transport.Transport, transport),
      Effect.provideService(Transport.TransportServer, server)
    )
  )
  assert.isTrue(Exit.isSuccess(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
  assert.strictEqual(world.fibers, 0)
  return world.steps
}

describe("On a clock of fractions of milliseconds", () => {
  const starts = FastCheck.sample(FastCheck.double({ min: 0, max: 2e12, noNaN: true }), { numRuns: 40, seed: 1 })
  // What goes round makes millions.
  const most = 20_000

  it("whose sleeps are exact, each deadline comes once", async () => {
    for (const [seed, start] of starts.entries()) {
      assert.isBelow(await passes({ start, asleep: (millis) => millis }, seed), most, `from ${start}`)
    }
  })

  it("whose sleeps are cut to whole milliseconds, time goes on all the same", async () => {
    for (const [seed, start] of starts.entries()) {
      assert.isBelow(await passes({ start, asleep: Math.floor }, seed), most, `from ${start}`)
    }
  })
})
