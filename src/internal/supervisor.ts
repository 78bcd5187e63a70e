/**
 * Keeps one socket at a time alive: dials rounds over the endpoints, brings what was open up again, waits for the end,
 * and asks the Schedules whether and when to go on. Knows no protocol; what a session is, its owner says.
 *
 * All it knows lies outside of the Effect that runs it, which may be interrupted and run again: that is how it pauses,
 * dials at once, or goes to another endpoint.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { ConnectAttempt, ConnectionClosed, ConnectionLost, ConnectReason, RecoverableError } from "../AmqpError.ts"
import { ConnectError } from "../AmqpError.ts"
import { Driver } from "./driver.ts"
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
  /** The goodbye to the present session is the last one: no other is taken in its place. */
  readonly isClosing: boolean
  /** Rounds of the first connect, up to the first session that is up. */
  readonly connect: Schedule.Schedule<unknown, ConnectError>
  /** Rounds after a loss. */
  readonly reconnect: Schedule.Schedule<unknown, RecoverableError>
  /** `isStable`: whether what ended was a session that had proved stable. */
  readonly isFinal: (fault: RecoverableError, isStable: boolean) => boolean
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

/** The same for a dial, which it may end too. @internal */
export type RestoreDial = <A, R>(effect: Effect.Effect<A, ConnectError, R>) => Effect.Effect<A, ConnectError, R>

/** How it ended: for good, or with a first connect that may be tried again. @internal */
export interface Ending {
  readonly fault: RecoverableError
  readonly isFinal: boolean
  /** The fault of a first connect has all of its attempts. */
  readonly first: ConnectError | undefined
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
export class Supervisor<Endpoint, Session> {
  private readonly clock: Clock.Clock
  private readonly options: Supervised<Endpoint, Session>
  /** Hears how the first connect went, once. */
  private readonly onFirst: (exit: Exit.Exit<void, ConnectError>) => void
  private readonly stableAfter: number
  private readonly connect: Driver<ConnectError>
  private readonly reconnect: Driver<RecoverableError>
  /** Of all rounds since a session was up. */
  private attempts: Array<ConnectAttempt> = []
  private adopted: Adopted<Endpoint, Session> | undefined
  private first = true
  private openedAt = Infinity
  private round = 0
  private lastFault: RecoverableError | undefined
  /** How many other places there are to go to from where the last session was. */
  private others = 0
  /** How often it went on to one of them without a delay. */
  private hurried = 0

  constructor(
    clock: Clock.Clock,
    options: Supervised<Endpoint, Session>,
    onFirst: (exit: Exit.Exit<void, ConnectError>) => void
  ) {
    this.clock = clock
    this.options = options
    this.onFirst = onFirst
    this.stableAfter = Duration.toMillis(options.stableAfter)
    this.connect = new Driver(clock, options.connect)
    this.reconnect = new Driver(clock, options.reconnect)
  }

  /** From here on the Schedules begin anew: whoever asked for the next round does not wait for it. */
  reset(): void {
    this.round = 0
    this.hurried = 0
    this.connect.reset()
    this.reconnect.reset()
  }

  /** What `run` begins with. */
  adopt(session: Adopted<Endpoint, Session>): void {
    this.adopted = session
  }

