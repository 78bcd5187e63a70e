/**
 * What a bench asks of a client, in the client's own fastest documented way. Each sample is one process with one client.
 */

/** Where the null broker listens. `ca` is the path of the authority's PEM file. */
export interface Target {
  readonly port: number
  readonly tlsPort: number
  readonly ca: string
  readonly tls: boolean
  readonly frameMax: number
}

/** Bodies to publish, over and over: message `i` is `bodies[i % bodies.length]`, whose first four octets say which. */
export type Bodies = ReadonlyArray<Buffer>

export interface Declared {
  readonly messageCount: number
  readonly consumerCount: number
}

/** A channel to publish on. */
export interface Publisher {
  /** Without confirms, as fast as the client's own flow control lets. */
  readonly stream: (bodies: Bodies, count: number) => Promise<void>
  /** With confirms, at most `window` in flight; ends when all are confirmed. */
  readonly window: (bodies: Bodies, count: number, window: number) => Promise<void>
  /** With confirms, from that many loops at once, each waiting for its own. */
  readonly loops: (bodies: Bodies, count: number, loops: number) => Promise<void>
  readonly declare: (queue: string) => Promise<Declared>
}

/** How deliveries are taken. The first is what all clients have; the others are ours. */
export type Way = "handler" | "chunks" | "elements" | "acked chunks"

/** Takes deliveries; `true` from the last one. */
export interface Receiver {
  readonly message: (body: Uint8Array, deliveryTag: number) => void
  /** Ends when all have come. */
  readonly done: Promise<void>
}

export interface ConsumeOptions {
  readonly queues: ReadonlyArray<string>
  readonly prefetch: number
  readonly noAck: boolean
  readonly way: Way
}

/** Remote calls, client and server on one connection: the server replies with what it was sent, and acknowledges it. */
export interface CallOptions {
  readonly queue: string
  readonly bodies: Bodies
  readonly count: number
  readonly inFlight: number
  /** Of call `index`. */
  readonly replied: (body: Uint8Array, index: number) => void
}

export interface Link {
  /** `window`: the most unconfirmed publishes of a channel, where the client wants to know. */
  readonly publishers: (confirms: boolean, channels: number, window?: number) => Promise<ReadonlyArray<Publisher>>
  /** A publisher for `loops` through a pool of so many channels, all of them open. */
  readonly pooled?: ((channels: number) => Promise<Publisher>) | undefined
  /** Opens a consumer for each queue on one channel, and takes deliveries until all have come. */
  readonly consume: (options: ConsumeOptions, receiver: Receiver) => Promise<void>
  readonly calls: (options: CallOptions) => Promise<void>
  readonly close: () => Promise<void>
}

/** Encodes a publish and decodes a delivery, both with the six properties and four headers of `codec.ts`. */
export interface Codec {
  readonly encode: (body: Buffer) => number
  /** Takes the frames of one delivery; `false` when asked to check, and properties or body came out wrong. */
  readonly decode: (delivery: Buffer, check: boolean) => boolean | Promise<boolean>
}

export interface Client {
  readonly open: (target: Target) => Promise<Link>
  readonly codec?: (() => Codec) | undefined
}

/** Runs `work` for 0 to `count` - 1, with at most `window` promises unsettled. */
export const batched = async (count: number, window: number, work: (index: number) => Promise<unknown>) => {
  for (let start = 0; start < count; start += window) {
    const batch: Array<Promise<unknown>> = []
    for (let i = start; i < Math.min(count, start + window); i++) batch.push(work(i))
    await Promise.all(batch)
  }
}

/** Shares 0 to `count` - 1 between loops that each wait for one promise at a time. */
export const looped = async (count: number, loops: number, work: (index: number) => Promise<unknown>) => {
  let next = 0
  await Promise.all(Array.from({ length: loops }, async () => {
    while (next < count) await work(next++)
  }))
}

export const url = (target: Target, scheme = target.tls ? "amqps" : "amqp"): string =>
  `${scheme}://guest:guest@127.0.0.1:${target.tls ? target.tlsPort : target.port}`
