/** What is written on a new socket, and what a broker that misbehaves does to it. */
import { assert, describe, it } from "@effect/vitest"
import { Channel, type Connection, type Method, type Topology } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { layerMemory, type Peer } from "../../harness/scriptedPeer.ts"
import { warnings } from "../onBroker.ts"
import { connected, openOn, settle } from "../scripted.ts"

const replies: { readonly [tag: string]: (method: Method.Method) => Method.Method | undefined } = {
  ChannelOpen: () => ({ _tag: "ChannelOpenOk" }),
  ChannelClose: () => ({ _tag: "ChannelCloseOk" }),
  ConfirmSelect: () => ({ _tag: "ConfirmSelectOk" }),
  BasicQos: () => ({ _tag: "BasicQosOk" }),
  BasicConsume: (method) =>
    method._tag === "BasicConsume" ? { _tag: "BasicConsumeOk", consumerTag: method.consumerTag } : undefined,
  BasicCancel: (method) =>
    method._tag === "BasicCancel" ? { _tag: "BasicCancelOk", consumerTag: method.consumerTag } : undefined,
  ExchangeDeclare: () => ({ _tag: "ExchangeDeclareOk" }),
  ExchangeBind: () => ({ _tag: "ExchangeBindOk" }),
  QueueBind: () => ({ _tag: "QueueBindOk" }),
  QueueDelete: () => ({ _tag: "QueueDeleteOk", messageCount: 0 }),
  QueueDeclare: (method) =>
    method._tag === "QueueDeclare"
      ? { _tag: "QueueDeclareOk", queue: method.queue || "amq.gen-1", messageCount: 0, consumerCount: 0 }
      : undefined
}

/** Answers everything, until the test does it itself. */
const answering = (peer: Peer, unless: (method: Method.Method) => boolean = () => false) =>
  Effect.fork(Effect.forever(Effect.flatMap(peer.next(), ({ channel, method }) => {
    const reply = unless(method) ? undefined : replies[method._tag]?.(method)
    return reply === undefined ? Effect.void : peer.send(channel, reply)
  })))

const run = <A, E>(connection: Connection.Connection, effect: Effect.Effect<A, E, Connection.Connection>) =>
  Effect.flatMap(openOn(connection, effect), (fiber) => Effect.zipRight(settle, Fiber.join(fiber)))

const opened = (connection: Connection.Connection) =>
  Effect.flatMap(openOn(connection, Channel.makeConfirm()), (fiber) => Effect.zipRight(settle, Fiber.join(fiber)))

const handshake = { capabilities: { exchange_exchange_bindings: true } }

/** Cut, and dialled again. */
const next = ({ accept, peer }: { readonly accept: Effect.Effect<Peer>; readonly peer: Peer }) =>
  Effect.gen(function*() {
    yield* peer.cut
    yield* TestClock.adjust("1 second")
    const following = yield* accept
    yield* following.handshake(handshake)
    return following
  })

const methods = ({ log }: Peer) =>
  log.map((line) => line.replace(/^\d+ /, "")).filter((line) => line !== "HeartbeatFrame")

