/**
 * One socket's protocol state, for the client and for the server role: frames in, calls of one fixed handler out;
 * commands in, octets in the output out. Plain and synchronous: no socket, no clock, no Effect, nothing thrown across its
 * edge. It dies with its socket; what outlives a socket is the connection's business.
 *
 * @since 0.1.0
 */
import { FrameError } from "../../AmqpError.ts"
import { Output } from "../../internal/output.ts"
import * as Allocation from "../../wire/Allocation.ts"
import { ByteReader } from "../../wire/ByteReader.ts"
import type { ByteWriter } from "../../wire/ByteWriter.ts"
import type { DecodeOptions } from "../FieldTable.ts"
import * as Frame from "../Frame.ts"
import * as Method from "../Method.ts"
import { Acknowledgements } from "./acknowledgements.ts"
import { ChannelNumbers } from "./channelNumbers.ts"
import { ContentAssembly } from "./contentAssembly.ts"
import type { Goodbye, Offence, Role } from "./engineRules.ts"
import {
  acceptable,
  channelClass,
  channelClose,
  connectionClass,
  connectionClose,
  expected,
  goodbyeOf,
  handshakeFrameMax,
  headerFault,
  isGoodbye,
  replyTextOf,
  slack
} from "./engineRules.ts"
import { FrameParser } from "./frameParser.ts"
import { Heartbeats } from "./heartbeats.ts"

export type { Goodbye, Offence, Role } from "./engineRules.ts"

/** A method that announces a content. @internal */
export type ContentMethod = Method.BasicPublish | Method.BasicDeliver | Method.BasicReturn | Method.BasicGetOk

/** What the engine calls. `P` is how a role wants content properties: decoded, or as they came. @internal */
export interface EngineHandler<P> {
  /** A method that the engine does not answer by itself. */
  readonly onMethod: (channel: number, method: Method.Method) => void
  readonly onContent: (channel: number, method: ContentMethod, properties: P, body: Uint8Array) => void
  /** Server role: the client's protocol header came. Client role: the server answered with its own, and is gone. */
  readonly onProtocolHeader: (version: string) => void
  /** The peer closed the channel; it has been answered and its number is free. */
  readonly onChannelClosed: (channel: number, close: Method.ChannelClose) => void
  /** The peer closed the connection; the answer is in the output. */
  readonly onClosed: (close: Method.ConnectionClose) => void
  /** A message larger than the limit was announced; what comes of it is dropped. */
  readonly onTooLarge: (channel: number, method: ContentMethod, size: number) => void
  /** The peer broke the protocol; where there is one to tell it, `connection.close` is in the output. */
  readonly onFault: (fault: FrameError) => void
}

/** How content properties are read and written. @internal */
export interface PropertiesCodec<P> {
  /** Reads the header frame's payload between `start` and `end`. */
  readonly read: (reader: ByteReader) => { readonly bodySize: number; readonly properties: P }
  readonly write: (writer: ByteWriter, channel: number, bodySize: number, properties: P, maxFrameSize: number) => void
}

/** What both ends agreed on. @internal */
export interface Tuning {
  readonly channelMax: number
  readonly frameMax: number
  /** Seconds; 0 is off. */
  readonly heartbeat: number
}

/** @internal */
export interface EngineOptions<P> {
  readonly role: Role
  readonly properties: PropertiesCodec<P>
  readonly handler: EngineHandler<P>
  readonly maxMessageSize: number
  readonly limits?: DecodeOptions | undefined
  /** The largest frame before `tune`. */
  readonly handshakeFrameMax?: number | undefined
  /** Other words for a fault of the peer's than the engine's; `undefined` leaves it these. */
  readonly goodbye?: ((fault: FrameError, offence: Offence | undefined) => Goodbye | undefined) | undefined
}

const framing = { head: Frame.encodeBodyStart, tail: Frame.encodeBodyEnd }

interface ChannelState<P> {
  /** `opening` and `open` take frames; `closing`: we sent close, and drop everything but close and close-ok. */
  state: "opening" | "open" | "closing"
  readonly content: ContentAssembly<ContentMethod, P>
}

const emptyBody = new Uint8Array(0)

// 0-9-1 §4.2.7 takes any octet for a sign of life. A flipped bit in a frame's size makes its payload swallow what follows,
// heartbeats at last, for hours: it is one only while this part of it, or this many octets, come within two intervals. What
// heartbeats alone bring is less than either.
const leastShare = 16
const leastOctets = 8192

