/**
 * Consuming is a Stream of deliveries: settled one by one, by the batch, given back, refused, or taken singly with `get`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

/**
 * Consumes on a channel of its own, that goes when the Stream ends: what the broker had sent ahead and nobody settled is
 * then back in the queue, for whoever consumes next.
 */
const consuming = <A, E, R>(use: (channel: Channel.Channel) => Stream.Stream<A, E, R>) =>
  Stream.unwrapScoped(Effect.map(Channel.make({ prefetch: 10 }), use))

export const program = Effect.gen(function*() {
  const channel = yield* Channel.makeConfirm()
  const numbers = yield* channel.queueDeclare()
  const fill = (first: number, last: number) =>
    channel.publishAll(
      Array.from({ length: last - first + 1 }, (_, n) => ({ routingKey: numbers.queue, content: String(first + n) }))
    )
  const left = Effect.map(
    channel.queueDeclare({ queue: numbers.queue, passive: true }),
    ({ messageCount }) => messageCount
  )

  // One by one, with ten at most sent ahead.
  yield* fill(1, 20)
  const sum = yield* consuming((channel) =>
    channel.consume({ queue: numbers }).pipe(
      Stream.mapEffect((delivery) => Effect.as(delivery.ack, Number(delivery.text)))
    )
  ).pipe(Stream.take(5), Stream.runSum)

  // By the batch: few frames settle many deliveries.
  const batches = yield* consuming((channel) =>
    channel.consume({ queue: numbers }).pipe(Stream.grouped(5), Stream.tap(channel.ackAll))
  ).pipe(Stream.take(3), Stream.runCount)

  // Given back, it comes again, marked. Refused, it is dropped or dead-lettered.
  yield* fill(21, 21)
  const attempts = yield* consuming((channel) =>
    channel.consume({ queue: numbers }).pipe(
      Stream.tap((delivery) => delivery.redelivered ? delivery.reject() : delivery.nack({ requeue: true }))
    )
  ).pipe(Stream.map((delivery) => delivery.redelivered), Stream.take(2), Stream.runCollect)

  // One message, or none. `ack` never fails; `ackOrFail` says when a delivery was settled before.
  yield* fill(22, 22)
  const taken = yield* Effect.flatten(channel.get({ queue: numbers }))
  yield* taken.delivery.ackOrFail
  const twice = yield* Effect.flip(taken.delivery.ackOrFail)
  const none = yield* channel.get({ queue: numbers })

  return {
    sum,
    batches,
    attempts: Chunk.toReadonlyArray(attempts),
    taken: taken.delivery.text,
    twice: twice.reason,
    isEmpty: Option.isNone(none),
    left: yield* left
  }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
