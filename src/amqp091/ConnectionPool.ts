/**
 * Pools of supervised connections, for work that wants a connection to itself. Most programs share one connection between
 * all their fibers and need no pool; what a pool of channels does is `ChannelPool`'s.
 *
 * Borrowing fails with `PoolError`, or with the `ConnectError` of the dial it needed.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import {
  ConnectError,
  ConnectionClosed,
  isChannelError,
  isConnectionError,
  isTransient,
  PoolError
} from "../AmqpError.ts"
import * as ErrorPolicy from "../ErrorPolicy.ts"
import { make as makePool } from "../internal/pool.ts"
import type { Lease } from "../internal/poolMember.ts"
import type * as Pool from "../Pool.ts"
import * as Reconnect from "../Reconnect.ts"
import { Transport } from "../Transport.ts"
import * as Connection from "./Connection.ts"
import type * as ConnectionOptions from "./ConnectionOptions.ts"
import type { ConnectionCore } from "./internal/connection.ts"
import { again } from "./internal/ensure.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/ConnectionPool")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * How `ensure` tries again. `E` is what the effect itself fails with.
 *
 * @since 0.1.0
 * @category models
 */
export interface EnsureOptions<E> {
  /** When to try again; it sees the fault. Default: kombu's 2 seconds, 2 more each time, at most 30, for ever. */
  readonly schedule?: Schedule.Schedule<unknown, E | ConnectError | PoolError> | undefined
  /** Hears of each fault that is followed by another try, and of the delay before it. */
  readonly onError?:
    | ((fault: E | ConnectError | PoolError, delay: Duration.Duration) => Effect.Effect<unknown>)
    | undefined
}

/**
 * A pool of connections.
 *
 * What is borrowed is a `Connection` like any other, to be given to `Channel.make` and to all that takes one from the
 * context. Its `close` gives it back early. Once its lease has ended, whatever is asked of it or opened on it fails
 * `ConnectionClosed` with the `PoolError` `Released` as its cause; what was opened before lives on with its own scope.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionPool extends Pool.Pool<Connection.Connection, ConnectError> {
  readonly [TypeId]: TypeId
  /**
   * Runs an effect on a borrowed connection, and again on another one for as long as it fails with what trying again can
   * heal: a fault of the connection, a channel that the broker closed, a publish whose outcome is unknown (which may so
   * be published twice). The last fault itself is the error.
   */
  readonly ensure: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: EnsureOptions<E>
  ) => Effect.Effect<A, E | ConnectError | PoolError, Exclude<R, Connection.Connection>>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const ConnectionPool: Context.Tag<ConnectionPool, ConnectionPool> = Context.GenericTag(
  "effect-amqp/amqp091/ConnectionPool"
)

/**
 * @since 0.1.0
 * @category models
 */
export interface PoolOptions extends Pool.Options {
  /**
   * Whether `preconnect` is tried again, by the reconnect Schedule, until it succeeds or meets a final fault; else its first
   * failure is the pool's. Default: false.
   */
  readonly ensure?: boolean | undefined
  /** Asked of a connection before it is lent again: one on which it fails is closed, and another one lent. Default: nothing. */
  readonly check?: ((connection: Connection.Connection) => Effect.Effect<unknown, unknown>) | undefined
}

/**
 * The parameters of every connection of the pool, and how many there may be.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Connection.Options & PoolOptions

const isOver = ({ core }: Connection.Connection): boolean => {
  const { _tag } = core.state.unsafeGet()
  return _tag === "Closing" || _tag === "Closed"
}

const isUp = ({ core }: Connection.Connection): boolean => {
  const { _tag } = core.state.unsafeGet()
  return _tag === "Open" || _tag === "Blocked"
}

/** Paused, it would let its next borrower wait for a resume that nobody owes. */
const isPaused = ({ core }: Connection.Connection): boolean => {
  const state = core.state.unsafeGet()
  return state._tag === "Idle" && state.until === "resume"
}

const takeBack = (connection: Connection.Connection, exit: Exit.Exit<unknown, unknown>): boolean =>
  !isPaused(connection) && (Exit.isSuccess(exit) || !Chunk.some(Cause.failures(exit.cause), isConnectionError))

