/**
 * Reads numbers, text and bytes in network order from a part of a byte array, and never beyond it. What does not fit
 * throws a `FrameError` that names the field being read and where it was met. Holds no copy: bytes that are to stay are
 * copied by {@link ByteReader.copy}.
 *
 * @since 0.1.0
 */
import { FrameError } from "../AmqpError.ts"
import type { FrameReason } from "../AmqpError.ts"
import * as Allocation from "./Allocation.ts"

// Malformed text becomes U+FFFD, and a byte order mark is text like any other.
const lenient = new TextDecoder("utf-8", { ignoreBOM: true })
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })

const scratch = new DataView(new ArrayBuffer(8))
const none = new Uint8Array(0)

// Measured: 16 octets cost 53 ns by `ascii` and 67 by TextDecoder, which wants a view; at 24 they are even.
const shortText = 24

// Short texts read lately, by a hash: names of exchanges and queues, routing keys, consumer tags and header keys
// come again and again, and a text that is found costs no memory: decoded anew, they were 19 % of what a delivery of
// 1 KiB allocated. Only those with as many characters as octets are kept, so that another size is seen at once.
const recent: Array<string> = Array.from({ length: 256 }, () => "")
// Their octets, 256 for each: comparing those takes half the time of comparing characters.
const recentOctets = new Uint8Array(recent.length * 256)

/**
 * What errors call a value `depth` levels below a field: `basic.headers.a.b`.
 *
 * @internal
 */
export const nestedName = (field: string, path: ReadonlyArray<string | number>, depth: number): string =>
  [field, ...path.slice(0, depth)].filter((part) => part !== "").join(".")

/**
 * A position in a byte array.
 *
 * @since 0.1.0
 * @category models
 */
export class ByteReader {
  /** What is read from. Only valid for as long as its owner says. */
  bytes: Uint8Array = none
  /** Index in `bytes` of what is read next. */
  offset = 0
  /** Index in `bytes` after the last that may be read. */
  end = 0
  /** Index in `bytes` that errors count from. */
  start = 0
  /** The field being read, for errors. */
  field = ""
  /** Keys and indexes from `field` down to the nested value being read, for errors: the first `depth` of them hold. */
  readonly path: Array<string | number> = []
  /** How deep the value being read is nested. */
  depth = 0
  /** Entries read so far of the present top-level value. */
  entries = 0

  /** Reads from `bytes` between `start` and `end` from now on. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    this.bytes = bytes
    this.offset = start
    this.start = start
    this.end = end
    this.field = ""
    this.depth = 0
    return this
  }

  /** Octets that are left. */
  get remaining(): number {
    return this.end - this.offset
  }

  /** Throws a `FrameError` about the field being read. */
  fail(reason: FrameReason, text?: string, offset: number = this.offset): never {
    throw new FrameError({
      reason,
      field: nestedName(this.field, this.path, this.depth),
      offset: offset - this.start,
      text
    })
  }

  /** Makes sure that `size` octets are left. */
  need(size: number): void {
    if (size > this.end - this.offset) this.truncated(size)
  }

  private truncated(size: number): never {
    return this.fail("Truncated", `needs ${size} octets, ${this.remaining} are left`)
  }

  /** Unsigned, 8 bits. */
  octet(): number {
    const at = this.offset
    if (at >= this.end) this.truncated(1)
    this.offset = at + 1
    return this.bytes[at]!
  }

  /** Unsigned, 16 bits. */
  short(): number {
    const at = this.offset
    if (at + 2 > this.end) this.truncated(2)
    this.offset = at + 2
    const bytes = this.bytes
    return (bytes[at]! << 8) | bytes[at + 1]!
  }

  /** Unsigned, 32 bits. */
  long(): number {
    const at = this.offset
    if (at + 4 > this.end) this.truncated(4)
    this.offset = at + 4
    const bytes = this.bytes
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  /** Unsigned, 64 bits; beyond 2^53 - 1 a `Range` error, because a number would be rounded. */
  longlong(): number {
    const at = this.offset
    if (at + 8 > this.end) this.truncated(8)
    const high = this.long()
    const low = this.long()
    if (high > 0x1fffff) this.fail("Range", "is above 2^53 - 1", at)
    return high * 0x1_0000_0000 + low
  }

  /** Unsigned, 64 bits: a number where it is exact, else a bigint. */
  uint64(): number | bigint {
    this.need(8)
    const high = this.long()
    const low = this.long()
    return high > 0x1fffff ? (BigInt(high) << 32n) | BigInt(low) : high * 0x1_0000_0000 + low
  }

  /** Signed, 64 bits: a number where it is exact, else a bigint. */
  int64(): number | bigint {
    this.need(8)
    const high = this.long() | 0
    const low = this.long()
    // -2^53 itself has a twin (-2^53 - 1 rounds to it), so it is a bigint like all beyond it.
    const exact = high >= -0x200000 && high <= 0x1fffff && !(high === -0x200000 && low === 0)
    return exact ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low)
  }

