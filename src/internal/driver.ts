/**
 * A Schedule driven by hand, so that a delay is known, and can be told, before it is slept.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"

/** @internal */
export class Driver<in In> {
  private readonly clock: Clock.Clock
  private readonly schedule: Schedule.Schedule<unknown, In>
  private state: unknown

  constructor(clock: Clock.Clock, schedule: Schedule.Schedule<unknown, In>) {
    this.clock = clock
    this.schedule = schedule
    this.state = schedule.initial
  }

  reset(): void {
    this.state = this.schedule.initial
  }

  /** The delay before what comes next; `undefined` when the Schedule has ended. */
  next(input: In): Effect.Effect<Duration.Duration | undefined> {
    return Effect.suspend(() => {
      const now = this.clock.unsafeCurrentTimeMillis()
      return Effect.map(this.schedule.step(now, input, this.state), ([following, , decision]) => {
        this.state = following
        return ScheduleDecision.isDone(decision)
          ? undefined
          : Duration.millis(Math.max(0, Math.round(ScheduleIntervals.start(decision.intervals) - now)))
      })
    })
  }
}
