import type { AmqpError, Transport } from "effect-amqp"
import { Reconnect } from "effect-amqp"
import { Channel, Connection, ConnectionOptions, Topology } from "effect-amqp/amqp091"
import type { Message } from "effect-amqp/amqp091"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expectTypeOf, test } from "vitest"

declare const channel: Channel.Channel
declare const tx: Channel.TxChannel
declare const confirm: Channel.ConfirmChannel
declare const message: Message.Message

type Calls = AmqpError.CallError
type NotConnected = AmqpError.ConnectError | AmqpError.ConnectionClosed | AmqpError.OperationTimeout
type Fault<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
/** What an operation, or what it returns, can fail with. */
type FaultOf<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E
  : T extends Stream.Stream<infer _A, infer E, infer _R> ? E
  : T extends Layer.Layer<infer _A, infer E, infer _R> ? E
  : T extends (...args: never) => infer Returned ? FaultOf<Returned>
  : "no operation"

/** That of each member: one that is new is missing in what it is compared with. */
type FaultsOf<T> = { readonly [K in keyof T]: FaultOf<T[K]> }

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
    expectTypeOf<FaultsOf<Omit<typeof Connection, "TypeId" | "Connection" | "ensure">>>().toEqualTypeOf<{
      readonly make: AmqpError.ConnectError
      readonly layer: AmqpError.ConnectError
      readonly makeConfig: AmqpError.ConnectError | ConfigError.ConfigError
      readonly layerConfig: AmqpError.ConnectError | ConfigError.ConfigError
      readonly ensureConnection: NotConnected
    }>()
    expectTypeOf<FaultsOf<Omit<Connection.Connection, Connection.TypeId | "core">>>().toEqualTypeOf<{
      readonly state: never
      readonly changes: never
      readonly recoveries: never
      readonly info: never
      readonly isOpen: never
      readonly isClosed: never
      readonly closed: never
      readonly ready: NotConnected
      readonly silence: never
      readonly pause: never
      readonly resume: never
      readonly reconnectNow: never
      readonly switchEndpoint: AmqpError.ConnectError
      readonly clone: AmqpError.ConnectError
      readonly drainEvents: AmqpError.OperationTimeout | AmqpError.ConnectionClosed
      readonly updateSecret: Calls
      readonly close: never
    }>()
    expectTypeOf(Connection.make).returns.toEqualTypeOf<
      Effect.Effect<Connection.Connection, AmqpError.ConnectError, Transport.Transport | Scope.Scope>
    >()
    expectTypeOf(Connection.layer).returns.toEqualTypeOf<
      Layer.Layer<Connection.Connection, AmqpError.ConnectError, Transport.Transport>
    >()
    expectTypeOf<Connection.NotConnected>().toEqualTypeOf<NotConnected>()
    expectTypeOf(ConnectionOptions.config).returns.toExtend<Parameters<typeof Connection.layerConfig>[0]>()
  })

  test("ensure fails with what its effect fails with, and needs what effect and observer need", () => {
    class Log extends Context.Tag("Log")<Log, { readonly write: (text: string) => Effect.Effect<void> }>() {}
    const ensured = Connection.ensure(confirm.publish(message), {
      schedule: Schedule.recurs(3),
      onError: (error) => {
        expectTypeOf(error).toEqualTypeOf<AmqpError.ConfirmError>()
        return Effect.flatMap(Log, ({ write }) => write(error.message))
      }
    })
    expectTypeOf(ensured).toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError, Connection.Connection | Log>>()
    expectTypeOf(confirm.publish(message).pipe(Connection.ensure())).toEqualTypeOf<
      Effect.Effect<void, AmqpError.ConfirmError, Connection.Connection>
    >()
    const piped = confirm.publish(message).pipe(Connection.ensure({
      schedule: Schedule.whileInput(
        Schedule.forever,
        (fault: AmqpError.ConfirmError) => fault._tag !== "PublishNacked"
      )
    }))
    expectTypeOf(piped).toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError, Connection.Connection>>()
  })

  test("any Schedule over the typed fault composes, and no other does", () => {
    const onlyLost = Schedule.whileInput(
      Schedule.intersect(Reconnect.kombu(), Schedule.recurs(3)),
      (fault: AmqpError.RecoverableError) => fault._tag === "ConnectionLost"
    )
    expectTypeOf(onlyLost).toExtend<Reconnect.Policy>()
    Connection.make({ url: "memory://", reconnect: onlyLost, connect: Schedule.upTo(Reconnect.java, "1 minute") })
    // @ts-expect-error a first connect knows no fault but ConnectError
    Connection.make({ connect: Schedule.recurWhile((fault: AmqpError.ConnectionLost) => fault.reason === "Socket") })
  })

  test("endpoints come as a list, a function or an Effect", () => {
    Connection.make({ url: "memory://", failover: ({ endpoints, last }) => endpoints.filter((each) => each !== last) })
    Connection.make({ failover: Effect.fail("down") as Effect.Effect<ReadonlyArray<string>, string> })
    Connection.make({ failover: Effect.succeed([{ host: "a", username: "me" }, "b:5673"]) })
    // @ts-expect-error there is no such strategy
    Connection.make({ url: "memory://", failover: "nearest" })
    // @ts-expect-error it is asked before each round, with nothing in its context
    Connection.make({ failover: Effect.map(Connection.Connection, () => ["a"]) })
  })

  test("channels", () => {
    expectTypeOf<FaultsOf<Omit<typeof Channel, "Channel" | "ConfirmChannel" | "TxChannel">>>().toEqualTypeOf<{
      readonly make: Calls
      readonly makeConfirm: Calls
      readonly makeTx: Calls
      readonly layer: Calls
      readonly layerConfirm: Calls
      readonly layerTx: Calls
      readonly shared: Calls
      readonly queueExists: Calls
      readonly exchangeExists: Calls
    }>()
    expectTypeOf(Channel.make).returns.toEqualTypeOf<
      Effect.Effect<Channel.Channel, Calls, Connection.Connection | Scope.Scope>
    >()
    expectTypeOf(Channel.layerConfirm).returns.toEqualTypeOf<
      Layer.Layer<Channel.ConfirmChannel, Calls, Connection.Connection>
    >()
    expectTypeOf(Channel.shared).toEqualTypeOf<Effect.Effect<Channel.Channel, Calls, Connection.Connection>>()
    expectTypeOf(Channel.queueExists("q")).toEqualTypeOf<
      Effect.Effect<Option.Option<Channel.DeclaredQueue>, Calls, Connection.Connection>
    >()
  })

  test("topology", () => {
    expectTypeOf<FaultsOf<Omit<typeof Topology, "show">>>().toEqualTypeOf<{
      readonly declare: Calls
      readonly layer: Calls
      readonly plan: Calls
    }>()
    expectTypeOf(Topology.declare).returns.toEqualTypeOf<
      Effect.Effect<void, Calls, Connection.Connection | Scope.Scope>
    >()
    expectTypeOf(Topology.layer).returns.toEqualTypeOf<Layer.Layer<never, Calls, Connection.Connection>>()
    expectTypeOf(Topology.plan).returns.toEqualTypeOf<
      Effect.Effect<Topology.Plan, Calls, Connection.Connection>
    >()
  })

  test("calls", () => {
    expectTypeOf<FaultsOf<Channel.ChannelBase>>().toEqualTypeOf<{
      readonly queueDeclare: Calls
      readonly queueBind: Calls
      readonly queueUnbind: Calls
      readonly queuePurge: Calls
      readonly queueDelete: Calls
      readonly exchangeDeclare: Calls
      readonly exchangeDelete: Calls
      readonly exchangeBind: Calls
      readonly exchangeUnbind: Calls
      readonly qos: Calls
      readonly flow: Calls
      readonly number: never
      readonly returned: never
      readonly consume: Calls | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow
      readonly get: Calls
      readonly ackAll: never
      readonly nackAll: never
      readonly recover: Calls
    }>()
  })

  test("publishes, by mode", () => {
    expectTypeOf<FaultsOf<Omit<Channel.Channel, keyof Channel.ChannelBase | "mode">>>().toEqualTypeOf<{
      readonly publish: Calls
      readonly publishAll: Calls
    }>()
    expectTypeOf<FaultsOf<Omit<Channel.ConfirmChannel, keyof Channel.ChannelBase | "mode">>>().toEqualTypeOf<{
      readonly publish: AmqpError.ConfirmError
      readonly publishAll: AmqpError.PublishManyError
      readonly offer: Calls
      readonly drain: AmqpError.PublishManyError
      readonly unconfirmed: never
    }>()
    expectTypeOf<FaultsOf<Channel.Transaction>>().toEqualTypeOf<
      { readonly publish: Calls; readonly publishAll: Calls }
    >()
    // @ts-expect-error a channel without confirms has nothing to drain
    void channel.drain
  })

  test("a transaction fails as its program does, or as a call", () => {
    expectTypeOf<Exclude<keyof Channel.TxChannel, keyof Channel.ChannelBase>>().toEqualTypeOf<"mode" | "transaction">()
    const program = Effect.fail("no" as const)
    expectTypeOf(tx.transaction(() => program)).toEqualTypeOf<Effect.Effect<never, "no" | Calls>>()
    expectTypeOf(tx.transaction(({ publish }) => publish(message))).toEqualTypeOf<Effect.Effect<void, Calls>>()
  })

  test("settlements", () => {
    type Data =
      | "content"
      | "text"
      | "properties"
      | "exchange"
      | "routingKey"
      | "redelivered"
      | "deliveryTag"
      | "consumerTag"
    expectTypeOf<FaultsOf<Omit<Message.Delivery, Data>>>().toEqualTypeOf<{
      readonly ack: never
      readonly nack: never
      readonly reject: never
      readonly ackOrFail: AmqpError.SettleError
      readonly nackOrFail: AmqpError.SettleError
    }>()
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
