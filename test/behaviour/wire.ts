/** A client of frames, for what no well-behaved client says: it sends anything, and tells what came back as text. */
import type { Transport } from "effect-amqp"
import { type FieldTable, Frame, Method, type Properties } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

export interface Wire {
  /** Sends frames in one write; a method alone is one on channel 1, or 0 for class connection. */
  readonly send: (...frames: ReadonlyArray<Frame.Frame | Method.Method | Uint8Array>) => Effect.Effect<void>
  /** What came next. */
  readonly next: Effect.Effect<string>
  /** What came up to the first line that starts so, or says that the connection is over. */
  readonly until: (start: string) => Effect.Effect<ReadonlyArray<string>>
  /** All that came until the end of the pipe, which is the last line. */
  readonly rest: Effect.Effect<ReadonlyArray<string>>
  readonly pipe: Transport.Pipe
}

const bytesOf = (frame: Frame.Frame): Uint8Array => {
  const writer = new ByteWriter()
  Frame.encode(writer, frame)
  return writer.bytes.slice(0, writer.length)
}

/** A method as a frame on the channel. */
export const on = (channel: number, method: Method.Method): Frame.Frame => ({ _tag: "MethodFrame", channel, method })

/** Any frame, byte by byte: type, channel, payload, and another end octet where asked. */
export const frame = (type: number, channel: number, payload: ReadonlyArray<number>, end = 0xce): Uint8Array =>
  Uint8Array.of(type, channel >> 8, channel & 255, 0, 0, payload.length >> 8, payload.length & 255, ...payload, end)

/** The frames of a content. */
export const content = (
  text: string,
  properties: Properties.BasicProperties = {},
  channel = 1
): ReadonlyArray<Frame.Frame> => {
  const payload = new TextEncoder().encode(text)
  const header: Frame.Frame = { _tag: "HeaderFrame", channel, bodySize: payload.length, properties }
  return payload.length === 0 ? [header] : [header, { _tag: "BodyFrame", channel, payload }]
}

/** What is sent, octet by octet; a method alone is one on channel 1, or 0 for class connection. */
export const octetsOf = (each: Frame.Frame | Method.Method | Uint8Array): Uint8Array => {
  if (each instanceof Uint8Array) return each
  switch (each._tag) {
    case "MethodFrame":
    case "HeaderFrame":
    case "BodyFrame":
    case "HeartbeatFrame":
    case "ProtocolHeader":
      return bytesOf(each)
    default:
      return bytesOf(on(each._tag.startsWith("Connection") ? 0 : 1, each))
  }
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => typeof each === "bigint" ? String(each) : each)

const describe = (frame: Frame.Frame): string => {
  switch (frame._tag) {
    case "MethodFrame": {
      const { channel, method } = frame
      const { _tag, ...fields } = method
      const name = Method.name(method)
      if (method._tag === "ChannelClose" || method._tag === "ConnectionClose") {
        return `${channel} ${name} ${method.replyCode} ${method.replyText} (${method.classId}.${method.methodId})`
      }
      // What a server says of itself is its own affair.
      if (method._tag === "ConnectionStart") return `${channel} ${name}`
      return Object.keys(fields).length === 0 ? `${channel} ${name}` : `${channel} ${name} ${shown(fields)}`
    }
    case "HeaderFrame":
      return `${frame.channel} header ${frame.bodySize} ${shown(frame.properties)}`
    case "BodyFrame":
      return `${frame.channel} body ${new TextDecoder().decode(frame.payload)}`
    case "HeartbeatFrame":
      return `${frame.channel} heartbeat`
    case "ProtocolHeader":
      return `AMQP ${frame.id}-${frame.major}-${frame.minor}-${frame.revision}`
  }
}

/** Starts reading from the pipe. Nothing is said yet. */
export const make = (pipe: Transport.Pipe): Effect.Effect<Wire> =>
  Effect.gen(function*() {
    const seen = yield* Queue.unbounded<string>()
    const decoder = Frame.makeDecoder()
    pipe.start({
      onData: (bytes, start, end) => {
        for (const frame of decoder.push(bytes.subarray(start, end))) seen.unsafeOffer(describe(frame))
      },
      onDrain: () => {},
      onClose: () => void seen.unsafeOffer("end")
    })
    const next = Queue.take(seen)
    const until = (start: string): Effect.Effect<ReadonlyArray<string>> =>
      Effect.flatMap(next, (line) =>
        line.startsWith(start) || line === "end" || line.startsWith("0 connection.close ")
          ? Effect.succeed([line])
          : Effect.map(until(start), (rest) => [line, ...rest]))
    return {
      pipe,
      send: (...frames) => Effect.sync(() => void pipe.write(Buffer.concat(frames.map(octetsOf)))),
      next,
      until,
      rest: until("end")
    }
  })

const plain = (user: string, password: string): Uint8Array => new TextEncoder().encode(`\u0000${user}\u0000${password}`)

export interface Introduction {
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly mechanism?: string | undefined
  readonly capabilities?: FieldTable.FieldTable | undefined
  readonly properties?: FieldTable.FieldTable | undefined
}

export const startOk = (
  { capabilities = {}, mechanism = "PLAIN", password = "guest", properties, user = "guest" }: Introduction = {}
): Method.Method => ({
  _tag: "ConnectionStartOk",
  clientProperties: { ...properties, capabilities },
  mechanism,
  response: plain(user, password),
  locale: "en_US"
})

export const tuneOk = (channelMax = 2047, frameMax = 131072, heartbeat = 0): Method.Method => ({
  _tag: "ConnectionTuneOk",
  channelMax,
  frameMax,
  heartbeat
})

export const open = (virtualHost: string): Method.Method => ({ _tag: "ConnectionOpen", virtualHost })

/** The handshake as it should be, and channel 1 open. */
export const introduce = (
  wire: Wire,
  vhost: string,
  introduction: Introduction = {},
  tuning: Method.Method = tuneOk()
): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* wire.send(Frame.protocolHeader)
    yield* wire.until("0 connection.start")
    yield* wire.send(startOk(introduction))
    yield* wire.until("0 connection.tune")
    yield* wire.send(tuning, open(vhost))
    yield* wire.until("0 connection.open-ok")
    yield* wire.send({ _tag: "ChannelOpen" })
    yield* wire.until("1 channel.open-ok")
  })
