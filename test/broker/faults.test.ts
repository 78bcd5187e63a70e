import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker, Fault } from "effect-amqp/broker"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Reconnect from "../../src/Reconnect.ts"
import { pass, queueOf } from "../amqp091/onBroker.ts"
import * as Wire from "../behaviour/wire.ts"
import { declare } from "./clients.ts"

const connect = (name: string, options: Partial<Connection.Options> = {}) =>
  Connection.make({ host: "memory", reconnect: Reconnect.none, url: undefined, urls: undefined, name, ...options })

const on = (connection: Connection.Connection) => Effect.provideService(Connection.Connection, connection)

/** Each on a broker of its own. */
const scoped = <A, E>(
  title: string,
  test: (broker: Broker.Service) => Effect.Effect<A, E, Broker.Broker | Transport.Transport | Scope.Scope>
): void => it.scoped(title, () => Effect.flatMap(Broker.Broker, test).pipe(Effect.provide(Broker.layerMemory)))

/** What becomes of it, in any time. */
const outcome = <A, E, R>(effect: Effect.Effect<A, E, R>, within: Duration.DurationInput = "1 minute") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(within)
    return yield* Effect.either(Fiber.join(fiber))
  })

const stateOf = (connection: Connection.Connection) => Effect.map(connection.state, ({ _tag }) => _tag)

const faultOf = (connection: Connection.Connection) =>
  Effect.map(connection.state, (state) => state._tag === "Closed" ? state.cause : undefined)

describe("drop", () => {
  scoped("cuts the connection of that name alone, whose client dials again", (broker) =>
    Effect.gen(function*() {
      const one = yield* connect("one", { reconnect: undefined })
      const other = yield* connect("other")
      assert.strictEqual((yield* broker.drop({ connection: "one" })).affected, 1)
      assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["other"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* one.info).epoch, 2)
      assert.strictEqual((yield* other.info).epoch, 1)
      assert.isEmpty(yield* broker.faults)
    }))

  scoped("cuts all without a name, and nobody is left by the name of nobody", (broker) =>
    Effect.gen(function*() {
      yield* connect("one")
      yield* connect("other")
      assert.strictEqual((yield* broker.drop({ connection: "nobody" })).affected, 0)
      assert.strictEqual((yield* broker.drop()).affected, 2)
      assert.isEmpty(yield* broker.connections)
    }))
})

describe("dropAfter", () => {
  scoped(
    "cuts after so many frames of the client, the last of which it takes and never answers",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.make())
        yield* broker.dropAfter(2)
        yield* channel.queueDeclare({ queue: "first", durable: true })
        const error = yield* Effect.flip(channel.queueDeclare({ queue: "second", durable: true }))
        assert.deepInclude({ ...error }, { _tag: "ConnectionClosed", reason: "Recovery" })
        assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "Socket" })
        assert.deepStrictEqual((yield* broker.queues()).map(({ name }) => name), ["first", "second"])
        assert.isEmpty(yield* broker.faults)
      })
  )

  scoped("cuts after so many frames of the broker, the last of which arrives", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.make())
      yield* broker.dropAfter(2, { of: "broker" })
      yield* channel.queueDeclare({ queue: "first" })
      yield* channel.queueDeclare({ queue: "second" })
      yield* pass
      assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "Socket" })
    }))

  for (const side of ["client", "broker"] as const) {
    scoped(
      `of a login cut after any frame of the ${side}, as often as asked, the next one succeeds`,
      (broker) =>
        Effect.gen(function*() {
          for (let frames = 1; frames <= 3; frames++) {
            yield* broker.dropAfter(frames, { of: side, times: 2 })
            for (let attempt = 0; attempt < 2; attempt++) {
              assert.strictEqual((yield* outcome(Effect.scoped(connect("one")), "20 seconds"))._tag, "Left")
            }
            assert.isEmpty(yield* broker.faults)
            assert.strictEqual((yield* outcome(Effect.scoped(connect("one"))))._tag, "Right")
          }
        })
    )
  }
})

