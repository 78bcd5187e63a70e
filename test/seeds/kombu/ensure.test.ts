import { assert, describe, it } from "@effect/vitest"
import { AmqpError, Reconnect } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import type { Network } from "../../reconnect/network.ts"
import { defaults } from "../kombu.words.ts"
import { away, on, onNetwork, settle } from "../setup.ts"
import { differences, failing, growing, lost } from "./retries.ts"

/** Seconds between the runs of an effect that never succeeds. */
const ensured = (count: number, options?: Connection.EnsureOptions<AmqpError.ConnectionLost>) =>
  onNetwork(() =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ heartbeat: "0 seconds" })
      const { effect, runs } = failing(Infinity)
      const fiber = yield* Effect.fork(on(connection, Effect.exit(Connection.ensure(effect, options))))
      yield* TestClock.adjust("20 seconds")
      const done = fiber.unsafePoll() !== null
      yield* Fiber.interrupt(fiber)
      return { done, delays: differences(runs).slice(0, count), runs: runs.length }
    })
  )

/** Seconds between the dials of a connection to somebody who is away. */
const dialled = (
  count: number,
  options?: Omit<Connection.EnsureOptions<Connection.NotConnected>, "while">,
  lasting: Reconnect.DurationText = "40 seconds"
) =>
  onNetwork(({ dials, down }) =>
    Effect.gen(function*() {
      down.add(away.host)
      const connection = yield* Connection.make({ ...away, lazy: true })
      const fiber = yield* Effect.fork(on(connection, Effect.either(Connection.ensureConnection(options))))
      yield* TestClock.adjust(lasting)
      const done = fiber.unsafePoll() !== null
      yield* Fiber.interrupt(fiber)
      return { done, delays: differences(dials.map(({ at }) => at)).slice(0, count), dials: dials.length }
    })
  )

describe("ensure", () => {
  it.effect("BrokerConnection.ensure: again, once the connection is back, whatever became of it", () =>
    onNetwork(({ broker, down }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "a", reconnect: Schedule.spaced("5 seconds") })
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* broker.loseNext(1)
        const publish = channel.publish({ routingKey: "q", content: "x" })
        const fiber = yield* Effect.fork(on(connection, Connection.ensure(publish)))
        yield* settle
        down.add("a")
        yield* broker.dropConnections
        yield* TestClock.adjust("4 seconds")
        assert.isNull(fiber.unsafePoll())
        down.clear()
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        assert.strictEqual((yield* broker.queues())[0]?.ready, 1)
      })
    ))

  it.effect("BrokerConnection.ensure(fun): any Effect, whose result it is; what cannot heal it lets through", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const { effect, runs } = failing(1)
        const fiber = yield* Effect.fork(on(connection, Connection.ensure(effect)))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fiber), "done")
        assert.lengthOf(runs, 2)
        assert.strictEqual(yield* Effect.flip(on(connection, Connection.ensure(Effect.fail("mine")))), "mine")
        const looking = Effect.flatMap(Channel.shared, (channel) => channel.queuePurge("late"))
        assert.propertyVal(yield* Effect.flip(on(connection, Connection.ensure(looking))), "code", 404)
        const patient = Connection.ensure(looking, { while: AmqpError.isChannelError })
        const purging = yield* Effect.fork(on(connection, patient))
        yield* TestClock.adjust("3 seconds")
        const other = yield* on(connection, Channel.make())
        yield* other.queueDeclare({ queue: "late" })
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(purging), 0, "faults of the channel too, where it is said")
      })
    ))

  it.effect("BrokerConnection.ensure(errback): the fault and the delay to come, each time", () =>
    Effect.gen(function*() {
      const told: Array<readonly [string, number]> = []
      yield* ensured(0, {
        schedule: Reconnect.kombuEnsure({ maxRetries: 3 }),
        onError: (fault, delay) => Effect.sync(() => told.push([fault._tag, Duration.toSeconds(delay)]))
      })
      assert.deepStrictEqual(told, [["ConnectionLost", 1], ["ConnectionLost", 1], ["ConnectionLost", 1]])
    }))

  it.effect("BrokerConnection.ensure(max_retries): no end unless given; then the last fault itself", () =>
    Effect.gen(function*() {
      assert.isNull(defaults.ensure.max_retries)
      assert.deepInclude(yield* ensured(0), { done: false, runs: 21 })
      const schedule = Reconnect.kombuEnsure({ maxRetries: 3 })
      assert.deepInclude(yield* ensured(0, { schedule }), { done: true, runs: 4 })
      yield* onNetwork(() =>
        Effect.gen(function*() {
          const connection = yield* Connection.make({})
          const ensuring = Connection.ensure(failing(Infinity).effect, {
            schedule: Reconnect.kombuEnsure({ maxRetries: 0 })
          })
          assert.strictEqual(yield* Effect.flip(on(connection, ensuring)), lost)
        })
      )
    }))

  it.effect("BrokerConnection.ensure(interval_start)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* ensured(1)).delays, [defaults.ensure.interval_start])
      const schedule = growing({ start: 3, step: 1, max: 9 })
      assert.deepStrictEqual((yield* ensured(2, { schedule })).delays, [3, 4])
    }))

  it.effect("BrokerConnection.ensure(interval_step): shows where the longest interval leaves room for it", () =>
    Effect.gen(function*() {
      const { interval_max: max, interval_start: start, interval_step: step } = defaults.ensure
      const usual = yield* ensured(20)
      assert.deepStrictEqual(usual, yield* ensured(20, { schedule: growing({ start, step, max }) }))
      const schedule = growing({ start, step: 2, max: 60 })
      assert.deepStrictEqual((yield* ensured(4, { schedule })).delays, [1, 3, 5, 7])
    }))

  it.effect("BrokerConnection.ensure(interval_max)", () =>
    Effect.gen(function*() {
      assert.strictEqual(Math.max(...(yield* ensured(20)).delays), defaults.ensure.interval_max)
      const schedule = growing({ start: 1, step: 2, max: 4 })
      assert.deepStrictEqual((yield* ensured(4, { schedule })).delays, [1, 3, 4, 4])
    }))

  it.effect("sample: ensure, a publish operation", () =>
    onNetwork(({ broker }: Network) =>
      Effect.gen(function*() {
        const printed: Array<string> = []
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "orders" })
        yield* broker.nackNext(2)

        const errback = (error: AmqpError.ConfirmError, delay: Duration.Duration) =>
          Effect.sync(() =>
            printed.push(`Couldn't publish message: ${error._tag}. Retry in ${Duration.toSeconds(delay)}s`)
          )
        const publish = (content: string, routingKey: string) =>
          Connection.ensure(channel.publish({ routingKey, content }), {
            schedule: Reconnect.kombuEnsure({ maxRetries: 3 }),
            onError: errback
          })
        const publishing = yield* Effect.fork(on(connection, publish("tea", "orders")))

        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(publishing)
        const line = "Couldn't publish message: PublishNacked. Retry in 1s"
        assert.deepStrictEqual(printed, [line, line])
        assert.strictEqual((yield* Effect.flatten(channel.get({ queue: "orders" }))).delivery.text, "tea")
      })
    ))
})

