/**
 * A value that synchronous code sets from a socket's callback and Effects observe. Not a `SubscriptionRef`, whose `set`
 * is an Effect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Stream from "effect/Stream"
import { Events } from "./events.ts"

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
  Effect.sync(() => {
    const events = new Events<A>()
    let current = initial
    let ended = false
    return {
      unsafeGet: () => current,
      unsafeSet: (value) => {
        if (ended || Equal.equals(current, value)) return
        current = value
        events.offer(value)
      },
      unsafeEnd: () => {
        ended = true
        events.end()
      },
      get changes() {
        return events.stream(() => [current])
      }
    }
  })
