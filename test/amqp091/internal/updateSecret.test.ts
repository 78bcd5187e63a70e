import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { layerMemory } from "../../harness/scriptedPeer.ts"
import { connected, settle } from "../scripted.ts"

/** Updates the secret, lets the peer do something about it, and tells what the next login sends. */
const nextLogin = (answer: "accept" | "refuse" | "shut down" | "cut") =>
  Effect.gen(function*() {
    const { accept, connection, peer } = yield* connected()
    const updating = yield* Effect.fork(Effect.exit(connection.updateSecret(Redacted.make("new"), "rotation")))
    yield* peer.expect("ConnectionUpdateSecret")
    if (answer === "accept") yield* peer.send(0, { _tag: "ConnectionUpdateSecretOk" })
    if (answer === "accept" || answer === "cut") {
      yield* settle
      yield* peer.cut
    } else {
      const [replyCode, replyText] = answer === "refuse" ? [530, "NOT_ALLOWED"] as const : [320, "shutdown"] as const
      yield* peer.send(0, { _tag: "ConnectionClose", replyCode, replyText, classId: 10, methodId: 70 })
    }
    const outcome = yield* Fiber.join(updating)
    const accepting = yield* Effect.fork(accept)
    yield* TestClock.adjust("1 second")
    const again = yield* Fiber.join(accepting)
    yield* again.start()
    const { response } = yield* again.expect("ConnectionStartOk")
    return [outcome._tag, new TextDecoder().decode(response)]
  }).pipe(Effect.scoped, Effect.provide(layerMemory))

describe("updateSecret", () => {
  it.effect("an accepted secret is the next login's", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* nextLogin("accept"), ["Success", "\u0000guest\u0000new"])
    }))

  it.effect("a refused one is not: the one before it was good", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* nextLogin("refuse"), ["Failure", "\u0000guest\u0000guest"])
    }))

  for (const end of ["shut down", "cut"] as const) {
    it.effect(`one whose answer went with the connection (${end}) was not refused`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* nextLogin(end), ["Failure", "\u0000guest\u0000new"])
      }))
  }
})
