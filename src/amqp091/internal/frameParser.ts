/**
 * Finds the frames of 0-9-1 in a stream of bytes: one pass over whatever arrived, no object per frame. What a frame
 * means is the handler's to know. A method or header that a read cuts in two is carried; bodies are handed on in pieces.
 *
 * @internal
 */
import { FrameError } from "../../AmqpError.ts"
import type { FrameReason } from "../../AmqpError.ts"
import * as Allocation from "../../wire/Allocation.ts"

/** @internal */
export const frameMethod = 1
/** @internal */
export const frameHeader = 2
/** @internal */
export const frameBody = 3
/** @internal */
export const frameHeartbeat = 8
/** @internal */
export const frameEnd = 0xce
/**
 * Type, channel and size before a payload, and the end octet after it.
 *
 * @internal
 */
export const envelopeSize = 8
/**
 * What the peers' first bytes are, but for major, minor and revision: `AMQP` and a zero.
 *
 * @internal
 */
export const protocolId: ReadonlyArray<number> = [0x41, 0x4d, 0x51, 0x50]

/**
 * What the parser calls, in the order of the stream. Bytes are valid during the call only.
 *
 * @internal
 */
export interface FrameHandler {
  /** The payload of a method frame, whole. */
  onMethod(channel: number, bytes: Uint8Array, start: number, end: number): void
  /** The payload of a header frame, whole. */
  onHeader(channel: number, bytes: Uint8Array, start: number, end: number): void
  /** A piece, never empty, of a body frame's payload. */
  onBody(channel: number, bytes: Uint8Array, start: number, end: number): void
  /** The body frame whose pieces came is over and was well formed. */
  onBodyEnd(channel: number): void
  onHeartbeat(channel: number): void
  /** The four octets after `AMQP`: for 0-9-1 they are 0, 0, 9, 1. */
  onProtocolHeader(id: number, major: number, minor: number, revision: number): void
}

/**
 * The frame in which a fault was found, with as much of its payload as was at hand.
 *
 * @internal
 */
export interface Offending {
  readonly type: number
  readonly channel: number
  readonly size: number
  readonly octets: Uint8Array
  /** Where the frame should end, when that was the fault. */
  readonly end: number | undefined
}

const none = new Uint8Array(0)

// As much of a faulty frame as anybody wants to be told of.
const largestSample = 128

// What a carried frame starts with, and what is kept of a carry once it is empty.
const smallestCarry = 512
const largestKept = 1 << 20

/**
 * An incremental parser. After a throw it is `stopped`.
 *
 * @internal
 */
export class FrameParser {
  /** The largest frame taken, its envelope included; 0 means no limit. May be set at any time. */
  maxFrameSize = 0
  /** Takes nothing any more: set by the handler, or after a fault. */
  stopped = false
  /** How many frames have come whole. */
  frames = 0
  /** Set with a fault, when at least the head of its frame has come. */
  offending: Offending | undefined

  private readonly handler: FrameHandler
  // The envelope's seven octets, or the protocol header's eight, that came so far.
  private readonly head = Allocation.allocate(8)
  private headSize = 0
  private type = 0
  private channel = 0
  // Octets of the payload, and how many of them came; -1 while the head is not complete.
  private size = -1
  private seen = 0
  private announced = 0
  private wrongEnd: number | undefined
  private carry = none
  private state: "first" | "protocol" | "frames" = "first"
  private readonly server: boolean

  /** With `expectProtocolHeader` (the server's role) nothing but that may come first. */
  constructor(handler: FrameHandler, options?: { readonly expectProtocolHeader?: boolean | undefined }) {
    this.handler = handler
    this.server = options?.expectProtocolHeader === true
  }

  /** Whether what came so far ends with a frame, and not within one. */
  get isBetweenFrames(): boolean {
    return this.headSize === 0 && this.size < 0 && this.state !== "protocol"
  }

  /** How large the payload is of which only a part has come; 0 where there is none. */
  get underWay(): number {
    return this.size < 0 ? 0 : this.size
  }

