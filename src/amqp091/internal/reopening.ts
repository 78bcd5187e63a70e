/**
 * The broker closed a channel: what that means, and whether and after how long the channel may open again.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ChannelReason } from "../../AmqpError.ts"
import { ChannelError } from "../../AmqpError.ts"
import * as Method from "../Method.ts"
import * as ReplyText from "./replyText.ts"

const reasons: Record<number, ChannelReason> = {
  311: "ContentTooLarge",
  312: "NoRoute",
  313: "NoRoute",
  403: "AccessRefused",
  404: "NotFound",
  405: "ResourceLocked",
  406: "PreconditionFailed"
}

/** The fault of a channel that the broker closed. @internal */
export const closedByBroker = (close: Method.ChannelClose): ChannelError =>
  new ChannelError({
    reason: reasons[close.replyCode] ?? "Other",
    code: close.replyCode,
    text: close.replyText,
    details: ReplyText.parse(close.replyText),
    method: Method.nameOf(close.classId, close.methodId) ?? "channel"
  })

/**
 * The broker refuses a consumer because of one that is there: perhaps our own, whose socket it does not know to be gone.
 *
 * @internal
 */
export const isHeld = ({ code, details, method }: ChannelError): boolean =>
  method === "basic.consume" && (code === 405 || code === 403 && details?._tag === "InUse")

// Five reopenings within a minute without a success in between are a loop, not bad luck.
const window = 60_000
const limit = 5

/**
 * So much silence of a broker that reads: counted in quarters, of which none counts at whose end it blocks us, nor those
 * before.
 *
 * @internal
 */
export const silence = (limit: Duration.Duration, isBlocked: () => boolean): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    let quarters = 0
    const count = () => {
      quarters = isBlocked() ? 0 : quarters + 1
      return quarters === 4
    }
    return Effect.repeat(Effect.sleep(Duration.times(limit, 0.25)), { until: count })
  })

/** The reopenings of one channel since it last did anything useful. @internal */
export class Reopening {
  private times: Array<number> = []

  /** Counts a reopening; `false` when it is one too many. */
  mayGoOn(now: number): boolean {
    this.times = this.times.filter((time) => now - time < window)
    this.times.push(now)
    return this.times.length <= limit
  }

  succeeded(): void {
    if (this.times.length > 0) this.times = []
  }

  /** For what the broker will notice by itself. */
  readonly patience: Effect.Effect<void> = Effect.sleep("500 millis")

  /** The first is at once, the second after 100 ms, and each after twice the time of the one before. */
  readonly backOff: Effect.Effect<void> = Effect.suspend(() => {
    const earlier = this.times.length - 1
    return earlier <= 0 ? Effect.void : Effect.sleep(Duration.millis(50 * 2 ** earlier))
  })
}
