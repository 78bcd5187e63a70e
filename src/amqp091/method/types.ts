/**
 * The wire types of 0-9-1: how each is read and written, and the Schemas of fields that are marked with them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as Compiler from "../../wire/Compiler.ts"
import { WireTypeId } from "../../wire/Compiler.ts"
import * as FieldTable from "../FieldTable.ts"

const type = <A>(wire: Compiler.WireType<A, FieldTable.DecodeOptions>) => wire

/**
 * The dialect that 0-9-1's codecs are compiled with. Flags of optional properties are 15 to a word, the first in the
 * highest bit; the lowest says that another word follows, which no property of 0-9-1 needs.
 *
 * @internal
 */
export const dialect: Compiler.Dialect<FieldTable.DecodeOptions> = {
  types: {
    octet: type({ read: (r) => r.octet(), write: (w, value: number) => w.octet(value), zero: 0 }),
    short: type({ read: (r) => r.short(), write: (w, value: number) => w.short(value), zero: 0 }),
    long: type({ read: (r) => r.long(), write: (w, value: number) => w.long(value), zero: 0 }),
    longlong: type({ read: (r) => r.longlong(), write: (w, value: number) => w.longlong(value), zero: 0 }),
    timestamp: type({ read: (r) => r.uint64(), write: (w, value: number | bigint) => w.uint64(value), zero: 0 }),
    shortstr: type({ read: (r) => r.shortstr(), write: (w, value: string) => w.shortstr(value), zero: "" }),
    longtext: type({ read: (r) => r.longstr(), write: (w, value: string) => w.longtext(value), zero: "" }),
    longstr: type({
      read: (r) => r.longbytes(),
      write: (w, value: Uint8Array) => w.longbytes(value),
      zero: new Uint8Array(0)
    }),
    table: type({
      read: (r, options) => FieldTable.decode(r, options),
      write: (w, value: FieldTable.FieldTable) => FieldTable.encode(w, value),
      zero: {}
    })
  },
  presence: {
    read: (reader) => {
      const mask = reader.short()
      let word = mask
      while ((word & 1) !== 0) {
        word = reader.short()
        if ((word & 0xfffe) !== 0) reader.fail("FieldType", "has flags of properties nobody knows", reader.offset - 2)
      }
      if ((mask & 2) !== 0) reader.fail("FieldType", "has the flag of a property nobody knows", reader.offset - 2)
      return mask
    },
    write: (writer, mask) => writer.short(mask),
    bit: (index) => 0x8000 >> index,
    room: 14
  }
}

const whole = (wire: string, max: number) => Schema.Int.pipe(Schema.between(0, max)).annotations({ [WireTypeId]: wire })

/** @internal */
export const Bit = Schema.Boolean.annotations({ [WireTypeId]: "bit" })
/** @internal */
export const Octet = whole("octet", 0xff)
/** @internal */
export const Short = whole("short", 0xffff)
/** @internal */
export const Long = whole("long", 0xffffffff)

/**
 * Unsigned, 64 bits on the wire; here up to 2^53 - 1, above which numbers are not exact.
 *
 * @internal
 */
export const LongLong = whole("longlong", Number.MAX_SAFE_INTEGER)

const encoder = new TextEncoder()
const loneSurrogate = /[\ud800-\udfff]/u

/**
 * Text of at most 255 octets of UTF-8.
 *
 * @internal
 */
export const ShortStr = Schema.String.pipe(
  Schema.filter((text) => text.length <= 255 && !loneSurrogate.test(text) && encoder.encode(text).length <= 255)
).annotations({
  description: "text of at most 255 octets",
  arbitrary: () => (fc) => fc.fullUnicodeString({ maxLength: 63 }),
  [WireTypeId]: "shortstr"
})

/**
 * A long string that the protocol means as text.
 *
 * @internal
 */
export const LongText = Schema.String.pipe(Schema.filter((text) => !loneSurrogate.test(text))).annotations({
  description: "text",
  arbitrary: () => (fc) => fc.fullUnicodeString(),
  [WireTypeId]: "longtext"
})

/**
 * A long string that may be anything.
 *
 * @internal
 */
export const LongStr = Schema.Uint8ArrayFromSelf.annotations({ [WireTypeId]: "longstr" })

/**
 * Seconds since 1970, 64 bits unsigned: a number where that is exact, else a bigint.
 *
 * @internal
 */
export const Timestamp = Schema.Union(
  Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER)),
  Schema.BigIntFromSelf.pipe(Schema.betweenBigInt(2n ** 53n, 2n ** 64n - 1n))
).annotations({ [WireTypeId]: "timestamp" })

/** @internal */
export const Table = FieldTable.FieldTable
