/**
 * Who we are to the broker: an access token that is asked for at each dial, and a client certificate. The broker that
 * knows the tokens is an embedded one.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Credentials, Transport } from "effect-amqp"
import { Connection, ConnectionOptions } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { isMain } from "./main.ts"

/**
 * A client certificate that speaks for us (EXTERNAL), and our own authority to judge the broker's by. Where there is
 * `tls`, the scheme is amqps. The files are read at each dial, so a renewed certificate is taken without a restart.
 */
export const byCertificate = ConnectionOptions.make({
  host: "broker-1",
  credentials: Credentials.external(),
  tls: {
    ca: [{ file: "/etc/ssl/our-ca.pem" }],
    cert: { file: "/etc/ssl/orders.pem" },
    key: { file: "/etc/ssl/orders.key" },
    passphrase: Redacted.make("of the key"),
    minVersion: "TLSv1.3"
  }
})

/** Issues an access token; a real one asks an identity provider. */
export class Tokens extends Context.Tag("examples/Tokens")<Tokens, {
  readonly issue: Effect.Effect<Redacted.Redacted>
  readonly issued: Effect.Effect<number>
}>() {}

const user = "orders-service"

/** Each token is the only one the broker accepts from then on: as if the one before had expired. */
export const TokensLive = Layer.effect(
  Tokens,
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const count = yield* Ref.make(0)
    return {
      issue: Effect.gen(function*() {
        const token = Redacted.make(`token-${yield* Ref.updateAndGet(count, (n) => n + 1)}`)
        yield* broker.addUser({ name: user, password: token })
        return token
      }),
      issued: Ref.get(count)
    }
  })
)

export const BrokerLive = TokensLive.pipe(Layer.provideMerge(Broker.layer()), Layer.provideMerge(Transport.layerMemory))

export const program = Effect.gen(function*() {
  const broker = yield* Broker.Broker
  const tokens = yield* Tokens
  const connection = yield* Connection.make({
    url: "memory://",
    // Run before every dial, the first as well as each after a loss.
    credentials: Credentials.oauth2(tokens.issue, user)
  })
  const first = yield* tokens.issued

  yield* broker.dropConnections
  yield* connection.changes.pipe(
    Stream.filter((state) => state._tag === "Open" && state.epoch === 2),
    Stream.take(1),
    Stream.runDrain
  )
  return { first, afterLoss: yield* tokens.issued, users: (yield* broker.connections).map((client) => client.user) }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(BrokerLive)))
}
