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
const spareBuffers = 4
// One flush hands over at most this much of large bodies: then urgent frames get their turn again.
const bodyBudget = 256 * 1024

type Queued =
  | { readonly _tag: "Frames"; readonly bytes: Uint8Array }
  | { readonly _tag: "Body"; readonly bytes: Uint8Array; offset: number }

/** @internal */
export class Output {
  /** Frames of channels that have no large body waiting. */
  private readonly writer = new ByteWriter(bufferSize)
  /** Frames that must stay behind a large body of their channel, encoded here before they are queued. */
  private readonly scratch = new ByteWriter(1024)
  private readonly queues = new Map<number, Array<Queued>>()
  private readonly spares: Array<Uint8Array> = []
  private queued = 0
  private unwritten = 0
  private readonly framing: BodyFraming
  /** The most body octets a frame may carry. */
  maxBody = 4088

  constructor(framing: BodyFraming) {
    this.framing = framing
  }

  /** Octets that are not in the kernel's hands yet. */
  get pending(): number {
    return this.writer.length + this.queued + this.unwritten
  }

  /** Octets that a flush would hand over. */
  get unflushed(): number {
    return this.writer.length + this.queued
  }

  /**
   * Encodes frames of one channel. When `encode` throws, nothing of it is sent.
   */
  frames(channel: number, encode: (writer: ByteWriter) => void): void {
    const queue = this.queues.get(channel)
    const writer = queue === undefined ? this.writer : this.scratch
    const mark = writer.length
    try {
      encode(writer)
    } catch (error) {
      writer.length = mark
      throw error
    }
    if (queue !== undefined) this.enqueue(queue, this.takeScratch())
  }

  /** Adds a body behind the frames just encoded on the same channel. */
  body(channel: number, bytes: Uint8Array): void {
    const queue = this.queues.get(channel)
    if (queue === undefined && bytes.length < byReference) return this.copyBody(this.writer, channel, bytes)
    if (queue !== undefined) {
      queue.push({ _tag: "Body", bytes, offset: 0 })
    } else {
      this.queues.set(channel, [{ _tag: "Body", bytes, offset: 0 }])
    }
    this.queued += bytes.length
  }

  /** Hands over what waits; `false` when the sink wants no more for now. */
  flush(sink: Sink): boolean {
    let writable = true
    if (this.writer.length > 0) writable = this.handOver(sink)
    let budget = bodyBudget
    while (writable && this.queues.size > 0 && budget > 0) {
      for (const [channel, queue] of this.queues) {
        budget -= this.oneFrame(sink, channel, queue)
        if (queue.length === 0) this.queues.delete(channel)
      }
      if (this.writer.length > 0) writable = this.handOver(sink)
    }
    return writable
  }

  /** Forgets what was not handed over. */
  discard(): void {
    this.writer.length = 0
    this.queues.clear()
    this.queued = 0
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

  /** Puts the next frame of a queue behind what the writer holds, and says how many octets that were. */
  private oneFrame(sink: Sink, channel: number, queue: Array<Queued>): number {
    const item = queue[0]
    if (item === undefined) return 0
    if (item._tag === "Frames") {
      queue.shift()
      this.queued -= item.bytes.length
      this.writer.raw(item.bytes, 0, item.bytes.length)
      return item.bytes.length
    }
    const size = Math.min(this.maxBody, item.bytes.length - item.offset)
    const start = item.offset
    item.offset += size
    if (item.offset === item.bytes.length) queue.shift()
    this.queued -= size
    this.framing.head(this.writer, channel, size)
    if (size < byReference) {
      this.writer.raw(item.bytes, start, start + size)
    } else {
      this.handOver(sink)
      this.write(sink, item.bytes.subarray(start, start + size))
    }
    this.framing.tail(this.writer)
    return size
  }

  private handOver(sink: Sink): boolean {
    const buffer = this.writer.bytes
    const length = this.writer.length
    this.writer.reset(this.spares.pop() ?? Allocation.allocate(bufferSize))
    return this.write(sink, buffer.subarray(0, length), buffer)
  }

  private write(sink: Sink, bytes: Uint8Array, reusable?: Uint8Array): boolean {
    this.unwritten += bytes.length
    return sink.write(bytes, () => {
      this.unwritten -= bytes.length
      if (reusable !== undefined && reusable.length === bufferSize && this.spares.length < spareBuffers) {
        this.spares.push(reusable)
      }
    })
  }
}
