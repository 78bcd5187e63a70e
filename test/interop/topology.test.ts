/** What comes back on RabbitMQ when it closes a connection, and when the socket is cut. */
import { assert } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Arguments, Channel, Connection, Retry, Topology } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const quiet = Logger.remove(Logger.defaultLogger)

/** A connection that can be cut, what its recoveries report, and a channel of somebody else. */
const ground = (recovery?: Topology.RecoveryOptions) =>
  Effect.gen(function*() {
    const { url } = yield* SharedRabbitMq
    const network = yield* Transport.cuttable
    const mine = yield* Connection.make({ url, recovery, heartbeat: null }).pipe(
      Effect.provideService(Transport.Transport, network.transport)
    )
    const theirs = yield* Connection.make({ url })
    const reports: Array<Topology.RecoveryReport> = []
    yield* Effect.forkScoped(
      Stream.runForEach(mine.recoveries, (report) => Effect.sync(() => void reports.push(report)))
    )
    yield* Effect.yieldNow()
    const on = Effect.provideService(Connection.Connection, mine)
    const onTheirs = Effect.provideService(Connection.Connection, theirs)
    const other = yield* onTheirs(Channel.makeConfirm())
    const back = (epoch: number) =>
      eventually(Effect.map(mine.state, (state) => state._tag === "Open" && state.epoch >= epoch))
    return { mine, on, onTheirs, other, reports, back, cut: network.cut }
  }).pipe(Effect.provide(NodeTransport.layer))

