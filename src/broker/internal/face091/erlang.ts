/**
 * Field table values, as they are decoded without their exact types, as RabbitMQ prints them, which is how Erlang does.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as FieldTable from "../../../amqp091/FieldTable.ts"

/**
 * RabbitMQ's name of a value's type.
 *
 * @internal
 */
export const typeName = (value: unknown): string => {
  if (FieldTable.isTyped(value)) return value.type
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) ? value === (value | 0) ? "signedint" : "long" : "double"
    case "bigint":
      return "long"
    case "boolean":
      return "bool"
    case "string":
      return "longstr"
  }
  if (value === null) return "void"
  if (value instanceof Uint8Array) return "binary"
  if (DateTime.isDateTime(value)) return "timestamp"
  return Array.isArray(value) ? "array" : "table"
}

const decoder = new TextDecoder()

/**
 * A value in the middle of a text: text and bytes as they are, all else as a term.
 *
 * @internal
 */
export const bare = (value: unknown): string => {
  if (typeof value === "string") return value
  return value instanceof Uint8Array ? decoder.decode(value) : term(value)
}

/**
 * A value as a term. Long ones are not broken into lines, as Erlang would.
 *
 * @internal
 */
export const term = (value: unknown): string => {
  if (FieldTable.isTyped(value)) {
    return value.type === "decimal" ? `{${value.value.scale},${value.value.value}}` : String(value.value)
  }
  if (value === null) return "undefined"
  if (typeof value === "string" || value instanceof Uint8Array) {
    const text = bare(value)
    return text === "" ? "<<>>" : `<<"${text.replaceAll(/["\\]/g, "\\$&")}">>`
  }
  if (DateTime.isDateTime(value)) return String(Math.floor(DateTime.toEpochMillis(value) / 1000))
  if (Array.isArray(value)) {
    return `[${value.map((each: unknown) => `{${typeName(each)},${term(each)}}`).join(",")}]`
  }
  if (typeof value !== "object") return String(value)
  return `[${Object.entries(value).map(([name, each]) => `{${term(name)},${typeName(each)},${term(each)}}`).join(",")}]`
}
