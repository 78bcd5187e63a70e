/**
 * What a dead-lettered message tells of its deaths: RabbitMQ's `x-death` and `x-first-death-*` headers, read leniently.
 * What a client wrote there and is none of RabbitMQ's shape is passed over. Nothing here fails.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type { Value } from "./FieldTable.ts"
import { isFieldTable, isTyped } from "./FieldTable.ts"
import type { Delivery } from "./Message.ts"

/**
 * Why a message left a queue as a dead letter.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = "rejected" | "expired" | "maxlen" | "delivery_limit" | (string & {})

/**
 * How often a message has left one queue for one reason.
 *
 * @since 0.1.0
 * @category models
 */
export interface Death {
  readonly queue: string
  readonly reason: Reason
  readonly count: number
  /** Where it had been published to, before this death. */
  readonly exchange: string
  readonly routingKeys: ReadonlyArray<string>
  /** When it died so for the first time. */
  readonly time: DateTime.Utc | undefined
  /** The expiration that the message itself had, and lost when it died. */
  readonly originalExpiration: Duration.Duration | undefined
}

type Carrier = Pick<Delivery, "properties">

const plain = (value: Value | undefined) => isTyped(value) ? value.value : value

/** The elements of an array. */
const elements = (value: Value | undefined): ReadonlyArray<Value> => {
  const told = plain(value)
  return Array.isArray(told) ? told : []
}

const text = (value: Value | undefined): string | undefined => {
  const told = plain(value)
  return typeof told === "string" ? told : undefined
}

const whole = (value: Value | undefined): number => {
  const count = Number(plain(value))
  return Number.isSafeInteger(count) && count > 0 ? count : 0
}

const timeOf = (value: Value | undefined): DateTime.Utc | undefined => {
  const told = plain(value)
  if (DateTime.isDateTime(told)) return DateTime.toUtc(told)
  const seconds = Number(told)
  return told === undefined || !(Math.abs(seconds) < 8.64e12) ? undefined : DateTime.unsafeMake(seconds * 1000)
}

const expirationOf = (value: Value | undefined): Duration.Duration | undefined => {
  const told = text(value)
  return told === undefined || !/^\d{1,15}$/.test(told) ? undefined : Duration.millis(Number(told))
}

const deathOf = (table: Value): Death | undefined => {
  if (!isFieldTable(table)) return undefined
  const queue = text(table["queue"])
  const reason = text(table["reason"])
  if (queue === undefined || reason === undefined) return undefined
  return {
    queue,
    reason,
    count: whole(table["count"]),
    exchange: text(table["exchange"]) ?? "",
    routingKeys: elements(table["routing-keys"]).flatMap((key) => text(key) ?? []),
    time: timeOf(table["time"]),
    originalExpiration: expirationOf(table["original-expiration"])
  }
}

/**
 * All deaths of a message, the latest first; none, where it never was a dead letter.
 *
 * @since 0.1.0
 * @category decoding
 */
export const all = ({ properties }: Carrier): ReadonlyArray<Death> =>
  elements(properties.headers?.["x-death"]).flatMap((value) => deathOf(value) ?? [])

/**
 * How often a message died in a queue, for a reason, or at all.
 *
 * @since 0.1.0
 * @category decoding
 */
export const count = (
  delivery: Carrier,
  of: { readonly queue?: string | undefined; readonly reason?: Reason | undefined } = {}
): number =>
  all(delivery).reduce(
    (sum, death) =>
      (of.queue === undefined || death.queue === of.queue) && (of.reason === undefined || death.reason === of.reason)
        ? sum + death.count
        : sum,
    0
  )

/**
 * Where and why a message died first.
 *
 * @since 0.1.0
 * @category decoding
 */
export const first = ({ properties }: Carrier): Pick<Death, "queue" | "reason" | "exchange"> | undefined => {
  const queue = text(properties.headers?.["x-first-death-queue"])
  const reason = text(properties.headers?.["x-first-death-reason"])
  if (queue === undefined || reason === undefined) return undefined
  return { queue, reason, exchange: text(properties.headers?.["x-first-death-exchange"]) ?? "" }
}
