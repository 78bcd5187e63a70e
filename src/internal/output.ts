/**
 * What waits to be written to one socket. Small frames are encoded straight into a reused buffer; a large body stays
 * where it is and is cut into frames when its turn comes, so that big messages share the socket and never hold up
 * heartbeats or the frames of other channels. Knows frames' order, not their meaning, and does no I/O.
 *
 * @since 0.1.0
 */
import * as Allocation from "../wire/Allocation.ts"
import { ByteWriter } from "../wire/ByteWriter.ts"

/** Where bytes go: a pipe, or a test. @internal */
export interface Sink {
  readonly write: (bytes: Uint8Array, onWritten?: () => void) => boolean
}

/** How a protocol wraps a piece of a body: its envelope before and after. @internal */
export interface BodyFraming {
  readonly head: (writer: ByteWriter, channel: number, size: number) => void
  readonly tail: (writer: ByteWriter) => void
}

/** A body goes by reference from here on: copying it would cost more than its own write. @internal */
export const byReference = 16 * 1024

const bufferSize = 64 * 1024

/** A buffer that holds this much goes out: with one more frame and its copied body it would have to grow. @internal */
export const full = bufferSize - byReference

// Shared by all connections: a buffer is wanted from the first frame of a turn until the kernel has it.
const spares: Array<Uint8Array> = []
const spareBuffers = 32
const noBuffer = new Uint8Array(0)

// One flush hands over at most this much of large bodies: then urgent frames get their turn again. Less costs more writes,
// of which each pays for a turn of the event loop: at 64 KiB a message a quarter more CPU with 256 KiB.
const bodyBudget = 1024 * 1024

type Queued =
  | { readonly _tag: "Frames"; readonly bytes: Uint8Array }
  | { readonly _tag: "Body"; readonly bytes: Uint8Array; offset: number }

/** What waits on one channel. */
interface Line {
  readonly channel: number
  readonly items: Array<Queued>
}

/** @internal */
export class Output {
  /** Frames of channels that have no large body waiting. */
  private readonly writer = new ByteWriter(0)
  /** Frames that must stay behind a large body of their channel, encoded here before they are queued. */
  private readonly scratch = new ByteWriter(0)
  /** Those that have large bodies waiting, whose turn it is next first; a Map in their place would chain all that went. */
  private readonly lines: Array<Line> = []
  /** The same by channel. */
  private lineOf: Array<Line | undefined> = []
  /** The end of everything: goes when no body waits any more. */
  private farewell: Uint8Array | undefined
  /** Where the frames between `begin` and `commit` go: the queue of their channel, if it has one. */
  private queue: Array<Queued> | undefined
  private mark = 0
  /** What lies before it in the writer has been handed over, in pieces, between bodies that went by reference. */
  private start = 0
  private queued = 0
  private unwritten = 0
  /** How many octets have gone to the pipe so far. */
  handedOver = 0
  /** Counts what was put behind anything else, and what was handed over. */
  private changes = 0
  private readonly framing: BodyFraming
  /** The most body octets a frame may carry. */
  maxBody = 4088
  /** Called when octets have been written, and `pending` is less. */
  onWritten: (() => void) | undefined

  constructor(framing: BodyFraming) {
    this.framing = framing
  }

  /** Octets that are not in the kernel's hands yet. */
  get pending(): number {
    return this.buffered + this.queued + this.unwritten
  }

  /** Octets that a flush would hand over. */
  get unflushed(): number {
    return this.buffered + this.queued
  }

  /** Octets in the buffer, which would only grow. */
  get buffered(): number {
    return this.writer.length - this.start
  }

  /** Begins frames of one channel: they are encoded into what it returns, up to `commit` or `cancel`. */
  begin(channel: number): ByteWriter {
    this.queue = this.lines.length === 0 ? undefined : this.lineOf[channel]?.items
    const writer = this.queue === undefined ? this.frameWriter() : this.scratch
    this.mark = writer.length
    return writer
  }

  /** The frames since `begin` are whole. */
  commit(): void {
    this.changes++
    if (this.queue === undefined) return
    this.enqueue(this.queue, this.takeScratch())
    this.queue = undefined
  }

  /** Takes back what was encoded since `begin`. */
  cancel(): void {
    const writer = this.queue === undefined ? this.writer : this.scratch
    writer.length = this.mark
    this.queue = undefined
  }

  /** A name for what was just committed, by which it can be found as long as nothing follows it: see `amend`. */
  get latest(): number {
    // Behind a large body it lies in a queue.
    return this.lines.length === 0 ? this.changes : -1
  }

  /** The buffer that ends with what was `latest` then; `undefined` once something follows, or it was handed over. */
  amend(latest: number): ByteWriter | undefined {
    return latest === this.changes ? this.writer : undefined
  }

  /**
   * Encodes frames of one channel. When `encode` throws, nothing of it is sent.
   */
  frames(channel: number, encode: (writer: ByteWriter) => void): void {
    const writer = this.begin(channel)
    try {
      encode(writer)
    } catch (error) {
      this.cancel()
      throw error
    }
    this.commit()
  }

