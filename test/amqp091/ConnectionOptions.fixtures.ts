/**
 * How the tests of ConnectionOptions read, print and refuse, and an arbitrary of options.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ConnectionOptions from "../../src/amqp091/ConnectionOptions.ts"
import type { ParameterError } from "../../src/AmqpUrl.ts"
import * as Credentials from "../../src/Credentials.ts"

/** What is read part by part is what the constructor takes, which checks the whole. */
const held = (options: ConnectionOptions.ConnectionOptions) => {
  void new ConnectionOptions.ConnectionOptions({ ...options })
  return options
}

export const make = (input?: ConnectionOptions.ConnectionOptions.Input) => held(ConnectionOptions.make(input))

export const decode = (text: string, options?: ConnectionOptions.ConnectionOptions.ReadOptions) =>
  Schema.decodeEither(ConnectionOptions.fromUrl(options))(Redacted.make(text))

export const right = (text: string, options?: ConnectionOptions.ConnectionOptions.ReadOptions) =>
  held(Either.getOrThrowWith(decode(text, options), (error) => error))

/** What a refused URL says, as a user would see it. */
export const left = (text: string) =>
  String(Either.getOrThrowWith(Either.flip(decode(text)), () => new Error(`${text} was taken`)))

export const encode = (options: ConnectionOptions.ConnectionOptions) =>
  Redacted.value(Either.getOrThrowWith(Schema.encodeEither(ConnectionOptions.FromUrl)(options), (error) => error))

export const encodeFault = (options: ConnectionOptions.ConnectionOptions) =>
  String(Either.getOrThrow(Either.flip(Schema.encodeEither(ConnectionOptions.FromUrl)(options))))

export const list = (text: string, options?: ConnectionOptions.ConnectionOptions.ReadOptions) =>
  Either.getOrThrowWith(
    Schema.decodeEither(ConnectionOptions.listFromUrl(options))(Redacted.make(text)),
    (error) => error
  )

export const listFault = (text: string) =>
  String(Either.getOrThrow(Either.flip(Schema.decodeEither(ConnectionOptions.ListFromUrl)(Redacted.make(text)))))

export const refused = (input: ConnectionOptions.ConnectionOptions.Input): ParameterError =>
  Either.getOrThrowWith(Either.flip(ConnectionOptions.makeEither(input)), () => new Error("was taken"))

/** What the type forbids, as a JavaScript program could still pass it. */
export const refusedUntyped = (input: { readonly [key: string]: unknown }) => refused(input)

export const seconds = (value: Duration.Duration | null | ConnectionOptions.HeartbeatChoice) =>
  Duration.isDuration(value) ? Duration.toSeconds(value) : value

export const user = (options: ConnectionOptions.ConnectionOptions) =>
  options.credentials.map((credentials) => {
    switch (credentials._tag) {
      case "Plain":
      case "AmqPlain":
      case "RabbitCrDemo":
        return [
          credentials._tag,
          credentials.username,
          Redacted.isRedacted(credentials.password) ? Redacted.value(credentials.password) : credentials.password
        ]
      case "External":
        return [credentials._tag, credentials.identity]
      default:
        return [credentials._tag]
    }
  })

export const json = (value: unknown) => encodeURIComponent(JSON.stringify(value))

// --- Arbitrary ---

const text = FastCheck.fullUnicodeString({ minLength: 1, maxLength: 20 }).map((value) => value.replaceAll("\0", "0"))
const optional = <A>(arbitrary: FastCheck.Arbitrary<A>) => FastCheck.option(arbitrary, { nil: undefined })
const duration = FastCheck.oneof(
  FastCheck.integer({ min: 1, max: 10 ** 9 }).map(Duration.millis),
  FastCheck.bigInt({ min: 1n, max: 10n ** 18n }).map(Duration.nanos)
)
const nullable = FastCheck.option(duration, { nil: null })
const secret = text.map((value) => Redacted.make(value))
const pem = FastCheck.oneof(
  text.map((value) => ({ file: `/${value}` })),
  text.map((value) => ({ pem: Redacted.make(`-----BEGIN ${value}`) }))
)
const tls = FastCheck.record({
  ca: optional(FastCheck.array(pem, { minLength: 1, maxLength: 3 })),
  caPath: optional(text),
  identity: optional(FastCheck.record({ cert: pem, key: pem, passphrase: optional(secret) })),
  verify: optional(FastCheck.boolean()),
  checkHostname: optional(FastCheck.boolean()),
  serverName: FastCheck.oneof(FastCheck.constantFrom(null, undefined, "disable"), text),
  ciphers: optional(text),
  minVersion: FastCheck.constantFrom("TLSv1.2" as const, "TLSv1.3" as const, undefined)
}).map(({ identity, ...rest }) => Object.assign(rest, identity))
const nonEmptyOf = ([first = Credentials.guest, ...others]: ReadonlyArray<Credentials.Credentials>) =>
  [first, ...others] as const
const credentials = FastCheck.record({
  username: FastCheck.fullUnicodeString({ maxLength: 9 }).map((value) => value.replaceAll("\0", "0")),
  password: FastCheck.fullUnicodeString({ maxLength: 9 }).map((value) => Redacted.make(value.replaceAll("\0", "0"))),
  makers: FastCheck.shuffledSubarray(
    [Credentials.plain, Credentials.amqPlain, Credentials.rabbitCrDemo, () => Credentials.external()],
    { minLength: 1 }
  )
}).map(({ makers, password, username }) => nonEmptyOf(makers.map((maker) => maker(username, password))))
const table = FastCheck.dictionary(
  text.filter((key) => key !== "__proto__"),
  FastCheck.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes("__proto__"))
)
const port = optional(FastCheck.integer({ min: 1, max: 65535 }))
/** Any options that a URL can say, and a few that it cannot take back from the first of a list. */
export const arbitraryInput = FastCheck.record({
  scheme: FastCheck.constantFrom("amqp" as const, "amqps" as const, undefined),
  host: FastCheck.oneof(FastCheck.domain(), FastCheck.ipV4(), FastCheck.ipV6()),
  port,
  vhost: text.filter((value) => new TextEncoder().encode(value).length <= 127),
  credentials: optional(credentials),
  channelMax: optional(FastCheck.integer({ min: 0, max: 65535 })),
  frameMax: optional(FastCheck.integer({ min: 4096, max: 2 ** 32 - 1 })),
  heartbeat: FastCheck.option(FastCheck.integer({ min: 0, max: 65535 }).map(Duration.seconds), { nil: null }),
  connectionAttempts: optional(FastCheck.integer({ min: 1, max: 99 })),
  retryDelay: optional(duration),
  socketTimeout: nullable,
  stackTimeout: nullable,
  blockedTimeout: nullable,
  locale: optional(text),
  name: optional(text),
  clientProperties: optional(table),
  tls: optional(tls),
  tcp: optional(FastCheck.record({
    noDelay: optional(FastCheck.boolean()),
    keepAlive: FastCheck.oneof(FastCheck.boolean(), FastCheck.nat().map(Duration.millis))
  })),
  insist: optional(FastCheck.boolean()),
  failover: FastCheck.constantFrom("in-order" as const, "priority" as const, undefined),
  operationTimeout: optional(duration),
  closeTimeout: optional(duration),
  channelTimeout: optional(duration),
  maxMessageSize: optional(FastCheck.maxSafeNat().map((n) => n + 1).filter(Number.isSafeInteger)),
  maxTableDepth: optional(FastCheck.integer({ min: 1, max: 99 })),
  maxTableEntries: optional(FastCheck.integer({ min: 1, max: 99 }))
})
