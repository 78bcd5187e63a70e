/**
 * A queue as a plain thing to put values into and get them out of, and a buffer that goes with its connection.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Message, SimpleQueue } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isMain, Live } from "./main.ts"

class Job extends Schema.Class<Job>("Job")({ id: Schema.Number, room: Schema.String }) {}

export const program = Effect.gen(function*() {
  // Declares the queue, an exchange of its name, and the binding.
  const jobs = yield* SimpleQueue.make("examples.simple-jobs", { content: Message.json(Job) })
  yield* jobs.clear
  yield* jobs.put(new Job({ id: 1, room: "kitchen" }))
  yield* jobs.put(new Job({ id: 2, room: "hall" }), { headers: { urgent: true } })
  yield* jobs.put(new Job({ id: 3, room: "attic" }))

  const first = yield* jobs.get({ timeout: "5 seconds" })
  yield* first.delivery.ack
  const second = yield* Effect.flatten(jobs.getNoWait)
  yield* second.delivery.ack
  const left = yield* jobs.size
  const dropped = yield* jobs.clear
  const empty = yield* jobs.get({ timeout: "10 millis" }).pipe(
    Effect.map(({ value }) => value.room),
    Effect.catchTag("OperationTimeout", () => Effect.succeed("nothing to do"))
  )

  // Nothing to settle, nothing on disk; whoever else wants it gives `exclusive: false`.
  const notes = yield* SimpleQueue.buffer("examples.simple-notes", { content: Message.text })
  yield* notes.put("milk")
  const note = yield* notes.get()

  return {
    rooms: [first.value.room, second.value.room],
    urgent: Option.fromNullable(second.delivery.properties.headers?.urgent),
    left,
    dropped,
    empty,
    note: note.value
  }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
