/**
 * The pool of both protocols: what it keeps, lends and takes back, as one synchronous state with Effects round it.
 *
 * Not `effect/Pool`: its acquire cannot be timed out while something is opened, it lends the coldest first, and it has no
 * replace, resize, refusal without waiting, or count of who waits.
 *
 * Everything is opened and closed by fibers of the pool's own: what is opened inherits nothing of its first borrower, and
 * a borrower that is interrupted leaves behind something warm, not a torn dial.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import type { PoolReason } from "../AmqpError.ts"
import { PoolError } from "../AmqpError.ts"
import type { GetOptions, Options, Pool, Stats } from "../Pool.ts"
import type { Fork } from "./forks.ts"
import { makeFork } from "./forks.ts"
import { Line, Waiter } from "./poolLine.ts"
import type { Spec } from "./poolMember.ts"
import { Lease, Member } from "./poolMember.ts"
import { PoolWatch } from "./poolWatch.ts"
import { Timer } from "./timer.ts"
import { whole } from "./whole.ts"

/** Hears how an opening went. */
type Done<E> = (exit: Exit.Exit<void, E | PoolError>) => void

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @internal */
export class PoolCore<A, V extends object, E> {
  private readonly spec: Spec<A, V, E | PoolError>
  private readonly fork: Fork
  private readonly clock: Clock.Clock
  private readonly timer: Timer
  private readonly watch: PoolWatch
  private readonly timeout: Options["timeout"]
  private readonly idleMillis: number
  private readonly lifeMillis: number
  private readonly kept: number
  private readonly crowd: number
  private limit: number
  /** Places taken so far. */
  private places = 0
  private opening = 0
  private isClosed = false
  private readonly members = new Set<Member<A>>()
  /** The warmest last. */
  private readonly idle: Array<Member<A>> = []
  private readonly sharing: Array<Member<A>> = []
  private readonly leases = new Set<Lease<A>>()
  private readonly leaseOf = new WeakMap<object, Lease<A>>()
  private readonly line = new Line<A, E>()
  private readonly openers = new Set<Fiber.RuntimeFiber<void>>()
  private readonly closings = new Set<Fiber.RuntimeFiber<void>>()
  private whenEmpty: Array<() => void> = []

  constructor(spec: Spec<A, V, E | PoolError>, options: Options, limit: number, clock: Clock.Clock, fork: Fork) {
    this.spec = spec
    this.limit = limit
    this.clock = clock
    this.fork = fork
    this.timer = new Timer(clock, this, fork)
    this.watch = new PoolWatch(spec.name, fork, options)
    this.timeout = options.timeout
    this.idleMillis = millis(options.idleTimeToLive)
    this.lifeMillis = millis(options.maxLifetime)
    this.crowd = spec.crowd ?? Infinity
    this.kept = options.preconnect ?? 0
  }

  readonly fail = (reason: PoolReason, text: string): PoolError => new PoolError({ reason, pool: this.spec.name, text })

  private get closed(): PoolError {
    return this.fail("Closed", "it is closed")
  }

  private get inUse(): number {
    return this.members.size - this.idle.length
  }

  private get hasRoom(): boolean {
    return this.members.size + this.opening < this.limit
  }

  // --- Lending ---

  /** One that can be lent: of those that are ready the warmest. What is broken or too old is closed on the way. */
  private takeIdle(): Member<A> | undefined {
    if (this.idle.length === 0) return undefined
    const now = this.clock.unsafeCurrentTimeMillis()
    const unready: Array<Member<A>> = []
    let found: Member<A> | undefined
    while (found === undefined && this.idle.length > 0) {
      const member = this.idle.pop()! // the loop's condition
      if (this.isWornOut(member, now)) this.retire(member)
      else if (this.spec.isReady(member.item)) found = member
      else unready.push(member)
    }
    found ??= unready.shift()
    this.idle.push(...Arr.reverse(unready))
    return found
  }

  private isWornOut(member: Member<A>, now: number): boolean {
    return member.isSpoilt || now >= member.openedAt + this.lifeMillis || this.spec.isBroken(member.item)
  }

  /** One that is shared already and has room: the fewer are used, the more the broker answers for at once. */
  private uncrowded(): Member<A> | undefined {
    for (const member of this.sharing) {
      if (member.borrowers < this.crowd && !this.spec.isBroken(member.item)) return member
    }
    return undefined
  }

