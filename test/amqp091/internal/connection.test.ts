import { assert, describe, it } from "@effect/vitest"
import { Metrics, Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { layerMemory, type Peer, Peers } from "../../harness/scriptedPeer.ts"
import { warnings } from "../onBroker.ts"
import { connected, openOn, settle } from "../scripted.ts"

const withoutHeartbeats = (peer: Peer) => peer.log.filter((name) => name !== "HeartbeatFrame")

const blocked = (peer: Peer) => peer.send(0, { _tag: "ConnectionBlocked", reason: "low on memory" })

const isDone = (fiber: Fiber.Fiber<unknown, unknown>) => Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "Some")

describe("closing a connection", () => {
  it.scoped("says goodbye channel first, then connection, and each once", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { connection, peer } = yield* Scope.extend(connected(), scope)
      const opening = yield* openOn(connection, Scope.extend(Channel.make(), scope))
      const number = yield* peer.openChannel
      yield* Fiber.join(opening)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* peer.expect("ChannelClose")
      yield* peer.send(number, { _tag: "ChannelCloseOk" })
      yield* peer.goodbye
      yield* Fiber.join(closing)
      yield* peer.closed
      assert.deepStrictEqual(withoutHeartbeats(peer).slice(-4), [
        "1 channel.open",
        "1 channel.close",
        "0 connection.close",
        "closed"
      ])
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is bounded when the peer never answers, and lets go of the socket", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ closeTimeout: "2 seconds" })
      const closing = yield* Effect.fork(connection.close())
      yield* TestClock.adjust("1999 millis")
      assert.isFalse(yield* isDone(closing))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      yield* peer.closed
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("twice: the second waits for the end of the first, and sends nothing", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const first = yield* Effect.fork(connection.close({ code: 320, text: "bye" }))
      const close = yield* peer.expect("ConnectionClose")
      assert.deepInclude(close, { replyCode: 320, replyText: "bye" })
      const second = yield* Effect.fork(connection.close())
      yield* settle
      assert.isFalse(yield* isDone(second))
      yield* peer.send(0, { _tag: "ConnectionCloseOk" })
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* connection.close()
      assert.lengthOf(peer.log.filter((name) => name === "0 connection.close"), 1)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that is interrupted ends the connection all the same", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const closing = yield* Effect.fork(connection.close())
      yield* peer.expect("ConnectionClose")
      yield* Fiber.interrupt(closing)
      assert.strictEqual((yield* connection.state)._tag, "Closed")
      yield* connection.close()
      yield* peer.closed
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("while blocked waits for no answer, and lets go of the socket", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      yield* blocked(peer)
      yield* settle
      yield* connection.close()
      yield* peer.closed
      assert.strictEqual((yield* connection.state)._tag, "Closed")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("from both sides at once ends cleanly", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const closing = yield* Effect.fork(connection.close())
      yield* peer.expect("ConnectionClose")
      yield* peer.send(0, { _tag: "ConnectionClose", replyCode: 320, replyText: "stop", classId: 0, methodId: 0 })
      yield* peer.expect("ConnectionCloseOk")
      yield* peer.send(0, { _tag: "ConnectionCloseOk" })
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* connection.state, { _tag: "Closed", cause: undefined })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("while recovering stops the schedule at once: nobody dials any more", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const { waiting } = yield* Peers
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      yield* peer.cut
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Recovering")
      const declaring = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "q" })))
      yield* settle
      yield* connection.close()
      const fault = yield* Fiber.join(declaring)
      assert(fault._tag === "ConnectionClosed")
      assert.strictEqual(fault.reason, "Client")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* waiting, 0)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("while a dial is under way gives the dial up", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      yield* peer.cut
      yield* TestClock.adjust("1 seconds")
      const next = yield* accept
      yield* connection.close()
      yield* next.closed
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("fails what comes later with ConnectionClosed Client, in its own words", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const closing = yield* Effect.fork(connection.close({ code: 200, text: "enough" }))
      yield* peer.goodbye
      yield* Fiber.join(closing)
      const fault = yield* Effect.flip(Effect.scoped(
        Effect.provideService(Channel.make(), Connection.Connection, connection)
      ))
      assert(fault._tag === "ConnectionClosed")
      assert.deepInclude(fault, { reason: "Client", code: 200, text: "enough" })
    }).pipe(Effect.provide(layerMemory)))
})

