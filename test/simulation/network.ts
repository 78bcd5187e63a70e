/**
 * A network that a seed spoils: latency, octets that come in pieces of any size, links that are cut, go deaf (half-open) or
 * slow, dials that are refused or never answered. Its pipes take every liberty the contract of `Transport` gives: what was
 * written is copied only when it leaves, what is read is overwritten as soon as the reader has returned.
 */
import { AmqpError } from "effect-amqp"
import type { Transport } from "effect-amqp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { World } from "./world.ts"
import { Violation } from "./world.ts"

/** How the octets of a link travel. */
interface Manner {
  /** Milliseconds: at least, and by how much more. */
  readonly latency: number
  readonly jitter: number
  /** Octets that arrive together; `Infinity`: as they were written. */
  readonly piece: number
  /** What `write` takes before it says stop. */
  readonly room: number
}

/** What lies between two pipes. */
class Link {
  readonly manner: Manner
  readonly target: Transport.Target
  /** Nothing arrives any more, and nobody hears of it. */
  isDeaf = false
  isCut = false
  /** Milliseconds by which everything comes later. */
  lag = 0
  first: SimulatedPipe | undefined
  second: SimulatedPipe | undefined

  constructor(manner: Manner, target: Transport.Target) {
    this.manner = manner
    this.target = target
  }
}

interface Outgoing {
  readonly bytes: Uint8Array
  readonly onWritten: (() => void) | undefined
}

// A reader that keeps what it was lent, keeps this.
const scratch = new Uint8Array(256 * 1024)

// A peer that does not read is sent no more than this.
const receiveWindow = 64 * 1024

class SimulatedPipe implements Transport.Pipe {
  readonly remote: string
  readonly tls = undefined
  peer: SimulatedPipe | undefined
  isClosed = false
  private readonly world: World
  private readonly link: Link
  private readonly onClosed: () => void
  private handler: Transport.PipeHandler | undefined
  private sending: Array<Outgoing> = []
  private sendingBytes = 0
  private isTransmitting = false
  private isFull = false
  private hasEnded = false
  private inbox: Array<Uint8Array> = []
  private inboxBytes = 0
  /** Of what was sent last, when it arrives. */
  private lastArrival = 0
  private peerEnded = false
  private isPaused = false
  private isDelivering = false

  constructor(world: World, link: Link, remote: string, onClosed: () => void) {
    this.world = world
    this.link = link
    this.remote = remote
    this.onClosed = onClosed
  }

  get held(): number {
    return this.sendingBytes + this.inboxBytes
  }

  start(handler: Transport.PipeHandler): void {
    if (this.handler !== undefined) throw new Violation("a pipe was started twice")
    this.handler = handler
    this.deliverSoon()
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (this.isClosed || this.hasEnded) {
      if (onWritten !== undefined) this.world.soon(onWritten)
      return !this.isClosed
    }
    this.sending.push({ bytes, onWritten })
    this.sendingBytes += bytes.length
    this.transmitSoon()
    if (this.sendingBytes <= this.link.manner.room) return true
    this.isFull = true
    return false
  }

  endOfTurn(task: () => void): void {
    this.world.soon(task)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.deliverSoon()
  }

  end(): void {
    if (this.hasEnded || this.isClosed) return
    this.hasEnded = true
    this.transmitSoon()
  }

  destroy(): void {
    if (this.isClosed) return
    const hadEnded = this.hasEnded && this.sending.length === 0
    this.close()
    if (!hadEnded) this.sendEnd()
  }

  /** The network breaks: whoever has it hears so. */
  break(): void {
    if (this.isClosed) return
    this.close()
    this.handler?.onClose(new Error("read ECONNRESET"))
  }

  private close(): void {
    this.isClosed = true
    this.inbox = []
    this.inboxBytes = 0
    this.sendingBytes = 0
    for (const { onWritten } of this.sending.splice(0)) if (onWritten !== undefined) this.world.soon(onWritten)
    this.onClosed()
  }

  // --- Out ---

  private transmitSoon(): void {
    if (this.isTransmitting || this.isClosed) return
    this.isTransmitting = true
    this.world.soon(() => {
      this.isTransmitting = false
      this.transmit()
    })
  }

