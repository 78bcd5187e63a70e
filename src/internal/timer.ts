/**
 * One sleeping fiber for all deadlines of a connection: it sleeps to the next one, never by a fixed tick, so that
 * TestClock's time passes in one step. A deadline that is no longer needed costs one idle wake-up, not a cancelled timer.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

// A clock takes a longer sleep for an endless one; waking up early costs nothing.
const longestSleep = 2 ** 31 - 1

/** @internal */
export interface Timed {
  /** The earliest time, in milliseconds, at which `tick` has something to do; `Infinity` when there is none. */
  readonly nextDeadline: () => number
  /** Does what is due. `late` is by how many milliseconds the timer overslept. */
  readonly tick: (now: number, late: number) => void
}

const untilDue = (millis: number): number => Math.min(Math.max(0, millis), longestSleep)

/** @internal */
export class Timer {
  private target = Infinity
  private woken = false
  private wake: (() => void) | undefined
  private readonly clock: Clock.Clock
  private readonly timed: Timed

  constructor(clock: Clock.Clock, timed: Timed) {
    this.clock = clock
    this.timed = timed
  }

  now(): number {
    return this.clock.unsafeCurrentTimeMillis()
  }

  /** `nextDeadline` has become this early; wakes the fiber only when it would sleep past it. */
  due(deadline: number): void {
    if (deadline >= this.target) return
    this.target = deadline
    // The fiber may not have begun to wait yet: it looks at the mark then.
    this.woken = true
    this.wake?.()
  }

  /** The fiber itself. */
  readonly run: Effect.Effect<never> = Effect.suspend(() => {
    this.woken = false
    const target = this.timed.nextDeadline()
    this.target = target
    const woken = Effect.async<void>((resume) => {
      if (this.woken) resume(Effect.void)
      else this.wake = () => resume(Effect.void)
    })
    const wait = target === Infinity
      ? woken
      : Effect.raceFirst(this.clock.sleep(Duration.millis(untilDue(target - this.now()))), woken)
    return Effect.map(wait, () => {
      this.wake = undefined
      const now = this.now()
      if (now >= target) this.timed.tick(now, now - target)
    })
  }).pipe(Effect.forever)
}

/** @internal */
export const make = (clock: Clock.Clock, timed: Timed): Effect.Effect<Timer, never, Scope.Scope> =>
  Effect.suspend(() => {
    const timer = new Timer(clock, timed)
    return Effect.as(Effect.forkScoped(timer.run), timer)
  })
