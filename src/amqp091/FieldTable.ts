/**
 * Field tables: what headers, arguments and client properties are made of. Plain JavaScript values choose their wire
 * type by themselves; {@link Typed} ones name it. The types are those RabbitMQ reads, which are not all of the
 * specification's: `s` is a 16-bit integer, not a short text. Calls throw `FrameError`; the Schemas fail with it inside.
 *
 * @since 0.1.0
 */
import type * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import type * as FastCheck from "effect/FastCheck"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { FrameError } from "../AmqpError.ts"
import type { ByteReader } from "../wire/ByteReader.ts"
import { ByteWriter } from "../wire/ByteWriter.ts"
import { WireTypeId } from "../wire/Compiler.ts"
import * as Bytes from "../wire/FromBytes.ts"
import * as Limits from "../wire/Limits.ts"
import type { Typed } from "./table/typed.ts"
import {
  decimal,
  double,
  float,
  int16,
  int32,
  int64,
  int8,
  isTyped,
  longstr,
  timestamp,
  uint16,
  uint32,
  uint64,
  uint8
} from "./table/typed.ts"

export * from "./table/typed.ts"

/**
 * JavaScript's own date; written like a `DateTime`, in whole seconds. Never what a decode yields.
 *
 * @since 0.1.0
 * @category models
 */
export type JsDate = Parameters<typeof DateTime.unsafeFromDate>[0]

/**
 * One value of a field table.
 *
 * A number is written as `I` where it is a whole number of 32 bits, as `l` where it is a larger exact one, else as the
 * double `d`; a bigint as `l`; text as `S`; a boolean as `t`; `null` as `V`; a date as `T`, in whole seconds (the rest
 * is cut off); bytes as `x`; an array as `A`; an object as the table `F`.
 *
 * @since 0.1.0
 * @category models
 */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | DateTime.DateTime
  | JsDate
  | Typed
  | ReadonlyArray<Value>
  | FieldTable

/**
 * Values by name. An `undefined` one is left out; names have up to 255 octets (the 128 characters that 0-9-1 §4.2.5.5 asks
 * for are nobody's limit, and not warned of). Order is that of the object's own keys,
 * which puts whole numbers first; of entries with one name the last wins.
 *
 * @example
 * ```ts
 * import { FieldTable } from "effect-amqp/amqp091"
 *
 * const headers: FieldTable.FieldTable = { retries: 3, tenant: "acme", weight: FieldTable.uint8(7), list: [1, null] }
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface FieldTable {
  readonly [key: string]: Value | undefined
}

/**
 * How tables are read.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecodeOptions {
  /**
   * `plain`: numbers are JavaScript numbers where that is exact, else bigints. `typed`: every number is a {@link Typed}
   * value and so keeps its wire type, for relays. Default: `plain`.
   *
   * Both: `S` is text where it is UTF-8 (else bytes, when plain), `T` a `DateTime.Utc` where it can be one, `D` typed.
   */
  readonly decode?: "plain" | "typed" | undefined
  /** Default: {@link Limits.defaults}. */
  readonly limits?: Limits.Limits | undefined
}

const T = {
  bool: 0x74,
  int8: 0x62,
  uint8: 0x42,
  int16: 0x73,
  uint16: 0x75,
  int32: 0x49,
  uint32: 0x69,
  int64: 0x6c,
  uint64: 0x4c,
  float: 0x66,
  double: 0x64,
  decimal: 0x44,
  longstr: 0x53,
  array: 0x41,
  timestamp: 0x54,
  table: 0x46,
  void: 0x56,
  bytes: 0x78
} as const

