/**
 * Keeps one socket at a time alive: dials rounds over the endpoints, brings what was open up again, waits for the end,
 * and asks the Schedules whether and when to go on. Knows no protocol; what a session is, its owner says.
 *
 * All it knows lies outside of the Effect that runs it, which may be interrupted and run again: that is how it pauses,
 * dials at once, or goes to another endpoint.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { ConnectAttempt, ConnectionClosed, ConnectionLost, ConnectReason, RecoverableError } from "../AmqpError.ts"
import { ConnectError } from "../AmqpError.ts"
import { makeDriver } from "./driver.ts"
import type { Rounds } from "./rounds.ts"

/** One of the addresses that an endpoint's name has; `undefined`: as the transport finds it. @internal */
export type Address = string | undefined

/** @internal */
export interface Supervised<Endpoint, Session> {
  readonly rounds: Rounds<Endpoint>
  /** The addresses of an endpoint, each of which is dialled as an endpoint of its own. */
  readonly addresses: (endpoint: Endpoint) => Effect.Effect<readonly [Address, ...Array<Address>], ConnectError>
  readonly dial: (endpoint: Endpoint, address: Address) => Effect.Effect<Session, ConnectError, Scope.Scope>
  /** Restores what the connection had, on a fresh session; fails when that ends meanwhile. */
  readonly up: (session: Session) => Effect.Effect<void, RecoverableError>
  /** Waits for the end of a session. */
  readonly ended: (session: Session) => Effect.Effect<never, ConnectionLost | ConnectionClosed>
  /** Ends the present session with a goodbye, within a bound. */
  readonly leave: Effect.Effect<void>
  /** Rounds of the first connect, up to the first session that is up. */
  readonly connect: Schedule.Schedule<unknown, ConnectError>
  /** Rounds after a loss. */
  readonly reconnect: Schedule.Schedule<unknown, RecoverableError>
  readonly isFinal: (fault: RecoverableError) => boolean
  /** Whether nobody will answer at this endpoint for a while, so that others are tried at once. */
  readonly isLeaving: (fault: RecoverableError) => boolean
  /** After this long an open session proves that the trouble is over, and `reconnect` starts from its beginning. */
  readonly stableAfter: Duration.Duration
  /** `fault`: why the attempt before this one failed, in the same round. */
  readonly onDialling: (endpoint: Endpoint, fault: RecoverableError | undefined) => void
  readonly onOpen: (session: Session, endpoint: Endpoint) => void
  readonly onRecovering: (fault: RecoverableError, round: number, delay: Duration.Duration) => void
}

/** @internal */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** How it ended: for good, or with a first connect that may be tried again. @internal */
export interface Ending {
  readonly fault: RecoverableError
  readonly isFinal: boolean
  /** The fault of a first connect has all of its attempts. */
  readonly first: ConnectError | undefined
}

/** @internal */
export interface Supervisor<Endpoint, Session> {
  /** Begins with a round, or with the session that was adopted; runs until there is nothing to try any more. */
  readonly run: Effect.Effect<Ending>
  /** From here on the Schedules begin anew: whoever asked for the next round does not wait for it. */
  readonly reset: () => void
  /**
   * Dials one endpoint, beside what is open: a session to be adopted or closed. To be called where nothing can interrupt,
   * so that nobody loses it; what waits can be interrupted all the same, by `restore`.
   */
  readonly dial: (endpoint: Endpoint, restore: Restore) => Effect.Effect<Adopted<Endpoint, Session>, ConnectError>
  /** What `run` begins with. */
  readonly adopt: (session: Adopted<Endpoint, Session>) => void
  /** Closes what was adopted, where `run` was interrupted before it came to it. */
  readonly discard: Effect.Effect<void>
}

/** A session with a scope of its own. @internal */
export interface Adopted<Endpoint, Session> {
  readonly endpoint: Endpoint
  readonly session: Session
  readonly scope: Scope.CloseableScope
}

// What a fault report may hold: whoever was told to try for hours would collect without end.
const maxAttempts = 100

/** A session that ended before it was up was no more than an attempt. */
const toConnectError = (fault: RecoverableError): ConnectError =>
  fault._tag === "ConnectError" ? fault : ConnectError.at(fault.endpoint, "Refused", fault.message)

