/**
 * The URL grammar both protocols share: text to components and back, failover lists, and a form for logs that hides
 * secrets. What a path or a query name means is the business of each protocol's ConnectionOptions.
 *
 * The parser is our own: RabbitMQ's URI specification allows what WHATWG's forbids (`amqp://:10000`, `amqp:///vhost`).
 * Calls fail with {@link ParameterError}, which never holds the content of a user name, password, host, port or path.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import { isHostName, isIPv6 } from "./internal/hosts.ts"

export { isAddress, isIPv6 } from "./internal/hosts.ts"

/**
 * The schemes of the grammar. `memory` is the in-memory transport.
 *
 * @since 0.1.0
 * @category models
 */
export type Scheme = "amqp" | "amqps" | "ws" | "wss" | "memory"

/**
 * The kinds of {@link ParameterError}.
 *
 * `UnsupportedScheme`: none given, or one nobody here speaks. `UnsupportedTransport`: a known scheme without a transport.
 * `Syntax`: the text breaks the grammar. `UnknownName`, `Repeated`, `Value`: of a named parameter. `Contradiction`: two
 * statements exclude each other. `Unprintable`: a value that no URL can express.
 *
 * @since 0.1.0
 * @category models
 */
export type ParameterReason =
  | "UnsupportedScheme"
  | "UnsupportedTransport"
  | "Syntax"
  | "UnknownName"
  | "Repeated"
  | "Value"
  | "Contradiction"
  | "Unprintable"

/**
 * A URL or a connection parameter that cannot be used. `parameter` is the component (`port`) or the name as it was
 * written (`heartbeat`); `text` says what is allowed, and quotes a value only where it cannot be a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class ParameterError extends Data.TaggedError("ParameterError")<{
  readonly reason: ParameterReason
  readonly parameter: string
  readonly text: string
}> {
  override get message() {
    return `${this.parameter}: ${this.text} (${this.reason})`
  }
}

/**
 * What an {@link AmqpUrl} is made of.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace AmqpUrl {
  /**
   * The components. Everything is percent-decoded but `path`; what the text leaves out is `undefined`, and a host of no
   * length is "".
   *
   * @since 0.1.0
   * @category models
   */
  export interface Fields {
    readonly scheme: Scheme
    readonly username: string | undefined
    readonly password: Redacted.Redacted | undefined
    /** Name or address, an IPv6 address without brackets. */
    readonly host: string
    readonly port: number | undefined
    /** As written, without the leading slash. `undefined`: there was no slash. */
    readonly path: string | undefined
    /** The path cut at its slashes, then decoded; empty where `path` is `undefined`. */
    readonly segments: ReadonlyArray<string>
    readonly query: ReadonlyArray<readonly [name: string, value: string]>
  }
}

/**
 * A parsed URL, compared by content. It shows itself without secrets; {@link print} has the whole.
 *
 * @since 0.1.0
 * @category models
 */
export class AmqpUrl extends Data.Class<AmqpUrl.Fields> {
  constructor(fields: AmqpUrl.Fields) {
    super({
      ...fields,
      segments: Data.array(fields.segments),
      query: Data.array(fields.query.map(([name, value]) => Data.tuple(name, value)))
    })
  }
  override toString(): string {
    return display(this)
  }
  toJSON(): unknown {
    return { _id: "AmqpUrl", url: display(this) }
  }
  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/**
 * What a protocol adds to the grammar.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParseOptions {
  /** Further names of schemes, in lower case, and what they stand for. Default: none. */
  readonly aliases?: { readonly [name: string]: Scheme } | undefined
}

/**
 * The port a scheme stands for where none is written.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultPort = (scheme: Scheme): number => {
  switch (scheme) {
    case "amqps":
      return 5671
    case "ws":
      return 80
    case "wss":
      return 443
    default:
      return 5672
  }
}

const fail = (reason: ParameterReason, parameter: string, text: string): never => {
  throw new ParameterError({ reason, parameter, text })
}

/**
 * Runs code that throws `ParameterError`, and turns only that into a value.
 *
 * @internal
 */
export const attempt = <A>(evaluate: () => A): Either.Either<A, ParameterError> => {
  try {
    return Either.right(evaluate())
  } catch (error) {
    if (error instanceof ParameterError) return Either.left(error)
    throw error
  }
}

// --- Escapes ---

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const forbidden = /[\s\u0000-\u001f\u007f]/u

