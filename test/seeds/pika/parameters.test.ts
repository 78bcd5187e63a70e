import { assert, describe, it } from "@effect/vitest"
import { Credentials, Reconnect, Transport } from "effect-amqp"
import { Channel, Connection, ConnectionOptions } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { defaults } from "../pika.words.ts"
import { away, now, on, onNetwork, settle, wiretap } from "../setup.ts"

const parameters = ConnectionOptions.make()

describe("Connection Parameters", () => {
  it("ConnectionParameters: one immutable value, complete and checked, equal to another with the same content", () => {
    assert.isTrue(ConnectionOptions.isConnectionOptions(parameters))
    assert.isTrue(Equal.equals(parameters, ConnectionOptions.make({ host: defaults.host, port: defaults.port })))
    assert.throws(() => ConnectionOptions.make({ port: 0 }), "port")
  })

  it.effect("ConnectionParameters(host)", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        yield* Connection.make({})
        yield* Connection.make({ host: "rabbit-1" })
        assert.deepStrictEqual(read(), [`0 ${defaults.host}`, "0 rabbit-1"])
      })
    ))

  it.effect("ConnectionParameters(port)", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        yield* Connection.make({})
        yield* Connection.make({ port: 5673 })
        assert.deepStrictEqual(dials.map(({ target }) => target.port), [defaults.port, 5673])
      })
    ))

  it.effect("ConnectionParameters(virtual_host)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("/app")
        yield* Connection.make({})
        yield* Connection.make({ vhost: "/app" })
        assert.deepStrictEqual((yield* broker.connections).map(({ vhost }) => vhost), [defaults.virtual_host, "/app"])
      })
    ))

  it.effect("ConnectionParameters(credentials)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const password = Redacted.make("s@fe")
        yield* broker.addUser({ name: "me", password })
        yield* Connection.make({})
        yield* Connection.make({ credentials: Credentials.plain("me", password) })
        assert.deepStrictEqual((yield* broker.connections).map(({ user }) => user), ["guest", "me"])
        const wrong = Connection.make({ credentials: Credentials.plain("me", Redacted.make("other")) })
        assert.strictEqual((yield* Effect.flip(wrong)).reason, "Auth")
      })
    ))

  it.effect("ConnectionParameters(channel_max): the most channels there may be, if the server wants no fewer", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.strictEqual(parameters.channelMax, defaults.channel_max)
        const connection = yield* Connection.make({ channelMax: 2 })
        assert.strictEqual((yield* connection.info).channelMax, 2)
        yield* on(connection, Effect.zipRight(Channel.make(), Channel.make()))
        assert.propertyVal(yield* Effect.flip(on(connection, Channel.make())), "reason", "NoFreeChannels")
      })
    ))

  it.effect("ConnectionParameters(frame_max): the largest frame, as both agreed", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const usual = yield* Connection.make({})
        assert.strictEqual((yield* usual.info).frameMax, defaults.frame_max)
        const small = yield* Connection.make({ frameMax: 8192 })
        assert.strictEqual((yield* small.info).frameMax, 8192)
      })
    ))

  it.effect("ConnectionParameters(heartbeat): the server's unless given; two silent intervals end the socket", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        assert.strictEqual(parameters.heartbeat, defaults.heartbeat)
        const usual = yield* Connection.make({})
        assert.deepStrictEqual((yield* usual.info).heartbeat, Duration.seconds(60), "RabbitMQ's own")
        const connection = yield* Connection.make({
          name: "mine",
          heartbeat: "10 seconds",
          reconnect: Reconnect.none
        })
        assert.deepStrictEqual((yield* connection.info).heartbeat, Duration.seconds(10))
        yield* TestClock.adjust("1 minute")
        yield* broker.silence({ connection: "mine" })
        yield* TestClock.adjust("9 seconds")
        assert.isTrue(yield* connection.isOpen, "one interval, at the most")
        yield* TestClock.adjust("11 seconds")
        assert.propertyVal(yield* connection.closed, "reason", "Heartbeat")
      })
    ))

  it.effect("ConnectionParameters(ssl_options): TLS, on its own port", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        assert.isUndefined(parameters.tls)
        yield* Connection.make({ tls: { serverName: "rabbitmq.example.com" } })
        assert.deepInclude(dials[0]?.target, {
          scheme: "amqps",
          port: 5671,
          tls: { serverName: "rabbitmq.example.com" }
        })
      })
    ))

  it.effect("ConnectionParameters(connection_attempts): one, unless more are asked for", () =>
    onNetwork(({ dials, down }) =>
      Effect.gen(function*() {
        down.add(away.host)
        const once = yield* Effect.flip(Connection.make(away))
        assert.lengthOf(once.attempts, defaults.connection_attempts)
        dials.length = 0
        const fiber = yield* Effect.fork(Effect.flip(Connection.make({ ...away, connectionAttempts: 3 })))
        yield* TestClock.adjust("1 minute")
        assert.lengthOf((yield* Fiber.join(fiber)).attempts, 3)
        assert.lengthOf(dials, 3)
      })
    ))

  it.effect("ConnectionParameters(retry_delay): between the attempts, not before the first", () =>
    onNetwork(({ dials, down }) =>
      Effect.gen(function*() {
        down.add(away.host)
        for (const [delay, seconds] of [[undefined, defaults.retry_delay], ["5 seconds", 5]] as const) {
          const start = yield* now
          yield* Effect.fork(
            Effect.exit(Connection.make({ ...away, connectionAttempts: 3, retryDelay: delay }))
          )
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(
            dials.splice(0).map(({ at }) => at - start),
            [0, seconds * 1000, seconds * 2000]
          )
        }
      })
    ))

  it.effect("ConnectionParameters(socket_timeout): the transport's bound on name and TCP", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        yield* Connection.make({})
        yield* Connection.make({ socketTimeout: "3 seconds" })
        yield* Connection.make({ socketTimeout: null })
        assert.deepStrictEqual(dials.map(({ target }) => target.connectTimeout), [
          Duration.seconds(defaults.socket_timeout),
          Duration.seconds(3),
          null
        ])
      })
    ))

  it.effect("ConnectionParameters(stack_timeout): the bound on everything until it is open", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.stall()
        for (const [stackTimeout, seconds] of [[undefined, defaults.stack_timeout], ["4 seconds", 4]] as const) {
          const fiber = yield* Effect.fork(Effect.flip(Connection.make({ stackTimeout, socketTimeout: "3 seconds" })))
          yield* TestClock.adjust(Duration.seconds(seconds - 0.001))
          assert.isNull(fiber.unsafePoll())
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(fiber)).reason, "Timeout")
        }
      })
    ))

  it.effect("ConnectionParameters(locale): told to the server, which offers it", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.strictEqual(parameters.locale, defaults.locale)
        const tap = yield* wiretap
        const connect = (options: Connection.Options) =>
          Effect.provideService(Connection.make(options), Transport.Transport, tap.transport)
        const connection = yield* connect({})
        assert.include((yield* connection.info).locales, defaults.locale)
        assert.include(tap.written(), defaults.locale)
        yield* connect({ locale: "de_DE" })
        assert.include(tap.written(), "de_DE")
      })
    ))

  it.effect("ConnectionParameters(blocked_connection_timeout): for ever, unless it has an end", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        assert.strictEqual(parameters.blockedTimeout, defaults.blocked_connection_timeout)
        const options = { heartbeat: "0 seconds", reconnect: Reconnect.none } as const
        const patient = yield* Connection.make(options)
        const connection = yield* Connection.make({ ...options, blockedTimeout: "5 minutes" })
        yield* broker.block("memory")
        yield* TestClock.adjust("299 seconds")
        assert.propertyVal(yield* connection.state, "_tag", "Blocked")
        yield* TestClock.adjust("1 second")
        assert.propertyVal(yield* connection.closed, "reason", "BlockedTimeout")
        yield* TestClock.adjust("1 day")
        assert.propertyVal(yield* patient.state, "_tag", "Blocked")
      })
    ))

  it.effect("ConnectionParameters(client_properties): told to the server beside the library's own", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.deepStrictEqual(parameters.clientProperties, {})
        const tap = yield* wiretap
        yield* Effect.provideService(
          Connection.make({ clientProperties: { team: "billing" } }),
          Transport.Transport,
          tap.transport
        )
        for (const text of ["team", "billing", "effect-amqp"]) assert.include(tap.written(), text)
      })
    ))

  it.effect("ConnectionParameters(tcp_options): handed to the transport", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        yield* Connection.make({})
        yield* Connection.make({ tcp: { keepAlive: "1 minute" } })
        yield* settle
        assert.deepStrictEqual(dials.map(({ target }) => target.tcp), [
          undefined,
          { keepAlive: Duration.minutes(1) }
        ])
      })
    ))
})
