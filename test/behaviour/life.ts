/** The life of connections and channels: what a fault costs, what goes on, and what a goodbye leaves behind. */
import { assert } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { It } from "./place.ts"
import { consume, drain, eventually, failing, fresh, look, open, openConfirm, openOn, Place, queueOf } from "./place.ts"

export const life = (it: It): void => {
  it.scoped("a fault on a channel leaves the connection and its other channels alone", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const bad = yield* openOn(connection)
      const queue = yield* queueOf(channel, "1")
      const consumer = yield* consume(channel, { queue, prefetch: 1 })
      const held = yield* consumer.next
      const before = yield* connection.info
      yield* failing(look(bad, fresh("missing")))
      yield* held.ackOrFail
      yield* channel.publish({ routingKey: queue, content: "2" })
      assert.strictEqual((yield* consumer.next).text, "2")
      assert.strictEqual((yield* connection.info).epoch, before.epoch)
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }))

  it.scoped("a channel works again after a fault, with its prefetch, its confirms and its consumers", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ prefetch: 2 })
      const queue = yield* queueOf(channel)
      const consumer = yield* consume(channel, { queue, consumerTag: "mine" })
      yield* failing(look(channel, fresh("missing")))
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
      const [first] = yield* consumer.take(2)
      assert.strictEqual(first?.consumerTag, "mine")
      assert.deepStrictEqual(yield* look(channel, queue), { queue, messageCount: 1, consumerCount: 1 })
      yield* first!.ackOrFail // two were taken
      assert.strictEqual((yield* consumer.next).text, "3")
      const error = yield* failing(channel.publish({ routingKey: fresh("nowhere"), mandatory: true, content: "x" }))
      assert.strictEqual(error._tag, "PublishReturned")
    }))

  it.scoped("a fault gives what the channel held back to the queue, in its order", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const bad = yield* openOn(connection)
      const queue = yield* queueOf(channel, "1", "2", "3")
      yield* bad.get({ queue })
      yield* bad.get({ queue })
      yield* failing(look(bad, fresh("missing")))
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.messageCount), 3)
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2", "3"])
    }))

  it.scoped("faults one after the other do not wear a channel out while it succeeds in between", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      for (let time = 0; time < 8; time++) {
        yield* failing(look(channel, fresh("missing")))
        yield* look(channel, queue)
      }
    }))

  it.scoped("the end of a channel's scope closes it on the broker, and gives back what it held", () =>
    Effect.gen(function*() {
      const { channels } = yield* Place
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2")
      // Those of other cases may not be gone yet.
      yield* eventually(channels, 1)
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* openOn(connection)
        yield* other.get({ queue })
        const consumer = yield* consume(other, { queue })
        yield* consumer.next
        yield* eventually(channels, 2)
      }))
      yield* eventually(channels, 1)
      yield* eventually(look(channel, queue), { queue, messageCount: 2, consumerCount: 0 })
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2"])
    }))

  it.scoped("the end of a confirm channel's scope waits for what was offered", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
        for (let index = 0; index < 100; index++) yield* other.offer({ routingKey: queue, content: String(index) })
      }))
      assert.strictEqual((yield* look(channel, queue)).messageCount, 100)
    }))

  it.scoped("the end of a plain channel's scope loses nothing of what was published", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* openOn(connection)
        for (let index = 0; index < 100; index++) yield* other.publish({ routingKey: queue, content: String(index) })
      }))
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.messageCount), 100)
    }))

  it.scoped("channel numbers are used again", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      for (let time = 0; time < 30; time++) {
        yield* Effect.scoped(Effect.flatMap(openOn(connection), (channel) => channel.queueDeclare()))
      }
      const channels = yield* Effect.forEach(Array.from({ length: 20 }), () => openOn(connection), {
        concurrency: "unbounded"
      })
      yield* Effect.forEach(channels, (channel) => channel.queueDeclare(), { concurrency: "unbounded" })
    }))

  it.scoped("a connection that was closed says so to whoever uses it, and gives back what it held", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, durable: true })
      yield* channel.publish({ routingKey: queue, content: "1" })
      const other = yield* open()
      yield* other.channel.get({ queue })
      yield* other.connection.close({ code: 320, text: "enough" })
      const error = yield* failing(other.channel.queueDeclare())
      assert.deepInclude({ ...error }, { _tag: "ConnectionClosed", reason: "Client", code: 320, text: "enough" })
      assert.strictEqual((yield* other.connection.state)._tag, "Closed")
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.messageCount), 1)
      assert.deepStrictEqual(yield* drain(channel, queue), ["1"])
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("the end of a connection ends its consumers, with its reason", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const consumer = yield* consume(channel, { queue })
      yield* connection.close()
      const error = yield* failing(consumer.fiber)
      assert.deepInclude({ ...error }, { _tag: "ConnectionClosed", reason: "Client" })
    }))

  it.scoped("a connection to a missing virtual host is refused", () =>
    Effect.gen(function*() {
      const { connect } = yield* Place
      const error = yield* failing(connect("missing"))
      assert.strictEqual(error.reason, "Vhost")
      assert.include(error.message, "NOT_ALLOWED - vhost missing not found")
    }))

  it.scoped("two connections talk to each other through a queue", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { channel: other } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, durable: true })
      const all = yield* other.consume({ queue }).pipe(
        Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.text)),
        Stream.take(50),
        Stream.runCollect,
        Effect.fork
      )
      const contents = Array.from({ length: 50 }, (_, index) => String(index))
      yield* channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
      assert.deepStrictEqual(Array.from(yield* all), contents)
      yield* channel.queueDelete({ queue })
    }))
}
