import { assert, describe, it } from "@effect/vitest"
import { AmqpError, Reconnect, Transport } from "effect-amqp"
import { Channel, ChannelPool, Connection, ConnectionOptions, ConnectionPool } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as Order from "effect/Order"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { warnings } from "./onBroker.ts"

const url = "memory://"
const settle = TestClock.adjust(0)

const on = (connection: Connection.Connection) => Effect.provideService(Connection.Connection, connection)

/** How many connections the broker has. */
const clients = Effect.flatMap(Broker.Broker, (broker) => Effect.map(broker.connections, (all) => all.length))

const nameOf = (connection: Connection.Connection) => Effect.map(connection.info, ({ options }) => options.name)

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (fault) => "reason" in fault ? fault.reason : fault._tag)

const released = (fault: AmqpError.CallError) => {
  assert.deepInclude(fault, { _tag: "ConnectionClosed", reason: "Client" })
  assert.deepInclude(fault._tag === "ConnectionClosed" ? fault.cause : fault, {
    _tag: "PoolError",
    reason: "Released"
  })
}

/** Connections that differ by name: node-1, node-2, … */
const numbered = (options: ConnectionPool.PoolOptions & Connection.Supervision = {}) => {
  let last = 0
  const { isFinal, reconnect } = options
  return ConnectionPool.makeWith(
    Effect.suspend(() => Connection.make({ scheme: "memory", name: `node-${++last}`, reconnect, isFinal })),
    options
  )
}

const declare = Effect.flatMap(Channel.make(), (channel) => channel.queueDeclare({ queue: "pooled" }))

