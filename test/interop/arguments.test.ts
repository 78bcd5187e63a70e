import { assert } from "@effect/vitest"
import { Arguments, Channel, Connection, FieldTable } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

/** A channel, and a queue with these arguments that goes with the scope. */
const declared = (options: Arguments.QueueArguments) =>
  Effect.gen(function*() {
    const { url } = yield* SharedRabbitMq
    const connection = yield* Effect.provide(Connection.make({ url }), NodeTransport.layer)
    const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
    const queue = `arguments-${randomUUID()}`
    yield* channel.queueDeclare({ queue, arguments: Arguments.queue(options) })
    yield* Effect.addFinalizer(() => Effect.ignore(channel.queueDelete({ queue })))
    const publish = (...contents: ReadonlyArray<string>) =>
      channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
    return { connection, channel, queue, publish }
  })

const next = (channel: Channel.ConfirmChannel, queue: string) =>
  channel.get({ queue }).pipe(
    Effect.repeat({ until: Option.isSome }),
    Effect.map((got) => Option.getOrThrow(got).delivery)
  )

describeRabbit("Arguments on RabbitMQ", (it) => {
  it.scoped("a quorum queue drops what comes back too often to its dead-letter exchange", () =>
    Effect.gen(function*() {
      const dead = yield* declared({})
      const { channel, publish, queue } = yield* declared({
        type: "quorum",
        deliveryLimit: 1,
        deadLetterExchange: "",
        deadLetterRoutingKey: dead.queue,
        queueLeaderLocator: "client-local",
        quorumInitialGroupSize: 1
      })
      yield* publish("stubborn")
      yield* Effect.flatMap(next(channel, queue), (delivery) => delivery.nack())
      yield* Effect.flatMap(next(channel, queue), (delivery) => delivery.nack())
      assert.strictEqual((yield* next(dead.channel, dead.queue)).text, "stubborn")
    }))

  it.scoped("messages expire, and queues hold their length", () =>
    Effect.gen(function*() {
      const dead = yield* declared({})
      const expiring = yield* declared({
        messageTtl: "10 millis",
        expires: "1 minute",
        consumerTimeout: "1 hour",
        deadLetterExchange: "",
        deadLetterRoutingKey: dead.queue
      })
      yield* expiring.publish("late")
      assert.strictEqual((yield* next(dead.channel, dead.queue)).text, "late")

      const newest = yield* declared({ maxLength: 2, maxLengthBytes: 5_000_000_000 })
      yield* newest.publish("a", "b", "c")
      assert.strictEqual((yield* next(newest.channel, newest.queue)).text, "b")

      const full = yield* declared({ type: "classic", maxLength: 1, overflow: "reject-publish" })
      yield* full.publish("a")
      const fault = yield* Effect.flip(full.publish("b"))
      assert.strictEqual(fault.failures[0]?.error._tag, "PublishNacked")
    }))

  it.scoped("higher priorities come first", () =>
    Effect.gen(function*() {
      const { channel, queue } = yield* declared({ maxPriority: 5 })
      yield* channel.publishAll(
        [1, 5, 3].map((priority) => ({ routingKey: queue, content: `${priority}`, properties: { priority } }))
      )
      const texts: Array<string> = []
      while (texts.length < 3) texts.push((yield* next(channel, queue)).text)
      assert.deepStrictEqual(texts, ["5", "3", "1"])
    }))

  it.scoped("a single active consumer has the queue to itself", () =>
    Effect.gen(function*() {
      const { channel, publish, queue } = yield* declared({ singleActiveConsumer: true })
      const taken: Array<string> = []
      const take = (name: string) =>
        channel.consume({ queue, consumerTag: name, arguments: Arguments.consumer({ priority: 1 }) }).pipe(
          Stream.runForEach((delivery) => Effect.zipRight(Effect.sync(() => taken.push(name)), delivery.ack)),
          Effect.fork
        )
      const consumers = Effect.map(channel.queueDeclare({ queue, passive: true }), ({ consumerCount }) => consumerCount)
      yield* take("first")
      yield* Effect.repeat(consumers, { until: (count) => count === 1 })
      yield* take("second")
      yield* Effect.repeat(consumers, { until: (count) => count === 2 })
      yield* publish("1", "2", "3", "4")
      yield* Effect.repeat(Effect.zipRight(Effect.yieldNow(), consumers), { until: () => taken.length === 4 })
      assert.deepStrictEqual(taken, ["first", "first", "first", "first"])
    }))

  it.scoped("a stream is read from each kind of offset", () =>
    Effect.gen(function*() {
      const { channel, connection, publish, queue } = yield* declared({
        type: "stream",
        maxAge: "7 days",
        maxLengthBytes: 5_000_000_000,
        streamMaxSegmentSizeBytes: 1_000_000,
        initialClusterSize: 1
      })
      yield* publish("0", "1", "2", "3")
      const read = (streamOffset: Arguments.StreamOffset, count: number) =>
        channel.consume({ queue, batch: 1, arguments: Arguments.consumer({ streamOffset }) }).pipe(
          Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.text)),
          Stream.take(count),
          Stream.runCollect,
          Effect.map(Chunk.join(""))
        )
      assert.strictEqual(yield* read("first", 4), "0123")
      assert.strictEqual(yield* read(2, 2), "23")
      assert.strictEqual(yield* read(3n, 1), "3")
      assert.strictEqual(yield* read({ interval: "1 hour" }, 4), "0123")
      assert.strictEqual(yield* read(DateTime.unsafeMake("2020-01-01T00:00:00Z"), 4), "0123")
      assert.include("0123", yield* read("last", 1))
      // Ending with deliveries at hand, and taking nothing: none of them can go back.
      const consume = channel.consume({ queue, arguments: Arguments.consumer({ streamOffset: "first" }) })
      assert.strictEqual(yield* Effect.flip(Stream.runForEach(consume, () => Effect.fail("no"))), "no")
      yield* consume.pipe(Stream.take(1), Stream.runForEach((delivery) => delivery.nack()))
      yield* channel.nackAll()
      assert.strictEqual(yield* read("first", 4), "0123")
      assert.strictEqual((yield* connection.info).epoch, 1)
    }))

  it.scoped("the type L is read as l is, sign included", () =>
    Effect.gen(function*() {
      const { channel, queue } = yield* declared({})
      const match = FieldTable.uint64(2n ** 64n - 1n)
      const fault = yield* Effect.flip(
        channel.queueBind({ queue, exchange: "amq.headers", arguments: { "x-match": match } })
      )
      assert.include(fault.message, "Invalid x-match field type long (value -1); expected longstr")
    }))

  it.scoped("exchanges pass on what they cannot route, and headers bind", () =>
    Effect.gen(function*() {
      const { channel, queue } = yield* declared({})
      const rest = yield* declared({})
      const [alternate, headers] = [`alternate-${randomUUID()}`, `headers-${randomUUID()}`]
      yield* channel.exchangeDeclare({ exchange: alternate, type: "fanout", autoDelete: true })
      yield* channel.exchangeDeclare({
        exchange: headers,
        type: "headers",
        autoDelete: true,
        arguments: Arguments.exchange({ alternateExchange: alternate })
      })
      yield* channel.queueBind({ queue: rest.queue, exchange: alternate })
      yield* channel.queueBind({
        queue,
        exchange: headers,
        arguments: Arguments.binding({ match: "any", headers: { kind: "a", n: 1 } })
      })
      yield* channel.publishAll([
        { exchange: headers, content: "one", properties: { headers: { n: 1 } } },
        { exchange: headers, content: "other", properties: { headers: { n: 2 } } }
      ])
      assert.strictEqual((yield* next(channel, queue)).text, "one")
      assert.strictEqual((yield* next(channel, rest.queue)).text, "other")
    }))
})