/** @internal */
export class Engine<P> {
  readonly role: Role
  readonly output = new Output(framing)
  private readonly handler: EngineHandler<P>
  private readonly properties: PropertiesCodec<P>
  private readonly limits: DecodeOptions | undefined
  private readonly maxMessageSize: number
  private readonly reader = new ByteReader()
  private readonly read = new Allocation.Reading()
  private readonly acknowledgements = new Acknowledgements(this.output)
  readonly heartbeats = new Heartbeats(() =>
    this.output.frames(0, (writer) => writer.raw(Frame.heartbeat, 0, Frame.heartbeat.length))
  )
  readonly parser: FrameParser
  private readonly channels: Array<ChannelState<P> | undefined> = []
  /** Client role: made with the first channel. */
  private numbers: ChannelNumbers | undefined
  private channelMax = 65535
  private channelCount = 0
  private readonly goodbye: EngineOptions<P>["goodbye"]
  private readonly acceptable: ReadonlySet<string>
  private phase: string
  /** Octets since the last sign of life. */
  private crept = 0
  private frameMax: number

  constructor(options: EngineOptions<P>) {
    this.role = options.role
    this.handler = options.handler
    this.properties = options.properties
    this.maxMessageSize = options.maxMessageSize
    this.limits = options.limits
    this.goodbye = options.goodbye
    this.frameMax = options.handshakeFrameMax ?? handshakeFrameMax
    this.acceptable = acceptable[options.role]
    this.phase = "fresh"
    this.parser = new FrameParser({
      onMethod: (channel, bytes, start, end) => this.receiveMethod(channel, bytes, start, end),
      onHeader: (channel, bytes, start, end) => this.receiveHeader(channel, bytes, start, end),
      onBody: (channel, _, start, end) => this.receiveBody(channel, start, end),
      onBodyEnd: (channel) => this.receiveBodyEnd(channel),
      onHeartbeat: (channel) => {
        // 0-9-1 §4.2.7 makes this a frame-error.
        if (channel !== 0) throw this.fault("FrameType", "heartbeat", "a heartbeat belongs to channel 0")
      },
      onProtocolHeader: (id, major, minor, revision) => this.receiveProtocolHeader(id, major, minor, revision)
    }, { expectProtocolHeader: options.role === "server" })
    this.parser.maxFrameSize = this.frameMax + slack[this.role]
  }

  get isOpen(): boolean {
    return this.phase === "open"
  }

  /** Nothing more comes out of this engine. */
  get isDead(): boolean {
    return this.phase === "dead"
  }

  // --- Octets in ---

  /** Takes what was read. */
  receive(bytes: Uint8Array, start: number, end: number, now: number): void {
    if (this.phase === "dead") return
    const { parser } = this
    const { frames } = parser
    this.read.begin(bytes, end)
    try {
      parser.receive(bytes, start, end)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.fail(error)
    }
    this.crept += end - start
    if (parser.frames === frames && this.crept < Math.min(parser.underWay / leastShare, leastOctets)) return
    this.crept = 0
    this.heartbeats.received(now)
  }

  private fail(fault: FrameError): void {
    if (this.phase === "dead") return
    if (this.phase === "fresh" && this.role === "server") {
      // 0-9-1 §4.2.2: who does not speak AMQP is shown what is spoken here.
      this.output.frames(0, (writer) => writer.raw(Frame.protocolHeader, 0, Frame.protocolHeader.length))
    } else if (this.phase !== "fresh" && this.phase !== "header" && this.phase !== "closing") {
      // A peer that did not speak AMQP yet cannot be told, and one that was told to go is not told again.
      this.encode(0, { _tag: "ConnectionClose", ...this.goodbye?.(fault, this.offence()) ?? goodbyeOf(fault) })
    }
    this.die()
    this.handler.onFault(fault)
  }

  private offence(): Offence | undefined {
    const { offending } = this.parser
    if (offending === undefined) return undefined
    const state = this.channels[offending.channel]
    return {
      ...offending,
      isOpen: this.phase === "open",
      isChannelOpen: state !== undefined,
      awaits: state?.content.method === undefined ? "method" : state.content.size < 0 ? "header" : "body",
      frameMax: this.frameMax,
      channels: this.channelCount,
      channelMax: this.channelMax
    }
  }

  private die(): void {
    this.phase = "dead"
    this.heartbeats.stop()
    this.parser.stopped = true
    this.output.dropQueued() // the last words do not wait for bodies that nobody takes any more
  }

  private fault(reason: FrameError["reason"], field: string, text: string): FrameError {
    return new FrameError({ reason, field, offset: 0, text })
  }

