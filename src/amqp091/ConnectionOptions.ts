/**
 * The parameters of an AMQP 0-9-1 connection: as options, as URL and from Config, with one set of names, ranges and
 * defaults. Nothing here dials.
 *
 * Options win over the URL, the URL over defaults; what contradicts itself within one source is an error. A URL keeps
 * the units of the client that coined a name (seconds as a rule, `connection_timeout` milliseconds); here it is a
 * Duration. Secrets are Redacted from the moment they are parsed, and no error or text form shows one.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { dual } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as AmqpUrl from "../AmqpUrl.ts"
import * as Credentials from "../Credentials.ts"
import type { DurationText } from "../Reconnect.ts"
import type { TcpOptions, TlsOptions } from "../Transport.ts"
import * as internal from "./internal/connectionOptions.ts"
import { fail } from "./internal/connectionOptionsFault.ts"
import * as kinds from "./internal/connectionOptionsKinds.ts"
import * as urlParameters from "./internal/urlParameters.ts"

/**
 * How the next endpoint is chosen: from the first again (`in-order`), from the next one (`round-robin`), in an order
 * shuffled per round, at random, or back to the first as soon as it answers (`priority`). `Reconnect.Strategy` says it of
 * each in full.
 *
 * @since 0.1.0
 * @category models
 */
export type Failover = "in-order" | "round-robin" | "shuffle" | "random" | "priority"

/**
 * Chooses the heartbeat when the server has said what it would like; whole seconds, 0 turns heartbeats off.
 *
 * @since 0.1.0
 * @category models
 */
export type HeartbeatChoice = (serverValue: Duration.Duration) => Duration.Duration

