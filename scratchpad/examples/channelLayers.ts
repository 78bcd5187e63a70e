/**
 * Channels as Layers: a function asks for the mode it needs, and the types hold it to that. `publish` of a
 * `ConfirmChannel` waits for the broker; a `Channel` cannot be given in its place.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { isMain, Live } from "./main.ts"

/** Needs a ConfirmChannel. */
export const deposit = (queue: Channel.QueueRef, content: string) =>
  Effect.flatMap(Channel.ConfirmChannel, (channel) => channel.publish({ routingKey: queue.queue, content }))

/** Needs a Channel. */
export const withdraw = (queue: Channel.QueueRef) =>
  Effect.gen(function*() {
    const channel = yield* Channel.Channel
    const taken = yield* channel.get({ queue })
    if (Option.isNone(taken)) return Option.none<string>()
    yield* taken.value.delivery.ack
    return Option.some(taken.value.delivery.text)
  })

export const ChannelsLive = Layer.merge(
  Channel.layer({ prefetch: 200 }),
  Channel.layerConfirm({ window: 1000, guarantee: "at-least-once" })
)

export const program = Effect.gen(function*() {
  const safe = yield* Effect.flatMap(Channel.Channel, (channel) => channel.queueDeclare())
  yield* deposit(safe, "gold")
  return [yield* withdraw(safe), yield* withdraw(safe)] as const
}).pipe(Effect.provide(ChannelsLive))

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