  private receiveProtocolHeader(id: number, major: number, minor: number, revision: number): void {
    // It comes first or is no protocol header to the parser. A server has not agreed to its version yet.
    if (this.role === "client") this.die()
    else this.phase = "header"
    this.handler.onProtocolHeader(`${id}-${major}-${minor}-${revision}`)
  }

  private receiveMethod(channel: number, bytes: Uint8Array, start: number, end: number): void {
    const state = channel === 0 ? undefined : this.channels[channel]
    // 0-9-1 §1.4.2.9, §1.5.2.5: after close everything but close and close-ok is dropped.
    if (this.phase === "closing") {
      if (channel !== 0 || !isGoodbye(bytes, start, end, connectionClass, connectionClose)) return
    } else if (state !== undefined && state.state === "closing") {
      if (!isGoodbye(bytes, start, end, channelClass, channelClose)) return
    }
    const method = Method.decode(this.reader.reset(bytes, start, end), this.limits)
    const tag = method._tag
    if (this.phase === "closing") return this.receiveGoodbye(method)
    if (tag === "ConnectionClose" && channel === 0) return this.receiveClose(method)
    if (this.phase !== "open") return this.receiveHandshake(channel, method)
    if ((channel === 0) !== (bytes[start + 1] === connectionClass)) {
      throw this.fault("Command", Method.name(method), `${Method.name(method)} came on channel ${channel}`)
    }
    if (!this.acceptable.has(tag)) {
      throw this.fault("Command", Method.name(method), `${Method.name(method)} may not come to a ${this.role} now`)
    }
    if (channel === 0) return this.handler.onMethod(0, method)
    if (state === undefined) return this.receiveOnClosed(channel, method)
    if (state.state === "closing") return this.receiveClosing(channel, method)
    if (state.content.method !== undefined) {
      throw this.fault("Unexpected", Method.name(method), `${Method.name(method)} came inside a content`)
    }
    if (state.state === "opening" && tag !== "ChannelOpenOk" && tag !== "ChannelClose") {
      throw this.fault("Command", Method.name(method), `${Method.name(method)} came before channel.open-ok`)
    }
    switch (method._tag) {
      case "ChannelOpen":
        throw this.fault("Channel", "channel.open", `channel ${channel} is open already`)
      case "ChannelOpenOk":
        if (state.state !== "opening") throw this.fault("Command", "channel.open-ok", "no channel.open was sent")
        state.state = "open"
        return this.handler.onMethod(channel, method)
      case "ChannelClose":
        // A server confirms what it took before it says goodbye; a client may open the number again at once.
        if (this.role === "server") this.handler.onChannelClosed(channel, method)
        this.forget(channel)
        this.encode(channel, { _tag: "ChannelCloseOk" })
        if (this.role === "client") this.handler.onChannelClosed(channel, method)
        return
      case "ChannelCloseOk":
        throw this.fault("Command", "channel.close-ok", "no channel.close was sent")
      case "BasicDeliver":
      case "BasicReturn":
      case "BasicGetOk":
      case "BasicPublish":
        return state.content.begin(method)
      default:
        return this.handler.onMethod(channel, method)
    }
  }

  private receiveHandshake(channel: number, method: Method.Method): void {
    if (channel !== 0 || expected[this.role][this.phase]?.includes(method._tag) !== true) {
      throw this.fault("Command", Method.name(method), `${Method.name(method)} came during the handshake`)
    }
    // Until our answer nothing more may come; but an open connection is open at once, also for what comes right behind.
    this.phase = method._tag === "ConnectionOpenOk" ? "open" : "answering"
    this.handler.onMethod(0, method)
  }

  private receiveClose(close: Method.ConnectionClose): void {
    this.encode(0, { _tag: "ConnectionCloseOk" })
    this.die()
    this.handler.onClosed(close)
  }

  private receiveGoodbye(method: Method.Method): void {
    if (method._tag === "ConnectionClose") return this.encode(0, { _tag: "ConnectionCloseOk" })
    this.die()
    this.handler.onMethod(0, method)
  }

  private receiveOnClosed(channel: number, method: Method.Method): void {
    if (this.role === "server" && method._tag === "ChannelOpen") {
      if (this.channelCount >= this.channelMax) {
        throw this.fault("Channel", "channel.open", `${this.channelCount} channels are open, and no more may be`)
      }
      this.channelCount++
      this.channels[channel] = { state: "open", content: new ContentAssembly() }
      return this.handler.onMethod(channel, method)
    }
    throw this.fault("Channel", Method.name(method), `channel ${channel} is not open`)
  }

