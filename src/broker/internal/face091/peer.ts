/**
 * The connection, as its channels see it.
 *
 * @since 0.1.0
 */
import type * as Method from "../../../amqp091/Method.ts"
import type { Content } from "./content.ts"
import type { Profile } from "./profile.ts"
import type { Fault } from "./refusals.ts"
import type { ReplyTo } from "./replyTo.ts"

/** @internal */
export interface ChannelPeer {
  readonly send: (channel: number, method: Method.Method) => void
  readonly sendContent: (
    channel: number,
    method: Method.BasicDeliver | Method.BasicReturn | Method.BasicGetOk,
    content: Content
  ) => void
  /** The client's own socket takes more: one that does not read must not fill our memory. */
  readonly hasRoom: boolean
  /** The same for replies, which nobody keeps when it does not. */
  readonly hasRoomForReplies: boolean
  readonly cancelNotify: boolean
  /** Who the client is. */
  readonly user: string
  readonly vhost: string
  readonly profile: Profile
  readonly replyTo: ReplyTo
  /** How long a delivery may stay unacknowledged, in milliseconds. */
  readonly ackTimeout: number
  readonly now: () => number
  /** A deadline has come up. */
  readonly due: (deadline: number) => void
  /** Ends the channel over a fault, in the name of the method at fault where there is one. */
  readonly closeChannel: (channel: number, fault: Fault, method?: Method.Method) => void
  readonly closeConnection: (fault: Fault, method?: Method.Method) => void
  readonly generateName: () => string
}

/** A channel, as who decides on its publishes sees it. @internal */
export interface Publisher {
  readonly isConfirming: boolean
  /** Refuses the publish that has come. */
  readonly nack: () => void
  /** Never answers for the publish that has come, which `take` gives to the queues, if it is there. */
  readonly lose: (take?: () => void) => void
}

/** A publish, before its channel has seen it. @internal */
export interface Publish {
  readonly channel: Publisher
  readonly number: number
  readonly method: Method.BasicPublish
  readonly content: Content
  /** Gives it to the channel. */
  readonly take: () => void
}

/** Sees each publish, and decides what becomes of it. @internal */
export type PublishHook = (publish: Publish) => void
