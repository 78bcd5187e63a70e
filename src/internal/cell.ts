/**
 * A value that synchronous code sets from a socket's callback and Effects observe. Not a `SubscriptionRef`, whose `set`
 * is an Effect.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Stream from "effect/Stream"
import { Events } from "./events.ts"

/** @internal */
export class Cell<A> {
  private current: A
  private events: Events<A> | undefined
  private ended = false

  constructor(initial: A) {
    this.current = initial
  }

  unsafeGet(): A {
    return this.current
  }

  unsafeSet(value: A): void {
    if (this.ended || Equal.equals(this.current, value)) return
    this.current = value
    this.events?.offer(value)
  }

  /** Ends `changes` for everyone, after what was set so far. */
  unsafeEnd(): void {
    this.ended = true
    this.events?.end()
  }

  /** The current value, then each later one. A subscriber that lags by more than 64 misses the oldest. */
  get changes(): Stream.Stream<A> {
    return Stream.suspend(() => {
      // After the end there is the last value, and nobody to hear of another.
      if (this.ended) return Stream.make(this.current)
      this.events ??= new Events<A>()
      return this.events.stream(() => [this.current])
    })
  }
}
