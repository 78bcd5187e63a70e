import { assert } from "@effect/vitest"
import { Credentials, Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const guest = Redacted.make("guest")

/** The mechanism a connection to the shared node was let in with. */
const mechanismOf = (options: Connection.Options) =>
  Connection.make(options).pipe(
    Effect.flatMap((connection) => connection.info),
    Effect.map((info) => info.mechanism),
    Effect.scoped,
    Effect.provide(NodeTransport.layer)
  )

describeRabbit("Credentials on RabbitMQ", (it) => {
  it.effect("PLAIN and AMQPLAIN, in the user's order of preference", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      assert.strictEqual(yield* mechanismOf({ url }), "PLAIN")
      assert.strictEqual(
        yield* mechanismOf({ url, credentials: [Credentials.amqPlain("guest", guest), Credentials.guest] }),
        "AMQPLAIN"
      )
      assert.strictEqual(
        yield* mechanismOf({ url, credentials: [Credentials.external(), Credentials.guest] }),
        "PLAIN",
        "EXTERNAL is not offered on the plain port"
      )
    }))

  it.effect("RABBIT-CR-DEMO answers a challenge", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      const credentials = Credentials.rabbitCrDemo("guest", guest)
      assert.strictEqual(yield* mechanismOf({ url, credentials }), "RABBIT-CR-DEMO")
    }))

  it.effect("a mechanism of one's own is asked for its start and for each challenge", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      const text = new TextEncoder()
      const challenges: Array<string> = []
      const credentials = Credentials.custom({
        mechanism: "RABBIT-CR-DEMO",
        start: Effect.succeed(text.encode("guest")),
        challenge: (challenge) =>
          Effect.sync(() => {
            challenges.push(new TextDecoder().decode(challenge))
            return text.encode("My password is guest")
          })
      })
      assert.strictEqual(yield* mechanismOf({ url, credentials }), "RABBIT-CR-DEMO")
      assert.deepStrictEqual(challenges, ["Please tell me your password"])
    }))

  it.effect("EXTERNAL takes the name in the client's certificate", () =>
    Effect.gen(function*() {
      const node = yield* SharedRabbitMq
      const { ca, client } = node.certificates
      yield* node.addUser(client.name, "any")
      const info = yield* Connection.make({
        url: node.tlsUrl,
        credentials: Credentials.external(),
        tls: { ca: [{ file: ca }], cert: { file: client.cert }, key: { file: client.key } }
      }).pipe(Effect.flatMap((connection) => connection.info), Effect.scoped, Effect.provide(NodeTransport.layer))
      assert.strictEqual(info.mechanism, "EXTERNAL")
      assert.strictEqual(info.tls?.protocol, "TLSv1.3")
      assert.strictEqual(info.tls?.peerName, "localhost")
    }))

  it.effect("a secret that expires is renewed on the open connection", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      let asked = 0
      const password = Effect.sync((): Credentials.Expiring => {
        asked++
        return { secret: guest, expiresIn: "1 second" }
      })
      yield* Effect.gen(function*() {
        const connection = yield* Connection.make({ url, credentials: Credentials.plain("guest", password) })
        yield* Effect.retry(
          Effect.filterOrFail(Effect.sync(() => asked), (count) => count >= 4),
          Schedule.spaced("50 millis")
        )
        // The broker has answered the two before.
        assert.strictEqual((yield* connection.info).epoch, 1)
        assert.isTrue(yield* connection.isOpen)
      }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))
    }))

  it.effect("a token is asked for at each dial", () =>
    Effect.gen(function*() {
      const node = yield* SharedRabbitMq
      let tokens = 0
      yield* node.addUser("service", "token")
      const token = Effect.sync(() => {
        tokens++
        return Redacted.make("token")
      })
      const network = yield* Effect.provide(Transport.cuttable, NodeTransport.layer)
      yield* Effect.gen(function*() {
        const connection = yield* Connection.make({ url: node.url, credentials: Credentials.oauth2(token, "service") })
        assert.strictEqual(tokens, 1)
        yield* network.cut
        yield* connection.info.pipe(
          Effect.filterOrFail((info) => info.epoch === 2),
          Effect.retry(Schedule.spaced("10 millis"))
        )
        assert.strictEqual(tokens, 2)
      }).pipe(Effect.scoped, Effect.provide(Layer.succeed(Transport.Transport, network.transport)))
    }))
})
