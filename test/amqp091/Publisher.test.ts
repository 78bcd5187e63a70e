import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Connection from "../../src/amqp091/Connection.ts"
import type { Content, Delivery } from "../../src/amqp091/Message.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Publisher from "../../src/amqp091/Publisher.ts"
import { ContentError } from "../../src/AmqpError.ts"
import * as Broker from "../../src/broker/Broker.ts"
import * as Credentials from "../../src/Credentials.ts"
import { drained, Embedded, eventually, look, pass, queueOf, warnings } from "./onBroker.ts"

class Order extends Schema.Class<Order>("Order")({ id: Schema.String, region: Schema.String }) {}
const orders = Message.json(Order)
const guest = Redacted.make("guest")

const take = (queue: string): Effect.Effect<Delivery, unknown, Channel.Channel> =>
  Effect.flatMap(Channel.Channel, (channel) => Effect.flatten(channel.get({ queue, noAck: true }))).pipe(
    Effect.map(({ delivery }) => delivery)
  )

/** Text that ends with "!" cannot be encoded. */
const picky: Content<string> = {
  ...Message.text,
  encode: (value) =>
    value.endsWith("!")
      ? Effect.fail(
        new ContentError({ reason: "Text", operation: "encode", contentType: "text/plain", text: "loud", issues: [] })
      )
      : Message.text.encode(value)
}

/** The same, after a while. */
const slow: Content<string> = { ...picky, encode: (value) => Effect.delay(picky.encode(value), "1 second") }

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

