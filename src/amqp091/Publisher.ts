/**
 * Publishers of typed values: one exchange, one codec, one guarantee. A publisher opens a channel of its own on the
 * `Connection` from the context; topology is declared elsewhere.
 *
 * Its calls fail with `ContentError` for a value that cannot be encoded, and with what its guarantee makes possible:
 * `CallError` without confirms, `ConfirmError` with them, `PublishManyError` for many at once.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Order from "effect/Order"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import type * as Types from "effect/Types"
import type { CallError, ConfirmError } from "../AmqpError.ts"
import { ContentError, isCallError, PublishManyError } from "../AmqpError.ts"
import type { PortableEncoding } from "../Compression.ts"
import { Connection } from "./Connection.ts"
import type { ChannelCore } from "./internal/channel.ts"
import { confirm, plain } from "./internal/channelModes.ts"
import { compressed } from "./internal/compressing.ts"
import { refused } from "./internal/consuming.ts"
import { immediate, typeOf } from "./internal/content.ts"
import { openChannel } from "./internal/openChannel.ts"
import type { Failures } from "./internal/publishRun.ts"
import { PublishRun } from "./internal/publishRun.ts"
import { sending, sendingAll } from "./internal/tracing.ts"
import type { Content, Message, PublishProperties } from "./Message.ts"
import { toBytes } from "./Message.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/Publisher")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What a publish promises when it has succeeded.
 *
 * "at-most-once": the message is in the output buffer; nobody says whether it arrives. "confirmed": the broker has taken
 * responsibility for it; when the connection goes before it said so, the publish fails `OutcomeUnknown`. "at-least-once":
 * the same, but what has no answer when the connection goes is sent again, in order, which may duplicate it. What the broker
 * refuses is told, and not sent again; but when it keeps refusing (`Channel.ConfirmOptions.guarantee`) the channel is opened anew.
 *
 * @since 0.1.0
 * @category models
 */
export type Guarantee = "at-most-once" | "confirmed" | "at-least-once"

/**
 * What one publish can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type PublishError<G extends Guarantee> = ContentError | (G extends "at-most-once" ? CallError : ConfirmError)

/**
 * What publishing many can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type PublishAllError<G extends Guarantee> =
  | ContentError
  | (G extends "at-most-once" ? CallError : PublishManyError)

/**
 * What one publish has of its own. Properties are laid over the publisher's, one by one. Further routing keys go into the
 * headers `CC` and `BCC`, as arrays (RabbitMQ).
 *
 * @since 0.1.0
 * @category models
 */
export interface PublishOptions {
  readonly routingKey?: string | undefined
  readonly mandatory?: boolean | undefined
  readonly properties?: PublishProperties | undefined
}