const eventually = <E>(holds: Effect.Effect<boolean, E>) =>
  holds.pipe(
    Effect.repeat({ until: (it) => it, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutFail({ duration: "15 seconds", onTimeout: () => new Error("never") })
  )

const consuming = (channel: Channel.ChannelBase, options: Channel.ConsumeOptions) =>
  Effect.gen(function*() {
    const taken: Array<string> = []
    const fiber = yield* channel.consume(options).pipe(
      Stream.runForEach((delivery) => Effect.zipRight(Effect.sync(() => taken.push(delivery.text)), delivery.ack)),
      Effect.forkScoped
    )
    return { fiber, taken, has: (text: string) => eventually(Effect.sync(() => taken.includes(text))) }
  })

const consumed = (channel: Channel.ChannelBase, queue: string | Channel.QueueRef, count: number) =>
  eventually(Effect.map(
    channel.queueDeclare({ queue: typeof queue === "string" ? queue : queue.queue, passive: true }),
    ({ consumerCount }) => consumerCount === count
  ))

const describeEntities = ({ failures }: Topology.RecoveryReport) =>
  failures.map(({ entity, error }) => `${entity._tag} ${error._tag === "ChannelError" ? error.code : error._tag}`)

describeRabbit("Topology on RabbitMQ", (it) => {
  it.scoped("an exchange of the plugin for delayed messages, where it is missing, costs nobody's connection", () =>
    Effect.gen(function*() {
      const { mine, on } = yield* ground()
      const fault = yield* Effect.flip(on(Retry.declareDelayed({ exchange: "later", type: "direct" })))
      assert.strictEqual(fault._tag, "ChannelError")
      assert.include(fault.message, "its plugin is missing")
      assert.strictEqual((yield* mine.info).epoch, 1)
      assert.isTrue(yield* mine.isOpen)
    }).pipe(Effect.provide(quiet)))

  for (const how of ["by an operator", "on the wire"] as const) {
    it.scoped(`comes back when the connection is cut ${how}: exclusive and auto-delete ones, new names, consumers`, () =>
      Effect.gen(function*() {
        const { closeAllConnections } = yield* SharedRabbitMq
        const { back, cut, on, other, reports } = yield* ground()
        const [one, two] = [yield* on(Channel.make()), yield* on(Channel.makeConfirm())]
        yield* two.exchangeDeclare({ exchange: "auto", type: "topic", autoDelete: true, durable: false })
        yield* two.exchangeDeclare({ exchange: "front", type: "fanout", durable: false })
        yield* one.exchangeBind({ source: "front", destination: "auto", routingKey: "#" })
        const named = yield* one.queueDeclare({ queue: "named", exclusive: true })
        const unnamed = yield* one.queueDeclare()
        yield* two.queueBind({ queue: "named", exchange: "auto", routingKey: "named.#" })
        yield* one.queueBind({ queue: unnamed, exchange: "auto", routingKey: "unnamed.#" })
        const first = yield* consuming(one, { queue: named })
        const second = yield* consuming(one, { queue: unnamed.queue })
        yield* consumed(one, unnamed, 1)
        const { queue: from } = unnamed
        if (how === "by an operator") yield* closeAllConnections("maintenance")
        else yield* cut
        yield* back(2)
        yield* other.publish({ exchange: "front", routingKey: "named.1", content: "1", mandatory: true })
        yield* other.publish({ exchange: "front", routingKey: "unnamed.1", content: "2", mandatory: true })
        yield* first.has("1")
        yield* second.has("2")
        assert.notStrictEqual(unnamed.queue, from)
        assert.deepStrictEqual(reports, [
          { epoch: 2, restored: 7, renamed: [{ from, to: unnamed.queue }], failures: [] }
        ])
      }).pipe(Effect.provide(quiet)))
  }

  it.scoped("comes back after somebody deleted it, and what was deleted here does not", () =>
    Effect.gen(function*() {
      const { back, cut, mine, on, onTheirs, other, reports } = yield* ground()
      const channel = yield* on(Channel.makeConfirm())
      yield* channel.exchangeDeclare({ exchange: "durable", type: "direct" })
      yield* channel.queueDeclare({ queue: "kept", arguments: Arguments.queue({ maxLength: 3 }) })
      yield* channel.queueDeclare({ queue: "deleted" })
      yield* channel.queueBind({ queue: "kept", exchange: "durable", routingKey: "k" })
      yield* channel.queueBind({ queue: "deleted", exchange: "durable", routingKey: "k" })
      yield* channel.queueDelete({ queue: "deleted" })
      const auto = yield* consuming(channel, { queue: "kept" })
      yield* consumed(channel, "kept", 1)
      yield* other.queueDelete({ queue: "kept" })
      yield* other.exchangeDelete({ exchange: "durable" })
      // The broker said so to the consumer, and to nobody else.
      assert.strictEqual((yield* Effect.flip(Fiber.join(auto.fiber)))._tag, "ConsumerCancelled")
      yield* cut
      yield* back(2)
      yield* channel.publish({ exchange: "durable", routingKey: "k", content: "1", mandatory: true })
      assert.strictEqual((yield* onTheirs(Channel.queueExists("deleted")))._tag, "None")
      assert.deepStrictEqual(reports.map(({ failures, restored }) => [restored, failures]), [[3, []]])
      assert.isTrue(yield* mine.isOpen)
    }).pipe(Effect.provide(quiet)))

  it.scoped("what is refused is left out with what needs it, and reported", () =>
    Effect.gen(function*() {
      const { back, cut, on, other, reports } = yield* ground()
      const channel = yield* on(Channel.makeConfirm())
      yield* channel.exchangeDeclare({ exchange: "plain", type: "fanout" })
      yield* channel.queueDeclare({ queue: "changed" })
      yield* channel.queueDeclare({ queue: "fine", exclusive: true })
      yield* channel.queueBind({ queue: "changed", exchange: "plain" })
      yield* channel.queueBind({ queue: "fine", exchange: "plain" })
      yield* other.queueDelete({ queue: "changed" })
      yield* other.queueDeclare({ queue: "changed", durable: false })
      yield* cut
      yield* back(2)
      assert.deepStrictEqual(reports.map(describeEntities), [["Queue 406", "QueueBinding 406"]])
      yield* other.publish({ exchange: "plain", content: "1", mandatory: true })
      assert.strictEqual((yield* channel.get({ queue: "fine" }))._tag, "Some")
    }).pipe(Effect.provide(quiet)))

  it.scoped("what the last connection still holds is asked for again: exclusive queues and consumers", () =>
    Effect.gen(function*() {
      const { back, cut, mine, on, onTheirs, other, reports } = yield* ground()
      const channel = yield* on(Channel.make())
      yield* channel.queueDeclare({ queue: "shared" })
      yield* channel.queueDeclare({ queue: "own", exclusive: true })
      const alone = yield* consuming(channel, { queue: "shared", exclusive: true })
      const own = yield* consuming(channel, { queue: "own" })
      yield* consumed(channel, "own", 1)
      yield* cut
      // Whoever is there first: another connection, as the broker sees the last one until it notices that it is gone.
      const held = yield* onTheirs(Channel.make())
      const holding = Effect.retry(
        held.queueDeclare({ queue: "own", exclusive: true }),
        Schedule.intersect(Schedule.spaced("5 millis"), Schedule.recurs(100))
      )
      const isHeld = (yield* Effect.option(holding))._tag === "Some"
      const holder = yield* Effect.fork(Stream.runDrain(held.consume({ queue: "shared", exclusive: true })))
      yield* Effect.sleep("700 millis")
      yield* Fiber.interrupt(holder)
      if (isHeld) yield* held.queueDelete({ queue: "own" })
      yield* back(2)
      yield* other.publish({ routingKey: "own", content: "1", mandatory: true })
      yield* other.publish({ routingKey: "shared", content: "2", mandatory: true })
      yield* own.has("1")
      yield* alone.has("2")
      assert.deepStrictEqual(reports.map(({ failures, restored }) => [restored, failures]), [[2, []]])
      assert.isTrue(yield* mine.isOpen)
    }).pipe(Effect.provide(quiet)))

  it.scoped("auto-delete queues, and exchanges that went with them, come back with the channel that was closed", () =>
    Effect.gen(function*() {
      const { on, other, reports } = yield* ground()
      const channel = yield* on(Channel.make())
      yield* channel.exchangeDeclare({ exchange: "feeding", type: "fanout", autoDelete: true, durable: false })
      yield* channel.queueDeclare({ queue: "auto", autoDelete: true, durable: false })
      yield* channel.queueBind({ queue: "auto", exchange: "feeding" })
      yield* channel.exchangeBind({ source: "amq.fanout", destination: "feeding" })
      const { has } = yield* consuming(channel, { queue: "auto" })
      yield* consumed(channel, "auto", 1)
      yield* Effect.flip(channel.queueDeclare({ queue: "none", passive: true }))
      yield* consumed(channel, "auto", 1)
      yield* other.publish({ exchange: "amq.fanout", content: "1", mandatory: true })
      yield* has("1")
      assert.deepStrictEqual(reports, [{ epoch: 1, restored: 4, renamed: [], failures: [] }])
    }).pipe(Effect.provide(quiet)))

  it.scoped("a Topology is there again whatever recovery says", () =>
    Effect.gen(function*() {
      const { back, cut, on, other, reports } = yield* ground({ mode: "none" })
      yield* on(Topology.declare({
        exchanges: [{ exchange: "t", type: "topic" }],
        queues: [{ queue: "t", exclusive: true }],
        bindings: [{ queue: "t", exchange: "t", routingKey: "#" }]
      }))
      yield* cut
      yield* back(2)
      yield* other.publish({ exchange: "t", routingKey: "a", content: "1", mandatory: true })
      assert.deepStrictEqual(reports.map(({ restored }) => restored), [3])
    }).pipe(Effect.provide(quiet)))

  it.scoped("a plan says what would be made, what is the same and what differs, and makes nothing", () =>
    Effect.gen(function*() {
      const { mine, on, onTheirs, other } = yield* ground()
      yield* other.exchangeDeclare({ exchange: "p-topic", type: "topic" })
      yield* other.exchangeDeclare({ exchange: "p-type", type: "fanout" })
      yield* other.queueDeclare({ queue: "p-same", arguments: Arguments.queue({ maxLength: 5 }) })
      yield* other.queueDeclare({ queue: "p-limit", arguments: Arguments.queue({ maxLength: 5 }) })
      yield* other.queueDeclare({ queue: "p-less" })
      yield* other.queueDeclare({ queue: "p-transient", durable: false })
      yield* other.queueDeclare({ queue: "p-theirs", exclusive: true })
      const plan = yield* on(Topology.plan({
        exchanges: [
          { exchange: "p-topic", type: "topic" },
          { exchange: "p-type", type: "topic" },
          { exchange: "p-new", type: "direct" }
        ],
        queues: [
          { queue: "p-same", arguments: Arguments.queue({ maxLength: 5 }) },
          { queue: "p-limit", arguments: Arguments.queue({ maxLength: 10 }) },
          { queue: "p-less", arguments: Arguments.queue({ maxLength: 10 }) },
          { queue: "p-transient" },
          { queue: "p-theirs" },
          { queue: "p-transient", durable: false, exclusive: true },
          { queue: "p-new" }
        ],
        bindings: [
          { queue: "p-same", exchange: "p-topic", routingKey: "#" },
          { queue: "p-same", exchange: "p-new" },
          { queue: "p-none", exchange: "p-topic" },
          { destination: "p-type", source: "p-topic" }
        ]
      }))
      assert.deepStrictEqual(Topology.show(plan).split("\n"), [
        "same      exchange \"p-topic\" (topic)",
        "conflict  exchange \"p-type\" (topic): type is fanout, wanted topic",
        "create    exchange \"p-new\" (direct)",
        "same      queue \"p-same\"",
        "conflict  queue \"p-limit\": x-max-length is 5, wanted 10",
        "conflict  queue \"p-less\": x-max-length is absent, wanted 10",
        "conflict  queue \"p-transient\": durable is false, wanted true",
        "conflict  queue \"p-theirs\": exclusive is another connection's, wanted false",
        "conflict  queue \"p-transient\": exclusive is false, wanted true",
        "create    queue \"p-new\"",
        "unknown   binding \"p-topic\" -> queue \"p-same\", routing key \"#\"",
        "create    binding \"p-new\" -> queue \"p-same\", routing key \"\"",
        "conflict  binding \"p-topic\" -> queue \"p-none\", routing key \"\": queue is absent, wanted p-none",
        "unknown   binding \"p-topic\" -> exchange \"p-type\", routing key \"\""
      ])
      assert.isFalse(plan.isPossible)
      assert.isFalse(yield* onTheirs(Channel.exchangeExists("p-new")))
      assert.strictEqual((yield* onTheirs(Channel.queueExists("p-new")))._tag, "None")
      assert.isTrue(yield* mine.isOpen)
    }).pipe(Effect.provide(quiet)))
})
