/**
 * What a channel asks of the connection that carries it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { CallError, FrameError } from "../../AmqpError.ts"
import type { Capabilities } from "../Connection.ts"
import type * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import type { ChannelCore } from "./channel.ts"
import type { ChannelSettings } from "./channelSettings.ts"
import type { Consumer } from "./consumer.ts"
import type { ContentMethod } from "./engine.ts"
import type { LiveSocket } from "./liveSocket.ts"
import type { Recovery } from "./recovery.ts"

/** What the connection passes on to the channel that a number belongs to. @internal */
export interface ChannelOnSocket {
  readonly onMethod: (method: Method.Method) => void
  readonly onContent: (method: ContentMethod, properties: BasicProperties, body: Uint8Array) => void
  readonly onClosed: (close: Method.ChannelClose) => void
}

/** Who waits for room in the output. @internal */
export interface Starving {
  /** Whether it stands in the line. */
  starves: boolean
  /** There is room; `true` when it has enough of it. */
  readonly release: () => boolean
}

/** @internal */
export interface ChannelHost {
  /** The socket that is open, or being brought up again. */
  readonly socket: LiveSocket | undefined
  /** The broker takes no publishes for now (connection.blocked). */
  readonly isBlocked: boolean
  /** What the broker can do besides the specification. */
  readonly capabilities: Capabilities
  /** The output is below its high-water mark. */
  readonly hasRoom: boolean
  readonly now: () => number
  /** A deadline has come up. */
  readonly due: (deadline: number) => void
  readonly operationTimeout: Duration.Duration
  readonly channelTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  readonly publishTimeout: Duration.Duration
  readonly publishTimeoutMillis: number
  /** Why an operation cannot even wait: the connection is closed, or not ready and told not to wait. */
  readonly refusal: (operation: string, publishes: boolean) => CallError | undefined
  /** The highest channel number. */
  readonly channelMax: number
  /** What was declared on any channel, and how it comes back. */
  readonly recovery: Recovery
  /** Brings back the queues of these names that went with their last consumer, while the present socket lives. */
  readonly heal: (queues: ReadonlyArray<string>) => Effect.Effect<void>
  /** A queue has a new name: calls that wait are about that one. */
  readonly renamed: (from: string, to: string) => void
  /** A consumer of the queue is gone. */
  readonly consumerGone: (queue: string) => void
  /** A channel that is not open yet. */
  readonly open: (settings: ChannelSettings) => ChannelCore
  /** The channel is carried under this number on the present socket. */
  readonly carry: (number: number, channel: ChannelOnSocket) => void
  /** The channel is gone for good. */
  readonly drop: (channel: ChannelOnSocket) => void
  /** Runs an Effect in the connection's scope. */
  readonly fork: (effect: Effect.Effect<void>) => void
  /** The peer broke the protocol in a way only the channel can see. */
  readonly onFault: (fault: FrameError) => void
  /** The peer does not answer what it must: its socket is given up. */
  readonly abandon: (cause: CallError) => void
  /** The buffer of a no-ack consumer has reached its limit. */
  readonly consumerFull: () => void
  /** Publishes wait for room: to be told when there is some. */
  readonly starve: (publishing: Starving) => void
  /** What decides whether reading may pause may have changed. */
  readonly readingMayChange: () => void
}

/** A module above a channel that has it for itself, and follows its lives. @internal */
export interface Resident {
  /** A consumer that each life begins with, the first too. */
  readonly consumer?: Consumer | undefined
  /** What each life is brought up with, before consumers. */
  readonly prepare: () => ReadonlyArray<Method.Method>
  /** Whether it waits for something that only reading can bring. */
  readonly isWaiting: boolean
  readonly opened: () => void
  /** The life is over: what was sent in it has no answer any more. */
  readonly down: (fault: CallError) => void
  /** The channel is gone for good. */
  readonly closed: (error: CallError) => void
  /** A mandatory message came back; `true` when it was one of its own. */
  readonly returned: (method: Method.BasicReturn, properties: BasicProperties) => boolean
}
