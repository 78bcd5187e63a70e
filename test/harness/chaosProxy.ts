/**
 * A TCP proxy on the loopback interface that does to connections what networks do: cuts, resets, goes deaf, delays,
 * throttles, splits into single octets, flips bits. What it is told holds for open connections and for those to come,
 * until `heal`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import type { Part } from "./frameWalk.ts"
import { FrameWalk } from "./frameWalk.ts"

export interface ChaosProxy {
  readonly port: number
  /** Connections that are open on both sides. */
  readonly connections: Effect.Effect<number>
  /** How many of those that a client had opened a channel on have ended so far, by whatever cause. */
  readonly ended: Effect.Effect<number>
  /** Ends all connections in good order (FIN), in the middle of whatever is on its way; how many. */
  readonly cut: Effect.Effect<number>
  /** Resets them (RST). */
  readonly reset: Effect.Effect<number>
  /** Those that are open now carry nothing any more, in neither direction, and no end either. */
  readonly deafen: Effect.Effect<number>
  /** Everything comes so much later. */
  readonly delay: (millis: number) => Effect.Effect<void>
  /** So many octets a second go through, in each direction of each connection. */
  readonly throttle: (octetsPerSecond: number) => Effect.Effect<void>
  /** Octets are written one by one, each in a turn of its own. */
  readonly singleOctets: Effect.Effect<void>
  /** Flips one bit of the next octets of this part of a frame that a side sends; ends when it is done, or healed. */
  readonly flip: (from: "client" | "server", part: Part) => Effect.Effect<void>
  /** How many bits were flipped so far. */
  readonly flipped: Effect.Effect<number>
  /** Takes new connections and resets them at once. */
  readonly refuse: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
}

interface Flip {
  readonly part: Part
  readonly onOver: () => void
}

interface Conditions {
  delay: number
  octetsPerSecond: number
  isSingle: boolean
  refuses: boolean
  readonly flips: { client: Flip | undefined; server: Flip | undefined }
  flipped: number
  ended: number
}

// What a direction holds before it asks its source to wait.
const highWaterMark = 256 * 1024

/** What one side says to the other. */
class Direction {
  isDeaf = false
  private readonly from: Net.Socket
  private readonly to: Net.Socket
  private readonly side: "client" | "server"
  private readonly conditions: Conditions
  readonly walk: FrameWalk
  private readonly queue: Array<{ readonly at: number; readonly bytes: Buffer }> = []
  private held = 0
  private last = 0
  private timer: NodeJS.Timeout | undefined
  private isStepping = false
  private hasEnded = false

  constructor(from: Net.Socket, to: Net.Socket, side: "client" | "server", conditions: Conditions) {
    this.from = from
    this.to = to
    this.side = side
    this.conditions = conditions
    this.walk = new FrameWalk(side)
    from.on("data", (bytes: Buffer) => this.push(bytes))
    from.on("end", () => {
      this.hasEnded = true
      this.pump()
    })
  }

  private push(bytes: Buffer): void {
    if (this.isDeaf) return
    const { conditions, side } = this
    const pieces = this.walk.push(bytes)
    const flip = conditions.flips[side]
    const fitting = pieces.filter((piece) => piece.part === flip?.part)
    const piece = fitting[Math.floor(Math.random() * fitting.length)]
    if (flip !== undefined && piece !== undefined) {
      conditions.flips[side] = undefined
      conditions.flipped++
      const at = piece.start + Math.floor(Math.random() * (piece.end - piece.start))
      bytes[at] = bytes[at]! ^ (1 << Math.floor(Math.random() * 8)) // below its length
      flip.onOver()
    }
    const taking = conditions.octetsPerSecond === Infinity ? 0 : bytes.length * 1000 / conditions.octetsPerSecond
    this.last = Math.max(this.last, performance.now() + conditions.delay) + taking
    this.queue.push({ at: this.last, bytes })
    this.held += bytes.length
    if (this.held > highWaterMark) this.from.pause()
    this.pump()
  }

