/**
 * The arguments that RabbitMQ knows for queues, exchanges, consumers and bindings, under names and types instead of keys:
 * each function makes a `FieldTable`, to be given as `arguments`. What an option means is RabbitMQ's business, and so is
 * refusing it (406); an argument that is not here is added beside: `{ ...Arguments.queue({ … }), "x-mine": 1 }`.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import type { DurationText } from "../Reconnect.ts"
import type { FieldTable, Value } from "./FieldTable.ts"

/**
 * The arguments of a queue. Where a broker has no such option for a type of queue, it says so (406).
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueArguments {
  /** `x-queue-type`. "quorum" and "stream" are durable and never exclusive. Default: the virtual host's, else "classic". */
  readonly type?: "classic" | "quorum" | "stream" | (string & {}) | undefined
  /** `x-message-ttl`: how long a message may wait, in whole milliseconds, rounded up; then it expires (dead-letters). */
  readonly messageTtl?: DurationText | undefined
  /** `x-expires`: how long the queue may go unused, in whole milliseconds above 0; then it is deleted. */
  readonly expires?: DurationText | undefined
  /** `x-max-length`: the most messages that are ready. */
  readonly maxLength?: number | undefined
  /** `x-max-length-bytes`: the most octets of content that are ready; of a stream, that are kept. */
  readonly maxLengthBytes?: number | undefined
  /** `x-overflow`: what goes when the queue is full. "reject-publish" nacks confirmed publishes. Default: "drop-head". */
  readonly overflow?: "drop-head" | "reject-publish" | "reject-publish-dlx" | undefined
  /** `x-dead-letter-exchange`: where rejected and expired messages go; "" is the default exchange. */
  readonly deadLetterExchange?: string | undefined
  /** `x-dead-letter-routing-key`. Default: the message's own. */
  readonly deadLetterRoutingKey?: string | undefined
  /** `x-dead-letter-strategy`, of quorum queues. "at-least-once" asks for overflow "reject-publish". */
  readonly deadLetterStrategy?: "at-most-once" | "at-least-once" | undefined
  /** `x-max-priority`, of classic queues: the highest priority told apart, 1 to 255; each costs, so keep it below 10. */
  readonly maxPriority?: number | undefined
  /** `x-single-active-consumer`: one consumer at a time is delivered to, the others stand by. */
  readonly singleActiveConsumer?: boolean | undefined
  /** `x-delivery-limit`, of quorum queues: how often a message may come back before it is dropped (dead-lettered). */
  readonly deliveryLimit?: number | undefined
  /** `x-queue-leader-locator`, of replicated queues: on which node the leader starts. */
  readonly queueLeaderLocator?: "client-local" | "balanced" | undefined
  /** `x-quorum-initial-group-size`: how many replicas a quorum queue starts with. */
  readonly quorumInitialGroupSize?: number | undefined
  /** `x-initial-cluster-size`: how many replicas a stream starts with. */
  readonly initialClusterSize?: number | undefined
  /** `x-max-age`, of streams: how long messages are kept, in whole seconds, rounded up. */
  readonly maxAge?: DurationText | undefined
  /** `x-stream-max-segment-size-bytes`: retention drops whole segments. */
  readonly streamMaxSegmentSizeBytes?: number | undefined
  /** `x-stream-filter-size-bytes`: of a segment's filter, 16 to 255 (RabbitMQ 3.13). */
  readonly streamFilterSizeBytes?: number | undefined
  /** `x-consumer-timeout`: how long a delivery may go unsettled, in whole milliseconds, rounded up (RabbitMQ 3.12). */
  readonly consumerTimeout?: DurationText | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeArguments {
  /** `alternate-exchange`: takes what this one routes nowhere. */
  readonly alternateExchange?: string | undefined
  /** `x-delayed-type`: how an exchange of type "x-delayed-message" (a plugin's) routes once the delay is over. */
  readonly delayedType?: "direct" | "fanout" | "topic" | "headers" | (string & {}) | undefined
}

/**
 * Where in a stream a consumer begins: at its first message, at its last chunk, after its end, at an offset, at a time
 * (exact to the second, and to the chunk that holds it), or an interval ago. On a new socket the consumer goes on at the
 * oldest delivery it had not settled, or behind the last one.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamOffset =
  | "first"
  | "last"
  | "next"
  | number
  | bigint
  | DateTime.Utc
  | { readonly interval: DurationText }

/**
 * @since 0.1.0
 * @category models
 */
