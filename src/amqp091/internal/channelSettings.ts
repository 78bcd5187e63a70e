/**
 * What a channel is opened with, and why it may not be.
 *
 * @since 0.1.0
 */
import { ChannelError } from "../../AmqpError.ts"
import type { Capabilities } from "../Connection.ts"
import type * as Method from "../Method.ts"
import type { Resident } from "./channelHost.ts"
import type { PublishingOptions } from "./publishing.ts"

/** @internal */
export interface ChannelSettings extends PublishingOptions {
  /** What each life begins with: confirm.select, tx.select, or neither. */
  readonly mode: "plain" | "confirm" | "tx"
  readonly prefetch: number
  /** The channel number it must have. Default: the lowest that is free. */
  readonly number?: number | undefined
  /** Its mode is selected without waiting for the answer (confirm.select knows that alone). */
  readonly noWait?: boolean | undefined
  /** Closed by the broker, it stays closed. */
  readonly once?: boolean | undefined
  /** Brings a topology back: waits for no other one that does, and what it declares is known already. */
  readonly ofTopology?: boolean | undefined
  readonly resident?: Resident | undefined
}

/** The method that selects the mode. @internal */
export const selectMode = ({ mode, noWait = false }: ChannelSettings): Method.Method | undefined => {
  switch (mode) {
    case "plain":
      return undefined
    case "confirm":
      return { _tag: "ConfirmSelect", noWait }
    case "tx":
      return { _tag: "TxSelect" }
  }
}

/** Why the broker cannot carry such a channel, if so. @internal */
export const unsupported = ({ mode }: ChannelSettings, capabilities: Capabilities): ChannelError | undefined =>
  mode !== "confirm" || capabilities.publisherConfirms ? undefined : new ChannelError({
    reason: "Refused",
    code: 0,
    text: "the broker does not confirm publishes, and would close the connection",
    method: "confirm.select"
  })

/** @internal */
export const noFreeChannels = ({ number }: ChannelSettings): ChannelError =>
  new ChannelError({
    reason: "NoFreeChannels",
    code: 0,
    text: number === undefined
      ? "every channel number of the connection is in use"
      : `channel number ${number} is in use, or above what the connection allows`,
    method: "channel.open"
  })
