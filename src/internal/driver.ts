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
export interface Driver<In> {
  readonly reset: () => void
  /** The delay before what comes next; `undefined` when the Schedule has ended. */
  readonly next: (input: In) => Effect.Effect<Duration.Duration | undefined>
}

/** @internal */
export const makeDriver = <In>(clock: Clock.Clock, schedule: Schedule.Schedule<unknown, In>): Driver<In> => {
  let state: unknown = schedule.initial
  return {
    reset: () => {
      state = schedule.initial
    },
    next: (input) =>
      Effect.gen(function*() {
        const now = clock.unsafeCurrentTimeMillis()
        const [following, , decision] = yield* schedule.step(now, input, state)
        state = following
        return ScheduleDecision.isDone(decision)
          ? undefined
          : Duration.millis(Math.max(0, Math.round(ScheduleIntervals.start(decision.intervals) - now)))
      })
  }
}
