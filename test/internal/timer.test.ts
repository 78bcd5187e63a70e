import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { make } from "../../src/internal/timer.ts"

/** Deadlines that are done once they are due, and what the timer did about them. */
const makeAlarms = () => {
  let deadlines: Array<number> = []
  const alarms = {
    asked: 0,
    ticks: [] as Array<readonly [now: number, late: number]>,
    rung: [] as Array<readonly [deadline: number, now: number]>,
    add: (deadline: number) => void deadlines.push(deadline),
    cancel: (deadline: number) => {
      deadlines = deadlines.filter((each) => each !== deadline)
    },
    onTick: undefined as ((now: number) => void) | undefined,
    nextDeadline: () => {
      alarms.asked++
      return Math.min(Infinity, ...deadlines)
    },
    tick: (now: number, late: number) => {
      alarms.ticks.push([now, late])
      for (const deadline of deadlines) if (deadline <= now) alarms.rung.push([deadline, now])
      deadlines = deadlines.filter((deadline) => deadline > now)
      alarms.onTick?.(now)
    }
  }
  return alarms
}

const settled = Effect.repeatN(Effect.yieldNow(), 20)

describe("Timer", () => {
  it.scoped("sleeps to the next deadline, and wakes up for nothing else", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      alarms.add(60_000)
      const timer = yield* make(yield* Effect.clock, alarms)
      yield* settled
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(alarms.asked, 1)
      assert.strictEqual(timer.now(), 59_999)
      yield* TestClock.adjust("1 millis")
      yield* settled
      assert.deepStrictEqual(alarms.ticks, [[60_000, 0]])
      assert.strictEqual(alarms.asked, 2)
      yield* TestClock.adjust("365 days")
      assert.strictEqual(alarms.asked, 2)
    }))

  it.scoped("loses no deadline that comes up before, while or after its fiber starts", () =>
    Effect.gen(function*() {
      for (let yields = 0; yields < 12; yields++) {
        const alarms = makeAlarms()
        const base = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        alarms.add(base + 200)
        const timer = yield* make(yield* Effect.clock, alarms)
        for (let each = 0; each < yields; each++) yield* Effect.yieldNow()
        alarms.add(base + 100)
        timer.due(base + 100)
        yield* settled
        yield* TestClock.adjust("100 millis")
        yield* settled
        assert.deepStrictEqual(alarms.rung, [[base + 100, base + 100]], `after ${yields} yields`)
      }
    }))

  it.scoped("ends its sleep with the scope, and sleeps no more", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      alarms.add(1000)
      const clock = yield* Effect.clock
      const timer = yield* Effect.scoped(Effect.zipLeft(make(clock, alarms), settled))
      timer.due(500)
      yield* settled
      yield* TestClock.adjust("1 day")
      yield* settled
      assert.deepStrictEqual(alarms.ticks, [])
    }))

  it.scoped("is woken by an earlier deadline, and not by a later one", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      alarms.add(1000)
      const timer = yield* make(yield* Effect.clock, alarms)
      yield* settled
      for (let each = 0; each < 100; each++) {
        alarms.add(2000 + each)
        timer.due(2000 + each)
      }
      yield* settled
      assert.strictEqual(alarms.asked, 1)
      alarms.add(500)
      timer.due(500)
      timer.due(500)
      yield* settled
      assert.strictEqual(alarms.asked, 1)
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.deepStrictEqual(alarms.rung.map(([deadline]) => deadline), [500, 1000])
    }))

  it.scoped("takes a deadline that comes up while it ticks", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      alarms.add(10)
      const timer = yield* make(yield* Effect.clock, alarms)
      alarms.onTick = (now) => {
        if (now > 50) return
        alarms.add(now + 10)
        timer.due(now + 10)
      }
      yield* settled
      for (let now = 0; now < 100; now += 10) {
        yield* TestClock.adjust("10 millis")
        yield* settled
      }
      assert.deepStrictEqual(alarms.rung.map(([deadline]) => deadline), [10, 20, 30, 40, 50, 60])
    }))

  it.scoped("says by how much it overslept", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      yield* TestClock.setTime(5000)
      alarms.add(1000)
      yield* make(yield* Effect.clock, alarms)
      yield* settled
      assert.deepStrictEqual(alarms.ticks, [[5000, 4000]])
    }))

  it.scoped("costs one idle wake-up for a deadline that is no longer needed", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      alarms.add(100)
      yield* make(yield* Effect.clock, alarms)
      yield* settled
      alarms.cancel(100)
      yield* TestClock.adjust("1 day")
      yield* settled
      assert.strictEqual(alarms.asked, 2)
      assert.deepStrictEqual(alarms.rung, [])
    }))

  it.scoped("reaches a deadline that is further away than a clock can sleep", () =>
    Effect.gen(function*() {
      const alarms = makeAlarms()
      const far = 2 ** 31 * 2.5
      const slept: Array<number> = []
      const clock = yield* Effect.clock
      alarms.add(far)
      yield* make({
        ...clock,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        sleep: (duration) => {
          slept.push(Number(duration.value._tag === "Millis" ? duration.value.millis : -1))
          return clock.sleep(duration)
        }
      }, alarms)
      yield* settled
      for (let each = 0; each < 3; each++) {
        yield* TestClock.adjust(2 ** 31 - 1)
        yield* settled
      }
      assert.strictEqual(alarms.rung.length, 1)
      assert.isTrue(slept.every((millis) => millis > 0 && millis < 2 ** 31))
    }))

  it.scoped("rings everything on time, however deadlines come and go", () =>
    Effect.gen(function*() {
      const plan = FastCheck.tuple(FastCheck.nat(3), FastCheck.nat(10), FastCheck.nat(5))
      const plans = FastCheck.sample(FastCheck.array(plan, { maxLength: 12 }), { numRuns: 20, seed: 1 })
      for (const each of plans) {
        const alarms = makeAlarms()
        const timer = yield* make(yield* Effect.clock, alarms)
        const expected = new Set<number>()
        const step = Effect.zipRight(TestClock.adjust("10 millis"), settled)
        for (const [wait, ahead, yields] of each) {
          const deadline = timer.now() + 10 + 10 * ahead
          expected.add(deadline)
          alarms.add(deadline)
          timer.due(deadline)
          yield* Effect.repeatN(Effect.yieldNow(), yields)
          for (let steps = 0; steps < wait; steps++) yield* step
        }
        for (let steps = 0; steps < 12; steps++) yield* step
        assert.deepStrictEqual(new Set(alarms.rung.map(([deadline]) => deadline)), expected)
        for (const [deadline, rang] of alarms.rung) assert.strictEqual(rang, deadline)
      }
    }))
})
