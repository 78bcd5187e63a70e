/**
 * What is made of several scoped parts is there as a whole, or not at all.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Makes something in a scope of its own, which ends with the outer one, or at once where making fails or is interrupted:
 * tried again and again, it leaves nothing behind in a scope that goes on.
 *
 * @internal
 */
export const whole = <A, E, R>(make: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      // Its parts end one after the other, whatever the outer scope does with its own.
      Effect.flatMap(Effect.scope, (outer) => Scope.fork(outer, ExecutionStrategy.sequential)),
      (scope) =>
        Effect.onError(
          restore(Effect.provideService(make, Scope.Scope, scope)),
          (cause) => Scope.close(scope, Exit.failCause(cause))
        )
    )
  )
