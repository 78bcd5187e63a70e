/**
 * A queue as a plain thing to put values into and get them out of, after kombu's SimpleQueue and SimpleBuffer: the queue, an
 * exchange of the same name and the binding are declared here, also again when they are gone. It opens a channel of its own
 * on the `Connection` from the context.
 *
 * Putting fails with `ConfirmError` and `ContentError`, getting with `CallError`, `ConsumerCancelled` and `ContentError`,
 * from a buffer with `ConsumerOverflow` besides. An empty queue is `OperationTimeout`, or none.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { CallError, ConfirmError, ConsumerCancelled, ConsumerOverflow, ContentError } from "../AmqpError.ts"
import { OperationTimeout } from "../AmqpError.ts"
import { whole } from "../internal/whole.ts"
import type { DurationText } from "../Reconnect.ts"
import type { ExchangeDeclareOptions, QueueDeclareOptions } from "./Channel.ts"
import type { Connection } from "./Connection.ts"
import type { Received } from "./Consumer.ts"
import type { FieldTable } from "./FieldTable.ts"
import type { ChannelCore } from "./internal/channel.ts"
import { confirm } from "./internal/channelModes.ts"
import { immediate, typeOf } from "./internal/content.ts"
import type { DeliveryRecord } from "./internal/delivery.ts"
import { openChannel } from "./internal/openChannel.ts"
import type { Ground, Hold, Source } from "./internal/simpleQueue.ts"
import { Feed, onDemand, onGround } from "./internal/simpleQueue.ts"
import type { Content, PublishProperties } from "./Message.ts"
import * as Message from "./Message.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/SimpleQueue")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category models
 */
export interface PutOptions {
  /** Default: the queue's own. */
  readonly routingKey?: string | undefined
  readonly headers?: FieldTable | undefined
  /** Laid over those of the queue, one by one. */
  readonly properties?: Omit<PublishProperties, "headers"> | undefined
}

/**
 * What getting can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type GetError = CallError | ConsumerCancelled | ContentError

/**
 * A queue of values. `E`: what getting from it can fail with besides (`ConsumerOverflow` of a buffer).
 *
 * @since 0.1.0
 * @category models
 */
export interface SimpleQueue<A, E = never> {
  readonly [TypeId]: TypeId
  /** The queue's name. */
  readonly queue: string
  /**
   * Ends when the broker has the value; fails `PublishReturned` when it reached no queue, because its routing key is
   * another's or the binding is gone.
   */
  readonly put: (value: A, options?: PutOptions) => Effect.Effect<void, ConfirmError | ContentError>
  /**
   * The next value, with its delivery, which is to be settled unless the queue does so itself (`noAck`). Waits for one: for
   * ever, or until `timeout`, and then fails `OperationTimeout`. Neither the loss of a socket nor a healed fault of the
   * channel ends the wait.
   *
   * Nothing is taken out of the queue before it is asked for. A content that cannot be decoded is rejected (dead-lettered,
   * where the queue says so) and fails this one `get` with `ContentError`. Interrupted, or out of time, it gives back what it
   * has taken.
   */
  readonly get: (options?: {
    readonly timeout?: DurationText | undefined
  }) => Effect.Effect<Received<A>, GetError | E>
  /** The next value, if there is one. */
  readonly getNoWait: Effect.Effect<Option.Option<Received<A>>, GetError | E>
  /** How many values are there to get. */
  readonly size: Effect.Effect<number, CallError>
  /** Drops all of them, and says how many they were. */
  readonly clear: Effect.Effect<number, CallError>
  /** Closes the channel: what was taken and not settled goes back. The scope does so otherwise. */
  readonly close: Effect.Effect<void>
}

/**
 * A queue that is bound otherwise than by its own name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Definition {
  readonly queue: string
  /** Default: "", the default exchange, where nothing needs to be declared or bound. */
  readonly exchange?: string | undefined
  /** Default: the queue's name. */
  readonly routingKey?: string | undefined
}

