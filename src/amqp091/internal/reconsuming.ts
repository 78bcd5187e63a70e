/**
 * A consumer that the broker ended, asked for again.
 *
 * @since 0.1.0
 */
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { CallError, ChannelError, ConsumerCancelled } from "../../AmqpError.ts"
import * as Reconnect from "../../Reconnect.ts"
import type { CancelPolicy } from "../Channel.ts"
import type { ChannelCore } from "./channel.ts"
import type { ConsumeFault, Consumer } from "./consumer.ts"
import type { DeliveryRecord } from "./delivery.ts"
import { findQueue, isNotFound } from "./openOn.ts"

// A queue that is gone when a new life of the channel begins (404) was deleted as much as one that is cancelled.
const isCancel = (fault: ConsumeFault): fault is ConsumerCancelled | ChannelError =>
  fault._tag === "ConsumerCancelled" || isNotFound(fault)

/**
 * The deliveries of a consumer and, by the policy, of those that follow it when the broker ends it. `again` makes the
 * next consumer the present one, and asks the broker for it.
 *
 * @internal
 */
export const following = (
  core: ChannelCore,
  onCancel: Exclude<CancelPolicy, "fail">,
  present: () => Consumer,
  again: Effect.Effect<void, CallError>
): Stream.Stream<DeliveryRecord, ConsumeFault> => {
  const schedule = onCancel === "end" || onCancel === "reconsume" ? Reconnect.exponential() : onCancel
  const askAgain = (fault: ConsumerCancelled | ChannelError): Effect.Effect<void, CallError | ConsumerCancelled> => {
    // The fault itself is the first that the Schedule sees: no attempt comes before its first delay.
    let attempt: Effect.Effect<void, CallError | ConsumerCancelled> = Effect.fail(fault)
    return Effect.suspend(() => {
      const now = attempt
      // To consume from a queue that is not there would close the channel, and in the end for good.
      attempt = Effect.zipRight(findQueue(core.host, present().settings.queue()), again)
      return now
    }).pipe(Effect.retry({ schedule, while: (each) => isCancel(each) || each._tag === "NotReady" }))
  }
  const take: Effect.Effect<Chunk.Chunk<DeliveryRecord>, Option.Option<ConsumeFault>> = Effect.suspend(() =>
    present().take
  ).pipe(
    Effect.catchAll((end) => {
      if (Option.isNone(end) || !isCancel(end.value)) return Effect.fail(end)
      if (onCancel === "end") return Effect.fail(Option.none())
      return Effect.zipRight(Effect.mapError(askAgain(end.value), Option.some), take)
    })
  )
  return Stream.repeatEffectChunkOption(take)
}
