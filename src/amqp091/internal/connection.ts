/**
 * The logical connection: one socket at a time, the channels that outlive it, and the state its user sees. Plain code
 * called from the socket's callbacks; dialling again is the supervisor's business, deadlines are the timer's.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { CallError, ConnectError, FrameError, RecoverableError } from "../../AmqpError.ts"
import { ConnectionClosed, ConnectionLost, NotReady, OperationTimeout } from "../../AmqpError.ts"
import type { Credentials } from "../../Credentials.ts"
import type { Cell } from "../../internal/cell.ts"
import type { Fork } from "../../internal/forks.ts"
import { report } from "../../internal/tally.ts"
import type { Timed } from "../../internal/timer.ts"
import { Timer } from "../../internal/timer.ts"
import * as Metrics from "../../Metrics.ts"
import type { Capabilities, Info, ServerEvent, State } from "../Connection.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import type { RecoveryOptions } from "../Topology.ts"
import { deadlineOf } from "./calls.ts"
import { unknown } from "./capabilities.ts"
import { ChannelCore } from "./channel.ts"
import type { ChannelHost, ChannelOnSocket, Starving } from "./channelHost.ts"
import type { ChannelSettings } from "./channelSettings.ts"
import type { Dialled } from "./dial.ts"
import { endpointOf } from "./endpoints.ts"
import type { ContentMethod } from "./engine.ts"
import type { LiveSocket, SocketEnd, SocketListener } from "./liveSocket.ts"
import { toFault } from "./liveSocket.ts"
import { Recovery } from "./recovery.ts"
import { sharing, userOf } from "./sasl.ts"
import { Secrets } from "./secrets.ts"
import { ServerEvents } from "./serverEvents.ts"

// Publishers are suspended above this; the rest of the protocol is not.
const highWaterMark = 1024 * 1024

// Room is dealt out in pieces of this, one to a channel: a publisher that fills its piece goes to sleep once for all of it,
// where one message for each of five hundred would put them all to sleep for each message.
const roomForOne = 256 * 1024

/** @internal */
export interface CoreOptions {
  /** Those of the first endpoint: timeouts and limits are the connection's, not an endpoint's. */
  readonly options: ConnectionOptions
  readonly whenDisconnected: "wait" | "fail"
  readonly publishTimeout: Duration.Duration
  readonly state: Cell<State>
  readonly clock: Clock.Clock
  readonly fork: Fork
  readonly recovery: RecoveryOptions
  /** Something needs a socket, and there is none: a lazy connection dials now. */
  readonly wake: () => void
}

/** @internal */
export class ConnectionCore implements ChannelHost, SocketListener, Timed {
  socket: LiveSocket | undefined
  isBlocked = false
  readonly operationTimeout: Duration.Duration
  readonly channelTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  readonly publishTimeout: Duration.Duration
  readonly publishTimeoutMillis: number
  readonly fork: Fork
  readonly state: Cell<State>
  readonly recovery: Recovery
  private readonly timer: Timer
  private readonly options: CoreOptions
  private readonly channels = new Set<ChannelCore>()
  private ownChannel: ChannelCore | undefined
  private carried: Array<ChannelOnSocket | undefined> = []
  /** Those whose publishes wait: after each write they are looked at, and nobody else. */
  private starving: Array<Starving> = []
  private dialled: Dialled | undefined
  private blockedAt = Infinity
  private blockedReason = ""
  /** Whether the present socket and its channels are up: only then does `state` speak of it. */
  private isUp = false
  readonly secrets: Secrets
  private readonly blockedTimeoutMillis: number
  private someFull = false
  private readingPaused = false
  /** What whoever still waits is told once we have said goodbye. */
  private closing: ConnectionClosed | undefined
  /** When the answer to our goodbye is not awaited any more. */
  private closeDeadline = Infinity
  private closedBy: ConnectionClosed | undefined
  /** A socket that this side has left, and the connection has not: its end is no fault to recover from. */
  private left: LiveSocket | undefined
  private events: ServerEvents | undefined
  private epoch = 0

  constructor(options: CoreOptions) {
    this.options = options
    this.fork = options.fork
    this.timer = new Timer(options.clock, this, options.fork)
    this.state = options.state
    this.recovery = new Recovery(options.recovery, options.fork)
    this.secrets = new Secrets(this)
    this.operationTimeout = options.options.operationTimeout
    this.channelTimeout = options.options.channelTimeout
    this.closeTimeout = options.options.closeTimeout
    this.publishTimeout = options.publishTimeout
    this.publishTimeoutMillis = Duration.toMillis(options.publishTimeout)
    const blockedTimeout = options.options.blockedTimeout
    this.blockedTimeoutMillis = blockedTimeout === null ? Infinity : Duration.toMillis(blockedTimeout)
  }

