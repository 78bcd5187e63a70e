/**
 * Several connections in one program, a tag for each. Here one publishes and one consumes, as RabbitMQ advises: a broker
 * short of memory stops reading from connections that publish, and consumers should go on.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { brokerUrl, isMain, NetworkLive } from "./main.ts"

export class Publishing extends Context.Tag("examples/Publishing")<Publishing, Connection.Connection>() {}
export class Consuming extends Context.Tag("examples/Consuming")<Consuming, Connection.Connection>() {}

const connect = (name: string) => Effect.flatMap(brokerUrl, (url) => Connection.make({ url, name }))

export const ConnectionsLive = Layer.merge(
  Layer.scoped(Publishing, connect("orders-publishing")),
  Layer.scoped(Consuming, connect("orders-consuming"))
)

// Whatever asks for a Connection is told which one where it is used.
const onPublishing = Effect.provideServiceEffect(Connection.Connection, Publishing)
const onConsuming = Effect.provideServiceEffect(Connection.Connection, Consuming)

export const program = Effect.gen(function*() {
  const publisher = yield* onPublishing(Channel.makeConfirm())
  const consumer = yield* onConsuming(Channel.make())

  // Exclusive to the connection that declares it, for consuming; anybody may publish to it.
  const { queue } = yield* consumer.queueDeclare()
  yield* publisher.publishAll(["one", "two", "three"].map((content) => ({ routingKey: queue, content })))

  const received = yield* consumer.consume({ queue }).pipe(
    Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.text)),
    Stream.take(3),
    Stream.runCollect
  )
  return Chunk.toReadonlyArray(received)
}).pipe(Effect.scoped)

if (isMain(import.meta.url)) {
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(ConnectionsLive), Effect.provide(NetworkLive))
  )
}