  private pump(): void {
    if (this.timer !== undefined || this.isStepping) return
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      const wait = next.at - performance.now()
      if (wait > 0) {
        this.timer = setTimeout(() => {
          this.timer = undefined
          this.pump()
        }, wait)
        return
      }
      this.queue.shift()
      this.held -= next.bytes.length
      if (this.held <= highWaterMark && this.from.isPaused()) this.from.resume()
      if (this.conditions.isSingle && !this.isDeaf) return this.step(next.bytes, 0)
      if (!this.isDeaf && !this.to.destroyed) this.to.write(next.bytes)
    }
    if (this.hasEnded && !this.isDeaf) this.to.end()
  }

  private step(bytes: Buffer, at: number): void {
    this.isStepping = true
    setImmediate(() => {
      const end = this.conditions.isSingle ? at + 1 : bytes.length
      if (!this.isDeaf && !this.to.destroyed) this.to.write(bytes.subarray(at, end))
      if (end < bytes.length && !this.to.destroyed) return this.step(bytes, end)
      this.isStepping = false
      this.pump()
    })
  }

  close(): void {
    clearTimeout(this.timer)
    this.queue.length = 0
  }
}

class Link {
  private readonly client: Net.Socket
  private readonly server: Net.Socket
  private readonly directions: readonly [Direction, Direction]

  constructor(client: Net.Socket, server: Net.Socket, conditions: Conditions, onClosed: (link: Link) => void) {
    this.client = client
    this.server = server
    this.directions = [
      new Direction(client, server, "client", conditions),
      new Direction(server, client, "server", conditions)
    ]
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.setNoDelay(true)
      one.on("error", () => {
        if (!this.isDeaf && !other.destroyed) other.resetAndDestroy()
      })
      one.on("close", () => {
        if (!this.isDeaf && !other.destroyed) other.end()
        if (!client.destroyed || !server.destroyed) return
        for (const direction of this.directions) direction.close()
        onClosed(this)
      })
    }
  }

  get isDeaf(): boolean {
    return this.directions[0].isDeaf
  }

  get hasChannel(): boolean {
    return this.directions[0].walk.hasChannel
  }

  deafen(): void {
    for (const direction of this.directions) direction.isDeaf = true
  }

  cut(): void {
    this.client.destroy()
    this.server.destroy()
  }

  reset(): void {
    this.client.resetAndDestroy()
    this.server.resetAndDestroy()
  }
}

/** A proxy before a server; gone with the scope, and its connections with it. */
export const make = (target: { readonly host: string; readonly port: number }): Effect.Effect<
  ChaosProxy,
  never,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Net.Server; readonly links: Set<Link>; readonly conditions: Conditions }>(
      (resume) => {
        const links = new Set<Link>()
        const conditions: Conditions = {
          delay: 0,
          octetsPerSecond: Infinity,
          isSingle: false,
          refuses: false,
          flips: { client: undefined, server: undefined },
          flipped: 0,
          ended: 0
        }
        const server = Net.createServer({ allowHalfOpen: true }, (client) => {
          client.on("error", () => {})
          if (conditions.refuses) return void client.resetAndDestroy()
          const upstream = Net.connect({ ...target, allowHalfOpen: true })
          links.add(
            new Link(client, upstream, conditions, (link) => {
              if (links.delete(link) && link.hasChannel) conditions.ended++
            })
          )
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, links, conditions })))
      }
    ),
    ({ links, server }) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const link of links) link.reset()
      })
  ).pipe(Effect.map(({ conditions, links, server }) => {
    const address = server.address()
    const each = (act: (link: Link) => void) =>
      Effect.sync(() => {
        const open = Array.from(links).filter(({ isDeaf }) => !isDeaf)
        open.forEach(act)
        return open.length
      })
    return {
      port: address !== null && typeof address === "object" ? address.port : 0,
      connections: Effect.sync(() => links.size),
      ended: Effect.sync(() =>
        // A server may still wait for one that is deaf.
        conditions.ended + Array.from(links).filter(({ hasChannel, isDeaf }) => hasChannel && isDeaf).length
      ),
      cut: each((link) => link.cut()),
      reset: each((link) => link.reset()),
      deafen: each((link) => link.deafen()),
      delay: (millis) =>
        Effect.sync(() => {
          conditions.delay = millis
        }),
      throttle: (octetsPerSecond) =>
        Effect.sync(() => {
          conditions.octetsPerSecond = octetsPerSecond
        }),
      singleOctets: Effect.sync(() => {
        conditions.isSingle = true
      }),
      flip: (from, part) =>
        Effect.async<void>((resume) => {
          conditions.flips[from] = { part, onOver: () => resume(Effect.void) }
        }),
      flipped: Effect.sync(() => conditions.flipped),
      refuse: Effect.sync(() => {
        conditions.refuses = true
      }),
      heal: Effect.sync(() => {
        Object.assign(conditions, { delay: 0, octetsPerSecond: Infinity, isSingle: false, refuses: false })
        const { flips } = conditions
        flips.client?.onOver()
        flips.server?.onOver()
        Object.assign(flips, { client: undefined, server: undefined })
      })
    }
  }))
