/**
 * The parameters of a 0-9-1 connection together: how options are checked, and how layers of them (defaults, URL,
 * options) become one complete set. Code here throws `ParameterError`; the public module turns that into values.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import { defaultPort } from "../../AmqpUrl.ts"
import * as Credentials from "../../Credentials.ts"
import { isHostName, isIPv6 } from "../../internal/hosts.ts"
import type { TcpOptions, TlsOptions } from "../../Transport.ts"
import { fail, quote, unknownName } from "./connectionOptionsFault.ts"
import { duration, integer, isPlain, octets, same, scalarKeys, scalars } from "./connectionOptionsKinds.ts"
import type { Kind, Scalars } from "./connectionOptionsKinds.ts"
import { checkTls } from "./connectionOptionsTls.ts"

/** @internal */
export type Scheme = "amqp" | "amqps" | "memory"

/** @internal */
export type ClientProperties = { readonly [name: string]: unknown }

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

// --- Options ---

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

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

/**
 * The connection's name among its properties is the parameter `name` in other words: there it is kept, so that it is one
 * statement, whoever makes it.
 *
 * @internal
 */
export const takeName = (draft: Draft, parameter: string): void => {
  const { connection_name: said, ...others } = draft.clientProperties ?? {}
  if (said === undefined) return
  const { kind } = scalars.name
  const name = kind.fromInput(said) ?? fail("Value", `${parameter}.connection_name`, `must be ${kind.allowed}`)
  if (draft.name !== undefined && draft.name !== name) {
    fail("Contradiction", parameter, "its connection_name contradicts name")
  }
  draft.name = name
  draft.clientProperties = others
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
        if (idle !== undefined && Number.isInteger(Duration.toMillis(idle))) tcp.keepAlive = idle
        else if (entry !== false) {
          fail("Value", `${parameter}.keepAlive`, "must be true, false or a duration of whole milliseconds")
        }
        break
      }
      default:
        unknownName(parameter, key, ["noDelay", "keepAlive"])
    }
  }
  return tcp
}

const unsupportedScheme = (scheme: unknown): never =>
  scheme === "ws" || scheme === "wss" ?
    fail(
      "UnsupportedTransport",
      "scheme",
      `${scheme} (WebSocket) has no transport yet: use amqp or amqps, or provide a Layer of Transport`
    ) :
    fail("UnsupportedScheme", "scheme", "must be amqp, amqps or memory; another transport is provided as a Layer")

/** @internal */
export const checkScheme = (scheme: unknown): Scheme =>
  scheme === "amqp" || scheme === "amqps" || scheme === "memory" ? scheme : unsupportedScheme(scheme)

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
  takeName(draft, "clientProperties")
  if (draft.credentials !== undefined && (draft.username !== undefined || draft.password !== undefined)) {
    fail("Contradiction", "credentials", "are given beside a username or a password")
  }
  return draft
}

// --- Layers ---

const isSecretAlone = (draft: Draft): draft is Draft & { readonly password: Credentials.Secret } =>
  draft.password !== undefined && draft.username === undefined && draft.mechanisms === undefined

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
  } else if (lower.credentials !== undefined && isSecretAlone(upper)) {
    const { password } = upper
    const [first, ...others] = lower.credentials
    const renewed = (each: Credentials.Credentials) => Credentials.withSecret(each, password)
    merged.credentials = [renewed(first), ...others.map(renewed)]
    merged.password = undefined
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

const fieldKeys = inputKeys.filter((key) => key !== "username" && key !== "password") as ReadonlyArray<
  keyof Fields
>

/** Equality of options: of everything but the warnings, which belong to the text they came from. @internal */
export const sameFields = (a: Fields, b: Fields): boolean => fieldKeys.every((key) => same(a[key], b[key]))
