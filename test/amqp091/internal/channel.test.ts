import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import type { Message, Method } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { content, layerMemory, type Peer } from "../../harness/scriptedPeer.ts"
import { warnings } from "../onBroker.ts"
import { connected, openOn, settle } from "../scripted.ts"

const deliver = (deliveryTag: number, consumerTag: string): Method.BasicDeliver => ({
  _tag: "BasicDeliver",
  consumerTag,
  deliveryTag,
  redelivered: false,
  exchange: "",
  routingKey: "q"
})

const getOk = (deliveryTag: number): Method.BasicGetOk => ({
  _tag: "BasicGetOk",
  deliveryTag,
  redelivered: false,
  exchange: "",
  routingKey: "q",
  messageCount: 0
})

const notFound: Method.ChannelClose = {
  _tag: "ChannelClose",
  replyCode: 404,
  replyText: "NOT_FOUND - no exchange 'x' in vhost '/'",
  classId: 60,
  methodId: 40
}

const names = (peer: Peer) => peer.log.filter((name) => name !== "HeartbeatFrame")

describe("opening a channel", () => {
  it.scoped("survives the loss of the socket it was being opened on", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.expect("ChannelOpen")
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openChannel
      const channel = yield* Fiber.join(opening)
      assert.strictEqual(channel.mode, "plain")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that is interrupted gives its number back", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Effect.scoped(Channel.make()))
      const { channel } = yield* peer.expect("ChannelOpen")
      const interrupting = yield* Effect.fork(Fiber.interrupt(opening))
      yield* peer.send(channel, { _tag: "ChannelOpenOk" })
      yield* peer.expect("ChannelClose")
      yield* peer.send(channel, { _tag: "ChannelCloseOk" })
      yield* Fiber.join(interrupting)
      const again = yield* openOn(connection, Channel.make())
      assert.strictEqual(yield* peer.openChannel, channel)
      yield* Fiber.join(again)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that nobody answers is bounded, and gives its number back", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ operationTimeout: "3 seconds", closeTimeout: "1 seconds" })
      const opening = yield* openOn(connection, Effect.flip(Effect.scoped(Channel.make())))
      yield* peer.expect("ChannelOpen")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(opening))._tag, "OperationTimeout")
      assert.strictEqual(peer.log.at(-1), "1 channel.close")
    }).pipe(Effect.provide(layerMemory)))

  for (const end of ["nobody answers", "is interrupted"] as const) {
    it.scoped(`that ${end} is over, in a scope that goes on too: its number is free, and no later socket has it`, () =>
      Effect.gen(function*() {
        const { accept, connection, peer } = yield* connected({ channelTimeout: "3 seconds" })
        const opening = yield* openOn(connection, Channel.make())
        const { channel } = yield* peer.expect("ChannelOpen")
        if (end === "is interrupted") yield* Fiber.interrupt(opening)
        else yield* TestClock.adjust("3 seconds")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(opening)))
        yield* peer.expect("ChannelClose")
        yield* peer.send(channel, { _tag: "ChannelCloseOk" })
        const again = yield* openOn(connection, Channel.make())
        assert.strictEqual(yield* peer.openChannel, channel)
        yield* Fiber.join(again)
        yield* peer.cut
        yield* TestClock.adjust("1 second")
        const next = yield* accept
        yield* next.handshake()
        yield* next.openChannel
        yield* settle
        assert.lengthOf(next.log.filter((name) => name.endsWith("channel.open")), 1)
      }).pipe(Effect.provide(layerMemory)))
  }

  it.scoped("is bounded by its own limit, with a socket and without one", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({
        channelTimeout: "2 seconds",
        operationTimeout: "1 hour",
        closeTimeout: "1 seconds",
        reconnect: Schedule.spaced("1 hour")
      })
      const opens = Effect.flip(Effect.scoped(Channel.make()))
      const silent = yield* openOn(connection, opens)
      yield* peer.expect("ChannelOpen")
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude<object>({ ...yield* Fiber.join(silent) }, {
        _tag: "OperationTimeout",
        operation: "channel.open",
        limit: Duration.seconds(2)
      })
      yield* peer.cut
      yield* settle
      const alone = yield* openOn(connection, opens)
      yield* settle
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(alone))._tag, "OperationTimeout")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("fails NoFreeChannels when every number is taken", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ channelMax: 1 })
      const first = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      yield* Fiber.join(first)
      const fault = yield* Effect.flip(Effect.scoped(
        Effect.provideService(Channel.make(), Connection.Connection, connection)
      ))
      assert(fault._tag === "ChannelError")
      assert.strictEqual(fault.reason, "NoFreeChannels")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("with confirms is refused here where the broker has none, and so is binding exchanges", () =>
    Effect.gen(function*() {
      const lacking = { publisher_confirms: false, exchange_exchange_bindings: false }
      const { connection, peer } = yield* connected({}, { capabilities: lacking })
      const confirm = yield* Fiber.join(yield* openOn(connection, Effect.flip(Channel.makeConfirm())))
      assert.deepInclude<object>({ ...confirm }, { reason: "Refused", code: 0, method: "confirm.select" })
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      for (
        const [bind, method] of [[channel.exchangeBind, "exchange.bind"], [
          channel.exchangeUnbind,
          "exchange.unbind"
        ]] as const
      ) {
        const fault = yield* Effect.flip(bind({ source: "a", destination: "b" }))
        assert.deepInclude<object>({ ...fault }, { reason: "Refused", code: 0, method })
      }
      assert.deepStrictEqual(names(peer).slice(-1), ["1 channel.open"])
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("an answer and the end of the socket in one turn leave a channel that opens on the next one", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const { channel } = yield* peer.expect("ChannelOpen")
      yield* Effect.zipRight(peer.send(channel, { _tag: "ChannelOpenOk" }), peer.cut)
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openChannel
      const opened = yield* Fiber.join(opening)
      const declaring = yield* Effect.fork(opened.queueDeclare({ queue: "q" }))
      yield* next.expect("QueueDeclare")
      yield* next.send(channel, { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 })
      assert.strictEqual((yield* Fiber.join(declaring)).queue, "q")
    }).pipe(Effect.provide(layerMemory)))
})

