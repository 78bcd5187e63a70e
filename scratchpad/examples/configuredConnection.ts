/**
 * A connection whose endpoints come from the configuration, `AMQP_URL` in the environment: one URL, or a failover list
 * such as `amqp://a;amqp://b`. What only code can say stands beside it, and wins.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Connection, ConnectionOptions } from "effect-amqp/amqp091"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { isMain, NetworkLive } from "./main.ts"

const endpoints = ConnectionOptions.config("AMQP_URL").pipe(
  // Without the variable: the embedded broker.
  Config.withDefault([ConnectionOptions.make({ scheme: "memory" })])
)

export const ConnectionLive = Connection.layerConfig(endpoints, {
  heartbeat: "30 seconds",
  name: "configured",
  connect: Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(4))
})

export const program = Effect.gen(function*() {
  const connection = yield* Connection.Connection
  const { endpoint, heartbeat } = yield* connection.info
  return { endpoint, heartbeat: Duration.format(heartbeat) }
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(ConnectionLive), Effect.provide(NetworkLive))
  )
}