// JavaScript's texts may hold what no octets can.
const halfPair = /\p{Surrogate}/u

const hex = (text: string, at: number): number => {
  const pair = text.slice(at, at + 2)
  return /^[0-9A-Fa-f]{2}$/.test(pair) ? Number.parseInt(pair, 16) : -1
}

/** Escapes to text, after splitting; strict about escapes and UTF-8, silent about content. */
const unescape = (component: string, raw: string): string => {
  if (forbidden.test(raw)) fail("Syntax", component, "holds white space or a control character: write %20 for a space")
  if (halfPair.test(raw)) fail("Syntax", component, "holds half a surrogate pair, which UTF-8 cannot say")
  if (!raw.includes("%")) return raw
  const bytes: Array<number> = []
  for (let at = 0; at < raw.length;) {
    if (raw[at] === "%") {
      const byte = hex(raw, at + 1)
      if (byte < 0) fail("Syntax", component, "holds a % without two hexadecimal digits after it: write %25 for a %")
      bytes.push(byte)
      at += 3
    } else {
      const end = raw.indexOf("%", at)
      for (const byte of encoder.encode(raw.slice(at, end < 0 ? raw.length : end))) bytes.push(byte)
      at = end < 0 ? raw.length : end
    }
  }
  let text: string
  try {
    text = decoder.decode(Uint8Array.from(bytes))
  } catch {
    return fail("Syntax", component, "holds escapes that are not UTF-8")
  }
  if (text.includes("\0")) fail("Syntax", component, "holds a NUL character")
  return text
}

const escape = (component: string, text: string): string => {
  if (halfPair.test(text)) fail("Unprintable", component, "holds half a surrogate pair, which UTF-8 cannot say")
  if (text.includes("\0")) fail("Unprintable", component, "holds a NUL character, which no URL may")
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )
}

// --- Hosts ---

const hostAllowed = "a host is a DNS name, an IPv4 address, or an IPv6 address in brackets"

const parseHostPort = (text: string, hint: string): { readonly host: string; readonly port: number | undefined } => {
  let host: string
  let rest: string
  if (text.startsWith("[")) {
    const end = text.indexOf("]")
    const inner = text.slice(1, end < 0 ? text.length : end)
    host = inner.replace("%25", "%")
    if (end < 0 || !isIPv6(host) || (inner.includes("%") && !inner.includes("%25"))) {
      fail("Syntax", "host", "what stands in brackets is no IPv6 address (a zone is written [fe80::1%25eth0])")
    }
    rest = text.slice(end + 1)
    if (rest !== "" && !rest.startsWith(":")) fail("Syntax", "host", `only :port may follow the brackets${hint}`)
  } else {
    const colon = text.indexOf(":")
    host = unescape("host", colon < 0 ? text : text.slice(0, colon))
    rest = colon < 0 ? "" : text.slice(colon)
    if (host !== "" && !isHostName(host)) fail("Syntax", "host", `${hostAllowed}${hint}`)
  }
  const digits = rest.slice(1)
  if (digits === "") return { host, port: undefined }
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  if (port < 1 || port > 65535) fail("Syntax", "port", `a port is a whole number from 1 to 65535${hint}`)
  return { host, port }
}

// --- Parsing ---

const reserved = "; in a user name or password write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A"

interface Cut {
  readonly scheme: string
  readonly authority: string
  readonly path: string | undefined
  readonly query: string | undefined
}

const cut = (text: string): Cut => {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? []
  if (scheme === undefined || rest === undefined) {
    return fail("UnsupportedScheme", "scheme", "missing: a URL starts with amqp:// or amqps://")
  }
  if (rest.includes("#")) fail("Syntax", "fragment", "a URL of AMQP has none: write %23 for a #")
  const [beforeQuery = ""] = rest.split("?", 1)
  const query = beforeQuery.length === rest.length ? undefined : rest.slice(beforeQuery.length + 1)
  const slash = beforeQuery.indexOf("/")
  return {
    scheme,
    authority: slash < 0 ? beforeQuery : beforeQuery.slice(0, slash),
    path: slash < 0 ? undefined : beforeQuery.slice(slash + 1),
    query
  }
}

const schemes: { readonly [name: string]: Scheme } = {
  amqp: "amqp",
  amqps: "amqps",
  ws: "ws",
  wss: "wss",
  memory: "memory"
}

