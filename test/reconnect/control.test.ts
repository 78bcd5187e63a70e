import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import { onNetwork, settle, states } from "./network.ts"

const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

const names = (seen: ReadonlyArray<Connection.State>) =>
  seen.map((state) =>
    state._tag === "Open"
      ? `Open ${state.endpoint} ${state.epoch}`
      : state._tag === "Idle"
      ? `Idle until ${state.until}`
      : state._tag
  )

const slowly = Schedule.spaced("1 minute")

describe("a lazy connection", () => {
  it.scoped("is there at once, and dials on its first use, which waits for it", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true })
        const seen = yield* states(connection)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(read(), [])
        assert.isFalse(yield* connection.isOpen)
        assert.strictEqual((yield* connection.info).endpoint, "a:5672")
        const channel = yield* on(connection, Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        assert.deepStrictEqual(read(), ["3600000 a"])
        assert.deepStrictEqual(names(seen), ["Idle until use", "Connecting", "Open a:5672 1"])
      })
    ))

  it.scoped("whose first connect fails fails whoever waits, and dials again on the next use", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true })
        const fault = yield* Effect.flip(on(connection, Channel.make()))
        assert(fault._tag === "ConnectionClosed")
        assert.strictEqual(fault.reason, "Recovery")
        assert.propertyVal(fault.cause, "_tag", "ConnectError")
        const state = yield* connection.state
        assert(state._tag === "Idle")
        assert.strictEqual(state.fault?.attempts.length, 1)
        const again = yield* Effect.flip(connection.ready())
        assert(again._tag === "ConnectError")
        assert.lengthOf(again.attempts, 1)
        down.clear()
        yield* connection.ready()
        assert.deepStrictEqual(read(), ["0 a", "0 a", "0 a"])
        yield* on(connection, Channel.make())
      })
    ))

  it.scoped("has its patience in `connect`, and ends with a final fault", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        const patient = yield* Connection.make({ url: "amqp://a", lazy: true, connectionAttempts: 3 })
        const waiting = yield* Effect.fork(Effect.flip(patient.ready()))
        yield* TestClock.adjust("4 seconds")
        const fault = yield* Fiber.join(waiting)
        assert(fault._tag === "ConnectError")
        assert.lengthOf(fault.attempts, 3)
        assert.deepStrictEqual(read(), ["0 a", "2000 a", "4000 a"])
        down.clear()
        const refused = yield* Connection.make({ url: "amqp://nobody:x@a", lazy: true })
        const final = yield* Effect.flip(refused.ready())
        assert.strictEqual(final._tag, "ConnectionClosed")
        assert.isTrue(yield* refused.isClosed)
      })
    ))

  it.scoped("fails at once with whenDisconnected \"fail\", and dials all the same", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true, whenDisconnected: "fail" })
        const fault = yield* Effect.flip(on(connection, Channel.make()))
        assert(fault._tag === "NotReady")
        yield* settle
        assert.deepStrictEqual(read(), ["0 a"])
        yield* on(connection, Channel.make())
      })
    ))

  it.scoped("dials before its first use when it is told to, and not while it is paused", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const resumed = yield* Connection.make({ url: "amqp://a", lazy: true })
        yield* resumed.resume
        yield* resumed.ready()
        const forced = yield* Connection.make({ url: "amqp://b", lazy: true })
        yield* forced.reconnectNow
        yield* forced.ready()
        const sent = yield* Connection.make({ url: "amqp://c", lazy: true })
        yield* sent.switchEndpoint("d")
        yield* sent.ready()
        const paused = yield* Connection.make({ url: "amqp://e", lazy: true })
        yield* paused.pause
        const using = yield* Effect.fork(on(paused, Channel.make()))
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(read(), ["0 a", "0 b", "0 d"])
        yield* paused.resume
        yield* Fiber.join(using)
        assert.deepStrictEqual(read(), ["20000 e"])
      })
    ))

  it.scoped("that is never used never dials, and closes", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Connection.make({ url: "amqp://a", lazy: true }))
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true })
        yield* connection.close()
        assert.strictEqual((yield* Effect.flip(connection.ready()))._tag, "ConnectionClosed")
        yield* connection.resume
        yield* connection.reconnectNow
        yield* settle
        assert.deepStrictEqual(read(), [])
      })
    ))

  it.scoped("dials as a Layer when something above it uses it", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const Live = Channel.layer().pipe(Layer.provide(Connection.layer({ url: "amqp://a", lazy: true })))
        yield* Layer.build(Live)
        assert.deepStrictEqual(read(), ["0 a"])
      })
    ))
})

