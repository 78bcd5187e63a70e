/**
 * A value that synchronous code sets from a socket's callback and Effects observe. Not a `SubscriptionRef`, whose `set`
 * is an Effect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"

/** @internal */
export interface Cell<A> {
  readonly unsafeGet: () => A
  readonly unsafeSet: (value: A) => void
  /** The current value, then each later one. A subscriber that lags by more than 64 misses the oldest. */
  readonly changes: Stream.Stream<A>
  /** Ends `changes` for everyone, after what was set so far. */
  readonly unsafeEnd: () => void
}

/** @internal */
export const make = <A>(initial: A): Effect.Effect<Cell<A>> =>
  Effect.map(PubSub.sliding<{ readonly value: A; readonly last: boolean }>(64), (hub) => {
    let current = initial
    let ended = false
    return {
      unsafeGet: () => current,
      unsafeSet: (value) => {
        if (ended || Equal.equals(current, value)) return
        current = value
        hub.unsafeOffer({ value, last: false })
      },
      unsafeEnd: () => {
        if (ended) return
        ended = true
        hub.unsafeOffer({ value: current, last: true })
      },
      changes: Stream.unwrapScoped(Effect.map(PubSub.subscribe(hub), (subscription) => {
        // Read after subscribing: nothing set in between is missed, and what is set later comes through the hub.
        const now = Stream.make(current)
        return ended ? now : Stream.concat(
          now,
          Stream.fromQueue(subscription).pipe(
            Stream.takeUntil((change) => change.last),
            Stream.filter((change) => !change.last),
            Stream.map((change) => change.value)
          )
        )
      }))
    }
  })
