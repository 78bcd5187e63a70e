import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { PoolError } from "../../src/AmqpError.ts"
import * as Pool from "../../src/internal/pool.ts"
import type { Spec } from "../../src/internal/poolMember.ts"
import * as Metrics from "../../src/Metrics.ts"
import type { Options } from "../../src/Pool.ts"
import { warnings } from "../amqp091/onBroker.ts"

interface Item {
  readonly id: number
  broken: boolean
  ready: boolean
}

interface View {
  readonly id: number
  readonly item: Item
  readonly isMine: () => boolean
}

/** A pool of numbered things, and what became of them. */
const makePool = (options: Options & Partial<Spec<Item, View, string>> = {}) =>
  Effect.gen(function*() {
    let last = 0
    const open: Array<number> = []
    const closed: Array<number> = []
    const core = yield* Pool.make<Item, View, string>({
      name: "things",
      open: Effect.acquireRelease(
        Effect.sync((): Item => {
          open.push(++last)
          return { id: last, broken: false, ready: true }
        }),
        ({ id }) =>
          Effect.sync(() => {
            open.splice(open.indexOf(id), 1)
            closed.push(id)
          })
      ),
      isBroken: ({ broken }) => broken,
      isReady: ({ ready }) => ready,
      view: (item, lease) => ({ id: item.id, item, isMine: () => lease.fault === undefined }),
      takeBack: () => true,
      shared: false,
      ...options
    }, options)
    return { ...core.pool, core, open, closed }
  })

/** Lets everything run that can. */
const settle = TestClock.adjust(0)

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E | PoolError, R>) =>
  Effect.map(
    Effect.flip(effect),
    (fault) => typeof fault === "object" && fault !== null && "reason" in fault ? fault.reason : fault
  )

/** A lease that lasts until its second element is run. */
const borrowed = <A, E>(get: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.map(
    Effect.flatMap(Scope.make(), (scope) => Effect.zip(Scope.extend(get, scope), Effect.succeed(scope))),
    ([view, scope]) => [view, Scope.close(scope, Exit.void)] as const
  )

/** Things that open as `open` says for each, and how many there are. */
const counted = (open: (number: number) => Effect.Effect<void, string>) => {
  const all = { opened: 0, open: 0 }
  const spec = Effect.suspend(() => {
    const id = ++all.opened
    return Effect.zipRight(
      open(id),
      Effect.acquireRelease(
        Effect.sync((): Item => {
          all.open++
          return { id, broken: false, ready: true }
        }),
        () => Effect.sync(() => void all.open--)
      )
    )
  })
  return { all, spec }
}

describe("a pool lends", () => {
  it.scoped("what came back last, and opens nothing that it does not need", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 3 })
      const [a, giveA] = yield* borrowed(pool.get())
      const [b, giveB] = yield* borrowed(pool.get())
      assert.deepStrictEqual([a.id, b.id], [1, 2])
      yield* giveB
      yield* giveA
      assert.strictEqual(yield* pool.use(({ id }) => Effect.succeed(id)), 1)
      assert.strictEqual(yield* pool.use(({ id }) => Effect.succeed(id)), 1)
      assert.deepStrictEqual(yield* pool.stats, { limit: 3, total: 2, active: 0, idle: 2, waiting: 0 })
    }))

  it.scoped("to one borrower at a time, in the order they came", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 2 })
      const order: Array<number> = []
      let now = 0
      let most = 0
      yield* Effect.forEach(Arr.range(1, 20), (index) =>
        pool.use(() =>
          Effect.suspend(() => {
            order.push(index)
            most = Math.max(most, ++now)
            return Effect.sync(() => void now--).pipe(Effect.delay("1 second"))
          })
        ), { concurrency: "unbounded" }).pipe(
          Effect.fork,
          Effect.zipLeft(TestClock.adjust("20 seconds")),
          Effect.flatMap(Fiber.join)
        )
      assert.deepStrictEqual(order, Arr.range(1, 20))
      assert.strictEqual(most, 2)
    }))

  it.scoped("what a released one leaves at once, though one is being opened for who waits", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let opened = 0
      const pool = yield* makePool({
        limit: 2,
        open: Effect.suspend(() =>
          Effect.as(++opened === 1 ? Effect.void : Deferred.await(gate), { id: opened, broken: false, ready: true })
        )
      })
      const [, give] = yield* borrowed(pool.get())
      const second = yield* Effect.fork(pool.use(({ id }) => Effect.succeed(id)))
      yield* settle
      yield* give
      assert.strictEqual(yield* Fiber.join(second), 1)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(yield* pool.stats, { limit: 2, total: 2, active: 0, idle: 2, waiting: 0 })
    }))

  it.scoped("nothing of the borrower to what it opens", () =>
    Effect.gen(function*() {
      const ref = FiberRef.unsafeMake("nobody")
      const seen: Array<string> = []
      const pool = yield* makePool({
        open: Effect.map(FiberRef.get(ref), (value) => {
          seen.push(value)
          return { id: 1, broken: false, ready: true }
        })
      })
      yield* Effect.locally(Effect.scoped(pool.get()), ref, "the borrower")
      // Also one who cannot be interrupted leaves an opening that can.
      assert.deepStrictEqual(seen, ["nobody"])
    }))
})

