/**
 * When to dial again: Schedules over the typed fault, to be used as they are or composed with `recurs`, `upTo`,
 * `whileInput` and the rest of `effect/Schedule`. Which faults end a connection for good is `ErrorPolicy`'s business.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
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
 * What a strategy of one's own is asked with, before each round.
 *
 * @since 0.1.0
 * @category models
 */
export interface Round<Endpoint> {
  /** All there are, in the order they were given. */
  readonly endpoints: readonly [Endpoint, ...Array<Endpoint>]
  /** The one that was dialled last, whether it answered or not; `undefined` before the first dial. */
  readonly last: Endpoint | undefined
  /** Counts from 0 since the last connection that proved stable. */
  readonly round: number
  /** What ended the last round, or the connection; `undefined` before the first dial. */
  readonly fault: RecoverableError | undefined
}

/**
 * The order in which a round tries the endpoints:
 *
 * - `in-order`: from the first, each time.
 * - `round-robin`: from the one after the last that was dialled.
 * - `shuffle`: each once, in an order of chance.
 * - `random`: as many as there are, each drawn from all.
 * - `priority`: from the first, each time; and while it is connected to another one, the better ones are dialled again by
 *   the delays of `reconnect`, from when the connection proved stable on. As soon as one of them answers it goes back there.
 * - a function: whatever it lists, which may be endpoints that were not given. Nobody listed is a round that failed.
 *
 * @since 0.1.0
 * @category models
 */
export type Strategy<Endpoint> =
  | "in-order"
  | "round-robin"
  | "shuffle"
  | "random"
  | "priority"
  | ((round: Round<Endpoint>) => Iterable<Endpoint>)

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
 * Delays that grow by `step` from `first` to `max`, for ever.
 *
 * Defaults: 2 seconds, 2 seconds, 30 seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const linear = (options?: {
  readonly first?: DurationText | undefined
  readonly step?: DurationText | undefined
  readonly max?: DurationText | undefined
}): Schedule.Schedule<Duration.Duration> => {
  const step = Duration.decode(options?.step ?? "2 seconds")
  const max = Duration.decode(options?.max ?? "30 seconds")
  return Schedule.delayedSchedule(
    Schedule.unfold(
      Duration.min(Duration.decode(options?.first ?? "2 seconds"), max),
      (delay) => Duration.min(Duration.sum(delay, step), max)
    )
  )
}

/** `first`, doubled from round to round up to `max`, without jitter. */
const doubled = (first: DurationText, max: DurationText = Duration.infinity) =>
  Schedule.delayedSchedule(
    Schedule.unfold(Duration.decode(first), (delay) => Duration.min(Duration.times(delay, 2), max))
  )

/** At most so many rounds more; `undefined`: no end. */
const atMost = <Out>(schedule: Schedule.Schedule<Out>, rounds: number | undefined): Schedule.Schedule<unknown> =>
  rounds === undefined ? schedule : Schedule.intersect(schedule, Schedule.recurs(Math.max(0, rounds)))

// --- What other clients do. A round is one try of every endpoint; none of these waits between endpoints. ---

/**
 * pika's `connection_attempts` and `retry_delay`, for `connect`: so many rounds in all, a fixed time apart. A name that
 * does not resolve fails alone; with pika it ends the round. pika dials once: as `reconnect` it has `Reconnect.none`.
 *
 * Defaults, as pika's: 1 attempt, 2 seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const pika = (options?: {
  readonly attempts?: number | undefined
  readonly delay?: DurationText | undefined
}): Schedule.Schedule<unknown> => atMost(Schedule.spaced(options?.delay ?? "2 seconds"), (options?.attempts ?? 1) - 1)

/**
 * The recovery that pika's design papers plan: 1 second, doubled up to 30, five times.
 *
 * @since 0.1.0
 * @category constructors
 */
export const pikaRecovery: Schedule.Schedule<unknown> = atMost(doubled("1 second", "30 seconds"), 5)

