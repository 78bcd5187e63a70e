import { assert, describe, it } from "@effect/vitest"
import { type AmqpError, Reconnect } from "effect-amqp"
import { Channel, ChannelPool, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { Embedded, queueOf } from "./onBroker.ts"

const settle = TestClock.adjust(0)

/** How many channels each connection has. */
const channels = Effect.flatMap(
  Broker.Broker,
  (broker) => Effect.map(broker.connections, (all) => all.map((each) => each.channels))
)

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (fault) => "reason" in fault ? fault.reason : fault._tag)

/** The number of the channel that is lent next. */
const next = (pool: ChannelPool.ChannelPool) => pool.use(({ number }) => number)

describe("a pool of channels", () => {
  it.scoped("opens channels when they are needed, lends the warmest, and closes them with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(ChannelPool.make({ limit: 3 }), scope)
      assert.deepStrictEqual(yield* channels, [0])
      yield* Effect.scoped(Effect.all([pool.get(), pool.get()]))
      assert.deepStrictEqual(yield* channels, [2])
      assert.strictEqual(yield* next(pool), yield* next(pool))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* channels, [0])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("lends each to one borrower at a time, and refuses as it is told to", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 2 })
      const [one, other] = yield* Effect.all([pool.get(), pool.get()])
      assert.notStrictEqual(yield* one.number, yield* other.number)
      assert.strictEqual(yield* reasonOf(pool.get({ wait: false })), "Exhausted")
      const waiting = yield* Effect.fork(reasonOf(pool.get({ timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(waiting), "Timeout")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("evicts idle channels in their time, but for those it began with", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 4, preconnect: 1, idleTimeToLive: "1 minute" })
      yield* pool.grow(3, { connect: true })
      assert.deepStrictEqual(yield* channels, [4])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* channels, [1])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("refuses options out of range, as its channels would", () =>
    Effect.gen(function*() {
      for (const options of [{ window: 0 }, { window: 1.5 }, { prefetch: -1 }, { prefetch: 70_000 }]) {
        assert.strictEqual(yield* reasonOf(ChannelPool.make(options)), "Refused")
      }
      assert.strictEqual(yield* reasonOf(ChannelPool.make({ limit: 2, preconnect: 3 })), "LimitExceeded")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("asks before it lends again", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({
        check: (channel) => channel.queueDeclare({ queue: "must-be-there", passive: true })
      })
      const first = yield* next(pool)
      yield* queueOf("must-be-there")
      assert.strictEqual(yield* next(pool), first)
      yield* Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDelete({ queue: "must-be-there" })))
      yield* next(pool)
      assert.strictEqual((yield* pool.stats).idle, 1)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("never lends a channel that has ended, nor any once its connection has", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ url: "memory://", reconnect: Reconnect.none })
      const pool = yield* ChannelPool.makeOver([connection])
      yield* next(pool)
      yield* broker.dropConnections
      yield* settle
      assert.strictEqual((yield* Effect.flip(next(pool)))._tag, "ConnectionClosed")
      assert.strictEqual((yield* Effect.flip(pool.publish({ content: "x" })))._tag, "ConnectionClosed")
      assert.strictEqual((yield* pool.stats).idle, 0)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("outlives a loss of the socket: its channels heal, and go on being lent", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const pool = yield* ChannelPool.make({ limit: 1, guarantee: "at-least-once" })
      yield* queueOf("q")
      yield* pool.publish({ routingKey: "q", content: "1" })
      yield* broker.dropConnections
      const publishing = yield* Effect.fork(pool.publish({ routingKey: "q", content: "2" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(publishing)
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
    }).pipe(Effect.provide(Embedded)))
})

const kept = (title: string, use: (channel: ChannelPool.Leased) => Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.scoped(`is kept: ${title}`, () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1, prefetch: 7 })
      yield* queueOf("q", "1", "2")
      yield* Effect.exit(pool.use(use))
      assert.strictEqual((yield* pool.stats).idle, 1)
    }).pipe(Effect.provide(Embedded)))

const discarded = (
  title: string,
  use: (channel: ChannelPool.Leased) => Effect.Effect<unknown, unknown, Scope.Scope>
) =>
  it.scoped(`is closed, and what it held goes back: ${title}`, () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1 })
      yield* queueOf("q", "1", "2")
      yield* Effect.exit(pool.use(use))
      yield* settle
      assert.strictEqual((yield* pool.stats).idle, 0)
      assert.deepStrictEqual(yield* channels, [0])
      const broker = yield* Broker.Broker
      assert.deepInclude((yield* broker.queues())[0], { ready: 2, unsettled: 0, consumers: 0 })
      yield* next(pool)
    }).pipe(Effect.provide(Embedded)))

