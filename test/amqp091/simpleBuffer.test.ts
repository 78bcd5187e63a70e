/** What becomes of a buffer that is sent more than it may hold, or whose consumer the broker ends, while nobody waits. */
import { assert, describe, it } from "@effect/vitest"
import { Channel, Message, SimpleQueue } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { connected, openOn, settle } from "./scripted.ts"

const large = "x".repeat(100_000)

/** A buffer whose first value was got, so that others come by themselves. */
const fed = Effect.gen(function*() {
  const { connection, peer } = yield* connected()
  const opening = yield* openOn(connection, SimpleQueue.buffer("b", { content: Message.bytes }))
  const number = yield* peer.openConfirmChannel
  yield* peer.expect("ExchangeDeclare")
  yield* peer.send(number, { _tag: "ExchangeDeclareOk" })
  yield* peer.expect("QueueDeclare")
  yield* peer.send(number, { _tag: "QueueDeclareOk", queue: "b", messageCount: 0, consumerCount: 0 })
  yield* peer.expect("QueueBind")
  yield* peer.send(number, { _tag: "QueueBindOk" })
  const buffer = yield* Fiber.join(opening)
  const consumed = Effect.gen(function*() {
    const { consumerTag } = yield* peer.expect("BasicConsume")
    yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag })
    return consumerTag
  })
  let deliveryTag = 0
  const deliver = (consumerTag: string) =>
    peer.deliver(number, {
      _tag: "BasicDeliver",
      consumerTag,
      deliveryTag: ++deliveryTag,
      redelivered: false,
      exchange: "b",
      routingKey: "b"
    }, large)
  /** Gets a value that comes once it is asked for. */
  const gets = Effect.gen(function*() {
    const getting = yield* Effect.fork(buffer.get())
    const consumerTag = yield* consumed
    yield* deliver(consumerTag)
    yield* Fiber.join(getting)
    return consumerTag
  })
  return { buffer, connection, consumerTag: yield* gets, deliver, gets, number, peer }
})

describe("A buffer", () => {
  it.scoped("that overflows gives what it holds, then fails ConsumerOverflow, and begins anew", () =>
    Effect.gen(function*() {
      const { buffer, connection, consumerTag, deliver, gets, number, peer } = yield* fed
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      // Its answer does not come, so that reading goes on.
      yield* Effect.fork(channel.queueDeclare({ queue: "other" }))
      yield* peer.expect("QueueDeclare")
      const sent = 200
      for (let count = 0; count < sent; count++) yield* deliver(consumerTag)
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag })
      yield* settle
      let got = 0
      const fault = yield* Effect.flip(Effect.forever(Effect.tap(buffer.get(), () => Effect.sync(() => got++))))
      assert.deepInclude<object>({ ...fault }, { _tag: "ConsumerOverflow", consumerTag })
      assert.isAbove(got, 160)
      assert.isBelow(got, sent)
      assert.notStrictEqual(yield* gets, consumerTag)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("whose consumer the broker ends gives what it holds, then fails ConsumerCancelled, and begins anew", () =>
    Effect.gen(function*() {
      const { buffer, consumerTag, deliver, gets, number, peer } = yield* fed
      yield* deliver(consumerTag)
      yield* peer.send(number, { _tag: "BasicCancel", consumerTag, noWait: true })
      yield* settle
      yield* buffer.get()
      assert.strictEqual((yield* Effect.flip(buffer.get()))._tag, "ConsumerCancelled")
      assert.notStrictEqual(yield* gets, consumerTag)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("tells all who wait when the broker ends its consumer", () =>
    Effect.gen(function*() {
      const { buffer, consumerTag, gets, number, peer } = yield* fed
      const waiting = [yield* Effect.fork(Effect.flip(buffer.get())), yield* Effect.fork(Effect.flip(buffer.get()))]
      yield* settle
      yield* peer.send(number, { _tag: "BasicCancel", consumerTag, noWait: true })
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber))._tag, "ConsumerCancelled")
      assert.notStrictEqual(yield* gets, consumerTag)
    }).pipe(Effect.provide(layerMemory)))
})
