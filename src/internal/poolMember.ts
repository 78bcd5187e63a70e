/**
 * What a pool keeps, and the leases on it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { PoolError } from "../AmqpError.ts"

/** What a pool is told about what it keeps. @internal */
export interface Spec<A, V extends object, E> {
  /** For faults: "connections". */
  readonly name: string
  readonly open: Effect.Effect<A, E, Scope.Scope>
  /** How what is opened before the pool is there is tried again. Default: not at all. */
  readonly insist?: ((opening: Effect.Effect<void, E | PoolError>) => Effect.Effect<void, E | PoolError>) | undefined
  /** Gone for good. */
  readonly isBroken: (item: A) => boolean
  /** Can be used at once: it goes before what is still recovering. */
  readonly isReady: (item: A) => boolean
  /** Asked before something is lent again; what fails is closed, and another one taken. */
  readonly check?: ((item: A) => Effect.Effect<unknown, unknown>) | undefined
  /** What its borrower is given. */
  readonly view: (item: A, lease: Lease<A>) => V
  /** Makes it what it was before its borrower had it, who ended like this; `false` when it cannot be lent again. */
  readonly takeBack: (item: A, exit: Exit.Exit<unknown, unknown>) => boolean
  /** How many share one before another is opened. Default: any number. */
  readonly crowd?: number | undefined
  /** Whether leases are shared too. */
  readonly shared: boolean
}

/** @internal */
export class Member<A> {
  readonly item: A
  readonly scope: Scope.CloseableScope
  readonly openedAt: number
  idleSince: number
  borrowers = 0
  /** Opened for whoever gets it now: there is nothing to check. */
  isFresh = true
  isSpoilt = false
  /** More may join its borrowers. */
  isShared = false

  constructor(item: A, scope: Scope.CloseableScope, now: number) {
    this.item = item
    this.scope = scope
    this.openedAt = now
    this.idleSince = now
  }
}

/** @internal */
export class Lease<A> {
  readonly member: Member<A>
  /** Its borrower left it in a state that nobody else should find. */
  isSpoilt = false
  /** What warns of it when it lasts for too long. */
  watcher: Fiber.RuntimeFiber<void> | undefined
  /** Why it can be used no more. */
  fault: PoolError | undefined
  /** Gives it back early. */
  readonly end: Effect.Effect<void>

  constructor(member: Member<A>, end: (lease: Lease<A>) => void) {
    this.member = member
    this.end = Effect.sync(() => end(this))
  }
}
