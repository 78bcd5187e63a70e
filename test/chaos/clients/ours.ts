/** This library: publishes at least once, one fiber for each place in the window. */
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Client } from "../client.ts"

export const ours: Client = {
  name: "effect-amqp",
  start: ({ ledger, prefetch, queue, url, window }) =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({
        url,
        heartbeat: "2 seconds",
        publishTimeout: "2 minutes",
        operationTimeout: "2 minutes"
      })
      const on = Effect.provideService(Connection.Connection, connection)
      const publisher = yield* on(Channel.makeConfirm({ guarantee: "at-least-once", window }))
      const consumer = yield* on(Channel.make({ prefetch }))
      const until = { isOver: false }
      const publish = Effect.gen(function*() {
        while (!until.isOver) {
          const id = ledger.next()
          yield* publisher.publish({ routingKey: queue, content: `${id}`, properties: { persistent: true } }).pipe(
            Effect.map(() => ledger.confirmed(id)),
            // The broker's no, or no answer for minutes: not confirmed.
            Effect.ignore
          )
        }
      })
      yield* consumer.consume({ queue }).pipe(
        Stream.runForEach((delivery) => {
          ledger.received(Number(delivery.text))
          return delivery.ack
        }),
        Effect.forkScoped
      )
      const publishing = yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: window }), () => publish, { concurrency: "unbounded", discard: true })
      )
      return {
        stop: Effect.suspend(() => {
          until.isOver = true
          return Effect.asVoid(Fiber.join(publishing))
        })
      }
    }).pipe(Effect.provide(NodeTransport.layer))
}
