/**
 * A connection for each tenant's virtual host: opened when first asked for, shared while it is used, and closed when it
 * has been idle for a minute. The vhosts are an embedded broker's.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import { isMain } from "./main.ts"

export class Vhosts extends LayerMap.Service<Vhosts>()("examples/Vhosts", {
  lookup: (vhost: string) => Connection.layer({ url: "memory://", vhost, name: `service@${vhost}` }),
  idleTimeToLive: "1 minute"
}) {}

/** A broker with the tenants' vhosts, and the Transport that reaches it. */
export const BrokerLive = Broker.layer({ vhosts: ["tenant-a", "tenant-b"] }).pipe(
  Layer.provideMerge(Transport.layerMemory)
)

const remind = (text: string) =>
  Effect.gen(function*() {
    const channel = yield* Channel.makeConfirm()
    const { queue } = yield* channel.queueDeclare({ queue: "reminders" })
    yield* channel.publish({ routingKey: queue, content: text })
    return (yield* channel.queueDeclare({ queue, passive: true })).messageCount
  }).pipe(Effect.scoped)

export const program = Effect.gen(function*() {
  const ofA = yield* remind("tea").pipe(Effect.zipRight(remind("cake")), Effect.provide(Vhosts.get("tenant-a")))
  const ofB = yield* remind("coffee").pipe(Effect.provide(Vhosts.get("tenant-b")))
  // A vhost that is not there is a typed fault of the connection, where it is asked for.
  const missing = yield* remind("nothing").pipe(Effect.provide(Vhosts.get("tenant-c")), Effect.flip)
  return { ofA, ofB, missing: missing._tag === "ConnectError" ? missing.reason : missing._tag }
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(Vhosts.Default), Effect.provide(BrokerLive))
  )
}
