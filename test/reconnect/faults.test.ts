import { assert, describe, it } from "@effect/vitest"
import { type AmqpError, Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { type Network, onNetwork, print, seconds, settle, states } from "./network.ts"

const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** When a connection to two nodes first recovers, and from what. */
const noticed = (connection: Connection.Connection) =>
  connection.changes.pipe(
    Stream.filterMapEffect((state) =>
      state._tag === "Recovering" ? Option.some(Effect.map(now, (at) => ({ at, fault: state.fault }))) : Option.none()
    ),
    Stream.runHead,
    Effect.map(Option.getOrThrow),
    Effect.forkScoped
  )

interface Story {
  readonly fault: string
  readonly options?: Connection.Overrides
  /** What goes wrong, 60 s after the start, when nothing has been said for a while. */
  readonly act: (network: Network, connection: Connection.Connection) => Effect.Effect<unknown>
  /** Within how many milliseconds it is noticed. */
  readonly bound: number
  readonly expected: (fault: AmqpError.RecoverableError) => boolean
}

const urls = ["amqp://a", "amqp://b"] as const

const stories: ReadonlyArray<Story> = [
  {
    fault: "the socket is reset",
    act: ({ broker }) => broker.dropConnections,
    bound: 0,
    expected: (fault) => fault._tag === "ConnectionLost" && fault.reason === "Socket"
  },
  {
    fault: "heartbeats stop coming",
    act: ({ broker }) => broker.skipHeartbeats({ connection: "victim" }),
    bound: 20_000,
    expected: (fault) => fault._tag === "ConnectionLost" && fault.reason === "Heartbeat"
  },
  {
    fault: "half-open: nothing comes, nothing is read",
    act: ({ broker }) => broker.silence({ connection: "victim" }),
    bound: 20_000,
    expected: (fault) => fault._tag === "ConnectionLost" && fault.reason === "Heartbeat"
  },
  {
    fault: "an operator closes it (320)",
    act: ({ broker }) => broker.closeConnection({ text: "CONNECTION_FORCED - maintenance" }),
    bound: 0,
    expected: (fault) => fault._tag === "ConnectionClosed" && fault.code === 320 && fault.text.includes("maintenance")
  },
  {
    fault: "the broker fails within (541)",
    act: ({ broker }) => broker.closeConnection({ code: 541 }),
    bound: 0,
    expected: (fault) => fault._tag === "ConnectionClosed" && fault.code === 541
  },
  {
    fault: "a frame is cut off in the middle",
    act: ({ broker }, connection) =>
      Effect.zipRight(
        broker.cutFrame(),
        Effect.fork(Effect.scoped(on(connection, Effect.ignore(Channel.make()))))
      ),
    bound: 0,
    expected: (fault) => fault._tag === "ConnectionLost" && fault.reason === "Socket"
  },
  {
    fault: "a memory alarm that lasts",
    options: { blockedTimeout: "45 seconds" },
    act: ({ broker }) => broker.block("memory", { connection: "victim" }),
    bound: 45_000,
    expected: (fault) => fault._tag === "ConnectionLost" && fault.reason === "BlockedTimeout"
  }
]

const rows: Array<ReadonlyArray<string>> = []

describe("noticed within its bound, and the other node is dialled at once:", () => {
  for (const { act, bound, expected, fault, options } of stories) {
    it.scoped(fault, () =>
      onNetwork((network) =>
        Effect.gen(function*() {
          const { dials } = network
          const connection = yield* Connection.make({ urls, name: "victim", heartbeat: "10 seconds", ...options })
          const channel = yield* on(connection, Channel.makeConfirm({ guarantee: "at-least-once" }))
          yield* channel.queueDeclare({ queue: "q" })
          const noticing = yield* noticed(connection)
          yield* TestClock.adjust("60 seconds")
          yield* act(network, connection)
          // A whole heartbeat interval passes before the silence begins at most.
          yield* TestClock.adjust(bound + 5000)
          const { at, fault: found } = yield* Fiber.join(noticing)
          assert.isTrue(expected(found), found.message)
          assert.isAtMost(at - 60_000, bound)
          assert.deepStrictEqual(dials.map(({ at, where }) => `${at} ${where}`).slice(0, 2), ["0 a", `${at} b`])
          yield* network.broker.heal()
          yield* connection.ready()
          yield* channel.publish({ routingKey: "q", content: "it goes on" })
          rows.push([fault, seconds(bound), seconds(at - 60_000), found.message, `b at ${seconds(at - 60_000)}`])
        })
      ))
  }

  it.scoped("a node that accepts and never answers: its dial is given up at the stack timeout", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls, stackTimeout: "4 seconds", socketTimeout: "3 seconds" })
        const seen = yield* states(connection)
        yield* TestClock.adjust("10 seconds")
        yield* broker.stall()
        yield* broker.dropConnections
        yield* TestClock.adjust("4 seconds")
        yield* broker.heal("stall")
        yield* connection.ready()
        assert.deepStrictEqual(dials.map(({ at, where }) => `${at} ${where}`), ["0 a", "10000 b", "14000 a"])
        const told = seen.flatMap((state) => state._tag === "Connecting" && state.fault !== undefined ? [state] : [])
        assert.lengthOf(told, 1)
        const text = told[0]?.fault?.message ?? ""
        assert.include(text, "b:5672: accepted the connection and sent no AMQP greeting within 4s (Timeout)")
        rows.push(["it accepts and never answers", "4 s", seconds((dials[2]?.at ?? NaN) - 10_000), text, "a at 4 s"])
      })
    ))

  it.scoped("a node that shuts down: it says so (320), and refuses from then on", () =>
    Effect.gen(function*() {
      const memory = yield* Transport.makeMemory
      const start = (port: number) =>
        Effect.provideService(Broker.make({ port }), Transport.TransportServer, memory.server)
      const scope = yield* Scope.make()
      yield* Scope.extend(start(1), scope)
      const second = yield* start(2)
      const connection = yield* Effect.provideService(
        Connection.make({ urls: ["amqp://a:1", "amqp://b:2"], reconnect: Schedule.spaced("1 minute") }),
        Transport.Transport,
        memory.transport
      )
      const noticing = yield* noticed(connection)
      const channel = yield* on(connection, Channel.make())
      yield* Scope.close(scope, Exit.void)
      yield* settle
      const { fault } = yield* Fiber.join(noticing)
      assert.propertyVal(fault, "code", 320)
      yield* channel.queueDeclare({ queue: "q" })
      assert.lengthOf(yield* second.connections, 1)
      assert.strictEqual((yield* connection.info).endpoint, "b:2")
      rows.push(["a node shuts down", "0 s", "0 s", fault.message, "b at 0 s"])
    }))

  it("prints what was found", () => {
    print("faults", ["what happens", "bound", "noticed after", "as", "then dialled"], rows)
    assert.lengthOf(rows, stories.length + 2)
  })
})

