import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { Delivery } from "../../src/amqp091/Message.ts"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { eventually, look, pass, queueOf, warnings } from "./onBroker.ts"
import { connected, openOn, settle } from "./scripted.ts"

const patient = (profile: "3.10" | "4.3") =>
  Connection.layer({ url: "memory://", publishTimeout: "1 hour" }).pipe(
    Layer.provideMerge(Broker.layerMemoryWith({ profile, consumerTimeout: "10 minutes" }))
  )

/** A consumer that keeps the first delivery and acknowledges what comes later. */
const holding = (onCancel: Channel.CancelPolicy) =>
  Effect.gen(function*() {
    yield* queueOf("q", "held")
    const channel = yield* Channel.makeConfirm()
    const first = yield* Deferred.make<Delivery>()
    const taken: Array<string> = []
    const fiber = yield* channel.consume({ queue: "q", consumerTag: "c", onCancel }).pipe(
      Stream.runForEach((delivery) => {
        taken.push(`${delivery.text}${delivery.redelivered ? " again" : ""}`)
        return Effect.flatMap(Deferred.succeed(first, delivery), (isFirst) => isFirst ? Effect.void : delivery.ack)
      }),
      Effect.fork
    )
    return { channel, fiber, taken, held: yield* Deferred.await(first) }
  })

describe("A delivery that is held for longer than the broker allows", () => {
  it.effect("up to RabbitMQ 4.2 closes the channel, which heals with its consumer; the late settlement is stale", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const { channel, fiber, held, taken } = yield* holding("fail")
      yield* broker.loseNext(1)
      const publishing = yield* Effect.fork(Effect.flip(channel.publish({ content: "" })))
      yield* TestClock.adjust("10 minutes")
      yield* eventually("delivered again", () => taken.length === 2)
      assert.deepStrictEqual(taken, ["held", "held again"])
      const unknown = yield* Fiber.join(publishing)
      assert(unknown._tag === "OutcomeUnknown")
      assert.deepInclude<object>({ ...unknown.cause as object }, {
        _tag: "ChannelError",
        reason: "PreconditionFailed",
        code: 406,
        details: { _tag: "AckTimeout", milliseconds: 600_000 }
      })
      assert.isTrue(told.some((each) => each.includes("delivery acknowledgement on channel")))
      assert.strictEqual((yield* Effect.flip(held.ackOrFail)).reason, "Stale")
      yield* held.ack
      yield* pass
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 1 })
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
    }).pipe(Effect.scoped, Effect.provide(patient("3.10")), Effect.provide(warnings(told)))
  })

  it.effect("from 4.3 on ends the consumer: ConsumerCancelled says AckTimeout; a late settlement does no harm", () =>
    Effect.gen(function*() {
      const { channel, fiber, held, taken } = yield* holding("fail")
      const number = yield* channel.number
      yield* TestClock.adjust("10 minutes")
      yield* pass
      const fault = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude<object>({ ...fault }, {
        _tag: "ConsumerCancelled",
        reason: "AckTimeout",
        consumerTag: "c",
        queue: "q"
      })
      yield* held.ack
      yield* pass
      assert.deepStrictEqual(yield* look("q"), { ready: 1, unsettled: 0, consumers: 0 })
      assert.strictEqual(yield* channel.number, number)
      assert.deepStrictEqual(taken, ["held"])
    }).pipe(Effect.scoped, Effect.provide(patient("4.3"))))

  it.effect("from 4.3 on is no end of a consumer that asks again: it is there again, under its tag", () =>
    Effect.gen(function*() {
      const { channel, held, taken } = yield* holding("reconsume")
      const number = yield* channel.number
      yield* TestClock.adjust("10 minutes")
      yield* eventually("delivered again", () => taken.length === 2)
      assert.deepStrictEqual(taken, ["held", "held again"])
      yield* held.ack
      yield* pass
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 1 })
      assert.strictEqual(yield* channel.number, number)
    }).pipe(Effect.scoped, Effect.provide(patient("4.3"))))

  it.effect("is not what ends a consumer whose queue was deleted, whatever it holds", () =>
    Effect.gen(function*() {
      const { channel, fiber } = yield* holding("fail")
      yield* channel.queueDelete({ queue: "q" })
      yield* pass
      const fault = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude<object>({ ...fault }, { _tag: "ConsumerCancelled", reason: "Other" })
    }).pipe(Effect.scoped, Effect.provide(patient("4.3"))))
})

