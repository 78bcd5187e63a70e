import { assert, describe, it } from "@effect/vitest"
import { AmqpError, Reconnect } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { onNetwork, print, seconds, settle } from "./network.ts"

const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

const now = Effect.clockWith((clock) => clock.currentTimeMillis)
const lost = new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "a:5672" })

/** An Effect that fails that often, and when it was run. */
const failing = <E>(times: number, error: E) => {
  const runs: Array<number> = []
  const effect = Effect.flatMap(now, (at) => runs.push(at) <= times ? Effect.fail(error) : Effect.succeed("done"))
  return { runs, effect }
}

describe("ensure", () => {
  it.scoped("has kombu's delays: a second before each try, for as long as it takes", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const { effect, runs } = failing(5, lost)
        const told: Array<string> = []
        const ensuring = yield* Effect.fork(on(
          connection,
          Connection.ensure(effect, {
            onError: (error, delay) => Effect.sync(() => void told.push(`${error._tag} ${Duration.toSeconds(delay)}`))
          })
        ))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Fiber.join(ensuring), "done")
        print("ensure(effect)", ["try", "at"], runs.map((at, index) => [`${index + 1}`, seconds(at)]))
        assert.deepStrictEqual(runs, [0, 1000, 2000, 3000, 4000, 5000])
        assert.deepStrictEqual(told, Array.from({ length: 5 }, () => "ConnectionLost 1"))
      })
    ))

  it.scoped("fails with the last fault itself when the Schedule has ended: so many tries after the first", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const { effect, runs } = failing(9, lost)
        const ensuring = yield* Effect.fork(
          on(
            connection,
            Effect.flip(effect.pipe(Connection.ensure({ schedule: Reconnect.kombuEnsure({ maxRetries: 3 }) })))
          )
        )
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(ensuring), lost)
        assert.deepStrictEqual(runs, [0, 1000, 2000, 3000])
      })
    ))

  it.scoped("lets what cannot heal through at once, unless it is told what can", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const missing = Effect.scoped(
          Effect.flatMap(Channel.make(), (channel) => channel.queueDeclare({ queue: "none", passive: true }))
        )
        const fault = yield* Effect.flip(on(connection, Connection.ensure(missing)))
        assert.propertyVal(fault, "reason", "NotFound")
        const { effect, runs } = failing(2, "any" as const)
        const ensuring = yield* Effect.fork(
          on(connection, Connection.ensure(effect, { while: (error) => error === "any" }))
        )
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(ensuring), "done")
        assert.lengthOf(runs, 3)
      })
    ))

  it.scoped("waits for the connection to be open before it tries again, with the same channel", () =>
    onNetwork(({ broker, down, lose }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.spaced("3 seconds") })
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* broker.loseNext(1)
        const told: Array<string> = []
        let runs = 0
        const publishing = yield* Effect.fork(on(
          connection,
          Connection.ensure(
            Effect.suspend(() => {
              runs++
              return channel.publish({ routingKey: "q", content: "x" })
            }),
            { onError: (error) => Effect.sync(() => void told.push(error._tag)) }
          )
        ))
        yield* settle
        yield* lose("a")
        yield* TestClock.adjust("7 seconds")
        assert.strictEqual(runs, 1, "it is away")
        down.clear()
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(publishing)
        assert.strictEqual(runs, 2)
        assert.deepStrictEqual(told, ["OutcomeUnknown"])
      })
    ))

  it.scoped("ends with the last fault when the connection has ended for good", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const { effect, runs } = failing(9, lost)
        const ensuring = yield* Effect.fork(on(connection, Effect.flip(Connection.ensure(effect))))
        yield* settle
        yield* connection.close()
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(ensuring), lost)
        assert.lengthOf(runs, 1)
      })
    ))
})

describe("ensureConnection", () => {
  it.scoped("dials a lazy connection by kombu's delays: 2, 4, 6 … 30 seconds, telling each fault and delay", () =>
    onNetwork(({ dials, down }) =>
      Effect.gen(function*() {
        down.add("a")
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true })
        const told: Array<string> = []
        const ensuring = yield* Effect.fork(on(
          connection,
          Connection.ensureConnection({
            onError: (error, delay) => Effect.sync(() => void told.push(`${error._tag} ${Duration.toSeconds(delay)}`))
          })
        ))
        yield* TestClock.adjust("13 seconds")
        down.clear()
        yield* TestClock.adjust("8 seconds")
        assert.strictEqual(yield* Fiber.join(ensuring), connection)
        print("ensureConnection()", ["dial", "at"], dials.map(({ at }, index) => [`${index + 1}`, seconds(at)]))
        assert.deepStrictEqual(dials.map(({ at }) => at), [0, 2000, 6000, 12_000, 20_000])
        assert.deepStrictEqual(told, ["ConnectError 2", "ConnectError 4", "ConnectError 6", "ConnectError 8"])
      })
    ))

  it.scoped("gives up with the fault itself after maxRetries, or when it is final", () =>
    onNetwork(({ dials, down }) =>
      Effect.gen(function*() {
        down.add("a")
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true })
        const ensuring = yield* Effect.fork(Effect.flip(on(
          connection,
          Connection.ensureConnection({ schedule: Reconnect.kombu({ maxRetries: 2 }) })
        )))
        yield* TestClock.adjust("1 minute")
        const fault = yield* Fiber.join(ensuring)
        assert(fault._tag === "ConnectError")
        assert.strictEqual(fault.reason, "Refused")
        assert.deepStrictEqual(dials.map(({ at }) => at), [0, 2000, 6000])

        const stranger = yield* Connection.make({ url: "amqp://nobody:x@b", lazy: true })
        const refused = yield* Effect.flip(on(stranger, Connection.ensureConnection()))
        assert(refused._tag === "ConnectionClosed")
        assert.propertyVal(refused.cause, "reason", "Auth")
      })
    ))

  it.scoped("waits for a connection that recovers by itself, and is through at once on an open one", () =>
    onNetwork(({ down, lose }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.spaced("3 seconds") })
        yield* on(connection, Connection.ensureConnection())
        yield* lose("a")
        yield* settle
        const ensuring = yield* Effect.fork(on(connection, Connection.ensureConnection()))
        yield* TestClock.adjust("5 seconds")
        down.clear()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(ensuring)
      })
    ))
})
