import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import type { Connection as Connection_ } from "effect-amqp/amqp091"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import * as Reconnect from "../../src/Reconnect.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Whoever was dialled, and when, in milliseconds of virtual time. */
class Dials extends Context.Tag("test/Dials")<Dials, Ref.Ref<ReadonlyArray<readonly [number, string]>>>() {}

// One network, one broker, seen through the recording Transport.
const layerRecorded = Layer.unwrapEffect(Effect.gen(function*() {
  const memory = yield* Transport.makeMemory
  const dials = yield* Ref.make<ReadonlyArray<readonly [number, string]>>([])
  const transport: typeof memory.transport = {
    dial: (target) =>
      Effect.flatMap(now, (time) => Ref.update(dials, (all) => [...all, [time, target.host] as const])).pipe(
        Effect.zipRight(memory.transport.dial(target))
      )
  }
  return Layer.mergeAll(
    Layer.succeed(Dials, dials),
    Layer.succeed(Transport.Transport, transport),
    Layer.provide(Broker.layer(), Layer.succeed(Transport.TransportServer, memory.server))
  )
}))

const tags = (connection: Connection_.Connection) =>
  Effect.gen(function*() {
    const seen: Array<Connection_.State> = []
    yield* Effect.fork(Stream.runForEach(connection.changes, (state) => Effect.sync(() => void seen.push(state))))
    yield* TestClock.adjust(0)
    return seen
  })

const settle = TestClock.adjust(0)