/** A consumer of a scripted peer, which can end it. */
const consuming = (capabilities: { readonly [name: string]: boolean }) =>
  Effect.gen(function*() {
    const { connection, peer } = yield* connected({ operationTimeout: "5 seconds" }, { capabilities })
    const opening = yield* openOn(connection, Channel.make())
    const number = yield* peer.openChannel
    const channel = yield* Fiber.join(opening)
    const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c" }))))
    yield* peer.expect("BasicConsume")
    yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
    const deliver = peer.deliver(number, {
      _tag: "BasicDeliver",
      consumerTag: "c",
      deliveryTag: 1,
      redelivered: false,
      exchange: "",
      routingKey: "q"
    }, "x")
    return {
      peer,
      number,
      fiber,
      deliver: Effect.zipRight(deliver, settle),
      cancel: peer.send(number, { _tag: "BasicCancel", consumerTag: "c", noWait: true })
    }
  })

describe("A consumer that the broker ends", () => {
  it.scoped("is answered for with cancel-ok where the broker advertises that it takes one", () =>
    Effect.gen(function*() {
      const { cancel, fiber, number, peer } = yield* consuming({ accept_consumer_cancel_ok: true })
      yield* cancel
      assert.deepInclude<object>(yield* peer.expect("BasicCancelOk"), { channel: number, consumerTag: "c" })
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ConsumerCancelled")
      // One that is not known is none of ours, and not answered for.
      yield* cancel
      yield* TestClock.adjust(0)
      assert.lengthOf(peer.log.filter((each) => each === "1 basic.cancel-ok"), 1)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("elsewhere never; where it held something, a cancel frees its tag, which RabbitMQ 4.3 keeps", () =>
    Effect.gen(function*() {
      const idle = yield* consuming({ consumer_cancel_notify: true })
      yield* idle.cancel
      assert.strictEqual((yield* Fiber.join(idle.fiber))._tag, "ConsumerCancelled")
      assert.strictEqual(idle.peer.log.at(-1), "1 basic.consume")
      const late = yield* consuming({ consumer_cancel_notify: true })
      yield* late.deliver
      yield* late.cancel
      assert.deepInclude<object>(yield* late.peer.expect("BasicCancel"), { consumerTag: "c", noWait: true })
      const { channel: number } = yield* late.peer.expect("ChannelOpen")
      yield* late.peer.send(number, { _tag: "ChannelOpenOk" })
      yield* late.peer.expect("QueueDeclare")
      yield* late.peer.send(number, { _tag: "QueueDeclareOk", queue: "q", messageCount: 1, consumerCount: 0 })
      yield* late.peer.expect("ChannelClose")
      yield* late.peer.send(number, { _tag: "ChannelCloseOk" })
      assert.deepInclude<object>({ ...yield* Fiber.join(late.fiber) }, { reason: "AckTimeout" })
      assert.notInclude(late.peer.log, "1 basic.cancel-ok")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("and cannot be asked about ends within the bound of a call", () =>
    Effect.gen(function*() {
      const { cancel, deliver, fiber, peer } = yield* consuming({})
      yield* deliver
      yield* cancel
      yield* peer.expect("ChannelOpen")
      yield* TestClock.adjust("20 seconds")
      assert.deepInclude<object>({ ...yield* Fiber.join(fiber) }, { _tag: "ConsumerCancelled", reason: "Other" })
    }).pipe(Effect.provide(layerMemory)))
})
