/** Clients on every node of a cluster, publishing to and consuming from one quorum queue, while its nodes are killed in turn. */
import { Arguments, Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Bounds, Client } from "../chaos/client.ts"
import type { Report } from "../chaos/ledger.ts"
import { Ledger } from "../chaos/ledger.ts"
import type { CommandFailed } from "../harness/childProcess.ts"
import type { DisposableRabbitMq, RabbitMqUnavailable } from "../harness/rabbitmq.ts"
import { isWhole } from "../harness/rabbitmqCluster.ts"

export interface Kill {
  /** Confirms a second, of the three seconds before. */
  readonly before: number
  /** Seconds from the kill until two seconds had at least 0.8 of that; `undefined`: not within `patience`. */
  readonly recoveredAfter: number | undefined
  /** Confirms a second, of those two seconds. */
  readonly after: number
  /** Seconds until the killed node had its place in the queue again. */
  readonly wholeAfter: number
}

export interface Outcome extends Omit<Report, "recovery"> {
  readonly kills: ReadonlyArray<Kill>
}

const share = 0.8
const patience = 12

const seconds = (since: number) => Math.round((performance.now() - since) / 10) / 100

/** Confirms a second during this time. */
const rate = (ledger: Ledger, duration: number) =>
  Effect.gen(function*() {
    const from = { at: performance.now(), count: ledger.confirmCount }
    yield* Effect.sleep(`${duration} seconds`)
    return Math.round((ledger.confirmCount - from.count) * 1000 / (performance.now() - from.at))
  })

/** Samples a window of two seconds that moves by a fifth of a second. */
const recovery = (ledger: Ledger, before: number, killedAt: number) =>
  Effect.gen(function*() {
    const samples: Array<number> = [ledger.confirmCount]
    for (;;) {
      yield* Effect.sleep("200 millis")
      samples.push(ledger.confirmCount)
      const after = Math.round((samples.at(-1)! - (samples.at(-11) ?? Infinity)) / 2) // one was just put there
      if (samples.length > 10 && after >= share * before) return { recoveredAfter: seconds(killedAt), after }
      if (seconds(killedAt) > patience) return { recoveredAfter: undefined, after }
    }
  })

export const underLoad = (
  nodes: ReadonlyArray<DisposableRabbitMq>,
  client: Client,
  bounds: Bounds
): Effect.Effect<Outcome, CommandFailed | RabbitMqUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = `cluster-${client.name}`
    const urls = nodes.map(({ url }) => url)
    yield* Effect.flatMap(Channel.make(), (channel) =>
      channel.queueDeclare({ queue, arguments: Arguments.queue({ type: "quorum" }) })).pipe(
        Effect.provide(Connection.layer({ url: urls[0] ?? "" })),
        Effect.provide(NodeTransport.layer),
        Effect.scoped,
        Effect.orDie
      )
    const ledger = new Ledger()
    const reconnect = { first: 100, max: 1000 }
    const working = yield* Effect.forEach(urls, (_, at) =>
      // Each begins at another node, and knows them all.
      Effect.orDie(
        client.start({
          urls: [...urls.slice(at), ...urls.slice(0, at)],
          queue,
          firstId: at * 1_000_000_000,
          ...bounds,
          reconnect,
          ledger
        })
      ))
    ledger.begin()
    const kills: Array<Kill> = []
    for (const [at, node] of nodes.entries()) {
      yield* Effect.sleep("2 seconds")
      const before = yield* rate(ledger, 3)
      const killedAt = performance.now()
      yield* node.kill
      const recovered = yield* recovery(ledger, before, killedAt)
      const startedAt = performance.now()
      yield* node.start
      const other = nodes[(at + 1) % nodes.length] ?? node
      yield* Effect.repeat(Effect.zipRight(Effect.sleep("500 millis"), isWhole(other)), {
        until: (whole) =>
          whole
      })
      kills.push({ before, ...recovered, wholeAfter: seconds(startedAt) })
    }
    yield* Effect.timeoutOption(Effect.forEach(working, ({ stop }) => stop, { concurrency: "unbounded" }), "30 seconds")
    ledger.stop()
    yield* Effect.sleep("200 millis").pipe(
      Effect.repeat({ while: () => ledger.missing.length > 0 }),
      Effect.timeoutOption("30 seconds")
    )
    const { recovery: _, ...report } = ledger.report
    return { ...report, kills }
  })
