import { assert } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

/** A transactional channel, another one that looks on, and a queue; the network can be cut. */
const setting = Effect.gen(function*() {
  const { url } = yield* SharedRabbitMq
  const network = yield* Effect.provide(Transport.cuttable, NodeTransport.layer)
  const context = yield* Layer.build(
    Connection.layer({ url }).pipe(Layer.provide(Layer.succeed(Transport.Transport, network.transport)))
  )
  const tx = yield* Effect.provide(Channel.makeTx(), context)
  const other = yield* Effect.provide(Channel.make(), context)
  const { queue } = yield* other.queueDeclare({ exclusive: false, autoDelete: false })
  yield* Effect.addFinalizer(() => Effect.ignore(other.queueDelete({ queue })))
  const count = Effect.map(other.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount)
  return { tx, other, queue, count, cut: network.cut, message: { routingKey: queue, content: "x" } }
})

describeRabbit("TxChannel on RabbitMQ", (it) => {
  it.scoped("commits what a successful transaction published, and not before", () =>
    Effect.gen(function*() {
      const { count, message, tx } = yield* setting
      const during = yield* tx.transaction((transaction) =>
        Effect.zipRight(transaction.publishAll([message, message]), count)
      )
      assert.strictEqual(during, 0)
      assert.strictEqual(yield* count, 2)
    }))

  it.scoped("rolls back what a failed or interrupted one published, and fails with its own failure", () =>
    Effect.gen(function*() {
      const { count, message, tx } = yield* setting
      const failed = yield* Effect.exit(
        tx.transaction((transaction) => Effect.zipRight(transaction.publish(message), Effect.fail("no")))
      )
      assert.deepStrictEqual(failed, Exit.fail("no"))
      const fiber = yield* Effect.fork(
        tx.transaction((transaction) => Effect.zipRight(transaction.publish(message), Effect.never))
      )
      yield* Effect.sleep("50 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* tx.transaction(() => Effect.void)
      assert.strictEqual(yield* count, 0)
    }))

  it.scoped("a settlement that was rolled back can be made again", () =>
    Effect.gen(function*() {
      const { message, other, queue, tx } = yield* setting
      yield* other.publishAll([message, message])
      const take = Effect.flatMap(
        Effect.repeat(tx.get({ queue }), { until: Option.isSome }),
        Effect.map(({ delivery }) => delivery)
      )
      const deliveries = [yield* take, yield* take]
      const settle = Effect.forEach(deliveries, (delivery) => delivery.ackOrFail)
      yield* Effect.flip(tx.transaction(() => Effect.zipRight(settle, Effect.fail("no"))))
      // Also together, and by those who settle everything there is.
      yield* Effect.flip(tx.transaction(() => Effect.zipRight(tx.ackAll(), Effect.fail("no"))))
      yield* tx.transaction(() => settle)
      const faults = yield* Effect.forEach(deliveries, (delivery) => Effect.flip(delivery.ackOrFail))
      assert.deepStrictEqual(faults.map(({ reason }) => reason), ["AlreadySettled", "AlreadySettled"])
      yield* tx.recover
      assert.isTrue(Option.isNone(yield* tx.get({ queue })))
    }))

  it.scoped("an acknowledgement belongs to the transaction it was made in", () =>
    Effect.gen(function*() {
      const { count, message, other, queue, tx } = yield* setting
      yield* other.publish(message)
      // RabbitMQ's queues count before they take in what was published earlier.
      yield* Effect.repeat(count, { until: (ready) => ready === 1 })
      const take = Effect.flatMap(
        tx.get({ queue }),
        Option.match({
          onNone: () => Effect.dieMessage("no message"),
          onSome: ({ delivery }) => delivery.ackOrFail
        })
      )
      yield* Effect.ignore(tx.transaction(() => Effect.zipRight(take, Effect.fail("no"))))
      yield* tx.recover
      // A rolled back acknowledgement leaves the message to be recovered.
      yield* Effect.repeat(count, { until: (ready) => ready === 1 })
      yield* tx.transaction(() => take)
      yield* tx.recover
      assert.strictEqual(yield* count, 0)
    }))

  it.scoped("one transaction waits for the other", () =>
    Effect.gen(function*() {
      const { message, tx } = yield* setting
      const steps: Array<string> = []
      const one = (name: string) =>
        tx.transaction((transaction) =>
          Effect.gen(function*() {
            steps.push(`${name} begins`)
            yield* transaction.publish(message)
            yield* Effect.sleep("20 millis")
            steps.push(`${name} ends`)
          })
        )
      yield* Effect.all([one("a"), one("b")], { concurrency: 2 })
      assert.deepStrictEqual(steps, ["a begins", "a ends", "b begins", "b ends"])
    }))

  it.scoped("a loss in the middle fails it, commits nothing, and leaves the channel in its mode", () =>
    Effect.gen(function*() {
      const { count, cut, message, tx } = yield* setting
      const fault = yield* Effect.flip(tx.transaction((transaction) =>
        Effect.gen(function*() {
          yield* transaction.publish(message)
          yield* cut
          yield* Effect.sleep("500 millis")
          yield* transaction.publish(message)
        })
      ))
      assert.strictEqual(fault._tag, "ConnectionLost")
      const committing = yield* Effect.flip(tx.transaction((transaction) =>
        Effect.gen(function*() {
          yield* transaction.publish(message)
          yield* cut
          yield* Effect.sleep("500 millis")
        })
      ))
      assert.strictEqual(committing._tag, "ConnectionLost")
      assert.strictEqual(yield* count, 0)
      yield* tx.transaction((transaction) => transaction.publish(message))
      assert.strictEqual(yield* count, 1)
    }))

  it.scoped("a publish the broker refuses fails the transaction with the broker's words", () =>
    Effect.gen(function*() {
      const { count, message, tx } = yield* setting
      const fault = yield* Effect.flip(
        tx.transaction((transaction) => transaction.publishAll([message, { ...message, exchange: "missing" }]))
      )
      assert.strictEqual(fault._tag === "ChannelError" && fault.reason, "NotFound")
      assert.strictEqual(yield* count, 0)
      yield* tx.transaction((transaction) => transaction.publish(message))
      assert.strictEqual(yield* count, 1)
    }))
})
