/** What a seed decides beforehand: the topology, who publishes and consumes how, and how much goes wrong. */
import type { Guarantee } from "./ledger.ts"
import type { Chance } from "./random.ts"

export interface QueuePlan {
  readonly name: string
  /** Its consumers do not acknowledge. */
  readonly isLossy: boolean
}

export interface RoutePlan {
  readonly exchange: string
  readonly routingKey: string
  readonly queues: ReadonlyArray<string>
}

export interface PublisherPlan {
  readonly name: string
  readonly connection: number
  readonly guarantee: Guarantee
  readonly window: number
  readonly count: number
  readonly route: RoutePlan
  readonly way: "publish" | "publishAll" | "offer"
  /** By a `Publisher` of its own, whose sink stands for offers. */
  readonly isHighLevel: boolean
  /** Octets of a body, at most. */
  readonly size: number
  /** Milliseconds between publishes, at most. */
  readonly pace: number
  /** How likely a publish is given up while it waits. */
  readonly impatience: number
  /** How likely a transaction is rolled back. */
  readonly rollsBack: number
}

export type Settling = "ack" | "ackOrFail" | "ackAll" | "requeue some" | "reject some"

export type Failover = "in-order" | "round-robin" | "shuffle" | "random" | "priority" | "discovery"

/** What a connection declares for itself, to be there whenever it is open. */
export interface OwnerPlan {
  readonly name: string
  readonly connection: number
  readonly way: "server-named" | "exclusive" | "auto-delete" | "declared"
}

/** A connection that is closed before its time. */
export interface LeaverPlan {
  readonly name: string
  /** Milliseconds. */
  readonly at: number
  /** What it is asked for just before. */
  readonly before: "nothing" | "pause" | "reconnectNow" | "switchEndpoint"
  /** How long before, in milliseconds. */
  readonly by: number
}

export interface ConsumerPlan {
  readonly name: string
  readonly connection: number
  readonly queue: QueuePlan
  readonly prefetch: number
  readonly batch: number | undefined
  readonly settling: Settling
  readonly onCancel: "fail" | "reconsume"
  /** Milliseconds for a delivery, at most. */
  readonly pace: number
  /** How likely it is interrupted and starts anew, by each delivery. */
  readonly restlessness: number
  /** A stream of a channel's, `basic.get`, or a handler for each. */
  readonly way: "stream" | "get" | "run"
  /** Handlers at a time. */
  readonly concurrency: number
  readonly ordered: boolean
  readonly onFailure: "requeue" | "requeue-once" | "reject"
}

export interface Plan {
  readonly connections: number
  /** Hosts, all of which lead to the one broker. */
  readonly nodes: readonly [string, ...Array<string>]
  /** How many addresses each of them has. */
  readonly addresses: number
  readonly failover: Failover
  readonly owners: ReadonlyArray<OwnerPlan>
  readonly leavers: ReadonlyArray<LeaverPlan>
  readonly heartbeat: number
  readonly frameMax: number
  readonly exchanges: ReadonlyArray<{ readonly exchange: string; readonly type: string }>
  readonly bindings: ReadonlyArray<{ readonly exchange: string; readonly queue: string; readonly routingKey: string }>
  readonly queues: ReadonlyArray<QueuePlan>
  readonly publishers: ReadonlyArray<PublisherPlan>
  readonly consumers: ReadonlyArray<ConsumerPlan>
  readonly faults: number
  /** Milliseconds over which they come. */
  readonly span: number
}

