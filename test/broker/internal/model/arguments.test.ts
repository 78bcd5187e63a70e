import { assert, describe, it } from "@effect/vitest"
import { differing, sameValue } from "../../../../src/broker/internal/model/arguments.ts"

describe("arguments", () => {
  it.each<[unknown, unknown, boolean]>([
    [1, 1n, true],
    [1, 2n, false],
    [1, "1", false],
    [1.5, 1.5, true],
    [true, 1, false],
    [undefined, undefined, true],
    [undefined, null, false],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 2), true],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 3), false],
    [Uint8Array.of(1), [1], false],
    [[1, "a"], [1, "a"], true],
    [[1], [1, 2], false],
    [{ a: { b: 1 } }, { a: { b: 1n } }, true],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }, true],
    [{ a: undefined }, { b: undefined }, false]
  ])("%s and %s are the same: %s", (left, right, expected) => {
    assert.strictEqual(sameValue(left, right), expected)
    assert.strictEqual(sameValue(right, left), expected)
  })

  it("names the first that differs, of those that count", () => {
    assert.isUndefined(differing(["b"], { a: 1 }, { a: 2 }))
    assert.strictEqual(differing(["a", "b", "c"], { a: 1, b: 1n, c: 1 }, { a: 1, b: 1, c: 2 }), "c")
    assert.strictEqual(differing(["b", "a"], { a: 1 }, { b: 1 }), "b")
  })
})