describe("a borrowed channel", () => {
  it.scoped("fails Released, whatever is asked of it, once its lease has ended", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1 })
      const stale = yield* pool.use(Effect.succeed)
      const { consume, mode, returned, ...operations } = stale
      assert.strictEqual(mode, "confirm")
      const message = { content: "x" }
      const bind = { queue: "q", exchange: "amq.topic" }
      const chain = { source: "amq.topic", destination: "amq.fanout" }
      const asked: {
        readonly [K in keyof typeof operations]: Effect.Effect<
          unknown,
          AmqpError.CallError | AmqpError.ConfirmError | AmqpError.PublishManyError | AmqpError.PoolError
        >
      } = {
        queueDeclare: stale.queueDeclare(),
        queueBind: stale.queueBind(bind),
        queueUnbind: stale.queueUnbind(bind),
        queuePurge: stale.queuePurge("q"),
        queueDelete: stale.queueDelete({ queue: "q" }),
        exchangeDeclare: stale.exchangeDeclare({ exchange: "x" }),
        exchangeDelete: stale.exchangeDelete({ exchange: "x" }),
        exchangeBind: stale.exchangeBind(chain),
        exchangeUnbind: stale.exchangeUnbind(chain),
        qos: stale.qos({ prefetch: 1 }),
        flow: stale.flow(true),
        number: stale.number,
        get: stale.get({ queue: "q" }),
        ackAll: stale.ackAll(),
        nackAll: stale.nackAll(),
        recover: stale.recover,
        publish: stale.publish(message),
        publishAll: stale.publishAll([message]),
        offer: stale.offer(message),
        drain: stale.drain,
        unconfirmed: stale.unconfirmed
      }
      for (const [name, operation] of Object.entries(asked)) {
        assert.strictEqual(yield* reasonOf(operation), "Released", name)
      }
      assert.strictEqual(yield* reasonOf(Stream.runDrain(consume({ queue: "q" }))), "Released")
      assert.strictEqual(yield* reasonOf(Stream.runDrain(returned)), "Released")
      assert.strictEqual(yield* reasonOf(pool.replace(stale)), "Released")
      assert.deepStrictEqual(yield* channels, [1], "the next borrower has it")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("does everything that a channel does", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1 })
      yield* pool.use((channel) =>
        Effect.gen(function*() {
          const { queue } = yield* channel.queueDeclare({ queue: "orders" })
          yield* channel.exchangeDeclare({ exchange: "x", type: "topic" })
          yield* channel.queueBind({ queue, exchange: "x", routingKey: "#" })
          yield* channel.exchangeBind({ source: "x", destination: "amq.fanout" })
          yield* channel.exchangeUnbind({ source: "x", destination: "amq.fanout" })
          yield* channel.publish({ exchange: "x", routingKey: "a", content: "1" })
          yield* channel.publishAll([{ exchange: "x", content: "2" }])
          yield* channel.offer({ exchange: "x", content: "3" })
          yield* channel.drain
          assert.strictEqual(yield* channel.unconfirmed, 0)
          yield* channel.flow(true)
          const texts = yield* channel.consume({ queue }).pipe(
            Stream.take(3),
            Stream.tap((delivery) => delivery.ack),
            Stream.map(({ text }) => text),
            Stream.runCollect
          )
          assert.deepStrictEqual(Array.from(texts), ["1", "2", "3"])
          yield* channel.ackAll()
          yield* channel.nackAll()
          yield* channel.recover
          assert.strictEqual(yield* channel.queuePurge(queue), 0)
          yield* channel.queueUnbind({ queue, exchange: "x", routingKey: "#" })
          yield* channel.exchangeDelete({ exchange: "x" })
          yield* channel.queueDelete({ queue })
        })
      )
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
    }).pipe(Effect.provide(Embedded)))

  kept("its borrower failed with something of its own", () => Effect.fail("mine"))
  kept(
    "what it was delivered is settled",
    (channel) => Effect.flatMap(Effect.flatten(channel.get({ queue: "q" })), ({ delivery }) => delivery.ack)
  )
  kept("what was refused here never reached the broker", (channel) => channel.qos({ prefetch: -1 }))
  discarded("a delivery that nobody settled", (channel) => channel.get({ queue: "q" }))
  discarded("a consumer that still runs", (channel) =>
    Effect.zipRight(
      Effect.forkScoped(Stream.runDrain(channel.consume({ queue: "q" }))),
      Effect.repeatN(Effect.yieldNow(), 20)
    ))
  discarded("a prefetch for all consumers together", (channel) => channel.qos({ prefetch: 5, global: true }))
  discarded("the broker closed it over a fault", (channel) => channel.queueDeclare({ queue: "none", passive: true }))

  it.scoped("a changed prefetch does not reach the next borrower", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1, prefetch: 2 })
      yield* queueOf("q", "1", "2", "3", "4")
      const broker = yield* Broker.Broker
      yield* pool.use((channel) => channel.qos({ prefetch: 1 }))
      assert.strictEqual((yield* pool.stats).idle, 1)
      yield* pool.use((channel) =>
        Effect.gen(function*() {
          yield* Effect.forkScoped(Stream.runDrain(channel.consume({ queue: "q" })))
          yield* Effect.repeatN(Effect.yieldNow(), 50)
          assert.strictEqual((yield* broker.queues())[0]?.unsettled, 2)
        })
      ).pipe(Effect.scoped)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("hears of its own offers alone", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1 })
      yield* pool.use((channel) => channel.offer({ routingKey: "none", mandatory: true, content: "x" }))
      yield* pool.use(({ drain }) => drain)
    }).pipe(Effect.provide(Embedded)))
})

