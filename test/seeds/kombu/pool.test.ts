import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Reconnect } from "effect-amqp"
import { Channel, Connection, ConnectionPool } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { Network } from "../../reconnect/network.ts"
import { defaults } from "../kombu.words.ts"
import { away, on, onNetwork, settle } from "../setup.ts"
import { differences, failing, growing, lost } from "./retries.ts"

const settled = () => settle

/** How many connections there are. */
const clients = (broker: Network["broker"]) => Effect.map(broker.connections, ({ length }) => length)

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (fault) => "reason" in fault ? fault.reason : fault._tag)

/** Seconds between the runs of an effect that never succeeds. */
const ensured = (
  count: number,
  options?: ConnectionPool.EnsureOptions<AmqpError.ConnectionLost>,
  lasting: Reconnect.DurationText = "40 seconds"
) =>
  onNetwork(() =>
    Effect.gen(function*() {
      const pool = yield* ConnectionPool.make({ heartbeat: "0 seconds" })
      const { effect, runs } = failing(Infinity)
      const fiber = yield* Effect.fork(Effect.exit(pool.ensure(effect, options)))
      yield* TestClock.adjust(lasting)
      const done = fiber.unsafePoll() !== null
      yield* Fiber.interrupt(fiber)
      return { done, delays: differences(runs).slice(0, count), runs: runs.length }
    })
  )

describe("BrokerConnectionPool", () => {
  it.effect("BrokerConnectionPool: connections to oneself, used again and again, closed with the pool's scope", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const pool = yield* ConnectionPool.make({})
          yield* Effect.all([pool.use(settled), pool.use(settled)], { concurrency: 2 })
          yield* pool.use(settled)
          assert.lengthOf(dials, 2)
        }))
        assert.strictEqual(yield* clients(broker), 0)
      })
    ))

  it.effect("BrokerConnectionPool(initial): the parameters of all; or a connection, to be cloned", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ host: "a", name: "pooled" })
        yield* pool.use(() => Effect.void)
        const initial = yield* Connection.make({ host: "b", name: "initial" })
        const clones = yield* ConnectionPool.makeWith(initial.clone())
        yield* clones.use(() => Effect.void)
        assert.deepStrictEqual(read(), ["0 a", "0 b", "0 b"])
        assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["pooled", "initial", "initial"])
      })
    ))

  it.effect("BrokerConnectionPool(max)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({})
        assert.strictEqual((yield* pool.stats).limit, defaults.pool.max)
        yield* Effect.all(Array.from({ length: defaults.pool.max }, () => pool.get({ wait: false })))
        assert.strictEqual(yield* reasonOf(pool.get({ wait: false })), "Exhausted")
        assert.strictEqual(yield* clients(broker), defaults.pool.max)
        const one = yield* ConnectionPool.make({ limit: 1 })
        yield* one.get()
        assert.strictEqual(yield* reasonOf(one.get({ wait: false })), "Exhausted")
      })
    ))

  it.effect("BrokerConnectionPool(ensure): preconnects until it succeeds, or fails at the first fault", () =>
    onNetwork(({ broker, down }) =>
      Effect.gen(function*() {
        assert.isFalse(defaults.pool.ensure)
        down.add(away.host)
        const options = { ...away, preconnect: 2 }
        assert.strictEqual(yield* reasonOf(ConnectionPool.make(options)), "Refused")
        const making = yield* Effect.fork(
          ConnectionPool.make({ ...options, ensure: true, reconnect: Reconnect.kombu() })
        )
        yield* TestClock.adjust("5 seconds")
        assert.isNull(making.unsafePoll())
        down.clear()
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(making)
        assert.strictEqual(yield* clients(broker), 2)
      })
    ))

  it.effect("BrokerConnectionPool(preconnect)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* ConnectionPool.make({})
        assert.strictEqual(yield* clients(broker), defaults.pool.preconnect)
        yield* ConnectionPool.make({ preconnect: 3 })
        assert.strictEqual(yield* clients(broker), 3)
      })
    ))
})

