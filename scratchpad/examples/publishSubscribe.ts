/**
 * Publish and subscribe: a fanout exchange copies each message to every subscriber, who has a queue of its own that goes
 * when it goes.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

const exchange = "examples.news"

/** Subscribed once this returns; the Stream is what was published since. */
export const subscribe = Effect.gen(function*() {
  const channel = yield* Channel.make()
  yield* channel.exchangeDeclare({ exchange, type: "fanout", durable: false, autoDelete: true })
  const queue = yield* channel.queueDeclare()
  yield* channel.queueBind({ queue, exchange })
  return channel.consume({ queue, noAck: true }).pipe(Stream.map((delivery) => delivery.text))
})

export const program = Effect.gen(function*() {
  const subscribers = yield* Effect.all([subscribe, subscribe, subscribe])

  const publisher = yield* Channel.makeConfirm()
  yield* publisher.publishAll(["rain", "sun", "snow"].map((content) => ({ exchange, content })))

  return yield* Effect.forEach(
    subscribers,
    (news) => news.pipe(Stream.take(3), Stream.runCollect, Effect.map(Chunk.toReadonlyArray)),
    { concurrency: "unbounded" }
  )
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
