import { assert, describe, it } from "@effect/vitest"
import type { Topology } from "effect-amqp/amqp091"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { eventually, look, pass, warnings } from "./onBroker.ts"

/** Somebody else at the same broker. */
class Other extends Context.Tag("test/Other")<Other, Connection.Connection>() {}

const Live = (recovery?: Topology.RecoveryOptions, whenDisconnected?: "fail") =>
  Layer.merge(
    Connection.layer({ url: "memory://", name: "mine", recovery, whenDisconnected }),
    Layer.scoped(Other, Connection.make({ url: "memory://", name: "other" }))
  ).pipe(Layer.provideMerge(Broker.layerMemory))

const onOther = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.provideServiceEffect(effect, Connection.Connection, Other))

const other = <A, E>(use: (channel: Channel.Channel) => Effect.Effect<A, E>) =>
  onOther(Effect.flatMap(Channel.make(), use))

const queueThere = (queue: string) =>
  onOther(Channel.queueExists(queue)).pipe(
    Effect.map(({ _tag }) => _tag === "Some"),
    // Exclusive to somebody: it is there.
    Effect.catchTag("ChannelError", (error) => Effect.succeed(error.reason === "ResourceLocked"))
  )

const exchangeThere = (exchange: string) => onOther(Channel.exchangeExists(exchange))

/** Cuts the connection, lets others do what they want meanwhile, and waits until it is open again. */
const cut = <A, E, R>(meanwhile: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const connection = yield* Connection.Connection
    const { epoch } = yield* connection.info
    const refused = yield* broker.refuse()
    yield* broker.drop({ connection: "mine" })
    yield* pass
    yield* meanwhile
    yield* refused.heal
    yield* back(epoch)
  })

const back = (epoch: number) =>
  Effect.gen(function*() {
    const connection = yield* Connection.Connection
    let now = yield* connection.state
    for (let count = 0; count < 200 && !(now._tag === "Open" && now.epoch > epoch); count++) {
      yield* TestClock.adjust("100 millis")
      now = yield* connection.state
    }
    assert.strictEqual(now._tag, "Open")
  })

/** What recoveries report from now on. */
const reports = Effect.gen(function*() {
  const { recoveries } = yield* Connection.Connection
  const all: Array<Topology.RecoveryReport> = []
  yield* Effect.fork(Stream.runForEach(recoveries, (report) => Effect.sync(() => all.push(report))))
  yield* pass
  return all
})

const consuming = (channel: Channel.ChannelBase, options: Channel.ConsumeOptions) =>
  Effect.gen(function*() {
    const taken: Array<string> = []
    const fiber = yield* channel.consume(options).pipe(
      Stream.runForEach((delivery) => Effect.zipRight(Effect.sync(() => taken.push(delivery.text)), delivery.ack)),
      Effect.fork
    )
    yield* pass
    return { fiber, taken }
  })

/** As another publisher sees it: where a message goes. */
const publishes = (exchange: string, routingKey: string, content: string) =>
  Effect.zipRight(other((channel) => channel.publish({ exchange, routingKey, content })), pass)

const names = ({ failures }: Topology.RecoveryReport) =>
  failures.map(({ entity, error }) => `${entity._tag} ${error._tag === "ChannelError" ? error.code : error._tag}`)

