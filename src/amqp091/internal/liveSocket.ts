/**
 * One socket of a connection while it lives: a pipe, its engine and its flusher tied together. It says how it ended, once,
 * and passes what the engine reports to whoever listens. What to do about it is the connection's business.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { FrameError } from "../../AmqpError.ts"
import { ConnectionClosed, ConnectionLost } from "../../AmqpError.ts"
import { Flusher } from "../../internal/flusher.ts"
import { report, tally } from "../../internal/tally.ts"
import type { Pipe } from "../../Transport.ts"
import type { DecodeOptions } from "../FieldTable.ts"
import * as Frame from "../Frame.ts"
import * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import * as Properties from "../Properties.ts"
import type { ContentMethod, EngineHandler } from "./engine.ts"
import { Engine } from "./engine.ts"

/** How a socket ended. @internal */
export type SocketEnd =
  | { readonly _tag: "Socket"; readonly cause: unknown }
  | { readonly _tag: "Fault"; readonly fault: FrameError }
  | { readonly _tag: "Header"; readonly version: string }
  | { readonly _tag: "Closed"; readonly close: Method.ConnectionClose }
  | { readonly _tag: "CloseOk" }
  | { readonly _tag: "Heartbeat" }
  | { readonly _tag: "BlockedTimeout" }

/** What the connection hears of an open socket. @internal */
export interface SocketListener {
  readonly onMethod: (channel: number, method: Method.Method) => void
  readonly onContent: (channel: number, method: ContentMethod, properties: BasicProperties, body: Uint8Array) => void
  readonly onChannelClosed: (channel: number, close: Method.ChannelClose) => void
  /** There is room in the output again. */
  readonly onSpace: () => void
  readonly onEnd: (end: SocketEnd) => void
}

/** @internal */
export interface LiveSocketOptions {
  readonly pipe: Pipe
  readonly endpoint: string
  readonly now: () => number
  readonly maxMessageSize: number
  readonly limits: DecodeOptions
}

/** @internal */
export class LiveSocket implements EngineHandler<BasicProperties> {
  readonly engine: Engine<BasicProperties>
  readonly endpoint: string
  readonly pipe: Pipe
  private readonly flusher: Flusher
  private readonly now: () => number
  private listener: SocketListener | undefined
  private waiting: ((effect: Effect.Effect<Method.Method, SocketEnd>) => void) | undefined
  private readonly arrived: Array<Method.Method> = []
  private end: SocketEnd | undefined
  private readonly endWaiters = new Set<() => void>()
  private counted = 0

  constructor(options: LiveSocketOptions) {
    this.pipe = options.pipe
    this.endpoint = options.endpoint
    this.now = options.now
    this.engine = new Engine({
      role: "client",
      handler: this,
      properties: { read: (reader) => Properties.decodeHeader(reader, options.limits), write: Frame.encodeHeader },
      maxMessageSize: options.maxMessageSize,
      limits: options.limits
    })
    this.flusher = new Flusher(
      options.pipe,
      this.engine.output,
      () => {
        this.count()
        this.listener?.onSpace()
      },
      () => this.engine.heartbeats.sent(this.now())
    )
    this.engine.heartbeats.touch(this.now())
    this.pipe.start({
      onData: (bytes, start, end) => {
        tally.receivedBytes += end - start
        this.engine.receive(bytes, start, end, this.now())
        report()
        if (this.engine.output.unflushed > 0) this.flush()
      },
      onDrain: () => this.flusher.drained(),
      onClose: (cause) => this.finish({ _tag: "Socket", cause })
    })
  }

  /** What was written becomes metrics. */
  private count(): void {
    const { handedOver } = this.engine.output
    tally.sentBytes += handedOver - this.counted
    this.counted = handedOver
    report()
  }

  /** From now on `listener` hears everything. */
  attach(listener: SocketListener): void {
    this.listener = listener
    // What came behind open-ok, in the same read.
    for (const method of this.arrived.splice(0)) listener.onMethod(0, method)
  }

  get ended(): SocketEnd | undefined {
    return this.end
  }

  /** Output goes at the end of this turn. */
  flush(): void {
    this.flusher.request()
  }

