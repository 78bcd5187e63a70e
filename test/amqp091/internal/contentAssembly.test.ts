import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ContentAssembly } from "../../../src/amqp091/internal/contentAssembly.ts"
import * as Allocation from "../../../src/wire/Allocation.ts"
import { pattern } from "./engines.ts"

const reading = (bytes: Uint8Array) => {
  const read = new Allocation.Reading()
  read.begin(bytes, bytes.length)
  return read
}

const awaiting = (size: number) => {
  const content = new ContentAssembly<string, string>()
  content.begin("method")
  content.size = size
  content.properties = "properties"
  return content
}

describe("ContentAssembly", () => {
  it("puts a body together from any pieces, in memory that nothing writes to again", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.integer({ min: 1, max: 3000 }), { minLength: 1 }), (sizes) => {
        const size = sizes.reduce((sum, each) => sum + each, 0)
        const expected = pattern(size)
        const lent = new Uint8Array(3002)
        const content = awaiting(size)
        let at = 0
        for (const each of sizes) {
          assert.isFalse(content.isWhole)
          assert.isTrue(content.fits(each))
          assert.isFalse(content.fits(size - at + 1))
          lent.set(expected.subarray(at, at + each), 1)
          content.piece(reading(lent), 1, each + 1)
          lent.fill(0xee)
          at += each
        }
        assert.isTrue(content.isWhole)
        assert.deepStrictEqual(content.body, expected)
        content.end()
        assert.isUndefined(content.body)
        assert.isUndefined(content.method)
      }),
      { numRuns: 100 }
    )
  })

  it("takes memory for what has arrived, and a body of the first read's size at once", () => {
    const content = awaiting(1 << 30)
    const piece = pattern(65536)
    Allocation.reset()
    content.piece(reading(piece), 0, 10)
    assert.deepStrictEqual(Allocation.allocated(), { count: 1, bytes: 20 })
    content.piece(reading(piece), 0, 65536)
    assert.deepStrictEqual(Allocation.allocated(), { count: 2, bytes: 20 + 2 * 65546 })

    const honest = awaiting(1 << 20)
    Allocation.reset()
    for (let read = 0; read < 16; read++) honest.piece(reading(piece), 0, 65536)
    assert.deepStrictEqual(Allocation.allocated(), { count: 1, bytes: 1 << 20 })
    assert.isTrue(honest.isWhole)
  })

  it("allocates a large body once at its size, however little of it the first read held", () => {
    const piece = pattern(65536)
    const content = awaiting(1 << 20)
    Allocation.reset()
    content.piece(reading(piece), 0, 65000)
    for (let read = 0; read < 15; read++) content.piece(reading(piece), 0, 65536)
    content.piece(reading(piece), 0, (1 << 20) - 65000 - 15 * 65536)
    assert.isTrue(content.isWhole)
    assert.deepStrictEqual(Allocation.allocated(), { count: 2, bytes: 2 * 65000 + (1 << 20) })
  })

  it("lets a body pass without keeping it", () => {
    const content = awaiting(-1)
    content.skip(1000)
    Allocation.reset()
    content.piece(reading(pattern(600)), 0, 600)
    assert.isTrue(content.fits(400))
    assert.isFalse(content.fits(401))
    content.piece(reading(pattern(400)), 0, 400)
    assert.isTrue(content.isWhole)
    assert.isUndefined(content.body)
    assert.deepStrictEqual(Allocation.allocated(), { count: 0, bytes: 0 })
    content.begin("next")
    content.size = 3
    content.piece(reading(pattern(3)), 0, 3)
    assert.deepStrictEqual(content.body, pattern(3))
  })
})
