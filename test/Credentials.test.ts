import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as Credentials from "../src/Credentials.ts"

const secret = Redacted.make("hunter2")

const all: ReadonlyArray<readonly [tag: Credentials.Credentials["_tag"], Credentials.Credentials]> = [
  ["Plain", Credentials.plain("me", secret)],
  ["AmqPlain", Credentials.amqPlain("me", secret)],
  ["External", Credentials.external("me")],
  ["Anonymous", Credentials.anonymous("me")],
  ["OAuth2", Credentials.oauth2(Effect.succeed(secret))],
  ["RabbitCrDemo", Credentials.rabbitCrDemo("me", Effect.succeed(secret))],
  [
    "Custom",
    Credentials.custom({ mechanism: "X", start: Effect.succeed(new Uint8Array()), challenge: Effect.succeed })
  ]
]

describe("Credentials", () => {
  for (const [tag, credentials] of all) {
    it(`${tag} is a tagged value that its guard knows`, () => {
      assert.strictEqual(credentials._tag, tag)
      assert.isTrue(Credentials.isCredentials(credentials))
    })

    it(`${tag} shows no secret`, () => {
      for (
        const shown of [
          String(credentials),
          JSON.stringify(credentials),
          inspect(credentials, { depth: 9, showHidden: true })
        ]
      ) assert.notInclude(shown, "hunter2")
    })
  }

  it("is not what merely looks like it", () => {
    assert.isFalse(Credentials.isCredentials({ _tag: "Plain", username: "me", password: secret }))
    assert.isFalse(Credentials.isCredentials(null))
  })

  it("compares by content", () => {
    assert.isTrue(Equal.equals(Credentials.plain("me", secret), Credentials.plain("me", Redacted.make("hunter2"))))
    assert.isFalse(Equal.equals(Credentials.plain("me", secret), Credentials.plain("me", Redacted.make("hunter3"))))
    assert.isFalse(Equal.equals(Credentials.plain("me", secret), Credentials.amqPlain("me", secret)))
  })

  it("takes a Redacted or an Effect as a secret, and no bare text", () => {
    assert.isTrue(Credentials.isSecret(secret))
    assert.isTrue(Credentials.isSecret(Effect.succeed(secret)))
    assert.isFalse(Credentials.isSecret("hunter2"))
    // @ts-expect-error a secret is never a string
    const bare = Credentials.plain("me", "hunter2")
    assert.strictEqual(bare._tag, "Plain")
  })

  it("has RabbitMQ's default user", () => {
    assert.isTrue(Equal.equals(Credentials.guest, Credentials.plain("guest", Redacted.make("guest"))))
  })
})
