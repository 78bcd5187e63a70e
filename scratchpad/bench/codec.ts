/** The message of the codec case: six properties, four headers. */
import * as Frame from "../../src/amqp091/Frame.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

export const headers = { tenant: "acme", attempt: 3, "x-trace": "4bf92f3577b34da6a3ce929d0e0e4736", sampled: true }

export const properties = {
  contentType: "application/json",
  deliveryMode: 2,
  priority: 4,
  correlationId: "c-0123456789",
  messageId: "m-0123456789",
  timestamp: 1_700_000_000
}

/** The frames of a delivery with them, on channel 1. */
export const deliveryOf = (body: Buffer): Buffer => {
  const writer = new ByteWriter(1024)
  Frame.encodeMethod(writer, 1, {
    _tag: "BasicDeliver",
    consumerTag: "consumer-1",
    deliveryTag: 1,
    redelivered: false,
    exchange: "exchange",
    routingKey: "routing.key"
  })
  Frame.encodeHeader(writer, 1, body.length, { ...properties, headers })
  Frame.encodeBody(writer, 1, body)
  return Buffer.from(writer.toBytes())
}

/** Whether a decoded message is that one. */
export const isRight = (
  decoded: { readonly messageId?: unknown; readonly headers?: unknown; readonly size: number },
  size: number
): boolean => {
  const { headers: found, messageId, size: actual } = decoded
  return actual === size && messageId === properties.messageId && typeof found === "object" && found !== null &&
    Object.entries(headers).every(([name, value]) => Object.entries(found).some(([n, v]) => n === name && v === value))
}