describe("a borrower that cannot have one", () => {
  it.scoped("fails Exhausted at once when it would not wait, but waits for one that must be opened", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const [, give] = yield* borrowed(pool.get({ wait: false }))
      assert.strictEqual(yield* reasonOf(Effect.scoped(pool.get({ wait: false }))), "Exhausted")
      yield* give
      assert.strictEqual(yield* pool.use(({ id }) => Effect.succeed(id), { wait: false }), 1)
    }))

  it.scoped("fails Timeout in its time, and is no more in line", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1, timeout: "10 seconds" })
      const [, give] = yield* borrowed(pool.get())
      const hurried = yield* Effect.fork(reasonOf(Effect.scoped(pool.get({ timeout: "3 seconds" }))))
      const patient = yield* Effect.fork(reasonOf(Effect.scoped(pool.get())))
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* pool.stats).waiting, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(hurried), "Timeout")
      assert.strictEqual((yield* pool.stats).waiting, 1)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(yield* Fiber.join(patient), "Timeout")
      yield* give
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
    }))

  it.scoped("fails Timeout while one is opened for it, which the next one gets", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({
        limit: 1,
        open: Effect.delay(Effect.succeed({ id: 1, broken: false, ready: true }), "5 seconds")
      })
      const first = yield* Effect.fork(reasonOf(Effect.scoped(pool.get({ timeout: "3 seconds" }))))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(first), "Timeout")
      const second = yield* Effect.fork(Effect.scoped(pool.get({ timeout: "3 seconds" })))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(second)).id, 1)
    }))

  it.scoped("hears why it could not be opened, and the next one tries again", () =>
    Effect.gen(function*() {
      let times = 0
      const pool = yield* makePool({
        limit: 1,
        open: Effect.suspend(() =>
          ++times === 1 ? Effect.fail("no") : Effect.succeed({ id: times, broken: false, ready: true })
        )
      })
      assert.strictEqual(yield* Effect.flip(pool.use(Effect.succeed)), "no")
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 2)
    }))

  it.scoped("is told of a defect in opening, not left waiting", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1, open: Effect.die("bug") })
      const exit = yield* Effect.exit(pool.use(Effect.succeed))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.strictEqual((yield* pool.stats).active, 0)
    }))
})

