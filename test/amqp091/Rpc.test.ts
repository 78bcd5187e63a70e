import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Rpc from "../../src/amqp091/Rpc.ts"
import * as Broker from "../../src/broker/Broker.ts"
import * as Metrics from "../../src/Metrics.ts"
import { drained, Embedded, eventually, look, pass, warnings } from "./onBroker.ts"

const logs: Array<string> = []
const quietly = Effect.provide(warnings(logs))

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Number }) {}

const withdraw = Rpc.procedure({
  queue: "withdraw",
  request: Message.json(Schema.Number),
  response: Message.json(Schema.Struct({ left: Schema.Number })),
  error: Message.json(Overdrawn)
})

const declare = (queue: string) =>
  Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDeclare({ queue })))

/** Joins a fiber once time has passed for it. */
const after = <A, E>(fiber: Fiber.Fiber<A, E>, ticks = 20) =>
  Effect.zipRight(Effect.repeatN(pass, ticks), Fiber.join(fiber))

const run = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flatMap(Effect.fork(effect), (fiber) => after(fiber))

/** Answers with the text in upper case, as often as it is asked. */
const shouting = Effect.zipRight(
  declare("shout"),
  Effect.forkScoped(Rpc.serve({ queue: "shout" }, (_, delivery) => Effect.succeed(delivery.text.toUpperCase())))
)

const serving = (concurrency = 1) =>
  Effect.zipRight(
    declare("withdraw"),
    Effect.forkScoped(Rpc.serve({ ...withdraw, concurrency }, (amount) =>
      amount === 0
        ? Effect.die("no such amount")
        : amount > 100
        ? Effect.fail(new Overdrawn({ balance: 100 }))
        : Effect.succeed({ left: 100 - amount })))
  )

const shout = (content: string, timeout?: Rpc.CallOptions["timeout"]): Rpc.CallOptions => ({
  routingKey: "shout",
  content,
  timeout
})

const modes = ["direct", "queue"] as const

