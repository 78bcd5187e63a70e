/**
 * A pool of connections for each tenant's virtual host, by `LayerMap`: made when first asked for, closed when nobody has
 * used it for a minute. With `RcMap` the same goes by any key, a URL for instance. The vhosts are an embedded broker's.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Transport } from "effect-amqp"
import { Connection, ConnectionPool } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as RcMap from "effect/RcMap"
import { isMain } from "./main.ts"

export class Tenants extends LayerMap.Service<Tenants>()("examples/Tenants", {
  lookup: (vhost: string) => ConnectionPool.layer({ url: "memory://", vhost, limit: 10 }),
  idleTimeToLive: "1 minute"
}) {}

/** A broker with the tenants' vhosts, and the Transport that reaches it. */
export const BrokerLive = Broker.layer({ vhosts: ["tenant-a", "tenant-b"] }).pipe(
  Layer.provideMerge(Transport.layerMemory)
)

const vhost = Effect.map(Effect.flatMap(Connection.Connection, ({ info }) => info), ({ options }) => options.vhost)

const whoseTurn = Effect.flatMap(ConnectionPool.ConnectionPool, (pool) => pool.ensure(vhost))

export const program = Effect.gen(function*() {
  const a = yield* Effect.provide(whoseTurn, Tenants.get("tenant-a"))
  const b = yield* Effect.provide(whoseTurn, Tenants.get("tenant-b"))

  const pools = yield* RcMap.make({
    lookup: (url: string) => ConnectionPool.make({ url, limit: 2 }),
    idleTimeToLive: "1 minute"
  })
  const byUrl = yield* Effect.scoped(
    Effect.flatMap(RcMap.get(pools, "memory://localhost/tenant-b"), (pool) => pool.ensure(vhost))
  )
  return { a, b, byUrl }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(Tenants.Default), Effect.provide(BrokerLive))
  )
}
