import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Channel, Message, Publisher } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { drained, Embedded, pass, queueOf } from "./onBroker.ts"

/** Tries again each second for as long as a message has no queue to go to, three times at most. */
const schedule = Schedule.spaced("1 second").pipe(
  Schedule.intersect(Schedule.recurs(3)),
  Schedule.whileInput((fault: AmqpError.ConfirmError) => fault._tag === "PublishReturned")
)

/** Texts to the queue they name; counts the message-ids it makes. */
const publisher = Effect.gen(function*() {
  const made = { count: 0 }
  const { publish, publishAll } = yield* Publisher.make({
    content: Message.text,
    routingKey: (text: string) => text,
    mandatory: true,
    messageId: () => `id-${++made.count}`,
    retry: schedule
  })
  return { made, publish, publishAll }
})

describe("A publisher that tries again", () => {
  it.scoped("publishes the same message, with its message-id, until it is taken", () =>
    Effect.gen(function*() {
      const { made, publish } = yield* publisher
      const publishing = yield* Effect.fork(publish("late"))
      yield* TestClock.adjust("1500 millis")
      yield* queueOf("late")
      assert.isNull(publishing.unsafePoll())
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(publishing)
      const channel = yield* Channel.make()
      const { delivery } = Option.getOrThrow(yield* channel.get({ queue: "late", noAck: true }))
      assert.strictEqual(delivery.properties.messageId, "id-1")
      assert.strictEqual(made.count, 1)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("fails with the last fault when the Schedule ends, and at once with one that it does not take", () =>
    Effect.gen(function*() {
      const { publish } = yield* publisher
      const publishing = yield* Effect.fork(Effect.flip(publish("never")))
      yield* TestClock.adjust("2999 millis")
      assert.isNull(publishing.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(publishing))._tag, "PublishReturned")
      const missing = yield* Publisher.make({ exchange: "none", content: Message.text, retry: schedule })
      const refused = yield* Effect.fork(Effect.flip(missing.publish("x")))
      yield* pass
      assert.strictEqual((yield* Fiber.join(refused))._tag, "ChannelError")
    }).pipe(Effect.provide(Embedded)))

  it.scoped("of many, publishes those again that failed, and says which failed for good", () =>
    Effect.gen(function*() {
      const { publishAll } = yield* publisher
      yield* queueOf("there")
      const publishing = yield* Effect.fork(Effect.either(publishAll(["there", "late", "never", "there"])))
      yield* TestClock.adjust("500 millis")
      yield* queueOf("late")
      yield* TestClock.adjust("3 seconds")
      const outcome = yield* Fiber.join(publishing)
      assert(Either.isLeft(outcome) && outcome.left._tag === "PublishManyError")
      assert.deepStrictEqual(outcome.left.failures.map(({ index }) => index), [2])
      assert.deepStrictEqual(yield* drained("there"), ["there", "there"])
      assert.deepStrictEqual(yield* drained("late"), ["late"])
    }).pipe(Effect.provide(Embedded)))

  it.scoped("at most once, with what refuses the call", () =>
    Effect.gen(function*() {
      const lossy = yield* Publisher.make({
        content: Message.text,
        routingKey: "x".repeat(256),
        guarantee: "at-most-once",
        retry: Schedule.recurs(2)
      })
      assert.strictEqual((yield* Effect.flip(lossy.publishAll(["a"])))._tag, "ChannelError")
      const fine = yield* Publisher.make({
        content: Message.text,
        routingKey: yield* queueOf("q"),
        guarantee: "at-most-once",
        retry: Schedule.recurs(2)
      })
      yield* fine.publishAll(["a", "b"])
      assert.deepStrictEqual(yield* drained("q"), ["a", "b"])
    }).pipe(Effect.provide(Embedded)))
})
