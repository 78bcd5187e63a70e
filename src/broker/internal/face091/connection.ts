/**
 * One client of the broker over one pipe, and its channels. Bad peers are told what they did, by the specification's reply
 * code, and dropped.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Frame from "../../../amqp091/Frame.ts"
import type { ContentMethod, EngineHandler } from "../../../amqp091/internal/engine.ts"
import { Engine } from "../../../amqp091/internal/engine.ts"
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import * as RawProperties_ from "../../../amqp091/internal/rawProperties.ts"
import * as Method from "../../../amqp091/Method.ts"
import { Flusher } from "../../../internal/flusher.ts"
import type { Pipe } from "../../../Transport.ts"
import type { Client, Model, VirtualHost } from "../../Model.ts"
import { ChannelFace } from "./channel.ts"
import type { Content } from "./content.ts"
import { goodbyeFor } from "./frameFaults.ts"
import { Handshake } from "./handshake.ts"
import type { Mechanism } from "./login.ts"
import type { ChannelPeer, PublishHook } from "./peer.ts"
import type { Profile } from "./profile.ts"
import type { Fault } from "./refusals.ts"
import { fault } from "./refusals.ts"
import type { ReplyTo } from "./replyTo.ts"

/** What the broker gives its faces. @internal */
export interface FaceOptions {
  readonly pipe: Pipe
  readonly model: Model<Content>
  readonly profile: Profile
  readonly replyTo: ReplyTo
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  /** Whether a client's new secret will do. */
  readonly acceptSecret: (user: string, secret: Redacted.Redacted) => boolean
  /** How long a delivery may stay unacknowledged, in milliseconds; `Infinity` is for ever. */
  readonly ackTimeout: number
  readonly now: () => number
  /** A deadline has come up. */
  readonly due: (deadline: number) => void
  readonly generateName: () => string
  /** It has told its name, or is open now. */
  readonly onNews: (face: ConnectionFace) => void
  readonly onGone: (face: ConnectionFace) => void
}

// What a client that does not read may make us hold: deliveries wait in their queues above the first mark, replies are
// dropped and nothing more is asked of us above the second.
const highWaterMark = 1024 * 1024
const floodMark = 32 * highWaterMark

// A client that was told to go, or never says who it is, is dropped after this long.
const patience = 10_000

// 0-9-1, and 0-9 as its own header had it: RabbitMQ takes that for the same.
const spoken = new Set(["0-0-9-1", "1-1-0-9"])

const noMethod = { classId: 0, methodId: 0 }

const idsOf = (method: Method.Method | undefined) => method === undefined ? noMethod : Method.definition(method._tag)

const decoder = new TextDecoder()

/** @internal */
export class ConnectionFace implements EngineHandler<RawProperties>, ChannelPeer {
  private readonly options: FaceOptions
  private readonly pipe: Pipe
  private readonly engine: Engine<RawProperties>
  private readonly flusher: Flusher
  private readonly channels = new Map<number, ChannelFace>()
  private client: Client<Content> | undefined
  private readonly handshake: Handshake
  vhost = ""
  /** When the client is dropped for not answering. */
  private deadline: number
  private gone = false
  private blockedBy: string | undefined
  /** More waits for the client than it should. */
  private isFlooded = false
  /** Somebody else lets nothing be read for now. */
  private isHeld = false
  /** Decides on each publish in the channel's place; `undefined`: nobody does. */
  onPublish: PublishHook | undefined

  constructor(options: FaceOptions) {
    this.options = options
    this.pipe = options.pipe
    const { maxMessageSize, minFrameMax } = options.profile
    this.engine = new Engine({
      role: "server",
      handler: this,
      properties: RawProperties_.makeCodec(),
      maxMessageSize,
      // RabbitMQ tells arguments by their types on the wire.
      limits: { decode: "typed" },
      handshakeFrameMax: minFrameMax,
      goodbye: goodbyeFor
    })
    this.handshake = new Handshake({
      engine: this.engine,
      model: options.model,
      profile: options.profile,
      mechanisms: options.mechanisms,
      onNamed: () => {
        options.onNews(this)
        return !this.gone
      },
      onOpen: (vhost) => this.opened(vhost),
      refuse: this.closeConnection,
      drop: () => this.drop()
    })
    this.flusher = new Flusher(
      options.pipe,
      this.engine.output,
      () => this.onSpace(),
      () => this.engine.heartbeats.sent(options.now())
    )
    this.engine.heartbeats.touch(options.now())
    this.deadline = options.now() + patience
    options.due(this.deadline)
    this.pipe.start({
      onData: (bytes, start, end) => {
        this.engine.receive(bytes, start, end, options.now())
        for (const channel of this.channels.values()) channel.confirm()
        this.flush()
        this.read()
      },
      onDrain: () => this.flusher.drained(),
      onClose: () => this.leave()
    })
  }