describe("refuse", () => {
  scoped("cuts who comes until it is healed, and lets who is in alone", (broker) =>
    Effect.gen(function*() {
      const inside = yield* connect("inside")
      const refuse = yield* broker.refuse()
      const error = yield* Effect.flip(connect("outside"))
      assert.strictEqual(error._tag, "ConnectError")
      assert.strictEqual(yield* stateOf(inside), "Open")
      yield* refuse.heal
      yield* connect("outside")
    }))

  scoped("by name cuts who bears it as soon as it is told, and no other", (broker) =>
    Effect.gen(function*() {
      yield* broker.refuse({ connection: "outcast" })
      yield* connect("welcome")
      assert.strictEqual((yield* Effect.flip(connect("outcast")))._tag, "ConnectError")
      assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["welcome"])
    }))
})

describe("stall", () => {
  scoped("lets who comes wait for its own patience to end, and who is in alone", (broker) =>
    Effect.gen(function*() {
      const inside = yield* connect("inside")
      yield* broker.stall()
      const exit = yield* outcome(Effect.flip(connect("outside")), "15 seconds")
      assert.deepInclude({ ...(exit._tag === "Right" ? exit.right : undefined) }, {
        _tag: "ConnectError",
        reason: "Timeout"
      })
      assert.strictEqual(yield* stateOf(inside), "Open")
    }))

  scoped("by name stalls who bears it; healed in time, it gets in", (broker) =>
    Effect.gen(function*() {
      yield* broker.stall({ connection: "slow" })
      yield* connect("fast")
      const slow = yield* Effect.fork(connect("slow"))
      yield* TestClock.adjust("9 seconds")
      assert.isNull(slow.unsafePoll())
      assert.strictEqual(yield* broker.heal("stall"), 1)
      assert.strictEqual(yield* stateOf(yield* Fiber.join(slow)), "Open")
    }))
})