describe("After a loss", () => {
  it.scoped("what only lived with the connection is there again, before it is open", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.exchangeDeclare({ exchange: "x", type: "topic", durable: false })
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      yield* channel.queueBind({ queue: "q", exchange: "x", routingKey: "a.#" })
      const { taken } = yield* consuming(channel, { queue: "q" })
      yield* cut(Effect.map(queueThere("q"), (there) => assert.isFalse(there)))
      yield* publishes("x", "a.b", "1")
      assert.deepStrictEqual(taken, ["1"])
    }).pipe(Effect.provide(Live())))

  it.scoped("what somebody deleted meanwhile is there again, whichever channel declared it", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* Channel.make(), yield* Channel.makeConfirm()]
      const seen = yield* reports
      yield* one.queueDeclare({ queue: "q", arguments: { "x-max-length": 7 } })
      yield* two.exchangeDeclare({ exchange: "from", type: "fanout" })
      yield* two.exchangeDeclare({ exchange: "to", type: "headers" })
      yield* one.exchangeBind({ source: "from", destination: "to" })
      yield* two.queueBind({ queue: "q", exchange: "to", arguments: { "x-match": "all" } })
      yield* cut(other((channel) =>
        Effect.all([
          channel.queueDelete({ queue: "q" }),
          channel.exchangeDelete({ exchange: "from" }),
          channel.exchangeDelete({ exchange: "to" })
        ])
      ))
      yield* publishes("from", "", "1")
      assert.strictEqual((yield* look("q")).ready, 1)
      yield* other((channel) => channel.queueDeclare({ queue: "q", arguments: { "x-max-length": 7 } }))
      assert.deepStrictEqual(seen, [{ epoch: 2, restored: 5, renamed: [], failures: [] }])
    }).pipe(Effect.provide(Live())))

  it.scoped("a waiting publish is routed as before: it goes when the bindings are back", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.exchangeDeclare({ exchange: "x", type: "fanout" })
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      yield* channel.queueBind({ queue: "q", exchange: "x" })
      const { taken } = yield* consuming(channel, { queue: "q" })
      let publishing: Fiber.RuntimeFiber<void, unknown> | undefined
      yield* cut(Effect.gen(function*() {
        publishing = yield* Effect.fork(channel.publish({ exchange: "x", content: "1", mandatory: true }))
        yield* pass
      }))
      yield* pass
      yield* Fiber.join(publishing!) // forked above
      assert.deepStrictEqual(taken, ["1"])
    }).pipe(Effect.provide(Live())))

  it.scoped("a queue that the broker named has another name, and all that have it follow", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const seen = yield* reports
      const declared = yield* channel.queueDeclare()
      const before = declared.queue
      yield* channel.queueBind({ queue: declared, exchange: "amq.topic", routingKey: "ref" })
      yield* channel.queueBind({ queue: before, exchange: "amq.topic", routingKey: "text" })
      yield* channel.queueBind({ queue: "", exchange: "amq.topic", routingKey: "last" })
      const byRef = yield* consuming(channel, { queue: declared })
      const byText = yield* consuming(channel, { queue: before })
      for (const epoch of [2, 3]) {
        const from = declared.queue
        yield* cut(Effect.void)
        assert.notStrictEqual(declared.queue, before)
        assert.deepStrictEqual(seen.at(-1), {
          epoch,
          restored: 4,
          renamed: [{ from, to: declared.queue }],
          failures: []
        })
      }
      for (const key of ["ref", "text", "last"]) yield* publishes("amq.topic", key, key)
      assert.sameMembers([...byRef.taken, ...byText.taken], ["ref", "text", "last"])
      assert.isFalse(yield* queueThere(before))
    }).pipe(Effect.provide(Live())))

  it.scoped("a queue that the broker named and that is there still keeps its name and its messages", () =>
    Effect.gen(function*() {
      const all = yield* reports
      const channel = yield* Channel.makeConfirm()
      const ref = yield* channel.queueDeclare({ exclusive: false })
      const before = ref.queue
      yield* channel.publish({ routingKey: before, content: "kept" })
      yield* cut(Effect.void)
      assert.strictEqual(ref.queue, before)
      const { taken } = yield* consuming(channel, { queue: ref })
      yield* pass
      assert.deepStrictEqual(taken, ["kept"])
      assert.deepStrictEqual(all.map(({ failures, renamed }) => [failures, renamed]), [[[], []]])

      yield* cut(other((channel) => channel.queueDelete({ queue: before })))
      assert.notStrictEqual(ref.queue, before)
      assert.isTrue(yield* queueThere(ref.queue))
      assert.deepStrictEqual(all.at(-1)?.renamed, [{ from: before, to: ref.queue }])
    }).pipe(Effect.provide(Live())))

  it.scoped("a bind that was under way is about the queue's new name", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.Connection
      const channel = yield* Channel.make()
      const declared = yield* channel.queueDeclare()
      const silence = yield* broker.silence({ connection: "mine" })
      const { queue } = declared
      const binding = yield* Effect.fork(channel.queueBind({ queue, exchange: "amq.fanout" }))
      yield* pass
      yield* broker.drop({ connection: "mine" })
      yield* silence.heal
      yield* back(1)
      yield* Fiber.join(binding)
      yield* publishes("amq.fanout", "", "1")
      assert.strictEqual((yield* look(declared.queue)).ready, 1)
      assert.isTrue(yield* connection.isOpen)
    }).pipe(Effect.provide(Live())))

  it.scoped("what was deleted or unbound here stays away, with what hung on it", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* Channel.make(), yield* Channel.make()]
      const seen = yield* reports
      yield* one.exchangeDeclare({ exchange: "gone", type: "fanout" })
      yield* one.exchangeDeclare({ exchange: "kept", type: "direct" })
      yield* one.queueDeclare({ queue: "gone" })
      yield* one.queueDeclare({ queue: "kept" })
      yield* one.queueBind({ queue: "gone", exchange: "kept", routingKey: "gone" })
      yield* one.queueBind({ queue: "kept", exchange: "gone" })
      yield* one.exchangeBind({ source: "gone", destination: "kept" })
      yield* one.queueBind({ queue: "kept", exchange: "kept", routingKey: "unbound", arguments: { a: 1, b: "2" } })
      yield* one.queueBind({ queue: "kept", exchange: "kept", routingKey: "kept" })
      yield* two.queueDelete({ queue: "gone" })
      yield* two.exchangeDelete({ exchange: "gone" })
      yield* two.queueUnbind({
        queue: "kept",
        exchange: "kept",
        routingKey: "unbound",
        arguments: { b: "2", a: 1 }
      })
      yield* cut(other((channel) =>
        Effect.zipRight(channel.queueDelete({ queue: "kept" }), channel.exchangeDelete({ exchange: "kept" }))
      ))
      assert.deepStrictEqual(seen.map(({ failures, restored }) => [restored, failures.length]), [[3, 0]])
      assert.isFalse(yield* queueThere("gone"))
      assert.isFalse(yield* exchangeThere("gone"))
      yield* publishes("kept", "unbound", "1")
      yield* publishes("kept", "kept", "2")
      assert.strictEqual((yield* look("kept")).ready, 1)
    }).pipe(Effect.provide(Live())))

  it.scoped("what goes by itself stays away once its last user here is gone", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "used", autoDelete: true, durable: false })
      yield* channel.queueDeclare({ queue: "expiring", arguments: { "x-expires": 60_000 } })
      yield* channel.exchangeDeclare({ exchange: "x", autoDelete: true })
      yield* channel.queueDeclare({ queue: "left", autoDelete: true, durable: false })
      yield* channel.queueBind({ queue: "left", exchange: "x" })
      const twice = [yield* consuming(channel, { queue: "used" }), yield* consuming(channel, { queue: "used" })]
      const expiring = yield* consuming(channel, { queue: "expiring" })
      const second = yield* Channel.make()
      const left = yield* consuming(second, { queue: "left" })
      yield* Fiber.interrupt(twice[0]!.fiber)
      yield* Fiber.interrupt(expiring.fiber)
      yield* Fiber.interrupt(left.fiber)
      yield* pass
      assert.isFalse(yield* exchangeThere("x"))
      const seen = yield* reports
      yield* cut(Effect.void)
      assert.deepStrictEqual(seen.map(({ restored }) => restored), [1])
      assert.isTrue(yield* queueThere("used"))
      assert.isFalse(yield* queueThere("left"))
      assert.isFalse(yield* exchangeThere("x"))
      // Also while there is no connection.
      yield* cut(Fiber.interrupt(twice[1]!.fiber))
      assert.isFalse(yield* queueThere("used"))
      assert.lengthOf(seen, 1)
    }).pipe(Effect.provide(Live())))

  it.scoped("the queue of a channel that was closed stays away when it went with it", () =>
    Effect.gen(function*() {
      const seen = yield* reports
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "kept", durable: false })
      yield* Effect.scoped(Effect.gen(function*() {
        const closing = yield* Channel.make()
        yield* closing.queueDeclare({ queue: "q", autoDelete: true, durable: false })
        yield* consuming(closing, { queue: "q" })
      }))
      yield* pass
      yield* cut(Effect.void)
      assert.deepStrictEqual(seen.map(({ restored }) => restored), [1])
      assert.isFalse(yield* queueThere("q"))
    }).pipe(Effect.provide(Live())))

  it.scoped("what is predefined or was only asked for is not declared", () =>
    Effect.gen(function*() {
      const seen = yield* reports
      const channel = yield* Channel.make()
      yield* other((channel) => channel.queueDeclare({ queue: "theirs" }))
      yield* channel.queueDeclare({ queue: "theirs", passive: true })
      yield* channel.exchangeDeclare({ exchange: "amq.topic", type: "topic" })
      yield* channel.exchangeDeclare({ exchange: "amq.fanout", passive: true })
      yield* cut(other((channel) => channel.queueDelete({ queue: "theirs" })))
      assert.isFalse(yield* queueThere("theirs"))
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(Live())))

  it.scoped("what was declared with noWait is there again, and what was deleted with it is not", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q", exclusive: true, noWait: true })
      yield* channel.queueDeclare({ queue: "gone", exclusive: true, noWait: true })
      yield* channel.queueBind({ queue: "q", exchange: "amq.fanout", noWait: true })
      yield* channel.queueDelete({ queue: "gone", noWait: true })
      yield* channel.queuePurge("q")
      yield* cut(Effect.void)
      yield* publishes("amq.fanout", "", "1")
      assert.strictEqual((yield* look("q")).ready, 1)
      assert.isFalse(yield* queueThere("gone"))
    }).pipe(Effect.provide(Live())))
})

