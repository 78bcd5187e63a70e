import { assert, describe, it } from "@effect/vitest"
import { Model } from "effect-amqp/broker"
import * as DateTime from "effect/DateTime"
import { bare, quoted, term, typeName } from "../../../../src/broker/internal/face091/erlang.ts"

describe("erlang", () => {
  // As RabbitMQ 3.10.8 answered.
  it.each<[unknown, type: string, bare: string, term: string]>([
    ["a", "longstr", "a", "<<\"a\">>"],
    ["", "longstr", "", "<<>>"],
    ["a\"b", "longstr", "a\"b", "<<\"a\\\"b\">>"],
    ["ü", "longstr", "ü", "<<\"ü\">>"],
    [5, "signedint", "5", "5"],
    [-(2 ** 31), "signedint", "-2147483648", "-2147483648"],
    [2 ** 31, "long", "2147483648", "2147483648"],
    [2n ** 60n, "long", "1152921504606846976", "1152921504606846976"],
    [1.5, "double", "1.5", "1.5"],
    [true, "bool", "true", "true"],
    [null, "void", "undefined", "undefined"],
    [new Uint8Array([97, 98]), "binary", "ab", "<<\"ab\">>"],
    [DateTime.unsafeMake(7000), "timestamp", "7", "7"],
    [new Model.Typed("byte", -5), "byte", "-5", "-5"],
    [new Model.Typed("long", 2n ** 60n), "long", "1152921504606846976", "1152921504606846976"],
    [new Model.Typed("float", 1), "float", "1.0", "1.0"],
    [new Model.Typed("decimal", { scale: 2, value: 150 }), "decimal", "{2,150}", "{2,150}"],
    [new Model.Typed("timestamp", 2n ** 62n), "timestamp", "4611686018427387904", "4611686018427387904"],
    [new Model.Typed("longstr", Uint8Array.of(97, 255)), "longstr", "a\ufffd", "<<\"a\ufffd\">>"],
    [new Uint8Array(), "binary", "", "<<>>"],
    ["a\tb\n", "longstr", "a\tb\n", "<<\"a\\tb\\n\">>"],
    ["a\u0001", "longstr", "a\u0001", "<<97,1>>"],
    ["日", "longstr", "日", "<<230,151,165>>"],
    [[new Model.Typed("byte", 1)], "array", "[{byte,1}]", "[{byte,1}]"],
    [[1, "a"], "array", "[{signedint,1},{longstr,<<\"a\">>}]", "[{signedint,1},{longstr,<<\"a\">>}]"],
    [
      { a: 1, b: [] },
      "table",
      "[{<<\"a\">>,signedint,1},{<<\"b\">>,array,[]}]",
      "[{<<\"a\">>,signedint,1},{<<\"b\">>,array,[]}]"
    ]
  ])("%o is a %s, printed as %s or %s", (value, type, text, printed) => {
    assert.deepStrictEqual([typeName(value), bare(value), term(value)], [type, text, printed])
  })

  // As Erlang 25 prints them with ~p.
  it.each<[number, string]>([
    [0, "0.0"],
    [-0, "-0.0"],
    [100, "100.0"],
    [1000, "1.0e3"],
    [1234567, "1234567.0"],
    [1e10, "1.0e10"],
    [2 ** 52, "4503599627370496.0"],
    [2 ** 53, "9.007199254740992e15"],
    [-1.5, "-1.5"],
    [0.0001, "0.0001"],
    [0.00012, "1.2e-4"],
    [1e-7, "1.0e-7"],
    [Math.fround(0.1), "0.10000000149011612"],
    [Number.MAX_VALUE, "1.7976931348623157e308"],
    [5e-324, "5.0e-324"],
    [Number.NaN, "NaN"]
  ])("prints the float %d", (value, printed) => {
    assert.strictEqual(term(new Model.Typed("double", value)), printed)
    assert.strictEqual(bare(new Model.Typed("float", value)), printed)
  })

  it("prints a text of the broker's own in quotes, or as a list where it sees none", () => {
    assert.strictEqual(quoted("a 'b'"), "\"a 'b'\"")
    assert.strictEqual(quoted("a\"b"), "\"a\\\"b\"")
    assert.strictEqual(quoted("日"), "[230,151,165]")
  })
})