describe("ensure_connection", () => {
  it.effect("BrokerConnection.ensure_connection: gives the connection, once it is open", () =>
    onNetwork(({ down }) =>
      Effect.gen(function*() {
        down.add(away.host)
        const connection = yield* Connection.make({ ...away, lazy: true })
        const fiber = yield* Effect.fork(on(connection, Connection.ensureConnection()))
        yield* TestClock.adjust("5 seconds")
        assert.isNull(fiber.unsafePoll())
        down.clear()
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), connection)
        assert.isTrue(yield* connection.isOpen)
      })
    ))

  it.effect("BrokerConnection.ensure_connection(errback): the fault and the delay to come, each time", () =>
    Effect.gen(function*() {
      const told: Array<readonly [string, number]> = []
      yield* dialled(0, {
        schedule: Reconnect.kombu({ maxRetries: 3 }),
        onError: (fault, delay) => Effect.sync(() => told.push([fault._tag, Duration.toSeconds(delay)]))
      })
      assert.deepStrictEqual(told, [["ConnectError", 2], ["ConnectError", 4], ["ConnectError", 6]])
    }))

  it.effect("BrokerConnection.ensure_connection(max_retries): no end unless given; then the last fault itself", () =>
    Effect.gen(function*() {
      assert.isNull(defaults.ensureConnection.max_retries)
      assert.isFalse((yield* dialled(0)).done)
      assert.deepInclude(yield* dialled(0, { schedule: Reconnect.kombu({ maxRetries: 3 }) }), { done: true, dials: 4 })
      yield* onNetwork(({ down }) =>
        Effect.gen(function*() {
          down.add(away.host)
          const connection = yield* Connection.make({ ...away, lazy: true })
          const schedule = Reconnect.kombu({ maxRetries: 0 })
          const fault = yield* Effect.flip(on(connection, Connection.ensureConnection({ schedule })))
          assert.deepInclude({ ...fault }, { _tag: "ConnectError", reason: "Refused" })
        })
      )
    }))

  it.effect("BrokerConnection.ensure_connection(interval_start)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* dialled(1)).delays, [defaults.ensureConnection.interval_start])
      const schedule = growing({ start: 5, step: 2, max: 30 })
      assert.deepStrictEqual((yield* dialled(2, { schedule })).delays, [5, 7])
    }))

  it.effect("BrokerConnection.ensure_connection(interval_step)", () =>
    Effect.gen(function*() {
      const { interval_start: start, interval_step: step } = defaults.ensureConnection
      assert.deepStrictEqual((yield* dialled(3)).delays, [start, start + step, start + 2 * step])
      const schedule = growing({ start: 2, step: 10, max: 30 })
      assert.deepStrictEqual((yield* dialled(3, { schedule })).delays, [2, 12, 22])
    }))

  it.effect("BrokerConnection.ensure_connection(interval_max)", () =>
    Effect.gen(function*() {
      const { interval_max: max, interval_start: start, interval_step: step } = defaults.ensureConnection
      const usual = yield* dialled(16, undefined, "5 minutes")
      assert.deepStrictEqual(usual.delays, Array.from({ length: 16 }, (_, at) => Math.min(start + at * step, max)))
      const schedule = growing({ start: 2, step: 2, max: 5 })
      assert.deepStrictEqual((yield* dialled(4, { schedule })).delays, [2, 4, 5, 5])
    }))
})
