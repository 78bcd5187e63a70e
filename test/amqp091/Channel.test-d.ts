import type { AmqpError, Transport } from "effect-amqp"
import { Channel, Connection, ConnectionOptions } from "effect-amqp/amqp091"
import type { Message } from "effect-amqp/amqp091"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expectTypeOf, test } from "vitest"

declare const channel: Channel.Channel
declare const confirm: Channel.ConfirmChannel
declare const connection: Connection.Connection
declare const delivery: Message.Delivery
declare const message: Message.Message
declare const messages: ReadonlyArray<Message.Message>

type Calls = AmqpError.CallError
type Fault<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type StreamFault<T> = T extends Stream.Stream<infer _A, infer E, infer _R> ? E : never

describe("errors", () => {
  test("the unions are exactly the documented ones", () => {
    expectTypeOf<AmqpError.CallError>().toEqualTypeOf<
      | AmqpError.ConnectionLost
      | AmqpError.ConnectionClosed
      | AmqpError.OperationTimeout
      | AmqpError.NotReady
      | AmqpError.ChannelError
    >()
    expectTypeOf<AmqpError.ConfirmError>().toEqualTypeOf<
      AmqpError.CallError | AmqpError.PublishNacked | AmqpError.PublishReturned | AmqpError.OutcomeUnknown
    >()
    expectTypeOf<AmqpError.RecoverableError>().toEqualTypeOf<
      AmqpError.ConnectError | AmqpError.ConnectionLost | AmqpError.ConnectionClosed
    >()
  })

  test("catchTag narrows, and takes the tag away", () => {
    const healed = confirm.publish(message).pipe(
      Effect.catchTag("PublishReturned", (error) => {
        expectTypeOf(error).toEqualTypeOf<AmqpError.PublishReturned>()
        expectTypeOf(error.code).toEqualTypeOf<number>()
        return Effect.void
      })
    )
    expectTypeOf<Fault<typeof healed>>().toEqualTypeOf<
      Calls | AmqpError.PublishNacked | AmqpError.OutcomeUnknown
    >()
    const declared = channel.queueDeclare({ queue: "q", passive: true }).pipe(
      Effect.catchTag("ChannelError", (error) => {
        expectTypeOf(error.reason).toEqualTypeOf<AmqpError.ChannelReason>()
        return error.reason === "NotFound" ? channel.queueDeclare({ queue: "q" }) : error
      })
    )
    expectTypeOf<Fault<typeof declared>>().toEqualTypeOf<Calls>()
    const none = channel.publish(message).pipe(Effect.catchTags({
      ConnectionLost: () => Effect.void,
      ConnectionClosed: () => Effect.void,
      OperationTimeout: () => Effect.void,
      NotReady: () => Effect.void,
      ChannelError: () => Effect.void
    }))
    expectTypeOf<Fault<typeof none>>().toBeNever()
  })
})

describe("the error channel of each function", () => {
  test("connections", () => {
    expectTypeOf(Connection.make).returns.toEqualTypeOf<
      Effect.Effect<Connection.Connection, AmqpError.ConnectError, Transport.Transport | Scope.Scope>
    >()
    expectTypeOf(Connection.layer).returns.toEqualTypeOf<
      Layer.Layer<Connection.Connection, AmqpError.ConnectError, Transport.Transport>
    >()
    expectTypeOf(Connection.layerConfig).returns.toEqualTypeOf<
      Layer.Layer<Connection.Connection, AmqpError.ConnectError | ConfigError.ConfigError, Transport.Transport>
    >()
    expectTypeOf(connection.close()).toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(connection.changes).toEqualTypeOf<Stream.Stream<Connection.State>>()
    expectTypeOf(ConnectionOptions.config).returns.toExtend<Parameters<typeof Connection.layerConfig>[0]>()
  })

  test("channels", () => {
    expectTypeOf(Channel.make).returns.toEqualTypeOf<
      Effect.Effect<Channel.Channel, Calls, Connection.Connection | Scope.Scope>
    >()
    expectTypeOf(Channel.makeConfirm).returns.toEqualTypeOf<
      Effect.Effect<Channel.ConfirmChannel, Calls, Connection.Connection | Scope.Scope>
    >()
    expectTypeOf(Channel.layer).returns.toEqualTypeOf<Layer.Layer<Channel.Channel, Calls, Connection.Connection>>()
    expectTypeOf(Channel.layerConfirm).returns.toEqualTypeOf<
      Layer.Layer<Channel.ConfirmChannel, Calls, Connection.Connection>
    >()
  })

  test("calls", () => {
    expectTypeOf<Fault<ReturnType<typeof channel.queueDeclare>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.queueBind>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.queueUnbind>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.queuePurge>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.queueDelete>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.exchangeDeclare>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.exchangeDelete>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.exchangeBind>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.exchangeUnbind>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.qos>>>().toEqualTypeOf<Calls>()
    expectTypeOf<Fault<ReturnType<typeof channel.get>>>().toEqualTypeOf<Calls>()
    expectTypeOf(Channel.queueExists("q")).toEqualTypeOf<
      Effect.Effect<Option.Option<Channel.DeclaredQueue>, Calls, Connection.Connection>
    >()
    expectTypeOf(Channel.exchangeExists("x")).toEqualTypeOf<Effect.Effect<boolean, Calls, Connection.Connection>>()
    expectTypeOf<Fault<ReturnType<typeof channel.ackAll>>>().toBeNever()
    expectTypeOf<StreamFault<ReturnType<typeof channel.consume>>>().toEqualTypeOf<
      Calls | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow
    >()
  })

  test("publishes, by mode", () => {
    expectTypeOf(channel.publish(message)).toEqualTypeOf<Effect.Effect<void, Calls>>()
    expectTypeOf(channel.publishAll(messages)).toEqualTypeOf<Effect.Effect<void, Calls>>()
    expectTypeOf(confirm.publish(message)).toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError>>()
    expectTypeOf(confirm.publishAll(messages)).toEqualTypeOf<Effect.Effect<void, AmqpError.PublishManyError>>()
    expectTypeOf(confirm.offer(message)).toEqualTypeOf<Effect.Effect<void, Calls>>()
    expectTypeOf(confirm.drain).toEqualTypeOf<Effect.Effect<void, AmqpError.PublishManyError>>()
    // @ts-expect-error a channel without confirms has nothing to drain
    void channel.drain
  })

  test("settlements", () => {
    expectTypeOf(delivery.ack).toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(delivery.nack()).toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(delivery.reject()).toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(delivery.ackOrFail).toEqualTypeOf<Effect.Effect<void, AmqpError.SettleError>>()
    expectTypeOf(delivery.nackOrFail()).toEqualTypeOf<Effect.Effect<void, AmqpError.SettleError>>()
  })

  test("services keep apart: one does not stand for another", () => {
    const needs = Effect.zipRight(Channel.Channel, Channel.ConfirmChannel)
    const one = Effect.provideService(needs, Channel.Channel, channel)
    expectTypeOf<Effect.Effect.Context<typeof one>>().toEqualTypeOf<Channel.ConfirmChannel>()
  })

  test("url xor urls", () => {
    // @ts-expect-error both together
    void Connection.make({ url: "amqp://a", urls: ["amqp://b"] })
    // @ts-expect-error a bare number is no length of time
    void Connection.make({ url: "amqp://a", heartbeat: 60 })
  })
})
