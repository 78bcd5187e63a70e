/**
 * The model's refusals in RabbitMQ's reply codes and words.
 *
 * @since 0.1.0
 */
import { ReplyCode } from "../../../amqp091/Method.ts"
import type { InvalidArgument, Kind, QueueType, Refusal, Unsupported } from "../../Model.ts"
import { bare, quoted, term, typeName } from "./erlang.ts"

/** What a close says. @internal */
export interface Fault {
  readonly code: number
  readonly text: string
}

const names: Record<number, string> = {
  [ReplyCode.contentTooLarge]: "CONTENT_TOO_LARGE",
  [ReplyCode.noRoute]: "NO_ROUTE",
  [ReplyCode.noConsumers]: "NO_CONSUMERS",
  [ReplyCode.connectionForced]: "CONNECTION_FORCED",
  [ReplyCode.invalidPath]: "INVALID_PATH",
  [ReplyCode.accessRefused]: "ACCESS_REFUSED",
  [ReplyCode.notFound]: "NOT_FOUND",
  [ReplyCode.resourceLocked]: "RESOURCE_LOCKED",
  [ReplyCode.preconditionFailed]: "PRECONDITION_FAILED",
  [ReplyCode.frameError]: "FRAME_ERROR",
  [ReplyCode.syntaxError]: "SYNTAX_ERROR",
  [ReplyCode.commandInvalid]: "COMMAND_INVALID",
  [ReplyCode.channelError]: "CHANNEL_ERROR",
  [ReplyCode.unexpectedFrame]: "UNEXPECTED_FRAME",
  [ReplyCode.resourceError]: "RESOURCE_ERROR",
  [ReplyCode.notAllowed]: "NOT_ALLOWED",
  [ReplyCode.notImplemented]: "NOT_IMPLEMENTED",
  [ReplyCode.internalError]: "INTERNAL_ERROR"
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

/** @internal */
export const isFault = (value: unknown): value is Fault =>
  typeof value === "object" && value !== null && "code" in value

const named = (kind: Kind, name: string, vhost: string): string => `${kind} '${name}' in vhost '${vhost}'`

/** Two values are printed bare, but a void one; where one is missing, the other one with its type. */
const described = (value: unknown, other: unknown): string => {
  if (value === undefined || (value === null && other !== undefined)) return "none"
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
    case "InvalidArgument":
      return fault(ReplyCode.preconditionFailed, invalidArgument(refusal))
    case "Unsupported":
      return isHard(refusal)
        ? fault(ReplyCode.notImplemented, unsupported(refusal))
        : fault(ReplyCode.preconditionFailed, unsupported(refusal))
  }
}

const unknownMatch = (received: unknown): string =>
  typeName(received) === "longstr"
    ? `Invalid x-match field value ${term(received)}; expected all, any, all-with-x, or any-with-x`
    : `Invalid x-match field type ${typeName(received)} (value ${term(received)}); expected longstr`

/** A consumer's argument that should be a whole number. @internal */
export const notInteger = (argument: string, queue: string, vhost: string, value: unknown): Fault =>
  fault(ReplyCode.preconditionFailed, invalid(argument, queue, vhost, integerExpected(value)))

/** A consumer's argument that should be of another type. @internal */
export const unacceptableType = (argument: string, queue: string, vhost: string, value: unknown): Fault =>
  fault(ReplyCode.preconditionFailed, invalid(argument, queue, vhost, `{unacceptable_type,${typeName(value)}}`))

/** An argument that consumers of such queues do not have. @internal */
export const notForType = (argument: string, queue: string, vhost: string, type: QueueType): Fault =>
  fault(ReplyCode.preconditionFailed, foreign(argument, queue, vhost, type))

const foreign = (argument: string, queue: string, vhost: string, type: QueueType): string =>
  `invalid arg '${argument}' for ${named("queue", queue, vhost)} of queue type rabbit_${type}_queue`

const invalid = (argument: string, queue: string, vhost: string, why: string): string =>
  `invalid arg '${argument}' for ${named("queue", queue, vhost)}: ${why}`

const integerExpected = (value: unknown): string => `"expected integer, got ${typeName(value)}"`

const invalidArgument = (refusal: InvalidArgument): string => {
  const { argument, name, problem, type, value, vhost } = refusal
  if (argument === "x-dead-letter-exchange") {
    return `invalid type '${typeName(value)}' for arg '${argument}' in ${named("queue", name, vhost)}`
  }
  return problem === "NotForType"
    ? foreign(argument, name, vhost, type)
    : invalid(argument, name, vhost, why(refusal))
}

/** Erlang terms, as RabbitMQ prints them. */
const why = ({ argument, problem, value }: InvalidArgument): string => {
  switch (problem) {
    case "NotInteger":
      return integerExpected(value)
    case "Negative":
      return `{value_negative,${term(value)}}`
    case "Zero":
      return `{value_zero,${term(value)}}`
    case "TooLarge":
      return `{value_too_large,${term(value)}}`
    case "AboveMaximum":
      return `{max_value_exceeded,${term(value)}}`
    case "NoExchange":
      return "routing_key_but_no_dlx_defined"
    case "NotImplemented":
      return quoted(`this broker has no queues of type '${bare(value)}'`)
    case "UnknownValue":
      return unknownValues[argument] ??
        quoted(`unsupported queue ${argument.slice("x-queue-".length)} '${bare(value)}'`)
    default:
      return `{unacceptable_type,${typeName(value)}}`
  }
}

const unknownValues: Record<string, string> = {
  "x-overflow": "invalid_overflow",
  "x-dead-letter-strategy": "invalid_dlx_strategy",
  "x-queue-leader-locator": "invalid_queue_locator_arg"
}

const unsupported = ({ name, type, vhost, what }: Unsupported): string => {
  const queue = named("queue", name, vhost)
  switch (what) {
    case "ServerNamed":
      return `Cannot declare a server-named queue for type rabbit_${type}_queue`
    case "AutoDelete":
      return `invalid property 'auto-delete' for ${queue}`
    case "Exclusive":
      return `invalid property 'exclusive-owner' for ${queue}`
    case "Transient":
      return `invalid property 'non-durable' for ${queue}`
    case "IfUnused":
      return cannotDelete(queue, "if-unused", type)
    case "IfEmpty":
      return cannotDelete(queue, "if-empty", type)
  }
}

const cannotDelete = (queue: string, flag: string, type: string): string =>
  `cannot delete ${queue}. queue.delete operations with ${flag} flag set are not supported by ${type} queues`

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

export { isHardError as isHardCode } from "../../../amqp091/Method.ts"

/** Whether it ends the whole connection (0-9-1 §1.2: a hard error). @internal */
export const isHard = (refusal: Refusal): boolean =>
  refusal._tag === "UnknownExchangeType" ||
  (refusal._tag === "Unsupported" && (refusal.what === "IfUnused" || refusal.what === "IfEmpty"))
