import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Allocation from "../../src/wire/Allocation.ts"

const sizes = FastCheck.array(
  FastCheck.tuple(FastCheck.integer({ min: 0, max: 200 }), FastCheck.integer({ min: 1, max: 20000 })),
  { minLength: 1, maxLength: 20 }
)

describe("Allocation.Reading", () => {
  it("gives copies of any pieces of a read, which nothing writes to again", () => {
    const reading = new Allocation.Reading()
    FastCheck.assert(FastCheck.property(sizes, (pieces) => {
      const length = pieces.reduce((sum, [gap, size]) => sum + gap + size, 0)
      const source = Uint8Array.from({ length }, (_, index) => (index * 7 + 1) & 0xff)
      const expected = source.slice()
      reading.begin(source, length)
      let at = 0
      const copies = pieces.map(([gap, size]) => {
        const start = at + gap
        at = start + size
        return { start, copy: reading.copy(start, at) }
      })
      // The buffer of a read is used again for the next one.
      source.fill(0)
      reading.begin(source, length)
      if (length > 10) reading.copy(0, 10)
      for (const { copy, start } of copies) {
        assert.deepStrictEqual(copy, expected.subarray(start, start + copy.length))
      }
    }))
  })

  it("costs no more memory than copying piece by piece, and what is copied ahead", () => {
    const source = new Uint8Array(65536)
    const reading = new Allocation.Reading()
    Allocation.reset()
    for (let reads = 0; reads < 100; reads++) {
      reading.begin(source, source.length)
      for (let at = 60; at + 1024 <= source.length; at += 1084) reading.copy(at, at + 1024)
    }
    assert.isAtMost(Allocation.allocated().bytes, 100 * source.length * 1.1)
  })
})
