import { assert, describe, it } from "@effect/vitest"
import { AmqpError } from "effect-amqp"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Reconnect from "../src/Reconnect.ts"

const delays = (policy: Schedule.Schedule<unknown, AmqpError.RecoverableError>, rounds: number) =>
  Effect.map(
    Schedule.run(
      Schedule.delays(policy),
      0,
      Array.from(
        { length: rounds },
        () => new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "host:5672" })
      )
    ),
    (all) => Chunk.toReadonlyArray(all).map(Duration.toMillis)
  )

describe("Reconnect.exponential", () => {
  it.effect("doubles from 100 ms to 10 s, each times 0.5 to 1", () =>
    Effect.gen(function*() {
      const all = yield* delays(Reconnect.exponential(), 20)
      assert.lengthOf(all, 20)
      for (const [round, delay] of all.entries()) {
        const most = Math.min(100 * 2 ** round, 10_000)
        assert.isAtLeast(delay, most / 2 - 1)
        assert.isAtMost(delay, most)
      }
      assert.isAbove(new Set(all.slice(8)).size, 6, "jitter goes on at the cap")
    }).pipe(Effect.withRandom(Random.make("reconnect"))))

  it.effect("takes its own first and largest delay", () =>
    Effect.gen(function*() {
      const all = yield* delays(Reconnect.exponential({ first: "1 seconds", max: "3 seconds" }), 4)
      for (const [round, most] of [1000, 2000, 3000, 3000].entries()) {
        assert.isAtLeast(all[round] ?? 0, most / 2 - 1)
        assert.isAtMost(all[round] ?? Infinity, most)
      }
    }))

  it.effect("composes: ended by recurs, for one kind of fault by whileInput", () =>
    Effect.gen(function*() {
      const twice = Schedule.intersect(Reconnect.exponential(), Schedule.recurs(2))
      assert.lengthOf(yield* delays(twice, 10), 3)
      const refused = Schedule.whileInput(
        Reconnect.exponential(),
        (fault: AmqpError.RecoverableError) => fault._tag === "ConnectError"
      )
      assert.lengthOf(yield* delays(refused, 10), 1)
    }))
})

describe("Reconnect.none", () => {
  it.effect("never goes on", () =>
    Effect.gen(function*() {
      assert.isAtMost((yield* delays(Reconnect.none, 5)).length, 1)
    }))
})
