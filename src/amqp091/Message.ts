/**
 * What is published and what is delivered, and the codecs between a message's content and the values of a program. A
 * codec works on one message; it opens nothing and settles nothing.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { ContentError, SettleError } from "../AmqpError.ts"
import type { Compression, Encoding } from "../Compression.ts"
import type { DurationText } from "../Reconnect.ts"
import * as compressing from "./internal/compressing.ts"
import * as content from "./internal/content.ts"
import type { BasicProperties } from "./Properties.ts"

/**
 * Content properties as a publisher gives them (0-9-1 §1.8 "basic"). All but three go to the wire as they are.
 *
 * @since 0.1.0
 * @category models
 */
export interface PublishProperties extends Omit<BasicProperties, "deliveryMode" | "expiration" | "timestamp"> {
  /** Whether the broker keeps the message on disk, in a durable queue. Default: false, as the protocol has it. */
  readonly persistent?: boolean | undefined
  /** After this long in a queue the message is dropped or dead-lettered. Whole milliseconds on the wire. */
  readonly expiration?: DurationText | undefined
  /** Whole seconds on the wire; a number is seconds since 1970. */
  readonly timestamp?: DateTime.Utc | number | bigint | undefined
}

/**
 * A message to publish. What `content` holds is handed over: it must not change afterwards.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message {
  /** Default: "", the default exchange, which routes to the queue named by the routing key. */
  readonly exchange?: string | undefined
  /** Default: "". */
  readonly routingKey?: string | undefined
  /** Whether a message that reaches no queue comes back, instead of being dropped. Default: false. */
  readonly mandatory?: boolean | undefined
  /**
   * Whether a message that no consumer can take at once comes back. RabbitMQ closes the connection over it (540): `true` is
   * refused here. A time to live of nothing (`expiration: "0 millis"`) drops or dead-letters such a message instead.
   * Default: false.
   */
  readonly immediate?: boolean | undefined
  /** Bytes, or text that is sent as UTF-8. */
  readonly content: Uint8Array | string
  readonly properties?: PublishProperties | undefined
}

/**
 * A delivered message.
 *
 * `ack`, `nack` and `reject` never fail: a second settlement, and one that comes after the channel's life has ended (the
 * broker delivers the message again), are counted and logged as warnings. The `…OrFail` forms say so with a `SettleError`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** Write-once memory, valid for ever. A small one shares a 64 KiB slab: `slice()` what is kept for long. */
  readonly content: Uint8Array
  /** The content as UTF-8 text. */
  readonly text: string
  readonly properties: BasicProperties
  readonly exchange: string
  readonly routingKey: string
  /** Whether the broker has delivered it before. */
  readonly redelivered: boolean
  /** Counts the deliveries of one life of a channel. */
  readonly deliveryTag: number
  /** The consumer it came to; "" for one that `get` took. */
  readonly consumerTag: string
  readonly ack: Effect.Effect<void>
  readonly ackOrFail: Effect.Effect<void, SettleError>
  /** Gives the message back. `requeue` false drops or dead-letters it. Default: true. */
  readonly nack: (options?: { readonly requeue?: boolean | undefined }) => Effect.Effect<void>
  readonly nackOrFail: (options?: { readonly requeue?: boolean | undefined }) => Effect.Effect<void, SettleError>
  /** Drops or dead-letters the message; `requeue` true gives it back. Default: false. */
  readonly reject: (options?: { readonly requeue?: boolean | undefined }) => Effect.Effect<void>
}

const noProperties: BasicProperties = {}

/**
 * The properties as the wire has them.
 *
 * @since 0.1.0
 * @category encoding
 */
export const toBasicProperties = (properties: PublishProperties | undefined): BasicProperties => {
  if (properties === undefined) return noProperties
  return copyProperties(properties)
}

/** A fresh copy, to be completed by whoever asked for it. @internal */
export const copyProperties = (
  properties: PublishProperties & Pick<BasicProperties, "deliveryMode">
): Types.Mutable<BasicProperties> => {
  // One by one and in one order: put together by spreads, each object has a shape of its own, slow to make and to encode.
  const { expiration, persistent, timestamp } = properties
  const copy: Types.Mutable<BasicProperties> = {}
  if (properties.contentType !== undefined) copy.contentType = properties.contentType
  if (properties.contentEncoding !== undefined) copy.contentEncoding = properties.contentEncoding
  if (properties.headers !== undefined) copy.headers = properties.headers
  if (persistent !== undefined) copy.deliveryMode = persistent ? 2 : 1
  else if (properties.deliveryMode !== undefined) copy.deliveryMode = properties.deliveryMode
  if (properties.priority !== undefined) copy.priority = properties.priority
  if (properties.correlationId !== undefined) copy.correlationId = properties.correlationId
  if (properties.replyTo !== undefined) copy.replyTo = properties.replyTo
  if (expiration !== undefined && Duration.isFinite(Duration.decode(expiration))) {
    copy.expiration = String(Math.round(Duration.toMillis(expiration)))
  }
  if (properties.messageId !== undefined) copy.messageId = properties.messageId
  if (timestamp !== undefined) {
    copy.timestamp = DateTime.isDateTime(timestamp) ? Math.floor(timestamp.epochMillis / 1000) : timestamp
  }
  if (properties.type !== undefined) copy.type = properties.type
  if (properties.userId !== undefined) copy.userId = properties.userId
  if (properties.appId !== undefined) copy.appId = properties.appId
  if (properties.clusterId !== undefined) copy.clusterId = properties.clusterId
  return copy
}

