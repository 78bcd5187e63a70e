/**
 * Fibers that plain code starts, from a socket's callback for instance, and that end with a scope. A `FiberSet` does the
 * same, for the price of some eighty fiber operations per connection; this is none but the fibers'.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"

/**
 * Starts a fiber, which runs after whatever called; after the end of the scope one that does nothing.
 *
 * @internal
 */
export type Fork = (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>

/** @internal */
export const makeFork: Effect.Effect<Fork, never, Scope.Scope> = Effect.gen(function*() {
  // A finalizer or an acquisition may open things, too: what these fork ends by interruption all the same.
  const runtime = Runtime.enableRuntimeFlag(yield* Effect.runtime<never>(), RuntimeFlags.Interruption)
  const fork = Runtime.runFork(runtime)
  const fibers = new Set<Fiber.RuntimeFiber<void>>()
  let ended = false
  const end = Effect.suspend(() => {
    ended = true
    return Fiber.interruptAll(fibers)
  })
  yield* Scope.addFinalizer(yield* Effect.scope, end)
  return (effect) => {
    const fiber = fork(ended ? Effect.interrupt : effect, { immediate: false })
    fibers.add(fiber)
    fiber.addObserver(() => void fibers.delete(fiber))
    return fiber
  }
})
