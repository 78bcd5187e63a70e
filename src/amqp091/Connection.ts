/**
 * A supervised connection: one logical thing that outlives its sockets. It dials, fails over, and restores its channels by
 * the Schedules it was given; what cannot be healed ends it with a typed fault. Channels have a module of their own.
 *
 * Its calls fail with the types of `AmqpError`: `ConnectError` when it cannot be opened.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { CallError, ConnectError, ConnectionClosed, OperationTimeout, RecoverableError } from "../AmqpError.ts"
import type * as ErrorPolicy from "../ErrorPolicy.ts"
import type { DurationText } from "../Reconnect.ts"
import * as Reconnect from "../Reconnect.ts"
import type { PipeTls, Transport } from "../Transport.ts"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { FieldTable } from "./FieldTable.ts"
import type { ConnectionCore } from "./internal/connection.ts"
import * as internalEnsure from "./internal/ensure.ts"
import * as openConnection from "./internal/openConnection.ts"
import { cloned, split, wrong } from "./internal/overrides.ts"
import type { RecoveryOptions, RecoveryReport } from "./Topology.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = openConnection.TypeId

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What a connection is doing. `epoch` counts its sockets from 1.
 *
 * `Idle` dials nobody: a lazy connection until it is used (`fault`: why its last first connect failed), a paused one until
 * it is resumed. `Connecting` carries what the attempt before this one failed with, in the same round. `Recovering` carries the fault that ended the last socket or the last round of dialling, the number of the round to
 * come, and the delay before it. Once `Closing`, only `Closed` follows; `cause` is there when nobody asked for the end.
 *
 * @since 0.1.0
 * @category models
 */
export type State =
  | { readonly _tag: "Idle"; readonly until: "use" | "resume"; readonly fault: ConnectError | undefined }
  | { readonly _tag: "Connecting"; readonly endpoint: string; readonly fault: RecoverableError | undefined }
  | { readonly _tag: "Open"; readonly endpoint: string; readonly epoch: number }
  | { readonly _tag: "Blocked"; readonly endpoint: string; readonly epoch: number; readonly reason: string }
  | {
    readonly _tag: "Recovering"
    readonly fault: RecoverableError
    readonly round: number
    readonly delay: Duration.Duration
  }
  | { readonly _tag: "Closing" }
  | { readonly _tag: "Closed"; readonly cause: RecoverableError | undefined }

/**
 * What a broker says it can do besides the specification (`capabilities` among its server properties).
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  readonly publisherConfirms: boolean
  readonly basicNack: boolean
  readonly consumerCancelNotify: boolean
  readonly exchangeExchangeBindings: boolean
  readonly connectionBlocked: boolean
  readonly authenticationFailureClose: boolean
  readonly perConsumerQos: boolean
  readonly consumerPriorities: boolean
  readonly directReplyTo: boolean
  /** Its basic.cancel is answered with basic.cancel-ok (RabbitMQ 4.3.7 and later; others would close the connection). */
  readonly acceptConsumerCancelOk: boolean
}

/**
 * What the present socket (or the last one) agreed on. Changes with each failover.
 *
 * @since 0.1.0
 * @category models
 */
export interface Info {
  /** The one it is (or was last) connected to, as `host:port`. */
  readonly endpoint: string
  /** Which address of the host that is, where it was looked up. */
  readonly address: string | undefined
  /** All endpoints it knows of: as they were given, or as they were discovered last. */
  readonly alternates: ReadonlyArray<string>
  /** How it chooses between them. */
  readonly failover: ConnectionOptions.Failover | "function" | "discovery"
  readonly epoch: number
  /** The endpoint's parameters: host, virtual host, user, timeouts. Secrets in it are `Redacted`. */
  readonly options: ConnectionOptions.ConnectionOptions
  readonly serverProperties: FieldTable
  readonly capabilities: Capabilities
  /** Who logged in, where the credentials name somebody: not with EXTERNAL, ANONYMOUS, OAuth2 or a mechanism of your own. */
  readonly user: string | undefined
  /** The one that was used, of those that the server offers. */
  readonly mechanism: string
  readonly mechanisms: ReadonlyArray<string>
  readonly locales: ReadonlyArray<string>
  readonly channelMax: number
  readonly frameMax: number
  /** Zero: heartbeats are off. */
  readonly heartbeat: Duration.Duration
  readonly tls: PipeTls | undefined
}

