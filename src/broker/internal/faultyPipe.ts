/**
 * A client's pipe that things can go wrong with. While nothing does, it hands everything through.
 */
import type { Pipe, PipeHandler, PipeTls } from "../../Transport.ts"
import type { Piece } from "./face091/frames.ts"
import { Frames, isPublish } from "./face091/frames.ts"
import type { Conditions, Cut } from "./faultyWrites.ts"
import { FaultyWrites } from "./faultyWrites.ts"

/** @internal */
export interface FaultyPipeOptions {
  readonly now: () => number
  readonly due: (deadline: number) => void
  /** The client's end or ours has come, for good. */
  readonly onGone: (pipe: FaultyPipe) => void
}

/** Who reads from it. @internal */
export interface Reader {
  /** It has the last frame whole. */
  readonly isBetweenFrames: boolean
  /** Nothing more is read for now, so that the client's silence says nothing; `true`: it is again. */
  readonly onReading: (isReading: boolean) => void
}

/** @internal */
export class FaultyPipe implements Pipe {
  readonly remote: string
  readonly tls: PipeTls | undefined
  /** Set when it is there. */
  reader: Reader | undefined
  readonly #pipe: Pipe
  readonly #options: FaultyPipeOptions
  #handler: PipeHandler | undefined
  #conditions: Conditions | undefined
  #writes: FaultyWrites | undefined
  #reads: Frames | undefined
  /** What came behind the first publish that waits. */
  #backlog: Array<Piece> | undefined
  /** The face wants no more for now. */
  #isPaused = false
  /** The face is done with it: what still comes is nobody's. */
  #isLeft = false
  /** What was written last is still to arrive: the client's end is the end. */
  #isEnding = false
  #isGone = false

  constructor(pipe: Pipe, options: FaultyPipeOptions) {
    this.#pipe = pipe
    this.#options = options
    this.remote = pipe.remote
    this.tls = pipe.tls
  }

  // --- What the face does ---

  start(handler: PipeHandler): void {
    this.#handler = handler
    this.#pipe.start({
      onData: (bytes, start, end) => {
        if (this.#conditions === undefined && !this.#isLeft) return handler.onData(bytes, start, end)
        this.#read(bytes, start, end)
      },
      onDrain: () => handler.onDrain(),
      onClose: (cause) => {
        const wasLeft = this.#isLeft
        this.#go()
        if (!wasLeft) handler.onClose(cause)
      }
    })
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (this.#writes === undefined) return this.#pipe.write(bytes, onWritten)
    if (!this.#isLeft) return this.#writes.write(bytes, onWritten)
    if (onWritten !== undefined) queueMicrotask(onWritten)
    return true
  }

  endOfTurn(task: () => void): void {
    this.#pipe.endOfTurn(task)
  }

  pause(): void {
    this.#isPaused = true
    this.#pipe.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#backlog === undefined) this.#pipe.resume()
  }

  end(): void {
    if (this.#writes === undefined) this.#pipe.end()
    else if (!this.#isLeft) this.#writes.end()
  }

  destroy(): void {
    if (this.#isLeft) return
    this.#isLeft = true
    // Who says nothing does not say goodbye either: the client's end, or healing, is the end.
    if (this.#conditions?.isSilent === true) this.#writes?.close()
    else this.kill()
  }

  // --- What faults do ---

  /** Destroys it, whatever is wrong. */
  kill(): void {
    if (this.#isGone) return
    this.#pipe.destroy()
    this.#go()
  }

  set(conditions: Conditions | undefined): void {
    if (this.#isGone) return
    this.#conditions = conditions
    if (this.#isLeft) {
      if (conditions?.isSilent !== true && !this.#isEnding) this.kill()
      return
    }
    if (conditions !== undefined) this.#writes ??= this.#makeWrites(conditions)
    this.#writes?.set(conditions)
    if (conditions?.holdsPublishes !== true) this.#readOn()
    if (!this.#readsFrames) this.#handOverRest()
  }

  get nextDeadline(): number {
    return this.#writes?.nextDeadline ?? Infinity
  }

  pump(): void {
    this.#writes?.pump()
  }

  #makeWrites(conditions: Conditions): FaultyWrites {
    return new FaultyWrites({
      pipe: this.#pipe,
      now: this.#options.now,
      due: this.#options.due,
      onDrain: () => this.#handler?.onDrain(),
      onIdle: () => {
        this.#writes = undefined
      },
      onCut: (cut) =>
        this.#cut(cut, () => {
          this.#isEnding = true
          this.#pipe.end()
        })
    }, conditions)
  }

  get #readsFrames(): boolean {
    return this.#conditions !== undefined &&
      (this.#conditions.holdsPublishes || this.#conditions.cuts.some(isOfClient))
  }

  #read(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isLeft) return
    if (!this.#readsFrames) return this.#handler?.onData(bytes, start, end)
    let at = start
    if (this.#reads === undefined) {
      // Counting begins with a whole frame: the one that has begun is finished first.
      while (at < end && this.reader?.isBetweenFrames === false) this.#handler?.onData(bytes, at, ++at)
      this.#reads = new Frames()
    }
    for (const piece of this.#reads.push(bytes.subarray(at, end))) this.#take(piece)
  }

  #take(piece: Piece): void {
    if (this.#isLeft) return
    if (this.#backlog !== undefined) return void this.#backlog.push(piece)
    if (this.#conditions?.holdsPublishes === true && isPublish(piece)) {
      this.#backlog = [piece]
      this.#pipe.pause()
      return this.reader?.onReading(false)
    }
    this.#handler?.onData(piece.bytes, 0, piece.bytes.length)
    if (this.#isLeft || !piece.isFrame) return
    for (const cut of this.#conditions?.cuts.filter(isOfClient) ?? []) {
      if (--cut.left === 0) return this.#cut(cut, () => this.kill())
    }
  }

  #readOn(): void {
    const backlog = this.#backlog
    if (backlog === undefined) return
    this.#backlog = undefined
    this.reader?.onReading(true)
    for (const piece of backlog) this.#take(piece)
    if (!this.#isPaused && this.#backlog === undefined) this.#pipe.resume()
  }

  #handOverRest(): void {
    const rest = this.#reads?.take()
    this.#reads = undefined
    if (rest !== undefined && rest.length > 0) this.#handler?.onData(rest, 0, rest.length)
  }

  #cut(cut: Cut, how: () => void): void {
    this.#isLeft = true
    this.#writes?.close()
    how()
    cut.onCut()
    // In a turn of its own, as any news of a pipe.
    this.#pipe.endOfTurn(() => this.#handler?.onClose(new Error("The connection was cut, as asked for")))
  }

  #go(): void {
    if (this.#isGone) return
    this.#isLeft = true
    this.#isGone = true
    this.#writes?.close()
    this.#options.onGone(this)
  }
}

const isOfClient = (cut: Cut): boolean => cut.of === "client"
