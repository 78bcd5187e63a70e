/** Where messages go when a queue gives them up, and what they say of it. */
import { assert } from "@effect/vitest"
import { type Channel, FieldTable, type Message } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { elapse, fresh, holds, look, openConfirm, queueOf, queueWith, took } from "./place.ts"

/** A queue that dead-letters to another one. */
const pair = (channel: Channel.ConfirmChannel, options: Parameters<typeof queueWith>[1] = {}) =>
  Effect.gen(function*() {
    const dead = yield* queueOf(channel)
    const queue = yield* queueWith(channel, { ...options, deadLetterExchange: "", deadLetterRoutingKey: dead })
    return { dead, queue }
  })

/** The next message of a queue that has some, or will have soon. */
const arrives = (channel: Channel.ChannelBase, queue: string) =>
  Effect.zipRight(holds(channel, queue, 1), took(channel, queue, { noAck: true }))

/** Headers but for the time of each death, which must be one. */
const headersOf = ({ properties: { headers = {} } }: Message.Delivery): FieldTable.FieldTable => {
  const { "x-death": deaths, ...others } = headers
  assert(Array.isArray(deaths))
  return {
    ...others,
    "x-death": deaths.map((death) => {
      assert(FieldTable.isFieldTable(death))
      const { time, ...rest } = death
      assert(DateTime.isDateTime(time))
      return rest
    })
  }
}

const firstDeath = (queue: string, reason: string, exchange = "") => ({
  "x-first-death-exchange": exchange,
  "x-first-death-queue": queue,
  "x-first-death-reason": reason
})

const deadTo = (queue: string): FieldTable.FieldTable => ({
  "x-dead-letter-exchange": "",
  "x-dead-letter-routing-key": queue
})

const reject = (channel: Channel.ChannelBase, queue: string) =>
  Effect.flatMap(took(channel, queue), (delivery) => Effect.as(delivery.reject(), delivery))