describe("pause", () => {
  it.scoped("says goodbye and dials nobody until resume; what needs a socket waits", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", operationTimeout: "3 hours" })
        const seen = yield* states(connection)
        const channel = yield* on(connection, Channel.make())
        yield* connection.pause
        assert.deepStrictEqual(yield* broker.connections, [])
        const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(read(), ["0 a"])
        yield* connection.pause
        yield* connection.resume
        yield* connection.resume
        yield* Fiber.join(declaring)
        yield* settle
        assert.deepStrictEqual(read(), ["3600000 a"])
        assert.deepStrictEqual(names(seen), [
          "Open a:5672 1",
          "Idle until resume",
          "Connecting",
          "Open a:5672 2"
        ])
      })
    ))

  it.scoped("ends a recovery that runs, at once: its delay and its dial", () =>
    onNetwork(({ broker, lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.spaced("1 second") })
        yield* lose("a")
        yield* settle
        yield* connection.pause
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(read(), ["0 a"])

        const other = yield* Connection.make({ url: "amqp://b", reconnect: Schedule.spaced("1 second") })
        yield* broker.stall()
        yield* broker.dropConnections
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* other.state)._tag, "Connecting")
        yield* other.pause
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(read(), ["3600000 b", "3601000 b"])
      })
    ))

  it.scoped("is over with the close, which wins", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        yield* connection.pause
        yield* connection.close()
        yield* connection.resume
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(read(), ["0 a"])
        assert.strictEqual((yield* connection.state)._tag, "Closed")
      })
    ))

  it.scoped("of a broker that does not answer the goodbye lasts for the close timeout", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", closeTimeout: "3 seconds" })
        yield* broker.silence()
        const pausing = yield* Effect.fork(connection.pause)
        yield* TestClock.adjust("2999 millis")
        assert.isTrue(Option.isNone(yield* Fiber.poll(pausing)))
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(pausing)
        assert.deepInclude(yield* connection.state, { _tag: "Idle", until: "resume" })
      })
    ))

  it.scoped("keeps at-least-once publishes, and tells the others that it left", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const safe = yield* on(connection, Channel.makeConfirm({ guarantee: "at-least-once" }))
        const confirm = yield* on(connection, Channel.makeConfirm())
        yield* safe.queueDeclare({ queue: "q" })
        yield* broker.loseNext(2)
        const kept = yield* Effect.fork(safe.publish({ routingKey: "q", content: "kept" }))
        const lost = yield* Effect.fork(Effect.flip(confirm.publish({ routingKey: "q", content: "lost" })))
        yield* settle
        yield* connection.pause
        yield* connection.resume
        yield* Fiber.join(kept)
        const fault = yield* Fiber.join(lost)
        assert(fault._tag === "OutcomeUnknown")
        assert.deepInclude(fault.cause, { _tag: "ConnectionLost", reason: "Left" })
      })
    ))
})

describe("reconnectNow", () => {
  it.scoped("ends the delay, and starts the Schedule over", () =>
    onNetwork(({ lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.exponential("10 seconds") })
        yield* lose("a")
        yield* TestClock.adjust("11 seconds")
        yield* connection.reconnectNow
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(read(), ["0 a", "10000 a", "11000 a", "21000 a"])
      })
    ))

  it.scoped("leaves an open socket, and its channels come back on the next", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://a", "amqp://b"] })
        const seen = yield* states(connection)
        const channel = yield* on(connection, Channel.make())
        yield* connection.reconnectNow
        yield* connection.ready()
        yield* channel.queueDeclare({ queue: "q" })
        assert.deepStrictEqual(read(), ["0 a", "0 b"])
        assert.lengthOf(yield* broker.connections, 1)
        assert.notInclude(names(seen), "Recovering", "leaving is no fault to recover from")
      })
    ))

  it.scoped("and resume, pause and switchEndpoint from many fibers at once end in one socket", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://a", "amqp://b"] })
        yield* Effect.all([
          connection.reconnectNow,
          connection.pause,
          connection.switchEndpoint("b"),
          connection.resume,
          connection.reconnectNow,
          connection.switchEndpoint("a"),
          on(connection, Channel.make()),
          connection.pause,
          connection.resume
        ], { concurrency: "unbounded" })
        yield* connection.ready()
        assert.lengthOf(yield* broker.connections, 1)
      })
    ))
})