describe("what dialling again cannot heal", () => {
  const changes = { Auth: { password: Redacted.make("wrong") }, Vhost: { vhost: "gone" } } as const

  for (const reason of ["Auth", "Vhost"] as const) {
    /** A connection that is told so when it dials again. */
    const refused = (options: Connection.Overrides) =>
      Effect.map(Ref.make(false), (isRefused) => ({
        isRefused,
        options: {
          ...options,
          url: "amqp://a",
          reconnect: Schedule.spaced("1 second"),
          beforeDial: () => Effect.map(Ref.get(isRefused), (is) => is ? changes[reason] : undefined)
        }
      }))

    it.scoped(`ends a recovery and a first connect at once, however patient (${reason})`, () =>
      onNetwork(({ lose, read }) =>
        Effect.gen(function*() {
          const { isRefused, options } = yield* refused({})
          const connection = yield* Connection.make(options)
          yield* Ref.set(isRefused, true)
          yield* lose()
          yield* TestClock.adjust("10 seconds")
          assert.deepStrictEqual(read(), ["0 a", "1000 a"])
          const state = yield* connection.state
          assert.propertyVal(state._tag === "Closed" ? state.cause : state, "reason", reason)
          const connect = Schedule.spaced("1 second")
          const first = yield* Effect.flip(Connection.make({ ...options, connect }))
          assert.deepStrictEqual(first.attempts.map((attempt) => attempt.reason), [reason])
        })
      ))

    it.scoped(`is tried on where \`isFinal\` says otherwise (${reason})`, () =>
      onNetwork(({ lose, read }) =>
        Effect.gen(function*() {
          const { isRefused, options } = yield* refused({ isFinal: () => false })
          const connection = yield* Connection.make(options)
          yield* Ref.set(isRefused, true)
          yield* lose()
          yield* TestClock.adjust("2500 millis")
          yield* Ref.set(isRefused, false)
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(read(), ["0 a", "1000 a", "2000 a", "3000 a"])
          assert.isTrue(yield* connection.isOpen)
        })
      ))
  }

  it.scoped("at one endpoint is no end while another may still let us in", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        const urls = ["amqp://nobody:x@a", "amqp://guest:guest@b"] as const
        const connect = Schedule.spaced("1 second")
        down.add("b")
        const connecting = yield* Effect.fork(Connection.make({ urls, connect }))
        yield* TestClock.adjust("1500 millis")
        down.clear()
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* (yield* Fiber.join(connecting)).info).endpoint, "b:5672")
        assert.deepStrictEqual(read(), ["0 a", "0 b", "1000 a", "1000 b", "2000 a", "2000 b"])
      })
    ))
})

describe("without heartbeats", () => {
  it.scoped("a half-open socket is noticed by the call that gets no answer, at the operation timeout", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", heartbeat: "0 seconds" })
        const channel = yield* on(connection, Channel.make())
        yield* broker.silence()
        const declaring = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "q" })))
        yield* TestClock.adjust("29999 millis")
        assert.isTrue(Option.isNone(yield* Fiber.poll(declaring)))
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(declaring))._tag, "OperationTimeout")
        // Else the goodbye would wait for an answer.
        yield* broker.heal()
      })
    ))
})

describe("a memory alarm that passes", () => {
  it.scoped("is told at once, with its reason; publishes wait for it and calls do not", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", heartbeat: "10 seconds" })
        const channel = yield* on(connection, Channel.makeConfirm())
        const alarm = yield* broker.block("low on memory")
        yield* settle
        assert.deepInclude(yield* connection.state, { _tag: "Blocked", reason: "low on memory" })
        assert.isTrue(yield* connection.isOpen)
        yield* channel.queueDeclare({ queue: "q" })
        const publishing = yield* Effect.fork(channel.publish({ routingKey: "q", content: "x" }))
        yield* TestClock.adjust("25 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.poll(publishing)))
        yield* alarm.heal
        yield* settle
        yield* Fiber.join(publishing)
        assert.deepStrictEqual(read(), ["0 a"])
      })
    ))

  it.scoped("too late for a publish fails it at the publish timeout: it was never sent", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", publishTimeout: "10 seconds" })
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        const alarm = yield* broker.block("memory")
        yield* settle
        const publishing = yield* Effect.fork(Effect.flip(channel.publish({ routingKey: "q", content: "x" })))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(publishing))._tag, "OperationTimeout")
        yield* alarm.heal
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* channel.queueDeclare({ queue: "q" })).messageCount, 0)
      })
    ))
})
