import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ours } from "../chaos/clients/ours.ts"
import { describeWith } from "../harness/describe.ts"
import { packages } from "../harness/rabbitmq.ts"
import { cluster } from "../harness/rabbitmqCluster.ts"
import { underLoad } from "./underLoad.ts"

describeWith(packages, "A RabbitMQ cluster of three nodes with a quorum queue", () => {
  it.scopedLive(
    "loses nothing that was confirmed while each node is killed in turn, and confirms at 0.8 of its rate within ten seconds",
    () =>
      Effect.gen(function*() {
        // Little enough in flight for the nodes to have time for each other on two cores.
        const outcome = yield* underLoad(yield* cluster, ours, { window: 20, prefetch: 100 })
        yield* Effect.logInfo(outcome)
        assert.strictEqual(outcome.lost, 0)
        assert.isAbove(outcome.confirmed, 1000)
        assert.lengthOf(outcome.kills, 3)
        for (const { recoveredAfter } of outcome.kills) assert.isAtMost(recoveredAfter ?? Infinity, 10)
      }),
    180_000
  )
})
