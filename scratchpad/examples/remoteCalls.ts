/**
 * Remote calls: a procedure that client and server share, many calls in flight, errors by Schema, and what a caller is
 * told when nobody serves.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Message, Rpc } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isMain, Live } from "./main.ts"

class NotANumber extends Schema.TaggedError<NotANumber>()("NotANumber", { word: Schema.String }) {}

const sum = Rpc.procedure({
  queue: "examples.sum",
  request: Message.json(Schema.Array(Schema.String)),
  response: Message.json(Schema.Number),
  error: Message.json(NotANumber)
})

const server = Rpc.serve(
  { ...sum, concurrency: 16 },
  (words) =>
    Effect.reduce(
      words,
      0,
      (total, word) => Number.isNaN(Number(word)) ? new NotANumber({ word }) : Effect.succeed(total + Number(word))
    )
)

export const program = Effect.gen(function*() {
  const channel = yield* Channel.make()
  yield* channel.queueDeclare({ queue: sum.queue })
  yield* Effect.forkScoped(server)

  // One channel and one consumer for all calls.
  const rpc = yield* Rpc.client({ timeout: "5 seconds" })
  const sums = yield* Effect.forEach(
    Array.from({ length: 100 }, (_, index) => [`${index}`, "1"]),
    (words) => rpc.ask(sum, words),
    { concurrency: 100 }
  )
  const failure = yield* rpc.ask(sum, ["1", "two"]).pipe(
    Effect.map(String),
    Effect.catchTag("NotANumber", ({ word }) => Effect.succeed(`${word} is no number`))
  )
  // Without a procedure: bytes or text, and the reply as it came.
  const reply = yield* rpc.call({ routingKey: sum.queue, content: `["20","22"]` })
  const nobody = yield* rpc.call({ routingKey: "examples.nobody", content: "" }).pipe(
    Effect.as("served"),
    Effect.catchTag("PublishReturned", ({ text }) => Effect.succeed(text))
  )
  return { total: sums.reduce((a, b) => a + b), failure, reply: reply.text, nobody }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
