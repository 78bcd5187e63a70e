import { assert, describe, it } from "@effect/vitest"
import { Channel, Message, Publisher } from "effect-amqp/amqp091"
import type { Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { layerMemory, type Peer } from "../harness/scriptedPeer.ts"
import { drained, Embedded, look, queueOf, warnings } from "./onBroker.ts"
import { connected, openOn, settle } from "./scripted.ts"

const message = (content: string) => ({ routingKey: "q", content })

const ack = (deliveryTag: number, multiple = false): Method.BasicAck => ({ _tag: "BasicAck", deliveryTag, multiple })

const nack = (deliveryTag: number): Method.BasicNack => ({
  _tag: "BasicNack",
  deliveryTag,
  multiple: false,
  requeue: false
})

const closeOk: Method.ChannelCloseOk = { _tag: "ChannelCloseOk" }

/** A channel on a scripted peer. */
const opened = (settings: Channel.ConfirmOptions = { guarantee: "at-least-once" }) =>
  Effect.gen(function*() {
    const { accept, connection, peer } = yield* connected({ operationTimeout: "5 seconds" })
    const opening = yield* openOn(connection, Channel.makeConfirm(settings))
    const number = yield* peer.openConfirmChannel
    return { accept, channel: yield* Fiber.join(opening), connection, number, peer }
  })

const publishes = (peer: Peer, count: number) =>
  Effect.replicateEffect(peer.expect("BasicPublish"), count, { discard: true })

const closes = ({ log }: Peer) => log.filter((each) => each.endsWith("channel.close")).length

describe("a channel at least once whose publishes the broker refuses", () => {
  it.scoped("is opened anew after 100 ms, and sends again, in order, what has no answer", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened({ guarantee: "at-least-once", window: 3 })
      const publishing = yield* Effect.forEach(["a", "b", "c", "d"], (text) =>
        Effect.fork(Effect.either(channel.publish(message(text)))))
      yield* publishes(peer, 3)
      yield* peer.send(number, nack(1))
      yield* publishes(peer, 1)
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(closes(peer), 0)
      yield* TestClock.adjust("1 millis")
      yield* peer.expect("ChannelClose")
      // Until that is answered nothing is sent, and the number is in use.
      publishing.push(yield* Effect.fork(Effect.either(channel.publish(message("e")))))
      yield* settle
      assert.deepStrictEqual(peer.bodies, ["a", "b", "c", "d"])
      assert.strictEqual(yield* channel.unconfirmed, 0)
      yield* peer.send(number, closeOk)
      assert.strictEqual(yield* peer.openConfirmChannel, number)
      yield* publishes(peer, 3)
      yield* settle
      assert.deepStrictEqual(peer.bodies.slice(4), ["b", "c", "d"])
      yield* peer.send(number, ack(3, true))
      yield* publishes(peer, 1)
      yield* peer.send(number, ack(4))
      const outcomes = yield* Effect.forEach(publishing, Fiber.join)
      assert.deepStrictEqual(
        outcomes.map((outcome) =>
          Either.isLeft(outcome) ? outcome.left._tag : "confirmed"
        ),
        ["PublishNacked", "confirmed", "confirmed", "confirmed", "confirmed"]
      )
      assert.deepStrictEqual(peer.bodies.slice(7), ["e"])
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("is opened anew until something is taken, with delays that double up to ten seconds, then with 100 ms again", () =>
    Effect.gen(function*() {
      const { channel, connection, number, peer } = yield* opened()
      const publishing = Effect.zipRight(
        Effect.fork(Effect.either(channel.publish(message("a")))),
        publishes(peer, 1)
      )
      const refuse = (delay: number) =>
        Effect.gen(function*() {
          yield* publishing
          const before = closes(peer)
          yield* peer.send(number, nack(1))
          yield* TestClock.adjust(delay - 1)
          assert.strictEqual(closes(peer), before)
          yield* TestClock.adjust(1)
          yield* peer.expect("ChannelClose")
          yield* peer.send(number, closeOk)
          yield* peer.openConfirmChannel
        })
      // More in a minute than the broker may close it.
      for (const delay of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) yield* refuse(delay)
      yield* publishing
      yield* peer.send(number, ack(1))
      yield* settle
      yield* peer.send(number, { _tag: "ChannelClose", replyCode: 404, replyText: "", classId: 60, methodId: 40 })
      yield* peer.openConfirmChannel
      yield* refuse(100)
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("is left as it is when the same queue takes something in time, until its life ends", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened()
      const publishing = Effect.fork(Effect.either(channel.publish(message("a"))))
      const answers = [nack(1), ack(2), nack(3), nack(4)]
      yield* Effect.replicateEffect(publishing, answers.length)
      yield* publishes(peer, answers.length)
      for (const answer of answers) {
        yield* peer.send(number, answer)
        yield* TestClock.adjust("50 millis")
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(closes(peer), 0)
      yield* peer.send(number, { _tag: "ChannelClose", replyCode: 404, replyText: "", classId: 60, methodId: 40 })
      yield* peer.openConfirmChannel
      yield* publishing
      yield* publishes(peer, 1)
      yield* peer.send(number, nack(1))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(closes(peer), 1)
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("is opened anew though other queues take what it publishes, and again for the next one that refuses", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened()
      const to = (...queues: ReadonlyArray<string>) =>
        Effect.zipRight(
          Effect.forEach(queues, (routingKey) =>
            Effect.fork(Effect.either(channel.publish({ routingKey, content: "" })))),
          publishes(peer, queues.length)
        )
      const renewed = Effect.gen(function*() {
        yield* TestClock.adjust("100 millis")
        yield* peer.expect("ChannelClose")
        yield* peer.send(number, closeOk)
        yield* peer.openConfirmChannel
      })
      yield* to("fine", "refuses", "fine")
      yield* peer.send(number, ack(1), nack(2), ack(3))
      yield* renewed
      yield* to("fine", "refuses", "other")
      yield* peer.send(number, ack(2, true), nack(3))
      yield* renewed
      assert.strictEqual(closes(peer), 2)
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("is judged by exchange and routing key: what one queue takes again says nothing of another", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened()
      let tag = 0
      const answered = (routingKey: string, isTaken: boolean) =>
        Effect.gen(function*() {
          yield* Effect.fork(Effect.either(channel.publish({ routingKey, content: "" })))
          yield* publishes(peer, 1)
          yield* peer.send(number, isTaken ? ack(++tag) : nack(++tag))
          yield* settle
        })
      const renewedAfter = (delay: number) =>
        Effect.gen(function*() {
          const before = closes(peer)
          yield* TestClock.adjust(delay - 1)
          assert.strictEqual(closes(peer), before)
          yield* TestClock.adjust(1)
          yield* peer.expect("ChannelClose")
          yield* peer.send(number, closeOk)
          yield* peer.openConfirmChannel
          tag = 0
        })
      // More of them than are remembered.
      for (let index = 0; index < 70; index++) {
        yield* answered(`full${index}`, false)
        yield* answered(`full${index}`, true)
      }
      for (const delay of [100, 200, 400]) {
        yield* answered("full", false)
        yield* answered("leaderless", false)
        yield* answered("full", true)
        yield* answered("full", false)
        yield* renewedAfter(delay)
      }
      yield* answered("leaderless", true)
      // Nor are those that refuse at once, however many.
      for (let index = 0; index < 70; index++) yield* answered(`new${index}`, false)
      yield* renewedAfter(100)
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("is left as it is while its deliveries, or an answer, would be lost", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened()
      const refuse = Effect.gen(function*() {
        yield* Effect.fork(Effect.either(channel.publish(message("a"))))
        yield* publishes(peer, 1)
        yield* peer.send(number, nack(peer.bodies.length))
        yield* TestClock.adjust("100 millis")
        return closes(peer)
      })
      const getting = yield* Effect.fork(channel.get({ queue: "q" }))
      yield* peer.expect("BasicGet")
      assert.strictEqual(yield* refuse, 0)
      yield* peer.deliver(number, {
        _tag: "BasicGetOk",
        deliveryTag: 1,
        redelivered: false,
        exchange: "",
        routingKey: "q",
        messageCount: 0
      }, "mine")
      const got = yield* Fiber.join(getting)
      assert(got._tag === "Some")
      assert.strictEqual(yield* refuse, 0)
      yield* got.value.delivery.ack
      yield* settle
      assert.strictEqual(yield* refuse, 1)
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("ends with its scope, also while it is being opened anew", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ closeTimeout: "1 second" })
      const scope = yield* Scope.make()
      const opening = yield* openOn(
        connection,
        Scope.extend(Channel.makeConfirm({ guarantee: "at-least-once" }), scope)
      )
      const number = yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      const publishing = yield* Effect.fork(Effect.either(channel.publish(message("a"))))
      yield* publishes(peer, 1)
      yield* peer.send(number, nack(1))
      yield* TestClock.adjust("100 millis")
      yield* peer.expect("ChannelClose")
      yield* Fiber.join(publishing)
      yield* Scope.close(scope, Exit.void)
      yield* peer.send(number, closeOk)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(closes(peer), 1)
      assert.strictEqual(peer.log.filter((each) => each.endsWith("channel.open")).length, 1)
      assert.strictEqual((yield* Effect.flip(channel.publish(message("b"))))._tag, "ChannelError")
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("comes back on the next socket when the broker does not answer its goodbye", () =>
    Effect.gen(function*() {
      const { accept, channel, number, peer } = yield* opened()
      const publishing = yield* Effect.forEach(["a", "b"], (text) =>
        Effect.fork(Effect.either(channel.publish(message(text)))))
      yield* publishes(peer, 2)
      yield* peer.send(number, nack(1))
      yield* TestClock.adjust("100 millis")
      yield* peer.expect("ChannelClose")
      yield* TestClock.adjust("5 seconds")
      const again = yield* Effect.fork(accept)
      yield* TestClock.adjust("1 second")
      const next = yield* Fiber.join(again)
      yield* next.handshake()
      const fresh = yield* next.openConfirmChannel
      yield* publishes(next, 1)
      yield* next.send(fresh, ack(1))
      const outcomes = yield* Effect.forEach(publishing, Fiber.join)
      assert.deepStrictEqual(outcomes.map(Either.isRight), [false, true])
      assert.deepStrictEqual(next.bodies, ["b"])
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("keeps its socket though a broker that blocks it does not answer its goodbye, until it is unblocked", () =>
    Effect.gen(function*() {
      const { channel, connection, number, peer } = yield* opened()
      const renewing = Effect.gen(function*() {
        yield* Effect.fork(Effect.either(channel.publish(message("a"))))
        yield* publishes(peer, 1)
        yield* peer.send(number, nack(1))
        yield* TestClock.adjust("200 millis")
        yield* peer.expect("ChannelClose")
        yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
        yield* TestClock.adjust("1 minute")
        yield* peer.send(0, { _tag: "ConnectionUnblocked" })
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* connection.state)._tag, "Open")
      })
      yield* renewing
      yield* peer.send(number, closeOk)
      yield* peer.openConfirmChannel
      yield* renewing
      yield* TestClock.adjust("2 seconds")
      assert.notStrictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(warnings([])), Effect.provide(layerMemory)))

  it.scoped("loses and duplicates nothing where a queue refuses on purpose, and is full again and again", () =>
    Effect.gen(function*() {
      const queues = yield* Channel.make()
      yield* queues.queueDeclare({
        queue: "small",
        arguments: { "x-max-length": 5, "x-overflow": "reject-publish" }
      })
      const publisher = yield* Publisher.make({
        routingKey: "small",
        content: Message.text,
        guarantee: "at-least-once",
        retry: Schedule.spaced("1 second")
      })
      const texts = Array.from({ length: 20 }, (_, index) => String(index))
      const publishing = yield* Effect.fork(
        Effect.forEach(texts, (text) => publisher.publish(text), { discard: true })
      )
      const received: Array<string> = []
      for (let turn = 0; turn < 5; turn++) {
        yield* TestClock.adjust("5 seconds")
        received.push(...yield* drained("small"))
      }
      yield* Fiber.join(publishing)
      assert.deepStrictEqual(received, texts)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("says so", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      yield* Effect.gen(function*() {
        yield* queueOf("q")
        const broker = yield* Broker.Broker
        yield* broker.nackNext(1)
        const channel = yield* Channel.makeConfirm({ guarantee: "at-least-once" })
        assert.strictEqual((yield* Effect.flip(channel.publish(message("a"))))._tag, "PublishNacked")
        yield* TestClock.adjust("1 second")
        yield* channel.publish(message("b"))
        assert.strictEqual((yield* look("q")).ready, 1)
      }).pipe(Effect.provide(Embedded), Effect.scoped, Effect.provide(warnings(said)))
      assert.deepStrictEqual(said, ["Channel: The broker refuses what a channel publishes: it is opened anew"])
    }))
})

describe("a channel that confirms and no more", () => {
  it.scoped("is left as it is, whatever is refused", () =>
    Effect.gen(function*() {
      const { channel, number, peer } = yield* opened({ guarantee: "confirmed" })
      const publishing = yield* Effect.fork(Effect.flip(channel.publish(message("a"))))
      yield* publishes(peer, 1)
      yield* peer.send(number, nack(1))
      assert.strictEqual((yield* Fiber.join(publishing))._tag, "PublishNacked")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(closes(peer), 0)
    }).pipe(Effect.provide(layerMemory)))
})