/**
 * kombu's `ensure_connection`: 2 seconds, 2 more each round, at most 30 (as its documentation says; its code comes to 32).
 *
 * `maxRetries`: how many rounds follow the first. Default: no end.
 *
 * @since 0.1.0
 * @category constructors
 */
export const kombu = (options?: { readonly maxRetries?: number | undefined }): Schedule.Schedule<unknown> =>
  atMost(linear(), options?.maxRetries)

/**
 * kombu's `ensure`: a second before each try.
 *
 * `maxRetries`: how many tries follow the first. Default: no end.
 *
 * @since 0.1.0
 * @category constructors
 */
export const kombuEnsure = (options?: { readonly maxRetries?: number | undefined }): Schedule.Schedule<unknown> =>
  atMost(Schedule.spaced("1 second"), options?.maxRetries)

/**
 * Qpid Proton's: at once, then 100 milliseconds doubled up to 10 seconds, for ever, without jitter. Proton uses each delay
 * for every URL before the next one; here it is one for each round.
 *
 * @since 0.1.0
 * @category constructors
 */
export const proton: Schedule.Schedule<unknown> = Schedule.delayedSchedule(
  Schedule.unfold(
    Duration.zero,
    (delay) =>
      Duration.equals(delay, Duration.zero)
        ? Duration.millis(100)
        : Duration.min(Duration.times(delay, 2), "10 seconds")
  )
)

/**
 * rabbitmq-client's: anything from 1 second to 2, 4, 8, 16, then 30, for ever.
 *
 * @since 0.1.0
 * @category constructors
 */
export const rabbitmqClient: Schedule.Schedule<unknown> = Schedule.modifyDelayEffect(
  Schedule.forever,
  (round) => Effect.map(Random.nextRange(1000, Math.min(1000 * 2 ** (round + 1), 30_000)), Duration.millis)
)

/**
 * amqplib's recovery: 100 milliseconds, doubled, each 20 % more or less, at most 30 seconds, for ever.
 *
 * @since 0.1.0
 * @category constructors
 */
export const amqplib: Schedule.Schedule<unknown> = Schedule.jitteredWith(
  // It takes the jitter off the cap, so that what grew to the cap is still jittered.
  doubled("100 millis", "25 seconds"),
  { min: 0.8, max: 1.2 }
)

/**
 * amqp-client.js's: 1 second, doubled up to 30, for ever, without jitter.
 *
 * @since 0.1.0
 * @category constructors
 */
export const amqpClient: Schedule.Schedule<unknown> = doubled("1 second", "30 seconds")

/**
 * amqp091-go's recovery: five rounds, 5 seconds apart.
 *
 * @since 0.1.0
 * @category constructors
 */
export const go: Schedule.Schedule<unknown> = atMost(Schedule.spaced("5 seconds"), 5)

/**
 * The Java client's: every 5 seconds, for ever; amqp-connection-manager's too. Java waits before its first round as well,
 * for the broker to delete what was exclusive; here that goes for one endpoint, and with several the others come first.
 *
 * @since 0.1.0
 * @category constructors
 */
export const java: Schedule.Schedule<unknown> = Schedule.spaced("5 seconds")

/**
 * effect-messaging's: every second, for ever.
 *
 * @since 0.1.0
 * @category constructors
 */
export const effectMessaging: Schedule.Schedule<unknown> = Schedule.spaced("1 second")

/**
 * The reconnecting connection of uamqp's documentation: 1, 2, 4, 8 seconds, so that with the first there are five attempts.
 *
 * `maxRetries`: how many attempts there are in all, as it calls them. Default: 5.
 *
 * @since 0.1.0
 * @category constructors
 */
export const uamqp = (options?: { readonly maxRetries?: number | undefined }): Schedule.Schedule<unknown> =>
  atMost(doubled("1 second"), (options?.maxRetries ?? 5) - 1)

/**
 * Never dials again: the first loss closes the connection.
 *
 * @since 0.1.0
 * @category constructors
 */
export const none: Schedule.Schedule<void> = Schedule.stop
