import { assert, describe, it } from "@effect/vitest"
import { Credentials, Transport } from "effect-amqp"
import { Channel, Connection, ConnectionOptions } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Worker } from "node:worker_threads"
import { defaults } from "../pika.words.ts"
import { now, on, onNetwork, settle, wiretap } from "../setup.ts"

/** Runs an Effect that is woken by another thread, on this one. */
const fromThread = <R>(callback: Effect.Effect<void, unknown, R>) =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) =>
    Effect.async<void, unknown>((resume) => {
      const thread = new Worker("require(\"node:worker_threads\").parentPort.postMessage(\"done\")", { eval: true })
      thread.once("message", () => Runtime.runFork(runtime)(callback).addObserver(resume))
      thread.once("error", (error) => resume(Effect.die(error)))
      return Effect.promise(() => thread.terminate())
    }))

/** The texts of a queue, as they come. */
const texts = (channel: Channel.Channel, queue: string) => {
  const seen: Array<string> = []
  return Effect.as(
    Effect.forkScoped(
      Stream.runForEach(channel.consume({ queue, noAck: true }), ({ text }) => Effect.sync(() => void seen.push(text)))
    ),
    seen
  )
}

const sum = (...terms: ReadonlyArray<number>) => Effect.succeed(terms.reduce((sum, term) => sum + term, 0))

