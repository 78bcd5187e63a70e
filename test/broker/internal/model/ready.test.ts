import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as FastCheck from "effect/FastCheck"
import * as Order from "effect/Order"
import { Ready } from "../../../../src/broker/internal/model/ready.ts"

describe("Ready", () => {
  it.prop(
    "takes the oldest of what was pushed and what came back, in any order of both",
    [FastCheck.array(
      FastCheck.tuple(FastCheck.constantFrom("push", "take", "take", "restore", "clear"), FastCheck.nat()),
      {
        maxLength: 300
      }
    )],
    ([steps]) => {
      const ready = new Ready<{ readonly sequence: number }>()
      let expected: Array<number> = []
      let sequence = 0
      const out: Array<number> = []
      for (const [step, choice] of steps) {
        if (step === "push") {
          expected.push(sequence)
          ready.push({ sequence: sequence++ })
        } else if (step === "take") {
          const taken = ready.take()?.sequence
          assert.strictEqual(taken, expected.shift())
          if (taken !== undefined) out.push(taken)
        } else if (step === "restore" && out.length > 0) {
          const [back] = out.splice(choice % out.length, 1)
          expected = Arr.sort([...expected, back!], Order.number)
          ready.restore({ sequence: back! })
        } else if (step === "clear" && choice % 8 === 0) {
          expected = []
          ready.clear()
        }
        assert.strictEqual(ready.size, expected.length)
      }
    },
    { fastCheck: { numRuns: 500 } }
  )

  it("brings back n items with n log n comparisons, however shuffled", () => {
    const count = 1 << 13
    let reads = 0
    const item = (sequence: number) => ({
      get sequence() {
        reads++
        return sequence
      }
    })
    const ready = new Ready<{ readonly sequence: number }>()
    // A stride that shares no factor with the count visits each number once.
    for (let index = 0; index < count; index++) ready.restore(item((index * 40_503) % count))
    for (let index = 0; index < count; index++) ready.take()
    assert.isBelow(reads, count * 13 * 6)
    assert.strictEqual(ready.size, 0)
  })
})
