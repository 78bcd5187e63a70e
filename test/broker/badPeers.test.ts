import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection, Frame, Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { acceptable } from "../../src/amqp091/internal/engineRules.ts"
import * as Allocation from "../../src/wire/Allocation.ts"
import * as Wire from "../behaviour/wire.ts"
import { connect, consume, declare, dial, introduced, publish, scoped, wire, works } from "./clients.ts"

/** Names that exist in a broker, and those that exist in every object. */
const name = FastCheck.constantFrom("", "q", "x", "amq.topic", "amq.fanout", "amq.new", "constructor", "__proto__")

/** Whatever a client may say on a channel, mostly of things that are there. */
const clientMethod: FastCheck.Arbitrary<Method.Method> = FastCheck.oneof(
  ...Method.definitions.filter(({ classId, tag }) => classId !== 10 && acceptable.server.has(tag)).map(({ schema }) =>
    FastCheck.tuple(
      Arbitrary.make<Method.Method, Method.Method, never>(schema),
      FastCheck.record({
        queue: name,
        exchange: name,
        source: name,
        destination: name,
        consumerTag: name,
        routingKey: name,
        type: FastCheck.constantFrom("direct", "fanout", "topic", "headers", "constructor"),
        deliveryTag: FastCheck.nat(3)
      })
    ).map(([method, known]) =>
      // The fields and their types are as they were.
      Object.fromEntries(
        Object.entries(method).map(([field, value]) => [field, field in known ? known[field as "queue"] : value])
      ) as unknown as Method.Method
    )
  )
)

