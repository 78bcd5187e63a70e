/** `@cloudamqp/amqp-client`. */
import { AMQPChannel, AMQPClient, AMQPConsumer, type AMQPMessage } from "@cloudamqp/amqp-client"
import { AMQPBaseClient } from "@cloudamqp/amqp-client/amqp-base-client"
import { AMQPView } from "@cloudamqp/amqp-client/amqp-view"
import * as Fs from "node:fs"
import type { Client, Codec, Link, Publisher, Target } from "../client.ts"
import { batched, looped, url } from "../client.ts"
import { headers, isRight, properties } from "../codec.ts"

const streamWindow = 100

const publisherOf = (channel: AMQPChannel): Publisher => {
  const publish = (body: Buffer) => channel.basicPublish("", "bench", body)
  return {
    stream: (bodies, count) => batched(count, streamWindow, (index) => publish(bodies[index % bodies.length]!)),
    window: (bodies, count, window) => batched(count, window, (index) => publish(bodies[index % bodies.length]!)),
    loops: (bodies, count, loops) => looped(count, loops, (index) => publish(bodies[index % bodies.length]!)),
    declare: (queue) => channel.queueDeclare(queue)
  }
}

const open = async (target: Target): Promise<Link> => {
  const client = new AMQPClient(
    `${url(target)}?frameMax=${target.frameMax}`,
    target.tls ? { ca: [Fs.readFileSync(target.ca)] } : undefined
  )
  const connection = await client.connect()
  return {
    publishers: (confirms, channels) =>
      Promise.all(Array.from({ length: channels }, async () => {
        const channel = await connection.channel()
        if (confirms) await channel.confirmSelect()
        return publisherOf(channel)
      })),
    consume: async ({ noAck, prefetch, queues }, receiver) => {
      const channel = await connection.channel()
      if (!noAck) await channel.basicQos(prefetch)
      for (const queue of queues) {
        await channel.basicConsume(queue, { noAck }, (message) => {
          receiver.message(message.body ?? new Uint8Array(0), message.deliveryTag)
          if (!noAck) void message.ack()
        })
      }
      await receiver.done
    },
    calls: async ({ bodies, count, inFlight, queue, replied }) => {
      const server = await connection.channel()
      await server.queueDeclare(queue, { exclusive: true, durable: false })
      await server.basicQos(100)
      await server.basicConsume(queue, { noAck: false }, (message) => {
        const { correlationId, replyTo } = message.properties
        void server.basicPublish("", replyTo ?? "", message.body, correlationId === undefined ? {} : { correlationId })
        void message.ack()
      })
      const channel = await connection.channel()
      const waiting = new Map<string, (body: Uint8Array) => void>()
      await channel.basicConsume("amq.rabbitmq.reply-to", { noAck: true }, (message) => {
        const { correlationId = "" } = message.properties
        waiting.get(correlationId)?.(message.body ?? new Uint8Array(0))
        waiting.delete(correlationId)
      })
      let id = 0
      await looped(count, inFlight, async (index) => {
        const correlationId = String(++id)
        const body = await new Promise<Uint8Array>((resolve) => {
          waiting.set(correlationId, resolve)
          const properties = { correlationId, replyTo: "amq.rabbitmq.reply-to", expiration: "30000" }
          void channel.basicPublish("", queue, bodies[index % bodies.length]!, properties, true)
        })
        replied(body, index)
      })
      await channel.close()
      await server.queueDelete(queue)
      await server.close()
    },
    close: () => connection.close()
  }
}

// Its codec is inlined in its client: one whose socket is a variable.
class Loop extends AMQPBaseClient {
  octets = 0
  received: AMQPMessage | undefined

  constructor() {
    super("/", "guest", "guest", undefined, undefined, 131072)
    this.closed = false
    const channel = new AMQPChannel(this, 1)
    channel.consumers.set(
      "consumer-1",
      new AMQPConsumer(channel, "consumer-1", (message) => {
        this.received = message
      })
    )
    this.channels = [new AMQPChannel(this, 0), channel]
  }

  override connect(): Promise<AMQPBaseClient> {
    return Promise.resolve(this)
  }

  override send(bytes: Uint8Array): Promise<void> {
    this.octets = bytes.length
    return Promise.resolve()
  }

  protected override closeSocket(): void {}

  receive(bytes: Buffer): void {
    this.parseFrames(new AMQPView(bytes.buffer, bytes.byteOffset, bytes.length))
  }
}

const isThat = (message: AMQPMessage | undefined): boolean =>
  message !== undefined && isRight({ ...message.properties, size: message.body?.length ?? 0 }, 100)

const codec = (): Codec => {
  const loop = new Loop()
  const channel = loop.channels[1]!
  let decoded = 0
  return {
    encode: (body) => {
      void channel.basicPublish("exchange", "routing.key", body, { ...publishProperties, headers })
      return loop.octets
    },
    // It calls consumers in a microtask: they get their turn as often as a read of 64 KiB would give it.
    decode: (delivery, check) => {
      loop.receive(delivery)
      if (check) return Promise.resolve().then(() => isThat(loop.received))
      return ++decoded % 256 !== 0 || Promise.resolve(true)
    }
  }
}

const publishProperties = { ...properties, timestamp: new Date(properties.timestamp * 1000) }

export const client: Client = { open, codec }
