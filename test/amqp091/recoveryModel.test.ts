/**
 * Whatever was declared, bound, consumed, cancelled, unbound and deleted on whichever channels: when a broker that has
 * lost everything is reached again, it is afterwards as it was before.
 */
import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { warnings } from "./onBroker.ts"

const queues = ["durable", "auto", "exclusive"] as const
type Queue = (typeof queues)[number]
const properties = {
  durable: { durable: true },
  auto: { durable: false, autoDelete: true },
  exclusive: { exclusive: true }
} as const
const exchanges = ["direct", "fanout"] as const
const chained = "chained"

type Step =
  | { readonly do: "declare" | "delete" | "consume" | "cancel"; readonly queue: Queue }
  | { readonly do: "bind" | "unbind"; readonly queue: Queue; readonly exchange: (typeof exchanges)[number] }
  | { readonly do: "declareExchange" | "deleteExchange"; readonly exchange: (typeof exchanges)[number] }
  | { readonly do: "chain" | "unchain" }

const queue = FastCheck.constantFrom(...queues)
const exchange = FastCheck.constantFrom(...exchanges)
const Step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.record({ do: FastCheck.constant("declare" as const), queue }) },
  { weight: 1, arbitrary: FastCheck.record({ do: FastCheck.constant("delete" as const), queue }) },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("consume" as const), queue }) },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("cancel" as const), queue }) },
  { weight: 4, arbitrary: FastCheck.record({ do: FastCheck.constant("bind" as const), queue, exchange }) },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("unbind" as const), queue, exchange }) },
  { weight: 3, arbitrary: FastCheck.record({ do: FastCheck.constant("declareExchange" as const), exchange }) },
  { weight: 1, arbitrary: FastCheck.record({ do: FastCheck.constant("deleteExchange" as const), exchange }) },
  { weight: 2, arbitrary: FastCheck.constant({ do: "chain" as const }) },
  { weight: 1, arbitrary: FastCheck.constant({ do: "unchain" as const }) }
)

const run = (channel: Channel.Channel, step: Step): Effect.Effect<unknown, unknown> => {
  switch (step.do) {
    case "declare":
      return channel.queueDeclare({ queue: step.queue, ...properties[step.queue] })
    case "delete":
      return channel.queueDelete({ queue: step.queue })
    case "bind":
      return channel.queueBind({ queue: step.queue, exchange: step.exchange, routingKey: step.queue })
    case "unbind":
      return channel.queueUnbind({ queue: step.queue, exchange: step.exchange, routingKey: step.queue })
    case "declareExchange":
      return channel.exchangeDeclare({
        exchange: step.exchange,
        type: step.exchange,
        durable: false,
        autoDelete: step.exchange === "fanout"
      })
    case "deleteExchange":
      return channel.exchangeDelete({ exchange: step.exchange })
    case "chain":
      return channel.exchangeBind({ source: "direct", destination: "fanout", routingKey: chained })
    case "unchain":
      return channel.exchangeUnbind({ source: "direct", destination: "fanout", routingKey: chained })
    default:
      return Effect.void
  }
}

/**
 * Each step on a channel that goes with it: what is not there is refused, and nothing else. Consumers have channels of their
 * own, or share one.
 */
const steps = (all: ReadonlyArray<Step>, shared?: Channel.Channel) =>
  Effect.gen(function*() {
    const consumers = new Map<Queue, Fiber.RuntimeFiber<void, unknown>>()
    for (const step of all) {
      if (step.do === "consume") {
        if (consumers.has(step.queue)) continue
        // Nothing is settled: what a queue has been given stays countable.
        const channel = shared === undefined ? Channel.make({ prefetch: 0 }) : Effect.succeed(shared)
        const consumer = Effect.flatMap(channel, (channel) => Stream.runDrain(channel.consume({ queue: step.queue })))
        // To consume what is not there would close the channel of all.
        if (shared !== undefined && Option.isNone(yield* Channel.queueExists(step.queue))) {
          continue
        }
        consumers.set(step.queue, yield* Effect.forkScoped(Effect.scoped(consumer)))
      } else if (step.do === "cancel") {
        const consumer = consumers.get(step.queue)
        if (consumer !== undefined) {
          yield* Fiber.interrupt(consumer)
        }
        consumers.delete(step.queue)
      } else {
        yield* Effect.ignore(Effect.scoped(Effect.flatMap(Channel.make(), (channel) => run(channel, step))))
      }
      yield* TestClock.adjust(0)
    }
  })