type Declared<T, Given extends string> = Omit<T, "passive" | "noWait" | Given>

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<A, R = never> {
  /** Default: JSON of any shape. */
  readonly content?: Content<A, R> | undefined
  /** How the queue is declared. Default: durable. */
  readonly queue?: Declared<QueueDeclareOptions, "queue"> | undefined
  /** How the exchange is declared. Default: durable, direct. */
  readonly exchange?: Declared<ExchangeDeclareOptions, "exchange"> | undefined
  /** Whether a value is settled by being got. Default: false, the caller settles it. */
  readonly noAck?: boolean | undefined
  /** Of every message. Default: `persistent`, and the codec's `contentType`. */
  readonly properties?: PublishProperties | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface BufferOptions<A, R = never> {
  /** Default: JSON of any shape. */
  readonly content?: Content<A, R> | undefined
  /**
   * Whether queue and buffer belong to this connection alone; without it, two processes can share them. Default: true.
   */
  readonly exclusive?: boolean | undefined
  readonly queue?: Declared<QueueDeclareOptions, "queue" | "durable" | "autoDelete" | "exclusive"> | undefined
  readonly exchange?: Declared<ExchangeDeclareOptions, "exchange" | "durable" | "autoDelete"> | undefined
  /** Of every message. Default: the codec's `contentType`; not persistent. */
  readonly properties?: PublishProperties | undefined
}

// --- What both are made of ---

type Open = Effect.Effect<ChannelCore, CallError, Connection | Scope.Scope>

const open: Open = openChannel({ mode: "confirm", prefetch: 1, window: 1000, atEnd: "fail" })

const anyJson: Content<unknown> = Message.json(Schema.Unknown)

const codecOf = <A, R>(options: { readonly content?: Content<A, R> | undefined }): Content<A, R> =>
  // Where it is left out, `A` is its default, which is unknown.
  options.content ?? anyJson as Content<A, R>

interface Parts<A, E> {
  readonly ground: Ground
  readonly source: Source<E>
  readonly definition: Definition
  readonly content: Content<A>
  readonly properties: PublishProperties
  readonly noAck: boolean
}

const queueOf = <A, E>({ content, definition, ground, noAck, properties, source }: Parts<A, E>): SimpleQueue<A, E> => {
  const { core, queue, there } = ground
  const channel = confirm(core)
  const { exchange, routingKey = definition.queue } = definition
  const defaults: PublishProperties = { ...typeOf(content), ...properties }

  /** Hands a delivery over as a value; gives it back where nobody takes it. */
  const got = <E1>(
    taking: (hold: Hold) => Effect.Effect<Option.Option<DeliveryRecord>, E1>
  ): Effect.Effect<Option.Option<Received<A>>, E1 | ContentError> =>
    Effect.suspend(() => {
      let held: DeliveryRecord | undefined
      const settle = (settlement: "ack" | "reject") =>
        Effect.suspend(() => {
          const delivery = held
          held = undefined
          if (delivery === undefined || delivery.noAck) return Effect.void
          return settlement === "ack" ? delivery.ack : delivery.reject()
        })
      return taking((delivery) => {
        held = delivery
      }).pipe(
        Effect.flatMap(Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (delivery) =>
            Effect.matchEffect(content.decode(delivery), {
              onSuccess: (value) => Effect.as(noAck ? settle("ack") : Effect.void, Option.some({ value, delivery })),
              onFailure: (error) => Effect.zipRight(settle("reject"), Effect.fail(error))
            })
        })),
        Effect.onError(() =>
          Effect.sync(() => {
            if (held !== undefined) source.putBack(held)
          })
        )
      )
    })

  const within = (timeout: DurationText | undefined) => (hold: Hold) => {
    const next = Effect.asSome(source.next(hold))
    if (timeout === undefined) return next
    const limit = Duration.decode(timeout)
    const onTimeout = () => new OperationTimeout({ operation: "SimpleQueue.get", limit })
    return Effect.timeoutFail(next, { duration: limit, onTimeout })
  }

  return {
    [TypeId]: TypeId,
    queue,
    put: (value, options) =>
      Effect.flatMap(content.encode(value), (content) =>
        there(channel.publish({
          exchange,
          routingKey: options?.routingKey ?? routingKey,
          mandatory: true,
          content,
          properties: {
            ...defaults,
            ...options?.properties,
            ...(options?.headers === undefined ? {} : { headers: options.headers })
          }
        }))),
    get: (options) =>
      Effect.flatMap(
        Effect.suspend(() => got(within(options?.timeout))),
        // `next` never comes back with nothing.
        Option.match({ onNone: () => Effect.dieMessage("no delivery"), onSome: Effect.succeed })
      ),
    getNoWait: got((hold) => source.now(hold)),
    size: Effect.map(
      there(channel.queueDeclare({ queue, passive: true })),
      (seen) => seen.messageCount + source.held()
    ),
    clear: Effect.map(there(channel.queuePurge(queue)), (count) => {
      const held = source.held()
      source.drop()
      return count + held
    }),
    close: core.close
  }
}