export interface ConsumerArguments {
  /** `x-priority`: the highest is delivered to while it takes more. Default: 0. */
  readonly priority?: number | undefined
  /**
   * `x-stream-offset`, of stream queues, whose consumers acknowledge and have a prefetch: a consume without is refused
   * here. Default: "next"; name it all the same. A stream takes nothing back: what a consumer with an offset nacks or
   * rejects is acknowledged, where RabbitMQ would close the connection (540).
   */
  readonly streamOffset?: StreamOffset | undefined
  /** `x-stream-filter`: of the messages with a filter value, those with one of these (RabbitMQ 3.13). */
  readonly streamFilter?: string | ReadonlyArray<string> | undefined
  /** `x-stream-match-unfiltered`: the messages without a filter value too. Default: false. */
  readonly streamMatchUnfiltered?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface BindingArguments {
  /** `x-match`: how many of the headers must be equal; those named "x-…" count only "with-x". Default: "all". */
  readonly match?: "all" | "any" | "all-with-x" | "any-with-x" | undefined
  /** What a message's headers must be; `null` asks for no more than that there is one. */
  readonly headers?: FieldTable | undefined
}

const present = (table: FieldTable): FieldTable => Record.filter(table, Predicate.isNotUndefined)

// An infinite bound is none; a fraction rounds up, lest the shortest bound become "at once".
const millis = (duration: DurationText | undefined): number | undefined => {
  if (duration === undefined) return undefined
  const count = Math.ceil(Duration.toMillis(duration))
  return Number.isFinite(count) ? count : undefined
}

const units = [[86_400, "D"], [3600, "h"], [60, "m"]] as const

/** RabbitMQ's text of a length of time: a whole number and one unit. */
const age = (duration: DurationText | undefined): string | undefined => {
  const count = millis(duration)
  if (count === undefined) return undefined
  const seconds = Math.ceil(count / 1000)
  const unit = units.find(([each]) => seconds >= each && seconds % each === 0)
  return unit === undefined ? `${seconds}s` : `${seconds / unit[0]}${unit[1]}`
}

/**
 * The arguments of `queueDeclare`. An infinite duration is left out: it is no bound.
 *
 * @example
 * ```ts
 * import { Arguments, Channel } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const channel = yield* Channel.Channel
 *   yield* channel.queueDeclare({
 *     queue: "orders",
 *     arguments: Arguments.queue({ type: "quorum", deliveryLimit: 5, deadLetterExchange: "failed" })
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const queue = (options: QueueArguments): FieldTable =>
  present({
    "x-queue-type": options.type,
    "x-message-ttl": millis(options.messageTtl),
    "x-expires": millis(options.expires),
    "x-max-length": options.maxLength,
    "x-max-length-bytes": options.maxLengthBytes,
    "x-overflow": options.overflow,
    "x-dead-letter-exchange": options.deadLetterExchange,
    "x-dead-letter-routing-key": options.deadLetterRoutingKey,
    "x-dead-letter-strategy": options.deadLetterStrategy,
    "x-max-priority": options.maxPriority,
    "x-single-active-consumer": options.singleActiveConsumer,
    "x-delivery-limit": options.deliveryLimit,
    "x-queue-leader-locator": options.queueLeaderLocator,
    "x-quorum-initial-group-size": options.quorumInitialGroupSize,
    "x-initial-cluster-size": options.initialClusterSize,
    "x-max-age": age(options.maxAge),
    "x-stream-max-segment-size-bytes": options.streamMaxSegmentSizeBytes,
    "x-stream-filter-size-bytes": options.streamFilterSizeBytes,
    "x-consumer-timeout": millis(options.consumerTimeout)
  })

/**
 * The arguments of `exchangeDeclare`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const exchange = (options: ExchangeArguments): FieldTable =>
  present({ "alternate-exchange": options.alternateExchange, "x-delayed-type": options.delayedType })

const offset = (streamOffset: StreamOffset | undefined): Value | undefined =>
  typeof streamOffset === "object" && "interval" in streamOffset
    ? age(streamOffset.interval) ?? "first"
    : streamOffset

/**
 * The arguments of `consume`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const consumer = (options: ConsumerArguments): FieldTable =>
  present({
    "x-priority": options.priority,
    "x-stream-offset": offset(options.streamOffset),
    "x-stream-filter": options.streamFilter,
    "x-stream-match-unfiltered": options.streamMatchUnfiltered
  })

/**
 * The arguments of `queueBind` and `exchangeBind` at an exchange of type "headers".
 *
 * @since 0.1.0
 * @category constructors
 */
export const binding = (options: BindingArguments): FieldTable =>
  present({ ...options.headers, ...present({ "x-match": options.match }) })
