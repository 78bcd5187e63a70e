/** What a connection says of itself, and what it agrees on, frame by frame. */
import { assert, describe, it } from "@effect/vitest"
import { Credentials, Reconnect } from "effect-amqp"
import { Channel, Connection, type Method } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { version } from "../../../src/internal/version.ts"
import { type HandshakeOptions, layerMemory, Peers } from "../../harness/scriptedPeer.ts"
import { warnings } from "../onBroker.ts"
import { connected, openOn, settle } from "../scripted.ts"

type Options = Omit<Connection.Options, "url" | "urls" | "endpoints">

/** A connect in a fiber of its own, and the peer it comes to. */
const connecting = (options: Connection.Options) =>
  Effect.gen(function*() {
    const { accept } = yield* Peers
    const connection = yield* Effect.fork(Connection.make(options))
    return { connection, peer: yield* accept }
  })

/** The properties that are sent. */
const introduced = (options: Connection.Options) =>
  Effect.gen(function*() {
    const { connection, peer } = yield* connecting(options)
    yield* peer.start()
    const { clientProperties } = yield* peer.expect("ConnectionStartOk")
    yield* Fiber.interrupt(connection)
    return clientProperties
  }).pipe(Effect.scoped, Effect.provide(layerMemory))

const library = { product: "effect-amqp", version, platform: "JavaScript", information: "AMQP 0-9-1 for Effect" }

const capabilities = {
  authentication_failure_close: true,
  "basic.nack": true,
  "connection.blocked": true,
  consumer_cancel_notify: true,
  exchange_exchange_bindings: true,
  publisher_confirms: true
}

describe("client properties", () => {
  it.effect("are the library's name, version and capabilities", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* introduced({ url: "memory://" }), { ...library, capabilities })
    }))

  it.effect("have the connection's name, and one's own over the library's; of capabilities one by one", () =>
    Effect.gen(function*() {
      const own = { product: "billing", team: "b", capabilities: { publisher_confirms: false, mine: true } }
      assert.deepStrictEqual(yield* introduced({ url: "memory://", name: "orders", clientProperties: own }), {
        ...library,
        product: "billing",
        team: "b",
        connection_name: "orders",
        capabilities: { ...capabilities, publisher_confirms: false, mine: true }
      })
    }))

  it.effect("have the name that the program gives, whatever properties the URL has", () =>
    Effect.gen(function*() {
      const url = `memory://?client_properties=${encodeURIComponent(JSON.stringify({ connection_name: "url", n: 1 }))}`
      assert.deepInclude(yield* introduced({ url, name: "program" }), { connection_name: "program", n: 1 })
      assert.deepInclude(yield* introduced({ url }), { connection_name: "url", n: 1 })
    }))
})

/** What is agreed on where both sides want these. */
const tuned = (ours: Options, theirs: HandshakeOptions) =>
  Effect.gen(function*() {
    const { connection, peer } = yield* connecting({ url: "memory://", ...ours })
    yield* peer.start()
    yield* peer.expect("ConnectionStartOk")
    yield* peer.tune(theirs)
    const { channelMax, frameMax, heartbeat } = yield* peer.expect("ConnectionTuneOk")
    yield* peer.expect("ConnectionOpen")
    yield* peer.send(0, { _tag: "ConnectionOpenOk" })
    const info = yield* Effect.flatMap(Fiber.join(connection), (made) => made.info)
    const told = { channelMax, frameMax, heartbeat }
    const { channelMax: channels, frameMax: frames, heartbeat: interval } = info
    assert.deepStrictEqual({ channelMax: channels, frameMax: frames, heartbeat: Duration.toSeconds(interval) }, told)
    const closing = yield* Effect.flatMap(Fiber.join(connection), (made) => Effect.fork(made.close()))
    yield* peer.goodbye
    yield* Fiber.join(closing)
    return told
  }).pipe(Effect.scoped, Effect.provide(layerMemory))

const halved = (server: Duration.Duration) => Duration.times(server, 0.5)