/** The codec with what it needs, read once. */
const provided = <A, R>(content: Content<A, R>): Effect.Effect<Content<A>, never, R> =>
  Effect.map(Effect.context<R>(), (context): Content<A> => ({
    ...typeOf(content),
    encode: (value) => {
      const encoding = content.encode(value)
      return immediate(encoding) ?? Effect.provide(encoding, context)
    },
    decode: (delivery) => {
      const decoding = content.decode(delivery)
      return immediate(decoding) ?? Effect.provide(decoding, context)
    }
  }))

/**
 * Opens a queue until the scope closes. Given a name, it declares a durable queue, a durable direct exchange of that name,
 * and the binding between them; given a definition, it uses that one's exchange and routing key.
 *
 * Fails `ChannelError` `PreconditionFailed` when queue or exchange are there already and declared otherwise.
 *
 * @example
 * ```ts
 * import { Message, SimpleQueue } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const jobs = yield* SimpleQueue.make("jobs", { content: Message.text })
 *   yield* jobs.put("sweep")
 *   const { delivery, value } = yield* jobs.get({ timeout: "5 seconds" })
 *   yield* Effect.log(value)
 *   yield* delivery.ack
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A = unknown, R = never>(
  target: string | Definition,
  options: Options<A, R> = {}
): Effect.Effect<SimpleQueue<A>, CallError, Connection | Scope.Scope | R> =>
  whole(Effect.gen(function*() {
    const definition = typeof target === "string" ? { queue: target, exchange: target } : target
    const noAck = options.noAck === true
    const content = yield* provided(codecOf(options))
    const ground = onGround(yield* open, definition, options)
    yield* ground.there(Effect.void)
    const properties = { persistent: true, ...options.properties }
    return queueOf({ ground, source: onDemand(ground), definition, content, properties, noAck })
  }))

/**
 * Opens a buffer until the scope closes: a queue whose values are not kept on disk, need no settling and go with the
 * connection. Queue and exchange are transient and auto-delete. After the loss of a socket it is declared again, empty.
 *
 * From the first `get` on, values are sent here as they come. When 16 MiB of them wait and reading may not pause, what
 * follows is lost, and the `get` after those fails `ConsumerOverflow`. When the broker ends the consumer, all that wait
 * fail `ConsumerCancelled`, or the one after what is held where none does. The next begins anew.
 *
 * RabbitMQ 4.3 refuses transient queues that are not exclusive (541).
 *
 * @since 0.1.0
 * @category constructors
 */
export const buffer = <A = unknown, R = never>(
  name: string,
  options: BufferOptions<A, R> = {}
): Effect.Effect<SimpleQueue<A, ConsumerOverflow>, CallError, Connection | Scope.Scope | R> =>
  whole(Effect.gen(function*() {
    const definition = { queue: name, exchange: name }
    const content = yield* provided(codecOf(options))
    const scope = yield* Effect.scope
    const ground = onGround(yield* open, definition, {
      queue: { ...options.queue, durable: false, autoDelete: true, exclusive: options.exclusive !== false },
      exchange: { ...options.exchange, durable: false, autoDelete: true }
    })
    yield* ground.there(Effect.void)
    const source = new Feed(ground, scope)
    return queueOf({ ground, source, definition, content, properties: options.properties ?? {}, noAck: true })
  }))
