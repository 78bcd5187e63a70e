/**
 * What a queue's arguments say, held against RabbitMQ's rules and in its order: a declaration with two faults is refused
 * for the same one.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { longest } from "../longest.ts"
import { differing, integerOf, textOf } from "./arguments.ts"

/** @internal */
export interface QueueSettings {
  readonly type: Model.QueueType
  /** For how long nobody may use it before it goes, in milliseconds. */
  readonly expires: number | undefined
  /** How long a message may wait, in milliseconds. */
  readonly messageTtl: number | undefined
  /** Ready messages. */
  readonly maxLength: number
  /** Of the bodies of ready messages. */
  readonly maxBytes: number
  readonly overflow: "drop-head" | "reject-publish" | "reject-publish-dlx"
  /** 0: it has no priorities. */
  readonly maxPriority: number
  readonly singleActiveConsumer: boolean
  readonly deadLetterExchange: string | undefined
  /** Default: what the message had. */
  readonly deadLetterRoutingKey: string | undefined
  /** How often a message may come back. */
  readonly deliveryLimit: number
}

const numberOf = (value: unknown): number | undefined => {
  const integer = integerOf(value)
  return integer === undefined ? undefined : Number(integer)
}

/** What is wrong with a value, if anything. */
type Rule = (value: unknown, args: Model.Arguments) => Model.ArgumentProblem | undefined

const natural: Rule = (value) => {
  const integer = integerOf(value)
  return integer === undefined ? "NotInteger" : integer < 0 ? "Negative" : undefined
}

const positive: Rule = (value, args) => natural(value, args) ?? (numberOf(value) === 0 ? "Zero" : undefined)

const upTo = (rule: Rule, most: number, problem: Model.ArgumentProblem): Rule => (value, args) =>
  rule(value, args) ?? (Number(integerOf(value)) > most ? problem : undefined)

const text: Rule = (value) => textOf(value) === undefined ? "WrongType" : undefined

const truth: Rule = (value) => typeof value === "boolean" ? undefined : "WrongType"

const oneOf = (...known: ReadonlyArray<unknown>): Rule => (value, args) =>
  text(value, args) ?? (known.includes(textOf(value)) ? undefined : "UnknownValue")

const types: ReadonlyArray<string> = ["classic", "quorum", "stream"]

const queueType: Rule = (value, args) =>
  oneOf(...types)(value, args) ?? (value === "stream" ? "NotImplemented" : undefined)

const version: Rule = (value) => {
  const number = numberOf(value)
  return number === undefined ? "NotInteger" : number === 1 || number === 2 ? undefined : "UnknownValue"
}

const deadLetterRoutingKey: Rule = (value, args) =>
  text(value, args) ?? (args["x-dead-letter-exchange"] === undefined ? "NoExchange" : undefined)

/** In RabbitMQ's order. */
const rules: ReadonlyArray<readonly [argument: string, rule: Rule]> = [
  ["x-dead-letter-exchange", text],
  ["x-queue-type", queueType],
  ["x-expires", upTo(positive, longest, "TooLarge")],
  ["x-message-ttl", upTo(natural, longest, "TooLarge")],
  ["x-dead-letter-routing-key", deadLetterRoutingKey],
  ["x-dead-letter-strategy", oneOf("at-most-once", "at-least-once")],
  ["x-max-length", natural],
  ["x-max-length-bytes", natural],
  ["x-max-in-memory-length", natural],
  ["x-max-in-memory-bytes", natural],
  ["x-max-priority", upTo(natural, 255, "AboveMaximum")],
  ["x-overflow", oneOf("drop-head", "reject-publish", "reject-publish-dlx")],
  ["x-queue-mode", oneOf("default", "lazy")],
  ["x-queue-version", version],
  ["x-single-active-consumer", truth],
  ["x-quorum-initial-group-size", positive],
  ["x-queue-leader-locator", oneOf("client-local", "random", "least-leaders", "balanced")]
]

/** What each type knows, in the order in which RabbitMQ compares them; others are kept and mean nothing. */
const known: Record<Model.QueueType, ReadonlyArray<string>> = {
  classic: [
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-queue-master-locator"
  ],
  quorum: [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator"
  ]
}

/** An argument of these that the queue's type does not know is refused. */
const reserved = new Set([
  ...known.classic,
  ...known.quorum,
  "x-initial-cluster-size",
  "x-max-age",
  "x-stream-max-segment-size-bytes"
])

/** @internal */
export const typeOf = (args: Model.Arguments): Model.QueueType =>
  textOf(args["x-queue-type"]) === "quorum" ? "quorum" : "classic"

/** The first argument with which RabbitMQ would not declare a queue. @internal */
export const invalidArgument = (
  args: Model.Arguments
): Pick<Model.InvalidArgument, "argument" | "value" | "problem" | "type"> | undefined => {
  const type = typeOf(args)
  const names = known[type]
  for (const [argument, rule] of rules) {
    const value = args[argument]
    if (value === undefined || !names.includes(argument)) continue
    const problem = rule(value, args)
    if (problem !== undefined) return { argument, value, problem, type }
  }
  for (const [argument, value] of Object.entries(args)) {
    if (reserved.has(argument) && !names.includes(argument)) {
      return { argument, value, problem: "NotForType", type }
    }
  }
  return undefined
}

/** The first argument that counts for what exists and is another one now. @internal */
export const inequivalent = (current: Model.Arguments, received: Model.Arguments): string | undefined =>
  differing(known[typeOf(current)], asDeclared(current), asDeclared(received))

const asDeclared = (args: Model.Arguments): Model.Arguments => ({ "x-queue-type": "classic", ...args })

const overflowOf = (args: Model.Arguments, type: Model.QueueType): QueueSettings["overflow"] => {
  const value = textOf(args["x-overflow"])
  if (value === "reject-publish") return value
  // A quorum queue knows no such thing, and drops.
  return value === "reject-publish-dlx" && type === "classic" ? value : "drop-head"
}

/** Of arguments that are valid. @internal */
export const settingsOf = (args: Model.Arguments): QueueSettings => {
  const type = typeOf(args)
  return {
    type,
    expires: numberOf(args["x-expires"]),
    messageTtl: numberOf(args["x-message-ttl"]),
    maxLength: numberOf(args["x-max-length"]) ?? Infinity,
    maxBytes: numberOf(args["x-max-length-bytes"]) ?? Infinity,
    overflow: overflowOf(args, type),
    maxPriority: numberOf(args["x-max-priority"]) ?? 0,
    singleActiveConsumer: args["x-single-active-consumer"] === true,
    deadLetterExchange: textOf(args["x-dead-letter-exchange"]),
    deadLetterRoutingKey: textOf(args["x-dead-letter-routing-key"]),
    // RabbitMQ does not look at its value: what is no number is no limit.
    deliveryLimit: numberOf(args["x-delivery-limit"]) ?? Infinity
  }
}
