import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, Frame, Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { acceptable } from "../../src/amqp091/internal/engineRules.ts"
import * as Reconnect from "../../src/Reconnect.ts"
import * as Wire from "../behaviour/wire.ts"

const dial = Effect.gen(function*() {
  const { host, port } = yield* Broker.Broker
  const transport = yield* Transport.Transport
  return yield* transport.dial({ scheme: "memory", host, port })
})

const wire = Effect.flatMap(dial, Wire.make)

const connect = (options: Partial<Connection.Options> = {}) =>
  Connection.make({ host: "memory", reconnect: Reconnect.none, url: undefined, urls: undefined, ...options })

const introduced = (introduction?: Wire.Introduction, tuning?: Method.Method) =>
  Effect.tap(wire, (wire) => Wire.introduce(wire, "/", introduction, tuning))

/** Each on a broker of its own. */
const scoped = <A, E>(
  title: string,
  test: Effect.Effect<A, E, Broker.Broker | Transport.Transport | Scope.Scope>
): void => it.scoped(title, () => Effect.provide(test, Broker.layerMemory))

/** The broker goes on as if nothing had been. */
const works = Effect.scoped(Effect.gen(function*() {
  const one = yield* introduced()
  yield* one.send({ _tag: "ConnectionClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 })
  assert.deepStrictEqual(yield* one.rest, ["0 connection.close-ok", "end"])
}))

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
      ["a frame above frame_max", [Uint8Array.of(1, 0, 1, 0, 2, 0, 0)], /^0 connection\.close 501 /]
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

describe("Broker, from outside", () => {
  scoped(
    "names the clients that have come in, with user, virtual host and channels",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* wire
      yield* introduced({ properties: { connection_name: "mine" } })
      const all = yield* broker.connections
      assert.deepInclude(all[0], { name: "mine", user: "guest", vhost: "/", channels: 1 })
      assert.strictEqual(all.length, 1)
    })
  )

  scoped(
    "dropConnections cuts every pipe, and gives back what the clients held",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const connection = yield* connect()
      const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.queueDeclare({ queue: "mine", exclusive: true })
      yield* channel.publish({ routingKey: "q", content: "1" })
      yield* channel.get({ queue: "q" })
      assert.deepStrictEqual((yield* broker.queues()).map(({ name }) => name), ["q", "mine"])
      assert.strictEqual(yield* broker.dropConnections, 1)
      assert.deepStrictEqual(yield* broker.queues(), [{ name: "q", ready: 1, unsettled: 0, consumers: 0 }])
      assert.isEmpty(yield* broker.connections)
      assert.strictEqual(yield* broker.dropConnections, 0)
    })
  )

  scoped(
    "a call over which the broker closes the connection fails once, and is not repeated on the next socket",
    Effect.gen(function*() {
      const connection = yield* connect({ reconnect: undefined })
      const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
      const error = yield* Effect.flip(channel.exchangeDeclare({ exchange: "x", type: "no-such-type" }))
      assert.deepInclude({ ...error }, { _tag: "ConnectionClosed", reason: "Peer", code: 503 })
      const again = yield* Effect.fork(channel.queueDeclare({ queue: "q" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* again).queue, "q")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* connection.info).epoch, 2)
    })
  )

  scoped(
    "refuse cuts who comes, and lets who is in alone",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* introduced()
      yield* broker.refuse()
      const error = yield* Effect.flip(connect())
      assert.strictEqual(error._tag, "ConnectError")
      assert.strictEqual((yield* broker.connections).length, 1)
      yield* broker.heal("refuse")
      yield* connect()
      assert.strictEqual((yield* broker.connections).length, 2)
    })
  )

  scoped(
    "addUser lets a user in, with the last password given, where it may go",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* broker.addVhost("closed")
      yield* broker.addUser({ name: "me", password: Redacted.make("first") })
      yield* broker.addUser({ name: "me", password: Redacted.make("second"), vhosts: ["/"] })
      yield* connect({ username: "me", password: Redacted.make("second") })
      const wrong = yield* Effect.flip(connect({ username: "me", password: Redacted.make("first") }))
      assert.strictEqual(wrong.reason, "Auth")
      assert.include(wrong.message, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN")
      const closed = yield* Effect.flip(connect({ username: "me", password: Redacted.make("second"), vhost: "closed" }))
      assert.strictEqual(closed.reason, "Vhost")
      assert.include(closed.message, "NOT_ALLOWED - access to vhost 'closed' refused for user 'me'")
      yield* connect({ vhost: "closed" })
    })
  )

  it.effect("tells its clients when it shuts down, with 320", () =>
    Effect.gen(function*() {
      const memory = yield* Transport.makeMemory
      const scope = yield* Scope.make()
      const broker = yield* Broker.make({ port: 0 }).pipe(
        Effect.provideService(Transport.TransportServer, memory.server),
        Scope.extend(scope)
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* introduced()
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual([yield* one.next, yield* one.next], [
          "0 connection.close 320 CONNECTION_FORCED - broker forced connection closure with reason 'shutdown' (0.0)",
          "end"
        ])
      })).pipe(
        Effect.provide(
          Layer.merge(Layer.succeed(Broker.Broker, broker), Layer.succeed(Transport.Transport, memory.transport))
        )
      )
    }))
})
