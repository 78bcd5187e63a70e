import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Connection from "../../src/amqp091/Connection.ts"
import * as Consumer from "../../src/amqp091/Consumer.ts"
import type { Content, Delivery } from "../../src/amqp091/Message.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Publisher from "../../src/amqp091/Publisher.ts"
import * as Broker from "../../src/broker/Broker.ts"
import * as Metrics from "../../src/Metrics.ts"
import { drained, Embedded, eventually, look, pass, queueOf, warnings } from "./onBroker.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

const texts = { queue: "q", content: Message.text }

const empty = { ready: 0, unsettled: 0, consumers: 0 }

const publish = (queue: string, ...contents: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(
    Publisher.make({ routingKey: queue, content: Message.text }),
    (publisher) => publisher.publishAll(contents)
  ))

describe("Consumer.run", () => {
  it.scoped("hands over values in order, one at a time, and acknowledges them", () =>
    Effect.gen(function*() {
      const Order = Schema.parseJson(Schema.Struct({ id: Schema.Number }))
      yield* queueOf("q", ...numbers(50).map((id) => Schema.encodeSync(Order)({ id: Number(id) })))
      const seen: Array<number> = []
      let running = 0
      const content = Message.json(Schema.Struct({ id: Schema.Number }))
      const fiber = yield* Effect.fork(Consumer.run({ queue: "q", content }, ({ id }, delivery) =>
        Effect.gen(function*() {
          assert.strictEqual(++running, 1)
          assert.strictEqual(delivery.routingKey, "q")
          yield* Effect.yieldNow()
          seen.push(id)
          running--
        })))
      yield* eventually("all are handled", () =>
        seen.length === 50)
      assert.deepStrictEqual(seen, numbers(50).map(Number))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("hands over deliveries that a log may print: what they say of themselves, not what anyone's hold", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.publish({
        routingKey: "q",
        content: "s3cr3t",
        properties: { messageId: "m", headers: { total: 2n ** 60n } }
      })
      const printed: Array<string> = []
      yield* Effect.forkScoped(
        Consumer.run(
          texts,
          (_, delivery) => Effect.sync(() => void printed.push(JSON.stringify(delivery), inspect(delivery)))
        )
      )
      yield* eventually("it is handled", () => printed.length === 2)
      for (const text of printed) {
        assert.match(text, /1152921504606846976/)
        assert.notInclude(text, "s3cr3t")
        assert.notInclude(text, "settler")
      }
      assert.deepInclude(JSON.parse(printed[0] ?? ""), { _id: "Delivery", routingKey: "q", octets: 6 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("runs as many handlers at a time as it may, and no more", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(20))
      let running = 0
      let most = 0
      let done = 0
      const fiber = yield* Effect.fork(Consumer.run({ ...texts, concurrency: 4 }, () =>
        Effect.suspend(() => {
          most = Math.max(most, ++running)
          return Effect.sleep("1 minute")
        }).pipe(Effect.zipRight(Effect.sync(() => {
          running--
          done++
        })))))
      yield* pass
      assert.strictEqual(running, 4)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(done, 4)
      assert.strictEqual(running, 4)
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(done, 20)
      assert.strictEqual(most, 4)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("pauses by a Latch before its handler: no more than the prefetch wait, and go on", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(20))
      const seen: Array<string> = []
      const going = yield* Effect.makeLatch(true)
      yield* Effect.fork(Consumer.run({ ...texts, prefetch: 5 }, (text) =>
        going.whenOpen(Effect.suspend(() => {
          seen.push(text)
          return seen.length === 7 ? going.close : Effect.void
        }))))
      yield* pass
      assert.lengthOf(seen, 7)
      assert.deepStrictEqual(yield* look("q"), { ready: 8, unsettled: 5, consumers: 1 })
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(seen, 7)
      yield* going.open
      yield* eventually("all are handled", () => seen.length === 20)
      assert.deepStrictEqual(seen, numbers(20))
    }).pipe(Effect.provide(Embedded)))

  it.scoped("takes other settings by running anew in its FiberHandle: what runs ends, nothing is lost", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(40))
      const seen = new Set<string>()
      let running = 0
      let most = 0
      const consumer = yield* FiberHandle.make()
      const work = (concurrency: number) =>
        FiberHandle.run(
          consumer,
          Consumer.run({ ...texts, concurrency, prefetch: concurrency }, (text) =>
            Effect.gen(function*() {
              most = Math.max(most, ++running)
              yield* Effect.sleep("1 second")
              running--
              seen.add(text)
            }))
        )
      yield* work(1)
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(most, 1)
      yield* work(6)
      yield* eventually("all are handled", () => seen.size === 40, TestClock.adjust("500 millis"))
      // The one before ends what it was at beside the new one.
      assert.isTrue(most === 6 || most === 7)
      assert.deepStrictEqual(yield* look("q"), { ready: 0, unsettled: 0, consumers: 1 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("starts at once on what comes while some of its handlers are busy", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "slow")
      const started: Array<string> = []
      yield* Effect.fork(Consumer.run({ ...texts, concurrency: 3 }, (text) => {
        started.push(text)
        return text === "slow" ? Effect.never : Effect.void
      }))
      yield* pass
      yield* publish("q", "1")
      yield* publish("q", "2")
      yield* pass
      assert.deepStrictEqual(started, ["slow", "1", "2"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("holds no more messages than its prefetch", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(50))
      yield* Effect.fork(Consumer.run({ ...texts, concurrency: 2, prefetch: 7 }, () => Effect.never))
      yield* pass
      assert.deepStrictEqual(yield* look("q"), { ready: 43, unsettled: 7, consumers: 1 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("settles as its handlers end, or in the order of delivery when asked to", () =>
    Effect.gen(function*() {
      for (const ordered of [false, true]) {
        const queue = ordered ? "ordered" : "unordered"
        yield* queueOf(queue, "slow", "1", "2", "3")
        const fiber = yield* Effect.fork(
          Consumer.run({ ...texts, queue, concurrency: 2, ordered }, (text) =>
            text === "slow" ? Effect.sleep("10 seconds") : Effect.void)
        )
        yield* pass
        assert.strictEqual((yield* look(queue)).unsettled, ordered ? 4 : 1)
        yield* TestClock.adjust("10 seconds")
        yield* pass
        assert.strictEqual((yield* look(queue)).unsettled, 0)
        yield* Fiber.interrupt(fiber)
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("warns when the prefetch is smaller than the concurrency", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q")
      yield* Effect.fork(Consumer.run({ ...texts, concurrency: 5, prefetch: 2 }, () => Effect.void))
      yield* Effect.fork(Consumer.run({ ...texts, concurrency: 5, prefetch: 5 }, () => Effect.void))
      yield* Effect.fork(Consumer.run({ ...texts, concurrency: 5, prefetch: 0 }, () => Effect.void))
      yield* pass
      assert.deepStrictEqual(logged, ["Consumer: Only 2 of 5 handlers can run at a time: that is the prefetch"])
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("hands on the caller's scope, not its own", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1", "2")
      const scope = yield* Scope.make()
      let count = 0
      let finalized = 0
      const fiber = yield* Effect.fork(
        Consumer.run(texts, () => {
          count++
          return Effect.addFinalizer(() => Effect.sync(() => finalized++))
        }).pipe(Effect.provideService(Scope.Scope, scope))
      )
      yield* eventually("both are handled", () => count === 2)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(finalized, 0)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(finalized, 2)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("refuses a concurrency that is none", () =>
    Effect.gen(function*() {
      for (const concurrency of [0, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(Consumer.run({ ...texts, concurrency }, () => Effect.void))
        assert.strictEqual(error._tag === "ChannelError" && error.reason, "Refused")
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails at once when there is no such queue", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Consumer.run(texts, () => Effect.void))
      assert.strictEqual(error._tag === "ChannelError" && error.reason, "NotFound")
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("fails when its queue is deleted, after its running handlers", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1")
      let ended = false
      const fiber = yield* Effect.fork(Effect.flip(
        Consumer.run(texts, () =>
          Effect.zipRight(
            Effect.sleep("10 seconds"),
            Effect.sync(() => {
              ended = true
            })
          ))
      ))
      yield* pass
      yield* Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDelete({ queue: "q" })))
      yield* pass
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ConsumerCancelled")
      assert.isTrue(ended)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("ends with the connection", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const fiber = yield* Effect.fork(Effect.flip(Consumer.run(texts, () => Effect.void)))
      yield* pass
      yield* Effect.flatMap(Connection.Connection, (connection) => connection.close())
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ConnectionClosed")
    }).pipe(Effect.provide(Embedded)))
})

const thrown = (): Effect.Effect<never> => {
  throw new TypeError("no")
}

describe("Consumer.run: onFailure", () => {
  const failing = {
    "a failure": Effect.fail("no"),
    "a defect": Effect.die("no"),
    "an interruption of its own": Effect.interrupt
  }

  for (const [name, how] of [...Object.entries(failing), ["a throw", Effect.suspend(thrown)] as const]) {
    it.scoped(`requeue-once: a poison message comes twice, then it is rejected (${name})`, () => {
      const logged: Array<string> = []
      return Effect.gen(function*() {
        yield* queueOf("q")
        yield* publish("q", "1", "poison", "2")
        const seen: Array<readonly [string, boolean]> = []
        const fiber = yield* Effect.fork(Consumer.run(texts, (text, { redelivered }) => {
          seen.push([text, redelivered])
          return text === "poison" ? how : Effect.void
        }))
        yield* eventually("it comes twice", () => seen.length === 4)
        yield* pass
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(seen, [["1", false], ["poison", false], ["2", false], ["poison", true]])
        assert.deepStrictEqual(yield* look("q"), empty)
        assert.deepStrictEqual(logged, [
          "Consumer: A handler failed, and its message was requeued",
          "Consumer: A handler failed, and its message was rejected"
        ])
      }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
    })
  }

  it.scoped("a handler that throws, instead of returning an Effect, has failed", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "poison")
      let count = 0
      const fiber = yield* Effect.fork(Consumer.run(texts, () => {
        count++
        return thrown()
      }))
      yield* eventually("it comes twice", () => count === 2)
      yield* pass
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("requeue: it comes until it is handled", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1")
      let count = 0
      const fiber = yield* Effect.fork(
        Consumer.run({ ...texts, onFailure: "requeue" }, () => ++count < 5 ? Effect.fail("no") : Effect.void)
      )
      yield* eventually("it is handled", () => count === 5)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("reject: it comes once", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      yield* publish("q", "1")
      let count = 0
      const fiber = yield* Effect.fork(Consumer.run({ ...texts, onFailure: "reject" }, () => {
        count++
        return Effect.fail("no")
      }))
      yield* pass
      yield* pass
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(count, 1)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("a function decides from the cause, and what it says goes", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q")
      yield* publish("q", "ack", "reject", "requeue", "die")
      const causes: Array<string> = []
      let requeued = 0
      const handler = (text: string, delivery: Delivery): Effect.Effect<void, string> => {
        if (text === "requeue" && delivery.redelivered) {
          requeued++
          return Effect.void
        }
        return text === "die" ? Effect.die("die") : Effect.fail(text)
      }
      const fiber = yield* Effect.fork(Consumer.run({
        ...texts,
        onFailure: (cause, delivery) =>
          Effect.sync(() => {
            causes.push(Cause.pretty(cause).split("\n", 1)[0] ?? "")
            assert.strictEqual(delivery.routingKey, "q")
            return Cause.isDie(cause) ? "ack" : Cause.squash(cause) as Consumer.Settlement
          })
      }, handler))
      yield* eventually("all are decided", () => causes.length === 4 && requeued === 1)
      yield* pass
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
      assert.deepStrictEqual(logged, [])
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("a function that dies leaves it to requeue-once, and the consumer lives", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "poison", "fine")
      const seen: Array<string> = []
      const fiber = yield* Effect.fork(
        Consumer.run({ ...texts, onFailure: () => Effect.die("worse") }, (text) => {
          seen.push(text)
          return text === "poison" ? Effect.fail("no") : Effect.void
        })
      )
      yield* eventually("it comes twice", () => seen.length === 3)
      yield* pass
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(seen, ["poison", "fine", "poison"])
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("what the handler settles itself stands, whether it succeeds or fails", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q")
      yield* publish("q", "ack", "reject")
      for (const ordered of [false, true]) {
        const fiber = yield* Effect.fork(
          Consumer.run(
            { ...texts, concurrency: 2, ordered, onFailure: () => Effect.succeed("requeue") },
            (text, delivery) => text === "ack" ? Effect.zipRight(delivery.ack, Effect.fail("no")) : delivery.reject()
          )
        )
        yield* pass
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* look("q"), empty)
        yield* publish("q", "ack", "reject")
      }
      assert.deepStrictEqual(logged, [])
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("an undecodable content is rejected, logged and counted, and the consumer lives", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q")
      yield* publish("q", "{}", "hunter2", "{}")
      const before = (yield* Metric.value(Metrics.undecodable)).count
      let handled = 0
      const slow: Content<object> = {
        contentType: "application/json",
        encode: () => Effect.succeed("{}"),
        decode: ({ content }) =>
          Effect.zipRight(Effect.yieldNow(), Message.json(Schema.Struct({})).decode({ content, properties: {} }))
      }
      const lenient = {
        ...slow,
        decode: ({ content }: Pick<Delivery, "content">) =>
          Message.json(Schema.Struct({})).decode({ content, properties: {} })
      }
      for (const content of [slow, lenient]) {
        const fiber = yield* Effect.fork(
          Consumer.run({ queue: "q", content, consumerTag: "mine" }, () => Effect.sync(() => handled++))
        )
        yield* pass
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(handled, 2)
        yield* publish("q", "{}", "hunter2", "{}")
        handled = 0
      }
      assert.strictEqual((yield* Metric.value(Metrics.undecodable)).count - before, 2)
      assert.strictEqual(logged.length, 2)
      for (const line of logged) {
        assert.strictEqual(
          line,
          `Consumer: Rejected a delivery to consumer "mine": Cannot decode application/json: it is not JSON (Json)`
        )
      }
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })
})

describe("Consumer.run: the end", () => {
  it.scoped("interrupted, it starts nothing, lets handlers finish, and gives back the rest", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(10))
      const started: Array<string> = []
      const finished: Array<string> = []
      const fiber = yield* Effect.fork(
        Consumer.run({ ...texts, concurrency: 2, prefetch: 5 }, (text) =>
          Effect.suspend(() => {
            started.push(text)
            return Effect.sleep("10 seconds")
          }).pipe(Effect.zipRight(Effect.sync(() => finished.push(text)))))
      )
      yield* pass
      const end = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("9 seconds")
      assert.isNull(end.unsafePoll())
      // Cancelled already: what comes now is for others.
      assert.strictEqual((yield* look("q")).consumers, 0)
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(end)))
      assert.deepStrictEqual(started, ["0", "1"])
      assert.sameMembers(finished, ["0", "1"])
      assert.deepStrictEqual(yield* drained("q"), numbers(10).slice(2))
    }).pipe(Effect.provide(Embedded)))

  it.scoped("a handler that takes longer than drainTimeout is interrupted, and its message given back", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1", "2", "3")
      for (const [ordered, drainTimeout] of [[false, "5 seconds"], [true, "5 seconds"], [false, undefined]] as const) {
        let interrupted = 0
        const fiber = yield* Effect.fork(
          Consumer.run(
            { ...texts, concurrency: 2, ordered, drainTimeout },
            () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
          )
        )
        yield* pass
        const end = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust(drainTimeout === undefined ? "29 seconds" : "4 seconds")
        assert.isNull(end.unsafePoll())
        assert.strictEqual(interrupted, 0)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(end)
        assert.strictEqual(interrupted, 2)
        assert.deepStrictEqual(yield* look("q"), { ready: 3, unsettled: 0, consumers: 0 })
      }
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("a handler that fails while the consumer ends is treated as ever", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      yield* publish("q", "1")
      const fiber = yield* Effect.fork(Consumer.run(
        { ...texts, onFailure: "reject" },
        () => Effect.zipRight(Effect.sleep("1 second"), Effect.fail("no"))
      ))
      yield* pass
      const end = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(end)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("ends within drainTimeout while the connection is away", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1", "2")
      const broker = yield* Broker.Broker
      const seen: Array<string> = []
      const fiber = yield* Effect.fork(Consumer.run(texts, (text) => {
        seen.push(text)
        return seen.length === 2 ? Effect.never : Effect.void
      }))
      yield* pass
      yield* broker.refuse()
      yield* broker.dropConnections
      const end = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("29 seconds")
      assert.isNull(end.unsafePoll())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(end)
      assert.deepStrictEqual(yield* look("q"), { ready: 1, unsettled: 0, consumers: 0 })
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("leaves no channel and no consumer and gives everything back, whenever it is interrupted", () =>
    Effect.gen(function*() {
      yield* queueOf("q", "1", "2", "3")
      const broker = yield* Broker.Broker
      for (let steps = 0; steps < 60; steps++) {
        const fiber = yield* Effect.fork(
          Consumer.run({ ...texts, concurrency: 2, onFailure: "requeue" }, () => Effect.fail("no"))
        )
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* broker.connections)[0]?.channels, 0, `after ${steps} steps`)
        assert.deepStrictEqual(yield* look("q"), { ready: 3, unsettled: 0, consumers: 0 })
      }
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))
})

describe("Consumer.run and lost connections", () => {
  it.scoped("what was delivered and not started on is dropped, and comes again; running handlers go on", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q", ...numbers(6))
      const broker = yield* Broker.Broker
      const seen: Array<readonly [string, boolean]> = []
      const fiber = yield* Effect.fork(Consumer.run(texts, (text, { redelivered }) => {
        seen.push([text, redelivered])
        return text === "1" && !redelivered ? Effect.sleep("10 seconds") : Effect.void
      }))
      yield* eventually("the second runs", () => seen.length === 2)
      yield* broker.dropConnections
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(seen, [["0", false], ["1", false]])
      yield* TestClock.adjust("2 seconds")
      yield* pass
      assert.deepStrictEqual(
        seen.slice(2),
        [["1", true], ["2", true], ["3", true], ["4", true], ["5", true]]
      )
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* look("q"), empty)
      assert.strictEqual(logged.filter((line) => line.includes("cannot be settled (Stale)")).length, 1)
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("handles everything at least once, whatever is cut", () =>
    Effect.gen(function*() {
      yield* queueOf("q")
      const broker = yield* Broker.Broker
      const sent = numbers(200)
      const handled = new Set<string>()
      const consumer = yield* Effect.fork(
        Consumer.run({ ...texts, concurrency: 3, prefetch: 10 }, (text) =>
          Effect.zipRight(Effect.sleep("5 millis"), Effect.sync(() => handled.add(text))))
      )
      const publisher = yield* Publisher.make({
        routingKey: "q",
        content: Message.text,
        guarantee: "at-least-once",
        window: 10
      })
      const publishing = yield* Effect.fork(Stream.run(Stream.fromIterable(sent), publisher.sink))
      for (let cut = 0; cut < 3; cut++) {
        yield* eventually("half of the rest is handled", () =>
          handled.size >= (cut + 1) * 50)
        yield* broker.dropConnections
      }
      yield* eventually("all are handled", () => handled.size === sent.length)
      yield* Fiber.join(publishing)
      yield* Fiber.interrupt(consumer)
      assert.deepStrictEqual(yield* look("q"), empty)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))
})

describe("Consumer.stream", () => {
  const Line = Message.json(Schema.Number)
  const numbersOf = (queue: string) => ({ queue, content: Line })

  it.scoped("gives values with their deliveries, rejects what cannot be decoded, and closes its channel", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q")
      yield* Effect.scoped(Effect.flatMap(
        Channel.makeConfirm(),
        (channel) => channel.publishAll(["1", "x", "2", "3"].map((content) => ({ routingKey: "q", content })))
      ))
      const broker = yield* Broker.Broker
      const values = yield* Consumer.stream(numbersOf("q")).pipe(
        Stream.tap(({ delivery }) => delivery.ack),
        Stream.map(({ value }) => value),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(values), [1, 2])
      assert.strictEqual((yield* broker.connections)[0]?.channels, 0)
      assert.deepStrictEqual(yield* drained("q"), ["3"])
      assert.strictEqual(logged.length, 1)
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("outlives cuts of the connection", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...numbers(20))
      const broker = yield* Broker.Broker
      const seen = new Set<number>()
      const fiber = yield* Consumer.stream({ ...numbersOf("q"), prefetch: 3 }).pipe(
        Stream.runForEach(({ delivery, value }) =>
          Effect.gen(function*() {
            seen.add(value)
            if (seen.size % 7 === 0) yield* broker.dropConnections
            yield* delivery.ack
          })
        ),
        Effect.fork
      )
      yield* eventually("all are seen", () => seen.size === 20)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("takes without acknowledgement when asked to", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      yield* queueOf("q", "1", "x", "2")
      const values = yield* Consumer.stream({ ...numbersOf("q"), noAck: true }).pipe(
        Stream.map(({ value }) => value),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(values), [1, 2])
      assert.deepStrictEqual(yield* look("q"), empty)
      assert.strictEqual(logged.length, 1)
    }).pipe(Effect.provide(warnings(logged)), Effect.provide(Embedded))
  })

  it.scoped("fails when there is no such queue", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Stream.runDrain(Consumer.stream(numbersOf("missing"))))
      assert.strictEqual(error._tag === "ChannelError" && error.reason, "NotFound")
    }).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))
})