export const make = (chance: Chance): Plan => {
  const connections = chance.pick([1, 1, 2, 2, 3])
  const queues = Array.from({ length: chance.pick([1, 1, 2, 3]) }, (_, index): QueuePlan => ({
    name: `q${index}`,
    isLossy: chance.of(0.2)
  }))
  const names = queues.map(({ name }) => name)
  const some = names.filter(() => chance.of(0.6))
  const exchanges = [{ exchange: "fan", type: "fanout" }, { exchange: "topics", type: "topic" }]
  const bindings = [
    ...some.map((queue) => ({ exchange: "fan", queue, routingKey: "" })),
    ...names.map((queue) => ({ exchange: "topics", queue, routingKey: `*.${queue}` }))
  ]
  const first = names[0] ?? "q0"
  const route = (): RoutePlan => {
    const queue = chance.pick(names) ?? first
    return chance.pick<RoutePlan>([
      { exchange: "", routingKey: queue, queues: [queue] },
      { exchange: "topics", routingKey: `a.${queue}`, queues: [queue] },
      { exchange: "fan", routingKey: "", queues: some }
    ])
  }
  const guarantees: [Guarantee, ...Array<Guarantee>] = [
    "at-most-once",
    "confirmed",
    "confirmed",
    "at-least-once",
    "at-least-once",
    "transaction"
  ]
  const span = chance.pick([200, 5000, 60_000])
  const faults = chance.of(0.1) ? 0 : chance.int(1, 8)
  return {
    connections,
    nodes: chance.pick<Plan["nodes"]>([["node-0"], ["node-0"], ["node-0", "node-1"], ["node-0", "node-1", "node-2"]]),
    addresses: chance.pick([1, 1, 1, 2]),
    failover: chance.pick<Failover>(["in-order", "round-robin", "shuffle", "random", "priority", "discovery"]),
    owners: Array.from({ length: connections }, (_, index) => index).filter(() => chance.of(0.3)).map((index) => ({
      name: `o${index}`,
      connection: index,
      way: chance.pick<OwnerPlan["way"]>(["server-named", "exclusive", "auto-delete", "declared"])
    })),
    leavers: faults > 0 && chance.of(0.2)
      ? [{
        name: "leaver",
        at: chance.int(0, span),
        before: chance.pick<LeaverPlan["before"]>(["nothing", "nothing", "pause", "reconnectNow", "switchEndpoint"]),
        by: chance.pick([0, 1, 50, 500])
      }]
      : [],
    heartbeat: chance.int(1, 10),
    frameMax: chance.pick([131_072, 131_072, 8192, 4096]),
    exchanges,
    bindings,
    queues,
    publishers: Array.from({ length: chance.pick([1, 2, 2, 3]) }, (_, index) => {
      const guarantee = chance.pick(guarantees)
      const way = chance.pick<PublisherPlan["way"]>(["publish", "publishAll", "publishAll", "offer"])
      const isSingle = way === "publish" && guarantee !== "transaction"
      return {
        name: `p${index}`,
        connection: chance.int(0, connections - 1),
        guarantee,
        window: chance.pick([1, 2, 10, 1000]),
        count: chance.int(1, isSingle ? 12 : 30),
        route: route(),
        way,
        isHighLevel: guarantee !== "transaction" && chance.of(0.4),
        size: chance.pick([0, 0, 50, 200, 500, 5000]),
        // Most keep on for about as long as faults come.
        pace: chance.pick([0, span / 10, span / (isSingle ? 6 : 2), span / (isSingle ? 6 : 2)]),
        impatience: faults > 0 && chance.of(0.2) ? 0.1 : 0,
        rollsBack: chance.pick([0, 0.2])
      }
    }),
    // Each queue has one consumer at least: what is confirmed is to be seen.
    consumers: queues.flatMap((queue) =>
      Array.from({ length: chance.int(1, 2) }, (_, index): ConsumerPlan => ({
        name: `c-${queue.name}-${index}`,
        connection: chance.int(0, connections - 1),
        queue,
        prefetch: chance.pick([1, 3, 100, 0]),
        batch: chance.pick([undefined, undefined, 1, 5]),
        settling: chance.pick<Settling>(
          faults > 0
            ? ["ack", "ack", "ackOrFail", "ackAll", "requeue some", "reject some"]
            : ["ack", "ackOrFail", "ackAll", "reject some"]
        ),
        onCancel: chance.pick(["fail", "reconsume"]),
        pace: chance.pick([0, 0, 10, 100]),
        restlessness: faults > 0 && chance.of(0.3) ? 0.05 : 0,
        way: chance.pick<ConsumerPlan["way"]>(["stream", "stream", "stream", "run", "run", "get"]),
        concurrency: chance.pick([1, 1, 3, 10]),
        ordered: chance.of(0.5),
        onFailure: chance.pick(["requeue", "requeue-once", "reject"])
      }))
    ),
    faults,
    span
  }
}
