import { assert, describe, it } from "@effect/vitest"
import { FieldTable, Properties } from "effect-amqp/amqp091"
import { Model } from "effect-amqp/broker"
import * as DateTime from "effect/DateTime"
import type { RawProperties } from "../../../../src/amqp091/internal/rawProperties.ts"
import { argumentsOf, headersOf } from "../../../../src/broker/internal/face091/arguments.ts"
import { ByteReader } from "../../../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../../../src/wire/ByteWriter.ts"

const { Typed } = Model

const raw = (headers: FieldTable.FieldTable | undefined): RawProperties => {
  const writer = new ByteWriter()
  Properties.encode(writer, { headers })
  const octets = writer.toBytes()
  return { decoded: Properties.decode(new ByteReader().reset(octets, 0, octets.length)), octets }
}

describe("arguments of a field table", () => {
  it.each<[FieldTable.Value, unknown]>([
    [FieldTable.int8(1), new Typed("byte", 1)],
    [FieldTable.uint8(1), new Typed("unsignedbyte", 1)],
    [FieldTable.int16(1), new Typed("short", 1)],
    [FieldTable.uint16(1), new Typed("unsignedshort", 1)],
    [FieldTable.int32(1), new Typed("signedint", 1)],
    [FieldTable.uint32(1), new Typed("unsignedint", 1)],
    [FieldTable.int64(1), new Typed("long", 1)],
    [FieldTable.uint64(2n ** 64n - 1n), new Typed("long", -1n)],
    [FieldTable.float(1), new Typed("float", 1)],
    [FieldTable.double(1), new Typed("double", 1)],
    [FieldTable.decimal(2, 150), new Typed("decimal", { scale: 2, value: 150 })],
    [FieldTable.timestamp(2n ** 62n), new Typed("timestamp", 2n ** 62n)],
    [FieldTable.longstr(Uint8Array.of(255)), new Typed("longstr", Uint8Array.of(255))],
    ["a", "a"],
    [true, true],
    [null, null],
    [Uint8Array.of(1), Uint8Array.of(1)],
    [DateTime.unsafeMake(1000), DateTime.unsafeMake(1000)],
    [[FieldTable.int8(1), ["a"]], [new Typed("byte", 1), ["a"]]],
    [{ b: FieldTable.int8(1) }, { b: new Typed("byte", 1) }]
  ])("%o is %o", (value, expected) => {
    assert.deepStrictEqual(argumentsOf({ a: value }), { a: expected })
  })

  it("keep every name", () => {
    const table: FieldTable.FieldTable = Object.fromEntries([["__proto__", 1], ["toString", 2]])
    assert.deepStrictEqual(Object.entries(argumentsOf(table)), [["__proto__", 1], ["toString", 2]])
  })
})

describe("headers of a message", () => {
  it("are as they were read where their types do not count", () => {
    const properties = raw({ a: FieldTable.int8(1), b: "x", c: null, d: Uint8Array.of(1), e: DateTime.unsafeMake(0) })
    assert.strictEqual(headersOf(properties), properties.decoded.headers)
    assert.isUndefined(headersOf(raw(undefined)))
  })

  it("have their types where they hold lists, tables, or what is read otherwise", () => {
    assert.deepStrictEqual(headersOf(raw({ a: [FieldTable.int8(1)] })), { a: [new Typed("byte", 1)] })
    assert.deepStrictEqual(headersOf(raw({ a: {}, b: 1 })), { a: {}, b: new Typed("signedint", 1) })
    assert.deepStrictEqual(headersOf(raw({ a: FieldTable.uint64(2n ** 64n - 1n) })), { a: new Typed("long", -1n) })
    assert.deepStrictEqual(headersOf(raw({ a: FieldTable.decimal(0, 1) })), {
      a: new Typed("decimal", { scale: 0, value: 1 })
    })
  })
})