/**
 * What {@link make} and {@link resolve} take.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace ConnectionOptions {
  /**
   * The parameters as options. What is left out is the default's, or the URL's where one is given beside.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Input {
    /** `amqps` is TLS; `memory` the in-memory transport. Default: `amqps` where `tls` is given, else `amqp`. */
    readonly scheme?: "amqp" | "amqps" | "memory" | undefined
    /** DNS name or address. Default: `localhost`. */
    readonly host?: string | undefined
    /** Default: 5672; with TLS 5671. */
    readonly port?: number | undefined
    /** At most 127 octets, as the server knows it: `/app` is written `/%2Fapp` in a URL. Default: `/`. */
    readonly vhost?: string | undefined
    /** User of PLAIN (or of the mechanisms a URL names); without `password` it has an empty one. Default: `guest`. */
    readonly username?: string | undefined
    /** Redacted, or an Effect asked before each dial. Default: `guest`, of the user `guest`. */
    readonly password?: Credentials.Secret | undefined
    /** One or several, the preferred first; excludes `username` and `password`. Default: PLAIN as guest. */
    readonly credentials?:
      | Credentials.Credentials
      | readonly [Credentials.Credentials, ...Array<Credentials.Credentials>]
      | undefined
    /** Highest channel number, 0 for as many as there can be. Default: 65535; the server may lower it. */
    readonly channelMax?: number | undefined
    /** Largest frame in bytes, at least 4096. Default: 131072; the server may lower it. */
    readonly frameMax?: number | undefined
    /** Interval in whole seconds; 0 is off, `null` the server's. What is given wins over the server's. Default: `null`. */
    readonly heartbeat?: DurationText | HeartbeatChoice | null | undefined
    /** Rounds over all endpoints of the first connect; of several endpoints the first one's count. Default: 1. */
    readonly connectionAttempts?: number | undefined
    /** Pause between those rounds. Default: 2 seconds. */
    readonly retryDelay?: DurationText | undefined
    /** Bound on DNS and TCP of one address; `null` for none. Default: 10 seconds. */
    readonly socketTimeout?: DurationText | null | undefined
    /** Bound on TCP, TLS and AMQP of one address; `null` for none. Default: 15 seconds. */
    readonly stackTimeout?: DurationText | null | undefined
    /** How long the broker may block publishing before the connection is given up; `null` for ever. Default: `null`. */
    readonly blockedTimeout?: DurationText | null | undefined
    /** Language of the server's texts. Default: `en_US`. */
    readonly locale?: string | undefined
    /** Sent to the server, merged over the library's own. Default: none. */
    readonly clientProperties?: { readonly [name: string]: unknown } | undefined
    /** Shown by the server's tools; `connection_name` among `clientProperties` says the same. Default: none. */
    readonly name?: string | undefined
    /** `true` or `{}`: system authorities, verification on, SNI = host. `false` or `null`: plain. Default: by scheme. */
    readonly tls?: TlsOptions | boolean | null | undefined
    /** Default: no delay, no keep-alive probes. `keepAlive: true` probes after the system's idle time. */
    readonly tcp?:
      | { readonly noDelay?: boolean | undefined; readonly keepAlive?: DurationText | boolean | undefined }
      | null
      | undefined
    /** A reserved bit of the protocol, accepted and not sent. Default: false. */
    readonly insist?: boolean | undefined
    /** Default: `round-robin`. */
    readonly failover?: Failover | undefined
    /** Bound on a call. Default: 30 seconds. */
    readonly operationTimeout?: DurationText | undefined
    /** Bound on the closing handshake. Default: 10 seconds. */
    readonly closeTimeout?: DurationText | undefined
    /** Bound on opening a channel, whose calls each have `operationTimeout` besides. Default: 30 seconds. */
    readonly channelTimeout?: DurationText | undefined
    /** Largest message taken from a peer, in bytes. Default: 512 MiB. */
    readonly maxMessageSize?: number | undefined
    /** Deepest nesting of a field table taken from a peer. Default: 32. */
    readonly maxTableDepth?: number | undefined
    /** Most entries of a field table taken from a peer. Default: 4096. */
    readonly maxTableEntries?: number | undefined
  }

  /**
   * One endpoint, by what is said of it over what a connection's options have: a URL or a bare host (`node-2`,
   * `node-2:5673`), which take their host and port from nobody; overrides, as `clone` has them; or a complete set.
   *
   * @since 0.1.0
   * @category models
   */
  export type Endpoint = string | Redacted.Redacted | Input | ConnectionOptions

  /**
   * How a URL is read.
   *
   * @since 0.1.0
   * @category models
   */
  export interface ReadOptions {
    /** Whether unknown query names become warnings. Default: false, they are errors. */
    readonly lenient?: boolean | undefined
    /** What the path `/` means: the vhost `/`, or as RabbitMQ's URI specification says the empty one. Default: `slash`. */
    readonly emptyPath?: "slash" | "empty" | undefined
  }

  /**
   * One URL (which may be a failover list) or several, or endpoints of any form: what one of them leaves out is the first
   * one's. Failover, attempts, and the timeouts of calls and goodbyes are the connection's: there the first one's hold for
   * all, and another that says otherwise is warned of. Two of these together do not compile.
   *
   * @since 0.1.0
   * @category models
   */
  export type Source =
    | { readonly url: string | Redacted.Redacted; readonly urls?: undefined; readonly endpoints?: undefined }
    | {
      readonly url?: undefined
      readonly urls: readonly [string | Redacted.Redacted, ...Array<string | Redacted.Redacted>]
      readonly endpoints?: undefined
    }
    | {
      readonly url?: undefined
      readonly urls?: undefined
      readonly endpoints: readonly [Endpoint, ...Array<Endpoint>]
    }
    | { readonly url?: undefined; readonly urls?: undefined; readonly endpoints?: undefined }
}

// --- Model ---

const timeout = Schema.NullOr(Schema.DurationFromSelf)

/**
 * A complete, immutable set of parameters for one endpoint; equal sets are `Equal`, whatever they were warned of.
 * {@link make} builds one from a few options; the constructor wants all of them and checks each alone.
 *
 * @since 0.1.0
 * @category models
 */
