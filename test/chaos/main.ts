/**
 * The long form: `npm run chaos -- --minutes 10` puts this library, rabbitmq-client and amqp-connection-manager, each in a
 * process of its own, through the same faults before a private RabbitMQ, and prints what became of them; `--save FILE`
 * writes it too. `--only NAME` takes one of them, `--defaults` leaves each its own delays before it dials again, `--window N`
 * and `--prefetch N` say how many publishes and deliveries of each may be under way. `--cluster` is another plan: clients on
 * all three nodes of a cluster with a quorum queue, each node killed in turn, once.
 *
 * The exit code is 1 when this library lost what was confirmed, had more duplicates than its windows allow, or got stuck.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type { Outcome as ClusterOutcome } from "../cluster/underLoad.ts"
import { underLoad } from "../cluster/underLoad.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"
import { cluster } from "../harness/rabbitmqCluster.ts"
import { apart } from "./apart.ts"
import type { Bounds } from "./client.ts"
import { clients } from "./clients/all.ts"
import { ours } from "./clients/ours.ts"
import { parts } from "./plan.ts"
import { bounds as usual, failures, underChaos } from "./run.ts"
import type { Row } from "./table.ts"
import { clusterTable, table } from "./table.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    only: { type: "string", multiple: true, default: clients.map(({ name }) => name) },
    cluster: { type: "boolean", default: false },
    defaults: { type: "boolean", default: false },
    window: { type: "string", default: String(usual.window) },
    prefetch: { type: "string", default: String(usual.prefetch) },
    save: { type: "string" }
  }
})
const minutes = Number(values.minutes)
const bounds: Bounds = { window: Number(values.window), prefetch: Number(values.prefetch) }
const chosen = clients.filter(({ name }) => values.only.includes(name))
// 0 would be no publish at all, and no limit.
const isBound = (value: number) => Number.isInteger(value) && value > 0 && value < 65_536
if (!(minutes > 0) || chosen.length === 0 || !isBound(bounds.window) || !isBound(bounds.prefetch)) {
  const names = clients.map(({ name }) => name).join(", ")
  console.error(
    `--minutes takes a number, --window and --prefetch a whole one from 1 to 65535, --only one of ${names}`
  )
  process.exit(2)
}

const display = `window ${bounds.window}, prefetch ${bounds.prefetch}`
const reconnect = values.defaults ? undefined : { first: 100, max: 1000 }
const stuckAfter = Duration.seconds(30)

const onCluster = Effect.gen(function*() {
  const rows: Array<{ readonly client: string; readonly outcome: ClusterOutcome }> = []
  for (const { name } of chosen) {
    console.error(`cluster: ${name} …`)
    const outcome = yield* Effect.scoped(Effect.flatMap(cluster, (nodes) => underLoad(nodes, apart(name), bounds)))
    rows.push({ client: name, outcome })
  }
  const failed = rows.filter(({ client, outcome }) => client === ours.name && outcome.lost > 0)
  return {
    report: `Three clients, ${display} each\n\n${clusterTable(rows)}\n`,
    failed: failed.map(({ outcome }) => `${outcome.lost} confirmed messages are lost`)
  }
})

const behindProxy = Effect.gen(function*() {
  const node = yield* RabbitMq.node()
  const rows: Array<Row> = []
  for (const part of parts) {
    for (const { name } of chosen) {
      console.error(`${part.title}: ${name} …`)
      const seconds = minutes * 60 * part.share / chosen.length
      const outcome = yield* underChaos(node, apart(name), part.chaos(node, seconds), { bounds, reconnect, stuckAfter })
      rows.push({ part, client: name, outcome })
    }
  }
  const report = [
    `${minutes} minutes, ${display}, ${
      reconnect === undefined
        ? "delays before dialling as each client has them by itself"
        : `dialling again after ${reconnect.first} to ${reconnect.max} ms`
    }, RabbitMQ on the same machine`,
    "",
    table(rows, bounds),
    ""
  ].join("\n")
  const failed = rows.filter(({ client }) => client === ours.name).flatMap(({ outcome, part }) =>
    failures(outcome, part.fails).map((failure) => `${part.title}: ${failure}`)
  )
  return { report, failed }
})

const { failed, report } = await Effect.runPromise(
  (values.cluster ? onCluster : behindProxy).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error))
)
console.log(report)
if (values.save !== undefined) writeFileSync(values.save, report)
for (const failure of failed) console.log(failure)
process.exit(failed.length === 0 ? 0 : 1)