describe("interrupted", () => {
  it.scoped("in line, a borrower gives up its turn and nothing else", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const [, give] = yield* borrowed(pool.get())
      const fibers = yield* Effect.forEach(
        Arr.range(1, 5),
        (index) => Effect.fork(pool.use(() => Effect.succeed(index)))
      )
      yield* settle
      yield* Fiber.interruptAll(fibers.slice(0, 4))
      assert.strictEqual((yield* pool.stats).waiting, 1)
      yield* give
      assert.strictEqual(yield* Fiber.join(fibers[4]!), 5)
    }))

  it.scoped("just when it is its turn, a borrower leaves its place to the next", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      for (let steps = 0; steps < 12; steps++) {
        const [, give] = yield* borrowed(pool.get())
        const first = yield* Effect.fork(pool.use(() => Effect.void, { timeout: "1 minute" }))
        const second = yield* Effect.fork(pool.use(() => Effect.void))
        yield* settle
        yield* give
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* Fiber.join(second)
        assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
      }
    }))

  it.scoped("while it uses what it borrowed, a borrower gives it back", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const fiber = yield* Effect.fork(pool.use(() => Effect.never))
      yield* settle
      assert.strictEqual((yield* pool.stats).active, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* pool.stats).idle, 1)
    }))
})

describe("what is broken", () => {
  it.scoped("is never lent: it is closed, and another one lent or opened", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 2 })
      const [a, giveA] = yield* borrowed(pool.get())
      const [b, giveB] = yield* borrowed(pool.get())
      yield* giveA
      yield* giveB
      b.item.broken = true
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 1)
      yield* settle
      assert.deepStrictEqual(pool.closed, [2])
      a.item.broken = true
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 3)
    }))

  it.scoped("when it comes back leaves its place to who waits", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const [a, give] = yield* borrowed(pool.get())
      const waiting = yield* Effect.fork(pool.use(({ id }) => Effect.succeed(id)))
      yield* settle
      a.item.broken = true
      yield* give
      assert.strictEqual(yield* Fiber.join(waiting), 2)
      assert.deepStrictEqual(pool.open, [2])
    }))

  it.scoped("for the moment is lent last", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 2 })
      const [a, giveA] = yield* borrowed(pool.get())
      const [b, giveB] = yield* borrowed(pool.get())
      yield* giveA
      yield* giveB
      b.item.ready = false
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, a.id)
      a.item.ready = false
      const [first] = yield* borrowed(pool.get())
      assert.strictEqual(first.id, a.id, "the warmest, where none is ready")
    }))

  it.scoped("by a check is replaced before anybody has it, without losing its turn", () =>
    Effect.gen(function*() {
      const checked: Array<number> = []
      const pool = yield* makePool({
        limit: 2,
        check: ({ id }) =>
          Effect.suspend(() => {
            checked.push(id)
            return id === 1 ? Effect.fail("sick") : Effect.void
          })
      })
      yield* pool.use(Effect.succeed)
      assert.deepStrictEqual(checked, [], "what was just opened needs no check")
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 2)
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 2)
      assert.deepStrictEqual(checked, [1, 2])
      yield* settle
      assert.deepStrictEqual(pool.closed, [1])
    }))

  it.scoped("a check that hangs is bounded by the borrower's patience, and leaves nothing taken", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1, preconnect: 1, check: () => Effect.never })
      const fiber = yield* Effect.fork(reasonOf(Effect.scoped(pool.get({ timeout: "1 second" }))))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "Timeout")
      assert.strictEqual((yield* pool.stats).active, 0)
    }))

  it.scoped("by its borrower's failure is closed, not kept", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ takeBack: (_, exit) => Exit.isSuccess(exit) })
      yield* Effect.flip(pool.use(() => Effect.fail("oops")))
      yield* Effect.flip(Effect.scoped(Effect.zipRight(pool.get(), Effect.fail("oops"))))
      assert.strictEqual((yield* pool.use(Effect.succeed)).id, 3)
    }))
})

