/** Each metric counts what it says, on the embedded broker. They are the process's: what is looked at is the difference. */
import { assert, describe, it } from "@effect/vitest"
import { Metrics } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { pass } from "./amqp091/onBroker.ts"

const counters = {
  published: Metrics.published,
  confirmed: Metrics.confirmed,
  nacked: Metrics.nacked,
  returned: Metrics.returned,
  publishFailed: Metrics.publishFailed,
  consumed: Metrics.consumed,
  acknowledged: Metrics.acknowledged,
  rejected: Metrics.rejected,
  reconnects: Metrics.reconnects,
  blockedTime: Metrics.blockedTime,
  sentBytes: Metrics.sentBytes,
  receivedBytes: Metrics.receivedBytes
}

const gauges = { connections: Metrics.connections, channels: Metrics.channels, unconfirmed: Metrics.unconfirmed }

const read = Effect.zipRight(
  pass,
  Effect.all({
    counters: Effect.all(
      Object.fromEntries(
        Object.entries(counters).map((
          [name, counter]
        ) => [name, Effect.map(Metric.value(counter), ({ count }) => count)])
      )
    ),
    gauges: Effect.all(
      Object.fromEntries(
        Object.entries(gauges).map(([name, gauge]) => [name, Effect.map(Metric.value(gauge), ({ value }) => value)])
      )
    )
  })
)

/** What a program adds to each metric; what it adds nothing to is left out. */
const added = <A, E, R>(program: Effect.Effect<A, E, R>, names: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const before = yield* read
    yield* program
    const after = yield* read
    const all = { ...after.counters, ...after.gauges }
    const old: Record<string, number> = { ...before.counters, ...before.gauges }
    const differences = Object.entries(all).map(([name, value]) => [name, value - (old[name] ?? 0)] as const)
    return Object.fromEntries(
      differences.filter(([name, difference]) =>
        difference !== 0 && (names.length === 0 ? !name.endsWith("Bytes") : names.includes(name))
      )
    )
  })

const Live = Connection.layer({ url: "memory://", heartbeat: "0 seconds" }).pipe(Layer.provideMerge(Broker.layerMemory))

const q = { routingKey: "q", content: "x" }

describe("Metrics", () => {
  it.scoped("connections and channels are those that are open, while they are", () =>
    Effect.gen(function*() {
      const open = Effect.scoped(Effect.gen(function*() {
        const one = yield* Channel.make()
        yield* Channel.make()
        assert.deepInclude((yield* read).gauges, { channels: 2, connections: 1 })
        yield* Effect.ignore(one.queueDeclare({ queue: "missing", passive: true }))
        yield* TestClock.adjust("1 second")
        assert.deepInclude((yield* read).gauges, { channels: 2, connections: 1 })
        const broker = yield* Broker.Broker
        const refused = yield* broker.refuse()
        yield* broker.dropConnections
        assert.deepInclude((yield* read).gauges, { channels: 0, connections: 0 })
        yield* refused.heal
        yield* TestClock.adjust("1 second")
        assert.deepInclude((yield* read).gauges, { channels: 2, connections: 1 })
      }))
      assert.deepStrictEqual(yield* added(Effect.provide(open, Live)), { reconnects: 1 })
    }))

  it.scoped("a publish is published, and then confirmed, nacked or failed; what came back is also returned", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "q" })
      assert.deepStrictEqual(yield* added(channel.publishAll([q, q, q])), { published: 3, confirmed: 3 })
      yield* broker.nackNext(2)
      assert.deepStrictEqual(yield* added(Effect.exit(channel.publishAll([q, q, q]))), {
        published: 3,
        confirmed: 1,
        nacked: 2
      })
      const lost = { routingKey: "nowhere", content: "x", mandatory: true }
      assert.deepStrictEqual(yield* added(Effect.flip(channel.publish(lost))), {
        published: 1,
        confirmed: 1,
        returned: 1
      })
      assert.deepStrictEqual(yield* added(Effect.flip(channel.publish({ ...q, immediate: true }))), {
        publishFailed: 1
      })
      assert.deepStrictEqual(yield* added(Effect.flip(channel.publish({ ...q, exchange: "missing" }))), {
        published: 1,
        publishFailed: 1
      })
      yield* TestClock.adjust("1 second")
      yield* broker.loseNext(1)
      const waiting = yield* Effect.fork(Effect.exit(channel.publish(q)))
      assert.deepInclude((yield* read).gauges, { unconfirmed: 1 })
      const given = added(Effect.zipRight(TestClock.adjust("1 minute"), Fiber.join(waiting)))
      assert.deepStrictEqual(yield* given, { publishFailed: 1, unconfirmed: -1 })
      yield* broker.loseNext(2)
      yield* channel.offer(q)
      yield* channel.offer(q)
      yield* pass
      const cut = added(Effect.zipRight(broker.dropConnections, TestClock.adjust("1 second")))
      assert.deepStrictEqual(yield* cut, { publishFailed: 2, unconfirmed: -2, reconnects: 1 })
    }).pipe(Effect.provide(Live)))

  it.scoped("a delivery is consumed, and then acknowledged or rejected, one by one or many in a frame", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "q" })
      const deliveries = channel.consume({ queue: "q" })
      const taken = (count: number) => Stream.runCollect(Stream.take(deliveries, count))
      yield* channel.publishAll([q, q])
      const oneByOne = Stream.runForEach(Stream.take(deliveries, 2), (delivery) => delivery.ack)
      assert.deepStrictEqual(yield* added(oneByOne), { consumed: 2, acknowledged: 2 })
      yield* channel.publishAll([q])
      const dropped = Effect.flatMap(
        channel.get({ queue: "q" }),
        (one) => one._tag === "Some" ? one.value.delivery.nack({ requeue: false }) : Effect.void
      )
      assert.deepStrictEqual(yield* added(dropped), { consumed: 1, rejected: 1 })
      yield* channel.publishAll([q, q, q])
      const together = Effect.flatMap(taken(3), (all) => channel.ackAll(all))
      assert.deepStrictEqual(yield* added(together), { consumed: 3, acknowledged: 3 })
    }).pipe(Effect.provide(Live)))

  it.scoped("bytes are those of the sockets, each way", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "q" })
      const content = new Uint8Array(100_000)
      const both = yield* added(channel.publish({ routingKey: "q", content }), ["sentBytes", "receivedBytes"])
      assert.isAbove(both["sentBytes"] ?? 0, 100_000)
      assert.isBelow(both["sentBytes"] ?? 0, 100_200)
      // basic.ack: a frame of 21 octets.
      assert.strictEqual(both["receivedBytes"], 21)
      const back = yield* added(channel.get({ queue: "q", noAck: true }), ["receivedBytes"])
      assert.isAbove(back["receivedBytes"] ?? 0, 100_000)
    }).pipe(Effect.provide(Live)))

  it.scoped("blocked time is counted when it is over", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const alarm = yield* broker.block("memory")
      yield* pass
      assert.deepStrictEqual(yield* added(TestClock.adjust("7 seconds")), {})
      const over = yield* added(alarm.heal)
      assert.isAtLeast(over["blockedTime"] ?? 0, 7000)
      assert.isBelow(over["blockedTime"] ?? 0, 7200)
    }).pipe(Effect.provide(Live)))
})