/**
 * Something that the broker said: a method by its name (`basic.deliver`), on a channel; 0 is the connection itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerEvent {
  readonly channel: number
  readonly method: string
}

/**
 * A supervised connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  readonly state: Effect.Effect<State>
  /** The present state, then every later one; ends after `Closed`. */
  readonly changes: Stream.Stream<State>
  /**
   * How each recovery of topology from now on went: what was refused, and which queues have new names. It is told before
   * the state is `Open` again, and also where a channel alone was closed over which auto-delete queues went.
   */
  readonly recoveries: Stream.Stream<RecoveryReport>
  readonly info: Effect.Effect<Info>
  /** Whether a socket is open and everything on it restored; also while the broker blocks publishes. */
  readonly isOpen: Effect.Effect<boolean>
  /**
   * Waits until it is open and not blocked; a lazy one dials for that.
   *
   * Fails `ConnectError` when the first connect of a lazy one fails, `ConnectionClosed` when it has ended for good, and
   * `OperationTimeout` after `timeout` (default: the operation timeout).
   */
  readonly ready: (
    options?: { readonly timeout?: DurationText | undefined }
  ) => Effect.Effect<void, ConnectError | ConnectionClosed | OperationTimeout>
  /** How long ago the broker was last heard of, heartbeats included; `undefined` without a socket. */
  readonly silence: Effect.Effect<Duration.Duration | undefined>
  /**
   * Says goodbye to the socket and dials nobody until `resume`; what needs a socket waits within its bound. Returns when
   * the socket is gone, within the close timeout. What is in flight fails or is sent again as after any loss
   * (`ConnectionLost` `Left`).
   */
  readonly pause: Effect.Effect<void>
  /** Dials again, at once, after `pause`; a lazy connection dials before its first use. Does not wait for it: see `ready`. */
  readonly resume: Effect.Effect<void>
  /**
   * Begins a round of dialling at once, from wherever it is: out of a delay, a dial that hangs, a pause, or an open socket,
   * which it leaves first. The Schedules start over. Does not wait for it: see `ready`.
   */
  readonly reconnectNow: Effect.Effect<void>
  /**
   * Goes to another endpoint: of the options, or anyone. It is dialled first, and the present socket left only when it has
   * answered. Afterwards the strategy goes on as before.
   *
   * Fails `ConnectError` when it cannot be reached (the present socket stays then), when it is no endpoint (`Url`), or when
   * the connection is closed.
   */
  readonly switchEndpoint: (endpoint: ConnectionOptions.ConnectionOptions.Endpoint) => Effect.Effect<void, ConnectError>
  /**
   * Another connection with the same endpoints, parameters and supervision, some of them replaced. A `host` among them
   * leaves the first endpoint alone, on that host. It has channels and a scope of its own.
   *
   * Fails `ConnectError`, as {@link make} does.
   */
  readonly clone: (overrides?: Overrides) => Effect.Effect<Connection, ConnectError, Scope.Scope>
  /**
   * Waits for one thing that the broker says, and tells what: for programs that are used to drain events. Nothing waits for
   * it here: deliveries and confirms arrive without. From the first call on, the last 64 are kept for the next ones.
   *
   * Fails `OperationTimeout` after `timeout`; zero does not wait. Default: it waits for ever. Fails `ConnectionClosed` when
   * the connection has ended for good, or when the first connect of a lazy one fails.
   */
  readonly drainEvents: (
    options?: { readonly timeout?: DurationText | undefined }
  ) => Effect.Effect<ServerEvent, OperationTimeout | ConnectionClosed>
  /** Whether it has ended for good. */
  readonly isClosed: Effect.Effect<boolean>
  /** Waits for the end, and says what it was for where nobody asked for it. */
  readonly closed: Effect.Effect<RecoverableError | undefined>
  /**
   * connection.update-secret (RabbitMQ): gives the broker a fresh token or password before the old one expires, with a
   * reason for its log. Dials with the same credentials use it from then on; of a list, those of the user who logged in. A
   * broker that refuses it closes the connection.
   */
  readonly updateSecret: (secret: Redacted.Redacted, reason: string) => Effect.Effect<void, CallError>
  /**
   * An early goodbye: what waits on the connection fails, connection.close goes out and its answer is awaited, for the
   * close timeout at most. The scope does the same otherwise. A second close waits for the end of the first.
   *
   * Default: code 200, "Normal shutdown".
   */
  readonly close: (options?: {
    readonly code?: number | undefined
    readonly text?: string | undefined
  }) => Effect.Effect<void>
  /** @internal */
  readonly core: ConnectionCore
}

/**
 * The tag of the connection. For several connections make a tag for each, and provide it where this one is asked for.
 *
 * @since 0.1.0
 * @category tags
 */
export const Connection: Context.Tag<Connection, Connection> = Context.GenericTag("effect-amqp/amqp091/Connection")

