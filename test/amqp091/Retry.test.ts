import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Connection from "../../src/amqp091/Connection.ts"
import * as Consumer from "../../src/amqp091/Consumer.ts"
import * as Death from "../../src/amqp091/Death.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Retry from "../../src/amqp091/Retry.ts"
import * as Broker from "../../src/broker/Broker.ts"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { drained, Embedded, look, pass, warnings } from "./onBroker.ts"
import { connected, openOn } from "./scripted.ts"

const logs: Array<string> = []
const quietly = Effect.provide(warnings(logs))
const ladder = Retry.ladder({ queue: "orders", delays: ["1 second", "10 seconds"] })

/** A delivery with these headers. */
const of = (headers: Message.Delivery["properties"]["headers"]) => ({
  properties: headers === undefined ? {} : { headers }
})

describe("Retry.ladder", () => {
  it("is a queue, one for each delay, and a parking lot", () => {
    assert.deepStrictEqual(ladder.queues, [
      {
        queue: "orders",
        durable: true,
        arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.parked" }
      },
      {
        queue: "orders.retry.1000",
        durable: true,
        arguments: {
          "x-message-ttl": 1000,
          "x-dead-letter-exchange": "",
          "x-dead-letter-routing-key": "orders"
        }
      },
      {
        queue: "orders.retry.10000",
        durable: true,
        arguments: {
          "x-message-ttl": 10_000,
          "x-dead-letter-exchange": "",
          "x-dead-letter-routing-key": "orders"
        }
      },
      { queue: "orders.parked", durable: true, arguments: {} }
    ])
  })

  it("has one queue for a delay that is there twice, and its arguments on all", () => {
    const twice = Retry.ladder({
      queue: "q",
      delays: ["1 second", "1 second"],
      parkingLot: "lot",
      arguments: { "x-queue-type": "quorum" }
    })
    assert.deepStrictEqual(twice.queues.map(({ queue }) => queue), ["q", "q.retry.1000", "lot"])
    assert.isTrue(twice.queues.every((queue) => queue.arguments?.["x-queue-type"] === "quorum"))
    assert.strictEqual(twice.steps.length, 2)
  })
})

describe("Retry.declare", () => {
  for (const delay of [Duration.infinity, Duration.days(50)]) {
    it.scoped(`refuses a delay that no message comes out of (${Duration.format(delay)}), and declares nothing`, () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const endless = Retry.ladder({ queue: "orders", delays: ["1 second", delay] })
        const error = yield* Effect.flip(Retry.declare(endless))
        assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "Refused", method: "queue.declare" })
        assert.include(error.message, endless.steps[1]?.queue ?? "no step")
        assert.deepStrictEqual(yield* broker.queues(), [])
      }).pipe(Effect.provide(Embedded)))
  }
})