describe("acquire", () => {
  it.effect("BrokerConnectionPool.acquire: until the scope closes, or for as long as work runs", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const queue = yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* pool.get()
          const channel = yield* on(connection, Channel.make())
          return (yield* channel.queueDeclare({ queue: "q" })).queue
        }))
        const found = yield* pool.use((connection) => on(connection, Channel.queueExists(queue)))
        assert.strictEqual(found._tag, "Some")
      })
    ))

  it.effect("BrokerConnectionPool.acquire(block): waits in line, unless it is told not to", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.isTrue(defaults.acquire.block)
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const busy = yield* pool.get()
        const waiting = yield* Effect.fork(pool.use(() => Effect.void))
        yield* settle
        assert.isNull(waiting.unsafePoll())
        assert.strictEqual(yield* reasonOf(pool.get({ wait: false })), "Exhausted")
        yield* busy.close()
        yield* Fiber.join(waiting)
      })
    ))

  it.effect("BrokerConnectionPool.acquire(timeout): none, unless given", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.isNull(defaults.acquire.timeout)
        const pool = yield* ConnectionPool.make({ limit: 1, heartbeat: "0 seconds" })
        yield* pool.get()
        const patient = yield* Effect.fork(Effect.scoped(pool.get()))
        const bounded = yield* Effect.fork(Effect.scoped(reasonOf(pool.get({ timeout: "3 seconds" }))))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(bounded), "Timeout")
        yield* TestClock.adjust("1 day")
        assert.isNull(patient.unsafePoll())
        yield* Fiber.interrupt(patient)
      })
    ))

  it.effect("BrokerConnectionPool.acquire raises PoolExhausted: PoolError, Exhausted", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        yield* pool.get()
        const fault = yield* Effect.flip(pool.get({ wait: false }))
        assert.deepInclude({ ...fault }, { _tag: "PoolError", reason: "Exhausted", pool: "connections" })
      })
    ))

  it.effect("BrokerConnectionPool.active", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ preconnect: 3 })
        assert.strictEqual((yield* pool.stats).active, 0)
        const [first] = yield* Effect.all([pool.get(), pool.get()])
        assert.strictEqual((yield* pool.stats).active, 2)
        yield* first.close()
        assert.strictEqual((yield* pool.stats).active, 1)
      })
    ))

  it.effect("BrokerConnectionPool.close: all of them; who comes later fails Closed", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ preconnect: 3 })
        yield* pool.closeAll
        assert.strictEqual(yield* clients(broker), 0)
        assert.strictEqual(yield* reasonOf(pool.get()), "Closed")
        const busy = yield* ConnectionPool.make({})
        yield* busy.get()
        yield* busy.forceCloseAll()
        assert.strictEqual(yield* clients(broker), 0)
      })
    ))
})

describe("ensure", () => {
  it.effect("BrokerConnectionPool.ensure: again, on another connection", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1, isFinal: () => true })
        const seen = new Set<Connection.Connection>()
        const work = Effect.gen(function*() {
          const connection = yield* Connection.Connection
          if (seen.add(connection).size === 1) yield* broker.dropConnections
          const channel = yield* Channel.make()
          return (yield* channel.queueDeclare({ queue: "q" })).queue
        })
        const fiber = yield* Effect.fork(pool.ensure(Effect.scoped(work)))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "q")
        assert.strictEqual(seen.size, 2)
      })
    ))

  it.effect("BrokerConnectionPool.ensure(fun): any Effect, whose result it is; what cannot heal it lets through", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({})
        const { effect, runs } = failing(1)
        const fiber = yield* Effect.fork(pool.ensure(effect))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "done")
        assert.lengthOf(runs, 2)
        assert.strictEqual(yield* Effect.flip(pool.ensure(Effect.fail("mine"))), "mine")
      })
    ))

  it.effect("BrokerConnectionPool.ensure(errback): the fault and the delay to come, each time", () =>
    Effect.gen(function*() {
      const told: Array<readonly [string, number]> = []
      yield* ensured(0, {
        schedule: Reconnect.kombu({ maxRetries: 3 }),
        onError: (fault, delay) => Effect.sync(() => told.push([fault._tag, Duration.toSeconds(delay)]))
      })
      assert.deepStrictEqual(told, [["ConnectionLost", 2], ["ConnectionLost", 4], ["ConnectionLost", 6]])
    }))

  it.effect("BrokerConnectionPool.ensure(max_retries): no end unless given; then the last fault itself", () =>
    Effect.gen(function*() {
      assert.isNull(defaults.poolEnsure.max_retries)
      assert.isFalse((yield* ensured(0)).done)
      assert.deepInclude(yield* ensured(0, { schedule: Reconnect.kombu({ maxRetries: 3 }) }), { done: true, runs: 4 })
      yield* onNetwork(() =>
        Effect.gen(function*() {
          const pool = yield* ConnectionPool.make({})
          const schedule = Reconnect.kombu({ maxRetries: 0 })
          assert.strictEqual(yield* Effect.flip(pool.ensure(failing(Infinity).effect, { schedule })), lost)
        })
      )
    }))

  it.effect("BrokerConnectionPool.ensure(interval_start)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* ensured(1)).delays, [defaults.poolEnsure.interval_start])
      const schedule = growing({ start: 5, step: 2, max: 30 })
      assert.deepStrictEqual((yield* ensured(2, { schedule })).delays, [5, 7])
    }))

  it.effect("BrokerConnectionPool.ensure(interval_step)", () =>
    Effect.gen(function*() {
      const { interval_start: start, interval_step: step } = defaults.poolEnsure
      assert.deepStrictEqual((yield* ensured(3)).delays, [start, start + step, start + 2 * step])
      const schedule = growing({ start: 2, step: 10, max: 30 })
      assert.deepStrictEqual((yield* ensured(3, { schedule })).delays, [2, 12, 22])
    }))

  it.effect("BrokerConnectionPool.ensure(interval_max)", () =>
    Effect.gen(function*() {
      const { interval_max: max, interval_start: start, interval_step: step } = defaults.poolEnsure
      const { delays } = yield* ensured(16, undefined, "5 minutes")
      assert.deepStrictEqual(delays, Array.from({ length: 16 }, (_, at) => Math.min(start + at * step, max)))
      const schedule = growing({ start: 2, step: 2, max: 5 })
      assert.deepStrictEqual((yield* ensured(4, { schedule })).delays, [2, 4, 5, 5])
    }))
})