const parseScheme = (written: string, options: ParseOptions | undefined): Scheme => {
  const name = written.toLowerCase()
  const known = { ...options?.aliases, ...schemes }
  return (Object.hasOwn(known, name) ? known[name] : undefined) ?? fail(
    "UnsupportedScheme",
    "scheme",
    `"${written.slice(0, 40)}" is none of amqp, amqps, memory; another transport is provided as a Layer of Transport`
  )
}

const parseQuery = (text: string): AmqpUrl["query"] =>
  text.split("&").filter((pair) => pair !== "").map((pair) => {
    const equals = pair.indexOf("=")
    const name = unescape("query", (equals < 0 ? pair : pair.slice(0, equals)).replaceAll("+", "%20"))
    const value = equals < 0 ? "" : unescape("query", pair.slice(equals + 1).replaceAll("+", "%20"))
    return [name, value] as const
  })

const parseCut = ({ authority, path, query, scheme }: Cut, options: ParseOptions | undefined): AmqpUrl => {
  const known = parseScheme(scheme, options)
  const at = authority.indexOf("@")
  if (at !== authority.lastIndexOf("@")) fail("Syntax", "userinfo", `two @ stand before the path${reserved}`)
  const { host, port } = parseHostPort(authority.slice(at + 1), at < 0 && authority.includes(":") ? reserved : "")
  // Without a user, an @ further right means that a / or ? of the user name or password was not escaped: what we took
  // for a vhost or a name is the other half of a secret.
  if (at < 0 && authority.replace(/^\[.*\]/, "").includes(":") && path?.includes("@") === true) {
    fail("Syntax", "path", `holds an @ and no user name stands before the host: write it as %40${reserved}`)
  }
  const pairs = query === undefined ? [] : parseQuery(query)
  if (at < 0 && pairs.some(([name]) => name.includes("@"))) {
    fail("Syntax", "query", `holds an @ in a name, and no user name stands before the host${reserved}`)
  }
  const userinfo = at < 0 ? undefined : authority.slice(0, at)
  const colon = userinfo?.indexOf(":") ?? -1
  return new AmqpUrl({
    scheme: known,
    username: userinfo === undefined ? undefined : unescape(
      "username",
      colon < 0 ? userinfo : userinfo.slice(0, colon)
    ),
    password: userinfo === undefined || colon < 0 ?
      undefined :
      Redacted.make(unescape("password", userinfo.slice(colon + 1))),
    host,
    port,
    path,
    segments: path === undefined ? [] : path.split("/").map((segment) => unescape("path", segment)),
    query: pairs
  })
}

/**
 * Reads one URL.
 *
 * @since 0.1.0
 * @category decoding
 */
export const parse = (text: string, options?: ParseOptions): Either.Either<AmqpUrl, ParameterError> =>
  attempt(() => parseCut(cut(text), options))

// --- Lists ---

/** Where a list is cut: never inside the braces of a JSON value, which may hold anything. */
const splitOutsideJson = (text: string, isCut: (at: number) => boolean): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let start = 0
  let depth = 0
  let inText = false
  let inQuery = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (inText) {
      if (character === "\\") at += 1
      else if (character === "\"") inText = false
    } else if (depth > 0 && character === "\"") inText = true
    else if (character === "?") inQuery = true
    else if (inQuery && character === "{") depth += 1
    else if (inQuery && character === "}") depth -= 1
    else if (depth <= 0 && isCut(at)) {
      parts.push(text.slice(start, at))
      start = at + 1
      depth = 0
      inQuery = false
    }
  }
  parts.push(text.slice(start))
  return parts
}

/** The authorities of one URL. A comma before the first @ belongs to its user name or password. */
const splitAuthority = (authority: string): ReadonlyArray<string> => {
  const at = authority.indexOf("@")
  const [first = "", ...others] = authority.slice(at + 1).split(",")
  return [authority.slice(0, at + 1) + first, ...others]
}

