/** Which consumer gets what: priorities, single active ones, and the order of what comes back to a quorum queue. */
import { assert } from "@effect/vitest"
import { Arguments, type Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { It } from "./place.ts"
import {
  consume,
  drain,
  eventually,
  failing,
  holds,
  look,
  openConfirm,
  openOn,
  queueOf,
  queueWith,
  refused,
  texts,
  took
} from "./place.ts"

const prioritised = (channel: Channel.ChannelBase, queue: string, priority: number, prefetch = 2) =>
  consume(channel, { queue, prefetch, arguments: Arguments.consumer({ priority }) })

const numbered = (routingKey: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ routingKey, content: String(from + index) }))

export const consumerOrder = (it: It): void => {
  it.scoped("consumers of the highest priority take turns, and the next get what those have no room for", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const low = yield* prioritised(channel, queue, -1)
      const high = yield* prioritised(channel, queue, 5)
      const usual = yield* consume(channel, { queue, prefetch: 2 })
      const higher = yield* prioritised(channel, queue, 5)
      yield* channel.publishAll(numbered(queue, 9))
      assert.deepStrictEqual(texts(yield* high.take(2)), ["0", "2"])
      assert.deepStrictEqual(texts(yield* higher.take(2)), ["1", "3"])
      assert.deepStrictEqual(texts(yield* usual.take(2)), ["4", "5"])
      assert.deepStrictEqual(texts(yield* low.take(2)), ["6", "7"])
      assert.strictEqual((yield* look(channel, queue)).messageCount, 1)
    }))

  it.scoped("a consumer of a higher priority that has room again comes first again", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const high = yield* prioritised(channel, queue, 1, 1)
      const usual = yield* consume(channel, { queue, prefetch: 10 })
      yield* channel.publishAll(numbered(queue, 2))
      const first = yield* high.next
      assert.deepStrictEqual([first.text, (yield* usual.next).text], ["0", "1"])
      yield* first.ack
      yield* look(channel, queue) // the acknowledgement has been taken in
      yield* channel.publishAll(numbered(queue, 1, 2))
      assert.strictEqual((yield* high.next).text, "2")
      assert.strictEqual(yield* usual.arrived, 0)
    }))

  it.scoped("what comes back goes to a consumer of a higher priority, if one has room", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1")
      const usual = yield* consume(channel, { queue })
      const delivery = yield* usual.next
      const high = yield* prioritised(channel, queue, 1)
      yield* delivery.nack()
      const again = yield* high.next
      assert.deepStrictEqual([again.text, again.redelivered], ["1", true])
    }))

  it.scoped("a single active consumer gets all, and after it the one of the highest priority", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { singleActiveConsumer: true })
      const first = yield* consume(channel, { queue })
      const second = yield* consume(channel, { queue })
      const high = yield* prioritised(channel, queue, 9, 100)
      yield* channel.publishAll(numbered(queue, 3))
      const taken = yield* first.take(3)
      assert.deepStrictEqual(texts(taken), ["0", "1", "2"])
      yield* channel.ackAll(taken)
      assert.strictEqual((yield* look(channel, queue)).consumerCount, 3)
      yield* first.cancel
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.consumerCount), 2)
      yield* channel.publishAll(numbered(queue, 1, 3))
      assert.strictEqual((yield* high.next).text, "3")
      yield* high.cancel
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.consumerCount), 1)
      yield* channel.publishAll(numbered(queue, 1, 4))
      assert.strictEqual((yield* second.next).text, "3")
      assert.strictEqual((yield* second.next).text, "4")
    }))

  it.scoped("a single active consumer without room gets nothing, and neither do the others", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { singleActiveConsumer: true })
      const active = yield* consume(channel, { queue, prefetch: 1 })
      const waiting = yield* consume(channel, { queue })
      yield* channel.publishAll(numbered(queue, 2))
      const first = yield* active.next
      assert.strictEqual((yield* look(channel, queue)).messageCount, 1)
      assert.strictEqual(yield* waiting.arrived, 0)
      // Whoever asks once is no consumer.
      assert.strictEqual((yield* took(channel, queue)).text, "1")
      yield* first.ack
    }))

  it.scoped("when the active consumer's channel goes, the next one begins with what came back", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueWith(channel, { singleActiveConsumer: true })
      const { second } = yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* openOn(connection)
        const first = yield* consume(other, { queue, prefetch: 1 })
        yield* channel.publishAll(numbered(queue, 2))
        yield* first.next
        return { first }
      })).pipe(Effect.zipRight(Effect.map(consume(channel, { queue }), (second) => ({ second }))))
      const [again, next] = yield* second.take(2)
      assert.deepStrictEqual([again!.text, again!.redelivered, next!.text], ["0", true, "1"]) // two were taken
    }))

  it.scoped("a queue with a single active consumer takes no exclusive one", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = yield* queueWith(channel, { singleActiveConsumer: true })
      yield* refused(channel, Stream.runDrain(channel.consume({ queue, exclusive: true })), {
        reason: "AccessRefused",
        code: 403,
        text: `ACCESS_REFUSED - queue '${queue}' in vhost '${vhost}' in exclusive use`,
        method: "basic.consume"
      })
    }))

  // --- Quorum queues ---

  it.scoped("a quorum queue without a delivery limit puts what comes back behind all others", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum" }, "1", "2", "3", "4")
      yield* holds(channel, queue, 4)
      const taken = [yield* took(channel, queue), yield* took(channel, queue), yield* took(channel, queue)]
      yield* channel.nackAll(taken)
      yield* holds(channel, queue, 4)
      assert.deepStrictEqual(yield* drain(channel, queue), ["4", "1", "2", "3"])
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a quorum queue with a delivery limit puts it before all others, in the order of its return", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum", deliveryLimit: 5 }, "1", "2", "3", "4")
      yield* holds(channel, queue, 4)
      const taken = [yield* took(channel, queue), yield* took(channel, queue), yield* took(channel, queue)]
      yield* taken[1]!.nack() // three were taken
      yield* holds(channel, queue, 2)
      yield* taken[0]!.nack()
      yield* holds(channel, queue, 3)
      assert.deepStrictEqual(yield* drain(channel, queue), ["2", "1", "4"])
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("what a channel held when it closed returns to the front of a quorum queue", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum" }, "1", "2", "3", "4")
      yield* holds(channel, queue, 4)
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* openOn(connection)
        for (let left = 3; left > 0; left--) yield* took(other, queue)
      }))
      yield* holds(channel, queue, 4)
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2", "3", "4"])
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a delivery says how often it came back, and get says so of the first time too", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum" }, "1")
      yield* holds(channel, queue, 1)
      const got = yield* took(channel, queue)
      assert.deepStrictEqual([got.redelivered, got.properties.headers], [false, { "x-delivery-count": 0 }])
      yield* got.ack
      // RabbitMQ takes who got a message for a consumer, for a while.
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.consumerCount), 0)
      yield* channel.publish({ routingKey: queue, content: "2" })
      const consumer = yield* consume(channel, { queue })
      const first = yield* consumer.next
      assert.isUndefined(first.properties.headers)
      yield* first.nack()
      const second = yield* consumer.next
      assert.deepStrictEqual([second.redelivered, second.properties.headers], [true, { "x-delivery-count": 1 }])
      yield* second.nack()
      assert.deepStrictEqual((yield* consumer.next).properties.headers, { "x-delivery-count": 2 })
      yield* consumer.cancel
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a quorum queue lets anybody consume, exclusively or not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum" })
      const one = yield* consume(channel, { queue, exclusive: true })
      const other = yield* consume(channel, { queue, exclusive: true })
      yield* one.cancel
      yield* other.cancel
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a quorum queue knows no prefetch for a whole channel", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum" })
      yield* channel.qos({ prefetch: 2, global: true })
      const error = yield* failing(Stream.runDrain(channel.consume({ queue })))
      assert.include(
        error.message,
        `NOT_IMPLEMENTED - queue '${queue}' in vhost '${vhost}' does not support global qos`
      )
    }))
}