/** A connection as its borrower has it. */
const view = (connection: Connection.Connection, lease: Lease<Connection.Connection>): Connection.Connection => {
  const over = () =>
    lease.fault === undefined ? undefined : new ConnectionClosed({
      reason: "Client",
      endpoint: connection.core.info.endpoint,
      code: 0,
      text: lease.fault.message,
      cause: lease.fault
    })
  const held = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E | ConnectionClosed> =>
    Effect.suspend((): Effect.Effect<A, E | ConnectionClosed> => over() ?? operation)
  // What cannot fail is left undone: the connection is somebody else's.
  const whileHeld = (operation: Effect.Effect<void>) =>
    Effect.suspend(() => lease.fault === undefined ? operation : Effect.void)
  return {
    ...connection,
    ready: (options) => held(connection.ready(options)),
    drainEvents: (options) => held(connection.drainEvents(options)),
    updateSecret: (secret, reason) => held(connection.updateSecret(secret, reason)),
    switchEndpoint: (endpoint) =>
      Effect.catchTag(
        held(connection.switchEndpoint(endpoint)),
        "ConnectionClosed",
        (fault) => Effect.fail(ConnectError.at(fault.endpoint, "Refused", fault.text))
      ),
    pause: whileHeld(connection.pause),
    resume: whileHeld(connection.resume),
    reconnectNow: whileHeld(connection.reconnectNow),
    close: () => lease.end,
    get core() {
      const fault = over()
      if (fault === undefined) return connection.core
      // All that opens a channel asks it for a refusal first, or for the shared one.
      const core: ConnectionCore = Object.create(connection.core, {
        refusal: { value: () => fault },
        shared: { value: Effect.fail(fault) }
      })
      return core
    }
  }
}

const patience = Reconnect.kombu()

const canBeHealed = (fault: unknown): boolean =>
  isTransient(fault) || (isConnectionError(fault) && !ErrorPolicy.isFinal(fault)) ||
  (isChannelError(fault) && fault.code !== 0)

const ensureOn =
  (use: ConnectionPool["use"]): ConnectionPool["ensure"] =>
  <A, E, R>(effect: Effect.Effect<A, E, R>, options: EnsureOptions<E> = {}) => {
    type Fault = E | ConnectError | PoolError
    const schedule: Schedule.Schedule<unknown, Fault> = options.schedule ?? patience
    return again(
      use((connection) => Effect.provideService(effect, Connection.Connection, connection)),
      { schedule, while: canBeHealed, onError: options.onError }
    )
  }

interface Shape {
  readonly open: Effect.Effect<Connection.Connection, ConnectError | PoolError, Scope.Scope>
  readonly insist?: ((opening: Opening) => Opening) | undefined
  readonly check?: PoolOptions["check"]
  readonly takeBack: typeof takeBack
  readonly shared: boolean
}

type Opening = Effect.Effect<void, ConnectError | PoolError>

const build = (
  shape: Shape,
  options: Pool.Options
): Effect.Effect<ConnectionPool, ConnectError | PoolError, Scope.Scope> =>
  Effect.map(
    makePool({ ...shape, name: "connections", isBroken: isOver, isReady: isUp, view }, options),
    ({ pool }): ConnectionPool => ({ ...pool, [TypeId]: TypeId, ensure: ensureOn(pool.use) })
  )

/** Tries each opening again until it succeeds. */
const insisting = (policy: Reconnect.Policy, isFinal: ErrorPolicy.IsFinal) => (opening: Opening): Opening =>
  Effect.flatMap(Schedule.driver(policy), (driver) => {
    const attempt: Opening = Effect.catchTag(opening, "ConnectError", (fault) =>
      isFinal(fault)
        ? Effect.fail(fault)
        : Effect.zipRight(Effect.mapError(driver.next(fault), () => fault), Effect.suspend(() => attempt)))
    return attempt
  })