  transmit(): void {
    const { peer } = this
    if (this.isClosed || peer === undefined) return
    while (this.sending.length > 0) {
      if (peer.inboxBytes >= receiveWindow && !this.link.isDeaf) return
      const { bytes, onWritten } = this.sending.shift()!
      this.sendingBytes -= bytes.length
      this.send(peer, bytes)
      onWritten?.()
    }
    if (this.hasEnded) this.sendEnd()
    if (!this.isFull) return
    this.isFull = false
    this.world.soon(() => {
      if (!this.isClosed) this.handler?.onDrain()
    })
  }

  private send(peer: SimulatedPipe, bytes: Uint8Array): void {
    const { chance } = this.world
    // Single octets are for frames; a large body comes in some dozens of pieces.
    const piece = Math.max(this.link.manner.piece, Math.ceil(bytes.length / 60))
    const copy = bytes.slice()
    const parts: Array<Uint8Array> = []
    for (let from = 0; from < copy.length;) {
      const size = piece === Infinity || piece === 1 ? piece : chance.int(1, piece)
      parts.push(copy.subarray(from, from + size))
      from += size
    }
    peer.inboxBytes += copy.length
    this.arriving(() => {
      for (const part of parts) peer.inbox.push(part)
      peer.deliverSoon()
    }, () => {
      peer.inboxBytes -= copy.length
    })
  }

  private sendEnd(): void {
    const { peer } = this
    if (peer === undefined) return
    this.arriving(() => {
      peer.peerEnded = true
      peer.deliverSoon()
    }, () => {})
  }

  /** After the latency, never before what was sent earlier. */
  private arriving(arrive: () => void, lost: () => void): void {
    const { link, world } = this
    const { jitter, latency } = link.manner
    const later = latency + link.lag + (jitter > 0 ? world.chance.int(0, jitter) : 0)
    this.lastArrival = Math.max(this.lastArrival, world.now + later)
    const at = this.lastArrival
    // What arrives at the same time is put in order by the list it goes to.
    this.inFlight.push(() => (link.isDeaf || link.isCut ? lost() : arrive()))
    world.after(at - world.now, () => this.inFlight.shift()?.())
  }

  private readonly inFlight: Array<() => void> = []

  // --- In ---