  get isClosing(): boolean {
    return this.closing !== undefined
  }

  /** Why there is nothing to come any more. */
  get over(): ConnectionClosed | undefined {
    return this.closedBy ?? this.closing
  }

  /** How long ago the broker was last heard of. */
  get silence(): Duration.Duration | undefined {
    return this.socket && Duration.millis(Math.max(0, this.now() - this.socket.engine.heartbeats.lastReceived))
  }

  get hasRoom(): boolean {
    return this.socket !== undefined && this.socket.engine.output.pending < highWaterMark
  }

  get channelMax(): number {
    return this.dialled?.tuning.channelMax ?? 0
  }

  get info(): Omit<Info, "failover" | "alternates"> {
    const { dialled } = this
    return {
      endpoint: dialled?.endpoint ?? endpointOf(this.options.options),
      address: dialled?.address,
      epoch: this.epoch,
      options: dialled?.options ?? this.options.options,
      serverProperties: dialled?.serverProperties ?? {},
      capabilities: this.capabilities,
      user: this.user,
      mechanism: dialled?.mechanism ?? "",
      mechanisms: dialled?.mechanisms ?? [],
      locales: dialled?.locales ?? [],
      channelMax: this.channelMax,
      frameMax: dialled?.tuning.frameMax ?? 0,
      heartbeat: Duration.seconds(dialled?.tuning.heartbeat ?? 0),
      tls: dialled?.tls
    }
  }

  get user(): string | undefined {
    const { dialled } = this
    return dialled === undefined ? undefined : userOf(dialled.options.credentials, dialled.mechanism)
  }

  /** Whose the secret is that the present socket, or the last one, logged in with. */
  get credentials(): ReadonlyArray<Credentials> {
    const { dialled } = this
    // Which of them will be used, only a server can say.
    if (dialled === undefined) return this.options.options.credentials
    return sharing(dialled.options.credentials, dialled.mechanism)
  }

  get capabilities(): Capabilities {
    return this.dialled?.capabilities ?? unknown
  }

  // --- Channels ---

  open(settings: ChannelSettings): ChannelCore {
    const channel = new ChannelCore(this, settings)
    this.channels.add(channel)
    return channel
  }

  /**
   * The one channel that belongs to the connection itself: opened when it is first asked for, anew where the last one has
   * ended, and by nobody's fiber: whoever is interrupted meanwhile leaves it to the next.
   */
  get shared(): Effect.Effect<ChannelCore, CallError> {
    return Effect.suspend(() => {
      const refusal = this.refusal("channel.open", false)
      if (refusal !== undefined) return Effect.fail(refusal)
      let channel = this.ownChannel
      if (channel === undefined || channel.isOver) {
        const fresh = this.open({ mode: "plain", prefetch: 100, window: undefined, atEnd: "fail" })
        this.ownChannel = channel = fresh
        this.fork(Effect.catchAll(fresh.whenOpen, (error) => Effect.sync(() => fresh.giveUp(error))))
      }
      return Effect.as(channel.opening, channel)
    })
  }

  drop(channel: ChannelOnSocket): void {
    if (channel instanceof ChannelCore) {
      this.channels.delete(channel)
      this.sate(channel.publishing)
    }
    this.readingMayChange()
  }

  carry(number: number, channel: ChannelOnSocket): void {
    this.carried[number] = channel
  }

  refusal(operation: string, publishes: boolean): CallError | undefined {
    if (this.over !== undefined) return this.over
    if (this.socket === undefined) this.options.wake()
    if (this.options.whenDisconnected === "wait") return undefined
    if (this.state.unsafeGet()._tag === "Recovering") return new NotReady({ operation, reason: "Recovering" })
    if (this.socket === undefined) return new NotReady({ operation, reason: "Disconnected" })
    return publishes && this.isBlocked ? new NotReady({ operation, reason: "Blocked" }) : undefined
  }

  // --- The socket's life ---

