/**
 * When two argument values are the same.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Model from "../../Model.ts"

/** @internal */
export const isInteger = (value: unknown): value is number | bigint =>
  typeof value === "bigint" || Number.isInteger(value)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** A record without a prototype is one like any other. */
const kindOf = (value: object): unknown => Object.getPrototypeOf(value) ?? Object.prototype

/**
 * Structural: integers by value whatever their width, bytes and lists element by element, records by their own keys.
 *
 * @internal
 */
export const sameValue = (left: unknown, right: unknown): boolean => {
  if (Object.is(left, right)) return true
  // oxlint-disable-next-line eqeqeq -- the one comparison that knows 1 and 1n as equal
  if (isInteger(left) && isInteger(right)) return left == right
  if (!isRecord(left) || !isRecord(right)) return false
  if (kindOf(left) !== kindOf(right)) return false
  const keys = Object.keys(left)
  return keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameValue(left[key], right[key]))
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | Uint8Array => {
  try {
    return decoder.decode(bytes)
  } catch {
    return bytes
  }
}

const bare = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? textOf(value)
    : DateTime.isDateTime(value)
    ? Math.floor(DateTime.toEpochMillis(value) / 1000)
    : value

/**
 * The same but for its type, as RabbitMQ compares: text and the bytes it is made of, a time and its seconds.
 *
 * @internal
 */
export const sameArgument = (left: unknown, right: unknown): boolean => sameValue(bare(left), bare(right))

/**
 * The first of the named arguments in which a declaration differs from what exists.
 *
 * @internal
 */
export const differing = (
  names: ReadonlyArray<string>,
  current: Model.Arguments,
  received: Model.Arguments
): string | undefined => names.find((name) => !sameArgument(current[name], received[name]))
