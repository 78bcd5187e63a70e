/**
 * The methods of class confirm, which is an extension of RabbitMQ.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Bit } from "./types.ts"

/**
 * Asks the broker to acknowledge what is published on this channel (RabbitMQ).
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConfirmSelect = Schema.Struct({
  _tag: Schema.tag("ConfirmSelect"),
  noWait: Bit
}).annotations({ identifier: "ConfirmSelect" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConfirmSelect extends Schema.Schema.Type<typeof ConfirmSelect> {}

/**
 * The broker acknowledges what is published from now on.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConfirmSelectOk = Schema.Struct({ _tag: Schema.tag("ConfirmSelectOk") }).annotations({
  identifier: "ConfirmSelectOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ConfirmSelectOk extends Schema.Schema.Type<typeof ConfirmSelectOk> {}