describe("replace", () => {
  it.scoped("closes it at once, ends the lease, and lets who waits have a fresh one in its place", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const a = yield* pool.get()
      const waiting = yield* Effect.fork(Effect.scoped(pool.get()))
      yield* settle
      yield* pool.replace(a)
      assert.isFalse(a.isMine())
      assert.strictEqual((yield* Fiber.join(waiting)).id, 2)
      assert.deepStrictEqual(pool.closed, [1])
      assert.strictEqual((yield* pool.stats).total, 1)
      assert.strictEqual(yield* reasonOf(pool.replace(a)), "Released")
    }))

  it.scoped("of what was given back, or never borrowed here, fails Released", () =>
    Effect.gen(function*() {
      const pool = yield* makePool()
      const stale = yield* pool.use(Effect.succeed)
      assert.strictEqual(yield* reasonOf(pool.replace(stale)), "Released")
      assert.strictEqual(yield* reasonOf(pool.replace({ ...stale })), "Released")
      assert.strictEqual((yield* pool.stats).idle, 1)
    }))
})

describe("size", () => {
  it.scoped("grow adds places, and opens them only when told to", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 5 })
      yield* pool.grow(2)
      assert.deepStrictEqual(yield* pool.stats, { limit: 5, total: 2, active: 0, idle: 0, waiting: 0 })
      yield* pool.grow(2, { connect: true })
      assert.deepStrictEqual(yield* pool.stats, { limit: 5, total: 4, active: 0, idle: 2, waiting: 0 })
      assert.strictEqual(yield* reasonOf(pool.grow(2)), "LimitExceeded")
      assert.strictEqual((yield* pool.stats).total, 5, "the one that fitted is there")
      assert.strictEqual(yield* reasonOf(pool.grow(-1)), "LimitExceeded")
    }))

  it.scoped("grow with connect fails with what cannot be opened", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ open: Effect.fail("no") })
      assert.strictEqual(yield* Effect.flip(pool.grow(2, { connect: true })), "no")
      yield* settle
      assert.deepStrictEqual(yield* pool.stats, { limit: 10, total: 2, active: 0, idle: 0, waiting: 0 })
    }))

  it.scoped("resize up lets those in line have theirs", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      yield* pool.get()
      const waiting = yield* Effect.fork(
        Effect.forEach([1, 2], () => pool.get(), { concurrency: 2 }).pipe(Effect.scoped)
      )
      yield* settle
      assert.strictEqual((yield* pool.stats).waiting, 2)
      yield* pool.resize(3)
      yield* Fiber.join(waiting)
    }))

  it.scoped("resize down closes the coldest, and refuses while more are in use", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 4 })
      const leases = yield* Effect.forEach(Arr.range(1, 4), () => borrowed(pool.get()))
      yield* leases[0]![1]
      yield* leases[1]![1]
      assert.strictEqual(yield* reasonOf(pool.resize(1)), "LimitExceeded")
      assert.strictEqual((yield* pool.stats).limit, 4)
      yield* pool.resize(3)
      yield* settle
      assert.deepStrictEqual(pool.closed, [1])
      yield* pool.resize(2)
      yield* settle
      assert.deepStrictEqual(pool.closed, [1, 2])
      assert.deepStrictEqual(yield* pool.stats, { limit: 2, total: 2, active: 2, idle: 0, waiting: 0 })
      assert.strictEqual(yield* reasonOf(pool.resize(0)), "LimitExceeded")
      assert.strictEqual(yield* reasonOf(pool.resize(1.5)), "LimitExceeded")
    }))

  it.scoped("resize by force takes the oldest away from their borrowers", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 3 })
      const [a, b, c] = yield* Effect.all([pool.get(), pool.get(), pool.get()])
      yield* pool.resize(1, { force: true })
      yield* settle
      assert.deepStrictEqual([a.isMine(), b.isMine(), c.isMine()], [false, false, true])
      assert.deepStrictEqual(pool.open, [3])
      assert.strictEqual((yield* pool.stats).active, 1)
    }))

  it.scoped("what is opened while the pool shrinks is not kept beyond the limit", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({
        limit: 2,
        open: Effect.delay(Effect.succeed({ id: 1, broken: false, ready: true }), "1 second")
      })
      const growing = yield* Effect.fork(pool.grow(2, { connect: true }))
      yield* settle
      yield* pool.resize(1)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(growing)
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
    }))

  it.effect("options out of range are refused", () =>
    Effect.gen(function*() {
      for (
        const options of [{ limit: 0 }, { limit: 1.5 }, { limit: NaN }, { limit: 2, preconnect: 3 }, { preconnect: -1 }]
      ) {
        assert.strictEqual(yield* reasonOf(Effect.scoped(makePool(options))), "LimitExceeded")
      }
    }))

  it.scoped("preconnect opens before the pool is there", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ preconnect: 3 })
      assert.deepStrictEqual(yield* pool.stats, { limit: 10, total: 3, active: 0, idle: 3, waiting: 0 })
      assert.strictEqual(yield* Effect.flip(Effect.scoped(makePool({ preconnect: 3, open: Effect.fail("no") }))), "no")
    }))
})

