/**
 * What the types of the examples promise: errors and requirements as they are documented, and what must not compile.
 */
import type { AmqpError, Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import type { Broker } from "effect-amqp/broker"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expectTypeOf, it } from "vitest"
import { deposit, type withdraw } from "../../scratchpad/examples/channelLayers.ts"
import * as configuredConnection from "../../scratchpad/examples/configuredConnection.ts"
import { ConnectionLive, program as failover } from "../../scratchpad/examples/failover.ts"
import { ConnectionLive as overTcp } from "../../scratchpad/examples/standaloneBroker.ts"
import { ensureQueue } from "../../scratchpad/examples/typedFaults.ts"
import { Vhosts } from "../../scratchpad/examples/virtualHosts.ts"

describe("connections", () => {
  it("need a Transport, and fail to open with ConnectError alone", () => {
    expectTypeOf(ConnectionLive).toEqualTypeOf<
      Layer.Layer<Connection.Connection, AmqpError.ConnectError, Transport.Transport>
    >()
    expectTypeOf(configuredConnection.ConnectionLive).toEqualTypeOf<
      Layer.Layer<Connection.Connection, AmqpError.ConnectError | ConfigError.ConfigError, Transport.Transport>
    >()
    expectTypeOf(overTcp).toEqualTypeOf<Layer.Layer<Connection.Connection, AmqpError.ConnectError, Broker.Broker>>()
    expectTypeOf(Vhosts.get("a")).toEqualTypeOf<Layer.Layer<Connection.Connection, AmqpError.ConnectError, Vhosts>>()
    expectTypeOf(failover).toEqualTypeOf<
      Effect.Effect<
        Array<string>,
        AmqpError.ConnectError | AmqpError.ListenError,
        Transport.Transport | Transport.TransportServer
      >
    >()
  })

  it("take one URL or several, not both", () => {
    Connection.layer({ url: "amqp://a" })
    Connection.layer({ urls: ["amqp://a", "amqp://b"] })
    // @ts-expect-error: one or the other
    Connection.layer({ url: "amqp://a", urls: ["amqp://b"] })
    // @ts-expect-error: one URL at least
    Connection.layer({ urls: [] })
  })

  it("take no bare number for a length of time", () => {
    // @ts-expect-error: seconds or milliseconds?
    Connection.layer({ url: "amqp://a", heartbeat: 60 })
    // @ts-expect-error: seconds or milliseconds?
    Connection.layer({ url: "amqp://a", operationTimeout: 30_000 })
  })
})

describe("channels", () => {
  it("are told apart by their mode", () => {
    expectTypeOf(deposit({ queue: "q" }, "gold")).toEqualTypeOf<
      Effect.Effect<void, AmqpError.ConfirmError, Channel.ConfirmChannel>
    >()
    expectTypeOf(Effect.provide(deposit({ queue: "q" }, "gold"), Channel.layer())).toEqualTypeOf<
      Effect.Effect<void, AmqpError.ConfirmError, Channel.ConfirmChannel | Connection.Connection>
    >()
    expectTypeOf<Effect.Effect.Context<ReturnType<typeof withdraw>>>().toEqualTypeOf<Channel.Channel>()
    expectTypeOf<Channel.ConfirmChannel>().not.toMatchTypeOf<Channel.Channel>()
    expectTypeOf<Channel.Channel>().not.toMatchTypeOf<Channel.ConfirmChannel>()
  })

  it("keep every fault of a call in its type, after some are handled", () => {
    expectTypeOf(ensureQueue).returns.toEqualTypeOf<Effect.Effect<Channel.DeclaredQueue, AmqpError.CallError>>()
  })
})