describe("A program that does not wait", () => {
  it.scoped("gets its topology back all the same", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const seen = yield* reports
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      yield* cut(Effect.map(Effect.flip(channel.queueDeclare({ queue: "other" })), ({ _tag }) => {
        assert.strictEqual(_tag, "NotReady")
      }))
      assert.deepStrictEqual(seen.map(({ failures, restored }) => [restored, failures.length]), [[1, 0]])
    }).pipe(Effect.provide(Live(undefined, "fail"))))
})

describe("What comes back", () => {
  const declared = Effect.gen(function*() {
    const channel = yield* Channel.make()
    yield* channel.exchangeDeclare({ exchange: "durable" })
    yield* channel.exchangeDeclare({ exchange: "auto", autoDelete: true })
    yield* channel.queueDeclare({ queue: "durable" })
    yield* channel.queueDeclare({ queue: "exclusive", exclusive: true })
    yield* channel.queueBind({ queue: "durable", exchange: "durable" })
    yield* channel.queueBind({ queue: "durable", exchange: "auto", routingKey: "auto" })
    yield* channel.queueBind({ queue: "exclusive", exchange: "durable", routingKey: "exclusive" })
    const exclusive = yield* consuming(channel, { queue: "exclusive" })
    const seen = yield* reports
    return { channel, exclusive, seen }
  })
  const deleteAll = other((channel) =>
    Effect.all([
      channel.queueDelete({ queue: "durable" }),
      channel.exchangeDelete({ exchange: "durable" }),
      channel.exchangeDelete({ exchange: "auto" })
    ])
  )
  const there = Effect.all([
    queueThere("durable"),
    queueThere("exclusive"),
    exchangeThere("durable"),
    exchangeThere("auto")
  ])

  it.scoped("transientOnly: exclusive and auto-delete ones, their bindings and consumers", () =>
    Effect.gen(function*() {
      const { exclusive, seen } = yield* declared
      yield* cut(Effect.void)
      assert.deepStrictEqual(seen.map(({ failures, restored }) => [restored, failures.length]), [[4, 0]])
      yield* publishes("durable", "exclusive", "1")
      assert.deepStrictEqual(exclusive.taken, ["1"])
      yield* Fiber.interrupt(exclusive.fiber)
      yield* cut(deleteAll)
      assert.deepStrictEqual(yield* there, [false, true, false, true])
    }).pipe(Effect.provide(Live({ mode: "transientOnly" })), Effect.provide(warnings([]))))

  it.scoped("consumersOnly: consumers, of queues that are there", () =>
    Effect.gen(function*() {
      const { channel, exclusive, seen } = yield* declared
      const durable = yield* consuming(channel, { queue: "durable" })
      yield* cut(Effect.void)
      yield* publishes("", "durable", "1")
      assert.deepStrictEqual(durable.taken, ["1"])
      const fault = yield* Effect.flip(Fiber.join(exclusive.fiber))
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "NotFound")
      assert.deepStrictEqual(seen, [])
      assert.deepStrictEqual(yield* there, [true, false, true, true])
    }).pipe(Effect.provide(Live({ mode: "consumersOnly" }))))

  it.scoped("none: not even consumers, which fail with the loss; channels go on", () =>
    Effect.gen(function*() {
      const { channel, exclusive, seen } = yield* declared
      const durable = yield* consuming(channel, { queue: "durable" })
      yield* cut(Effect.void)
      for (const { fiber } of [durable, exclusive]) {
        assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "ConnectionLost")
      }
      assert.deepStrictEqual(yield* there, [true, false, true, true])
      yield* channel.queueDeclare({ queue: "durable" })
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(Live({ mode: "none" }))))

  it.scoped("filter: whatever it says yes to", () => {
    const asked = new Set<string>()
    const filter = (entity: Topology.Entity | Topology.Consumer): boolean => {
      asked.add(entity._tag)
      if (entity._tag === "Exchange") return entity.exchange !== "durable"
      return entity._tag === "Queue" ? entity.queue !== "durable" : entity._tag === "ExchangeBinding"
    }
    return Effect.gen(function*() {
      const { channel, exclusive } = yield* declared
      yield* channel.exchangeBind({ source: "durable", destination: "auto" })
      yield* cut(deleteAll)
      assert.strictEqual((yield* Effect.flip(Fiber.join(exclusive.fiber)))._tag, "ConnectionLost")
      assert.deepStrictEqual(yield* there, [false, true, false, true])
      assert.sameMembers(Array.from(asked), ["Exchange", "Queue", "QueueBinding", "ExchangeBinding", "Consumer"])
    }).pipe(Effect.provide(Live({ filter })), Effect.provide(warnings([])))
  })
})