/** Closes while another endpoint is dialled, which answers before the goodbye is answered. */
const meanwhile = (
  options: Partial<Connection.Options>,
  begin: (connection: Connection.Connection) => Effect.Effect<unknown, unknown>
) =>
  onNetwork(({ broker, down }) =>
    Effect.gen(function*() {
      const latch = yield* Deferred.make<void>()
      down.add("a")
      const connection = yield* Connection.make({
        urls: ["amqp://a", "amqp://b"],
        closeTimeout: "3 seconds",
        beforeDial: ({ options }) => options.host === "a" && !down.has("a") ? Deferred.await(latch) : Effect.void,
        ...options
      } as Connection.Options)
      down.delete("a")
      const [present] = yield* broker.connections
      const begun = yield* Effect.fork(begin(connection))
      yield* TestClock.adjust("6 seconds")
      const silence = yield* broker.silence({ connection: present?.name })
      const closing = yield* Effect.fork(connection.close())
      yield* settle
      yield* Deferred.succeed(latch, undefined)
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(closing)))
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Option.isSome(yield* Fiber.poll(closing)))
      assert.isTrue(yield* connection.isClosed)
      yield* Fiber.await(begun)
      yield* silence.heal
      yield* settle
      assert.deepStrictEqual(yield* broker.connections, [])
    })
  )

describe("close", () => {
  it.scoped("ends the wait for a first connect, where another fiber closes the scope", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const opening = yield* Effect.fork(Effect.flip(
          Scope.extend(Connection.make({ urls: ["amqp://a"], beforeDial: () => Effect.never }), scope)
        ))
        yield* settle
        yield* Scope.close(scope, Exit.void)
        yield* settle
        assert.strictEqual((yield* Fiber.join(opening)).attempts[0]?.text, "the connection is closed")
      })
    ))

  it.scoped("wins over a way back to a better endpoint that answers meanwhile", () =>
    meanwhile({ failover: "priority" }, () => Effect.void))

  it.scoped("wins over another endpoint that answers meanwhile", () =>
    meanwhile({ failover: "in-order" }, (connection) => connection.switchEndpoint("a")))
})

describe("switchEndpoint", () => {
  it.scoped("ends with the connection, whatever the dial is at, and dials nobody afterwards", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const never = new Set(["slow"])
        const open = () =>
          Connection.make({
            urls: ["amqp://a"],
            beforeDial: ({ options }) => {
              asked.push(options.host)
              return never.has(options.host) ? Effect.never : Effect.void
            }
          })
        const waiting = yield* open()
        const slow = yield* Effect.fork(Effect.flip(waiting.switchEndpoint("slow")))
        yield* settle
        assert.deepStrictEqual(asked, ["a", "slow"])
        yield* waiting.close()
        yield* settle
        assert.strictEqual((yield* Fiber.join(slow)).attempts[0]?.text, "the connection is closed")

        const soon = yield* open()
        const early = yield* Effect.fork(Effect.flip(soon.switchEndpoint("late")))
        yield* Effect.yieldNow()
        yield* soon.close()
        yield* settle
        yield* Fiber.join(early)
        assert.deepStrictEqual(asked, ["a", "slow", "a"])
        assert.deepStrictEqual(read(), ["0 a", "0 a"])
      })
    ))

  it.scoped("returns where nothing may be interrupted, too", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://a", "amqp://b"] })
        yield* Effect.uninterruptible(connection.switchEndpoint("b"))
        yield* connection.ready()
        assert.strictEqual((yield* connection.info).endpoint, "b:5672")
        yield* connection.pause
      })
    ))

  it.scoped("dials first and leaves then: of the options or not", () =>
    onNetwork(({ broker, lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({
          urls: ["amqp://a", "amqp://b", "amqp://c"],
          reconnect: Schedule.spaced("1 second")
        })
        const channel = yield* on(connection, Channel.make())
        yield* connection.switchEndpoint("elsewhere:1234")
        yield* connection.ready()
        assert.strictEqual((yield* connection.info).endpoint, "elsewhere:1234")
        yield* connection.switchEndpoint({ host: "b" })
        yield* connection.ready()
        assert.strictEqual((yield* connection.info).endpoint, "b:5672")
        yield* channel.queueDeclare({ queue: "q" })
        assert.lengthOf(yield* broker.connections, 1)
        // The strategy goes on from there.
        yield* TestClock.adjust("6 seconds")
        yield* lose()
        yield* settle
        assert.deepStrictEqual(read(), ["0 a", "0 elsewhere", "0 b", "6000 c"])
      })
    ))

  it.scoped("that does not answer leaves everything as it is", () =>
    onNetwork(({ down }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://a", "amqp://b"] })
        down.add("b")
        const fault = yield* Effect.flip(connection.switchEndpoint("b"))
        assert.deepStrictEqual(fault.attempts.map(({ endpoint }) => endpoint), ["b:5672"])
        assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 1 })
        const wrong = yield* Effect.flip(connection.switchEndpoint("amqp://b/?no_such=1"))
        assert.strictEqual(wrong.reason, "Url")
        yield* connection.close()
        assert.strictEqual((yield* Effect.flip(connection.switchEndpoint("a")))._tag, "ConnectError")
      })
    ))

  it.scoped("goes out of a delay and out of a pause", () =>
    onNetwork(({ lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: slowly })
        yield* lose("a")
        yield* settle
        yield* connection.switchEndpoint("b")
        yield* connection.ready()
        yield* connection.pause
        yield* connection.switchEndpoint("c")
        yield* connection.ready()
        assert.deepStrictEqual(read(), ["0 a", "0 b", "0 c"])
      })
    ))
})

