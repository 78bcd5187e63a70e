import { assert, describe, it } from "@effect/vitest"
import { Channel, Consumer, Message } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { Embedded, eventually, look, pass, queueOf, warnings } from "./onBroker.ts"
import { connected, openOn, settle } from "./scripted.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))
const large = "x".repeat(100_000)

describe("Consumer.runNoAck", () => {
  it.scoped("hands over values in order, and the broker counts them as settled", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(500))
      const seen: Array<string> = []
      const go = yield* Effect.makeLatch()
      const fiber = yield* Effect.fork(
        Consumer.runNoAck({ queue: "q", content: Message.text }, (text) =>
          Effect.zipRight(go.await, Effect.sync(() => seen.push(text))))
      )
      yield* pass
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 1 })
      yield* go.open
      yield* eventually("all are handled", () =>
        seen.length === 500)
      assert.deepStrictEqual(seen, numbers(500))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 0 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("runs as many handlers at a time as it may", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(20))
      let running = 0
      yield* Effect.fork(Consumer.runNoAck({ queue: "q", content: Message.text, concurrency: 7 }, () =>
        Effect.zipRight(
          Effect.sync(() => running++),
          Effect.never
        )))
      yield* pass
      assert.strictEqual(running, 7)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("loses the message of a handler that fails, says so, and goes on", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q", "1", "bad", "2")
      const seen: Array<string> = []
      const handler = (text: string) => text === "bad" ? Effect.fail("no") : Effect.sync(() => seen.push(text))
      const fiber = yield* Effect.fork(Consumer.runNoAck({ queue: "q", content: Message.text }, handler))
      yield* eventually("both are handled", () => seen.length === 2)
      assert.deepStrictEqual(logged, ["Consumer: A handler failed, and its message is lost"])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 0 })

      const told: Array<string> = []
      yield* queueOf("q2", "bad", "3")
      yield* Effect.fork(
        Consumer.runNoAck({
          queue: "q2",
          content: Message.text,
          onFailure: (cause: Cause.Cause<string>, delivery) =>
            Effect.sync(() => told.push(`${delivery.text}: ${Cause.pretty(cause)}`))
        }, handler)
      )
      yield* eventually("the third is handled", () => seen.includes("3"))
      assert.deepStrictEqual(told, ["bad: Error: no"])
      assert.strictEqual(logged.length, 1)
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("drops what cannot be decoded, and says so", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q", "{", "1")
      const seen: Array<unknown> = []
      const content = {
        ...Message.json(Schema.Number),
        // Taken for JSON, whatever it says it is.
        decode: ({ content }: Pick<Message.Delivery, "content">) =>
          Message.json(Schema.Number).decode({ content, properties: {} })
      }
      yield* Effect.fork(
        Consumer.runNoAck({ queue: "q", content, consumerTag: "mine" }, (value) => Effect.sync(() => seen.push(value)))
      )
      yield* eventually("the readable one is handled", () => seen.length === 1)
      assert.deepStrictEqual(logged, [
        `Consumer: Dropped a delivery to consumer "mine": Cannot decode application/json: it is not JSON (Json)`
      ])
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("stops reading while a mebibyte waits for its handlers, and reads on as they start on it", () =>
    Effect.gen(function*() {
      const { connection, deliver, go, handled, peer } = yield* flooded
      for (let tag = 2; tag <= 12; tag++) yield* deliver(tag)
      yield* settle
      // Read only once reading goes on.
      yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      yield* go.open
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
      assert.strictEqual(handled(), 12)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("fails ConsumerOverflow at 16 MiB where reading must go on", () =>
    Effect.gen(function*() {
      const { connection, consumer, deliver, go, number, peer } = yield* flooded
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      // Its answer does not come.
      yield* Effect.fork(channel.queueDeclare({ queue: "other" }))
      yield* peer.expect("QueueDeclare")
      for (let tag = 2; tag <= 180; tag++) yield* deliver(tag)
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      yield* go.open
      yield* peer.expect("ChannelClose")
      yield* peer.send(number, { _tag: "ChannelCloseOk" })
      const error = yield* Effect.flip(Fiber.join(consumer))
      assert.strictEqual(error._tag, "ConsumerOverflow")
    }).pipe(Effect.provide(layerMemory)))
})

/** A consumer on a scripted peer whose handlers wait: the first one has started. */
const flooded = Effect.gen(function*() {
  const { connection, peer } = yield* connected()
  const go = yield* Effect.makeLatch()
  let handled = 0
  const consumer = yield* openOn(
    connection,
    Consumer.runNoAck(
      { queue: "q", content: Message.bytes, consumerTag: "c", drainTimeout: "0 seconds" },
      () => Effect.andThen(go.await, () => ++handled)
    )
  )
  const number = yield* peer.openChannel
  yield* peer.expect("BasicConsume")
  yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
  const deliver = (deliveryTag: number) =>
    peer.deliver(number, {
      _tag: "BasicDeliver",
      consumerTag: "c",
      deliveryTag,
      redelivered: false,
      exchange: "",
      routingKey: "q"
    }, large)
  yield* deliver(1)
  yield* settle
  return { connection, consumer, deliver, go, handled: () => handled, number, peer }
})
