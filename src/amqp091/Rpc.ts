/**
 * Remote calls over queues: a client with many calls in flight on one channel, and a server that is a consumer which
 * replies. Request, response and error are typed by codecs that both sides share as a `Procedure`. Queues of servers are
 * declared elsewhere.
 *
 * A call fails with `CallError` when it could not be sent or had no reply in time (`OperationTimeout`), `PublishReturned`
 * when nobody serves it, `RpcError` when its reply will never come or says so, and, through a procedure, with
 * `ContentError` and the procedure's own errors.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { CallError, ConsumerCancelled, PublishReturned } from "../AmqpError.ts"
import { ContentError, RpcError } from "../AmqpError.ts"
import * as Timer from "../internal/timer.ts"
import { whole } from "../internal/whole.ts"
import type { DurationText } from "../Reconnect.ts"
import { Connection } from "./Connection.ts"
import * as Consumer from "./Consumer.ts"
import { refused } from "./internal/consuming.ts"
import { immediate, typeOf } from "./internal/content.ts"
import { openChannel } from "./internal/openChannel.ts"
import { Calls } from "./internal/rpcClient.ts"
import { outcomeOf, Replies, serving } from "./internal/rpcServer.ts"
import { sending } from "./internal/tracing.ts"
import type { Content, Delivery, PublishProperties } from "./Message.ts"
import * as Message from "./Message.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/Rpc")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

// --- What both sides share ---

/**
 * What a server does, and how its requests, responses and errors look on the wire.
 *
 * A response is a plain message. One that has the header `rpc-outcome` tells of a failure: "error" with a content of the
 * error's codec, "failed" or "refused" with a text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Procedure<A, B, E = never, R = never> {
  /** The queue that it is served from. */
  readonly queue: string
  /** Where requests go. Default: "", the default exchange. */
  readonly exchange?: string | undefined
  /** Default: the queue's name. */
  readonly routingKey?: string | undefined
  readonly request: Content<A, R>
  readonly response: Content<B, R>
  /** Of what handlers may fail with. Default: they may not. */
  readonly error?: Content<E, R> | undefined
}

/**
 * A procedure, with the types of its codecs.
 *
 * @example
 * ```ts
 * import { Message, Rpc } from "effect-amqp/amqp091"
 * import * as Schema from "effect/Schema"
 *
 * class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Number }) {}
 * const withdraw = Rpc.procedure({
 *   queue: "accounts.withdraw",
 *   request: Message.json(Schema.Struct({ account: Schema.String, amount: Schema.Number })),
 *   response: Message.json(Schema.Number),
 *   error: Message.json(Overdrawn)
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const procedure = <A, B, E = never, RA = never, RB = never, RE = never>(definition: {
  readonly queue: string
  readonly exchange?: string | undefined
  readonly routingKey?: string | undefined
  readonly request: Content<A, RA>
  readonly response: Content<B, RB>
  readonly error?: Content<E, RE> | undefined
}): Procedure<A, B, E, RA | RB | RE> => definition

// --- Clients ---

/**
 * What a call can fail with besides what its procedure says.
 *
 * @since 0.1.0
 * @category models
 */
export type CallFault = CallError | PublishReturned | RpcError

/**
 * Properties of a request that are not the client's own.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestProperties = Omit<PublishProperties, "correlationId" | "replyTo" | "expiration">

/**
 * One call. What `content` holds is handed over: it must not change afterwards.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallOptions {
  /** Default: "", the default exchange, which routes to the queue named by the routing key. */
  readonly exchange?: string | undefined
  readonly routingKey: string
  /** Bytes, or text that is sent as UTF-8. */
  readonly content: Uint8Array | string
  /** How long to wait for the reply; a request that is not taken by then expires. Default: the client's. */
  readonly timeout?: DurationText | undefined
  readonly properties?: RequestProperties | undefined
}

