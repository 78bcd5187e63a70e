/**
 * One connection over three nodes: when a node goes away the next one is dialled, and what comes back is the same
 * connection. The nodes are three embedded brokers on one network in memory.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Reconnect, Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { isMain } from "./main.ts"

export const ConnectionLive = Connection.layer({
  urls: ["amqp://node-1:5671", "amqp://node-2:5672", "amqp://node-3:5673"],
  // Where the next dial goes: on from the node that was lost.
  failover: "round-robin",
  // Patience of the first connect, in whole rounds over the nodes: the first and two more.
  connect: Schedule.recurs(2),
  // The pause after a loss, and after each round in which no node answered: from `first` to `max`, jittered.
  reconnect: Reconnect.exponential({ first: "100 millis", max: "10 seconds" }),
  // What dialling again cannot heal.
  isFinal: (fault) => fault._tag === "ConnectError" && fault.reason === "Auth",
  heartbeat: "60 seconds",
  blockedTimeout: "5 minutes",
  operationTimeout: "30 seconds",
  name: "orders-service",
  clientProperties: { team: "billing" }
})

const openOn = (connection: Connection.Connection, epoch: number) =>
  connection.changes.pipe(
    Stream.filter((state) => state._tag === "Open" && state.epoch === epoch),
    Stream.take(1),
    Stream.runDrain,
    Effect.zipRight(Effect.map(connection.info, (info) => info.endpoint))
  )

const leave = (node: Broker.Broker["Type"]) => Effect.zipRight(node.refuse(), node.dropConnections)

export const program = Effect.gen(function*() {
  // Nobody listens on node-1: it is down from the start.
  const second = yield* Broker.make({ port: 5672 })
  const third = yield* Broker.make({ port: 5673 })

  return yield* Effect.gen(function*() {
    const connection = yield* Connection.Connection
    const first = yield* openOn(connection, 1)
    yield* leave(second)
    const afterLoss = yield* openOn(connection, 2)
    yield* second.heal("refuse")
    yield* leave(third)
    const afterAnother = yield* openOn(connection, 3)
    return [first, afterLoss, afterAnother]
  }).pipe(Effect.provide(ConnectionLive))
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Transport.layerMemory)))
}
