/**
 * Content properties for a relay: checked, and passed on octet by octet as they came.
 *
 * @since 0.1.0
 */
import * as Allocation from "../../wire/Allocation.ts"
import { ByteReader } from "../../wire/ByteReader.ts"
import { ByteWriter } from "../../wire/ByteWriter.ts"
import * as Frame from "../Frame.ts"
import type { BasicProperties } from "../Properties.ts"
import * as Properties from "../Properties.ts"
import type { PropertiesCodec } from "./engine.ts"

/** @internal */
export interface RawProperties {
  readonly decoded: BasicProperties
  /** Flags and values, as the header frame had them. */
  readonly octets: Uint8Array
}

// Class, weight and body size come before the flags (0-9-1 §4.2.6.1).
const fixed = 12
const sizeOffset = 4

/** As they came; what they say is read again when it was forgotten. */
class Received implements RawProperties {
  private readonly buffer: ArrayBufferLike
  private readonly start: number
  private readonly size: number
  private view: Uint8Array | undefined
  private known: BasicProperties | undefined

  constructor(octets: Uint8Array, known: BasicProperties) {
    this.buffer = octets.buffer
    this.start = octets.byteOffset
    this.size = octets.length
    this.view = octets
    this.known = known
  }

  get octets(): Uint8Array {
    return this.view ?? new Uint8Array(this.buffer, this.start, this.size)
  }

  get decoded(): BasicProperties {
    return this.known ?? Properties.decode(new ByteReader().reset(this.octets))
  }

  /** For who stores it, where the octets are is enough: a view of them takes more room than they do. */
  forget(): void {
    this.view = undefined
    this.known = undefined
  }
}

/**
 * One for each connection: it remembers the properties read last, and gives the same ones again while they come again,
 * which costs a comparison instead of a decoding and a copy. So who stores millions of messages stores their properties
 * once; and of those that differ from message to message the octets alone.
 *
 * @internal
 */
export const makeCodec = (): PropertiesCodec<RawProperties> => {
  let last: Received | undefined
  return {
    read: (reader: ByteReader) => {
      const octets = reader.offset + fixed
      if (last !== undefined && isEqual(last.octets, reader.bytes, octets, reader.end)) {
        reader.offset += sizeOffset
        reader.field = "basic.bodySize"
        return { bodySize: reader.longlong(), properties: last }
      }
      const { bodySize, properties } = Properties.decodeHeader(reader)
      last?.forget()
      last = new Received(Allocation.copy(reader.bytes, octets, reader.end), properties)
      return { bodySize, properties: last }
    },
    write: (writer: ByteWriter, channel, bodySize, properties, maxFrameSize) =>
      Frame.encodeRawHeader(writer, channel, bodySize, properties.octets, maxFrameSize)
  }
}

const isEqual = (octets: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean => {
  if (octets.length !== end - start) return false
  for (let index = 0; index < octets.length; index++) {
    if (octets[index] !== bytes[start + index]) return false
  }
  return true
}

/**
 * What they say, every number of the headers with its wire type.
 *
 * @internal
 */
export const typed = (properties: RawProperties): BasicProperties =>
  Properties.decode(new ByteReader().reset(properties.octets), { decode: "typed" })

/**
 * Other properties made of these, in which every number of the headers has kept its wire type. Throws `FrameError` where
 * they cannot be encoded.
 *
 * @internal
 */
export const rewrite = (
  properties: RawProperties,
  change: (typed: BasicProperties) => BasicProperties
): RawProperties => {
  const writer = new ByteWriter(properties.octets.length + 256)
  Properties.encode(writer, change(typed(properties)))
  const octets = writer.toBytes()
  return { decoded: Properties.decode(new ByteReader().reset(octets)), octets }
}