  /** Closes what was adopted, where `run` was interrupted before it came to it. */
  get discard(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = this.adopted
      this.adopted = undefined
      return close(left)
    })
  }

  /**
   * Dials one endpoint, beside what is open: a session to be adopted or closed. To be called where nothing can interrupt,
   * so that nobody loses it; what waits can be interrupted all the same, by `restore`.
   */
  dial(endpoint: Endpoint, restore: RestoreDial): Effect.Effect<Adopted<Endpoint, Session>, ConnectError> {
    return Effect.gen(this, function*() {
      const addresses = yield* restore(this.options.addresses(endpoint))
      const failed: Array<ConnectAttempt> = []
      let reason: ConnectReason = "Refused"
      for (const address of addresses) {
        const scope = yield* Scope.make()
        const dialled = yield* Effect.either(
          restore(Scope.extend(this.dialAt(endpoint, address, addresses.length === 1), scope)).pipe(
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
        )
        if (Either.isRight(dialled)) return { endpoint, session: dialled.right, scope }
        reason = dialled.left.reason
        failed.push(...dialled.left.attempts)
      }
      return yield* new ConnectError({ reason, attempts: failed })
    })
  }

  /** Begins with a round, or with the session that was adopted; runs until there is nothing to try any more. */
  get run(): Effect.Effect<Ending> {
    return Effect.gen(this, function*() {
      while (true) {
        this.openedAt = Infinity
        const result = yield* Effect.either(this.adopted === undefined ? this.tryAll : this.take)
        if (Either.isRight(result) || this.adopted !== undefined) continue
        const fault = result.left
        this.lastFault = fault
        const isStable = this.clock.unsafeCurrentTimeMillis() - this.openedAt >= this.stableAfter
        const isFinal = this.options.isFinal(fault, isStable)
        const delay = this.first
          ? yield* this.afterFirst(fault, isFinal)
          : yield* this.afterLoss(fault, isFinal, isStable)
        if (!Duration.isDuration(delay)) return delay
        yield* Effect.sleep(delay)
      }
    })
  }

  /** The delay before the next round of the first connect, or its end. */
  private afterFirst(fault: RecoverableError, isFinal: boolean): Effect.Effect<Duration.Duration | Ending> {
    const failed = toConnectError(fault)
    if (fault !== failed) this.note(failed)
    return Effect.map(isFinal ? Effect.succeed(undefined) : this.connect.next(failed), (delay) => {
      if (delay === undefined) {
        const ending = new ConnectError({ reason: failed.reason, attempts: this.attempts })
        this.attempts = []
        this.connect.reset()
        this.round = 0
        this.onFirst(Exit.fail(ending))
        return { fault: ending, isFinal, first: ending }
      }
      this.options.onRecovering(failed, ++this.round, delay)
      return delay
    })
  }

  /** The delay before the next round after a loss, or the end. */
  private afterLoss(
    fault: RecoverableError,
    isFinal: boolean,
    isStable: boolean
  ): Effect.Effect<Duration.Duration | Ending> {
    if (isStable) {
      this.round = 0
      this.hurried = 0
      this.reconnect.reset()
    }
    return Effect.map(isFinal ? Effect.succeed(undefined) : this.reconnect.next(fault), (scheduled) => {
      if (scheduled === undefined) return { fault: this.all(fault), isFinal, first: undefined }
      // The others are tried at once when a good connection is lost, or is told to go: each of them once, since a delay
      // comes after each whole round.
      const isHurried = this.hurried < this.others && (isStable || this.options.isLeaving(fault))
      this.hurried = isHurried ? this.hurried + 1 : 0
      const delay = isHurried ? Duration.zero : scheduled
      this.options.onRecovering(fault, ++this.round, delay)
      return delay
    })
  }

  /** Every endpoint once, in the strategy's order, without a pause; stays with the first that answers. */
  private get tryAll(): Effect.Effect<void, RecoverableError> {
    const { options } = this
    return Effect.gen(this, function*() {
      const failed: Array<ConnectAttempt> = []
      let fault: ConnectError | undefined
      const order = yield* Effect.tapError(
        options.rounds.next({ round: this.round, fault: this.lastFault }),
        (fault) => Effect.sync(() => this.note(fault))
      )
      const fails = (attempt: ConnectError): void => {
        fault = attempt
        failed.push(...attempt.attempts)
        this.note(attempt)
      }
      for (const endpoint of order) {
        options.rounds.tried(endpoint)
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
          this.others = order.length + addresses.right.length - 2
          // A scope of its own: what a failed attempt opened is gone before the next one starts.
          const attempt = yield* Effect.scoped(
            Effect.matchEffect(this.dialAt(endpoint, address, addresses.right.length === 1), {
              onFailure: Effect.succeed,
              onSuccess: (session) => this.live(session, endpoint)
            })
          )
          if (attempt === undefined) return
          fails(attempt)
        }
      }
      // The order has one endpoint at least.
      return yield* new ConnectError({ reason: fault!.reason, attempts: failed })
    })
  }

  /** The session that was adopted; its scope goes with it. */
  private get take(): Effect.Effect<void, RecoverableError> {
    return Effect.uninterruptibleMask((restore) => {
      const taken = this.adopted
      this.adopted = undefined
      if (taken === undefined) return Effect.void
      const { rounds } = this.options
      rounds.tried(taken.endpoint)
      this.others = rounds.known().length - 1
      this.options.onDialling(taken.endpoint, undefined)
      return Effect.ensuring(restore(this.live(taken.session, taken.endpoint)), close(taken))
    })
  }

  /** Ends without a fault where another session was adopted instead. */
  private live(session: Session, endpoint: Endpoint): Effect.Effect<void, RecoverableError> {
    const { options } = this
    return Effect.flatMap(options.up(session), () => {
      options.onOpen(session, endpoint)
      this.openedAt = this.clock.unsafeCurrentTimeMillis()
      this.attempts = []
      if (this.first) {
        this.first = false
        this.round = 0
        this.onFirst(Exit.void)
      }
      const better = options.rounds.better(endpoint)
      return better.length === 0
        ? options.ended(session)
        : Effect.raceFirst(options.ended(session), this.goBack(better))
    })
  }

  /** Dials the better ones again and again; ends with one of them adopted, and the present session left. */
  private goBack(better: ReadonlyArray<Endpoint>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const again = new Driver(this.clock, this.options.reconnect)
      let delay: Duration.Duration | undefined = this.options.stableAfter
      while (delay !== undefined) {
        yield* Effect.sleep(delay)
        let fault: ConnectError | undefined
        for (const endpoint of better) {
          const done = yield* Effect.uninterruptibleMask((restore) =>
            Effect.matchEffect(this.dial(endpoint, restore), {
              onFailure: (failed) => Effect.succeed(failed),
              onSuccess: (next) => {
                // The end of the present session, which somebody waits for, interrupts this.
                if (this.options.isClosing) return Effect.zipRight(close(next), restore(Effect.never))
                this.adopted = next
                return Effect.as(this.options.leave, undefined)
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
  }

  private dialAt(endpoint: Endpoint, address: Address, isOne: boolean) {
    const dialled = this.options.dial(endpoint, address)
    return isOne ? dialled : Effect.mapError(dialled, (fault) =>
      new ConnectError({
        reason: fault.reason,
        attempts: fault.attempts.map((attempt) => ({ ...attempt, address }))
      }))
  }

  private note(fault: ConnectError): void {
    this.attempts.push(...fault.attempts)
    this.attempts.splice(0, this.attempts.length - maxAttempts)
  }

  private all(fault: RecoverableError): RecoverableError {
    return fault._tag === "ConnectError"
      ? new ConnectError({ reason: fault.reason, attempts: this.attempts.slice() })
      : fault
  }
}