describe("a connection that the peer ends", () => {
  it.scoped("with a close is answered, and dialled again; its code and text are in the state", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      yield* peer.send(0, {
        _tag: "ConnectionClose",
        replyCode: 320,
        replyText: "CONNECTION_FORCED",
        classId: 0,
        methodId: 0
      })
      yield* peer.expect("ConnectionCloseOk")
      yield* settle
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionClosed")
      assert.deepInclude(state.fault, { reason: "Peer", code: 320, text: "CONNECTION_FORCED" })
      yield* TestClock.adjust("1 seconds")
      yield* (yield* accept).handshake()
      yield* settle
      assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 2 })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("with a close of any code is dialled again, and what waits is told its code, its text, and over what", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ reconnect: Schedule.spaced("1 second") })
      let next = peer
      for (const code of [320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541]) {
        const opening = yield* openOn(
          connection,
          Effect.scoped(Effect.flatMap(Channel.make(), ({ queuePurge }) => Effect.flip(queuePurge("q"))))
        )
        yield* next.openChannel
        yield* next.expect("QueuePurge")
        yield* next.send(0, {
          _tag: "ConnectionClose",
          replyCode: code,
          replyText: `TEXT ${code}`,
          classId: 50,
          methodId: 30
        })
        yield* next.expect("ConnectionCloseOk")
        const fault = yield* Fiber.join(opening)
        assert(fault._tag === "ConnectionClosed", fault._tag)
        assert.deepInclude(fault, { reason: "Peer", code, text: `TEXT ${code}`, method: "queue.purge" })
        assert.include(fault.message, `${code} TEXT ${code}, over queue.purge`)
        assert.strictEqual((yield* connection.state)._tag, "Recovering")
        yield* TestClock.adjust("1 second")
        next = yield* accept
        yield* next.handshake()
        yield* settle
        assert.strictEqual((yield* connection.state)._tag, "Open")
      }
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("while its channels are restored is dialled again, with no wait for what it left undone", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      yield* peer.cut
      yield* TestClock.adjust("1 second")
      const second = yield* accept
      yield* second.handshake()
      // Closed by the broker as often as it is opened, the channel waits longer each time.
      for (const pause of [0, 100, 200]) {
        yield* TestClock.adjust(pause)
        const number = yield* second.openChannel
        yield* second.send(number, {
          _tag: "ChannelClose",
          replyCode: 541,
          replyText: "INTERNAL_ERROR",
          classId: 20,
          methodId: 10
        })
        yield* settle
      }
      assert.strictEqual((yield* connection.state)._tag, "Connecting")
      yield* second.cut
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Recovering")
      yield* TestClock.adjust("200 millis")
      const third = yield* accept
      yield* third.handshake()
      const number = yield* third.openChannel
      const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
      yield* third.expect("QueueDeclare")
      yield* third.send(number, { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 })
      yield* Fiber.join(declaring)
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("with bytes that are no frame is told so (501), and lost with a FrameError", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      yield* peer.bytes(new Uint8Array(16).fill(0xff))
      const close = yield* peer.expect("ConnectionClose")
      assert.strictEqual(close.replyCode, 501)
      yield* settle
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionLost")
      assert.strictEqual(state.fault.reason, "FrameError")
      assert.propertyVal(state.fault.cause, "_tag", "FrameError")
    }).pipe(Effect.provide(layerMemory)))

  for (
    const [title, apart, count] of [["four times in a row is over", "0 seconds", 4], [
      "time and again, stable in between, is not",
      "5 seconds",
      10
    ]] as const
  ) {
    it.scoped(`with 541 ${title}`, () =>
      Effect.gen(function*() {
        const { accept, connection, peer } = yield* connected({ reconnect: Schedule.spaced("1 second") })
        let next = peer
        for (let dialled = 1; dialled <= count; dialled++) {
          yield* TestClock.adjust(apart)
          yield* next.send(0, {
            _tag: "ConnectionClose",
            replyCode: 541,
            replyText: "INTERNAL_ERROR",
            classId: 0,
            methodId: 0
          })
          yield* TestClock.adjust("1 second")
          if (count === 4 && dialled === count) break
          next = yield* accept
          yield* next.handshake()
          yield* settle
        }
        const state = yield* connection.state
        if (count > 4) return assert.deepInclude(state, { _tag: "Open", epoch: count + 1 })
        assert(state._tag === "Closed" && state.cause?._tag === "ConnectionClosed")
        return assert.strictEqual(state.cause.code, 541)
      }).pipe(Effect.provide(layerMemory)))
  }
})

