/** Each operation that can do without an answer, on whatever broker the connection is to. */
import { assert } from "@effect/vitest"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** `chains`: the broker binds exchanges to exchanges. */
export const operationsWithoutWait = (chains: boolean) =>
  Effect.gen(function*() {
    const noWait = true
    const channel = yield* Channel.makeConfirm({ noWait })
    const [queue, inner, outer] = ["no-wait-queue", "no-wait-inner", "no-wait-outer"]
    /** How many of two messages, one for each way, arrive. */
    const arrived = Effect.gen(function*() {
      yield* channel.publishAll([{ exchange: outer, content: "" }, { exchange: inner, content: "" }])
      return (yield* channel.queueDeclare({ queue, passive: true })).messageCount
    })
    assert.deepStrictEqual(yield* channel.queueDeclare({ queue, noWait }), { queue, messageCount: 0, consumerCount: 0 })
    yield* channel.exchangeDeclare({ exchange: inner, type: "fanout", noWait })
    yield* channel.exchangeDeclare({ exchange: outer, type: "fanout", noWait })
    yield* channel.queueBind({ queue, exchange: inner, noWait })
    assert.strictEqual(yield* arrived, 1)
    const taken = yield* channel.consume({ queue, prefetch: 1, noWait }).pipe(Stream.take(1), Stream.runCollect)
    yield* channel.nackAll(taken)
    if (chains) {
      yield* channel.exchangeBind({ destination: inner, source: outer, noWait })
      assert.strictEqual(yield* arrived, 3)
      yield* channel.exchangeUnbind({ destination: inner, source: outer, noWait })
    }
    assert.strictEqual(yield* channel.queuePurge(queue, { noWait }), 0)
    assert.strictEqual(yield* arrived, 1)
    assert.strictEqual(yield* channel.queueDelete({ queue, noWait }), 0)
    yield* channel.exchangeDelete({ exchange: inner, noWait })
    yield* channel.exchangeDelete({ exchange: outer, noWait })
    // An answer on the same channel: what went before it was done.
    yield* channel.qos({ prefetch: 1, global: true })
    assert.isTrue(Option.isNone(yield* Channel.queueExists(queue)))
    assert.isFalse(yield* Channel.exchangeExists(inner))
    assert.isFalse(yield* Channel.exchangeExists(outer))
    assert.strictEqual(yield* channel.number, 1)
  })