  /** Restores the channels on a fresh socket, unless it ends meanwhile. */
  up(dialled: Dialled): Effect.Effect<void, RecoverableError> {
    return Effect.suspend(() => {
      const { socket } = dialled
      // It may have ended between its handshake and now.
      if (socket.ended !== undefined) return this.ended(dialled)
      this.socket = socket
      this.dialled = dialled
      this.carried = []
      this.isBlocked = false
      this.someFull = false
      this.readingPaused = false
      socket.attach(this)
      this.due(socket.engine.heartbeats.nextDeadline())
      const wanted = this.recovery.wanted
      if (this.channels.size === 0 && wanted.length === 0) return Effect.void
      const topology = wanted.length === 0
        ? Effect.void
        : this.recovery.restore(this, wanted, this.epoch + 1).pipe(
          // The end of the socket, which this is, comes next.
          Effect.catchAll((fault) => Effect.zipRight(Effect.sync(() => this.abandon(fault)), Effect.never))
        )
      const channels = Effect.suspend(() =>
        Effect.forEach(
          Array.from(this.channels),
          (channel) =>
            channel.restore.pipe(
              Effect.catchAll((fault) =>
                Effect.sync(() => fault._tag === "ChannelError" ? channel.end(fault) : this.abandon(fault))
              )
            ),
          { concurrency: "unbounded", discard: true }
        )
      )
      // When the socket ends, so does what is restored on it.
      const up = Effect.zipRight(
        Effect.zipRight(topology, channels),
        Effect.suspend(() => socket.ended === undefined ? Effect.void : this.ended(dialled))
      )
      return Effect.raceFirst(up, this.ended(dialled))
    })
  }

