/**
 * A whole application that ends well on SIGTERM: `NodeRuntime.runMain` interrupts it, its Layers close in reverse order, and
 * so the consumer takes nothing new, what runs ends and is acknowledged, publishes are confirmed, and the connection says
 * goodbye. `docker stop` and Kubernetes send SIGTERM and wait; `drainTimeout` is to be shorter than they do.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isMain, Live } from "./main.ts"

const queue = "examples.shutdown"

const Topology = Layer.scopedDiscard(Effect.gen(function*() {
  const channel = yield* Channel.make()
  for (const each of [queue, `${queue}.done`]) {
    yield* channel.queueDeclare({ queue: each })
    yield* channel.queuePurge(each)
  }
}))

/** Works for half a second on each order, and says on another queue that it is done. */
const Worker = Layer.scopedDiscard(Effect.gen(function*() {
  const done = yield* Publisher.make({ routingKey: `${queue}.done`, content: Message.text })
  yield* Effect.forkScoped(Consumer.run(
    { queue, content: Message.text, concurrency: 2, prefetch: 2, drainTimeout: "10 seconds" },
    (order) =>
      Effect.gen(function*() {
        yield* Console.log(`begins ${order}`)
        yield* Effect.sleep("500 millis")
        yield* done.publish(order)
        yield* Console.log(`ends ${order}`)
      })
  ))
}))

/** Orders keep coming. */
const Feeder = Layer.scopedDiscard(Effect.gen(function*() {
  const orders = yield* Publisher.make({ routingKey: queue, content: Message.text })
  yield* orders.publishAll(["1", "2", "3", "4", "5", "6"])
}))

/** Looks at the queue, once all above it is closed. */
const LastWord = Layer.scopedDiscard(Effect.gen(function*() {
  const connection = yield* Connection.Connection
  yield* Effect.addFinalizer(() =>
    Channel.queueExists(queue).pipe(
      Effect.flatMap(Effect.flatMap(({ messageCount }) => Console.log(`left for others: ${messageCount}`))),
      Effect.provideService(Connection.Connection, connection),
      Effect.ignoreLogged
    )
  )
}))

export const App = Worker.pipe(
  Layer.provideMerge(Feeder),
  Layer.provideMerge(Topology),
  Layer.provideMerge(LastWord),
  Layer.provide(Live)
)

if (isMain(import.meta.url)) NodeRuntime.runMain(Layer.launch(App))
