import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { runInNewContext } from "node:vm"
import * as FieldTable from "../../src/amqp091/FieldTable.ts"
import type { FrameReason } from "../../src/AmqpError.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { fault, hex, unhex } from "../wire/bytes.ts"

const encode = (table: FieldTable.FieldTable): Uint8Array => {
  const writer = new ByteWriter()
  FieldTable.encode(writer, table)
  return writer.toBytes()
}

const decode = (bytes: Uint8Array, options?: FieldTable.DecodeOptions): FieldTable.FieldTable =>
  FieldTable.decode(new ByteReader().reset(bytes), options)

// One entry named `k`.
const entry = (value: FieldTable.Value): string => hex(encode({ k: value }).subarray(6))
const read = (value: string, options?: FieldTable.DecodeOptions): FieldTable.Value | undefined => {
  const size = unhex(value).length + 2
  return decode(unhex(`${size.toString(16).padStart(8, "0")} 016b ${value}`), options)["k"]
}

// Values that are written without a named type: what they are on the wire, and what a plain decode makes of it.
const plain: ReadonlyArray<readonly [title: string, value: FieldTable.Value, wire: string, read?: FieldTable.Value]> = [
  ["text is S", "é", "5300000002c3a9"],
  ["empty text is S", "", "5300000000"],
  ["an integer of 32 bits is I", -2, "49fffffffe"],
  ["the largest integer of 32 bits is I", 2147483647, "497fffffff"],
  ["a larger integer is l", 2147483648, "6c0000000080000000"],
  ["a negative larger integer is l", -2147483649, "6cffffffff7fffffff"],
  ["the largest exact integer is l", Number.MAX_SAFE_INTEGER, "6c001fffffffffffff"],
  ["the smallest exact integer is l", Number.MIN_SAFE_INTEGER, "6cffe0000000000001"],
  ["an integer that is not exact is d", 2 ** 60, "6443b0000000000000"],
  ["a fraction is d", 0.5, "643fe0000000000000"],
  ["NaN is d", Number.NaN, "647ff8000000000000"],
  ["infinity is d", Number.NEGATIVE_INFINITY, "64fff0000000000000"],
  ["minus zero is d, which keeps its sign", -0, "648000000000000000"],
  ["a bigint is l, and a number again where it is exact", 5n, "6c0000000000000005", 5],
  ["a bigint beyond 2^53 stays one", 2n ** 63n - 1n, "6c7fffffffffffffff"],
  ["the smallest bigint stays one", -(2n ** 63n), "6c8000000000000000"],
  ["-2^53 is a bigint, for a number might be its neighbour", -(2n ** 53n), "6cffe0000000000000"],
  ["true is t", true, "7401"],
  ["null is V", null, "56"],
  ["bytes are x", Uint8Array.of(0, 255), "780000000200ff"],
  ["a date is T, in seconds", DateTime.unsafeMake(1_700_000_000_000), "54000000006553f100"],
  [
    "what a date has below a second is cut off",
    DateTime.unsafeMake(1_700_000_000_999),
    "54000000006553f100",
    DateTime.unsafeMake(1_700_000_000_000)
  ],
  [
    "JavaScript's own date is T as well",
    new Date(1_700_000_000_000),
    "54000000006553f100",
    DateTime.unsafeMake(1_700_000_000_000)
  ],
  ["an array is A", [1, "a", []], "410000001049000000015300000001614100000000"],
  ["an object is F", { a: { b: null } }, "460000000a01614600000003016256"]
]

const typed: ReadonlyArray<readonly [value: FieldTable.Typed, wire: string, plain: FieldTable.Value]> = [
  [FieldTable.int8(-1), "62ff", -1],
  [FieldTable.uint8(255), "42ff", 255],
  [FieldTable.int16(-2), "73fffe", -2],
  [FieldTable.uint16(65535), "75ffff", 65535],
  [FieldTable.int32(7), "4900000007", 7],
  [FieldTable.uint32(4294967295), "69ffffffff", 4294967295],
  [FieldTable.int64(1), "6c0000000000000001", 1],
  [FieldTable.int64(-(2n ** 62n)), "6cc000000000000000", -(2n ** 62n)],
  [FieldTable.uint64(2n ** 64n - 1n), "4cffffffffffffffff", 2n ** 64n - 1n],
  [FieldTable.float(1.5), "663fc00000", 1.5],
  [FieldTable.double(2), "644000000000000000", 2],
  [FieldTable.decimal(2, 314), "44020000013a", FieldTable.decimal(2, 314)],
  [FieldTable.timestamp(8.64e12 + 1), "54000007dba8218001", FieldTable.timestamp(8.64e12 + 1)],
  [FieldTable.timestamp(2n ** 64n - 1n), "54ffffffffffffffff", FieldTable.timestamp(2n ** 64n - 1n)],
  [FieldTable.longstr(Uint8Array.of(0xff)), "5300000001ff", Uint8Array.of(0xff)]
]