/**
 * What a `beforeDial` hook is told.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dial {
  /** The endpoint that is about to be dialled. */
  readonly options: ConnectionOptions.ConnectionOptions
  /** Which address of its host. */
  readonly address: string | undefined
  /** What the attempt before, the round before or the connection ended with; `undefined` on the first dial of all. */
  readonly fault: RecoverableError | undefined
  /** How many rounds have failed since the connection was last open. */
  readonly round: number
}

/**
 * Runs before every dial, and may name another endpoint, or replace some of its parameters: credentials, for instance. A
 * failure is a failed attempt (`ConnectError` `Discovery`), after which the next one asks again.
 *
 * @since 0.1.0
 * @category models
 */
export type BeforeDial = (
  dial: Dial
) => Effect.Effect<ConnectionOptions.ConnectionOptions.Endpoint | undefined | void, unknown>

/**
 * Where the next dial goes: a strategy by name, a function that orders each round, or an Effect that lists the endpoints
 * before each round (service discovery), in the order in which they are tried. Failed or empty discovery is a round that
 * failed (`ConnectError` `Discovery`); it is bounded by `stackTimeout`.
 *
 * @since 0.1.0
 * @category models
 */
export type Failover =
  | Reconnect.Strategy<ConnectionOptions.ConnectionOptions>
  | Effect.Effect<ReadonlyArray<ConnectionOptions.ConnectionOptions.Endpoint>, unknown>

/**
 * How the connection is supervised.
 *
 * @since 0.1.0
 * @category models
 */
export interface Supervision {
  /** Default: "round-robin", or what the URL says. */
  readonly failover?: Failover | undefined
  /** Whether the first dial waits for the first use. Default: false, the connection is open when it is there. */
  readonly lazy?: boolean | undefined
  /** Default: nothing. */
  readonly beforeDial?: BeforeDial | undefined
  /**
   * Patience of the first connect, in whole rounds over the endpoints. Default: one round; with `connectionAttempts`, as
   * many rounds, `retryDelay` apart.
   */
  readonly connect?: Schedule.Schedule<unknown, ConnectError> | undefined
  /** When to dial again after a loss. Default: `Reconnect.exponential()`, for ever. */
  readonly reconnect?: Reconnect.Policy | undefined
  /**
   * Which faults dialling again cannot heal. Default: `ErrorPolicy.isFinal` with `forgiveGarbling`. Whatever it says, an
   * internal error of the broker (541) is final the fourth time in a row, unless a socket stayed open for `stableAfter` in
   * between, or the entity that it is over is known, which does not come back.
   */
  readonly isFinal?: ErrorPolicy.IsFinal | undefined
  /** A socket that stays open for this long proves that the trouble is over: `reconnect` starts over. Default: 5 seconds. */
  readonly stableAfter?: DurationText | undefined
  /** Whether operations wait, within their bounds, for a connection that is away or blocked. Default: "wait". */
  readonly whenDisconnected?: "wait" | "fail" | undefined
  /**
   * Whether tables that arrive keep the wire type of every value, for relays. Default: "plain".
   *
   * What 0-9-1 does not know, a frame of another type or a method without a number, is always a fault, and costs the socket
   * (0-9-1 §4.2.3): its length is all that could be trusted to find the next frame, and a peer that is wrong about one is
   * not to be believed about the other. There is no lenient mode that skips it.
   */
  readonly decode?: "plain" | "typed" | undefined
  /**
   * What a broker must offer: an attempt at one that lacks any of it fails `ConnectError` `Capability`, and the next
   * endpoint is tried. Default: nothing.
   */
  readonly requires?: ReadonlyArray<keyof Capabilities> | undefined
  /** What comes back on a new socket of what was declared and consumed. Default: all of it. */
  readonly recovery?: RecoveryOptions | undefined
  /** Bound on a publish: its wait for room and then for its confirm. Default: 30 seconds. */
  readonly publishTimeout?: DurationText | undefined
}

type Input = Omit<ConnectionOptions.ConnectionOptions.Input, "failover">

/**
 * What may be replaced where endpoints are there already.
 *
 * @since 0.1.0
 * @category models
 */
export type Overrides = Input & Supervision

/**
 * Everything a connection can be told: where (one `url`, or `urls` to fail over between, or neither and `host`), with
 * which parameters, and how it is supervised. Options win over the URL, the URL over defaults.
 *
 * @since 0.1.0
 * @category models
 */
export type Options =
  & ConnectionOptions.ConnectionOptions.Source
  & ConnectionOptions.ConnectionOptions.ReadOptions
  & Overrides

type Endpoints = readonly [ConnectionOptions.ConnectionOptions, ...Array<ConnectionOptions.ConnectionOptions>]

