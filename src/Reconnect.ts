/**
 * When to dial again: Schedules over the typed fault, to be used as they are or composed with `recurs`, `upTo`,
 * `whileInput` and the rest of `effect/Schedule`. Which faults end a connection for good is `ErrorPolicy`'s business.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import type { RecoverableError } from "./AmqpError.ts"

/**
 * A Schedule that sees each fault and says after which delay the next round over the endpoints begins.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = Schedule.Schedule<unknown, RecoverableError>

/**
 * A length of time as an option takes it: a `Duration` or a text such as `"30 seconds"`. Never a bare number, which
 * would mean milliseconds to Effect and seconds to a user of AMQP.
 *
 * @since 0.1.0
 * @category models
 */
export type DurationText = Exclude<Duration.DurationInput, number | bigint>

/**
 * Delays that double from `first` to `max`, each multiplied by a random factor between 0.5 and 1, for ever. The default.
 *
 * Defaults: 100 milliseconds, 10 seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const exponential = (options?: {
  readonly first?: DurationText | undefined
  readonly max?: DurationText | undefined
}): Schedule.Schedule<Duration.Duration> => {
  const max = Duration.decode(options?.max ?? "10 seconds")
  return Schedule.exponential(options?.first ?? "100 millis", 2).pipe(
    // The cap first, then the jitter: no delay exceeds the cap, and none settles on it.
    Schedule.modifyDelay((_, delay) => Duration.min(delay, max)),
    Schedule.jitteredWith({ min: 0.5, max: 1 })
  )
}

/**
 * Never dials again: the first loss closes the connection.
 *
 * @since 0.1.0
 * @category constructors
 */
export const none: Schedule.Schedule<void> = Schedule.stop
