import { assert } from "@effect/vitest"
import { it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import { describeWith } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"

describeWith(RabbitMq.packages, "a message that RabbitMQ finds too large", () => {
  it.live(
    "fails its publish with the size and the limit; the channel works again, the connection never stopped",
    () =>
      Effect.gen(function*() {
        const { host, port } = yield* RabbitMq.node({ conf: ["max_message_size = 1024"] })
        const connection = yield* Connection.make({ host, port })
        const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
        const { queue } = yield* channel.queueDeclare()
        const large = { routingKey: queue, content: "x".repeat(1025) }
        const fault = yield* Effect.flip(channel.publish(large))
        assert(fault._tag === "ChannelError")
        // RabbitMQ says 406 where the specification has 311.
        assert.deepInclude<object>({ ...fault }, {
          reason: "PreconditionFailed",
          code: 406,
          method: "basic.publish",
          details: { _tag: "MessageTooLarge", size: 1025, limit: 1024 }
        })
        yield* channel.publish({ routingKey: queue, content: "x".repeat(1024) })
        assert.strictEqual((yield* channel.queueDeclare({ queue, passive: true, exclusive: true })).messageCount, 1)
        assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 1 })
      }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)),
    60_000
  )
})
