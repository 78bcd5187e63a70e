/** What becomes of a call that was sent and not answered when the socket goes. */
import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Channel, type Connection, type Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { type HandshakeOptions, layerMemory, type Peer } from "../harness/scriptedPeer.ts"
import { eventually } from "./onBroker.ts"
import { connected, openOn, settle } from "./scripted.ts"

const handshake: HandshakeOptions = { capabilities: { exchange_exchange_bindings: true } }

const declareOk: Method.QueueDeclareOk = { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 }

type Calling = (channel: Channel.Channel) => Effect.Effect<unknown, AmqpError.CallError>

const q = { queue: "q", exchange: "x" }
const x = { source: "x", destination: "y" }

/** What is safe to repeat. */
const repeated: ReadonlyArray<readonly [name: string, call: Calling, reply: Method.Method, how?: string]> = [
  ["queue.declare", (channel) => channel.queueDeclare({ queue: "q" }), declareOk],
  ["queue.declare", (channel) => channel.queueDeclare({ queue: "q", passive: true }), declareOk, " (passive)"],
  ["exchange.declare", (channel) => channel.exchangeDeclare({ exchange: "x" }), { _tag: "ExchangeDeclareOk" }],
  ["queue.bind", (channel) => channel.queueBind(q), { _tag: "QueueBindOk" }],
  ["queue.unbind", (channel) => channel.queueUnbind(q), { _tag: "QueueUnbindOk" }],
  ["exchange.bind", (channel) => channel.exchangeBind(x), { _tag: "ExchangeBindOk" }],
  ["exchange.unbind", (channel) => channel.exchangeUnbind(x), { _tag: "ExchangeUnbindOk" }],
  ["basic.qos", (channel) => channel.qos({ prefetch: 1, global: true }), { _tag: "BasicQosOk" }],
  ["channel.flow", (channel) => channel.flow(true), { _tag: "ChannelFlowOk", active: true }]
]

/** What would be done twice, or to what is there by then. */
const notRepeated: ReadonlyArray<readonly [name: string, call: Calling]> = [
  ["queue.purge", (channel) => channel.queuePurge("q")],
  ["queue.delete", (channel) => channel.queueDelete({ queue: "q" })],
  ["exchange.delete", (channel) => channel.exchangeDelete({ exchange: "x" })],
  ["basic.get", (channel) => channel.get({ queue: "q" })],
  ["basic.recover", (channel) => channel.recover]
]

/** A channel whose call has no answer yet, and the sockets that follow. */
const calling = <A, E>(
  name: string,
  make: Effect.Effect<A, never, Connection.Connection | Scope.Scope>,
  begin: (peer: Peer) => Effect.Effect<number>,
  call: (channel: A) => Effect.Effect<unknown, E>
) =>
  Effect.gen(function*() {
    const { accept, connection, peer } = yield* connected({}, handshake)
    const opening = yield* openOn(connection, make)
    const number = yield* begin(peer)
    const fiber = yield* Effect.fork(call(yield* Fiber.join(opening)))
    let present = peer
    return {
      fiber,
      number,
      /** The call is on its way. */
      sent: Effect.suspend(() => eventually(name, () => present.log.at(-1) === `${number} ${name}`, settle)),
      next: Effect.gen(function*() {
        yield* present.cut
        yield* TestClock.adjust("1 seconds")
        present = yield* accept
        yield* present.handshake(handshake)
        yield* begin(present)
        return present
      })
    }
  })

const opened = Effect.orDie(Channel.make())

const consume = (channel: Channel.Channel) =>
  Stream.runHead(channel.consume({ queue: "q", consumerTag: "c", prefetch: 0, noAck: true }))

const commit = (channel: Channel.TxChannel) => channel.transaction(({ publish }) => publish({ content: "" }))

const select = (peer: Peer) =>
  Effect.gen(function*() {
    const number = yield* peer.openChannel
    yield* peer.expect("TxSelect")
    yield* peer.send(number, { _tag: "TxSelectOk" })
    return number
  })

describe("In flight when the socket goes", () => {
  for (const [name, call, reply, how = ""] of repeated) {
    it.scoped(`${name}${how} is repeated on the next one, as often as that goes`, () =>
      Effect.gen(function*() {
        const { fiber, next, number, sent } = yield* calling(name, opened, ({ openChannel }) => openChannel, call)
        yield* sent
        for (const isLast of [false, true]) {
          const peer = yield* next
          // What the channel itself begins with.
          if (name === "basic.qos") {
            yield* peer.expect("BasicQos")
            yield* peer.send(number, reply)
          }
          yield* settle
          yield* sent
          if (isLast) yield* peer.send(number, reply)
        }
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide(layerMemory)))
  }

  it.scoped("basic.consume is repeated on the next one, and delivers", () =>
    Effect.gen(function*() {
      const { fiber, next, number, sent } = yield* calling(
        "basic.consume",
        opened,
        ({ openChannel }) => openChannel,
        consume
      )
      yield* sent
      const peer = yield* next
      yield* sent
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      const to = { consumerTag: "c", deliveryTag: 1, redelivered: false, exchange: "", routingKey: "q" }
      yield* peer.deliver(number, { _tag: "BasicDeliver", ...to }, "x")
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      const head = yield* Fiber.join(fiber)
      assert.propertyVal(head, "_tag", "Some")
    }).pipe(Effect.provide(layerMemory)))

  for (const [name, call] of notRepeated) {
    it.scoped(`${name} fails ConnectionLost, and is not sent again`, () =>
      Effect.gen(function*() {
        const { fiber, next, number, sent } = yield* calling(name, opened, ({ openChannel }) => openChannel, call)
        yield* sent
        const { log } = yield* next
        assert.deepInclude<object>({ ...yield* Effect.flip(Fiber.join(fiber)) }, {
          _tag: "ConnectionLost",
          reason: "Socket"
        })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(log.at(-1), `${number} channel.open`)
      }).pipe(Effect.provide(layerMemory)))
  }

  it.scoped("tx.commit fails ConnectionLost, and is not sent again", () =>
    Effect.gen(function*() {
      const { fiber, next, number, sent } = yield* calling("tx.commit", Effect.orDie(Channel.makeTx()), select, commit)
      yield* sent
      const { log } = yield* next
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "ConnectionLost")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(log.at(-1), `${number} tx.select`)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("whoever waits for confirms is told: of one publish, of many, of all", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm())
      const number = yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      yield* channel.offer({ content: "1" })
      const one = yield* Effect.fork(Effect.flip(channel.publish({ content: "2" })))
      const many = yield* Effect.fork(Effect.flip(channel.publishAll([{ content: "3" }, { content: "4" }])))
      const all = yield* Effect.fork(Effect.flip(channel.drain))
      yield* settle
      yield* peer.send(number, { _tag: "BasicAck", deliveryTag: 3, multiple: false })
      yield* settle
      yield* peer.cut
      const unknown = { _tag: "OutcomeUnknown", reason: "Lost" }
      assert.deepInclude<object>({ ...yield* Fiber.join(one) }, unknown)
      for (const [waiting, at] of [[many, 1], [all, 0]] as const) {
        const { failures } = yield* Fiber.join(waiting)
        assert.deepStrictEqual(failures.map(({ index }) => index), [at])
        assert.deepInclude<object>({ ...failures[0]?.error }, unknown)
      }
    }).pipe(Effect.provide(layerMemory)))
})
