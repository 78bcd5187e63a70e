/**
 * Pools of confirm channels, for many fibers: publishes share the channels, and who wants a channel to itself borrows one.
 *
 * Calls fail as those of a channel do, and with `PoolError`.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Order from "effect/Order"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallError, ConfirmError, PoolError, PublishManyError } from "../AmqpError.ts"
import { isChannelError, isConnectionError } from "../AmqpError.ts"
import { make as makePool } from "../internal/pool.ts"
import type { Lease } from "../internal/poolMember.ts"
import { whole } from "../internal/whole.ts"
import type * as Pool from "../Pool.ts"
import type * as Channel from "./Channel.ts"
import { Connection } from "./Connection.ts"
import type { ChannelCore } from "./internal/channel.ts"
import { confirm } from "./internal/channelModes.ts"
import type { ChannelSettings } from "./internal/channelSettings.ts"
import { refused } from "./internal/consuming.ts"
import { openOn } from "./internal/openOn.ts"
import { publishShared } from "./internal/pooledPublish.ts"
import type { Message } from "./Message.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/ChannelPool")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A channel that is borrowed: a `ConfirmChannel` whose every operation fails `PoolError` `Released` once the lease has
 * ended, besides what it fails with otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type Leased = {
  readonly [K in keyof Channel.ConfirmChannel]: OrPoolError<Channel.ConfirmChannel[K]>
}

/**
 * An operation that can fail with `PoolError` too.
 *
 * @since 0.1.0
 * @category models
 */
export type OrPoolError<T> = T extends Effect.Effect<infer A, infer E, infer R> ? Effect.Effect<A, E | PoolError, R>
  : T extends Stream.Stream<infer A, infer E, infer R> ? Stream.Stream<A, E | PoolError, R>
  : T extends (...args: infer Args) => infer Result ? (...args: Args) => OrPoolError<Result>
  : T

/**
 * A pool of confirm channels with the same settings.
 *
 * `get` and `use` lend a channel to one borrower at a time. What it did to it does not reach the next one: a changed
 * prefetch is set back, and a channel that still has consumers or unsettled deliveries, a prefetch for all consumers
 * together, or a fault, is closed instead of kept. Messages that were offered and not drained are nobody's to hear of.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChannelPool extends Pool.Pool<Leased, CallError> {
  readonly [TypeId]: TypeId
  /**
   * Publishes beside other publishes, on a channel that has room in its window: one that is shared already, for the broker
   * answers for many at once, else an idle one, else a new one. Ends and fails as `ConfirmChannel.publish` does; each fiber hears of its own message alone.
   */
  readonly publish: (message: Message) => Effect.Effect<void, ConfirmError | PoolError>
  /** Publishes many in order, on one channel beside other publishes, and waits for all their confirms. */
  readonly publishAll: (
    messages: Iterable<Message>
  ) => Effect.Effect<void, CallError | PoolError | PublishManyError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const ChannelPool: Context.Tag<ChannelPool, ChannelPool> = Context.GenericTag("effect-amqp/amqp091/ChannelPool")

/**
 * The settings of every channel of the pool, and how many there may be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Pool.Options, Omit<Channel.ConfirmOptions, "number"> {
  /** Asked of a channel before it is lent again: one on which it fails is closed, and another one lent. Default: nothing. */
  readonly check?: ((channel: Channel.ConfirmChannel) => Effect.Effect<unknown, unknown>) | undefined
}

interface Item {
  readonly core: ChannelCore
  readonly channel: Channel.ConfirmChannel
}

const isOver = ({ core }: Item): boolean => {
  const refusal = core.refusal("channel.open", false)
  return refusal !== undefined && refusal._tag !== "NotReady"
}

const isFault = (fault: unknown): boolean =>
  isConnectionError(fault) || (isChannelError(fault) && (fault.code !== 0 || fault.reason === "Closed"))

const takeBack = (prefetch: number) => ({ core }: Item, exit: Exit.Exit<unknown, unknown>): boolean => {
  core.prefetch.ofConsumers = prefetch
  return core.settling.isClear && core.consumers.isEmpty &&
    (Exit.isSuccess(exit) || !Chunk.some(Cause.failures(exit.cause), isFault))
}

/** A channel as its borrower has it: what it offers and drains is its own, whoever had it before. */
const view = ({ core }: Item, lease: Lease<Item>): Leased => {
  const channel = confirm(core)
  const held = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E | PoolError> =>
    Effect.suspend((): Effect.Effect<A, E | PoolError> => lease.fault ?? operation)
  const heldStream = <A, E>(stream: () => Stream.Stream<A, E>): Stream.Stream<A, E | PoolError> =>
    Stream.suspend((): Stream.Stream<A, E | PoolError> =>
      lease.fault === undefined ? stream() : Stream.fail(lease.fault)
    )
  return {
    mode: channel.mode,
    queueDeclare: (options) => held(channel.queueDeclare(options)),
    queueBind: (options) => held(channel.queueBind(options)),
    queueUnbind: (options) => held(channel.queueUnbind(options)),
    queuePurge: (queue, options) => held(channel.queuePurge(queue, options)),
    queueDelete: (options) => held(channel.queueDelete(options)),
    exchangeDeclare: (options) => held(channel.exchangeDeclare(options)),
    exchangeDelete: (options) => held(channel.exchangeDelete(options)),
    exchangeBind: (options) => held(channel.exchangeBind(options)),
    exchangeUnbind: (options) => held(channel.exchangeUnbind(options)),
    qos: (options) =>
      held(Effect.suspend(() => {
        // It would limit whoever consumes here next.
        if (options.global === true) lease.isSpoilt = true
        return channel.qos(options)
      })),
    flow: (active) => held(channel.flow(active)),
    number: held(channel.number),
    returned: heldStream(() => channel.returned),
    consume: (options) => heldStream(() => channel.consume(options)),
    get: (options) => held(channel.get(options)),
    ackAll: (deliveries) => held(channel.ackAll(deliveries)),
    nackAll: (deliveries, options) => held(channel.nackAll(deliveries, options)),
    recover: held(channel.recover),
    publish: (message) => held(channel.publish(message)),
    publishAll: (messages) => held(channel.publishAll(messages)),
    offer: (message) => held(channel.offer(message)),
    drain: held(channel.drain),
    unconfirmed: held(channel.unconfirmed)
  }
}