export const deadLettering = (it: It): void => {
  it.scoped("a rejected message goes to the dead-letter exchange, and says from where and why", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      yield* channel.publish({
        routingKey: queue,
        content: "1",
        properties: { headers: { a: 1 }, messageId: "mine", priority: 3 }
      })
      yield* reject(channel, queue)
      const letter = yield* arrives(channel, dead)
      assert.deepStrictEqual([letter.text, letter.exchange, letter.routingKey, letter.redelivered], [
        "1",
        "",
        dead,
        false
      ])
      assert.deepInclude(letter.properties, { messageId: "mine", priority: 3 })
      assert.deepStrictEqual(headersOf(letter), {
        a: 1,
        ...firstDeath(queue, "rejected"),
        "x-death": [{ count: 1, reason: "rejected", queue, exchange: "", "routing-keys": [queue] }]
      })
    }))

  it.scoped("so does one that was given back for good with others", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
      for (let left = 3; left > 0; left--) yield* took(channel, queue)
      yield* channel.nackAll(undefined, { requeue: false })
      yield* holds(channel, dead, 3)
      const letters = [yield* took(channel, dead), yield* took(channel, dead), yield* took(channel, dead)]
      assert.deepStrictEqual(letters.map(({ text }) => text), ["1", "2", "3"])
    }))

  it.scoped("numbers in the headers keep their types", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      const headers = { big: 2n ** 60n, half: 0.5, bytes: Uint8Array.of(1, 255), list: [1, "a", null, { deep: true }] }
      yield* channel.publish({
        routingKey: queue,
        content: "",
        properties: { headers: { ...headers, byte: FieldTable.uint8(200), amount: FieldTable.decimal(2, 314) } }
      })
      yield* reject(channel, queue)
      const letter = yield* arrives(channel, dead)
      assert.deepInclude(letter.properties.headers, { ...headers, byte: 200, amount: FieldTable.decimal(2, 314) })
    }))

  it.scoped("an expired message has lost its expiration, and says what it was", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel, { messageTtl: "1 minute" })
      yield* channel.publish({ routingKey: queue, content: "1", properties: { expiration: "30 millis" } })
      yield* elapse(100)
      const letter = yield* arrives(channel, dead)
      assert.isUndefined(letter.properties.expiration)
      assert.deepStrictEqual(headersOf(letter), {
        ...firstDeath(queue, "expired"),
        "x-death": [{
          count: 1,
          reason: "expired",
          queue,
          exchange: "",
          "routing-keys": [queue],
          "original-expiration": "30"
        }]
      })
    }))

  it.scoped("a full queue dead-letters what it drops, oldest first", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel, { maxLength: 1 })
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
      yield* holds(channel, dead, 2)
      const letters = [yield* took(channel, dead), yield* took(channel, dead)]
      assert.deepStrictEqual(letters.map(({ text }) => text), ["1", "2"])
      assert.deepStrictEqual(headersOf(letters[0]!)["x-first-death-reason"], "maxlen")
    }))

  it.scoped("what a full queue refuses is dead-lettered only if asked for, and refused all the same", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      for (const [overflow, letters] of [["reject-publish", 0], ["reject-publish-dlx", 1]] as const) {
        const { dead, queue } = yield* pair(channel, { maxLength: 1, overflow })
        yield* channel.publish({ routingKey: queue, content: "1" })
        const error = yield* Effect.flip(channel.publish({ routingKey: queue, content: "2" }))
        assert.strictEqual(error._tag, "PublishNacked")
        yield* holds(channel, dead, letters)
        if (letters === 1) assert.strictEqual((yield* took(channel, dead)).text, "2")
      }
    }))

  it.scoped("without a routing key of its own the exchange gets the message's, and those of its copies", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = fresh("x")
      yield* channel.exchangeDeclare({ exchange, autoDelete: true })
      const [own, copied, blind] = [yield* queueOf(channel), yield* queueOf(channel), yield* queueOf(channel)]
      const [CC, BCC] = [[fresh("cc")], [fresh("bcc")]]
      const queue = yield* queueWith(channel, { deadLetterExchange: exchange })
      for (const [bound, key] of [[own, queue], [copied, CC[0]], [blind, BCC[0]]] as const) {
        yield* channel.queueBind({ queue: bound, exchange, routingKey: key ?? "" })
      }
      yield* channel.publish({ routingKey: queue, content: "1", properties: { headers: { CC, BCC } } })
      yield* reject(channel, queue)
      for (const each of [own, copied, blind]) {
        const letter = yield* arrives(channel, each)
        assert.strictEqual(letter.routingKey, queue)
        assert.deepStrictEqual(headersOf(letter), {
          CC,
          ...firstDeath(queue, "rejected"),
          "x-death": [{ count: 1, reason: "rejected", queue, exchange: "", "routing-keys": [queue, ...CC] }]
        })
      }
    }))

  it.scoped("with a routing key of its own the copies' are forgotten, but told of", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      const other = yield* queueOf(channel)
      yield* channel.publish({
        routingKey: fresh("missing"),
        content: "1",
        properties: { headers: { CC: [queue, other] } }
      })
      yield* channel.queuePurge(other)
      yield* reject(channel, queue)
      const letter = yield* arrives(channel, dead)
      const headers = headersOf(letter)
      assert.isUndefined(headers["CC"])
      assert.deepNestedPropertyVal(headers, "x-death[0].routing-keys[2]", other)
      assert.strictEqual((yield* look(channel, other)).messageCount, 0)
    }))

  it.scoped("a topic exchange chooses dead letters by the key they have", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = fresh("x")
      yield* channel.exchangeDeclare({ exchange, type: "topic", autoDelete: true })
      const dead = yield* queueOf(channel)
      const queue = yield* queueWith(channel, { deadLetterExchange: exchange })
      yield* channel.queueBind({ queue: dead, exchange, routingKey: `${queue}.*` })
      yield* channel.queueBind({ queue, exchange: "amq.topic", routingKey: `${queue}.#` })
      yield* channel.publish({ exchange: "amq.topic", routingKey: `${queue}.a`, content: "1" })
      yield* reject(channel, queue)
      const letter = yield* arrives(channel, dead)
      assert.deepStrictEqual([letter.exchange, letter.routingKey], [exchange, `${queue}.a`])
      assert.deepStrictEqual(headersOf(letter), {
        ...firstDeath(queue, "rejected", "amq.topic"),
        "x-death": [{ count: 1, reason: "rejected", queue, exchange: "amq.topic", "routing-keys": [`${queue}.a`] }]
      })
    }))

  it.scoped("an exchange that is fed by bindings alone takes dead letters", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = fresh("x")
      yield* channel.exchangeDeclare({ exchange, type: "fanout", internal: true, autoDelete: true })
      const dead = yield* queueOf(channel)
      yield* channel.queueBind({ queue: dead, exchange })
      const queue = yield* queueWith(channel, { deadLetterExchange: exchange }, "1")
      yield* reject(channel, queue)
      assert.strictEqual((yield* arrives(channel, dead)).exchange, exchange)
    }))

  it.scoped("dead letters for an exchange that is not there, or to nobody, are dropped", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueWith(channel, { deadLetterExchange: fresh("missing") }, "1")
      yield* reject(channel, queue)
      const other = yield* queueWith(channel, { deadLetterExchange: "", deadLetterRoutingKey: fresh("missing") }, "1")
      yield* reject(channel, other)
      yield* holds(channel, queue, 0)
      yield* holds(channel, other, 0)
    }))

  it.scoped("a message on its way through several queues tells of each, the latest first", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const dead = yield* queueOf(channel)
      const second = yield* queueWith(channel, {
        messageTtl: "20 millis",
        deadLetterExchange: "",
        deadLetterRoutingKey: dead
      })
      const first = yield* queueWith(channel, { deadLetterExchange: "", deadLetterRoutingKey: second }, "1")
      yield* reject(channel, first)
      yield* elapse(100)
      const letter = yield* arrives(channel, dead)
      assert.deepStrictEqual(headersOf(letter), {
        ...firstDeath(first, "rejected"),
        "x-death": [
          { count: 1, reason: "expired", queue: second, exchange: "", "routing-keys": [second] },
          { count: 1, reason: "rejected", queue: first, exchange: "", "routing-keys": [first] }
        ]
      })
    }))

  it.scoped("a message that comes round again, because somebody refuses it, counts its rounds", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [work, wait] = [fresh("work"), fresh("wait")]
      yield* channel.queueDeclare({ queue: work, exclusive: true, arguments: deadTo(wait) })
      yield* channel.queueDeclare({ queue: wait, exclusive: true, arguments: { ...deadTo(work), "x-message-ttl": 20 } })
      yield* channel.publish({ routingKey: work, content: "1" })
      for (let round = 1; round <= 3; round++) {
        yield* reject(channel, work)
        yield* elapse(100)
        yield* holds(channel, work, 1)
      }
      const letter = yield* took(channel, work)
      assert.deepStrictEqual(headersOf(letter), {
        ...firstDeath(work, "rejected"),
        "x-death": [
          { count: 3, reason: "expired", queue: wait, exchange: "", "routing-keys": [wait] },
          { count: 3, reason: "rejected", queue: work, exchange: "", "routing-keys": [work] }
        ]
      })
    }))

  it.scoped("a message that would go round for ever, because nobody refuses it, is dropped", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [one, other] = [fresh("one"), fresh("other")]
      yield* channel.queueDeclare({ queue: one, exclusive: true, arguments: { ...deadTo(other), "x-message-ttl": 20 } })
      yield* channel.queueDeclare({ queue: other, exclusive: true, arguments: { ...deadTo(one), "x-message-ttl": 20 } })
      yield* channel.publish({ routingKey: one, content: "1" })
      yield* elapse(150)
      yield* holds(channel, one, 0)
      yield* holds(channel, other, 0)
      yield* elapse(50)
      yield* holds(channel, one, 0)
    }))

  it.scoped("a queue that is its own dead-letter queue gets a refused message back, and a dropped one not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({
        queue,
        exclusive: true,
        arguments: { ...deadTo(queue), "x-max-length": 1 }
      })
      yield* channel.publishAll(["1", "2"].map((content) => ({ routingKey: queue, content })))
      assert.strictEqual((yield* reject(channel, queue)).text, "2")
      const letter = yield* arrives(channel, queue)
      assert.deepStrictEqual([letter.text, letter.redelivered], ["2", false])
    }))

  it.scoped("deaths that a client wrote are continued where they are some, and replaced where they are not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      const death = { count: 1, reason: "rejected", queue, exchange: "", "routing-keys": [queue] }
      const time = FieldTable.timestamp(1)
      for (
        const [given, expected] of [
          ["none", [death]],
          [[{ queue: "x", reason: "expired", count: 7, time }], [death, { queue: "x", reason: "expired", count: 7 }]],
          [[{ queue, reason: "rejected", count: 7, time }], [{ queue, reason: "rejected", count: 8 }]]
        ] as const
      ) {
        yield* channel.publish({ routingKey: queue, content: "", properties: { headers: { "x-death": given } } })
        yield* reject(channel, queue)
        assert.deepStrictEqual(headersOf(yield* arrives(channel, dead)), { "x-death": expected })
      }
    }))

  it.scoped("what is purged, or goes with its queue, is no dead letter", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel)
      yield* channel.publish({ routingKey: queue, content: "1" })
      yield* channel.queuePurge(queue)
      yield* channel.publish({ routingKey: queue, content: "2" })
      yield* channel.queueDelete({ queue })
      yield* elapse(30)
      assert.strictEqual((yield* look(channel, dead)).messageCount, 0)
    }))

  // --- Quorum queues ---

  it.scoped("a message that comes back too often is dead-lettered", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel, { type: "quorum", deliveryLimit: 2 })
      yield* channel.publish({ routingKey: queue, content: "1", properties: { headers: { a: 1 } } })
      for (let count = 0; count <= 2; count++) {
        yield* holds(channel, queue, 1)
        const delivery = yield* took(channel, queue)
        assert.strictEqual(delivery.redelivered, count > 0)
        assert.deepStrictEqual(delivery.properties.headers, { a: 1, "x-delivery-count": count })
        yield* delivery.nack()
      }
      assert.deepStrictEqual(headersOf(yield* arrives(channel, dead)), {
        a: 1,
        ...firstDeath(queue, "delivery_limit"),
        "x-death": [{ count: 1, reason: "delivery_limit", queue, exchange: "", "routing-keys": [queue] }]
      })
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("a quorum queue dead-letters what expires, what is too much, and what is refused", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { dead, queue } = yield* pair(channel, { type: "quorum", maxLength: 1, messageTtl: "1 second" })
      yield* channel.publishAll(["1", "2"].map((content) => ({ routingKey: queue, content })))
      assert.strictEqual(headersOf(yield* arrives(channel, dead))["x-first-death-reason"], "maxlen")
      yield* elapse(1100)
      assert.strictEqual(headersOf(yield* arrives(channel, dead))["x-first-death-reason"], "expired")
      yield* channel.publish({ routingKey: queue, content: "3" })
      yield* reject(channel, queue)
      assert.strictEqual(headersOf(yield* arrives(channel, dead))["x-first-death-reason"], "rejected")
      yield* channel.queueDelete({ queue })
    }))
}