describe("preconnect that fails or is interrupted leaves nothing open in a scope that goes on:", () => {
  it.scoped("one of three cannot be opened", () =>
    Effect.gen(function*() {
      const { all, spec } = counted((id) => id === 2 ? Effect.delay(Effect.fail("no"), "1 second") : Effect.void)
      const making = yield* Effect.fork(Effect.flip(makePool({ preconnect: 3, open: spec })))
      yield* settle
      assert.strictEqual(all.open, 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(making), "no")
      assert.deepStrictEqual(all, { opened: 3, open: 0 })
    }))

  it.scoped("one of three takes too long", () =>
    Effect.gen(function*() {
      const { all, spec } = counted((id) => id === 2 ? Effect.sleep("1 minute") : Effect.void)
      const making = yield* Effect.fork(Effect.timeoutOption(makePool({ preconnect: 3, open: spec }), "1 second"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(making))._tag, "None")
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(all, { opened: 3, open: 0 })
    }))
})

describe("time", () => {
  it.scoped("closes what nobody borrowed for the idle time, but for what it opened first", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 3, preconnect: 1, idleTimeToLive: "1 minute" })
      const leases = yield* Effect.forEach(Arr.range(1, 3), () => borrowed(pool.get()))
      yield* leases[0]![1]
      yield* TestClock.adjust("30 seconds")
      yield* leases[1]![1]
      yield* leases[2]![1]
      yield* TestClock.adjust("29999 millis")
      assert.deepStrictEqual(pool.closed, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(pool.closed, [1])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(pool.closed, [1, 2])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(pool.open, [3])
      assert.strictEqual((yield* pool.stats).total, 3, "their places stay")
    }))

  it.scoped("closes at the end of its life what is idle, and what is in use when it comes back", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 2, preconnect: 2, maxLifetime: "1 hour" })
      const [, give] = yield* borrowed(pool.get())
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(pool.closed.length, 1)
      assert.strictEqual((yield* pool.stats).active, 1)
      yield* give
      yield* settle
      assert.strictEqual(pool.closed.length, 2)
    }))
})

