/**
 * What pools of connections and of channels have in common: how something is borrowed, for how long it is kept, and how a
 * pool grows, shrinks and ends. Types alone; the pools themselves are modules of their protocol.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PoolError } from "./AmqpError.ts"
import type { DurationText } from "./Reconnect.ts"

/**
 * How large a pool is, and for how long it keeps what it has.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The most there may be. Default: 10. */
  readonly limit?: number | undefined
  /** How many are opened before the pool is there; idle ones are not closed below this number. Default: 0. */
  readonly preconnect?: number | undefined
  /** Closed when nobody has borrowed it for this long. Default: never. */
  readonly idleTimeToLive?: DurationText | undefined
  /** Closed this long after it was opened: at once when idle, else when it comes back. Default: never. */
  readonly maxLifetime?: DurationText | undefined
  /** How long a borrower waits who says nothing else, opening included. Default: as long as it takes. */
  readonly timeout?: DurationText | undefined
  /**
   * A lease that is held for longer is logged as a warning, once, with the line of the program that took it and the span it
   * was taken in: for finding what is never given back. Default: never.
   */
  readonly warnAfter?: DurationText | undefined
}

/**
 * How a borrower waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface GetOptions {
  /** Bound on the whole wait, for a turn, a dial and a check: then `PoolError` `Timeout`. Default: the pool's `timeout`. */
  readonly timeout?: DurationText | undefined
  /** `false` fails `PoolError` `Exhausted` when all are in use; one that must be opened first is still waited for. Default: true. */
  readonly wait?: boolean | undefined
}

/**
 * How full a pool is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** The most there may be. */
  readonly limit: number
  /** Places taken so far, open or not: what was closed leaves its place to the next. */
  readonly total: number
  /** Borrowed now. */
  readonly active: number
  /** Open, and waiting for a borrower. */
  readonly idle: number
  /** Borrowers that wait, for their turn or for a dial. */
  readonly waiting: number
}

/**
 * A pool: what is borrowed belongs to one borrower at a time, and goes back when the borrower's scope closes, warm: who
 * borrows next gets what came back last. Borrowers wait in line, and leave it without a trace when interrupted.
 *
 * What is broken is never handed out: it is closed, and its place dialled again when somebody needs it. A borrower that
 * fails with a fault of the connection spoils what it had, which is then closed instead of kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool<A, E> {
  /**
   * Borrows until the scope closes. Fails with what opening fails with, or `PoolError`: `Exhausted`, `Timeout`, `Closed`.
   */
  readonly get: (options?: GetOptions) => Effect.Effect<A, E | PoolError, Scope.Scope>
  /** Borrows for as long as `use` runs. */
  readonly use: <B, E2, R>(
    use: (borrowed: A) => Effect.Effect<B, E2, R>,
    options?: GetOptions
  ) => Effect.Effect<B, E | E2 | PoolError, R>
  /**
   * Gives back something broken: it is closed, the lease has ended, and a fresh one takes its place when it is needed, at
   * once where borrowers wait. Fails `PoolError` `Released` when the lease had ended before.
   */
  readonly replace: (borrowed: A) => Effect.Effect<void, PoolError>
  /**
   * Adds `count` places, opened when needed, or now (`connect`): then it waits for all of them, and fails with the first
   * that cannot be opened. Beyond the limit it fails `PoolError` `LimitExceeded`; those that fit are there then.
   */
  readonly grow: (
    count: number,
    options?: { readonly connect?: boolean | undefined }
  ) => Effect.Effect<void, E | PoolError>
  /**
   * Changes the limit. With more in use than the new one it fails `PoolError` `LimitExceeded`; `force` closes what is too
   * much under its borrowers, the oldest first.
   */
  readonly resize: (
    limit: number,
    options?: { readonly force?: boolean | undefined }
  ) => Effect.Effect<void, PoolError>
  readonly stats: Effect.Effect<Stats>
  /**
   * The end: who waits and who comes later fails `PoolError` `Closed`. Waits for what is borrowed to come back; interrupted,
   * it stops waiting, and the pool stays closed. The scope that made the pool does not wait for borrowers.
   */
  readonly closeAll: Effect.Effect<void>
  /**
   * Closes everything, also under its borrowers, whose leases end. `closePool` `false`: the pool goes on, empty.
   * Default: true.
   */
  readonly forceCloseAll: (options?: { readonly closePool?: boolean | undefined }) => Effect.Effect<void>
}