describe("ready", () => {
  it.scoped("waits for a connection that recovers or is blocked, and for no longer than it is told", () =>
    onNetwork(({ broker, lose }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.spaced("1 second") })
        const alarm = yield* broker.block("memory")
        yield* settle
        const blocked = yield* Effect.fork(connection.ready())
        const late = yield* Effect.fork(Effect.flip(connection.ready({ timeout: "2 seconds" })))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(late))._tag, "OperationTimeout")
        yield* alarm.heal
        yield* Fiber.join(blocked)
        yield* lose()
        yield* settle
        const recovering = yield* Effect.fork(connection.ready())
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(recovering)
      })
    ))

  it.scoped("fails when the connection has ended for good, also while it waits", () =>
    onNetwork(({ lose }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.recurs(0) })
        yield* connection.pause
        const waiting = yield* Effect.fork(Effect.exit(connection.ready()))
        yield* settle
        yield* connection.close()
        const exit = yield* Fiber.join(waiting)
        assert(Exit.isFailure(exit))
        assert.propertyVal(Cause.squash(exit.cause), "reason", "Client")
        const other = yield* Connection.make({ url: "amqp://b", reconnect: Schedule.recurs(0) })
        yield* lose("b")
        yield* settle
        assert.propertyVal(yield* Effect.flip(other.ready()), "reason", "Recovery")
      })
    ))
})

describe("clone", () => {
  it.scoped("is another connection with the same settings, some replaced", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({
          urls: ["amqp://a", "amqp://b"],
          failover: "in-order",
          name: "first",
          heartbeat: "7 seconds",
          reconnect: slowly
        })
        const clone = yield* connection.clone({ name: "second" })
        assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["first", "second"])
        const info = yield* clone.info
        assert.deepStrictEqual(info.alternates, ["a:5672", "b:5672"])
        assert.strictEqual(info.failover, "in-order")
        assert.strictEqual(Duration.toSeconds(info.heartbeat), 7)
        yield* broker.drop({ connection: "second" })
        yield* TestClock.adjust("1 second")
        const state = yield* clone.state
        assert(state._tag === "Recovering")
        assert.strictEqual(Duration.toSeconds(state.delay), 60, "supervised alike")
        yield* connection.close()
        assert.isFalse(yield* clone.isClosed)
        const lazy = yield* clone.clone({ lazy: true, host: "c", failover: "shuffle" })
        assert.deepStrictEqual((yield* lazy.info).alternates, ["c:5672"])
        assert.strictEqual((yield* lazy.info).failover, "shuffle")
        assert.deepStrictEqual(read(), ["0 a", "0 a"])
        assert.strictEqual((yield* Effect.flip(clone.clone({ port: 0 }))).reason, "Url")
      })
    ))
})

