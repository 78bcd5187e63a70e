import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { fault, hex } from "./bytes.ts"

const written = (write: (writer: ByteWriter) => void): string => {
  const writer = new ByteWriter(1)
  write(writer)
  return hex(writer.toBytes())
}

// What only untyped programs pass.
const foreign = <A>(value: unknown): A => value as A

describe("ByteWriter", () => {
  it("writes numbers in network order, and grows as it must", () => {
    assert.strictEqual(
      written((w) => {
        w.octet(1)
        w.short(0x203)
        w.long(0x4050607)
        w.longlong(Number.MAX_SAFE_INTEGER)
        w.int8(-2)
        w.int16(-2)
        w.int32(-2)
        w.float(1.5)
        w.double(0.5)
      }),
      "01020304050607001ffffffffffffffefffefffffffe3fc000003fe0000000000000"
    )
  })

  it("writes any 64 bits that a reader reads", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.oneof(FastCheck.maxSafeInteger(), FastCheck.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      (value) => {
        const writer = new ByteWriter()
        writer.int64(value)
        const read = new ByteReader().reset(writer.bytes, 0, 8).int64()
        assert.strictEqual(BigInt(read), BigInt(value))
        assert.strictEqual(typeof read === "number", Number.isSafeInteger(Number(value)))
      }
    ))
  })

  it("refuses numbers that do not fit, with what is allowed", () => {
    const wrong: ReadonlyArray<
      readonly [write: (w: ByteWriter, value: number) => void, values: ReadonlyArray<number>]
    > = [
      [(w, v) => w.octet(v), [-1, 256, 0.5, Number.NaN]],
      [(w, v) => w.short(v), [-1, 65536, 1.5]],
      [(w, v) => w.long(v), [-1, 2 ** 32, 1.5, Number.POSITIVE_INFINITY]],
      [(w, v) => w.longlong(v), [-1, 2 ** 53, 1.5]],
      [(w, v) => w.uint64(v), [-1, 2 ** 53]],
      [(w, v) => w.int64(v), [2 ** 53, -(2 ** 53)]],
      [(w, v) => w.int8(v), [-129, 128, 0.5]],
      [(w, v) => w.int16(v), [-32769, 32768]],
      [(w, v) => w.int32(v), [2 ** 31, -(2 ** 31) - 1]]
    ]
    for (const [write, values] of wrong) {
      for (const value of values) {
        const writer = new ByteWriter()
        writer.field = "a.field"
        assert.deepInclude(fault(() => write(writer, value)), { reason: "Range", field: "a.field", offset: 0 })
        assert.strictEqual(writer.length, 0)
      }
      assert.deepInclude(fault(() => write(new ByteWriter(), foreign("1"))), { reason: "Value" })
      assert.deepInclude(fault(() => write(new ByteWriter(), foreign(undefined))), { reason: "Value" })
    }
    assert.deepInclude(fault(() => new ByteWriter().float(foreign("1"))), { reason: "Value" })
    assert.deepInclude(fault(() => new ByteWriter().double(foreign(null))), { reason: "Value" })
  })

  it("writes text of up to 255 octets with its length in one, and no more", () => {
    assert.strictEqual(written((w) => w.shortstr("")), "00")
    assert.strictEqual(written((w) => w.shortstr("é")), "02c3a9")
    assert.strictEqual(written((w) => w.shortstr("a".repeat(255))).length, 512)
    assert.strictEqual(written((w) => w.shortstr("é".repeat(127))).length, 510)
    for (const text of ["a".repeat(256), "é".repeat(128), "😀".repeat(64)]) {
      assert.deepInclude(fault(() => new ByteWriter().shortstr(text)), { reason: "Length" })
      assert.notInclude(fault(() => new ByteWriter().shortstr(text)).message, text)
    }
  })

  it("refuses half a surrogate pair in short and in long text, and what is no text or no bytes", () => {
    for (const text of ["\ud800", "a\udc00b", `${"x".repeat(100)}\ud83d`]) {
      assert.deepInclude(fault(() => new ByteWriter().shortstr(text)), { reason: "Value" })
      assert.deepInclude(fault(() => new ByteWriter().longstr(text)), { reason: "Value" })
    }
    assert.deepInclude(fault(() => new ByteWriter().shortstr(foreign(1))), { reason: "Value" })
    assert.deepInclude(fault(() => new ByteWriter().longtext(foreign(null))), { reason: "Value" })
    for (const value of [[1], undefined, null, new ArrayBuffer(1)]) {
      assert.deepInclude(fault(() => new ByteWriter().longbytes(foreign(value))), { reason: "Value" })
    }
  })

  it("writes bytes and parts of bytes", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4)
    assert.strictEqual(written((w) => w.raw(bytes, 1, 3)), "0203")
    assert.strictEqual(written((w) => w.longstr(bytes)), "0000000401020304")
    assert.strictEqual(written((w) => w.longstr("é")), "00000002c3a9")
  })

  it("takes back what was written when its length is set back", () => {
    const writer = new ByteWriter(4)
    writer.short(1)
    const mark = writer.length
    writer.longstr("more than four octets")
    writer.length = mark
    writer.octet(2)
    assert.strictEqual(hex(writer.toBytes()), "000102")
  })

  it("gives its buffer away and goes on in another", () => {
    const writer = new ByteWriter(8)
    writer.short(1)
    const next = new Uint8Array(2)
    const taken = writer.take(next)
    writer.short(2)
    assert.strictEqual(hex(taken), "0001")
    assert.strictEqual(writer.bytes, next)
    assert.strictEqual(hex(writer.toBytes()), "0002")
    writer.short(3)
    assert.strictEqual(hex(writer.toBytes()), "00020003")
    assert.strictEqual(hex(next), "0002")
  })
})
