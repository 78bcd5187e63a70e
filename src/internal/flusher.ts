/**
 * When output is flushed: once per turn of the event loop, at once when the buffer is full or the caller asks for it,
 * and again when the pipe has drained. One per socket.
 *
 * @since 0.1.0
 */
import type { Pipe } from "../Transport.ts"
import type { Output } from "./output.ts"
import { full } from "./output.ts"

/** @internal */
export class Flusher {
  private readonly pipe: Pipe
  private readonly output: Output
  private readonly onSpace: () => void
  private readonly onFlush: () => void
  private hurried = false
  private scheduled = false
  private writable = true
  private closed = false

  /**
   * `onSpace` is called when octets were written, and when the pipe has drained: publishers that wait look again.
   * `onFlush`: octets go to the pipe.
   */
  constructor(pipe: Pipe, output: Output, onSpace: () => void, onFlush: () => void) {
    this.pipe = pipe
    this.output = output
    this.onSpace = onSpace
    this.onFlush = onFlush
    // Not after a flush: what is handed over counts as pending until it is written.
    output.onWritten = this.space
  }

  /** There is output: flush it at the end of this turn. */
  request(): void {
    if (this.output.buffered >= full) return this.now()
    this.schedule()
  }

  /** Flush at once, but for the first of a turn only: who comes second is not alone, and shares the turn's write. */
  hurry(): void {
    if (this.hurried) return this.request()
    this.hurried = true
    this.now()
    this.schedule()
  }

  /** Flush without waiting for the end of the turn. */
  now(): void {
    if (this.closed || !this.writable || this.output.unflushed === 0) return
    this.onFlush()
    this.writable = this.output.flush(this.pipe)
    // What is left of large bodies goes out in the next turn, behind what became urgent meanwhile.
    if (this.output.unflushed > 0) this.schedule()
  }

  drained(): void {
    this.writable = true
    this.now()
    this.space()
  }

  /** The last words go to the pipe, whether it wants more or not; the rest is forgotten. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.output.flushFrames(this.pipe)
    this.output.discard()
  }

  private schedule(): void {
    if (this.scheduled || !this.writable || this.closed) return
    this.scheduled = true
    this.pipe.endOfTurn(this.turn)
  }

  private readonly turn = (): void => {
    this.scheduled = false
    this.hurried = false
    this.now()
  }

  private readonly space = (): void => {
    if (!this.closed) this.onSpace()
  }
}
