/**
 * The line of a pool's borrowers: first come, first served.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PoolError } from "../AmqpError.ts"
import type { Member } from "./poolMember.ts"

/** A borrower in line. What it was granted is its own until it says otherwise, also when it is interrupted just then. @internal */
export class Waiter<A, E> {
  readonly shared: boolean
  granted: Member<A> | undefined
  private outcome: Effect.Effect<void, E | PoolError> | undefined
  private resume: ((effect: Effect.Effect<void, E | PoolError>) => void) | undefined

  constructor(shared: boolean) {
    this.shared = shared
  }

  readonly answer: Effect.Effect<void, E | PoolError> = Effect.async((resume) => {
    if (this.outcome === undefined) this.resume = resume
    else resume(this.outcome)
  })

  enqueued(): void {
    this.outcome = undefined
    this.resume = undefined
  }

  tell(outcome: Effect.Effect<void, E | PoolError>): void {
    this.outcome = outcome
    this.resume?.(outcome)
  }
}

/** @internal */
export class Line<A, E> {
  private readonly waiters = new Set<Waiter<A, E>>()
  /** Those whose turn it was, but for a check that failed: before everybody else. */
  private readonly front = new Set<Waiter<A, E>>()
  /** How many of them would share one. */
  sharers = 0

  get length(): number {
    return this.waiters.size + this.front.size
  }

  get head(): Waiter<A, E> | undefined {
    for (const waiter of this.front) return waiter
    for (const waiter of this.waiters) return waiter
    return undefined
  }

  add(waiter: Waiter<A, E>, place: "end" | "front"): void {
    waiter.enqueued()
    if (place === "end") this.waiters.add(waiter)
    else this.front.add(waiter)
    if (waiter.shared) this.sharers++
  }

  delete(waiter: Waiter<A, E>): void {
    const wasThere = this.front.delete(waiter) || this.waiters.delete(waiter)
    if (wasThere && waiter.shared) this.sharers--
  }
}
