import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { Numbered } from "../../src/internal/numbered.ts"

/** What it must do is what a `Map` does with numbers that grow. */
const Step = Schema.Union(
  Schema.Struct({ _tag: Schema.Literal("Add"), gap: Schema.Int.pipe(Schema.between(1, 3)) }),
  Schema.Struct({ _tag: Schema.Literal("Leap"), gap: Schema.Int.pipe(Schema.between(1, 5000)) }),
  Schema.Struct({ _tag: Schema.Literal("Delete"), at: Schema.Int.pipe(Schema.between(0, 10_000)) }),
  Schema.Struct({ _tag: Schema.Literal("DeleteFirst") }),
  Schema.Struct({ _tag: Schema.Literal("Clear"), rarely: Schema.Int.pipe(Schema.between(0, 20)) })
)

const agree = (numbered: Numbered<{ readonly id: number }>, map: Map<number, { readonly id: number }>) => {
  assert.strictEqual(numbered.size, map.size)
  assert.deepStrictEqual(numbered.toArray(), Array.from(map.values()))
  const [first] = map.values()
  assert.strictEqual(numbered.first, first)
  assert.strictEqual(numbered.lowest, first?.id ?? Infinity)
}

describe("Numbered", () => {
  it("holds what a Map would, in the order of the numbers", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(Arbitrary.make(Step), { maxLength: 200 }), (steps) => {
        const numbered = new Numbered<{ readonly id: number }>()
        const map = new Map<number, { readonly id: number }>()
        let last = 0
        const add = (id: number) => {
          last = id
          const value = { id }
          numbered.add(id, value)
          map.set(id, value)
        }
        const remove = (id: number) => assert.strictEqual(numbered.delete(id), map.delete(id))
        for (const step of steps) {
          switch (step._tag) {
            case "Add":
            case "Leap":
              add(last + step.gap)
              break
            case "Delete":
              remove(Array.from(map.keys())[step.at % Math.max(1, map.size)] ?? step.at)
              break
            case "DeleteFirst":
              remove(Array.from(map.keys())[0] ?? 0)
              break
            case "Clear":
              if (step.rarely > 0) break
              numbered.clear()
              map.clear()
              last = 0
          }
          agree(numbered, map)
          for (const id of [...map.keys(), last + 1, 0, NaN, 0.5, -1]) {
            assert.deepStrictEqual(numbered.get(id), map.get(id))
          }
        }
      }),
      { numRuns: 300 }
    )
  })

  it("takes no room for the numbers between an old one and a million later ones", () => {
    const numbered = new Numbered<{ readonly id: number }>()
    for (let id = 1; id <= 1_000_000; id++) {
      numbered.add(id, { id })
      if (id > 1) numbered.delete(id)
    }
    assert.strictEqual(numbered.lowest, 1)
    assert.deepStrictEqual(numbered.toArray(), [{ id: 1 }])
    assert.isBelow(numbered.capacity, 100)
    numbered.delete(1)
    assert.strictEqual(numbered.size, 0)
  })

  it("takes no room for those that were overtaken and have gone, and finds the oldest at once", () => {
    const numbered = new Numbered<{ readonly id: number }>()
    const late: Array<number> = []
    for (let id = 1; id <= 300_000; id++) {
      numbered.add(id, { id })
      if (id % 3 === 0) late.push(id)
      else numbered.delete(id)
      // All but the first, in the order in which they came.
      if (late.length > 1000) assert.isTrue(numbered.delete(late.splice(1, 1)[0] ?? 0))
    }
    assert.strictEqual(numbered.size, 1000)
    assert.strictEqual(numbered.lowest, 3)
    assert.isBelow(numbered.capacity, 10_000)
    for (const id of late) {
      assert.strictEqual(numbered.lowest, id)
      assert.deepStrictEqual(numbered.first, { id })
      numbered.delete(id)
    }
    assert.strictEqual(numbered.size, 0)
  })

  it("gives the room of a crowd back when all have gone", () => {
    const numbered = new Numbered<{ readonly id: number }>()
    for (let id = 1; id <= 100_000; id++) numbered.add(id, { id })
    assert.isAtLeast(numbered.capacity, 100_000)
    for (let id = 1; id <= 100_000; id++) numbered.delete(id)
    assert.strictEqual(numbered.capacity, 0)
    numbered.add(100_001, { id: 100_001 })
    assert.deepStrictEqual(numbered.first, { id: 100_001 })
  })
})
