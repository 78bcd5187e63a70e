/**
 * Each fault at each point of a life: before every frame that client and broker send in handshake, declare, publish,
 * consume, settle and close. `live` says what must hold of each.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { setImmediate as turn } from "node:timers/promises"
import { all } from "./faults.ts"
import { live } from "./life.ts"
import type { Point } from "./network.ts"

/** What a busy machine may take for some hundred lives. */
const patience = 120_000

/** Within each of these everything works again, or the connection has ended. */
const healing = 3000

describe("Before any frame of a life", () => {
  let points: ReadonlyArray<Point> = []

  beforeAll(async () => {
    const { faults, passed, violations } = await live()
    assert.deepStrictEqual([faults, violations], [[], []])
    points = (["client", "broker"] as const).flatMap((side) =>
      Array.from({ length: passed[side] }, (_, index) => ({ side, frame: index + 1 }))
    )
  })

  it("there are all its steps", () => {
    assert.isAbove(points.length, 80)
  })

  for (const [name, { forGood, happening, healed }] of all) {
    for (const [ends, healsAfter] of [[healed, healing], [forGood, undefined]] as const) {
      if (ends === undefined) continue
      it(healsAfter === undefined ? `${name}, for good` : name, async () => {
        const wrong: Array<string> = []
        const seen = new Set<string>()
        for (const point of points) {
          const { faults, violations } = await live({ point, happening, healsAfter })
          // It never waits, and the test runner wants to be heard now and then.
          await turn()
          for (const violation of violations) wrong.push(`${point.side} ${point.frame}: ${violation}`)
          for (const fault of faults) {
            if (!ends.includes(fault)) wrong.push(`${point.side} ${point.frame}: ${fault}`)
            seen.add(fault)
          }
        }
        assert.deepStrictEqual(wrong, [])
        assert.sameMembers(Array.from(seen), [...ends])
      }, patience)
    }
  }
})
