import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import type { Message, Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { content, layerMemory, type Peer } from "../harness/scriptedPeer.ts"
import { connected, openOn, settle } from "./scripted.ts"

const withConfirms = (options: Partial<Connection.Options> = {}, settings: Channel.ConfirmOptions = {}) =>
  Effect.gen(function*() {
    const { accept, connection, peer } = yield* connected(options)
    const opening = yield* openOn(connection, Channel.makeConfirm(settings))
    const number = yield* peer.openConfirmChannel
    return { accept, peer, connection, number, channel: yield* Fiber.join(opening) }
  })

const plain = (options: Partial<Connection.Options> = {}) =>
  Effect.gen(function*() {
    const { accept, connection, peer } = yield* connected(options)
    const opening = yield* openOn(connection, Channel.make())
    const number = yield* peer.openChannel
    return { accept, peer, connection, number, channel: yield* Fiber.join(opening) }
  })

const declareOk = (queue: string): Method.QueueDeclareOk => ({
  _tag: "QueueDeclareOk",
  queue,
  messageCount: 0,
  consumerCount: 0
})

const ack = (deliveryTag: number, multiple = false): Method.BasicAck => ({ _tag: "BasicAck", deliveryTag, multiple })

const publishes = (peer: Peer, count: number) =>
  Effect.replicateEffect(peer.expect("BasicPublish"), count, { discard: true })

/** On the embedded broker. */
const onBroker = <A, E>(
  make: Effect.Effect<A, E, Connection.Connection | Scope.Scope>,
  options: Partial<Connection.Options> = {}
) =>
  Effect.gen(function*() {
    const connection = yield* Connection.make({ url: "memory://", ...options } as Connection.Options)
    const broker = yield* Broker.Broker
    return { broker, connection, channel: yield* Effect.provideService(make, Connection.Connection, connection) }
  })

describe("calls", () => {
  it.scoped("one that times out consumes its late answer silently: the next gets its own", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* plain({ operationTimeout: "3 seconds" })
      const late = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "slow" })))
      yield* peer.expect("QueueDeclare")
      yield* TestClock.adjust("3 seconds")
      const fault = yield* Fiber.join(late)
      assert(fault._tag === "OperationTimeout")
      assert.strictEqual(fault.operation, "queue.declare")
      assert.strictEqual(Duration.toSeconds(fault.limit), 3)
      const next = yield* Effect.fork(channel.queueDeclare({ queue: "next" }))
      yield* peer.send(number, declareOk("slow"))
      yield* peer.expect("QueueDeclare")
      yield* peer.send(number, declareOk("next"))
      assert.strictEqual((yield* Fiber.join(next)).queue, "next")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("one that is interrupted before it is sent is not sent", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* plain()
      const first = yield* Effect.fork(channel.queueDeclare({ queue: "1" }))
      const second = yield* Effect.fork(channel.queueDeclare({ queue: "2" }))
      const third = yield* Effect.fork(channel.queueDeclare({ queue: "3" }))
      yield* peer.expect("QueueDeclare")
      yield* settle
      yield* Fiber.interrupt(second)
      yield* peer.send(number, declareOk("1"))
      assert.strictEqual((yield* peer.expect("QueueDeclare")).queue, "3")
      yield* peer.send(number, declareOk("3"))
      yield* Fiber.join(first)
      yield* Fiber.join(third)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("an answer to nothing loses the connection with a FrameError", () =>
    Effect.gen(function*() {
      const { connection, number, peer } = yield* plain()
      yield* peer.send(number, declareOk("q"))
      assert.strictEqual((yield* peer.expect("ConnectionClose")).replyCode, 503)
      yield* settle
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionLost")
      assert.strictEqual(state.fault.reason, "FrameError")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("an immediate publish is refused here, in each mode: RabbitMQ would close the connection", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.makeConfirm())
      const plain = yield* onBroker(Channel.make())
      const message = { content: "", immediate: true }
      const refusals = [
        yield* Effect.flip(channel.publish(message)),
        yield* Effect.flip(channel.offer(message)),
        yield* Effect.flip(plain.channel.publish(message)),
        yield* Effect.flip(plain.channel.publishAll([message])),
        ...(yield* Effect.flip(channel.publishAll([message]))).failures.map(({ error }) => error)
      ]
      for (const fault of refusals) {
        assert.deepInclude<object>({ ...fault }, { _tag: "ChannelError", reason: "Refused", code: 0 })
        assert.include(fault.message, "540")
      }
      assert.lengthOf(refusals, 5)
      yield* channel.publish({ content: "" })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("a value that no octets can express is refused here, and the channel lives", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.make())
      const fault = yield* Effect.flip(channel.queueDeclare({ queue: "q".repeat(300) }))
      assert(fault._tag === "ChannelError")
      assert.deepInclude(fault, { reason: "Refused", code: 0, method: "queue.declare" })
      yield* channel.queueDeclare({ queue: "q" })
    }).pipe(Effect.provide(Broker.layerMemory)))

  for (
    const [reason, code, call] of [
      ["NotFound", 404, (channel) => channel.queueDeclare({ queue: "missing", passive: true })],
      ["AccessRefused", 403, (channel) => channel.exchangeDeclare({ exchange: "amq.mine" })],
      ["PreconditionFailed", 406, (channel) => channel.queueDeclare({ queue: "q", durable: false })]
    ] as ReadonlyArray<
      readonly [
        AmqpError.ChannelReason,
        number,
        (channel: Channel.Channel) => Effect.Effect<unknown, AmqpError.CallError>
      ]
    >
  ) {
    it.scoped(`the broker's ${code} is ${reason}, in its own words; the channel opens again`, () =>
      Effect.gen(function*() {
        const { channel } = yield* onBroker(Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        const fault = yield* Effect.flip(call(channel))
        assert.strictEqual(fault._tag, "ChannelError")
        assert.strictEqual(Reflect.get(fault, "reason"), reason)
        assert.strictEqual(Reflect.get(fault, "code"), code)
        assert.match(String(Reflect.get(fault, "text")), /^[A-Z_]+ - /)
        yield* channel.queueDeclare({ queue: "q" })
      }).pipe(Effect.provide(Broker.layerMemory)))
  }

  it.scoped("a queue exclusive to another connection is ResourceLocked", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.make())
      const other = yield* onBroker(Channel.make())
      yield* channel.queueDeclare({ queue: "mine", exclusive: true })
      const fault = yield* Effect.flip(other.channel.queueDeclare({ queue: "mine", exclusive: true }))
      assert.deepInclude(fault, { _tag: "ChannelError", reason: "ResourceLocked", code: 405 })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("on a channel whose scope has ended fail Closed", () =>
    Effect.gen(function*() {
      const { connection } = yield* onBroker(Effect.void)
      const channel = yield* Effect.scoped(Effect.provideService(Channel.make(), Connection.Connection, connection))
      for (
        const fault of [
          yield* Effect.flip(channel.queuePurge("q")),
          yield* Effect.flip(channel.publish({ content: "" }))
        ]
      ) {
        assert.deepInclude(fault, { _tag: "ChannelError", reason: "Closed", code: 0 })
      }
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("with whenDisconnected \"fail\" say NotReady at once: Disconnected, Recovering, Blocked", () =>
    Effect.gen(function*() {
      const { channel, peer } = yield* plain({ whenDisconnected: "fail", reconnect: Schedule.spaced("1 minute") })
      yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "" })
      yield* settle
      assert.deepInclude(yield* Effect.flip(channel.publish({ content: "" })), { _tag: "NotReady", reason: "Blocked" })
      yield* peer.cut
      yield* settle
      for (
        const fault of [
          yield* Effect.flip(channel.queuePurge("q")),
          yield* Effect.flip(channel.publish({ content: "" }))
        ]
      ) {
        assert.deepInclude(fault, { _tag: "NotReady", reason: "Recovering" })
      }
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* Effect.flip(channel.queuePurge("q")), { _tag: "NotReady", reason: "Disconnected" })
    }).pipe(Effect.provide(layerMemory)))
})

