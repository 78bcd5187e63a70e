import type { AmqpError } from "effect-amqp"
import { type Connection, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import { describe, expectTypeOf, it } from "vitest"

class Database extends Context.Tag("Database")<Database, { readonly save: Effect.Effect<void> }>() {}
class Codec extends Context.Tag("Codec")<Codec, { readonly key: string }>() {}
class Policy extends Context.Tag("Policy")<Policy, { readonly decide: Effect.Effect<Consumer.Settlement> }>() {}
class Order extends Schema.Class<Order>("Order")({ id: Schema.String, due: Schema.Date }) {}
class Refused {
  readonly _tag = "Refused"
}

const orders = Message.json(Order)
declare const secret: Schema.Schema<string, string, Codec>
declare const handle: (order: Order) => Effect.Effect<string, Refused>
declare const dynamic: Publisher.Guarantee

type NeedsConnection = Connection.Connection | Scope.Scope

describe("Message.json", () => {
  it("has the type of its schema, and needs what it needs", () => {
    expectTypeOf(orders).toEqualTypeOf<Message.Content<Order>>()
    expectTypeOf(Message.json(secret)).toEqualTypeOf<Message.Content<string, Codec>>()
    expectTypeOf(Message.text).toEqualTypeOf<Message.Content<string>>()
    expectTypeOf(Message.bytes).toEqualTypeOf<Message.Content<Uint8Array>>()
  })
})

describe("Publisher.make", () => {
  it("fails with what its guarantee makes possible, and nothing else", () => {
    const lossy = Publisher.make({ content: orders, guarantee: "at-most-once" })
    expectTypeOf(lossy).toEqualTypeOf<
      Effect.Effect<Publisher.Publisher<Order, "at-most-once">, AmqpError.CallError, NeedsConnection>
    >()
    type Lossy = Effect.Effect.Success<typeof lossy>
    expectTypeOf<ReturnType<Lossy["publish"]>>()
      .toEqualTypeOf<Effect.Effect<void, AmqpError.CallError | AmqpError.ContentError>>()
    expectTypeOf<ReturnType<Lossy["publishAll"]>>()
      .toEqualTypeOf<Effect.Effect<void, AmqpError.CallError | AmqpError.ContentError>>()
    expectTypeOf<Lossy["sink"]>()
      .toEqualTypeOf<Sink.Sink<void, Order, never, AmqpError.CallError | AmqpError.ContentError>>()

    const safe = Publisher.make({ content: orders, guarantee: "at-least-once" })
    expectTypeOf(safe).toEqualTypeOf<
      Effect.Effect<Publisher.Publisher<Order, "at-least-once">, AmqpError.CallError, NeedsConnection>
    >()
    type Safe = Effect.Effect.Success<typeof safe>
    expectTypeOf<ReturnType<Safe["publish"]>>()
      .toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError | AmqpError.ContentError>>()
    expectTypeOf<ReturnType<Safe["publishAll"]>>()
      .toEqualTypeOf<Effect.Effect<void, AmqpError.PublishManyError | AmqpError.ContentError>>()
    expectTypeOf<Safe["sink"]>()
      .toEqualTypeOf<Sink.Sink<void, Order, never, AmqpError.PublishManyError | AmqpError.ContentError>>()
  })

  it("confirms by default, and a guarantee known at run time may fail with all", () => {
    expectTypeOf(Publisher.make({ content: orders })).toEqualTypeOf<
      Effect.Effect<Publisher.Publisher<Order, "confirmed">, AmqpError.CallError, NeedsConnection>
    >()
    const any = Publisher.make({ content: orders, guarantee: dynamic })
    type Any = Effect.Effect.Success<typeof any>
    expectTypeOf<Effect.Effect.Error<ReturnType<Any["publish"]>>>()
      .toEqualTypeOf<AmqpError.ConfirmError | AmqpError.ContentError>()
  })

  it("is a service by a tag of the user's", () => {
    class Orders extends Context.Tag("Orders")<Orders, Publisher.Publisher<Order>>() {}
    expectTypeOf(Publisher.make({ content: orders })).toExtend<
      Effect.Effect<Context.Tag.Service<Orders>, AmqpError.CallError, NeedsConnection>
    >()
    expectTypeOf(Publisher.make({ content: orders, guarantee: "at-least-once" })).toExtend<
      Effect.Effect<Context.Tag.Service<Orders>, AmqpError.CallError, NeedsConnection>
    >()
    expectTypeOf(Publisher.make({ content: orders, guarantee: "at-most-once" })).not.toExtend<
      Effect.Effect<Context.Tag.Service<Orders>, AmqpError.CallError, NeedsConnection>
    >()
  })

  it("asks once for what its codec needs, and hands values to its functions", () => {
    const publisher = Publisher.make({ content: Message.json(secret), routingKey: (text) => text.trim() })
    expectTypeOf<Effect.Effect.Context<typeof publisher>>().toEqualTypeOf<NeedsConnection | Codec>()
    Publisher.make({
      content: orders,
      messageId: (order) => {
        expectTypeOf(order).toEqualTypeOf<Order>()
        return order.id
      }
    })
    // @ts-expect-error a number of milliseconds is no duration here: 60 would mean seconds to an AMQP user
    Publisher.make({ content: orders, properties: { expiration: 60 } })
  })
})

describe("Consumer.run", () => {
  it("needs what handler, codec and policy need, and fails only with what ends it", () => {
    const consumer = Consumer.run(
      {
        queue: "q",
        content: Message.json(secret),
        onFailure: () => Effect.flatMap(Policy, ({ decide }) => decide)
      },
      (value, delivery) => {
        expectTypeOf(value).toEqualTypeOf<string>()
        expectTypeOf(delivery).toEqualTypeOf<Message.Delivery>()
        return Effect.flatMap(Database, ({ save }) => save)
      }
    )
    expectTypeOf(consumer).toEqualTypeOf<
      Effect.Effect<
        never,
        AmqpError.CallError | AmqpError.ConsumerCancelled,
        Connection.Connection | Database | Codec | Policy
      >
    >()
  })

  it("keeps a failing handler's error out of its own", () => {
    const consumer = Consumer.run(
      { queue: "q", content: orders, onFailure: "reject" },
      () => Effect.fail(new Refused())
    )
    expectTypeOf(consumer).toEqualTypeOf<
      Effect.Effect<never, AmqpError.CallError | AmqpError.ConsumerCancelled, Connection.Connection>
    >()
  })

  it("gives the policy the cause of a handler that is declared apart", () => {
    Consumer.run({
      queue: "q",
      content: orders,
      onFailure: (cause, delivery) => {
        expectTypeOf(cause).toEqualTypeOf<Cause.Cause<Refused>>()
        return Effect.succeed(delivery.redelivered ? "reject" : "requeue")
      }
    }, handle)
    // @ts-expect-error a policy may not fail
    Consumer.run({ queue: "q", content: orders, onFailure: () => Effect.fail("no") }, handle)
    // @ts-expect-error there is no such settlement
    Consumer.run({ queue: "q", content: orders, onFailure: () => Effect.succeed("drop") }, handle)
    // @ts-expect-error the handler is for other values
    Consumer.run({ queue: "q", content: Message.text }, handle)
  })
})

describe("Consumer.runNoAck", () => {
  it("may overflow, and has no settlement to decide on", () => {
    expectTypeOf(Consumer.runNoAck({ queue: "q", content: orders }, () => Effect.fail(new Refused()))).toEqualTypeOf<
      Effect.Effect<
        never,
        AmqpError.CallError | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow,
        Connection.Connection
      >
    >()
    // @ts-expect-error nothing goes back
    Consumer.runNoAck({ queue: "q", content: orders, onFailure: "requeue" }, handle)
    // @ts-expect-error there is nothing to bound it with
    Consumer.runNoAck({ queue: "q", content: orders, prefetch: 10 }, handle)
  })
})

describe("Consumer.stream", () => {
  it("gives typed values with their deliveries", () => {
    expectTypeOf(Consumer.stream({ queue: "q", content: orders })).toEqualTypeOf<
      Stream.Stream<
        Consumer.Received<Order>,
        AmqpError.CallError | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow,
        Connection.Connection
      >
    >()
    expectTypeOf(Consumer.stream({ queue: "q", content: Message.json(secret) })).toEqualTypeOf<
      Stream.Stream<
        Consumer.Received<string>,
        AmqpError.CallError | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow,
        Connection.Connection | Codec
      >
    >()
  })
})