const encoder = new TextEncoder()

/**
 * The content as bytes.
 *
 * @since 0.1.0
 * @category encoding
 */
export const toBytes = (content: Uint8Array | string): Uint8Array =>
  typeof content === "string" ? encoder.encode(content) : content

/**
 * How values become the content of messages, and contents values. `json`, `text` and `bytes` make one; any other object of
 * this shape is as good.
 *
 * @since 0.1.0
 * @category models
 */
export interface Content<A, R = never> {
  /** What published messages say they are, unless their properties say otherwise. */
  readonly contentType: string
  /** How published contents are encoded, where they are compressed. */
  readonly contentEncoding?: string | undefined
  readonly encode: (value: A) => Effect.Effect<Uint8Array | string, ContentError, R>
  readonly decode: (delivery: Pick<Delivery, "content" | "properties">) => Effect.Effect<A, ContentError, R>
}

/**
 * JSON of the shape of a schema, in UTF-8.
 *
 * A delivery that names another content type is refused, and so is one that is compressed or in another character set.
 * Taken are `application/json` and every `…/…+json`, with or without parameters, the `contentType` given here, and
 * messages that name none.
 *
 * Default `contentType`: "application/json".
 *
 * @example
 * ```ts
 * import { Message } from "effect-amqp/amqp091"
 * import * as Schema from "effect/Schema"
 *
 * class Order extends Schema.Class<Order>("Order")({ id: Schema.String }) {}
 * const orders = Message.json(Order)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const json: <A, I, R>(
  schema: Schema.Schema<A, I, R>,
  options?: { readonly contentType?: string | undefined }
) => Content<A, R> = content.json

/**
 * Text in UTF-8. A delivery is refused when it names a content type other than `text/…`, is compressed or in another
 * character set, or is not UTF-8.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text: Content<string> = content.text

/**
 * Bytes as they are, of whatever content type.
 *
 * @since 0.1.0
 * @category constructors
 */
export const bytes: Content<Uint8Array> = content.bytes

/**
 * Reads what any of these reads, asked in order: one that refuses the content type leaves the message to the next, and what
 * all refuse is refused (`ContentType`). A message that names no type is the first one's, and so is what is published.
 *
 * @example
 * ```ts
 * import { Message } from "effect-amqp/amqp091"
 * import * as Schema from "effect/Schema"
 *
 * const notes = Message.oneOf(Message.json(Schema.String), Message.text)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const oneOf: <A, R>(first: Content<A, R>, ...others: ReadonlyArray<Content<A, R>>) => Content<A, R> =
  content.oneOf

/**
 * @since 0.1.0
 * @category models
 */
export interface CompressOptions<E extends Encoding> {
  /** Of what is published. Default: "gzip". */
  readonly encoding?: E | undefined
  /** What a delivery may be encoded in, besides not at all. Default: "gzip", "deflate" and `encoding`. */
  readonly accept?: ReadonlyArray<E> | undefined
  /** The most bytes that may come out of a delivery. Default: 64 MiB. */
  readonly limit?: number | undefined
}

/**
 * A compressed codec: "br" and "zstd" need the service `Compression`. Where the runtime has no zstd, as Node before 22.15,
 * that is refused (`ContentEncoding`).
 *
 * @since 0.1.0
 * @category models
 */
export type CompressedContent<A, R, E extends Encoding> = Content<
  A,
  R | ("br" extends E ? Compression : never) | ("zstd" extends E ? Compression : never)
>

/**
 * The same contents, compressed on the wire. A delivery that is not compressed is taken as it is; one in an encoding that is
 * not accepted, or that is not what it says, is refused (`ContentEncoding`), and one that grows beyond the limit too
 * (`Size`), as soon as it does.
 *
 * @example
 * ```ts
 * import { Message } from "effect-amqp/amqp091"
 * import * as Schema from "effect/Schema"
 *
 * const report = Message.compressed(Message.json(Schema.Array(Schema.Number)), { limit: 10_000_000 })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const compressed: <A, R, E extends Encoding = "gzip">(
  content: Content<A, R>,
  options?: CompressOptions<E>
) => CompressedContent<A, R, E> = compressing.compressed
