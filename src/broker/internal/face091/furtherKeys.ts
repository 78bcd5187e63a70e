/**
 * The headers CC and BCC, by which a publisher names further routing keys (RabbitMQ's sender-selected distribution).
 *
 * @since 0.1.0
 */
import type * as FieldTable from "../../../amqp091/FieldTable.ts"
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import { rewrite, typed } from "../../../amqp091/internal/rawProperties.ts"
import { ReplyCode } from "../../../amqp091/Method.ts"
import { argumentsOf } from "./arguments.ts"
import { typeName } from "./erlang.ts"
import { type Fault, fault } from "./refusals.ts"

const isList = (value: FieldTable.Value): value is ReadonlyArray<FieldTable.Value> => Array.isArray(value)

/**
 * The keys that a message's headers name. What in a list is no text is passed over, as RabbitMQ does.
 *
 * @internal
 */
export const furtherKeys = (properties: RawProperties): ReadonlyArray<string> | Fault | undefined => {
  const { headers } = properties.decoded
  if (headers === undefined) return undefined
  let keys: ReadonlyArray<string> | undefined
  for (const header of ["CC", "BCC"]) {
    const value = headers[header]
    if (value === undefined) continue
    if (!isList(value)) {
      const type = typeName(argumentsOf(typed(properties).headers ?? {})[header])
      const reason = `invalid message: {unacceptable_type_in_header,"${header}",${type}}`
      return fault(ReplyCode.preconditionFailed, reason)
    }
    const named = value.filter((key) => typeof key === "string")
    keys = keys === undefined ? named : [...keys, ...named]
  }
  return keys
}

const without = (headers: FieldTable.FieldTable): FieldTable.FieldTable => {
  const { BCC: _, ...others } = headers
  return others
}

/**
 * The same properties without BCC, which no receiver may see. All else stays as it came, types included.
 *
 * @internal
 */
export const withoutBcc = (properties: RawProperties): RawProperties =>
  properties.decoded.headers?.["BCC"] === undefined
    ? properties
    : rewrite(properties, (typed) => ({ ...typed, headers: without(typed.headers ?? {}) }))