const close = (adopted: { readonly scope: Scope.CloseableScope } | undefined): Effect.Effect<void> =>
  adopted === undefined ? Effect.void : Scope.close(adopted.scope, Exit.void)

/** @internal */
export const makeSupervisor = <Endpoint, Session>(
  options: Supervised<Endpoint, Session>,
  /** Hears how the first connect went, once. */
  onFirst: (exit: Exit.Exit<void, ConnectError>) => void
): Effect.Effect<Supervisor<Endpoint, Session>> =>
  Effect.map(Effect.clock, (clock) => {
    const { rounds } = options
    const stableAfter = Duration.toMillis(options.stableAfter)
    const connect = makeDriver(clock, options.connect)
    const reconnect = makeDriver(clock, options.reconnect)
    /** Of all rounds since a session was up. */
    let attempts: Array<ConnectAttempt> = []
    let adopted: Adopted<Endpoint, Session> | undefined
    let first = true
    let openedAt = Infinity
    let round = 0
    let lastFault: RecoverableError | undefined
    /** How many other places there are to go to from where the last session was. */
    let others = 0
    /** How often it went on to one of them without a delay. */
    let hurried = 0

    const note = (fault: ConnectError): void => {
      attempts.push(...fault.attempts)
      attempts.splice(0, attempts.length - maxAttempts)
    }

    const dialAt = (endpoint: Endpoint, address: Address, isOne: boolean) =>
      isOne ?
        options.dial(endpoint, address) :
        Effect.mapError(options.dial(endpoint, address), (fault) =>
          new ConnectError({
            reason: fault.reason,
            attempts: fault.attempts.map((attempt) => ({ ...attempt, address }))
          }))

    const dial = (
      endpoint: Endpoint,
      restore: Restore
    ): Effect.Effect<Adopted<Endpoint, Session>, ConnectError> =>
      Effect.gen(function*() {
        const addresses = yield* restore(options.addresses(endpoint))
        const failed: Array<ConnectAttempt> = []
        let reason: ConnectReason = "Refused"
        for (const address of addresses) {
          const scope = yield* Scope.make()
          const dialled = yield* Effect.either(
            restore(Scope.extend(dialAt(endpoint, address, addresses.length === 1), scope)).pipe(
              Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
            )
          )
          if (Either.isRight(dialled)) return { endpoint, session: dialled.right, scope }
          reason = dialled.left.reason
          failed.push(...dialled.left.attempts)
        }
        return yield* new ConnectError({ reason, attempts: failed })
      })

    /** Dials the better ones again and again; ends with one of them adopted, and the present session left. */
    const goBack = (better: ReadonlyArray<Endpoint>): Effect.Effect<void> =>
      Effect.gen(function*() {
        const again = makeDriver(clock, options.reconnect)
        let delay: Duration.Duration | undefined = options.stableAfter
        while (delay !== undefined) {
          yield* Effect.sleep(delay)
          let fault: ConnectError | undefined
          for (const endpoint of better) {
            const done = yield* Effect.uninterruptibleMask((restore) =>
              Effect.matchEffect(dial(endpoint, restore), {
                onFailure: (failed) => Effect.succeed(failed),
                onSuccess: (next) => {
                  adopted = next
                  return Effect.as(options.leave, undefined)
                }
              })
            )
            if (done === undefined) return
            fault = done
          }
          // There is one endpoint at least, so there is a fault.
          delay = yield* again.next(fault!)
        }
        return yield* Effect.never
      })

    /** Ends without a fault where another session was adopted instead. */
    const live = (session: Session, endpoint: Endpoint): Effect.Effect<void, RecoverableError> =>
      Effect.flatMap(options.up(session), () => {
        options.onOpen(session, endpoint)
        openedAt = clock.unsafeCurrentTimeMillis()
        attempts = []
        if (first) {
          first = false
          round = 0
          onFirst(Exit.void)
        }
        const better = rounds.better(endpoint)
        return better.length === 0
          ? options.ended(session)
          : Effect.raceFirst(options.ended(session), goBack(better))
      })

    /** The session that was adopted; its scope goes with it. */
    const take: Effect.Effect<void, RecoverableError> = Effect.uninterruptibleMask((restore) => {
      const taken = adopted
      adopted = undefined
      if (taken === undefined) return Effect.void
      rounds.tried(taken.endpoint)
      others = rounds.known().length - 1
      options.onDialling(taken.endpoint, undefined)
      return Effect.ensuring(restore(live(taken.session, taken.endpoint)), close(taken))
    })

    /** Every endpoint once, in the strategy's order, without a pause; stays with the first that answers. */
    const tryAll: Effect.Effect<void, RecoverableError> = Effect.gen(function*() {
      const failed: Array<ConnectAttempt> = []
      let fault: ConnectError | undefined
      const order = yield* Effect.tapError(
        rounds.next({ round, fault: lastFault }),
        (fault) => Effect.sync(() => note(fault))
      )
      const fails = (attempt: ConnectError): void => {
        fault = attempt
        failed.push(...attempt.attempts)
        note(attempt)
      }
      for (const endpoint of order) {
        rounds.tried(endpoint)
        options.onDialling(endpoint, fault)
        const addresses = yield* Effect.either(options.addresses(endpoint))
        if (Either.isLeft(addresses)) {
          fails(addresses.left)
          continue
        }
        let isFirst = true
        for (const address of addresses.right) {
          if (!isFirst) options.onDialling(endpoint, fault)
          isFirst = false
          others = order.length + addresses.right.length - 2
          // A scope of its own: what a failed attempt opened is gone before the next one starts.
          const attempt = yield* Effect.scoped(
            Effect.matchEffect(dialAt(endpoint, address, addresses.right.length === 1), {
              onFailure: Effect.succeed,
              onSuccess: (session) => live(session, endpoint)
            })
          )
          if (attempt === undefined) return
          fails(attempt)
        }
      }
      // The order has one endpoint at least.
      return yield* new ConnectError({ reason: fault!.reason, attempts: failed })
    })

    const all = (fault: RecoverableError): RecoverableError =>
      fault._tag === "ConnectError" ? new ConnectError({ reason: fault.reason, attempts: attempts.slice() }) : fault

    const run: Effect.Effect<Ending> = Effect.gen(function*() {
      while (true) {
        openedAt = Infinity
        const result = yield* Effect.either(adopted === undefined ? tryAll : take)
        if (Either.isRight(result) || adopted !== undefined) continue
        const fault = result.left
        lastFault = fault
        const isFinal = options.isFinal(fault)
        if (first) {
          const failed = toConnectError(fault)
          if (fault !== failed) note(failed)
          const delay = isFinal ? undefined : yield* connect.next(failed)
          if (delay === undefined) {
            const ending = new ConnectError({ reason: failed.reason, attempts })
            attempts = []
            connect.reset()
            round = 0
            onFirst(Exit.fail(ending))
            return { fault: ending, isFinal, first: ending }
          }
          options.onRecovering(failed, ++round, delay)
          yield* Effect.sleep(delay)
          continue
        }
        const isStable = clock.unsafeCurrentTimeMillis() - openedAt >= stableAfter
        if (isStable) {
          round = 0
          hurried = 0
          reconnect.reset()
        }
        const scheduled = isFinal ? undefined : yield* reconnect.next(fault)
        if (scheduled === undefined) return { fault: all(fault), isFinal, first: undefined }
        // The others are tried at once when a good connection is lost, or is told to go: each of them once, since a delay
        // comes after each whole round.
        const isHurried = hurried < others && (isStable || options.isLeaving(fault))
        hurried = isHurried ? hurried + 1 : 0
        const delay = isHurried ? Duration.zero : scheduled
        options.onRecovering(fault, ++round, delay)
        yield* Effect.sleep(delay)
      }
    })

    return {
      run,
      reset: () => {
        round = 0
        hurried = 0
        connect.reset()
        reconnect.reset()
      },
      dial,
      adopt: (session) => {
        adopted = session
      },
      discard: Effect.suspend(() => {
        const left = adopted
        adopted = undefined
        return close(left)
      })
    }
  })