/**
 * Publishes values of one type. A program has several, so there is no tag for all of them: make one for each.
 *
 * @example
 * ```ts
 * import { Message, Publisher } from "effect-amqp/amqp091"
 * import * as Context from "effect/Context"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * class Order extends Schema.Class<Order>("Order")({ id: Schema.String }) {}
 * class Orders extends Context.Tag("Orders")<Orders, Publisher.Publisher<Order>>() {
 *   static readonly layer = Layer.scoped(
 *     Orders,
 *     Publisher.make({ exchange: "orders", content: Message.json(Order), guarantee: "at-least-once" })
 *   )
 * }
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Publisher<A, G extends Guarantee = "confirmed" | "at-least-once"> {
  readonly [TypeId]: TypeId
  readonly guarantee: G
  /**
   * Ends as the guarantee says. Interrupted before its bytes are written, the message is not sent; after that only the
   * interest in the outcome goes.
   */
  readonly publish: (value: A, options?: PublishOptions) => Effect.Effect<void, PublishError<G>>
  /**
   * Publishes many, as many in flight as the window allows, and waits for all their confirms. Everything is encoded
   * first: when one value cannot be, nothing is sent. `PublishManyError` says which failed; the others are confirmed.
   */
  readonly publishAll: (values: Iterable<A>, options?: PublishOptions) => Effect.Effect<void, PublishAllError<G>>
  /**
   * Publishes a stream, as many in flight as the window allows: a full window holds the stream back. Ends when the last
   * one is confirmed.
   *
   * The first failure, or a value that cannot be encoded, ends it: nothing more is sent, and what is in flight is waited
   * for. `PublishManyError` then says what failed, in order, by its index in the stream; everything before the first is
   * confirmed, so that nothing is lost by publishing again from there.
   */
  readonly sink: Sink.Sink<void, A, never, PublishAllError<G>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<A, R = never, G extends Guarantee = Guarantee> {
  /** Default: "", the default exchange, which routes to the queue named by the routing key. */
  readonly exchange?: string | undefined
  /** Of each value, or of all. Default: "". */
  readonly routingKey?: string | ((value: A) => string) | undefined
  readonly content: Content<A, R>
  /**
   * Compresses contents: short for `Message.compressed`, which has "br" and "zstd" too. Default: as the codec has it.
   */
  readonly contentEncoding?: PortableEncoding | undefined
  /** Default: "confirmed". */
  readonly guarantee?: G | undefined
  /** The most unconfirmed publishes, 1 to 1,000,000; further ones wait. Default: 1000. */
  readonly window?: number | undefined
  /** Whether a message that reaches no queue fails `PublishReturned` (without confirms: is logged). Default: false. */
  readonly mandatory?: boolean | undefined
  /** Of every message. Default: `persistent`, unless the guarantee is "at-most-once"; the codec's `contentType`. */
  readonly properties?: PublishProperties | undefined
  /**
   * The message-id of a value, such as its own id, or a random one. A message that is sent again keeps it, so that
   * receivers can tell duplicates. Default: none.
   */
  readonly messageId?: ((value: A) => string) | undefined
  /** Whether messages carry the time they were published. Default: false. */
  readonly timestamp?: boolean | undefined
  /**
   * Whether messages carry the user that the connection logged in as, which RabbitMQ checks: receivers can trust it. Needs
   * credentials that name one (`Info.user`), else `make` fails `ChannelError` `Refused`. Default: false.
   */
  readonly userId?: boolean | undefined
  /** The most bytes of a content; a larger one fails `ContentError` `Size`, and is not sent. Default: no limit of its own. */
  readonly maxSize?: number | undefined
  /**
   * How often, and after what delay, `publish` and `publishAll` publish a message again that failed, the same with its
   * message-id. The Schedule sees why: `Schedule.whileInput(AmqpError.isTransient)` leaves alone what would fail again. What
   * has an unknown outcome may be duplicated, and what is published again comes behind what followed it. The sink stops
   * at the first failure all the same. Default: never.
   */
  readonly retry?: Schedule.Schedule<unknown, ConfirmError> | undefined
  /**
   * Whether each `publish`, and each `publishAll`, is a span ("send", and the exchange), whose context goes with the messages
   * in the header `traceparent`. It costs some 20 microseconds; the sink has none. Default: false.
   */
  readonly spans?: boolean | undefined
}

/** Makes the message of a value. */
type ToMessage<A, R> = (value: A, options?: PublishOptions) => Effect.Effect<Message, ContentError, R>

const tooLarge = (contentType: string, size: number, maxSize: number): ContentError =>
  new ContentError({
    reason: "Size",
    operation: "encode",
    contentType,
    text: `${size} bytes are more than ${maxSize}`,
    issues: []
  })

/** The codec, with a bound on what it makes. */
const sized = <A, R>(content: Content<A, R>, maxSize: number | undefined): Content<A, R>["encode"] =>
  maxSize === undefined ? content.encode : (value) =>
    ParseResult.flatMap(content.encode(value), (encoded) => {
      const bytes = toBytes(encoded)
      return bytes.length > maxSize
        ? Either.left(tooLarge(content.contentType, bytes.length, maxSize))
        : Either.right(bytes)
    })

const toMessage = <A, R>(
  options: Options<A, R>,
  now: () => number,
  user: () => string | undefined
): ToMessage<A, R> => {
  const { exchange, mandatory, messageId, routingKey } = options
  const content: Content<A, R> = options.contentEncoding === undefined
    ? options.content
    : compressed(options.content, { encoding: options.contentEncoding })
  const timestamp = options.timestamp === true
  const userId = options.userId === true
  const encode = sized(content, options.maxSize)
  const defaults: PublishProperties = {
    ...typeOf(content),
    persistent: options.guarantee !== "at-most-once",
    ...options.properties
  }
  const keyOf = typeof routingKey === "function" ? routingKey : () => routingKey
  const isFixed = messageId === undefined && !timestamp && !userId
  const propertiesOf = (value: A, given: PublishProperties | undefined): PublishProperties => {
    if (isFixed && given === undefined) return defaults
    const properties: Types.Mutable<PublishProperties> = { ...defaults }
    if (messageId !== undefined) properties.messageId = messageId(value)
    if (timestamp) properties.timestamp = Math.floor(now() / 1000)
    if (userId) properties.userId = user()
    return given === undefined ? properties : { ...properties, ...given }
  }
  return (value, given) =>
    ParseResult.map(encode(value), (content) => ({
      exchange,
      routingKey: given?.routingKey ?? keyOf(value),
      mandatory: given?.mandatory ?? mandatory,
      content,
      properties: propertiesOf(value, given?.properties)
    }))
}

