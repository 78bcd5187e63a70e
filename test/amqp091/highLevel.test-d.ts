import type { AmqpError, Compression } from "effect-amqp"
import { type Connection, Consumer, Message, Publisher, Retry, Rpc, SimpleQueue } from "effect-amqp/amqp091"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
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

describe("Message.oneOf", () => {
  it("needs what its codecs need", () => {
    expectTypeOf(Message.oneOf(orders, Message.json(Order, { contentType: "text/json" }))).toEqualTypeOf<
      Message.Content<Order>
    >()
    expectTypeOf(Message.oneOf(Message.text, Message.json(secret))).toEqualTypeOf<Message.Content<string, Codec>>()
  })
})

describe("Message.compressed", () => {
  it("needs the service for br and zstd alone", () => {
    expectTypeOf(Message.compressed(orders)).toEqualTypeOf<Message.Content<Order>>()
    expectTypeOf(Message.compressed(orders, { encoding: "deflate", limit: 1 })).toEqualTypeOf<Message.Content<Order>>()
    expectTypeOf(Message.compressed(Message.json(secret), { encoding: "br" })).toEqualTypeOf<
      Message.Content<string, Codec | Compression.Compression>
    >()
    expectTypeOf(Message.compressed(orders, { encoding: "zstd" })).toEqualTypeOf<
      Message.Content<Order, Compression.Compression>
    >()
    expectTypeOf(Message.compressed(orders, { encoding: "gzip", accept: ["gzip", "br"] })).toEqualTypeOf<
      Message.Content<Order, Compression.Compression>
    >()
    // @ts-expect-error there is no such encoding
    Message.compressed(orders, { encoding: "zip" })
    // @ts-expect-error br needs a service: `Message.compressed`
    Publisher.make({ content: orders, contentEncoding: "br" })
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

describe("SimpleQueue", () => {
  it("opens with the faults of a call, and is typed by its codec", () => {
    expectTypeOf(SimpleQueue.make("jobs")).toEqualTypeOf<
      Effect.Effect<SimpleQueue.SimpleQueue<unknown>, AmqpError.CallError, NeedsConnection>
    >()
    expectTypeOf(SimpleQueue.make("jobs", { noAck: true })).toEqualTypeOf<
      Effect.Effect<SimpleQueue.SimpleQueue<unknown>, AmqpError.CallError, NeedsConnection>
    >()
    expectTypeOf(SimpleQueue.make({ queue: "jobs", exchange: "work" }, { content: orders })).toEqualTypeOf<
      Effect.Effect<SimpleQueue.SimpleQueue<Order>, AmqpError.CallError, NeedsConnection>
    >()
    expectTypeOf(SimpleQueue.make("jobs", { content: Message.json(secret) })).toEqualTypeOf<
      Effect.Effect<SimpleQueue.SimpleQueue<string>, AmqpError.CallError, NeedsConnection | Codec>
    >()
    expectTypeOf(SimpleQueue.buffer("jobs", { content: orders })).toEqualTypeOf<
      Effect.Effect<
        SimpleQueue.SimpleQueue<Order, AmqpError.ConsumerOverflow>,
        AmqpError.CallError,
        NeedsConnection
      >
    >()
    // @ts-expect-error a buffer is never durable
    SimpleQueue.buffer("jobs", { queue: { durable: true } })
  })

  it("has an exact error for each operation", () => {
    type Jobs = SimpleQueue.SimpleQueue<Order>
    expectTypeOf<ReturnType<Jobs["put"]>>()
      .toEqualTypeOf<Effect.Effect<void, AmqpError.ConfirmError | AmqpError.ContentError>>()
    expectTypeOf<ReturnType<Jobs["get"]>>().toEqualTypeOf<
      Effect.Effect<
        Consumer.Received<Order>,
        AmqpError.CallError | AmqpError.ConsumerCancelled | AmqpError.ContentError
      >
    >()
    expectTypeOf<Effect.Effect.Error<SimpleQueue.SimpleQueue<Order, AmqpError.ConsumerOverflow>["getNoWait"]>>()
      .toEqualTypeOf<
        | AmqpError.CallError
        | AmqpError.ConsumerCancelled
        | AmqpError.ContentError
        | AmqpError.ConsumerOverflow
      >()
    expectTypeOf<Jobs["size"]>().toEqualTypeOf<Effect.Effect<number, AmqpError.CallError>>()
    expectTypeOf<Jobs["clear"]>().toEqualTypeOf<Effect.Effect<number, AmqpError.CallError>>()
    expectTypeOf<Jobs["close"]>().toEqualTypeOf<Effect.Effect<void>>()
  })
})

describe("Rpc", () => {
  const sum = Rpc.procedure({ queue: "sum", request: orders, response: Message.text, error: Message.json(secret) })
  const plain = Rpc.procedure({ queue: "sum", request: orders, response: Message.text })
  type Client = Effect.Effect.Success<ReturnType<typeof Rpc.client>>

  it("has the types of its codecs in a procedure", () => {
    expectTypeOf(sum).toEqualTypeOf<Rpc.Procedure<Order, string, string, Codec>>()
    expectTypeOf(plain).toEqualTypeOf<Rpc.Procedure<Order, string>>()
  })

  it("opens with the faults of a call", () => {
    expectTypeOf(Rpc.client()).toEqualTypeOf<Effect.Effect<Rpc.Client, AmqpError.CallError, NeedsConnection>>()
    expectTypeOf(Rpc.layer()).toEqualTypeOf<Layer.Layer<Rpc.Client, AmqpError.CallError, Connection.Connection>>()
  })

  it("fails a call with what can go wrong on the way, and a procedure with its errors besides", () => {
    type Fault = AmqpError.CallError | AmqpError.PublishReturned | AmqpError.RpcError
    expectTypeOf<ReturnType<Client["call"]>>().toEqualTypeOf<Effect.Effect<Message.Delivery, Fault>>()
    const ask = (rpc: Client) => rpc.ask(sum, new Order({ id: "1", due: new Date() }))
    expectTypeOf(ask).returns.toEqualTypeOf<Effect.Effect<string, string | Fault | AmqpError.ContentError, Codec>>()
    const askPlain = (rpc: Client) => rpc.ask(plain, new Order({ id: "1", due: new Date() }))
    expectTypeOf(askPlain).returns.toEqualTypeOf<Effect.Effect<string, Fault | AmqpError.ContentError>>()
    // @ts-expect-error the correlation id is the client's
    const misled = (rpc: Client) => rpc.call({ routingKey: "", content: "", properties: { correlationId: "1" } })
    expectTypeOf(misled).toBeFunction()
  })

  it("serves with what handler and codecs need, and fails only with what ends it", () => {
    expectTypeOf(Rpc.serve({ queue: "sum" }, () => Effect.succeed("text"))).toEqualTypeOf<
      Effect.Effect<never, AmqpError.CallError | AmqpError.ConsumerCancelled, Connection.Connection>
    >()
    const server = Rpc.serve({ ...sum, concurrency: 4 }, (order, delivery) => {
      expectTypeOf(order).toEqualTypeOf<Order>()
      expectTypeOf(delivery).toEqualTypeOf<Message.Delivery>()
      return Effect.flatMap(Database, ({ save }) => Effect.as(save, "saved"))
    })
    expectTypeOf(server).toEqualTypeOf<
      Effect.Effect<
        never,
        AmqpError.CallError | AmqpError.ConsumerCancelled,
        Connection.Connection | Codec | Database
      >
    >()
    // @ts-expect-error an error without a codec could not be told
    Rpc.serve(plain, () => Effect.fail("no"))
    // @ts-expect-error the response is another
    Rpc.serve(plain, () => Effect.succeed(1))
    // @ts-expect-error without a codec a request is bytes
    Rpc.serve({ queue: "sum" }, (request: string) => Effect.succeed(request))
  })
})

describe("Retry", () => {
  it("declares with the faults of a call, and makes a policy for any handler", () => {
    const ladder = Retry.ladder({ queue: "q", delays: ["1 second"] })
    expectTypeOf(ladder).toEqualTypeOf<Retry.Ladder>()
    expectTypeOf(Retry.declare(ladder)).toEqualTypeOf<Effect.Effect<void, AmqpError.CallError, Connection.Connection>>()
    expectTypeOf(Retry.onFailure(ladder)).toEqualTypeOf<
      Effect.Effect<
        (cause: Cause.Cause<unknown>, delivery: Message.Delivery) => Effect.Effect<Consumer.Settlement>,
        AmqpError.CallError,
        NeedsConnection
      >
    >()
    type Policy = Effect.Effect.Success<ReturnType<typeof Retry.onFailure>>
    expectTypeOf<Policy>().toExtend<Consumer.OnFailure<Refused>>()
  })
})
