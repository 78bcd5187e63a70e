/** Two engines back to back without a socket: what each reports is recorded, and bytes are moved by hand. */
import { assert } from "@effect/vitest"
import * as Frame from "../../../src/amqp091/Frame.ts"
import type { EngineOptions, Tuning } from "../../../src/amqp091/internal/engine.ts"
import { Engine } from "../../../src/amqp091/internal/engine.ts"
import type { Role } from "../../../src/amqp091/internal/engineRules.ts"
import type * as Method from "../../../src/amqp091/Method.ts"
import type { BasicProperties } from "../../../src/amqp091/Properties.ts"
import * as Properties from "../../../src/amqp091/Properties.ts"
import type { FrameError } from "../../../src/AmqpError.ts"
import { ByteWriter } from "../../../src/wire/ByteWriter.ts"

export type Report =
  | { readonly _tag: "Method"; readonly channel: number; readonly method: Method.Method }
  | {
    readonly _tag: "Content"
    readonly channel: number
    readonly method: Method.Method
    readonly properties: BasicProperties
    readonly body: Uint8Array
  }
  | { readonly _tag: "Header"; readonly version: string }
  | { readonly _tag: "ChannelClosed"; readonly channel: number; readonly close: Method.ChannelClose }
  | { readonly _tag: "Closed"; readonly close: Method.ConnectionClose }
  | { readonly _tag: "TooLarge"; readonly channel: number; readonly size: number }
  | { readonly _tag: "Fault"; readonly fault: FrameError }

export const defaultTuning: Tuning = { channelMax: 2047, frameMax: 4096, heartbeat: 60 }

/** How a chunk of bytes is cut: the size of the next piece, given what is left. */
export type Cut = (left: number) => number
export const whole: Cut = (left) => left
export const single: Cut = () => 1

export class Side {
  readonly engine: Engine<BasicProperties>
  readonly reports: Array<Report> = []
  /** What the role answers by itself, called before the report is recorded. */
  script: ((report: Report) => void) | undefined
  /** Every write, as it was handed over. */
  readonly writes: Array<Uint8Array> = []
  now = 0

  constructor(role: Role, options: Partial<Pick<EngineOptions<BasicProperties>, "maxMessageSize" | "limits">> = {}) {
    const report = (each: Report) => {
      assert.isFalse(this.silent, "reports after its death")
      this.reports.push(each)
      this.script?.(each)
    }
    this.engine = new Engine({
      role,
      maxMessageSize: 1 << 26,
      ...options,
      properties: { read: (reader) => Properties.decodeHeader(reader), write: Frame.encodeHeader },
      handler: {
        onMethod: (channel, method) => report({ _tag: "Method", channel, method }),
        onContent: (channel, method, properties, body) =>
          report({ _tag: "Content", channel, method, properties, body }),
        onProtocolHeader: (version) => report({ _tag: "Header", version }),
        onChannelClosed: (channel, close) => report({ _tag: "ChannelClosed", channel, close }),
        onClosed: (close) => report({ _tag: "Closed", close }),
        onTooLarge: (channel, _, size) => report({ _tag: "TooLarge", channel, size }),
        onFault: (fault) => report({ _tag: "Fault", fault })
      }
    })
  }

  /** Set once the engine has said its last: whatever it reports then is a failure. */
  silent = false

  /** Takes everything that waits out of the output. */
  take(): Uint8Array {
    const written: Array<Uint8Array> = []
    while (this.engine.output.unflushed > 0) {
      this.engine.output.flush({
        write: (bytes, onWritten) => {
          const copy = bytes.slice()
          written.push(copy)
          this.writes.push(copy)
          onWritten?.()
          return true
        }
      })
    }
    return concat(written)
  }

  receive(bytes: Uint8Array, cut: Cut = whole): void {
    for (let at = 0; at < bytes.length;) {
      const size = Math.max(1, Math.min(bytes.length - at, cut(bytes.length - at)))
      // In a buffer that changes right after, as the pipe's does.
      const lent = new Uint8Array(size + 2)
      lent.set(bytes.subarray(at, at + size), 1)
      this.engine.receive(lent, 1, size + 1, this.now)
      lent.fill(0xee)
      at += size
    }
  }

  /** The reports so far, by tag of the method where they have one; forgets them. */
  tags(): Array<string> {
    return this.drain().map((report) => "method" in report ? report.method._tag : report._tag)
  }

  drain(): Array<Report> {
    return this.reports.splice(0)
  }
}

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Moves bytes both ways until both are silent. */
export const settle = (one: Side, other: Side, cut: Cut = whole): void => {
  for (;;) {
    const there = one.take()
    const back = other.take()
    if (there.length === 0 && back.length === 0) return
    other.receive(there, cut)
    one.receive(back, cut)
  }
}

