import { assert, describe, it } from "@effect/vitest"
import { Arguments, Channel, Connection, Topology } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Embedded, look } from "./onBroker.ts"

const orders: Topology.Topology = {
  exchanges: [{ exchange: "orders", type: "topic" }, { exchange: "audit", type: "fanout" }],
  queues: [{ queue: "billing", arguments: Arguments.queue({ maxLength: 10 }) }, { queue: "log" }],
  bindings: [
    { queue: "billing", exchange: "orders", routingKey: "order.#" },
    { destination: "audit", source: "orders", routingKey: "#" },
    { queue: "log", exchange: "audit" }
  ]
}

const deleteAll = (channel: Channel.ChannelBase) =>
  Effect.all([
    channel.queueDelete({ queue: "billing" }),
    channel.queueDelete({ queue: "log" }),
    channel.exchangeDelete({ exchange: "orders" }),
    channel.exchangeDelete({ exchange: "audit" })
  ])

/** A message goes all the ways that `orders` has. */
const checked = (channel: Channel.ConfirmChannel) =>
  Effect.gen(function*() {
    yield* channel.queuePurge("billing")
    yield* channel.queuePurge("log")
    yield* channel.publish({ exchange: "orders", routingKey: "order.eu", content: "1", mandatory: true })
    yield* channel.publish({ exchange: "orders", routingKey: "else", content: "2", mandatory: true })
    assert.deepStrictEqual([(yield* look("billing")).ready, (yield* look("log")).ready], [1, 2])
  })

const steps = ({ steps }: Topology.Plan) => steps.map(({ _tag }) => _tag)

const With = (recovery: Topology.RecoveryOptions) =>
  Connection.layer({ url: "memory://", recovery }).pipe(Layer.provideMerge(Broker.layerMemory))

describe("Topology.layer", () => {
  for (const mode of ["all", "transientOnly", "consumersOnly", "none"] as const) {
    it.scoped(`is there before what is built on it, and again after each loss (recovery: ${mode})`, () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const channel = yield* Channel.makeConfirm()
        yield* checked(channel)
        for (const _ of [1, 2]) {
          yield* deleteAll(channel)
          yield* broker.dropConnections
          yield* TestClock.adjust("1 second")
          yield* checked(channel)
        }
      }).pipe(Effect.provide(Topology.layer(orders)), Effect.provide(With({ mode, filter: () => false }))))
  }

  it.scoped("binds a queue that the broker named, by whichever name it has", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.makeConfirm()
      const queue = yield* channel.queueDeclare()
      yield* Topology.declare({ bindings: [{ queue, exchange: "amq.fanout" }] })
      for (const _ of [1, 2]) {
        const { queue: before } = queue
        yield* broker.dropConnections
        yield* TestClock.adjust("1 second")
        assert.notStrictEqual(queue.queue, before)
        yield* channel.publish({ exchange: "amq.fanout", content: "1", mandatory: true })
        assert.strictEqual((yield* look(queue.queue)).ready, 1)
      }
    }).pipe(Effect.provide(Embedded)))

  it.scoped("ends with its scope: what was declared is left as it is", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.makeConfirm()
      const scope = yield* Scope.make()
      yield* Scope.extend(Layer.build(Topology.layer(orders)), scope)
      yield* Scope.close(scope, Exit.void)
      yield* checked(channel)
      yield* deleteAll(channel)
      yield* broker.dropConnections
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Channel.queueExists("log"))._tag, "None")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("that is lost while it is declared is declared all the same, also what is exclusive", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const queues = Array.from({ length: 20 }, (_, index) => ({ queue: `q${index}`, exclusive: true }))
      yield* broker.dropAfter(10, { of: "broker" })
      const declaring = yield* Effect.fork(Topology.declare({ queues }))
      yield* TestClock.adjust("1 second")
      yield* declaring
      assert.lengthOf(yield* broker.queues(), 20)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails with what the broker refuses first, and is not kept then", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "billing" })
      const fault = yield* Effect.flip(Effect.scoped(Layer.build(Topology.layer(orders))))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "PreconditionFailed")
      yield* channel.queueDelete({ queue: "billing" })
      yield* broker.dropConnections
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Channel.queueExists("billing"))._tag, "None")
      assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [1])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("refuses a queue without a name", () =>
    Effect.gen(function*() {
      const fault = yield* Effect.flip(Topology.declare({ queues: [{ queue: "" }] }))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "Refused")
    }).pipe(Effect.provide(Embedded)))
})

