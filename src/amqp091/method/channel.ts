/**
 * The methods of class channel.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ReservedId } from "../../wire/Compiler.ts"
import { Bit, Short, ShortStr } from "./types.ts"

/**
 * Opens a channel.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelOpen = Schema.Struct({ _tag: Schema.tag("ChannelOpen") }).annotations({
  identifier: "ChannelOpen",
  [ReservedId]: { 0: "shortstr" }
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelOpen extends Schema.Schema.Type<typeof ChannelOpen> {}

/**
 * The channel is open.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelOpenOk = Schema.Struct({ _tag: Schema.tag("ChannelOpenOk") }).annotations({
  identifier: "ChannelOpenOk",
  [ReservedId]: { 0: "longtext" }
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelOpenOk extends Schema.Schema.Type<typeof ChannelOpenOk> {}

/**
 * Asks the other side to pause or to resume sending messages on this channel.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelFlow = Schema.Struct({
  _tag: Schema.tag("ChannelFlow"),
  active: Bit
}).annotations({ identifier: "ChannelFlow" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelFlow extends Schema.Schema.Type<typeof ChannelFlow> {}

/**
 * The other side has paused or resumed.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelFlowOk = Schema.Struct({
  _tag: Schema.tag("ChannelFlowOk"),
  active: Bit
}).annotations({ identifier: "ChannelFlowOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelFlowOk extends Schema.Schema.Type<typeof ChannelFlowOk> {}

/**
 * Either side ends the channel. `classId` and `methodId` name the method that was at fault, 0 and 0 none.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelClose = Schema.Struct({
  _tag: Schema.tag("ChannelClose"),
  replyCode: Short,
  replyText: ShortStr,
  classId: Short,
  methodId: Short
}).annotations({ identifier: "ChannelClose" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelClose extends Schema.Schema.Type<typeof ChannelClose> {}

/**
 * The other side has seen the end of the channel.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChannelCloseOk = Schema.Struct({ _tag: Schema.tag("ChannelCloseOk") }).annotations({
  identifier: "ChannelCloseOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ChannelCloseOk extends Schema.Schema.Type<typeof ChannelCloseOk> {}
