/**
 * A goodbye that ends: the one shape in which a bound holds inside a finalizer.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/**
 * Waits for at most `limit`, also where interruption is masked and also for an effect that cannot be interrupted.
 *
 * @internal
 */
export const bounded =
  (limit: Duration.Duration) => <A, E, R>(goodbye: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
    goodbye.pipe(Effect.disconnect, Effect.interruptible, Effect.timeoutOption(limit), Effect.ignoreLogged)
