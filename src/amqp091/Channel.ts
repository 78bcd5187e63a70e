/**
 * Channels: where topology is declared, messages are published, consumed and settled. A channel's mode is in its type:
 * `Channel` publishes without confirms, `ConfirmChannel` waits for the broker's. Both outlive their connection's sockets
 * and the broker's closing of them.
 *
 * Calls fail with `CallError`, confirmed publishes with `ConfirmError`, consuming with `ConsumerCancelled` and
 * `ConsumerOverflow` besides.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { CallError, ConfirmError, ConsumerCancelled, ConsumerOverflow } from "../AmqpError.ts"
import type { ChannelError, PublishManyError } from "../AmqpError.ts"
import { Connection } from "./Connection.ts"
import type { FieldTable } from "./FieldTable.ts"
import type { ChannelCore } from "./internal/channel.ts"
import { confirm, plain, tx } from "./internal/channelModes.ts"
import type { ChannelSettings } from "./internal/channelSettings.ts"
import { refused } from "./internal/consuming.ts"
import { openChannel } from "./internal/openChannel.ts"
import { findExchange, findQueue, isNotFound } from "./internal/openOn.ts"
import type { PublishingOptions } from "./internal/publishing.ts"
import type {
  DeclaredQueue,
  ExchangeBindOptions,
  ExchangeDeclareOptions,
  NoWait,
  QueueBindOptions,
  QueueDeclareOptions,
  QueueRef
} from "./internal/topologyOptions.ts"
import type { Delivery, Message } from "./Message.ts"
import type { BasicProperties } from "./Properties.ts"

export type {
  DeclaredQueue,
  ExchangeBindOptions,
  ExchangeDeclareOptions,
  NoWait,
  QueueBindOptions,
  QueueDeclareOptions,
  QueueRef
} from "./internal/topologyOptions.ts"

/**
 * What becomes of a consumer that the broker ends, because its queue was deleted or its node went, or that it does not
 * take back on a new socket, because the queue is gone (404).
 *
 * "fail": its stream fails with `ConsumerCancelled` or `ChannelError`. "end": its stream ends well. "reconsume": it is asked
 * for again, under its old tag, as often and as long as `Reconnect.exponential` says: for ever. A Schedule says so itself;
 * it sees the cancel first and then why each attempt failed, the last of which the stream fails with when it ends. Only a
 * queue that is missing is waited for: another refusal fails the stream at once.
 *
 * @since 0.1.0
 * @category models
 */
export type CancelPolicy = "fail" | "end" | "reconsume" | Schedule.Schedule<unknown, CallError | ConsumerCancelled>

/**
 * @since 0.1.0
 * @category models
 */
