/** Handlers of a consumer, whatever order its fibers run in. */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, Consumer, Message } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Network from "./network.ts"
import { World } from "./world.ts"

const count = 300
const numbers = Array.from({ length: count }, (_, number) => number)

/** The order in which three handlers at a time are called. */
const called = (world: World) =>
  Effect.gen(function*() {
    yield* Broker.make()
    const connection = yield* Connection.make({ host: "broker", heartbeat: "0 seconds" })
    const order: Array<number> = []
    const all = yield* Deferred.make<void>()
    yield* Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "q" })
      const consumer = Consumer.run({ queue: "q", content: Message.text, concurrency: 3, prefetch: 0 }, (text) => {
        order.push(Number(text))
        const rest = world.chance.of(0.3) ? Effect.yieldNow() : Effect.void
        return order.length === count ? Effect.zipRight(rest, Deferred.succeed(all, undefined)) : rest
      })
      yield* Effect.fork(consumer)
      yield* channel.publishAll(numbers.map((number) => ({ routingKey: "q", content: `${number}` })))
      yield* Deferred.await(all)
    }).pipe(Effect.provideService(Connection.Connection, connection))
    return order
  }).pipe(Effect.scoped)

describe("Handlers that run concurrently", () => {
  it("are called in the order of deliveries", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World(seed)
      const network = Network.make(world)
      const exit = await world.run(
        called(world).pipe(
          Effect.provideService(Transport.Transport, network.transport),
          Effect.provideService(Transport.TransportServer, network.server)
        )
      )
      assert(Exit.isSuccess(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
      assert.deepStrictEqual(exit.value, numbers, `seed ${seed}`)
    }
  })
})
