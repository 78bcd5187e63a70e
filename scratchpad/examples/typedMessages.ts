/**
 * Values instead of bytes: a publisher and a consumer that share a Schema. What does not fit it never reaches the handler:
 * it is rejected, with a warning, and the consumer goes on.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Alphabetical from "effect/Order"
import * as Schema from "effect/Schema"
import { isMain, Live } from "./main.ts"

class Order extends Schema.Class<Order>("Order")({
  id: Schema.String,
  quantity: Schema.Int.pipe(Schema.positive())
}) {}

const content = Message.json(Order)

export const program = Effect.gen(function*() {
  const channel = yield* Channel.makeConfirm()
  const { queue } = yield* channel.queueDeclare()
  const publisher = yield* Publisher.make({
    routingKey: queue,
    content,
    guarantee: "at-least-once",
    messageId: (order) => order.id
  })

  const attempts: Array<string> = []
  const done = yield* Effect.makeLatch()
  const consumer = Consumer.run(
    { queue, content, concurrency: 4, prefetch: 8, onFailure: "requeue-once" },
    // What fails comes back once, and is rejected the second time.
    (order: Order, delivery) =>
      Effect.gen(function*() {
        attempts.push(`${order.quantity} of ${order.id}${delivery.redelivered ? ", again" : ""}`)
        if (order.id === "bread" && !delivery.redelivered) return yield* Effect.fail("the oven is cold")
        if (attempts.length === 4) yield* done.open
      })
  )
  yield* Effect.forkScoped(consumer)

  yield* publisher.publishAll([new Order({ id: "tea", quantity: 1 }), new Order({ id: "bread", quantity: 2 })])
  // From somebody who knows no Schema.
  yield* channel.publish({ routingKey: queue, content: `{"id":"cake","quantity":-1}` })
  yield* publisher.publish(new Order({ id: "cake", quantity: 3 }))
  yield* done.await
  return Arr.sort(attempts, Alphabetical.string)
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
