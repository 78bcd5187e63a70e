/**
 * A retry ladder: an order that fails is tried again after each delay, which the broker counts, and is parked in the end.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Consumer, Death, Message, Publisher, Retry } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { isMain, Live } from "./main.ts"

const ladder = Retry.ladder({ queue: "examples.retried-orders", delays: ["20 millis", "100 millis"] })

export const program = Effect.gen(function*() {
  yield* Retry.declare(ladder)
  const channel = yield* Channel.make()
  for (const { queue } of ladder.queues) yield* channel.queuePurge(queue)

  const tried: Array<string> = []
  const onFailure = yield* Retry.onFailure(ladder)
  const consumer = yield* Effect.fork(Consumer.run(
    { queue: ladder.queue, content: Message.text, onFailure },
    (order, delivery) =>
      Effect.suspend(() => {
        const attempt = Retry.attempts(delivery) + 1
        tried.push(`${order}, attempt ${attempt}`)
        return order === "cake" || attempt === 1 ? Effect.fail("the oven is cold") : Effect.void
      })
  ))
  const orders = yield* Publisher.make({ routingKey: ladder.queue, content: Message.text })
  yield* orders.publishAll(["tea", "cake"])

  const parked = yield* channel.get({ queue: ladder.parkingLot }).pipe(
    Effect.flatten,
    Effect.retry(Schedule.spaced("20 millis"))
  )
  yield* parked.delivery.ack
  yield* Fiber.interrupt(consumer)
  return { tried, parked: parked.delivery.text, deaths: Death.count(parked.delivery) }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
