import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const Test = Connection.layer({ url: "memory://" }).pipe(Layer.provideMerge(Broker.layerMemory))

/** Ten messages, a channel that stays open, and how many are ready and unsettled after its consumer has ended. */
const afterwards = (use: (channel: Channel.ConfirmChannel) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const channel = yield* Channel.makeConfirm()
    yield* channel.queueDeclare({ queue: "q" })
    yield* channel.publishAll(Array.from({ length: 10 }, (_, index) => ({ routingKey: "q", content: `${index}` })))
    yield* Effect.ignore(use(channel))
    // What went back was written before: the broker has it when it answers this.
    yield* channel.queueDeclare({ queue: "q", passive: true })
    const [queue] = yield* broker.queues()
    return [queue?.ready, queue?.unsettled]
  }).pipe(Effect.scoped, Effect.provide(Test))

describe("The end of a consuming stream", () => {
  it.effect("gives back what a failed handler left unsettled", () =>
    Effect.gen(function*() {
      const counts = yield* afterwards((channel) =>
        channel.consume({ queue: "q" }).pipe(
          Stream.runForEach((delivery) => delivery.text === "3" ? Effect.fail("no") : delivery.ack)
        )
      )
      assert.deepStrictEqual(counts, [7, 0])
    }))

  it.effect("gives back what an interrupted handler left unsettled", () =>
    Effect.gen(function*() {
      const counts = yield* afterwards((channel) =>
        Effect.gen(function*() {
          const fiber = yield* channel.consume({ queue: "q" }).pipe(Stream.runForEach(() => Effect.never), Effect.fork)
          yield* Effect.repeatN(Effect.yieldNow(), 100)
          yield* Fiber.interrupt(fiber)
        })
      )
      assert.deepStrictEqual(counts, [10, 0])
    }))

  it.effect("leaves what was taken to its taker when it ends well", () =>
    Effect.gen(function*() {
      const counts = yield* afterwards((channel) =>
        channel.consume({ queue: "q", batch: 4 }).pipe(
          Stream.take(4),
          Stream.runCollect,
          Effect.flatMap(channel.ackAll)
        )
      )
      assert.deepStrictEqual(counts, [6, 0])
    }))

  it.effect("with a batch of 1 gives back all that was not taken", () =>
    Effect.gen(function*() {
      const counts = yield* afterwards((channel) =>
        channel.consume({ queue: "q", batch: 1 }).pipe(
          Stream.mapEffect((delivery) => delivery.ack),
          Stream.take(3),
          Stream.runDrain
        )
      )
      assert.deepStrictEqual(counts, [7, 0])
    }))

  it.effect("refuses a batch of nothing", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const fault = yield* Effect.flip(Stream.runDrain(channel.consume({ queue: "q", batch: 0 })))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "Refused")
    }).pipe(Effect.scoped, Effect.provide(Test)))
})