describe("Publisher", () => {
  it.scoped("sends what the codec, the defaults and the publish say", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      yield* TestClock.adjust("7500 millis")
      const publisher = yield* Publisher.make({
        routingKey: "q",
        content: orders,
        properties: { appId: "shop", priority: 3, headers: { a: 1 } },
        messageId: (order) => `order-${order.id}`,
        timestamp: true
      })
      assert.strictEqual(publisher.guarantee, "confirmed")
      yield* publisher.publish(new Order({ id: "1", region: "eu" }), {
        properties: { priority: 9, correlationId: "c" }
      })
      const delivery = yield* take("q")
      assert.strictEqual(delivery.text, `{"id":"1","region":"eu"}`)
      assert.deepStrictEqual(delivery.properties, {
        contentType: "application/json",
        headers: { a: 1 },
        deliveryMode: 2,
        priority: 9,
        correlationId: "c",
        messageId: "order-1",
        timestamp: 7,
        appId: "shop"
      })
    }).pipe(Effect.provide(Channel.layer()), Effect.provide(Embedded)))

  it.scoped("refuses a content above its limit before it is sent, alone or among many", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, maxSize: 4 })
      yield* publisher.publish("four")
      const fault = yield* Effect.flip(publisher.publish("f\u00fcnf"))
      assert.deepInclude<object>({ ...fault }, {
        _tag: "ContentError",
        reason: "Size",
        operation: "encode",
        text: "5 bytes are more than 4"
      })
      assert.strictEqual((yield* Effect.flip(publisher.publishAll(["a", "too large", "b"])))._tag, "ContentError")
      assert.deepStrictEqual(yield* drained("q"), ["four"])
    }).pipe(Effect.provide(Channel.layer()), Effect.provide(Embedded)))

  it.scoped("tells who publishes on request, where the credentials name somebody", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const options = { routingKey: "q", content: Message.text, userId: true }
      const publisher = yield* Publisher.make(options)
      yield* publisher.publish("x")
      assert.strictEqual((yield* take("q")).properties.userId, "guest")
      assert.strictEqual((yield* Effect.flatMap(Connection.Connection, ({ info }) => info)).user, "guest")
      const nobody = yield* Connection.make({ url: "memory://", credentials: Credentials.oauth2(guest, "guest") })
      assert.isUndefined((yield* nobody.info).user)
      const fault = yield* Effect.flip(Effect.provideService(Publisher.make(options), Connection.Connection, nobody))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "Refused")
    }).pipe(Effect.provide(Channel.layer()), Effect.provide(Embedded)))

  it.scoped("takes the routing key from the value, unless the publish has one", () =>
    Effect.gen(function*() {
      yield* queueOf("eu")
      yield* queueOf("us")
      const publisher = yield* Publisher.make({ content: orders, routingKey: (order) => order.region })
      const order = new Order({ id: "1", region: "us" })
      yield* publisher.publish(order)
      yield* publisher.publish(order, { routingKey: "eu" })
      yield* publisher.publishAll([order, new Order({ id: "2", region: "eu" })])
      assert.strictEqual((yield* look("us")).ready, 2)
      assert.strictEqual((yield* look("eu")).ready, 2)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("keeps messages on disk by default only where it promises something", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const modes: Array<number | undefined> = []
      const options = { routingKey: "q", content: Message.text }
      for (const guarantee of ["at-most-once", "confirmed", "at-least-once"] as const) {
        const publisher = yield* Publisher.make({ ...options, guarantee })
        yield* publisher.publish("x")
        yield* pass
        modes.push((yield* take("q")).properties.deliveryMode)
      }
      const publisher = yield* Publisher.make({ ...options, properties: { persistent: false } })
      yield* publisher.publish("x")
      modes.push((yield* take("q")).properties.deliveryMode)
      assert.deepStrictEqual(modes, [1, 2, 2, 1])
    }).pipe(Effect.provide(Channel.layer()), Effect.provide(Embedded)))

  it.scoped("fails a publish that cannot be encoded, or comes back, and goes on", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({ routingKey: "q", content: picky, mandatory: true })
      assert.strictEqual((yield* Effect.flip(publisher.publish("no!")))._tag, "ContentError")
      const returned = yield* Effect.flip(publisher.publish("lost", { routingKey: "nowhere" }))
      assert.strictEqual(returned._tag, "PublishReturned")
      yield* publisher.publish("lost", { routingKey: "nowhere", mandatory: false })
      yield* publisher.publish("fine")
      assert.deepStrictEqual(yield* drained("q"), ["fine"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails the publish the broker closes the channel for, with the broker's reason", () =>
    Effect.gen(function*() {
      const publisher = yield* Publisher.make({ exchange: "missing", content: Message.text })
      const error = yield* Effect.flip(publisher.publish("x"))
      assert.strictEqual(error._tag, "ChannelError")
      assert.strictEqual(error._tag === "ChannelError" && error.reason, "NotFound")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("publishes many, and says by index which failed; the others are confirmed", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({
        routingKey: (text) => text === "2" || text === "5" ? "nowhere" : "q",
        content: Message.text,
        mandatory: true,
        window: 3
      })
      const error = yield* Effect.flip(publisher.publishAll(numbers(8)))
      assert.deepStrictEqual(
        error._tag === "PublishManyError" && error.failures.map(({ error, index }) => [index, error._tag]),
        [[2, "PublishReturned"], [5, "PublishReturned"]]
      )
      assert.deepStrictEqual(yield* drained("q"), ["0", "1", "3", "4", "6", "7"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("sends nothing of many when one cannot be encoded", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      for (const content of [picky, slow]) {
        const publisher = yield* Publisher.make({ routingKey: "q", content })
        const fiber = yield* Effect.fork(Effect.flip(publisher.publishAll(["a", "b!", "c"])))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "ContentError")
        const all = yield* Effect.fork(publisher.publishAll(["a", "b"]))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(all)
        assert.deepStrictEqual(yield* drained("q"), ["a", "b"])
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("refuses a window that is none", () =>
    Effect.gen(function*() {
      for (const window of [0, 1.5, 1_000_001, Number.NaN]) {
        const error = yield* Effect.flip(Publisher.make({ content: Message.text, window }))
        assert.strictEqual(error._tag === "ChannelError" && error.reason, "Refused")
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("waits for outstanding confirms when its scope closes", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const scope = yield* Scope.make()
      const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text }).pipe(Scope.extend(scope))
      const fiber = yield* Effect.fork(publisher.publishAll(numbers(100)))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* look("q")).ready, 100)
      assert.strictEqual((yield* Effect.flip(publisher.publish("late")))._tag, "ChannelError")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("loses nothing at least once, while the connection is cut, and keeps the order", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const broker = yield* Broker.Broker
      const publisher = yield* Publisher.make({
        routingKey: "q",
        content: Message.text,
        guarantee: "at-least-once",
        window: 20
      })
      const sent = numbers(300)
      let count = 0
      const fiber = yield* Stream.fromIterable(sent).pipe(
        Stream.rechunk(10),
        Stream.mapChunksEffect((chunk) => {
          count += chunk.length
          return count % 100 === 0 ? Effect.as(broker.dropConnections, chunk) : Effect.succeed(chunk)
        }),
        Stream.run(publisher.sink),
        Effect.fork
      )
      yield* eventually("the sink ends", () => fiber.unsafePoll() !== null)
      yield* Fiber.join(fiber)
      const received = yield* drained("q")
      assert.deepStrictEqual(Array.from(new Set(received)), sent)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("says that the outcome is unknown when the connection goes, where it only confirms", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const broker = yield* Broker.Broker
      const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text })
      const fiber = yield* Effect.fork(Effect.flip(publisher.publish("x")))
      yield* Effect.yieldNow()
      yield* broker.dropConnections
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "OutcomeUnknown")
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))
})

describe("Publisher.sink", () => {
  it.scoped("publishes a stream in order, of whatever chunks, at every guarantee and window", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const sent = numbers(50)
      for (const guarantee of ["at-most-once", "confirmed", "at-least-once"] as const) {
        for (const [window, chunk] of [[1, 1], [3, 50], [1000, 7]] as const) {
          const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, guarantee, window })
          yield* Stream.run(Stream.rechunk(Stream.fromIterable(sent), chunk), publisher.sink)
          yield* pass
          assert.deepStrictEqual(yield* drained("q"), sent)
        }
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("holds the stream back while the window is full, and takes it on when there is room", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({
        routingKey: "q",
        content: Message.text,
        guarantee: "at-least-once",
        window: 5
      })
      const broker = yield* Broker.Broker
      let pulled = 0
      yield* broker.refuse()
      yield* broker.dropConnections
      const fiber = yield* Stream.fromIterable(numbers(100)).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => pulled++)),
        Stream.run(publisher.sink),
        Effect.fork
      )
      yield* pass
      // Down, there is no room at all: one waits for its place.
      assert.strictEqual(pulled, 1)
      yield* broker.heal("refuse")
      yield* eventually("the sink ends", () => fiber.unsafePoll() !== null)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* look("q")).ready, 100)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("never has more in flight than the window", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, window: 4 })
      // Before the broker runs again, everything the sink may send is sent.
      let pulled = 0
      const fiber = yield* Stream.range(1, 20).pipe(
        Stream.rechunk(1),
        Stream.map((number) => {
          pulled++
          return String(number)
        }),
        Stream.run(publisher.sink),
        Effect.fork
      )
      let most = 0
      for (let turn = 0; turn < 200 && fiber.unsafePoll() === null; turn++) {
        const { ready } = yield* look("q")
        most = Math.max(most, pulled - ready)
        yield* Effect.yieldNow()
      }
      yield* pass
      yield* Fiber.join(fiber)
      // The window, one that waits for its place, and confirms that are on their way.
      assert.isAtMost(most, 6)
      assert.isAtLeast(most, 4)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("stops at the first failure, and says by index what failed of what was sent", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({
        routingKey: (text) => text === "3" ? "nowhere" : "q",
        content: Message.text,
        mandatory: true,
        window: 2
      })
      const error = yield* Effect.flip(Stream.run(Stream.fromIterable(numbers(100)), publisher.sink))
      assert.deepStrictEqual(
        error._tag === "PublishManyError" && error.failures.map(({ error, index }) => [index, error._tag]),
        [[3, "PublishReturned"]]
      )
      const received = yield* drained("q")
      assert.deepStrictEqual(received.slice(0, 3), ["0", "1", "2"])
      assert.isBelow(received.length, 10)
      // A sink can be run again.
      yield* Stream.run(Stream.make("again"), publisher.sink)
      assert.deepStrictEqual(yield* drained("q"), ["again"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("ends when the broker closes the channel over it, at every guarantee that confirms", () =>
    Effect.gen(function*() {
      for (const guarantee of ["confirmed", "at-least-once"] as const) {
        const publisher = yield* Publisher.make({ exchange: "missing", content: Message.text, guarantee, window: 20 })
        const fiber = yield* Effect.fork(
          Effect.flip(Stream.run(Stream.fromIterable(numbers(100)), publisher.sink))
        )
        yield* eventually("the sink ends", () => fiber.unsafePoll() !== null)
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          error._tag === "PublishManyError" &&
            error.failures.slice(0, 2).map(({ error, index }) => [index, error._tag]),
          guarantee === "confirmed"
            ? [[0, "ChannelError"], [1, "OutcomeUnknown"]]
            : [[0, "ChannelError"], [1, "ChannelError"]]
        )
      }
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("ends at a value that cannot be encoded, when what it sent before is confirmed", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      for (const content of [picky, slow]) {
        const publisher = yield* Publisher.make({ routingKey: "q", content })
        const fiber = yield* Effect.fork(
          Effect.flip(Stream.run(Stream.fromChunk(Chunk.make("a", "b", "c!", "d")), publisher.sink))
        )
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "ContentError")
        assert.deepStrictEqual(yield* drained("q"), ["a", "b"])
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails at most once with what refuses the call", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const publisher = yield* Publisher.make({ content: Message.text, guarantee: "at-most-once" }).pipe(
        Scope.extend(scope)
      )
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(Stream.run(Stream.make("late"), publisher.sink))
      assert.strictEqual(error._tag === "ChannelError" && error.reason, "Closed")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("leaves its place free when it is interrupted while it waits", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, window: 2 })
      const fiber = yield* Effect.fork(Stream.run(Stream.fromIterable(numbers(100)), publisher.sink))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      yield* pass
      const sent = (yield* drained("q")).length
      assert.isBelow(sent, 100)
      yield* Stream.run(Stream.fromIterable(numbers(5)), publisher.sink)
      assert.deepStrictEqual(yield* drained("q"), numbers(5))
    }).pipe(Effect.provide(Embedded)))
})