describe("reopening a channel", () => {
  it.scoped("is left to the next socket when this one goes while it backs off", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ reconnect: Schedule.spaced("1 seconds") })
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      yield* peer.send(number, notFound)
      yield* peer.openChannel
      yield* settle
      yield* peer.send(number, notFound)
      yield* settle
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openChannel
      const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
      yield* next.expect("QueueDeclare")
      yield* next.send(number, { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 })
      yield* Fiber.join(declaring)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("backs off, and gives up after five times in a minute without a success", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      let number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      for (const pause of [0, 100, 200, 400, 800]) {
        yield* peer.send(number, notFound)
        yield* settle
        if (pause > 0) {
          assert.notStrictEqual(names(peer).at(-1), "1 channel.open")
          yield* TestClock.adjust(pause)
        }
        number = yield* peer.openChannel
        yield* settle
      }
      yield* peer.send(number, notFound)
      yield* settle
      const fault = yield* Effect.flip(channel.queueDeclare({ queue: "q" }))
      assert(fault._tag === "ChannelError")
      assert.deepInclude(fault, { reason: "ReopenedTooOften", code: 404, method: "basic.publish" })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that nobody answers gives the socket up", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ operationTimeout: "3 seconds" })
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      yield* Fiber.join(opening)
      yield* peer.send(number, notFound)
      yield* peer.expect("ChannelOpen")
      yield* TestClock.adjust("4 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openChannel
    }).pipe(Effect.provide(layerMemory)))
})

