import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, ChannelPool, Connection, ConnectionOptions, ConnectionPool } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { tcpResources } from "../node/sockets.ts"

/** Builds a layer beside the broker that is there, uses it, closes it; then the broker must have nobody left. */
const leavesNothing = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  use: Effect.Effect<unknown, unknown, A | R | Broker.Broker>,
  channels: number
) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer, scope)
    yield* Effect.provide(use, context)
    assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [channels])
    yield* Scope.close(scope, Exit.void)
    assert.lengthOf(yield* broker.connections, 0)
  })

const count = (resources: ReadonlyArray<string>, name: string): number =>
  resources.filter((each) => each === name).length

const publishAndGet = <C extends Channel.Channel | Channel.ConfirmChannel>(channel: C) =>
  Effect.gen(function*() {
    const { queue } = yield* channel.queueDeclare({ queue: "layers" })
    yield* channel.publish({ routingKey: queue, content: "hello" })
    const got = yield* channel.get({ queue, noAck: true })
    assert.strictEqual(got._tag === "Some" ? got.value.delivery.text : "", "hello")
  })

const usePool = Effect.flatMap(
  ConnectionPool.ConnectionPool,
  (pool) =>
    pool.use((connection) =>
      Effect.scoped(Effect.flatMap(Channel.makeConfirm(), publishAndGet)).pipe(
        Effect.provideService(Connection.Connection, connection)
      )
    )
)

const connectionLayer = Connection.layer({ url: "memory://" })