describe("the endpoint", () => {
  it.scoped("is one text everywhere: states, info and faults write ::1 in brackets", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ scheme: "memory", host: "::1", port: 7, reconnect: Reconnect.none })
      assert.strictEqual((yield* connection.info).endpoint, "[::1]:7")
      assert.propertyVal(yield* connection.state, "endpoint", "[::1]:7")
      yield* broker.dropConnections
      yield* settle
      const state = yield* connection.state
      assert.propertyVal(state._tag === "Closed" ? state.cause : undefined, "endpoint", "[::1]:7")
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("info", () => {
  it.scoped("says whom it is connected to, as whom, and what was offered; never a password", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* broker.addUser({ name: "me", password: Redacted.make("s3cr3t") })
      const connection = yield* Connection.make({ url: "memory://me:s3cr3t@node/", name: "mine" })
      const info = yield* connection.info
      assert.deepInclude<object>({ ...info }, {
        mechanism: "PLAIN",
        mechanisms: ["PLAIN", "AMQPLAIN"],
        locales: ["en_US"]
      })
      assert.deepInclude<object>({ ...info.options }, { host: "node", vhost: "/", name: "mine" })
      const shown = `${JSON.stringify(info)} ${inspect(info, { depth: null })}`
      assert.include(shown, "me")
      assert.notInclude(shown, "s3cr3t")
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("recovery", () => {
  it.scoped("goes Open, Recovering, Connecting, Open; epochs count sockets", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ url: "memory://" })
      const seen = yield* tags(connection)
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(
        seen.map((state) =>
          state._tag === "Open"
            ? `Open ${state.epoch}`
            : state._tag === "Recovering"
            ? `Recovering ${state.round}`
            : state._tag
        ),
        ["Open 1", "Recovering 1", "Connecting", "Open 2", "Recovering 2", "Connecting", "Open 3"]
      )
      assert.strictEqual((yield* connection.info).epoch, 3)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("dials after 100 ms, doubled each round up to 10 s, each times 0.5 to 1", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const dials = yield* Dials
      yield* Connection.make({ url: "memory://" })
      yield* broker.refuse()
      yield* broker.dropConnections
      yield* TestClock.adjust("2 minutes")
      const times = (yield* Ref.get(dials)).map(([time]) => time)
      assert.isAbove(times.length, 15)
      for (let round = 0; round < 15; round++) {
        const most = Math.min(100 * 2 ** round, 10_000)
        const delay = times[round + 1]! - times[round]!
        assert.isAtMost(delay, most)
        assert.isAtLeast(delay, Math.floor(most / 2))
      }
    }).pipe(Effect.provide(layerRecorded)))

  it.scoped("tries every endpoint without a pause, from the one after the last, and pauses after a round", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const dials = yield* Dials
      yield* Connection.make({
        urls: ["memory://a", "memory://b", "memory://c"],
        reconnect: Schedule.spaced("1 seconds")
      })
      yield* broker.refuse()
      yield* broker.dropConnections
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Ref.get(dials), [
        [0, "a"],
        [1000, "b"],
        [1000, "c"],
        [1000, "a"],
        [2000, "b"],
        [2000, "c"],
        [2000, "a"]
      ])
    }).pipe(Effect.provide(layerRecorded)))

  it.scoped("starts over once a socket stayed open for five seconds, and not before", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ url: "memory://" })
      const rounds: Array<number> = []
      yield* Effect.fork(Stream.runForEach(connection.changes, (state) =>
        Effect.sync(() => {
          if (state._tag === "Recovering") rounds.push(state.round)
        })))
      yield* settle
      yield* broker.dropConnections
      yield* TestClock.adjust("2 seconds")
      yield* broker.dropConnections
      yield* TestClock.adjust("10 seconds")
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(rounds, [1, 2, 1])
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("ends with a final fault: ConnectionClosed Recovery, whose cause is the fault", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({
        url: "memory://",
        reconnect: Schedule.spaced("1 seconds"),
        isFinal: (fault) => fault._tag === "ConnectError"
      })
      const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
      const seen = yield* tags(connection)
      yield* broker.refuse()
      yield* broker.dropConnections
      const waiting = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "q" })))
      yield* TestClock.adjust("1 seconds")
      for (const fault of [yield* Fiber.join(waiting), yield* Effect.flip(channel.publish({ content: "x" }))]) {
        assert(fault._tag === "ConnectionClosed")
        assert.strictEqual(fault.reason, "Recovery")
        assert.propertyVal(fault.cause, "_tag", "ConnectError")
      }
      assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Open", "Recovering", "Connecting", "Closed"])
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("Reconnect.none: the first loss ends it", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ url: "memory://", reconnect: Reconnect.none })
      yield* broker.dropConnections
      yield* settle
      const state = yield* connection.state
      assert(state._tag === "Closed" && state.cause?._tag === "ConnectionLost")
      assert.strictEqual(state.cause.reason, "Socket")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("the first connect is patient only when told to", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const dials = yield* Dials
      yield* broker.refuse()
      const once = yield* Effect.flip(Effect.scoped(Connection.make({ urls: ["memory://a", "memory://b"] })))
      assert.lengthOf(once.attempts, 2)
      const connecting = yield* Effect.fork(
        Connection.make({ url: "memory://c", connect: Schedule.spaced("1 seconds") })
      )
      yield* TestClock.adjust("2 seconds")
      yield* broker.heal("refuse")
      yield* TestClock.adjust("1 seconds")
      const connection = yield* Fiber.join(connecting)
      assert.strictEqual((yield* connection.info).epoch, 1)
      assert.deepStrictEqual((yield* Ref.get(dials)).map(([time, host]) => `${time} ${host}`), [
        "0 a",
        "0 b",
        "0 c",
        "1000 c",
        "2000 c",
        "3000 c"
      ])
    }).pipe(Effect.provide(layerRecorded)))

  it.scoped("channels, their confirm mode and their consumers come back; old deliveries are stale", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* Connection.make({ url: "memory://" })
      const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
      yield* channel.queueDeclare({ queue: "q" })
      const deliveries = yield* Queue.unbounded<Channel.GetResult["delivery"]>()
      yield* Effect.fork(
        Stream.runForEach(channel.consume({ queue: "q", prefetch: 2 }), (delivery) => deliveries.offer(delivery))
      )
      yield* channel.publishAll([{ routingKey: "q", content: "1" }, { routingKey: "q", content: "2" }, {
        routingKey: "q",
        content: "3"
      }])
      const first = yield* Queue.take(deliveries)
      assert.strictEqual(first.text, "1")
      yield* broker.dropConnections
      yield* TestClock.adjust("1 seconds")
      const stale = yield* Effect.flip(first.ackOrFail)
      assert.strictEqual(stale.reason, "Stale")
      yield* first.ack
      const second = yield* Queue.take(deliveries)
      const again = yield* Queue.take(deliveries)
      const redelivered = second.redelivered ? second : again
      assert.strictEqual(redelivered.text, "1")
      yield* settle
      assert.strictEqual(yield* Queue.size(deliveries), 1)
      yield* redelivered.ackOrFail
      const twice = yield* Effect.flip(redelivered.ackOrFail)
      assert.strictEqual(twice.reason, "AlreadySettled")
      yield* channel.publish({ routingKey: "q", content: "4" })
    }).pipe(Effect.provide(Broker.layerMemory)))
})

