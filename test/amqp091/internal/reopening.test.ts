import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { layerMemory } from "../../harness/scriptedPeer.ts"
import { connected, openOn } from "../scripted.ts"

const closes: ReadonlyArray<
  readonly [code: number, text: string, AmqpError.ChannelReason, AmqpError.ChannelDetails | undefined]
> = [
  [311, "CONTENT_TOO_LARGE - message size 5 is larger than configured max size 4", "ContentTooLarge", {
    _tag: "MessageTooLarge",
    size: 5,
    limit: 4
  }],
  [312, "NO_ROUTE", "NoRoute", undefined],
  [313, "NO_CONSUMERS - immediate delivery is not possible", "NoRoute", undefined],
  [403, "ACCESS_REFUSED", "AccessRefused", undefined],
  [404, "NOT_FOUND - no exchange 'x' in vhost '/'", "NotFound", {
    _tag: "Missing",
    kind: "exchange",
    name: "x",
    vhost: "/"
  }],
  [405, "RESOURCE_LOCKED", "ResourceLocked", undefined],
  [406, "PRECONDITION_FAILED", "PreconditionFailed", undefined],
  [299, "in no specification", "Other", undefined]
]

describe("a channel that the broker closes over a publish", () => {
  for (const [code, text, reason, details] of closes) {
    it.scoped(`with ${code} fails that publish as ${reason}, and takes the next one`, () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* connected()
        const opening = yield* openOn(connection, Channel.makeConfirm())
        const number = yield* peer.openConfirmChannel
        const channel = yield* Fiber.join(opening)
        const publishing = yield* Effect.fork(Effect.flip(channel.publish({ exchange: "x", content: "large" })))
        yield* peer.expect("BasicPublish")
        yield* peer.send(number, { _tag: "ChannelClose", replyCode: code, replyText: text, classId: 60, methodId: 40 })
        const fault = yield* Fiber.join(publishing)
        assert.deepInclude<object>({ ...fault }, {
          _tag: "ChannelError",
          reason,
          code,
          text,
          details,
          method: "basic.publish"
        })
        assert.strictEqual(yield* peer.openConfirmChannel, number)
        const next = yield* Effect.fork(channel.publish({ content: "small" }))
        yield* peer.expect("BasicPublish")
        yield* peer.send(number, { _tag: "BasicAck", deliveryTag: 1, multiple: false })
        yield* Fiber.join(next)
        assert.strictEqual((yield* connection.state)._tag, "Open")
      }).pipe(Effect.provide(layerMemory)))
  }
})

describe("a channel that the broker closes in the read that accepts a consumer", () => {
  for (const noWait of [false, true]) {
    it.scoped(`has its auto-delete queue again before it consumes again${noWait ? " (noWait)" : ""}`, () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* connected()
        const opening = yield* openOn(connection, Channel.make())
        const number = yield* peer.openChannel
        const channel = yield* Fiber.join(opening)
        const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "q", autoDelete: true }))
        yield* peer.expect("QueueDeclare")
        const declareOk = { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 } as const
        yield* peer.send(number, declareOk)
        yield* Fiber.join(declaring)
        yield* Effect.forkScoped(
          Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c", noAck: true, noWait }))
        )
        yield* peer.expect("BasicConsume")
        yield* peer.send(
          number,
          ...noWait ? [] : [{ _tag: "BasicConsumeOk", consumerTag: "c" } as const],
          { _tag: "ChannelClose", replyCode: 404, replyText: "NOT_FOUND - of a publish", classId: 60, methodId: 40 }
        )
        yield* peer.expect("ChannelCloseOk")
        const again = yield* Effect.fork(peer.openChannel)
        yield* TestClock.adjust("1 second")
        const healing = yield* Fiber.join(again)
        yield* peer.expect("QueueDeclare")
        yield* peer.send(healing, declareOk)
      }).pipe(Effect.provide(layerMemory)))
  }
})
