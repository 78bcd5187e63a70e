/**
 * What a binding at a headers exchange asks of a message's headers, and whether they fit.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { sameHeader } from "./arguments.ts"

interface Match {
  /** One header is enough, else all must fit. */
  readonly any: boolean
  /** Arguments whose names start with `x-` ask too, but for `x-match`. */
  readonly extended: boolean
}

const matches = new Map<unknown, Match>([
  [undefined, { any: false, extended: false }],
  ["all", { any: false, extended: false }],
  ["any", { any: true, extended: false }],
  ["all-with-x", { any: false, extended: true }],
  ["any-with-x", { any: true, extended: true }]
])

/**
 * Why a headers exchange takes no binding with these arguments, if so.
 *
 * @internal
 */
export const unknownMatch = (args: Model.Arguments): Model.Refusal | undefined => {
  const received = args["x-match"]
  return matches.has(received) ? undefined : { _tag: "UnknownMatch", received }
}

const fit = (headers: Model.Arguments) => ([name, value]: readonly [string, unknown]): boolean =>
  Object.hasOwn(headers, name) && (value === null || sameHeader(value, headers[name]))

/**
 * Compiled once a binding. No argument at all fits every message, unless one of none is asked for.
 *
 * @internal
 */
export const fits = (args: Model.Arguments): (headers: Model.Arguments) => boolean => {
  const { any, extended } = matches.get(args["x-match"]) ?? { any: false, extended: false }
  const asked = Object.entries(args).filter(([name]) => name !== "x-match" && (extended || !name.startsWith("x-")))
  return any ? (headers) => asked.some(fit(headers)) : (headers) => asked.every(fit(headers))
}
