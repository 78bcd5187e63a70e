import { assert } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const Order = Schema.Struct({ id: Schema.Number })
const orders = Message.json(Order)

class Network extends Effect.Service<Network>()("test/Network", { effect: Transport.cuttable }) {}

/** A connection that can be cut, to a virtual host of its own. */
const Live = Layer.unwrapEffect(Effect.map(SharedRabbitMq, ({ url }) => Connection.layer({ url }))).pipe(
  Layer.provide(Layer.effect(Transport.Transport, Effect.map(Network, ({ transport }) => transport))),
  Layer.provideMerge(Network.Default),
  Layer.provide(NodeTransport.layer),
  Layer.provide(Logger.remove(Logger.defaultLogger))
)

/** A queue, and one that takes what it rejects. */
const declare = (queue: string) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = yield* Channel.make()
    yield* channel.queueDeclare({ queue: `${queue}-dead` })
    yield* channel.queueDeclare({
      queue,
      arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": `${queue}-dead` }
    })
  }))

const publish = (queue: string, contents: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = yield* Channel.makeConfirm()
    yield* channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
  }))

const drained = (queue: string) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = yield* Channel.make()
    const texts: Array<string> = []
    for (;;) {
      const got = yield* channel.get({ queue, noAck: true })
      if (got._tag === "None") return texts
      texts.push(got.value.delivery.text)
    }
  }))

const eventually = (holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.filterOrFail((it) => it),
    Effect.retry(Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(1000)))
  )

const quietly = Effect.provide(Logger.remove(Logger.defaultLogger))

/** How often a message comes that fails three times, and how many dead letters that makes. */
const failing = (onFailure: Consumer.OnFailure<string>) =>
  Effect.gen(function*() {
    yield* publish("policies", ["once"])
    let count = 0
    const consumer = yield* Effect.fork(
      Consumer.run(
        { queue: "policies", content: Message.text, onFailure },
        () => ++count === 4 ? Effect.void : Effect.fail("no")
      )
    )
    yield* eventually(() => count > 0)
    yield* Effect.sleep("50 millis")
    yield* Fiber.interrupt(consumer)
    assert.deepStrictEqual(yield* drained("policies"), [])
    return { count, dead: (yield* drained("policies-dead")).length }
  })

describeRabbit("Publisher and Consumer on RabbitMQ", (it) => {
  it.effect("a publisher tells who publishes, which RabbitMQ has checked", () =>
    Effect.gen(function*() {
      yield* declare("signed")
      const options = { routingKey: "signed", content: Message.text, userId: true }
      yield* Effect.flatMap(Publisher.make(options), ({ publish }) => publish("x"))
      const channel = yield* Channel.make()
      const { delivery } = yield* Effect.flatten(channel.get({ queue: "signed", noAck: true }))
      assert.strictEqual(delivery.properties.userId, "guest")
      const liar = yield* Publisher.make({ ...options, userId: false, properties: { userId: "somebody" } })
      const fault = yield* Effect.flip(liar.publish("x"))
      assert.strictEqual(fault._tag === "ChannelError" && fault.code, 406)
    }).pipe(Effect.scoped, Effect.provide(Live)))

  it.effect(
    "a stream is published at least once and handled, while the connection is cut",
    () =>
      Effect.gen(function*() {
        yield* declare("cuts")
        const network = yield* Network
        const handled = new Map<number, number>()
        const consumer = yield* Effect.fork(Consumer.run(
          { queue: "cuts", content: orders, concurrency: 8, prefetch: 32 },
          ({ id }) =>
            Effect.zipRight(
              Effect.sleep("1 millis"),
              Effect.sync(() => handled.set(id, (handled.get(id) ?? 0) + 1))
            )
        ))
        const total = 3000
        const publisher = yield* Publisher.make({
          routingKey: "cuts",
          content: orders,
          guarantee: "at-least-once",
          window: 100,
          messageId: ({ id }) => String(id)
        })
        const publishing = yield* Effect.fork(
          Stream.run(Stream.map(Stream.range(0, total - 1), (id) => ({ id })), publisher.sink)
        )
        for (const part of [0.2, 0.5, 0.8]) {
          yield* eventually(() => handled.size >= total * part)
          assert.strictEqual(yield* network.cut, 1)
        }
        yield* Fiber.join(publishing)
        yield* eventually(() => handled.size === total)
        yield* Fiber.interrupt(consumer)
        const again = Array.from(handled.values()).reduce((sum, count) => sum + count - 1, 0)
        assert.isAtMost(again, 3 * (100 + 32))
        assert.deepStrictEqual(yield* drained("cuts-dead"), [])
      }).pipe(Effect.scoped, quietly, Effect.provide(Live)),
    30_000
  )

  it.effect("a poison message comes twice, then it and what nobody can decode are dead letters", () =>
    Effect.gen(function*() {
      yield* declare("poison")
      yield* publish("poison", [`{"id":1}`, "not JSON", `{"id":2}`, `{"id":"text"}`, `{"id":3}`])
      const seen: Array<readonly [number, boolean]> = []
      const consumer = yield* Effect.fork(
        Consumer.run({ queue: "poison", content: orders }, ({ id }, { redelivered }) => {
          seen.push([id, redelivered])
          return id === 2 ? Effect.fail("no") : Effect.void
        })
      )
      yield* eventually(() => seen.length === 4)
      yield* Fiber.interrupt(consumer)
      assert.deepStrictEqual(seen, [[1, false], [2, false], [3, false], [2, true]])
      assert.deepStrictEqual(yield* drained("poison"), [])
      assert.deepStrictEqual(yield* drained("poison-dead"), ["not JSON", `{"id":"text"}`, `{"id":2}`])
    }).pipe(quietly, Effect.provide(Live)))

  it.effect("each policy settles as it says", () =>
    Effect.gen(function*() {
      yield* declare("policies")
      assert.deepStrictEqual(yield* failing("requeue"), { count: 4, dead: 0 })
      assert.deepStrictEqual(yield* failing("requeue-once"), { count: 2, dead: 1 })
      assert.deepStrictEqual(yield* failing("reject"), { count: 1, dead: 1 })
      assert.deepStrictEqual(yield* failing(() => Effect.succeed("ack")), { count: 1, dead: 0 })
      assert.deepStrictEqual(yield* failing(() => Effect.succeed("reject")), { count: 1, dead: 1 })
      assert.deepStrictEqual(
        yield* failing((_, { redelivered }) => Effect.succeed(redelivered ? "ack" : "requeue")),
        { count: 2, dead: 0 }
      )
    }).pipe(quietly, Effect.provide(Live)))

  it.effect("a consumer that is interrupted finishes what runs, and leaves the rest in its order", () =>
    Effect.gen(function*() {
      yield* declare("drain")
      const texts = Array.from({ length: 20 }, (_, index) => String(index))
      yield* publish("drain", texts)
      const started: Array<string> = []
      const finished: Array<string> = []
      const consumer = yield* Effect.fork(
        Consumer.run(
          { queue: "drain", content: Message.text, concurrency: 3, prefetch: 10 },
          (text) =>
            Effect.suspend(() => {
              started.push(text)
              return Effect.sleep("200 millis")
            }).pipe(Effect.zipRight(Effect.sync(() => finished.push(text))))
        )
      )
      yield* eventually(() => started.length === 3)
      yield* Fiber.interrupt(consumer)
      assert.deepStrictEqual(finished, ["0", "1", "2"])
      assert.deepStrictEqual(yield* drained("drain"), texts.slice(3))
    }).pipe(quietly, Effect.provide(Live)))
})