describe("block", () => {
  scoped(
    "tells clients the reason at once, and their publishes wait until it is healed, while the rest goes on",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* channel.publish({ routingKey: "q", content: "1" })
        const block = yield* broker.block("memory")
        yield* pass
        assert.deepInclude({ ...yield* connection.state }, { _tag: "Blocked", reason: "memory" })
        assert.deepStrictEqual((yield* broker.connections).map(({ blocked }) => blocked), ["memory"])
        const waiting = yield* Effect.fork(channel.publish({ routingKey: "q", content: "2" }))
        yield* TestClock.adjust("20 seconds")
        assert.isNull(waiting.unsafePoll())
        yield* block.heal
        yield* Fiber.join(waiting)
        assert.strictEqual(yield* stateOf(connection), "Open")
        assert.deepStrictEqual((yield* broker.connections).map(({ blocked }) => blocked), [undefined])
      })
  )

  scoped("tells who comes later as soon as it is open; who only consumes goes on", (broker) =>
    Effect.gen(function*() {
      yield* on(yield* connect("before"))(queueOf("q", "1"))
      yield* broker.block("disk")
      const consumer = yield* connect("consumer")
      yield* pass
      assert.deepInclude({ ...yield* consumer.state }, { _tag: "Blocked", reason: "disk" })
      const channel = yield* on(consumer)(Channel.make())
      const [first] = yield* channel.consume({ queue: "q" }).pipe(
        Stream.take(1),
        Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.text)),
        Stream.runCollect
      )
      assert.strictEqual(first, "1")
      yield* pass
      assert.deepInclude((yield* broker.queues())[0], { ready: 0, unsettled: 0 })
    }))

  scoped(
    "reads nothing more of who publishes all the same, whose silence is then not judged",
    (broker) =>
      Effect.gen(function*() {
        const { host, port } = broker
        const pipe = yield* Effect.flatMap(
          Transport.Transport,
          (transport) => transport.dial({ scheme: "memory", host, port })
        )
        const wire = yield* Wire.make(pipe)
        yield* Wire.introduce(wire, "/", {}, Wire.tuneOk(2047, 131072, 10))
        yield* wire.send(declare({ queue: "q" }))
        yield* wire.until("1 queue.declare-ok")
        const block = yield* broker.block("memory")
        yield* wire.send(
          { _tag: "BasicPublish", exchange: "", routingKey: "q", mandatory: false, immediate: false },
          ...Wire.content("x")
        )
        yield* wire.send(declare({ queue: "later" }))
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual((yield* broker.connections).length, 1)
        assert.deepStrictEqual((yield* broker.queues()).map(({ name, ready }) => [name, ready]), [["q", 0]])
        yield* block.heal
        assert.include((yield* wire.until("1 queue.declare-ok")).at(-1), "later")
        assert.deepStrictEqual((yield* broker.queues()).map(({ name, ready }) => [name, ready]), [["q", 1], [
          "later",
          0
        ]])
        yield* TestClock.adjust("30 seconds")
        assert.isEmpty(yield* broker.connections)
      })
  )

  scoped("ends a client that has a bound on it with BlockedTimeout", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { blockedTimeout: "1 minute" })
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.publish({ exchange: "amq.fanout", routingKey: "", content: "" })
      yield* broker.block("memory", { connection: "one" })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "BlockedTimeout" })
    }))

  scoped("of two, one healed leaves the other in force", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.publish({ exchange: "amq.fanout", routingKey: "", content: "" })
      const memory = yield* broker.block("memory")
      const disk = yield* broker.block("disk", { connection: "one" })
      yield* memory.heal
      yield* pass
      assert.strictEqual(yield* stateOf(connection), "Blocked")
      yield* disk.heal
      yield* pass
      assert.strictEqual(yield* stateOf(connection), "Open")
    }))
})

describe("nackNext", () => {
  scoped(
    "refuses as many publishes as asked, which reach no queue; the one after is confirmed",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* broker.nackNext(2)
        const message = { routingKey: "q", content: "x" }
        const error = yield* Effect.flip(channel.publishAll([message, message, message]))
        assert.strictEqual(error._tag, "PublishManyError")
        assert.deepStrictEqual(
          error._tag === "PublishManyError" ? error.failures.map(({ error, index }) => [index, error._tag]) : [],
          [[0, "PublishNacked"], [1, "PublishNacked"]]
        )
        yield* channel.publish(message)
        assert.deepInclude((yield* broker.queues())[0], { name: "q", ready: 2 })
        assert.isEmpty(yield* broker.faults)
      })
  )

  scoped(
    "passes over publishes that are not to be confirmed, and other connections",
    (broker) =>
      Effect.gen(function*() {
        yield* connect("one").pipe(Effect.flatMap((one) =>
          Effect.gen(function*() {
            const plain = yield* Channel.make()
            const confirm = yield* Channel.makeConfirm()
            yield* plain.queueDeclare({ queue: "q" })
            yield* broker.nackNext(1, { connection: "two" })
            yield* plain.publish({ routingKey: "q", content: "" })
            yield* confirm.publish({ routingKey: "q", content: "" })
          }).pipe(on(one))
        ))
        assert.deepStrictEqual((yield* broker.faults).map(({ remaining }) => remaining), [1])
        const two = yield* connect("two")
        const channel = yield* on(two)(Channel.makeConfirm())
        const error = yield* Effect.flip(channel.publish({ routingKey: "q", content: "" }))
        assert.strictEqual(error._tag, "PublishNacked")
      })
  )
})