/** Encodes all, in order. */
const encodeAll = <A, R>(
  values: Iterable<A>,
  encode: (value: A) => Effect.Effect<Message, ContentError, R>
): Effect.Effect<ReadonlyArray<Message>, ContentError, R> =>
  Effect.suspend(() => {
    const messages: Array<Message> = []
    const rest: Array<Effect.Effect<Message, ContentError, R>> = []
    for (const value of values) {
      const encoding = encode(value)
      const encoded = rest.length === 0 ? immediate(encoding) : undefined
      if (encoded === undefined) rest.push(encoding)
      else if (Either.isRight(encoded)) messages.push(encoded.right)
      else return Effect.fail(encoded.left)
    }
    return rest.length === 0 ? Effect.succeed(messages) : Effect.map(Effect.all(rest), (more) => [...messages, ...more])
  })

const publishWith = <A, E>(
  encode: ToMessage<A, never>,
  publish: (message: Message) => Effect.Effect<void, E>
) =>
(value: A, options?: PublishOptions): Effect.Effect<void, E | ContentError> =>
  Effect.suspend(() => {
    const encoding = encode(value, options)
    const encoded = immediate(encoding)
    if (encoded === undefined) return Effect.flatMap(encoding, publish)
    return Either.isLeft(encoded) ? Effect.fail(encoded.left) : publish(encoded.right)
  })

const publishAllWith = <A, E>(
  encode: ToMessage<A, never>,
  publishAll: (messages: Iterable<Message>) => Effect.Effect<void, E>
) =>
(values: Iterable<A>, options?: PublishOptions): Effect.Effect<void, E | ContentError> =>
  Effect.flatMap(encodeAll(values, (value) => encode(value, options)), publishAll)

const sinkWith = <A, E>(
  core: ChannelCore,
  encode: ToMessage<A, never>,
  fail: (failures: Failures) => Effect.Effect<never, E>
): Sink.Sink<void, A, never, E | ContentError> =>
  Sink.suspend(() => {
    const run = new PublishRun(core, "first")
    const outcome = Effect.suspend(() => run.failures.length === 0 ? Effect.void : fail(run.failures))
    const finish = Effect.zipRight(run.answers, outcome)
    return Sink.forEachChunk((values: Chunk.Chunk<A>) =>
      run.sendEncoded(Chunk.toReadonlyArray(values), encode).pipe(
        // What failed before it comes first.
        Effect.tapError(() => finish),
        Effect.zipRight(Effect.suspend(() => run.failures.length === 0 ? Effect.void : finish))
      )
    ).pipe(Sink.mapEffect(() => finish))
  })

type Retry = Schedule.Schedule<unknown, ConfirmError>

/** What a publisher has its channel for. */
interface Publishes<E1, E2> {
  readonly publish: (message: Message) => Effect.Effect<void, E1>
  readonly publishAll: (messages: Iterable<Message>) => Effect.Effect<void, E2>
}

/** A channel whose publishes are spans, where that is wanted. */
const traced = <E1, E2>(
  channel: Publishes<E1, E2>,
  { exchange = "", spans }: Pick<Options<never>, "exchange" | "spans">
): Publishes<E1, E2> =>
  spans !== true ? channel : {
    publish: (message) => sending(message, "producer", channel.publish),
    publishAll: (messages) => sendingAll(Arr.fromIterable(messages), exchange, channel.publishAll)
  }

const atMostOnce = <A>(
  core: ChannelCore,
  encode: ToMessage<A, never>,
  options: Pick<Options<A>, "exchange" | "spans" | "retry">
): Publisher<A, "at-most-once"> => {
  const { retry } = options
  const channel = traced(plain(core), options)
  const publish = retry === undefined
    ? channel.publish
    : (message: Message) => Effect.retry(channel.publish(message), retry)
  return {
    [TypeId]: TypeId,
    guarantee: "at-most-once",
    publish: publishWith(encode, publish),
    publishAll: publishAllWith(
      encode,
      retry === undefined ? channel.publishAll : (messages) => Effect.forEach(messages, publish, { discard: true })
    ),
    sink: sinkWith(core, encode, ([first]) =>
      // Without confirms only a call's faults can come back.
      first !== undefined && isCallError(first.error) ? Effect.fail(first.error) : Effect.die(first))
  }
}