describe("closing a channel", () => {
  it.scoped("tells how many publishes were never confirmed, which fail, in one warning", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { connection, peer } = yield* connected({ closeTimeout: "2 seconds" })
      const scope = yield* Scope.make()
      const opening = yield* openOn(connection, Scope.extend(Channel.makeConfirm(), scope))
      yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      yield* channel.offer({ content: "1" })
      yield* channel.offer({ content: "2" })
      const waiting = yield* Effect.fork(Effect.flip(channel.publish({ content: "3" })))
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "OutcomeUnknown")
      assert.lengthOf((yield* Effect.flip(channel.drain)).failures, 2)
      assert.deepStrictEqual(told, ["-: A channel was closed before the broker had confirmed 3 publishes"])
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings(told)))
  })

  it.scoped("by the end of its connection tells the same", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm())
      yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      yield* channel.offer({ content: "1" })
      const closing = yield* Effect.fork(connection.close())
      yield* peer.goodbye
      yield* Fiber.join(closing)
      yield* settle
      assert.deepStrictEqual(told, ["-: A channel was closed before the broker had confirmed 1 publish"])
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings(told)))
  })

  it.scoped("tells the broker also when confirms do not come, and when it is blocked", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ closeTimeout: "2 seconds" })
      const scope = yield* Scope.make()
      const opening = yield* openOn(connection, Scope.extend(Channel.makeConfirm(), scope))
      yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      const publishing = yield* Effect.fork(Effect.flip(channel.publish({ content: "1" })))
      yield* peer.expect("BasicPublish")
      yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(names(peer).at(-1), "1 channel.close")
      const fault = yield* Fiber.join(publishing)
      assert(fault._tag === "OutcomeUnknown")
      assert.strictEqual(fault.reason, "Lost")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("sends nothing more on its number: an ack that comes late stays here", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const scope = yield* Scope.make()
      const opening = yield* openOn(connection, Scope.extend(Channel.make(), scope))
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const getting = yield* Effect.fork(channel.get({ queue: "q" }))
      yield* peer.expect("BasicGet")
      yield* peer.deliver(number, getOk(1), "m")
      const { delivery } = Option.getOrThrow(yield* Fiber.join(getting))
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* peer.expect("ChannelClose")
      yield* delivery.ack
      yield* peer.send(number, { _tag: "ChannelCloseOk" })
      yield* Fiber.join(closing)
      yield* settle
      assert.strictEqual(peer.log.at(-1), "1 channel.close")
    }).pipe(Effect.provide(layerMemory)))
})

describe("get", () => {
  it.scoped("a message of which the caller lost interest goes back", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const getting = yield* Effect.fork(channel.get({ queue: "q" }))
      yield* peer.expect("BasicGet")
      yield* Fiber.interrupt(getting)
      yield* peer.deliver(number, getOk(1), "m")
      const nack = yield* peer.expect("BasicNack")
      assert.deepInclude(nack, { deliveryTag: 1, requeue: true, multiple: false })
      const again = yield* Effect.fork(channel.get({ queue: "q" }))
      yield* peer.expect("BasicGet")
      yield* peer.deliver(number, getOk(2), "n")
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(again)).delivery.text, "n")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is known before later deliveries are: acknowledging those together leaves it alone", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const consuming = yield* Effect.fork(
        channel.consume({ queue: "q", consumerTag: "c" }).pipe(
          Stream.take(1),
          Stream.mapEffect((delivery) => channel.ackAll([delivery])),
          Stream.runDrain
        )
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicQosOk" }, { _tag: "BasicConsumeOk", consumerTag: "c" })
      const getting = yield* Effect.fork(channel.get({ queue: "q" }))
      yield* peer.expect("BasicGet")
      yield* peer.frame(...content(number, getOk(1), "got"), ...content(number, deliver(2, "c"), "delivered"))
      const ack = yield* peer.expect("BasicAck")
      assert.deepInclude(ack, { deliveryTag: 2, multiple: false })
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(getting)).delivery.text, "got")
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      yield* Fiber.join(consuming)
    }).pipe(Effect.provide(layerMemory)))
})

describe("recover", () => {
  it.scoped("while it is under way nothing is settled: the broker would close the channel (406)", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const seen: Array<Message.Delivery> = []
      yield* Effect.fork(
        channel.consume({ queue: "q", consumerTag: "c" }).pipe(
          Stream.runForEach((delivery) => Effect.sync(() => void seen.push(delivery)))
        )
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicQosOk" }, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* peer.deliver(number, deliver(1, "c"), "before")
      yield* settle
      const recovering = yield* Effect.fork(channel.recover)
      yield* peer.expect("BasicRecover")
      // Sent before the broker came to the recover, which takes it back too.
      yield* peer.deliver(number, deliver(2, "c"), "meanwhile")
      yield* settle
      const faults = yield* Effect.forEach(seen, (delivery) => Effect.flip(delivery.ackOrFail))
      assert.deepStrictEqual(faults.map(({ reason }) => reason), ["Stale"])
      yield* channel.nackAll()
      yield* peer.send(number, { _tag: "BasicRecoverOk" })
      yield* Fiber.join(recovering)
      yield* peer.deliver(number, deliver(3, "c"), "before")
      yield* settle
      yield* channel.ackAll()
      assert.deepInclude(yield* peer.expect("BasicAck"), { deliveryTag: 3 })
    }).pipe(Effect.provide(layerMemory)))
})