describe("loseNext", () => {
  scoped(
    "never answers for as many publishes as asked, and later confirms do not cover them",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* broker.loseNext(1)
        const message = { routingKey: "q", content: "x" }
        const lost = yield* Effect.fork(Effect.flip(channel.publish(message)))
        yield* pass
        yield* channel.publishAll([message, message, message])
        assert.isNull(lost.unsafePoll())
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude({ ...yield* Fiber.join(lost) }, { _tag: "OutcomeUnknown", reason: "Timeout" })
        assert.deepInclude((yield* broker.queues())[0], { ready: 3 })
      })
  )

  scoped("with `stored` keeps the message all the same", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* broker.loseNext(1, { stored: true })
      const exit = yield* outcome(channel.publish({ routingKey: "q", content: "x" }))
      assert.deepInclude({ ...(exit._tag === "Left" ? exit.left : undefined) }, { _tag: "OutcomeUnknown" })
      assert.deepInclude((yield* broker.queues())[0], { ready: 1 })
    }))
})

describe("closeChannel", () => {
  scoped(
    "closes the channels of a connection with the code and text, and they open again",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("orders-service")
        const channel = yield* on(connection)(Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        const waiting = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "again" })))
        yield* Effect.yieldNow()
        const { affected } = yield* broker.closeChannel({ code: 404, text: "gone", connection: "orders-service" })
        assert.strictEqual(affected, 1)
        const error = yield* Fiber.join(waiting)
        assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "NotFound", code: 404, text: "gone" })
        yield* channel.queueDeclare({ queue: "again" })
        assert.strictEqual((yield* connection.info).epoch, 1)
      })
  )

  scoped("closes the channel of that number alone, with words of its own", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const first = yield* on(connection)(Channel.make())
      const second = yield* on(connection)(Channel.make())
      const seen = yield* first.consume({ queue: (yield* first.queueDeclare({})).queue }).pipe(
        Stream.runDrain,
        Effect.fork
      )
      yield* pass
      assert.strictEqual((yield* broker.closeChannel({ code: 406, channel: yield* second.number })).affected, 1)
      assert.strictEqual((yield* broker.closeChannel({ code: 406, channel: 77 })).affected, 0)
      assert.isNull(seen.unsafePoll())
    }))
})

describe("closeConnection", () => {
  scoped("says goodbye with 320 unless told otherwise, and the client dials again", (broker) =>
    Effect.gen(function*() {
      const one = yield* connect("one")
      const two = yield* connect("two", { reconnect: undefined })
      assert.strictEqual((yield* broker.closeConnection()).affected, 2)
      yield* pass
      assert.deepInclude({ ...yield* faultOf(one) }, { _tag: "ConnectionClosed", reason: "Peer", code: 320 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* two.info).epoch, 2)
      const three = yield* connect("three")
      yield* broker.closeConnection({ code: 541, text: "broken", connection: "three" })
      yield* pass
      assert.deepInclude({ ...yield* faultOf(three) }, { code: 541, text: "broken" })
      assert.strictEqual(yield* stateOf(two), "Open")
    }))
})

describe("cancelConsumer", () => {
  scoped(
    "ends consumers by tag or by queue with ConsumerCancelled, and leaves what they got with the channel",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.make())
        for (const queue of ["a", "b", "c"]) yield* on(connection)(queueOf(queue, "1"))
        const consume = (queue: string) =>
          channel.consume({ queue, consumerTag: `of-${queue}` }).pipe(Stream.runDrain, Effect.fork)
        const [a, b, c] = [yield* consume("a"), yield* consume("b"), yield* consume("c")]
        yield* pass
        assert.strictEqual((yield* broker.cancelConsumer({ consumerTag: "of-a" })).affected, 1)
        assert.strictEqual((yield* broker.cancelConsumer({ queue: "b" })).affected, 1)
        for (const fiber of [a, b]) {
          assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "ConsumerCancelled")
        }
        yield* pass
        assert.isNull(c.unsafePoll())
        assert.deepStrictEqual(
          (yield* broker.queues()).map(({ consumers, name, unsettled }) => [name, unsettled, consumers]),
          [["a", 1, 0], ["b", 1, 0], ["c", 1, 1]]
        )
      })
  )
})

