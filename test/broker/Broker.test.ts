import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { connect, introduced, scoped, wire } from "./clients.ts"

const hasExchange = Effect.scoped(
  Effect.provideServiceEffect(Channel.exchangeExists("x"), Connection.Connection, connect())
)

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

  it.effect("what is durable survives its connections, and not the broker", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const channel = yield* Effect.provideServiceEffect(Channel.makeConfirm(), Connection.Connection, connect())
          yield* channel.exchangeDeclare({ exchange: "x", type: "fanout" })
          yield* channel.queueDeclare({ queue: "kept" })
          yield* channel.queueBind({ queue: "kept", exchange: "x" })
          yield* channel.queueDeclare({ queue: "mine", exclusive: true })
          yield* channel.publish({ exchange: "x", content: "1", properties: { persistent: true } })
        }))
        const { connections, queues } = yield* Broker.Broker
        assert.isEmpty(yield* connections)
        assert.deepStrictEqual(yield* queues(), [{ name: "kept", ready: 1, unsettled: 0, consumers: 0 }])
        assert.isTrue(yield* hasExchange)
      }).pipe(Effect.provide(Broker.layerMemoryWith({})))
      yield* Effect.gen(function*() {
        assert.isEmpty(yield* (yield* Broker.Broker).queues())
        assert.isFalse(yield* hasExchange)
      }).pipe(Effect.provide(Broker.layerMemoryWith({})))
    }))

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
