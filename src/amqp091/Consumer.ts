/**
 * Consumers of typed values: a handler for each message of a queue (`run`, `runNoAck`), or a stream of them (`stream`). Each
 * opens a channel of its own on the `Connection` from the context; topology is declared elsewhere.
 *
 * They fail with `CallError` and `ConsumerCancelled`, those that need not acknowledge with `ConsumerOverflow` besides. A
 * content that cannot be decoded is no fault of the consumer: it is rejected (dead-lettered, where the queue says so),
 * logged as a warning, and counted in `Metrics.undecodable`.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallError, ConsumerCancelled, ConsumerOverflow } from "../AmqpError.ts"
import { bounded } from "../internal/bounded.ts"
import type { DurationText } from "../Reconnect.ts"
import type { CancelPolicy, ConsumeOptions, QueueRef } from "./Channel.ts"
import * as Channel from "./Channel.ts"
import type { Connection } from "./Connection.ts"
import type { FieldTable } from "./FieldTable.ts"
import { Backlog } from "./internal/consumer.ts"
import type { Policy, SettleOrder } from "./internal/consumerWorkers.ts"
import {
  annotate,
  atOnce,
  failed,
  inOrder,
  lost,
  never,
  requeueOnce,
  undecodable,
  Waiting,
  worker
} from "./internal/consumerWorkers.ts"
import { consuming, refused } from "./internal/consuming.ts"
import { immediate } from "./internal/content.ts"
import { queueName } from "./internal/declarations.ts"
import { openChannel } from "./internal/openChannel.ts"
import { processing } from "./internal/tracing.ts"
import type { Content, Delivery } from "./Message.ts"

/**
 * What becomes of a delivery: it is done, goes back to its queue, or is dropped (dead-lettered, where the queue says so).
 *
 * @since 0.1.0
 * @category models
 */
export type Settlement = "ack" | "requeue" | "reject"

/**
 * What becomes of a delivery whose handler failed, died, or interrupted itself.
 *
 * "requeue": it goes back, each time, as fast as it fails. "requeue-once": it goes back when this was the first delivery,
 * else it is rejected. "reject": it is rejected. These three log the cause as a warning. A function decides from the
 * cause; when it dies itself, "requeue-once" holds.
 *
 * @since 0.1.0
 * @category models
 */
