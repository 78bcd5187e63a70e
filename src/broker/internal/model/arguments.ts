/**
 * What the values of arguments are, and when two are the same.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Model from "../../Model.ts"
import { Typed, type TypeName } from "../../model/typed.ts"

const notInteger = new Set<TypeName>(["float", "double", "decimal", "timestamp", "longstr"])

const isInteger = (value: unknown): value is number | bigint => typeof value === "bigint" || Number.isInteger(value)

/** The whole number that a value is; a float never is one. @internal */
export const integerOf = (value: unknown): number | bigint | undefined => {
  if (!(value instanceof Typed)) return isInteger(value) ? value : undefined
  return !notInteger.has(value.type) && isInteger(value.value) ? value.value : undefined
}

const lenient = new TextDecoder()

/** The text that a value is; bytes that are not called text are none. @internal */
export const textOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (!(value instanceof Typed) || value.type !== "longstr") return undefined
  return value.value instanceof Uint8Array ? lenient.decode(value.value) : textOf(value.value)
}

const isFloat = (value: unknown): boolean =>
  value instanceof Typed
    ? value.type === "float" || value.type === "double"
    : typeof value === "number" && !Number.isInteger(value)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** A record without a prototype is one like any other. */
const kindOf = (value: object): unknown => Object.getPrototypeOf(value) ?? Object.prototype

/**
 * Structural: types count where they are named, plain integers are equal by value, bytes and lists element by element,
 * records by their own keys in their order, as RabbitMQ's tables are.
 *
 * @internal
 */
export const sameValue = (left: unknown, right: unknown): boolean => {
  if (Object.is(left, right)) return true
  // oxlint-disable-next-line eqeqeq -- the one comparison that knows 1 and 1n as equal, and 0 and -0
  if (isInteger(left) && isInteger(right)) return left == right
  if (!isRecord(left) || !isRecord(right)) return false
  if (kindOf(left) !== kindOf(right)) return false
  const keys = Object.keys(right)
  return keys.length === Object.keys(left).length &&
    Object.keys(left).every((key, index) => keys[index] === key && sameValue(left[key], right[key]))
}

/** The same by `sameValue`, in any order. @internal */
export const sameArguments = (left: Model.Arguments, right: Model.Arguments): boolean => {
  const names = Object.keys(left)
  return names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && sameValue(left[name], right[name]))
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decoded = (bytes: Uint8Array): string | Uint8Array => {
  try {
    return decoder.decode(bytes)
  } catch {
    return bytes
  }
}

// To Erlang an empty table is an empty list.
const nothing: ReadonlyArray<unknown> = []

const bare = (value: unknown): unknown => {
  if (value instanceof Typed) return bare(value.value)
  if (value instanceof Uint8Array) return decoded(value)
  if (DateTime.isDateTime(value)) return Math.floor(DateTime.toEpochMillis(value) / 1000)
  return isRecord(value) && Object.keys(value).length === 0 ? nothing : value
}

/**
 * The same but for its type, as RabbitMQ compares headers: numbers of all widths, text and the bytes it is made of, a time
 * and its seconds. Within lists and tables types count.
 *
 * @internal
 */
export const sameHeader = (left: unknown, right: unknown): boolean => sameValue(bare(left), bare(right))

/** The same, but no float is an integer: so RabbitMQ compares what is declared. */
const sameDeclared = (left: unknown, right: unknown): boolean =>
  isFloat(left) === isFloat(right) && sameHeader(left, right)

/**
 * The first of the named arguments in which a declaration differs from what exists.
 *
 * @internal
 */
export const differing = (
  names: ReadonlyArray<string>,
  current: Model.Arguments,
  received: Model.Arguments
): string | undefined => names.find((name) => !sameDeclared(current[name], received[name]))
