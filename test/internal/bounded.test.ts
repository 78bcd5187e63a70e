import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { bounded } from "../../src/internal/bounded.ts"

const limit = Duration.seconds(10)

const goodbyes = {
  "one that never ends": Effect.never,
  "one that cannot be interrupted": Effect.uninterruptible(Effect.never)
}

describe("bounded", () => {
  for (const [name, goodbye] of Object.entries(goodbyes)) {
    it.effect(`waits no longer than its limit for ${name}, in a finalizer`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.scoped(Effect.addFinalizer(() => bounded(limit)(goodbye))))
        yield* TestClock.adjust("9999 millis")
        assert.isNull(fiber.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      }))

    it.effect(`and when the fiber is interrupted, for ${name}`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Effect.scoped(Effect.zipRight(Effect.addFinalizer(() => bounded(limit)(goodbye)), Effect.never))
        )
        yield* Effect.yieldNow()
        const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("9999 millis")
        assert.isNull(interruption.unsafePoll())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(interruption)
      }))
  }

  it.effect("lets a goodbye finish, though the fiber was interrupted", () =>
    Effect.gen(function*() {
      let said = false
      const goodbye = Effect.andThen(
        Effect.sleep("1 second"),
        Effect.sync(() => {
          said = true
        })
      )
      const fiber = yield* Effect.fork(
        Effect.scoped(Effect.zipRight(Effect.addFinalizer(() => bounded(limit)(goodbye)), Effect.never))
      )
      yield* Effect.yieldNow()
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interruption)
      assert.isTrue(said)
    }))

  it.effect("succeeds whatever the goodbye fails with", () => bounded(limit)(Effect.fail("no")))
})