for (const replies of modes) {
  const open = Rpc.client({ replies })

  describe(`Rpc.client, replies: ${replies}`, () => {
    it.scoped("calls a server, and gives its reply", () =>
      Effect.gen(function*() {
        yield* shouting
        const rpc = yield* open
        const reply = yield* run(rpc.call(shout("hello")))
        assert.strictEqual(reply.text, "HELLO")
        assert.strictEqual(yield* rpc.pending, 0)
        yield* pass
        assert.deepStrictEqual(yield* look("shout"), { ready: 0, unsettled: 0, consumers: 1 })
      }).pipe(Effect.provide(Embedded)))

    it.scoped("gives each of many calls in flight its own reply, in whatever order they come", () =>
      Effect.gen(function*() {
        yield* declare("late")
        // The first is answered last.
        const gate = yield* Deferred.make<void>()
        yield* Effect.forkScoped(Rpc.serve(
          { queue: "late", concurrency: 50 },
          (_, delivery) =>
            delivery.text === "0"
              ? Effect.as(Deferred.await(gate), "zero")
              : delivery.text === "49"
              ? Effect.as(Deferred.succeed(gate, undefined), "49")
              : Effect.succeed(delivery.text)
        ))
        const rpc = yield* open
        const texts = yield* run(Effect.forEach(
          Array.from({ length: 50 }, (_, index) => `${index}`),
          (content) => Effect.map(rpc.call({ routingKey: "late", content }), ({ text }) => text),
          { concurrency: 50 }
        ))
        assert.deepStrictEqual(texts, ["zero", ...Array.from({ length: 49 }, (_, index) => `${index + 1}`)])
      }).pipe(Effect.provide(Embedded)))

    it.scoped("is told at once when nobody serves", () =>
      Effect.gen(function*() {
        const rpc = yield* open
        const error = yield* run(Effect.flip(rpc.call({ routingKey: "nobody", content: "" })))
        assert.deepInclude({ ...error }, { _tag: "PublishReturned", code: 312, routingKey: "nobody" })
        assert.strictEqual(yield* rpc.pending, 0)
      }).pipe(Effect.provide(Embedded)))

    it.scoped("fails OperationTimeout, and the request expires with it", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        const rpc = yield* open
        const fiber = yield* Effect.fork(Effect.flip(
          rpc.call({ routingKey: "slow", content: "", timeout: "5 seconds" })
        ))
        yield* TestClock.adjust("4999 millis")
        assert.isNull(fiber.unsafePoll())
        assert.strictEqual((yield* look("slow")).ready, 1)
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "OperationTimeout")
        assert.strictEqual((yield* look("slow")).ready, 0)
        assert.strictEqual(yield* rpc.pending, 0)
      }).pipe(Effect.provide(Embedded)))

    it.scoped("waits for 30 seconds where nobody says how long", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        const rpc = yield* open
        const fiber = yield* Effect.fork(Effect.flip(rpc.call({ routingKey: "slow", content: "" })))
        yield* TestClock.adjust("29999 millis")
        assert.isNull(fiber.unsafePoll())
        assert.strictEqual((yield* look("slow")).ready, 1)
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(fiber)
        assert.deepInclude({ ...error }, { _tag: "OperationTimeout", operation: "rpc.call" })
        assert.strictEqual((yield* look("slow")).ready, 0)
      }).pipe(Effect.provide(Embedded)))

    it.scoped("keeps each call's own time", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        const rpc = yield* Rpc.client({ replies, timeout: "3 seconds" })
        const call = (timeout?: Rpc.CallOptions["timeout"]) =>
          Effect.fork(Effect.either(rpc.call({ routingKey: "slow", content: "", timeout })))
        const [second, usual, first] = [yield* call("2 seconds"), yield* call(), yield* call("1 second")]
        const done = () => [first, second, usual].map((fiber) => fiber.unsafePoll() !== null)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(done(), [true, false, false])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(done(), [true, true, false])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(done(), [true, true, true])
      }).pipe(Effect.provide(Embedded)))

    it.scoped("drops a reply that comes too late", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        yield* Effect.forkScoped(Rpc.serve(
          { queue: "slow", concurrency: 2 },
          (_, delivery) =>
            delivery.text === "late" ? Effect.as(Effect.sleep("2 seconds"), "late") : Effect.succeed("now")
        ))
        const rpc = yield* open
        const late = yield* Effect.fork(
          Effect.flip(rpc.call({ routingKey: "slow", content: "late", timeout: "1 second" }))
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(late))._tag, "OperationTimeout")
        const next = yield* Effect.fork(rpc.call({ routingKey: "slow", content: "" }))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(next)).text, "now")
      }).pipe(Effect.provide(Embedded)))

    it.scoped("fails what was sent with RpcError Lost when the socket goes, and works on the next one", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* declare("slow")
        yield* shouting
        const rpc = yield* open
        const waiting = yield* Effect.fork(Effect.flip(rpc.call({ routingKey: "slow", content: "" })))
        yield* pass
        yield* broker.drop()
        const lost = yield* after(waiting)
        assert.deepInclude({ ...lost }, { _tag: "RpcError", reason: "Lost", routingKey: "slow" })
        assert.include(lost.message, "Lost the connection")
        // While it is away, a call waits for it.
        const next = yield* Effect.fork(rpc.call(shout("again")))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* after(next)).text, "AGAIN")
      }).pipe(quietly, Effect.provide(Embedded)))

    it.scoped("sends a call that waits across two losses once it can, with the address of then", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* shouting
        const rpc = yield* open
        const alarm = yield* broker.block("memory")
        yield* pass
        const fiber = yield* Effect.fork(rpc.call(shout("patience", "20 seconds")))
        for (let count = 0; count < 2; count++) {
          yield* broker.drop()
          yield* TestClock.adjust("1 second")
        }
        assert.isNull(fiber.unsafePoll())
        yield* alarm.heal
        assert.strictEqual((yield* after(fiber, 100)).text, "PATIENCE")
      }).pipe(quietly, Effect.provide(Embedded)))

    it.scoped("tells the call to a missing exchange so, and the others that they are lost", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        yield* shouting
        const rpc = yield* open
        const other = yield* Effect.fork(Effect.flip(rpc.call({ routingKey: "slow", content: "" })))
        yield* pass
        const error = yield* run(Effect.flip(rpc.call({ exchange: "none", routingKey: "", content: "" })))
        assert.deepInclude({ ...error }, { _tag: "ChannelError", reason: "NotFound" })
        assert.deepInclude({ ...yield* after(other) }, { _tag: "RpcError", reason: "Lost" })
        assert.strictEqual((yield* run(rpc.call(shout("still")))).text, "STILL")
      }).pipe(quietly, Effect.provide(Embedded)))

    it.scoped("fails what waits when its scope closes, and everything afterwards", () =>
      Effect.gen(function*() {
        yield* declare("slow")
        const { fiber, rpc } = yield* Effect.scoped(Effect.gen(function*() {
          const rpc = yield* open
          const fiber = yield* Effect.forkDaemon(Effect.flip(rpc.call({ routingKey: "slow", content: "" })))
          yield* pass
          return { fiber, rpc }
        }))
        assert.deepInclude({ ...yield* after(fiber) }, { _tag: "RpcError", reason: "Lost" })
        const late = yield* Effect.flip(rpc.call({ routingKey: "slow", content: "" }))
        assert.deepInclude({ ...late }, { _tag: "ChannelError", reason: "Closed" })
      }).pipe(Effect.provide(Embedded)))

    it.scoped("does not send what it was given up on, and forgets what never ends", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* declare("slow")
        const rpc = yield* open
        const alarm = yield* broker.block("memory")
        yield* pass
        const held = yield* Effect.fork(rpc.call({ routingKey: "slow", content: "" }))
        yield* pass
        yield* Fiber.interrupt(held)
        assert.strictEqual(yield* rpc.pending, 0)
        yield* alarm.heal
        yield* pass
        assert.strictEqual((yield* look("slow")).ready, 0)
        const endless = yield* Effect.fork(rpc.call({ routingKey: "slow", content: "", timeout: Duration.infinity }))
        yield* pass
        assert.strictEqual(yield* rpc.pending, 1)
        yield* Fiber.interrupt(endless)
        assert.strictEqual(yield* rpc.pending, 0)
      }).pipe(quietly, Effect.provide(Embedded)))

    it.scoped("does not wait for itself: a handler without acknowledgement may call on the same connection", () =>
      Effect.gen(function*() {
        yield* shouting
        const rpc = yield* open
        const channel = yield* Channel.makeConfirm()
        yield* channel.queueDeclare({ queue: "flood" })
        const big = new Uint8Array(1024 * 1024)
        yield* run(channel.publishAll([big, big, big].map((content) => ({ routingKey: "flood", content }))))
        let count = 0
        yield* Effect.forkScoped(
          channel.consume({ queue: "flood", noAck: true }).pipe(
            Stream.runForEach(() => Effect.tap(rpc.call(shout("x")), () => Effect.sync(() => count++)))
          )
        )
        yield* eventually("three calls", () => count === 3)
      }).pipe(Effect.provide(Embedded)))
  })
}

