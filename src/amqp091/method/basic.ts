/**
 * The methods of class basic: messages, consumers and acknowledgements.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ReservedId } from "../../wire/Compiler.ts"
import { Bit, Long, LongLong, Short, ShortStr, Table } from "./types.ts"

/**
 * Bounds what is delivered and not yet acknowledged; 0 means no bound. With `global`, RabbitMQ counts for the channel,
 * else for each consumer that comes after.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicQos = Schema.Struct({
  _tag: Schema.tag("BasicQos"),
  prefetchSize: Long,
  prefetchCount: Short,
  global: Bit
}).annotations({ identifier: "BasicQos" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicQos extends Schema.Schema.Type<typeof BasicQos> {}

/**
 * The bound holds.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicQosOk = Schema.Struct({ _tag: Schema.tag("BasicQosOk") }).annotations({ identifier: "BasicQosOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicQosOk extends Schema.Schema.Type<typeof BasicQosOk> {}

/**
 * Starts a consumer. An empty tag lets the server choose one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicConsume = Schema.Struct({
  _tag: Schema.tag("BasicConsume"),
  queue: ShortStr,
  consumerTag: ShortStr,
  noLocal: Bit,
  noAck: Bit,
  exclusive: Bit,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "BasicConsume", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicConsume extends Schema.Schema.Type<typeof BasicConsume> {}

/**
 * The consumer is there.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicConsumeOk = Schema.Struct({
  _tag: Schema.tag("BasicConsumeOk"),
  consumerTag: ShortStr
}).annotations({ identifier: "BasicConsumeOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicConsumeOk extends Schema.Schema.Type<typeof BasicConsumeOk> {}

/**
 * Ends a consumer. RabbitMQ sends it as well, when the queue of a consumer went away.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicCancel = Schema.Struct({
  _tag: Schema.tag("BasicCancel"),
  consumerTag: ShortStr,
  noWait: Bit
}).annotations({ identifier: "BasicCancel" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicCancel extends Schema.Schema.Type<typeof BasicCancel> {}

/**
 * The consumer is gone.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicCancelOk = Schema.Struct({
  _tag: Schema.tag("BasicCancelOk"),
  consumerTag: ShortStr
}).annotations({ identifier: "BasicCancelOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicCancelOk extends Schema.Schema.Type<typeof BasicCancelOk> {}

/**
 * Publishes the message whose header and body follow.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicPublish = Schema.Struct({
  _tag: Schema.tag("BasicPublish"),
  exchange: ShortStr,
  routingKey: ShortStr,
  mandatory: Bit,
  immediate: Bit
}).annotations({ identifier: "BasicPublish", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicPublish extends Schema.Schema.Type<typeof BasicPublish> {}

/**
 * The message that follows reached no queue.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicReturn = Schema.Struct({
  _tag: Schema.tag("BasicReturn"),
  replyCode: Short,
  replyText: ShortStr,
  exchange: ShortStr,
  routingKey: ShortStr
}).annotations({ identifier: "BasicReturn" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicReturn extends Schema.Schema.Type<typeof BasicReturn> {}

/**
 * A consumer gets the message that follows.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicDeliver = Schema.Struct({
  _tag: Schema.tag("BasicDeliver"),
  consumerTag: ShortStr,
  deliveryTag: LongLong,
  redelivered: Bit,
  exchange: ShortStr,
  routingKey: ShortStr
}).annotations({ identifier: "BasicDeliver" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicDeliver extends Schema.Schema.Type<typeof BasicDeliver> {}

/**
 * Asks for one message.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicGet = Schema.Struct({
  _tag: Schema.tag("BasicGet"),
  queue: ShortStr,
  noAck: Bit
}).annotations({ identifier: "BasicGet", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicGet extends Schema.Schema.Type<typeof BasicGet> {}

/**
 * The message that follows was asked for; `messageCount` more are ready.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicGetOk = Schema.Struct({
  _tag: Schema.tag("BasicGetOk"),
  deliveryTag: LongLong,
  redelivered: Bit,
  exchange: ShortStr,
  routingKey: ShortStr,
  messageCount: Long
}).annotations({ identifier: "BasicGetOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicGetOk extends Schema.Schema.Type<typeof BasicGetOk> {}

/**
 * There is no message to get.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicGetEmpty = Schema.Struct({ _tag: Schema.tag("BasicGetEmpty") }).annotations({
  identifier: "BasicGetEmpty",
  [ReservedId]: { 0: "shortstr" }
})

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicGetEmpty extends Schema.Schema.Type<typeof BasicGetEmpty> {}

/**
 * Acknowledges a delivery, or from the broker a publish; with `multiple` all up to it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicAck = Schema.Struct({
  _tag: Schema.tag("BasicAck"),
  deliveryTag: LongLong,
  multiple: Bit
}).annotations({ identifier: "BasicAck" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicAck extends Schema.Schema.Type<typeof BasicAck> {}

/**
 * Refuses a delivery, and puts it back with `requeue`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicReject = Schema.Struct({
  _tag: Schema.tag("BasicReject"),
  deliveryTag: LongLong,
  requeue: Bit
}).annotations({ identifier: "BasicReject" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicReject extends Schema.Schema.Type<typeof BasicReject> {}

/**
 * Asks for everything not yet acknowledged again, without a reply. Deprecated by the specification.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicRecoverAsync = Schema.Struct({
  _tag: Schema.tag("BasicRecoverAsync"),
  requeue: Bit
}).annotations({ identifier: "BasicRecoverAsync" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicRecoverAsync extends Schema.Schema.Type<typeof BasicRecoverAsync> {}

/**
 * Asks for everything not yet acknowledged again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicRecover = Schema.Struct({
  _tag: Schema.tag("BasicRecover"),
  requeue: Bit
}).annotations({ identifier: "BasicRecover" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicRecover extends Schema.Schema.Type<typeof BasicRecover> {}

/**
 * What was not acknowledged will come again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicRecoverOk = Schema.Struct({ _tag: Schema.tag("BasicRecoverOk") }).annotations({
  identifier: "BasicRecoverOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicRecoverOk extends Schema.Schema.Type<typeof BasicRecoverOk> {}

/**
 * Refuses deliveries, or from the broker publishes (RabbitMQ); with `multiple` all up to it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicNack = Schema.Struct({
  _tag: Schema.tag("BasicNack"),
  deliveryTag: LongLong,
  multiple: Bit,
  requeue: Bit
}).annotations({ identifier: "BasicNack" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicNack extends Schema.Schema.Type<typeof BasicNack> {}
