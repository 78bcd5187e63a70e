import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Reconnect } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { warnings } from "../amqp091/onBroker.ts"
import { onNetwork, settle, states } from "./network.ts"

const everySecond = Schedule.spaced("1 second")

/** When a connection is dialled that is lost for good after 10 seconds, and how it ends. */
const afterLoss = (reconnect: Reconnect.Policy) =>
  onNetwork(({ dials, lose }) =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ url: "amqp://a", reconnect })
      yield* TestClock.adjust("10 seconds")
      dials.length = 0
      yield* lose("a")
      yield* TestClock.adjust("8500 millis")
      return { times: dials.map(({ at }) => at - 10_000), state: yield* connection.state }
    })
  )

/** A connect that somebody waits for no longer than two and a half seconds. */
const timedOut = (options: Connection.Options) =>
  Effect.gen(function*() {
    const connecting = yield* Effect.fork(Effect.timeoutOption(Connection.make(options), "2500 millis"))
    yield* TestClock.adjust("2500 millis")
    assert.isTrue(Option.isNone(yield* Fiber.join(connecting)))
  })

describe("any Schedule over the typed fault composes as `reconnect`:", () => {
  it.scoped("recurs bounds the rounds, and the last fault has the attempts of all", () =>
    Effect.map(afterLoss(Schedule.intersect(everySecond, Schedule.recurs(3))), ({ state, times }) => {
      assert.deepStrictEqual(times, [1000, 2000, 3000])
      assert(state._tag === "Closed" && state.cause?._tag === "ConnectError")
      assert.lengthOf(state.cause.attempts, 3)
    }))

  it.scoped("upTo bounds the time", () =>
    Effect.map(afterLoss(Schedule.upTo(everySecond, "3500 millis")), ({ state, times }) => {
      assert.deepStrictEqual(times, [1000, 2000, 3000, 4000])
      assert.strictEqual(state._tag, "Closed")
    }))

  it.scoped("whileInput goes by the fault", () =>
    Effect.map(
      afterLoss(
        Schedule.whileInput(everySecond, (fault: AmqpError.RecoverableError) => fault._tag === "ConnectionLost")
      ),
      ({ state, times }) => {
        assert.deepStrictEqual(times, [1000])
        assert.propertyVal(state._tag === "Closed" ? state.cause : undefined, "_tag", "ConnectError")
      }
    ))

  it.scoped("andThen, union and presets together", () =>
    Effect.map(
      afterLoss(Schedule.andThen(
        Schedule.intersect(Schedule.spaced("200 millis"), Schedule.recurs(2)),
        Schedule.union(Reconnect.kombu(), Schedule.spaced("3 seconds"))
      )),
      ({ times }) => assert.deepStrictEqual(times, [200, 400, 2400, 5400, 8400])
    ))
})

const channelOf = (connection: Connection.Connection) =>
  Effect.provideService(Channel.make(), Connection.Connection, connection)

describe("the delays grow", () => {
  it.scoped("also while each socket opens, and is given up over what cannot be restored on it", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        const mine = yield* Connection.make({
          url: "amqp://a",
          name: "mine",
          recovery: { onFailure: "abort" },
          reconnect: Schedule.exponential("1 second")
        })
        const theirs = yield* Connection.make({ url: "amqp://b" })
        const [channel, other] = [yield* channelOf(mine), yield* channelOf(theirs)]
        yield* channel.queueDeclare({ queue: "q" })
        yield* other.queueDelete({ queue: "q" })
        yield* other.queueDeclare({ queue: "q", durable: false })
        dials.length = 0
        yield* broker.drop({ connection: "mine" })
        yield* TestClock.adjust("20 seconds")
        yield* other.queueDelete({ queue: "q" })
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(dials.map(({ at }) => at), [1000, 3000, 7000, 15_000, 31_000])
        assert.isTrue(yield* mine.isOpen)
      })
    ))
})

