import { assert, describe, it } from "@effect/vitest"
import { FieldTable } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import { bare, term, typeName } from "../../../../src/broker/internal/face091/erlang.ts"

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
    [FieldTable.decimal(2, 150), "decimal", "{2,150}", "{2,150}"],
    [FieldTable.timestamp(2n ** 62n), "timestamp", "4611686018427387904", "4611686018427387904"],
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
})
