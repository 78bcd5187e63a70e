/**
 * 0-9-1's reading of a URL: which query names there are, in which unit each is written, what a path means; and back.
 * Code here throws `ParameterError`; the public module turns that into values.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import { AmqpUrl, ParameterError } from "../../AmqpUrl.ts"
import type { ListMember, ParseOptions } from "../../AmqpUrl.ts"
import type * as Credentials from "../../Credentials.ts"
import type { TcpOptions } from "../../Transport.ts"
import type { Draft, Fields, Mechanism } from "./connectionOptions.ts"
import { assignScalar, checkScheme, checkTable, checkTcp, checkVhost, merge, takeName } from "./connectionOptions.ts"
import { fail, parseJson, quote, unknown, unknownName } from "./connectionOptionsFault.ts"
import { same, scalarKeys, scalars, secondsToText } from "./connectionOptionsKinds.ts"
import type { Kind, Scalars } from "./connectionOptionsKinds.ts"
import { completeTls, noTls, printTls, tlsReaders } from "./connectionOptionsTls.ts"

/** @internal */
export interface ReadOptions {
  readonly lenient?: boolean | undefined
  readonly emptyPath?: "slash" | "empty" | undefined
}

/** kombu's names for the transport that is ours. @internal */
export const parseOptions: ParseOptions = {
  aliases: { pyamqp: "amqp", librabbitmq: "amqp", amqplib: "amqp", pika: "amqp" }
}

// --- Names ---

const camelCase = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const scalarOf = new Map(scalarKeys.flatMap((key) => scalars[key].names.map((name) => [name, key] as const)))

const others = ["client_properties", "tcp_options", "auth_mechanism", "login_method"] as const

/** Every name a URL may use, and the one it stands for. */
const canonical = new Map(
  [...scalarOf.keys(), ...Object.keys(tlsReaders), ...others].flatMap((name) =>
    [[name, name], [camelCase(name), name]] as const
  )
)

const idle = "belongs to AMQP 1.0; AMQP 0-9-1 has heartbeat"

const hints = new Map([["idle_timeout", idle], ["idleTimeout", idle]])

// --- Values ---

const mechanismNames: { readonly [name: string]: Mechanism } = {
  "plain": "plain",
  "amqplain": "amqplain",
  "external": "external",
  "anonymous": "anonymous",
  "rabbit-cr-demo": "rabbit-cr-demo"
}

const readMechanism = (name: string, text: string): Mechanism => {
  const lower = text.toLowerCase()
  const mechanism = Object.hasOwn(mechanismNames, lower) ? mechanismNames[lower] : undefined
  return mechanism ??
    fail("Value", name, `${quote(text)} not one of ${Object.keys(mechanismNames).join(", ")}`)
}

/** pika's keys, in seconds; what Node cannot set is said, not silently dropped. */
const readTcp = (name: string, text: string): { readonly tcp: TcpOptions | null; readonly warnings: Array<string> } => {
  const value = parseJson(name, text)
  if (value === null) return { tcp: null, warnings: [] }
  if (typeof value !== "object" || Array.isArray(value)) return fail("Value", name, "must be a JSON object or null")
  const warnings: Array<string> = []
  const count = (key: string, entry: unknown): number =>
    typeof entry === "number" && entry >= 0 && Number.isFinite(entry) ?
      entry :
      fail("Value", `${name}.${key}`, "must be a number, 0 or more")
  let noDelay: unknown
  let keepAlive: unknown
  for (const [key, entry] of Object.entries(value)) {
    switch (key) {
      case "noDelay":
        noDelay = entry
        break
      case "keepAlive":
        if (keepAlive !== undefined) fail("Contradiction", name, "has both keepAlive and TCP_KEEPIDLE")
        keepAlive = typeof entry === "boolean" ? entry : Duration.seconds(count(key, entry))
        break
      case "TCP_KEEPIDLE":
        if (keepAlive !== undefined) fail("Contradiction", name, "has both keepAlive and TCP_KEEPIDLE")
        keepAlive = Duration.seconds(count(key, entry))
        break
      case "TCP_KEEPINTVL":
      case "TCP_KEEPCNT":
      case "TCP_USER_TIMEOUT":
        count(key, entry)
        warnings.push(`${name}: ${key} has no effect, the operating system's value holds`)
        break
      default:
        unknownName(name, key, [
          "noDelay",
          "keepAlive",
          "TCP_KEEPIDLE",
          "TCP_KEEPINTVL",
          "TCP_KEEPCNT",
          "TCP_USER_TIMEOUT"
        ])
    }
  }
  // The probes' interval and count imply the probes, at the system's idle time.
  const implied = warnings.some((warning) => warning.includes("TCP_KEEP")) ? true : undefined
  return { tcp: checkTcp(name, { noDelay, keepAlive: keepAlive ?? implied }), warnings }
}

