import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ChannelNumbers } from "../../../src/amqp091/internal/channelNumbers.ts"

/** The same by a scan. */
class Model {
  readonly taken = new Set([0])
  readonly max: number

  constructor(max: number) {
    this.max = max
  }

  lowest(): number | undefined {
    for (let number = 1; number <= this.max; number++) {
      if (!this.taken.has(number)) {
        this.taken.add(number)
        return number
      }
    }
    return undefined
  }
}

const step = FastCheck.tuple(
  FastCheck.constantFrom("lowest" as const, "lowest" as const, "take" as const, "release" as const),
  FastCheck.nat(65535)
)

describe("ChannelNumbers", () => {
  it("does what a scan of a set does", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(1, 2, 31, 32, 33, 1023, 1024, 2047, 65535),
        FastCheck.array(step, { maxLength: 300 }),
        (max, steps) => {
          const numbers = new ChannelNumbers(max)
          const model = new Model(max)
          for (const [what, any] of steps) {
            const number = 1 + any % max
            if (what === "lowest") {
              assert.strictEqual(numbers.lowest(), model.lowest())
            } else if (what === "take") {
              numbers.take(number)
              model.taken.add(number)
            } else {
              numbers.release(number)
              model.taken.delete(number)
            }
            assert.strictEqual(numbers.isTaken(number), model.taken.has(number))
          }
        }
      ),
      { numRuns: 200 }
    )
  })

  it("gives all of 65,535 in order, none twice, and afterwards what was released", () => {
    const numbers = new ChannelNumbers(65535)
    for (let number = 1; number <= 65535; number++) assert.strictEqual(numbers.lowest(), number)
    assert.isUndefined(numbers.lowest())
    FastCheck.assert(
      FastCheck.property(
        FastCheck.uniqueArray(FastCheck.integer({ min: 1, max: 65535 }), { maxLength: 50 }),
        (some) => {
          for (const number of some) numbers.release(number)
          const again = some.map(() => numbers.lowest())
          assert.deepStrictEqual(new Set(again), new Set(some))
          for (let at = 1; at < again.length; at++) assert.isBelow(again[at - 1]!, again[at]!)
          assert.isUndefined(numbers.lowest())
        }
      ),
      { numRuns: 50 }
    )
  })

  it("never gives 0, nor more than a protocol can number", () => {
    const numbers = new ChannelNumbers(1_000_000)
    assert.strictEqual(numbers.max, 65535)
    assert.isTrue(numbers.isTaken(0))
    assert.strictEqual(numbers.lowest(), 1)
    assert.isUndefined(new ChannelNumbers(0).lowest())
  })
})
