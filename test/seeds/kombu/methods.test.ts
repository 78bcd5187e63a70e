import { assert, describe, it } from "@effect/vitest"
import { AmqpError, Transport } from "effect-amqp"
import { Channel, Connection, ConnectionPool } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { on, onNetwork, settle, wiretap } from "../setup.ts"

const missing = Effect.flatMap(
  Channel.make(),
  (channel) => channel.queueDeclare({ queue: "missing", passive: true })
)

describe("Methods and attributes of BrokerConnection", () => {
  it.effect("BrokerConnection.acquire: a connection in the place of a pool", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.fromConnection(yield* Connection.make({}))
        const one = yield* pool.get()
        const other = yield* pool.get({ wait: false })
        yield* on(one, Channel.make())
        yield* on(other, Channel.make())
        assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [2])
      })
    ))

  it.effect("BrokerConnection.channel", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ lazy: true })
        const first = yield* on(connection, Channel.make())
        const second = yield* on(connection, Channel.make())
        assert.deepStrictEqual([yield* first.number, yield* second.number], [1, 2])
      })
    ))

  it.effect("BrokerConnection.channel_errors: AmqpError.isChannelError", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const fault = yield* Effect.flip(on(connection, missing))
        assert.isTrue(AmqpError.isChannelError(fault))
        assert.isFalse(AmqpError.isConnectionError(fault))
        const caught = yield* Effect.catchIf(on(connection, missing), AmqpError.isChannelError, Effect.succeed)
        assert.propertyVal(caught, "code", 404)
      })
    ))

  it.effect("BrokerConnection.clone: another one, with the same parameters", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "a", name: "mine", heartbeat: "30 seconds" })
        const clone = yield* connection.clone()
        assert.deepStrictEqual((yield* clone.info).options, (yield* connection.info).options)
        assert.deepStrictEqual(read(), ["0 a", "0 a"])
        yield* connection.close()
        assert.isTrue(yield* clone.isOpen)
        assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["mine"])
      })
    ))

  it.effect("BrokerConnection.clone(**kwargs): some of them replaced", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("reports")
        const connection = yield* Connection.make({ host: "a", name: "mine", heartbeat: "30 seconds" })
        const clone = yield* connection.clone({ vhost: "reports", host: "b" })
        assert.deepInclude((yield* broker.connections)[1], { name: "mine", vhost: "reports" })
        assert.deepStrictEqual((yield* clone.info).heartbeat, (yield* connection.info).heartbeat)
        assert.deepStrictEqual(read(), ["0 a", "0 b"])
      })
    ))

  it.effect("BrokerConnection.close: if it is open", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        yield* connection.close()
        yield* connection.close()
        const unused = yield* Connection.make({ lazy: true })
        yield* unused.close()
        assert.deepStrictEqual([yield* connection.isClosed, yield* unused.isClosed], [true, true])
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))

  it.effect("BrokerConnection.connect: ready, which dials a lazy one at once", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ lazy: true })
        yield* connection.ready()
        yield* connection.ready()
        assert.deepStrictEqual(read(), ["0 localhost"])
      })
    ))

  it.effect("BrokerConnection.connection: the socket of the moment, which info describes", () =>
    onNetwork(({ broker, down }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ urls: ["amqp://a", "amqp://b"] })
        assert.deepInclude(yield* connection.info, { endpoint: "a:5672", epoch: 1 })
        down.add("a")
        yield* broker.dropConnections
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* connection.info, { endpoint: "b:5672", epoch: 2 })
      })
    ))

  it.effect("BrokerConnection.connection_errors: AmqpError.isConnectionError", () =>
    onNetwork(({ broker, down }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ isFinal: () => true })
        const channel = yield* on(connection, Channel.make())
        yield* broker.dropConnections
        yield* settle
        const lost = yield* Effect.flip(channel.queueDeclare({ queue: "q" }))
        down.add("away")
        const refused = yield* Effect.flip(Connection.make({ host: "away" }))
        for (const fault of [lost, refused]) {
          assert.isTrue(AmqpError.isConnectionError(fault), fault._tag)
          assert.isFalse(AmqpError.isChannelError(fault))
        }
      })
    ))

  it.effect("BrokerConnection.create_transport: a new one, for this connection alone", () =>
    Effect.gen(function*() {
      const { server, transport } = yield* Transport.makeMemory
      const broker = yield* Effect.provideService(Broker.make(), Transport.TransportServer, server)
      yield* Effect.provideService(Connection.make({ scheme: "memory" }), Transport.Transport, transport)
      assert.lengthOf(yield* broker.connections, 1)
    }).pipe(Effect.scoped))

  it.effect("BrokerConnection.drain_events: one event, whatever it is about", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ heartbeat: "0 seconds" })
        const channel = yield* on(connection, Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        yield* Effect.fork(Stream.runDrain(channel.consume({ queue: "q" })))
        yield* settle
        const event = yield* Effect.fork(connection.drainEvents())
        yield* TestClock.adjust("1 hour")
        assert.isNull(event.unsafePoll(), "for as long as it takes")
        yield* channel.publish({ routingKey: "q", content: "hello" })
        yield* settle
        assert.deepStrictEqual(yield* Fiber.join(event), { channel: 1, method: "basic.deliver" })
      })
    ))

  it.effect("BrokerConnection.drain_events(timeout)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const event = yield* Effect.fork(Effect.exit(connection.drainEvents({ timeout: "3 seconds" })))
        yield* TestClock.adjust("2999 millis")
        assert.isNull(event.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.isNotNull(event.unsafePoll())
      })
    ))

  it.effect("BrokerConnection.drain_events raises socket.timeout: OperationTimeout, with the bound in it", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const event = yield* Effect.fork(Effect.flip(connection.drainEvents({ timeout: "3 seconds" })))
        yield* TestClock.adjust("3 seconds")
        const fault = yield* Fiber.join(event)
        assert.strictEqual(fault._tag, "OperationTimeout")
        assert.include(fault.message, "3s")
      })
    ))

  it.effect("BrokerConnection.get_transport_cls: the service of the context", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const mine = yield* wiretap
        const used = Effect.zipRight(Connection.make({}), Transport.Transport)
        assert.strictEqual(yield* Effect.provideService(used, Transport.Transport, mine.transport), mine.transport)
        assert.include(mine.written(), "AMQP")
      })
    ))

  it.effect("BrokerConnection.host: name and port, by a colon", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "rabbit.example.com" })
        assert.strictEqual((yield* connection.info).endpoint, "rabbit.example.com:5672")
      })
    ))

  it.effect("BrokerConnection.info: everything it was told and has agreed on, but no password", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: Redacted.make("s@fe") })
        const connection = yield* Connection.make({ username: "me", password: Redacted.make("s@fe"), host: "h" })
        const info = yield* connection.info
        assert.deepInclude(info, { user: "me", endpoint: "h:5672", mechanism: "PLAIN" })
        assert.deepInclude(info.options, { host: "h", port: 5672, vhost: "/", scheme: "amqp", tls: undefined })
        assert.notInclude(JSON.stringify(info), "s@fe")
      })
    ))

  it.effect("BrokerConnection.release: closed; one that a pool lends goes back, and is not to be used after", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        yield* connection.close()
        assert.isTrue(yield* connection.isClosed)
        const pool = yield* ConnectionPool.make({})
        const lent = yield* pool.get()
        yield* lent.close()
        assert.lengthOf(yield* broker.connections, 1)
        const after = yield* Effect.flip(on(lent, Channel.make()))
        assert.propertyVal(after._tag === "ConnectionClosed" ? after.cause : after, "reason", "Released")
      })
    ))

  it.effect("BrokerConnection.transport: the one it was made with, for every dial, and for its clones", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        const mine = yield* wiretap
        const connection = yield* Effect.provideService(Connection.make({}), Transport.Transport, mine.transport)
        const once = mine.written().length
        yield* broker.dropConnections
        yield* TestClock.adjust("1 second")
        const twice = mine.written().length
        assert.isAbove(twice, once)
        yield* connection.clone()
        assert.isAbove(mine.written().length, twice)
        assert.lengthOf(dials, 3)
      })
    ))
})
