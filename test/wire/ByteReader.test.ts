import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Allocation from "../../src/wire/Allocation.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { fault, hex, unhex } from "./bytes.ts"

const reader = (text: string) => new ByteReader().reset(unhex(text))

describe("ByteReader", () => {
  it("reads numbers in network order", () => {
    const r = reader("01 0203 04050607 00000000000000ff fe fffe fffffffe 3fc00000 3fe0000000000000")
    assert.deepStrictEqual([r.octet(), r.short(), r.long(), r.longlong()], [1, 0x203, 0x4050607, 255])
    assert.deepStrictEqual([r.int8(), r.int16(), r.int32(), r.float(), r.double()], [-2, -2, -2, 1.5, 0.5])
    assert.strictEqual(r.remaining, 0)
    assert.strictEqual(reader("ffffffff").long(), 0xffffffff)
  })

  it("reads 64 bits as a number where that is exact, else as a bigint", () => {
    assert.strictEqual(reader("001fffffffffffff").uint64(), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(reader("0020000000000000").uint64(), 2n ** 53n)
    assert.strictEqual(reader("ffffffffffffffff").uint64(), 2n ** 64n - 1n)
    assert.strictEqual(reader("ffffffffffffffff").int64(), -1)
    assert.strictEqual(reader("ffe0000000000001").int64(), Number.MIN_SAFE_INTEGER)
    assert.strictEqual(reader("ffe0000000000000").int64(), -(2n ** 53n))
    assert.strictEqual(reader("8000000000000000").int64(), -(2n ** 63n))
    assert.deepInclude(fault(() => reader("0020000000000000").longlong()), { reason: "Range" })
  })

  it("never reads beyond its end, though there are bytes", () => {
    const reads: ReadonlyArray<readonly [size: number, read: (r: ByteReader) => unknown]> = [
      [1, (r) => r.octet()],
      [2, (r) => r.short()],
      [4, (r) => r.long()],
      [8, (r) => r.longlong()],
      [8, (r) => r.uint64()],
      [8, (r) => r.int64()],
      [4, (r) => r.float()],
      [8, (r) => r.double()],
      [3, (r) => r.text(3)],
      [3, (r) => r.strictText(3)],
      [3, (r) => r.copy(3)],
      [3, (r) => r.need(3)]
    ]
    const bytes = new Uint8Array(32)
    for (const [size, read] of reads) {
      const r = new ByteReader().reset(bytes, 4, 4 + size - 1)
      r.field = "a.field"
      assert.deepInclude(fault(() => read(r)), { reason: "Truncated", field: "a.field", offset: 0 })
      read(r.reset(bytes, 4, 4 + size))
    }
    assert.deepInclude(fault(() => reader("05 61626364").shortstr()), { reason: "Truncated", offset: 1 })
    assert.deepInclude(fault(() => reader("ffffffff 61").longstr()), { reason: "Truncated", offset: 4 })
    assert.deepInclude(fault(() => reader("00000002 61").longbytes()), { reason: "Truncated", offset: 4 })
  })

  it("reads text of any length as it was written", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(FastCheck.string({ maxLength: 90 }), FastCheck.fullUnicodeString({ maxLength: 60 })),
        (text) => {
          const writer = new ByteWriter(1)
          writer.longstr(text)
          assert.strictEqual(new ByteReader().reset(writer.toBytes()).longstr(), text)
          const size = writer.length - 4
          assert.strictEqual(new ByteReader().reset(writer.bytes, 4, writer.length).strictText(size), text)
        }
      ),
      { numRuns: 1000 }
    )
  })

  it("keeps a byte order mark, and makes U+FFFD of what is no UTF-8", () => {
    assert.strictEqual(reader("04 efbbbf61").shortstr(), "\ufeffa")
    assert.strictEqual(reader("03 61ff62").shortstr(), "a\ufffdb")
    const r = reader("61ff62")
    assert.isUndefined(r.strictText(3))
    assert.strictEqual(r.remaining, 3)
  })

  it("copies bytes that are to stay", () => {
    const bytes = unhex("00000002 0102")
    const copy = new ByteReader().reset(bytes).longbytes()
    bytes.fill(0)
    assert.deepStrictEqual(copy, Uint8Array.of(1, 2))
  })

  it("reads a short text as it is, whatever was read before it", () => {
    // Both have the same hash, and the second one's octets are the first one's characters.
    assert.strictEqual(reader("06 78786176c3a9").shortstr(), "xxav\u00e9")
    assert.strictEqual(reader("05 78786176e9").shortstr(), "xxav\ufffd")
    // Few octets, so that texts often share all that tells them apart in a hash.
    const octet = FastCheck.constantFrom(0x61, 0x62, 0x7f, 0x80, 0xa9, 0xc3, 0xe9, 0xef, 0xbb, 0xbf, 0xff)
    const lenient = new TextDecoder("utf-8", { ignoreBOM: true })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.array(octet, { maxLength: 4 })), (texts) => {
        for (const text of texts) {
          const r = new ByteReader().reset(Uint8Array.of(text.length, ...text, 1))
          assert.strictEqual(r.shortstr(), lenient.decode(Uint8Array.from(text)))
          assert.strictEqual(r.octet(), 1)
        }
      }),
      { numRuns: 500 }
    )
  })
})

describe("Allocation.copy", () => {
  it("puts small copies side by side into one slab, and large ones into their own memory", () => {
    const source = Uint8Array.from({ length: 20_000 }, (_, i) => i)
    const copies = Array.from({ length: 10 }, (_, i) => Allocation.copy(source, i, i + 100))
    Allocation.reset()
    assert.strictEqual(Allocation.copy(source, 3, 3 + 16384).buffer.byteLength, Allocation.slabSize)
    assert.strictEqual(Allocation.copy(source, 0, 16385).buffer.byteLength, 16385)
    assert.isAtMost(Allocation.allocated().bytes, Allocation.slabSize + 16385)
    for (const [i, copy] of copies.entries()) assert.strictEqual(hex(copy), hex(source.subarray(i, i + 100)))
    assert.strictEqual(Allocation.copy(source, 5, 5).length, 0)
  })

  it("counts what is allocated", () => {
    Allocation.reset()
    Allocation.allocate(10)
    Allocation.allocate(20)
    assert.deepStrictEqual(Allocation.allocated(), { count: 2, bytes: 30 })
  })
})