  private deliverSoon(): void {
    if (this.isDelivering || this.isClosed || this.handler === undefined) return
    this.isDelivering = true
    this.world.soon(() => {
      this.isDelivering = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { handler } = this
    if (this.isClosed || this.isPaused || handler === undefined) return
    const part = this.inbox.shift()
    if (part === undefined) {
      if (!this.peerEnded) return
      this.destroy()
      handler.onClose()
      return
    }
    this.inboxBytes -= part.length
    const offset = this.world.chance.int(0, 64)
    const bytes = part.length + 64 > scratch.length ? new Uint8Array(part.length + 64) : scratch
    bytes.set(part, offset)
    handler.onData(bytes, offset, offset + part.length)
    bytes.fill(0xce, offset, offset + part.length)
    if (!this.isClosed) this.peer?.transmitSoon()
    this.deliverSoon()
  }
}

export interface Network {
  readonly transport: Transport.Memory["transport"]
  readonly server: Transport.Memory["server"]
  /** Links of which an end is open. */
  readonly open: () => number
  /** The most octets that one pipe has held. */
  readonly mostHeld: () => number
  /** What may go wrong, each for some link or for dials, until it is healed. */
  readonly cut: (all: boolean) => number
  readonly deafen: () => number
  readonly slow: (millis: number) => number
  readonly refuse: (refuses: boolean) => void
  readonly ignore: (ignores: boolean) => void
  /** A host, or one of its addresses, that refuses; its links are cut. */
  readonly lose: (node: string) => number
  readonly find: (node: string) => void
  /** No name can be looked up. */
  readonly forget: (forgets: boolean) => void
  /** Dials work again, and links are as fast as they were. What is cut or deaf stays so. */
  readonly heal: () => void
}

/** `addressesOf`: what a host is looked up as. Default: itself. */
export const make = (world: World, addressesOf = (host: string): ReadonlyArray<string> => [host]): Network => {
  const { chance } = world
  const links = new Set<Link>()
  const latency = chance.pick([0, 1, 5, 40, 150])
  const manner = (): Manner => ({
    latency,
    jitter: chance.pick([0, 0, 3, 20]),
    piece: chance.pick([Infinity, Infinity, Infinity, 2000, 100, 7, 1]),
    room: chance.pick([1024 * 1024, 64 * 1024, 4096, 200])
  })
  let accept: ((pipe: Transport.Pipe) => void) | undefined
  let dialled = 0
  let refuses = false
  let ignores = false
  let forgets = false
  const down = new Set<string>()
  let mostHeld = 0

  const gone = (link: Link) => () => {
    if (link.first?.isClosed === true && link.second?.isClosed === true) links.delete(link)
  }
  const living = () => Array.from(links).filter(({ isCut, isDeaf }) => !isCut && !isDeaf)

  const isDown = ({ address, host }: Transport.Target): boolean =>
    down.has(host) || (address !== undefined && down.has(address))

  const cut = (link: Link): void => {
    link.isCut = true
    for (const end of [link.first, link.second]) world.after(chance.int(0, 30), () => end?.break())
  }

  const connect = (target: Transport.Target): Effect.Effect<Transport.Pipe, AmqpError.ConnectError> =>
    Effect.gen(function*() {
      const endpoint = `${target.host}:${target.port}`
      yield* Effect.sleep(Duration.millis(latency))
      if (ignores) {
        yield* Effect.sleep(target.connectTimeout ?? Duration.seconds(10))
        return yield* AmqpError.ConnectError.at(endpoint, "Timeout", "no answer")
      }
      const listener = accept
      if (refuses || listener === undefined || isDown(target)) {
        return yield* AmqpError.ConnectError.at(endpoint, "Refused", "connection refused")
      }
      const link = new Link(manner(), target)
      const name = `simulated:${++dialled}`
      const ours = new SimulatedPipe(world, link, endpoint, gone(link))
      const theirs = new SimulatedPipe(world, link, name, gone(link))
      ours.peer = theirs
      theirs.peer = ours
      link.first = ours
      link.second = theirs
      links.add(link)
      world.tell(`${name} is open: ${JSON.stringify(link.manner)}`)
      world.soon(() => listener(theirs))
      return ours
    })

  const some = (): Link | undefined => chance.pick(living())

  return {
    transport: {
      resolve: ({ host, port }) =>
        forgets
          ? AmqpError.ConnectError.at(`${host}:${port}`, "Dns", "no such host")
          : Effect.succeed(addressesOf(host)),
      dial: (target) =>
        Effect.acquireRelease(Effect.interruptible(connect(target)), (pipe) => Effect.sync(() => pipe.destroy()))
    },
    server: {
      listen: (target, onPipe) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            accept = onPipe
            return { host: target.host, port: 5672 }
          }),
          () =>
            Effect.sync(() => {
              accept = undefined
              for (const { second } of links) second?.destroy()
            })
        )
    },
    open: () => links.size,
    mostHeld: () => {
      for (const { first, second } of links) mostHeld = Math.max(mostHeld, first?.held ?? 0, second?.held ?? 0)
      return mostHeld
    },
    cut: (all) => {
      const found = all ? living() : living().length > 0 ? [some()!] : []
      for (const link of found) cut(link)
      return found.length
    },
    deafen: () => {
      const link = some()
      if (link === undefined) return 0
      link.isDeaf = true
      return 1
    },
    slow: (millis) => {
      const link = some()
      if (link === undefined) return 0
      link.lag = millis
      return 1
    },
    refuse: (now) => {
      refuses = now
    },
    ignore: (now) => {
      ignores = now
    },
    lose: (node) => {
      down.add(node)
      const found = living().filter(({ target }) => isDown(target))
      for (const link of found) cut(link)
      return found.length
    },
    find: (node) => void down.delete(node),
    forget: (now) => {
      forgets = now
    },
    heal: () => {
      refuses = false
      ignores = false
      forgets = false
      down.clear()
      for (const link of links) link.lag = 0
    }
  }
}
