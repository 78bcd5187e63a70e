/** What a queue does with what waits too long, is too much, or that nobody uses. */
import { assert } from "@effect/vitest"
import { Arguments, type Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { It } from "./place.ts"
import {
  consume,
  drain,
  elapse,
  failing,
  fresh,
  holds,
  look,
  openConfirm,
  queueOf,
  queueWith,
  refused,
  texts,
  took
} from "./place.ts"

/** Publishes one after the other: which the broker took. */
const publishEach = (channel: Channel.ConfirmChannel, routingKey: string, ...contents: ReadonlyArray<string>) =>
  Effect.forEach(
    contents,
    (content) =>
      Effect.map(
        Effect.either(channel.publish({ routingKey, content })),
        (outcome) => Either.isRight(outcome) ? "taken" : outcome.left._tag
      )
  )

const gone = (channel: Channel.ChannelBase, queue: string) =>
  Effect.map(failing(look(channel, queue)), (error) => {
    assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "NotFound" })
  })

export const queueLimits = (it: It): void => {
  // --- Time ---

  it.scoped("messages go when the queue's time for them has passed", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { messageTtl: "50 millis" }, "1", "2")
      yield* elapse(100)
      yield* holds(channel, queue, 0)
    }))

  it.scoped("messages go when their own time has passed, or the queue's if that is shorter", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const patient = yield* queueOf(channel)
      const hasty = yield* queueWith(channel, { messageTtl: "50 millis" })
      for (const routingKey of [patient, hasty]) {
        yield* channel.publish({ routingKey, content: "short", properties: { expiration: "50 millis" } })
        yield* channel.publish({ routingKey, content: "long", properties: { expiration: "1 minute" } })
      }
      yield* elapse(100)
      yield* holds(channel, patient, 1)
      yield* holds(channel, hasty, 0)
      assert.deepStrictEqual(yield* drain(channel, patient), ["long"])
    }))

  it.scoped("a message is only late when it is the first: what waits behind one that has time has it too", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1")
      yield* channel.publish({ routingKey: queue, content: "2", properties: { expiration: "20 millis" } })
      yield* channel.publish({ routingKey: queue, content: "3" })
      yield* elapse(100)
      assert.strictEqual((yield* look(channel, queue)).messageCount, 3)
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "3"])
    }))

  it.scoped("a message without any time goes to a consumer that waits for it, and else nowhere", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { messageTtl: "0 millis" }, "nobody")
      yield* holds(channel, queue, 0)
      const consumer = yield* consume(channel, { queue })
      yield* channel.publish({ routingKey: queue, content: "somebody" })
      assert.strictEqual((yield* consumer.next).text, "somebody")
    }))

  it.scoped("a message that is given back has no more time than it had", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { messageTtl: "1 second" }, "1", "2")
      const first = yield* took(channel, queue)
      yield* elapse(1100)
      yield* first.nack()
      yield* holds(channel, queue, 0)
      assert.deepStrictEqual(yield* drain(channel, queue), [])
    }))

  it.scoped("what a consumer holds does not expire", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { messageTtl: "1 second" }, "1")
      const delivery = yield* took(channel, queue)
      yield* elapse(1100)
      yield* delivery.ackOrFail
    }))

  it.scoped("an expiration must be a whole number that is not negative", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const error = yield* failing(
        channel.publish({ routingKey: queue, content: "", properties: { expiration: "4000 days" } })
      )
      assert.deepInclude({ ...error }, {
        _tag: "ChannelError",
        reason: "PreconditionFailed",
        code: 406,
        text: "PRECONDITION_FAILED - invalid expiration '345600000000': {value_too_large,345600000000}",
        method: "basic.publish"
      })
    }))

  it.scoped("a queue that nobody uses goes after its time, with all it holds", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { expires: "150 millis" }, "1")
      yield* elapse(300)
      yield* gone(channel, queue)
    }))

  it.scoped("asking for a queue, or for its messages, is using it; publishing to it is not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [declared, asked, got, published] = [
        yield* queueWith(channel, { expires: "1500 millis" }),
        yield* queueWith(channel, { expires: "1500 millis" }),
        yield* queueWith(channel, { expires: "1500 millis" }),
        yield* queueWith(channel, { expires: "1500 millis" })
      ]
      for (let left = 4; left > 0; left--) {
        yield* elapse(500)
        const args = Arguments.queue({ expires: "1500 millis" })
        yield* channel.queueDeclare({ queue: declared, exclusive: true, arguments: args })
        yield* look(channel, asked)
        yield* channel.get({ queue: got, noAck: true })
        yield* channel.publish({ routingKey: published, content: "" })
      }
      yield* look(channel, declared)
      yield* look(channel, asked)
      yield* look(channel, got)
      yield* gone(channel, published)
    }))

  it.scoped("a queue with a consumer stays, and has its time again when that is gone", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { expires: "1 second" })
      const consumer = yield* consume(channel, { queue })
      yield* elapse(1100)
      yield* consumer.cancel
      yield* holds(channel, queue, 0)
      yield* elapse(1100)
      yield* gone(channel, queue)
    }))

  // --- Number and size ---

  it.scoped("a full queue drops its oldest", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLength: 2 }, "1", "2", "3", "4", "5")
      assert.deepStrictEqual(yield* drain(channel, queue), ["4", "5"])
    }))

  it.scoped("bodies are counted in bytes, and the oldest dropped until the rest fits", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLengthBytes: 10 }, "aaaa", "bbbb", "cccc", "dd")
      assert.deepStrictEqual(yield* drain(channel, queue), ["bbbb", "cccc", "dd"])
      yield* channel.publish({ routingKey: queue, content: "longer than ten" })
      assert.deepStrictEqual(yield* drain(channel, queue), [])
    }))

  it.scoped("only what is ready counts, and what comes back may be too much", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLength: 2 }, "1", "2")
      const first = yield* took(channel, queue)
      yield* channel.publish({ routingKey: queue, content: "3" })
      assert.strictEqual((yield* look(channel, queue)).messageCount, 2)
      yield* first.nack()
      assert.deepStrictEqual(yield* drain(channel, queue), ["2", "3"])
    }))

  it.scoped("a queue for no messages passes them on, and keeps none", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLength: 0 }, "1")
      assert.deepStrictEqual(yield* drain(channel, queue), [])
      const consumer = yield* consume(channel, { queue, noAck: true })
      yield* channel.publish({ routingKey: queue, content: "2" })
      assert.strictEqual((yield* consumer.next).text, "2")
    }))

  it.scoped("a full queue that rejects keeps what it has, and the publish is refused", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLength: 2, overflow: "reject-publish" })
      assert.deepStrictEqual(
        yield* publishEach(channel, queue, "1", "2", "3", "4"),
        ["taken", "taken", "PublishNacked", "PublishNacked"]
      )
      yield* (yield* took(channel, queue)).ack
      assert.deepStrictEqual(yield* publishEach(channel, queue, "5", "6"), ["taken", "PublishNacked"])
      assert.deepStrictEqual(yield* drain(channel, queue), ["2", "5"])
    }))

  it.scoped("a queue that rejects by bytes takes what still fits", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLengthBytes: 5, overflow: "reject-publish" })
      assert.deepStrictEqual(
        yield* publishEach(channel, queue, "aa", "bb", "cc", "d"),
        ["taken", "taken", "PublishNacked", "taken"]
      )
    }))

  it.scoped("a queue that rejects does so even where a consumer waits", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxLength: 0, overflow: "reject-publish" })
      const consumer = yield* consume(channel, { queue })
      assert.deepStrictEqual(yield* publishEach(channel, queue, "1"), ["PublishNacked"])
      assert.strictEqual(yield* consumer.arrived, 0)
    }))

  it.scoped("a publish is refused when one of its queues is full, and the others have it", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const full = yield* queueWith(channel, { maxLength: 0, overflow: "reject-publish" })
      const other = yield* queueOf(channel)
      const routingKey = fresh("key")
      for (const queue of [full, other]) yield* channel.queueBind({ queue, exchange: "amq.direct", routingKey })
      const error = yield* failing(channel.publish({ exchange: "amq.direct", routingKey, content: "1" }))
      assert.strictEqual(error._tag, "PublishNacked")
      assert.deepStrictEqual(yield* drain(channel, other), ["1"])
    }))

  it.scoped("confirms and refusals of many publishes go to the right ones", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const full = yield* queueWith(channel, { maxLength: 1, overflow: "reject-publish" })
      const other = yield* queueOf(channel)
      const error = yield* failing(
        channel.publishAll(["1", "2", "3", "4", "5", "6"].map((content, index) => ({
          routingKey: index % 2 === 0 ? full : other,
          content
        })))
      )
      assert.strictEqual(error._tag, "PublishManyError")
      assert.sameDeepMembers(error.failures.map(({ error, index }) => [index, error._tag]), [
        [2, "PublishNacked"],
        [4, "PublishNacked"]
      ])
      assert.deepStrictEqual(yield* drain(channel, other), ["2", "4", "6"])
    }))

  // --- Priorities ---

  it.scoped("messages of a higher priority go first, those of one in the order of the publishes", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxPriority: 5 })
      const priorities: ReadonlyArray<number | undefined> = [0, 3, undefined, 9, 5, 3]
      yield* channel.publishAll(priorities.map((priority, index) => ({
        routingKey: queue,
        content: String(index),
        properties: priority === undefined ? {} : { priority }
      })))
      // Above the highest counts as the highest, and no priority as 0.
      assert.deepStrictEqual(yield* drain(channel, queue), ["3", "4", "1", "5", "0", "2"])
    }))

  it.scoped("what comes back to a queue with priorities returns to its place in its own", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxPriority: 5 })
      const publish = (content: string, priority: number) =>
        channel.publish({ routingKey: queue, content, properties: { priority } })
      for (const [content, priority] of [["1", 1], ["2", 1], ["3", 3]] as const) yield* publish(content, priority)
      const taken = [yield* took(channel, queue), yield* took(channel, queue), yield* took(channel, queue)]
      assert.deepStrictEqual(texts(taken), ["3", "1", "2"])
      yield* publish("4", 1)
      yield* taken[2]!.nack() // three were taken
      yield* taken[1]!.nack()
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2", "4"])
    }))

  it.scoped("a full queue with priorities drops what would have gone first", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { maxPriority: 5, maxLength: 2 })
      for (const [content, priority] of [["1", 1], ["2", 4], ["3", 2], ["4", 0]] as const) {
        yield* channel.publish({ routingKey: queue, content, properties: { priority } })
      }
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "4"])
    }))

  it.scoped("priorities mean nothing to a queue without them", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      for (const [content, priority] of [["1", 1], ["2", 4]] as const) {
        yield* channel.publish({ routingKey: queue, content, properties: { priority } })
      }
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2"])
    }))

  // --- Quorum queues ---

  it.scoped("a full quorum queue refuses only when it is over its limit", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { type: "quorum", maxLength: 2, overflow: "reject-publish" })
      assert.deepStrictEqual(
        yield* publishEach(channel, queue, "1", "2", "3", "4"),
        ["taken", "taken", "taken", "PublishNacked"]
      )
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a quorum queue cannot be deleted with conditions", () =>
    Effect.gen(function*() {
      for (const condition of ["if-unused", "if-empty"] as const) {
        const { channel, vhost } = yield* openConfirm()
        const queue = yield* queueWith(channel, { type: "quorum" })
        const error = yield* failing(
          channel.queueDelete({ queue, ...condition === "if-unused" ? { ifUnused: true } : { ifEmpty: true } })
        )
        assert.deepInclude({ ...error }, { _tag: "ConnectionClosed" })
        assert.include(
          error.message,
          `NOT_IMPLEMENTED - cannot delete queue '${queue}' in vhost '${vhost}'. queue.delete operations with ${condition} flag set are not supported by quorum queues`
        )
      }
    }))

  it.scoped("a quorum queue is durable, of all connections, and stays", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const args = Arguments.queue({ type: "quorum" })
      for (
        const [property, options] of [
          ["non-durable", { durable: false }],
          ["exclusive-owner", { exclusive: true }],
          ["auto-delete", { autoDelete: true, exclusive: true }]
        ] as const
      ) {
        const queue = fresh("q")
        yield* refused(channel, channel.queueDeclare({ queue, arguments: args, durable: true, ...options }), {
          reason: "PreconditionFailed",
          code: 406,
          text: `PRECONDITION_FAILED - invalid property '${property}' for queue '${queue}' in vhost '${vhost}'`,
          method: "queue.declare"
        })
      }
      yield* refused(channel, channel.queueDeclare({ queue: "", exclusive: false, arguments: args }), {
        reason: "PreconditionFailed",
        code: 406,
        text: "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue",
        method: "queue.declare"
      })
    }))
}
