/**
 * One end of `throughput.ts`: an amqplib process that publishes with confirms, or one that takes and acknowledges, as users
 * of amqplib do. It says `ready`, a publisher then waits for a line of input, and `done` once all is confirmed or taken.
 */
import { once } from "node:events"
import { setTimeout } from "node:timers/promises"
import { client } from "./clients/amqplib.ts"

const [role, port, count, size] = process.argv.slice(2)
const total = Number(count)
const window = 1000
const prefetch = 100

const link = await client.open({ port: Number(port), tlsPort: 0, ca: "", tls: false, frameMax: 131072 })
const [publisher] = await link.publishers(true, 1)
if (publisher === undefined) throw new Error("no channel")
await publisher.declare("bench")

if (role === "publish") {
  process.stdout.write("ready\n")
  await once(process.stdin, "data")
  const bodies = Array.from({ length: 1024 }, (_, index) => {
    const body = Buffer.alloc(Number(size), 0x2e)
    body.writeUInt32BE(index)
    return body
  })
  await publisher.window(bodies, total, window)
} else {
  let taken = 0
  let finish: (() => void) | undefined
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const message = (body: Uint8Array, deliveryTag: number): void => {
    const id = new DataView(body.buffer, body.byteOffset).getUint32(0)
    if (body.length !== Number(size) || id !== taken % 1024 || deliveryTag !== taken + 1) {
      throw new Error(`message ${taken} came as ${id}, with ${body.length} octets and tag ${deliveryTag}`)
    }
    if (++taken === total) finish?.()
  }
  const consuming = link.consume({ queues: ["bench"], prefetch, noAck: false, way: "handler" }, { message, done })
  process.stdout.write("ready\n")
  await consuming
}
process.stdout.write("done\n")
// amqplib's goodbye overtakes acknowledgements that it has not written yet.
await setTimeout(100)
await link.close()
process.exit(0)