/**
 * Opens a connection and supervises it until the scope closes; then it says goodbye on the wire, within the close
 * timeout.
 *
 * Fails with `ConnectError`: every attempt of the first connect is in it, in order. `Url`: an option or the URL is wrong.
 * Interrupted, it gives the first connect up and lets go of its socket, without a goodbye: before it has opened a connection
 * RabbitMQ takes none.
 *
 * @example
 * import { Connection } from "effect-amqp/amqp091"
 *
 * const connection = Connection.make({ url: "amqp://localhost", heartbeat: "30 seconds" })
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Connection, ConnectError, Transport | Scope.Scope> =>
  Effect.suspend(() => {
    const { parameters, supervision } = split(options)
    return Either.match(ConnectionOptions.resolve(parameters), {
      onLeft: (fault) => Effect.fail(wrong(fault)),
      onRight: (endpoints) => openConnection.fromEndpoints(endpoints, supervision)
    })
  })

/**
 * A connection as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Connection, ConnectError, Transport> =>
  Layer.scoped(Connection, make(options))

/**
 * The same with endpoints that come from the configuration; `options` win over them, and say what only code can.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeConfig = (
  config: Config.Config<Endpoints>,
  options: Overrides = {}
): Effect.Effect<Connection, ConnectError | ConfigError.ConfigError, Transport | Scope.Scope> => {
  const { parameters, supervision } = split(options)
  return Effect.flatMap(
    config,
    (endpoints) =>
      Effect.flatMap(cloned(endpoints, parameters), (all) => openConnection.fromEndpoints(all, supervision))
  )
}

/**
 * A connection as a Layer, with endpoints that come from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config<Endpoints>,
  options?: Overrides
): Layer.Layer<Connection, ConnectError | ConfigError.ConfigError, Transport> =>
  Layer.scoped(Connection, makeConfig(config, options))

// --- As kombu has it ---

/**
 * How {@link ensure} goes on after a failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface EnsureOptions<in E, out R = never> {
  /** How long to wait before each further try, and how many there are. */
  readonly schedule?: Schedule.Schedule<unknown, E> | undefined
  /** Hears of each failure that is followed by another try, and of the delay before it. */
  readonly onError?: ((error: E, delay: Duration.Duration) => Effect.Effect<unknown, never, R>) | undefined
  /** What another try may heal. Default: `AmqpError.isTransient`. */
  readonly while?: ((error: E) => boolean) | undefined
}

/**
 * Runs an Effect again while it fails for what may heal: after a delay of the Schedule, and when the connection is open
 * again (or the operation timeout has passed). Channels are not lost with their connection, so that it may use one of its own.
 *
 * Default: `Reconnect.kombuEnsure()`, a second before each try, for ever. The last failure itself is the error.
 *
 * @example
 * import { Reconnect } from "effect-amqp"
 * import { Channel, Connection } from "effect-amqp/amqp091"
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 *
 * const publish = Effect.flatMap(Channel.ConfirmChannel, (channel) =>
 *   Connection.ensure(channel.publish({ routingKey: "orders", content: "hello" }), {
 *     schedule: Reconnect.kombuEnsure({ maxRetries: 3 }),
 *     onError: (error, delay) => Console.log(`not published: ${error.message}; once more in ${delay}`)
 *   }))
 *
 * @since 0.1.0
 * @category combinators
 */
export const ensure: {
  <E, R2 = never>(
    options?: EnsureOptions<E, R2>
  ): <A, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | R2 | Connection>
  <A, E, R, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: EnsureOptions<E, R2>
  ): Effect.Effect<A, E, R | R2 | Connection>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options: EnsureOptions<E, R2> = {}
  ): Effect.Effect<A, E, R | R2 | Connection> =>
    Effect.flatMap(
      Connection,
      (connection) => internalEnsure.ensure(connection, effect, options.schedule ?? Reconnect.kombuEnsure(), options)
    )
)

/**
 * What keeps {@link ensureConnection} from an open connection.
 *
 * @since 0.1.0
 * @category models
 */
export type NotConnected = ConnectError | ConnectionClosed | OperationTimeout

/**
 * Waits until the connection is open, and dials a lazy one as often as that takes: kombu's `ensure_connection`. A connection
 * that recovers by itself is waited for; its own faults are in `changes`.
 *
 * Default: `Reconnect.kombu()`, 2 seconds before the next try, 2 more each time up to 30, for ever. The last fault itself is
 * the error; a final one ends it at once.
 *
 * @since 0.1.0
 * @category combinators
 */
export const ensureConnection = <R = never>(
  options: Omit<EnsureOptions<NotConnected, R>, "while"> = {}
): Effect.Effect<Connection, NotConnected, R | Connection> =>
  Effect.flatMap(Connection, (connection) =>
    Effect.as(
      internalEnsure.ensure(connection, connection.ready(), options.schedule ?? Reconnect.kombu(), options),
      connection
    ))