  private receiveClosing(channel: number, method: Method.Method): void {
    if (method._tag === "ChannelClose") return this.encode(channel, { _tag: "ChannelCloseOk" })
    if (method._tag !== "ChannelCloseOk") return
    this.forget(channel)
    this.handler.onMethod(channel, method)
  }

  private forget(channel: number): void {
    this.channels[channel] = undefined
    this.channelCount--
    this.numbers?.release(channel)
  }

  private contentOf(channel: number, frame: string): ContentAssembly<ContentMethod, P> | undefined {
    if (this.phase === "closing") return undefined
    const state = this.phase === "open" ? this.channels[channel] : undefined
    if (state === undefined) throw this.fault("Channel", frame, `channel ${channel} is not open`)
    if (state.state === "closing") return undefined
    if (state.content.method === undefined) throw this.fault("Unexpected", frame, `a ${frame} frame without its method`)
    return state.content
  }

  private receiveHeader(channel: number, bytes: Uint8Array, start: number, end: number): void {
    const content = this.contentOf(channel, "content header")
    if (content === undefined || content.method === undefined) return
    // 0-9-1 §4.2.6.1 makes another class a frame-error; a codec that keeps properties raw would not see it.
    const wrong = headerFault(this.role, bytes, start, end)
    if (wrong !== undefined) throw this.fault("FrameType", ...wrong)
    if (content.size >= 0) throw this.fault("Unexpected", "content header", "a second content header")
    const { bodySize, properties } = this.properties.read(this.reader.reset(bytes, start, end))
    if (bodySize > this.maxMessageSize) return this.refuseSize(channel, content, content.method, bodySize)
    content.size = bodySize
    content.properties = properties
    if (bodySize === 0) this.contentDone(channel, content, emptyBody)
  }

  private refuseSize(
    channel: number,
    content: ContentAssembly<ContentMethod, P>,
    method: ContentMethod,
    size: number
  ): void {
    if (this.role === "client") {
      throw this.fault("MessageSize", "content header", `a message of ${size} bytes; at most ${this.maxMessageSize}`)
    }
    content.skip(size)
    this.handler.onTooLarge(channel, method, size)
  }

  private receiveBody(channel: number, start: number, end: number): void {
    const content = this.contentOf(channel, "content body")
    if (content === undefined) return
    if (content.size < 0) throw this.fault("Unexpected", "content body", "a content body without its header")
    if (!content.fits(end - start)) throw this.fault("BodySize", "content body", "more body than was announced")
    content.piece(this.read, start, end)
  }

  private receiveBodyEnd(channel: number): void {
    const content = this.contentOf(channel, "content body")
    if (content === undefined) return
    if (content.size < 0) throw this.fault("Unexpected", "content body", "a content body without its header")
    if (!content.isWhole) return
    if (content.body === undefined) content.end()
    else this.contentDone(channel, content, content.body)
  }

  private contentDone(channel: number, content: ContentAssembly<ContentMethod, P>, body: Uint8Array): void {
    const { method, properties } = content
    content.end()
    if (method === undefined || properties === undefined) return
    this.handler.onContent(channel, method, properties, body)
  }

  // --- Commands ---

  /** Client role: the protocol header (0-9-1 §4.2.2). */
  start(): void {
    if (this.phase !== "fresh") return
    this.phase = "header"
    this.output.frames(0, (writer) => writer.raw(Frame.protocolHeader, 0, Frame.protocolHeader.length))
  }

  /** Sends a method of the handshake; what may come next follows from it. */
  handshake(method: Method.Method): FrameError | undefined {
    const fault = this.send(0, method)
    if (fault !== undefined) return fault
    if (this.isEnding) return undefined
    switch (method._tag) {
      case "ConnectionStart":
        this.phase = "start"
        break
      case "ConnectionSecure":
        this.phase = "secure"
        break
      case "ConnectionTune":
        this.phase = "tune"
        break
      case "ConnectionStartOk":
      case "ConnectionSecureOk":
        this.phase = "startOk"
        break
      case "ConnectionTuneOk":
        this.phase = "tuneOk"
        break
      case "ConnectionOpenOk":
        this.phase = "open"
        break
      default:
        break
    }
    return undefined
  }

  /** Client role: open-ok came. */
  opened(): void {
    if (!this.isEnding) this.phase = "open"
  }

