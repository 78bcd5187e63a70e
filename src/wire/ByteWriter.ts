/**
 * Appends numbers, text and bytes in network order to a buffer that grows and is used again. A value that does not fit
 * throws a `FrameError` naming the field being written; whoever started the frame sets `length` back, and nothing
 * half-written remains.
 *
 * @since 0.1.0
 */
import { FrameError } from "../AmqpError.ts"
import type { FrameReason } from "../AmqpError.ts"
import * as Allocation from "./Allocation.ts"
import { nestedName } from "./ByteReader.ts"

const encoder = new TextEncoder()
const scratch = new DataView(new ArrayBuffer(8))
const loneSurrogate = /[\ud800-\udfff]/u

// Up to here a loop beats the call into TextEncoder and the view it wants.
const shortText = 48

/**
 * A growing buffer.
 *
 * @since 0.1.0
 * @category models
 */
export class ByteWriter {
  /** The buffer. Another one takes its place when it grows. */
  bytes: Uint8Array
  /** Octets written. May be set back, to take back what was written last. */
  length = 0
  /** Where the present frame began, for errors. */
  start = 0
  /** The field being written, for errors. */
  field = ""
  /** Keys and indexes from `field` down to the nested value being written, for errors: the first `depth` hold. */
  readonly path: Array<string | number> = []
  /** How deep the value being written is nested. */
  depth = 0
  /** Entries written so far of the present top-level value. */
  entries = 0

  constructor(size = 1024) {
    this.bytes = Allocation.allocate(size)
  }

  /** Starts anew, in another buffer where one is given. */
  reset(bytes: Uint8Array = this.bytes): this {
    this.bytes = bytes
    this.length = 0
    this.start = 0
    this.field = ""
    this.depth = 0
    return this
  }

  /** What was written, which now belongs to the caller; goes on in `next`, from its beginning. */
  take(next: Uint8Array): Uint8Array {
    const written = this.bytes.subarray(0, this.length)
    this.reset(next)
    return written
  }

  /** A copy of what was written, with memory of its own. */
  toBytes(): Uint8Array {
    const bytes = Allocation.allocate(this.length)
    bytes.set(this.bytes.subarray(0, this.length))
    return bytes
  }

  /** Throws a `FrameError` about the field being written. */
  fail(reason: FrameReason, text?: string): never {
    throw new FrameError({
      reason,
      field: nestedName(this.field, this.path, this.depth),
      offset: this.length - this.start,
      text
    })
  }

  /** Makes room for `size` more octets. */
  ensure(size: number): void {
    if (this.length + size > this.bytes.length) this.grow(size)
  }