describe("a blocked connection", () => {
  it.scoped("that is blocked as soon as it is open says so, with the reason", () =>
    Effect.gen(function*() {
      const { accept } = yield* Peers
      const connecting = yield* Effect.fork(Connection.make({ url: "memory://" }))
      const peer = yield* accept
      yield* peer.start()
      yield* peer.expect("ConnectionStartOk")
      yield* peer.tune()
      yield* peer.expect("ConnectionOpen")
      yield* peer.send(0, { _tag: "ConnectionOpenOk" }, { _tag: "ConnectionBlocked", reason: "low on disk" })
      const connection = yield* Fiber.join(connecting)
      assert.deepInclude(yield* connection.state, { _tag: "Blocked", epoch: 1, reason: "low on disk" })
      const closing = yield* Effect.fork(connection.close())
      yield* peer.expect("ConnectionClose")
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("makes publishes wait, in order; calls go on", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.make())
      const number = yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      yield* blocked(peer)
      yield* settle
      const publishing = yield* Effect.fork(channel.publishAll([{ content: "1" }, { content: "2" }]))
      const declaring = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
      yield* peer.expect("QueueDeclare")
      yield* peer.send(number, { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 })
      yield* Fiber.join(declaring)
      assert.deepStrictEqual(peer.bodies, [])
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      yield* Fiber.join(publishing)
      yield* settle
      assert.deepStrictEqual(peer.bodies, ["1", "2"])
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is lost after the blocked timeout, which a repeated blocked does not restart", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ blockedTimeout: "1 minute" })
      yield* blocked(peer)
      yield* TestClock.adjust("30 seconds")
      yield* blocked(peer)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual((yield* connection.state)._tag, "Blocked")
      yield* TestClock.adjust("1 millis")
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionLost")
      assert.strictEqual(state.fault.reason, "BlockedTimeout")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("is not lost when it was unblocked before", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ blockedTimeout: "1 minute" })
      yield* blocked(peer)
      yield* TestClock.adjust("59 seconds")
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory)))
})

const publish = (channel: Channel.Channel | Channel.ConfirmChannel, size: number) =>
  Effect.fork(channel.publish({ routingKey: "q", content: new Uint8Array(size) }))

describe("room in the output", () => {
  it.scoped("goes to who can use it, however many wait for something else before", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      for (let each = 1; each <= 8; each++) {
        const opening = yield* openOn(connection, Channel.makeConfirm({ window: 1 }))
        yield* peer.openConfirmChannel
        const full = yield* Fiber.join(opening)
        yield* publish(full, 1)
        yield* publish(full, 1)
      }
      const plain: Array<Channel.Channel> = []
      for (let each = 9; each <= 20; each++) {
        const opening = yield* openOn(connection, Channel.make())
        yield* peer.openChannel
        plain.push(yield* Fiber.join(opening))
      }
      yield* settle
      // Once the first one has filled the output, the others wait for room.
      const publishing = yield* Effect.forEach(plain, (channel, index) => publish(channel, index === 0 ? 2 ** 21 : 10))
      yield* settle
      for (const fiber of publishing) yield* Fiber.join(fiber)
      yield* settle
      const published = (number: number) => peer.log.filter((name) => name === `${number} basic.publish`).length
      for (let number = 1; number <= 20; number++) assert.strictEqual(published(number), 1, `channel ${number}`)
      const closing = yield* Effect.fork(connection.close())
      yield* peer.goodbye
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(layerMemory)))
})

