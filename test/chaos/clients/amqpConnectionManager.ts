/** amqp-connection-manager over amqplib, which keeps what is not confirmed and sends it again. */
import { connect } from "amqp-connection-manager"
import * as Effect from "effect/Effect"
import type { Client } from "../client.ts"
import { encode, makeReceiver } from "../message.ts"
import { loops } from "./loops.ts"

export const amqpConnectionManager: Client = {
  name: "amqp-connection-manager",
  start: ({ ledger, prefetch, queue, reconnect, urls, window }) =>
    Effect.gen(function*() {
      const connection = yield* Effect.acquireRelease(
        Effect.sync(() =>
          connect([...urls], {
            heartbeatIntervalInSeconds: 2,
            // One delay for ever.
            reconnectTimeInSeconds: reconnect && reconnect.first / 1000
          })
        ),
        (connection) => Effect.promise(() => connection.close().catch(() => {}))
      )
      const publisher = connection.createChannel({ confirm: true })
      const consumer = connection.createChannel({ confirm: false })
      for (const channel of [publisher, consumer]) channel.on("error", () => {})
      yield* Effect.tryPromise(() => publisher.waitForConnect())
      const receive = makeReceiver(ledger)
      yield* Effect.tryPromise(() =>
        consumer.consume(queue, (message) => {
          const { content, fields } = message
          if (receive(content, fields.redelivered)) consumer.ack(message)
          else consumer.nack(message, false, true)
        }, { prefetch })
      )
      return loops(window, async () => {
        const id = ledger.next()
        await publisher.sendToQueue(queue, Buffer.from(encode(id)), { persistent: true })
        ledger.confirmed(id)
      })
    })
}