describe("grow, release, replace", () => {
  it.effect("BrokerConnectionPool.grow: places, which are filled when they are needed", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ preconnect: 1 })
        yield* pool.grow(2)
        assert.deepInclude(yield* pool.stats, { total: 3, idle: 1 })
        yield* Effect.all([pool.get(), pool.get()])
        assert.strictEqual(yield* clients(broker), 2)
        assert.strictEqual((yield* pool.stats).total, 3)
      })
    ))

  it.effect("BrokerConnectionPool.grow(n): as many as fit", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 5 })
        yield* pool.grow(5)
        assert.strictEqual((yield* pool.stats).total, 5)
      })
    ))

  it.effect("BrokerConnectionPool.grow(connect): dials at once, if asked to", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        assert.isFalse(defaults.grow.connect)
        const pool = yield* ConnectionPool.make({})
        yield* pool.grow(2)
        assert.strictEqual(yield* clients(broker), 0)
        yield* pool.grow(2, { connect: true })
        assert.strictEqual(yield* clients(broker), 2)
      })
    ))

  it.effect("BrokerConnectionPool.grow raises PoolLimitExceeded: PoolError, LimitExceeded", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 2 })
        assert.strictEqual(yield* reasonOf(pool.grow(3)), "LimitExceeded")
        assert.strictEqual((yield* pool.stats).total, 2)
        yield* pool.resize(3)
        yield* pool.grow(1)
      })
    ))

  it.effect("BrokerConnectionPool.release: by the end of the scope, and not to be used after", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const released = yield* Effect.scoped(pool.get())
        assert.deepInclude(yield* pool.stats, { active: 0, idle: 1 })
        const after = yield* Effect.flip(on(released, Channel.make()))
        assert.propertyVal(after._tag === "ConnectionClosed" ? after.cause : after, "reason", "Released")
      })
    ))

  it.effect("BrokerConnectionPool.release(connection): early, by closing what was lent", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const connection = yield* pool.get()
        const waiting = yield* Effect.fork(pool.use((other) => other.isOpen))
        yield* connection.close()
        assert.isTrue(yield* Fiber.join(waiting))
        assert.lengthOf(dials, 1, "it was lent again, not dialled again")
      })
    ))

  it.effect("BrokerConnectionPool.replace: a fresh one in its place, at once where somebody waits", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const broken = yield* pool.get()
        const waiting = yield* Effect.fork(pool.use((other) => other.isOpen))
        yield* pool.replace(broken)
        assert.isTrue(yield* Fiber.join(waiting))
        assert.lengthOf(dials, 2)
        assert.strictEqual(yield* clients(broker), 1)
      })
    ))

  it.effect("BrokerConnectionPool.replace(connection): closed, and no longer its borrower's", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({})
        const broken = yield* pool.get()
        yield* pool.replace(broken)
        yield* settle
        assert.isTrue(yield* broken.isClosed)
        assert.strictEqual(yield* reasonOf(pool.replace(broken)), "Released")
      })
    ))

  it.effect("BrokerConnectionPool.total", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ preconnect: 2 })
        yield* pool.grow(3)
        yield* pool.get()
        assert.strictEqual((yield* pool.stats).total, 5)
      })
    ))
})
