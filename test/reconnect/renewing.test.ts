/** Secrets that say when they expire, on the embedded broker in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { warnings } from "../amqp091/onBroker.ts"

const user = "service"

interface Story {
  readonly broker: Broker.Service
  readonly connection: Connection.Connection
  /** What was asked for, and what the open connection was told, each as `second what`. */
  readonly diary: Array<string>
  readonly log: Array<string>
}

const seconds = Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), (at) => at / 1000)

/** A connection whose tokens are those of `issue`, by their number from 1 on. */
const onTokens = <A, E>(
  issue: (number: number) => Effect.Effect<Redacted.Redacted | Credentials.Expiring, string>,
  program: (story: Story) => Effect.Effect<A, E>
) => {
  const diary: Array<string> = []
  const log: Array<string> = []
  return Effect.gen(function*() {
    const broker = yield* Broker.Broker
    let count = 0
    const token = Effect.gen(function*() {
      const number = ++count
      diary.push(`${yield* seconds} asked`)
      const given = yield* issue(number)
      const secret = Redacted.isRedacted(given) ? given : given.secret
      // Whoever dials is let in with the newest alone.
      yield* broker.addUser({ name: user, password: secret })
      return given
    })
    // Without heartbeats days pass at once.
    const heartbeat = "0 seconds"
    const connection = yield* Connection.make({
      url: "memory://",
      heartbeat,
      credentials: Credentials.oauth2(token, user)
    })
    return yield* program({ broker, connection, diary, log })
  }).pipe(
    Effect.scoped,
    Effect.provide(Broker.layerMemoryWith({
      acceptSecret: (_, secret) => {
        const told = Redacted.value(secret)
        diary.push(`told ${told}`)
        return told !== "bad"
      }
    })),
    Effect.provide(warnings(log))
  )
}

const token = (number: number) => Redacted.make(`token-${number}`)

const expiring = (number: number): Credentials.Expiring => ({ secret: token(number), expiresIn: "10 minutes" })

describe("A secret that expires", () => {
  it.effect("is renewed after four fifths of its time, again and again, on the same socket", () =>
    onTokens((number) => Effect.succeed(expiring(number)), ({ connection, diary }) =>
      Effect.gen(function*() {
        yield* TestClock.adjust("479 seconds")
        assert.deepStrictEqual(diary, ["0 asked"])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(diary, ["0 asked", "480 asked", "told token-2", "960 asked", "told token-3"])
        assert.strictEqual((yield* connection.info).epoch, 1)
      })))

  it.effect("counts from each dial anew, which asks for one of its own", () =>
    onTokens((number) => Effect.succeed(expiring(number)), ({ broker, connection, diary }) =>
      Effect.gen(function*() {
        yield* TestClock.adjust("400 seconds")
        yield* broker.drop()
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* connection.info).epoch, 2)
        assert.lengthOf(diary, 2)
        yield* TestClock.adjust("479 seconds")
        assert.lengthOf(diary, 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(diary[3], "told token-3")
      })))

  it.effect("is asked for again where it cannot be had, with a warning, and without it the connection goes on", () =>
    onTokens((number) => number === 2 || number === 3 ? Effect.fail("away") : Effect.succeed(expiring(number)), (
      { diary, log }
    ) =>
      Effect.gen(function*() {
        yield* TestClock.adjust("490 seconds")
        assert.lengthOf(diary.filter((line) => line.endsWith("asked")), 4)
        assert.strictEqual(diary.at(-1), "told token-4")
        assert.lengthOf(log.filter((line) => line.includes("the secret was not renewed")), 2)
        assert.notInclude(log.join("\n"), "token-")
      })))

  it.effect("that the broker refuses costs the socket; the next dial asks for another", () =>
    onTokens(
      (number) =>
        Effect.succeed(number === 2 ? { secret: Redacted.make("bad"), expiresIn: "1 hour" } : expiring(number)),
      ({ connection, diary }) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("490 seconds")
          assert.deepStrictEqual(diary.slice(0, 3), ["0 asked", "480 asked", "told bad"])
          assert.lengthOf(diary, 4)
          assert.strictEqual((yield* connection.info).epoch, 2)
        })
    ))

  it.effect("is not asked for any more after one that does not, or after one of the program's own", () =>
    Effect.gen(function*() {
      yield* onTokens(
        (number) => Effect.succeed(number === 2 ? token(number) : expiring(number)),
        ({ diary }) =>
          Effect.gen(function*() {
            yield* TestClock.adjust("1 day")
            assert.deepStrictEqual(diary.slice(1).map((line) => line.split(" ")[1]), ["asked", "token-2"])
          })
      )
      yield* onTokens((number) => Effect.succeed(expiring(number)), ({ connection, diary }) =>
        Effect.gen(function*() {
          yield* connection.updateSecret(Redacted.make("mine"), "by hand")
          yield* TestClock.adjust("1 day")
          assert.lengthOf(diary, 2)
          assert.strictEqual(diary[1], "told mine")
        }))
    }))

  it.effect("at once is asked for once a second, and one that is good for years is no reason to hurry", () =>
    Effect.gen(function*() {
      yield* onTokens(
        (number) => Effect.succeed({ secret: token(number), expiresIn: "0 seconds" }),
        ({ diary }) =>
          Effect.gen(function*() {
            yield* TestClock.adjust("5 seconds")
            assert.lengthOf(diary, 11)
          })
      )
      yield* onTokens(
        (number) => Effect.succeed({ secret: token(number), expiresIn: "1000 days" }),
        ({ diary }) =>
          Effect.gen(function*() {
            yield* TestClock.adjust("24 days")
            assert.lengthOf(diary, 1)
          })
      )
    }))
})
