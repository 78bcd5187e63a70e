import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection, SimpleQueue } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { Network } from "../../reconnect/network.ts"
import { defaults } from "../kombu.words.ts"
import { on, onNetwork, settle } from "../setup.ts"

/** Runs something on a connection to a network of its own. */
const connected = <A, E, R>(program: (network: Network) => Effect.Effect<A, E, R>) =>
  onNetwork((network) => Effect.provideServiceEffect(program(network), Connection.Connection, Connection.make({})))

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (fault) => "reason" in fault ? fault.reason : fault._tag)

/** How many channels the only connection has. */
const channels = (broker: Network["broker"]) => Effect.map(broker.connections, ([first]) => first?.channels)

const ready = (broker: Network["broker"], name: string) =>
  Effect.map(broker.queues(), (queues) => queues.find((queue) => queue.name === name))

describe("SimpleQueue", () => {
  it.effect("BrokerConnection.SimpleQueue: put and get values, on a channel of its own", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const jobs = yield* SimpleQueue.make("jobs")
        yield* jobs.put({ room: 7 })
        const { delivery, value } = yield* jobs.get({ timeout: "1 second" })
        assert.deepStrictEqual(value, { room: 7 })
        yield* delivery.ack
        yield* settle
        assert.deepInclude(yield* ready(broker, "jobs"), { ready: 0, unsettled: 0 })
        assert.strictEqual(yield* channels(broker), 1)
      })
    ))

  it.effect("BrokerConnection.SimpleQueue(name): of queue, exchange and routing key, or a queue that is bound otherwise", () =>
    connected(() =>
      Effect.gen(function*() {
        const named = yield* SimpleQueue.make("jobs")
        yield* named.put("a")
        const { delivery } = yield* named.get()
        assert.deepInclude(delivery, { exchange: "jobs", routingKey: "jobs" })
        const queue = yield* SimpleQueue.make({ queue: "other", exchange: "work", routingKey: "house" })
        yield* queue.put("b")
        assert.deepInclude((yield* queue.get()).delivery, { exchange: "work", routingKey: "house" })
      })
    ))

  it.effect("BrokerConnection.SimpleQueue(no_ack)", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        assert.isFalse(defaults.simple.no_ack)
        const usual = yield* SimpleQueue.make("usual")
        yield* usual.put("a")
        yield* usual.get()
        assert.deepInclude(yield* ready(broker, "usual"), { ready: 0, unsettled: 1 })
        const noAck = yield* SimpleQueue.make("no-ack", { noAck: true })
        yield* noAck.put("a")
        yield* noAck.get()
        yield* settle
        assert.deepInclude(yield* ready(broker, "no-ack"), { ready: 0, unsettled: 0 })
      })
    ))

  it.effect("BrokerConnection.SimpleQueue(queue_opts): durable, and what else is said", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const short = yield* SimpleQueue.make("short", { queue: { arguments: { "x-max-length": 1 } } })
        yield* short.put("a")
        yield* short.put("b")
        assert.deepInclude(yield* ready(broker, "short"), { ready: 1 })
        const other = SimpleQueue.make("short", { queue: { durable: false, arguments: { "x-max-length": 1 } } })
        assert.strictEqual(yield* reasonOf(other), "PreconditionFailed")
      })
    ))

  it.effect("BrokerConnection.SimpleQueue(exchange_opts): durable, direct, and what else is said", () =>
    connected(() =>
      Effect.gen(function*() {
        yield* SimpleQueue.make("usual")
        const channel = yield* Channel.make()
        yield* channel.exchangeDeclare({ exchange: "usual", type: "direct", durable: true })
        const topics = yield* SimpleQueue.make("topics", { exchange: { type: "topic" } })
        yield* channel.queueBind({ queue: "topics", exchange: "topics", routingKey: "a.#" })
        yield* topics.put("through", { routingKey: "a.b" })
        assert.strictEqual((yield* topics.get()).value, "through")
      })
    ))

  it.effect("BrokerConnection.SimpleQueue(channel): one of its own, which close closes", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const [one, other] = yield* Effect.all([SimpleQueue.make("one"), SimpleQueue.make("other")])
        assert.strictEqual(yield* channels(broker), 2)
        yield* one.put("a")
        yield* one.get()
        yield* one.close
        yield* settle
        assert.strictEqual(yield* channels(broker), 1)
        assert.deepInclude(yield* ready(broker, "one"), { ready: 1 }, "what was not settled went back")
        yield* other.put("b")
      })
    ))
})