/**
 * Appends a table with its length in front. Throws `FrameError`: `Value` (a function, a symbol, half a surrogate pair),
 * `Range`, `Length` (a name above 255 octets), `Depth` (cycles included), `Entries`.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (writer: ByteWriter, table: FieldTable, limits: Limits.Limits = Limits.defaults): void => {
  if (writer.field === "") writer.field = "table"
  writer.depth = 0
  writer.entries = 0
  writeTable(writer, table, limits)
}

const writeTable = (writer: ByteWriter, table: FieldTable, limits: Limits.Limits): void => {
  if (!isPlain(table)) writer.fail("Value", "must be a plain object")
  const at = writer.length
  writer.long(0)
  const keys = Object.keys(table)
  if (keys.length > 0) {
    const depth = enter(writer, limits)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const value = table[key]
      if (value === undefined) continue
      countEntry(writer, limits)
      writer.path[depth] = key
      writer.shortstr(key)
      writeValue(writer, value, limits)
    }
    writer.depth = depth
  }
  writer.setLong(at, writer.length - at - 4)
}

// A Map, a Redacted or an Option would become an empty table, and nobody would notice. Also holds for other realms.
const isPlain = (u: unknown): boolean => {
  if (typeof u !== "object" || u === null) return false
  const prototype: unknown = Object.getPrototypeOf(u)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

const writeArray = (writer: ByteWriter, values: ReadonlyArray<Value>, limits: Limits.Limits): void => {
  const at = writer.length
  writer.long(0)
  const depth = enter(writer, limits)
  for (let i = 0; i < values.length; i++) {
    countEntry(writer, limits)
    writer.path[depth] = i
    const value = values[i]
    // A hole and an `undefined` keep their place.
    writeValue(writer, value === undefined ? null : value, limits)
  }
  writer.depth = depth
  writer.setLong(at, writer.length - at - 4)
}

const enter = (at: ByteReader | ByteWriter, limits: Limits.Limits): number => {
  const depth = at.depth
  if (depth >= limits.maxTableDepth) at.fail("Depth", `nests deeper than ${limits.maxTableDepth}`)
  at.path[depth] = ""
  at.depth = depth + 1
  return depth
}

const countEntry = (at: ByteReader | ByteWriter, limits: Limits.Limits): void => {
  if (++at.entries > limits.maxTableEntries) at.fail("Entries", `has more than ${limits.maxTableEntries} entries`)
}

const writeValue = (writer: ByteWriter, value: Value, limits: Limits.Limits): void => {
  switch (typeof value) {
    case "string":
      writer.octet(T.longstr)
      return writer.longstr(value)
    case "number":
      // The sign of -0 would be lost in an integer.
      if ((value | 0) === value && !Object.is(value, -0)) {
        writer.octet(T.int32)
        return writer.int32(value)
      }
      if (Number.isSafeInteger(value) && value !== 0) {
        writer.octet(T.int64)
        return writer.int64(value)
      }
      writer.octet(T.double)
      return writer.double(value)
    case "boolean":
      writer.octet(T.bool)
      return writer.octet(value ? 1 : 0)
    case "bigint":
      writer.octet(T.int64)
      return writer.int64(value)
    case "object":
      return writeObject(writer, value, limits)
    default:
      return writer.fail("Value", `a ${typeof value} has no wire type`)
  }
}

const writeObject = (
  writer: ByteWriter,
  value: Exclude<Value, string | number | bigint | boolean>,
  limits: Limits.Limits
) => {
  if (value === null) return writer.octet(T.void)
  if (value instanceof Uint8Array) {
    writer.octet(T.bytes)
    return writer.longstr(value)
  }
  if (isArray(value)) {
    writer.octet(T.array)
    return writeArray(writer, value, limits)
  }
  if (isTyped(value)) return writeTyped(writer, value)
  if (DateTime.isDateTime(value)) return writeSeconds(writer, DateTime.toEpochMillis(value))
  if (Predicate.isDate(value)) return writeSeconds(writer, value.getTime())
  writer.octet(T.table)
  return writeTable(writer, value, limits)
}

const isArray = (value: Value): value is ReadonlyArray<Value> => Array.isArray(value)

const writeSeconds = (writer: ByteWriter, millis: number): void => {
  writer.octet(T.timestamp)
  writer.longlong(Math.floor(millis / 1000))
}

const writeTyped = (writer: ByteWriter, typed: Typed): void => {
  const code = Object.hasOwn(T, typed.type) ? T[typed.type] : writer.fail("Value", "has an unknown wire type")
  writer.octet(code)
  switch (typed.type) {
    case "int8":
      return writer.int8(typed.value)
    case "uint8":
      return writer.octet(typed.value)
    case "int16":
      return writer.int16(typed.value)
    case "uint16":
      return writer.short(typed.value)
    case "int32":
      return writer.int32(typed.value)
    case "uint32":
      return writer.long(typed.value)
    case "int64":
      return writer.int64(typed.value)
    case "uint64":
    case "timestamp":
      return writer.uint64(typed.value)
    case "float":
      return writer.float(typed.value)
    case "double":
      return writer.double(typed.value)
    case "longstr":
      return writer.longstr(typed.value)
    case "decimal":
      if (!isPlain(typed.value)) return writer.fail("Value", "must be a scale and a value")
      writer.octet(typed.value.scale)
      return writer.long(typed.value.value)
    default:
      return writer.fail("Value", "has an unknown wire type")
  }
}

/**
 * Reads a table with its length in front. Throws `FrameError`: `Truncated`, `FieldType`, `Depth`, `Entries`. What it
 * returns holds nothing of the reader's bytes.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (reader: ByteReader, options: DecodeOptions = {}): FieldTable => {
  if (reader.field === "") reader.field = "table"
  reader.depth = 0
  reader.entries = 0
  return readTable(reader, options.decode === "typed", options.limits ?? Limits.defaults)
}

const readTable = (reader: ByteReader, typed: boolean, limits: Limits.Limits): FieldTable => {
  const outer = narrow(reader)
  const table: Record<string, Value> = {}
  if (reader.remaining > 0) {
    const depth = enter(reader, limits)
    while (reader.remaining > 0) {
      countEntry(reader, limits)
      const key = reader.shortstr()
      reader.path[depth] = key
      const value = readValue(reader, typed, limits)
      if (key === "__proto__") {
        // An assignment would set the prototype.
        Object.defineProperty(table, key, { value, writable: true, enumerable: true, configurable: true })
      } else {
        table[key] = value
      }
    }
    reader.depth = depth
  }
  reader.end = outer
  return table
}

const readArray = (reader: ByteReader, typed: boolean, limits: Limits.Limits): ReadonlyArray<Value> => {
  const outer = narrow(reader)
  const values: Array<Value> = []
  const depth = enter(reader, limits)
  while (reader.remaining > 0) {
    countEntry(reader, limits)
    reader.path[depth] = values.length
    values.push(readValue(reader, typed, limits))
  }
  reader.depth = depth
  reader.end = outer
  return values
}

// Nothing inside a table reads beyond it: the end moves in, and the caller moves it back.
const narrow = (reader: ByteReader): number => {
  const size = reader.long()
  reader.need(size)
  const outer = reader.end
  reader.end = reader.offset + size
  return outer
}

const readValue = (reader: ByteReader, typed: boolean, limits: Limits.Limits): Value => {
  const code = reader.octet()
  switch (code) {
    case T.longstr: {
      const size = reader.long()
      const text = reader.strictText(size)
      if (text !== undefined) return text
      const bytes = reader.copy(size)
      return typed ? longstr(bytes) : bytes
    }
    case T.int32:
      return typed ? int32(reader.int32()) : reader.int32()
    case T.bool:
      return reader.octet() !== 0
    case T.int64:
      return typed ? int64(reader.int64()) : reader.int64()
    case T.double:
      return typed ? double(reader.double()) : reader.double()
    case T.timestamp:
      return readTimestamp(reader)
    case T.table:
      return readTable(reader, typed, limits)
    case T.array:
      return readArray(reader, typed, limits)
    case T.void:
      return null
    case T.bytes:
      return reader.longbytes()
    case T.int8:
      return typed ? int8(reader.int8()) : reader.int8()
    case T.uint8:
      return typed ? uint8(reader.octet()) : reader.octet()
    case T.int16:
      return typed ? int16(reader.int16()) : reader.int16()
    case T.uint16:
      return typed ? uint16(reader.short()) : reader.short()
    case T.uint32:
      return typed ? uint32(reader.long()) : reader.long()
    case T.uint64:
      return typed ? uint64(reader.uint64()) : reader.uint64()
    case T.float:
      return typed ? float(reader.float()) : reader.float()
    case T.decimal: {
      const scale = reader.octet()
      return decimal(scale, reader.long())
    }
    default:
      return reader.fail("FieldType", `has the unknown type 0x${code.toString(16).padStart(2, "0")}`, reader.offset - 1)
  }
}

// The last second that a date can hold.
const maxDateSeconds = 8.64e12

const readTimestamp = (reader: ByteReader): Value => {
  const seconds = reader.uint64()
  return typeof seconds === "number" && seconds <= maxDateSeconds
    ? DateTime.unsafeMake(seconds * 1000)
    : timestamp(seconds)
}

/**
 * Whether a value can be written as a table: an object of which every value has a wire type that holds it, within
 * {@link Limits.defaults}.
 *
 * @since 0.1.0
 * @category guards
 */
