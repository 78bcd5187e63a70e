/**
 * A stream of octets put together to whole frames of 0-9-1, whatever is in them: for those who count or cut them. It
 * copies; the engine's own parser, on the path of every message, does not.
 */

const envelopeSize = 8
const headSize = 7
const heartbeat = 8
const frameEnd = 0xce
const protocolHeader = 0x41

// No side allows such a frame: what announces one is handed on as it is, for the parser to refuse.
const largest = 1024 * 1024

/** A frame, or octets that are none by themselves. @internal */
export interface Piece {
  readonly bytes: Uint8Array
  readonly isFrame: boolean
}

/** @internal */
export const isHeartbeat = (piece: Piece): boolean => piece.isFrame && piece.bytes[0] === heartbeat

// Class and method of basic.publish, behind the head of a method frame (0-9-1 §1.8.3).
const methodFrame = 1
const publish = [0, 60, 0, 40]

/** @internal */
export const isPublish = ({ bytes, isFrame }: Piece): boolean =>
  isFrame && bytes[0] === methodFrame && publish.every((octet, index) => bytes[headSize + index] === octet)

const none = new Uint8Array(0)

/** @internal */
export class Frames {
  private rest = none
  private isFresh = true

  /** Adds what came, and takes out what is whole. */
  push(bytes: Uint8Array): ReadonlyArray<Piece> {
    const all = new Uint8Array(this.rest.length + bytes.length)
    all.set(this.rest)
    all.set(bytes, this.rest.length)
    const pieces: Array<Piece> = []
    let at = 0
    // Output stops between a frame and its end octet when a pipe wants no more: it may begin with one here.
    if (this.isFresh && all[0] === frameEnd) pieces.push({ bytes: all.subarray(0, ++at), isFrame: false })
    if (all.length > 0) this.isFresh = false
    for (;;) {
      const size = sizeAt(all, at)
      if (size !== undefined && size > largest) {
        pieces.push({ bytes: all.subarray(at), isFrame: false })
        at = all.length
      }
      if (size === undefined || at + size > all.length) break
      pieces.push({ bytes: all.subarray(at, at + size), isFrame: true })
      at += size
    }
    this.rest = all.subarray(at)
    return pieces
  }

  /** What is no whole frame yet; afterwards it begins anew. */
  take(): Uint8Array {
    const rest = this.rest
    this.rest = none
    this.isFresh = true
    return rest
  }
}

/** `undefined` while its head is not there. */
const sizeAt = (bytes: Uint8Array, at: number): number | undefined => {
  if (bytes[at] === protocolHeader) return envelopeSize
  if (bytes.length - at < headSize) return undefined
  return new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(3) + envelopeSize
}