describe("delay", () => {
  scoped("has answers come so much later, in the broker's clock and in order", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* broker.delay("2 seconds")
      const fiber = yield* Effect.fork(channel.publishAll(
        Array.from({ length: 3 }, () => ({ routingKey: "q", content: "x" }))
      ))
      yield* TestClock.adjust("1999 millis")
      assert.isNull(fiber.unsafePoll())
      assert.deepInclude((yield* broker.queues())[0], { ready: 3 })
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
    }))

  scoped("healed lets go at once what it held", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.make())
      const delay = yield* broker.delay("1 hour", { connection: "one" })
      const fiber = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
      yield* pass
      yield* delay.heal
      assert.strictEqual((yield* Fiber.join(fiber)).queue, "q")
    }))

  scoped("longer than the client's patience ends its call", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { operationTimeout: "5 seconds" })
      const channel = yield* on(connection)(Channel.make())
      yield* broker.delay("10 seconds")
      const exit = yield* outcome(channel.queueDeclare({ queue: "q" }), "5 seconds")
      assert.deepInclude({ ...(exit._tag === "Left" ? exit.left : undefined) }, { _tag: "OperationTimeout" })
    }))
})

describe("silence", () => {
  scoped("is taken for death after two heartbeats, though the broker still hears", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { heartbeat: "10 seconds" })
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q", durable: true })
      yield* broker.silence()
      const lost = yield* Effect.fork(Effect.flip(channel.publish({ routingKey: "q", content: "x" })))
      yield* TestClock.adjust("25 seconds")
      assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "Heartbeat" })
      assert.deepInclude({ ...yield* Fiber.join(lost) }, { _tag: "OutcomeUnknown", reason: "Lost" })
      assert.deepInclude((yield* broker.queues())[0], { ready: 1 })
    }))

  scoped("healed says what it did not say, whole and in order", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      const silence = yield* broker.silence({ connection: "one" })
      const large = "x".repeat(500_000)
      const publishing = yield* Effect.fork(channel.publishAll([
        { routingKey: "q", content: large },
        { routingKey: "q", content: "second" }
      ]))
      const got = yield* channel.consume({ queue: "q" }).pipe(Stream.take(2), Stream.runCollect, Effect.fork)
      yield* TestClock.adjust("5 seconds")
      assert.isNull(got.unsafePoll())
      yield* silence.heal
      yield* Fiber.join(publishing)
      assert.deepStrictEqual(Array.from(yield* Fiber.join(got), ({ text }) => text), [large, "second"])
    }))

  scoped("does not even say goodbye, until it is healed", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { heartbeat: "0 seconds" })
      yield* broker.silence()
      yield* broker.closeConnection()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* stateOf(connection), "Open")
      yield* broker.heal("silence")
      yield* pass
      assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "Socket" })
    }))
})

describe("skipHeartbeats", () => {
  scoped("leaves out heartbeats alone: an idle client takes the broker for dead", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { heartbeat: "10 seconds" })
      const channel = yield* on(connection)(Channel.make())
      const skip = yield* broker.skipHeartbeats()
      for (let time = 0; time < 6; time++) {
        yield* TestClock.adjust("9 seconds")
        yield* channel.queueDeclare({ queue: "q" })
      }
      yield* skip.heal
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* stateOf(connection), "Open")
      yield* broker.skipHeartbeats()
      yield* TestClock.adjust("25 seconds")
      assert.deepInclude({ ...yield* faultOf(connection) }, { _tag: "ConnectionLost", reason: "Heartbeat" })
    }))
})

