/**
 * The life of a connection as a Stream of states, what it agreed on with the broker, and an early goodbye.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { brokerUrl, isMain, NetworkLive } from "./main.ts"

const describe = (state: Connection.State): string => {
  switch (state._tag) {
    case "Idle":
      return `idle until ${state.until}`
    case "Connecting":
      return "connecting"
    case "Open":
      return `open, socket ${state.epoch}`
    case "Blocked":
      return `blocked: ${state.reason}`
    case "Recovering":
      return `recovering from ${state.fault._tag}`
    case "Closing":
      return "closing"
    case "Closed":
      return state.cause === undefined ? "closed" : `closed by ${state.cause._tag}`
  }
}

const watch = Effect.fn("watch")(function*(cut: Effect.Effect<number>) {
  const connection = yield* Connection.Connection
  // The present state and every later one; the Stream ends after `Closed`.
  const states = yield* connection.changes.pipe(Stream.map(describe), Stream.runCollect, Effect.fork)
  const before = yield* connection.info

  // So that the fork has seen the first state.
  yield* Effect.yieldNow()
  yield* cut
  const recovered = yield* connection.changes.pipe(
    Stream.filter((state) => state._tag === "Open" && state.epoch === 2),
    Stream.runHead
  )

  yield* connection.close({ code: 200, text: "Normal shutdown" })
  return {
    states: Chunk.toReadonlyArray(yield* Fiber.join(states)),
    recovered: recovered._tag,
    after: (yield* connection.state)._tag,
    agreed: { mechanism: before.mechanism, frameMax: before.frameMax, heartbeat: Duration.format(before.heartbeat) }
  }
})

export const program = Effect.gen(function*() {
  // A Transport whose sockets can be cut: what the network does to us, on demand.
  const network = yield* Transport.cuttable
  return yield* watch(network.cut).pipe(
    Effect.provide(Connection.layer({ url: yield* brokerUrl })),
    Effect.provideService(Transport.Transport, network.transport)
  )
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(NetworkLive)))
}