describe("`connect` and `reconnect` are two Schedules:", () => {
  it.scoped("each has its own count, and its own input", () =>
    onNetwork(({ down, lose, read }) =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const told = <F extends AmqpError.RecoverableError>(name: string) =>
          Schedule.tapInput((fault: F) => Effect.sync(() => void seen.push(`${name} ${fault._tag}`)))
        down.add("a")
        const connecting = yield* Effect.fork(Connection.make({
          url: "amqp://a",
          connect: told<AmqpError.ConnectError>("connect")(Schedule.spaced("2 seconds")),
          reconnect: told<AmqpError.RecoverableError>("reconnect")(everySecond)
        }))
        yield* TestClock.adjust("3 seconds")
        down.clear()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(connecting)
        yield* lose("a")
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(read(), ["0 a", "2000 a", "4000 a", "5000 a", "6000 a"])
        assert.deepStrictEqual(seen, [
          "connect ConnectError",
          "connect ConnectError",
          "reconnect ConnectionLost",
          "reconnect ConnectError",
          "reconnect ConnectError"
        ])
      })
    ))

  it.scoped("connectionAttempts and retryDelay are the default of the first", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        const connecting = yield* Effect.fork(
          Effect.flip(Connection.make({ url: "amqp://a?connection_attempts=3&retry_delay=0.5" }))
        )
        yield* TestClock.adjust("10 seconds")
        assert.lengthOf((yield* Fiber.join(connecting)).attempts, 3)
        assert.deepStrictEqual(read(), ["0 a", "500 a", "1000 a"])
      })
    ))

  it.scoped("of a list those of its first endpoint, as all that is no endpoint's own", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a").add("b")
        const connecting = yield* Effect.fork(Effect.exit(Connection.make({
          urls: ["amqp://a?connection_attempts=2&retry_delay=1", "amqp://b?connection_attempts=5&retry_delay=3"]
        })))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(connecting)
        assert.deepStrictEqual(read(), ["0 a", "0 b", "1000 a", "1000 b"])
      })
    ))
})

describe("a first connect that is given up, in a scope that goes on,", () => {
  it.scoped("between two rounds dials nobody any more", () =>
    onNetwork(({ broker, down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        yield* timedOut({ url: "amqp://a", connect: everySecond })
        down.clear()
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(read(), ["0 a", "1000 a", "2000 a"])
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))

  it.scoped("in the middle of a handshake lets go of its socket", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        yield* broker.stall()
        yield* timedOut({ url: "amqp://a" })
        yield* broker.heal()
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(read(), ["0 a"])
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))

  it.scoped("while its credentials are asked for leaves nobody to wait for them", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        let interrupted = false
        yield* timedOut({
          url: "amqp://a",
          username: "me",
          password: Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
        })
        assert.isTrue(interrupted)
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))
})

describe("the fault of each attempt", () => {
  it.scoped("is in the states, in the logs and in the final fault", () => {
    const told: Array<string> = []
    return onNetwork(({ down, lose, names }) =>
      Effect.gen(function*() {
        names.set("c", [])
        const connection = yield* Connection.make({
          urls: ["amqp://a", "amqp://b", "amqp://c"],
          reconnect: Schedule.intersect(everySecond, Schedule.recurs(1))
        })
        const seen = yield* states(connection)
        yield* TestClock.adjust("1 second")
        down.add("b")
        yield* lose("a")
        yield* TestClock.adjust("5 seconds")
        const faults = seen.flatMap((state) =>
          state._tag === "Connecting"
            ? [`${state.endpoint} after ${state.fault?.message ?? "-"}`]
            : state._tag === "Recovering"
            ? [`${state.round}: ${state.fault.message}`]
            : []
        )
        assert.deepStrictEqual(faults, [
          "1: Lost the connection to a:5672 (Socket)",
          "b:5672 after -",
          "c:5672 after Could not connect: b:5672: down (Refused)",
          "a:5672 after Could not connect: c:5672: no such host (Dns)"
        ])
        const state = yield* connection.state
        assert(state._tag === "Closed" && state.cause?._tag === "ConnectError")
        assert.deepStrictEqual(state.cause.attempts.map(({ endpoint, reason }) => `${endpoint} ${reason}`), [
          "b:5672 Refused",
          "c:5672 Dns",
          "a:5672 Refused"
        ])
        yield* settle
        assert.deepStrictEqual(told, [
          "Connection: Lost the connection to a:5672 (Socket); dialling again in 1s",
          "Connection: Could not connect: b:5672: down (Refused); dialling c:5672",
          "Connection: Could not connect: c:5672: no such host (Dns); dialling a:5672",
          `Connection: ${state.cause.message}; giving up`
        ])
      })
    ).pipe(Effect.provide(warnings(told)))
  })
})