describe("cutFrame", () => {
  scoped("cuts in the midst of a frame; the client loses its call and comes again", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one", { reconnect: undefined })
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* broker.cutFrame()
      const error = yield* Effect.flip(channel.publish({ routingKey: "q", content: "x" }))
      assert.deepInclude({ ...error }, { _tag: "OutcomeUnknown", reason: "Lost" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* connection.info).epoch, 2)
      yield* channel.publish({ routingKey: "q", content: "x" })
    }))

  scoped(
    "at any frame of a delivery gives none of it to the consumer before it is whole",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one", { reconnect: undefined })
        yield* on(connection)(queueOf("q", "0123456789"))
        for (let frames = 0; frames < 5; frames++) {
          const channel = yield* on(connection)(Channel.make())
          yield* broker.cutFrame({ frames })
          const got = yield* channel.consume({ queue: "q" }).pipe(
            Stream.take(1),
            Stream.mapEffect((delivery) => Effect.as(delivery.nack({ requeue: true }), delivery.text)),
            Stream.runCollect,
            Effect.fork
          )
          yield* TestClock.adjust("10 seconds")
          assert.deepStrictEqual([...yield* Fiber.join(got)], ["0123456789"])
          yield* broker.heal()
        }
      })
  )
})

describe("splitWrites", () => {
  scoped("writes octet by octet, and the client reads all the same", (broker) =>
    Effect.gen(function*() {
      yield* broker.splitWrites()
      const connection = yield* connect("one")
      yield* on(connection)(queueOf("q", "one", "two", "three".repeat(100)))
      const channel = yield* on(connection)(Channel.make())
      const texts = yield* channel.consume({ queue: "q" }).pipe(
        Stream.take(3),
        Stream.map(({ text }) => text),
        Stream.runCollect
      )
      assert.deepStrictEqual([...texts], ["one", "two", "three".repeat(100)])
      yield* broker.heal()
      yield* channel.queueDeclare({ queue: "q" })
    }))
})

describe("faults", () => {
  scoped(
    "are listed with what is left of them, and healed by number, kind or all together",
    (broker) =>
      Effect.gen(function*() {
        const block = yield* broker.block("memory")
        yield* broker.nackNext(3)
        yield* broker.delay("1 second", { connection: "one" })
        yield* broker.delay("2 seconds")
        assert.deepStrictEqual(
          (yield* broker.faults).map(({ fault, remaining }) => [Fault.nameOf.get(fault._tag), remaining]),
          [["block", undefined], ["nackNext", 3], ["delay", undefined], ["delay", undefined]]
        )
        assert.strictEqual(yield* broker.heal(block.id), 1)
        assert.strictEqual(yield* broker.heal(block.id), 0)
        assert.strictEqual(yield* broker.heal("delay"), 2)
        assert.strictEqual(yield* broker.heal(), 1)
        assert.isEmpty(yield* broker.faults)
      })
  )

  scoped("in a scope end with it", (broker) =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Fault.scoped(broker.refuse())
        assert.strictEqual((yield* Effect.flip(connect("one")))._tag, "ConnectError")
      }))
      yield* connect("one")
    }))

  scoped("that do not fit are a defect that says why, and change nothing", (broker) =>
    Effect.gen(function*() {
      for (
        const bad of [
          broker.nackNext(-1),
          broker.nackNext(1.5),
          broker.closeChannel({ code: 70_000 }),
          broker.block("x".repeat(256)),
          broker.dropAfter(0)
        ]
      ) {
        const exit = yield* Effect.exit(bad)
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "ParseError")
      }
      assert.isEmpty(yield* broker.faults)
    }))

  it("are named by their tags, and are what their Schema reads", () => {
    for (const [name, { tag }] of Object.entries(Fault.definitions)) {
      assert.strictEqual(name, `${tag[0]?.toLowerCase()}${tag.slice(1)}`)
    }
  })

  it.effect("keep a duration over the wire of texts", () =>
    Effect.gen(function*() {
      const fault = yield* Fault.decode("delay", { by: "2 seconds" })
      assert.deepStrictEqual(fault, { _tag: "Delay", by: Duration.seconds(2) })
      for (const by of [2, "soon", "Infinity", null]) {
        assert.strictEqual((yield* Effect.flip(Fault.decode("delay", { by })))._tag, "ParseError")
      }
      assert.include(String(yield* Effect.flip(Fault.decode("drop", { conection: "one" }))), "conection")
      assert.strictEqual((yield* Effect.flip(Fault.decode("drop", [])))._tag, "ParseError")
    }))

  it.effect.prop(
    "of any kind, in any order, leave a broker that works when they are healed",
    [
      FastCheck.array(Arbitrary.make(Fault.Fault), { maxLength: 6 }),
      FastCheck.array(Arbitrary.make(Fault.Fault), { maxLength: 3 })
    ],
    ([before, during]) =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        for (const fault of before) yield* broker.inject(fault)
        const fiber = yield* Effect.gen(function*() {
          const channel = yield* Channel.makeConfirm()
          yield* channel.queueDeclare({ queue: "q" })
          yield* channel.publish({ routingKey: "q", content: "x".repeat(20_000) })
          yield* channel.get({ queue: "q" })
        }).pipe(
          Effect.provide(Connection.layer({ url: "memory://", reconnect: Reconnect.none })),
          Effect.scoped,
          Effect.fork
        )
        yield* TestClock.adjust("1 second")
        for (const fault of during) yield* broker.inject(fault)
        yield* TestClock.adjust("20 seconds")
        yield* broker.heal()
        yield* TestClock.adjust("2 minutes")
        yield* Fiber.await(fiber)
        assert.isEmpty(yield* broker.connections)
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* connect("after")
          const channel = yield* on(connection)(Channel.makeConfirm())
          yield* channel.publish({ exchange: "amq.fanout", routingKey: "", content: "" })
        }))
      }).pipe(Effect.provide(Broker.layerMemory)),
    { fastCheck: { numRuns: 40, seed: 5 }, timeout: 60_000 }
  )
})