describe("info", () => {
  it.scoped("has what kombu's has: host, port, user, virtual host, TLS, transport, heartbeat, strategy, alternates; no secret", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://guest:guest@a:1/", "b"], failover: "priority" })
        const info = yield* connection.info
        assert.deepInclude<object>({ ...info }, {
          endpoint: "a:1",
          address: "a",
          alternates: ["a:1", "b:5672"],
          failover: "priority",
          tls: undefined
        })
        assert.deepInclude<object>({ ...info.options }, { scheme: "amqp", host: "a", port: 1, vhost: "/" })
        assert.notInclude(inspect(info, { depth: null }), "guest:guest")
      })
    ))
})

describe("silence", () => {
  it.scoped("is the age of what was heard last", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", heartbeat: "10 seconds" })
        yield* broker.skipHeartbeats()
        yield* TestClock.adjust("13 seconds")
        assert.strictEqual(
          Option.getOrThrow(Option.map(Option.fromNullable(yield* connection.silence), Duration.toSeconds)),
          13
        )
        yield* connection.pause
        assert.isUndefined(yield* connection.silence)
      })
    ))
})

describe("drainEvents", () => {
  it.scoped("waits for one thing the broker says, and tells what; zero does not wait, expiry is OperationTimeout", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const channel = yield* on(connection, Channel.make())
        const none = yield* Effect.flip(connection.drainEvents({ timeout: "0 seconds" }))
        assert(none._tag === "OperationTimeout")
        const waiting = yield* Effect.fork(Effect.flip(connection.drainEvents({ timeout: "1 second" })))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "OperationTimeout")

        const first = yield* Effect.fork(connection.drainEvents())
        yield* settle
        yield* channel.queueDeclare({ queue: "q" })
        assert.deepStrictEqual(yield* Fiber.join(first), { channel: 1, method: "queue.declare-ok" })
        yield* Effect.fork(Stream.runDrain(channel.consume({ queue: "q" })))
        yield* settle
        yield* channel.publish({ routingKey: "q", content: "x" })
        yield* settle
        // What came meanwhile is there, in order.
        assert.deepStrictEqual(
          yield* Effect.replicateEffect(connection.drainEvents({ timeout: "0 seconds" }), 3).pipe(
            Effect.map((events) => events.map(({ method }) => method))
          ),
          ["basic.qos-ok", "basic.consume-ok", "basic.deliver"]
        )
      })
    ))

  it.scoped("goes on over a loss, and fails when the connection has ended for good", () =>
    onNetwork(({ lose }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a", reconnect: Schedule.recurs(1) })
        const waiting = yield* Effect.fork(Effect.flip(connection.drainEvents()))
        yield* lose()
        yield* settle
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
        yield* connection.close()
        assert.propertyVal(yield* Fiber.join(waiting), "reason", "Client")
        assert.propertyVal(yield* Effect.flip(connection.drainEvents()), "reason", "Client")
      })
    ))

  it.scoped("dials a lazy connection, and fails when that cannot be opened, as every use does", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        const connection = yield* Connection.make({ url: "amqp://a", lazy: true, connectionAttempts: 2 })
        const waiting = yield* Effect.fork(Effect.flip(connection.drainEvents()))
        yield* TestClock.adjust("2 seconds")
        const fault = yield* Fiber.join(waiting)
        assert.deepInclude<object>({ ...fault }, { _tag: "ConnectionClosed", reason: "Recovery" })
        down.clear()
        const next = yield* Effect.fork(connection.drainEvents())
        yield* settle
        yield* on(connection, Channel.make())
        assert.deepStrictEqual(yield* Fiber.join(next), { channel: 1, method: "channel.open-ok" })
        assert.deepStrictEqual(read(), ["0 a", "2000 a", "2000 a"])
      })
    ))

  it.scoped("keeps the last 64 for whoever comes back to it", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ url: "amqp://a" })
        const channel = yield* on(connection, Channel.make())
        yield* Effect.ignore(connection.drainEvents({ timeout: "0 seconds" }))
        for (let count = 0; count < 100; count++) yield* channel.queueDeclare({ queue: `q${count}` })
        let drained = 0
        while (Exit.isSuccess(yield* Effect.exit(connection.drainEvents({ timeout: "0 seconds" })))) drained++
        assert.strictEqual(drained, 64)
      })
    ))
})
