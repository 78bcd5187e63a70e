/** Private RabbitMQ nodes that are one cluster, on the loopback interface alone. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CommandFailed } from "./childProcess.ts"
import type { DisposableRabbitMq, RabbitMqUnavailable } from "./rabbitmq.ts"
import { neighbourhood, node } from "./rabbitmq.ts"

/** Three nodes in one cluster, each on one thread. Costs about twenty seconds. */
export const cluster: Effect.Effect<
  readonly [DisposableRabbitMq, DisposableRabbitMq, DisposableRabbitMq],
  RabbitMqUnavailable | CommandFailed,
  Scope.Scope
> = Effect.gen(function*() {
  const together = yield* neighbourhood
  const one = node({ neighbourhood: together, schedulers: 1, conf: ["cluster_partition_handling = ignore"] })
  const nodes = yield* Effect.all([one, one, one], { concurrency: "unbounded" })
  const [first, ...others] = nodes
  for (const { ctl } of others) {
    yield* ctl("stop_app")
    yield* ctl("join_cluster", first.name)
    yield* ctl("start_app")
  }
  return nodes
})

/** Waits until all members of each quorum queue are there, seen from this node. */
export const isWhole = (node: DisposableRabbitMq): Effect.Effect<boolean, CommandFailed> =>
  Effect.map(
    node.ctl("list_queues", "--no-table-headers", "members", "online"),
    (listed) =>
      listed.trim().split("\n").every((line) => {
        const [members = "", online = ""] = line.split("\t")
        return members.split(",").length === online.split(",").length && online.length > 2
      })
  )
