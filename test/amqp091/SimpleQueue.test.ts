import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Connection from "../../src/amqp091/Connection.ts"
import * as Message from "../../src/amqp091/Message.ts"
import type * as Method from "../../src/amqp091/Method.ts"
import * as SimpleQueue from "../../src/amqp091/SimpleQueue.ts"
import * as Broker from "../../src/broker/Broker.ts"
import { layerMemory, type Peer } from "../harness/scriptedPeer.ts"
import { drained, Embedded, look, pass, warnings } from "./onBroker.ts"
import { connected, openOn } from "./scripted.ts"

const text = { content: Message.text }
const logs: Array<string> = []
const quietly = Effect.provide(warnings(logs))

/** Joins a fiber once time has passed for it. */
const after = <A, E>(fiber: Fiber.Fiber<A, E>, ticks = 10) =>
  Effect.zipRight(Effect.repeatN(TestClock.adjust("1 second"), ticks), Fiber.join(fiber))

/** What ends a life of the channel, over nothing that was asked on it. */
const disturbances: ReadonlyArray<readonly [how: string, happens: Effect.Effect<unknown, never, Broker.Broker>]> = [
  ["the loss of a socket", Effect.flatMap(Broker.Broker, ({ drop }) => drop())],
  ["a fault of the channel", Effect.flatMap(Broker.Broker, ({ closeChannel }) => closeChannel({ code: 406 }))],
  [
    "the end of the connection by an operator",
    Effect.flatMap(Broker.Broker, ({ closeConnection }) => closeConnection())
  ]
]

const closing = { replyCode: 406, replyText: "PRECONDITION_FAILED", classId: 60, methodId: 40 }
const closes = [
  ["the channel is closed", 1, { _tag: "ChannelClose", ...closing }],
  ["the connection is closed", 0, { _tag: "ConnectionClose", ...closing }]
] as const

/** Answers everything but a get. */
const answering = (peer: Peer) =>
  Effect.fork(Effect.forever(Effect.flatMap(peer.next(), ({ channel, method }) => {
    const to = (reply: Method.Method) => peer.send(channel, reply)
    switch (method._tag) {
      case "ChannelOpen":
        return to({ _tag: "ChannelOpenOk" })
      case "ConfirmSelect":
        return to({ _tag: "ConfirmSelectOk" })
      case "ExchangeDeclare":
        return to({ _tag: "ExchangeDeclareOk" })
      case "QueueDeclare":
        return to({ _tag: "QueueDeclareOk", queue: method.queue, messageCount: 0, consumerCount: 0 })
      case "QueueBind":
        return to({ _tag: "QueueBindOk" })
      case "ChannelClose":
        return to({ _tag: "ChannelCloseOk" })
      case "ConnectionClose":
        return to({ _tag: "ConnectionCloseOk" })
      default:
        return Effect.void
    }
  })))

/** On a connection of its own. */
const second = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Connection.make({ url: "memory://" }),
    (connection) => Effect.provideService(effect, Connection.Connection, connection)
  )

