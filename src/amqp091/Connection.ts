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
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallError, RecoverableError } from "../AmqpError.ts"
import { ConnectError } from "../AmqpError.ts"
import * as ErrorPolicy from "../ErrorPolicy.ts"
import * as Cell from "../internal/cell.ts"
import { makeFork } from "../internal/forks.ts"
import { warn } from "../internal/log.ts"
import { supervise } from "../internal/supervisor.ts"
import type { DurationText } from "../Reconnect.ts"
import * as Reconnect from "../Reconnect.ts"
import type { PipeTls } from "../Transport.ts"
import { Transport } from "../Transport.ts"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { FieldTable } from "./FieldTable.ts"
import { ConnectionCore } from "./internal/connection.ts"
import { dial, endpointOf } from "./internal/dial.ts"
import type { RecoveryOptions, RecoveryReport } from "./Topology.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/Connection")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What a connection is doing. `epoch` counts its sockets from 1.
 *
 * `Recovering` carries the fault that ended the last socket or the last round of dialling, the number of the round to
 * come, and the delay before it. Once `Closing`, only `Closed` follows; `cause` is there when nobody asked for the end.
 *
 * @since 0.1.0
 * @category models
 */
export type State =
  | { readonly _tag: "Connecting"; readonly endpoint: string }
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
  readonly endpoint: string
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
  /** Whether it has ended for good. */
  readonly isClosed: Effect.Effect<boolean>
  /** Waits for the end, and says what it was for where nobody asked for it. */
  readonly closed: Effect.Effect<RecoverableError | undefined>
  /**
   * connection.update-secret (RabbitMQ): gives the broker a fresh token or password before the old one expires, with a
   * reason for its log. Dials from then on use it too. A broker that refuses it closes the connection.
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
 * How the connection is supervised.
 *
 * @since 0.1.0
 * @category models
 */
export interface Supervision {
  /**
   * Patience of the first connect, in whole rounds over the endpoints. Default: one round; with `connectionAttempts`, as
   * many rounds, `retryDelay` apart.
   */
  readonly connect?: Schedule.Schedule<unknown, ConnectError> | undefined
  /** When to dial again after a loss. Default: `Reconnect.exponential()`, for ever. */
  readonly reconnect?: Reconnect.Policy | undefined
  /** Which faults dialling again cannot heal. Default: `ErrorPolicy.isFinal`. */
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

/**
 * Everything a connection can be told: where (one `url`, or `urls` to fail over between, or neither and `host`), with
 * which parameters, and how it is supervised. Options win over the URL, the URL over defaults.
 *
 * @since 0.1.0
 * @category models
 */
export type Options =
  & ConnectionOptions.ConnectionOptions.Source
  & ConnectionOptions.ConnectionOptions.Input
  & ConnectionOptions.ConnectionOptions.ReadOptions
  & Supervision

const isUp = (state: State): boolean => state._tag === "Open" || state._tag === "Blocked"

const defaultConnect = (options: ConnectionOptions.ConnectionOptions): Schedule.Schedule<unknown, ConnectError> =>
  options.connectionAttempts <= 1
    ? Schedule.stop
    : Schedule.intersect(Schedule.recurs(options.connectionAttempts - 1), Schedule.spaced(options.retryDelay))

type Endpoints = readonly [ConnectionOptions.ConnectionOptions, ...Array<ConnectionOptions.ConnectionOptions>]

// One for all connections: a Schedule is a value, its state is the supervisor's.
const defaultReconnect = Reconnect.exponential()

const fromEndpoints = Effect.fnUntraced(function*(endpoints: Endpoints, supervision: Supervision) {
  const transport = yield* Transport
  const clock = yield* Effect.clock
  const fork = yield* makeFork
  const first = endpoints[0]
  const state = yield* Cell.make<State>({ _tag: "Connecting", endpoint: endpointOf(first) })
  const core = new ConnectionCore({
    options: first,
    whenDisconnected: supervision.whenDisconnected ?? "wait",
    publishTimeout: Duration.decode(supervision.publishTimeout ?? "30 seconds"),
    recovery: supervision.recovery ?? {},
    state,
    clock,
    fork
  })
  const isFinal = ErrorPolicy.capInternalErrors(supervision.isFinal ?? ErrorPolicy.isFinal)

  const { failover } = first
  if (failover === "priority") {
    return yield* ConnectError.at("options", "Url", "the failover strategy \"priority\" is not there yet")
  }
  for (const warning of new Set(endpoints.flatMap(({ warnings }) => warnings))) yield* warn("Connection", warning)

  const opened = Deferred.unsafeMake<void, ConnectError>(FiberId.none)
  const supervisor = fork(
    supervise({
      endpoints,
      strategy: failover,
      dial: (options) =>
        dial(options, {
          transport,
          now: core.now,
          decode: supervision.decode ?? "plain",
          secret: core.secret,
          requires: supervision.requires ?? []
        }),
      up: (dialled) => core.up(dialled),
      ended: (dialled) => core.ended(dialled),
      connect: supervision.connect ?? defaultConnect(first),
      reconnect: supervision.reconnect ?? defaultReconnect,
      isFinal: (fault) => core.isClosing || isFinal(fault),
      stableAfter: Duration.decode(supervision.stableAfter ?? "5 seconds"),
      onDialling: (options) => {
        if (!core.isClosing) state.unsafeSet({ _tag: "Connecting", endpoint: endpointOf(options) })
      },
      onOpen: (_, options) => core.opened(endpointOf(options)),
      onRecovering: (fault, round, delay) => {
        if (core.isClosing) return
        state.unsafeSet({ _tag: "Recovering", fault, round, delay })
        fork(warn("Connection", `${fault.message}; dialling again in ${Duration.format(delay)}`))
      }
    }, (exit) => Deferred.unsafeDone(opened, exit)).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          core.end(Exit.isSuccess(exit) ? exit.value : undefined)
          // A defect (a Schedule, a policy or credentials that throw) must not leave the first connect waiting.
          if (Exit.isFailure(exit)) Deferred.unsafeDone(opened, Effect.failCause(exit.cause))
        })
      ),
      Effect.asVoid
    )
  )

  const close = (code: number, text: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (core.isClosing) return Effect.asVoid(Fiber.await(supervisor))
      return core.sayGoodbye(code, text).pipe(
        Effect.zipRight(Effect.sync(() => core.end(undefined))),
        // Whatever it is at (a socket whose peer did not answer, a dial, a delay), it is over.
        Effect.zipRight(Fiber.interrupt(supervisor)),
        Effect.asVoid,
        Effect.uninterruptible
      )
    })
  // Added last, so it runs first: the goodbye still has its supervisor, timer and socket.
  yield* Scope.addFinalizer(yield* Effect.scope, Effect.suspend(() => close(200, "Normal shutdown")))
  yield* Deferred.await(opened)

  const connection: Connection = {
    [TypeId]: TypeId,
    state: Effect.sync(() => state.unsafeGet()),
    get changes() {
      return state.changes
    },
    get recoveries() {
      return core.recovery.reports
    },
    isOpen: Effect.sync(() => isUp(state.unsafeGet())),
    isClosed: Effect.sync(() => state.unsafeGet()._tag === "Closed"),
    closed: Effect.suspend(() =>
      Effect.map(Stream.runDrain(state.changes), () => {
        const last = state.unsafeGet()
        return last._tag === "Closed" ? last.cause : undefined
      })
    ),
    updateSecret: (secret, reason) => core.updateSecret(secret, reason),
    info: Effect.sync(() => core.info),
    close: (options) => close(options?.code ?? 200, options?.text ?? "Normal shutdown"),
    core
  }
  return connection
})

