/**
 * What the broker proposes to clients, and which of their answers it takes.
 *
 * @since 0.1.0
 */
import * as Method from "../../../amqp091/Method.ts"
import type { Profile } from "./profile.ts"
import type { Fault } from "./refusals.ts"
import { fault } from "./refusals.ts"

/** RabbitMQ's own proposals. @internal */
export const tuning = { channelMax: 2047, frameMax: 131072, heartbeat: 60 }

const refused = (text: string): Fault => fault(Method.ReplyCode.notAllowed, `negotiated ${text}`)

/** 0 asks for no limit, which is more than any. */
const tooHigh = (name: string, asked: number, allowed: number): Fault | undefined =>
  asked !== 0 && asked <= allowed
    ? undefined
    : refused(`${name} = ${asked === 0 ? "no limit" : asked} is higher than the maximum allowed value (${allowed})`)

/** @internal */
export const tuningFault = (method: Method.ConnectionTuneOk, { minFrameMax }: Profile): Fault | undefined => {
  const { channelMax, frameMax } = method
  return tooHigh("frame_max", frameMax, tuning.frameMax) ?? tooHigh("channel_max", channelMax, tuning.channelMax) ??
    (frameMax < minFrameMax
      ? refused(`frame_max = ${frameMax} is lower than the minimum allowed value (${minFrameMax})`)
      : undefined)
}
