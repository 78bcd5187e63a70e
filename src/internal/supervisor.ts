/**
 * Keeps one socket at a time alive: dials rounds over the endpoints, brings what was open up again, waits for the end,
 * and asks the Schedules whether and when to go on. Knows no protocol; what a session is, its owner says.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import type * as Scope from "effect/Scope"
import type { ConnectAttempt, ConnectionClosed, ConnectionLost, ConnectReason, RecoverableError } from "../AmqpError.ts"
import { ConnectError } from "../AmqpError.ts"

/**
 * The order of a round: from the one after the last that was tried, from the first, shuffled anew, or as many drawn at
 * random as there are.
 *
 * @internal
 */
export type Strategy = "round-robin" | "in-order" | "shuffle" | "random"

const orderOf = (strategy: Strategy, count: number, next: number): Effect.Effect<Iterable<number>> => {
  const all = Array.from({ length: count }, (_, index) => index)
  switch (strategy) {
    case "in-order":
      return Effect.succeed(all)
    case "round-robin":
      return Effect.succeed(all.map((index) => (index + next) % count))
    case "shuffle":
      return Random.shuffle(all)
    case "random":
      return Effect.forEach(all, () => Random.nextIntBetween(0, count))
  }
}

/** @internal */
export interface Supervised<Endpoint, Session> {
  /** In the order of preference. */
  readonly endpoints: readonly [Endpoint, ...Array<Endpoint>]
  readonly strategy: Strategy
  readonly dial: (endpoint: Endpoint) => Effect.Effect<Session, ConnectError, Scope.Scope>
  /** Restores what the connection had, on a fresh session; fails when that ends meanwhile. */
  readonly up: (session: Session) => Effect.Effect<void, RecoverableError>
  /** Waits for the end of a session. */
  readonly ended: (session: Session) => Effect.Effect<never, ConnectionLost | ConnectionClosed>
  /** Rounds of the first connect, up to the first session that is up. */
  readonly connect: Schedule.Schedule<unknown, ConnectError>
  /** Rounds after a loss. */
  readonly reconnect: Schedule.Schedule<unknown, RecoverableError>
  readonly isFinal: (fault: RecoverableError) => boolean
  /** After this long an open session proves that the trouble is over, and `reconnect` starts from its beginning. */
  readonly stableAfter: Duration.Duration
  readonly onDialling: (endpoint: Endpoint) => void
  readonly onOpen: (session: Session, endpoint: Endpoint) => void
  readonly onRecovering: (fault: RecoverableError, round: number, delay: Duration.Duration) => void
}

// What a fault report may hold: a first connect that was told to try for hours would collect without end.
const maxAttempts = 100

/** A Schedule driven by hand, so that the delay is known before it is slept. */
const makeDriver = <In>(clock: Clock.Clock, schedule: Schedule.Schedule<unknown, In>) => {
  let state: unknown = schedule.initial
  return {
    reset: () => {
      state = schedule.initial
    },
    /** The delay before the next round; `undefined` when the Schedule has ended. */
    next: (input: In): Effect.Effect<Duration.Duration | undefined> =>
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

/** A session that ended before it was up was no more than an attempt. */
const toConnectError = (fault: RecoverableError): ConnectError =>
  fault._tag === "ConnectError" ? fault : ConnectError.at(fault.endpoint, "Refused", fault.message)

/**
 * Runs until a final fault, and ends with it. `onFirst` hears how the first connect went, once.
 *
 * @internal
 */
export const supervise = <Endpoint, Session>(
  options: Supervised<Endpoint, Session>,
  onFirst: (exit: Exit.Exit<void, ConnectError>) => void
): Effect.Effect<RecoverableError> =>
  Effect.gen(function*() {
    const { endpoints } = options
    const clock = yield* Effect.clock
    const stableAfter = Duration.toMillis(options.stableAfter)
    const connect = makeDriver(clock, options.connect)
    const reconnect = makeDriver(clock, options.reconnect)
    const attempts: Array<ConnectAttempt> = []
    let next = 0
    let first = true
    let openedAt = Infinity
    let rounds = 0

    const live = (session: Session, endpoint: Endpoint): Effect.Effect<never, RecoverableError> =>
      Effect.flatMap(options.up(session), () => {
        options.onOpen(session, endpoint)
        openedAt = clock.unsafeCurrentTimeMillis()
        if (first) {
          first = false
          rounds = 0
          onFirst(Exit.void)
        }
        return options.ended(session)
      })

    /** Every endpoint once, in the strategy's order, without a pause; stays with the first that answers. */
    const round: Effect.Effect<never, RecoverableError> = Effect.gen(function*() {
      const attempts: Array<ConnectAttempt> = []
      let reason: ConnectReason = "Refused"
      for (const index of yield* orderOf(options.strategy, endpoints.length, next)) {
        const endpoint = endpoints[index]! // an order has indexes only
        next = (index + 1) % endpoints.length
        options.onDialling(endpoint)
        // A scope of its own: what a failed attempt opened is gone before the next one starts.
        const failed = yield* Effect.scoped(Effect.matchEffect(options.dial(endpoint), {
          onFailure: Effect.succeed,
          onSuccess: (session) => live(session, endpoint)
        }))
        reason = failed.reason
        attempts.push(...failed.attempts)
      }
      return yield* new ConnectError({ reason, attempts })
    })

    /** What the first connect has to say after one more round: all of its attempts. */
    const firstFault = (fault: RecoverableError): ConnectError => {
      const failed = toConnectError(fault)
      attempts.push(...failed.attempts)
      attempts.splice(0, attempts.length - maxAttempts)
      return new ConnectError({ reason: failed.reason, attempts: attempts.slice() })
    }

    while (true) {
      openedAt = Infinity
      const fault = yield* Effect.flip(round)
      if (first) {
        const all = firstFault(fault)
        const delay = options.isFinal(fault) ? undefined : yield* connect.next(all)
        if (delay === undefined) {
          onFirst(Exit.fail(all))
          return all
        }
        options.onRecovering(all, ++rounds, delay)
        yield* Effect.sleep(delay)
      } else {
        const stable = clock.unsafeCurrentTimeMillis() - openedAt >= stableAfter
        if (stable) {
          rounds = 0
          reconnect.reset()
        }
        const scheduled = options.isFinal(fault) ? undefined : yield* reconnect.next(fault)
        if (scheduled === undefined) return fault
        // The others are tried at once when a good connection is lost; a delay comes after each whole round.
        const delay = stable && endpoints.length > 1 ? Duration.zero : scheduled
        options.onRecovering(fault, ++rounds, delay)
        yield* Effect.sleep(delay)
      }
    }
  })
