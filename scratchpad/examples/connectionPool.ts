/**
 * A pool of connections: borrowed by scope or for one piece of work, with a bound on the wait; grown, resized, and closed
 * when everybody has given back what they had. What was found broken is replaced, and work that must get through is ensured.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection, ConnectionPool } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { brokerUrl, isMain, NetworkLive } from "./main.ts"

const queue = "examples.pooled"

/** Work that takes its connection from the context, as all of it does. */
const place = (order: string) =>
  Effect.gen(function*() {
    const channel = yield* Channel.makeConfirm()
    yield* channel.queueDeclare({ queue, durable: false, autoDelete: true })
    yield* channel.publish({ routingKey: queue, content: order })
    return (yield* channel.queuePurge(queue)) > 0
  }).pipe(Effect.scoped)

export const program = Effect.gen(function*() {
  const pool = yield* ConnectionPool.make({
    url: yield* brokerUrl,
    limit: 3,
    preconnect: 1,
    idleTimeToLive: "5 minutes"
  })

  const used = yield* pool.use((connection) => Effect.provideService(place("tea"), Connection.Connection, connection))

  // Until the scope closes, and not for longer than a second of waiting.
  const broken = yield* pool.get({ timeout: "1 second" })
  const whileBorrowed = yield* pool.stats
  yield* pool.replace(broken)
  const released = yield* Effect.flip(Effect.provideService(place("cake"), Connection.Connection, broken))

  yield* pool.grow(2, { connect: true })
  const refused = yield* Effect.scoped(Effect.gen(function*() {
    yield* Effect.all([pool.get(), pool.get(), pool.get()])
    const exhausted = yield* Effect.flip(pool.get({ wait: false }))
    const inUse = yield* Effect.flip(pool.resize(1))
    return [exhausted, inUse].map((fault) => fault._tag === "PoolError" ? fault.reason : fault._tag)
  }))
  yield* pool.resize(1)
  const ensured = yield* pool.ensure(place("coffee"), { onError: (fault) => Console.log(`again, after ${fault._tag}`) })

  yield* pool.closeAll
  const closed = yield* Effect.flip(pool.get())
  return {
    used,
    active: whileBorrowed.active,
    released: released._tag,
    refused,
    ensured,
    closed: closed._tag === "PoolError" ? closed.reason : closed._tag
  }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(NetworkLive)))
}