  /**
   * Takes what arrived. Throws `FrameError`: `FrameType`, `FrameEnd`, `FrameSize`, with offsets from the start of the
   * frame at fault, and whatever the handler throws.
   */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.stopped) return
    let at = start
    let isPayload = false
    try {
      if (this.state !== "frames") at = this.protocolHeader(bytes, at, end)
      while (at < end && !this.stopped) {
        isPayload = this.size >= 0
        if (isPayload) {
          at = this.payload(bytes, at, end)
        } else if (this.headSize === 0 && end - at >= 7) {
          this.envelope(bytes, at, end)
          at += 7
        } else {
          this.head[this.headSize++] = bytes[at++]!
          if (this.headSize === 1) this.checkType(this.head[0]!, bytes, at - 1, end)
          if (this.headSize === 7) {
            this.envelope(this.head, 0, 7)
            this.headSize = 0
          }
        }
      }
    } catch (error) {
      this.stopped = true
      this.offending = isPayload ? this.sample(bytes, at, end) : this.headSample(bytes, at, end)
      throw error
    }
  }

  private sample(bytes: Uint8Array, at: number, end: number): Offending {
    const { announced: size, channel, type, wrongEnd } = this
    const isCarried = this.seen > 0 && type !== frameBody
    const octets = isCarried
      ? this.carry.subarray(0, Math.min(this.seen, size))
      : bytes.subarray(at, Math.min(at + size, end))
    return { type, channel, size, octets: octets.slice(0, largestSample), end: wrongEnd }
  }

  private headSample(bytes: Uint8Array, at: number, end: number): Offending | undefined {
    const isSplit = this.headSize > 0
    const head = isSplit ? this.head.subarray(0, this.headSize) : bytes.subarray(at, end)
    if (this.state !== "frames" || head.length < 7) return undefined
    const size = sizeOf(head, 0)
    const from = isSplit ? at : at + 7
    return {
      type: head[0]!,
      channel: (head[1]! << 8) | head[2]!,
      size,
      octets: bytes.slice(from, Math.min(from + Math.min(size, largestSample), end)),
      end: undefined
    }
  }

  private protocolHeader(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    if (this.state === "first") {
      if (at >= end) return at
      if (bytes[at] === protocolId[0]) {
        this.state = "protocol"
      } else if (this.server) {
        return this.foreign(bytes, at, end)
      } else {
        this.state = "frames"
        this.checkType(bytes[at]!, bytes, at, end)
        return at
      }
    }
    const head = this.head
    while (at < end) {
      const octet = bytes[at]!
      if (this.headSize < 4 && octet !== protocolId[this.headSize]) return this.foreign(bytes, at, end)
      head[this.headSize++] = octet
      at++
      if (this.headSize === 8) {
        this.headSize = 0
        this.state = "frames"
        this.handler.onProtocolHeader(head[4]!, head[5]!, head[6]!, head[7]!)
        return at
      }
    }
    return at
  }

  // Bytes that are no AMQP: what came is told, for it often says what the peer is (`HTTP/1.1 400 Bad Request`).
  private foreign(bytes: Uint8Array, at: number, end: number): never {
    let text = ""
    for (let i = 0; i < this.headSize; i++) text += printable(this.head[i]!)
    for (let i = at; i < end && text.length < 64; i++) text += printable(bytes[i]!)
    return this.fail("FrameType", "protocol header", this.headSize, text)
  }

  private checkType(type: number, bytes: Uint8Array, at: number, end: number): void {
    if (type === frameMethod || type === frameHeader || type === frameBody || type === frameHeartbeat) return
    let text = ""
    for (let i = at; i < end && text.length < 64; i++) text += printable(bytes[i]!)
    this.fail("FrameType", "frame.type", 0, text)
  }

  private envelope(bytes: Uint8Array, at: number, end: number): void {
    const type = bytes[at]!
    this.checkType(type, bytes, at, end)
    const size = sizeOf(bytes, at)
    const max = this.maxFrameSize
    if (max !== 0 && size + envelopeSize > max) {
      this.fail("FrameSize", "frame.size", 3, `a frame of ${size + envelopeSize} octets, and ${max} are allowed`)
    }
    if (type === frameHeartbeat && size !== 0) this.fail("FrameSize", "frame.size", 3, "a heartbeat has no payload")
    this.type = type
    this.channel = (bytes[at + 1]! << 8) | bytes[at + 2]!
    this.size = size
    this.announced = size
    this.seen = 0
  }

  private payload(bytes: Uint8Array, start: number, end: number): number {
    const size = this.size
    const rest = size - this.seen
    const available = end - start
    if (this.type === frameBody) return this.body(bytes, start, rest < available ? start + rest : end, rest < available)
    if (this.seen === 0 && available > size) {
      this.finish(bytes[start + size]!)
      this.dispatch(bytes, start, start + size)
      return start + size + 1
    }
    const taken = Math.min(rest, available)
    this.keep(bytes, start, taken)
    if (available <= rest) return end
    this.finish(bytes[start + taken]!)
    const carry = this.carry
    if (carry.length > largestKept) this.carry = none
    this.dispatch(carry, 0, size)
    return start + taken + 1
  }

  private body(bytes: Uint8Array, start: number, end: number, complete: boolean): number {
    this.seen += end - start
    if (end > start) this.handler.onBody(this.channel, bytes, start, end)
    if (!complete || this.stopped) return end
    this.finish(bytes[end]!)
    this.handler.onBodyEnd(this.channel)
    return end + 1
  }

  // Grows with what came, never by what was announced.
  private keep(bytes: Uint8Array, start: number, size: number): void {
    const seen = this.seen
    const needed = seen + size
    if (needed > this.carry.length) {
      const carry = Allocation.allocate(Math.max(smallestCarry, needed, Math.min(this.size, this.carry.length * 2)))
      carry.set(this.carry.subarray(0, seen))
      this.carry = carry
    }
    this.carry.set(bytes.subarray(start, start + size), seen)
    this.seen = needed
  }

  private finish(octet: number): void {
    if (octet !== frameEnd) {
      this.wrongEnd = octet
      this.fail("FrameEnd", "frame.end", this.size + 7, `0x${octet.toString(16).padStart(2, "0")} is not 0xce`)
    }
    this.size = -1
    this.frames++
  }

  private dispatch(bytes: Uint8Array, start: number, end: number): void {
    if (this.type === frameMethod) this.handler.onMethod(this.channel, bytes, start, end)
    else if (this.type === frameHeader) this.handler.onHeader(this.channel, bytes, start, end)
    else this.handler.onHeartbeat(this.channel)
  }

  private fail(reason: FrameReason, field: string, offset: number, text: string): never {
    throw new FrameError({ reason, field, offset, text })
  }
}

const sizeOf = (head: Uint8Array, at: number): number =>
  ((head[at + 3]! << 24) | (head[at + 4]! << 16) | (head[at + 5]! << 8) | head[at + 6]!) >>> 0

const printable = (octet: number): string =>
  octet >= 0x20 && octet < 0x7f && octet !== 0x5c
    ? String.fromCharCode(octet)
    : `\\x${octet.toString(16).padStart(2, "0")}`
