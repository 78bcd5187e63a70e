import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Waiter } from "../../src/internal/sendWindow.ts"
import { SendWindow } from "../../src/internal/sendWindow.ts"

type Outcome = readonly [item: number, outcome: string]

/** The same with an array of everything in flight. */
class Model {
  readonly limit: number
  readonly outcomes: Array<Outcome> = []
  next = 1
  expiredThrough = 0
  flight: Array<{ number: number; item: number; at: number; failure: string | undefined }> = []

  constructor(limit: number) {
    this.limit = limit
  }

  get hasRoom(): boolean {
    return this.next - (this.flight[0]?.number ?? this.next) < this.limit
  }

  get oldestSentAt(): number {
    return this.flight[0]?.at ?? Infinity
  }

  push(item: number, at: number): number {
    this.flight.push({ number: this.next, item, at, failure: undefined })
    return this.next++
  }

  private settle(which: (each: { readonly number: number; readonly at: number }) => boolean, outcome: string): void {
    for (const each of this.flight.filter(which)) this.outcomes.push([each.item, each.failure ?? outcome])
    this.flight = this.flight.filter((each) => !which(each))
  }

  answer(number: number, multiple: boolean, outcome: string): boolean {
    if (number >= this.next || (number === 0 && !multiple)) return false
    const answersFor = this.flight.some((each) => multiple ? each.number <= number : each.number === number)
    this.settle((each) => multiple ? number === 0 || each.number <= number : each.number === number, outcome)
    return answersFor || number <= this.expiredThrough
  }

  expire(time: number): void {
    const [oldest] = this.flight
    this.settle((each) => each.at <= time, "expired")
    if (oldest !== this.flight[0]) this.expiredThrough = (this.flight[0]?.number ?? this.next) - 1
  }

  markFirst(matches: (item: number) => boolean): boolean {
    const found = this.flight.find((each) => each.failure === undefined && matches(each.item))
    if (found !== undefined) found.failure = "marked"
    return found !== undefined
  }

  failFirst(matches: (item: number) => boolean): boolean {
    const found = this.flight.find((each) => matches(each.item))
    if (found === undefined) return false
    this.settle((each) => each.number === found.number, "failed")
    return true
  }

  reset(): ReadonlyArray<number> {
    const rest = this.flight.filter((each) => each.failure === undefined).map((each) => each.item)
    this.settle((each) => this.flight.some((one) => one.number === each.number && one.failure !== undefined), "")
    this.flight = []
    this.next = 1
    this.expiredThrough = 0
    return rest
  }
}

const step = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.constant(["push"] as const) },
  {
    weight: 4,
    arbitrary: FastCheck.tuple(
      FastCheck.constant("answer" as const),
      FastCheck.nat(60),
      FastCheck.boolean(),
      FastCheck.boolean()
    )
  },
  { weight: 1, arbitrary: FastCheck.tuple(FastCheck.constant("expire" as const), FastCheck.nat(8)) },
  { weight: 1, arbitrary: FastCheck.tuple(FastCheck.constantFrom("mark" as const, "fail" as const), FastCheck.nat(4)) },
  { weight: 1, arbitrary: FastCheck.constant(["reset"] as const) }
)

const silent: Waiter<string> = { done: () => {}, failed: () => {} }

