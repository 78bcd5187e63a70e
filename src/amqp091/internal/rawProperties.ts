/**
 * Content properties for a relay: checked, and passed on octet by octet as they came.
 *
 * @since 0.1.0
 */
import * as Allocation from "../../wire/Allocation.ts"
import type { ByteReader } from "../../wire/ByteReader.ts"
import type { ByteWriter } from "../../wire/ByteWriter.ts"
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

/** @internal */
export const codec: PropertiesCodec<RawProperties> = {
  read: (reader: ByteReader) => {
    const start = reader.offset
    const { bodySize, properties } = Properties.decodeHeader(reader)
    const octets = Allocation.copy(reader.bytes, start + fixed, reader.end)
    return { bodySize, properties: { decoded: properties, octets } }
  },
  write: (writer: ByteWriter, channel, bodySize, properties, maxFrameSize) =>
    Frame.encodeRawHeader(writer, channel, bodySize, properties.octets, maxFrameSize)
}