describe("Broker, against bad peers", () => {
  scoped(
    "what is not AMQP is shown the protocol header, and the end",
    Effect.forEach(
      [
        new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
        Uint8Array.of(65, 77, 81, 80, 3, 1, 0, 0),
        Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3)
      ],
      (bytes) =>
        Effect.scoped(Effect.gen(function*() {
          const one = yield* wire
          yield* one.send(bytes)
          assert.deepStrictEqual(yield* one.rest, ["AMQP 0-0-9-1", "end"])
        }))
    )
  )

  it.effect.prop(
    "random bytes after the handshake neither stop the broker nor keep a client in it",
    [FastCheck.uint8Array({ minLength: 1, maxLength: 300 })],
    ([bytes]) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* introduced()
          yield* one.send(bytes)
        }))
        yield* works
        yield* TestClock.adjust("20 seconds")
        assert.isEmpty(yield* (yield* Broker.Broker).connections)
      }).pipe(Effect.provide(Broker.layerMemory)),
    { fastCheck: { numRuns: 100, seed: 91 } }
  )

  it.effect.prop(
    "random bytes as a handshake do no harm",
    [FastCheck.uint8Array({ minLength: 1, maxLength: 100 }), FastCheck.boolean()],
    ([bytes, greets]) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* wire
          if (greets) yield* one.send(Frame.protocolHeader)
          yield* one.send(bytes)
        }))
        yield* works
      }).pipe(Effect.provide(Broker.layerMemory)),
    { fastCheck: { numRuns: 100, seed: 92 } }
  )

  scoped(
    "a mechanism by a name that every object has is unknown like any other",
    Effect.forEach(
      ["constructor", "toString", "valueOf", "__proto__", "NONE", ""],
      (mechanism) =>
        Effect.gen(function*() {
          yield* Effect.scoped(Effect.gen(function*() {
            const one = yield* wire
            yield* one.send(Frame.protocolHeader)
            yield* one.send(Wire.startOk({ mechanism }))
            assert.strictEqual(yield* one.next, "0 connection.start")
            assert.strictEqual(
              yield* one.next,
              `0 connection.close 503 COMMAND_INVALID - unknown authentication mechanism '${mechanism}' (10.11)`
            )
          }))
          yield* works
        })
    )
  )

  it.effect.prop(
    "any methods in any order end in answers and closes, and leave nobody in it",
    [FastCheck.array(clientMethod, { minLength: 1, maxLength: 20 })],
    ([methods]) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* introduced()
          for (const method of methods) {
            yield* one.send(method, ...method._tag === "BasicPublish" ? Wire.content("x") : [])
            yield* TestClock.adjust(0)
          }
        }))
        yield* works
        yield* TestClock.adjust("20 seconds")
        assert.isEmpty(yield* (yield* Broker.Broker).connections)
      }).pipe(Effect.provide(Broker.layerMemory)),
    { fastCheck: { numRuns: 60, seed: 93 } }
  )

  scoped(
    "a client that never finishes its handshake is dropped after ten seconds",
    Effect.gen(function*() {
      const silent = yield* wire
      const slow = yield* wire
      yield* slow.send(Frame.protocolHeader)
      assert.strictEqual(yield* slow.next, "0 connection.start")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* silent.next, "end")
      assert.strictEqual(yield* slow.next, "end")
    })
  )

  scoped(
    "a client silent for two heartbeats is dropped; until then it hears the broker's",
    Effect.gen(function*() {
      const one = yield* introduced({}, Wire.tuneOk(2047, 131072, 10))
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual((yield* (yield* Broker.Broker).connections).length, 1)
      yield* TestClock.adjust("2 seconds")
      const seen = yield* one.rest
      assert.isAtLeast(seen.filter((line) => line === "0 heartbeat").length, 3)
      assert.isEmpty(yield* (yield* Broker.Broker).connections)
    })
  )

  scoped(
    "a client that sends heartbeats stays",
    Effect.gen(function*() {
      const one = yield* introduced({}, Wire.tuneOk(2047, 131072, 10))
      for (let time = 0; time < 20; time++) {
        yield* TestClock.adjust("9 seconds")
        yield* one.send(Frame.heartbeat)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual((yield* (yield* Broker.Broker).connections).length, 1)
    })
  )

  scoped(
    "a client that consumes and does not read holds up its own deliveries alone, and gets them all later",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const count = 60
      const size = 100_000
      const confirming = yield* Effect.flatMap(
        connect(),
        (connection) => Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
      )
      yield* confirming.queueDeclare({ queue: "flood" })
      const one = yield* introduced()
      yield* one.send({
        _tag: "BasicConsume",
        queue: "flood",
        consumerTag: "lazy",
        noLocal: false,
        noAck: true,
        exclusive: false,
        noWait: false,
        arguments: {}
      })
      assert.strictEqual(yield* one.next, "1 basic.consume-ok {\"consumerTag\":\"lazy\"}")
      one.pipe.pause()
      const content = new Uint8Array(size)
      for (let index = 0; index < count; index++) yield* confirming.publish({ routingKey: "flood", content })
      const [held] = yield* broker.queues()
      // 1 MiB on the way and 1 MiB waiting to go, give or take a message each; the rest stays in its queue.
      assert.isAtLeast(held?.ready ?? 0, count - Math.ceil(2 * 1024 * 1024 / size) - 3)
      one.pipe.resume()
      let bodies = 0
      while (bodies < count) if ((yield* one.next).startsWith("1 body")) bodies++
      assert.strictEqual((yield* broker.queues())[0]?.ready, 0)
    })
  )

  for (
    const [title, bytes, expected] of [
      ["more body than announced", [
        Wire.frame(1, 1, [0, 60, 0, 40, 0, 0, 0, 0, 0]),
        Wire.frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]),
        Wire.frame(3, 1, [1, 2])
      ], /^0 connection\.close 505 /],
      ["an unknown method", [Wire.frame(1, 1, [0, 50, 0, 99])], /^0 connection\.close 540 .*class 50 has no method 99/],
      ["an unknown class", [Wire.frame(1, 1, [0, 99, 0, 10])], /^0 connection\.close 540 .*class 99 has no method 10/],
      ["a frame above frame_max", [Uint8Array.of(1, 0, 1, 0, 2, 0, 1)], /^0 connection\.close 501 /]
    ] as const
  ) {
    scoped(
      `${title} ends the connection with its code, and the broker goes on`,
      Effect.gen(function*() {
        const one = yield* introduced()
        yield* one.send(...bytes)
        assert.match(yield* one.next, expected)
        yield* one.send({ _tag: "ConnectionCloseOk" })
        yield* works
      })
    )
  }

  scoped(
    "who was told to go and does not answer is dropped after ten seconds",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send({ _tag: "ChannelFlow", active: false })
      assert.match(yield* one.next, /^0 connection\.close 540/)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* one.next, "end")
    })
  )
})

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** What is in use once the garbage is gone, in bytes. */
const memory = Effect.sync(() => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

/** All that is under way has arrived. */
const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

const mebibyte = 1024 * 1024

/** Frames that are well formed, each; what they are worth together is chance. */
const anyFrame: FastCheck.Arbitrary<Frame.Frame> = FastCheck.tuple(
  FastCheck.nat(3),
  FastCheck.oneof(
    FastCheck.constantFrom<Method.Method>(
      publish(),
      publish({ exchange: "none" }),
      declare({ queue: "theirs" }),
      consume({ queue: "theirs" }),
      { _tag: "BasicGet", queue: "theirs", noAck: false },
      { _tag: "ChannelOpen" },
      { _tag: "ChannelClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 },
      { _tag: "ChannelCloseOk" },
      { _tag: "ConfirmSelect", noWait: false },
      { _tag: "TxSelect" },
      { _tag: "TxCommit" },
      { _tag: "ConnectionOpen", virtualHost: "/" },
      Wire.tuneOk()
    ),
    FastCheck.nat(4),
    FastCheck.uint8Array({ maxLength: 4 }),
    FastCheck.constant("heartbeat" as const)
  )
).map(([channel, what]) =>
  typeof what === "number"
    ? { _tag: "HeaderFrame", channel, bodySize: what, properties: {} }
    : what === "heartbeat"
    ? { _tag: "HeartbeatFrame", channel: 0 }
    : what instanceof Uint8Array
    ? { _tag: "BodyFrame", channel, payload: what }
    : Wire.on(channel, what)
)

describe("Broker, bounded", () => {
  scoped(
    "10,000 half-open handshakes cost little, keep nobody out, and are dropped after ten seconds",
    Effect.gen(function*() {
      const count = 10_000
      const startOk = Uint8Array.of(1, 0, 0, 0, 0, 15, 0, 0, 10, 0, 11)
      let ended = 0
      const handler = { onData: () => {}, onDrain: () => {}, onClose: () => void ended++ }
      yield* works
      const before = yield* memory
      for (let index = 0; index < count; index++) {
        const pipe = yield* dial
        pipe.start(handler)
        // Some say nothing, some no more than hello, and some stop in the middle of who they are.
        if (index % 3 > 0) pipe.write(Frame.protocolHeader)
        if (index % 3 > 1) pipe.write(startOk)
      }
      yield* turn
      // The other ends, and the scope that holds them, are in it too.
      assert.isBelow(((yield* memory) - before) / count, 20_000)
      yield* works
      assert.strictEqual(ended, 0)
      yield* TestClock.adjust("10 seconds")
      yield* turn
      assert.strictEqual(ended, count)
      yield* works
    })
  )

  for (
    const [title, introduce, frames, code] of [
      ["a frame before login", false, [Uint8Array.of(1, 0, 0, 255, 255, 255, 255)], 501],
      ["a frame after it", true, [Uint8Array.of(1, 0, 1, 255, 255, 255, 255)], 501],
      ["a table in start-ok", false, [Wire.frame(1, 0, [0, 10, 0, 11, 255, 255, 255, 255])], 502],
      ["a response in start-ok", false, [
        Wire.frame(1, 0, [0, 10, 0, 11, 0, 0, 0, 0, 5, 80, 76, 65, 73, 78, 255, 255, 255, 255])
      ], 502],
      ["a table in a declaration", true, [
        Wire.frame(1, 1, [0, 50, 0, 10, 0, 0, 1, 113, 0, 255, 255, 255, 255])
      ], 501],
      ["a header value", true, [
        publish(),
        Wire.frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 7, 1, 97, 83, 255, 255, 255, 255])
      ], 502],
      ["a body of 2^63 octets", true, [
        publish(),
        Wire.frame(2, 1, [0, 60, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0])
      ], 502]
    ] as const
  ) {
    scoped(
      `a huge length costs nothing and ends the connection: ${title}`,
      Effect.gen(function*() {
        const one = introduce ? yield* introduced() : yield* wire
        if (!introduce) {
          yield* one.send(Frame.protocolHeader)
          yield* one.next
        }
        Allocation.reset()
        yield* one.send(...frames)
        assert.match(yield* one.next, new RegExp(`^0 connection\\.close ${code} `))
        assert.isBelow(Allocation.allocated().bytes, 256 * 1024)
        yield* works
      })
    )
  }

  scoped(
    "bodies that are announced and never come cost nothing, on every channel there can be",
    Effect.gen(function*() {
      const one = yield* introduced()
      const before = yield* memory
      for (let channel = 2; channel <= 2047; channel++) {
        yield* one.send(
          Wire.on(channel, { _tag: "ChannelOpen" }),
          Wire.on(channel, publish()),
          { _tag: "HeaderFrame", channel, bodySize: 128 * mebibyte, properties: {} },
          { _tag: "BodyFrame", channel, payload: Uint8Array.of(1) }
        )
      }
      yield* turn
      yield* one.send(Wire.on(2048, { _tag: "ChannelOpen" }))
      assert.strictEqual(
        (yield* one.until("0 ")).at(-1),
        "0 connection.close 530 NOT_ALLOWED - number of channels opened (2047) has reached the negotiated channel_max (2047) (0.0)"
      )
      assert.isBelow((yield* memory) - before, 32 * mebibyte)
      yield* works
    })
  )

  scoped(
    "one octet at a time is as good as any other pace",
    Effect.gen(function*() {
      const one = yield* wire
      const say = (method: Method.Method) =>
        Effect.forEach(Wire.octetsOf(method), (octet) => one.send(Uint8Array.of(octet)), { discard: true })
      yield* Effect.forEach(Frame.protocolHeader, (octet) => one.send(Uint8Array.of(octet)))
      yield* one.until("0 connection.start")
      yield* say(Wire.startOk())
      yield* one.until("0 connection.tune")
      yield* say(Wire.tuneOk())
      yield* say(Wire.open("/"))
      assert.strictEqual(yield* one.next, "0 connection.open-ok")
    })
  )

  it.effect.prop(
    "well-formed frames in any order end in answers and closes, and another client does not notice",
    [FastCheck.array(anyFrame, { minLength: 1, maxLength: 30 })],
    ([frames]) =>
      Effect.gen(function*() {
        const bystander = yield* introduced()
        yield* bystander.send(declare({ queue: "mine", exclusive: true }), consume({ queue: "mine", noAck: true }))
        yield* bystander.until("1 basic.consume-ok")
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* introduced()
          for (const each of frames) yield* one.send(each)
          yield* turn
        }))
        yield* bystander.send(publish({ routingKey: "mine" }), ...Wire.content("still here"))
        assert.strictEqual((yield* bystander.until("1 body")).at(-1), "1 body still here")
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* (yield* Broker.Broker).connections).length, 1)
      }).pipe(Effect.scoped, Effect.provide(Broker.layerMemory)),
    { fastCheck: { numRuns: 150, seed: 94 } }
  )

  scoped(
    "who asks and never reads the answers is not read from any more, until it reads",
    Effect.gen(function*() {
      const count = 600
      const size = 100_000
      const channel = yield* Effect.flatMap(
        connect(),
        (connection) => Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
      )
      yield* channel.queueDeclare({ queue: "q", durable: true })
      const content = new Uint8Array(size)
      yield* channel.publishAll(Array.from({ length: count }, () => ({ routingKey: "q", content })))
      const one = yield* introduced()
      one.pipe.pause()
      for (let index = 0; index < count; index++) {
        yield* one.send({ _tag: "BasicGet", queue: "q", noAck: true })
        yield* turn
      }
      const left = (yield* channel.queueDeclare({ queue: "q", passive: true })).messageCount
      // 32 MiB of answers wait, and 1 MiB is on its way.
      assert.isAtLeast(left, count - Math.ceil(34 * mebibyte / size))
      assert.isAtMost(left, count - Math.floor(32 * mebibyte / size))
      yield* works
      one.pipe.resume()
      let bodies = 0
      while (bodies < count) if ((yield* one.next).startsWith("1 body")) bodies++
    })
  )

  scoped(
    "replies to who never reads them are dropped, and nobody else is held up",
    Effect.gen(function*() {
      const sent = 50
      const asker = yield* introduced()
      yield* asker.send(declare(), consume({ queue: "amq.rabbitmq.reply-to", noAck: true }), publish(), {
        _tag: "HeaderFrame",
        channel: 1,
        bodySize: 0,
        properties: { replyTo: "amq.rabbitmq.reply-to" }
      })
      yield* asker.until("1 basic.consume-ok")
      asker.pipe.pause()
      const answerer = yield* introduced()
      yield* answerer.send({ _tag: "BasicGet", queue: "q", noAck: true })
      yield* answerer.next
      const address = /"replyTo":"([^"]*)"/.exec(yield* answerer.next)?.[1] ?? ""
      const channel = yield* Effect.flatMap(
        connect(),
        (connection) => Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
      )
      const content = new Uint8Array(mebibyte)
      for (let index = 0; index < sent; index++) yield* channel.publish({ routingKey: address, content })
      yield* answerer.send(publish({ routingKey: address }), ...Wire.content("one more"))
      asker.pipe.resume()
      yield* turn
      yield* answerer.send(publish({ routingKey: address }), ...Wire.content("the last"))
      const seen = yield* asker.until("1 body the last")
      const replies = seen.filter((line) => line.startsWith("1 basic.deliver")).length
      assert.isAtLeast(replies, 32)
      assert.isBelow(replies, 40)
    })
  )
})
