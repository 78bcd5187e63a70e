/**
 * Faults are typed: one tag for each thing to decide on, its kind in `reason`, the broker's own code and words beside it.
 * A fault ends the call that caused it; the channel goes on.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { AmqpError, Reconnect } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { brokerUrl, isMain, Live } from "./main.ts"

/** Takes the queue as it is, or makes it; what may heal by itself is tried again. */
export const ensureQueue = (channel: Channel.Channel, queue: string) =>
  channel.queueDeclare({ queue, passive: true }).pipe(
    Effect.catchTag(
      "ChannelError",
      (error) => error.reason === "NotFound" ? channel.queueDeclare({ queue, exclusive: true }) : error
    ),
    Effect.retry({ schedule: Reconnect.exponential(), while: AmqpError.isTransient })
  )

/** What to do about a publish that did not go well. */
const advice = (error: AmqpError.ConfirmError): string => {
  switch (error._tag) {
    case "PublishReturned":
      return `nobody listens to ${error.routingKey}`
    case "PublishNacked":
      return "the broker has no room for it now: send it again later"
    case "OutcomeUnknown":
      return "it may have arrived: send it again where a duplicate does no harm"
    case "ChannelError":
      return `the broker objects to ${error.method}: ${error.code}`
    case "ConnectionLost":
    case "ConnectionClosed":
    case "OperationTimeout":
    case "NotReady":
      return "it was not sent"
  }
}

export const program = Effect.gen(function*() {
  const channel = yield* Channel.make()
  const { queue } = yield* ensureQueue(channel, "examples.orders")

  const confirm = yield* Channel.makeConfirm()
  const explain = (message: { readonly exchange?: string; readonly routingKey: string }) =>
    confirm.publish({ ...message, mandatory: true, content: "an order" }).pipe(
      Effect.as("confirmed"),
      Effect.catchAll((error) => Effect.succeed(advice(error)))
    )
  const outcomes = {
    known: yield* explain({ routingKey: queue }),
    noQueue: yield* explain({ routingKey: "examples.nowhere" }),
    noExchange: yield* explain({ exchange: "examples.missing", routingKey: queue }),
    // The broker closed the channel over the last one. It is open again, and nothing else was disturbed.
    knownAgain: yield* explain({ routingKey: queue })
  }

  // A connection that is not let in says where and why, without the password.
  const refused = yield* Connection.make({
    url: yield* brokerUrl,
    username: "nobody",
    password: Redacted.make("s3cret")
  }).pipe(Effect.flip)

  return { queue, outcomes, refused }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
