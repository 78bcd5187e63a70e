/** effect-amqp, as its documentation says to use it. */
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  Channel,
  ChannelPool,
  Connection,
  Consumer,
  Frame,
  Message,
  Method,
  Properties,
  Rpc
} from "../../../src/amqp091/index.ts"
import { FrameParser } from "../../../src/amqp091/internal/frameParser.ts"
import { NodeTransport } from "../../../src/node/index.ts"
import { Transport } from "../../../src/Transport.ts"
import * as Allocation from "../../../src/wire/Allocation.ts"
import { ByteReader } from "../../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../../src/wire/ByteWriter.ts"
import type { Bodies, Client, Codec, ConsumeOptions, Link, Publisher, Receiver, Target } from "../client.ts"
import { headers, isRight, properties } from "../codec.ts"

const messages = (bodies: Bodies, count: number) => {
  const each = bodies.map((content) => ({ routingKey: "bench", content }))
  return Array.makeBy(count, (index) => each[index % each.length]!)
}

const plainPublisher = (channel: Channel.Channel): Publisher => ({
  ...neither,
  stream: (bodies, count) => Effect.runPromise(channel.publishAll(messages(bodies, count))),
  declare: (queue) => Effect.runPromise(channel.queueDeclare({ queue }))
})

const looping = (publish: (message: Message.Message) => Effect.Effect<void, unknown>): Publisher["loops"] =>
(
  bodies,
  count,
  loops
) => {
  const all = messages(bodies, count)
  let next = 0
  const loop = Effect.whileLoop({
    while: () => next < count,
    body: () => publish(all[next++]!),
    step: () => {}
  })
  return Effect.runPromise(Effect.all(Array.makeBy(loops, () => loop), { concurrency: "unbounded", discard: true }))
}

const confirmPublisher = (channel: Channel.ConfirmChannel): Publisher => ({
  ...neither,
  window: (bodies, count) => Effect.runPromise(channel.publishAll(messages(bodies, count))),
  loops: looping(channel.publish),
  declare: (queue) => Effect.runPromise(channel.queueDeclare({ queue }))
})

const pooledPublisher = (pool: ChannelPool.ChannelPool): Publisher => ({
  ...neither,
  loops: looping(pool.publish),
  declare: (queue) => Effect.runPromise(pool.use((channel) => channel.queueDeclare({ queue })))
})

const neither = {
  stream: () => Promise.reject(new Error("a channel with confirms")),
  window: () => Promise.reject(new Error("a channel without confirms")),
  loops: () => Promise.reject(new Error("a channel without confirms"))
}

const take = (
  channel: Channel.Channel,
  { noAck, prefetch, queues, way }: ConsumeOptions,
  receiver: Receiver
): Effect.Effect<unknown, unknown, Connection.Connection> =>
  Effect.forEach(queues, (queue): Effect.Effect<unknown, unknown, Connection.Connection> => {
    if (way === "handler") {
      const handle = (content: Uint8Array, delivery: Message.Delivery) =>
        Effect.sync(() => receiver.message(content, delivery.deliveryTag))
      return noAck
        ? Consumer.runNoAck({ queue, content: Message.bytes }, handle)
        : Consumer.run({ queue, content: Message.bytes, prefetch }, handle)
    }
    const deliveries = channel.consume({ queue, prefetch, noAck })
    if (way === "elements") {
      return Stream.runForEach(deliveries, (delivery) =>
        Effect.suspend(() => {
          receiver.message(delivery.content, delivery.deliveryTag)
          return noAck ? Effect.void : delivery.ack
        }))
    }
    return Stream.runForEachChunk(deliveries, (chunk) =>
      Effect.suspend(() => {
        for (const delivery of chunk) receiver.message(delivery.content, delivery.deliveryTag)
        return noAck ? Effect.void : channel.ackAll(chunk)
      }))
  }, { concurrency: "unbounded", discard: true })

// A program has one transport, whatever the number of its connections.
const transport = Effect.runSync(Effect.scoped(Layer.build(NodeTransport.layer)))

const open = async (target: Target): Promise<Link> => {
  const scope = Effect.runSync(Scope.make())
  const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.extend(effect, scope))
  const connection = await run(
    Connection.make({
      host: "127.0.0.1",
      port: target.tls ? target.tlsPort : target.port,
      frameMax: target.frameMax,
      tls: target.tls ? { ca: [{ file: target.ca }] } : undefined
    }).pipe(Effect.provideService(Transport, Context.get(transport, Transport)))
  )
  const onConnection = <A, E>(effect: Effect.Effect<A, E, Connection.Connection | Scope.Scope>) =>
    run(Effect.provideService(effect, Connection.Connection, connection))
  return {
    publishers: (confirms, channels, window = 1000) =>
      onConnection(Effect.replicateEffect(
        confirms
          ? Effect.map(Channel.makeConfirm({ window }), confirmPublisher)
          : Effect.map(Channel.make(), plainPublisher),
        channels
      )),
    pooled: (channels) =>
      onConnection(Effect.map(ChannelPool.make({ limit: channels, preconnect: channels }), pooledPublisher)),
    consume: (options, receiver) =>
      onConnection(Effect.gen(function*() {
        const channel = yield* Channel.make()
        yield* Effect.raceFirst(take(channel, options, receiver), Effect.promise(() => receiver.done))
      })),
    calls: ({ bodies, count, inFlight, queue, replied }) =>
      Effect.runPromise(
        Effect.scoped(Effect.gen(function*() {
          const channel = yield* Channel.make()
          yield* channel.queueDeclare({ queue, exclusive: true })
          yield* Effect.forkScoped(Rpc.serve({ queue, prefetch: 100 }, Effect.succeed))
          const rpc = yield* Rpc.client()
          let next = 0
          const loop = Effect.whileLoop({
            while: () => next < count,
            body: () => {
              const index = next++
              return Effect.map(
                rpc.call({ routingKey: queue, content: bodies[index % bodies.length]! }),
                ({ content }) => replied(content, index)
              )
            },
            step: () => {}
          })
          yield* Effect.all(Array.makeBy(inFlight, () => loop), { concurrency: "unbounded", discard: true })
        })).pipe(Effect.provideService(Connection.Connection, connection))
      ),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

// What the engine does with a message, without the engine.
const codec = (): Codec => {
  const writer = new ByteWriter(4096)
  const reader = new ByteReader()
  let decoded: Properties.BasicProperties = {}
  let content: Uint8Array = new Uint8Array(0)
  const parser = new FrameParser({
    onMethod: (_, bytes, start, end) => void Method.decode(reader.reset(bytes, start, end)),
    onHeader: (_, bytes, start, end) => {
      decoded = Properties.decodeHeader(reader.reset(bytes, start, end)).properties
    },
    onBody: (_, bytes, start, end) => {
      content = Allocation.copy(bytes, start, end)
    },
    onBodyEnd: () => {},
    onHeartbeat: () => {},
    onProtocolHeader: () => {}
  })
  const publish: Method.Method = {
    _tag: "BasicPublish",
    exchange: "exchange",
    routingKey: "routing.key",
    mandatory: false,
    immediate: false
  }
  return {
    encode: (body) => {
      writer.length = 0
      Frame.encodeMethod(writer, 1, publish)
      Frame.encodeHeader(writer, 1, body.length, { ...properties, headers })
      Frame.encodeBody(writer, 1, body)
      return writer.length
    },
    decode: (delivery, check) => {
      parser.receive(delivery, 0, delivery.length)
      return !check || isRight({ ...decoded, size: content.length }, 100)
    }
  }
}

export const client: Client = { open, codec }