describe("heartbeats", () => {
  it.scoped("go out after half an interval of saying nothing", () =>
    Effect.gen(function*() {
      const { peer } = yield* connected({ heartbeat: "10 seconds" })
      yield* TestClock.adjust("4999 millis")
      assert.notInclude(peer.log, "HeartbeatFrame")
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(peer.log.filter((name) => name === "HeartbeatFrame"), 1)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("that do not come lose the connection after two intervals, not before", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ heartbeat: "10 seconds" })
      yield* TestClock.adjust("19 seconds")
      yield* peer.frame({ _tag: "HeartbeatFrame", channel: 0 })
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual((yield* connection.state)._tag, "Open")
      yield* TestClock.adjust("1 millis")
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectionLost")
      assert.strictEqual(state.fault.reason, "Heartbeat")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("tell by how much their timer was late", () =>
    Effect.gen(function*() {
      const lag = Effect.map(Metric.value(Metrics.timerLag), ({ count, sum }) => ({ count, sum }))
      const { connection } = yield* connected({ heartbeat: "10 seconds" })
      const before = yield* lag
      yield* TestClock.adjust("5 seconds")
      assert.deepEqual(yield* lag, { count: before.count + 1, sum: before.sum })
      // As the timer calls it after a sleep that took too long, which TestClock's never do.
      connection.core.tick(connection.core.now(), 2500)
      assert.deepEqual(yield* lag, { count: before.count + 2, sum: before.sum + 2500 })
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("are off at 0, whatever the server wants", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ heartbeat: "0 seconds" }, { heartbeat: 5 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.notInclude(peer.log, "HeartbeatFrame")
    }).pipe(Effect.provide(layerMemory)))
})

describe("a policy that throws", () => {
  it.scoped("is the defect of the first connect, which does not wait for ever", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Connection.make({
        url: "memory://localhost:1",
        connect: Schedule.recurs(3),
        isFinal: () => {
          throw new Error("a policy's own mistake")
        }
      }))
      assert(Exit.isFailure(exit))
      assert.include(Cause.pretty(exit.cause), "a policy's own mistake")
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("later ends the connection, which says so: in its state, its log and to whoever waits", () => {
    const told: Array<string> = []
    const mistake = new Error("of the hook's own, with a s3cr3t")
    return Effect.gen(function*() {
      let dials = 0
      const { connection, peer } = yield* connected({
        beforeDial: () =>
          Effect.sync(() => {
            if (++dials > 1) throw mistake
          })
      })
      const opening = yield* openOn(connection, Channel.make())
      yield* peer.openChannel
      const channel = yield* Fiber.join(opening)
      yield* peer.cut
      yield* settle
      const declaring = yield* Effect.fork(Effect.flip(channel.queueDeclare()))
      yield* TestClock.adjust("1 second")
      const cause = yield* connection.closed
      assert(cause?._tag === "ConnectionClosed")
      assert.deepInclude(cause, { reason: "Recovery", cause: mistake })
      assert.propertyVal(yield* Fiber.join(declaring), "_tag", "ConnectionClosed")
      assert.lengthOf(told.filter((line) => line.includes("of the program's own has thrown")), 1)
      assert.notInclude(told.join(), "s3cr3t")
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings(told)))
  })
})

describe("changes", () => {
  it.scoped("are the present state, then each later one, and end after Closed", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const watching = yield* Effect.fork(Stream.runCollect(Stream.map(connection.changes, (state) => state._tag)))
      yield* settle
      yield* blocked(peer)
      yield* peer.send(0, { _tag: "ConnectionUnblocked" })
      yield* settle
      const closing = yield* Effect.fork(connection.close())
      yield* peer.goodbye
      yield* Fiber.join(closing)
      assert.deepStrictEqual([...yield* Fiber.join(watching)], ["Open", "Blocked", "Open", "Closing", "Closed"])
      assert.deepStrictEqual([...yield* Stream.runCollect(Stream.map(connection.changes, (state) => state._tag))], [
        "Closed"
      ])
    }).pipe(Effect.provide(layerMemory)))
})
