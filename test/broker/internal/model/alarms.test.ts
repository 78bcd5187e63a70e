import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Alarms, type Sleeper } from "../../../../src/broker/internal/model/alarms.ts"

describe("Alarms", () => {
  it.prop(
    "wakes each sleeper once, at the earliest time it was set to, whatever is set and removed",
    [FastCheck.array(
      FastCheck.tuple(
        FastCheck.constantFrom("set", "set", "set", "remove", "due"),
        FastCheck.nat(9),
        FastCheck.nat(50)
      ),
      { maxLength: 200 }
    )],
    ([steps]) => {
      const told: Array<number> = []
      const alarms = new Alarms<Sleeper & { readonly name: number }>((at) => void told.push(at))
      const sleepers = Array.from({ length: 10 }, (_, name) => ({ name, alarm: Infinity, place: 0 }))
      const expected = new Map<number, number>()
      const earliest = () => Math.min(Infinity, ...expected.values())
      for (const [step, which, at] of steps) {
        const sleeper = sleepers[which]! // ten were made
        const before = earliest()
        if (step === "set") {
          told.length = 0
          alarms.set(sleeper, at)
          expected.set(which, Math.min(at, expected.get(which) ?? Infinity))
          if (at < before) assert.deepStrictEqual(told, [at])
        } else if (step === "remove") {
          alarms.remove(sleeper)
          expected.delete(which)
        } else {
          const due = alarms.due(at)
          assert.strictEqual(due !== undefined, before <= at)
          if (due !== undefined) {
            assert.strictEqual(expected.get(due.name), before)
            expected.delete(due.name)
          }
        }
        assert.strictEqual(alarms.next, earliest())
        for (const { alarm, name } of sleepers) assert.strictEqual(alarm, expected.get(name) ?? Infinity)
      }
    },
    { fastCheck: { numRuns: 500 } }
  )
})
