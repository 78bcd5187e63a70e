import { assert, describe, it } from "@effect/vitest"
import { Credentials, Reconnect } from "effect-amqp"
import type { AmqpError } from "effect-amqp"
import { Channel, Connection, ConnectionOptions } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { makeCertificates } from "../../node/certificates.ts"
import { on, onNetwork, settle } from "../setup.ts"

describe("Usage Examples", () => {
  it.effect("sample: Basic Connection", () =>
    onNetwork(({ broker, read }) =>
      Effect.gen(function*() {
        // What the sample does, up to its last line …
        const connection = yield* Connection.make({ host: "localhost" })
        const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
        yield* channel.queueDeclare({ queue: "q" })
        yield* connection.close()
        // … and what came of it.
        assert.deepStrictEqual(read(), ["0 localhost"])
        assert.lengthOf(yield* broker.connections, 0)
        assert.strictEqual((yield* broker.queues())[0]?.name, "q")
      })
    ))

  it.effect("sample: Connection with Authentication", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("/app")
        yield* broker.addUser({ name: "username", password: Redacted.make("password"), vhosts: ["/app"] })

        const credentials = Credentials.plain("username", Redacted.make("password"))
        const parameters = { host: "rabbitmq.example.com", port: 5672, vhost: "/app", credentials }
        yield* Connection.make(parameters)

        assert.deepInclude(dials[0]?.target, { scheme: "amqp", host: "rabbitmq.example.com", port: 5672 })
        assert.deepInclude((yield* broker.connections)[0], { user: "username", vhost: "/app" })
      })
    ))

  it.effect("sample: URL-Based Connection", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "user", password: Redacted.make("pass") })

        const connection = yield* Connection.make({ url: "amqp://user:pass@localhost:5672/%2F?heartbeat=300" })

        assert.deepInclude(dials[0]?.target, { host: "localhost", port: 5672 })
        assert.deepInclude((yield* broker.connections)[0], { user: "user", vhost: "/" })
        assert.deepStrictEqual((yield* connection.info).heartbeat, Duration.seconds(300))
      })
    ))

  it.live("sample: Connection with SSL", () =>
    Effect.gen(function*() {
      const pki = yield* makeCertificates
      // As rabbitmq.example.com would be, were it this machine: its certificate is for another name than is dialled.
      const broker = Broker.layer({
        port: 0,
        tls: { cert: { file: pki.misnamed.cert }, key: { file: pki.misnamed.key } }
      })
      yield* Effect.gen(function*() {
        const { port } = yield* Broker.Broker
        const context = { ca: [{ file: pki.ca }] }
        const connect = (serverName: string) =>
          Connection.make({ host: "127.0.0.1", port, tls: { ...context, serverName } })

        const connection = yield* connect("elsewhere.example")

        assert.strictEqual((yield* connection.info).tls?.peerName, "elsewhere.example")
        assert.strictEqual((yield* Effect.flip(connect("rabbitmq.example.com"))).reason, "Tls")
      }).pipe(Effect.provide(broker), Effect.provide(Layer.merge(NodeTransport.layer, NodeTransport.layerServer)))
    }).pipe(Effect.scoped))

  it.effect("sample: Asynchronous Connection", () =>
    onNetwork(({ broker, down }) =>
      Effect.gen(function*() {
        const printed: Array<string> = []
        const print = (text: string) => Effect.sync(() => void printed.push(text))

        const onOpen = (connection: Connection.Connection) =>
          Effect.zipRight(print("Connection opened"), Effect.flatMap(on(connection, Channel.make()), onChannelOpen))
        const onOpenError = (error: AmqpError.ConnectError) => print(`Connection failed: ${error.reason}`)
        const onClose = (reason: AmqpError.RecoverableError | undefined) =>
          print(`Connection closed: ${reason?._tag === "ConnectionClosed" ? `${reason.code} ${reason.text}` : "lost"}`)
        const onChannelOpen = (channel: Channel.Channel) =>
          Effect.zipRight(print("Channel opened"), channel.queueDeclare({ queue: "q" }))
        const main = (host: string) =>
          // As in pika, which does not dial again by itself.
          Connection.make({ host, reconnect: Reconnect.none }).pipe(
            Effect.tapError(onOpenError),
            Effect.tap(onOpen),
            Effect.flatMap(({ closed }) => closed),
            Effect.flatMap(onClose),
            Effect.scoped
          )
        // Where `runMain` would wait for the end of the program, a fiber does here.
        const running = yield* Effect.fork(main("localhost"))
        yield* settle
        assert.deepStrictEqual(printed, ["Connection opened", "Channel opened"])
        yield* broker.closeConnection({ code: 320, text: "CONNECTION_FORCED - bye" })
        yield* settle
        yield* Fiber.join(running)
        down.add("localhost")
        yield* Effect.exit(main("localhost"))
        assert.deepStrictEqual(printed.slice(2), [
          "Connection closed: 320 CONNECTION_FORCED - bye",
          "Connection failed: Refused"
        ])
      })
    ))

  it.effect("PlainCredentials: Credentials.plain", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const password = Redacted.make("s@fe")
        yield* broker.addUser({ name: "me", password })
        const connection = yield* Connection.make({ credentials: Credentials.plain("me", password) })
        assert.strictEqual((yield* connection.info).mechanism, "PLAIN")
        assert.strictEqual((yield* connection.info).user, "me")
      })
    ))

  it.effect("PlainCredentials(username)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        assert.strictEqual(Credentials.plain("me", Redacted.make("s@fe")).username, "me")
        const nobody = Connection.make({ credentials: Credentials.plain("nobody", Redacted.make("guest")) })
        assert.strictEqual((yield* Effect.flip(nobody)).reason, "Auth")
      })
    ))

  it.effect("PlainCredentials(password): Redacted, or asked for at each dial", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        let asked = 0
        const password = Effect.sync(() => {
          asked++
          return Redacted.make("guest")
        })
        const connection = yield* Connection.make({ credentials: Credentials.plain("guest", password) })
        yield* broker.dropConnections
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* connection.isOpen)
        assert.strictEqual(asked, 2)
        assert.notInclude(String(Credentials.plain("me", Redacted.make("s@fe"))), "s@fe")
      })
    ))

  it("SSLOptions: the option `tls`", () => {
    const { port, scheme, tls } = ConnectionOptions.make({ tls: { serverName: "rabbitmq.example.com" } })
    assert.deepStrictEqual({ port, scheme, tls }, {
      port: 5671,
      scheme: "amqps",
      tls: { serverName: "rabbitmq.example.com" }
    })
  })

  it("SSLOptions(context): authorities, certificate, key, ciphers, least version; the system's, verified, when empty", () => {
    const context = {
      ca: [{ file: "ca.pem" }],
      cert: { file: "client.pem" },
      key: { file: "client.key" },
      passphrase: Redacted.make("s@fe"),
      ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
      minVersion: "TLSv1.3"
    } as const
    assert.deepStrictEqual(ConnectionOptions.make({ tls: context }).tls, context)
    assert.deepStrictEqual(ConnectionOptions.make({ tls: true }).tls, {})
    assert.throws(() => ConnectionOptions.make({ tls: { cert: context.cert } }), "keyfile")
  })

  it("SSLOptions(server_hostname): `serverName`, which is the host where it is not given", () => {
    assert.strictEqual(ConnectionOptions.make({ tls: { serverName: "h" } }).tls?.serverName, "h")
    assert.isUndefined(ConnectionOptions.make({ tls: {} }).tls?.serverName)
    assert.throws(() => ConnectionOptions.make({ tls: { serverName: "" } }), "serverName")
  })
})