describe("Retry.onFailure", () => {
  it.scoped("puts a message off by each delay, then parks it, with all it came with", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const clock = yield* Effect.clock
      yield* Retry.declare(ladder)
      const onFailure = yield* Retry.onFailure(ladder)
      yield* Effect.forkScoped(Consumer.run(
        { queue: "orders", content: Message.text, onFailure },
        () => Effect.zipRight(Effect.sync(() => times.push(clock.unsafeCurrentTimeMillis())), Effect.fail("no"))
      ))
      const channel = yield* Channel.makeConfirm()
      yield* channel.publish({
        exchange: "amq.direct",
        routingKey: "none",
        content: "never routed"
      })
      yield* channel.queueBind({ queue: "orders", exchange: "amq.direct", routingKey: "eu" })
      yield* channel.publish({
        exchange: "amq.direct",
        routingKey: "eu",
        content: "tea",
        properties: {
          messageId: "1",
          userId: "guest",
          expiration: "1 hour",
          persistent: true,
          headers: { mine: true, CC: ["orders.parked"] }
        }
      })
      yield* channel.queuePurge("orders.parked")
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("10 seconds")
      yield* pass
      assert.strictEqual(times.length, 3)
      assert.isAtLeast(times[1]! - times[0]!, 1000)
      assert.isAtLeast(times[2]! - times[1]!, 10_000)
      const { delivery } = yield* Effect.flatten(channel.get({ queue: "orders.parked" }))
      assert.strictEqual(delivery.text, "tea")
      assert.strictEqual(Retry.attempts(delivery), 3)
      const { headers, ...properties } = delivery.properties
      assert.deepStrictEqual(properties, { messageId: "1", deliveryMode: 2 })
      assert.deepInclude({ ...headers }, {
        mine: true,
        "x-original-exchange": "amq.direct",
        "x-original-routing-key": "eu"
      })
      assert.isUndefined(headers?.["CC"])
      assert.deepStrictEqual(
        Death.all(delivery).map(({ count, queue, reason }) => [queue, reason, count]),
        [["orders.retry.10000", "expired", 1], ["orders.retry.1000", "expired", 1]]
      )
      assert.strictEqual(Death.count(delivery), 2)
      assert.strictEqual(Death.count(delivery, { queue: "orders.retry.1000", reason: "expired" }), 1)
      assert.strictEqual(Death.count(delivery, { reason: "rejected" }), 0)
      assert.deepStrictEqual(Death.first(delivery), { queue: "orders.retry.1000", reason: "expired", exchange: "" })
      assert.deepStrictEqual(yield* look("orders"), { ready: 0, unsettled: 0, consumers: 1 })
      assert.isTrue(logs.some((line) => line.startsWith("Retry: ") && line.includes("(2 of 2)")))
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("counts on a connection that keeps the wire type of every value, too", () =>
    Effect.gen(function*() {
      let count = 0
      yield* Retry.declare(ladder)
      const onFailure = yield* Retry.onFailure(ladder)
      yield* Effect.forkScoped(Consumer.run(
        { queue: "orders", content: Message.text, onFailure },
        () => Effect.zipRight(Effect.sync(() => count++), Effect.fail("no"))
      ))
      const channel = yield* Channel.makeConfirm()
      yield* channel.publish({ routingKey: "orders", content: "tea", properties: { headers: { n: 1 } } })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(count, 3)
      assert.deepStrictEqual(yield* drained("orders.parked"), ["tea"])
    }).pipe(
      quietly,
      Effect.provide(
        Connection.layer({ url: "memory://", decode: "typed" }).pipe(Layer.provideMerge(Broker.layerMemory))
      )
    ))

  it.scoped("acknowledges one that succeeds in between, and parks what cannot be decoded", () =>
    Effect.gen(function*() {
      yield* Retry.declare(ladder)
      const onFailure = yield* Retry.onFailure(ladder)
      let count = 0
      const consumer = yield* Effect.fork(Consumer.run(
        { queue: "orders", content: Message.text, onFailure },
        () => ++count === 2 ? Effect.void : Effect.fail("no")
      ))
      const channel = yield* Channel.makeConfirm()
      yield* channel.publish({ routingKey: "orders", content: "tea" })
      yield* channel.publish({ routingKey: "orders", content: "x", properties: { contentType: "image/png" } })
      yield* TestClock.adjust("2 seconds")
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.interrupt(consumer)
      assert.strictEqual(count, 2)
      assert.deepStrictEqual(yield* drained("orders"), [])
      assert.deepStrictEqual(yield* drained("orders.parked"), ["x"])
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("gives a message back where it cannot be put off, after a second: not in a loop", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "orders" })
      const onFailure = yield* Retry.onFailure(ladder)
      let count = 0
      const consumer = yield* Effect.fork(Consumer.run(
        { queue: "orders", content: Message.text, onFailure },
        () => ++count === 3 ? Effect.never : Effect.fail("no")
      ))
      yield* channel.publish({ routingKey: "orders", content: "tea" })
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(count, 1)
      assert.deepStrictEqual(yield* look("orders"), { ready: 0, unsettled: 1, consumers: 1 })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(count, 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(count, 3)
      yield* Effect.fork(Fiber.interrupt(consumer))
    }).pipe(quietly, Effect.provide(Embedded)))
})

describe("Retry.declareDelayed", () => {
  it.scoped("is refused, typed, where the plugin is missing, and the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.Connection
      const fault = yield* Effect.flip(Retry.declareDelayed({ exchange: "later", type: "topic" }))
      assert(fault._tag === "ChannelError")
      assert.deepInclude({ ...fault }, { reason: "Refused", code: 0, method: "exchange.declare" })
      assert.include(fault.text, "plugin")
      assert.strictEqual((yield* connection.info).epoch, 1)
      assert.lengthOf(yield* (yield* Broker.Broker).connections, 1)
    }).pipe(Effect.provide(Embedded)))

  it.effect("asks on a connection of its own, then declares with how it routes", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const declaring = yield* openOn(
        connection,
        Retry.declareDelayed({ exchange: "later", type: "topic", arguments: { "x-more": 1 } })
      )
      const asked = yield* accept
      yield* asked.handshake()
      for (const each of [asked, peer]) {
        yield* each.expect("ChannelOpen")
        yield* each.send(1, { _tag: "ChannelOpenOk" })
        const method = yield* each.expect("ExchangeDeclare")
        assert.deepInclude(method, { exchange: "later", type: "x-delayed-message", durable: true, passive: false })
        assert.deepStrictEqual(method.arguments, { "x-more": 1, "x-delayed-type": "topic" })
        yield* each.send(1, { _tag: "ExchangeDeclareOk" })
        if (each === asked) {
          yield* each.expect("ConnectionClose")
          yield* each.send(0, { _tag: "ConnectionCloseOk" })
        }
      }
      yield* Fiber.join(declaring)
      // Nobody would answer the goodbye.
      yield* peer.cut
    }).pipe(Effect.scoped, Effect.provide(layerMemory)))

  it("keeps a message for its own time, in whole milliseconds", () => {
    const message = { routingKey: "k", content: "x", properties: { persistent: true, headers: { n: 1 } } }
    const expected = { ...message, properties: { persistent: true, headers: { n: 1, "x-delay": 1001 } } }
    assert.deepStrictEqual(Retry.delayed(message, Duration.millis(1000.5)), expected)
    assert.deepStrictEqual(Retry.delayed(Duration.millis(1000.5))(message), expected)
  })
})

