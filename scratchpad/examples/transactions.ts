/**
 * Transactions: what is taken from one queue and what is put into another belong together. On RabbitMQ alone so far
 * (`AMQP_URL`): the embedded broker has no transactions.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isMain, Live } from "./main.ts"

export const program = Effect.gen(function*() {
  const channel = yield* Channel.makeTx()
  const { queue: from } = yield* channel.queueDeclare()
  const { queue: to } = yield* channel.queueDeclare()
  const count = (queue: string) => Effect.map(channel.queueDeclare({ queue, passive: true }), (of) => of.messageCount)

  yield* channel.transaction((transaction) =>
    transaction.publishAll(["1", "2", "oops"].map((content) => ({ routingKey: from, content })))
  )

  /** Moves a message with its number squared: acknowledged and published, or neither. */
  const move = channel.transaction((transaction) =>
    Effect.gen(function*() {
      const { delivery } = yield* Effect.flatten(channel.get({ queue: from }))
      yield* delivery.ack
      yield* transaction.publish({ routingKey: to, content: "begun" })
      const number = Number(delivery.text)
      if (Number.isNaN(number)) return yield* Effect.fail(`${delivery.text} is no number`)
      yield* transaction.publish({ routingKey: to, content: `${number ** 2}` })
      return number
    })
  )
  const moved = [yield* move, yield* move]
  const failure = yield* Effect.flip(move)

  // The third was rolled back: its message was never acknowledged, and goes back for the next who asks.
  const copied = yield* count(to)
  yield* channel.recover
  const left = yield* channel.get({ queue: from })
  return { moved, failure, copied, left: Option.map(left, ({ delivery }) => delivery.text) }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
