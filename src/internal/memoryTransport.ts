/**
 * Pipes inside one process: the pair, and a hub of listeners that dials find by port. Everything happens in microtasks,
 * so a test under TestClock sees the same order each time. The public names are in `Transport`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ConnectError, ListenError } from "../AmqpError.ts"
import type { ListenTarget, Pipe, PipeHandler, Target } from "../Transport.ts"

/** What a peer may leave undelivered before `write` says stop. */
const highWaterMark = 1024 * 1024

class MemoryPipe implements Pipe {
  readonly remote: string
  readonly tls = undefined
  readonly #onClosed: () => void
  #peer: MemoryPipe | undefined
  #handler: PipeHandler | undefined
  readonly #inbox: Array<Uint8Array> = []
  #inboxBytes = 0
  #paused = false
  #scheduled = false
  #full = false
  #ended = false
  #peerEnded = false
  #closed = false

  constructor(remote: string, onClosed: () => void) {
    this.remote = remote
    this.#onClosed = onClosed
  }

  static pair(first: MemoryPipe, second: MemoryPipe): void {
    first.#peer = second
    second.#peer = first
  }

  start(handler: PipeHandler): void {
    this.#handler = handler
    this.#schedule()
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (onWritten !== undefined) queueMicrotask(onWritten)
    const peer = this.#peer
    if (this.#ended || peer === undefined) return false
    // A peer that has destroyed itself reads nothing more; our own onClose is on its way.
    if (peer.#closed) return true
    // Not `slice`, which a Node Buffer has made a view.
    peer.#inbox.push(new Uint8Array(bytes))
    peer.#inboxBytes += bytes.length
    peer.#schedule()
    if (peer.#inboxBytes <= highWaterMark) return true
    this.#full = true
    return false
  }

  endOfTurn(task: () => void): void {
    queueMicrotask(task)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    const peer = this.#peer
    if (this.#ended || peer === undefined) return
    this.#ended = true
    peer.#peerEnded = true
    peer.#schedule()
  }

  destroy(): void {
    if (this.#closed) return
    this.#closed = true
    this.#inbox.length = 0
    this.end()
    this.#onClosed()
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#handler === undefined) return
    this.#scheduled = true
    queueMicrotask(() => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    const handler = this.#handler
    if (handler === undefined) return
    while (!this.#paused && !this.#closed) {
      const bytes = this.#inbox.shift()
      if (bytes === undefined) return this.#delivered(handler)
      this.#inboxBytes -= bytes.length
      handler.onData(bytes, 0, bytes.length)
    }
  }

  #delivered(handler: PipeHandler): void {
    if (this.#peerEnded) {
      this.destroy()
      handler.onClose()
    } else if (this.#peer !== undefined) {
      this.#peer.#drained()
    }
  }

  #drained(): void {
    if (!this.#full || this.#closed) return
    this.#full = false
    this.#handler?.onDrain()
  }
}

const noop = (): void => {}

/** @internal */
export const makePair = (
  first: { readonly remote: string; readonly onClosed?: (() => void) | undefined },
  second: { readonly remote: string; readonly onClosed?: (() => void) | undefined }
): [Pipe, Pipe] => {
  const one = new MemoryPipe(first.remote, first.onClosed ?? noop)
  const other = new MemoryPipe(second.remote, second.onClosed ?? noop)
  MemoryPipe.pair(one, other)
  return [one, other]
}

interface Listener {
  readonly port: number
  readonly onPipe: (pipe: Pipe) => void
  readonly pipes: Set<Pipe>
}

// Where the numbers start that nobody asked for, as an operating system would have it.
const firstFreePort = 49152

/** @internal */
export interface MemoryHub {
  readonly dial: (target: Target) => Effect.Effect<Pipe, ConnectError, Scope.Scope>
  readonly listen: (
    target: ListenTarget,
    onPipe: (pipe: Pipe) => void
  ) => Effect.Effect<{ readonly host: string; readonly port: number }, ListenError, Scope.Scope>
}

/** @internal */
export const makeHub = (): MemoryHub => {
  const listeners = new Map<number, Listener>()
  let dialled = 0

  const find = (target: Target): Listener | undefined => {
    if (target.scheme === "memory" && listeners.size === 1) return listeners.values().next().value
    return listeners.get(target.port)
  }

  const connect = (target: Target): Effect.Effect<Pipe, ConnectError> =>
    Effect.suspend(() => {
      const listener = find(target)
      if (listener === undefined) {
        const endpoint = `memory:${target.port}`
        return Effect.fail(ConnectError.at(endpoint, "Refused", "nobody listens there"))
      }
      dialled += 1
      const [ours, theirs] = makePair(
        { remote: `memory:${listener.port}` },
        { remote: `memory:client-${dialled}`, onClosed: () => listener.pipes.delete(theirs) }
      )
      listener.pipes.add(theirs)
      queueMicrotask(() => {
        // The listener may have closed in between, and destroyed the pipe before anyone saw it.
        if (listener.pipes.has(theirs)) listener.onPipe(theirs)
      })
      return Effect.succeed(ours)
    })

  const freePort = (): number => {
    let port = firstFreePort
    while (listeners.has(port)) port += 1
    return port
  }

  const bind = (target: ListenTarget, onPipe: (pipe: Pipe) => void): Effect.Effect<Listener, ListenError> =>
    Effect.suspend(() => {
      const port = target.port === 0 ? freePort() : target.port
      if (listeners.has(port)) {
        return Effect.fail(
          new ListenError({ reason: "AddressInUse", address: `memory:${port}`, text: "another listener has it" })
        )
      }
      const listener: Listener = { port, onPipe, pipes: new Set() }
      listeners.set(port, listener)
      return Effect.succeed(listener)
    })

  const unbind = (listener: Listener): Effect.Effect<void> =>
    Effect.sync(() => {
      listeners.delete(listener.port)
      for (const pipe of listener.pipes) pipe.destroy()
    })

  return {
    dial: (target) => Effect.acquireRelease(connect(target), (pipe) => Effect.sync(() => pipe.destroy())),
    listen: (target, onPipe) =>
      Effect.map(Effect.acquireRelease(bind(target, onPipe), unbind), ({ port }) => ({ host: target.host, port }))
  }
}
