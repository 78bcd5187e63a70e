import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ConnectError } from "../../src/AmqpError.ts"
import * as Rounds from "../../src/internal/rounds.ts"

const ask = { round: 0, fault: undefined }

describe("fixed", () => {
  it.effect("goes round by place, so that an endpoint may be given twice", () =>
    Effect.gen(function*() {
      const [a, again, b] = [{ at: 1 }, { at: 1 }, { at: 2 }] as const
      const rounds = Rounds.fixed([a, again, b], "round-robin")
      assert.deepStrictEqual(yield* rounds.next(ask), [a, again, b])
      rounds.tried(again)
      const [next] = yield* rounds.next(ask)
      assert.strictEqual(next, b)
      rounds.tried(b)
      assert.strictEqual((yield* rounds.next(ask))[0], a)
    }))

  it.effect("begins with the first after an endpoint that is none of them", () =>
    Effect.gen(function*() {
      const rounds = Rounds.fixed(["a", "b"], "round-robin")
      rounds.tried("elsewhere")
      assert.deepStrictEqual(yield* rounds.next(ask), ["a", "b"])
      assert.deepStrictEqual(rounds.known(), ["a", "b"])
    }))

  it("knows what is better with priority only; than a stranger all of them are", () => {
    const rounds = Rounds.fixed(["a", "b", "c"], "priority")
    assert.deepStrictEqual(rounds.better("a"), [])
    assert.deepStrictEqual(rounds.better("c"), ["a", "b"])
    assert.deepStrictEqual(rounds.better("elsewhere"), ["a", "b", "c"])
    for (const strategy of ["in-order", "round-robin", "shuffle", "random"] as const) {
      assert.deepStrictEqual(Rounds.fixed(["a", "b"], strategy).better("b"), [])
    }
  })
})

describe("discovered", () => {
  it.effect("knows those of the last list, and keeps them when the next one fails", () =>
    Effect.gen(function*() {
      const lists = [
        Effect.succeed(["b", "c"]),
        Effect.fail(ConnectError.at("failover", "Discovery", "down")),
        Effect.succeed([])
      ]
      const rounds = Rounds.discovered(Effect.suspend(() => lists.shift() ?? Effect.never), ["a"])
      assert.deepStrictEqual(rounds.known(), ["a"])
      assert.deepStrictEqual(yield* rounds.next(ask), ["b", "c"])
      assert.strictEqual((yield* Effect.flip(rounds.next(ask))).attempts[0]?.text, "down")
      assert.strictEqual((yield* Effect.flip(rounds.next(ask))).reason, "Discovery")
      assert.deepStrictEqual(rounds.known(), ["b", "c"])
    }))
})