  /** Output goes now, unless some has gone in this turn: someone waits, and is alone. */
  hurry(): void {
    this.flusher.hurry()
  }

  /** Output goes now. */
  flushNow(): void {
    this.flusher.now()
  }

  /** Gives the socket up, for a reason of ours. */
  abandon(end: SocketEnd): void {
    this.finish(end)
  }

  private finish(end: SocketEnd): void {
    if (this.end !== undefined) return
    this.end = end
    // What explains the end to the peer (close, close-ok) still goes out; then the pipe goes with its scope.
    this.flusher.now()
    this.flusher.close()
    if (end._tag === "Socket" || end._tag === "Heartbeat" || end._tag === "BlockedTimeout") this.pipe.destroy()
    else this.pipe.end()
    const waiting = this.waiting
    this.waiting = undefined
    waiting?.(Effect.fail(end))
    this.listener?.onEnd(end)
    this.count()
    for (const waiter of this.endWaiters) waiter()
    this.endWaiters.clear()
  }

  /** The next method of the handshake. */
  get next(): Effect.Effect<Method.Method, SocketEnd> {
    return Effect.suspend(() => {
      const method = this.arrived.shift()
      if (method !== undefined) return Effect.succeed(method)
      if (this.end !== undefined) return Effect.fail(this.end)
      return Effect.async<Method.Method, SocketEnd>((resume) => {
        this.waiting = resume
      })
    })
  }

  /** Waits for the end. */
  get done(): Effect.Effect<SocketEnd> {
    return Effect.suspend(() => {
      if (this.end !== undefined) return Effect.succeed(this.end)
      return Effect.async<SocketEnd>((resume) => {
        const waiter = () => resume(Effect.sync(() => this.end!)) // set before any waiter is called
        this.endWaiters.add(waiter)
        return Effect.sync(() => void this.endWaiters.delete(waiter))
      })
    })
  }

  // --- What the engine reports ---

  onMethod(channel: number, method: Method.Method): void {
    if (method._tag === "ConnectionCloseOk") return this.finish({ _tag: "CloseOk" })
    // At once: what follows in the same read belongs to the open connection.
    if (method._tag === "ConnectionOpenOk") this.engine.opened()
    if (this.listener !== undefined) return this.listener.onMethod(channel, method)
    const waiting = this.waiting
    if (waiting === undefined) {
      this.arrived.push(method)
      return
    }
    this.waiting = undefined
    waiting(Effect.succeed(method))
  }

  onContent(channel: number, method: ContentMethod, properties: BasicProperties, body: Uint8Array): void {
    this.listener?.onContent(channel, method, properties, body)
  }

  onChannelClosed(channel: number, close: Method.ChannelClose): void {
    this.listener?.onChannelClosed(channel, close)
  }

  onProtocolHeader(version: string): void {
    this.finish({ _tag: "Header", version })
  }

  onClosed(close: Method.ConnectionClose): void {
    this.finish({ _tag: "Closed", close })
  }

  onTooLarge(): void {}

  onFault(fault: FrameError): void {
    this.finish({ _tag: "Fault", fault })
  }
}

/** The end of an open connection's socket, as the fault its user sees. @internal */
export const toFault = (endpoint: string, end: SocketEnd): ConnectionLost | ConnectionClosed => {
  switch (end._tag) {
    case "Socket":
      return new ConnectionLost({ reason: "Socket", endpoint, cause: end.cause })
    case "Heartbeat":
      return new ConnectionLost({ reason: "Heartbeat", endpoint })
    case "BlockedTimeout":
      return new ConnectionLost({ reason: "BlockedTimeout", endpoint })
    case "Fault":
      return new ConnectionLost({ reason: "FrameError", endpoint, cause: end.fault })
    case "Header":
      return new ConnectionLost({
        reason: "FrameError",
        endpoint,
        cause: new Error(`a protocol header ${end.version}`)
      })
    case "Closed": {
      const { classId, methodId, replyCode, replyText } = end.close
      const method = Method.nameOf(classId, methodId)
      return new ConnectionClosed({ reason: "Peer", endpoint, code: replyCode, text: replyText, method })
    }
    case "CloseOk":
      return new ConnectionClosed({ reason: "Client", endpoint, code: 200, text: "Normal shutdown" })
  }
}
