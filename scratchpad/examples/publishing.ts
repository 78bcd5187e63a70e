/**
 * Publishing, with and without the broker's confirms: one message, many at once, and a stream of them with a bounded
 * window of unconfirmed ones.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

export const program = Effect.gen(function*() {
  const plain = yield* Channel.make()
  const confirm = yield* Channel.makeConfirm({ window: 100 })
  // Without a name: the broker chooses one, and the queue goes with the connection.
  const { queue } = yield* plain.queueDeclare()
  const count = Effect.map(plain.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount)

  // Done when its frames are in the output buffer: nobody says whether the broker took it.
  yield* plain.publish({ routingKey: queue, content: "perhaps" })

  // Done when the broker has taken responsibility.
  yield* confirm.publish({
    routingKey: queue,
    mandatory: true,
    content: new TextEncoder().encode("certainly"),
    properties: { persistent: true, contentType: "text/plain", expiration: "1 hour", headers: { attempt: 1 } }
  })

  // Pipelined: one wait for all their confirms.
  yield* confirm.publishAll(Array.from({ length: 50 }, (_, n) => ({ routingKey: queue, content: `of many ${n}` })))

  // Each offer ends with its place in the window, so the stream is never further ahead than 100 messages.
  yield* Stream.range(1, 500).pipe(
    Stream.runForEach((n) => confirm.offer({ routingKey: queue, content: `of a stream ${n}` }))
  )
  yield* confirm.drain

  // `mandatory` sends back what reaches no queue.
  const returned = yield* confirm.publish({ routingKey: "nowhere", mandatory: true, content: "lost" }).pipe(
    Effect.as("delivered"),
    Effect.catchTag("PublishReturned", (error) => Effect.succeed(`${error.code} ${error.text}`))
  )

  // Of many, the fault says which.
  const failed = yield* confirm.publishAll([
    { routingKey: queue, mandatory: true, content: "good" },
    { routingKey: "nowhere", mandatory: true, content: "lost" }
  ]).pipe(
    Effect.as([]),
    Effect.catchTag("PublishManyError", (error) => Effect.succeed(error.failures.map(({ index }) => index)))
  )

  return { count: yield* count, unconfirmed: yield* confirm.unconfirmed, returned, failed }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