describe("confirmed publishes", () => {
  it.scoped("a nack is PublishNacked, a return PublishReturned, and their neighbours are confirmed", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* withConfirms()
      const all = yield* Effect.fork(Effect.flip(channel.publishAll([
        { content: "0", routingKey: "a" },
        { content: "1", routingKey: "b", mandatory: true },
        { content: "2", routingKey: "c" },
        { content: "3", routingKey: "b", mandatory: true }
      ])))
      yield* publishes(peer, 4)
      yield* peer.send(number, { _tag: "BasicNack", deliveryTag: 3, multiple: false, requeue: false })
      yield* peer.frame(
        ...content(number, {
          _tag: "BasicReturn",
          replyCode: 312,
          replyText: "NO_ROUTE",
          exchange: "",
          routingKey: "b"
        }, "1")
      )
      yield* peer.send(number, ack(2, true), ack(4))
      const { failures } = yield* Fiber.join(all)
      assert.deepStrictEqual(failures.map(({ index, error }) => [index, error._tag]), [
        [1, "PublishReturned"],
        [2, "PublishNacked"]
      ])
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("without an answer in time the outcome is unknown (Timeout), and the late answer ignored", () =>
    Effect.gen(function*() {
      const { channel, connection, number, peer } = yield* withConfirms({ publishTimeout: "5 seconds" })
      const publishing = yield* Effect.fork(Effect.flip(channel.publish({ content: "x" })))
      yield* publishes(peer, 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Fiber.join(publishing), { _tag: "OutcomeUnknown", reason: "Timeout" })
      const next = yield* Effect.fork(channel.publish({ content: "y" }))
      yield* publishes(peer, 1)
      yield* peer.send(number, ack(1), ack(2))
      yield* Fiber.join(next)
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("confirmed a second time loses the connection", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* withConfirms()
      const publishing = yield* Effect.fork(channel.publish({ content: "x" }))
      yield* publishes(peer, 1)
      yield* peer.send(number, ack(1))
      yield* Fiber.join(publishing)
      yield* peer.send(number, ack(1))
      const { replyCode, replyText } = yield* peer.expect("ConnectionClose")
      assert.strictEqual(replyCode, 503)
      assert.include(replyText, "a confirm for publish 1, which awaits none")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a confirm for what was never sent loses the connection", () =>
    Effect.gen(function*() {
      const { number, peer } = yield* withConfirms()
      yield* peer.send(number, ack(7))
      assert.strictEqual((yield* peer.expect("ConnectionClose")).replyCode, 503)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("unconfirmed when the socket goes: OutcomeUnknown Lost, whose cause says how", () =>
    Effect.gen(function*() {
      const { channel, peer } = yield* withConfirms()
      const publishing = yield* Effect.fork(
        Effect.flip(channel.publish({ content: "x", exchange: "e", routingKey: "k" }))
      )
      yield* publishes(peer, 1)
      yield* peer.cut
      const fault = yield* Fiber.join(publishing)
      assert(fault._tag === "OutcomeUnknown")
      assert.deepInclude(fault, { reason: "Lost", exchange: "e", routingKey: "k" })
      assert.propertyVal(fault.cause, "_tag", "ConnectionLost")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("at-least-once: sent again in order, before what waits, and numbered from 1", () =>
    Effect.gen(function*() {
      const { accept, channel, number, peer } = yield* withConfirms({}, { guarantee: "at-least-once", window: 3 })
      const all = yield* Effect.fork(channel.publishAll(["0", "1", "2", "3", "4"].map((content) => ({ content }))))
      yield* publishes(peer, 3)
      yield* peer.send(number, ack(2))
      yield* settle
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openConfirmChannel
      yield* publishes(next, 3)
      yield* settle
      assert.deepStrictEqual(next.bodies, ["0", "2", "3"])
      yield* next.send(number, ack(3, true))
      yield* publishes(next, 1)
      yield* next.send(number, ack(4))
      yield* Fiber.join(all)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a 404 fails the publish that caused it, and its innocent neighbours as their guarantee says", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.makeConfirm({ guarantee: "at-least-once" }))
      yield* channel.queueDeclare({ queue: "q" })
      const { failures } = yield* Effect.flip(channel.publishAll([
        { routingKey: "q", content: "0" },
        { exchange: "missing", content: "1" },
        { routingKey: "q", content: "2" }
      ]))
      assert.deepStrictEqual(failures.map(({ index }) => index), [1])
      assert.deepInclude(failures[0]?.error, { _tag: "ChannelError", reason: "NotFound", code: 404 })
      assert.isAtLeast((yield* channel.queueDeclare({ queue: "q" })).messageCount, 2)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("wait for room in the window, and one that is interrupted there is not sent", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* withConfirms({}, { window: 1 })
      const first = yield* Effect.fork(channel.publish({ content: "1" }))
      yield* publishes(peer, 1)
      const second = yield* Effect.fork(channel.publish({ content: "2" }))
      const third = yield* Effect.fork(channel.publish({ content: "3" }))
      yield* settle
      yield* Fiber.interrupt(second)
      yield* peer.send(number, ack(1))
      yield* publishes(peer, 1)
      yield* peer.send(number, ack(2))
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      assert.deepStrictEqual(peer.bodies, ["1", "3"])
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("wait while the connection is away, within their bound", () =>
    Effect.gen(function*() {
      const { channel, peer } = yield* withConfirms({
        publishTimeout: "5 seconds",
        reconnect: Schedule.spaced("1 minute")
      })
      yield* peer.cut
      yield* settle
      const publishing = yield* Effect.fork(Effect.flip(channel.publish({ content: "x" })))
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Fiber.join(publishing), { _tag: "OperationTimeout", operation: "basic.publish" })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("wait while the broker stops the flow (channel.flow), which is answered", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* withConfirms()
      yield* peer.send(number, { _tag: "ChannelFlow", active: false })
      assert.isFalse((yield* peer.expect("ChannelFlowOk")).active)
      const publishing = yield* Effect.fork(channel.publish({ content: "x" }))
      yield* settle
      assert.deepStrictEqual(peer.bodies, [])
      yield* peer.send(number, { _tag: "ChannelFlow", active: true })
      yield* publishes(peer, 1)
      yield* peer.send(number, ack(1))
      yield* Fiber.join(publishing)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("an offer that gets no place fails itself, and not the drain", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.offer({ routingKey: "q", content: "0" })
      const fault = yield* Effect.flip(channel.offer({ routingKey: "q".repeat(300), content: "1" }))
      assert.deepInclude(fault, { _tag: "ChannelError", reason: "Refused" })
      yield* channel.offer({ routingKey: "q", content: "2" })
      yield* channel.drain
      assert.strictEqual(yield* channel.unconfirmed, 0)
      assert.strictEqual((yield* channel.queueDeclare({ queue: "q" })).messageCount, 2)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("an offer that waited in vain fails itself, and not the drain", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* withConfirms({ publishTimeout: "5 seconds" }, { window: 1 })
      yield* channel.offer({ content: "0" })
      yield* TestClock.adjust("1 seconds")
      yield* peer.send(number, { _tag: "ChannelFlow", active: false })
      yield* settle
      const waiting = yield* Effect.fork(Effect.flip(channel.offer({ content: "1" })))
      yield* settle
      yield* peer.send(number, ack(1))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "OperationTimeout")
      yield* channel.drain
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a hundred thousand that are refused are reported one by one, quickly and in order", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* onBroker(Channel.makeConfirm())
      yield* connection.close()
      const { failures } = yield* Effect.flip(
        channel.publishAll(Array.from({ length: 100_000 }, () => ({ content: "" })))
      )
      assert.lengthOf(failures, 100_000)
      assert.strictEqual(failures[99_999]?.index, 99_999)
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("consuming", () => {
  it.scoped("a queue that is deleted cancels its consumer: ConsumerCancelled", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.make())
      yield* channel.queueDeclare({ queue: "q" })
      const consuming = yield* Effect.fork(
        Effect.flip(Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c" })))
      )
      yield* settle
      yield* channel.queueDelete({ queue: "q" })
      assert.deepInclude(yield* Fiber.join(consuming), { _tag: "ConsumerCancelled", consumerTag: "c", queue: "q" })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("from a queue that is not there fails NotFound", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.make())
      const fault = yield* Effect.flip(Stream.runDrain(channel.consume({ queue: "missing" })))
      assert.deepInclude(fault, { _tag: "ChannelError", reason: "NotFound" })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("twice with one tag is refused here: the broker would close the connection", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.make())
      yield* channel.queueDeclare({ queue: "q" })
      const consume = Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c" }))
      yield* Effect.fork(consume)
      yield* settle
      assert.deepInclude(yield* Effect.flip(consume), { _tag: "ChannelError", reason: "Refused" })
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("with the tag \"\" gets one made here", () =>
    Effect.gen(function*() {
      const { channel } = yield* onBroker(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.publish({ routingKey: "q", content: "x" })
      const [delivery] = yield* Stream.runCollect(Stream.take(channel.consume({ queue: "q", consumerTag: "" }), 1))
      assert.isNotEmpty(delivery?.consumerTag)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("without acknowledgements: settling is NoAck, and what is buffered outlives its socket", () =>
    Effect.gen(function*() {
      const { broker, channel } = yield* onBroker(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: "q", content })))
      const go = yield* Effect.makeLatch()
      const consuming = yield* Effect.fork(
        channel.consume({ queue: "q", noAck: true }).pipe(
          Stream.rechunk(1),
          Stream.tap(() => go.await),
          Stream.take(3),
          Stream.runCollect
        )
      )
      yield* settle
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      yield* go.open
      const deliveries = [...yield* Fiber.join(consuming)]
      assert.deepStrictEqual(deliveries.map(({ text }) => text), ["1", "2", "3"])
      for (const delivery of deliveries) {
        assert.strictEqual((yield* Effect.flip(delivery.ackOrFail)).reason, "NoAck")
      }
    }).pipe(Effect.provide(Broker.layerMemory)))

  for (
    const [title, tags, told] of [
      ["repeats", [1, 2, 2], "delivery tag 2 after 2"],
      ["goes back, or the one before had a bit too many", [1, 2 ** 40 + 2, 3], `delivery tag 3 after ${2 ** 40 + 2}`]
    ] as const
  ) {
    it.scoped(`a delivery tag that ${title} loses the connection, and every delivery before can be settled`, () =>
      Effect.gen(function*() {
        const { channel, number, peer } = yield* plain()
        const taken: Array<Message.Delivery> = []
        yield* Effect.forkScoped(
          Stream.runForEach(
            channel.consume({ queue: "q", consumerTag: "c" }),
            (delivery) => Effect.sync(() => void taken.push(delivery))
          )
        )
        yield* peer.expect("BasicConsume")
        yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
        for (const deliveryTag of tags) {
          yield* peer.deliver(number, {
            _tag: "BasicDeliver",
            consumerTag: "c",
            deliveryTag,
            redelivered: false,
            exchange: "",
            routingKey: "q"
          }, "x")
        }
        yield* settle
        assert.include((yield* peer.expect("ConnectionClose")).replyText, told)
        for (const delivery of taken) yield* delivery.ack
      }).pipe(Effect.provide(layerMemory)))
  }

  it.scoped("without acknowledgements and without a reader ends in ConsumerOverflow while reading must go on", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* plain({ operationTimeout: "1 hour" })
      const consuming = yield* Effect.fork(Effect.flip(
        Stream.runForEach(
          channel.consume({ queue: "q", consumerTag: "c", noAck: true }),
          () => Effect.sleep("1 minute")
        )
      ))
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      const deliver = (deliveryTag: number, text: string) =>
        peer.deliver(number, {
          _tag: "BasicDeliver",
          consumerTag: "c",
          deliveryTag,
          redelivered: false,
          exchange: "",
          routingKey: "q"
        }, text)
      yield* deliver(1, "first")
      yield* settle
      // An answer is awaited, so reading goes on.
      yield* Effect.fork(channel.queueDeclare({ queue: "slow" }))
      yield* settle
      for (let tag = 2; tag < 180; tag++) yield* deliver(tag, "x".repeat(100_000))
      yield* settle
      yield* TestClock.adjust("3 hours")
      assert.deepInclude(yield* Fiber.join(consuming), { _tag: "ConsumerOverflow", consumerTag: "c" })
    }).pipe(Effect.provide(layerMemory)))
})