describe("record", () => {
  scoped(
    "tells what was published from where, also what was refused, and stops with its scope",
    (broker) =>
      Effect.gen(function*() {
        const connection = yield* connect("one")
        const channel = yield* on(connection)(Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        const published = yield* Effect.scoped(Effect.gen(function*() {
          const published = yield* broker.record()
          yield* channel.publish({ routingKey: "q", content: "1", properties: { messageId: "a" }, mandatory: true })
          yield* broker.nackNext(1)
          yield* Effect.flip(channel.publish({ exchange: "amq.topic", routingKey: "k", content: "2" }))
          return published
        }))
        yield* channel.publish({ routingKey: "q", content: "3" })
        assert.deepStrictEqual(
          (yield* published).map(({ body, channel, connection, exchange, mandatory, properties, routingKey }) => ({
            connection,
            channel,
            exchange,
            routingKey,
            mandatory,
            id: properties.messageId,
            text: new TextDecoder().decode(body)
          })),
          [
            { connection: "one", channel: 1, exchange: "", routingKey: "q", mandatory: true, id: "a", text: "1" },
            {
              connection: "one",
              channel: 1,
              exchange: "amq.topic",
              routingKey: "k",
              mandatory: false,
              id: undefined,
              text: "2"
            }
          ]
        )
      })
  )

  scoped("keeps the latest alone", (broker) =>
    Effect.gen(function*() {
      const connection = yield* connect("one")
      const channel = yield* on(connection)(Channel.makeConfirm())
      const published = yield* broker.record({ last: 2 })
      const large = yield* broker.record()
      for (let n = 0; n < 5; n++) {
        yield* channel.publish({ exchange: "amq.fanout", routingKey: String(n), content: new Uint8Array(5_000_000) })
      }
      assert.deepStrictEqual((yield* published).map(({ routingKey }) => routingKey), ["3", "4"])
      assert.deepStrictEqual((yield* large).map(({ routingKey }) => routingKey), ["2", "3", "4"])
    }))
})