const readVhost = ({ path, segments }: AmqpUrl, emptyPath: ReadOptions["emptyPath"]): string | undefined => {
  if (path === undefined) return undefined
  const [first = "", ...rest] = segments
  if (rest.length === 0) return first === "" ? (emptyPath === "empty" ? "" : "/") : checkVhost(first)
  if (path === "/") return "/" // kombu's idiom amqp://host//
  return fail(
    "Syntax",
    "vhost",
    first === "" ?
      "a path that starts with two slashes: the vhost /app is written /%2Fapp" :
      "a path of more than one segment: a / in a vhost is written %2F"
  )
}

const setScalar = <K extends keyof Scalars>(
  draft: Draft,
  saidBy: Map<string, string>,
  key: K,
  written: string,
  text: string
): void => {
  const scalar = scalars[key]
  const kind: Kind<Exclude<Scalars[K], undefined>> = scalar.kinds?.[canonical.get(written) ?? written] ?? scalar.kind
  const value = kind.fromText(text)
  if (value === undefined) return fail("Value", written, `${quote(text)} not allowed: ${kind.allowed}`)
  const before = saidBy.get(key)
  if (before !== undefined && !Equal.equals(draft[key], value)) {
    fail("Contradiction", written, `contradicts ${before}`)
  }
  saidBy.set(key, written)
  assignScalar(draft, key, value)
}

/**
 * What one URL states.
 *
 * @internal
 */
export const read = (url: AmqpUrl, options: ReadOptions): Draft => {
  const warnings: Array<string> = []
  const draft: Draft = {
    scheme: checkScheme(url.scheme),
    host: url.host === "" ? undefined : url.host,
    port: url.port,
    vhost: readVhost(url, options.emptyPath),
    username: url.username,
    // A user without a password has an empty one.
    password: url.password ?? (url.username === undefined ? undefined : Redacted.make("")),
    warnings
  }
  // Without a user, an @ further right may be the end of a user name or password that was not escaped.
  const isShown = url.username !== undefined || !url.query.some(([, value]) => value.includes("@"))
  const seen = new Set<string>()
  const saidBy = new Map<string, string>()
  const mechanisms: Array<Mechanism> = []
  const tls = noTls()
  for (const [written, text] of url.query) {
    const name = canonical.get(written)
    if (name === undefined) {
      const hint = hints.get(written)
      const fault = hint === undefined ?
        unknown("query", written, canonical.keys(), isShown) :
        new ParameterError({ reason: "UnknownName", parameter: written, text: hint })
      if (options.lenient !== true) throw fault
      warnings.push(`${fault.parameter}: ${fault.text}`)
      continue
    }
    if (text === "") fail("Value", written, "has no value")
    const key = scalarOf.get(name)
    const reader = tlsReaders[name]
    // Two spellings of one name may agree; of a JSON value they are a repetition.
    const once = key === undefined && reader === undefined ? name : written
    if (seen.has(once) && name !== "auth_mechanism") fail("Repeated", written, "is given more than once")
    seen.add(once)
    if (key !== undefined) setScalar(draft, saidBy, key, written, text)
    else if (reader !== undefined) reader(tls, written, text)
    else if (name === "auth_mechanism") {
      const mechanism = readMechanism(written, text)
      if (!mechanisms.includes(mechanism)) mechanisms.push(mechanism)
    } else if (name === "login_method") draft.mechanisms = [readMechanism(written, text)]
    else if (name === "client_properties") draft.clientProperties = checkTable(written, parseJson(written, text))
    else {
      const read = readTcp(written, text)
      draft.tcp = read.tcp
      warnings.push(...read.warnings)
    }
  }
  takeName(draft, "client_properties")
  if (mechanisms.length > 0) {
    const [method] = draft.mechanisms ?? []
    if (method !== undefined && (mechanisms.length > 1 || mechanisms[0] !== method)) {
      fail("Contradiction", "login_method", "contradicts auth_mechanism")
    }
    draft.mechanisms = mechanisms
  }
  draft.tls = completeTls(url.scheme, tls)
  warnings.push(...tls.warnings)
  return draft
}

