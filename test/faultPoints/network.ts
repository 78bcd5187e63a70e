/**
 * A network in virtual time that passes frame by frame, and lets something happen when a certain one arrives: before its
 * reader has it. Between two frames of a direction nothing else can come up that a reader could tell.
 */
import { AmqpError } from "effect-amqp"
import type { Transport } from "effect-amqp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Piece } from "../../src/broker/internal/face091/frames.ts"
import { Frames } from "../../src/broker/internal/face091/frames.ts"
import type { World } from "../simulation/world.ts"

export type Side = "client" | "broker"

/** The frame of a side, counted from 1 over all its connections; the protocol header is one. */
export interface Point {
  readonly side: Side
  readonly frame: number
}

/** What lies between a client and the broker. */
export interface Line {
  /** What these say is lost, and nobody hears of it. */
  readonly deaf: Set<Side>
  /** What these say is neither read nor lost: they are told to stop. */
  readonly stuck: Set<Side>
  isBytewise: boolean
  lag: number
  /** Both ends hear that it broke, and what was on its way is lost. */
  readonly cut: () => void
  /** Both ends hear that the other one has ended, after what was on its way. */
  readonly end: () => void
  /** The frame at hand arrives in part, and then it breaks. */
  readonly cutWithin: () => void
  /** The frame at hand arrives, and then it breaks. */
  readonly cutBehind: () => void
  /** What is stuck goes on. */
  readonly heal: () => void
}

const other = { client: "broker", broker: "client" } as const

class FramePipe implements Transport.Pipe {
  readonly remote: string
  readonly tls = undefined
  isClosed = false
  private readonly side: Side
  private readonly line: FrameLine
  private handler: Transport.PipeHandler | undefined
  private readonly frames = new Frames()
  /** What comes from the other side. */
  private readonly inbox: Array<Piece> = []
  private peerEnded = false
  private hasEnded = false
  private isPaused = false
  private isDelivering = false

  constructor(side: Side, remote: string, line: FrameLine) {
    this.side = side
    this.remote = remote
    this.line = line
  }

  private get peer(): FramePipe {
    return this.line.ends[other[this.side]]
  }

  start(handler: Transport.PipeHandler): void {
    this.handler = handler
    this.deliverSoon()
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (onWritten !== undefined) this.line.world.soon(onWritten)
    if (this.isClosed || this.hasEnded) return !this.isClosed
    for (const piece of this.frames.push(bytes)) this.peer.inbox.push(piece)
    this.peer.deliverSoon()
    return !this.line.stuck.has(this.side)
  }