  private leastCrowded(): Member<A> | undefined {
    let least: Member<A> | undefined
    for (const member of this.sharing) {
      if ((least === undefined || member.borrowers < least.borrowers) && !this.spec.isBroken(member.item)) {
        least = member
      }
    }
    return least
  }

  private share(member: Member<A>): void {
    if (member.isShared) return
    member.isShared = true
    this.sharing.push(member)
  }

  private unshare(member: Member<A>): void {
    if (!member.isShared) return
    member.isShared = false
    this.sharing.splice(this.sharing.indexOf(member), 1)
  }

  private take(shared: boolean): Member<A> | undefined {
    const member = shared ? this.uncrowded() ?? this.takeIdle() ?? this.leastCrowded() : this.takeIdle()
    if (member !== undefined) this.lend(member, shared)
    return member
  }

  private lend(member: Member<A>, shared: boolean): void {
    member.borrowers++
    if (!shared) return
    // Nobody joins before it was checked.
    if (!this.mustCheck(member)) this.share(member)
    if (member.borrowers > this.crowd && this.opening === 0 && this.hasRoom) this.startOpening(() => {})
  }

  /** Something that can be shared at once, without a wait or a check; given back by `giveBack`. */
  readonly takeShared = (): Member<A> | undefined => {
    if (this.isClosed || this.line.length > this.opening) return undefined
    const member = this.take(true)
    if (member === undefined || !this.mustCheck(member)) return member
    this.giveBack(member)
    return undefined
  }

  private mustCheck(member: Member<A>): boolean {
    return this.spec.check !== undefined && !member.isFresh && !member.isShared
  }

  /** Takes something for a borrower, who gives it back by `giveBack`. To be called where interruption is masked. */
  acquire(restore: Restore, shared: boolean, options: GetOptions = {}): Effect.Effect<Member<A>, E | PoolError> {
    return Effect.suspend(() => {
      if (this.isClosed) return Effect.fail(this.closed)
      const waiter = new Waiter<A, E>(shared)
      // Nobody is overtaken, but for those whom something is being opened for.
      if (this.line.length <= (shared ? this.opening : 0)) waiter.granted = this.take(shared)
      const { granted } = waiter
      if (granted !== undefined && !this.mustCheck(granted)) return Effect.succeed(granted)
      if (granted === undefined) {
        if (options.wait === false && this.line.length >= this.limit - this.members.size) {
          return Effect.fail(this.fail("Exhausted", `all ${this.limit} are in use`))
        }
        this.enqueue(waiter, "end")
      }
      const limit = options.timeout ?? this.timeout
      const turn = limit === undefined ? this.turn(waiter) : Effect.timeoutFail(this.turn(waiter), {
        duration: limit,
        onTimeout: () => this.fail("Timeout", `none of ${this.limit} came free within ${Duration.format(limit)}`)
      })
      return Effect.matchCauseEffect(restore(turn), {
        // Everything may have been closed just then.
        onSuccess: (member) =>
          this.members.has(member) ? Effect.succeed(member) : this.acquire(restore, shared, options),
        onFailure: (cause) => {
          this.leave(waiter)
          return Effect.failCause(cause)
        }
      })
    })
  }

  /** Waits in line, and goes to its head again for as long as what it gets turns out to be broken. */
  private turn(waiter: Waiter<A, E>): Effect.Effect<Member<A>, E | PoolError> {
    return Effect.suspend(() => {
      const { granted } = waiter
      if (granted === undefined) return Effect.zipRight(waiter.answer, this.turn(waiter))
      const { check } = this.spec
      if (check === undefined || !this.mustCheck(granted)) return Effect.succeed(granted)
      return Effect.matchEffect(check(granted.item), {
        onSuccess: () => {
          if (waiter.shared && this.members.has(granted)) this.share(granted)
          return Effect.succeed(granted)
        },
        onFailure: () => {
          waiter.granted = undefined
          if (this.members.has(granted)) this.retire(granted)
          if (this.isClosed) return Effect.fail(this.closed)
          this.enqueue(waiter, "front")
          return this.turn(waiter)
        }
      })
    })
  }

  private enqueue(waiter: Waiter<A, E>, place: "end" | "front"): void {
    this.line.add(waiter, place)
    this.serve()
  }

  private leave(waiter: Waiter<A, E>): void {
    this.line.delete(waiter)
    if (waiter.granted !== undefined) this.giveBack(waiter.granted)
    // Who was behind an exclusive borrower may be able to share.
    else this.serve()
  }

