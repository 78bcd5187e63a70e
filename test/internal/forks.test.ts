import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Connection from "../../src/amqp091/Connection.ts"
import * as Broker from "../../src/broker/Broker.ts"
import { makeFork } from "../../src/internal/forks.ts"

describe("What plain code forks", () => {
  it.effect("ends with its scope, also where that was opened in an uninterruptible region", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkDaemon(Effect.uninterruptible(Effect.scoped(Effect.gen(function*() {
        const fork = yield* makeFork
        fork(Effect.never)
        yield* Effect.yieldNow()
      }))))
      yield* TestClock.adjust(0)
      assert.isNotNull(fiber.unsafePoll())
    }))

  it.effect("does not keep a connection that a finalizer opened from closing until its next heartbeat", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkDaemon(
        Effect.scoped(
          Effect.addFinalizer(() => Effect.scoped(Effect.asVoid(Effect.orDie(Connection.make({ url: "memory://" })))))
        )
      )
      yield* TestClock.adjust("1 second")
      assert.isNotNull(fiber.unsafePoll())
    }).pipe(Effect.provide(Broker.layerMemory)))
})