export interface ConsumeOptions {
  readonly queue: string | QueueRef
  /** Unacknowledged deliveries the broker may have outstanding; 0 is no limit. Default: the channel's prefetch. */
  readonly prefetch?: number | undefined
  /**
   * The most deliveries handed to the stream at once: with 1, `Stream.take(n)` takes n and the rest goes back, at the price
   * of some microseconds a delivery. Default: as many as have arrived.
   */
  readonly batch?: number | undefined
  /** Deliveries count as settled when sent: one is lost when the connection goes with it. Default: false. */
  readonly noAck?: boolean | undefined
  /** RabbitMQ ignores it. Default: false. */
  readonly noLocal?: boolean | undefined
  /** The only consumer of the queue, or none (403). Default: false. */
  readonly exclusive?: boolean | undefined
  /**
   * Asks for no answer: deliveries are awaited at once. A refusal closes the channel, which fails what else is in flight
   * there; then it fails the stream, as it would with an answer. Default: false.
   */
  readonly noWait?: boolean | undefined
  /** Default: made here, unique on the connection. */
  readonly consumerTag?: string | undefined
  /** When its reader has taken what had arrived by then. Default: "fail". */
  readonly onCancel?: CancelPolicy | undefined
  /** `Arguments.consumer` makes them. */
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface GetResult {
  readonly delivery: Delivery
  /** Messages still ready in the queue. */
  readonly messageCount: number
}

/**
 * A message that reached no queue, as the broker gave it back (basic.return).
 *
 * @since 0.1.0
 * @category models
 */
export interface Returned {
  /** 312: no route. */
  readonly code: number
  readonly text: string
  readonly exchange: string
  readonly routingKey: string
  readonly properties: BasicProperties
  readonly content: Uint8Array
}

/**
 * What every channel can do, whatever its mode.
 *
 * When the broker closes the channel over a call, that call fails with `ChannelError`, and what else was in flight on the
 * channel with a fault that carries it; then the channel opens again with the same settings and consumers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChannelBase {
  /**
   * queue.declare (0-9-1 §1.7.2.1). What is declared and bound comes back on a new socket, as the connection's `recovery`
   * says. 404: passive and missing; 405: exclusive to another connection; 406: declared otherwise.
   */
  readonly queueDeclare: (options?: QueueDeclareOptions) => Effect.Effect<DeclaredQueue, CallError>
  /** queue.bind. Binding twice is once. 404: no such queue or exchange. */
  readonly queueBind: (options: QueueBindOptions) => Effect.Effect<void, CallError>
  /** queue.unbind. A binding that is not there is not missed. */
  readonly queueUnbind: (options: Omit<QueueBindOptions, "noWait">) => Effect.Effect<void, CallError>
  /** queue.purge: how many ready messages were dropped. */
  readonly queuePurge: (queue: string | QueueRef, options?: NoWait) => Effect.Effect<number, CallError>
  /** queue.delete: how many messages went with it. 406: in use or not empty, when asked to mind. */
  readonly queueDelete: (options: {
    readonly queue: string | QueueRef
    readonly ifUnused?: boolean | undefined
    readonly ifEmpty?: boolean | undefined
    readonly noWait?: boolean | undefined
  }) => Effect.Effect<number, CallError>
  /** exchange.declare. 403: a reserved name; 406: declared otherwise. */
  readonly exchangeDeclare: (options: ExchangeDeclareOptions) => Effect.Effect<void, CallError>
  /** exchange.delete. 406: in use, when asked to mind. */
  readonly exchangeDelete: (options: {
    readonly exchange: string
    readonly ifUnused?: boolean | undefined
    readonly noWait?: boolean | undefined
  }) => Effect.Effect<void, CallError>
  /** exchange.bind: messages of `source` go to `destination` too (RabbitMQ). */
  readonly exchangeBind: (options: ExchangeBindOptions) => Effect.Effect<void, CallError>
  /** exchange.unbind (RabbitMQ). */
  readonly exchangeUnbind: (options: ExchangeBindOptions) => Effect.Effect<void, CallError>
  /**
   * The prefetch of consumers opened from now on, 0 to 65535; 0 is no limit. `global`: a bound on all consumers of the
   * channel together instead, from now on (RabbitMQ before 4.3, not for quorum queues).
   */
  readonly qos: (options: {
    readonly prefetch: number
    readonly global?: boolean | undefined
  }) => Effect.Effect<void, CallError>
  /**
   * channel.flow with `active` true, which changes nothing. RabbitMQ closes the connection over false (540): that is
   * refused here. The broker's own channel.flow is answered, and stops publishes while it lasts.
   */
  readonly flow: (active: boolean) => Effect.Effect<void, CallError>
  /** The channel number on the present socket; 0 while there is none. */
  readonly number: Effect.Effect<number>
  /** Mandatory messages that came back and belong to no confirmed publish; of those not yet read the last 64 are kept. */
  readonly returned: Stream.Stream<Returned>
  /**
   * Deliveries of a queue. Opens a consumer when run, and cancels it when the stream ends; what was not taken by then goes
   * back to the queue. Neither the loss of a socket nor a healed fault of the channel ends it.
   *
   * When the stream fails or is interrupted, everything it was given and did not settle goes back too. When it ends well
   * (`Stream.take`), what it was given stays its taker's to settle: deliveries are handed over a batch at a time, and the
   * rest of the last batch, which `take` drops, is unsettled until the channel closes, unless `batch` is 1.
   *
   * `Stream.runForEachChunk` and `mapChunksEffect` are the fast ways to take deliveries.
   */
  readonly consume: (
    options: ConsumeOptions
  ) => Stream.Stream<Delivery, CallError | ConsumerCancelled | ConsumerOverflow>
  /** basic.get: one message, or none. */
  readonly get: (options: {
    readonly queue: string | QueueRef
    readonly noAck?: boolean | undefined
  }) => Effect.Effect<Option.Option<GetResult>, CallError>
  /**
   * Acknowledges many deliveries of this channel in few frames; those of another one are warned of as stale. Without
   * deliveries: everything that was delivered on this channel and is not settled.
   */
  readonly ackAll: (deliveries?: Iterable<Delivery>) => Effect.Effect<void>
  /** Gives many deliveries back, as `ackAll` acknowledges them. `requeue` false drops or dead-letters them. Default: true. */
  readonly nackAll: (
    deliveries?: Iterable<Delivery>,
    options?: { readonly requeue?: boolean | undefined }
  ) => Effect.Effect<void>
  /**
   * basic.recover: everything that was delivered on this channel and is not settled goes back to its queue, also what is
   * being worked on; settling it afterwards is stale.
   */
  readonly recover: Effect.Effect<void, CallError>
}

/**
 * A channel without confirms.
 *
 * @since 0.1.0
 * @category models
 */