  /** Gives to those in line, in order, what there is, and has opened what is missing. */
  private serve(): void {
    for (let { head } = this.line; head !== undefined; head = this.line.head) {
      const member = this.take(head.shared)
      if (member === undefined) break
      this.line.delete(head)
      head.granted = member
      head.tell(Effect.void)
    }
    // One that is opened serves all who share it.
    const wanted = this.line.length - this.line.sharers + Math.min(this.line.sharers, 1)
    while (this.opening < wanted && this.hasRoom) this.startOpening(undefined)
    this.tell()
  }

  readonly giveBack = (member: Member<A>): void => {
    member.borrowers--
    if (member.borrowers > 0 || !this.members.has(member)) return
    this.unshare(member)
    member.isFresh = false
    this.keep(member)
    this.serve()
  }

  private keep(member: Member<A>): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    const tooMany = this.members.size + this.opening > this.limit
    if (this.isClosed || tooMany || this.isWornOut(member, now)) return this.retire(member)
    member.idleSince = now
    this.idle.push(member)
    if (this.idleMillis < Infinity || this.lifeMillis < Infinity) this.timer.due(this.nextDeadline())
  }

  // --- Leases ---

  private lease(
    member: Member<A>,
    where: string | undefined,
    context: Context.Context<never>
  ): readonly [Lease<A>, V] {
    const lease = new Lease(member, (lease) => this.end(lease, Exit.void))
    const view = this.spec.view(member.item, lease)
    lease.watcher = this.watch.taken(where, context)
    this.leases.add(lease)
    this.leaseOf.set(view, lease)
    this.tell()
    return [lease, view]
  }

  /** The lease is over; `false` when it was before. */
  private forget(lease: Lease<A>): boolean {
    const wasThere = this.leases.delete(lease)
    if (wasThere) lease.watcher?.unsafeInterruptAsFork(FiberId.none)
    this.tell()
    return wasThere
  }

  readonly end = (lease: Lease<A>, exit: Exit.Exit<unknown, unknown>): void => {
    if (!this.forget(lease)) return
    lease.fault = this.fail("Released", "the lease has ended")
    const { member } = lease
    if (lease.isSpoilt || !this.spec.takeBack(member.item, exit)) member.isSpoilt = true
    this.giveBack(member)
  }

  readonly get = (options?: GetOptions): Effect.Effect<V, E | PoolError, Scope.Scope> => {
    const where = this.watch.caller()
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.context<Scope.Scope>(),
        (context) =>
          Effect.flatMap(this.acquire(restore, this.spec.shared, options), (member) => {
            const [lease, view] = this.lease(member, where, context)
            const end = (exit: Exit.Exit<unknown, unknown>) => Effect.sync(() => this.end(lease, exit))
            return Effect.as(Scope.addFinalizerExit(Context.get(context, Scope.Scope), end), view)
          })
      )
    )
  }

  readonly use = <B, E2, R>(
    use: (view: V) => Effect.Effect<B, E2, R>,
    options?: GetOptions
  ): Effect.Effect<B, E | E2 | PoolError, R> => {
    const where = this.watch.caller()
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        this.acquire(restore, this.spec.shared, options),
        (member) =>
          Effect.contextWithEffect((context: Context.Context<R>) => {
            const [lease, view] = this.lease(member, where, context)
            return Effect.flatMap(Effect.exit(restore(Effect.suspend(() => use(view)))), (exit) => {
              this.end(lease, exit)
              return exit
            })
          })
      )
    )
  }

  readonly replace = (view: V): Effect.Effect<void, PoolError> =>
    Effect.suspend(() => {
      const lease = this.leaseOf.get(view)
      if (lease === undefined) return Effect.fail(this.fail("Released", "it was not borrowed here"))
      if (lease.fault !== undefined) return Effect.fail(lease.fault)
      this.forget(lease)
      lease.fault = this.fail("Released", "the lease has ended: what it was of was replaced")
      this.revoke(lease.member)
      this.serve()
      return Effect.void
    })

  // --- Size ---

  readonly grow = (
    count: number,
    options?: { readonly connect?: boolean | undefined }
  ): Effect.Effect<void, E | PoolError> =>
    Effect.suspend(() => {
      if (this.isClosed) return Effect.fail(this.closed)
      if (!Number.isInteger(count) || count < 0) {
        return Effect.fail(this.fail("LimitExceeded", `it cannot grow by ${count}`))
      }
      const added = Math.min(count, this.limit - this.places)
      this.places += added
      const opened = options?.connect === true ? this.openMany(added) : Effect.void
      return added === count ? opened : Effect.zipRight(
        opened,
        Effect.fail(this.fail("LimitExceeded", `${this.places} and ${count - added} more are above its limit`))
      )
    })

  /** Opens so many beside what there is, all at once. */
  openMany(count: number, isFirst = false): Effect.Effect<void, E | PoolError> {
    const { insist } = this.spec
    const opening = Effect.async<void, E | PoolError>((resume) => {
      if (this.isClosed) resume(Effect.fail(this.closed))
      // Borrowers may have opened it meanwhile.
      else if (this.hasRoom) this.startOpening((exit) => resume(exit))
      else resume(Effect.void)
    })
    const one = insist === undefined || !isFirst ? opening : insist(opening)
    return Effect.all(Array.from({ length: count }, () => one), { concurrency: "unbounded", discard: true })
  }

  readonly resize = (
    limit: number,
    options?: { readonly force?: boolean | undefined }
  ): Effect.Effect<void, PoolError> =>
    Effect.suspend(() => {
      if (this.isClosed) return Effect.fail(this.closed)
      if (!isLimit(limit)) return Effect.fail(this.fail("LimitExceeded", notALimit(limit)))
      if (this.inUse > limit && options?.force !== true) {
        return Effect.fail(this.fail("LimitExceeded", `${this.inUse} are in use: it cannot shrink to ${limit}`))
      }
      this.limit = limit
      this.places = Math.min(this.places, limit)
      while (this.members.size > limit && this.idle.length > 0) this.retire(this.idle.shift()!) // the loop's condition
      for (const member of this.members) {
        if (this.members.size > limit) this.revoke(member)
      }
      this.serve()
      return Effect.void
    })

  readonly stats: Effect.Effect<Stats> = Effect.sync(() => ({
    limit: this.limit,
    total: this.places,
    active: this.inUse,
    idle: this.idle.length,
    waiting: this.line.length
  }))

  private tell(): void {
    this.watch.tell(this.members.size, this.leases.size, this.line.length)
  }

  // --- Opening and closing ---

  /** `done` hears how it went; without it, whoever has waited longest does. */
  private startOpening(done: Done<E> | undefined): void {
    this.opening++
    this.places = Math.max(this.places, this.members.size + this.opening)
    // An opener that is interrupted before its first step says nothing itself.
    let outcome: () => void = () => this.notOpened(Cause.empty, done)
    const opener = this.fork(
      Effect.uninterruptible(
        Effect.flatMap(
          Scope.make(),
          (scope) =>
            Effect.matchCauseEffect(Effect.interruptible(Scope.extend(this.spec.open, scope)), {
              onSuccess: (item) =>
                Effect.sync(() => {
                  outcome = () => this.opened(item, scope, done)
                }),
              onFailure: (cause) =>
                Effect.map(Scope.close(scope, Exit.failCause(cause)), () => {
                  outcome = () => this.notOpened(cause, done)
                })
            })
        )
      )
    )
    this.openers.add(opener)
    opener.addObserver(() => {
      this.openers.delete(opener)
      outcome()
    })
  }

  private opened(item: A, scope: Scope.CloseableScope, done: Done<E> | undefined): void {
    this.opening--
    const member = new Member(item, scope, this.clock.unsafeCurrentTimeMillis())
    this.members.add(member)
    this.keep(member)
    this.serve()
    // Nobody took it: whoever does later has it checked.
    if (member.borrowers === 0) member.isFresh = false
    done?.(Exit.void)
  }

  private notOpened(cause: Cause.Cause<E | PoolError>, done: Done<E> | undefined): void {
    this.opening--
    if (done !== undefined) done(this.isClosed ? Exit.fail(this.closed) : Exit.failCause(cause))
    else this.refuse(cause)
    this.checkEmpty()
    if (!this.isClosed) this.serve()
  }

  /** One that could not be opened is the fault of whoever waited longest, and of all who would have shared it. */
  private refuse(cause: Cause.Cause<E | PoolError>): void {
    let { head } = this.line
    const isShared = head?.shared
    while (head !== undefined) {
      this.line.delete(head)
      head.tell(Effect.failCause(cause))
      head = isShared === true && this.line.head?.shared === true ? this.line.head : undefined
    }
  }

  /** Closes something, which is a member no more. */
  private retire(member: Member<A>): void {
    this.members.delete(member)
    this.tell()
    const closing = this.fork(Scope.close(member.scope, Exit.void))
    this.closings.add(closing)
    closing.addObserver(() => this.closings.delete(closing))
    this.checkEmpty()
  }

  /** Takes something away from its borrowers. */
  private revoke(member: Member<A>): void {
    for (const lease of this.leases) {
      if (lease.member !== member) continue
      lease.fault = this.fail("Closed", "the pool took the lease away")
      this.forget(lease)
    }
    this.unshare(member)
    this.retire(member)
  }

  private checkEmpty(): void {
    if (!this.isClosed || this.members.size > 0 || this.opening > 0) return
    for (const resume of this.whenEmpty.splice(0)) resume()
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (let { head } = this.line; head !== undefined; head = this.line.head) {
      this.line.delete(head)
      head.tell(Effect.fail(this.closed))
    }
    this.tell()
    this.retireIdle()
    for (const opener of this.openers) opener.unsafeInterruptAsFork(opener.id())
  }

  private retireIdle(): void {
    for (const member of this.idle.splice(0)) this.retire(member)
  }

  private readonly empty: Effect.Effect<void> = Effect.async((resume) => {
    const waiter = () => resume(Effect.void)
    this.whenEmpty.push(waiter)
    this.checkEmpty()
    return Effect.sync(() => {
      this.whenEmpty = this.whenEmpty.filter((each) => each !== waiter)
    })
  })

  private readonly closingsOver: Effect.Effect<void> = Effect.suspend(() => Fiber.awaitAll(Array.from(this.closings)))

  readonly closeAll: Effect.Effect<void> = Effect.suspend(() => {
    this.close()
    return Effect.zipRight(this.empty, this.closingsOver)
  })

  readonly forceCloseAll = (
    options?: { readonly closePool?: boolean | undefined }
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const closesPool = options?.closePool !== false
      if (closesPool) this.close()
      else this.retireIdle()
      for (const member of Array.from(this.members)) this.revoke(member)
      if (!closesPool && !this.isClosed) this.serve()
      return closesPool ? Effect.zipRight(this.empty, this.closingsOver) : this.closingsOver
    })

  // --- Time ---

  nextDeadline(): number {
    let earliest = Infinity
    for (const member of this.idle) earliest = Math.min(earliest, member.openedAt + this.lifeMillis)
    // The coldest is the first.
    const coldest = this.members.size > this.kept ? this.idle[0] : undefined
    return Math.min(earliest, coldest === undefined ? Infinity : coldest.idleSince + this.idleMillis)
  }

  tick(now: number): void {
    for (const member of Array.from(this.idle)) {
      const isCold = now >= member.idleSince + this.idleMillis && this.members.size > this.kept
      if (!isCold && now < member.openedAt + this.lifeMillis) continue
      this.idle.splice(this.idle.indexOf(member), 1)
      this.retire(member)
    }
  }

  /** What its user sees. */
  get pool(): Pool<V, E> {
    const { closeAll, forceCloseAll, get, grow, replace, resize, stats, use } = this
    return { get, use, replace, grow, resize, stats, closeAll, forceCloseAll }
  }
}

const millis = (text: Options["timeout"]): number => text === undefined ? Infinity : Duration.toMillis(text)

const isLimit = (limit: number): boolean => limit >= 1 && Number.isInteger(limit)

const notALimit = (limit: number): string => `${limit} is no limit: a whole number from 1 is`

/** A pool that is closed with the scope, by force. @internal */
export const make = <A, V extends object, E>(
  spec: Spec<A, V, E | PoolError>,
  options: Options
): Effect.Effect<PoolCore<A, V, E>, E | PoolError, Scope.Scope> =>
  whole(Effect.gen(function*() {
    const refused = (text: string) => new PoolError({ reason: "LimitExceeded", pool: spec.name, text })
    const { limit = 10, preconnect = 0 } = options
    if (!isLimit(limit)) return yield* refused(notALimit(limit))
    if (!Number.isInteger(preconnect) || preconnect < 0 || preconnect > limit) {
      return yield* refused(`${preconnect} cannot be opened at once: its limit is ${limit}`)
    }
    const core = new PoolCore<A, V, E>(spec, options, limit, yield* Effect.clock, yield* makeFork)
    yield* Effect.addFinalizer(() => core.forceCloseAll())
    yield* core.openMany(preconnect, true)
    return core
  }))
