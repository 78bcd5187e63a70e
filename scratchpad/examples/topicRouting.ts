/**
 * Routing by topic: a routing key is words between dots, a binding a pattern over them, where `*` is one word and `#`
 * any number of them.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

const exchange = "examples.orders"
const keys = ["eu.placed", "eu.paid", "us.placed", "eu.de.paid"]

export const program = Effect.gen(function*() {
  const channel = yield* Channel.makeConfirm()
  yield* channel.exchangeDeclare({ exchange, type: "topic", durable: false, autoDelete: true })

  const boundBy = (routingKey: string) =>
    Effect.tap(channel.queueDeclare(), (queue) => channel.queueBind({ queue, exchange, routingKey }))
  const queues = yield* Effect.all({
    placed: boundBy("*.placed"),
    europe: boundBy("eu.#"),
    paid: boundBy("#.paid")
  })

  yield* channel.publishAll(keys.map((routingKey) => ({ exchange, routingKey, mandatory: true, content: "" })))

  const received = (queue: Channel.QueueRef) =>
    Effect.gen(function*() {
      const { messageCount } = yield* channel.queueDeclare({ queue: queue.queue, passive: true })
      const deliveries = yield* channel.consume({ queue }).pipe(
        Stream.take(messageCount),
        Stream.tap((delivery) => delivery.ack),
        Stream.runCollect
      )
      return Chunk.toReadonlyArray(deliveries).map((delivery) => delivery.routingKey)
    })
  return {
    placed: yield* received(queues.placed),
    europe: yield* received(queues.europe),
    paid: yield* received(queues.paid)
  }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
