/**
 * The embedded broker on TCP, for any AMQP client in any language; from a shell it is `npx effect-amqp broker`. Here the
 * client is ours, over real sockets.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { isMain } from "./main.ts"

/** Port 0 takes a free one; it listens on 127.0.0.1 unless told otherwise. */
export const BrokerLive = Broker.layer({ port: 0 }).pipe(Layer.provide(NodeTransport.layerServer))

/** A connection over TCP to wherever the broker listens. */
export const ConnectionLive = Layer.unwrapEffect(
  Effect.map(Broker.Broker, ({ host, port }) => Connection.layer({ host, port, name: "over-tcp" }))
).pipe(Layer.provide(NodeTransport.layer))

export const program = Effect.gen(function*() {
  const broker = yield* Broker.Broker
  const channel = yield* Channel.makeConfirm()
  const greetings = yield* channel.queueDeclare({ queue: "greetings" })
  yield* channel.publish({ routingKey: greetings.queue, content: "hello over TCP" })
  const greeting = yield* channel.consume({ queue: greetings }).pipe(
    Stream.tap((delivery) => delivery.ack),
    Stream.map((delivery) => delivery.text),
    Stream.runHead,
    Effect.flatten
  )
  // What the broker sees of us.
  const clients = yield* broker.connections
  return { greeting, clients: clients.map(({ channels, name, user, vhost }) => ({ channels, name, user, vhost })) }
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(ConnectionLive.pipe(Layer.provideMerge(BrokerLive))))
  )
}
