import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as sasl from "../../../src/amqp091/internal/sasl.ts"
import * as Credentials from "../../../src/Credentials.ts"

const secret = Redacted.make("päss")

const exchange = (credentials: Credentials.Credentials) =>
  Option.getOrThrow(
    sasl.select([credentials], ["PLAIN", "AMQPLAIN", "EXTERNAL", "ANONYMOUS", "RABBIT-CR-DEMO", "X-MINE"])
  )

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const bytes = (value: string) => new TextEncoder().encode(value)

describe("select", () => {
  const plain = Credentials.plain("me", secret)
  const external = Credentials.external()

  it("takes the first of ours that is offered, whatever the server's order", () => {
    const chosen = sasl.select([external, plain], ["PLAIN", "AMQPLAIN", "EXTERNAL"])
    assert.strictEqual(Option.getOrThrow(chosen).mechanism, "EXTERNAL")
    assert.strictEqual(Option.getOrThrow(sasl.select([external, plain], ["PLAIN"])).mechanism, "PLAIN")
  })

  it("finds none where none of ours is offered", () => {
    assert.isTrue(Option.isNone(sasl.select([external, plain], ["AMQPLAIN"])))
    assert.isTrue(Option.isNone(sasl.select([plain], [])))
  })
})

describe("the first response", () => {
  it.effect("of PLAIN is user and password, each after a NUL, in UTF-8", () =>
    Effect.gen(function*() {
      assert.strictEqual(hex(yield* exchange(Credentials.plain("me", secret)).initial), "006d650070c3a47373")
    }))

  it.effect("of PLAIN refuses a NUL, which would move the border between user and password", () =>
    Effect.gen(function*() {
      const fault = yield* Effect.flip(exchange(Credentials.plain("me\0you", secret)).initial)
      assert.strictEqual(fault._tag, "AuthFault")
      assert.notInclude(fault.message, "you")
    }))

  it.effect("of AMQPLAIN is a field table without its length: LOGIN and PASSWORD, long strings", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        hex(yield* exchange(Credentials.amqPlain("me", secret)).initial),
        "054c4f47494e53000000026d650850415353574f5244530000000570c3a47373"
      )
    }))

  it.effect("of EXTERNAL is the identity, or nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(hex(yield* exchange(Credentials.external()).initial), "")
      assert.strictEqual(text(yield* exchange(Credentials.external("me")).initial), "me")
    }))

  it.effect("of ANONYMOUS is the trace, or nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(hex(yield* exchange(Credentials.anonymous()).initial), "")
      assert.strictEqual(text(yield* exchange(Credentials.anonymous("probe")).initial), "probe")
    }))

  it.effect("of an OAuth 2 token is PLAIN's, the token as the password", () =>
    Effect.gen(function*() {
      const { initial, mechanism } = exchange(Credentials.oauth2(Effect.succeed(Redacted.make("ey.J"))))
      assert.strictEqual(mechanism, "PLAIN")
      assert.strictEqual(text(yield* initial), "\0\0ey.J")
    }))
})

describe("a secret that is an Effect", () => {
  it.effect("is asked at each dial, so that a rotated one is used", () =>
    Effect.gen(function*() {
      let asked = 0
      const credentials = Credentials.plain("me", Effect.sync(() => Redacted.make(`secret-${++asked}`)))
      assert.strictEqual(asked, 0)
      assert.strictEqual(text(yield* exchange(credentials).initial), "\0me\0secret-1")
      assert.strictEqual(text(yield* exchange(credentials).initial), "\0me\0secret-2")
    }))

  it.effect("fails that one dial where it fails, with the cause", () =>
    Effect.gen(function*() {
      const cause = new Error("vault sealed")
      const fault = yield* Effect.flip(exchange(Credentials.oauth2(Effect.fail(cause))).initial)
      assert.strictEqual(fault.cause, cause)
      assert.strictEqual(fault.message, "PLAIN: the token could not be had")
    }))
})

describe("a challenge", () => {
  it.effect("of RABBIT-CR-DEMO is answered with the password in RabbitMQ's words", () =>
    Effect.gen(function*() {
      const { challenge, initial } = exchange(Credentials.rabbitCrDemo("me", secret))
      assert.strictEqual(text(yield* initial), "me")
      assert.strictEqual(text(yield* challenge(bytes("Please tell me your password"))), "My password is päss")
    }))

  it.effect("goes to a custom mechanism as it came", () =>
    Effect.gen(function*() {
      const { challenge, initial, mechanism } = exchange(Credentials.custom({
        mechanism: "X-MINE",
        start: Effect.succeed(bytes("hello")),
        challenge: (question) => question[0] === 63 ? Effect.succeed(question.slice(1)) : Effect.fail("no question")
      }))
      assert.strictEqual(mechanism, "X-MINE")
      assert.strictEqual(text(yield* initial), "hello")
      assert.strictEqual(text(yield* challenge(bytes("?why"))), "why")
      assert.strictEqual((yield* Effect.flip(challenge(bytes("why")))).cause, "no question")
    }))

  for (
    const credentials of [
      Credentials.plain("me", secret),
      Credentials.amqPlain("me", secret),
      Credentials.external(),
      Credentials.anonymous(),
      Credentials.oauth2(secret)
    ]
  ) {
    it.effect(`is a fault where ${credentials._tag} has nothing to answer`, () =>
      Effect.gen(function*() {
        const fault = yield* Effect.flip(exchange(credentials).challenge(bytes("?")))
        assert.strictEqual(fault._tag, "AuthFault")
        assert.notInclude(inspect(fault), "päss")
      }))
  }
})