  heal(queues: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { dialled } = this
      if (this.socket === undefined || dialled === undefined) return Effect.void
      // A queue that the broker names is another one if it is declared again while it is there.
      const left = () => queues.filter((queue) => !this.isConsumed(queue))
      return Effect.raceFirst(this.recovery.heal(this, left, this.epoch), this.ended(dialled)).pipe(
        Effect.catchAll((fault) => Effect.sync(() => this.abandon(fault)))
      )
    })
  }

  private isConsumed(queue: string): boolean {
    for (const { consumers } of this.channels) if (consumers.consumes(queue)) return true
    return false
  }

  renamed(from: string, to: string): void {
    for (const { calls } of this.channels) calls.renamed(from, to)
  }

  consumerGone(queue: string): void {
    if (!this.recovery.ledger.goesByItself(queue)) return
    for (const { consumers } of this.channels) if (consumers.queues.includes(queue)) return
    this.recovery.ledger.forgetQueue(queue)
  }

  /** Waits for the end of a socket; one that was left on purpose ends for nobody: whoever left it goes on. */
  ended({ endpoint, socket }: Dialled): Effect.Effect<never, ConnectionLost | ConnectionClosed> {
    return Effect.flatMap(
      socket.done,
      (end) => this.left === socket ? Effect.never : Effect.fail(this.faultOf(endpoint, end))
    )
  }

  private faultOf(endpoint: string, end: SocketEnd): ConnectionLost | ConnectionClosed {
    return end._tag === "CloseOk" && this.closing !== undefined ? this.closing : toFault(endpoint, end)
  }

  /** The socket is up, and everything on it. */
  opened(endpoint: string): void {
    this.epoch++
    if (this.epoch > 1) Metrics.reconnects.unsafeUpdate(1, Metrics.noTags)
    if (this.closing !== undefined) return
    this.isUp = true
    Metrics.connections.unsafeModify(1, Metrics.noTags)
    this.state.unsafeSet(this.isBlocked ? this.blockedState : { _tag: "Open", endpoint, epoch: this.epoch })
  }

  onEnd(end: SocketEnd): void {
    const endpoint = this.socket?.endpoint ?? ""
    const hasLeft = this.socket !== undefined && this.left === this.socket && this.closing === undefined
    const fault = hasLeft ? new ConnectionLost({ reason: "Left", endpoint }) : this.faultOf(endpoint, end)
    this.socket = undefined
    if (this.isUp) Metrics.connections.unsafeModify(-1, Metrics.noTags)
    this.isUp = false
    this.noLongerBlocked()
    this.closeDeadline = Infinity
    this.carried = []
    const culprit = fault._tag === "ConnectionClosed" ? fault.method : undefined
    this.secrets.end(fault)
    if (culprit !== undefined) this.recovery.ledger.blame(fault, culprit)
    for (const channel of Array.from(this.channels)) channel.lost(fault, culprit)
  }

  /** The connection is over: everything that waits on it fails. */
  end(cause: RecoverableError | undefined): void {
    if (this.closedBy !== undefined) return
    const { closing } = this
    this.closedBy = closing ?? this.closedFor(cause)
    for (const channel of Array.from(this.channels)) channel.end(this.closedBy)
    this.recovery.end()
    this.events?.end(this.closedBy)
    this.state.unsafeSet({ _tag: "Closed", cause: closing === undefined ? cause : undefined })
    this.state.unsafeEnd()
  }

  private closedFor(cause: RecoverableError | undefined): ConnectionClosed {
    return new ConnectionClosed({
      reason: "Recovery",
      endpoint: this.dialled?.endpoint ?? "",
      code: cause?._tag === "ConnectionClosed" ? cause.code : 0,
      text: cause?.message ?? "the connection is closed",
      cause
    })
  }

  /** The first connect of a lazy connection failed: whoever waits for it fails, and the next use dials again. */
  notConnected(cause: ConnectError): void {
    const fault = this.closedFor(cause)
    for (const channel of Array.from(this.channels)) channel.end(fault)
    this.events?.fail(fault)
  }

  /** Says goodbye to the present socket, within the close timeout, while the connection goes on. */
  get leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { socket } = this
      if (socket === undefined || this.closing !== undefined) return Effect.void
      this.left = socket
      return Effect.map(this.bidFarewell(socket, 200, "Left for another socket"), () => {
        // Nobody waits for the answer of a broker that blocks us, nor does who is interrupted meanwhile.
        socket.abandon({ _tag: "CloseOk" })
      })
    })
  }

  /** Marks the end, says goodbye on the wire, and waits for the answer, for the close timeout at most. */
  sayGoodbye(code: number, text: string): Effect.Effect<unknown> {
    if (this.closedBy !== undefined) return Effect.void
    this.closing = new ConnectionClosed({ reason: "Client", endpoint: this.dialled?.endpoint ?? "", code, text })
    this.state.unsafeSet({ _tag: "Closing" })
    this.readingMayChange()
    const { socket } = this
    if (socket === undefined) return Effect.void
    return this.bidFarewell(socket, code, text)
  }

  private bidFarewell(socket: LiveSocket, code: number, text: string): Effect.Effect<unknown> {
    socket.engine.close(code, text)
    socket.flushNow()
    // A broker that blocks us does not read, and so would not answer.
    if (this.isBlocked) return Effect.void
    this.closeDeadline = deadlineOf(this.now(), this.closeTimeout)
    this.due(this.closeDeadline)
    // By a fiber of its own: whoever was interrupted before still waits, and whoever is now does not wait on.
    return Effect.flatMap(Effect.fork(Effect.interruptible(socket.done)), Fiber.await)
  }

  // --- What the socket brings ---

  /** Waits for what the broker says next, from the first time this is asked on. */
  drainEvents(limit: Duration.Duration | undefined): Effect.Effect<ServerEvent, OperationTimeout | ConnectionClosed> {
    return Effect.suspend(() => {
      if (this.over !== undefined) return Effect.fail(this.over)
      this.options.wake()
      this.events ??= new ServerEvents()
      return this.events.next(limit)
    })
  }

  onMethod(number: number, method: Method.Method): void {
    this.events?.saw(number, method)
    if (number !== 0) return this.carried[number]?.onMethod(method)
    switch (method._tag) {
      case "ConnectionBlocked":
        return this.blocked(method.reason)
      case "ConnectionUnblocked":
        return this.unblocked()
      case "ConnectionUpdateSecretOk":
        return this.secrets.answered()
      default:
        return
    }
  }

  private get blockedState(): State {
    return {
      _tag: "Blocked",
      endpoint: this.dialled?.endpoint ?? "",
      epoch: this.epoch,
      reason: this.blockedReason
    }
  }

  private blocked(reason: string): void {
    // A repeated "blocked" does not start the clock again.
    if (!this.isBlocked) this.blockedAt = this.now()
    this.isBlocked = true
    this.due(this.blockedAt + this.blockedTimeoutMillis)
    this.blockedReason = reason
    if (this.closing === undefined && this.isUp) this.state.unsafeSet(this.blockedState)
  }

  private noLongerBlocked(): void {
    if (this.isBlocked) Metrics.blockedTime.unsafeUpdate(this.now() - this.blockedAt, Metrics.noTags)
    this.isBlocked = false
    this.blockedAt = Infinity
  }

  private unblocked(): void {
    this.noLongerBlocked()
    if (this.closing === undefined && this.isUp) {
      this.state.unsafeSet({ _tag: "Open", endpoint: this.dialled?.endpoint ?? "", epoch: this.epoch })
    }
    this.onSpace()
  }

  onContent(
    number: number,
    method: ContentMethod,
    properties: BasicProperties,
    body: Uint8Array
  ): void {
    this.events?.saw(number, method)
    this.carried[number]?.onContent(method, properties, body)
  }

  onChannelClosed(number: number, close: Method.ChannelClose): void {
    this.events?.saw(number, close)
    const channel = this.carried[number]
    this.carried[number] = undefined
    channel?.onClosed(close)
  }

  onSpace(): void {
    if (this.socket === undefined) return
    const { output } = this.socket.engine
    let pieces = Math.ceil((highWaterMark - output.pending) / roomForOne)
    for (let place = 0; pieces > 0 && place < this.starving.length;) {
      const each = this.starving[place]! // a place in the line
      const { pending } = output
      const served = each.release()
      // Whoever sent nothing waits for something else, and keeps nobody from their turn.
      const sent = output.pending > pending
      if (served || sent) this.sate(each)
      else place++
      if (sent && !served) this.starve(each)
      if (sent) pieces--
    }
  }

  private sate(publishing: Starving): void {
    publishing.starves = false
    const place = this.starving.indexOf(publishing)
    if (place >= 0) this.starving.splice(place, 1)
  }

  starve(publishing: Starving): void {
    if (publishing.starves) return
    publishing.starves = true
    this.starving.push(publishing)
  }

  onFault(fault: FrameError): void {
    const { socket } = this
    if (socket === undefined) return
    socket.engine.close(Method.ReplyCode.commandInvalid, fault.message.slice(0, 200))
    socket.abandon({ _tag: "Fault", fault })
  }

  /** A broker that does not answer what it must is as good as gone. */
  abandon(cause: CallError): void {
    this.socket?.abandon({ _tag: "Socket", cause })
  }

  consumerFull(): void {
    this.someFull = true
    this.readingMayChange()
  }

  /**
   * A consumer without acknowledgements has only our not reading to slow its broker down. But as long as an answer is
   * awaited reading goes on: a handler that publishes would else wait for ever.
   */
  readingMayChange(): void {
    const { socket } = this
    // Asked for each call: all channels are looked at only while some consumer is full.
    if (socket === undefined || !this.someFull) return
    let full = false
    let waiting = false
    for (const channel of this.channels) {
      full = full || channel.hasFullConsumer
      waiting = waiting || channel.isWaiting
    }
    this.someFull = full
    const pause = full && !waiting && this.closing === undefined
    if (pause === this.readingPaused) return
    this.readingPaused = pause
    if (pause) {
      socket.pipe.pause()
      socket.engine.heartbeats.pauseReading()
    } else {
      socket.engine.heartbeats.resumeReading(this.now())
      socket.pipe.resume()
      this.due(socket.engine.heartbeats.nextDeadline())
    }
  }

  // --- Time ---

  now(): number {
    return this.timer.now()
  }

  /** A deadline has come up. */
  due(deadline: number): void {
    this.timer.due(deadline)
  }

  nextDeadline(): number {
    let earliest = Math.min(
      this.socket?.engine.heartbeats.nextDeadline() ?? Infinity,
      this.blockedAt + this.blockedTimeoutMillis,
      this.closeDeadline
    )
    for (const channel of this.channels) earliest = Math.min(earliest, channel.nextDeadline())
    return earliest
  }

  tick(now: number, late: number): void {
    Metrics.timerLag.unsafeUpdate(late, Metrics.noTags)
    for (const channel of this.channels) channel.tick(now)
    report()
    const { socket } = this
    if (socket === undefined) return
    // We slept too long ourselves, so what the peer sent may lie unread: read first, then judge its silence.
    if (late > 1000) socket.engine.heartbeats.forgive(now)
    if (!socket.engine.heartbeats.tick(now)) return socket.abandon({ _tag: "Heartbeat" })
    if (socket.engine.output.unflushed > 0) socket.flushNow()
    if (now >= this.blockedAt + this.blockedTimeoutMillis) socket.abandon({ _tag: "BlockedTimeout" })
    if (now >= this.closeDeadline) {
      const cause = new OperationTimeout({ operation: "connection.close", limit: this.closeTimeout })
      socket.abandon({ _tag: "Socket", cause })
    }
  }
}