/**
 * What a typed call has of its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface AskOptions {
  readonly timeout?: DurationText | undefined
  readonly properties?: RequestProperties | undefined
}

/**
 * Calls servers: any number of calls at a time, on one channel.
 *
 * A request is mandatory: where there is no queue for it, the call fails `PublishReturned` at once. When the connection or
 * the channel goes, calls that were sent fail `RpcError` `Lost`, and none is sent again; those that were not, and new ones,
 * go when it is back, within their timeout. A reply that comes too late is dropped.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  readonly [TypeId]: TypeId
  /** Sends a request and waits for its reply, which is given as it came, an error that the server encoded too. */
  readonly call: (options: CallOptions) => Effect.Effect<Delivery, CallFault>
  /** Calls a procedure. */
  readonly ask: <A, B, E, R>(
    procedure: Procedure<A, B, E, R>,
    request: A,
    options?: AskOptions
  ) => Effect.Effect<B, E | CallFault | ContentError, R>
  /** Calls in flight. One that was interrupted is, until its reply comes or its timeout ends. */
  readonly pending: Effect.Effect<number>
}

/**
 * The tag of a client that a program has one of.
 *
 * @since 0.1.0
 * @category tags
 */
export const Client: Context.Tag<Client, Client> = Context.GenericTag("effect-amqp/amqp091/Rpc/Client")

/**
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /**
   * "direct": replies come straight to the channel (RabbitMQ's direct reply-to). "queue": through an exclusive queue, which
   * any broker has, and which tells servers by returned replies that their caller has gone. Default: "direct".
   */
  readonly replies?: "direct" | "queue" | undefined
  /** Of calls that say nothing else. Default: 30 seconds. */
  readonly timeout?: DurationText | undefined
  /** Whether each call is a span, whose context goes with the request in the header `traceparent`. Default: false. */
  readonly spans?: boolean | undefined
}

const noReply = (options: CallOptions, reason: "Failed" | "Refused", text: string): RpcError =>
  new RpcError({ reason, exchange: options.exchange ?? "", routingKey: options.routingKey, text })

const decoded = <A, R>(content: Content<A, R>, delivery: Delivery): Effect.Effect<A, ContentError, R> => {
  const decoding = content.decode(delivery)
  return immediate(decoding) ?? decoding
}

/**
 * Opens a client until the scope closes; what waits then fails.
 *
 * Fails `ChannelError`: `Refused` when the broker has no direct reply-to, `NoFreeChannels` when the connection has no
 * channel left.
 *
 * @example
 * ```ts
 * import { Rpc } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const rpc = yield* Rpc.client()
 *   const reply = yield* rpc.call({ routingKey: "sum", content: "1 2 3", timeout: "5 seconds" })
 *   yield* Effect.log(reply.text)
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const client = (
  options?: ClientOptions
): Effect.Effect<Client, CallError, Connection | Scope.Scope> =>
  whole(Effect.gen(function*() {
    const { core } = yield* Connection
    const isDirect = options?.replies !== "queue"
    if (isDirect && core.socket !== undefined && !core.capabilities.directReplyTo) {
      return yield* refused("basic.consume", "the broker has no direct reply-to: `replies: \"queue\"` needs none")
    }
    const random = Effect.map(Random.nextIntBetween(0, 0x7fffffff), (number) => number.toString(16))
    const calls = new Calls(isDirect ? undefined : `effect-amqp.replies.${yield* random}${yield* random}`)
    const timer = yield* Timer.make(yield* Effect.clock, calls)
    const channel = yield* openChannel({
      mode: "plain",
      prefetch: 0,
      window: undefined,
      atEnd: isDirect ? "fail" : "drop",
      resident: calls
    })
    calls.begin(channel, timer)
    const usual = Duration.decode(options?.timeout ?? "30 seconds")

    const send = (options: CallOptions): Effect.Effect<Delivery, CallFault> =>
      Effect.async<Delivery, CallFault>((resume) =>
        calls.start(options, options.timeout === undefined ? usual : Duration.decode(options.timeout), resume)
      )
    const call = options?.spans !== true ?
      send :
      (options: CallOptions) => sending(options, "client", ({ properties }) => send({ ...options, properties }))
    const ask = <A, B, E, R>(
      procedure: Procedure<A, B, E, R>,
      request: A,
      options?: AskOptions
    ): Effect.Effect<B, E | CallFault | ContentError, R> =>
      Effect.flatMap(procedure.request.encode(request), (content) => {
        const sent: CallOptions = {
          exchange: procedure.exchange,
          routingKey: procedure.routingKey ?? procedure.queue,
          content,
          timeout: options?.timeout,
          properties: { ...typeOf(procedure.request), ...options?.properties }
        }
        return Effect.flatMap(call(sent), (reply): Effect.Effect<B, E | RpcError | ContentError, R> => {
          switch (outcomeOf(reply)) {
            case undefined:
              return decoded(procedure.response, reply)
            case "error":
              return procedure.error === undefined
                ? Effect.fail(noReply(sent, "Failed", "the server knows errors that the procedure does not"))
                : Effect.flatMap(decoded(procedure.error, reply), Effect.fail)
            case "refused":
              return Effect.fail(noReply(sent, "Refused", reply.text))
            case "failed":
              return Effect.fail(noReply(sent, "Failed", reply.text))
          }
        })
      })
    return { [TypeId]: TypeId, call, ask, pending: Effect.sync(() => calls.size) }
  }))

/**
 * A client as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: ClientOptions): Layer.Layer<Client, CallError, Connection> =>
  Layer.scoped(Client, client(options))

// --- Servers ---

/**
 * @since 0.1.0
 * @category models
 */
