import { assert } from "@effect/vitest"
import { Metrics } from "effect-amqp"
import { Channel, Connection, Consumer, Message } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const size = 100_000

/** A connection, a channel on another one, and a queue with that many large messages. */
const flooded = (count: number) =>
  Effect.gen(function*() {
    const { url } = yield* SharedRabbitMq
    const connect = Effect.provide(Connection.make({ url }), NodeTransport.layer)
    const [connection, other] = [yield* connect, yield* connect]
    const observer = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, other)
    const { queue } = yield* observer.queueDeclare({ exclusive: false, autoDelete: false })
    yield* Effect.addFinalizer(() => Effect.ignore(observer.queueDelete({ queue })))
    yield* observer.publishAll(
      Array.from({ length: count }, (_, index) => ({ routingKey: queue, content: `${index} `.padEnd(size) }))
    )
    const seen = Effect.map(observer.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount)
    return { connection, observer, queue, seen }
  })

const consumed = Effect.map(Metric.value(Metrics.consumed), ({ count }) => count)
const indexOf = ({ text }: Message.Delivery) => Number.parseInt(text, 10)

describeRabbit("On RabbitMQ", (it) => {
  it.scoped("a no-ack flood stops at its buffer, and nothing of it is lost", () =>
    Effect.gen(function*() {
      const count = 300
      const { connection, queue } = yield* flooded(count)
      const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
      const before = yield* consumed
      const go = yield* Effect.makeLatch()
      const consuming = yield* channel.consume({ queue, noAck: true }).pipe(
        Stream.tap(() => go.await),
        Stream.take(count),
        Stream.map(indexOf),
        Stream.runCollect,
        Effect.fork
      )
      yield* eventually(Effect.map(consumed, (now) => (now - before) * size > 1024 * 1024), true)
      yield* Effect.sleep("300 millis")
      // A batch that was taken, a full buffer of 1 MiB, and what one read may bring.
      assert.isBelow(((yield* consumed) - before) * size, 3 * 1024 * 1024)
      yield* go.open
      const received = yield* Fiber.join(consuming)
      assert.deepStrictEqual([...received], Array.from({ length: count }, (_, index) => index))
    }))

  it.scoped(
    "a no-ack handler that publishes with confirms on the same connection does not deadlock",
    () =>
      Effect.gen(function*() {
        const count = 100
        const { connection, queue } = yield* flooded(count)
        const on = Effect.provideService(Connection.Connection, connection)
        const consumer = yield* on(Channel.make())
        const publisher = yield* on(Channel.makeConfirm())
        const { queue: answers } = yield* publisher.queueDeclare()
        const handled = yield* consumer.consume({ queue, noAck: true }).pipe(
          Stream.take(count),
          Stream.mapEffect((delivery) =>
            // A confirm, and an answer to a call, which come behind what nobody reads yet.
            publisher.publish({ routingKey: answers, content: `${indexOf(delivery)}` }).pipe(
              Effect.zipRight(publisher.queueDeclare({ queue: answers, passive: true })),
              Effect.as(indexOf(delivery))
            )
          ),
          Stream.runCollect,
          Effect.timeout("30 seconds")
        )
        assert.lengthOf(handled, count)
        const { messageCount } = yield* publisher.queueDeclare({ queue: answers, passive: true })
        assert.strictEqual(messageCount, count)
      }),
    40_000
  )

  it.scoped("a consumer that never settles holds its prefetch, and no more", () =>
    Effect.gen(function*() {
      const { connection, queue, seen } = yield* flooded(50)
      const held = yield* Ref.make(0)
      const consuming = yield* Consumer.run(
        { queue, content: Message.bytes, prefetch: 7, concurrency: 7, drainTimeout: "10 millis" },
        () => Effect.zipRight(Ref.update(held, (count) => count + 1), Effect.never)
      ).pipe(Effect.provideService(Connection.Connection, connection), Effect.fork)
      yield* eventually(Ref.get(held), 7)
      yield* Effect.sleep("100 millis")
      assert.strictEqual(yield* Ref.get(held), 7)
      assert.strictEqual(yield* seen, 43)
      yield* Fiber.interrupt(consuming)
    }))
})