describe("the end", () => {
  it.scoped("closeAll waits for what is borrowed; who waits and who comes later fails Closed", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 2 })
      const [, giveA] = yield* borrowed(pool.get())
      const [b, giveB] = yield* borrowed(pool.get())
      const waiting = yield* Effect.fork(reasonOf(Effect.scoped(pool.get())))
      yield* settle
      yield* giveA
      const later = yield* Effect.fork(reasonOf(Effect.scoped(pool.get())))
      yield* settle
      const closing = yield* Effect.fork(pool.closeAll)
      yield* settle
      assert.strictEqual(yield* reasonOf(Effect.scoped(pool.get())), "Closed")
      assert.strictEqual(yield* reasonOf(pool.grow(1)), "Closed")
      assert.strictEqual(yield* reasonOf(pool.resize(1)), "Closed")
      assert.isTrue(b.isMine())
      assert.isNull(closing.unsafePoll())
      yield* giveB
      yield* Fiber.join(closing)
      assert.deepStrictEqual(pool.open, [])
      yield* Fiber.interruptAll([waiting, later])
      yield* pool.closeAll
    }))

  it.scoped("closeAll tells those in line, and those whom something is opened for", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1, open: Effect.never })
      const waiting = yield* Effect.fork(reasonOf(Effect.scoped(pool.get())))
      const growing = yield* Effect.fork(reasonOf(Effect.scoped(pool.grow(0))))
      yield* settle
      yield* pool.closeAll
      assert.strictEqual(yield* Fiber.join(waiting), "Closed")
      yield* Fiber.interrupt(growing)
    }))

  it.scoped("a closeAll that is interrupted leaves the pool closed", () =>
    Effect.gen(function*() {
      const pool = yield* makePool()
      yield* pool.get()
      const closing = yield* Effect.fork(pool.closeAll)
      yield* settle
      yield* Fiber.interrupt(closing)
      assert.strictEqual(yield* reasonOf(Effect.scoped(pool.get())), "Closed")
    }))

  it.scoped("forceCloseAll closes also under the borrowers, whose leases end", () =>
    Effect.gen(function*() {
      const pool = yield* makePool()
      const [a, give] = yield* borrowed(pool.get())
      yield* pool.forceCloseAll()
      assert.isFalse(a.isMine())
      assert.deepStrictEqual(pool.open, [])
      yield* give
      assert.strictEqual(yield* reasonOf(Effect.scoped(pool.get())), "Closed")
    }))

  it.scoped("forceCloseAll without the pool itself starts afresh", () =>
    Effect.gen(function*() {
      const pool = yield* makePool({ limit: 1 })
      const a = yield* pool.get()
      const waiting = yield* Effect.fork(Effect.scoped(pool.get()))
      yield* settle
      yield* pool.forceCloseAll({ closePool: false })
      assert.isFalse(a.isMine())
      assert.strictEqual((yield* Fiber.join(waiting)).id, 2)
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
    }))

  it.effect("the end of its scope closes everything, at every step of an opening", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 20; steps++) {
        const scope = yield* Scope.make()
        let open = 0
        const pool = yield* Scope.extend(
          makePool({
            open: Effect.acquireRelease(
              Effect.sync((): Item => ({ id: ++open, broken: false, ready: true })),
              () => Effect.sync(() => open--)
            ).pipe(Effect.tap(Effect.yieldNow()))
          }),
          scope
        )
        const waiting = yield* Effect.fork(Effect.exit(pool.use(() => Effect.never)))
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(open, 0, `after ${steps} steps`)
        yield* Fiber.interrupt(waiting)
      }
    }))
})

const gauges = (pool: string) =>
  Effect.all(
    [Metrics.poolOpen, Metrics.poolLeases, Metrics.poolWaiting].map((gauge) =>
      Effect.map(Metric.value(Metric.tagged(gauge, "pool", pool)), ({ value }) => value)
    )
  )

