/** amqplib: callbacks where it has them. */
import * as amqplib from "amqplib"
import { once } from "node:events"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import type { Client, Codec, Link, Publisher, Target } from "../client.ts"
import { looped, url } from "../client.ts"
import { headers, isRight, properties } from "../codec.ts"

const publisherOf = (channel: amqplib.Channel | amqplib.ConfirmChannel): Publisher => {
  const confirmed = (body: Buffer, answered: (error: unknown) => void): boolean =>
    "waitForConfirms" in channel && channel.publish("", "bench", body, {}, answered)
  return {
    stream: async (bodies, count) => {
      for (let i = 0; i < count; i++) {
        if (!channel.publish("", "bench", bodies[i % bodies.length]!)) await once(channel, "drain")
      }
    },
    window: (bodies, count, window) =>
      new Promise((resolve, reject) => {
        let sent = 0
        let answers = 0
        const send = () => void confirmed(bodies[sent++ % bodies.length]!, answered)
        const answered = (error: unknown) => {
          if (error !== null && error !== undefined) return reject(error)
          if (++answers === count) resolve()
          else if (sent < count) send()
        }
        while (sent < Math.min(window, count)) send()
      }),
    loops: (bodies, count, loops) =>
      looped(count, loops, (index) =>
        new Promise<void>((resolve, reject) => {
          confirmed(bodies[index % bodies.length]!, (error) => error ? reject(error) : resolve())
        })),
    declare: (queue) => channel.assertQueue(queue, { durable: false })
  }
}

const open = async (target: Target): Promise<Link> => {
  const connection = await amqplib.connect(
    `${url(target)}?frameMax=${target.frameMax}`,
    target.tls ? { ca: [Fs.readFileSync(target.ca)] } : {}
  )
  return {
    publishers: (confirms, channels) =>
      Promise.all(
        Array.from({ length: channels }, async () =>
          publisherOf(await (confirms ? connection.createConfirmChannel() : connection.createChannel())))
      ),
    consume: async ({ noAck, prefetch, queues }, receiver) => {
      const channel = await connection.createChannel()
      if (!noAck) await channel.prefetch(prefetch)
      for (const queue of queues) {
        await channel.consume(queue, (message) => {
          if (message === null) return
          receiver.message(message.content, message.fields.deliveryTag)
          if (!noAck) channel.ack(message)
        }, { noAck })
      }
      await receiver.done
    },
    calls: async ({ bodies, count, inFlight, queue, replied }) => {
      const server = await connection.createChannel()
      await server.assertQueue(queue, { exclusive: true, durable: false })
      await server.prefetch(100)
      await server.consume(queue, (message) => {
        if (message === null) return
        const { correlationId, replyTo } = message.properties
        server.publish("", replyTo, message.content, { correlationId })
        server.ack(message)
      })
      const channel = await connection.createChannel()
      const waiting = new Map<string, (body: Buffer) => void>()
      await channel.consume("amq.rabbitmq.reply-to", (message) => {
        if (message === null) return
        const { correlationId } = message.properties
        waiting.get(correlationId)?.(message.content)
        waiting.delete(correlationId)
      }, { noAck: true })
      let id = 0
      await looped(count, inFlight, async (index) => {
        const correlationId = String(++id)
        const body = await new Promise<Buffer>((resolve) => {
          waiting.set(correlationId, resolve)
          channel.publish("", queue, bodies[index % bodies.length]!, {
            correlationId,
            replyTo: "amq.rabbitmq.reply-to",
            expiration: "30000",
            mandatory: true
          })
        })
        replied(body, index)
      })
      await channel.close()
      await server.deleteQueue(queue)
      await server.close()
    },
    close: () => connection.close()
  }
}

// Its codec has no public name.
const require = createRequire(import.meta.url)
const inside = (file: string) => require(join(dirname(require.resolve("amqplib")), "lib", file))

const codec = (): Codec => {
  const { BasicProperties, BasicPublish, encodeMethod, encodeProperties } = inside("defs.js")
  const { decodeFrame, makeBodyFrame, parseFrame } = inside("frame.js")
  return {
    encode: (body) => {
      const fields = { ...properties, headers, exchange: "exchange", routingKey: "routing.key" }
      const method = encodeMethod(BasicPublish, 1, fields)
      const header = encodeProperties(BasicProperties, 1, body.length, fields)
      const all = Buffer.allocUnsafe(method.length + header.length + body.length + 8)
      let at = method.copy(all, 0)
      at += header.copy(all, at)
      makeBodyFrame(1, body).copy(all, at)
      return all.length
    },
    decode: (delivery, check) => {
      const method = parseFrame(delivery, 0)
      decodeFrame(method)
      const header = parseFrame(method.rest, 0)
      const { fields } = decodeFrame(header)
      const { content } = decodeFrame(parseFrame(header.rest, 0))
      return !check || isRight({ ...fields, size: content.length }, 100)
    }
  }
}

export const client: Client = { open, codec }