describe("Topology.plan", () => {
  it.scoped("says what would be made, makes nothing, and then what is the same", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const before = yield* Topology.plan(orders)
      assert.deepStrictEqual(steps(before), Array.from({ length: 7 }, () => "Create"))
      assert.isTrue(before.isPossible)
      assert.deepStrictEqual(yield* broker.queues(), [])
      assert.isFalse(yield* Channel.exchangeExists("orders"))
      yield* Topology.declare(orders)
      const after = yield* Topology.plan(orders)
      assert.deepStrictEqual(steps(after), ["Same", "Same", "Same", "Same", "Unknown", "Unknown", "Unknown"])
      assert.isTrue(after.isPossible)
      assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [0])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("says which argument is in the way, and of which value", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.exchangeDeclare({ exchange: "orders", type: "direct" })
      yield* channel.queueDeclare({ queue: "billing", arguments: Arguments.queue({ maxLength: 5 }) })
      yield* channel.queueDeclare({ queue: "log", durable: false })
      const plan = yield* Topology.plan(orders)
      assert.isFalse(plan.isPossible)
      assert.deepStrictEqual(Topology.show(plan).split("\n"), [
        "conflict  exchange \"orders\" (topic): type is direct, wanted topic",
        "create    exchange \"audit\" (fanout)",
        "conflict  queue \"billing\": x-max-length is 5, wanted 10",
        "conflict  queue \"log\": durable is false, wanted true",
        "unknown   binding \"orders\" -> queue \"billing\", routing key \"order.#\"",
        "create    binding \"orders\" -> exchange \"audit\", routing key \"#\"",
        "create    binding \"audit\" -> queue \"log\", routing key \"\""
      ])
      const [first] = plan.steps
      assert.include(first?._tag === "Conflict" ? first.text : "", "PRECONDITION_FAILED")
      assert.isFalse(yield* Channel.exchangeExists("audit"))
    }).pipe(Effect.provide(Embedded)))

  it.scoped("says what a binding lacks", () =>
    Effect.gen(function*() {
      const plan = yield* Topology.plan({
        bindings: [
          { queue: "none", exchange: "amq.topic" },
          { queue: "none", exchange: "nowhere" },
          { destination: "nowhere", source: "amq.topic" },
          { destination: "amq.topic", source: "nowhere" }
        ]
      })
      assert.deepStrictEqual(
        plan.steps.map((step) => step._tag === "Conflict" ? [step.argument, step.wanted, step.current] : []),
        [
          ["queue", "none", undefined],
          ["exchange", "nowhere", undefined],
          ["destination", "nowhere", undefined],
          ["source", "nowhere", undefined]
        ]
      )
      assert.isFalse(plan.isPossible)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("says that a name is the broker's own", () =>
    Effect.gen(function*() {
      const plan = yield* Topology.plan({
        exchanges: [{ exchange: "amq.topic", type: "topic" }, { exchange: "amq.mine" }],
        queues: [{ queue: "amq.mine" }],
        bindings: [{ queue: "amq.mine", exchange: "amq.topic" }]
      })
      assert.deepStrictEqual(Topology.show(plan).split("\n"), [
        "same      exchange \"amq.topic\" (topic)",
        "conflict  exchange \"amq.mine\" (direct): names with amq. are the broker's",
        "conflict  queue \"amq.mine\": names with amq. are the broker's",
        "conflict  binding \"amq.topic\" -> queue \"amq.mine\", routing key \"\": queue is absent, wanted amq.mine"
      ])
      assert.isFalse(plan.isPossible)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("says that a queue is exclusive to somebody else, or cannot be to us", () =>
    Effect.gen(function*() {
      const theirs = yield* Connection.make({ url: "memory://" })
      const their = yield* Effect.provideService(Channel.make(), Connection.Connection, theirs)
      yield* their.queueDeclare({ queue: "theirs", exclusive: true })
      yield* their.queueDeclare({ queue: "everybody's", durable: false })
      const plan = yield* Topology.plan({
        queues: [{ queue: "theirs" }, { queue: "everybody's", exclusive: true }]
      })
      assert.deepStrictEqual(
        plan.steps.map((step) => step._tag === "Conflict" ? [step.argument, step.wanted, step.current] : []),
        [["exclusive", "false", "another connection's"], ["exclusive", "true", "false"]]
      )
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails where the user may not ask", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* broker.addUser({
        name: "reader",
        password: Redacted.make("pw"),
        permissions: { configure: /^mine$/, write: /.*/, read: /.*/ }
      })
      yield* Topology.declare(orders)
      const reader = yield* Connection.make({ url: "memory://reader:pw@broker" })
      const fault = yield* Effect.flip(Effect.provideService(Topology.plan(orders), Connection.Connection, reader))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "AccessRefused")
    }).pipe(Effect.provide(Embedded)))
})
