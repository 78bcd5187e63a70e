/**
 * How a parameter is refused: by name, with its value only where that cannot be a secret, and with what is allowed.
 *
 * @since 0.1.0
 */
import { ParameterError } from "../../AmqpUrl.ts"
import type { ParameterReason } from "../../AmqpUrl.ts"
import { nearest } from "../../internal/names.ts"

/** @internal */
export const fail = (reason: ParameterReason, parameter: string, text: string): never => {
  throw new ParameterError({ reason, parameter, text })
}

/**
 * A value and its verb: short, and never one that may be half of a mangled URL.
 *
 * @internal
 */
export const quote = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return `${String(value)} is`
  if (typeof value !== "string" || value.includes("@") || value.includes("://")) return "the value is"
  return `${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)} is`
}

/**
 * A name nobody knows, with those that are near; `isShown` is false where it may be half of a secret.
 *
 * @internal
 */
export const unknown = (
  parameter: string,
  name: string,
  known: Iterable<string>,
  isShown = true
): ParameterError => {
  const near = isShown ? nearest(name, known) : []
  const shown = isShown && /^[A-Za-z0-9_.-]{1,40}$/.test(name) ? `"${name}"` : "a name in it"
  const hint = near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`
  return new ParameterError({ reason: "UnknownName", parameter, text: `${shown} is not known${hint}` })
}

/** @internal */
export const unknownName = (parameter: string, name: string, known: Iterable<string>): never => {
  throw unknown(parameter, name, known)
}

/** @internal */
export const parseJson = (name: string, text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return fail("Value", name, "is no JSON")
  }
}