/**
 * One member of a failover list. `bare`: only a host (and port, and user where it followed a comma) was written, so that
 * everything else is the first member's.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListMember {
  readonly url: AmqpUrl
  readonly bare: boolean
}

const parseMember = (
  text: string,
  options: ParseOptions | undefined
): ReadonlyArray<ListMember> => {
  if (text === "") return fail("Syntax", "url", "the list has an empty element")
  if (!text.includes("://")) {
    if (/[/?#@]/.test(text)) cut(text)
    return text.split(",").map((authority) => {
      if (authority === "") fail("Syntax", "url", "the list has an empty element")
      return { url: parseCut({ scheme: "amqp", authority, path: undefined, query: undefined }, options), bare: true }
    })
  }
  const whole = cut(text)
  const [first = "", ...others] = splitAuthority(whole.authority)
  const url = parseCut({ ...whole, authority: first }, options)
  return [
    { url, bare: false },
    ...others.map((authority) => {
      if (authority === "") fail("Syntax", "url", "the list has an empty element")
      const { host, password, port, username } = parseCut({ ...whole, authority, query: undefined }, options)
      // After a comma only the authority is new: path and query belong to all of them.
      return {
        url: new AmqpUrl({
          ...url,
          host,
          port,
          username: username ?? url.username,
          password: username === undefined ? url.password : password
        }),
        bare: false
      }
    })
  ]
}

/**
 * Reads a failover list: URLs and bare host names, cut at `;`, at a `,` between authorities
 * (`amqp://u:p@a,b:5673/v`) and at a `,` before a scheme.
 *
 * A `;` in a user name or password must be written `%3B` here. Nothing is cut inside the braces of a JSON value.
 *
 * @since 0.1.0
 * @category decoding
 */
export const parseList = (
  text: string,
  options?: ParseOptions
): Either.Either<readonly [ListMember, ...Array<ListMember>], ParameterError> =>
  attempt(() => {
    const beforeScheme = /,(?=[A-Za-z][A-Za-z0-9+.-]*:\/\/)/y
    const [first, ...others] = splitOutsideJson(text, (at) => {
      if (text[at] === ";") return true
      beforeScheme.lastIndex = at
      return text[at] === "," && beforeScheme.test(text)
    }).flatMap((part) => parseMember(part, options))
    return first === undefined ? fail("Syntax", "url", "the list is empty") : [first, ...others]
  })

// --- Printing ---

const printHost = (host: string): string => host.includes(":") ? `[${host.replace("%", "%25")}]` : escape("host", host)

const printWith = (url: AmqpUrl, password: string, value: (name: string, value: string) => string): string => {
  const user = url.username === undefined ? "" : escape("username", url.username)
  const userinfo = url.username === undefined ? "" : `${user}${password === "" && user !== "" ? "" : `:${password}`}@`
  const port = url.port === undefined || url.port === defaultPort(url.scheme) ? "" : `:${url.port}`
  const path = url.path === undefined ?
    "" :
    `/${url.segments.map((segment) => escape("path", segment)).join("/")}`
  const query = url.query.map(([name, text]) => `${escape("query", name)}=${value(name, text)}`).join("&")
  return `${url.scheme}://${userinfo}${printHost(url.host)}${port}${path}${query === "" ? "" : `?${query}`}`
}

/**
 * The canonical text, secrets included: a scheme's own port left out, everything escaped.
 *
 * Fails with `Unprintable` where a text is no Unicode (half a surrogate pair).
 *
 * @since 0.1.0
 * @category encoding
 */
export const print = (url: AmqpUrl): Either.Either<Redacted.Redacted, ParameterError> =>
  attempt(() =>
    Redacted.make(printWith(
      url,
      url.password === undefined ? "" : escape("password", Redacted.value(url.password)),
      escape
    ))
  )

const hideSecrets = (name: string, value: string): string | undefined =>
  /pass|secret|token|key|cert|ssl|cred/i.test(name) || value.includes("-----BEGIN") ? "**" : undefined

const wellFormed = (text: string): string => text.replaceAll(/\p{Surrogate}|\0/gu, "\uFFFD")

/**
 * The text for logs: `**` for the password and for every query value that may hold a secret. `hide` gives
 * what stands for a value that is not to be shown.
 *
 * @since 0.1.0
 * @category encoding
 */
export const display = (
  url: AmqpUrl,
  hide: (name: string, value: string) => string | undefined = hideSecrets
): string =>
  printWith(
    new AmqpUrl({
      ...url,
      username: url.username === undefined ? undefined : wellFormed(url.username),
      host: wellFormed(url.host),
      segments: url.segments.map(wellFormed),
      query: url.query.map(([name, value]) => [wellFormed(name), wellFormed(value)])
    }),
    url.password === undefined ? "" : "**",
    (name, value) => hide(name, value) ?? escape(name, value)
  )