export const start: Method.ConnectionStart = {
  _tag: "ConnectionStart",
  versionMajor: 0,
  versionMinor: 9,
  serverProperties: { product: "test" },
  mechanisms: "PLAIN",
  locales: "en_US"
}

export const startOk: Method.ConnectionStartOk = {
  _tag: "ConnectionStartOk",
  clientProperties: {},
  mechanism: "PLAIN",
  response: new TextEncoder().encode("\0me\0safe"),
  locale: "en_US"
}

/** Scripts for both sides of a handshake with `rounds` of secure. */
export const scriptHandshake = (client: Side, server: Side, tuning: Tuning = defaultTuning, rounds = 0): void => {
  let asked = 0
  const challenge = new TextEncoder().encode("?")
  server.script = (report) => {
    if (report._tag === "Header") server.engine.handshake(start)
    if (report._tag !== "Method") return
    switch (report.method._tag) {
      case "ConnectionStartOk":
      case "ConnectionSecureOk":
        if (asked++ < rounds) server.engine.handshake({ _tag: "ConnectionSecure", challenge })
        else server.engine.handshake({ _tag: "ConnectionTune", ...tuning })
        break
      case "ConnectionTuneOk":
        server.engine.tune(report.method)
        break
      case "ConnectionOpen":
        server.engine.handshake({ _tag: "ConnectionOpenOk" })
        break
      default:
        break
    }
  }
  client.script = (report) => {
    if (report._tag !== "Method") return
    switch (report.method._tag) {
      case "ConnectionStart":
        client.engine.handshake(startOk)
        break
      case "ConnectionSecure":
        client.engine.handshake({ _tag: "ConnectionSecureOk", response: challenge })
        break
      case "ConnectionTune":
        client.engine.handshake({ _tag: "ConnectionTuneOk", ...tuning })
        client.engine.handshake({ _tag: "ConnectionOpen", virtualHost: "/" })
        client.engine.tune(tuning)
        break
      case "ConnectionOpenOk":
        client.engine.opened()
        break
      default:
        break
    }
  }
}

export interface Both {
  readonly client: Side
  readonly server: Side
}

/** A client and a server whose connection is open. */
export const connected = (
  options: {
    readonly tuning?: Partial<Tuning> | undefined
    readonly cut?: Cut | undefined
    readonly maxMessageSize?: number | undefined
  } = {}
): Both => {
  const limit = options.maxMessageSize === undefined ? {} : { maxMessageSize: options.maxMessageSize }
  const client = new Side("client", limit)
  const server = new Side("server", limit)
  scriptHandshake(client, server, { ...defaultTuning, ...options.tuning })
  client.engine.start()
  settle(client, server, options.cut)
  assert.isTrue(client.engine.isOpen && server.engine.isOpen)
  client.drain()
  server.drain()
  client.script = undefined
  server.script = (report) => {
    if (report._tag === "Method" && report.method._tag === "ChannelOpen") {
      server.engine.send(report.channel, { _tag: "ChannelOpenOk" })
    }
  }
  return { client, server }
}

/** Opens a channel on both. */
export const openChannel = ({ client, server }: Both, cut: Cut = whole): number => {
  const channel = client.engine.openChannel()
  assert.isDefined(channel)
  settle(client, server, cut)
  client.drain()
  server.drain()
  return channel!
}

/** A method as its frame. */
export const frame = (channel: number, method: Method.Method): Uint8Array => {
  const writer = new ByteWriter()
  Frame.encodeMethod(writer, channel, method)
  return writer.toBytes()
}

export const header = (channel: number, bodySize: number, properties: BasicProperties = {}): Uint8Array => {
  const writer = new ByteWriter()
  Frame.encodeHeader(writer, channel, bodySize, properties)
  return writer.toBytes()
}

export const body = (channel: number, bytes: Uint8Array): Uint8Array => {
  const writer = new ByteWriter()
  Frame.encodeBody(writer, channel, bytes)
  return writer.toBytes()
}

/** A frame of any type, with any payload. */
export const raw = (type: number, channel: number, payload: ReadonlyArray<number>, end = 0xce): Uint8Array => {
  const size = payload.length
  return Uint8Array.of(type, channel >> 8, channel & 0xff, 0, 0, size >> 8, size & 0xff, ...payload, end)
}

export const framesOf = (bytes: Uint8Array): ReadonlyArray<Frame.Frame> =>
  Frame.makeDecoder({ maxFrameSize: 0 }).push(bytes)

export const publish = (routingKey: string): Method.BasicPublish => ({
  _tag: "BasicPublish",
  exchange: "",
  routingKey,
  mandatory: false,
  immediate: false
})

export const deliver = (deliveryTag = 1): Method.BasicDeliver => ({
  _tag: "BasicDeliver",
  consumerTag: "c",
  deliveryTag,
  redelivered: false,
  exchange: "",
  routingKey: "k"
})

/** Bytes that tell where they are, and whose. */
export const pattern = (size: number, seed = 0): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff
  return bytes
}