  endOfTurn(task: () => void): void {
    this.line.world.soon(task)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.deliverSoon()
  }

  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    const rest = this.frames.take()
    if (rest.length > 0) this.peer.inbox.push({ bytes: rest, isFrame: false })
    this.peer.peerEnded = true
    this.peer.deliverSoon()
  }

  destroy(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.end()
    this.line.gone()
  }

  break(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.hasEnded = true
    this.line.gone()
    this.line.world.soon(() => this.handler?.onClose(new Error("read ECONNRESET")))
  }

  drain(): void {
    if (!this.isClosed) this.line.world.soon(() => this.handler?.onDrain())
  }

  deliverSoon(): void {
    if (this.isDelivering || this.isClosed || this.handler === undefined) return
    this.isDelivering = true
    this.line.world.after(this.line.lag, () => {
      this.isDelivering = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { handler, line } = this
    const from = other[this.side]
    if (this.isClosed || this.isPaused || handler === undefined || line.stuck.has(from)) return
    const [next] = this.inbox
    if (next === undefined) {
      // Who is deaf does not hear the end either.
      if (!this.peerEnded || line.deaf.has(from)) return
      this.destroy()
      return handler.onClose()
    }
    line.fate = undefined
    if (next.isFrame) line.passing(from)
    if (this.isClosed) return
    if (line.stuck.has(from)) return
    this.inbox.shift()
    if (!line.deaf.has(from)) this.read(handler, next.bytes)
    if (line.fate !== undefined) line.cut()
    this.deliverSoon()
  }

  private read(handler: Transport.PipeHandler, bytes: Uint8Array): void {
    const { fate, isBytewise } = this.line
    const end = fate === "within" ? bytes.length >> 1 : bytes.length
    if (!isBytewise) return handler.onData(bytes, 0, end)
    for (let at = 0; at < end && !this.isClosed; at++) handler.onData(bytes, at, at + 1)
  }
}

class FrameLine implements Line {
  readonly world: World
  readonly deaf = new Set<Side>()
  readonly stuck = new Set<Side>()
  isBytewise = false
  lag = 0
  /** Of the frame at hand. */
  fate: "within" | "behind" | undefined
  readonly ends: { readonly client: FramePipe; readonly broker: FramePipe }
  readonly passing: (from: Side) => void
  private readonly onGone: () => void

  constructor(world: World, name: string, passing: (line: Line, from: Side) => void, onGone: (line: Line) => void) {
    this.world = world
    this.passing = (from) => passing(this, from)
    this.onGone = () => onGone(this)
    this.ends = { client: new FramePipe("client", "broker:5672", this), broker: new FramePipe("broker", name, this) }
  }

  readonly gone = (): void => {
    if (this.ends.client.isClosed && this.ends.broker.isClosed) this.onGone()
  }

  readonly cut = (): void => {
    this.ends.client.break()
    this.ends.broker.break()
  }

  readonly end = (): void => {
    this.ends.client.end()
    this.ends.broker.end()
  }

  readonly cutWithin = (): void => {
    this.fate = "within"
  }

  readonly cutBehind = (): void => {
    this.fate = "behind"
  }

  readonly heal = (): void => {
    this.lag = 0
    this.isBytewise = false
    for (const side of Array.from(this.stuck)) {
      this.stuck.delete(side)
      this.ends[side].drain()
      this.ends[other[side]].deliverSoon()
    }
  }
}

export interface Network {
  readonly transport: Transport.Memory["transport"]
  readonly server: Transport.Memory["server"]
  /** Lines of which an end is open. */
  readonly lines: ReadonlySet<Line>
  /** How many frames have arrived of each side. */
  readonly passed: Record<Side, number>
  /** Of dials: they are refused, never answered, or neither. */
  dials: "refused" | "ignored" | "answered"
}

/** Calls `happens` when the frame at `point` arrives. */
export const make = (world: World, point: Point | undefined, happens: (line: Line) => void): Network => {
  const lines = new Set<Line>()
  let accept: ((pipe: Transport.Pipe) => void) | undefined
  let dialled = 0
  const passed = { client: 0, broker: 0 }

  const passing = (line: Line, from: Side): void => {
    passed[from]++
    if (point?.side === from && passed[from] === point.frame) happens(line)
  }

  const connect = (target: Transport.Target): Effect.Effect<Transport.Pipe, AmqpError.ConnectError> =>
    Effect.gen(function*() {
      const endpoint = `${target.host}:${target.port}`
      if (network.dials === "ignored") {
        yield* Effect.sleep(target.connectTimeout ?? Duration.seconds(10))
        return yield* AmqpError.ConnectError.at(endpoint, "Timeout", "no answer")
      }
      const listener = accept
      if (network.dials === "refused" || listener === undefined) {
        return yield* AmqpError.ConnectError.at(endpoint, "Refused", "connection refused")
      }
      const line = new FrameLine(world, `client:${++dialled}`, passing, (line) => void lines.delete(line))
      lines.add(line)
      world.soon(() => listener(line.ends.broker))
      return line.ends.client
    })

  const network: Network = {
    transport: {
      dial: (target) =>
        Effect.acquireRelease(Effect.interruptible(connect(target)), (pipe) => Effect.sync(() => pipe.destroy()))
    },
    server: {
      listen: (target, onPipe) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            accept = onPipe
            return { host: target.host, port: 5672 }
          }),
          () =>
            Effect.sync(() => {
              accept = undefined
              for (const line of lines) line.cut()
            })
        )
    },
    lines,
    passed,
    dials: "answered"
  }
  return network
}