describe("plain values", () => {
  for (const [title, value, wire, back] of plain) {
    it(title, () => {
      assert.strictEqual(entry(value), wire)
      assert.deepStrictEqual(read(wire), back ?? value)
    })
  }

  it("come back as they were, whatever they are", () => {
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(FieldTable.FieldTable), (table) => {
        assert.deepStrictEqual(decode(encode(table)), table)
      }),
      { numRuns: 500 }
    )
  })
})

describe("typed values", () => {
  for (const [value, wire, back] of typed) {
    it(`${value.type} is written as ${String.fromCharCode(Number.parseInt(wire.slice(0, 2), 16))}`, () => {
      assert.strictEqual(entry(value), wire)
      assert.deepStrictEqual(read(wire, { decode: "typed" }), value)
      assert.deepStrictEqual(read(wire), back)
    })
  }

  it("are written from text and small dates too", () => {
    assert.strictEqual(entry(FieldTable.longstr("a")), "530000000161")
    assert.strictEqual(entry(FieldTable.timestamp(1)), "540000000000000001")
  })

  it("keep the bytes of a table when it is read and written again", () => {
    const table = Object.fromEntries([...plain.map(([, value]) => value), ...typed.map(([value]) => value)]
      .map((value, i): [string, FieldTable.Value] => [`k${i}`, value]))
    const bytes = encode({ ...table, list: Object.values(table), nested: { table } })
    assert.strictEqual(hex(encode(decode(bytes, { decode: "typed" }))), hex(bytes))
  })

  const refused: ReadonlyArray<readonly [FieldTable.Value, FrameReason]> = [
    [FieldTable.int8(128), "Range"],
    [FieldTable.uint8(-1), "Range"],
    [FieldTable.int16(32768), "Range"],
    [FieldTable.uint16(1.5), "Range"],
    [FieldTable.int32(2 ** 31), "Range"],
    [FieldTable.uint32(2 ** 32), "Range"],
    [FieldTable.int64(2 ** 53), "Range"],
    [FieldTable.int64(2n ** 63n), "Range"],
    [FieldTable.uint64(-1n), "Range"],
    [FieldTable.timestamp(Number.NaN), "Range"],
    [FieldTable.decimal(256, 0), "Range"],
    [2n ** 63n, "Range"],
    [DateTime.unsafeMake(-1000), "Range"],
    ["\udc00", "Value"]
  ]
  for (const [i, [value, reason]] of refused.entries()) {
    it(`that do not fit are refused (${i})`, () => {
      assert.deepInclude(fault(() => encode({ a: [value] })), { reason, field: "table.a.0" })
    })
  }
})

// What only untyped programs pass.
const untyped = (value: unknown): FieldTable.FieldTable => Object.fromEntries<never>([["a", value as never]])
const foreign = (value: unknown) => fault(() => encode(untyped(value)))

describe("what is no value", () => {
  it("is refused by name: functions, symbols, an unknown type", () => {
    assert.deepInclude(foreign(() => 1), { reason: "Value", field: "table.a", text: "a function has no wire type" })
    assert.deepInclude(foreign(Symbol("s")), { reason: "Value", field: "table.a" })
    assert.deepInclude(foreign({ ...FieldTable.int8(1), type: "toString", [FieldTable.TypeId]: FieldTable.TypeId }), {
      reason: "Value"
    })
    assert.deepInclude(fault(() => FieldTable.encode(new ByteWriter(), JSON.parse("null"))), { reason: "Value" })
  })

  it("is an object of a class: it would become a table that says nothing", () => {
    for (
      const value of [new Map([["a", 1]]), new Set([1]), Redacted.make("secret"), Option.some(1), new Float32Array(2)]
    ) {
      assert.deepInclude(foreign(value), { reason: "Value", field: "table.a", text: "must be a plain object" })
    }
    const other: unknown = runInNewContext("({ n: 1 })")
    assert.deepStrictEqual(decode(encode(untyped(other))), { a: { n: 1 } })
    assert.deepStrictEqual(decode(encode(untyped(Object.create(null)))), { a: {} })
  })

  it("is refused with a FrameError, whatever it is, and else read again", () => {
    const anything = FastCheck.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withUnicodeString: true
    })
    FastCheck.assert(
      FastCheck.property(anything, (value) => {
        if (Schema.is(FieldTable.FieldTable)(untyped(value))) decode(encode(untyped(value)))
        else fault(() => encode(untyped(value)))
      }),
      { numRuns: 2000 }
    )
    for (const type of ["decimal", "float", "longstr", "table", "int64", "timestamp"]) {
      for (const inner of [undefined, null, {}, "", Number.NaN, []]) {
        if ((type === "longstr" && inner === "") || (type === "float" && Number.isNaN(inner))) continue
        const made = foreign({ [FieldTable.TypeId]: FieldTable.TypeId, type, value: inner })
        assert.include(["Value", "Range"], made.reason, `${type} ${String(inner)}`)
      }
    }
  })

  it("is refused as too deep when it holds itself", () => {
    const cycle: Record<string, unknown> = {}
    cycle["me"] = [cycle]
    assert.deepInclude(foreign(cycle), { reason: "Depth" })
  })

  it("is refused as too many entries when few objects stand for very many", () => {
    let table: FieldTable.FieldTable = { leaf: 1 }
    for (let i = 0; i < 25; i++) table = { a: table, b: table }
    assert.deepInclude(fault(() => encode(table)), { reason: "Entries" })
  })

  it("is left out when undefined, and null in an array", () => {
    assert.strictEqual(hex(encode({ a: undefined })), "00000000")
    assert.deepStrictEqual(decode(encode(untyped([undefined, 1]))), { a: [null, 1] })
  })

  it("is a name above 255 octets", () => {
    assert.deepInclude(fault(() => encode({ ["ø".repeat(128)]: 1 })), { reason: "Length" })
  })
})

