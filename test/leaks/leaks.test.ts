import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { LivingFibers } from "../harness/livingFibers.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** Octets that the heap may grow by, whatever the number of cycles: ten for a channel, a thousand for a socket. */
const slack = 1024 * 1024

/** Sockets, timers and name look-ups that keep the process alive. */
const resources = () => {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Timeout|GetAddrInfo)/.test(name))) {
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

const turns = Effect.sleep("20 millis")

/**
 * Repeats something, and compares what there is afterwards with what there was when it had been done often enough
 * (`first`) for everything lazy to be there, compiled code included: fibers, resources, and the heap within `slack`.
 */
const leavesNothing = <E, R>(first: number, times: number, cycle: Effect.Effect<unknown, E, R>) => {
  const living = new LivingFibers()
  const look = Effect.gen(function*() {
    yield* turns
    collectGarbage()
    yield* turns
    collectGarbage()
    return { fibers: living.fibers.size, resources: resources(), heap: process.memoryUsage().heapUsed }
  })
  return Effect.gen(function*() {
    yield* Effect.repeatN(cycle, first - 1)
    const before = yield* look
    yield* Effect.repeatN(cycle, times - 1)
    // What was closed last may need a moment to be gone.
    const after = yield* Effect.repeat(look, {
      until: (now) => now.fibers <= before.fibers && JSON.stringify(now.resources) === JSON.stringify(before.resources),
      times: 50
    }).pipe(Effect.zipRight(look))
    assert.strictEqual(after.fibers, before.fibers, "fibers")
    assert.deepStrictEqual(after.resources, before.resources, "resources")
    assert.isBelow(after.heap - before.heap, slack, `heap: ${before.heap} octets before, ${after.heap} after`)
  }).pipe(Effect.supervised(living))
}

const Tcp = Broker.layer({ port: 0 }).pipe(Layer.provide(NodeTransport.layerServer), Layer.merge(NodeTransport.layer))

const minutes = 180_000

describe("Nothing is left", () => {
  it.live("of 1,000 connections that were opened and closed over TCP", () =>
    Effect.gen(function*() {
      const { connections, port } = yield* Broker.Broker
      const cycle = Effect.scoped(Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "127.0.0.1", port })
        const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
        yield* channel.queueDeclare({ queue: "q" })
      }))
      yield* leavesNothing(2000, 1000, cycle)
      assert.deepStrictEqual(yield* connections, [])
    }).pipe(Effect.provide(Tcp)), minutes)

  it.live("of 100,000 channels that were opened and closed on one connection", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const cycle = Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.number))
      yield* leavesNothing(10_000, 100_000, cycle)
      assert.strictEqual(yield* Effect.scoped(cycle), 1)
      assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [0])
    }).pipe(
      Effect.provide(Connection.layer({ url: "memory://" }).pipe(Layer.provideMerge(Broker.layerMemory)))
    ), minutes)

  it.live(
    "of 1,000 drops of a connection with channels, a consumer and publishes",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const connection = yield* Connection.make({
          host: "127.0.0.1",
          port: broker.port,
          reconnect: Schedule.spaced("1 millis")
        })
        const on = Effect.provideService(Connection.Connection, connection)
        const publisher = yield* on(Channel.makeConfirm({ guarantee: "at-least-once" }))
        const consumer = yield* on(Channel.make())
        yield* publisher.queueDeclare({ queue: "q" })
        let received = 0
        yield* consumer.consume({ queue: "q" }).pipe(
          Stream.runForEach((delivery) => {
            received++
            return delivery.ack
          }),
          Effect.forkScoped
        )
        const cycle = Effect.gen(function*() {
          yield* broker.dropConnections
          yield* publisher.publish({ routingKey: "q", content: "x" })
        })
        yield* leavesNothing(2000, 1000, cycle)
        assert.isAtLeast(received, 1000)
        assert.strictEqual((yield* connection.info).epoch > 1000, true)
        assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [2])
        assert.deepStrictEqual(
          (yield* broker.queues()).map(({ consumers, ready, unsettled }) => [consumers, ready, unsettled]),
          [[1, 0, 0]]
        )
        const next = yield* Effect.scoped(on(Effect.flatMap(Channel.make(), (channel) => channel.number)))
        assert.strictEqual(next, 3)
      })).pipe(
        // A line for each drop, kept by whoever collects them, would count as ours.
        Logger.withMinimumLogLevel(LogLevel.Error),
        Effect.provide(Tcp)
      ),
    minutes
  )
})