  private grow(size: number): void {
    const bytes = Allocation.allocate(Math.max(this.length + size, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }

  /** Unsigned, 8 bits. */
  octet(value: number): void {
    if ((value & 0xff) !== value) this.range(value, 0, 0xff)
    if (this.length >= this.bytes.length) this.grow(1)
    this.bytes[this.length++] = value
  }

  /** Unsigned, 16 bits. */
  short(value: number): void {
    if ((value & 0xffff) !== value) this.range(value, 0, 0xffff)
    const at = this.length
    if (at + 2 > this.bytes.length) this.grow(2)
    const bytes = this.bytes
    bytes[at] = value >>> 8
    bytes[at + 1] = value
    this.length = at + 2
  }

  /** Unsigned, 32 bits. */
  long(value: number): void {
    if ((value >>> 0) !== value) this.range(value, 0, 0xffffffff)
    this.word(value)
  }

  /** Unsigned, 64 bits, from a number that is exact. */
  longlong(value: number): void {
    if (!(Number.isSafeInteger(value) && value >= 0)) this.range(value, 0, Number.MAX_SAFE_INTEGER)
    this.word(value / 0x1_0000_0000)
    this.word(value)
  }

  /** Unsigned, 64 bits. */
  uint64(value: number | bigint): void {
    if (typeof value === "bigint") {
      if (BigInt.asUintN(64, value) !== value) this.range(value, 0n, 0xffff_ffff_ffff_ffffn)
      this.bigint(value)
    } else {
      this.longlong(value)
    }
  }

  /** Signed, 64 bits. */
  int64(value: number | bigint): void {
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) this.range(value, -(2n ** 63n), 2n ** 63n - 1n)
      this.bigint(value)
    } else {
      if (!Number.isSafeInteger(value)) this.range(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
      this.word(Math.floor(value / 0x1_0000_0000))
      this.word(value)
    }
  }

  /** Signed, 8 bits. */
  int8(value: number): void {
    if ((value << 24) >> 24 !== value) this.range(value, -0x80, 0x7f)
    this.octet(value & 0xff)
  }

  /** Signed, 16 bits. */
  int16(value: number): void {
    if ((value << 16) >> 16 !== value) this.range(value, -0x8000, 0x7fff)
    this.short(value & 0xffff)
  }

  /** Signed, 32 bits. */
  int32(value: number): void {
    if ((value | 0) !== value) this.range(value, -0x80000000, 0x7fffffff)
    this.word(value)
  }

  /** IEEE 754, 32 bits: rounds. */
  float(value: number): void {
    if (typeof value !== "number") this.fail("Value", "must be a number")
    scratch.setFloat32(0, value)
    this.word(scratch.getUint32(0))
  }

  /** IEEE 754, 64 bits. */
  double(value: number): void {
    if (typeof value !== "number") this.fail("Value", "must be a number")
    scratch.setFloat64(0, value)
    this.word(scratch.getUint32(0))
    this.word(scratch.getUint32(4))
  }

  /** Text with its length in one octet: at most 255 octets of UTF-8. */
  shortstr(value: string): void {
    const at = this.length
    if (at >= this.bytes.length) this.grow(1)
    this.length = at + 1
    if (typeof value === "string" && value.length > 255) this.tooLong(value)
    this.text(value)
    const size = this.length - at - 1
    if (size > 255) this.tooLong(value)
    this.bytes[at] = size
  }

  /** Text (as UTF-8) or bytes, with the length in four octets. */
  longstr(value: string | Uint8Array): void {
    if (typeof value === "string") this.longtext(value)
    else this.longbytes(value)
  }

  /** Text as UTF-8, with its length in four octets. */
  longtext(value: string): void {
    const at = this.length
    this.word(0)
    this.text(value)
    this.setLong(at, this.length - at - 4)
  }

  /** Bytes with their length in four octets. */
  longbytes(value: Uint8Array): void {
    const at = this.length
    this.word(0)
    this.raw(value)
    this.setLong(at, this.length - at - 4)
  }

  /** Text as UTF-8, without a length. Half a surrogate pair is no text: a `Value` error. */
  text(value: string): void {
    if (typeof value !== "string") this.fail("Value", "must be text")
    const size = value.length
    if (size > shortText) return this.longText(value)
    this.ensure(size * 3)
    const bytes = this.bytes
    let at = this.length
    for (let i = 0; i < size; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return this.longText(value)
      bytes[at++] = code
    }
    this.length = at
  }

  private longText(value: string): void {
    if (loneSurrogate.test(value)) this.fail("Value", "has half a surrogate pair, which UTF-8 cannot hold")
    this.ensure(value.length * 3)
    this.length += encoder.encodeInto(value, this.bytes.subarray(this.length)).written
  }

  /** Bytes as they are, from `start` to `end`. */
  raw(value: Uint8Array, start = 0, end?: number): void {
    if (!(value instanceof Uint8Array)) this.fail("Value", "must be bytes")
    const to = end ?? value.length
    this.ensure(to - start)
    this.bytes.set(start === 0 && to === value.length ? value : value.subarray(start, to), this.length)
    this.length += to - start
  }

  /** Overwrites the four octets at index `at` of `bytes`, for a length that is known late. */
  setLong(at: number, value: number): void {
    if ((value >>> 0) !== value) this.fail("Length", `is ${value} octets long, and may be ${0xffffffff}`)
    const bytes = this.bytes
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  // The low 32 bits of `value`, unchecked: bit operators take a number modulo 2^32, also above 2^32 and below 0.
  private word(value: number): void {
    const at = this.length
    if (at + 4 > this.bytes.length) this.grow(4)
    const bytes = this.bytes
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.length = at + 4
  }

  private bigint(value: bigint): void {
    this.word(Number(BigInt.asUintN(32, value >> 32n)))
    this.word(Number(BigInt.asUintN(32, value)))
  }

  private range(value: unknown, min: number | bigint, max: number | bigint): never {
    return typeof value === "number" || typeof value === "bigint"
      ? this.fail("Range", `${value} is not a whole number from ${min} to ${max}`)
      : this.fail("Value", `must be a whole number from ${min} to ${max}`)
  }

  private tooLong(value: string): never {
    return this.fail("Length", `${value.length} characters do not fit into 255 octets`)
  }
}
