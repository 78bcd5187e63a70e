/**
 * One sleeping fiber for all deadlines of a connection, and none while it has no deadline: it sleeps to the next one, never
 * by a fixed tick, so that TestClock's time passes in one step. A deadline that is no longer needed costs one idle
 * wake-up, not a cancelled timer.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { Fork } from "./forks.ts"
import { makeFork } from "./forks.ts"

// A clock takes a longer sleep for an endless one; waking up early costs nothing.
const longestSleep = 2 ** 31 - 1

/** @internal */
export interface Timed {
  /** The earliest time, in milliseconds, at which `tick` has something to do; `Infinity` when there is none. */
  readonly nextDeadline: () => number
  /**
   * Does what is due: by the sum that `nextDeadline` gave, not by what is left of a difference, which rounding may find
   * short of it when the time has a fraction. `late` is by how many milliseconds the timer overslept.
   */
  readonly tick: (now: number, late: number) => void
}

// Whole milliseconds, and rather one too many: a clock may cut off a fraction, wake up before the time, and be asked for
// a sleep of nothing again and again.
const untilDue = (millis: number): number => Math.min(Math.max(0, Math.ceil(millis)), longestSleep)

/** @internal */
export class Timer {
  private target = Infinity
  private sleeper: Fiber.RuntimeFiber<void> | undefined
  private readonly clock: Clock.Clock
  private readonly timed: Timed
  private readonly fork: Fork

  constructor(clock: Clock.Clock, timed: Timed, fork: Fork) {
    this.clock = clock
    this.timed = timed
    this.fork = fork
  }

  now(): number {
    return this.clock.unsafeCurrentTimeMillis()
  }

  /** `nextDeadline` has become this early; starts another sleep only when the present one would go past it. */
  due(deadline: number): void {
    if (deadline >= this.target) return
    this.sleeper?.unsafeInterruptAsFork(FiberId.none)
    this.sleepUntil(deadline)
  }

  private sleepUntil(target: number): void {
    this.target = target
    if (target === Infinity) {
      this.sleeper = undefined
      return
    }
    const sleep = this.clock.sleep(Duration.millis(untilDue(target - this.now())))
    const sleeper = this.fork(Effect.map(sleep, () => {
      // It may have slept to its end just when another took its place.
      if (this.sleeper === sleeper) this.wake(target)
    }))
    this.sleeper = sleeper
  }

  private wake(target: number): void {
    const now = this.now()
    // What comes up meanwhile is not earlier than `target`: it is asked for afterwards.
    if (now >= target) this.timed.tick(now, now - target)
    this.sleepUntil(this.timed.nextDeadline())
  }
}

/** @internal */
export const make = (clock: Clock.Clock, timed: Timed): Effect.Effect<Timer, never, Scope.Scope> =>
  Effect.map(makeFork, (fork) => {
    const timer = new Timer(clock, timed, fork)
    timer.due(timed.nextDeadline())
    return timer
  })
