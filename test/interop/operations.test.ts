import { assert } from "@effect/vitest"
import { Credentials, Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const connect = (options?: Partial<Connection.Options>) =>
  Effect.gen(function*() {
    const { url } = yield* SharedRabbitMq
    return yield* Connection.make({ url, ...options } as Connection.Options)
  }).pipe(Effect.provide(NodeTransport.layer))

const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

const withQueue = (count: number) =>
  Effect.gen(function*() {
    const connection = yield* connect()
    const channel = yield* on(connection, Channel.makeConfirm())
    const { queue } = yield* channel.queueDeclare()
    yield* channel.publishAll(Array.from({ length: count }, (_, index) => ({ routingKey: queue, content: `${index}` })))
    const ready = Effect.map(channel.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount)
    return { connection, channel, queue, ready }
  })

const taken = (channel: Channel.ConfirmChannel, queue: string, count: number) =>
  Effect.all(
    Array.from({ length: count }, () =>
      Effect.map(channel.get({ queue }), (result) => Option.getOrThrow(result).delivery))
  )

describeRabbit("Channel operations on RabbitMQ", (it) => {
  it.scoped("ackAll and nackAll without deliveries settle everything", () =>
    Effect.gen(function*() {
      const { channel, queue, ready } = yield* withQueue(6)
      const [first] = yield* taken(channel, queue, 2)
      yield* channel.ackAll()
      assert.strictEqual((yield* Effect.flip(first!.ackOrFail)).reason, "AlreadySettled") // two were taken
      yield* taken(channel, queue, 4)
      assert.strictEqual(yield* ready, 0)
      yield* channel.nackAll()
      assert.strictEqual(yield* Effect.repeat(ready, { until: (count) => count === 4 }), 4)
      yield* channel.nackAll()
      yield* taken(channel, queue, 4)
      yield* channel.nackAll(undefined, { requeue: false })
      assert.strictEqual(yield* ready, 0)
    }))

  it.scoped("nackAll gives back the deliveries it is given, and no others", () =>
    Effect.gen(function*() {
      const { channel, queue } = yield* withQueue(5)
      const deliveries = yield* taken(channel, queue, 5)
      yield* channel.nackAll([0, 1, 3].map((index) => deliveries[index]!)) // five were taken
      const again = yield* taken(channel, queue, 3)
      assert.deepStrictEqual(again.map(({ redelivered, text }) => [text, redelivered]), [
        ["0", true],
        ["1", true],
        ["3", true]
      ])
      yield* Effect.forEach([2, 4], (index) => deliveries[index]!.ackOrFail)
    }))

  it.scoped("recover brings everything back, to consumers too, and makes what was held stale", () =>
    Effect.gen(function*() {
      const { channel, queue } = yield* withQueue(3)
      const seen = yield* channel.consume({ queue }).pipe(
        Stream.zipWithIndex,
        Stream.tap(([delivery, index]) =>
          index === 2 ?
            Effect.zipRight(
              channel.recover,
              Effect.map(Effect.flip(delivery.ackOrFail), (fault) => {
                assert.strictEqual(fault.reason, "Stale")
              })
            ) :
            Effect.void
        ),
        Stream.take(6),
        Stream.map(([delivery]) => `${delivery.text}${delivery.redelivered ? "r" : ""}`),
        Stream.runCollect
      )
      assert.deepStrictEqual(Chunk.toReadonlyArray(seen), ["0", "1", "2", "0r", "1r", "2r"])
    }))

  it.scoped("a global prefetch bounds all consumers of the channel together, also on the next socket", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      const network = yield* Effect.provide(Transport.cuttable, NodeTransport.layer)
      const connection = yield* Effect.provideService(
        Connection.make({ url }),
        Transport.Transport,
        network.transport
      )
      const channel = yield* on(connection, Channel.makeConfirm())
      const { queue } = yield* channel.queueDeclare({ exclusive: false })
      yield* Effect.addFinalizer(() => Effect.ignore(channel.queueDelete({ queue })))
      yield* channel.publishAll(Array.from({ length: 10 }, () => ({ routingKey: queue, content: "" })))
      yield* channel.qos({ prefetch: 3, global: true })
      let held = 0
      const consume = channel.consume({ queue }).pipe(Stream.runForEach(() => Effect.sync(() => held++)), Effect.fork)
      yield* consume
      yield* consume
      const settled = (count: number) =>
        Effect.zipRight(eventually(Effect.sync(() => held >= count), true), Effect.sleep("200 millis"))
      yield* settled(3)
      assert.strictEqual(held, 3)
      yield* network.cut
      yield* settled(6)
      assert.strictEqual(held, 6)
    }))

  it.scoped("a channel gets the number it asks for, and is refused one that is taken", () =>
    Effect.gen(function*() {
      const connection = yield* connect()
      const seventh = yield* on(connection, Channel.make({ number: 7 }))
      assert.strictEqual(yield* seventh.number, 7)
      const first = yield* on(connection, Channel.make())
      assert.strictEqual(yield* first.number, 1)
      const fault = yield* Effect.flip(on(connection, Channel.make({ number: 7 })))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "NoFreeChannels")
      const zero = yield* Effect.flip(on(connection, Channel.make({ number: 0 })))
      assert.strictEqual(zero._tag === "ChannelError" && zero.reason, "Refused")
    }))

  it.scoped("a mandatory message published without confirms comes back in the stream", () =>
    Effect.gen(function*() {
      const connection = yield* connect()
      const channel = yield* on(connection, Channel.make())
      const returned = yield* Effect.fork(Stream.runHead(channel.returned))
      yield* Effect.yieldNow()
      yield* channel.publish({ routingKey: "nowhere", content: "x", mandatory: true, properties: { messageId: "1" } })
      const one = Option.getOrThrow(yield* Fiber.join(returned))
      assert.deepInclude({ ...one, content: undefined }, { code: 312, text: "NO_ROUTE", routingKey: "nowhere" })
      assert.strictEqual(one.properties.messageId, "1")
      assert.strictEqual(new TextDecoder().decode(one.content), "x")
    }))

  it.scoped("flow(true) is answered, flow(false) refused before RabbitMQ closes the connection over it", () =>
    Effect.gen(function*() {
      const { channel } = yield* withQueue(0)
      yield* channel.flow(true)
      const fault = yield* Effect.flip(channel.flow(false))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "Refused")
    }))

  it.scoped("what the broker can do is told, and the connection says when it is over", () =>
    Effect.gen(function*() {
      const connection = yield* connect()
      const { capabilities } = yield* connection.info
      const { acceptConsumerCancelOk, ...others } = capabilities
      assert.deepStrictEqual(Object.values(others), Object.values(others).map(() => true))
      assert.isFalse(acceptConsumerCancelOk)
      assert.isTrue(yield* connection.isOpen)
      const closed = yield* Effect.fork(connection.closed)
      yield* connection.close()
      assert.isUndefined(yield* Fiber.join(closed))
      assert.isTrue(yield* connection.isClosed)
      assert.isUndefined(yield* connection.closed, "also to who asks later")
    }))

  it.scoped("a new secret is given to the broker, and to the next login", () =>
    Effect.gen(function*() {
      const node = yield* SharedRabbitMq
      yield* node.addUser("rotated", "old")
      const network = yield* Effect.provide(Transport.cuttable, NodeTransport.layer)
      const connection = yield* Effect.provideService(
        Connection.make({ url: node.url, credentials: Credentials.plain("rotated", Redacted.make("old")) }),
        Transport.Transport,
        network.transport
      )
      yield* node.ctl("change_password", "rotated", "new")
      yield* connection.updateSecret(Redacted.make("new"), "rotation")
      yield* network.cut
      yield* connection.info.pipe(
        Effect.filterOrFail(({ epoch }) => epoch === 2),
        Effect.retry(Schedule.spaced("10 millis"))
      )
    }))
})
