/**
 * AMQP 0-9-1 frames: values out of bytes, and bytes out of values. Pure; opens no socket and knows no channel's state.
 * Faults are thrown as `FrameError` by plain functions, and are parse errors of the Schemas.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Allocation from "../wire/Allocation.ts"
import { ByteReader } from "../wire/ByteReader.ts"
import type { ByteWriter } from "../wire/ByteWriter.ts"
import * as Bytes from "../wire/FromBytes.ts"
import type { DecodeOptions } from "./FieldTable.ts"
// The parser stands beside the definitions: it knows nothing but where frames begin and end.
// oxlint-disable-next-line no-restricted-imports
import * as parser from "./internal/frameParser.ts"
import * as Method from "./Method.ts"
import * as Properties from "./Properties.ts"

const Channel = Schema.Int.pipe(Schema.between(0, 0xffff))
const Octet = Schema.Int.pipe(Schema.between(0, 0xff))

/**
 * A method on a channel; those of class connection are on channel 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const MethodFrame = Schema.Struct({
  _tag: Schema.tag("MethodFrame"),
  channel: Channel,
  method: Method.Method
}).annotations({ identifier: "MethodFrame" })

/**
 * @since 0.1.0
 * @category models
 */
export interface MethodFrame extends Schema.Schema.Type<typeof MethodFrame> {}

/**
 * The content header of a message: after its method, before its body.
 *
 * @since 0.1.0
 * @category schemas
 */
export const HeaderFrame = Schema.Struct({
  _tag: Schema.tag("HeaderFrame"),
  channel: Channel,
  bodySize: Schema.NonNegativeInt,
  properties: Properties.BasicProperties
}).annotations({ identifier: "HeaderFrame" })

/**
 * @since 0.1.0
 * @category models
 */
export interface HeaderFrame extends Schema.Schema.Type<typeof HeaderFrame> {}

/**
 * A part of a message's body.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BodyFrame = Schema.Struct({
  _tag: Schema.tag("BodyFrame"),
  channel: Channel,
  payload: Schema.Uint8ArrayFromSelf
}).annotations({ identifier: "BodyFrame" })

/**
 * @since 0.1.0
 * @category models
 */
export interface BodyFrame extends Schema.Schema.Type<typeof BodyFrame> {}

/**
 * A sign of life. Belongs on channel 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const HeartbeatFrame = Schema.Struct({
  _tag: Schema.tag("HeartbeatFrame"),
  channel: Channel
}).annotations({ identifier: "HeartbeatFrame" })

/**
 * @since 0.1.0
 * @category models
 */
export interface HeartbeatFrame extends Schema.Schema.Type<typeof HeartbeatFrame> {}

/**
 * What a client sends first, and a server that speaks another version answers. For 0-9-1: 0, 0, 9, 1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ProtocolHeader = Schema.Struct({
  _tag: Schema.tag("ProtocolHeader"),
  id: Octet,
  major: Octet,
  minor: Octet,
  revision: Octet
}).annotations({ identifier: "ProtocolHeader" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ProtocolHeader extends Schema.Schema.Type<typeof ProtocolHeader> {}

/**
 * Any frame, or the protocol header.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Frame: Schema.Schema<Frame> = Schema.Union(
  MethodFrame,
  HeaderFrame,
  BodyFrame,
  HeartbeatFrame,
  ProtocolHeader
).annotations({ identifier: "Frame" })

/**
 * @since 0.1.0
 * @category models
 */
export type Frame = MethodFrame | HeaderFrame | BodyFrame | HeartbeatFrame | ProtocolHeader

/**
 * Octets of a frame around its payload: type, channel, size, and the end octet.
 *
 * @since 0.1.0
 * @category references
 */
export const envelopeSize: number = parser.envelopeSize

/**
 * The frame size every peer takes before another one is agreed on.
 *
 * @since 0.1.0
 * @category references
 */
export const minFrameSize = 4096

/**
 * The protocol header of 0-9-1: `AMQP`, 0, 0, 9, 1. Not to be written to.
 *
 * @since 0.1.0
 * @category references
 */
export const protocolHeader: Uint8Array = Uint8Array.of(...parser.protocolId, 0, 0, 9, 1)

/**
 * A heartbeat frame. Not to be written to.
 *
 * @since 0.1.0
 * @category references
 */
export const heartbeat: Uint8Array = Uint8Array.of(parser.frameHeartbeat, 0, 0, 0, 0, 0, 0, parser.frameEnd)

// Begins a frame, and returns where.
const begin = (writer: ByteWriter, type: number, channel: number): number => {
  const at = writer.length
  writer.start = at
  writer.depth = 0
  writer.octet(type)
  writer.field = "frame.channel"
  writer.short(channel)
  writer.long(0)
  writer.start = at + 7
  return at
}