/** What a member does not say is the first one's, but for host and port. */
const inherit = (first: Draft, own: Draft): Draft => {
  // Who writes amqp: for one member means it plain, whatever TLS the first one asks for.
  const isPlain = own.scheme !== undefined && own.scheme !== "amqps" && first.scheme === "amqps"
  return merge({ ...first, port: undefined, host: undefined, tls: isPlain ? undefined : first.tls, warnings: [] }, own)
}

const unsaid = (member: ListMember, options: ReadOptions): Draft => {
  const draft = read(member.url, options)
  return member.bare ? { ...draft, scheme: undefined } : draft
}

/** A member of a list whose first one is there already. @internal */
export const readMember = (first: Draft, member: ListMember): Draft => inherit(first, unsaid(member, {}))

/**
 * What the members of a failover list state: each inherits from the first what it leaves out, but never its port.
 *
 * @internal
 */
export const readList = (
  members: readonly [ListMember, ...Array<ListMember>],
  options: ReadOptions
): readonly [Draft, ...Array<Draft>] => {
  const [firstMember, ...rest] = members
  const first = unsaid(firstMember, options)
  return [
    first,
    ...rest.map((member) => {
      const own = unsaid(member, options)
      const draft = inherit(first, own)
      const mixed = [
        ...(own.scheme === undefined || own.scheme === (first.scheme ?? "amqp") ? [] : ["scheme"]),
        ...((draft.vhost ?? "/") === (first.vhost ?? "/") ? [] : ["vhost"]),
        ...(draft.username === first.username ? [] : ["user"])
      ]
      return mixed.length === 0 ? draft : merge(draft, {
        warnings: [`url: this member of the failover list has another ${mixed.join(" and ")}`]
      })
    })
  ]
}

// --- Printing ---

/** What to do where no URL can say a value: fail, or show something. @internal */
export type OnUnprintable = (parameter: string, text: string) => string

const mechanismOf = (credentials: Credentials.Credentials, onUnprintable: OnUnprintable): string => {
  switch (credentials._tag) {
    case "Plain":
      return "plain"
    case "AmqPlain":
      return "amqplain"
    case "External":
      return "external"
    case "Anonymous":
      return "anonymous"
    case "RabbitCrDemo":
      return "rabbit-cr-demo"
    case "OAuth2":
      return onUnprintable("credentials", "a token has no place in a URL")
    case "Custom":
      return onUnprintable("credentials", `the mechanism ${credentials.mechanism} has no place in a URL`)
  }
}

interface User {
  readonly username: string | undefined
  readonly password: Redacted.Redacted | undefined
}

const nobody: User = { username: undefined, password: undefined }

const userOf = (credentials: Credentials.Credentials, onUnprintable: OnUnprintable): User | undefined => {
  switch (credentials._tag) {
    case "Plain":
    case "AmqPlain":
    case "RabbitCrDemo": {
      const { password, username } = credentials
      return {
        username,
        password: Redacted.isRedacted(password) ?
          password :
          Redacted.make(onUnprintable("password", "an Effect has no place in a URL"))
      }
    }
    case "OAuth2":
      return { username: credentials.username, password: Redacted.make("") }
    default:
      return undefined
  }
}

const isGuest = (user: User): boolean =>
  user.username === "guest" && user.password !== undefined && Redacted.value(user.password) === "guest"

const sameUser = (a: User, b: User): boolean => a.username === b.username && Equal.equals(a.password, b.password)

const printUser = (credentials: Fields["credentials"], onUnprintable: OnUnprintable): User => {
  const users = credentials.flatMap((entry) => userOf(entry, onUnprintable) ?? [])
  const [first, ...others] = users
  if (others.some((user) => first !== undefined && !sameUser(first, user))) {
    onUnprintable("credentials", "a URL has one user, and these are several")
  }
  const identities = credentials.flatMap((entry) => entry._tag === "External" ? [entry.identity] : [])
  if (credentials.some((entry) => entry._tag === "Anonymous" && entry.trace !== undefined)) {
    onUnprintable("credentials", "the trace of anonymous has no place in a URL")
  }
  const [identity] = identities
  if (identities.some((other) => other !== identity || (other !== undefined && first !== undefined))) {
    onUnprintable("credentials", "a URL has one user, and external has an identity of its own")
  }
  return first ?? { username: identity, password: undefined }
}

const isJson = (value: unknown): boolean => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true
    case "number":
      return Number.isFinite(value)
    case "object":
      if (value === null) return true
      if (Array.isArray(value)) return value.every(isJson)
      return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson)
    default:
      return false
  }
}