describe("SimpleQueue.make", () => {
  it.scoped("declares a durable queue and a durable direct exchange of its name, bound by it", () =>
    Effect.gen(function*() {
      yield* SimpleQueue.make("jobs")
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "jobs", durable: true })
      yield* channel.exchangeDeclare({ exchange: "jobs", type: "direct", durable: true })
      yield* channel.publish({ exchange: "jobs", routingKey: "jobs", mandatory: true, content: "{}" })
      assert.strictEqual((yield* look("jobs")).ready, 1)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("puts and gets values of any JSON shape where no codec is given", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs")
      yield* jobs.put({ room: 7, done: [true, null] }, { headers: { from: "me" } })
      const { delivery, value } = yield* jobs.get()
      assert.deepStrictEqual(value, { room: 7, done: [true, null] })
      assert.deepStrictEqual(delivery.properties, {
        contentType: "application/json",
        deliveryMode: 2,
        headers: { from: "me" }
      })
      yield* delivery.ack
      yield* pass
      assert.deepStrictEqual(yield* look("jobs"), { ready: 0, unsettled: 0, consumers: 0 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("lays the properties of a put over those of the queue, one by one", () =>
    Effect.gen(function*() {
      const properties = { persistent: false, priority: 3, type: "job", headers: { by: "queue" } }
      const jobs = yield* SimpleQueue.make("jobs", { ...text, properties })
      yield* jobs.put("usual")
      yield* jobs.put("other", { properties: { priority: 5, messageId: "1" }, headers: { by: "put" } })
      const common = { contentType: "text/plain; charset=utf-8", deliveryMode: 1, type: "job" }
      assert.deepStrictEqual((yield* jobs.get()).delivery.properties, {
        ...common,
        priority: 3,
        headers: { by: "queue" }
      })
      assert.deepStrictEqual((yield* jobs.get()).delivery.properties, {
        ...common,
        priority: 5,
        messageId: "1",
        headers: { by: "put" }
      })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("uses the exchange and the routing key of a definition", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make({ queue: "jobs", exchange: "work", routingKey: "house" }, text)
      yield* jobs.put("sweep")
      const first = yield* jobs.get()
      assert.deepStrictEqual([first.delivery.exchange, first.delivery.routingKey], ["work", "house"])
      const plain = yield* SimpleQueue.make({ queue: "plain" }, text)
      yield* plain.put("x")
      const second = yield* plain.get()
      assert.deepStrictEqual([second.delivery.exchange, second.delivery.routingKey], ["", "plain"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("declares with the arguments it is given, and fails where the queue is another", () =>
    Effect.gen(function*() {
      yield* SimpleQueue.make("short", { queue: { arguments: { "x-max-length": 1 } } })
      const error = yield* Effect.flip(SimpleQueue.make("short"))
      assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "PreconditionFailed" })
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("fails a put that reaches no queue", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const error = yield* Effect.flip(jobs.put("x", { routingKey: "elsewhere" }))
      assert.deepInclude({ ...error }, { _tag: "PublishReturned", code: 312, routingKey: "elsewhere" })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("waits for a value with get, and fails OperationTimeout when none came in time", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const waiting = yield* Effect.fork(jobs.get())
      const impatient = yield* Effect.fork(Effect.flip(jobs.get({ timeout: "3 seconds" })))
      yield* TestClock.adjust("2999 millis")
      assert.isNull(impatient.unsafePoll())
      const error = yield* after(impatient, 2)
      assert.strictEqual(error._tag, "OperationTimeout")
      assert.include(error.message, "SimpleQueue.get")
      assert.strictEqual((yield* look("jobs")).consumers, 1)
      yield* jobs.put("at last")
      assert.strictEqual((yield* after(waiting)).value, "at last")
      assert.deepStrictEqual(yield* look("jobs"), { ready: 0, unsettled: 1, consumers: 0 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("takes nothing before it is asked for, so that others can have it", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const waiting = yield* Effect.fork(jobs.get())
      yield* pass
      for (const each of ["1", "2", "3"]) yield* jobs.put(each)
      assert.strictEqual((yield* after(waiting)).value, "1")
      assert.strictEqual(yield* jobs.size, 2)
      assert.deepStrictEqual(yield* drained("jobs"), ["2", "3"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("gives each of many waiting gets a value of its own", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const waiting = yield* Effect.fork(Effect.all(Array.from({ length: 5 }, () => jobs.get()), { concurrency: 5 }))
      yield* pass
      for (const each of ["1", "2", "3", "4", "5"]) yield* jobs.put(each)
      const got = yield* after(waiting)
      assert.deepStrictEqual(new Set(got.map(({ value }) => value)), new Set(["1", "2", "3", "4", "5"]))
    }).pipe(Effect.provide(Embedded)))

  it.scoped("has getNoWait, size and clear", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      assert.isTrue(Option.isNone(yield* jobs.getNoWait))
      for (const each of ["1", "2", "3"]) yield* jobs.put(each)
      assert.strictEqual(yield* jobs.size, 3)
      const first = yield* Effect.flatten(jobs.getNoWait)
      assert.strictEqual(first.value, "1")
      assert.strictEqual(yield* jobs.clear, 2)
      assert.strictEqual(yield* jobs.size, 0)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("settles what was got itself, when asked to", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", { ...text, noAck: true })
      const waiting = yield* Effect.fork(jobs.get())
      yield* pass
      yield* jobs.put("1")
      yield* after(waiting)
      yield* jobs.put("2")
      yield* jobs.get()
      yield* pass
      assert.deepStrictEqual(yield* look("jobs"), { ready: 0, unsettled: 0, consumers: 0 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fetches with acknowledgement what it settles itself: an ack besides warns, what does not fit is rejected", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const dead = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" }
      yield* SimpleQueue.make({ queue: "dead" })
      const options = { noAck: true, queue: { arguments: dead } }
      const lines = yield* SimpleQueue.make("jobs", { ...text, ...options })
      const numbers = yield* SimpleQueue.make("jobs", { content: Message.json(Schema.Number), ...options })
      yield* lines.put("1")
      const { delivery } = yield* lines.get()
      yield* Effect.provide(delivery.ack, warnings(logged))
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /settled/)
      yield* lines.put("no number")
      assert.strictEqual((yield* Effect.flip(numbers.get()))._tag, "ContentError")
      yield* pass
      assert.deepStrictEqual(yield* drained("dead"), ["no number"])
    }).pipe(Effect.provide(Embedded)))

  for (const noAck of [false, true]) {
    it.scoped(`gives back what comes as its time runs out (noAck: ${noAck})`, () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const jobs = yield* SimpleQueue.make("jobs", { ...text, noAck })
        const others = yield* second(Channel.makeConfirm())
        const late = yield* Effect.fork(Effect.flip(jobs.get({ timeout: "5 seconds" })))
        yield* TestClock.adjust("4 seconds")
        // The delivery is here in time, and the answer to the cancel after it is not.
        const delay = yield* broker.delay("800 millis")
        yield* Effect.fork(others.publish({ exchange: "jobs", routingKey: "jobs", content: "1" }))
        const tooLate = yield* after(late)
        const first = yield* look("jobs")
        // The same for one that is there at once.
        const early = yield* Effect.fork(Effect.flip(jobs.get({ timeout: "500 millis" })))
        const tooSlow = yield* after(early)
        const then = yield* look("jobs")
        yield* delay.heal
        assert.deepStrictEqual([tooLate._tag, tooSlow._tag], ["OperationTimeout", "OperationTimeout"])
        assert.deepStrictEqual(first, { ready: 1, unsettled: 0, consumers: 0 })
        assert.deepStrictEqual(then, first)
        assert.strictEqual((yield* after(yield* Effect.fork(jobs.get()))).value, "1")
      }).pipe(Effect.provide(Embedded)))
  }

  it.scoped("rejects a content that does not fit, fails that get alone, and goes on", () =>
    Effect.gen(function*() {
      const dead = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" }
      yield* SimpleQueue.make({ queue: "dead" })
      const lines = yield* SimpleQueue.make("jobs", { ...text, queue: { arguments: dead } })
      const numbers = yield* SimpleQueue.make("jobs", {
        content: Message.json(Schema.Number),
        queue: { arguments: dead }
      })
      yield* lines.put("no number")
      yield* numbers.put(1)
      const error = yield* Effect.flip(numbers.get())
      assert.deepInclude({ ...error }, { _tag: "ContentError", reason: "ContentType" })
      assert.strictEqual((yield* numbers.get()).value, 1)
      yield* pass
      assert.deepStrictEqual(yield* drained("dead"), ["no number"])
    }).pipe(Effect.provide(Embedded)))

  for (const [how, happens] of disturbances) {
    for (const [so, when] of [["100 millis", "has just begun"], ["10 seconds", "has waited for a while"]] as const) {
      it.scoped(`gets what comes after ${how}, also where it ${when}`, () =>
        Effect.gen(function*() {
          const broker = yield* Broker.Broker
          const jobs = yield* SimpleQueue.make("jobs", text)
          const delay = yield* broker.delay("300 millis")
          const waiting = yield* Effect.fork(jobs.get())
          yield* TestClock.adjust(so)
          yield* happens
          yield* delay.heal
          yield* TestClock.adjust("10 seconds")
          assert.isNull(waiting.unsafePoll())
          yield* jobs.put("after")
          assert.strictEqual((yield* after(waiting)).value, "after")
          assert.deepStrictEqual(yield* look("jobs"), { ready: 0, unsettled: 1, consumers: 0 })
        }).pipe(quietly, Effect.provide(Embedded)))
    }
  }

  for (const [how, channel, close] of closes) {
    it.scoped(`asks again when ${how} over something else while it asks`, () =>
      Effect.gen(function*() {
        const { accept, connection, peer } = yield* connected()
        yield* answering(peer)
        const opening = yield* openOn(connection, SimpleQueue.make("jobs", text))
        yield* pass
        const jobs = yield* Fiber.join(opening)
        const waiting = yield* Effect.fork(jobs.get())
        yield* pass
        assert.strictEqual(peer.log.at(-1), "1 basic.get")
        yield* peer.send(channel, close)
        yield* TestClock.adjust("1 second")
        const present = channel === 1 ? peer : yield* accept
        if (present !== peer) {
          yield* present.handshake()
          yield* answering(present)
          yield* pass
        }
        assert.lengthOf(present.log.filter((name) => name === "1 basic.get"), channel === 1 ? 2 : 1)
        const message = { deliveryTag: 1, redelivered: false, exchange: "", routingKey: "", messageCount: 0 }
        yield* present.deliver(1, { _tag: "BasicGetOk", ...message }, "after")
        assert.strictEqual((yield* after(waiting, 1)).value, "after")
        yield* connection.close()
      }).pipe(quietly, Effect.provide(layerMemory)))
  }

  it.scoped("fails a get whose queue is there otherwise declared after a loss, with the broker's reason", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const jobs = yield* SimpleQueue.make("jobs", text)
      const refused = yield* broker.refuse()
      yield* broker.drop()
      yield* pass
      yield* refused.heal
      const channel = yield* second(Channel.make())
      yield* channel.queueDelete({ queue: "jobs" })
      yield* channel.queueDeclare({ queue: "jobs", durable: false })
      const getting = yield* Effect.fork(Effect.flip(jobs.get()))
      assert.deepInclude<object>({ ...yield* after(getting) }, {
        _tag: "ChannelError",
        reason: "PreconditionFailed",
        method: "queue.declare"
      })
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("declares a queue again that was deleted", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const channel = yield* Channel.make()
      yield* channel.queueDelete({ queue: "jobs" })
      yield* channel.exchangeDelete({ exchange: "jobs" })
      const put = yield* Effect.fork(jobs.put("again"))
      yield* after(put)
      assert.strictEqual((yield* jobs.get()).value, "again")
      yield* channel.queueDelete({ queue: "jobs" })
      const size = yield* Effect.fork(jobs.size)
      assert.strictEqual(yield* after(size), 0)
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("fails a wait whose queue is deleted with ConsumerCancelled", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      const waiting = yield* Effect.fork(Effect.flip(jobs.get()))
      yield* pass
      const channel = yield* Channel.make()
      yield* channel.queueDelete({ queue: "jobs" })
      assert.strictEqual((yield* after(waiting))._tag, "ConsumerCancelled")
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("gives back what was not settled when it is closed, and takes nothing afterwards", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", text)
      yield* jobs.put("1")
      yield* jobs.get()
      yield* jobs.close
      yield* pass
      assert.deepStrictEqual(yield* look("jobs"), { ready: 1, unsettled: 0, consumers: 0 })
      assert.deepInclude({ ...yield* Effect.flip(jobs.put("2")) }, { _tag: "ChannelError", reason: "Closed" })
    }).pipe(Effect.provide(Embedded)))
})

describe("SimpleQueue.buffer", () => {
  it.scoped("is transient, exclusive, auto-delete, and settles what is got", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      yield* buffer.put("1")
      yield* buffer.put("2")
      const { delivery, value } = yield* buffer.get()
      assert.deepStrictEqual([value, delivery.properties.deliveryMode], ["1", undefined])
      assert.strictEqual((yield* look("scratch")).unsettled, 0)
      assert.strictEqual((yield* buffer.get()).value, "2")
      yield* buffer.close
      yield* pass
      assert.deepStrictEqual(yield* broker.queues(), [])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("counts and clears also what it holds here", () =>
    Effect.gen(function*() {
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      yield* buffer.put("0")
      yield* buffer.get()
      for (const each of ["1", "2", "3"]) yield* buffer.put(each)
      yield* pass
      assert.strictEqual(yield* buffer.size, 3)
      assert.strictEqual((yield* Effect.flatten(buffer.getNoWait)).value, "1")
      assert.strictEqual(yield* buffer.clear, 2)
      assert.isTrue(Option.isNone(yield* buffer.getNoWait))
    }).pipe(Effect.provide(Embedded)))

  it.scoped("wakes one waiting get for each value, whoever gave up meanwhile", () =>
    Effect.gen(function*() {
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      const first = yield* Effect.fork(buffer.get())
      const second = yield* Effect.fork(buffer.get({ timeout: "10 seconds" }))
      yield* pass
      yield* Fiber.interrupt(first)
      yield* buffer.put("1")
      assert.strictEqual((yield* after(second, 1)).value, "1")
      const late = yield* Effect.fork(Effect.flip(buffer.get({ timeout: "2 seconds" })))
      assert.strictEqual((yield* after(late))._tag, "OperationTimeout")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails the gets that wait when its scope closes, and those that come later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const buffer = yield* Scope.extend(SimpleQueue.buffer("scratch", text), scope)
      const waiting = [yield* Effect.fork(Effect.flip(buffer.get())), yield* Effect.fork(Effect.flip(buffer.get()))]
      yield* pass
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      const faults = [...yield* Effect.forEach(waiting, (fiber) => after(fiber, 1))]
      yield* after(closing, 1)
      for (let count = 0; count < 3; count++) {
        faults.push(yield* after(yield* Effect.fork(Effect.flip(buffer.get())), 1))
      }
      for (const fault of faults) {
        assert.deepInclude<object>({ ...fault }, { _tag: "ChannelError", reason: "Closed" })
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails a first get after its scope has closed", () =>
    Effect.gen(function*() {
      const buffer = yield* Effect.scoped(SimpleQueue.buffer("scratch", text))
      const fault = yield* after(yield* Effect.fork(Effect.flip(buffer.get())), 1)
      assert.deepInclude<object>({ ...fault }, { _tag: "ChannelError", reason: "Closed" })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("tells a get of its end wherever other fibers run in between", () =>
    Effect.gen(function*() {
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      yield* buffer.close
      for (let ops = 12; ops < 70; ops++) {
        const getting = yield* Effect.fork(Effect.withMaxOpsBeforeYield(Effect.flip(buffer.get()), ops))
        yield* pass
        assert.isNotNull(getting.unsafePoll(), `a yield after ${ops} operations`)
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("has one consumer for gets that begin together, wherever they take turns", () =>
    Effect.gen(function*() {
      for (let ops = 12; ops < 70; ops++) {
        const buffer = yield* SimpleQueue.buffer("scratch", text)
        const getting = Effect.fork(Effect.withMaxOpsBeforeYield(buffer.get(), ops))
        const waiting = [yield* getting, yield* getting, yield* getting]
        yield* pass
        assert.strictEqual((yield* look("scratch")).consumers, 1, `a yield after ${ops} operations`)
        yield* Fiber.interruptAll(waiting)
        yield* buffer.close
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("keeps the value of a getNoWait that is interrupted while the broker answers", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      yield* buffer.put("1")
      const delay = yield* broker.delay("300 millis")
      const getting = yield* Effect.fork(buffer.getNoWait)
      yield* pass
      yield* Fiber.interrupt(getting)
      yield* TestClock.adjust("2 seconds")
      yield* delay.heal
      assert.deepStrictEqual(yield* look("scratch"), { ready: 1, unsettled: 0, consumers: 0 })
      assert.strictEqual((yield* Effect.flatten(buffer.getNoWait)).value, "1")
      yield* pass
      assert.strictEqual((yield* look("scratch")).unsettled, 0)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("is declared again on a new socket, and a waiting get goes on", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      const waiting = yield* Effect.fork(buffer.get())
      yield* pass
      yield* broker.drop()
      yield* TestClock.adjust("5 seconds")
      const put = yield* Effect.fork(buffer.put("after"))
      yield* after(put)
      assert.strictEqual((yield* after(waiting)).value, "after")
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("is waited on across a loss also where nothing else is restored, as a queue is", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const buffer = yield* SimpleQueue.buffer("scratch", text)
      const jobs = yield* SimpleQueue.make("jobs", text)
      const waiting = [yield* Effect.fork(buffer.get()), yield* Effect.fork(jobs.get())] as const
      yield* pass
      yield* broker.drop()
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(waiting.map((fiber) => fiber.unsafePoll()), [null, null])
      yield* buffer.put("1")
      yield* jobs.put("2")
      assert.strictEqual((yield* after(waiting[0])).value, "1")
      assert.strictEqual((yield* after(waiting[1])).value, "2")
    }).pipe(
      quietly,
      Effect.provide(
        Connection.layer({ url: "memory://", recovery: { mode: "none" } }).pipe(Layer.provideMerge(Broker.layerMemory))
      )
    ))

  it.scoped("is shared by two connections when it is not exclusive", () =>
    Effect.gen(function*() {
      const one = yield* SimpleQueue.buffer("shared", { ...text, exclusive: false })
      const other = yield* second(SimpleQueue.buffer("shared", { ...text, exclusive: false }))
      yield* one.put("hello")
      assert.strictEqual((yield* other.get()).value, "hello")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("is nobody else's when it is exclusive", () =>
    Effect.gen(function*() {
      yield* SimpleQueue.buffer("mine", text)
      const error = yield* Effect.flip(second(SimpleQueue.buffer("mine", text)))
      assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "ResourceLocked" })
    }).pipe(quietly, Effect.provide(Embedded)))
})
