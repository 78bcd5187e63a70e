/** rabbitmq-client, told to send again as often as it takes: one loop for each place in the window. */
import * as Effect from "effect/Effect"
import { Connection, ConsumerStatus } from "rabbitmq-client"
import type { Client } from "../client.ts"
import { encode, makeReceiver } from "../message.ts"
import { loops } from "./loops.ts"

export const rabbitmqClient: Client = {
  name: "rabbitmq-client",
  start: ({ ledger, prefetch, queue, reconnect, urls, window }) =>
    Effect.gen(function*() {
      const connection = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Connection({
            url: urls[0] ?? "",
            hosts: urls.map((url) => new URL(url).host),
            heartbeat: 2,
            ...reconnect && { retryLow: reconnect.first, retryHigh: reconnect.max }
          })
        ),
        (connection) => Effect.sync(() => connection.unsafeDestroy())
      )
      // Without a listener an error would end the program.
      connection.on("error", () => {})
      yield* Effect.tryPromise(() => connection.onConnect())
      const receive = makeReceiver(ledger)
      connection
        .createConsumer(
          { queue, queueOptions: { passive: true }, qos: { prefetchCount: prefetch } },
          ({ body, redelivered }) => receive(body, redelivered) ? ConsumerStatus.ACK : ConsumerStatus.REQUEUE
        )
        .on("error", () => {})
      const publisher = connection.createPublisher({ confirm: true, maxAttempts: 1_000_000 })
      publisher.on("retry", () => {})
      return loops(window, async () => {
        const id = ledger.next()
        await publisher.send({ routingKey: queue, durable: true }, Buffer.from(encode(id)))
        ledger.confirmed(id)
      })
    })
}