export interface Channel extends ChannelBase {
  readonly mode: "plain"
  /**
   * Ends when the frames are in the output buffer. Whether the broker takes the message, nobody says: a missing exchange
   * closes the channel, which is logged as a warning, and the channel opens again.
   */
  readonly publish: (message: Message) => Effect.Effect<void, CallError>
  /** The same for many, in order. */
  readonly publishAll: (messages: Iterable<Message>) => Effect.Effect<void, CallError>
}

/**
 * A channel on which the broker confirms what it is given (confirm.select).
 *
 * @since 0.1.0
 * @category models
 */
export interface ConfirmChannel extends ChannelBase {
  readonly mode: "confirm"
  /**
   * Waits for the broker's confirm. Fails `PublishNacked`, `PublishReturned` (mandatory, and routed nowhere),
   * `OutcomeUnknown`, or as any call does. Interrupted before its bytes are written, it is not sent; after that only the
   * interest in the outcome goes.
   */
  readonly publish: (message: Message) => Effect.Effect<void, ConfirmError>
  /** Publishes many, as many in flight as the window allows, and waits for all their confirms. */
  readonly publishAll: (messages: Iterable<Message>) => Effect.Effect<void, PublishManyError>
  /** Ends when the message has its place in the window; `drain` reports how it went. */
  readonly offer: (message: Message) => Effect.Effect<void, CallError>
  /**
   * Waits until every publish is answered for. Fails with what became of messages offered since the last drain; their
   * indexes count from 0 in the order of the offers. The first 10,000 are kept, further ones counted (`omitted`).
   */
  readonly drain: Effect.Effect<void, PublishManyError>
  /** Publishes that the broker has not answered for. */
  readonly unconfirmed: Effect.Effect<number>
}

/**
 * What belongs to a transaction besides the settlements made while it runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transaction {
  /** Ends when the frames are in the output buffer; the broker routes the message when the transaction commits. */
  readonly publish: (message: Message) => Effect.Effect<void, CallError>
  /** The same for many, in order. */
  readonly publishAll: (messages: Iterable<Message>) => Effect.Effect<void, CallError>
}

/**
 * A channel whose publishes and settlements are grouped in transactions (tx.select). A settlement made outside of one takes
 * effect with the next commit, or is undone by the next rollback; what was undone can be settled again.
 *
 * @since 0.1.0
 * @category models
 */
