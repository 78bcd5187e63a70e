import { assert, describe, it } from "@effect/vitest"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { layerMemory } from "../../harness/scriptedPeer.ts"
import { connected, openOn, settle } from "../scripted.ts"

/**
 * A connection with heartbeats of ten seconds that does not read: a consumer without acknowledgements has more than its
 * buffer may hold, and its handler waits for `go`. A confirm-less channel, so that no answer is awaited.
 */
const paused = Effect.gen(function*() {
  const { connection, peer } = yield* connected({ heartbeat: "10 seconds" })
  const opening = yield* openOn(connection, Channel.make())
  const number = yield* peer.openChannel
  const channel = yield* Fiber.join(opening)
  const go = yield* Effect.makeLatch()
  const received: Array<number> = []
  yield* Effect.fork(
    channel.consume({ queue: "q", consumerTag: "c", noAck: true }).pipe(
      Stream.runForEach((delivery) => Effect.andThen(go.await, () => received.push(delivery.deliveryTag)))
    )
  )
  yield* peer.expect("BasicConsume")
  yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
  const deliver = (deliveryTag: number, text: string) =>
    peer.deliver(number, {
      _tag: "BasicDeliver",
      consumerTag: "c",
      deliveryTag,
      redelivered: false,
      exchange: "",
      routingKey: "q"
    }, text)
  yield* deliver(1, "taken at once")
  yield* settle
  for (let tag = 2; tag <= 12; tag++) yield* deliver(tag, "x".repeat(100_000))
  yield* settle
  // Nobody reads: this one lies in the pipe until reading goes on.
  yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
  yield* settle
  assert.strictEqual((yield* connection.state)._tag, "Open")
  return { channel, connection, go, number, peer, received }
})

describe("while reading is paused", () => {
  it.scoped("the peer's silence is not judged, and our own heartbeats go out", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* paused
      const before = peer.log.length
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* connection.state)._tag, "Open")
      const after = peer.log.slice(before)
      assert.isAtLeast(after.length, 60)
      assert.deepStrictEqual(new Set(after), new Set(["HeartbeatFrame"]))
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("the connection's goodbye is answered and heard", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* paused
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      const closing = yield* Effect.fork(connection.close())
      yield* peer.goodbye
      yield* settle
      assert.strictEqual((yield* Fiber.poll(closing))._tag, "Some")
      assert.strictEqual((yield* connection.state)._tag, "Closed")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("another channel's goodbye is answered and heard", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* paused
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      const scope = yield* Scope.make()
      const opening = yield* openOn(connection, Scope.extend(Channel.make(), scope))
      const number = yield* peer.openChannel
      yield* Fiber.join(opening)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* peer.expect("ChannelClose")
      yield* peer.send(number, { _tag: "ChannelCloseOk" })
      yield* settle
      assert.strictEqual((yield* Fiber.poll(closing))._tag, "Some")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("what lies in the pipe is read when the consumer is, and its silence judged from then on", () =>
    Effect.gen(function*() {
      const { connection, go, received } = yield* paused
      yield* TestClock.adjust("10 minutes")
      yield* go.open
      yield* settle
      assert.lengthOf(received, 12)
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
      yield* TestClock.adjust("1 millis")
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionLost")
      assert.strictEqual(state.fault.reason, "Heartbeat")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a call makes it go on, and pause again when it is answered", () =>
    Effect.gen(function*() {
      const { channel, connection, number, peer } = yield* paused
      const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "other" }))
      yield* peer.expect("QueueDeclare")
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
      yield* peer.send(number, { _tag: "QueueDeclareOk", queue: "other", messageCount: 0, consumerCount: 0 })
      yield* Fiber.join(declaring)
      yield* settle
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
    }).pipe(Effect.provide(layerMemory)))
})
