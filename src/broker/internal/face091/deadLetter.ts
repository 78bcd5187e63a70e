/**
 * How a message tells of its deaths: RabbitMQ's `x-death`, `x-first-death-*` and `x-delivery-count` headers.
 *
 * @since 0.1.0
 */
import * as FieldTable from "../../../amqp091/FieldTable.ts"
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import { rewrite } from "../../../amqp091/internal/rawProperties.ts"
import type { BasicProperties } from "../../../amqp091/Properties.ts"
import { FrameError } from "../../../AmqpError.ts"
import type { DeadLetter, Death } from "../../Model.ts"
import type { Content } from "./content.ts"
import { Publication } from "./publication.ts"

/** Nothing where the headers have no room for one more death. @internal */
export const deadLetter = (death: Death<Content>): DeadLetter<Content> | undefined => {
  const { exchange, message } = death
  let told: ReadonlyArray<FieldTable.FieldTable> = []
  try {
    const properties = rewrite(message.content.properties, (typed) => {
      const { expiration: _, ...kept } = typed
      const before = deathsOf(typed.headers)
      told = before === undefined ? [first(death, typed)] : tellAgain(before, death, typed)
      return { ...kept, headers: headersOf(typed.headers ?? {}, told, death, before === undefined) }
    })
    const { body } = message.content
    return {
      message: death.routingKey === undefined
        ? new Publication(exchange, message.routingKey, properties, body, message.furtherKeys)
        : new Publication(exchange, death.routingKey, properties, body),
      deaths: told.map(({ queue, reason }) => ({ queue: String(queue), reason: String(reason) }))
    }
  } catch (cause) {
    if (cause instanceof FrameError) return undefined
    throw cause
  }
}

/** One of a kind, as those of RabbitMQ are; anything else that a client wrote there is passed over. */
const deathsOf = (headers: FieldTable.FieldTable | undefined): ReadonlyArray<FieldTable.FieldTable> | undefined => {
  const deaths = headers?.["x-death"]
  if (!Array.isArray(deaths)) return undefined
  const kinds = new Map<string, FieldTable.FieldTable>()
  for (const death of deaths) {
    if (!FieldTable.isFieldTable(death)) continue
    const kind = JSON.stringify([String(death["queue"]), String(death["reason"])])
    if (!kinds.has(kind)) kinds.set(kind, death)
  }
  return Array.from(kinds.values())
}

const first = (death: Death<Content>, { expiration, headers }: BasicProperties): FieldTable.FieldTable => ({
  count: FieldTable.int64(1),
  reason: death.reason,
  queue: death.queue,
  time: FieldTable.timestamp(Math.floor(death.time / 1000)),
  exchange: death.message.exchange,
  "routing-keys": [death.message.routingKey, ...copies(headers)],
  ...(expiration === undefined ? {} : { "original-expiration": expiration })
})

/** The latest comes first; one of a kind that was there only counts. */
const tellAgain = (
  before: ReadonlyArray<FieldTable.FieldTable>,
  death: Death<Content>,
  properties: BasicProperties
): ReadonlyArray<FieldTable.FieldTable> => {
  const same = before.find(({ queue, reason }) => queue === death.queue && reason === death.reason)
  if (same === undefined) return [first(death, properties), ...before]
  return [{ ...same, count: FieldTable.int64(countOf(same["count"]) + 1) }, ...before.filter((each) => each !== same)]
}

const countOf = (value: FieldTable.Value | undefined): number => {
  const count = Number(FieldTable.isTyped(value) ? value.value : value)
  return Number.isSafeInteger(count) ? count : 0
}

const copies = (headers: FieldTable.FieldTable | undefined): ReadonlyArray<string> => {
  const keys = headers?.["CC"]
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : []
}

const headersOf = (
  { CC, ...headers }: FieldTable.FieldTable,
  deaths: ReadonlyArray<FieldTable.FieldTable>,
  death: Death<Content>,
  isFirst: boolean
): FieldTable.FieldTable => ({
  ...headers,
  // Keys of its own are kept as long as it goes by its own keys.
  ...(death.routingKey === undefined ? { CC } : {}),
  ...(isFirst && headers["x-death"] === undefined
    ? {
      "x-first-death-exchange": death.message.exchange,
      "x-first-death-queue": death.queue,
      "x-first-death-reason": death.reason
    }
    : {}),
  "x-death": deaths
})

/** The content of a quorum queue's message, which says how often it came back. @internal */
export const withDeliveryCount = (content: Content, count: number): Content => ({
  body: content.body,
  properties: counted(content.properties, count)
})

const counted = (properties: RawProperties, count: number): RawProperties => {
  try {
    return rewrite(properties, (typed) => ({
      ...typed,
      headers: { ...typed.headers, "x-delivery-count": FieldTable.int64(count) }
    }))
  } catch (cause) {
    if (cause instanceof FrameError) return properties
    throw cause
  }
}