const isUp = ({ core }: Connection): boolean => {
  const { _tag } = core.state.unsafeGet()
  return _tag === "Open" || _tag === "Blocked"
}

/** A connection, and how many of the pool's channels are on it. */
interface Place {
  readonly connection: Connection
  channels: number
}

const byRoom = Order.combine(
  Order.mapInput(Order.boolean, ({ connection }: Place) => !isUp(connection)),
  Order.mapInput(Order.number, ({ channels }: Place) => channels)
)

/** Opens channels where there are fewest so far, of the connections that are up; where one has no number left, elsewhere. */
const spreading = (
  connections: Arr.NonEmptyReadonlyArray<Connection>,
  settings: ChannelSettings
): Effect.Effect<Item, CallError, Scope.Scope> => {
  const openAt = (place: Place) =>
    Effect.zipRight(
      Effect.acquireRelease(Effect.sync(() => place.channels++), () => Effect.sync(() => place.channels--)),
      Effect.map(openOn(place.connection.core, settings), (core): Item => ({ core, channel: confirm(core) }))
    )
  const openAmong = (places: Arr.NonEmptyReadonlyArray<Place>): Effect.Effect<Item, CallError, Scope.Scope> =>
    Effect.suspend(() => {
      const [best, ...others] = Arr.sort(places, byRoom)
      const opened = whole(openAt(best))
      return Arr.isNonEmptyArray(others)
        ? Effect.catchIf(
          opened,
          (error) => error._tag === "ChannelError" && error.reason === "NoFreeChannels",
          () => openAmong(others)
        )
        : opened
    })
  return openAmong(Arr.map(connections, (connection): Place => ({ connection, channels: 0 })))
}

const within = (name: string, value: number, least: number, most: number): Effect.Effect<void, CallError> =>
  Number.isInteger(value) && value >= least && value <= most
    ? Effect.void
    : Effect.fail(refused("channel.open", `${name} ${value} is not a whole number from ${least} to ${most}`))

/**
 * A pool of channels spread over several connections: each channel is opened on the connection that has fewest of the
 * pool's, of those that are up, and on another one where that has no number left.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeOver = (
  connections: Arr.NonEmptyReadonlyArray<Connection>,
  options: Options = {}
): Effect.Effect<ChannelPool, CallError | PoolError, Scope.Scope> =>
  Effect.gen(function*() {
    const { check, guarantee, noWait, prefetch = 100, window = 1000 } = options
    yield* within("prefetch", prefetch, 0, 0xffff)
    yield* within("window", window, 1, 1_000_000)
    const settings: ChannelSettings = {
      mode: "confirm",
      prefetch,
      window,
      atEnd: guarantee === "at-least-once" ? "resend" : "fail",
      noWait
    }
    const core = yield* makePool<Item, Leased, CallError>({
      name: "channels",
      open: spreading(connections, settings),
      isBroken: isOver,
      isReady: ({ core }) => core.number !== 0,
      check: check === undefined ? undefined : ({ channel }) => check(channel),
      view,
      takeBack: takeBack(prefetch),
      shared: false,
      crowd: window
    }, options)

    const sharing = <E>(
      publish: (channel: Channel.ConfirmChannel) => Effect.Effect<void, E>
    ): Effect.Effect<void, E | CallError | PoolError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(core.acquire(restore, true), (member) =>
          Effect.flatMap(Effect.exit(restore(publish(member.item.channel))), (exit) => {
            core.giveBack(member)
            return exit
          }))
      )

    return {
      ...core.pool,
      [TypeId]: TypeId,
      publish: (message) =>
        publishShared(
          core,
          message,
          sharing((channel) =>
            channel.publish(message)
          )
        ),
      publishAll: (messages) => sharing((channel) => channel.publishAll(messages))
    } satisfies ChannelPool
  })

/**
 * A pool of channels on the connection from the context, opened when they are needed, and closed with the scope: then also
 * under their borrowers, once outstanding confirms have come, within the close timeout.
 *
 * Fails `CallError` when `preconnect` does or an option is out of range, and `PoolError` `LimitExceeded` when `limit` is not a
 * whole number from 1, or `preconnect` is above it.
 *
 * @example
 * ```ts
 * import { ChannelPool } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const place = (order: string) =>
 *   Effect.flatMap(ChannelPool.ChannelPool, (channels) => channels.publish({ routingKey: "orders", content: order }))
 *
 * const Live = ChannelPool.layer({ limit: 8 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<ChannelPool, CallError | PoolError, Connection | Scope.Scope> =>
  Effect.flatMap(Connection, (connection) => makeOver([connection], options))

/**
 * A pool of channels as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<ChannelPool, CallError | PoolError, Connection> =>
  Layer.scoped(ChannelPool, make(options))