const printTcp = (tcp: TcpOptions): string => {
  const idle = tcp.keepAlive
  return JSON.stringify({
    ...(tcp.noDelay === undefined ? {} : { noDelay: tcp.noDelay }),
    ...(idle === undefined || idle === false ?
      {} :
      { keepAlive: Duration.equals(idle, Duration.zero) ? true : Number(secondsToText(idle)) })
  })
}

const printScalar = <K extends keyof Scalars>(
  fields: Scalars,
  key: K,
  first: Scalars | undefined,
  onUnprintable: OnUnprintable
): ReadonlyArray<readonly [string, string]> => {
  const scalar = scalars[key]
  const kind: Kind<Exclude<Scalars[K], undefined>> = scalar.kind
  const value = fields[key]
  if (Equal.equals(value, first === undefined ? scalar.default : first[key])) return []
  if (value === undefined) return [[scalar.names[0], onUnprintable(key, "no URL can take back the one inherited")]]
  // `undefined` went the line before.
  const text = kind.toText(value as Exclude<Scalars[K], undefined>)
  return [[scalar.names[0], text ?? onUnprintable(key, "a function has no place in a URL")]]
}

const printVhost = (
  vhost: string,
  unsaid: string,
  emptyPath: ReadOptions["emptyPath"],
  onUnprintable: OnUnprintable
): string | undefined => {
  if (vhost === unsaid) return undefined
  if (vhost === "" && emptyPath !== "empty") {
    onUnprintable("vhost", "a URL that ends in / means the vhost /, so that none means the empty one")
  }
  return vhost
}

const printCredentials = (fields: Fields, first: Fields | undefined, onUnprintable: OnUnprintable) => {
  const { credentials } = fields
  const isInherited = first !== undefined && same(credentials, first.credentials)
  const mechanisms = credentials.map((entry) => mechanismOf(entry, onUnprintable))
  if (new Set(mechanisms).size < mechanisms.length) {
    onUnprintable("credentials", "a URL has one user, and these are several")
  }
  const user = printUser(credentials, onUnprintable)
  if (isInherited) return { user: nobody, mechanisms: [] }
  if (first === undefined) {
    const isPlain = mechanisms.length === 1 && mechanisms[0] === "plain"
    return { user: isGuest(user) ? nobody : user, mechanisms: isPlain ? [] : mechanisms }
  }
  if (user.username === undefined && printUser(first.credentials, onUnprintable).username !== undefined) {
    onUnprintable("credentials", "no URL can take back the user inherited")
  }
  return { user, mechanisms }
}

/**
 * The canonical URL: defaults left out, the first name of each parameter, in the order of the tables. As a later member
 * of a failover list (`first` given) it leaves out what it inherits instead.
 *
 * @internal
 */
export const print = (
  fields: Fields,
  options: ReadOptions,
  onUnprintable: OnUnprintable,
  first?: Fields
): AmqpUrl => {
  const vhost = printVhost(fields.vhost, first?.vhost ?? "/", options.emptyPath, onUnprintable)
  const { mechanisms, user } = printCredentials(fields, first, onUnprintable)
  const printTable = () =>
    isJson(fields.clientProperties) ?
      JSON.stringify(fields.clientProperties) :
      onUnprintable("client_properties", "holds a value that JSON does not know")
  const inheritsTls = first !== undefined && first.tls !== undefined && fields.tls !== undefined
  const tls = fields.tls === undefined || (inheritsTls && same(fields.tls, first.tls))
    ? []
    : printTls(fields.tls, onUnprintable)
  return new AmqpUrl({
    ...user,
    scheme: fields.scheme,
    host: fields.host,
    port: fields.port,
    path: vhost,
    segments: vhost === undefined ? [] : [vhost],
    query: [
      ...mechanisms.map((name) => ["auth_mechanism", name] as const),
      ...scalarKeys.flatMap((key) => printScalar(fields, key, first, onUnprintable)),
      ...(same(fields.clientProperties, first?.clientProperties ?? {}) ?
        [] :
        [["client_properties", printTable()] as const]),
      ...(inheritsTls && tls.length === 0 && !same(fields.tls, first.tls) ? [["ssl_options", "{}"] as const] : tls),
      ...(same(fields.tcp, first?.tcp) ?
        [] :
        [["tcp_options", fields.tcp === undefined ? "null" : printTcp(fields.tcp)] as const])
    ]
  })
}

/** @internal */
export const printList = (
  list: readonly [Fields, ...Array<Fields>],
  options: ReadOptions,
  onUnprintable: OnUnprintable
): ReadonlyArray<AmqpUrl> => {
  const [first, ...others] = list
  return [
    print(first, options, onUnprintable),
    ...others.map((fields) => print(fields, options, onUnprintable, first))
  ]
}