export type OnFailure<E, R = never> =
  | "requeue"
  | "requeue-once"
  | "reject"
  | ((cause: Cause.Cause<E>, delivery: Delivery) => Effect.Effect<Settlement, never, R>)

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueOptions<A, R = never> {
  readonly queue: string | QueueRef
  /** `Message.json(schema)`, `Message.text`, `Message.bytes`, or one of one's own. */
  readonly content: Content<A, R>
  /** Unacknowledged deliveries the broker may have outstanding, 0 to 65535; 0 is no limit. Default: 100. */
  readonly prefetch?: number | undefined
  /** Default: made here, unique on the connection. */
  readonly consumerTag?: string | undefined
  /** The only consumer of the queue, or none (403). Default: false. */
  readonly exclusive?: boolean | undefined
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface HandlerOptions<A, R = never> extends QueueOptions<A, R> {
  /** Handlers that run at a time. With a smaller prefetch, that many do: a warning says so. Default: 1. */
  readonly concurrency?: number | undefined
  /** What becomes of the consumer when the broker ends it. Default: "fail". */
  readonly onCancel?: Exclude<CancelPolicy, "end"> | undefined
  /** How long running handlers may go on when the consumer ends; then they are interrupted. Default: 30 seconds. */
  readonly drainTimeout?: DurationText | undefined
  /**
   * Whether each message is handled in a span ("process", and the queue), which continues the trace of the message's
   * header `traceparent`, or begins one. It costs some 20 microseconds a message. Default: false.
   */
  readonly spans?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface RunOptions<A, R = never, E = never, R2 = never> extends HandlerOptions<A, R> {
  /**
   * Whether deliveries are settled in their order although handlers run concurrently: one that is done waits for those
   * delivered before it, and what comes again after a loss of the connection is everything from some point on. Handlers
   * are called in order anyway, and with a concurrency of 1 they end in order too. Default: false.
   */
  readonly ordered?: boolean | undefined
  /** Default: "requeue-once". */
  readonly onFailure?: OnFailure<E, R2> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface RunNoAckOptions<A, R = never, E = never, R2 = never> extends Omit<HandlerOptions<A, R>, "prefetch"> {
  /** Told of a handler that failed, died, or interrupted itself; its message is gone. Default: a warning in the log. */
  readonly onFailure?: ((cause: Cause.Cause<E>, delivery: Delivery) => Effect.Effect<unknown, never, R2>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StreamOptions<A, R = never> extends QueueOptions<A, R> {
  /** Deliveries count as settled when sent: one is lost when the connection goes with it. Default: false. */
  readonly noAck?: boolean | undefined
  /** What becomes of the consumer when the broker ends it. Default: "fail". */
  readonly onCancel?: CancelPolicy | undefined
}

/**
 * A delivery, and what its content holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Received<A> {
  readonly value: A
  readonly delivery: Delivery
}

const consumeOptions = <A, R>(options: QueueOptions<A, R>): ConsumeOptions => ({
  queue: options.queue,
  consumerTag: options.consumerTag,
  exclusive: options.exclusive,
  arguments: options.arguments
})

const policyOf = <E, R>(onFailure: OnFailure<E, R>): Policy<E, R> => {
  if (typeof onFailure === "function") return onFailure
  return (cause, delivery) => {
    const settlement = onFailure === "requeue-once" ? requeueOnce(delivery) : onFailure
    return Effect.as(failed(cause, settlement), settlement)
  }
}

/**
 * Handles each message of a queue. When the handler succeeds its message is acknowledged; when it fails, `onFailure` says
 * what becomes of it. A handler may settle the delivery itself: then that stands.
 *
 * Never ends by itself: neither the loss of a socket, nor a healed fault of the channel, nor a failing handler ends it. A
 * handler that runs when the connection goes runs on; its message is delivered again, and its settlement is dropped with a
 * warning. What ends it is a fault for good (404 or 403 for the queue, a cancel by the broker where `onCancel` says so, the end of the connection)
 * or interruption. Then nothing new is started, the consumer is cancelled, running handlers may end within `drainTimeout`,
 * what nobody started on goes back to the queue, and the channel is closed.
 *
 * Handlers run one after another in `concurrency` long-lived fibers: a fiber that a handler forks outlives it unless it is
 * joined or scoped, and a FiberRef that it sets, rather than `locally`, stays set.
 *
 * The cause in `onFailure` has the handler's error type where the handler is declared apart or has typed parameters; an
 * inline one is known too late, and the cause is one of `unknown`.
 *
 * @example
 * ```ts
 * import { Consumer, Message } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * class Order extends Schema.Class<Order>("Order")({ id: Schema.String }) {}
 *
 * const consumer = Consumer.run(
 *   { queue: "orders", content: Message.json(Order), concurrency: 16, prefetch: 64, onFailure: "requeue-once" },
 *   (order) => Effect.log(`order ${order.id}`)
 * )
 * const ConsumerLive = Layer.scopedDiscard(Effect.forkScoped(consumer))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = <A, E, R, R1 = never, R2 = never>(
  options: RunOptions<A, R1, E, R2>,
  handler: (value: A, delivery: Delivery) => Effect.Effect<unknown, E, R>
): Effect.Effect<never, CallError | ConsumerCancelled, Connection | R | R1 | R2> =>
  Effect.suspend(() => {
    const { concurrency = 1, onFailure = "requeue-once", ordered = false } = options
    return Effect.catchTag(
      handle({
        options,
        prefetch: options.prefetch ?? 100,
        settling: ordered && concurrency > 1 ? inOrder() : atOnce,
        policy: policyOf(onFailure),
        handler
      }),
      // Its prefetch bounds it.
      "ConsumerOverflow",
      Effect.die
    )
  })

/**
 * Handles each message of a queue, which counts as settled when the broker has sent it: one that a handler fails on, or
 * that has come and not been handled when the connection goes, is lost. What `run` says holds but for that.
 *
 * Reading pauses while a mebibyte of messages waits for the handlers. Where it may not, because a call or a confirm is
 * awaited on the connection, and 16 MiB wait, it fails `ConsumerOverflow`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const runNoAck = <A, E, R, R1 = never, R2 = never>(
  options: RunNoAckOptions<A, R1, E, R2>,
  handler: (value: A, delivery: Delivery) => Effect.Effect<unknown, E, R>
): Effect.Effect<never, CallError | ConsumerCancelled | ConsumerOverflow, Connection | R | R1 | R2> =>
  Effect.suspend(() => {
    const { onFailure = lost } = options
    const policy: Policy<E, R2> = (cause, delivery) => Effect.as(onFailure(cause, delivery), "ack")
    return handle({ options, prefetch: 0, settling: never, policy, handler })
  })

interface Handling<A, E, R, R1, R2> {
  readonly options: HandlerOptions<A, R1>
  readonly prefetch: number
  readonly settling: SettleOrder
  readonly policy: Policy<E, R2>
  readonly handler: (value: A, delivery: Delivery) => Effect.Effect<unknown, E, R>
}

const handle = <A, E, R, R1, R2>(
  { handler, options, policy, prefetch, settling }: Handling<A, E, R, R1, R2>
): Effect.Effect<never, CallError | ConsumerCancelled | ConsumerOverflow, Connection | R | R1 | R2> =>
  Effect.contextWithEffect((outer: Context.Context<Connection | R | R1 | R2>) =>
    Effect.scoped(Effect.gen(function*() {
      const handle = options.spans === true ? processing(queueName(options.queue), handler) : handler
      const concurrency = options.concurrency ?? 1
      if (!Number.isInteger(concurrency) || concurrency < 1) {
        return yield* refused("basic.consume", `concurrency ${concurrency} is not a whole number from 1`)
      }
      const drainTimeout = Duration.decode(options.drainTimeout ?? "30 seconds")
      const channel = yield* openChannel({ mode: "plain", prefetch, window: undefined, atEnd: "fail" })
      if (prefetch > 0 && prefetch < concurrency) {
        yield* annotate(
          Effect.logWarning(`Only ${prefetch} of ${concurrency} handlers can run at a time: that is the prefetch`)
        )
      }

      const waiting = new Waiting(new Backlog(channel.onTaken), settling.started)
      const ended = yield* Deferred.make<never, CallError | ConsumerCancelled | ConsumerOverflow>()
      // Not children of this fiber, which it would take along when it is interrupted: that is the start of the drain.
      const scope = yield* Effect.scope
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const workers: Array<Fiber.Fiber<void>> = []
          for (let count = 0; count < concurrency; count++) {
            workers.push(
              yield* worker({ waiting, settling, content: options.content, handler: handle, policy }).pipe(
                // A handler that asks for a Scope means the caller's, not the one of this channel.
                Effect.provide(outer),
                Effect.onError((cause) => Deferred.failCause(ended, cause)),
                Effect.interruptible,
                Effect.forkIn(scope)
              )
            )
          }
          // Closed as a success: a consumer that ends with a failure gives back what handlers are at work on too.
          const consumption = yield* Scope.make()
          const consume = { ...consumeOptions(options), noAck: settling === never, onCancel: options.onCancel }
          const subscription = yield* consuming(channel, consume, waiting).pipe(
            Scope.extend(consumption),
            Effect.flatMap(Effect.forever),
            Effect.mapError((error) => Option.isOption(error) ? error : Option.some(error)),
            // A consumer whose policy is not "end" has a reason to end.
            Effect.catchAll(Option.match({ onNone: () => Effect.dieMessage("no reason"), onSome: Effect.fail })),
            Effect.onExit((exit) => Deferred.done(ended, exit)),
            Effect.interruptible,
            Effect.forkIn(scope)
          )
          const exit = yield* Effect.exit(restore(Deferred.await(ended)))
          waiting.stop()
          const drain = Effect.zipRight(bounded(drainTimeout)(Fiber.awaitAll(workers)), Fiber.interruptAll(workers))
          const cancel = Effect.zipRight(Fiber.interrupt(subscription), Scope.close(consumption, Exit.void))
          yield* Effect.all([cancel, drain], { concurrency: 2, discard: true })
          for (const delivery of waiting.unstarted()) channel.settling.giveBack(delivery)
          return yield* exit
        })
      )
    }))
  )

/**
 * The messages of a queue, as a stream of values with their deliveries, each to be settled by its reader. Opens its
 * channel when run and closes it when the stream ends; what was not settled by then goes back to the queue.
 *
 * Neither the loss of a socket nor a healed fault of the channel ends it. `Stream.runForEachChunk` and `mapChunksEffect`
 * are the fast ways to take deliveries.
 *
 * @example
 * ```ts
 * import { Consumer, Message } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = Consumer.stream({ queue: "lines", content: Message.text }).pipe(
 *   Stream.runForEach(({ delivery, value }) => Effect.zipRight(Effect.log(value), delivery.ack))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = <A, R = never>(
  options: StreamOptions<A, R>
): Stream.Stream<Received<A>, CallError | ConsumerCancelled | ConsumerOverflow, Connection | R> =>
  Stream.unwrapScoped(Effect.map(
    Channel.make({ prefetch: options.prefetch ?? 100 }),
    (channel) =>
      channel.consume({ ...consumeOptions(options), noAck: options.noAck, onCancel: options.onCancel }).pipe(
        Stream.mapChunksEffect((batch) => receive(batch, options.content, options.noAck !== true))
      )
  ))

const receive = Effect.fnUntraced(
  function*<A, R>(batch: Chunk.Chunk<Delivery>, content: Content<A, R>, settles: boolean) {
    const received: Array<Received<A>> = []
    for (const delivery of batch) {
      const decoding = content.decode(delivery)
      const decoded = immediate(decoding) ?? (yield* Effect.either(decoding))
      if (Either.isRight(decoded)) {
        received.push({ value: decoded.right, delivery })
      } else {
        if (settles) yield* delivery.reject()
        yield* undecodable(decoded.left, delivery)
      }
    }
    return Chunk.unsafeFromArray(received)
  }
)