/** Who is there, and where messages go. */
const snapshot = (theirs: Connection.Connection) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const channel = yield* Channel.makeConfirm()
    const counts = Effect.map(broker.queues(), (all) =>
      Object.fromEntries(all.map(({ name, ready, unsettled }) => [name, ready + unsettled])))
    const ways: Array<string> = []
    const there: Array<string> = []
    for (const exchange of exchanges) {
      if (!(yield* Channel.exchangeExists(exchange))) {
        continue
      }
      there.push(exchange)
      for (const routingKey of [...queues, chained]) {
        const before = yield* counts
        yield* channel.publish({ exchange, routingKey, content: "" })
        yield* TestClock.adjust(0)
        for (const [queue, count] of Object.entries(yield* counts)) {
          if (count !== before[queue]) {
            ways.push(`${exchange} ${routingKey} ${queue}`)
          }
        }
      }
    }
    const consumed = (yield* broker.queues()).map(({ consumers, name }) =>
      `${name} ${consumers}`
    )
    return { there, ways: new Set(ways), consumed: new Set(consumed) }
  }).pipe(Effect.scoped, Effect.provideService(Connection.Connection, theirs))

/** All that was there, as after the loss of a node. */
const lost = (theirs: Connection.Connection) =>
  Effect.gen(function*() {
    const channel = yield* Channel.make()
    for (const queue of ["durable", "auto"]) yield* channel.queueDelete({ queue })
    for (const exchange of exchanges) yield* channel.exchangeDelete({ exchange })
  }).pipe(Effect.scoped, Effect.provideService(Connection.Connection, theirs))

describe("A topology after a loss", () => {
  it.effect.prop(
    "is as it was before, whatever led to it",
    [FastCheck.array(Step, { minLength: 1, maxLength: 40, size: "max" })],
    ([all]) =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const mine = yield* Connection.make({ url: "memory://", name: "mine" })
        const theirs = yield* Connection.make({ url: "memory://", name: "theirs" })
        const failures: Array<string> = []
        yield* Effect.forkScoped(Stream.runForEach(mine.recoveries, (report) =>
          Effect.sync(() => {
            for (const { entity, error } of report.failures) failures.push(`${entity._tag}: ${error.message}`)
          })))
        yield* TestClock.adjust(0)
        yield* Effect.provideService(steps(all), Connection.Connection, mine)
        const before = yield* snapshot(theirs)
        const refused = yield* broker.refuse()
        yield* broker.drop({ connection: "mine" })
        yield* TestClock.adjust(0)
        yield* lost(theirs)
        yield* refused.heal
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* mine.isOpen)
        assert.deepStrictEqual(yield* snapshot(theirs), before)
        assert.deepStrictEqual(failures, [])
      }).pipe(Effect.scoped, Effect.provide(Broker.layerMemory), Effect.provide(warnings([]))),
    { fastCheck: { numRuns: 30 }, timeout: 60_000 }
  )
})

/** All of it goes with one consumer, step by step. */
const cascade: ReadonlyArray<Step> = [
  { do: "declareExchange", exchange: "direct" },
  { do: "declareExchange", exchange: "fanout" },
  { do: "declare", queue: "auto" },
  { do: "bind", queue: "auto", exchange: "fanout" },
  { do: "chain" },
  { do: "consume", queue: "auto" }
]

describe("A topology after the broker has closed the channel of its consumers", () => {
  it.effect.prop(
    "is as it was before, whatever led to it",
    [FastCheck.array(Step, { minLength: 1, maxLength: 40, size: "max" })],
    ([all]) =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const mine = yield* Connection.make({ url: "memory://", name: "mine" })
        const theirs = yield* Connection.make({ url: "memory://", name: "theirs" })
        yield* Effect.gen(function*() {
          yield* steps(all, yield* Channel.make({ prefetch: 0 }))
        }).pipe(Effect.provideService(Connection.Connection, mine))
        const before = yield* snapshot(theirs)
        yield* broker.closeChannel({ code: 406, connection: "mine" })
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* snapshot(theirs), before)
        assert.deepInclude(yield* mine.state, { _tag: "Open", epoch: 1 })
      }).pipe(Effect.scoped, Effect.provide(Broker.layerMemory), Effect.provide(warnings([]))),
    { fastCheck: { numRuns: 30, examples: [[[...cascade]]] }, timeout: 60_000 }
  )
})
