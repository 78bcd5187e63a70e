/** This library: publishes at least once, one fiber for each place in the window. */
import { Reconnect } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"

import type { Client } from "../client.ts"
import { encode, makeReceiver } from "../message.ts"

export const ours: Client = {
  name: "effect-amqp",
  start: ({ ledger, onFault, prefetch, queue, reconnect, urls, window }) =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({
        urls: Arr.isNonEmptyReadonlyArray(urls) ? urls : yield* Effect.dieMessage("no URL"),
        reconnect: reconnect === undefined
          ? undefined
          : Reconnect.exponential({ first: `${reconnect.first} millis`, max: `${reconnect.max} millis` }),
        // The others start over with their delays after any connection.
        stableAfter: reconnect && "1 second",
        heartbeat: "2 seconds",
        operationTimeout: "2 minutes"
      })
      yield* connection.changes.pipe(
        Stream.runForEach((state) => Effect.sync(() => state._tag === "Recovering" && onFault?.(state.fault))),
        Effect.forkScoped
      )
      const on = Effect.provideService(Connection.Connection, connection)
      const publisher = yield* on(Channel.makeConfirm({ guarantee: "at-least-once", window }))
      const consumer = yield* on(Channel.make({ prefetch }))
      const until = { isOver: false }
      const publish = Effect.gen(function*() {
        while (!until.isOver) {
          const id = ledger.next()
          yield* publisher.publish({ routingKey: queue, content: encode(id), properties: { persistent: true } })
            .pipe(
              Effect.map(() => ledger.confirmed(id)),
              // The broker's no, or no answer in time: not confirmed. It is not asked again at once.
              Effect.tapError(() => Effect.sleep("100 millis")),
              Effect.ignore
            )
        }
      })
      const receive = makeReceiver(ledger)
      yield* consumer.consume({ queue }).pipe(
        Stream.runForEach((delivery) =>
          receive(delivery.content, delivery.redelivered) ? delivery.ack : delivery.nack({ requeue: true })
        ),
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
