import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import type { Message } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const Test = Connection.layer({ url: "memory://" }).pipe(Layer.provideMerge(Broker.layerMemory))

const settled = Effect.repeatN(Effect.yieldNow(), 100)

describe("Consumers that share a channel's prefetch", () => {
  it.effect("take turns also when credit for several comes back at once", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm({ prefetch: 0 })
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.qos({ prefetch: 4, global: true })
      const held: Record<string, Array<Message.Delivery>> = { a: [], b: [] }
      for (const [consumerTag, deliveries] of Object.entries(held)) {
        yield* channel.consume({ queue: "q", consumerTag }).pipe(
          Stream.runForEach((delivery) => Effect.sync(() => deliveries.push(delivery))),
          Effect.forkScoped
        )
        yield* settled
      }
      yield* channel.publishAll(Array.from({ length: 8 }, () => ({ routingKey: "q", content: "" })))
      yield* settled
      const counts = () => Object.values(held).map((deliveries) => deliveries.length)
      assert.deepStrictEqual(counts(), [2, 2])
      yield* channel.ackAll()
      yield* channel.queueDeclare({ queue: "q", passive: true })
      yield* settled
      assert.deepStrictEqual(counts(), [4, 4])
    }).pipe(Effect.scoped, Effect.provide(Test)))
})
