/**
 * An Effect run again while what it fails with may heal, once the connection is back.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Schedule from "effect/Schedule"
import { isTransient } from "../../AmqpError.ts"
import { Driver } from "../../internal/driver.ts"
import type { Connection, EnsureOptions } from "../Connection.ts"

interface Patience<E, R> {
  readonly schedule: Schedule.Schedule<unknown, E>
  readonly while: (fault: E) => boolean
  /** Told before the delay, unlike what taps a Schedule. */
  readonly onError: ((fault: E, delay: Duration.Duration) => Effect.Effect<unknown, never, R>) | undefined
  /** After the delay. */
  readonly beforeNext?: ((fault: E) => Effect.Effect<void, E>) | undefined
}

/** @internal */
export const again = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  patience: Patience<E, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.gen(function*() {
    const driver = new Driver(yield* Effect.clock, patience.schedule)
    while (true) {
      const result = yield* Effect.either(effect)
      if (Either.isRight(result)) return result.right
      const fault = result.left
      const delay = patience.while(fault) ? yield* driver.next(fault) : undefined
      if (delay === undefined) return yield* Effect.fail(fault)
      if (patience.onError !== undefined) yield* patience.onError(fault, delay)
      yield* Effect.sleep(delay)
      if (patience.beforeNext !== undefined) yield* patience.beforeNext(fault)
    }
  })

/** @internal */
export const ensure = <A, E, R, R2>(
  connection: Connection,
  effect: Effect.Effect<A, E, R>,
  schedule: Schedule.Schedule<unknown, E>,
  options: EnsureOptions<E, R2>
): Effect.Effect<A, E, R | R2> =>
  again(effect, {
    schedule,
    while: options.while ?? isTransient,
    onError: options.onError,
    beforeNext: (fault) =>
      Effect.gen(function*() {
        const state = yield* connection.state
        // A lazy one is dialled by what uses it.
        if (state._tag === "Idle" && state.until === "use") return
        const ready = yield* Effect.either(connection.ready())
        if (Either.isLeft(ready) && ready.left._tag === "ConnectionClosed") return yield* Effect.fail(fault)
      })
  })