describe("Death", () => {
  it("passes over what is none of RabbitMQ's shape", () => {
    for (const odd of [undefined, {}, { "x-death": 1 }, { "x-death": [1, "x", {}, { queue: 1, reason: "expired" }] }]) {
      assert.deepStrictEqual(Death.all(of(odd)), [])
      assert.strictEqual(Death.count(of(odd)), 0)
      assert.isUndefined(Death.first(of(odd)))
    }
  })

  it("reads counts, keys, times and expirations, and what of them is odd as not there", () => {
    const [death] = Death.all(of({
      "x-death": [{
        queue: "q",
        reason: "expired",
        count: 3,
        exchange: "x",
        "routing-keys": ["a", 1, "b"],
        time: 1_700_000_000,
        "original-expiration": "5000"
      }]
    }))
    assert.deepInclude({ ...death }, {
      queue: "q",
      reason: "expired",
      count: 3,
      exchange: "x",
      routingKeys: ["a", "b"]
    })
    assert.strictEqual(String(death?.time?.epochMillis), "1700000000000")
    assert.strictEqual(String(death?.originalExpiration), "Duration(5s)")
    const [bare] = Death.all(of({
      "x-death": [{ queue: "q", reason: "odd", count: -1, time: "never", "original-expiration": "soon" }]
    }))
    assert.deepStrictEqual(bare, {
      queue: "q",
      reason: "odd",
      count: 0,
      exchange: "",
      routingKeys: [],
      time: undefined,
      originalExpiration: undefined
    })
  })
})