  /** Encodes what goes behind everything that waits. When `encode` throws, nothing of it is sent. */
  last(encode: (writer: ByteWriter) => void): void {
    this.changes++
    if (this.lines.length === 0) return this.frames(0, encode)
    try {
      encode(this.scratch)
    } catch (error) {
      this.scratch.length = 0
      throw error
    }
    this.farewell = this.takeScratch()
    this.queued += this.farewell.length
  }

  /** Adds a body behind the frames just encoded on the same channel. */
  body(channel: number, bytes: Uint8Array): void {
    this.changes++
    const line = this.lineOf[channel]
    if (line === undefined && bytes.length < byReference) return this.copyBody(this.frameWriter(), channel, bytes)
    const item: Queued = { _tag: "Body", bytes, offset: 0 }
    if (line === undefined) this.lines.push(this.lineOf[channel] = { channel, items: [item] })
    else line.items.push(item)
    this.queued += bytes.length
  }

  /** Hands over what waits; `false` when the sink wants no more for now. */
  flush(sink: Sink): boolean {
    let writable = this.flushFrames(sink)
    let budget = bodyBudget
    while (writable && budget > 0) {
      const line = this.lines.shift()
      if (line === undefined) break
      const { channel, items: queue } = line
      const item = queue[0]
      if (item?._tag === "Frames") {
        budget -= this.putFrames(queue, item.bytes)
      } else if (item !== undefined) {
        const size = Math.min(this.maxBody, item.bytes.length - item.offset)
        writable = this.putBody(sink, channel, queue, item, size)
        budget -= size
      }
      // To the end of the round, which goes on with the next flush where this one stops.
      if (queue.length > 0) this.lines.push(line)
      else this.lineOf[channel] = undefined
      if (writable && this.buffered >= full) writable = this.handOver(sink, true)
    }
    if (this.farewell !== undefined && this.lines.length === 0) {
      this.queued -= this.farewell.length
      this.frameWriter().raw(this.farewell, 0, this.farewell.length)
      this.farewell = undefined
    }
    return writable && this.flushFrames(sink)
  }

  /** Hands over what waits for no body: also the last words on a pipe that is not to be written to for now. */
  flushFrames(sink: Sink): boolean {
    return this.buffered === 0 || this.handOver(sink, true)
  }

  /** Forgets what was not handed over. */
  discard(): void {
    this.changes++
    this.writer.reset(noBuffer)
    this.start = 0
    this.dropQueued()
  }

  /** Forgets the large bodies and what waits behind them. */
  dropQueued(): void {
    this.lines.length = 0
    this.lineOf = []
    this.farewell = undefined
    this.queued = 0
  }

  /** An idle connection keeps no buffer: it takes one when there is something to encode. */
  private frameWriter(): ByteWriter {
    if (this.writer.bytes.length === 0) this.writer.reset(spares.pop() ?? Allocation.allocate(bufferSize))
    return this.writer
  }

  private copyBody(writer: ByteWriter, channel: number, bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += this.maxBody) {
      const size = Math.min(this.maxBody, bytes.length - offset)
      this.framing.head(writer, channel, size)
      writer.raw(bytes, offset, offset + size)
      this.framing.tail(writer)
    }
  }

  private enqueue(queue: Array<Queued>, bytes: Uint8Array): void {
    queue.push({ _tag: "Frames", bytes })
    this.queued += bytes.length
  }

  private takeScratch(): Uint8Array {
    const bytes = this.scratch.bytes.slice(0, this.scratch.length)
    this.scratch.length = 0
    return bytes
  }

  private putFrames(queue: Array<Queued>, bytes: Uint8Array): number {
    queue.shift()
    this.queued -= bytes.length
    this.frameWriter().raw(bytes, 0, bytes.length)
    return bytes.length
  }

  /** Puts the next `size` octets of a body, as a frame, behind what the writer holds. */
  private putBody(
    sink: Sink,
    channel: number,
    queue: Array<Queued>,
    item: Extract<Queued, { readonly _tag: "Body" }>,
    size: number
  ): boolean {
    const start = item.offset
    item.offset += size
    if (item.offset === item.bytes.length) queue.shift()
    this.queued -= size
    this.framing.head(this.frameWriter(), channel, size)
    let writable = true
    if (size < byReference) {
      this.writer.raw(item.bytes, start, start + size)
    } else {
      this.handOver(sink, this.writer.length >= full)
      writable = this.write(sink, item.bytes.subarray(start, start + size))
    }
    this.framing.tail(this.frameWriter())
    return writable
  }

  /** Hands over what the buffer holds; without `all` the buffer goes on behind it. */
  private handOver(sink: Sink, all: boolean): boolean {
    this.changes++
    const { bytes, length } = this.writer
    const piece = bytes.subarray(this.start, length)
    if (!all) {
      this.start = length
      return this.write(sink, piece)
    }
    this.start = 0
    this.writer.reset(noBuffer)
    return this.write(sink, piece, bytes)
  }

  private write(sink: Sink, bytes: Uint8Array, reusable?: Uint8Array): boolean {
    this.unwritten += bytes.length
    this.handedOver += bytes.length
    return sink.write(bytes, () => {
      this.unwritten -= bytes.length
      if (reusable !== undefined && reusable.length === bufferSize && spares.length < spareBuffers) {
        spares.push(reusable)
      }
      this.onWritten?.()
    })
  }
}