const finish = (writer: ByteWriter, at: number, maxFrameSize: number): void => {
  const size = writer.length - at - 7
  if (maxFrameSize !== 0 && size + envelopeSize > maxFrameSize) {
    writer.field = "frame.size"
    writer.start = writer.length - 3
    writer.fail("FrameSize", `a frame of ${size + envelopeSize} octets, and ${maxFrameSize} are allowed`)
  }
  writer.setLong(at + 3, size)
  writer.octet(parser.frameEnd)
}

/**
 * Appends a method frame. Throws `FrameError` as `Method.encode` does, and `FrameSize` above `maxFrameSize` (envelope
 * included, 0 means none); then nothing of the frame remains.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeMethod = (writer: ByteWriter, channel: number, method: Method.Method, maxFrameSize = 0): void => {
  const at = writer.length
  try {
    begin(writer, parser.frameMethod, channel)
    Method.encode(writer, method)
    finish(writer, at, maxFrameSize)
  } catch (error) {
    writer.length = at
    throw error
  }
}

/**
 * Makes the basic.ack frame that begins at index `at` one for all deliveries up to this tag, a greater one.
 *
 * @internal
 */
export const extendAck = (writer: ByteWriter, at: number, deliveryTag: number): void => {
  // Behind the envelope's head, class and method: the tag's 64 bits, and `multiple` (0-9-1 §1.8.3.13).
  writer.setLong(at + 11, Math.floor(deliveryTag / 0x1_0000_0000))
  writer.setLong(at + 15, deliveryTag >>> 0)
  writer.bytes[at + 19] = 1
}

/**
 * Appends a header frame. Throws as `Properties.encodeHeader` does, and `FrameSize`; then nothing of the frame remains.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeHeader = (
  writer: ByteWriter,
  channel: number,
  bodySize: number,
  properties: Properties.BasicProperties,
  maxFrameSize = 0
): void => {
  const at = writer.length
  try {
    begin(writer, parser.frameHeader, channel)
    Properties.encodeHeader(writer, bodySize, properties)
    finish(writer, at, maxFrameSize)
  } catch (error) {
    writer.length = at
    throw error
  }
}

/**
 * Appends a header frame whose flags and values are given as octets, for relays.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeRawHeader = (
  writer: ByteWriter,
  channel: number,
  bodySize: number,
  properties: Uint8Array,
  maxFrameSize = 0
): void => {
  const at = begin(writer, parser.frameHeader, channel)
  Properties.encodeRawHeader(writer, bodySize, properties)
  finish(writer, at, maxFrameSize)
}

/**
 * Appends a body frame with the octets of `body` from `start` to `end`. How a body is cut into frames is the caller's.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeBody = (
  writer: ByteWriter,
  channel: number,
  body: Uint8Array,
  start = 0,
  end: number = body.length
): void => {
  encodeBodyStart(writer, channel, end - start)
  writer.raw(body, start, end)
  encodeBodyEnd(writer)
}

/**
 * Appends what comes before `size` octets of a body, for one that goes to the socket by reference.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeBodyStart = (writer: ByteWriter, channel: number, size: number): void => {
  const at = begin(writer, parser.frameBody, channel)
  writer.setLong(at + 3, size)
}

/**
 * Appends what comes after the octets of a body.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeBodyEnd = (writer: ByteWriter): void => writer.octet(parser.frameEnd)

/**
 * Appends any frame.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (writer: ByteWriter, frame: Frame): void => {
  switch (frame._tag) {
    case "MethodFrame":
      return encodeMethod(writer, frame.channel, frame.method)
    case "HeaderFrame":
      return encodeHeader(writer, frame.channel, frame.bodySize, frame.properties)
    case "BodyFrame":
      return encodeBody(writer, frame.channel, frame.payload)
    case "HeartbeatFrame": {
      const at = begin(writer, parser.frameHeartbeat, frame.channel)
      return finish(writer, at, 0)
    }
    case "ProtocolHeader":
      writer.raw(protocolHeader, 0, 4)
      writer.octet(frame.id)
      writer.octet(frame.major)
      writer.octet(frame.minor)
      return writer.octet(frame.revision)
  }
}

/**
 * How a {@link Decoder} reads.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecoderOptions extends DecodeOptions {
  /** The largest frame taken, its envelope included; 0 means no limit. Default: 131072. */
  readonly maxFrameSize?: number | undefined
  /** Whether nothing but the protocol header may come first, as for a server. Default: false, and it may. */
  readonly expectProtocolHeader?: boolean | undefined
}