/**
 * A pool of connections that are made in a way of one's own.
 *
 * Fails `PoolError` `LimitExceeded` when `limit` is not a whole number from 1, or `preconnect` is above it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeWith = (
  connect: Effect.Effect<Connection.Connection, ConnectError, Transport | Scope.Scope>,
  options: PoolOptions & Pick<Connection.Supervision, "reconnect" | "isFinal"> = {}
): Effect.Effect<ConnectionPool, ConnectError | PoolError, Transport | Scope.Scope> =>
  Effect.flatMap(Transport, (transport) =>
    build({
      open: Effect.provideService(connect, Transport, transport),
      insist: options.ensure === true
        ? insisting(options.reconnect ?? Reconnect.exponential(), options.isFinal ?? ErrorPolicy.isFinal)
        : undefined,
      check: options.check,
      takeBack,
      shared: false
    }, options))

/**
 * A pool of connections with the same parameters, opened when they are needed, and closed with the scope: then at once, also
 * under their borrowers.
 *
 * Fails `ConnectError` when `preconnect` does, and `PoolError` `LimitExceeded` when `limit` is not a whole number from 1, or
 * `preconnect` is above it.
 *
 * @example
 * ```ts
 * import { Channel, Connection, ConnectionPool } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.make({ url: "amqp://localhost", limit: 10, preconnect: 2 })
 *   const connection = yield* pool.get({ timeout: "1 second" })
 *   const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
 *   yield* channel.publish({ routingKey: "orders", content: "tea" })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<ConnectionPool, ConnectError | PoolError, Transport | Scope.Scope> => {
  // A connection takes no name that it does not know.
  const { check, ensure, idleTimeToLive, limit, maxLifetime, preconnect, timeout, warnAfter, ...rest } = options
  const pool = { check, ensure, idleTimeToLive, limit, maxLifetime, preconnect, timeout, warnAfter }
  return makeWith(Connection.make(rest), { ...pool, reconnect: rest.reconnect, isFinal: rest.isFinal })
}

/**
 * A connection in the place of a pool: all who borrow share it, nobody waits, and what closes the pool, its scope's end
 * too, closes it. No borrower's failure does: it heals by itself. For code that takes a pool where one connection is enough.
 *
 * Once the connection has ended, borrowing fails `PoolError` `Closed`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromConnection = (
  connection: Connection.Connection
): Effect.Effect<ConnectionPool, ConnectError | PoolError, Scope.Scope> =>
  build({
    open: Effect.acquireRelease(
      Effect.suspend(() => isOver(connection) ? Effect.fail(connectionIsOver) : Effect.succeed(connection)),
      () => connection.close()
    ),
    takeBack: () => true,
    shared: true
  }, { limit: 1, preconnect: 1 })

const connectionIsOver = new PoolError({ reason: "Closed", pool: "connections", text: "its only connection has ended" })

/**
 * A pool of connections as a Layer.
 *
 * For a pool per virtual host or URL, let `LayerMap.Service` look it up by this.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ConnectionPool, ConnectError | PoolError, Transport> =>
  Layer.scoped(ConnectionPool, make(options))

/**
 * A pool of connections as a Layer, with endpoints that come from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config<readonly [Endpoint, ...Array<Endpoint>]>,
  options: ConnectionOptions.ConnectionOptions.Input & Connection.Supervision & PoolOptions = {}
): Layer.Layer<ConnectionPool, ConnectError | PoolError | ConfigError.ConfigError, Transport> =>
  Layer.scoped(
    ConnectionPool,
    Effect.flatMap(config, (endpoints) => {
      const { check, ensure, idleTimeToLive, limit, maxLifetime, preconnect, timeout, warnAfter, ...rest } = options
      // They have been read: nothing of the configuration is left to fail.
      const connect = Connection.makeConfig(Config.succeed(endpoints), rest).pipe(
        Effect.catchIf(ConfigError.isConfigError, Effect.die)
      )
      const pool = { check, ensure, idleTimeToLive, limit, maxLifetime, preconnect, timeout, warnAfter }
      return makeWith(connect, { ...pool, reconnect: rest.reconnect, isFinal: rest.isFinal })
    })
  )

type Endpoint = ConnectionOptions.ConnectionOptions
