/**
 * The model's refusals in RabbitMQ's reply codes and words.
 *
 * @since 0.1.0
 */
import { ReplyCode } from "../../../amqp091/Method.ts"
import type { Kind, Refusal } from "../../Model.ts"
import { bare, term, typeName } from "./erlang.ts"

/** What a close says. @internal */
export interface Fault {
  readonly code: number
  readonly text: string
}

const names: Record<number, string> = {
  [ReplyCode.connectionForced]: "CONNECTION_FORCED",
  [ReplyCode.accessRefused]: "ACCESS_REFUSED",
  [ReplyCode.notFound]: "NOT_FOUND",
  [ReplyCode.resourceLocked]: "RESOURCE_LOCKED",
  [ReplyCode.preconditionFailed]: "PRECONDITION_FAILED",
  [ReplyCode.commandInvalid]: "COMMAND_INVALID",
  [ReplyCode.notAllowed]: "NOT_ALLOWED",
  [ReplyCode.notImplemented]: "NOT_IMPLEMENTED"
}

// A short string has room for so many octets (0-9-1 §4.2.5.3).
const longest = 255

/** What does not fit is cut off and replaced by dots, as RabbitMQ does, but never within a character. */
const limited = (text: string): string => {
  const { read, written } = new TextEncoder().encodeInto(text, new Uint8Array(longest))
  if (read === text.length && written <= longest) return text
  return `${text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(longest - 3)).read)}...`
}

/** @internal */
export const fault = (code: number, text: string): Fault => ({
  code,
  text: limited(`${names[code] ?? "ERROR"} - ${text}`)
})

const named = (kind: Kind, name: string, vhost: string): string => `${kind} '${name}' in vhost '${vhost}'`

/** Two values are printed bare; where one is missing, the other one with its type. */
const described = (value: unknown, other: unknown): string => {
  if (value === undefined) return "none"
  return other === undefined ? `the value '${bare(value)}' of type '${typeName(value)}'` : `'${bare(value)}'`
}

/** @internal */
export const toFault = (refusal: Refusal): Fault => {
  switch (refusal._tag) {
    case "NotFound":
      return fault(ReplyCode.notFound, `no ${named(refusal.kind, refusal.name, refusal.vhost)}`)
    case "Inequivalent":
      return fault(
        ReplyCode.preconditionFailed,
        `inequivalent arg '${refusal.argument}' for ${named(refusal.kind, refusal.name, refusal.vhost)}: received ${
          described(refusal.received, refusal.current)
        } but current is ${described(refusal.current, refusal.received)}`
      )
    case "Locked":
      return fault(
        ReplyCode.resourceLocked,
        `cannot obtain exclusive access to locked ${named("queue", refusal.name, refusal.vhost)}. It could be ` +
          "originally declared on another connection or the exclusive property value does not match that of the " +
          "original declaration."
      )
    case "InUse":
      return fault(ReplyCode.preconditionFailed, `${named(refusal.kind, refusal.name, refusal.vhost)} in use`)
    case "NotEmpty":
      return fault(ReplyCode.preconditionFailed, `${named("queue", refusal.name, refusal.vhost)} not empty`)
    case "UnknownExchangeType":
      // To RabbitMQ "invalid" is what its Erlang knows as a word, yet not as a type; the empty one is such a word.
      return fault(
        ReplyCode.commandInvalid,
        `${refusal.type === "" ? "invalid" : "unknown"} exchange type '${refusal.type}'`
      )
    case "NotPermitted":
      return fault(
        ReplyCode.accessRefused,
        `access to ${named(refusal.kind, refusal.name, refusal.vhost)} refused for user '${refusal.user}'`
      )
    case "NotAName":
      return fault(
        ReplyCode.preconditionFailed,
        `invalid type '${typeName(refusal.received)}' for arg '${refusal.argument}' in ${
          named(refusal.kind, refusal.name, refusal.vhost)
        }`
      )
    case "UnknownMatch":
      return fault(ReplyCode.preconditionFailed, unknownMatch(refusal.received))
    case "AccessRefused":
      return fault(ReplyCode.accessRefused, refusedAccess(refusal))
  }
}

const unknownMatch = (received: unknown): string =>
  typeof received === "string"
    ? `Invalid x-match field value ${term(received)}; expected all, any, all-with-x, or any-with-x`
    : `Invalid x-match field type ${typeName(received)} (value ${term(received)}); expected longstr`

const refusedAccess = (refusal: Extract<Refusal, { readonly _tag: "AccessRefused" }>): string => {
  const { kind, name, vhost } = refusal
  switch (refusal.reason) {
    case "ReservedName":
      return `${kind} name '${name}' contains reserved prefix 'amq.*'`
    case "DefaultExchange":
      return "operation not permitted on the default exchange"
    case "SystemExchange":
      return `deletion of system ${named(kind, name, vhost)} not allowed`
    case "InternalExchange":
      return `cannot publish to internal ${named(kind, name, vhost)}`
    case "ExclusiveConsumer":
      return `${named(kind, name, vhost)} in exclusive use`
  }
}

/** Whether it ends the whole connection (0-9-1 §1.2: a hard error). @internal */
export const isHard = (refusal: Refusal): boolean => refusal._tag === "UnknownExchangeType"