  /** Both ends keep to this from now on. */
  tune(tuning: Tuning): void {
    this.channelMax = tuning.channelMax === 0 ? 65535 : tuning.channelMax
    this.numbers = undefined
    this.frameMax = tuning.frameMax === 0 ? 131072 : tuning.frameMax
    this.output.maxBody = this.frameMax - 8
    // Without a limit of its own no frame needs more than the largest message.
    this.parser.maxFrameSize = tuning.frameMax === 0
      ? Math.max(this.frameMax, this.maxMessageSize + Frame.envelopeSize)
      : tuning.frameMax + slack[this.role]
    this.heartbeats.interval = tuning.heartbeat * 1000
    if (this.role === "server" && !this.isEnding) this.phase = "tuned"
  }

  /**
   * Sends a method. A value that no octets can express comes back as a fault, and nothing is sent. Dropped after the
   * goodbye of its channel or of the connection: it would end the connection (504).
   */
  send(channel: number, method: Method.Method): FrameError | undefined {
    return this.takes(channel) ? this.attempt(channel, method) : undefined
  }

  /** Sends a method with its content; refused and dropped as by `send`. */
  sendContent(channel: number, method: ContentMethod, properties: P, body: Uint8Array): FrameError | undefined {
    if (channel === 0 || !this.takes(channel)) return undefined
    const { output } = this
    const writer = output.begin(channel)
    try {
      Frame.encodeMethod(writer, channel, method, this.frameMax)
      this.properties.write(writer, channel, body.length, properties, this.frameMax)
    } catch (error) {
      output.cancel()
      if (error instanceof FrameError) return error
      throw error
    }
    output.commit()
    if (body.length > 0) output.body(channel, body)
    return undefined
  }

  /** Sends basic.ack. `prefix`: nothing up to this tag is unsettled any more. */
  acknowledge(channel: number, deliveryTag: number, multiple: boolean, prefix: boolean): void {
    if (this.takes(channel)) this.acknowledgements.send(channel, deliveryTag, multiple, prefix)
  }

  private takes(channel: number): boolean {
    return !this.isEnding && (channel === 0 || this.isChannelOpen(channel))
  }

  private get isEnding(): boolean {
    return this.phase === "dead" || this.phase === "closing"
  }

  private encode(channel: number, method: Method.Method): void {
    const writer = this.output.begin(channel)
    try {
      Frame.encodeMethod(writer, channel, method, this.frameMax)
    } catch (error) {
      this.output.cancel()
      throw error
    }
    this.output.commit()
  }

  private attempt(channel: number, method: Method.Method): FrameError | undefined {
    try {
      this.encode(channel, method)
      return undefined
    } catch (error) {
      if (error instanceof FrameError) return error
      throw error
    }
  }

  /** Client role: takes the wanted or the lowest free number and sends channel.open; `undefined` when it is not free. */
  openChannel(wanted?: number): number | undefined {
    this.numbers ??= new ChannelNumbers(this.channelMax)
    const channel = wanted === undefined ? this.numbers.lowest() : this.numbers.claim(wanted)
    if (channel === undefined) return undefined
    this.channelCount++
    this.channels[channel] = { state: "opening", content: new ContentAssembly() }
    this.send(channel, { _tag: "ChannelOpen" })
    return channel
  }

  /**
   * Sends channel.close, with as much of the text as fits; what the peer still sends there is dropped until close-ok. A
   * code that is no number of 16 bits comes back as a fault, and the channel stays.
   */
  closeChannel(
    channel: number,
    replyCode: number,
    replyText: string,
    classId = 0,
    methodId = 0
  ): FrameError | undefined {
    const state = this.channels[channel]
    if (state === undefined || state.state === "closing") return undefined
    const close = { replyCode, replyText: replyTextOf(replyText), classId, methodId }
    const fault = this.send(channel, { _tag: "ChannelClose", ...close })
    if (fault !== undefined) return fault
    state.state = "closing"
    state.content.end()
    return undefined
  }

  /**
   * Sends connection.close, behind the bodies that wait, with as much of the text as fits; everything but its answer is
   * dropped. A code that is no number of 16 bits comes back as a fault, and the connection stays.
   */
  close(replyCode: number, replyText: string, classId = 0, methodId = 0): FrameError | undefined {
    if (this.isEnding) return undefined
    // Nobody to say goodbye to yet.
    if (this.phase === "fresh" || this.phase === "header") {
      this.die()
      return undefined
    }
    const close = { replyCode, replyText: replyTextOf(replyText), classId, methodId }
    try {
      this.output.last((writer) => Frame.encodeMethod(writer, 0, { _tag: "ConnectionClose", ...close }, this.frameMax))
    } catch (error) {
      if (error instanceof FrameError) return error
      throw error
    }
    this.phase = "closing"
    return undefined
  }

  isChannelOpen(channel: number): boolean {
    const state = this.channels[channel]
    return state !== undefined && state.state !== "closing"
  }
}