describe("SendWindow", () => {
  it("does what an array of everything in flight does", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(1, 2, 3, 5, 8, 10, 17, 1000),
        FastCheck.array(step, { maxLength: 200 }),
        (limit, steps) => {
          const window = new SendWindow<number, string>(limit)
          const model = new Model(limit)
          const outcomes: Array<Outcome> = []
          let item = 0
          let now = 0
          for (const each of steps) {
            now++
            switch (each[0]) {
              case "push": {
                if (!window.hasRoom) break
                const mine = item++
                const number = window.push(mine, {
                  done: () => outcomes.push([mine, "done"]),
                  failed: (error) => outcomes.push([mine, error])
                }, now)
                assert.strictEqual(number, model.push(mine, now))
                break
              }
              case "answer": {
                const [, number, multiple, ack] = each
                // Mostly close to what is in flight.
                const tag = number > 50 ? number : Math.max(0, model.next - 1 - number % (limit + 2))
                assert.strictEqual(
                  window.answer(tag, multiple, ack ? undefined : () => "nacked"),
                  model.answer(tag, multiple, ack ? "done" : "nacked")
                )
                break
              }
              case "expire":
                window.expire(now, each[1], () => "expired")
                model.expire(now - each[1])
                break
              case "mark":
              case "fail": {
                const matches = (one: number) => one % 5 === each[1]
                assert.strictEqual(
                  each[0] === "mark" ? window.markFirst(matches, "marked") : window.failFirst(matches, "failed"),
                  each[0] === "mark" ? model.markFirst(matches) : model.failFirst(matches)
                )
                break
              }
              case "reset":
                assert.deepStrictEqual(window.reset().map((one) => one.item), model.reset())
                break
            }
            assert.deepStrictEqual(outcomes, model.outcomes)
            assert.strictEqual(window.unanswered, model.flight.length)
            assert.strictEqual(window.hasRoom, model.hasRoom)
            assert.strictEqual(window.oldestSentAt, model.oldestSentAt)
          }
        }
      ),
      { numRuns: 500 }
    )
  })

  it("knows a second answer, of a single one or of all up to it", () => {
    const window = new SendWindow<number, string>(5)
    for (let number = 1; number <= 4; number++) window.push(number, silent, 0)
    assert.isTrue(window.answer(2, false))
    assert.isFalse(window.answer(2, false))
    // That all up to it are answered now is news, though it is not of this one.
    assert.isTrue(window.answer(2, true))
    assert.isFalse(window.answer(2, true))
    assert.isFalse(window.answer(1, false))
    assert.isTrue(window.answer(0, true))
    assert.isFalse(window.answer(4, false))
    window.reset()
    window.push(1, silent, 0)
    assert.isTrue(window.answer(1, false))
  })

  it("knows numbers that were never given, and takes a late answer for no second one", () => {
    const window = new SendWindow<number, string>(3)
    assert.isTrue(window.answer(0, true))
    assert.isFalse(window.answer(0, false))
    assert.isFalse(window.answer(1, false))
    const outcomes: Array<string> = []
    const waiter = { done: () => outcomes.push("done"), failed: (error: string) => outcomes.push(error) }
    window.push(1, waiter, 0)
    window.expire(0, 0, () => "expired")
    assert.isTrue(window.answer(1, false))
    assert.isTrue(window.answer(1, true))
    assert.isFalse(window.answer(2, true))
    assert.deepStrictEqual(outcomes, ["expired"])
  })

  it("says that an item has its place before it is answered", () => {
    const window = new SendWindow<number, string>(1)
    const seen: Array<string> = []
    window.push(1, { placed: () => seen.push("placed"), done: () => seen.push("done"), failed: () => {} }, 0)
    window.answer(1, false)
    assert.deepStrictEqual(seen, ["placed", "done"])
  })

  it("gives a slot again and again", () => {
    const window = new SendWindow<number, string>(5)
    for (let number = 1; number <= 10_000; number++) {
      assert.strictEqual(window.push(number, silent, number), number)
      assert.strictEqual(window.oldestSentAt, number)
      assert.isTrue(window.answer(number, number % 3 === 0))
    }
    assert.strictEqual(window.unanswered, 0)
  })

  // A waiter that submits again is answered for by a later answer, never by the one that called it.
  for (const multiple of [false, true]) {
    it(`lets a waiter submit again from inside its answer (multiple: ${multiple})`, () => {
      for (const outcome of ["done", "failed"] as const) {
        const window = new SendWindow<number, string>(5)
        const settled: Array<number> = []
        let item = 0
        const push = () => {
          const mine = item++
          const again = () => {
            settled.push(mine)
            fill(100)
          }
          window.push(mine, { done: again, failed: again }, mine)
        }
        const fill = (until: number) => {
          for (let left = until - item; left > 0 && window.hasRoom; left--) push()
        }
        fill(5)
        for (let rounds = 0; rounds < 100 && window.unanswered > 0; rounds++) {
          const before = item
          window.answer(before, multiple, outcome === "failed" ? () => "no" : undefined)
          if (!multiple) window.answer(0, true, outcome === "failed" ? () => "no" : undefined)
          assert.isAtMost(settled.length, before)
        }
        assert.deepStrictEqual(new Set(settled), new Set(Array.from({ length: 100 }, (_, index) => index)))
        assert.lengthOf(settled, 100)
        assert.strictEqual(window.unanswered, 0)
      }
    })
  }

  it("lets a waiter answer and reset from inside its answer, and touches nothing sent after", () => {
    const window = new SendWindow<string, string>(4)
    const seen: Array<string> = []
    const waiter = (name: string, then?: () => void): Waiter<string> => ({
      done: () => {
        seen.push(name)
        then?.()
      },
      failed: (error) => seen.push(`${name} ${error}`)
    })
    window.push(
      "a",
      waiter("a", () => {
        window.answer(2, false)
        window.push("e", waiter("e"), 2)
      }),
      1
    )
    window.push("b", waiter("b"), 1)
    window.push(
      "c",
      waiter("c", () => {
        seen.push(...window.reset().map(({ item }) => `rest ${item}`))
        window.push("f", waiter("f"), 3)
      }),
      1
    )
    window.push("d", waiter("d"), 1)
    window.answer(4, true)
    assert.deepStrictEqual(seen, ["a", "b", "c", "rest d", "rest e"])
    assert.strictEqual(window.unanswered, 1)
    assert.strictEqual(window.oldestSentAt, 3)
  })

  it("expires only what was in flight when it was asked", () => {
    const window = new SendWindow<number, string>(4)
    let pushed = 0
    const again: Waiter<string> = {
      done: () => {},
      failed: () => {
        if (pushed++ < 1000) window.push(pushed, again, 5)
      }
    }
    window.push(0, again, 5)
    window.expire(5, 0, () => "expired")
    assert.strictEqual(pushed, 1)
    assert.strictEqual(window.unanswered, 1)
  })

  it("lets a marked waiter submit again when everything is taken out", () => {
    const window = new SendWindow<string, string>(4)
    window.push("a", silent, 0)
    window.push(
      "b",
      { done: () => {}, failed: (error) => assert.strictEqual(window.push(`after ${error}`, silent, 9), 1) },
      0
    )
    window.push("c", silent, 0)
    window.markFirst((item) => item === "b", "returned")
    assert.deepStrictEqual(window.reset().map(({ item }) => item), ["a", "c"])
    assert.strictEqual(window.unanswered, 1)
    assert.strictEqual(window.oldestSentAt, 9)
  })
})
