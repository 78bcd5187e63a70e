/**
 * A work queue: jobs are shared among workers, each of which has one job at a time and acknowledges it when it is done.
 * A worker that dies gives its job back; what cannot be read is refused, not tried for ever.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { isMain, Live } from "./main.ts"

export class Job extends Schema.Class<Job>("Job")({ id: Schema.Int, number: Schema.Int }) {}
const JobText = Schema.parseJson(Job)

export interface Result {
  readonly worker: string
  readonly id: number
  readonly square: number
}

const square = (worker: string, job: Job): Effect.Effect<Result> =>
  Effect.succeed({ worker, id: job.id, square: job.number ** 2 })

/** A worker is the Stream of its results. */
export const worker = (name: string, queue: Channel.QueueRef) =>
  Stream.unwrapScoped(Effect.gen(function*() {
    // Fair: with a prefetch of 1 a slow worker holds no job that another could do.
    const channel = yield* Channel.make({ prefetch: 1 })
    return channel.consume({ queue }).pipe(
      Stream.mapEffect((delivery) =>
        Schema.decode(JobText)(delivery.text).pipe(
          Effect.flatMap((job) => square(name, job)),
          Effect.zipLeft(delivery.ack),
          Effect.asSome,
          Effect.catchTag("ParseError", () => Effect.as(delivery.reject(), Option.none()))
        )
      ),
      Stream.filterMap(identity)
    )
  }))

export const program = Effect.gen(function*() {
  const channel = yield* Channel.makeConfirm()
  const jobs = yield* channel.queueDeclare({ queue: "examples.jobs", exclusive: true })

  const contents = yield* Effect.forEach(
    Array.from({ length: 30 }, (_, id) => new Job({ id, number: id })),
    (job) => Schema.encode(JobText)(job)
  )
  yield* channel.publishAll(
    ["this is no job", ...contents].map((content) => ({
      routingKey: jobs.queue,
      content,
      properties: { persistent: true, contentType: "application/json" }
    }))
  )

  const results = yield* Stream.mergeAll(["ann", "bob", "cleo"].map((name) => worker(name, jobs)), {
    concurrency: "unbounded"
  }).pipe(Stream.take(30), Stream.runCollect)
  return Chunk.toReadonlyArray(results)
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
