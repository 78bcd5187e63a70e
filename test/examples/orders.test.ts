/**
 * How a service over AMQP is tested: on the embedded broker, in virtual time, with faults on demand. No socket is opened
 * and nothing sleeps.
 */
import { assert, layer } from "@effect/vitest"
import { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Orders } from "../../scratchpad/examples/orders.ts"

const Test = Orders.Default.pipe(
  Layer.provide(Connection.layer({ url: "memory://", name: "orders-service" })),
  Layer.provideMerge(Broker.layerMemory)
)

layer(Test)("Orders", (it) => {
  it.effect("are handled in the order they were placed", () =>
    Effect.gen(function*() {
      const orders = yield* Orders
      yield* Effect.forEach(["tea", "cake", "bread"], orders.place)
      const handled = yield* orders.handle(() => Effect.void).pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(Chunk.toReadonlyArray(handled), ["tea", "cake", "bread"])
    }))

  it.effect("survive a cut, and may come twice", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const orders = yield* Orders
      const seen = new Set<string>()
      let served = 0
      const serving = yield* orders.handle((order) =>
        Effect.gen(function*() {
          served += 1
          // The third is in hand, unsettled, when the connection goes.
          if (served === 3) yield* broker.dropConnections
          seen.add(order)
        })
      ).pipe(Stream.takeUntil(() => seen.size === 20), Stream.runDrain, Effect.fork)
      const placing = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 20 }, (_, n) => `order ${n}`), orders.place, { concurrency: 5 })
      )

      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(placing)
      yield* Fiber.join(serving)
      assert.strictEqual(seen.size, 20)
      assert.isAbove(served, 20)
    }))

  it.effect("wait for a broker that is away, and are placed when it is back", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const orders = yield* Orders
      yield* broker.refuse()
      yield* broker.dropConnections
      const placing = yield* Effect.fork(orders.place("late"))
      yield* TestClock.adjust("20 seconds")
      assert.isNull(placing.unsafePoll())

      yield* broker.heal("refuse")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(placing)
      const handled = yield* orders.handle(() => Effect.void).pipe(
        Stream.takeUntil((order) => order === "late"),
        Stream.runLast
      )
      assert.deepStrictEqual(handled, Option.some("late"))
    }))

  it.effect("survive an alarm, refusals and a closed channel", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const orders = yield* Orders
      const alarm = yield* broker.block("memory")
      yield* broker.closeChannel({ code: 404, connection: "orders-service" })
      yield* broker.nackNext(2)
      const placing = yield* Effect.fork(
        Effect.retry(orders.place("at last"), { while: (error) => error._tag === "PublishNacked" })
      )
      yield* TestClock.adjust("10 seconds")
      yield* alarm.heal
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(placing)
      assert.isEmpty(yield* broker.faults)
    }))
})
