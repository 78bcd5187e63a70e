/**
 * Field tables as the model's arguments: what names its wire type has RabbitMQ's name of it there.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Predicate from "effect/Predicate"
import * as FieldTable from "../../../amqp091/FieldTable.ts"
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import { typed } from "../../../amqp091/internal/rawProperties.ts"
import type { Arguments, TypeName } from "../../Model.ts"
import { Typed } from "../../Model.ts"

const names: Record<FieldTable.Typed["type"], TypeName> = {
  int8: "byte",
  uint8: "unsignedbyte",
  int16: "short",
  uint16: "unsignedshort",
  int32: "signedint",
  uint32: "unsignedint",
  int64: "long",
  // RabbitMQ reads `L` as it reads `l`, sign included.
  uint64: "long",
  float: "float",
  double: "double",
  decimal: "decimal",
  timestamp: "timestamp",
  longstr: "longstr"
}

const isList = (value: FieldTable.Value): value is ReadonlyArray<FieldTable.Value> => Array.isArray(value)

type Whole = null | Uint8Array | DateTime.DateTime | FieldTable.JsDate

/** An object that neither names its type nor holds other values. */
const isWhole = (value: FieldTable.Value & (object | null)): value is Whole =>
  value === null || value instanceof Uint8Array || DateTime.isDateTime(value) || Predicate.isDate(value)

const argumentOf = (value: FieldTable.Value | undefined): unknown => {
  if (typeof value !== "object" || isWhole(value)) return value
  if (FieldTable.isTyped(value)) {
    return new Typed(names[value.type], value.type === "uint64" ? BigInt.asIntN(64, BigInt(value.value)) : value.value)
  }
  return isList(value) ? value.map(argumentOf) : argumentsOf(value)
}

/** Of a table that was decoded `typed`. @internal */
export const argumentsOf = (table: FieldTable.FieldTable): Arguments =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [name, argumentOf(value)]))

/** What is compared by value alone, and the same without its type. */
const isPlain = (value: FieldTable.Value | undefined): boolean =>
  typeof value === "object" ? isWhole(value) : typeof value !== "bigint"

/** The headers of a message, with types where a headers exchange could ask for them. @internal */
export const headersOf = (properties: RawProperties): Arguments | undefined => {
  const { headers } = properties.decoded
  if (headers === undefined || Object.values(headers).every(isPlain)) return headers
  return argumentsOf(typed(properties).headers ?? {})
}
