/**
 * What a broker with faults writes to one client: frame by frame, later or never, cut in two or octet by octet. It stands
 * between a face and its pipe while something is wrong, and goes when all that it held has gone out.
 */
import type { Pipe } from "../../Transport.ts"
import type { Piece } from "./face091/frames.ts"
import { Frames, isHeartbeat } from "./face091/frames.ts"

/** A connection is cut after so many more frames. @internal */
export interface Cut {
  readonly of: "client" | "broker"
  left: number
  /** Half of the next frame goes out before. */
  readonly isMidFrame: boolean
  readonly onCut: () => void
}

/** What is wrong with a connection. @internal */
export interface Conditions {
  readonly isSilent: boolean
  readonly delayMillis: number
  readonly isBytewise: boolean
  readonly skipsHeartbeats: boolean
  /** Reading stops where a publish begins. */
  readonly holdsPublishes: boolean
  readonly cuts: ReadonlyArray<Cut>
}

/** @internal */
export interface WritesOptions {
  readonly pipe: Pipe
  readonly now: () => number
  readonly due: (deadline: number) => void
  /** The face may write again after a `false`. */
  readonly onDrain: () => void
  /** Nothing is held any more. */
  readonly onIdle: () => void
  /** A cut has come up: what was written goes out, then nothing. */
  readonly onCut: (cut: Cut) => void
}

interface Held extends Piece {
  readonly since: number
  readonly onWritten: Array<() => void>
}

// As much as a face may leave with a client that does not read.
const highWaterMark = 1024 * 1024

/** @internal */
export class FaultyWrites {
  private readonly options: WritesOptions
  private readonly frames = new Frames()
  private readonly queue: Array<Held> = []
  private conditions: Conditions
  private held = 0
  private isFull = false
  private isStepping = false
  private isEnding = false
  private isClosed = false

  constructor(options: WritesOptions, conditions: Conditions) {
    this.options = options
    this.conditions = conditions
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    for (const piece of this.frames.push(bytes)) this.hold(piece)
    if (onWritten !== undefined) this.behind(onWritten)
    this.pump()
    if (this.held < highWaterMark) return true
    this.isFull = true
    return false
  }

  /** `undefined`: nothing is wrong any more. */
  set(conditions: Conditions | undefined): void {
    if (conditions !== undefined) {
      this.conditions = conditions
    } else {
      this.conditions = healthy
      const rest = this.frames.take()
      if (rest.length > 0) this.hold({ bytes: rest, isFrame: false })
    }
    this.pump()
  }

  /** Ends the pipe behind what is held. */
  end(): void {
    this.isEnding = true
    this.pump()
  }

  /** Forgets what is held. */
  close(): void {
    this.isClosed = true
    for (const { onWritten } of this.queue.splice(0)) onWritten.forEach(queueMicrotask)
  }

  get nextDeadline(): number {
    const first = this.queue[0]
    return first === undefined || this.conditions.isSilent || this.isStepping ? Infinity : this.dueOf(first)
  }

  /** Lets go what may. */
  pump(): void {
    while (!this.isClosed && !this.isStepping) {
      const next = this.queue[0]
      if (next === undefined) return this.drained()
      if (this.conditions.isSilent) return
      const due = this.dueOf(next)
      if (due > this.options.now()) return this.options.due(due)
      this.queue.shift()
      this.held -= next.bytes.length
      this.put(next)
    }
  }

  private dueOf(held: Held): number {
    return held.since + this.conditions.delayMillis
  }

  private hold(piece: Piece): void {
    if (this.conditions.skipsHeartbeats && isHeartbeat(piece)) return
    this.held += piece.bytes.length
    this.queue.push({ ...piece, since: this.options.now(), onWritten: [] })
  }

  /** An unfinished frame is not waited for: it is the writer's own who ends it. */
  private behind(onWritten: () => void): void {
    const last = this.queue.at(-1)
    if (last === undefined) queueMicrotask(onWritten)
    else last.onWritten.push(onWritten)
  }

  private put(held: Held): void {
    const cuts = held.isFrame ? this.conditions.cuts.filter((cut) => cut.of === "broker") : []
    const inMidFrame = cuts.find((cut) => cut.isMidFrame && cut.left === 0)
    if (inMidFrame !== undefined) {
      held.onWritten.forEach(queueMicrotask)
      return this.send(held.bytes.subarray(0, held.bytes.length >> 1), () => this.options.onCut(inMidFrame))
    }
    for (const cut of cuts) cut.left--
    const reached = cuts.find((cut) => !cut.isMidFrame && cut.left === 0)
    this.send(
      held.bytes,
      () => reached !== undefined && this.options.onCut(reached),
      () => held.onWritten.forEach((written) => written())
    )
  }

  private send(bytes: Uint8Array, then: () => void, onWritten?: () => void): void {
    const { pipe } = this.options
    if (!this.conditions.isBytewise) {
      pipe.write(bytes, onWritten)
      return then()
    }
    let at = 0
    const step = (): void => {
      if (this.isClosed) return
      if (at === bytes.length) {
        this.isStepping = false
        then()
        return this.pump()
      }
      // One in a turn: a socket gathers what is written in the same one.
      pipe.write(bytes.subarray(at, ++at), at === bytes.length ? onWritten : undefined)
      pipe.endOfTurn(step)
    }
    this.isStepping = true
    step()
  }

  private drained(): void {
    if (this.isEnding) {
      this.isClosed = true
      return this.options.pipe.end()
    }
    if (this.isFull) {
      this.isFull = false
      this.options.onDrain()
    }
    if (this.conditions === healthy) this.options.onIdle()
  }
}

const healthy: Conditions = {
  isSilent: false,
  delayMillis: 0,
  isBytewise: false,
  skipsHeartbeats: false,
  holdsPublishes: false,
  cuts: []
}
