import { assert, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describeWith } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"

describeWith(RabbitMq.packages, "A delivery that is held for longer than RabbitMQ allows", () => {
  it.live(
    "closes the channel, which heals with its consumer; the late settlement is stale",
    () =>
      Effect.gen(function*() {
        const { evaluate, host, port } = yield* RabbitMq.node({ conf: ["consumer_timeout = 1000"] })
        // It looks once a minute otherwise, and no file sets that.
        yield* evaluate("application:set_env(rabbit, channel_tick_interval, 500).")
        const connection = yield* Connection.make({ host, port })
        const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
        const { queue } = yield* channel.queueDeclare({ queue: "held" })
        yield* channel.publish({ routingKey: queue, content: "x" })
        const [held, again] = yield* channel.consume({ queue, prefetch: 1 }).pipe(
          Stream.take(2),
          Stream.runCollect,
          Effect.timeout("20 seconds")
        )
        assert(held !== undefined && again !== undefined)
        assert.isFalse(held.redelivered)
        assert.isTrue(again.redelivered)
        assert.strictEqual((yield* Effect.flip(held.ackOrFail)).reason, "Stale")
        yield* again.ackOrFail
        assert.strictEqual((yield* channel.queueDeclare({ queue, passive: true })).messageCount, 0)
        assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 1 })
      }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)),
    60_000
  )
})
