import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { Embedded, pass } from "./onBroker.ts"
import { connected, openOn, settle } from "./scripted.ts"

describe("The channel of a connection", () => {
  it.effect("is opened when it is first asked for, once for all, and belongs to no scope", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([Effect.scoped(Channel.shared), Channel.shared], { concurrency: 2 })
      const { queue } = yield* one.queueDeclare({ queue: "q" })
      yield* other.publish({ routingKey: queue, content: "x" })
      const got = yield* Effect.flatten(one.get({ queue }))
      assert.strictEqual(got.delivery.text, "x")
      yield* got.delivery.ackOrFail
      assert.strictEqual(yield* one.number, 1)
      assert.strictEqual(yield* (yield* Channel.make()).number, 2)
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.effect("opens again when it is closed, and is made anew when it has ended for good", () =>
    Effect.gen(function*() {
      const missing = Effect.flatMap(Channel.shared, (channel) =>
        Effect.flip(channel.queueDeclare({ queue: "none", passive: true })))
      const reasons: Array<string> = []
      for (let count = 0; count < 8; count++) {
        const fault = yield* missing
        reasons.push(fault._tag === "ChannelError" ? fault.reason : fault._tag)
        yield* TestClock.adjust("2 seconds")
      }
      // More often than one channel may be closed.
      assert.deepStrictEqual(
        reasons,
        Array.from(reasons, () =>
          "NotFound")
      )
      yield* pass
      const channel = yield* Channel.shared
      assert.strictEqual((yield* channel.queueDeclare({ queue: "q" })).queue, "q")
    }).pipe(Effect.scoped, Effect.provide(Embedded)))

  it.scoped("is not given up by whoever is interrupted while it opens", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const first = yield* openOn(connection, Channel.shared)
      const { channel: number } = yield* peer.expect("ChannelOpen")
      const second = yield* openOn(connection, Channel.shared)
      yield* Fiber.interrupt(first)
      yield* peer.send(number, { _tag: "ChannelOpenOk" })
      assert.strictEqual(yield* (yield* Fiber.join(second)).number, number)
      assert.lengthOf(peer.log.filter((each) => each === "1 channel.open"), 1)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that nobody answers is given up with its number, and tried again", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ operationTimeout: "3 seconds" })
      const opening = yield* openOn(connection, Effect.flip(Channel.shared))
      const { channel: number } = yield* peer.expect("ChannelOpen")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(opening))._tag, "OperationTimeout")
      yield* peer.expect("ChannelClose")
      yield* peer.send(number, { _tag: "ChannelCloseOk" })
      const again = yield* openOn(connection, Channel.shared)
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(again)))
      yield* peer.openChannel
      assert.strictEqual((yield* Fiber.join(again)).mode, "plain")
    }).pipe(Effect.provide(layerMemory)))

  it.effect("is refused where the connection is closed", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.Connection
      yield* connection.close()
      assert.strictEqual((yield* Effect.flip(Channel.shared))._tag, "ConnectionClosed")
    }).pipe(Effect.scoped, Effect.provide(Embedded)))
})
