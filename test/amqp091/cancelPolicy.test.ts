import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection, Consumer, Message } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { CallError, ConsumerCancelled } from "../../src/AmqpError.ts"
import { Embedded, eventually, look, pass, queueOf } from "./onBroker.ts"

/** A consumer of queue "q", which is there, with what it has taken. */
const consuming = (onCancel: Channel.CancelPolicy) =>
  Effect.gen(function*() {
    const channel = yield* Channel.make()
    yield* channel.queueDeclare({ queue: "q" })
    const taken: Array<string> = []
    const fiber = yield* channel.consume({ queue: "q", consumerTag: "c", onCancel }).pipe(
      Stream.tap((delivery) => Effect.zipRight(Effect.sync(() => taken.push(delivery.text)), delivery.ack)),
      Stream.runDrain,
      Effect.fork
    )
    yield* pass
    const deleted = Effect.zipRight(channel.queueDelete({ queue: "q" }), pass)
    return { channel, fiber, taken, deleted }
  })

const ConsumersOnly = Connection.layer({ url: "memory://", recovery: { mode: "consumersOnly" } }).pipe(
  Layer.provideMerge(Broker.layerMemory)
)

describe("The policy for a consumer that the broker ends", () => {
  it.effect("fails its stream", () =>
    Effect.gen(function*() {
      const { deleted, fiber } = yield* consuming("fail")
      yield* deleted
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "ConsumerCancelled")
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("ends its stream, after what had arrived", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* queueOf("q", "0", "1", "2")
      const taken = yield* channel.consume({ queue: "q", batch: 1, onCancel: "end" }).pipe(
        Stream.tap((delivery) => delivery.text === "0" ? channel.queueDelete({ queue: "q" }) : Effect.void),
        Stream.map(({ text }) => text),
        Stream.runCollect
      )
      assert.deepStrictEqual(Chunk.toReadonlyArray(taken), ["0", "1", "2"])
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("asks again until the queue is back, each time it goes, with its tag and on a channel that never closes", () =>
    Effect.gen(function*() {
      const { channel, deleted, fiber, taken } = yield* consuming("reconsume")
      const number = yield* channel.number
      for (const round of ["1", "2"]) {
        yield* deleted
        // A minute, in which the queue is asked for more often than a channel may be closed.
        yield* Effect.repeatN(TestClock.adjust("1 second"), 60)
        yield* queueOf("q", round)
        yield* eventually("consumed again", () => taken.includes(round), TestClock.adjust("1 second"))
        assert.strictEqual((yield* look("q")).consumers, 1)
      }
      assert.deepStrictEqual(taken, ["1", "2"])
      assert.strictEqual(yield* channel.number, number)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* look("q")).consumers, 0)
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("asks again after a loss of the connection in which the queue went", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q", durable: false, exclusive: true })
      const taken: Array<string> = []
      yield* channel.consume({ queue: "q", onCancel: "reconsume" }).pipe(
        Stream.runForEach((delivery) => Effect.sync(() => taken.push(delivery.text))),
        Effect.fork
      )
      yield* pass
      yield* broker.dropConnections
      yield* Effect.repeatN(pass, 20)
      yield* queueOf("q", "back")
      yield* eventually("consumed again", () => taken.includes("back"), Effect.repeatN(pass, 10))
    }).pipe(Effect.scoped, Effect.provide(ConsumersOnly)))

  it.effect("fails with why the last attempt failed when the Schedule ends", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const schedule = Schedule.tapInput(
        Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(3)),
        (fault: CallError | ConsumerCancelled) => Effect.sync(() => seen.push(fault._tag))
      )
      const { deleted, fiber } = yield* consuming(schedule)
      yield* deleted
      yield* Effect.repeatN(pass, 200)
      const fault = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "NotFound")
      assert.deepStrictEqual(seen, ["ConsumerCancelled", "ChannelError", "ChannelError", "ChannelError"])
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("stops asking when its reader goes", () =>
    Effect.gen(function*() {
      const { deleted, fiber } = yield* consuming("reconsume")
      yield* deleted
      yield* Fiber.interrupt(fiber)
      yield* queueOf("q", "left")
      yield* Effect.repeatN(pass, 100)
      assert.deepStrictEqual(yield* look("q"), { ready: 1, unsettled: 0, consumers: 0 })
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("is a handler's too", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q" })
      const handled: Array<string> = []
      yield* Effect.fork(Consumer.run(
        { queue: "q", content: Message.text, onCancel: "reconsume" },
        (text: string) => Effect.sync(() => handled.push(text))
      ))
      yield* pass
      yield* channel.queueDelete({ queue: "q" })
      yield* pass
      yield* queueOf("q", "again")
      yield* eventually("handled", () => handled.includes("again"))
      yield* channel.queueDelete({ queue: "q" })
    }).pipe(Effect.scoped, Effect.provide(Embedded)))
})
