import { assert } from "@effect/vitest"
import { Arguments, Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { operationsWithoutWait } from "../amqp091/noWaitOperations.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const connected = Effect.gen(function*() {
  const { url } = yield* SharedRabbitMq
  const connection = yield* Effect.provide(Connection.make({ url }), NodeTransport.layer)
  return <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Connection.Connection, connection)
})

describeRabbit("What exists on RabbitMQ", (it) => {
  it.scoped("queues and exchanges are asked for without harm to any channel", () =>
    Effect.gen(function*() {
      const on = yield* connected
      const channel = yield* on(Channel.makeConfirm())
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "" })
      for (let count = 0; count < 10; count++) {
        assert.isTrue(Option.isNone(yield* on(Channel.queueExists(`none-${randomUUID()}`))))
        assert.isFalse(yield* on(Channel.exchangeExists(`none-${randomUUID()}`)))
      }
      assert.deepStrictEqual(
        yield* on(Channel.queueExists(queue)),
        Option.some({ queue, messageCount: 1, consumerCount: 0 })
      )
      assert.isTrue(yield* on(Channel.exchangeExists("amq.topic")))
      assert.isTrue(yield* on(Channel.exchangeExists("")))
      // The questions have left no channel behind.
      assert.strictEqual(yield* channel.number, 1)
      assert.strictEqual(yield* (yield* on(Channel.make())).number, 2)
    }))

  it.scoped("another connection's own queue is there, but not to be looked at", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* connected, yield* connected]
      const channel = yield* one(Channel.make())
      const { queue } = yield* channel.queueDeclare()
      const fault = yield* Effect.flip(other(Channel.queueExists(queue)))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "ResourceLocked")
    }))
})

describeRabbit("A connection's own channel on RabbitMQ", (it) => {
  it.scoped("does what is done once, and is there again after what closed it", () =>
    Effect.gen(function*() {
      const on = yield* connected
      const shared = on(Channel.shared)
      const { queue } = yield* Effect.flatMap(shared, (channel) => channel.queueDeclare())
      for (let count = 0; count < 7; count++) {
        const fault = yield* Effect.flip(
          Effect.flatMap(shared, (channel) => channel.queueDeclare({ queue: `none-${randomUUID()}`, passive: true }))
        )
        assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "NotFound")
      }
      const channel = yield* shared
      yield* channel.publish({ routingKey: queue, content: "x" })
      assert.strictEqual((yield* Effect.flatten(channel.get({ queue, noAck: true }))).delivery.text, "x")
    }))
})

describeRabbit("noWait on RabbitMQ", (it) => {
  it.scoped("fails a consumer whose queue is not there as an answer would", () =>
    Effect.gen(function*() {
      const on = yield* connected
      const channel = yield* on(Channel.makeConfirm({ noWait: true }))
      const queue = `none-${randomUUID()}`
      const fault = yield* Effect.flip(Stream.runDrain(channel.consume({ queue, noWait: true })))
      assert.deepInclude<object>({ ...fault }, { _tag: "ChannelError", reason: "NotFound", method: "basic.consume" })
      yield* channel.publish({ content: "" })
    }))

  it.scoped("does what it would with an answer", () =>
    Effect.flatMap(connected, (on) => on(operationsWithoutWait(true))))
})

describeRabbit("A consumer that RabbitMQ ends", (it) => {
  it.scoped("is asked for again once its queue is back", () =>
    Effect.gen(function*() {
      const on = yield* connected
      const channel = yield* on(Channel.makeConfirm())
      const queue = `coming-back-${randomUUID()}`
      const declare = channel.queueDeclare({ queue, arguments: Arguments.queue({ expires: "1 minute" }) })
      yield* declare
      const taken: Array<string> = []
      const fiber = yield* channel.consume({ queue, onCancel: "reconsume" }).pipe(
        Stream.tap((delivery) => Effect.zipRight(Effect.sync(() => taken.push(delivery.text)), delivery.ack)),
        Stream.take(2),
        Stream.runDrain,
        Effect.fork
      )
      const consumers = Effect.map(
        on(Channel.queueExists(queue)),
        Option.match({
          onNone: () => 0,
          onSome: ({ consumerCount }) => consumerCount
        })
      )
      const consumed = Effect.repeat(consumers, { until: (count) => count === 1 })
      yield* consumed
      yield* channel.publish({ routingKey: queue, content: "before" })
      yield* Effect.repeat(consumers, { until: () => taken.length === 1 })
      yield* channel.queueDelete({ queue })
      yield* Effect.sleep("300 millis")
      yield* declare
      yield* consumed
      yield* channel.publish({ routingKey: queue, content: "after" })
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(taken, ["before", "after"])
    }))
})