describe("a consumer that nobody reads any more", () => {
  it.scoped("is cancelled on the broker also while it blocks us", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const fiber = yield* Effect.fork(
        Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c", prefetch: 0 }))
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
      yield* settle
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* peer.expect("BasicCancel"), { consumerTag: "c", noWait: true })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is cancelled when the answer to its consume came too late", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ operationTimeout: "3 seconds", closeTimeout: "1 seconds" })
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(channel.consume({ queue: "q" }))))
      yield* peer.expect("BasicConsume")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "OperationTimeout")
      yield* peer.expect("BasicCancel")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is cancelled when it ends while the channel is being brought up with it", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const fiber = yield* Effect.fork(
        Stream.runDrain(channel.consume({ queue: "q", consumerTag: "c", prefetch: 0 }))
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* settle
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      yield* next.openChannel
      yield* next.expect("BasicConsume")
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* next.expect("BasicCancel"), { consumerTag: "c", noWait: true })
      yield* next.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("stops holding up everybody's reading", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const stuck = yield* Effect.fork(
        channel.consume({ queue: "q", consumerTag: "c", noAck: true }).pipe(Stream.runForEach(() => Effect.never))
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* peer.deliver(number, deliver(1, "c"), "first")
      yield* settle
      yield* peer.deliver(number, deliver(2, "c"), "x".repeat(100_000))
      for (let tag = 3; tag < 14; tag++) yield* peer.deliver(number, deliver(tag, "c"), "x".repeat(100_000))
      yield* settle
      const interrupting = yield* Effect.fork(Fiber.interrupt(stuck))
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      yield* Fiber.join(interrupting)
      // Nothing is asked any more, so only a connection that reads on hears of this.
      yield* peer.send(0, { _tag: "ConnectionBlocked", reason: "memory" })
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("full, and without acknowledgements: its handler's publishes are confirmed all the same", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm())
      const number = yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      const go = yield* Effect.makeLatch()
      const handling = yield* Effect.fork(
        channel.consume({ queue: "q", consumerTag: "c", noAck: true }).pipe(
          Stream.take(1),
          Stream.mapEffect(() => Effect.zipRight(go.await, channel.publish({ content: "answer" }))),
          Stream.runDrain
        )
      )
      yield* peer.expect("BasicConsume")
      yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
      yield* peer.deliver(number, deliver(1, "c"), "first")
      yield* settle
      for (let tag = 2; tag < 14; tag++) yield* peer.deliver(number, deliver(tag, "c"), "x".repeat(100_000))
      yield* settle
      yield* go.open
      yield* peer.expect("BasicPublish")
      yield* peer.send(number, { _tag: "BasicAck", deliveryTag: 1, multiple: false })
      yield* peer.expect("BasicCancel")
      yield* peer.send(number, { _tag: "BasicCancelOk", consumerTag: "c" })
      yield* Fiber.join(handling)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("has ended on a channel that reopens without it, however many there are", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      const count = 8
      const consumers = yield* Effect.forEach(Chunk.range(1, count), (index) =>
        Effect.gen(function*() {
          const consumerTag = `c${index}`
          const fiber = yield* Effect.fork(
            Effect.flip(Stream.runDrain(channel.consume({ queue: "q", consumerTag, prefetch: 0 })))
          )
          yield* peer.expect("BasicConsume")
          yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag })
          yield* settle
          return fiber
        }))
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* next.handshake()
      for (let index = 0; index < count; index++) {
        const number = yield* next.openChannel
        yield* next.expect("BasicConsume")
        yield* next.send(number, { ...notFound, classId: 60, methodId: 20 })
      }
      yield* next.openChannel
      for (const fiber of consumers) {
        const fault = yield* Fiber.join(fiber)
        assert(fault._tag === "ChannelError")
        assert.strictEqual(fault.reason, "NotFound")
      }
      assert.strictEqual((yield* Effect.zipRight(settle, connection.state))._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))
})