describe("several connections", () => {
  it.scoped("share the channels evenly, below what each of them allows", () =>
    Effect.gen(function*() {
      const connections = yield* Effect.all([
        Connection.make({ url: "memory://", channelMax: 2 }),
        Connection.make({ url: "memory://" }),
        Connection.make({ url: "memory://" })
      ])
      const pool = yield* ChannelPool.makeOver(connections, { limit: 12 })
      yield* pool.grow(6, { connect: true })
      assert.deepStrictEqual(yield* channels, [2, 2, 2])
      yield* pool.grow(6, { connect: true })
      assert.deepStrictEqual(yield* channels, [2, 5, 5])
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("where none has a number left, it fails NoFreeChannels, and leaves no trace", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ url: "memory://", channelMax: 2 })
      const pool = yield* ChannelPool.makeOver([connection, connection])
      const borrowing = Effect.all(Arr.replicate(pool.get(), 3))
      assert.strictEqual(yield* reasonOf(Effect.scoped(borrowing)), "NoFreeChannels")
      assert.strictEqual((yield* pool.stats).active, 0)
      yield* Effect.scoped(Effect.all([pool.get(), pool.get()]))
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("one that is away gets no new channels while another is up", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const [one, other] = yield* Effect.all([
        Connection.make({ url: "memory://", name: "one" }),
        Connection.make({ url: "memory://", name: "other" })
      ])
      yield* broker.refuse({ connection: "one" })
      yield* broker.drop({ connection: "one" })
      yield* settle
      const pool = yield* ChannelPool.makeOver([one, other])
      yield* pool.grow(3, { connect: true })
      assert.deepStrictEqual(yield* channels, [3])
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("publish", () => {
  it.scoped("shares channels: it neither waits for leases of others nor opens what it does not need", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 2 })
      yield* queueOf("q")
      yield* pool.get()
      yield* Effect.forEach(Arr.range(1, 100), (n) => pool.publish({ routingKey: "q", content: `${n}` }), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(yield* pool.stats, { limit: 2, total: 2, active: 1, idle: 1, waiting: 0 })
    }).pipe(Effect.provide(Embedded)))

  it.scoped("waits for a channel while all are borrowed", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 1, timeout: "5 seconds" })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* pool.get()
        const publishing = yield* Effect.fork(reasonOf(pool.publish({ content: "x" })))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* Fiber.join(publishing), "Timeout")
      }))
      yield* pool.publish({ content: "x" })
      yield* pool.closeAll
      assert.strictEqual(yield* reasonOf(pool.publish({ content: "x" })), "Closed")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("opens another channel when the windows of the others are full", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const pool = yield* ChannelPool.make({ limit: 3, window: 2 })
      const lost = yield* broker.loseNext(100)
      const opened: Array<number> = []
      const publishing = yield* Effect.forEach(Arr.range(1, 9), () =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(pool.publish({ content: "x" }))
          yield* Effect.repeatN(Effect.yieldNow(), 50)
          opened.push(...(yield* channels))
          return fiber
        }))
      assert.deepStrictEqual(opened, [1, 1, 2, 2, 2, 3, 3, 3, 3])
      yield* lost.heal
      yield* Fiber.interruptAll(publishing)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("publishAll keeps the order, and names what failed", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 2 })
      yield* queueOf("q")
      const messages = Arr.makeBy(50, (n) => ({ routingKey: "q", content: `${n}` }))
      yield* pool.publishAll(messages)
      const fault = yield* Effect.flip(
        pool.publishAll([messages[0]!, { content: "x", routingKey: "none", mandatory: true }])
      )
      assert.deepStrictEqual(fault._tag === "PublishManyError" ? fault.failures.map(({ index }) => index) : fault, [1])
      yield* pool.use((channel) =>
        Effect.forEach(Arr.range(0, 49), (n) =>
          Effect.map(channel.get({ queue: "q", noAck: true }), (got) =>
            assert.deepStrictEqual(
              Option.map(got, ({ delivery }) =>
                delivery.text),
              Option.some(`${n}`)
            )))
      )
    }).pipe(Effect.provide(Embedded)))
})