describe("Blocking Connection", () => {
  it.effect("BlockingConnection: open when made, closed with its scope", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* Connection.make({})
          assert.isTrue(yield* connection.isOpen)
          assert.lengthOf(yield* broker.connections, 1)
        }))
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))

  it.effect("BlockingConnection(parameters): options, a URL, or values of either kind", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        yield* Connection.make({ host: "a" })
        yield* Connection.make({ url: "amqp://b" })
        yield* Connection.make({ urls: ["amqp://c", "amqp://d"] })
        yield* Connection.make({
          failover: () => [ConnectionOptions.make({ host: "e" })]
        })
        assert.deepStrictEqual(read(), ["0 a", "0 b", "0 c", "0 e"])
      })
    ))

  it.effect("BlockingConnection.channel: the lowest number that is free", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const first = yield* on(connection, Channel.make())
        const second = yield* on(connection, Channel.make())
        assert.deepStrictEqual([yield* first.number, yield* second.number], [1, 2])
        assert.strictEqual((yield* broker.connections)[0]?.channels, 2)
      })
    ))

  it.effect("BlockingConnection.channel(channel_number)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.make({ number: 7 }))
        assert.strictEqual(yield* channel.number, 7)
        const { channelMax } = yield* connection.info
        const reasons = yield* Effect.forEach([7, channelMax + 1, 0, -1, 1.5, 65536], (number) =>
          Effect.map(
            Effect.flip(on(connection, Channel.make({ number }))),
            (fault) => fault._tag === "ChannelError" && fault.reason
          ))
        assert.deepStrictEqual(reasons, ["NoFreeChannels", "NoFreeChannels", ...Array(4).fill("Refused")])
        const last = yield* on(connection, Channel.make({ number: channelMax }))
        assert.strictEqual(yield* last.number, channelMax)
      })
    ))

  it.effect("BlockingChannel: declares, publishes, gets, each call done when it returns", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.makeConfirm())
        const { queue } = yield* channel.queueDeclare({ queue: "q" })
        yield* channel.publish({ routingKey: queue, content: "hello" })
        const got = yield* Effect.flatten(channel.get({ queue }))
        assert.strictEqual(got.delivery.text, "hello")
        yield* got.delivery.ack
      })
    ))

  it.effect("BlockingConnection.close: the broker is told, channels fail, a second close does no harm", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.make())
        yield* connection.close()
        yield* connection.close()
        assert.lengthOf(yield* broker.connections, 0)
        assert.strictEqual((yield* Effect.flip(channel.queueDeclare({ queue: "q" })))._tag, "ConnectionClosed")
      })
    ))

  it.effect("BlockingConnection.process_data_events: deliveries come without a call", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        const seen = yield* texts(channel, "q")
        yield* settle
        yield* channel.publish({ routingKey: "q", content: "hello" })
        yield* settle
        assert.deepStrictEqual(seen, ["hello"])
      })
    ))

  it.effect("BlockingConnection.process_data_events(time_limit): drainEvents waits for one event, 0 for none", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const none = yield* Effect.flip(connection.drainEvents({ timeout: `${defaults.time_limit} seconds` }))
        assert.strictEqual(none._tag, "OperationTimeout")
        const event = yield* Effect.fork(connection.drainEvents({ timeout: "5 seconds" }))
        yield* TestClock.adjust("4 seconds")
        assert.isNull(event.unsafePoll())
        yield* broker.block("memory")
        yield* settle
        assert.deepStrictEqual(yield* Fiber.join(event), { channel: 0, method: "connection.blocked" })
      })
    ))

  it.effect("BlockingConnection.sleep: Effect.sleep, while the connection works on", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ heartbeat: "1 second" })
        const sleeping = yield* Effect.fork(Effect.sleep("1 minute"))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(sleeping)
        assert.isTrue(yield* connection.isOpen, "sixty heartbeats later")
        assert.isTrue(Duration.lessThanOrEqualTo((yield* connection.silence) ?? Duration.infinity, "1 second"))
      })
    ))

  it.effect("BlockingConnection.sleep(duration)", () =>
    Effect.gen(function*() {
      const sleeping = yield* Effect.fork(Effect.zipRight(Effect.sleep("90 seconds"), now))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* Fiber.join(sleeping), 90_000)
    }))

  it.effect("BlockingConnection.add_callback_threadsafe: Runtime.runFork, woken by another thread", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "done" })
        yield* fromThread(channel.publish({ routingKey: "done", content: "done" }))
        assert.deepInclude((yield* broker.queues())[0], { name: "done", ready: 1 })
      })
    ))

  it.effect("BlockingConnection.add_callback_threadsafe(callback): any Effect; any fiber may use any channel", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* channel.publish({ routingKey: "q", content: "work" })
        const { delivery } = yield* Effect.flatten(channel.get({ queue: "q" }))
        yield* fromThread(delivery.ack)
        yield* Effect.all(
          Array.from({ length: 50 }, () => channel.publish({ routingKey: "q", content: "x" })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual((yield* channel.queueDeclare({ queue: "q", passive: true })).messageCount, 50)
      })
    ))

  it.effect("BlockingConnection.call_later: a fiber that begins later, and is the handle", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ heartbeat: "0 seconds" })
        const handle = yield* Effect.fork(Effect.delay(connection.isOpen, "5 seconds"))
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(yield* Fiber.join(handle))
      })
    ))

  it.effect("BlockingConnection.call_later(delay)", () =>
    Effect.gen(function*() {
      const handle = yield* Effect.fork(Effect.delay(now, "5 seconds"))
      yield* TestClock.adjust("4999 millis")
      assert.isNull(handle.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(handle), 5000)
    }))

  it.effect("BlockingConnection.call_later(callback): any Effect, a publish for one", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ heartbeat: "0 seconds" })
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        const handle = yield* Effect.fork(
          Effect.delay(channel.publish({ routingKey: "q", content: "later" }), "5 seconds")
        )
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(handle)
        assert.strictEqual((yield* Effect.flatten(channel.get({ queue: "q" }))).delivery.text, "later")
      })
    ))

  it.effect("BlockingConnection.call_later(*args): arguments of the function that makes the Effect", () =>
    Effect.gen(function*() {
      const handle = yield* Effect.fork(Effect.delay(sum(1, 2, 3), "5 seconds"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(handle), 6)
    }))

  it.effect("BlockingConnection.remove_timeout: Fiber.interrupt", () =>
    Effect.gen(function*() {
      let called = false
      const handle = yield* Effect.fork(Effect.delay(Effect.sync(() => void (called = true)), "5 seconds"))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.interrupt(handle)
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(called)
    }))

  it.effect("BlockingConnection.remove_timeout(timeout_id): that one alone, and no harm when it has run", () =>
    Effect.gen(function*() {
      const called: Array<number> = []
      const handles = yield* Effect.all(
        [1, 2, 3].map((each) => Effect.fork(Effect.delay(Effect.sync(() => called.push(each)), `${each} seconds`)))
      )
      yield* TestClock.adjust("1 second")
      yield* Effect.all(handles.slice(0, 2).map(Fiber.interrupt))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(called, [1, 3])
    }))

  it.effect("BlockingConnection.update_secret: on the open socket, and for the dials that follow", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const [before, after] = [Redacted.make("before"), Redacted.make("after")]
        yield* broker.addUser({ name: "me", password: before })
        const connection = yield* Connection.make({ credentials: Credentials.plain("me", before) })
        yield* broker.addUser({ name: "me", password: after })
        yield* connection.updateSecret(after, "rotated")
        yield* broker.dropConnections
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* connection.isOpen)
        assert.strictEqual((yield* connection.info).epoch, 2)
      })
    ))

  it.effect("BlockingConnection.update_secret(new_secret): sent in clear, and shown nowhere", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const tap = yield* wiretap
        const connection = yield* Effect.provideService(Connection.make({}), Transport.Transport, tap.transport)
        const secret = Redacted.make("s@fe")
        yield* connection.updateSecret(secret, "rotated")
        assert.include(tap.written(), "s@fe")
        assert.notInclude(String(secret) + JSON.stringify(yield* connection.info), "s@fe")
      })
    ))

  it.effect("BlockingConnection.update_secret(reason): told to the broker, for its log", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const tap = yield* wiretap
        const connection = yield* Effect.provideService(Connection.make({}), Transport.Transport, tap.transport)
        yield* connection.updateSecret(Redacted.make("s@fe"), "token expires at noon")
        assert.include(tap.written(), "token expires at noon")
      })
    ))

  it.effect("BlockingConnection.add_on_connection_blocked_callback: a stream of the states", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const blocked = connection.changes.pipe(Stream.filter((state) => state._tag === "Blocked"))
        const waiting = yield* Effect.fork(Stream.runHead(blocked))
        yield* settle
        assert.isNull(waiting.unsafePoll())
        yield* broker.block("memory")
        yield* settle
        assert.isTrue(Option.isSome(yield* Fiber.join(waiting)))
      })
    ))

  it.effect("BlockingConnection.add_on_connection_blocked_callback(callback): gets the connection and the reason", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ name: "mine" })
        const called: Array<readonly [name: string | undefined, reason: string]> = []
        const callback = (connection: Connection.Connection, reason: string) =>
          Effect.map(connection.info, ({ options }) => called.push([options.name, reason]))
        yield* Effect.forkScoped(Stream.runForEach(connection.changes, (state) =>
          state._tag === "Blocked" ? callback(connection, state.reason) : Effect.void))
        yield* settle
        const alarm = yield* broker.block("memory")
        yield* settle
        yield* alarm.heal
        yield* settle
        yield* broker.block("disk")
        yield* settle
        assert.deepStrictEqual(called, [["mine", "memory"], ["mine", "disk"]])
      })
    ))

  it.effect("BlockingConnection.add_on_connection_unblocked_callback: Open after Blocked", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const alarm = yield* broker.block("memory")
        yield* settle
        const unblocked = connection.changes.pipe(Stream.dropWhile((state) => state._tag === "Blocked"))
        const waiting = yield* Effect.fork(Stream.runHead(unblocked))
        yield* settle
        assert.isNull(waiting.unsafePoll())
        yield* alarm.heal
        yield* settle
        assert.deepInclude(Option.getOrThrow(yield* Fiber.join(waiting)), { _tag: "Open", epoch: 1 })
      })
    ))

  it.effect("BlockingConnection.add_on_connection_unblocked_callback(callback): or wait for ready, and go on", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const alarm = yield* broker.block("memory")
        yield* settle
        let called = false
        const waiting = yield* Effect.fork(
          Effect.zipRight(connection.ready({ timeout: "1 minute" }), Effect.sync(() => void (called = true)))
        )
        yield* settle
        assert.isFalse(called)
        yield* alarm.heal
        yield* settle
        yield* Fiber.join(waiting)
        assert.isTrue(called)
      })
    ))

  it.effect("BlockingConnection.is_closed: has ended for good", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        assert.isFalse(yield* connection.isClosed)
        yield* broker.refuse()
        yield* broker.dropConnections
        yield* settle
        assert.isFalse(yield* connection.isClosed, "it recovers")
        yield* connection.close()
        assert.isTrue(yield* connection.isClosed)
      })
    ))

  it.effect("BlockingConnection.is_open: has a socket, blocked or not", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        assert.isTrue(yield* connection.isOpen)
        yield* broker.block("memory")
        yield* settle
        assert.isTrue(yield* connection.isOpen)
        yield* connection.close()
        assert.isFalse(yield* connection.isOpen)
      })
    ))

  it.effect("BlockingConnection.basic_nack_supported", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ requires: ["basicNack"] })
        assert.isTrue((yield* connection.info).capabilities.basicNack)
      })
    ))

  it.effect("BlockingConnection.consumer_cancel_notify_supported", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ requires: ["consumerCancelNotify"] })
        assert.isTrue((yield* connection.info).capabilities.consumerCancelNotify)
        const channel = yield* on(connection, Channel.make())
        yield* channel.queueDeclare({ queue: "q" })
        const consuming = yield* Effect.fork(Effect.either(Stream.runDrain(channel.consume({ queue: "q" }))))
        yield* settle
        yield* channel.queueDelete({ queue: "q" })
        yield* settle
        assert.propertyVal(Option.getOrThrow(Either.getLeft(yield* Fiber.join(consuming))), "_tag", "ConsumerCancelled")
      })
    ))

  it.effect("BlockingConnection.exchange_exchange_bindings_supported", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ requires: ["exchangeExchangeBindings"] })
        assert.isTrue((yield* connection.info).capabilities.exchangeExchangeBindings)
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.exchangeDeclare({ exchange: "in" })
        yield* channel.exchangeDeclare({ exchange: "out" })
        yield* channel.queueDeclare({ queue: "q" })
        yield* channel.exchangeBind({ source: "in", destination: "out", routingKey: "k" })
        yield* channel.queueBind({ queue: "q", exchange: "out", routingKey: "k" })
        yield* channel.publish({ exchange: "in", routingKey: "k", content: "through" })
        assert.strictEqual((yield* broker.queues())[0]?.ready, 1)
      })
    ))

  it.effect("BlockingConnection.publisher_confirms_supported", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ requires: ["publisherConfirms"] })
        assert.isTrue((yield* connection.info).capabilities.publisherConfirms)
        const channel = yield* on(connection, Channel.makeConfirm())
        yield* channel.queueDeclare({ queue: "q" })
        yield* broker.nackNext(1)
        const refused = yield* Effect.flip(channel.publish({ routingKey: "q", content: "no" }))
        assert.strictEqual(refused._tag, "PublishNacked")
        yield* channel.publish({ routingKey: "q", content: "yes" })
      })
    ))
})
