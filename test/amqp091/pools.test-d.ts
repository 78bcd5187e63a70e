import type { AmqpError, Pool, Transport } from "effect-amqp"
import type { Message } from "effect-amqp/amqp091"
import { Channel, ChannelPool, Connection, ConnectionPool } from "effect-amqp/amqp091"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expectTypeOf, it } from "vitest"

declare const connections: ConnectionPool.ConnectionPool
declare const channels: ChannelPool.ChannelPool
declare const leased: ChannelPool.Leased
declare const message: Message.Message
declare const connection: Connection.Connection

type Connecting = AmqpError.ConnectError | AmqpError.PoolError
type Calling = AmqpError.CallError | AmqpError.PoolError

describe("constructors", () => {
  it("fail with what opening fails with, and PoolError", () => {
    type Dialled = Effect.Effect<ConnectionPool.ConnectionPool, Connecting, Transport.Transport | Scope.Scope>
    expectTypeOf(ConnectionPool.make({ url: "amqp://a" })).toEqualTypeOf<Dialled>()
    expectTypeOf(ConnectionPool.makeWith(Connection.make({}))).toEqualTypeOf<Dialled>()
    expectTypeOf(ConnectionPool.fromConnection(connection))
      .toEqualTypeOf<Effect.Effect<ConnectionPool.ConnectionPool, Connecting, Scope.Scope>>()
    expectTypeOf(ConnectionPool.layer({ url: "amqp://a" }))
      .toEqualTypeOf<Layer.Layer<ConnectionPool.ConnectionPool, Connecting, Transport.Transport>>()
    expectTypeOf<ReturnType<typeof ConnectionPool.layerConfig>>().toEqualTypeOf<
      Layer.Layer<ConnectionPool.ConnectionPool, Connecting | ConfigError.ConfigError, Transport.Transport>
    >()
    expectTypeOf(ChannelPool.make()).toEqualTypeOf<
      Effect.Effect<ChannelPool.ChannelPool, Calling, Connection.Connection | Scope.Scope>
    >()
    expectTypeOf(ChannelPool.makeOver([connection]))
      .toEqualTypeOf<Effect.Effect<ChannelPool.ChannelPool, Calling, Scope.Scope>>()
    expectTypeOf(ChannelPool.layer())
      .toEqualTypeOf<Layer.Layer<ChannelPool.ChannelPool, Calling, Connection.Connection>>()
  })

  it("take url xor urls, lengths of time, and one connection at least", () => {
    // @ts-expect-error both together
    void ConnectionPool.make({ url: "amqp://a", urls: ["amqp://b"] })
    // @ts-expect-error a bare number is no length of time
    void ConnectionPool.make({ url: "amqp://a", idleTimeToLive: 60 })
    // @ts-expect-error nobody to open channels on
    void ChannelPool.makeOver([])
  })
})

describe("a pool of connections", () => {
  it("is a pool, lends what any module takes as its connection, and adds PoolError to what is ensured", () => {
    expectTypeOf(connections).toExtend<Pool.Pool<Connection.Connection, AmqpError.ConnectError>>()
    expectTypeOf(connections.get()).toEqualTypeOf<Effect.Effect<Connection.Connection, Connecting, Scope.Scope>>()
    expectTypeOf(connections.use(() => Effect.fail("mine" as const)))
      .toEqualTypeOf<Effect.Effect<never, "mine" | Connecting>>()
    expectTypeOf(connections.ensure(Effect.scoped(Channel.make())))
      .toEqualTypeOf<Effect.Effect<Channel.Channel, AmqpError.CallError | Connecting>>()
    expectTypeOf(connections.replace(connection)).toEqualTypeOf<Effect.Effect<void, AmqpError.PoolError>>()
    expectTypeOf(connections.grow(1)).toEqualTypeOf<Effect.Effect<void, Connecting>>()
    expectTypeOf(connections.resize(1)).toEqualTypeOf<Effect.Effect<void, AmqpError.PoolError>>()
    expectTypeOf(connections.stats).toEqualTypeOf<Effect.Effect<Pool.Stats>>()
    expectTypeOf(connections.closeAll).toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(connections.forceCloseAll()).toEqualTypeOf<Effect.Effect<void>>()
  })
})

describe("a pool of channels", () => {
  it("publishes as a channel does, besides PoolError", () => {
    expectTypeOf(channels.get()).toEqualTypeOf<Effect.Effect<ChannelPool.Leased, Calling, Scope.Scope>>()
    expectTypeOf(channels.publish(message))
      .toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError | AmqpError.PoolError>>()
    expectTypeOf(channels.publishAll([message]))
      .toEqualTypeOf<Effect.Effect<void, Calling | AmqpError.PublishManyError>>()
    expectTypeOf(channels.use((channel) => channel.publish(message)))
      .toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError | AmqpError.PoolError>>()
  })

  it("lends channels whose every operation can fail with PoolError too", () => {
    expectTypeOf(leased.publish(message))
      .toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError | AmqpError.PoolError>>()
    expectTypeOf(leased.queueDeclare()).toEqualTypeOf<Effect.Effect<Channel.DeclaredQueue, Calling>>()
    expectTypeOf(leased.number).toEqualTypeOf<Effect.Effect<number, AmqpError.PoolError>>()
    expectTypeOf(leased.drain)
      .toEqualTypeOf<Effect.Effect<void, AmqpError.PublishManyError | AmqpError.PoolError>>()
    expectTypeOf(leased.consume({ queue: "q" })).toEqualTypeOf<
      Stream.Stream<Message.Delivery, Calling | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow>
    >()
    expectTypeOf(leased.mode).toEqualTypeOf<"confirm">()
  })
})