describe("a pool of connections", () => {
  it.scoped("dials when somebody borrows, keeps what comes back, and closes with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(ConnectionPool.make({ url, limit: 2 }), scope)
      assert.strictEqual(yield* clients, 0)
      yield* pool.use((connection) => on(connection)(Effect.scoped(declare)))
      yield* pool.use((connection) => on(connection)(Effect.scoped(declare)))
      assert.strictEqual(yield* clients, 1)
      assert.deepStrictEqual(yield* pool.stats, { limit: 2, total: 1, active: 0, idle: 1, waiting: 0 })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* clients, 0)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("warns of what is not given back, however the pool was made", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const direct = yield* ConnectionPool.make({ url, warnAfter: "1 minute" })
      const config = Config.succeed([ConnectionOptions.make({ scheme: "memory" })] as const)
      const layered = yield* Layer.build(ConnectionPool.layerConfig(config, { warnAfter: "1 minute" }))
      const channels = yield* Effect.flatMap(
        direct.get(),
        (connection) => on(connection)(ChannelPool.make({ warnAfter: "1 minute" }))
      )
      yield* Context.get(layered, ConnectionPool.ConnectionPool).get()
      yield* channels.get()
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(Arr.sort(told.map((line) => line.split(" ", 3).join(" ")), Order.string), [
        "Pool: channels: a",
        "Pool: connections: a",
        "Pool: connections: a"
      ])
    }).pipe(Effect.provide(Broker.layerMemory), Effect.provide(warnings(told)))
  })

  it.scoped("preconnects, grows and dials at once, and evicts what is idle, in virtual time", () =>
    Effect.gen(function*() {
      const pool = yield* ConnectionPool.make({ url, limit: 4, preconnect: 1, idleTimeToLive: "1 minute" })
      assert.strictEqual(yield* clients, 1)
      yield* pool.grow(2, { connect: true })
      assert.strictEqual(yield* clients, 3)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* clients, 1)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("lends the warmest, exclusively, with a bound on the wait", () =>
    Effect.gen(function*() {
      const pool = yield* numbered({ limit: 1 })
      yield* pool.get()
      assert.strictEqual(yield* reasonOf(pool.get({ wait: false })), "Exhausted")
      const waiting = yield* Effect.fork(reasonOf(pool.get({ timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(waiting), "Timeout")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("fails as its dials do: nobody listens, a wrong option", () =>
    Effect.gen(function*() {
      const pool = yield* ConnectionPool.make({ url })
      assert.strictEqual(yield* reasonOf(pool.use(() => Effect.void)), "Refused")
      assert.strictEqual((yield* pool.stats).active, 0)
      const wrong = yield* ConnectionPool.make({ url: "memory://?hartbeat=1" })
      assert.strictEqual(yield* reasonOf(wrong.use(() => Effect.void)), "Url")
      assert.strictEqual(yield* reasonOf(ConnectionPool.make({ url, preconnect: 1 })), "Refused")
      assert.strictEqual(yield* reasonOf(ConnectionPool.make({ url, limit: 0 })), "LimitExceeded")
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("never hands out a connection that has ended", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const pool = yield* numbered({ limit: 2, reconnect: Reconnect.none })
      const [first, second] = yield* Effect.scoped(Effect.all([pool.get(), pool.get()]))
      assert.deepStrictEqual([yield* nameOf(first), yield* nameOf(second)], ["node-1", "node-2"])
      yield* broker.dropConnections
      yield* settle
      assert.strictEqual(yield* pool.use(nameOf), "node-3")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("goes past one that is dialling again, unless there is no other", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const pool = yield* numbered({ limit: 2, reconnect: Schedule.spaced("1 minute") })
      yield* Effect.scoped(Effect.all([pool.get(), pool.get()]))
      assert.strictEqual(yield* pool.use(nameOf), "node-1", "the warmest")
      yield* broker.drop({ connection: "node-1" })
      yield* settle
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
      yield* broker.drop({ connection: "node-2" })
      yield* settle
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* pool.use(({ state }) => Effect.map(state, ({ _tag }) => _tag)), "Open")
      assert.strictEqual((yield* pool.stats).total, 2, "nobody was replaced")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("closes what a borrower failed on with a fault of the connection, and keeps it after other failures", () =>
    Effect.gen(function*() {
      const pool = yield* numbered()
      yield* Effect.flip(pool.use(() => Effect.fail(new Error("mine"))))
      assert.strictEqual(yield* pool.use(nameOf), "node-1")
      const lost = new AmqpError.ConnectionLost({ reason: "Heartbeat", endpoint: "node-1" })
      yield* Effect.flip(Effect.scoped(Effect.zipRight(pool.get(), Effect.fail(lost))))
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
      assert.strictEqual(yield* clients, 1)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("closes what a borrower left paused: whoever came next would wait for what nobody resumes", () =>
    Effect.gen(function*() {
      const pool = yield* numbered()
      yield* pool.use(({ pause }) => pause)
      assert.strictEqual(
        yield* pool.use((connection) => Effect.as(connection.ready(), connection).pipe(Effect.flatMap(nameOf))),
        "node-2"
      )
      yield* pool.use(({ pause, ready, resume }) => Effect.all([pause, resume, ready()]))
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
      assert.strictEqual(yield* clients, 1)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("asks before it lends again, and lends another one where the answer is a failure", () =>
    Effect.gen(function*() {
      const pool = yield* numbered({
        check: (connection) =>
          Effect.flatMap(
            nameOf(connection),
            (name) =>
              name === "node-1" ? Effect.fail("sick") : Effect.orDie(Effect.scoped(on(connection)(Channel.make())))
          )
      })
      yield* pool.use(() => Effect.void)
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
      assert.strictEqual(yield* pool.use(nameOf), "node-2")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("replaces what its borrower found broken, while another one waits", () =>
    Effect.gen(function*() {
      const pool = yield* numbered({ limit: 1 })
      const broken = yield* pool.get()
      const waiting = yield* Effect.fork(pool.use(nameOf))
      yield* settle
      yield* pool.replace(broken)
      assert.strictEqual(yield* Fiber.join(waiting), "node-2")
      assert.isTrue(yield* broken.isClosed)
      assert.strictEqual(yield* reasonOf(pool.replace(broken)), "Released")
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("a lease that has ended", () => {
  it.scoped("refuses all that goes through it, as Released, and leaves the connection to the next borrower", () =>
    Effect.gen(function*() {
      const pool = yield* numbered({ limit: 1 })
      const stale = yield* pool.use(Effect.succeed)
      released(yield* Effect.flip(on(stale)(Channel.make())))
      released(yield* Effect.flip(on(stale)(Channel.makeConfirm())))
      released(yield* Effect.flip(on(stale)(Channel.shared)))
      released(yield* Effect.flip(on(stale)(Channel.queueExists("q"))))
      released(yield* Effect.flip(stale.updateSecret(Redacted.make("x"), "")))
      released(yield* Effect.flip(Effect.catchTag(stale.ready(), "ConnectError", Effect.die)))
      released(yield* Effect.flip(stale.drainEvents()))
      assert.strictEqual(yield* reasonOf(stale.switchEndpoint("memory://elsewhere")), "Refused")
      yield* Effect.all([stale.pause, stale.resume, stale.reconnectNow])
      assert.isTrue(yield* stale.isOpen)
      yield* stale.close()
      assert.strictEqual(
        yield* pool.use((connection) =>
          on(connection)(Effect.scoped(declare)).pipe(Effect.zipRight(nameOf(connection)))
        ),
        "node-1"
      )
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("close gives it back early; what was opened on it goes on", () =>
    Effect.gen(function*() {
      const pool = yield* numbered({ limit: 1 })
      const connection = yield* pool.get()
      const channel = yield* on(connection)(Channel.makeConfirm())
      yield* connection.close()
      assert.strictEqual((yield* pool.stats).idle, 1)
      assert.strictEqual(yield* pool.use(nameOf), "node-1")
      yield* channel.queueDeclare({ queue: "after" })
      yield* connection.close()
      assert.strictEqual((yield* pool.stats).idle, 1)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("by forceCloseAll: the borrower's calls fail, the broker has nobody left", () =>
    Effect.gen(function*() {
      const pool = yield* numbered()
      const connection = yield* pool.get()
      const channel = yield* on(connection)(Channel.make())
      yield* pool.forceCloseAll()
      assert.strictEqual((yield* Effect.flip(channel.queueDeclare()))._tag, "ConnectionClosed")
      assert.strictEqual(yield* reasonOf(pool.get()), "Closed")
      assert.strictEqual(yield* clients, 0)
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("preconnect with ensure", () => {
  const late = Effect.gen(function*() {
    const memory = yield* Transport.makeMemory
    return {
      transport: Layer.succeed(Transport.Transport, memory.transport),
      broker: Layer.provide(Broker.layer(), Layer.succeed(Transport.TransportServer, memory.server))
    }
  })

  it.scoped("is tried again by the reconnect Schedule until the broker is there", () =>
    Effect.gen(function*() {
      const { broker, transport } = yield* late
      const reconnect = Schedule.spaced("10 seconds")
      const making = yield* ConnectionPool.make({ url, preconnect: 2, ensure: true, reconnect }).pipe(
        Effect.provide(transport),
        Effect.fork
      )
      yield* TestClock.adjust("25 seconds")
      assert.isNull(making.unsafePoll())
      yield* Layer.build(broker)
      yield* TestClock.adjust("4999 millis")
      assert.isNull(making.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* (yield* Fiber.join(making)).stats).idle, 2)
    }))

  it.scoped("fails with the last fault when the Schedule ends, and at once with a final one", () =>
    Effect.gen(function*() {
      const { transport } = yield* late
      const options = { url, preconnect: 1, ensure: true } as const
      const ended = yield* Effect.fork(
        reasonOf(ConnectionPool.make({ ...options, reconnect: Schedule.recurs(3) })).pipe(Effect.provide(transport))
      )
      yield* settle
      assert.strictEqual(yield* Fiber.join(ended), "Refused")
      const final = ConnectionPool.make({ ...options, isFinal: () => true }).pipe(Effect.provide(transport))
      assert.strictEqual(yield* reasonOf(final), "Refused")
    }))
})

describe("ensure", () => {
  it.scoped("runs on another connection for as long as the fault can be healed, by kombu's delays", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const pool = yield* numbered({ limit: 1, reconnect: Reconnect.none })
      const heard: Array<string> = []
      let tries = 0
      const work = Effect.gen(function*() {
        const connection = yield* Connection.Connection
        if (++tries < 4) {
          yield* broker.dropConnections
          yield* connection.closed
        }
        const { queue } = yield* Effect.scoped(declare)
        return [queue, yield* nameOf(connection)]
      })
      const running = yield* Effect.fork(
        pool.ensure(work, {
          onError: (fault, delay) => Effect.sync(() => void heard.push(`${fault._tag} ${Duration.toSeconds(delay)}`))
        })
      )
      yield* TestClock.adjust("11999 millis")
      assert.isNull(running.unsafePoll())
      assert.strictEqual(tries, 3)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(running), ["pooled", "node-4"])
      assert.deepStrictEqual(heard, ["ConnectionClosed 2", "ConnectionClosed 4", "ConnectionClosed 6"])
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("fails with the fault itself when the Schedule ends, and at once with what cannot be healed", () =>
    Effect.gen(function*() {
      const pool = yield* numbered()
      let tries = 0
      const missing = Effect.flatMap(Channel.make(), (channel) => {
        tries++
        return channel.queueDeclare({ queue: "none", passive: true })
      }).pipe(Effect.scoped)
      let heard = 0
      const onError = () => Effect.sync(() => void heard++)
      const running = yield* Effect.fork(reasonOf(pool.ensure(missing, { schedule: Schedule.recurs(2), onError })))
      yield* settle
      assert.strictEqual(yield* Fiber.join(running), "NotFound")
      assert.strictEqual(tries, 3)
      assert.strictEqual(heard, 2, "the last one is not tried again")
      assert.strictEqual(yield* Effect.flip(pool.ensure(Effect.fail("mine"))), "mine")
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("one connection in the place of a pool", () => {
  it.scoped("is lent to all at once, survives their failures, and is closed with the pool", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ url })
      const pool: ConnectionPool.ConnectionPool = yield* ConnectionPool.fromConnection(connection)
      yield* Effect.scoped(Effect.gen(function*() {
        const [one, other] = yield* Effect.all([pool.get({ wait: false }), pool.get({ wait: false })])
        yield* on(one)(declare)
        yield* on(other)(declare)
        assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 1, idle: 0, waiting: 0 })
      }))
      const stale = yield* pool.use(Effect.succeed)
      assert.strictEqual((yield* Effect.flip(on(stale)(Channel.make())))._tag, "ConnectionClosed")
      assert.strictEqual(yield* reasonOf(pool.grow(1)), "LimitExceeded")
      const lost = new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "memory" })
      yield* Effect.flip(pool.use(() => Effect.fail(lost)))
      yield* Effect.flip(Effect.scoped(Effect.zipRight(pool.get(), Effect.fail(lost))))
      yield* settle
      assert.isTrue(yield* connection.isOpen)
      assert.deepStrictEqual(yield* pool.stats, { limit: 1, total: 1, active: 0, idle: 1, waiting: 0 })
      yield* pool.closeAll
      assert.isTrue(yield* connection.isClosed)
      assert.strictEqual(yield* reasonOf(pool.get()), "Closed")
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("that has ended fails Closed", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ url })
      const pool = yield* ConnectionPool.fromConnection(connection)
      yield* connection.close()
      assert.strictEqual(yield* reasonOf(pool.get()), "Closed")
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("pools by key", () => {
  class Vhosts extends LayerMap.Service<Vhosts>()("test/PooledVhosts", {
    lookup: (vhost: string) => ConnectionPool.layer({ url, vhost, name: vhost, limit: 2 }),
    idleTimeToLive: "1 minute"
  }) {}

  const TwoVhosts = Broker.layer({ vhosts: ["a", "b"] }).pipe(Layer.provideMerge(Transport.layerMemory))

  const names = Effect.flatMap(
    Broker.Broker,
    (broker) => Effect.map(broker.connections, (all) => Arr.sort(all.map(({ name }) => name), Order.string))
  )

  it.scoped("of virtual hosts, in a LayerMap: one each, closed when nobody has used it for a while", () =>
    Effect.gen(function*() {
      const work = Effect.flatMap(
        ConnectionPool.ConnectionPool,
        (pool) => pool.use((connection) => on(connection)(Effect.scoped(declare)))
      )
      yield* Effect.provide(work, Vhosts.get("a"))
      yield* Effect.provide(work, Vhosts.get("a"))
      yield* Effect.provide(work, Vhosts.get("b"))
      assert.deepStrictEqual(yield* names, ["a", "b"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* names, [])
    }).pipe(Effect.provide(Vhosts.Default), Effect.provide(TwoVhosts)))

  it.scoped("of URLs, in an RcMap", () =>
    Effect.gen(function*() {
      const pools = yield* RcMap.make({
        lookup: (url: string) => ConnectionPool.make({ url, limit: 2 }),
        idleTimeToLive: "1 minute"
      })
      const vhostOf = (url: string) =>
        Effect.scoped(Effect.flatMap(RcMap.get(pools, url), (pool) =>
          pool.use(({ info }) =>
            Effect.map(info, ({ options }) => options.vhost)
          )))
      assert.strictEqual(yield* vhostOf("memory://localhost/a"), "a")
      assert.strictEqual(yield* vhostOf("memory://localhost/b"), "b")
      assert.strictEqual(yield* vhostOf("memory://localhost/a"), "a")
      assert.lengthOf(yield* names, 2)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* names, 0)
    }).pipe(Effect.provide(TwoVhosts)))
})

describeRabbit("a pool of connections to RabbitMQ", (it) => {
  it.scoped("lends, replaces what the broker closed, and leaves nothing", () =>
    Effect.gen(function*() {
      const { ctl, url, vhost } = yield* SharedRabbitMq
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(
        ConnectionPool.make({ url, limit: 3, preconnect: 3, reconnect: Reconnect.none, name: "pooled" }),
        scope
      )
      const mine = Effect.map(ctl("list_connections", "--no-table-headers", "vhost"), (text) =>
        text.split("\n").filter((line) => line === vhost).length)
      yield* eventually(mine, 3)
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) =>
          index),
        () => pool.use((connection) => on(connection)(Effect.scoped(declare))),
        { concurrency: "unbounded" }
      )
      yield* ctl("close_all_connections", "--vhost", vhost, "for the test")
      yield* eventually(mine, 0)
      const { queue } = yield* pool.use((connection) => on(connection)(Effect.scoped(declare)))
      assert.strictEqual(queue, "pooled")
      yield* Scope.close(scope, Exit.void)
      yield* eventually(mine, 0)
    }).pipe(Effect.provide(NodeTransport.layer)), 60_000)
})
