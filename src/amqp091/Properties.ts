/**
 * The properties of a message, and the content header that carries them. What a message means is not known here.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { ByteReader } from "../wire/ByteReader.ts"
import type { ByteWriter } from "../wire/ByteWriter.ts"
import * as Compiler from "../wire/Compiler.ts"
import * as Bytes from "../wire/FromBytes.ts"
import type { DecodeOptions } from "./FieldTable.ts"
import { dialect, Octet, ShortStr, Table, Timestamp } from "./method/types.ts"

/**
 * The fourteen properties of class basic, in the order of the wire. A property that is not there has no key.
 *
 * `deliveryMode` is 1 (transient) or 2 (persistent); other octets are kept as they come. `priority` is 0 to 255.
 * `expiration` is text, milliseconds in decimal. `timestamp` is in seconds since 1970, a bigint beyond 2^53 - 1.
 * `clusterId` is the field that the specification reserves.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BasicProperties = Schema.Struct({
  contentType: Schema.optional(ShortStr),
  contentEncoding: Schema.optional(ShortStr),
  headers: Schema.optional(Table),
  deliveryMode: Schema.optional(Octet),
  priority: Schema.optional(Octet),
  correlationId: Schema.optional(ShortStr),
  replyTo: Schema.optional(ShortStr),
  expiration: Schema.optional(ShortStr),
  messageId: Schema.optional(ShortStr),
  timestamp: Schema.optional(Timestamp),
  type: Schema.optional(ShortStr),
  userId: Schema.optional(ShortStr),
  appId: Schema.optional(ShortStr),
  clusterId: Schema.optional(ShortStr)
}).annotations({ identifier: "BasicProperties" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BasicProperties extends Schema.Schema.Type<typeof BasicProperties> {}

/**
 * What a content header says.
 *
 * @since 0.1.0
 * @category models
 */
export interface Header {
  /** Octets of the body that follows. */
  readonly bodySize: number
  readonly properties: BasicProperties
}

/**
 * What the wire has of the properties, in order.
 *
 * @since 0.1.0
 * @category references
 */
export const plan: Compiler.Plan = Compiler.plan("basic", BasicProperties, dialect)

const codec = Compiler.compile<BasicProperties, DecodeOptions>(plan, dialect)

const plainOptions: DecodeOptions = {}

// The one class that has content.
const basicClass = 60

/**
 * Appends the flags of the properties that are there, then these. Throws `FrameError`: `Length`, `Range`, `Value`,
 * `Depth`, `Entries`.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (writer: ByteWriter, properties: BasicProperties): void => {
  writer.depth = 0
  codec.encode(writer, properties)
}

/**
 * Reads flags and properties. Throws `FrameError`: `Truncated`, `FieldType` (a flag or a header of a type nobody knows),
 * `Depth`, `Entries`.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (reader: ByteReader, options: DecodeOptions = plainOptions): BasicProperties =>
  codec.decode(reader, options)

/**
 * Appends a content header: class, weight, size of the body, properties.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeHeader = (writer: ByteWriter, bodySize: number, properties: BasicProperties): void => {
  encodeFixed(writer, bodySize)
  encode(writer, properties)
}

/**
 * The same with flags and properties as octets, for relays.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeRawHeader = (writer: ByteWriter, bodySize: number, octets: Uint8Array): void => {
  encodeFixed(writer, bodySize)
  writer.raw(octets, 0, octets.length)
}

const encodeFixed = (writer: ByteWriter, bodySize: number): void => {
  writer.short(basicClass)
  writer.short(0)
  writer.field = "basic.bodySize"
  writer.longlong(bodySize)
}

/**
 * Reads a content header to the reader's end. Throws `FrameError`: as {@link decode}, and `Value` (a class without
 * content), `Range` (a body above 2^53 - 1 octets), `Trailing`.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeHeader = (reader: ByteReader, options: DecodeOptions = plainOptions): Header => {
  reader.field = "header.class"
  const classId = reader.short()
  if (classId !== basicClass) reader.fail("Value", `class ${classId} has no content`, reader.offset - 2)
  reader.field = "header.weight"
  // Unused, and ignored as a reserved field is.
  reader.short()
  reader.field = "basic.bodySize"
  const bodySize = reader.longlong()
  const properties = codec.decode(reader, options)
  if (reader.offset !== reader.end) {
    reader.field = "basic"
    reader.fail("Trailing", `${reader.remaining} octets after the last property`)
  }
  return { bodySize, properties }
}

/**
 * Flags and properties as bytes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromBytes: Schema.Schema<BasicProperties, Uint8Array> = Bytes.make(
  "BasicPropertiesFromBytes",
  BasicProperties,
  { decode: (reader) => decode(reader), encode }
)
