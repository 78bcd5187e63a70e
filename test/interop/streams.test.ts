import { Transport } from "effect-amqp"
import { Arguments, Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

/** A channel on a network that can be cut, another one that cannot, and a stream. */
const setting = Effect.gen(function*() {
  const { url } = yield* SharedRabbitMq
  const network = yield* Effect.provide(Transport.cuttable, NodeTransport.layer)
  const connection = yield* Effect.provideService(Connection.make({ url }), Transport.Transport, network.transport)
  const other = yield* Effect.provide(Connection.make({ url }), NodeTransport.layer)
  const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
  const publisher = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, other)
  const queue = `stream-${randomUUID()}`
  yield* publisher.queueDeclare({ queue, arguments: Arguments.queue({ type: "stream" }) })
  yield* Effect.addFinalizer(() => Effect.ignore(publisher.queueDelete({ queue })))
  const publish = (...contents: ReadonlyArray<string>) =>
    publisher.publishAll(contents.map((content) => ({ routingKey: queue, content })))
  // RabbitMQ counts no consumers of a stream; but a call of the same channel is answered behind the consume.
  const consuming = Effect.zipRight(
    Effect.sleep("1 millis"),
    channel.exchangeDeclare({ exchange: "amq.direct", passive: true })
  )
  return { channel, connection, consuming, cut: network.cut, publish, queue }
})

describeRabbit("A consumer of a stream that comes back on a new socket", (it) => {
  for (const streamOffset of ["first", "next"] as const) {
    it.scoped(`goes on at the first delivery that was not settled, whatever it began with ("${streamOffset}")`, () =>
      Effect.gen(function*() {
        const { channel, consuming, cut, publish, queue } = yield* setting
        const seen: Array<string> = []
        const fiber = yield* channel.consume({ queue, arguments: Arguments.consumer({ streamOffset }) }).pipe(
          Stream.runForEach((delivery) => {
            seen.push(delivery.text)
            return delivery.text === "2" ? Effect.void : delivery.ack
          }),
          Effect.fork
        )
        yield* consuming
        yield* publish("0", "1", "2", "3")
        yield* eventually(Effect.sync(() => seen.length), 4)
        yield* cut
        yield* eventually(Effect.sync(() => seen.slice(4, 6)), ["2", "3"])
        yield* publish("4")
        yield* eventually(Effect.sync(() => seen.slice(6)), ["4"])
        yield* Fiber.interrupt(fiber)
      }))
  }

  it.scoped("goes on behind the last one, when all were settled; what came meanwhile is not lost", () =>
    Effect.gen(function*() {
      const { channel, connection, consuming, cut, publish, queue } = yield* setting
      const seen: Array<string> = []
      yield* channel.consume({ queue, arguments: Arguments.consumer({ streamOffset: "next" }) }).pipe(
        Stream.runForEach((delivery) => Effect.zipRight(Effect.sync(() => seen.push(delivery.text)), delivery.ack)),
        Effect.forkScoped
      )
      yield* consuming
      yield* publish("0", "1")
      yield* eventually(Effect.sync(() => seen.length), 2)
      yield* cut
      yield* publish("2", "3")
      yield* eventually(Effect.map(connection.info, ({ epoch }) => epoch), 2)
      yield* eventually(Effect.sync(() => seen), ["0", "1", "2", "3"])
    }))
})