export class ConnectionOptions extends Schema.Class<ConnectionOptions>("effect-amqp/amqp091/ConnectionOptions")({
  scheme: Schema.Literal("amqp", "amqps", "memory"),
  host: Schema.NonEmptyString,
  port: Schema.Int.pipe(Schema.between(1, 65535)),
  vhost: Schema.String,
  credentials: Schema.NonEmptyArray(Schema.declare(Credentials.isCredentials, { identifier: "Credentials" })),
  channelMax: Schema.Int.pipe(Schema.between(1, 65535)),
  frameMax: Schema.Int.pipe(Schema.between(4096, 2 ** 32 - 1)),
  heartbeat: Schema.NullOr(Schema.Union(
    Schema.DurationFromSelf,
    Schema.declare((u): u is HeartbeatChoice => typeof u === "function", { identifier: "HeartbeatChoice" })
  )),
  connectionAttempts: Schema.Int.pipe(Schema.positive()),
  retryDelay: Schema.DurationFromSelf,
  socketTimeout: timeout,
  stackTimeout: timeout,
  blockedTimeout: timeout,
  locale: Schema.NonEmptyString,
  clientProperties: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  name: Schema.UndefinedOr(Schema.NonEmptyString),
  tls: Schema.UndefinedOr(
    Schema.declare((u): u is TlsOptions => typeof u === "object" && u !== null, { identifier: "TlsOptions" })
  ),
  tcp: Schema.UndefinedOr(
    Schema.declare((u): u is TcpOptions => typeof u === "object" && u !== null, { identifier: "TcpOptions" })
  ),
  insist: Schema.Boolean,
  failover: Schema.Literal(...kinds.failovers),
  operationTimeout: Schema.DurationFromSelf,
  closeTimeout: Schema.DurationFromSelf,
  channelTimeout: Schema.DurationFromSelf,
  maxMessageSize: Schema.Int.pipe(Schema.positive()),
  maxTableDepth: Schema.Int.pipe(Schema.positive()),
  maxTableEntries: Schema.Int.pipe(Schema.positive()),
  /** What is allowed and yet doubtful, of this endpoint or of the text it came from; to be logged once. */
  warnings: Schema.Array(Schema.String)
}, { parseOptions: { onExcessProperty: "error" } }) {
  [Equal.symbol](that: unknown): boolean {
    return isConnectionOptions(that) && internal.sameFields(this, that)
  }
  [Hash.symbol](): number {
    return Hash.cached(this, Hash.string(`${this.host}:${this.port}/${this.vhost}`))
  }
  override toString(): string {
    return display(this)
  }
  toJSON(): unknown {
    return { _id: "ConnectionOptions", url: display(this) }
  }
  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/**
 * Whether a value is a complete set of parameters, made here.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnectionOptions = (u: unknown): u is ConnectionOptions => u instanceof ConnectionOptions

// --- Constructors ---

// Each part of a draft was checked when it was read: doing it again costs more than the rest of the options.
const fromDraft = (draft: internal.Draft): ConnectionOptions => new ConnectionOptions(internal.complete(draft), true)

const orThrow = <A>(result: Either.Either<A, AmqpUrl.ParameterError>): A =>
  Either.getOrThrowWith(result, (error) => error)

/**
 * Checks options and completes them with the defaults.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEither = (
  input: ConnectionOptions.Input = {}
): Either.Either<ConnectionOptions, AmqpUrl.ParameterError> =>
  AmqpUrl.attempt(() => fromDraft(internal.fromInput({ ...input })))

/**
 * As {@link makeEither}, for options written in the program: throws the `ParameterError`, as Schema's constructors do.
 *
 * @example
 * import { Credentials } from "effect-amqp"
 * import { ConnectionOptions } from "effect-amqp/amqp091"
 * import * as Redacted from "effect/Redacted"
 *
 * const options = ConnectionOptions.make({
 *   host: "::1",
 *   credentials: Credentials.plain("me", Redacted.make("s@fe")),
 *   heartbeat: "30 seconds"
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: ConnectionOptions.Input = {}): ConnectionOptions => orThrow(makeEither(input))

/**
 * The same parameters with some replaced; a port that merely followed from the scheme follows the new one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const cloneEither: {
  (
    overrides: ConnectionOptions.Input
  ): (self: ConnectionOptions) => Either.Either<ConnectionOptions, AmqpUrl.ParameterError>
  (
    self: ConnectionOptions,
    overrides: ConnectionOptions.Input
  ): Either.Either<ConnectionOptions, AmqpUrl.ParameterError>
} = dual(
  2,
  (
    self: ConnectionOptions,
    overrides: ConnectionOptions.Input
  ): Either.Either<ConnectionOptions, AmqpUrl.ParameterError> =>
    AmqpUrl.attempt(() => fromDraft(internal.merge(internal.toDraft(self), internal.fromInput({ ...overrides }))))
)

/**
 * As {@link cloneEither}, for overrides written in the program: throws the `ParameterError`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const clone: {
  (overrides: ConnectionOptions.Input): (self: ConnectionOptions) => ConnectionOptions
  (self: ConnectionOptions, overrides: ConnectionOptions.Input): ConnectionOptions
} = dual(
  2,
  (self: ConnectionOptions, overrides: ConnectionOptions.Input): ConnectionOptions =>
    orThrow(cloneEither(self, overrides))
)

/**
 * One endpoint over what `base` has.
 *
 * @since 0.1.0
 * @category combinators
 */
export const endpointEither = (
  base: ConnectionOptions,
  endpoint: ConnectionOptions.Endpoint
): Either.Either<ConnectionOptions, AmqpUrl.ParameterError> => {
  if (isConnectionOptions(endpoint)) return Either.right(endpoint)
  if (typeof endpoint !== "string" && !Redacted.isRedacted(endpoint)) return cloneEither(base, endpoint)
  return AmqpUrl.attempt(() => {
    const text: unknown = typeof endpoint === "string" ? endpoint : Redacted.value(endpoint)
    if (typeof text !== "string") return fail("Value", "endpoint", "must be a text, or a Redacted text")
    const [member, ...others] = parseList(text)
    if (others.length > 0) return fail("Value", "endpoint", "is a list, where one endpoint is asked for")
    return fromDraft(urlParameters.readMember(internal.toDraft(base), member))
  })
}

const parseList = (text: string) => orThrow(AmqpUrl.parseList(text, urlParameters.parseOptions))

const decodeList = (
  texts: readonly [string, ...Array<string>],
  options: ConnectionOptions.ReadOptions
): readonly [internal.Draft, ...Array<internal.Draft>] => {
  const [first, ...others] = texts
  const [head, ...tail] = parseList(first)
  return urlParameters.readList([head, ...tail, ...others.flatMap(parseList)], options)
}

const hostOfSeveral = (): never =>
  fail("Contradiction", "host", "is given beside several endpoints, each of which names its own")

const readEndpoints = (
  [first, ...others]: ReadonlyArray<ConnectionOptions.Endpoint>
): readonly [ConnectionOptions, ...Array<ConnectionOptions>] => {
  if (first === undefined) return fail("Value", "endpoints", "needs one endpoint at least")
  const head = orThrow(endpointEither(make(), first))
  return [head, ...others.map((each) => orThrow(endpointEither(head, each)))]
}

/**
 * The endpoints of a connection from everything a user may say about them: options win over the URL (or what `endpoints`
 * has), that over defaults, and the members of a failover list inherit from its first.
 *
 * Options hold for every endpoint, so that a `host` beside several of them is a contradiction. `lenient` turns unknown
 * query names into `warnings`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resolve = (
  options: ConnectionOptions.Source & ConnectionOptions.Input & ConnectionOptions.ReadOptions = {}
): Either.Either<readonly [ConnectionOptions, ...Array<ConnectionOptions>], AmqpUrl.ParameterError> =>
  AmqpUrl.attempt(() => {
    const { emptyPath, endpoints, lenient, url, urls, ...input } = options
    const overrides = internal.fromInput(input)
    if (endpoints !== undefined) {
      if (url !== undefined || urls !== undefined) fail("Contradiction", "endpoints", "are given beside a URL")
      const [first, ...others] = readEndpoints(endpoints)
      if (others.length > 0 && overrides.host !== undefined) hostOfSeveral()
      const complete = (each: ConnectionOptions) => clone(each, input)
      return [complete(first), ...others.map(complete)]
    }
    if (url !== undefined && urls !== undefined) fail("Contradiction", "urls", "are given beside url")
    if (url === undefined && urls === undefined) return [fromDraft(overrides)]
    const [first, ...others] = (urls ?? [url]).map((text: unknown) => {
      const plain = Redacted.isRedacted(text) ? Redacted.value(text) : text
      return typeof plain === "string" ? plain : fail("Value", "url", "must be a text, or a Redacted text")
    })
    if (first === undefined) return fail("Value", "urls", "needs one URL at least")
    const [head, ...tail] = decodeList([first, ...others], { emptyPath, lenient })
    if (tail.length > 0 && overrides.host !== undefined) hostOfSeveral()
    const complete = (draft: internal.Draft) => fromDraft(internal.merge(draft, overrides))
    return [complete(head), ...tail.map(complete)]
  })

// --- Texts ---

const unprintable = (parameter: string, text: string): never => fail("Unprintable", parameter, text)

const printUrl = (
  options: ConnectionOptions,
  readOptions: ConnectionOptions.ReadOptions
): Either.Either<Redacted.Redacted, AmqpUrl.ParameterError> =>
  Either.flatMap(
    AmqpUrl.attempt(() => urlParameters.print(options, readOptions, unprintable)),
    AmqpUrl.print
  )

/**
 * The options as one line for logs: the canonical URL with `**` for each secret. What no URL can say shows as `…`.
 *
 * @since 0.1.0
 * @category encoding
 */
export const display = (options: ConnectionOptions): string =>
  AmqpUrl.display(
    urlParameters.print(options, { emptyPath: "empty" }, () => "…"),
    (name, value) => name === "password" || value.includes("-----BEGIN") ? "**" : value === "…" ? value : undefined
  )

/** A bare text in the place of a Redacted one would be quoted in the error. */
const RedactedText = Schema.RedactedFromSelf(Schema.String).annotations({
  message: () => ({ message: "Expected a Redacted text", override: true })
})

/**
 * A URL as a Schema, by the given reading; {@link FromUrl} is the usual one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const fromUrl = (
  readOptions: ConnectionOptions.ReadOptions = {}
): Schema.Schema<ConnectionOptions, Redacted.Redacted> =>
  Schema.transformOrFail(RedactedText, Schema.typeSchema(ConnectionOptions), {
    strict: true,
    decode: (text, _, ast) =>
      Either.mapLeft(
        Either.flatMap(
          AmqpUrl.parse(Redacted.value(text), urlParameters.parseOptions),
          (url) => AmqpUrl.attempt(() => fromDraft(urlParameters.read(url, readOptions)))
        ),
        (error) => new ParseResult.Type(ast, text, error.message)
      ),
    encode: (options, _, ast) =>
      Either.mapLeft(printUrl(options, readOptions), (error) => new ParseResult.Type(ast, options, error.message))
  })

/**
 * One URL, Redacted, both ways. Encoding gives the canonical text: defaults left out (but the host), everything escaped,
 * secrets in clear inside the Redacted; decoding that gives equal options. It fails for what no URL can say: functions,
 * Effects, tokens, custom mechanisms.
 *
 * @example
 * import { ConnectionOptions } from "effect-amqp/amqp091"
 * import * as Redacted from "effect/Redacted"
 * import * as Schema from "effect/Schema"
 *
 * const options = Schema.decode(ConnectionOptions.FromUrl)(Redacted.make("amqps://me:s%40fe@broker-1/%2Fprod?heartbeat=30"))
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromUrl: Schema.Schema<ConnectionOptions, Redacted.Redacted> = fromUrl()

/**
 * A failover list in one text, by the given reading; {@link ListFromUrl} is the usual one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const listFromUrl = (
  readOptions: ConnectionOptions.ReadOptions = {}
): Schema.Schema<readonly [ConnectionOptions, ...Array<ConnectionOptions>], Redacted.Redacted> =>
  Schema.transformOrFail(
    RedactedText,
    Schema.typeSchema(Schema.NonEmptyArray(ConnectionOptions)),
    {
      strict: true,
      decode: (text, _, ast) =>
        Either.mapLeft(
          AmqpUrl.attempt(() => {
            const [first, ...others] = decodeList([Redacted.value(text)], readOptions)
            return [fromDraft(first), ...others.map(fromDraft)] as const
          }),
          (error) => new ParseResult.Type(ast, text, error.message)
        ),
      encode: (list, _, ast) =>
        Either.mapLeft(
          Either.map(
            AmqpUrl.attempt(() => urlParameters.printList(list, readOptions, unprintable)),
            (urls) => Redacted.make(urls.map((url) => Redacted.value(orThrow(AmqpUrl.print(url)))).join(";"))
          ),
          (error) => new ParseResult.Type(ast, list, error.message)
        )
    }
  )

/**
 * A failover list in one text, Redacted: `amqp://a;amqp://b`, `amqp://u:p@a,b:5673/vhost`, with bare host names where
 * nothing but the host differs. What a member leaves out is the first one's, except the port. Encodes with `;`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ListFromUrl: Schema.Schema<
  readonly [ConnectionOptions, ...Array<ConnectionOptions>],
  Redacted.Redacted
> = listFromUrl()

/**
 * Reads a URL or a failover list from the environment. Its error names the variable and hides its content.
 *
 * @since 0.1.0
 * @category constructors
 */
export const config = (
  name: string,
  readOptions: ConnectionOptions.ReadOptions = {}
): Config.Config<readonly [ConnectionOptions, ...Array<ConnectionOptions>]> =>
  Config.mapOrFail(Config.redacted(name), (text) =>
    Either.mapLeft(
      resolve({ url: text, ...readOptions }),
      (error) => ConfigError.InvalidData([name], error.message)
    ))

/**
 * The heartbeat to use, in whole seconds, when the server proposes `serverSeconds`: ours where one is given, else the
 * server's; 0 is off. Fails where a function of the options gives anything but whole seconds.
 *
 * @since 0.1.0
 * @category combinators
 */
export const chooseHeartbeat = (
  options: ConnectionOptions,
  serverSeconds: number
): Either.Either<number, AmqpUrl.ParameterError> =>
  AmqpUrl.attempt(() => kinds.chooseHeartbeat(options.heartbeat, serverSeconds))