/** Everybody publishes through the pool, some of it to nowhere; each must hear of its own messages alone. */
const noMixing = (pool: ChannelPool.ChannelPool, queue: string, fibers: number, each: number) =>
  Effect.gen(function*() {
    const outcomes = yield* Effect.forEach(
      Arr.range(1, fibers),
      (fiber) =>
        Effect.forEach(Arr.range(1, each), (n) =>
          Effect.gen(function*() {
            const id = `${fiber}.${n}`
            const isLost = (yield* Random.nextInt) % 3 === 0
            const routingKey = isLost ? `nowhere.${id}` : queue
            const outcome = yield* Effect.either(
              pool.publish({ routingKey, mandatory: true, content: id, properties: { messageId: id } })
            )
            if (outcome._tag === "Right") return isLost ? assert.fail(`${id} was confirmed`) : id
            const fault = outcome.left
            assert.isTrue(isLost, `${id} failed: ${fault.message}`)
            assert.deepInclude(fault, { _tag: "PublishReturned", routingKey })
            return undefined
          })),
      { concurrency: "unbounded" }
    )
    const confirmed = outcomes.flat().filter((id) => id !== undefined)
    const stored = yield* pool.use((channel) =>
      Effect.flatMap(
        channel.queueDeclare({ queue, passive: true }),
        ({ messageCount }) =>
          channel.consume({ queue, noAck: true }).pipe(
            Stream.take(messageCount),
            Stream.map(({ text }) => text),
            Stream.runCollect
          )
      )
    )
    assert.sameMembers(Array.from(stored), confirmed)
    return confirmed.length
  })

describe("1,000 fibers on 8 channels", () => {
  it.scoped("each hear of their own messages alone: by ids, with returns among them", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 8, preconnect: 8, window: 100 })
      const broker = yield* Broker.Broker
      const published = yield* broker.record({ last: 10_000 })
      yield* queueOf("q")
      assert.isAbove(yield* noMixing(pool, "q", 1000, 5), 3000)
      assert.lengthOf(new Set((yield* published).map(({ channel }) => channel)), 8, "all of them were used")
      assert.deepStrictEqual(yield* pool.stats, { limit: 8, total: 8, active: 0, idle: 8, waiting: 0 })
    }).pipe(Effect.provide(Embedded)), 30_000)

  it.scoped("that are interrupted anywhere leave every channel free", () =>
    Effect.gen(function*() {
      const pool = yield* ChannelPool.make({ limit: 8, window: 10 })
      yield* queueOf("q")
      const fibers = yield* Effect.forEach(Arr.range(1, 1000), (n) =>
        Effect.fork(Effect.forever(
          n % 10 === 0
            ? pool.use((channel) => channel.publish({ routingKey: "q", content: "x" }))
            : pool.publish({ routingKey: "q", content: "x" })
        )))
      for (const fiber of fibers) {
        yield* Effect.repeatN(Effect.yieldNow(), yield* Random.nextIntBetween(0, 3))
        yield* Fiber.interrupt(fiber)
      }
      const { active, waiting } = yield* pool.stats
      assert.deepStrictEqual({ active, waiting }, { active: 0, waiting: 0 })
      yield* Effect.scoped(Effect.all(Arr.replicate(pool.get({ wait: false }), 8)))
    }).pipe(Effect.provide(Embedded)), 30_000)
})

describeRabbit("a pool of channels on RabbitMQ", (it) => {
  it.scoped("never mixes up confirms and returns, on several connections", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      const connections = yield* Effect.all([Connection.make({ url }), Connection.make({ url })])
      const pool = yield* ChannelPool.makeOver(connections, { limit: 8, preconnect: 8 })
      const { queue } = yield* pool.use((channel) => channel.queueDeclare({ queue: "pooled-channels" }))
      yield* noMixing(pool, queue, 500, 4)
    }).pipe(Effect.provide(NodeTransport.layer)), 60_000)

  it.scoped("lends a fresh channel after a fault, and one that was not", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      yield* Effect.gen(function*() {
        const pool = yield* ChannelPool.make({ limit: 1 })
        assert.strictEqual(
          yield* reasonOf(pool.use((channel) => channel.queueDeclare({ queue: "none", passive: true }))),
          "NotFound"
        )
        yield* pool.use((channel) => channel.publish({ content: "x" }))
      }).pipe(Effect.scoped, Effect.provide(Connection.layer({ url })))
    }).pipe(Effect.provide(NodeTransport.layer)), 60_000)
})
