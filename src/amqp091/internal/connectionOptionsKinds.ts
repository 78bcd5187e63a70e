/**
 * The parameters that are one value each: their kinds, units, ranges, names in a URL and defaults.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import { fail } from "./connectionOptionsFault.ts"

/** @internal */
export const failovers = ["in-order", "round-robin", "shuffle", "random", "priority"] as const

/** @internal */
export type Failover = typeof failovers[number]

/** @internal */
export type HeartbeatChoice = (serverValue: Duration.Duration) => Duration.Duration

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

/** @internal */
export const octets = (text: string): number => new TextEncoder().encode(text).length

/** @internal */
export const integer = (min: number, max: number): Kind<number> => {
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

/** What twelve digits of seconds can say: some thirty thousand years. */
const longest = Duration.seconds(999_999_999_999)

const seconds = (min: "zero" | "positive"): Kind<Duration.Duration> => {
  const inRange = (value: Duration.Duration | undefined) =>
    value !== undefined && Duration.lessThanOrEqualTo(value, longest) &&
      (min === "zero" || Duration.greaterThan(value, Duration.zero)) ?
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

/** @internal */
export const chooseHeartbeat = (choice: Scalars["heartbeat"], serverSeconds: number): number => {
  if (choice === null) return serverSeconds
  const chosen = typeof choice === "function" ?
    wholeSeconds(duration(choice(Duration.seconds(serverSeconds)))) :
    choice
  return chosen === undefined ?
    fail("Value", "heartbeat", "the function must give whole seconds from 0 to 65535, as a Duration") :
    Duration.toSeconds(chosen)
}

// --- Values ---

/** @internal */
export const isPlain = (value: unknown): value is { readonly [key: string]: unknown } => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

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