describe("Rpc.client", () => {
  it.scoped("has a new reply queue when its own was deleted", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* shouting
      const rpc = yield* Rpc.client({ replies: "queue" })
      const name = (yield* broker.queues()).find((queue) => queue.name.startsWith("effect-amqp.replies"))?.name ?? ""
      yield* Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDelete({ queue: name })))
      yield* pass
      assert.strictEqual((yield* run(rpc.call(shout("again")))).text, "AGAIN")
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("is a Layer", () =>
    Effect.gen(function*() {
      yield* shouting
      const fiber = yield* Effect.fork(Effect.provide(
        Effect.flatMap(Rpc.Client, (rpc) => rpc.call(shout("hi"))),
        Rpc.layer()
      ))
      assert.strictEqual((yield* after(fiber)).text, "HI")
    }).pipe(Effect.provide(Embedded)))
})

describe("a procedure", () => {
  it.scoped("gives the response by its codec", () =>
    Effect.gen(function*() {
      yield* serving()
      const rpc = yield* Rpc.client()
      assert.deepStrictEqual(yield* run(rpc.ask(withdraw, 30)), { left: 70 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails with what the handler failed with, by its codec", () =>
    Effect.gen(function*() {
      yield* serving()
      const rpc = yield* Rpc.client()
      const error = yield* run(Effect.flip(rpc.ask(withdraw, 500)))
      assert.instanceOf(error, Overdrawn)
      assert.deepInclude({ ...error }, { _tag: "Overdrawn", balance: 100 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails RpcError Failed when the handler dies, of which the log knows more", () =>
    Effect.gen(function*() {
      logs.length = 0
      yield* serving()
      const rpc = yield* Rpc.client()
      const error = yield* run(Effect.flip(rpc.ask(withdraw, 0)))
      assert.deepInclude({ ...error }, { _tag: "RpcError", reason: "Failed", routingKey: "withdraw" })
      assert.notInclude(String(error), "no such amount")
      assert.isTrue(logs.some((line) => line.startsWith("Rpc: A request failed")))
      assert.deepStrictEqual(yield* run(rpc.ask(withdraw, 1)), { left: 99 })
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("fails RpcError Refused when the server cannot read the request", () =>
    Effect.gen(function*() {
      yield* serving()
      const rpc = yield* Rpc.client()
      const other = Rpc.procedure({ ...withdraw, request: Message.json(Schema.String) })
      const error = yield* run(Effect.flip(rpc.ask(other, "much")))
      assert.deepInclude({ ...error }, { _tag: "RpcError", reason: "Refused" })
      assert.include(error.message, "expected number")
      assert.strictEqual((yield* look("withdraw")).unsettled, 0)
    }).pipe(quietly, Effect.provide(Embedded)))

  it.scoped("fails ContentError when the response is not what it says, or the request cannot be encoded", () =>
    Effect.gen(function*() {
      yield* serving()
      const rpc = yield* Rpc.client()
      const other = Rpc.procedure({ ...withdraw, response: Message.json(Schema.String) })
      assert.deepInclude({ ...yield* run(Effect.flip(rpc.ask(other, 1))) }, {
        _tag: "ContentError",
        operation: "decode"
      })
      const small = Rpc.procedure({ ...withdraw, request: Message.json(Schema.Number.pipe(Schema.lessThan(10))) })
      assert.deepInclude({ ...yield* Effect.flip(rpc.ask(small, 11)) }, { _tag: "ContentError", operation: "encode" })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails RpcError Failed for an error it does not know, and for a response without octets", () =>
    Effect.gen(function*() {
      yield* serving()
      const rpc = yield* Rpc.client()
      const { error: _, ...careless } = withdraw
      assert.deepInclude({ ...yield* run(Effect.flip(rpc.ask(Rpc.procedure(careless), 500))) }, {
        _tag: "RpcError",
        reason: "Failed"
      })
      yield* declare("odd")
      const odd = Rpc.procedure({
        queue: "odd",
        request: Message.text,
        response: Message.json(Schema.Number.pipe(Schema.lessThan(10)))
      })
      yield* Effect.forkScoped(Rpc.serve(odd, () => Effect.succeed(11)))
      assert.deepInclude({ ...yield* run(Effect.flip(rpc.ask(odd, ""))) }, { _tag: "RpcError", reason: "Failed" })
    }).pipe(quietly, Effect.provide(Embedded)))
})

describe("Rpc.serve", () => {
  it.scoped("drops a request that says nowhere to reply to, unread, and counts it", () =>
    Effect.gen(function*() {
      const before = (yield* Metric.value(Metrics.unanswerable)).count
      let handled = 0
      yield* declare("shout")
      yield* Effect.forkScoped(Rpc.serve({ queue: "shout" }, () => Effect.sync(() => `${handled++}`)))
      const channel = yield* Channel.makeConfirm()
      yield* run(channel.publish({ routingKey: "shout", content: "" }))
      yield* pass
      assert.deepStrictEqual(yield* look("shout"), { ready: 0, unsettled: 0, consumers: 1 })
      assert.strictEqual(handled, 0)
      assert.strictEqual((yield* Metric.value(Metrics.unanswerable)).count - before, 1)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("counts a reply whose caller's queue has gone", () =>
    Effect.gen(function*() {
      const before = (yield* Metric.value(Metrics.lostReplies)).count
      yield* shouting
      const channel = yield* Channel.makeConfirm()
      yield* run(channel.publish({ routingKey: "shout", content: "", properties: { replyTo: "gone" } }))
      yield* Effect.repeatN(pass, 5)
      assert.strictEqual((yield* Metric.value(Metrics.lostReplies)).count - before, 1)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("replies to a foreign caller's queue with its correlation id, or without", () =>
    Effect.gen(function*() {
      yield* shouting
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "mine" })
      yield* channel.publish({
        routingKey: "shout",
        content: "a",
        properties: { replyTo: "mine", correlationId: "x-1" }
      })
      yield* run(channel.publish({ routingKey: "shout", content: "b", properties: { replyTo: "mine" } }))
      const first = yield* Effect.flatten(channel.get({ queue: "mine", noAck: true }))
      assert.deepStrictEqual(first.delivery.properties, {
        contentType: "application/octet-stream",
        correlationId: "x-1"
      })
      assert.deepStrictEqual(yield* drained("mine"), ["B"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("runs as many handlers at a time as it is told", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      yield* declare("slow")
      yield* Effect.forkScoped(Rpc.serve({ queue: "slow", concurrency: 3 }, () =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          yield* Effect.sleep("1 second")
          running--
          return "done"
        })))
      const rpc = yield* Rpc.client()
      const calls = yield* Effect.fork(Effect.all(
        Array.from({ length: 6 }, () => rpc.call({ routingKey: "slow", content: "" })),
        { concurrency: 6 }
      ))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* after(calls)).length, 6)
      assert.strictEqual(most, 3)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("lets what runs end when it is interrupted, and gives back the rest", () =>
    Effect.gen(function*() {
      yield* declare("slow")
      const server = yield* Effect.fork(Rpc.serve(
        { queue: "slow", concurrency: 1 },
        () => Effect.as(Effect.sleep("1 second"), "done")
      ))
      const rpc = yield* Rpc.client()
      const first = yield* Effect.fork(rpc.call({ routingKey: "slow", content: "1" }))
      const second = yield* Effect.fork(rpc.call({ routingKey: "slow", content: "2", timeout: "1 minute" }))
      yield* pass
      const stopping = yield* Effect.fork(Fiber.interrupt(server))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* after(first)).text, "done")
      yield* after(stopping)
      assert.isNull(second.unsafePoll())
      assert.strictEqual((yield* look("slow")).ready, 1)
    }).pipe(Effect.provide(Embedded)))
})
