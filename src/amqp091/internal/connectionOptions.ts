/**
 * The parameters of a 0-9-1 connection one by one: their kinds, ranges, defaults, and how layers of them (defaults, URL,
 * options) become one complete set. Code here throws `ParameterError`; the public module turns that into values.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { defaultPort, isHostName, isIPv6 } from "../../AmqpUrl.ts"
import * as Credentials from "../../Credentials.ts"
import type { TcpOptions, TlsOptions } from "../../Transport.ts"
import { fail, quote, unknownName } from "./connectionOptionsFault.ts"
import { checkTls } from "./connectionOptionsTls.ts"

/** @internal */
export type Scheme = "amqp" | "amqps" | "memory"

/** @internal */
export const failovers = ["in-order", "round-robin", "shuffle", "random", "priority"] as const

/** @internal */
export type Failover = typeof failovers[number]

/** @internal */
export type HeartbeatChoice = (serverValue: Duration.Duration) => Duration.Duration

/** @internal */
export type ClientProperties = { readonly [name: string]: unknown }

/** @internal */
export interface Scalars {
  readonly channelMax: number
  readonly frameMax: number
  readonly heartbeat: Duration.Duration | HeartbeatChoice | null
  readonly connectionAttempts: number
  readonly retryDelay: Duration.Duration
  readonly socketTimeout: Duration.Duration | null
  readonly stackTimeout: Duration.Duration | null
  readonly blockedTimeout: Duration.Duration | null
  readonly locale: string
  readonly name: string | undefined
  readonly insist: boolean
  readonly failover: Failover
  readonly operationTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  readonly channelTimeout: Duration.Duration
  readonly maxMessageSize: number
  readonly maxTableDepth: number
  readonly maxTableEntries: number
}

/** @internal */
export interface Fields extends Scalars {
  readonly scheme: Scheme
  readonly host: string
  readonly port: number
  readonly vhost: string
  readonly credentials: readonly [Credentials.Credentials, ...Array<Credentials.Credentials>]
  readonly clientProperties: ClientProperties
  readonly tls: TlsOptions | undefined
  readonly tcp: TcpOptions | undefined
  readonly warnings: ReadonlyArray<string>
}

/** @internal */
export type Mechanism = "plain" | "amqplain" | "external" | "anonymous" | "rabbit-cr-demo"

type Writable<A> = { -readonly [K in keyof A]?: A[K] | undefined }

/**
 * What one source states, and nothing else: `undefined` is "does not say". A user is either whole (`credentials`) or in
 * the parts a URL has.
 *
 * @internal
 */
export interface Draft extends Writable<Omit<Fields, "tls" | "tcp" | "warnings">> {
  username?: string | undefined
  password?: Credentials.Secret | undefined
  mechanisms?: ReadonlyArray<Mechanism> | undefined
  tls?: TlsOptions | null | undefined
  tcp?: TcpOptions | null | undefined
  warnings: ReadonlyArray<string>
}

// --- Kinds ---

/** @internal */
export interface Kind<A> {
  readonly allowed: string
  /** Where an option may say it in other ways than a URL. */
  readonly allowedInput?: string
  /** What a URL says; `undefined`: not allowed. */
  readonly fromText: (text: string) => A | undefined
  /** What an option says. */
  readonly fromInput: (value: unknown) => A | undefined
  /** `undefined`: no URL can say it. */
  readonly toText: (value: A) => string | undefined
}

const octets = (text: string): number => new TextEncoder().encode(text).length