/** Publishes those of many again that failed. */
const publishAllAgain =
  (channel: Publishes<ConfirmError, PublishManyError>, retry: Retry) =>
  (messages: Iterable<Message>): Effect.Effect<void, PublishManyError> =>
    Effect.suspend(() => {
      const all = Arr.fromIterable(messages)
      const retryOne = ({ error, index }: Failures[number]) =>
        Effect.suspend(() => {
          // The fault itself is the first that the Schedule sees.
          let attempt: Effect.Effect<void, ConfirmError> = Effect.fail(error)
          const next = Effect.suspend(() => {
            const now = attempt
            attempt = channel.publish(all[index]!) // one of those that were published
            return now
          })
          return Effect.mapError(Effect.retry(next, retry), (error) => ({ index, error }))
        })
      return Effect.catchAll(channel.publishAll(all), ({ failures }) =>
        Effect.flatMap(
          Effect.partition(failures, retryOne, { concurrency: "unbounded" }),
          ([failures]) => failures.length === 0 ? Effect.void : Effect.fail(new PublishManyError({ failures }))
        ))
    })

const confirmed = <A, G extends "confirmed" | "at-least-once">(
  core: ChannelCore,
  guarantee: G,
  encode: ToMessage<A, never>,
  options: Pick<Options<A>, "exchange" | "spans" | "retry">
): Publisher<A, "confirmed" | "at-least-once"> => {
  const { retry } = options
  const channel = traced(confirm(core), options)
  return {
    [TypeId]: TypeId,
    guarantee,
    publish: publishWith(
      encode,
      retry === undefined ? channel.publish : (message) => Effect.retry(channel.publish(message), retry)
    ),
    publishAll: publishAllWith(encode, retry === undefined ? channel.publishAll : publishAllAgain(channel, retry)),
    sink: sinkWith(
      core,
      encode,
      (failures) =>
        Effect.fail(new PublishManyError({ failures: Arr.sortWith(failures, ({ index }) => index, Order.number) }))
    )
  }
}

/**
 * Opens a channel for one kind of message until the scope closes; then outstanding confirms are waited for, within the
 * close timeout.
 *
 * Fails `ChannelError`: `Refused` when the window is out of range, or the credentials name no user where messages are to carry
 * it; `NoFreeChannels` when the connection has no channel left.
 *
 * @example
 * ```ts
 * import { Message, Publisher } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * class Order extends Schema.Class<Order>("Order")({ id: Schema.String }) {}
 *
 * const program = Effect.gen(function*() {
 *   const orders = yield* Publisher.make({ exchange: "orders", content: Message.json(Order), messageId: (order) => order.id })
 *   yield* orders.publish(new Order({ id: "1" }), { routingKey: "eu" })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, R = never, G extends Guarantee = "confirmed">(
  options: Options<A, R, G>
): Effect.Effect<Publisher<A, G>, CallError, Connection | Scope.Scope | R> =>
  Effect.gen(function*() {
    const guarantee: Guarantee = options.guarantee ?? "confirmed"
    const window = options.window ?? 1000
    if (!Number.isInteger(window) || window < 1 || window > 1_000_000) {
      return yield* refused("channel.open", `window ${window} is not a whole number from 1 to 1000000`)
    }
    const clock = yield* Effect.clock
    const { core: connection } = yield* Connection
    if (options.userId === true && connection.user === undefined) {
      return yield* refused("basic.publish", "userId needs credentials that name a user")
    }
    const context = yield* Effect.context<R>()
    const core = yield* openChannel({
      mode: guarantee === "at-most-once" ? "plain" : "confirm",
      prefetch: 0,
      window: guarantee === "at-most-once" ? undefined : window,
      atEnd: guarantee === "at-least-once" ? "resend" : "fail"
    })
    const bare = toMessage(options, () => clock.unsafeCurrentTimeMillis(), () => connection.user)
    const encode: ToMessage<A, never> = (value, given) => {
      const encoding = bare(value, given)
      return immediate(encoding) ?? Effect.provide(encoding, context)
    }
    const { exchange, retry, spans } = options
    const settings = { exchange, retry, spans }
    const publisher = guarantee === "at-most-once"
      ? atMostOnce(core, encode, settings)
      : confirmed(core, guarantee, encode, settings)
    // The guarantee is either of the options' own type, or left out, and then G is its default.
    return publisher as Publisher<A, Guarantee> as Publisher<A, G>
  })
