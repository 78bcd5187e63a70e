import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import { fits, unknownMatch } from "../../../../src/broker/internal/model/headers.ts"
import type { Arguments } from "../../../../src/broker/Model.ts"

describe("headers", () => {
  it.each<[Arguments, Arguments, boolean]>([
    [{}, {}, true],
    [{ a: 1 }, { a: 1n }, true],
    [{ a: 1 }, { a: "1" }, false],
    [{ a: 1 }, {}, false],
    [{ a: null }, { a: 1 }, true],
    [{ a: null }, {}, false],
    [{ a: undefined }, {}, false],
    [{ a: "x" }, { a: Uint8Array.of(0x78) }, true],
    [{ a: Uint8Array.of(0xff) }, { a: Uint8Array.of(0xff) }, true],
    [{ a: DateTime.unsafeMake(1999) }, { a: 1 }, true],
    [{ toString: null }, {}, false],
    [{ "x-match": "any" }, { a: 1 }, false],
    [{ "x-match": "any", a: 1, b: 1 }, { b: 1 }, true],
    [{ "x-match": "any", "x-b": 1 }, { "x-b": 1 }, false],
    [{ "x-match": "any-with-x", "x-b": 1 }, { "x-b": 1 }, true],
    [{ "x-match": "all-with-x", "x-b": 1, a: 1 }, { a: 1 }, false],
    [{ "x-match": "all", "x-b": 1, a: 1 }, { a: 1 }, true]
  ])("a binding with %o fits headers %o: %s", (args, headers, expected) => {
    assert.strictEqual(fits(args)(headers), expected)
  })

  it("an x-match of its own is none of the four", () => {
    for (const known of ["all", "any", "all-with-x", "any-with-x", undefined]) {
      assert.isUndefined(unknownMatch({ "x-match": known }))
    }
    for (const received of ["ALL", "", 1, null]) {
      assert.deepStrictEqual(unknownMatch({ "x-match": received }), { _tag: "UnknownMatch", received })
    }
  })
})