const integer = (min: number, max: number): Kind<number> => {
  const inRange = (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : undefined
  return {
    allowed: `a whole number from ${min} to ${max}`,
    fromText: (text) => /^\d{1,16}$/.test(text) ? inRange(Number(text)) : undefined,
    fromInput: inRange,
    toText: String
  }
}

/** Whole milliseconds wherever they are, so that equal durations are equal values. */
const normalize = (duration: Duration.Duration): Duration.Duration =>
  Option.match(Duration.toNanos(duration), {
    onNone: () => Duration.infinity,
    onSome: (nanos) => nanos % 1_000_000n === 0n ? Duration.millis(Number(nanos / 1_000_000n)) : Duration.nanos(nanos)
  })

/** Duration, `[seconds, nanos]` or text; a bare number has no unit that both Effect and AMQP mean by it. @internal */
export const duration = (value: unknown): Duration.Duration | undefined => {
  if (typeof value === "number" || typeof value === "bigint") return undefined
  if (typeof value === "string" && value.trimStart().startsWith("-")) return undefined
  if (Array.isArray(value) && value.some((part) => typeof part !== "number" || part < 0)) return undefined
  return Option.getOrUndefined(Option.map(Duration.decodeUnknown(value), normalize))
}

const secondsFromText = (text: string): Duration.Duration | undefined => {
  const [, whole, fraction = ""] = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  return normalize(Duration.nanos(BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"))))
}

/** @internal */
export const secondsToText = (value: Duration.Duration): string | undefined =>
  Option.getOrUndefined(Option.map(Duration.toNanos(value), (nanos) => {
    const fraction = (nanos % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "")
    return `${nanos / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}`
  }))

const allowedInput = "a Duration or a text such as \"30 seconds\", never a bare number"

const seconds = (min: "zero" | "positive"): Kind<Duration.Duration> => {
  const inRange = (value: Duration.Duration | undefined) =>
    value !== undefined && Duration.isFinite(value) && (min === "zero" || Duration.greaterThan(value, Duration.zero)) ?
      value :
      undefined
  return {
    allowed: `seconds, ${min === "zero" ? "0 or more" : "more than 0"}`,
    allowedInput: `${allowedInput}, ${min === "zero" ? "0 or more" : "more than 0"}`,
    fromText: (text) => inRange(secondsFromText(text)),
    fromInput: (value) => inRange(duration(value)),
    toText: secondsToText
  }
}

const nullable = (kind: Kind<Duration.Duration>, what: string): Kind<Duration.Duration | null> => ({
  allowed: `${kind.allowed}, or null for ${what}`,
  allowedInput: `${kind.allowedInput ?? kind.allowed}, or null for ${what}`,
  fromText: (text) => text === "null" ? null : kind.fromText(text),
  fromInput: (value) => {
    if (value === null) return null
    const decoded = duration(value)
    return decoded !== undefined && !Duration.isFinite(decoded) ? null : kind.fromInput(value)
  },
  toText: (value) => value === null ? "null" : kind.toText(value)
})

/** RabbitMQ's `connection_timeout`: milliseconds, 0 for none. */
const milliseconds: Kind<Duration.Duration | null> = {
  allowed: "whole milliseconds, 0 for none",
  fromText: (text) => /^\d{1,15}$/.test(text) ? (Number(text) === 0 ? null : Duration.millis(Number(text))) : undefined,
  fromInput: () => undefined,
  toText: () => undefined
}

const wholeSeconds = (value: Duration.Duration | undefined): Duration.Duration | undefined => {
  const count = value === undefined ? -1 : Duration.toSeconds(value)
  return Number.isInteger(count) && count >= 0 && count <= 65535 ? value : undefined
}

const heartbeat: Kind<Duration.Duration | HeartbeatChoice | null> = {
  allowed: "whole seconds from 0 (off) to 65535, or null for the server's",
  allowedInput:
    `${allowedInput}, of whole seconds from 0 (off) to 65535, a function of the server's, or null for the server's`,
  fromText: (text) => text === "null" ? null : /^\d+$/.test(text) ? wholeSeconds(secondsFromText(text)) : undefined,
  // A function's result is checked when it is asked (chooseHeartbeat).
  fromInput: (value) =>
    value === null ? null : typeof value === "function" ? value as HeartbeatChoice : wholeSeconds(duration(value)),
  toText: (value) => value === null ? "null" : typeof value === "function" ? undefined : secondsToText(value)
}

const text: Kind<string> = {
  allowed: "a text of 1 to 255 octets",
  fromText: (value) => value.length > 0 && octets(value) <= 255 ? value : undefined,
  fromInput: (value) => typeof value === "string" ? text.fromText(value) : undefined,
  toText: (value) => value
}

const boolean: Kind<boolean> = {
  allowed: "true or false",
  fromText: (value) => value === "true" ? true : value === "false" ? false : undefined,
  fromInput: (value) => typeof value === "boolean" ? value : undefined,
  toText: String
}

const failover: Kind<Failover> = {
  allowed: `one of ${failovers.join(", ")}`,
  fromText: (value) => failovers.find((name) => name === value),
  fromInput: (value) => failovers.find((name) => name === value),
  toText: (value) => value
}

// --- The table ---

/** @internal */
export interface Scalar<A> {
  /** Names in a URL, the canonical one first, each with the kind it is written in. */
  readonly names: readonly [name: string, ...Array<string>]
  readonly kind: Kind<Exclude<A, undefined>>
  /** Where a name has a unit of its own. */
  readonly kinds?: { readonly [name: string]: Kind<Exclude<A, undefined>> }
  readonly default: A
}

/** @internal */
export const scalars: { readonly [K in keyof Scalars]: Scalar<Scalars[K]> } = {
  channelMax: { names: ["channel_max"], kind: integer(0, 65535), default: 65535 },
  frameMax: { names: ["frame_max"], kind: integer(4096, 2 ** 32 - 1), default: 131072 },
  heartbeat: { names: ["heartbeat"], kind: heartbeat, default: null },
  connectionAttempts: { names: ["connection_attempts"], kind: integer(1, 2 ** 31 - 1), default: 1 },
  retryDelay: { names: ["retry_delay"], kind: seconds("zero"), default: Duration.seconds(2) },
  socketTimeout: {
    names: ["socket_timeout", "connect_timeout", "connection_timeout"],
    kind: nullable(seconds("positive"), "none"),
    kinds: { connection_timeout: milliseconds },
    default: Duration.seconds(10)
  },
  stackTimeout: {
    names: ["stack_timeout"],
    kind: nullable(seconds("positive"), "none"),
    default: Duration.seconds(15)
  },
  blockedTimeout: { names: ["blocked_connection_timeout"], kind: nullable(seconds("zero"), "none"), default: null },
  locale: { names: ["locale"], kind: text, default: "en_US" },
  name: { names: ["name", "connection_name"], kind: text, default: undefined },
  insist: { names: ["insist"], kind: boolean, default: false },
  failover: { names: ["failover_strategy"], kind: failover, default: "round-robin" },
  operationTimeout: { names: ["rpc_timeout"], kind: seconds("positive"), default: Duration.seconds(30) },
  closeTimeout: { names: ["close_timeout"], kind: seconds("positive"), default: Duration.seconds(10) },
  channelTimeout: { names: ["channel_timeout"], kind: seconds("positive"), default: Duration.seconds(30) },
  maxMessageSize: {
    names: ["max_message_size"],
    kind: integer(1, Number.MAX_SAFE_INTEGER),
    default: 512 * 1024 * 1024
  },
  maxTableDepth: { names: ["max_table_depth"], kind: integer(1, 65535), default: 32 },
  maxTableEntries: { names: ["max_table_entries"], kind: integer(1, 2 ** 31 - 1), default: 4096 }
}

/** @internal */
export const scalarKeys = Object.keys(scalars) as ReadonlyArray<keyof Scalars> // the mapped type has these keys only

// --- Options ---

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isPlain = (value: unknown): value is { readonly [key: string]: unknown } => {
  if (!isRecord(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A copy of a field table's plain parts; what the codec could never write is refused now. @internal */
export const checkTable = (parameter: string, value: unknown, depth = 0): ClientProperties => {
  if (!isPlain(value)) return fail("Value", parameter, "must be an object (in a URL: a JSON object)")
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined)
  for (const [name] of entries) {
    if (name === "__proto__" || octets(name) > 255) fail("Value", parameter, "a name has at most 255 octets")
  }
  return Object.fromEntries(
    entries.map(([name, entry]) => [name, checkTableValue(`${parameter}.${name}`, entry, depth)])
  )
}

const checkTableValue = (parameter: string, value: unknown, depth: number): unknown => {
  if (depth > 32) return fail("Value", parameter, "is nested deeper than 32 levels, or holds itself")
  if (typeof value === "function" || typeof value === "symbol" || value === undefined) {
    return fail("Value", parameter, `no field of a table can hold a ${typeof value}`)
  }
  if (Array.isArray(value)) {
    return value.map((entry, index) => checkTableValue(`${parameter}[${index}]`, entry, depth + 1))
  }
  return isPlain(value) ? checkTable(parameter, value, depth + 1) : value
}

/** @internal */
export const checkTcp = (parameter: string, value: unknown): TcpOptions | null => {
  if (value === null) return null
  if (!isRecord(value)) return fail("Value", parameter, "must be an object")
  const tcp: { -readonly [K in keyof TcpOptions]: TcpOptions[K] } = {}
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue
    switch (key) {
      case "noDelay": {
        if (typeof entry !== "boolean") fail("Value", `${parameter}.noDelay`, "must be true or false")
        if (entry === false) tcp.noDelay = false
        break
      }
      case "keepAlive": {
        const idle = entry === true ? Duration.zero : entry === false ? undefined : duration(entry)
        if (idle !== undefined && Duration.isFinite(idle)) tcp.keepAlive = idle
        else if (entry !== false) fail("Value", `${parameter}.keepAlive`, "must be true, false or a duration")
        break
      }
      default:
        unknownName(parameter, key, ["noDelay", "keepAlive"])
    }
  }
  return tcp
}

const unsupportedScheme = (scheme: string): never =>
  scheme === "ws" || scheme === "wss" ?
    fail(
      "UnsupportedTransport",
      "scheme",
      `${scheme} (WebSocket) has no transport yet: use amqp or amqps, or provide a Layer of Transport`
    ) :
    fail("UnsupportedScheme", "scheme", "must be amqp, amqps or memory; another transport is provided as a Layer")

/** @internal */
export const checkScheme = (scheme: unknown): Scheme =>
  scheme === "amqp" || scheme === "amqps" || scheme === "memory" ? scheme : unsupportedScheme(String(scheme))

/** @internal */
export const checkVhost = (vhost: unknown): string => {
  if (typeof vhost !== "string" || vhost.includes("\0")) return fail("Value", "vhost", "must be a text without NUL")
  return octets(vhost) <= 127 ? vhost : fail("Value", "vhost", "has at most 127 octets")
}

const checkHost = (host: unknown): string => {
  if (typeof host === "string") {
    const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host
    if (isIPv6(bare) || (isHostName(bare) && bare === host)) return bare
  }
  return fail("Value", "host", "must be a DNS name or an address (a whole URL is given as url)")
}

const checkPort = (port: unknown): number =>
  integer(1, 65535).fromInput(port) ?? fail("Value", "port", `${quote(port)} not a whole number from 1 to 65535`)

const checkUsername = (username: unknown): string =>
  typeof username === "string" && !username.includes("\0") ?
    username :
    fail("Value", "username", "must be a text without NUL")

const checkPassword = (password: unknown): Credentials.Secret =>
  Credentials.isSecret(password) ?
    password :
    fail("Value", "password", "must be Redacted, or an Effect of a Redacted")

const checkCredentials = (given: unknown): Fields["credentials"] => {
  const list: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const [first, ...others] = list.map((credentials) =>
    Credentials.isCredentials(credentials) ?
      credentials :
      fail("Value", "credentials", "must be made by the Credentials module")
  )
  return first === undefined ?
    fail("Value", "credentials", "an empty list lets nobody in") :
    [first, ...others.filter((entry, at) => ![first, ...others.slice(0, at)].some((seen) => Equal.equals(seen, entry)))]
}

/** @internal */
export const assignScalar = <K extends keyof Scalars>(
  draft: Draft,
  key: K,
  value: Exclude<Scalars[K], undefined>
): void => {
  const target: Writable<Scalars> = draft
  target[key] = value
}

const readScalar = <K extends keyof Scalars>(draft: Draft, key: K, value: unknown): void => {
  const kind: Kind<Exclude<Scalars[K], undefined>> = scalars[key].kind
  const checked = kind.fromInput(value)
  if (checked === undefined) {
    return fail("Value", key, `${quote(value)} not allowed: ${kind.allowedInput ?? kind.allowed}`)
  }
  assignScalar(draft, key, checked)
}

const isScalar = (key: string): key is keyof Scalars => Object.hasOwn(scalars, key)

/** Names of the options, for near names. @internal */
export const inputKeys: ReadonlyArray<string> = [
  "scheme",
  "host",
  "port",
  "vhost",
  "username",
  "password",
  "credentials",
  ...scalarKeys,
  "clientProperties",
  "tls",
  "tcp"
]

/**
 * Reads options: each is checked, and an unknown one refused.
 *
 * @internal
 */
export const fromInput = (input: { readonly [key: string]: unknown }): Draft => {
  const draft: Draft = { warnings: [] }
  for (const [key, value] of Object.entries(input)) {
    if (value === undefined) continue
    if (isScalar(key)) {
      readScalar(draft, key, value)
      continue
    }
    switch (key) {
      case "scheme":
        draft.scheme = checkScheme(value)
        break
      case "host":
        draft.host = checkHost(value)
        break
      case "port":
        draft.port = checkPort(value)
        break
      case "vhost":
        draft.vhost = checkVhost(value)
        break
      case "username":
        draft.username = checkUsername(value)
        break
      case "password":
        draft.password = checkPassword(value)
        break
      case "credentials":
        draft.credentials = checkCredentials(value)
        break
      case "clientProperties":
        draft.clientProperties = checkTable(key, value)
        break
      case "tls":
        draft.tls = value === true ? {} : value === false || value === null ? null : checkTls(key, value)
        break
      case "tcp":
        draft.tcp = checkTcp(key, value)
        break
      default:
        unknownName("options", key, inputKeys)
    }
  }
  if (draft.credentials !== undefined && (draft.username !== undefined || draft.password !== undefined)) {
    fail("Contradiction", "credentials", "are given beside a username or a password")
  }
  return draft
}

// --- Layers ---

/**
 * `upper` wins, parameter by parameter; a user is replaced as a whole, but a password alone goes with the user below.
 *
 * @internal
 */
export const merge = (lower: Draft, upper: Draft): Draft => {
  const stated = Object.fromEntries(Object.entries(upper).filter(([, value]) => value !== undefined))
  const merged: Draft = { ...lower, ...stated, warnings: [...lower.warnings, ...upper.warnings] }
  if (upper.credentials !== undefined) {
    merged.username = undefined
    merged.password = undefined
    merged.mechanisms = undefined
  } else if (upper.username !== undefined || upper.password !== undefined || upper.mechanisms !== undefined) {
    merged.credentials = undefined
    if (upper.username !== undefined) merged.password = upper.password
  }
  return merged
}

const completeCredentials = (draft: Draft, warnings: Array<string>): Fields["credentials"] => {
  if (draft.credentials !== undefined) return draft.credentials
  const mechanisms = draft.mechanisms ?? ["plain"]
  const username = draft.username ?? "guest"
  const password = draft.password ?? Redacted.make(draft.username === undefined ? "guest" : "")
  // Only where no mechanism takes a password is the user of a URL the identity of EXTERNAL.
  const isNamed = mechanisms.some((name) => name !== "external" && name !== "anonymous")
  if (!isNamed && draft.password !== undefined && !Equal.equals(draft.password, Redacted.make(""))) {
    warnings.push(`password: not used by ${mechanisms.join(" or ")}`)
  }
  return checkCredentials(mechanisms.map((mechanism) => {
    switch (mechanism) {
      case "plain":
        return Credentials.plain(username, password)
      case "amqplain":
        return Credentials.amqPlain(username, password)
      case "rabbit-cr-demo":
        return Credentials.rabbitCrDemo(username, password)
      case "external":
        return Credentials.external(isNamed ? undefined : draft.username)
      case "anonymous":
        return Credentials.anonymous()
    }
  }))
}

/**
 * One complete set, with the contradictions refused and the doubts warned of.
 *
 * @internal
 */
export const complete = (draft: Draft): Fields => {
  const warnings = [...draft.warnings]
  if (draft.tls === null && draft.scheme === "amqps") {
    fail("Contradiction", "tls", "is turned off for an amqps: URL; write amqp: for a plain connection")
  }
  const tls = draft.tls ?? (draft.scheme === "amqps" ? {} : undefined)
  if (tls !== undefined && draft.scheme === "memory") fail("Contradiction", "tls", "means nothing to memory:")
  if (tls !== undefined && draft.scheme === "amqp") warnings.push("tls: TLS options turned TLS on; write amqps:")
  if (tls?.verify === false) warnings.push("tls: verify_none takes any certificate, also an attacker's")
  const scheme = draft.scheme === "memory" ? "memory" : tls === undefined ? "amqp" : "amqps"
  const said: Writable<Scalars> = draft
  const scalar = <K extends keyof Scalars>(key: K): Scalars[K] => {
    const value = said[key]
    return value === undefined ? scalars[key].default : value
  }
  const frameMax = scalar("frameMax")
  if (frameMax < 8192) warnings.push("frame_max: RabbitMQ 4.1 and later refuses less than 8192")
  if (frameMax > 131072) warnings.push("frame_max: some brokers and clients stop at 131072")
  const socketTimeout = scalar("socketTimeout")
  const stackTimeout = scalar("stackTimeout")
  if (stackTimeout !== null && socketTimeout !== null && Duration.lessThan(stackTimeout, socketTimeout)) {
    warnings.push("stack_timeout: shorter than socket_timeout, which it bounds")
  }
  return {
    scheme,
    host: draft.host ?? "localhost",
    port: draft.port ?? defaultPort(scheme),
    vhost: draft.vhost ?? "/",
    credentials: completeCredentials(draft, warnings),
    // On the wire 0 says "no limit", which the width of the field makes 65535.
    channelMax: scalar("channelMax") === 0 ? 65535 : scalar("channelMax"),
    frameMax,
    heartbeat: scalar("heartbeat"),
    connectionAttempts: scalar("connectionAttempts"),
    retryDelay: scalar("retryDelay"),
    socketTimeout,
    stackTimeout,
    blockedTimeout: scalar("blockedTimeout"),
    locale: scalar("locale"),
    clientProperties: draft.clientProperties ?? {},
    name: scalar("name"),
    tls,
    tcp: draft.tcp === null || draft.tcp === undefined || Object.keys(draft.tcp).length === 0 ? undefined : draft.tcp,
    insist: scalar("insist"),
    failover: scalar("failover"),
    operationTimeout: scalar("operationTimeout"),
    closeTimeout: scalar("closeTimeout"),
    channelTimeout: scalar("channelTimeout"),
    maxMessageSize: scalar("maxMessageSize"),
    maxTableDepth: scalar("maxTableDepth"),
    maxTableEntries: scalar("maxTableEntries"),
    warnings: Array.from(new Set(warnings))
  }
}

/** A complete set as a layer to be overridden: what merely follows from the scheme is left out again. @internal */
export const toDraft = (fields: Fields): Draft => ({
  ...fields,
  port: fields.port === defaultPort(fields.scheme) ? undefined : fields.port,
  // amqp: as a base layer is no statement against TLS: only a URL that says amqp: is one.
  scheme: fields.scheme === "amqp" ? undefined : fields.scheme,
  tls: fields.tls !== undefined && Object.keys(fields.tls).length === 0 ? undefined : fields.tls,
  warnings: []
})

/** By content: records, lists and bytes too, which `Equal` compares by reference. @internal */
export const same = (a: unknown, b: unknown): boolean => {
  if (Equal.equals(a, b) || Object.is(a, b)) return true
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((entry, at) => same(entry, b[at]))
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, at) => byte === b[at])
  }
  if (!isPlain(a) || !isPlain(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}

const fieldKeys = inputKeys.filter((key) => key !== "username" && key !== "password") as ReadonlyArray<
  keyof Fields
>

/** Equality of options: of everything but the warnings, which belong to the text they came from. @internal */
export const sameFields = (a: Fields, b: Fields): boolean => fieldKeys.every((key) => same(a[key], b[key]))

/** @internal */
export const chooseHeartbeat = (choice: Fields["heartbeat"], serverSeconds: number): number => {
  if (choice === null) return serverSeconds
  const chosen = typeof choice === "function" ?
    wholeSeconds(duration(choice(Duration.seconds(serverSeconds)))) :
    choice
  return chosen === undefined ?
    fail("Value", "heartbeat", "the function must give whole seconds from 0 to 65535, as a Duration") :
    Duration.toSeconds(chosen)
}
