/**
 * A `Pipe` on one of Node's sockets, dialled or accepted, plain or TLS: its callbacks, its order, its one close.
 */
import type * as Net from "node:net"
import type { Pipe, PipeHandler, PipeTls } from "../../Transport.ts"

/**
 * What a socket may hold unsent before `write` says stop. Node's own mark of 16 KiB lies below one flush of an engine,
 * which would so be told to wait for bytes that the system has already taken.
 */
const highWaterMark = 512 * 1024

/** @internal */
export class SocketPipe implements Pipe {
  readonly remote: string
  tls: PipeTls | undefined
  readonly #socket: Net.Socket
  #handler: PipeHandler | undefined
  /** Read, but the handler is not there yet or has paused: TLS hands over all of a record it has decrypted. */
  #held: Array<Uint8Array> = []
  #paused = false
  #releasing = false
  #full = false
  #corked = false
  #ended = false
  #peerEnded = false
  #fault: { readonly cause: unknown } | undefined
  #closed = false

  constructor(socket: Net.Socket, remote: string) {
    this.#socket = socket
    this.remote = remote
    // Nothing is read before `start`.
    socket.pause()
    socket.on("drain", () => {
      if (!this.#full || this.#closed) return
      this.#full = false
      this.#handler?.onDrain()
    })
    socket.on("error", (cause) => this.#lost({ cause }))
    socket.on("end", () => this.#lost(undefined))
    socket.on("close", () => this.#lost(undefined))
  }

  start(handler: PipeHandler): void {
    this.#handler = handler
    if (!this.#paused) this.#release()
  }

  /** Whether the socket may go on reading. */
  receive(bytes: Uint8Array, length: number): boolean {
    if (this.#closed) return false
    if (this.#handler === undefined || this.#paused || this.#held.length > 0) {
      this.#held.push(new Uint8Array(bytes.subarray(0, length)))
      return false
    }
    this.#handler.onData(bytes, 0, length)
    return true
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (this.#closed || this.#ended || this.#peerEnded) {
      if (onWritten !== undefined) queueMicrotask(onWritten)
      return false
    }
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      process.nextTick(this.#uncork)
    }
    this.#socket.write(bytes, onWritten)
    if (this.#socket.writableLength < highWaterMark) return true
    this.#full = true
    return false
  }

  /** One flush is several writes where bodies go by reference: they reach the system together. */
  readonly #uncork = (): void => {
    this.#corked = false
    this.#socket.uncork()
  }

  endOfTurn(task: () => void): void {
    setImmediate(task)
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined) this.#release()
  }

  end(): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    this.#socket.end()
  }

  destroy(): void {
    this.#closed = true
    this.#held = []
    this.#socket.destroy()
  }

  /** Hands over what is held, in a turn of its own, then lets the socket read. */
  #release(): void {
    if (this.#releasing) return
    this.#releasing = true
    queueMicrotask(() => {
      this.#releasing = false
      while (!this.#paused && !this.#closed && this.#fault === undefined) {
        const bytes = this.#held.shift()
        if (bytes === undefined) break
        this.#handler?.onData(bytes, 0, bytes.length)
      }
      if (this.#paused || this.#closed) return
      if (this.#peerEnded) this.#close()
      else this.#socket.resume()
    })
  }

  /** Of several reports of one loss the first one counts. What was read before the peer's end is delivered first. */
  #lost(fault: { readonly cause: unknown } | undefined): void {
    if (this.#closed || this.#peerEnded) return
    this.#peerEnded = true
    this.#fault = fault
    if (this.#handler === undefined || (fault === undefined && this.#held.length > 0)) return
    this.#close()
  }

  #close(): void {
    this.#closed = true
    this.#held = []
    this.#handler?.onClose(this.#fault?.cause)
  }
}