  /** As its client called it (`connection_name`), or its address. */
  get name(): string {
    return this.handshake.clientName ?? this.pipe.remote
  }

  get user(): string {
    return this.handshake.user
  }

  get info() {
    return {
      name: this.name,
      remote: this.pipe.remote,
      user: this.user,
      vhost: this.vhost,
      channels: this.channels.size,
      blocked: this.blockedBy
    }
  }

  get isOpen(): boolean {
    return this.engine.isOpen && !this.gone
  }

  get isBetweenFrames(): boolean {
    return this.engine.parser.isBetweenFrames
  }

  get hasRoom(): boolean {
    return this.engine.output.pending < highWaterMark
  }

  get hasRoomForReplies(): boolean {
    return this.engine.output.pending < floodMark
  }

  get cancelNotify(): boolean {
    return this.handshake.knows("consumer_cancel_notify")
  }

  get generateName(): () => string {
    return this.options.generateName
  }

  get profile(): Profile {
    return this.options.profile
  }

  get replyTo(): ReplyTo {
    return this.options.replyTo
  }

  get ackTimeout(): number {
    return this.options.ackTimeout
  }

  get now(): () => number {
    return this.options.now
  }

  get due(): (deadline: number) => void {
    return this.options.due
  }

  // --- Input ---

  /** Reads on, or stops, as it should by now. */
  private read(): void {
    const isFlooded = this.engine.output.pending >= floodMark
    if (isFlooded === this.isFlooded) return
    this.isFlooded = isFlooded
    if (isFlooded) this.pipe.pause()
    else this.pipe.resume()
    this.heed()
  }

  /** Nothing is read of the client for now, or is again. */
  onReading(isReading: boolean): void {
    this.isHeld = !isReading
    this.heed()
  }

  /** While we do not read, the client's silence says nothing. */
  private heed(): void {
    if (this.isFlooded || this.isHeld) this.engine.heartbeats.pauseReading()
    else this.engine.heartbeats.resumeReading(this.options.now())
  }

  /** Tells why nobody shall publish, where it is known what that means; `undefined`: all may again. */
  block(reason: string | undefined): void {
    const wasBlocked = this.blockedBy !== undefined
    if (reason !== undefined && !this.isOpen) return
    this.blockedBy = reason
    if (wasBlocked === (reason !== undefined)) return
    if (!this.handshake.knows("connection.blocked")) return
    this.send(0, reason === undefined ? { _tag: "ConnectionUnblocked" } : { _tag: "ConnectionBlocked", reason })
  }

  // --- Output ---

  private flush(): void {
    if (this.engine.output.unflushed === 0) return
    this.flusher.request()
  }

  private onSpace(): void {
    this.read()
    if (!this.hasRoom) return
    for (const channel of this.channels.values()) channel.resume()
  }

  readonly send = (channel: number, method: Method.Method): void => {
    const unsendable = this.engine.send(channel, method)
    if (unsendable !== undefined) this.engine.close(Method.ReplyCode.internalError, unsendable.message.slice(0, 200))
    this.flush()
  }

  readonly sendContent = (channel: number, method: ContentMethod, content: Content): void => {
    const unsendable = this.engine.sendContent(channel, method, content.properties, content.body)
    if (unsendable !== undefined) this.engine.close(Method.ReplyCode.internalError, unsendable.message.slice(0, 200))
    this.flush()
  }

  readonly closeChannel = (channel: number, reason: Fault, method?: Method.Method): void => {
    const { classId, methodId } = idsOf(method)
    // What was published before the fault is answered for before the channel goes, as RabbitMQ does.
    this.channels.get(channel)?.confirm()
    this.engine.closeChannel(channel, reason.code, reason.text, classId, methodId)
    this.releaseChannel(channel)
    this.flush()
  }

  readonly closeConnection = (reason: Fault, method?: Method.Method): void => {
    const { classId, methodId } = idsOf(method)
    this.goodbye(reason, classId, methodId)
  }

  /** Tells the client to go, and waits for its answer for a while. */
  goodbye(reason: Fault, classId = 0, methodId = 0): void {
    for (const channel of this.channels.values()) channel.confirm()
    this.engine.close(reason.code, reason.text, classId, methodId)
    this.release()
    this.deadline = this.options.now() + patience
    this.options.due(this.deadline)
    this.flush()
  }

  /** Says why and goes, without waiting for an answer. */
  dismiss(reason: Fault): void {
    if (!this.isOpen) return this.drop()
    this.goodbye(reason)
    this.finish()
  }

  /** Cuts the pipe, without a word. */
  drop(): void {
    this.pipe.destroy()
    this.leave()
  }

  /** Without anything that the client did; how many. */
  closeChannels(reason: Fault, number?: number): number {
    const numbers = Array.from(this.channels.keys()).filter((known) => (number ?? known) === known)
    for (const each of numbers) this.closeChannel(each, reason)
    return numbers.length
  }