/** The memory broker behind pipes that break after so many bytes from it, or to it: each of the first ones. */
const cutting = (afterReads: ReadonlyArray<number>, afterWrites: ReadonlyArray<number>) =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const memory = yield* Transport.makeMemory
    let dialled = 0
    const transport: typeof memory.transport = {
      dial: (target) =>
        Effect.map(memory.transport.dial(target), (pipe) => {
          const index = dialled++
          return cutAfter(pipe, afterReads[index] ?? Infinity, afterWrites[index] ?? Infinity)
        })
    }
    return Layer.merge(
      Layer.succeed(Transport.Transport, transport),
      Layer.provide(Broker.layer(), Layer.succeed(Transport.TransportServer, memory.server))
    )
  }))

const cutAfter = (pipe: Transport.Pipe, reads: number, writes: number): Transport.Pipe => {
  let read = 0
  let written = 0
  let handler: Transport.PipeHandler | undefined
  const cut = () => {
    pipe.destroy()
    const told = handler
    handler = undefined
    queueMicrotask(() => told?.onClose(new Error("cut")))
  }
  return {
    remote: pipe.remote,
    tls: undefined,
    start: (theirs) => {
      handler = theirs
      pipe.start({
        onData: (bytes, start, end) => {
          const most = Math.min(end, start + reads - read)
          read += end - start
          if (most > start) handler?.onData(bytes, start, most)
          if (read > reads) cut()
        },
        onDrain: () => handler?.onDrain(),
        onClose: (cause) => handler?.onClose(cause)
      })
    },
    write: (bytes, onWritten) => {
      const most = Math.max(0, Math.min(bytes.length, writes - written))
      written += bytes.length
      const writable = pipe.write(bytes.subarray(0, most), onWritten)
      if (written > writes) cut()
      return writable
    },
    endOfTurn: (task) => pipe.endOfTurn(task),
    pause: () => pipe.pause(),
    resume: () => pipe.resume(),
    end: () => pipe.end(),
    destroy: () => {
      handler = undefined
      pipe.destroy()
    }
  }
}

describe("a pipe that is cut anywhere", () => {
  const messages = Array.from({ length: 12 }, (_, index) => `${index}`)

  /** Publishes and consumes, at least once each; what arrived, in order of first arrival. */
  const program = Effect.scoped(Effect.gen(function*() {
    const connection = yield* Connection.make({ url: "memory://", connect: Schedule.spaced("1 seconds") })
    const provide = Effect.provideService(Connection.Connection, connection)
    const publisher = yield* provide(Channel.makeConfirm({ guarantee: "at-least-once", window: 4 }))
    const consumer = yield* provide(Channel.make({ prefetch: 3 }))
    yield* publisher.queueDeclare({ queue: "q" })
    const arrived = new Set<string>()
    const consuming = yield* Effect.fork(
      consumer.consume({ queue: "q" }).pipe(
        Stream.tap((delivery) => Effect.zipRight(Effect.sync(() => arrived.add(delivery.text)), delivery.ack)),
        Stream.takeUntil(() => arrived.size === messages.length),
        Stream.runDrain
      )
    )
    yield* publisher.publishAll(messages.map((content) => ({ routingKey: "q", content })))
    yield* Fiber.join(consuming)
    return Array.from(arrived)
  }))

  const survives = (reads: ReadonlyArray<number>, writes: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const fiber = yield* Effect.fork(program)
      yield* TestClock.adjust("5 minutes")
      const done = yield* Fiber.poll(fiber)
      const where = `cut after reading ${reads} and writing ${writes}`
      assert(Option.isSome(done), where)
      assert(Exit.isSuccess(done.value), `${where}: ${done.value}`)
      assert.sameMembers(done.value.value, messages, where)
      assert.lengthOf(yield* broker.connections, 0, where)
    }).pipe(Effect.provide(cutting(reads, writes)))

  it.effect(
    "while it reads: nothing is lost, and all of it ends",
    () =>
      Effect.forEach(Chunk.range(1, 1400), (bytes) => bytes % 29 === 0 ? survives([bytes], []) : Effect.void, {
        discard: true
      }),
    60_000
  )

  it.effect(
    "while it writes",
    () =>
      Effect.forEach(Chunk.range(1, 1600), (bytes) => bytes % 29 === 0 ? survives([], [bytes]) : Effect.void, {
        discard: true
      }),
    60_000
  )

  it.effect("several times over, at points of chance", () =>
    Effect.gen(function*() {
      let seed = 1
      const next = () => {
        seed = (seed * 1103515245 + 12345) % 2147483648
        return seed % 1500
      }
      for (let run = 0; run < 25; run++) {
        yield* survives([next(), next(), next(), next()], [Infinity, next(), Infinity, next()])
      }
    }), 60_000)
})
