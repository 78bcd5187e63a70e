/** Consuming and settling: in which order, to whom, how many at a time, and what comes back. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { It } from "./place.ts"
import {
  consume,
  drain,
  eventually,
  failing,
  fresh,
  look,
  open,
  openConfirm,
  openOn,
  queueOf,
  refused,
  texts
} from "./place.ts"

const got = <A>(option: Option.Option<A>): A => Option.getOrThrowWith(option, () => new Error("the queue is empty"))

export const consuming = (it: It): void => {
  it.scoped("deliveries come in the order of the publishes, with where they were published", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3")
      yield* channel.queueBind({ queue, exchange: "amq.direct", routingKey: queue })
      yield* channel.publish({ exchange: "amq.direct", routingKey: queue, content: "4" })
      const consumer = yield* consume(channel, { queue, consumerTag: "mine" })
      const all = yield* consumer.take(4)
      assert.deepStrictEqual(texts(all), ["1", "2", "3", "4"])
      assert.deepStrictEqual(all.map((each) => each.deliveryTag), [1, 2, 3, 4])
      assert.deepStrictEqual(all.map((each) => each.exchange), ["", "", "", "amq.direct"])
      for (const each of all) {
        assert.strictEqual(each.consumerTag, "mine")
        assert.strictEqual(each.routingKey, queue)
        assert.isFalse(each.redelivered)
        yield* each.ack
      }
      yield* consumer.cancel
      assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
    }))

  it.scoped("what is given back returns to its place, marked as delivered before", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3", "4")
      const first = got(yield* channel.get({ queue }))
      const second = got(yield* channel.get({ queue }))
      const third = got(yield* channel.get({ queue }))
      yield* second.delivery.nack()
      yield* third.delivery.ack
      yield* first.delivery.reject({ requeue: true })
      const order: Array<readonly [string, boolean]> = []
      for (let left = 3; left > 0; left--) {
        const { delivery } = got(yield* channel.get({ queue, noAck: true }))
        order.push([delivery.text, delivery.redelivered])
      }
      assert.deepStrictEqual(order, [["1", true], ["2", true], ["4", false]])
    }))

  it.scoped("what is refused for good is gone", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3")
      yield* got(yield* channel.get({ queue })).delivery.nack({ requeue: false })
      yield* got(yield* channel.get({ queue })).delivery.reject()
      assert.deepStrictEqual(yield* drain(channel, queue), ["3"])
    }))

  it.scoped("a consumer that gives a delivery back gets it again", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1")
      const consumer = yield* consume(channel, { queue })
      const first = yield* consumer.next
      yield* first.nack()
      const again = yield* consumer.next
      assert.deepStrictEqual([first.redelivered, again.redelivered, again.text], [false, true, "1"])
      yield* again.ack
    }))

  it.scoped("deliveries without acknowledgement are settled when sent", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3")
      const consumer = yield* consume(channel, { queue, noAck: true, prefetch: 1 })
      const all = yield* consumer.take(3)
      assert.deepStrictEqual(texts(all), ["1", "2", "3"])
      for (const each of all) assert.strictEqual((yield* failing(each.ackOrFail)).reason, "NoAck")
      yield* consumer.cancel
      assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
    }))

  it.scoped("a consumer never holds more than its prefetch", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3", "4", "5")
      const consumer = yield* consume(channel, { queue, prefetch: 2 })
      const [first] = yield* consumer.take(2)
      assert.strictEqual((yield* look(channel, queue)).messageCount, 3)
      assert.strictEqual(yield* consumer.arrived, 0)
      yield* first!.ack // two were taken
      assert.strictEqual((yield* consumer.next).text, "3")
      assert.strictEqual((yield* look(channel, queue)).messageCount, 2)
      assert.strictEqual(yield* consumer.arrived, 0)
    }))

  it.scoped("each consumer of a channel has a prefetch of its own", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ prefetch: 1 })
      const queue = yield* queueOf(channel, "1", "2", "3", "4", "5", "6")
      const first = yield* consume(channel, { queue })
      const second = yield* consume(channel, { queue, prefetch: 3 })
      yield* first.take(1)
      yield* second.take(3)
      assert.strictEqual((yield* look(channel, queue)).messageCount, 2)
    }))

  it.scoped("several consumers take turns", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const consumers = [
        yield* consume(channel, { queue }),
        yield* consume(channel, { queue }),
        yield* consume(channel, { queue })
      ]
      yield* channel.publishAll(
        Array.from({ length: 9 }, (_, index) => ({ routingKey: queue, content: String(index) }))
      )
      const shares = yield* Effect.forEach(consumers, (consumer) => Effect.map(consumer.take(3), texts))
      assert.deepStrictEqual(shares, [["0", "3", "6"], ["1", "4", "7"], ["2", "5", "8"]])
    }))

  it.scoped("a consumer without credit loses its turn to the others", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const slow = yield* consume(channel, { queue, prefetch: 1 })
      const fast = yield* consume(channel, { queue })
      yield* channel.publishAll(
        Array.from({ length: 5 }, (_, index) => ({ routingKey: queue, content: String(index) }))
      )
      assert.deepStrictEqual(texts(yield* slow.take(1)), ["0"])
      assert.deepStrictEqual(texts(yield* fast.take(4)), ["1", "2", "3", "4"])
    }))

  it.scoped("an exclusive consumer is the only one, or none", () =>
    Effect.gen(function*() {
      const { channel, connection, vhost } = yield* openConfirm()
      const other = yield* openOn(connection)
      const queue = yield* queueOf(channel)
      const error = {
        reason: "AccessRefused" as const,
        code: 403,
        text: `ACCESS_REFUSED - queue '${queue}' in vhost '${vhost}' in exclusive use`,
        method: "basic.consume"
      }
      const exclusive = yield* consume(channel, { queue, exclusive: true })
      yield* refused(other, Stream.runDrain(other.consume({ queue })), error)
      yield* refused(other, Stream.runDrain(other.consume({ queue, exclusive: true })), error)
      yield* exclusive.cancel
      const shared = yield* consume(channel, { queue })
      yield* refused(other, Stream.runDrain(other.consume({ queue, exclusive: true })), error)
      yield* shared.cancel
    }))

  it.scoped("consuming from a missing queue is not found", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const queue = fresh("missing")
      yield* refused(channel, Stream.runDrain(channel.consume({ queue })), {
        reason: "NotFound",
        code: 404,
        text: `NOT_FOUND - no queue '${queue}' in vhost '${vhost}'`,
        method: "basic.consume"
      })
    }))

  it.scoped("a stream that ends gives back what it did not take, in its place", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3", "4")
      const taken = yield* channel.consume({ queue, prefetch: 3, batch: 1 }).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(texts(taken), ["1"])
      yield* channel.ackAll(taken)
      yield* eventually(look(channel, queue), { queue, messageCount: 3, consumerCount: 0 })
      assert.deepStrictEqual(yield* drain(channel, queue), ["2", "3", "4"])
    }))

  it.scoped("an interrupted stream gives back whatever it was given and did not settle", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3")
      const consumer = yield* consume(channel, { queue })
      const [, second] = yield* consumer.take(3)
      yield* second!.ack // three were taken
      yield* consumer.cancel
      yield* eventually(look(channel, queue), { queue, messageCount: 2, consumerCount: 0 })
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "3"])
    }))

  it.scoped("deliveries that were taken stay the taker's when the stream ends well", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2")
      const [first, second] = yield* channel.consume({ queue }).pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(yield* look(channel, queue), { queue, messageCount: 0, consumerCount: 0 })
      yield* first!.ackOrFail // two were taken
      yield* second!.nackOrFail()
      assert.deepStrictEqual(yield* drain(channel, queue), ["2"])
    }))

  it.scoped("a consumer whose queue is deleted is told so", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const other = yield* openOn(connection)
      const queue = yield* queueOf(channel)
      const consumer = yield* consume(channel, { queue, consumerTag: "mine" })
      yield* other.queueDelete({ queue })
      const error = yield* failing(Fiber.join(consumer.fiber))
      assert.deepInclude({ ...error }, { _tag: "ConsumerCancelled", consumerTag: "mine", queue })
    }))

  it.scoped("get takes the oldest message and says how many remain; from an empty queue it takes none", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2")
      const first = got(yield* channel.get({ queue }))
      assert.deepStrictEqual([first.delivery.text, first.messageCount], ["1", 1])
      const second = got(yield* channel.get({ queue, noAck: true }))
      assert.deepStrictEqual([second.delivery.text, second.messageCount], ["2", 0])
      assert.isTrue(Option.isNone(yield* channel.get({ queue })))
      yield* first.delivery.nack()
      const again = got(yield* channel.get({ queue }))
      assert.deepStrictEqual([again.delivery.redelivered, again.messageCount], [true, 0])
      yield* again.delivery.ack
    }))

  it.scoped("ackAll settles exactly the given ones", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3", "4", "5")
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* openOn(connection)
        const taken = yield* Effect.forEach(
          Array.from({ length: 5 }),
          () => Effect.map(other.get({ queue }), (each) => got(each).delivery)
        )
        yield* other.ackAll([taken[0]!, taken[1]!, taken[3]!]) // five were taken
      }))
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.messageCount), 2)
      assert.deepStrictEqual(yield* drain(channel, queue), ["3", "5"])
    }))

  it.scoped("a second settlement does nothing, or says so when asked", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2")
      const { delivery } = got(yield* channel.get({ queue }))
      yield* delivery.ack
      yield* delivery.ack
      yield* delivery.nack()
      assert.strictEqual((yield* failing(delivery.ackOrFail)).reason, "AlreadySettled")
      assert.strictEqual((yield* failing(delivery.nackOrFail())).reason, "AlreadySettled")
      assert.deepStrictEqual(yield* drain(channel, queue), ["2"])
    }))

  it.scoped("deliveries of an earlier life of the channel are stale, and the broker delivers them again", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1")
      const { delivery } = got(yield* channel.get({ queue }))
      yield* failing(look(channel, fresh("missing")))
      assert.strictEqual((yield* failing(delivery.ackOrFail)).reason, "Stale")
      yield* delivery.ack
      const again = got(yield* channel.get({ queue }))
      assert.deepStrictEqual([again.delivery.text, again.delivery.redelivered], ["1", true])
      yield* again.delivery.ackOrFail
      assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
    }))

  it.scoped("a consumer tag may be used once on a channel", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      yield* consume(channel, { queue, consumerTag: "mine" })
      const error = yield* failing(Stream.runDrain(channel.consume({ queue, consumerTag: "mine" })))
      assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "Refused" })
      yield* look(channel, queue)
    }))

  it.scoped("a thousand messages go through a small prefetch and window, each once and in order", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ prefetch: 7, window: 13 })
      const queue = yield* queueOf(channel)
      const contents = Array.from({ length: 1000 }, (_, index) => String(index))
      const consumer = yield* channel.consume({ queue }).pipe(
        Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.text)),
        Stream.take(1000),
        Stream.runCollect,
        Effect.fork
      )
      yield* channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
      assert.deepStrictEqual(Array.from(yield* Fiber.join(consumer)), contents)
      yield* eventually(look(channel, queue), { queue, messageCount: 0, consumerCount: 0 })
    }))
}