/**
 * Opens a connection and supervises it until the scope closes; then it says goodbye on the wire, within the close
 * timeout.
 *
 * Fails with `ConnectError`: every attempt of the first connect is in it, in order. `Url`: an option or the URL is wrong.
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
    const {
      connect,
      decode,
      isFinal,
      publishTimeout,
      reconnect,
      recovery,
      requires,
      stableAfter,
      whenDisconnected,
      ...rest
    } = options
    const supervision = {
      connect,
      decode,
      isFinal,
      publishTimeout,
      reconnect,
      recovery,
      requires,
      stableAfter,
      whenDisconnected
    }
    return Either.match(ConnectionOptions.resolve(rest), {
      onLeft: (fault) => Effect.fail(ConnectError.at("options", "Url", fault.message)),
      onRight: (endpoints) => fromEndpoints(endpoints, supervision)
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
  options: ConnectionOptions.ConnectionOptions.Input & Supervision = {}
): Effect.Effect<Connection, ConnectError | ConfigError.ConfigError, Transport | Scope.Scope> => {
  const {
    connect,
    decode,
    isFinal,
    publishTimeout,
    reconnect,
    recovery,
    requires,
    stableAfter,
    whenDisconnected,
    ...overrides
  } = options
  const supervision = {
    connect,
    decode,
    isFinal,
    publishTimeout,
    reconnect,
    recovery,
    requires,
    stableAfter,
    whenDisconnected
  }
  return Effect.flatMap(config, ([first, ...others]) =>
    Either.match(
      Either.all([
        ConnectionOptions.cloneEither(first, overrides),
        Either.all(others.map((each) => ConnectionOptions.cloneEither(each, overrides)))
      ]),
      {
        onLeft: (fault) => Effect.fail(ConnectError.at("options", "Url", fault.message)),
        onRight: ([first, others]) => fromEndpoints([first, ...others], supervision)
      }
    ))
}

/**
 * A connection as a Layer, with endpoints that come from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config<Endpoints>,
  options?: ConnectionOptions.ConnectionOptions.Input & Supervision
): Layer.Layer<Connection, ConnectError | ConfigError.ConfigError, Transport> =>
  Layer.scoped(Connection, makeConfig(config, options))
