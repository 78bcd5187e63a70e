/** rabbitmq-client: raw channels, which cost less than its publishers and consumers. */
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { type Channel, Connection } from "rabbitmq-client"
import type { Client, Codec, Link, Publisher, Target } from "../client.ts"
import { batched, looped, url } from "../client.ts"
import { headers, isRight, properties } from "../codec.ts"

const envelope = { routingKey: "bench" }
/** As many unawaited writes as cost least; it queues them without a bound of its own. */
const streamWindow = 100

const publisherOf = (channel: Channel): Publisher => {
  const publish = (body: Buffer) => channel.basicPublish(envelope, body)
  return {
    stream: (bodies, count) => batched(count, streamWindow, (index) => publish(bodies[index % bodies.length]!)),
    window: (bodies, count, window) => batched(count, window, (index) => publish(bodies[index % bodies.length]!)),
    loops: (bodies, count, loops) => looped(count, loops, (index) => publish(bodies[index % bodies.length]!)),
    declare: (queue) => channel.queueDeclare({ queue })
  }
}

const open = async (target: Target): Promise<Link> => {
  const connection = new Connection({
    url: url(target),
    frameMax: target.frameMax,
    connectionName: "bench",
    ...(target.tls ? { tls: { ca: [Fs.readFileSync(target.ca)] } } : {})
  })
  connection.on("error", () => {})
  await connection.onConnect()
  return {
    publishers: (confirms, channels) =>
      Promise.all(Array.from({ length: channels }, async () => {
        const channel = await connection.acquire()
        if (confirms) await channel.confirmSelect()
        return publisherOf(channel)
      })),
    consume: async ({ noAck, prefetch, queues }, receiver) => {
      const channel = await connection.acquire()
      if (!noAck) await channel.basicQos({ prefetchCount: prefetch })
      for (const queue of queues) {
        await channel.basicConsume({ queue, noAck }, (message) => {
          receiver.message(message.body, message.deliveryTag)
          if (!noAck) channel.basicAck({ deliveryTag: message.deliveryTag })
        })
      }
      await receiver.done
      await channel.close()
    },
    // Its own client and server: nobody writes them anew.
    calls: async ({ bodies, count, inFlight, queue, replied }) => {
      const server = connection.createConsumer(
        { queue, queueOptions: { exclusive: true }, qos: { prefetchCount: 100 } },
        async (message, reply) => reply(message.body)
      )
      server.on("error", () => {})
      const client = connection.createRPCClient({ queues: [{ queue, exclusive: true }] })
      await looped(
        count,
        inFlight,
        async (index) => replied((await client.send(queue, bodies[index % bodies.length]!)).body, index)
      )
      await client.close()
      await server.close()
      await connection.queueDelete(queue)
    },
    // It waits for every channel that was acquired.
    close: () => Promise.race([connection.close(), new Promise<void>((resolve) => setTimeout(resolve, 50))])
  }
}

// Its codec has no public name.
const require = createRequire(import.meta.url)

const codec = (): Codec => {
  const { decodeFrame, genContentFrames } = require(join(dirname(require.resolve("rabbitmq-client")), "codec.js"))
  return {
    encode: (body) => {
      const fields = { ...properties, headers, exchange: "exchange", routingKey: "routing.key", rsvp1: 0 }
      let octets = 0
      for (const frame of genContentFrames(1, fields, body, 131072)) octets += frame.length
      return octets
    },
    decode: async (delivery, check) => {
      let at = 0
      const read = async (size: number) => delivery.subarray(at, at += size)
      await decodeFrame(read)
      const { fields } = await decodeFrame(read)
      const { payload } = await decodeFrame(read)
      return !check || isRight({ ...fields, size: payload.length }, 100)
    }
  }
}

export const client: Client = { open, codec }
