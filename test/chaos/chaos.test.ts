import { assert } from "@effect/vitest"
import { AmqpError } from "effect-amqp"
import * as Effect from "effect/Effect"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"
import { ours } from "./clients/ours.ts"
import { failures, faults, flips, flowing, oneByOne, underChaos } from "./run.ts"

const reconnect = { first: 100, max: 1000 }

describeRabbit("Under chaos on RabbitMQ", (it) => {
  it.effect(
    "nothing that was confirmed is lost while the network fails in every way, and duplicates stay within the windows",
    () =>
      Effect.gen(function*() {
        const rabbit = yield* SharedRabbitMq
        const { cut, deafen, delay, refuse, reset, singleOctets, throttle } = faults
        const list = [cut, reset, delay, reset, throttle, cut, singleOctets, reset, refuse, deafen]
        const outcome = yield* underChaos(rabbit, ours, oneByOne(list, "1 second"), { reconnect })
        yield* Effect.logInfo(outcome)
        assert.deepStrictEqual(failures(outcome), [])
        assert.isAbove(outcome.confirmed, 1000)
        assert.isAtLeast(outcome.cuts, 7)
      }),
    120_000
  )

  it.effect(
    "nothing that was confirmed is lost when bits flip, but for those of which the broker confirmed a damaged copy",
    () =>
      Effect.gen(function*() {
        const rabbit = yield* SharedRabbitMq
        const told: Array<unknown> = []
        const list = [...flips, ...flips, ...flips]
        const outcome = yield* underChaos(rabbit, ours, oneByOne(list, "500 millis", "whenever"), {
          // Soon enough for most of them to meet messages, and some a handshake.
          reconnect: { first: 50, max: 200 },
          onFault: (fault) => told.push(fault)
        })
        yield* Effect.logInfo(outcome)
        assert.deepStrictEqual(failures(outcome), [])
        assert.strictEqual(outcome.flipped, list.length)
        assert.isAtMost(outcome.spoilt, 3)
        assert.deepStrictEqual(told.filter((fault) => !AmqpError.isConnectionError(fault)), [])
        assert.isTrue(told.some((fault) => fault instanceof AmqpError.ConnectionLost && fault.reason === "FrameError"))
        assert.isTrue(told.some((fault) => fault instanceof AmqpError.ConnectionClosed && fault.code > 500))
      }),
    120_000
  )

  it.effect(
    "nothing that was confirmed is lost when the node is killed and started again",
    () =>
      Effect.gen(function*() {
        const node = yield* RabbitMq.node()
        const outcome = yield* underChaos(node, ours, (_, ledger) =>
          Effect.gen(function*() {
            yield* Effect.sleep("2 seconds")
            ledger.fault()
            yield* node.kill
            yield* node.start
            yield* flowing(ledger)
            yield* Effect.sleep("1 second")
          }), { reconnect })
        yield* Effect.logInfo(outcome)
        assert.deepStrictEqual(failures(outcome, "broker"), [])
        assert.isAbove(outcome.confirmed, 500)
      }).pipe(Effect.scoped),
    180_000
  )
})