export interface ServeOptions<A, B, E = never, R = never>
  extends Omit<Consumer.HandlerOptions<never>, "content" | "queue">
{
  readonly queue: Consumer.HandlerOptions<never>["queue"]
  /** Default: bytes. */
  readonly request?: Content<A, R> | undefined
  /** Default: bytes or text. */
  readonly response?: Content<B, R> | undefined
  /** Of what the handler may fail with. Default: it may not. */
  readonly error?: Content<E, R> | undefined
}

/** Bytes or text, where no codec is given: then the types say no other. */
const raw: Content<unknown> = {
  ...Message.bytes,
  encode: (value) =>
    typeof value === "string" || value instanceof Uint8Array
      ? Either.right(value)
      : Either.left(
        new ContentError({
          reason: "ContentType",
          operation: "encode",
          contentType: Message.bytes.contentType,
          text: "it is neither bytes nor text",
          issues: []
        })
      )
}

/**
 * Serves the requests of a queue: what the handler succeeds with is the response, and what it fails with the error, by the
 * procedure's codec. Then the request is acknowledged. Never ends by itself, and drains when it is interrupted, as
 * `Consumer.run` does.
 *
 * A handler that dies is logged as a warning, and its caller told `RpcError` `Failed`; a request that cannot be decoded is
 * `Refused`. A request that says nowhere to reply to is dropped, and counted in `Metrics.unanswerable`. A reply goes out
 * once, without confirm; a request is handled again when the connection goes before its acknowledgement. Replies to a queue
 * are mandatory: one whose caller has gone is counted in `Metrics.lostReplies`. Direct replies are not, because RabbitMQ
 * returns those that arrive, too.
 *
 * @example
 * ```ts
 * import { Rpc } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const server = Rpc.serve(
 *   { queue: "sum", concurrency: 16 },
 *   (request, delivery) => Effect.succeed(String(delivery.text.split(" ").map(Number).reduce((a, b) => a + b)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const serve = <A = Uint8Array, B = Uint8Array | string, E = never, R1 = never, R2 = never>(
  options: ServeOptions<A, B, E, R1>,
  handler: (request: NoInfer<A>, delivery: Delivery) => Effect.Effect<NoInfer<B>, NoInfer<E>, R2>
): Effect.Effect<never, CallError | ConsumerCancelled, Connection | R1 | R2> =>
  Effect.contextWithEffect((outer: Context.Context<Connection | R1 | R2>) =>
    Effect.scoped(Effect.gen(function*() {
      const replies = new Replies()
      const channel = yield* openChannel({
        mode: "plain",
        prefetch: 0,
        window: undefined,
        atEnd: "fail",
        resident: replies
      })
      const { content, handle, onFailure } = serving({
        channel,
        // Left out, the types are their defaults.
        request: options.request ?? raw as Content<A>,
        response: options.response ?? raw as Content<B>,
        error: options.error,
        handler
      })
      // A handler that asks for a Scope means the caller's.
      return yield* Effect.provide(Consumer.run({ ...options, content, onFailure }, handle), outer)
    }))
  )