describe("On a new socket", () => {
  it.scoped("exchanges of all channels come first, then queues, their bindings, and last the channels with all they had", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ heartbeat: null }, handshake)
      yield* answering(peer)
      const [one, two] = [yield* opened(connection), yield* opened(connection)]
      yield* run(connection, one.queueDeclare({ queue: "q" }))
      yield* run(connection, one.queueBind({ queue: "q", exchange: "x" }))
      yield* run(connection, two.exchangeDeclare({ exchange: "y" }))
      yield* run(connection, two.exchangeBind({ source: "x", destination: "y" }))
      yield* run(connection, one.exchangeDeclare({ exchange: "x" }))
      yield* run(connection, one.exchangeDeclare({ exchange: "amq.topic", type: "topic" }))
      yield* Effect.fork(Stream.runDrain(two.consume({ queue: "q", prefetch: 7 })))
      yield* settle
      const following = yield* next({ accept, peer })
      yield* answering(following)
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      const declared = methods(following).filter((name) => /declare|bind|consume|select|qos/.test(name))
      assert.deepStrictEqual(declared, [
        "exchange.declare",
        "exchange.declare",
        "queue.declare",
        "exchange.bind",
        "queue.bind",
        "confirm.select",
        "confirm.select",
        "basic.qos",
        "basic.consume"
      ])
      assert.deepStrictEqual((yield* one.number) + (yield* two.number), 3)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("what the broker closes the connection over is left out from then on", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ heartbeat: null }, handshake)
      const reports: Array<Topology.RecoveryReport> = []
      yield* Effect.fork(
        Stream.runForEach(connection.recoveries, (report) => Effect.sync(() => void reports.push(report)))
      )
      yield* answering(peer)
      const channel = yield* opened(connection)
      for (const exchange of ["a", "b", "c"]) yield* run(connection, channel.exchangeDeclare({ exchange, type: "odd" }))
      yield* run(connection, channel.queueDeclare({ queue: "q" }))
      let present = yield* next({ accept, peer })
      // Several are declared side by side: the first time nobody knows which it was.
      for (const _ of [1, 2]) {
        yield* answering(present, (method) => method._tag === "ExchangeDeclare")
        yield* settle
        yield* present.send(0, {
          _tag: "ConnectionClose",
          replyCode: 503,
          replyText: "COMMAND_INVALID - unknown exchange type 'odd'",
          classId: 40,
          methodId: 10
        })
        yield* TestClock.adjust("1 second")
        present = yield* accept
        yield* present.handshake(handshake)
      }
      yield* answering(present)
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.deepStrictEqual(
        reports.map(({ failures, restored }) => [
          restored,
          failures.map(({ entity, error }) => [entity._tag === "Exchange" && entity.exchange, error._tag])
        ]),
        [[3, [["a", "ConnectionClosed"]]]]
      )
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings(told)))
  })

  it.scoped("what is given up while it is declared is taken away again", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ heartbeat: null }, handshake)
      yield* answering(peer)
      const channel = yield* opened(connection)
      yield* run(connection, channel.queueDeclare({ queue: "q", autoDelete: true }))
      const consuming = yield* Effect.fork(Stream.runDrain(channel.consume({ queue: "q" })))
      yield* settle
      const following = yield* next({ accept, peer })
      yield* answering(following, (method) => method._tag === "QueueDeclare")
      yield* settle
      yield* Fiber.interrupt(consuming)
      const number = Number(following.log.find((line) => line.endsWith("queue.declare"))?.split(" ")[0])
      yield* following.send(number, { _tag: "QueueDeclareOk", queue: "q", messageCount: 0, consumerCount: 0 })
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.include(methods(following), "queue.delete")
      assert.notInclude(methods(following), "basic.consume")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a queue whose name nobody waited for is left where it was", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected({ heartbeat: null }, handshake)
      yield* answering(peer, (method) => method._tag === "QueueDeclare")
      const channel = yield* opened(connection)
      const declaring = yield* Effect.fork(channel.queueDeclare())
      yield* settle
      yield* Fiber.interrupt(declaring)
      yield* peer.send(1, { _tag: "QueueDeclareOk", queue: "amq.gen-0", messageCount: 0, consumerCount: 0 })
      yield* settle
      const following = yield* next({ accept, peer })
      yield* answering(following)
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.notInclude(methods(following), "queue.declare")
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a broker that does not answer is given up, within the operation timeout", () =>
    Effect.gen(function*() {
      const { accept, connection, peer } = yield* connected(
        { heartbeat: null, operationTimeout: "3 seconds" },
        handshake
      )
      yield* answering(peer)
      const channel = yield* opened(connection)
      yield* run(connection, channel.queueDeclare({ queue: "q" }))
      const silent = yield* next({ accept, peer })
      yield* answering(silent, (method) => method._tag === "QueueDeclare")
      yield* TestClock.adjust("5 seconds")
      const following = yield* accept
      yield* following.handshake(handshake)
      yield* answering(following)
      yield* settle
      assert.strictEqual(silent.log.at(-1), "closed")
      assert.strictEqual((yield* connection.state)._tag, "Open")
    }).pipe(Effect.provide(layerMemory), Effect.provide(warnings([]))))

  it.scoped("a broker without enough channels is asked on fewer", () =>
    Effect.gen(function*() {
      const options = { ...handshake, channelMax: 1 }
      const { accept, connection, peer } = yield* connected({ heartbeat: null }, options)
      yield* answering(peer)
      const channel = yield* opened(connection)
      for (const queue of ["a", "b", "c"]) yield* run(connection, channel.queueDeclare({ queue }))
      yield* peer.cut
      yield* TestClock.adjust("1 second")
      const following = yield* accept
      yield* following.handshake(options)
      yield* answering(following)
      yield* settle
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.lengthOf(methods(following).filter((name) => name === "queue.declare"), 3)
      assert.strictEqual(yield* channel.number, 1)
    }).pipe(Effect.provide(layerMemory)))
})
