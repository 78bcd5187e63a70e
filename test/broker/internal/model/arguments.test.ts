import { assert, describe, it } from "@effect/vitest"
import { Model } from "effect-amqp/broker"
import {
  differing,
  integerOf,
  sameArguments,
  sameHeader,
  sameValue,
  textOf
} from "../../../../src/broker/internal/model/arguments.ts"

const { Typed } = Model
const byte = new Typed("byte", 1)
const long = new Typed("long", 1)
const double = new Typed("double", 1)

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
    [{ a: undefined }, { b: undefined }, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, false],
    [byte, new Typed("byte", 1n), true],
    [byte, long, false],
    [[byte], [long], false],
    [double, new Typed("double", -0), false],
    [new Typed("double", 0), new Typed("double", -0), true]
  ])("%s and %s are the same: %s", (left, right, expected) => {
    assert.strictEqual(sameValue(left, right), expected)
    assert.strictEqual(sameValue(right, left), expected)
  })

  it("names the first that differs, of those that count", () => {
    assert.isUndefined(differing(["b"], { a: 1 }, { a: 2 }))
    assert.strictEqual(differing(["a", "b", "c"], { a: 1, b: 1n, c: 1 }, { a: 1, b: 1, c: 2 }), "c")
    assert.strictEqual(differing(["b", "a"], { a: 1 }, { b: 1 }), "b")
  })

  it.each<[unknown, unknown, header: boolean, declared: boolean]>([
    [byte, long, true, true],
    [byte, new Typed("timestamp", 1), true, true],
    [byte, double, true, false],
    [double, new Typed("float", 1), true, true],
    [new Typed("long", 2n ** 53n + 1n), new Typed("double", 2 ** 53), false, false],
    ["a", Uint8Array.of(0x61), true, true],
    [new Typed("longstr", Uint8Array.of(0xff)), Uint8Array.of(0xff), true, true],
    [[], {}, true, true],
    [[byte], [long], false, false],
    [byte, new Typed("decimal", { scale: 0, value: 1 }), false, false],
    [null, byte, false, false]
  ])("%o and %o are the same header: %s, the same where declared: %s", (left, right, header, declared) => {
    assert.strictEqual(sameHeader(left, right), header)
    assert.strictEqual(sameHeader(right, left), header)
    assert.strictEqual(differing(["a"], { a: left }, { a: right }) === undefined, declared)
    assert.strictEqual(differing(["a"], { a: right }, { a: left }) === undefined, declared)
  })

  it("of bindings are the same in any order, if all of their types are", () => {
    assert.isTrue(sameArguments({ a: byte, b: 2 }, { b: 2, a: byte }))
    assert.isFalse(sameArguments({ a: byte }, { a: long }))
    assert.isFalse(sameArguments({ a: byte }, {}))
    assert.isFalse(sameArguments({ a: undefined }, { b: undefined }))
  })

  it("are whole numbers by their type, and texts unless they are called bytes", () => {
    for (const one of [byte, long, 1, new Typed("unsignedint", 1)]) assert.strictEqual(integerOf(one), 1)
    for (const none of [double, new Typed("timestamp", 1), 1.5, "1", null, true]) assert.isUndefined(integerOf(none))
    assert.strictEqual(textOf(new Typed("longstr", Uint8Array.of(0x61, 0xff))), "a\ufffd")
    for (const none of [Uint8Array.of(0x61), byte, null]) assert.isUndefined(textOf(none))
  })
})
