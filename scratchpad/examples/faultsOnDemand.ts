/**
 * Faults on demand: what a service makes of a cut at the worst moment, a refusal, an alarm and a slow broker, without
 * waiting for any of them to happen. `test/examples` runs it in virtual time, where all of it takes no time.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Connection } from "effect-amqp/amqp091"
import { Broker, Fault } from "effect-amqp/broker"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { isMain } from "./main.ts"
import { Orders } from "./orders.ts"

/** The service under test, its connection, and the broker that the test has in its hands. */
export const Test = Orders.Default.pipe(
  Layer.provide(Connection.layer({ url: "memory://", name: "orders-service" })),
  Layer.provideMerge(Broker.layerMemory)
)

export const program = Effect.gen(function*() {
  const broker = yield* Broker.Broker
  const orders = yield* Orders
  const published = yield* broker.record()
  const place = (order: string) =>
    orders.place(order).pipe(Effect.as("placed"), Effect.catchAll(({ _tag }) => Effect.succeed(_tag)))

  // A publish is three frames. The broker has them all, and the connection goes before it can say so.
  yield* broker.dropAfter(3, { connection: "orders-service" })
  const cut = yield* place("tea")
  const arrived = (yield* published).map(({ body }) => new TextDecoder().decode(body))

  yield* broker.nackNext(1)
  const refused = yield* place("cake")

  const alarm = yield* broker.block("memory")
  const bread = yield* Effect.fork(place("bread"))
  yield* Effect.sleep("10 seconds")
  const whileBlocked = bread.unsafePoll()
  yield* alarm.heal
  const unblocked = yield* Fiber.join(bread)

  // A fault for the time of one call.
  const [took] = yield* Effect.scoped(
    Effect.zipRight(Fault.scoped(broker.delay("2 seconds")), Effect.timed(place("rice")))
  )
  return { cut, arrived, refused, whileBlocked, unblocked, took: Duration.format(took), left: yield* broker.faults }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Test)))