export const isFieldTable = (u: unknown): u is FieldTable => {
  try {
    // The encoder judges whatever it is given: it refuses what is no table by the same rules as a wrong value in one.
    encode(new ByteWriter(256), u as FieldTable)
    return true
  } catch (error) {
    if (error instanceof FrameError) return false
    throw error
  }
}

// Values that a plain decode yields again as they are.
const arbitrary: Arbitrary.LazyArbitrary<FieldTable> = (fc) => {
  const seconds = fc.integer({ min: 0, max: maxDateSeconds })
  const scalar: FastCheck.Arbitrary<Value> = fc.oneof(
    fc.fullUnicodeString(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array(),
    seconds.map((value) => DateTime.unsafeMake(value * 1000)),
    fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xffffffff })).map(([scale, value]) =>
      decimal(scale, value)
    )
  )
  const key = fc.oneof(
    fc.fullUnicodeString({ maxLength: 63 }),
    fc.constantFrom("__proto__", "x-match", "toString", "0")
  )
  const table = (value: FastCheck.Arbitrary<Value>) =>
    fc.array(fc.tuple(key, value), { maxLength: 5 }).map((entries): FieldTable => Object.fromEntries(entries))
  const nested = fc.oneof(scalar, fc.array(scalar, { maxLength: 4 }), table(scalar))
  return table(fc.oneof(scalar, nested, fc.array(nested, { maxLength: 3 }), table(nested)))
}

/**
 * A field table as it stands in a program.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FieldTable: Schema.Schema<FieldTable> = Schema.declare(isFieldTable).annotations({
  identifier: "FieldTable",
  description: "an object whose values all have a wire type",
  arbitrary: () => arbitrary,
  [WireTypeId]: "table"
})

/**
 * A field table as bytes, its length in front.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromBytes: Schema.Schema<FieldTable, Uint8Array> = Bytes.make("FieldTableFromBytes", FieldTable, {
  decode: (reader) => decode(reader),
  encode: (writer, table) => encode(writer, table)
})
