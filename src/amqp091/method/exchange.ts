/**
 * The methods of class exchange, with the bindings between exchanges that RabbitMQ adds.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ReservedId } from "../../wire/Compiler.ts"
import { Bit, ShortStr, Table } from "./types.ts"

/**
 * Makes an exchange, or checks that it is there as described; `passive` only checks that it is there.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeDeclare = Schema.Struct({
  _tag: Schema.tag("ExchangeDeclare"),
  exchange: ShortStr,
  type: ShortStr,
  passive: Bit,
  durable: Bit,
  autoDelete: Bit,
  internal: Bit,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "ExchangeDeclare", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeDeclare extends Schema.Schema.Type<typeof ExchangeDeclare> {}

/**
 * The exchange is there.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeDeclareOk = Schema.Struct({ _tag: Schema.tag("ExchangeDeclareOk") }).annotations({
  identifier: "ExchangeDeclareOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeDeclareOk extends Schema.Schema.Type<typeof ExchangeDeclareOk> {}

/**
 * Deletes an exchange, with `ifUnused` only one without bindings.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeDelete = Schema.Struct({
  _tag: Schema.tag("ExchangeDelete"),
  exchange: ShortStr,
  ifUnused: Bit,
  noWait: Bit
}).annotations({ identifier: "ExchangeDelete", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeDelete extends Schema.Schema.Type<typeof ExchangeDelete> {}

/**
 * The exchange is gone.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeDeleteOk = Schema.Struct({ _tag: Schema.tag("ExchangeDeleteOk") }).annotations({
  identifier: "ExchangeDeleteOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeDeleteOk extends Schema.Schema.Type<typeof ExchangeDeleteOk> {}

/**
 * Routes messages from one exchange to another (RabbitMQ).
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeBind = Schema.Struct({
  _tag: Schema.tag("ExchangeBind"),
  destination: ShortStr,
  source: ShortStr,
  routingKey: ShortStr,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "ExchangeBind", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeBind extends Schema.Schema.Type<typeof ExchangeBind> {}

/**
 * The binding is there.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeBindOk = Schema.Struct({ _tag: Schema.tag("ExchangeBindOk") }).annotations({
  identifier: "ExchangeBindOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeBindOk extends Schema.Schema.Type<typeof ExchangeBindOk> {}

/**
 * Takes a binding between exchanges away (RabbitMQ).
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeUnbind = Schema.Struct({
  _tag: Schema.tag("ExchangeUnbind"),
  destination: ShortStr,
  source: ShortStr,
  routingKey: ShortStr,
  noWait: Bit,
  arguments: Table
}).annotations({ identifier: "ExchangeUnbind", [ReservedId]: { 0: "short" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeUnbind extends Schema.Schema.Type<typeof ExchangeUnbind> {}

/**
 * The binding is gone.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExchangeUnbindOk = Schema.Struct({ _tag: Schema.tag("ExchangeUnbindOk") }).annotations({
  identifier: "ExchangeUnbindOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeUnbindOk extends Schema.Schema.Type<typeof ExchangeUnbindOk> {}
