/**
 * The methods of class queue.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ReservedId } from "../../wire/Compiler.ts"
import { Bit, Long, ShortStr, Table } from "./types.ts"

/**
 * Makes a queue, or checks that it is there as described; `passive` only checks that it is there. An empty name lets
 * the server choose one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueDeclare = Schema.Struct({
  _tag: Schema.tag("QueueDeclare"),
  queue: ShortStr,
  passive: Bit,
  durable: Bit,
  exclusive: Bit,
  autoDelete: Bit,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "QueueDeclare", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueDeclare extends Schema.Schema.Type<typeof QueueDeclare> {}

/**
 * The queue is there; its name, what is ready in it, and its consumers.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueDeclareOk = Schema.Struct({
  _tag: Schema.tag("QueueDeclareOk"),
  queue: ShortStr,
  messageCount: Long,
  consumerCount: Long
}).annotations({ identifier: "QueueDeclareOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueDeclareOk extends Schema.Schema.Type<typeof QueueDeclareOk> {}

/**
 * Routes messages from an exchange to a queue.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueBind = Schema.Struct({
  _tag: Schema.tag("QueueBind"),
  queue: ShortStr,
  exchange: ShortStr,
  routingKey: ShortStr,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "QueueBind", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueBind extends Schema.Schema.Type<typeof QueueBind> {}

/**
 * The binding is there.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueBindOk = Schema.Struct({ _tag: Schema.tag("QueueBindOk") }).annotations({ identifier: "QueueBindOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueBindOk extends Schema.Schema.Type<typeof QueueBindOk> {}

/**
 * Takes a binding away. It always gets a reply: this method has no `noWait`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueUnbind = Schema.Struct({
  _tag: Schema.tag("QueueUnbind"),
  queue: ShortStr,
  exchange: ShortStr,
  routingKey: ShortStr,
  arguments: Table
}).annotations({ identifier: "QueueUnbind", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueUnbind extends Schema.Schema.Type<typeof QueueUnbind> {}

/**
 * The binding is gone.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueUnbindOk = Schema.Struct({ _tag: Schema.tag("QueueUnbindOk") }).annotations({
  identifier: "QueueUnbindOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueUnbindOk extends Schema.Schema.Type<typeof QueueUnbindOk> {}

/**
 * Drops every message of a queue that awaits no acknowledgement.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueuePurge = Schema.Struct({
  _tag: Schema.tag("QueuePurge"),
  queue: ShortStr,
  noWait: Bit
}).annotations({ identifier: "QueuePurge", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueuePurge extends Schema.Schema.Type<typeof QueuePurge> {}

/**
 * The queue was purged of so many messages.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueuePurgeOk = Schema.Struct({
  _tag: Schema.tag("QueuePurgeOk"),
  messageCount: Long
}).annotations({ identifier: "QueuePurgeOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueuePurgeOk extends Schema.Schema.Type<typeof QueuePurgeOk> {}

/**
 * Deletes a queue, with `ifUnused` only one without consumers, with `ifEmpty` only an empty one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueDelete = Schema.Struct({
  _tag: Schema.tag("QueueDelete"),
  queue: ShortStr,
  ifUnused: Bit,
  ifEmpty: Bit,
  noWait: Bit
}).annotations({ identifier: "QueueDelete", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueDelete extends Schema.Schema.Type<typeof QueueDelete> {}

/**
 * The queue is gone, and so many messages with it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueueDeleteOk = Schema.Struct({
  _tag: Schema.tag("QueueDeleteOk"),
  messageCount: Long
}).annotations({ identifier: "QueueDeleteOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueDeleteOk extends Schema.Schema.Type<typeof QueueDeleteOk> {}