describe("A filter that throws", () => {
  const Throwing = Live({
    filter: () => {
      throw new Error("no")
    }
  })

  it.scoped("keeps what it is asked about, costs nobody the connection, and is told of once", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const channel = yield* Channel.make()
      const seen = yield* reports
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      const { taken } = yield* consuming(channel, { queue: "q" })
      yield* cut(Effect.void)
      yield* publishes("", "q", "1")
      assert.deepStrictEqual(taken, ["1"])
      assert.deepStrictEqual(seen.map(({ restored }) => restored), [1])
      assert.lengthOf(told.filter((line) => line.startsWith("Connection: recovery.filter has thrown")), 1)
    }).pipe(Effect.provide(Throwing), Effect.provide(warnings(told)))
  })

  it.scoped("does not keep a channel that the broker closed from opening again", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q", autoDelete: true, durable: false })
      const { taken } = yield* consuming(channel, { queue: "q" })
      yield* Effect.flip(channel.queueDeclare({ queue: "none", passive: true }))
      yield* TestClock.adjust("1 second")
      yield* publishes("", "q", "1")
      assert.deepStrictEqual(taken, ["1"])
    }).pipe(Effect.provide(Throwing), Effect.provide(warnings([]))))
})

describe("What the broker refuses", () => {
  const conflicting = Effect.gen(function*() {
    const channel = yield* Channel.make()
    const seen = yield* reports
    yield* channel.queueDeclare({ queue: "changed" })
    yield* channel.queueDeclare({ queue: "fine", exclusive: true })
    yield* channel.exchangeDeclare({ exchange: "x", type: "fanout", durable: false })
    yield* channel.queueBind({ queue: "changed", exchange: "x" })
    yield* channel.queueBind({ queue: "fine", exchange: "x" })
    return { channel, seen }
  })
  const change = other((channel) =>
    Effect.zipRight(
      channel.queueDelete({ queue: "changed" }),
      channel.queueDeclare({ queue: "changed", durable: false })
    )
  )

  it.scoped("is left out with what needs it, reported, logged once, and tried again the next time", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { seen } = yield* conflicting
      yield* cut(change)
      assert.deepStrictEqual(seen.map(({ restored }) => restored), [3])
      assert.deepStrictEqual(seen.map(names), [["Queue 406", "QueueBinding 406"]])
      assert.lengthOf(told.filter((line) => line.includes("2 of 5 entities")), 1)
      yield* publishes("x", "", "1")
      assert.strictEqual((yield* look("fine")).ready, 1)
      yield* cut(other((channel) => channel.queueDelete({ queue: "changed" })))
      assert.deepStrictEqual(seen.map(({ restored }) => restored), [3, 5])
    }).pipe(Effect.provide(Live()), Effect.provide(warnings(told)))
  })

  it.scoped("ends the socket when the connection was told to insist, until it is there", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { seen } = yield* conflicting
      const connection = yield* Connection.Connection
      const broker = yield* Broker.Broker
      const refused = yield* broker.refuse()
      yield* broker.drop({ connection: "mine" })
      yield* pass
      yield* change
      yield* refused.heal
      yield* TestClock.adjust("30 seconds")
      assert.isFalse(yield* connection.isOpen)
      assert.deepStrictEqual(seen, [])
      assert.isTrue(told.some((line) => line.includes("PRECONDITION_FAILED")))
      yield* other((channel) => channel.queueDelete({ queue: "changed" }))
      yield* back(1)
      assert.deepStrictEqual(seen.map(({ failures, restored }) => [restored, failures.length]), [[5, 0]])
    }).pipe(Effect.provide(Live({ onFailure: "abort" })), Effect.provide(warnings(told)))
  })

  it.scoped("because the last connection is not gone yet, is asked for again", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const seen = yield* reports
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      yield* channel.queueDeclare({ queue: "shared" })
      const exclusive = yield* consuming(channel, { queue: "q" })
      const alone = yield* consuming(channel, { queue: "shared", exclusive: true })
      const broker = yield* Broker.Broker
      yield* broker.drop({ connection: "mine" })
      // What the broker has not noticed to be gone holds them as somebody else does.
      const holding = yield* Effect.fork(other((held) =>
        Effect.gen(function*() {
          yield* held.queueDeclare({ queue: "q", exclusive: true })
          yield* Effect.fork(Stream.runDrain(held.consume({ queue: "shared", exclusive: true })))
          yield* Effect.sleep("2 seconds")
          yield* held.queueDelete({ queue: "q" })
        })
      ))
      yield* back(1)
      yield* Fiber.join(holding)
      assert.deepStrictEqual(seen.map(({ failures, restored }) => [restored, failures.length]), [[2, 0]])
      yield* publishes("", "q", "1")
      yield* publishes("", "shared", "2")
      assert.deepStrictEqual([exclusive.taken, alone.taken], [["1"], ["2"]])
    }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))))
})

