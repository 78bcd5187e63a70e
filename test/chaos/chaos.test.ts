import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"
import { ours } from "./clients/ours.ts"
import { faults, oneByOne, prefetch, underChaos, window } from "./run.ts"

describeRabbit("Under chaos on RabbitMQ", (it) => {
  it.effect(
    "nothing that was confirmed is lost while the network fails in every way, and duplicates stay within the windows",
    () =>
      Effect.gen(function*() {
        const rabbit = yield* SharedRabbitMq
        const { cut, deafen, delay, refuse, reset, singleOctets, throttle } = faults
        const list = [cut, reset, delay, reset, throttle, cut, singleOctets, reset, refuse, deafen]
        const report = yield* underChaos(rabbit, ours, oneByOne(list, "1 second"))
        yield* Effect.logInfo(report)
        assert.strictEqual(report.lost, 0)
        assert.isAbove(report.confirmed, 1000)
        // Six of these end the connection: what was on its way to the broker and to the consumer may come again.
        // A refused dial ends none, and a cut that meets a connection that is just opening may end one more.
        assert.isAtMost(report.duplicates, list.length * (window + prefetch))
      }),
    120_000
  )

  it.effect(
    "nothing that was confirmed is lost when the node is killed and started again",
    () =>
      Effect.gen(function*() {
        const node = yield* RabbitMq.node()
        const report = yield* underChaos(node, ours, (_, ledger) =>
          Effect.gen(function*() {
            yield* Effect.sleep("2 seconds")
            yield* node.kill
            yield* node.start
            const before = ledger.confirmCount
            yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => ledger.confirmCount > before })
            yield* Effect.sleep("1 second")
          }))
        yield* Effect.logInfo(report)
        assert.strictEqual(report.lost, 0)
        assert.isAbove(report.confirmed, 500)
        assert.isAtMost(report.duplicates, 2 * (window + prefetch))
      }).pipe(Effect.scoped),
    180_000
  )
})
