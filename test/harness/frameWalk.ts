/** What each octet of a conversation in 0-9-1 belongs to: for who does something to one part of its frames alone. */

/**
 * Of a frame: `envelope` is type, channel and end octet; `size` stands between them; of a method `command` is its class and
 * number, `arguments` the rest; `properties` is the payload of a content header; `body` that of a body frame.
 */
export type Part = "envelope" | "size" | "command" | "arguments" | "properties" | "body"

/** Octets of one part, from `start` to `end` of what was pushed. */
export interface Piece {
  readonly part: Part
  readonly start: number
  readonly end: number
}

const sizeAt = 3
const envelopeSize = 7
const commandSize = 4

/** Follows one direction from its beginning. The protocol header of a client belongs to no part. */
export class FrameWalk {
  /** Whether a frame of a channel, not of the connection, has begun. */
  hasChannel = false
  private position: number
  private readonly head = new Uint8Array(envelopeSize)
  private size = 0

  constructor(side: "client" | "server") {
    this.position = side === "client" ? -8 : 0
  }

  /** The pieces of what comes next, in order. */
  push(bytes: Uint8Array): ReadonlyArray<Piece> {
    const pieces: Array<Piece> = []
    for (let at = 0; at < bytes.length;) {
      const { part, position, remaining } = this
      const end = Math.min(bytes.length, at + remaining)
      if (part !== undefined) pieces.push({ part, start: at, end })
      if (position >= 0 && position < envelopeSize) this.head.set(bytes.subarray(at, end), position)
      this.advance(end - at)
      at = end
    }
    return pieces
  }

  private get part(): Part | undefined {
    const { head, position, size } = this
    if (position < 0) return undefined
    if (position < sizeAt || position === envelopeSize + size) return "envelope"
    if (position < envelopeSize) return "size"
    if (head[0] === 2) return "properties"
    if (head[0] === 3) return "body"
    return position < envelopeSize + commandSize ? "command" : "arguments"
  }

  /** How many octets until the part changes. */
  private get remaining(): number {
    const { head, position, size } = this
    if (position < 0) return -position
    if (position < envelopeSize) return (position < sizeAt ? sizeAt : envelopeSize) - position
    if (position === envelopeSize + size) return 1
    const end = envelopeSize + size
    return head[0] === 1 && position < envelopeSize + commandSize
      ? Math.min(end, envelopeSize + commandSize) - position
      : end - position
  }

  private advance(octets: number): void {
    const { head } = this
    this.position += octets
    if (this.position === envelopeSize) {
      this.size = new DataView(head.buffer).getUint32(sizeAt)
      if (head[1] !== 0 || head[2] !== 0) this.hasChannel = true
    } else if (this.position === envelopeSize + this.size + 1) {
      this.position = 0
    }
  }
}
