import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { layerMemory } from "../../harness/scriptedPeer.ts"
import { type Network, onNetwork } from "../../reconnect/network.ts"
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

/** Two users, one of whom has a new secret on a connection that is open. */
const rotated = <A, E>(
  program: (
    connection: Connection.Connection,
    network: Network
  ) => Effect.Effect<A, E, Transport.Transport | Scope.Scope>
) =>
  onNetwork((network) =>
    Effect.gen(function*() {
      const { broker } = network
      yield* broker.addUser({ name: "me", password: Redacted.make("old") })
      yield* broker.addUser({ name: "you", password: Redacted.make("yours") })
      const connection = yield* Connection.make({
        urls: ["amqp://me:old@a", "amqp://you:yours@b", "amqp://me:old@c"],
        reconnect: Schedule.spaced("1 second")
      })
      yield* broker.addUser({ name: "me", password: Redacted.make("new") })
      yield* connection.updateSecret(Redacted.make("new"), "rotation")
      return yield* program(connection, network)
    })
  )

describe("an accepted secret is that of one user:", () => {
  it.scoped("an endpoint with another user keeps its own, and one with the same has the new one", () =>
    rotated((connection, { broker, down, lose, read }) =>
      Effect.gen(function*() {
        yield* TestClock.adjust("10 seconds")
        yield* lose("a")
        yield* settle
        assert.deepStrictEqual((yield* broker.connections).map(({ user }) => user), ["you"])
        yield* TestClock.adjust("10 seconds")
        yield* lose("b")
        yield* settle
        assert.deepStrictEqual((yield* broker.connections).map(({ user }) => user), ["me"])
        down.clear()
        yield* connection.switchEndpoint("b")
        yield* connection.switchEndpoint({ host: "d", username: "you", password: Redacted.make("yours") })
        yield* connection.ready()
        assert.deepStrictEqual((yield* broker.connections).map(({ user }) => user), ["you"])
        assert.deepStrictEqual(read(), ["0 a", "10000 b", "20000 c", "20000 b", "20000 d"])
      })
    ))

  it.scoped("a clone has it, unless it is given another", () =>
    rotated((connection, { broker }) =>
      Effect.gen(function*() {
        const same = yield* connection.clone({ name: "same" })
        const other = yield* connection.clone({ name: "other", username: "you", password: Redacted.make("yours") })
        yield* broker.addUser({ name: "me", password: Redacted.make("newer") })
        yield* connection.clone({ name: "newer", username: "me", password: Redacted.make("newer") })
        assert.isTrue((yield* same.isOpen) && (yield* other.isOpen))
        assert.deepStrictEqual((yield* broker.connections).slice(1).map(({ name, user }) => `${name} ${user}`), [
          "same me",
          "other you",
          "newer me"
        ])
      })
    ))

  it.scoped("what a hook says before the dial wins over it", () =>
    onNetwork(({ broker, lose }) =>
      Effect.gen(function*() {
        let password = "old"
        yield* broker.addUser({ name: "me", password: Redacted.make("old") })
        const connection = yield* Connection.make({
          url: "amqp://me@a",
          beforeDial: () => Effect.sync(() => ({ password: Redacted.make(password) }))
        })
        yield* connection.updateSecret(Redacted.make("new"), "rotation")
        yield* broker.addUser({ name: "me", password: Redacted.make("newer") })
        password = "newer"
        yield* lose()
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 2 })
      })
    ))
})
