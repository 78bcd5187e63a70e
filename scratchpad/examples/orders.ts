/**
 * A service over AMQP that can be tested without a broker: `test/examples/orders.test.ts` runs it on the embedded one, in
 * virtual time, and cuts its connection.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

const queue = "examples.placed-orders"

export class Orders extends Effect.Service<Orders>()("examples/Orders", {
  scoped: Effect.gen(function*() {
    // What is unconfirmed when a connection is lost is sent again: an order may come twice, and is never missing.
    const publisher = yield* Channel.makeConfirm({ guarantee: "at-least-once" })
    const connection = yield* Connection.Connection
    yield* publisher.queueDeclare({ queue })
    return {
      /** Done when the broker has it. */
      place: (order: string) => publisher.publish({ routingKey: queue, content: order }),
      /** The orders to come, each settled once `handle` has ended. What is in hand when the Stream ends goes back. */
      handle: <E, R>(handle: (order: string) => Effect.Effect<void, E, R>) =>
        Stream.unwrapScoped(Effect.map(Channel.make({ prefetch: 10 }), (channel) => channel.consume({ queue }))).pipe(
          Stream.provideService(Connection.Connection, connection),
          Stream.mapEffect((delivery) => Effect.as(Effect.zipRight(handle(delivery.text), delivery.ack), delivery.text))
        )
    }
  })
}) {}

export const program = Effect.gen(function*() {
  const orders = yield* Orders
  yield* Effect.forEach(["tea", "cake"], orders.place, { discard: true })
  const handled = yield* orders.handle((order) => Effect.logInfo(`serving ${order}`)).pipe(
    Stream.take(2),
    Stream.runCollect
  )
  return Chunk.toReadonlyArray(handled)
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(Orders.Default), Effect.provide(Live))
  )
}