describe("A recovery", () => {
  it.scoped("declares at the pace it was given, however many declare side by side", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.make()
      for (const queue of ["a", "b", "c", "d"]) yield* channel.queueDeclare({ queue, exclusive: true })
      const there = Effect.map(broker.queues(), (queues) => queues.length)
      yield* broker.drop({ connection: "mine" })
      const counts: Array<number> = []
      for (let count = 0; count < 40; count++) {
        yield* TestClock.adjust("100 millis")
        counts.push(yield* there)
      }
      // The first one on the new socket, and one each second.
      const steps = [1, 2, 3].map((count) => counts.filter((each) => each === count).length)
      assert.deepStrictEqual(steps, [10, 10, 10])
      assert.isFalse(counts.some((each, at) => at > 0 && each < (counts[at - 1] ?? 0)))
      assert.strictEqual((yield* Effect.flatMap(Connection.Connection, ({ state }) => state))._tag, "Open")
    }).pipe(Effect.provide(Live({ pace: "1 second" }))))

  it.scoped("is reported before the connection is open again, to whoever looks by then, until it is closed", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.Connection
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      yield* cut(Effect.void)
      const told: Array<string> = []
      const watching = yield* Effect.fork(Effect.all([
        Stream.runForEach(connection.recoveries, ({ epoch }) => Effect.sync(() => told.push(`recovered ${epoch}`))),
        Stream.runForEach(connection.changes, ({ _tag }) => Effect.sync(() => told.push(_tag)))
      ], { concurrency: 2 }))
      yield* pass
      told.length = 0
      yield* cut(Effect.void)
      assert.deepStrictEqual(told.filter((line) => line === "Open" || line.startsWith("recovered")), [
        "recovered 3",
        "Open"
      ])
      yield* connection.close()
      yield* Fiber.join(watching)
      assert.deepStrictEqual(yield* Stream.runCollect(connection.recoveries).pipe(Effect.map(Array.from)), [])
    }).pipe(Effect.provide(Live())))

  it.scoped("is over at once when the connection is closed", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.Connection
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "q", exclusive: true })
      const seen = yield* reports
      yield* broker.drop({ connection: "mine" })
      // Held for ever: it is asked for again and again.
      yield* onOther(Effect.flatMap(Channel.make(), (held) => held.queueDeclare({ queue: "q", exclusive: true })))
      yield* TestClock.adjust("300 millis")
      const closing = yield* Effect.fork(connection.close())
      yield* TestClock.adjust(0)
      yield* Fiber.join(closing)
      assert.isTrue(yield* connection.isClosed)
      assert.deepStrictEqual(seen, [])
      const fault = yield* Effect.flip(channel.queueDeclare({ queue: "q", exclusive: true }))
      assert.strictEqual(fault._tag, "ConnectionClosed")
      assert.deepStrictEqual((yield* broker.connections).map(({ name }) => name), ["other"])
    }).pipe(Effect.provide(Live())))

  it.scoped(
    "that a loss interrupts, after whichever frame, is begun anew, and one is reported",
    () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const connection = yield* Connection.Connection
        const channel = yield* Channel.make()
        const declared = yield* channel.queueDeclare()
        yield* channel.exchangeDeclare({ exchange: "x", type: "topic", autoDelete: true, durable: false })
        yield* channel.queueDeclare({ queue: "auto", autoDelete: true, durable: false })
        for (const queue of [declared, "auto"]) {
          for (const routingKey of ["1", "2"]) yield* channel.queueBind({ queue, exchange: "x", routingKey })
        }
        const { taken } = yield* consuming(channel, { queue: "auto" })
        const seen = yield* reports
        let epoch = 1
        // The handshake takes three of each, the recovery some twenty.
        const faults = [
          ...Array.from({ length: 21 }, (_, index) => ({ frames: index + 4, of: "client" as const })),
          ...Array.from({ length: 5 }, (_, index) => ({ frames: index * 4 + 4, of: "broker" as const }))
        ]
        for (const { frames, of } of faults) {
          const fault = yield* broker.dropAfter(frames, { connection: "mine", of })
          yield* broker.drop({ connection: "mine" })
          yield* TestClock.adjust("1 second")
          yield* fault.heal
          yield* back(epoch)
          epoch = (yield* connection.info).epoch
          assert.deepStrictEqual(seen.at(-1)?.failures, [], `${frames} frames of the ${of}`)
          assert.deepStrictEqual(seen.at(-1)?.restored, 7)
          yield* publishes("x", "2", `${of} ${frames}`)
          assert.strictEqual(taken.at(-1), `${of} ${frames}`)
          assert.strictEqual((yield* look(declared.queue)).ready, 1)
        }
        assert.lengthOf(yield* broker.queues(), 2)
      }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))),
    120_000
  )

  it.scoped(
    "does not bring back a channel that is closed meanwhile, at whatever moment, nor its consumer",
    () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const keeper = yield* Channel.make()
        yield* keeper.queueDeclare({ queue: "q", exclusive: true })
        let epoch = 1
        for (let moment = 0; moment < 800; moment += 50) {
          const scope = yield* Scope.make()
          const channel = yield* Scope.extend(Channel.makeConfirm(), scope)
          yield* Scope.extend(Effect.forkScoped(Stream.runDrain(channel.consume({ queue: "q" }))), scope)
          yield* pass
          // So slow that there are moments: dial, handshake, queue, channel, consumer.
          const delay = yield* broker.delay("60 millis")
          yield* broker.drop({ connection: "mine" })
          yield* TestClock.adjust(moment)
          const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
          yield* TestClock.adjust("3 seconds")
          yield* delay.heal
          yield* back(epoch++)
          yield* Fiber.join(closing)
          yield* pass
          const mine = (yield* broker.connections).find(({ name }) => name === "mine")
          assert.propertyVal(mine, "channels", 1, `closed after ${moment} ms`)
          assert.strictEqual((yield* look("q")).consumers, 0, `closed after ${moment} ms`)
        }
      }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))),
    60_000
  )

  it.scoped("of a channel that the broker closed brings back the queues that went with it", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channel = yield* Channel.make()
      const seen = yield* reports
      const named = yield* channel.queueDeclare({ queue: "q", autoDelete: true, durable: false })
      const unnamed = yield* channel.queueDeclare({ autoDelete: true })
      const { queue: from } = unnamed
      yield* channel.queueDeclare({ queue: "else", durable: false })
      yield* channel.queueBind({ queue: named, exchange: "amq.fanout" })
      yield* channel.queueBind({ queue: unnamed, exchange: "amq.fanout" })
      const consumers = [yield* consuming(channel, { queue: named }), yield* consuming(channel, { queue: unnamed })]
      yield* broker.closeChannel({ code: 406, connection: "mine" })
      yield* eventually("healed", () => seen.length > 0)
      yield* pass
      yield* publishes("amq.fanout", "", "1")
      assert.deepStrictEqual(consumers.map(({ taken }) => taken), [["1"], ["1"]])
      assert.deepStrictEqual(seen, [
        { epoch: 1, restored: 4, renamed: [{ from, to: unnamed.queue }], failures: [] }
      ])
    }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))))

  it.scoped("of a channel that the broker closed leaves alone what another channel consumes still", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const [one, other] = [yield* Channel.make(), yield* Channel.make()]
      const seen = yield* reports
      const queue = yield* one.queueDeclare({ autoDelete: true })
      const { queue: name } = queue
      yield* one.queueBind({ queue, exchange: "amq.fanout" })
      const all = [yield* consuming(one, { queue }), yield* consuming(other, { queue })]
      yield* Effect.flip(one.queueDeclare({ queue: "none", passive: true }))
      yield* TestClock.adjust("1 second")
      yield* publishes("amq.fanout", "", "1")
      assert.lengthOf(all.flatMap(({ taken }) => taken), 1)
      assert.deepStrictEqual(yield* broker.queues(), [{ name, ready: 0, unsettled: 0, consumers: 2 }])
      assert.strictEqual(queue.queue, name)
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))))

  it.scoped("of several channels that the broker closed at once brings back one queue for all of them", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const channels = yield* Effect.all(Array.from({ length: 4 }, () => Channel.make()))
      const first = channels[0]! // of four
      const queue = yield* first.queueDeclare({ autoDelete: true })
      yield* first.queueBind({ queue, exchange: "amq.fanout" })
      const all = yield* Effect.forEach(channels, (channel) => consuming(channel, { queue }))
      for (const slow of ["0 millis", "30 millis"] as const) {
        const delay = yield* broker.delay(slow)
        yield* broker.closeChannel({ code: 406, connection: "mine" })
        yield* TestClock.adjust("2 seconds")
        yield* delay.heal
        for (const { taken } of all) taken.length = 0
        yield* publishes("amq.fanout", "", "1")
        assert.deepStrictEqual(yield* broker.queues(), [{ name: queue.queue, ready: 0, unsettled: 0, consumers: 4 }])
        assert.lengthOf(all.flatMap(({ taken }) => taken), 1)
      }
    }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))))

  it.scoped("of a channel that the broker closed brings back the auto-delete exchanges that went with these, and what fed them", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      const seen = yield* reports
      yield* channel.exchangeDeclare({ exchange: "front", type: "fanout", durable: false })
      yield* channel.exchangeDeclare({ exchange: "far", type: "fanout", autoDelete: true, durable: false })
      yield* channel.exchangeDeclare({ exchange: "near", type: "fanout", autoDelete: true, durable: false })
      yield* channel.queueDeclare({ queue: "q", autoDelete: true, durable: false })
      yield* channel.queueDeclare({ queue: "else", durable: false })
      yield* channel.exchangeBind({ source: "front", destination: "far" })
      yield* channel.exchangeBind({ source: "far", destination: "near" })
      yield* channel.queueBind({ queue: "q", exchange: "near" })
      yield* channel.queueBind({ queue: "else", exchange: "front" })
      const { taken } = yield* consuming(channel, { queue: "q" })
      yield* Effect.flip(channel.queueDeclare({ queue: "none", passive: true }))
      yield* eventually("healed", () => seen.length > 0)
      yield* pass
      yield* publishes("front", "", "1")
      assert.deepStrictEqual(taken, ["1"])
      assert.deepStrictEqual(seen, [{ epoch: 1, restored: 6, renamed: [], failures: [] }])
    }).pipe(Effect.provide(Live()), Effect.provide(warnings([]))))
})
