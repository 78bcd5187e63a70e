/**
 * Topology as a value: declared for as long as its scope is open, on every socket; what declaring it would do, told
 * beforehand; and what comes back by itself of everything else that was declared.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Transport } from "effect-amqp"
import { Arguments, Channel, Connection, Topology } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { brokerUrl, isMain, NetworkLive } from "./main.ts"

const exchange = "examples.topology"
const billing = "examples.topology.billing"

/** With room for so many orders. */
const wanted = (maxLength: number): Topology.Topology => ({
  exchanges: [{ exchange, type: "topic", durable: false, autoDelete: true }],
  queues: [{ queue: billing, exclusive: true, arguments: Arguments.queue({ maxLength }) }],
  bindings: [{ queue: billing, exchange, routingKey: "order.#" }]
})

const shown = (topology: Topology.Topology) => Effect.map(Topology.plan(topology), Topology.show)

const run = Effect.fn("run")(function*(cut: Effect.Effect<number>) {
  const connection = yield* Connection.Connection
  const before = yield* shown(wanted(100))

  yield* Topology.declare(wanted(100))
  const after = yield* shown(wanted(200))

  // Not in the value, but declared through the connection: a queue that the broker names.
  const channel = yield* Channel.makeConfirm()
  const audit = yield* channel.queueDeclare()
  const { queue: firstName } = audit
  yield* channel.queueBind({ queue: audit, exchange, routingKey: "#" })

  const recovery = yield* Effect.fork(Stream.runHead(connection.recoveries))
  yield* Effect.yieldNow()
  yield* cut
  const report = yield* Effect.flatten(Fiber.join(recovery))

  // Waits for the connection, and finds every way as it was.
  yield* channel.publish({ exchange, routingKey: "order.placed", mandatory: true, content: "1" })
  const ready = (queue: string) =>
    Effect.map(channel.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount)
  return {
    before: before.split("\n"),
    after: after.split("\n"),
    restored: report.restored,
    renamed: report.renamed.length === 1 && audit.queue !== firstName,
    ready: [yield* ready(billing), yield* ready(audit.queue)]
  }
})

export const program = Effect.gen(function*() {
  // A Transport whose sockets can be cut: what the network does to us, on demand.
  const network = yield* Transport.cuttable
  return yield* Effect.scoped(run(network.cut)).pipe(
    Effect.provide(Connection.layer({ url: yield* brokerUrl })),
    Effect.provideService(Transport.Transport, network.transport)
  )
})

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(NetworkLive)))
}