/**
 * Frames out of a stream of bytes that arrives in any pieces.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoder {
  /**
   * The frames that `bytes` complete; nothing of `bytes` is kept or referred to. Throws `FrameError`, together with
   * which the frames before it in the same `bytes` are lost, and afterwards takes nothing more.
   */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Frame>
  /** Whether the bytes so far end with a frame, and not within one. */
  readonly isComplete: () => boolean
}

/**
 * A decoder for one direction of one connection. Unlike the engines it makes an object of each frame: for tools, tests
 * and proxies.
 *
 * @example
 * ```ts
 * import { Frame } from "effect-amqp/amqp091"
 *
 * const decoder = Frame.makeDecoder()
 * decoder.push(Frame.heartbeat.subarray(0, 3)) // []
 * decoder.push(Frame.heartbeat.subarray(3)) // [{ _tag: "HeartbeatFrame", channel: 0 }]
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const makeDecoder = (options: DecoderOptions = {}): Decoder => {
  const reader = new ByteReader()
  let frames: Array<Frame> = []
  let body = new Uint8Array(0)
  let size = 0
  const frameParser = new parser.FrameParser({
    onMethod: (channel, bytes, start, end) => {
      frames.push({ _tag: "MethodFrame", channel, method: Method.decode(reader.reset(bytes, start, end), options) })
    },
    onHeader: (channel, bytes, start, end) => {
      const { bodySize, properties } = Properties.decodeHeader(reader.reset(bytes, start, end), options)
      frames.push({ _tag: "HeaderFrame", channel, bodySize, properties })
    },
    onBody: (_, bytes, start, end) => {
      const needed = size + end - start
      if (needed > body.length) {
        const grown = Allocation.allocate(Math.max(needed, body.length * 2))
        grown.set(body.subarray(0, size))
        body = grown
      }
      body.set(bytes.subarray(start, end), size)
      size = needed
    },
    onBodyEnd: (channel) => {
      frames.push({ _tag: "BodyFrame", channel, payload: Allocation.copy(body, 0, size) })
      size = 0
    },
    onHeartbeat: (channel) => {
      frames.push({ _tag: "HeartbeatFrame", channel })
    },
    onProtocolHeader: (id, major, minor, revision) => {
      frames.push({ _tag: "ProtocolHeader", id, major, minor, revision })
    }
  }, options)
  frameParser.maxFrameSize = options.maxFrameSize ?? 131072
  return {
    push: (bytes) => {
      frames = []
      frameParser.receive(bytes, 0, bytes.length)
      return frames
    },
    isComplete: () => frameParser.isBetweenFrames
  }
}

const decodeOne = (reader: ByteReader): Frame => {
  const decoder = makeDecoder({ maxFrameSize: 0 })
  const frames = decoder.push(reader.bytes.subarray(reader.offset, reader.end))
  const frame = frames[0]
  reader.field = "frame"
  if (frame === undefined || !decoder.isComplete()) reader.fail("Truncated", "is not complete", reader.end)
  if (frames.length > 1) reader.fail("Trailing", `${frames.length} frames where one is expected`)
  reader.offset = reader.end
  return frame
}

/**
 * Any frame as bytes: exactly one, whole.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FrameFromBytes: Schema.Schema<Frame, Uint8Array> = Bytes.make("FrameFromBytes", Frame, {
  decode: decodeOne,
  encode
})

const one = <T extends Frame["_tag"]>(schema: Schema.Schema<Extract<Frame, { readonly _tag: T }>>, tag: T) =>
  Bytes.make<Extract<Frame, { readonly _tag: T }>, Extract<Frame, { readonly _tag: T }>>(`${tag}FromBytes`, schema, {
    decode: (reader) => {
      const frame = decodeOne(reader)
      if (isTagged(frame, tag)) return frame
      reader.field = "frame"
      return reader.fail("FrameType", `is a ${frame._tag}`, reader.start)
    },
    encode
  })

const isTagged = <T extends Frame["_tag"]>(frame: Frame, tag: T): frame is Extract<Frame, { readonly _tag: T }> =>
  frame._tag === tag

/**
 * Each kind of frame as bytes, by its tag: `FromBytes.MethodFrame`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromBytes = {
  MethodFrame: one(MethodFrame, "MethodFrame"),
  HeaderFrame: one(HeaderFrame, "HeaderFrame"),
  BodyFrame: one(BodyFrame, "BodyFrame"),
  HeartbeatFrame: one(HeartbeatFrame, "HeartbeatFrame"),
  ProtocolHeader: one(ProtocolHeader, "ProtocolHeader")
}