describe("what a pool tells", () => {
  it.effect("is what all pools of its name have open, lent and waiting, and nothing after their end", () =>
    Effect.gen(function*() {
      const name = "gauged"
      yield* Effect.scoped(Effect.gen(function*() {
        const pool = yield* makePool({ name, limit: 2, preconnect: 1 })
        const other = yield* makePool({ name, limit: 1 })
        assert.deepStrictEqual(yield* gauges(name), [1, 0, 0])
        const [a] = yield* borrowed(pool.get())
        const [, giveB] = yield* borrowed(pool.get())
        const [, giveC] = yield* borrowed(other.get())
        const waiting = yield* Effect.fork(borrowed(pool.get()))
        yield* settle
        assert.deepStrictEqual(yield* gauges(name), [3, 3, 1])
        yield* giveC
        yield* pool.replace(a)
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(yield* gauges(name), [3, 2, 0])
        yield* giveB
        assert.deepStrictEqual(yield* gauges(name), [3, 1, 0])
        const late = yield* Effect.fork(borrowed(other.get({ timeout: "1 second" })))
        yield* settle
        yield* Fiber.join(late)
        yield* Effect.fork(borrowed(other.get()))
        yield* settle
        assert.deepStrictEqual(yield* gauges(name), [3, 2, 1])
      }))
      assert.deepStrictEqual(yield* gauges(name), [0, 0, 0])
    }))

  it.scoped("of a lease that is held for too long is a warning, once, with who took it", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const pool = yield* makePool({ warnAfter: "30 seconds", limit: 4 })
      const [, giveA] = yield* borrowed(pool.get())
      yield* TestClock.adjust("20 seconds")
      yield* giveA
      const takeTwo = Effect.zipRight(borrowed(pool.get()), Effect.fork(pool.use(() => Effect.never)))
      yield* Effect.withSpan(takeTwo, "checkout")
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(told, 2)
      for (const line of told) {
        assert.include(line, "Pool: things: a lease is held for longer than 30s, taken in span \"checkout\" at ")
        assert.include(line, "pool.test.ts:")
      }
    }).pipe(Effect.provide(warnings(told)))
  })

  it.scoped("of leases that were replaced, taken away or ended by their user is nothing", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const pool = yield* makePool({ warnAfter: "30 seconds", limit: 4 })
      const [a] = yield* borrowed(pool.get())
      yield* pool.replace(a)
      yield* borrowed(pool.get())
      yield* pool.forceCloseAll({ closePool: false })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(told, [])
    }).pipe(Effect.provide(warnings(told)))
  })
})

describe("shared", () => {
  it.scoped("many have the same one; another is opened when that is crowded", () =>
    Effect.gen(function*() {
      const { core, stats } = yield* makePool({ limit: 2, crowd: 2 })
      const take = Effect.uninterruptibleMask((restore) => core.acquire(restore, true))
      const first = yield* take
      const taken = [first]
      for (let count = 0; count < 5; count++) {
        const member = core.takeShared()
        if (member !== undefined) taken.push(member)
        yield* settle
      }
      assert.deepStrictEqual(taken.map(({ item }) => item.id), [1, 1, 1, 2, 2, 2])
      assert.deepStrictEqual(yield* stats, { limit: 2, total: 2, active: 2, idle: 0, waiting: 0 })
      for (const member of taken) core.giveBack(member)
      assert.strictEqual((yield* stats).idle, 2)
    }))

  it.scoped("who wants it alone waits for the sharers, and those who come later wait behind", () =>
    Effect.gen(function*() {
      const { core, get } = yield* makePool({ limit: 1 })
      const take = Effect.uninterruptibleMask((restore) => core.acquire(restore, true))
      const a = yield* take
      const b = yield* take
      const alone = yield* Effect.fork(borrowed(get()))
      yield* settle
      assert.isUndefined(core.takeShared())
      const behind = yield* Effect.fork(Effect.all([take, take], { concurrency: 2 }))
      yield* settle
      core.giveBack(a)
      yield* settle
      assert.isNull(alone.unsafePoll())
      core.giveBack(b)
      const [, give] = yield* Fiber.join(alone)
      yield* settle
      assert.isNull(behind.unsafePoll())
      yield* give
      assert.lengthOf(yield* Fiber.join(behind), 2)
    }))

  it.scoped("who waits to share hears together that nothing could be opened", () =>
    Effect.gen(function*() {
      let times = 0
      const { core } = yield* makePool({ limit: 2, open: Effect.suspend(() => Effect.fail(`no ${++times}`)) })
      const take = Effect.uninterruptibleMask((restore) => core.acquire(restore, true))
      const faults = yield* Effect.forEach(Arr.range(1, 50), () => Effect.flip(take), { concurrency: "unbounded" })
      assert.isAtMost(new Set(faults).size, 2)
    }))
})
