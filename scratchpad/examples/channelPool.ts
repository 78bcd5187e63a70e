/**
 * A pool of confirm channels: a thousand fibers publish through a few of them, each hears of its own messages, and who
 * wants a channel to itself borrows one.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ChannelPool } from "effect-amqp/amqp091"
import * as Array from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { isMain, Live } from "./main.ts"

const queue = "examples.channel-pool"

export const ChannelsLive = ChannelPool.layer({ limit: 8, window: 200 })

/** Publishes share channels: nobody waits for anybody's turn. */
const publish = (content: string) =>
  Effect.flatMap(
    ChannelPool.ChannelPool,
    (channels) =>
      channels.publish({ routingKey: content === "lost" ? "examples.nowhere" : queue, mandatory: true, content })
  )

export const program = Effect.gen(function*() {
  const channels = yield* ChannelPool.ChannelPool
  yield* channels.use((channel) => channel.queueDeclare({ queue, durable: false }))

  const orders = Array.makeBy(1000, (index) => index % 100 === 0 ? "lost" : `order ${index}`)
  const [returned, confirmed] = yield* Effect.partition(orders, publish, { concurrency: "unbounded" })

  // A borrowed channel is one's own; a changed prefetch or a fault does not reach the next borrower.
  const stored = yield* channels.use((channel) => channel.queueDelete({ queue }))
  const { active, total } = yield* channels.stats
  return {
    confirmed: confirmed.length,
    returned: returned.filter((fault) => fault._tag === "PublishReturned").length,
    stored,
    active,
    isWithinLimit: total <= 8
  }
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(ChannelsLive), Effect.provide(Live)))
}