  /** Signed, 8 bits. */
  int8(): number {
    return (this.octet() << 24) >> 24
  }

  /** Signed, 16 bits. */
  int16(): number {
    return (this.short() << 16) >> 16
  }

  /** Signed, 32 bits. */
  int32(): number {
    return this.long() | 0
  }

  /** IEEE 754, 32 bits. */
  float(): number {
    scratch.setUint32(0, this.long())
    return scratch.getFloat32(0)
  }

  /** IEEE 754, 64 bits. */
  double(): number {
    this.need(8)
    scratch.setUint32(0, this.long())
    scratch.setUint32(4, this.long())
    return scratch.getFloat64(0)
  }

  /** Text with its length in one octet. Malformed UTF-8 becomes U+FFFD: a foreign text must not end a connection. */
  shortstr(): string {
    const size = this.octet()
    const at = this.offset
    // Too long, and told by `text`; or nothing.
    if (size === 0 || size > this.end - at) return this.text(size)
    const { bytes } = this
    const slot = (bytes[at + size - 1]! * 5 + bytes[at + (size >> 1)]! * 3 + size) & (recent.length - 1)
    const text = recent[slot]!
    if (text.length === size && isRecent(slot << 8, bytes, at, size)) {
      this.offset = at + size
      return text
    }
    const fresh = this.text(size)
    if (fresh.length === size) {
      recent[slot] = fresh
      for (let i = 0, to = slot << 8; i < size; i++) recentOctets[to + i] = bytes[at + i]!
    }
    return fresh
  }

  /** Text with its length in four octets; malformed UTF-8 becomes U+FFFD. */
  longstr(): string {
    return this.text(this.long())
  }

  /** A copy of bytes with their length in four octets. */
  longbytes(): Uint8Array {
    return this.copy(this.long())
  }

  /** `size` octets as text; malformed UTF-8 becomes U+FFFD. */
  text(size: number): string {
    const at = this.offset
    if (size > this.end - at) this.truncated(size)
    const end = at + size
    this.offset = end
    if (size <= shortText) {
      const text = ascii(this.bytes, at, end)
      if (text !== undefined) return text
    }
    return lenient.decode(this.bytes.subarray(at, end))
  }

  /** `size` octets as text where they are UTF-8, else `undefined` and nothing is read. */
  strictText(size: number): string | undefined {
    const at = this.offset
    if (size > this.end - at) this.truncated(size)
    const end = at + size
    let text = size <= shortText ? ascii(this.bytes, at, end) : undefined
    if (text === undefined) {
      try {
        text = strict.decode(this.bytes.subarray(at, end))
      } catch {
        return undefined
      }
    }
    this.offset = end
    return text
  }

  /** A copy of `size` octets that stays valid. */
  copy(size: number): Uint8Array {
    const at = this.offset
    if (size > this.end - at) this.truncated(size)
    this.offset = at + size
    return Allocation.copy(this.bytes, at, at + size)
  }
}

const chars = String.fromCharCode

// Four at a time, for the same reason.
const isRecent = (from: number, bytes: Uint8Array, at: number, size: number): boolean => {
  let i = 0
  for (; i + 4 <= size; i += 4) {
    const differs = (recentOctets[from + i]! ^ bytes[at + i]!) | (recentOctets[from + i + 1]! ^ bytes[at + i + 1]!) |
      (recentOctets[from + i + 2]! ^ bytes[at + i + 2]!) | (recentOctets[from + i + 3]! ^ bytes[at + i + 3]!)
    if (differs !== 0) return false
  }
  for (; i < size; i++) if (recentOctets[from + i] !== bytes[at + i]) return false
  return true
}

// Eight at a time: one by one costs twice as much, in calls and in pieces to join.
const ascii = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  let text = ""
  let i = start
  for (; i + 8 <= end; i += 8) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    const d = bytes[i + 3]!
    const e = bytes[i + 4]!
    const f = bytes[i + 5]!
    const g = bytes[i + 6]!
    const h = bytes[i + 7]!
    if ((a | b | c | d | e | f | g | h) > 0x7f) return undefined
    text += chars(a, b, c, d, e, f, g, h)
  }
  for (; i + 3 <= end; i += 3) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    if ((a | b | c) > 0x7f) return undefined
    text += chars(a, b, c)
  }
  for (; i < end; i++) {
    const a = bytes[i]!
    if (a > 0x7f) return undefined
    text += chars(a)
  }
  return text
}
