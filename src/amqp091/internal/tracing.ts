/**
 * Spans for messages, by OpenTelemetry's messaging conventions, and the trace context that travels in their headers
 * (W3C Trace Context). Nothing of it runs for publishers and consumers that were made without.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Delivery, Message } from "../Message.ts"

const traceparent = "traceparent"

/** The header by which receivers know what a message is a part of. */
const contextOf = ({ sampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`

// Version ff is none, and nothing but zeros is no id (Trace Context §3.2.2).
const contextIn = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/

/** The span that a delivery says it was sent in. @internal */
export const parentOf = ({ properties }: Pick<Delivery, "properties">): Tracer.ExternalSpan | undefined => {
  const told = properties.headers?.[traceparent]
  const [, traceId, spanId, flags] = typeof told === "string" ? contextIn.exec(told) ?? [] : []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/** A message that carries the context of a span, in place of what it may carry already. */
const carrying = (message: Message, span: Tracer.Span): Message => ({
  ...message,
  properties: {
    ...message.properties,
    headers: { ...message.properties?.headers, [traceparent]: contextOf(span) }
  }
})

const common = { "messaging.system": "rabbitmq" }

// The name that RabbitMQ has for the exchange without one.
const named = (exchange: string): string => exchange === "" ? "amq.default" : exchange

/** Sends a message in a span of its own. @internal */
export const sending = <A, E, R>(
  message: Message,
  kind: "producer" | "client",
  send: (message: Message) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const exchange = message.exchange ?? ""
  const messageId = message.properties?.messageId
  return Effect.useSpan(`send ${named(exchange)}`, {
    kind,
    captureStackTrace: false,
    attributes: {
      ...common,
      "messaging.operation.type": "send",
      "messaging.operation.name": kind === "client" ? "call" : "publish",
      "messaging.destination.name": named(exchange),
      "messaging.rabbitmq.destination.routing_key": message.routingKey ?? "",
      ...(messageId === undefined ? {} : { "messaging.message.id": messageId })
    }
  }, (span) => send(carrying(message, span)))
}

/** Sends many messages in one span. @internal */
export const sendingAll = <A, E, R>(
  messages: ReadonlyArray<Message>,
  exchange: string,
  send: (messages: ReadonlyArray<Message>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.useSpan(`send ${named(exchange)}`, {
    kind: "producer",
    captureStackTrace: false,
    attributes: {
      ...common,
      "messaging.operation.type": "send",
      "messaging.operation.name": "publish",
      "messaging.destination.name": named(exchange),
      "messaging.batch.message_count": messages.length
    }
  }, (span) => send(messages.map((message) => carrying(message, span))))

/** Handles deliveries, each in a span that continues its sender's trace, or begins one. @internal */
export const processing =
  <A, B, E, R>(queue: string, handler: (value: A, delivery: Delivery) => Effect.Effect<B, E, R>) =>
  (value: A, delivery: Delivery): Effect.Effect<B, E, R> => {
    const parent = parentOf(delivery)
    const { correlationId, messageId } = delivery.properties
    return Effect.withSpan(Effect.suspend(() => handler(value, delivery)), `process ${queue}`, {
      kind: "consumer",
      captureStackTrace: false,
      ...(parent === undefined ? { root: true } : { parent }),
      attributes: {
        ...common,
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": named(delivery.exchange),
        "messaging.destination.subscription.name": queue,
        "messaging.rabbitmq.destination.routing_key": delivery.routingKey,
        "messaging.rabbitmq.message.delivery_tag": delivery.deliveryTag,
        "messaging.message.body.size": delivery.content.length,
        ...(messageId === undefined ? {} : { "messaging.message.id": messageId }),
        ...(correlationId === undefined ? {} : { "messaging.message.conversation_id": correlationId })
      }
    })
  }