describe("tuning", () => {
  const cases: ReadonlyArray<readonly [title: string, Options, HandshakeOptions, Partial<Method.ConnectionTuneOk>]> = [
    ["the smaller number of channels: the server's", {}, { channelMax: 2047 }, { channelMax: 2047 }],
    ["the smaller number of channels: ours", { channelMax: 5 }, { channelMax: 2047 }, { channelMax: 5 }],
    ["as many channels as ours, where the server has no limit", { channelMax: 5 }, { channelMax: 0 }, {
      channelMax: 5
    }],
    ["as many channels as the server's, where we have no limit", { channelMax: 0 }, { channelMax: 9 }, {
      channelMax: 9
    }],
    ["65535 channels, where nobody has a limit", { channelMax: 0 }, { channelMax: 0 }, { channelMax: 65535 }],
    ["the smaller frame: the server's", { frameMax: 200_000 }, { frameMax: 65536 }, { frameMax: 65536 }],
    ["the smaller frame: ours", { frameMax: 8192 }, { frameMax: 65536 }, { frameMax: 8192 }],
    ["our frame, where the server has no limit", { frameMax: 8192 }, { frameMax: 0 }, { frameMax: 8192 }],
    ["the least frame there may be", {}, { frameMax: 4096 }, { frameMax: 4096 }],
    ["the server's heartbeat, unless we say one", {}, { heartbeat: 60 }, { heartbeat: 60 }],
    ["no heartbeat, where the server wants none", {}, { heartbeat: 0 }, { heartbeat: 0 }],
    ["our heartbeat over a longer one", { heartbeat: "10 seconds" }, { heartbeat: 60 }, { heartbeat: 10 }],
    ["our heartbeat over a shorter one", { heartbeat: "90 seconds" }, { heartbeat: 60 }, { heartbeat: 90 }],
    ["our heartbeat over none", { heartbeat: "90 seconds" }, { heartbeat: 0 }, { heartbeat: 90 }],
    ["no heartbeat, where we want none", { heartbeat: "0 seconds" }, { heartbeat: 60 }, { heartbeat: 0 }],
    ["what our function makes of the server's heartbeat", { heartbeat: halved }, { heartbeat: 60 }, { heartbeat: 30 }]
  ]
  for (const [title, ours, theirs, expected] of cases) {
    it.effect(`agrees on ${title}`, () => Effect.map(tuned(ours, theirs), (told) => assert.deepInclude(told, expected)))
  }

  it.scoped("fails as Url, where a function of the program's gives no heartbeat that can be agreed on", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connecting({ url: "memory://", heartbeat: () => Duration.millis(1500) })
      yield* peer.start()
      yield* peer.expect("ConnectionStartOk")
      yield* peer.tune({ heartbeat: 60 })
      const fault = yield* Effect.flip(Fiber.join(connection))
      assert.strictEqual(fault.reason, "Url")
      assert.include(fault.message, "heartbeat: the function must give whole seconds")
      assert.notInclude(peer.log, "0 connection.tune-ok")
    }).pipe(Effect.provide(layerMemory)))
})

const token = (octets: number) => Credentials.oauth2(Redacted.make("t".repeat(octets)))

describe("before tuning", () => {
  it.scoped("a token fits a frame of 8192 octets, as RabbitMQ takes from 4.1 on", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connecting({ url: "memory://", credentials: token(7800) })
      yield* peer.handshake()
      yield* Fiber.join(connection)
      const closing = yield* Effect.fork(Effect.flatMap(Fiber.join(connection), (made) => made.close()))
      yield* peer.goodbye
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a larger one fails its attempt here, says so without showing it, and nothing of it is sent", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connecting({ url: "memory://", credentials: token(8192) })
      yield* peer.start()
      const { message } = yield* Effect.flip(Fiber.join(connection))
      assert.match(message, /a frame of \d+ octets, and 8192 are allowed/)
      assert.notInclude(message, "tt")
      yield* peer.closed
      assert.deepStrictEqual(peer.log, ["ProtocolHeader", "closed"])
    }).pipe(Effect.provide(layerMemory)))
})

describe("a locale that the server does not speak", () => {
  it.scoped("is warned of, and asked for all the same", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { connection, peer } = yield* connecting({ url: "memory://h/?locale=de_DE" })
      yield* peer.start()
      assert.strictEqual((yield* peer.expect("ConnectionStartOk")).locale, "de_DE")
      yield* Fiber.interrupt(connection)
      assert.deepStrictEqual(told, ["Connection: h:5672 speaks en_US, not de_DE"])
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings(told)))
  })
})

/** What becomes of a message that comes with these properties and this body. */
const answered = (options: Partial<Connection.Options>, properties: object, text: string) =>
  Effect.gen(function*() {
    const { connection, peer } = yield* connected({ reconnect: Reconnect.none, ...options })
    const opening = yield* openOn(connection, Channel.make())
    const number = yield* peer.openChannel
    const channel = yield* Fiber.join(opening)
    const getting = yield* Effect.fork(Effect.either(channel.get({ queue: "q" })))
    yield* peer.expect("BasicGet")
    const method: Method.BasicGetOk = {
      _tag: "BasicGetOk",
      deliveryTag: 1,
      redelivered: false,
      exchange: "",
      routingKey: "q",
      messageCount: 0
    }
    const payload = new TextEncoder().encode(text)
    yield* peer.frame(
      { _tag: "MethodFrame", channel: number, method },
      { _tag: "HeaderFrame", channel: number, bodySize: payload.length, properties },
      ...(text === "" ? [] : [{ _tag: "BodyFrame" as const, channel: number, payload }])
    )
    const got = yield* Fiber.join(getting)
    if (got._tag === "Right") {
      yield* peer.cut
      yield* settle
      return "taken"
    }
    const fault = got.left
    assert(fault._tag === "ConnectionLost" && fault.reason === "FrameError")
    const { replyCode } = yield* peer.expect("ConnectionClose")
    return `${replyCode} ${fault.message}`
  }).pipe(Effect.scoped, Effect.provide(layerMemory))

describe("limits on what arrives", () => {
  it.effect("are the connection's options: a message, the depth and the entries of a table", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* answered({ maxMessageSize: 5 }, {}, "12345"), "taken")
      assert.match(yield* answered({ maxMessageSize: 5 }, {}, "123456"), /^506 .*a message of 6 bytes; at most 5/)
      const nested = { headers: { a: { b: { c: 1 } } } }
      assert.strictEqual(yield* answered({ maxTableDepth: 3 }, nested, ""), "taken")
      assert.match(yield* answered({ maxTableDepth: 2 }, nested, ""), /^502 .*\(Depth\)/)
      const many = { headers: { list: Array.from({ length: 20 }, () => 1) } }
      assert.strictEqual(yield* answered({ maxTableEntries: 21 }, many, ""), "taken")
      assert.match(yield* answered({ maxTableEntries: 20 }, many, ""), /^502 .*\(Entries\)/)
    }))
})