describe("SimpleBuffer", () => {
  it.effect("BrokerConnection.SimpleBuffer: transient, and gone with its connection", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const recorded = yield* broker.record()
        const connection = yield* Connection.make({})
        const buffer = yield* on(connection, SimpleQueue.buffer("buffer"))
        yield* buffer.put("a")
        assert.strictEqual((yield* buffer.get()).value, "a")
        const [published] = yield* recorded
        assert.isUndefined(published?.properties.deliveryMode)
        yield* connection.close()
        assert.isUndefined(yield* ready(broker, "buffer"))
      })
    ))

  it.effect("BrokerConnection.SimpleBuffer(name)", () =>
    connected(() =>
      Effect.gen(function*() {
        const buffer = yield* SimpleQueue.buffer("buffer")
        assert.strictEqual(buffer.queue, "buffer")
        yield* buffer.put("a")
        assert.deepInclude((yield* buffer.get()).delivery, { exchange: "buffer", routingKey: "buffer" })
      })
    ))

  it.effect("BrokerConnection.SimpleBuffer(no_ack): nothing is to be settled, whatever its signature says", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const buffer = yield* SimpleQueue.buffer("buffer")
        yield* buffer.put("a")
        const { delivery } = yield* buffer.get()
        assert.deepInclude(yield* ready(broker, "buffer"), { ready: 0, unsettled: 0 })
        assert.strictEqual(yield* reasonOf(delivery.ackOrFail), "NoAck")
      })
    ))

  it.effect("BrokerConnection.SimpleBuffer(queue_opts): transient, auto-delete, and what else is said", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const buffer = yield* SimpleQueue.buffer("buffer", {
          exclusive: false,
          queue: { arguments: { "x-max-length": 1 } }
        })
        const channel = yield* Channel.make()
        const same = { queue: "buffer", durable: false, autoDelete: true, arguments: { "x-max-length": 1 } }
        yield* channel.queueDeclare(same)
        assert.strictEqual(yield* reasonOf(channel.queueDeclare({ ...same, durable: true })), "PreconditionFailed")
        yield* buffer.put("a")
        yield* buffer.put("b")
        assert.deepInclude(yield* ready(broker, "buffer"), { ready: 1 })
      })
    ))

  it.effect("BrokerConnection.SimpleBuffer(exchange_opts): transient, auto-delete, and what else is said", () =>
    connected(() =>
      Effect.gen(function*() {
        yield* SimpleQueue.buffer("buffer", { exchange: { type: "fanout" } })
        const channel = yield* Channel.make()
        const same = { exchange: "buffer", type: "fanout", durable: false, autoDelete: true } as const
        yield* channel.exchangeDeclare(same)
        assert.strictEqual(yield* reasonOf(channel.exchangeDeclare({ ...same, durable: true })), "PreconditionFailed")
      })
    ))

  it.effect("BrokerConnection.SimpleBuffer(channel): one of its own, which close closes", () =>
    connected(({ broker }) =>
      Effect.gen(function*() {
        const buffer = yield* SimpleQueue.buffer("buffer")
        assert.strictEqual(yield* channels(broker), 1)
        yield* buffer.close
        yield* settle
        assert.strictEqual(yield* channels(broker), 0)
      })
    ))
})
