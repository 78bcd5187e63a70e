import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as FastCheck from "effect/FastCheck"
import * as Order from "effect/Order"
import { Levels } from "../../../../src/broker/internal/model/levels.ts"

interface Item {
  readonly sequence: number
  readonly level: number
}

const order = Order.combine(
  Order.reverse(Order.mapInput(Order.number, ({ level }: Item) => Math.max(0, Math.min(5, level)))),
  Order.mapInput(Order.number, ({ sequence }: Item) => sequence)
)

describe("Levels", () => {
  it.prop(
    "takes the oldest of the highest level, whatever was pushed, taken and given back",
    [FastCheck.array(
      FastCheck.tuple(
        FastCheck.constantFrom("push", "push", "take", "restore", "clear"),
        FastCheck.integer({ min: -2, max: 9 })
      ),
      { maxLength: 200 }
    )],
    ([steps]) => {
      const levels = new Levels<Item>(5, ({ level }) => level)
      let expected: Array<Item> = []
      const taken: Array<Item> = []
      let sequence = 0
      for (const [step, choice] of steps) {
        if (step === "push") {
          const item = { sequence: sequence++, level: choice }
          levels.push(item)
          expected.push(item)
        } else if (step === "restore" && taken.length > 0) {
          const [item] = taken.splice(Math.abs(choice) % taken.length, 1)
          levels.restore(item!) // there is one
          expected.push(item!)
        } else if (step === "take") {
          expected = Arr.sort(expected, order)
          assert.strictEqual(levels.peek(), expected[0])
          const item = levels.take()
          assert.strictEqual(item, expected.shift())
          if (item !== undefined) taken.push(item)
        } else if (step === "clear" && choice === 0) {
          levels.clear()
          expected = []
        }
        assert.strictEqual(levels.size, expected.length)
      }
    },
    { fastCheck: { numRuns: 500 } }
  )
})
