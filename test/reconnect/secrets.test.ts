/** Whose a secret is that was changed on an open connection: of the credentials that it belongs to, and of no others. */
import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { onNetwork } from "./network.ts"

const secret = (text: string) => Redacted.make(text)
const reconnect = Schedule.spaced("1 second")

describe("updateSecret", () => {
  it.scoped("with several endpoints is about the user it was for: others log in with theirs", () =>
    onNetwork(({ broker, lose }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: secret("old") })
        yield* broker.addUser({ name: "you", password: secret("yours") })
        const connection = yield* Connection.make({ urls: ["amqp://me:old@a", "amqp://you:yours@b"], reconnect })
        const rotate = (name: string, password: string) =>
          Effect.zipRight(
            broker.addUser({ name, password: secret(password) }),
            connection.updateSecret(secret(password), "rotated")
          )
        const next = Effect.gen(function*() {
          yield* lose()
          yield* TestClock.adjust("10 seconds")
          const { endpoint, user } = yield* connection.info
          assert.isTrue(yield* connection.isOpen)
          return `${user} ${endpoint}`
        })
        yield* rotate("me", "new")
        assert.strictEqual(yield* next, "you b:5672")
        yield* rotate("you", "newer")
        assert.strictEqual(yield* next, "me a:5672")
        yield* rotate("me", "newest")
        assert.strictEqual(yield* next, "you b:5672")
        assert.strictEqual(yield* next, "me a:5672")
      })
    ))

  it.scoped("is about whoever logged in, by whatever mechanism, and about nobody else in the same list", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const { amqPlain, oauth2, plain } = Credentials
        yield* broker.addUser({ name: "alice", password: secret("a") })
        yield* broker.addUser({ name: "bob", password: secret("b") })
        const connection = yield* Connection.make({
          url: "amqp://a",
          credentials: [
            plain("alice", secret("a")),
            oauth2(secret("a"), "alice"),
            amqPlain("alice", secret("a")),
            amqPlain("bob", secret("b"))
          ]
        })
        yield* broker.addUser({ name: "alice", password: secret("a2") })
        yield* connection.updateSecret(secret("a2"), "rotated")
        const login = (credentials: Credentials.Credentials) =>
          Effect.scoped(Effect.flatMap(connection.clone({ credentials: [credentials] }), (clone) =>
            Effect.map(clone.info, ({ user }) =>
              user)))
        assert.strictEqual(yield* login(amqPlain("bob", secret("b"))), "bob")
        assert.strictEqual(yield* login(amqPlain("alice", secret("a"))), "alice")
        assert.strictEqual((yield* Effect.flip(login(oauth2(secret("a"), "alice"))))._tag, "ConnectError")
      })
    ))

  it.scoped("is about the token alone where that was used", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const { amqPlain, oauth2 } = Credentials
        yield* broker.addUser({ name: "me", password: secret("old") })
        const credentials: Connection.Options["credentials"] = [
          oauth2(secret("old"), "me"),
          amqPlain("me", secret("old"))
        ]
        const connection = yield* Connection.make({ url: "amqp://a", credentials })
        yield* connection.updateSecret(secret("new"), "rotated")
        yield* connection.clone({ credentials: [amqPlain("me", secret("old"))] })
        yield* broker.addUser({ name: "me", password: secret("new") })
        assert.isTrue(yield* (yield* connection.clone()).isOpen)
      })
    ))

  it.scoped("is over where `beforeDial` has a newer one", () =>
    onNetwork(({ broker, lose }) =>
      Effect.gen(function*() {
        let password = "old"
        const rotate = (to: string) => {
          password = to
          return broker.addUser({ name: "me", password: secret(to) })
        }
        yield* rotate("old")
        const beforeDial = () => Effect.sync(() => ({ password: secret(password) }))
        const connection = yield* Connection.make({ url: "amqp://me@a", beforeDial, reconnect })
        yield* rotate("new")
        yield* connection.updateSecret(secret("new"), "rotated")
        yield* rotate("newest")
        yield* lose()
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(yield* connection.isOpen)
      })
    ))

  it.scoped("is a clone's too, unless it is told another", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: secret("new") })
        yield* broker.addUser({ name: "you", password: secret("yours") })
        const connection = yield* Connection.make({ url: "amqp://me:new@a" })
        yield* broker.addUser({ name: "me", password: secret("newer") })
        yield* connection.updateSecret(secret("newer"), "rotated")
        assert.strictEqual((yield* (yield* connection.clone()).info).user, "me")
        const other = yield* connection.clone({ username: "you", password: secret("yours") })
        assert.strictEqual((yield* other.info).user, "you")
        yield* broker.addUser({ name: "me", password: secret("newest") })
        assert.isTrue(yield* (yield* connection.clone({ password: secret("newest") })).isOpen)
      })
    ))
})
