import { assert, describe, it } from "@effect/vitest"
import { Metrics } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"

const counted = Effect.map(Metric.value(Metrics.unsettled), ({ count }) => count)

/** What an effect adds to the metric, and what it warns of. */
const noticed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const warnings: Array<string> = []
    const before = yield* counted
    yield* Effect.provide(
      effect,
      Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ logLevel, message }) => {
          if (logLevel._tag === "Warning") warnings.push(String(message))
        })
      )
    )
    return { count: (yield* counted) - before, warnings }
  })

/** One message, in hand. */
const held = (noAck = false) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const connection = yield* Connection.make({ url: "memory://" })
    const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
    yield* channel.queueDeclare({ queue: "q" })
    yield* channel.publish({ routingKey: "q", content: "x" })
    const { delivery } = Option.getOrThrow(yield* channel.get({ queue: "q", noAck }))
    return { broker, channel, delivery }
  })

describe("a settlement that cannot be carried out", () => {
  it.scoped("because the life of its channel is over is counted and warned of, and the message comes again", () =>
    Effect.gen(function*() {
      const { broker, channel, delivery } = yield* held()
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      const warning = `Delivery ${delivery.deliveryTag} cannot be settled (Stale)`
      assert.deepStrictEqual(yield* noticed(delivery.ack), { count: 1, warnings: [warning] })
      assert.deepStrictEqual(yield* noticed(delivery.nack()), { count: 1, warnings: [warning] })
      assert.deepStrictEqual(yield* noticed(delivery.reject()), { count: 1, warnings: [warning] })
      const again = Option.getOrThrow(yield* channel.get({ queue: "q" }))
      assert.isTrue(again.delivery.redelivered)
      assert.deepStrictEqual(yield* noticed(again.delivery.ack), { count: 0, warnings: [] })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("because it was settled before is counted and warned of, and nothing is sent", () =>
    Effect.gen(function*() {
      const { channel, delivery } = yield* held()
      yield* delivery.ack
      assert.deepStrictEqual(yield* noticed(delivery.nack()), {
        count: 1,
        warnings: [`Delivery ${delivery.deliveryTag} cannot be settled (AlreadySettled)`]
      })
      // RabbitMQ closes a channel for an unknown delivery tag: this one lives, and its queue is empty.
      assert.deepStrictEqual(yield* channel.get({ queue: "q" }), Option.none())
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("because it came without acknowledgement is counted and warned of", () =>
    Effect.gen(function*() {
      const { delivery } = yield* held(true)
      const { count, warnings } = yield* noticed(delivery.ack)
      assert.deepStrictEqual([count, warnings.length], [1, 1])
      assert.include(warnings[0], "NoAck")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("is counted for each of many that are acknowledged together", () =>
    Effect.gen(function*() {
      const { broker, channel, delivery } = yield* held()
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      const again = Option.getOrThrow(yield* channel.get({ queue: "q" }))
      const { count, warnings } = yield* noticed(channel.ackAll([delivery, again.delivery]))
      assert.deepStrictEqual([count, warnings.length], [1, 1])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* broker.queues(), [{ name: "q", ready: 0, unsettled: 0, consumers: 0 }])
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("asked with ackOrFail fails the caller, and is neither counted nor warned of", () =>
    Effect.gen(function*() {
      const { delivery } = yield* held()
      yield* delivery.ack
      assert.deepStrictEqual(yield* noticed(Effect.flip(delivery.ackOrFail)), { count: 0, warnings: [] })
    }).pipe(Effect.provide(Broker.layerMemory)))
})