export interface TxChannel extends ChannelBase {
  readonly mode: "tx"
  /**
   * Runs a transaction: committed when `use` succeeds, rolled back when it fails or is interrupted. One at a time on a
   * channel: others wait. RabbitMQ commits atomically for a single queue only.
   *
   * When a socket or the channel goes meanwhile, nothing of it was committed, and it fails with what happened; when that
   * comes while the commit is awaited (`ConnectionLost`, `OperationTimeout`), whether it was is not known.
   */
  readonly transaction: <A, E, R>(
    use: (transaction: Transaction) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CallError, R>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const Channel: Context.Tag<Channel, Channel> = Context.GenericTag("effect-amqp/amqp091/Channel")

/**
 * @since 0.1.0
 * @category tags
 */
export const ConfirmChannel: Context.Tag<ConfirmChannel, ConfirmChannel> = Context.GenericTag(
  "effect-amqp/amqp091/ConfirmChannel"
)

/**
 * @since 0.1.0
 * @category tags
 */
export const TxChannel: Context.Tag<TxChannel, TxChannel> = Context.GenericTag("effect-amqp/amqp091/TxChannel")

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The channel number it must have, from 1. Default: the lowest that is free. */
  readonly number?: number | undefined
  /** Unacknowledged deliveries for each consumer; 0 is no limit. Default: 100. */
  readonly prefetch?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ConfirmOptions extends Options {
  /** The most unconfirmed publishes; further ones wait. Default: 1000. */
  readonly window?: number | undefined
  /**
   * What becomes of unconfirmed publishes when a socket or the channel goes. "confirmed": they fail `OutcomeUnknown`.
   * "at-least-once": they are sent again, in order, which may duplicate them. Default: "confirmed".
   *
   * At least once, the channel besides gets over a broker that would refuse it for as long as it is open (RabbitMQ, where its
   * first publish to a quorum queue found no leader): when a publish is refused, and none to the same exchange and routing
   * key taken within 100 ms, it is opened anew, as after a loss; refused again, after 200 ms, and so on up to 10 seconds.
   * Each refusal fails its publish with `PublishNacked` all the same. A channel that takes and refuses in turn is left as
   * it is, and so is one with consumers, unsettled deliveries or calls under way.
   */
  readonly guarantee?: "confirmed" | "at-least-once" | undefined
  /**
   * Asks for no answer to confirm.select: each opening of the channel takes one round trip less. A broker without confirms is
   * refused locally either way. Default: false.
   */
  readonly noWait?: boolean | undefined
}

const checked = (name: string, value: number, least: number, most: number): Effect.Effect<number, ChannelError> =>
  Number.isInteger(value) && value >= least && value <= most
    ? Effect.succeed(value)
    : Effect.fail(refused("channel.open", `${name} ${value} is not a whole number from ${least} to ${most}`))

const open = (
  mode: ChannelSettings["mode"],
  options: Options | undefined,
  settings: PublishingOptions & Pick<ChannelSettings, "noWait">
): Effect.Effect<ChannelCore, CallError, Connection | Scope.Scope> =>
  Effect.gen(function*() {
    const prefetch = yield* checked("prefetch", options?.prefetch ?? 100, 0, 0xffff)
    const number = options?.number === undefined ? undefined : yield* checked("number", options.number, 1, 0xffff)
    return yield* openChannel({ mode, prefetch, number, ...settings })
  })

/**
 * Opens a channel until the scope closes; then it says goodbye on the wire, within the close timeout.
 *
 * Fails `ChannelError` `NoFreeChannels` when the connection has no number left, or not the wanted one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<Channel, CallError, Connection | Scope.Scope> =>
  Effect.map(open("plain", options, { window: undefined, atEnd: "fail" }), plain)

/**
 * Opens a channel on which the broker confirms publishes. Its scope's end waits for outstanding confirms, within the
 * close timeout.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeConfirm = (
  options?: ConfirmOptions
): Effect.Effect<ConfirmChannel, CallError, Connection | Scope.Scope> =>
  checked("window", options?.window ?? 1000, 1, 1_000_000).pipe(
    Effect.flatMap((window) =>
      open("confirm", options, {
        window,
        atEnd: options?.guarantee === "at-least-once" ? "resend" : "fail",
        noWait: options?.noWait
      })
    ),
    Effect.map(confirm)
  )

/**
 * Opens a channel for transactions.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeTx = (options?: Options): Effect.Effect<TxChannel, CallError, Connection | Scope.Scope> =>
  Effect.zipWith(
    open("tx", options, { window: undefined, atEnd: "drop" }),
    Effect.makeSemaphore(1),
    tx
  )

/**
 * The connection's own channel, for what is done once and needs no channel of its own: declaring, binding, purging, a get. It
 * is opened when it is first asked for, is the same for everybody from then on, and ends with the connection, not with a
 * scope. Its calls go one at a time, and what the broker closes it over fails what else is in flight on it: consumers and
 * publishers are better off with one of their own, and questions with `queueExists` and `exchangeExists`.
 *
 * Fails `ChannelError` `NoFreeChannels` when the connection has no number left; asked for again, it is tried again.
 *
 * @example
 * import { Channel } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const declared = Effect.flatMap(Channel.shared, (channel) => channel.queueDeclare({ queue: "orders" }))
 *
 * @since 0.1.0
 * @category constructors
 */
export const shared: Effect.Effect<Channel, CallError, Connection> = Effect.flatMap(
  Connection,
  ({ core }) => Effect.map(core.shared, plain)
)

/**
 * The queue as the broker has it, or none. Asked on a channel of its own: no other one is closed over the answer.
 *
 * Fails `ChannelError` `ResourceLocked` where the queue is another connection's own, `AccessRefused` where it may not be
 * looked at.
 *
 * @since 0.1.0
 * @category combinators
 */
export const queueExists = (queue: string): Effect.Effect<Option.Option<DeclaredQueue>, CallError, Connection> =>
  Effect.flatMap(Connection, ({ core }) =>
    findQueue(core, queue).pipe(
      Effect.map(({ consumerCount, messageCount, queue }) => Option.some({ queue, messageCount, consumerCount })),
      Effect.catchAll((error) => isNotFound(error) ? Effect.succeedNone : Effect.fail(error))
    ))

/**
 * Whether there is such an exchange; asked like `queueExists`. The default exchange, "", is always there.
 *
 * @since 0.1.0
 * @category combinators
 */
export const exchangeExists = (exchange: string): Effect.Effect<boolean, CallError, Connection> =>
  Effect.flatMap(Connection, ({ core }) =>
    exchange === "" ? Effect.succeed(true) : findExchange(core, exchange).pipe(
      Effect.as(true),
      Effect.catchAll((error) => isNotFound(error) ? Effect.succeed(false) : Effect.fail(error))
    ))

/**
 * A channel as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Channel, CallError, Connection> =>
  Layer.scoped(Channel, make(options))

/**
 * A confirm channel as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfirm = (options?: ConfirmOptions): Layer.Layer<ConfirmChannel, CallError, Connection> =>
  Layer.scoped(ConfirmChannel, makeConfirm(options))

/**
 * A channel for transactions as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTx = (options?: Options): Layer.Layer<TxChannel, CallError, Connection> =>
  Layer.scoped(TxChannel, makeTx(options))