describe("in memory", () => {
  it.effect("Transport.layerMemory: one network each time it is built", () =>
    Effect.gen(function*() {
      const target = { scheme: "memory", host: "localhost", port: 1 } as const
      const program = Effect.gen(function*() {
        const server = yield* Transport.TransportServer
        const transport = yield* Transport.Transport
        yield* server.listen({ host: "localhost", port: 1 }, (pipe) => pipe.destroy())
        return yield* transport.dial(target)
      })
      for (let time = 0; time < 2; time++) {
        yield* program.pipe(Effect.scoped, Effect.provide(Transport.layerMemory))
      }
    }))

  it.effect("Broker.layerMemory: built, used, closed; its clients are told", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Broker.layerMemory, scope)
      const connection = yield* Effect.provide(Connection.make({ url: "memory://" }), context)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      const state = yield* connection.state
      assert.notStrictEqual(state._tag, "Open")
    }).pipe(Effect.scoped))

  it.effect("Connection.layer", () =>
    leavesNothing(
      connectionLayer,
      Effect.flatMap(Connection.Connection, (connection) => connection.info),
      0
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("Connection.layerConfig, by a ConfigProvider", () =>
    leavesNothing(
      Connection.layerConfig(ConnectionOptions.config("AMQP_URL"), { name: "by config" }),
      Effect.flatMap(Broker.Broker, (broker) =>
        Effect.map(broker.connections, ([first]) => assert.strictEqual(first?.name, "by config"))),
      0
    ).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["AMQP_URL", "memory://guest:guest@localhost"]]))),
      Effect.provide(Broker.layerMemory)
    ))

  it.effect("Connection.layerConfig without the configuration fails with a ConfigError that names it", () =>
    Effect.gen(function*() {
      const fault = yield* Effect.flip(Effect.scoped(
        Layer.build(Connection.layerConfig(ConnectionOptions.config("AMQP_URL")))
      ))
      assert.include(String(fault), "AMQP_URL")
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map())), Effect.provide(Broker.layerMemory)))

  it.effect("Connection.layerConfig takes any Config of endpoints", () =>
    leavesNothing(
      Connection.layerConfig(Config.succeed([ConnectionOptions.make({ scheme: "memory" })] as const)),
      Connection.Connection,
      0
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("Channel.layer", () =>
    leavesNothing(
      Channel.layer().pipe(Layer.provide(connectionLayer)),
      Effect.flatMap(Channel.Channel, publishAndGet),
      1
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("Channel.layerConfirm", () =>
    leavesNothing(
      Channel.layerConfirm({ window: 10 }).pipe(Layer.provide(connectionLayer)),
      Effect.flatMap(Channel.ConfirmChannel, publishAndGet),
      1
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("ChannelPool.layer", () =>
    leavesNothing(
      ChannelPool.layer({ limit: 3, preconnect: 2 }).pipe(Layer.provide(connectionLayer)),
      Effect.flatMap(ChannelPool.ChannelPool, (pool) =>
        Effect.gen(function*() {
          yield* pool.use((channel) => channel.queueDeclare({ queue: "pooled" }))
          yield* pool.publish({ routingKey: "pooled", content: "hello" })
          const got = yield* pool.use((channel) => channel.get({ queue: "pooled", noAck: true }))
          assert.strictEqual(got._tag, "Some")
        })),
      2
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("ConnectionPool.layer", () =>
    leavesNothing(
      ConnectionPool.layer({ url: "memory://", limit: 2, preconnect: 1 }),
      usePool,
      0
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("ConnectionPool.layerConfig, by a ConfigProvider", () =>
    leavesNothing(
      ConnectionPool.layerConfig(ConnectionOptions.config("AMQP_URL"), { limit: 2, name: "by config" }),
      Effect.zipRight(
        usePool,
        Effect.flatMap(Broker.Broker, (broker) =>
          Effect.map(broker.connections, ([first]) => assert.strictEqual(first?.name, "by config")))
      ),
      0
    ).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["AMQP_URL", "memory://guest:guest@localhost"]]))),
      Effect.provide(Broker.layerMemory)
    ))

  it.effect("ConnectionPool.layerConfig without the configuration fails with a ConfigError that names it", () =>
    Effect.gen(function*() {
      const fault = yield* Effect.flip(Effect.scoped(
        Layer.build(ConnectionPool.layerConfig(ConnectionOptions.config("AMQP_URL")))
      ))
      assert.include(String(fault), "AMQP_URL")
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map())), Effect.provide(Broker.layerMemory)))

  it.effect("both channels of one connection, side by side", () =>
    leavesNothing(
      Layer.merge(Channel.layer(), Channel.layerConfirm()).pipe(Layer.provide(connectionLayer)),
      Effect.zipRight(
        Effect.flatMap(Channel.Channel, publishAndGet),
        Effect.flatMap(Channel.ConfirmChannel, publishAndGet)
      ),
      2
    ).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("two connections, a tag each", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      class Billing extends Context.Tag("test/Billing")<Billing, Connection.Connection>() {}
      const live = Layer.scoped(Billing, Connection.make({ url: "memory://", name: "billing" }))
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Channel.make()).pipe(Effect.provideServiceEffect(Connection.Connection, Billing))
        const names = (yield* broker.connections).map(({ name }) => name)
        assert.include(names, "billing")
        assert.lengthOf(names, 2)
      }).pipe(Effect.provide(Layer.merge(live, connectionLayer)))
      assert.lengthOf(yield* broker.connections, 0)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.effect("a layer that is interrupted while it is built leaves nothing", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      for (let steps = 1; steps < 60; steps++) {
        const building = Effect.scoped(Layer.build(Channel.layerConfirm().pipe(Layer.provide(connectionLayer))))
        const fiber = yield* Effect.fork(building)
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Effect.zipRight(fiber.interruptAsFork(fiber.id()), fiber.await)
        yield* TestClock.adjust(0)
        assert.lengthOf(yield* broker.connections, 0)
      }
    }).pipe(Effect.provide(Broker.layerMemory)))
})

describe("on TCP", () => {
  it.live("Broker.layer, Connection.layer and the channels' layers leave no socket and no timer", () =>
    Effect.gen(function*() {
      const before = tcpResources()
      const node = Layer.merge(NodeTransport.layer, NodeTransport.layerServer)
      yield* Effect.gen(function*() {
        const { port } = yield* Broker.Broker
        const live = Layer.merge(Channel.layer(), Channel.layerConfirm()).pipe(
          Layer.provide(Connection.layer({ host: "127.0.0.1", port }))
        )
        yield* leavesNothing(
          live,
          Effect.zipRight(
            Effect.flatMap(Channel.Channel, publishAndGet),
            Effect.flatMap(Channel.ConfirmChannel, publishAndGet)
          ),
          2
        )
      }).pipe(Effect.provide(Broker.layer({ port: 0 })), Effect.provide(node))
      yield* Effect.sleep("50 millis")
      const after = tcpResources()
      for (const name of new Set(after)) assert.isAtMost(count(after, name), count(before, name), name)
    }))
})