  cancelConsumers(isMeant: (tag: string, queue: string) => boolean): number {
    let count = 0
    for (const channel of this.channels.values()) count += channel.cancelConsumers(isMeant)
    return count
  }

  private releaseChannel(channel: number): void {
    this.channels.get(channel)?.release()
    this.channels.delete(channel)
  }

  private release(): void {
    this.channels.clear()
    this.client?.release()
    this.client = undefined
  }

  private leave(): void {
    if (this.gone) return
    this.gone = true
    this.release()
    this.flusher.close()
    this.pipe.destroy()
    this.options.onGone(this)
  }

  /** The last words go out; then the client's own end, or our patience's, is the end. */
  private finish(): void {
    this.release()
    this.flusher.now()
    this.pipe.end()
    this.deadline = this.options.now() + patience
    this.options.due(this.deadline)
  }

  // --- What the engine reports ---

  readonly onProtocolHeader = (version: string): void => {
    if (spoken.has(version)) {
      this.handshake.begin()
      return this.flush()
    }
    // 0-9-1 §4.2.2: an unknown version is answered with our own header, and the end.
    this.engine.output.frames(0, (writer) => writer.raw(Frame.protocolHeader, 0, Frame.protocolHeader.length))
    this.finish()
  }

  readonly onMethod = (number: number, method: Method.Method): void => {
    if (number !== 0) return this.onChannelMethod(number, method)
    switch (method._tag) {
      case "ConnectionStartOk":
        return this.handshake.start(method)
      case "ConnectionSecureOk":
        return this.handshake.authenticate(method.response)
      case "ConnectionTuneOk":
        return this.handshake.tune(method)
      case "ConnectionOpen":
        return this.handshake.open(method)
      case "ConnectionUpdateSecret":
        return this.updateSecret(method)
      case "ConnectionCloseOk":
        return this.finish()
      default:
        return this.closeConnection(
          fault(Method.ReplyCode.channelError, "unexpected method in connection state running"),
          method
        )
    }
  }

  private updateSecret(method: Method.ConnectionUpdateSecret): void {
    const secret = Redacted.make(decoder.decode(method.newSecret))
    if (this.options.acceptSecret(this.user, secret)) return this.send(0, { _tag: "ConnectionUpdateSecretOk" })
    this.closeConnection(
      fault(Method.ReplyCode.notAllowed, "New secret was refused by one of the backends"),
      method
    )
  }

  private opened(vhost: VirtualHost<Content>): void {
    this.vhost = vhost.name
    this.client = vhost.client(this.user)
    this.deadline = Infinity
    this.engine.heartbeats.touch(this.options.now())
    this.options.due(this.engine.heartbeats.nextDeadline())
    this.options.onNews(this)
  }

  private onChannelMethod(number: number, method: Method.Method): void {
    if (method._tag === "ChannelCloseOk") return
    if (method._tag === "ChannelOpen" && this.client !== undefined) {
      this.channels.set(number, new ChannelFace(number, this, this.client.child()))
    }
    this.channels.get(number)?.receive(method)
  }

  readonly onContent = (
    number: number,
    method: ContentMethod,
    properties: RawProperties,
    body: Uint8Array
  ): void => {
    const channel = this.channels.get(number)
    if (channel === undefined || method._tag !== "BasicPublish") return
    if (this.onPublish === undefined) return channel.publish(method, properties, body)
    const take = () => channel.publish(method, properties, body)
    this.onPublish({ channel, number, method, content: { properties, body }, take })
  }

  readonly onChannelClosed = (number: number): void => {
    this.channels.get(number)?.confirm()
    this.releaseChannel(number)
  }

  readonly onClosed = (): void => this.finish()

  readonly onTooLarge = (number: number, method: ContentMethod, size: number): void =>
    this.closeChannel(
      number,
      fault(
        Method.ReplyCode.preconditionFailed,
        `message size ${size} is larger than configured max size ${this.profile.maxMessageSize}`
      ),
      method
    )

  readonly onFault = (): void => this.finish()

  // --- Time ---

  nextDeadline(): number {
    let earliest = Math.min(this.deadline, this.engine.heartbeats.nextDeadline())
    if (this.ackTimeout === Infinity) return earliest
    for (const channel of this.channels.values()) earliest = Math.min(earliest, channel.nextDeadline())
    return earliest
  }

  tick(now: number, late: number): void {
    if (now >= this.deadline) return this.drop()
    if (late > 1000) this.engine.heartbeats.forgive(now)
    if (!this.engine.heartbeats.tick(now)) return this.drop()
    for (const channel of this.channels.values()) if (channel.nextDeadline() <= now) channel.tick(now)
    this.flush()
  }
}
