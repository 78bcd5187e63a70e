/**
 * Values of arguments as RabbitMQ prints them, which is how Erlang does.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import { Typed } from "../../Model.ts"

/**
 * RabbitMQ's name of a value's type.
 *
 * @internal
 */
export const typeName = (value: unknown): string => {
  if (value instanceof Typed) return value.type
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

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const escapes: Record<string, string> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\u001b": "\\e",
  "\"": "\\\"",
  "\\": "\\\\"
}

// Of Latin-1, whatever the octets mean.
const isPrintable = (octet: number): boolean =>
  (octet >= 0x20 && octet < 0x7f) || octet >= 0xa0 || (octet >= 0x08 && octet <= 0x0d) || octet === 0x1b

/** Octets in quotes, or as numbers where Erlang sees no text in them. */
const characters = (octets: Uint8Array): string =>
  octets.length > 0 && octets.every(isPrintable)
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    ? `"${decoder.decode(octets).replaceAll(/[\b\t\n\v\f\r\u001b"\\]/g, (character) => escapes[character] ?? "")}"`
    : octets.join(",")

/**
 * A text of the broker's own as a term.
 *
 * @internal
 */
export const quoted = (text: string): string => {
  const printed = characters(encoder.encode(text))
  return printed.startsWith("\"") ? printed : `[${printed}]`
}

/**
 * A value in the middle of a text: text and bytes as they are, all else as a term.
 *
 * @internal
 */
export const bare = (value: unknown): string => {
  const text = value instanceof Typed && value.type === "longstr" ? value.value : value
  if (typeof text === "string") return text
  return text instanceof Uint8Array ? decoder.decode(text) : term(value)
}

// Above it not every whole number is a float.
const exact = 2 ** 53

/** The shorter of the two ways to write it, always with a point. */
const float = (value: number): string => {
  // Erlang has no such floats; RabbitMQ hangs up on them.
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  const [digits = "", exponent] = size.toExponential().split("e")
  const scientific = `${digits.includes(".") ? digits : `${digits}.0`}e${Number(exponent)}`
  const decimal = Number.isInteger(size) ? `${size}.0` : String(size)
  const isShorter = size < exact && !decimal.includes("e") && decimal.length <= scientific.length
  return `${value < 0 || Object.is(value, -0) ? "-" : ""}${isShorter ? decimal : scientific}`
}

const isDecimal = (value: unknown): value is { readonly scale: number; readonly value: number } =>
  typeof value === "object" && value !== null && "scale" in value && "value" in value

/**
 * A value as a term. Long ones are not broken into lines, as Erlang would.
 *
 * @internal
 */
export const term = (value: unknown): string => {
  if (value instanceof Typed) {
    if (isDecimal(value.value)) return `{${value.value.scale},${value.value.value}}`
    return typeof value.value === "number" && (value.type === "float" || value.type === "double")
      ? float(value.value)
      : term(value.value)
  }
  if (value === null) return "undefined"
  if (typeof value === "string") return `<<${characters(encoder.encode(value))}>>`
  if (value instanceof Uint8Array) return `<<${characters(value)}>>`
  if (DateTime.isDateTime(value)) return String(Math.floor(DateTime.toEpochMillis(value) / 1000))
  if (Array.isArray(value)) {
    return `[${value.map((each: unknown) => `{${typeName(each)},${term(each)}}`).join(",")}]`
  }
  if (typeof value === "number" && !Number.isInteger(value)) return float(value)
  if (typeof value !== "object") return String(value)
  return `[${Object.entries(value).map(([name, each]) => `{${term(name)},${typeName(each)},${term(each)}}`).join(",")}]`
}
