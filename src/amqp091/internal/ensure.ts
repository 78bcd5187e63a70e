/**
 * An Effect run again while what it fails with may heal, once the connection is back.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Schedule from "effect/Schedule"
import { isTransient } from "../../AmqpError.ts"
import { Driver } from "../../internal/driver.ts"
import type { Connection, EnsureOptions } from "../Connection.ts"

/** @internal */
export const ensure = <A, E, R, R2>(
  connection: Connection,
  effect: Effect.Effect<A, E, R>,
  schedule: Schedule.Schedule<unknown, E>,
  options: EnsureOptions<E, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.gen(function*() {
    const mayHeal = options.while ?? isTransient
    const driver = new Driver(yield* Effect.clock, schedule)
    while (true) {
      const result = yield* Effect.either(effect)
      if (Either.isRight(result)) return result.right
      const fault = result.left
      const delay = mayHeal(fault) ? yield* driver.next(fault) : undefined
      if (delay === undefined) return yield* Effect.fail(fault)
      if (options.onError !== undefined) yield* options.onError(fault, delay)
      yield* Effect.sleep(delay)
      const state = yield* connection.state
      // A lazy one is dialled by what uses it.
      if (state._tag === "Idle" && state.until === "use") continue
      const ready = yield* Effect.either(connection.ready())
      if (Either.isLeft(ready) && ready.left._tag === "ConnectionClosed") return yield* Effect.fail(fault)
    }
  })