const nest = (depth: number) => {
  let table: FieldTable.FieldTable = { leaf: true }
  for (let i = 1; i < depth; i++) table = { t: table }
  return table
}

describe("a table", () => {
  it("keeps its order, and the last of entries with one name", () => {
    assert.deepStrictEqual(Object.keys(decode(encode({ z: 1, a: 2, m: 3 }))), ["z", "a", "m"])
    assert.deepStrictEqual(decode(unhex("00000008 016b7400 016b7401")), { k: true })
  })

  it("may have an entry named __proto__, which is an entry", () => {
    const bytes = encode(Object.fromEntries([["__proto__", { polluted: true }]]))
    const table = decode(bytes)
    assert.deepStrictEqual(Object.keys(table), ["__proto__"])
    assert.strictEqual(Object.getPrototypeOf(table), Object.prototype)
    assert.isFalse("polluted" in table)
    assert.strictEqual(hex(encode(table)), hex(bytes))
  })

  it("is read only within its own length", () => {
    assert.deepInclude(fault(() => decode(unhex("00000004 016b49 00000001 ff"))), {
      reason: "Truncated",
      field: "table.k"
    })
    assert.deepInclude(fault(() => decode(unhex("00000009 016b"))), { reason: "Truncated", offset: 4 })
  })

  it("is refused where a type is unknown, by name and offset", () => {
    const unknown = fault(() => decode(unhex("0000000a 0161 46 00000003 0162 7a")))
    assert.deepInclude(unknown, {
      reason: "FieldType",
      field: "table.a.b",
      offset: 13,
      text: "has the unknown type 0x7a"
    })
  })

  it("nests as deep as the limit says, and no deeper", () => {
    assert.deepStrictEqual(decode(encode(nest(32))), nest(32))
    assert.deepInclude(fault(() => encode(nest(33))), { reason: "Depth" })
    const limits = { maxTableDepth: 3, maxTableEntries: 10 }
    assert.deepStrictEqual(decode(encode(nest(3)), { limits }), nest(3))
    assert.deepInclude(fault(() => decode(encode(nest(4)), { limits })), { reason: "Depth", field: "table.t.t.t" })
  })

  it("has as many entries as the limit says, those of its lists and tables included, and no more", () => {
    const limits = { maxTableDepth: 32, maxTableEntries: 4 }
    assert.deepStrictEqual(decode(encode({ a: [1, 2, 3] }), { limits }), { a: [1, 2, 3] })
    assert.deepInclude(fault(() => decode(encode({ a: [1, 2, 3], b: 1 }), { limits })), { reason: "Entries" })
    assert.deepInclude(fault(() => encode({ a: Array.from({ length: 4096 }, () => 1) })), { reason: "Entries" })
  })

  it("holds nothing of the bytes it was read from", () => {
    const bytes = encode({ k: Uint8Array.of(1, 2, 3), s: FieldTable.longstr(Uint8Array.of(0xff, 0xfe)) })
    const table = decode(bytes)
    bytes.fill(0)
    assert.deepStrictEqual(table, { k: Uint8Array.of(1, 2, 3), s: Uint8Array.of(0xff, 0xfe) })
  })
})

describe("the Schemas", () => {
  it("know a table from what is none", () => {
    const is = Schema.is(FieldTable.FieldTable)
    assert.isTrue(is({ a: [FieldTable.int8(1), { b: null }] }))
    const cycle: Record<string, unknown> = {}
    cycle["me"] = cycle
    for (const value of [null, [], "t", Uint8Array.of(1), DateTime.unsafeMake(0), { f: () => 1 }, cycle]) {
      assert.isFalse(is(value))
    }
  })

  it("are over bytes with the length in front", () => {
    const bytes = Schema.encodeSync(FieldTable.FromBytes)({ a: true })
    assert.strictEqual(hex(bytes), "0000000401617401")
    assert.deepStrictEqual(Schema.decodeSync(FieldTable.FromBytes)(bytes), { a: true })
    assert.throws(() => Schema.decodeSync(FieldTable.FromBytes)(unhex("00000000 00")), /1 octets are left over/)
  })
})
