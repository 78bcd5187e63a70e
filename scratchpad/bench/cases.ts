/** What is measured, at which sizes, and what is aimed at: ours divided by the best peer in the same run. */
import type { Way } from "./client.ts"

export type ClientName = "ours" | "amqplib" | "rabbitmq-client" | "amqp-client" | "bare"

/** In the order of the table. */
export const peers: ReadonlyArray<ClientName> = ["amqplib", "rabbitmq-client", "amqp-client"]

export type Kind = "stream" | "window" | "loops" | "consume" | "codec" | "calls" | "close" | "open" | "memory" | "idle"

export interface Case {
  readonly name: string
  readonly kind: Kind
  /** What a number means: CPU per message or connection, wall per connection, memory. */
  readonly unit: "µs" | "ms" | "MiB" | "KiB"
  readonly size: number
  /** Messages or connections of one sample. */
  readonly count: number
  readonly clients: ReadonlyArray<ClientName>
  /** At most this, times the best peer; `undefined` where none is set. */
  readonly target?: number | undefined
  /** At most this, in the case's unit. */
  readonly limit?: number | undefined
  /** Ours is held against ours in this other case, instead of against a peer. */
  readonly beside?: string | undefined
  readonly way?: Way | undefined
  readonly noAck?: boolean | undefined
  readonly tls?: boolean | undefined
  /** Unconfirmed publishes at most, loops that publish. */
  readonly window?: number | undefined
  readonly channels?: number | undefined
  /** Through a pool of so many channels. */
  readonly pool?: number | undefined
  readonly consumers?: number | undefined
}

const all: ReadonlyArray<ClientName> = ["ours", ...peers]
const KiB = 1024
const MiB = 1024 * 1024

const label = (size: number): string =>
  size >= MiB ? `${size / MiB} MiB` : size >= KiB ? `${size / KiB} KiB` : `${size} B`

// Small messages go by so fast that compiling would be most of what a shorter sample shows.
const countOf: Record<number, number> = { 100: 200_000, [KiB]: 200_000, [64 * KiB]: 10_000, [MiB]: 600 }

type Sized = Omit<Case, "name" | "unit" | "size" | "count" | "clients"> & Partial<Case>

const sized = (name: string, size: number, rest: Sized): Case => ({
  name: `${name}, ${label(size)}`,
  unit: "µs",
  size,
  count: countOf[size] ?? 60_000,
  clients: all,
  ...rest
})

const publishTarget: Record<number, number> = { 100: 0.42, [KiB]: 0.42, [64 * KiB]: 0.76, [MiB]: 0.45 }
const consumeTarget: Record<number, number> = { 100: 0.7, [KiB]: 0.7, [64 * KiB]: 0.64, [MiB]: 0.8 }
const sizes = [100, KiB, 64 * KiB, MiB]
const acked = { kind: "consume", noAck: false } as const
const ours: ReadonlyArray<ClientName> = ["ours"]

export const cases: ReadonlyArray<Case> = [
  ...sizes.map((size) => sized("publish, no confirm", size, { kind: "stream", target: publishTarget[size] })),
  ...[100, KiB].map((size) => sized("publish, confirmed, window of 1000", size, { kind: "window", target: 0.35 })),
  sized("publish, confirmed, 1000 loops", KiB, { kind: "loops", window: 1000, target: 0.9 }),
  sized("publish, confirmed, 1000 loops, pool of 8 channels", KiB, {
    kind: "loops",
    window: 1000,
    pool: 8,
    clients: ours,
    beside: "publish, confirmed, 1000 loops, 1 KiB",
    target: 1.25
  }),
  sized("publish, confirmed, one at a time", KiB, { kind: "loops", window: 1, count: 10_000 }),
  ...sizes.map((size) =>
    sized("consume, no ack, by chunk", size, {
      kind: "consume",
      noAck: true,
      way: "chunks",
      target: size > KiB ? undefined : consumeTarget[size]
    })
  ),
  ...sizes.map((size) =>
    sized("consume, no ack, handler", size, {
      kind: "consume",
      noAck: true,
      way: "handler",
      target: size > KiB ? consumeTarget[size] : 0.9
    })
  ),
  sized("consume, no ack, by element", KiB, { kind: "consume", noAck: true, way: "elements", target: 1.6 }),
  sized("consume, ack each, prefetch 100, handler", KiB, { ...acked, way: "handler", target: 0.55 }),
  sized("consume, ack each, prefetch 100, by element", KiB, { ...acked, way: "elements" }),
  sized("consume, ack by chunk, prefetch 100", KiB, { ...acked, way: "acked chunks" }),
  sized("encode + decode, 6 properties, 4 headers", 100, { kind: "codec", count: 100_000, target: 0.36 }),
  // So many that compiling the code of both ends, which takes as long as 20,000 calls, does not count.
  sized("RPC, 100 in flight, both sides", 100, { kind: "calls", count: 160_000, target: 0.5 }),
  {
    name: "connection open + close",
    kind: "close",
    unit: "µs",
    size: 0,
    count: 200,
    clients: all,
    target: 0.55
  },
  { name: "connection open, wall", kind: "open", unit: "ms", size: 0, count: 20, clients: all, limit: 3 },
  sized("TLS: publish, confirmed, window of 1000", KiB, { kind: "window", tls: true }),
  sized("TLS: consume, no ack, by chunk", KiB, { kind: "consume", noAck: true, way: "chunks", tls: true }),
  sized("publish, confirmed, window of 100,000", KiB, {
    kind: "window",
    window: 100_000,
    clients: ours,
    beside: "publish, confirmed, window of 1000, 1 KiB",
    target: 1.1
  }),
  sized("publish, confirmed, 500 channels", KiB, {
    kind: "window",
    channels: 500,
    clients: ours,
    // There too nearly all is in flight at once.
    beside: "publish, confirmed, window of 100,000, 1 KiB",
    target: 1.1
  }),
  sized("consume, no ack, by chunk, 500 consumers", KiB, {
    kind: "consume",
    noAck: true,
    way: "chunks",
    count: 1_000_000,
    consumers: 500,
    clients: ours,
    beside: "consume, no ack, by chunk, 1 KiB",
    target: 1.1
  }),
  sized("memory: 100,000 published, a slow reader", KiB, {
    kind: "memory",
    unit: "MiB",
    count: 100_000,
    limit: 16
  }),
  {
    name: "memory: an idle connection",
    kind: "idle",
    unit: "KiB",
    size: 0,
    count: 100,
    clients: [...all, "bare"],
    limit: 35
  }
]
