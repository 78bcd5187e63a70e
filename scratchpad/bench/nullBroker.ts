/**
 * A peer that costs less than the clients it is measured with. It routes and stores nothing: answers are encoded ahead,
 * publishes are counted and confirmed once per read, deliveries are blasted from blocks in which only tag and id change.
 * It keeps an account of what came, so that a bench can check it.
 *
 * Queue names are commands: a consumer of `deliver-COUNT-SIZE` gets that many messages of that size; declaring `slow`
 * makes it read slowly from then on; declaring `stats-NAME` answers two counters as message and consumer count.
 */
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Frame from "../../src/amqp091/Frame.ts"
import type * as Method from "../../src/amqp091/Method.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

const frameMax = 131072
const maxBody = frameMax - 8
const frameEnd = 0xce
/** What may wait in a socket before no more is blasted into it. */
const highWater = 512 * 1024
const blockSize = 64 * 1024
const slowPause = 2

const encoded = (channel: number, method: Method.Method): Buffer => {
  const writer = new ByteWriter(256)
  Frame.encodeMethod(writer, channel, method)
  return Buffer.from(writer.toBytes())
}

const greeting = encoded(0, {
  _tag: "ConnectionStart",
  versionMajor: 0,
  versionMinor: 9,
  serverProperties: {
    product: "null",
    capabilities: { publisher_confirms: true, "basic.nack": true, consumer_cancel_notify: true }
  },
  mechanisms: "PLAIN",
  locales: "en_US"
})
const tune = encoded(0, { _tag: "ConnectionTune", channelMax: 2047, frameMax, heartbeat: 0 })
const openOk = encoded(0, { _tag: "ConnectionOpenOk" })
const closeOk = encoded(0, { _tag: "ConnectionCloseOk" })
const confirm = encoded(0, { _tag: "BasicAck", deliveryTag: 0, multiple: true })

const id = (classId: number, methodId: number): number => (classId << 16) | methodId

interface Block {
  readonly bytes: Buffer
  /** Where in it each message begins. */
  readonly starts: ReadonlyArray<number>
}

interface Consumer {
  readonly noAck: boolean
  readonly tag: string
  readonly size: number
  /** 0: no limit. */
  readonly prefetch: number
  readonly spare: Array<Block>
  remaining: number
  outstanding: number
  sent: number
}

class Channel {
  confirms = false
  published = 0
  confirmed = 0
  /** Octets of the present content that are still to come. */
  left = 0
  /** Octets of the present content; -1 outside of one. */
  size = -1
  prefetch = 0
  delivered = 0
  oldest = 1
  /** Of each delivery that may be settled, by tag: its consumer's index + 1. */
  readonly open = new Uint16Array(65536)
  readonly consumers: Array<Consumer> = []
}

// Where a block's messages have what changes: tag and id, counted from the message's beginning.
const template = (number: number, consumer: Consumer): { readonly block: Block; readonly at: Layout } => {
  const { size, tag } = consumer
  const writer = new ByteWriter(size + 1024)
  Frame.encodeMethod(writer, number, {
    _tag: "BasicDeliver",
    consumerTag: tag,
    deliveryTag: 0,
    redelivered: false,
    exchange: "",
    routingKey: "bench"
  })
  Frame.encodeHeader(writer, number, size, {})
  const body = new Uint8Array(size).fill(0x2e)
  const idAt = writer.length + 7
  for (let offset = 0; offset < size; offset += maxBody) {
    Frame.encodeBody(writer, number, body, offset, Math.min(size, offset + maxBody))
  }
  const one = writer.toBytes()
  const count = Math.max(1, Math.floor(blockSize / one.length))
  const bytes = Buffer.alloc(one.length * count)
  const starts = Array.from({ length: count }, (_, index) => index * one.length)
  for (const start of starts) bytes.set(one, start)
  return { block: { bytes, starts }, at: { tag: 12 + tag.length, id: idAt, length: one.length } }
}

interface Layout {
  readonly tag: number
  readonly id: number
  readonly length: number
}

class Peer {
  private readonly socket: Net.Socket
  private readonly channels = new Map<number, Channel>()
  private readonly layouts = new Map<Consumer, Layout>()
  private readonly consumers: Array<{ readonly number: number; readonly channel: Channel; readonly it: Consumer }> = []
  private readonly touched: Array<[number, Channel]> = []
  private readonly cpu = process.cpuUsage()
  private carry: Buffer | undefined
  private skip = 8 // the protocol header
  private greeted = false
  private slow = false
  private pumping = false
  private next = 0
  private count = 0
  private bytes = 0
  private sum = 0
  private hash = 0
  private acks = 0
  private violations = 0

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on("data", (bytes) => this.receive(bytes))
    socket.on("drain", () => this.pump())
    socket.on("error", () => socket.destroy())
  }

  private receive(chunk: Buffer): void {
    let bytes = chunk
    if (this.carry !== undefined) {
      bytes = Buffer.concat([this.carry, chunk])
      this.carry = undefined
    }
    const end = bytes.length
    let at = Math.min(this.skip, end)
    this.skip -= at
    if (!this.greeted && this.skip === 0) {
      this.greeted = true
      this.socket.write(greeting)
    }
    while (end - at >= 11) {
      const type = bytes[at]
      const number = (bytes[at + 1]! << 8) | bytes[at + 2]!
      const whole = bytes.readUInt32BE(at + 3) + 8
      if (type === 3) {
        this.body(number, bytes, at, whole - 8)
        if (end - at < whole) {
          this.skip = whole - (end - at)
          at = end
          break
        }
      } else {
        if (end - at < whole) break
        if (type === 2) this.header(number, bytes, at + 7)
        else if (type === 1) this.method(number, bytes, at + 7)
      }
      at += whole
      if (bytes[at - 1] !== frameEnd) this.violations++
    }
    if (at < end) this.carry = Buffer.from(bytes.subarray(at))
    this.confirmTouched()
    this.pump()
    if (this.slow) {
      this.socket.pause()
      setTimeout(() => this.socket.resume(), slowPause)
    }
  }

  private header(number: number, bytes: Buffer, at: number): void {
    const channel = this.channels.get(number)
    if (channel === undefined || channel.size !== -1) return void this.violations++
    channel.size = channel.left = bytes.readUInt32BE(at + 8)
    if (channel.size === 0) this.published(number, channel)
  }

  private body(number: number, bytes: Buffer, at: number, size: number): void {
    const channel = this.channels.get(number)
    if (channel === undefined || channel.size < 0 || size > channel.left) return void this.violations++
    if (channel.left === channel.size) {
      const which = bytes.readUInt32BE(at + 7)
      this.sum = (this.sum + which) >>> 0
      this.hash = (Math.imul(this.hash, 31) + which) >>> 0
    }
    this.bytes = (this.bytes + size) >>> 0
    channel.left -= size
    if (channel.left === 0) this.published(number, channel)
  }

  private published(number: number, channel: Channel): void {
    channel.size = -1
    channel.published++
    this.count++
    if (channel.confirms && channel.published === channel.confirmed + 1) this.touched.push([number, channel])
  }

  private confirmTouched(): void {
    if (this.touched.length === 0) return
    this.socket.cork()
    for (const [number, channel] of this.touched.splice(0)) {
      const answer = Buffer.from(confirm)
      answer.writeUInt16BE(number, 1)
      answer.writeUInt32BE(channel.published, 15)
      channel.confirmed = channel.published
      this.socket.write(answer)
    }
    this.socket.uncork()
  }

  private reply(number: number, method: Method.Method): void {
    this.socket.write(encoded(number, method))
  }

  private method(number: number, bytes: Buffer, at: number): void {
    const method = bytes.readUInt32BE(at)
    const channel = this.channels.get(number)
    switch (method) {
      case id(10, 11):
        this.socket.write(tune)
        return
      case id(10, 40):
        this.socket.write(openOk)
        return
      case id(10, 50):
        this.socket.write(closeOk)
        this.socket.end()
        return
      case id(20, 10):
        this.channels.set(number, new Channel())
        return this.reply(number, { _tag: "ChannelOpenOk" })
    }
    if (number === 0) return
    if (channel === undefined) return void this.violations++
    switch (method) {
      case id(60, 40):
        return
      case id(60, 80):
        return this.acked(channel, bytes.readUInt32BE(at + 8), bytes[at + 12] === 1)
      case id(20, 40):
        this.channels.delete(number)
        return this.reply(number, { _tag: "ChannelCloseOk" })
      case id(85, 10):
        channel.confirms = true
        return this.reply(number, { _tag: "ConfirmSelectOk" })
      case id(60, 10):
        channel.prefetch = bytes.readUInt16BE(at + 8)
        return this.reply(number, { _tag: "BasicQosOk" })
      case id(50, 10):
        return this.declare(number, shortText(bytes, at + 6))
      case id(60, 20): {
        const queue = shortText(bytes, at + 6)
        const tagAt = at + 7 + queue.length
        const tag = shortText(bytes, tagAt)
        return this.consume(number, channel, queue, tag, (bytes[tagAt + 1 + tag.length]! & 2) !== 0)
      }
      case id(60, 30): {
        const consumerTag = shortText(bytes, at + 4)
        const consumer = channel.consumers.find((each) => each.tag === consumerTag)
        if (consumer !== undefined) consumer.remaining = 0
        return this.reply(number, { _tag: "BasicCancelOk", consumerTag })
      }
      default:
        this.violations++
    }
  }

  private declare(number: number, queue: string): void {
    if (queue === "slow") this.slow = true
    const [messageCount, consumerCount] = this.stats(queue)
    this.reply(number, { _tag: "QueueDeclareOk", queue, messageCount, consumerCount })
  }

  private stats(name: string): readonly [number, number] {
    switch (name) {
      case "stats-count":
        return [this.count, this.bytes]
      case "stats-ids":
        return [this.sum, this.hash]
      case "stats-acks":
        return [this.acks, this.violations]
      case "stats-cpu": {
        const { system, user } = process.cpuUsage(this.cpu)
        return [user + system, 0]
      }
      default:
        return [0, 0]
    }
  }

  // --- Deliveries ---

  private consume(number: number, channel: Channel, queue: string, tag: string, noAck: boolean): void {
    const [, count, size] = queue.split("-")
    const consumer: Consumer = {
      noAck,
      tag: tag === "" ? `null-${this.consumers.length}` : tag,
      size: Number(size),
      prefetch: noAck ? 0 : channel.prefetch,
      spare: [],
      remaining: Number(count),
      outstanding: 0,
      sent: 0
    }
    channel.consumers.push(consumer)
    this.consumers.push({ number, channel, it: consumer })
    this.reply(number, { _tag: "BasicConsumeOk", consumerTag: consumer.tag })
    setImmediate(() => this.pump())
  }

  private acked(channel: Channel, tag: number, multiple: boolean): void {
    if (tag > channel.delivered || tag < channel.oldest) return void this.violations++
    for (let each = multiple ? channel.oldest : tag; each <= tag; each++) {
      const index = channel.open[each & 0xffff]!
      if (index === 0) {
        if (!multiple) this.violations++
        continue
      }
      channel.open[each & 0xffff] = 0
      channel.consumers[index - 1]!.outstanding--
      this.acks++
    }
    while (channel.oldest <= channel.delivered && channel.open[channel.oldest & 0xffff] === 0) channel.oldest++
  }

  /** Blasts one block for each consumer in turn, as long as the socket takes it. */
  private pump(): void {
    if (this.pumping) return
    this.pumping = true
    let idle = 0
    while (idle < this.consumers.length && this.socket.writableLength < highWater && !this.socket.destroyed) {
      const { channel, it, number } = this.consumers[this.next++ % this.consumers.length]!
      const room = it.prefetch === 0 ? it.remaining : Math.min(it.remaining, it.prefetch - it.outstanding)
      if (room > 0) {
        idle = 0
        this.blast(number, channel, it, room)
      } else {
        idle++
      }
    }
    this.pumping = false
  }

  private blast(number: number, channel: Channel, consumer: Consumer, room: number): void {
    let block = consumer.spare.pop()
    if (block === undefined) {
      const made = template(number, consumer)
      block = made.block
      this.layouts.set(consumer, made.at)
    }
    const used = block
    const at = this.layouts.get(consumer)! // made with the first block
    const { bytes, starts } = used
    const count = Math.min(room, starts.length)
    const index = channel.consumers.indexOf(consumer) + 1
    for (let i = 0; i < count; i++) {
      const start = starts[i]!
      const tag = ++channel.delivered
      word(bytes, start + at.tag + 4, tag)
      word(bytes, start + at.id, consumer.sent++)
      if (!consumer.noAck) channel.open[tag & 0xffff] = index
    }
    if (consumer.noAck) channel.oldest = channel.delivered + 1
    else consumer.outstanding += count
    consumer.remaining -= count
    this.socket.write(bytes.subarray(0, count * at.length), () => {
      if (consumer.spare.length < 8) consumer.spare.push(used)
    })
  }
}

const word = (bytes: Buffer, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

const shortText = (bytes: Buffer, at: number): string => bytes.toString("latin1", at + 1, at + 1 + bytes[at]!)

const [cert, key] = process.argv.slice(2)
const plain = Net.createServer((socket) => void new Peer(socket))
const secure = Tls.createServer(
  cert === undefined || key === undefined ? {} : { cert: Fs.readFileSync(cert), key: Fs.readFileSync(key) },
  (socket) => void new Peer(socket)
)
const portOf = (server: Net.Server): number => {
  const address = server.address()
  return address !== null && typeof address === "object" ? address.port : 0
}
plain.listen(0, "127.0.0.1", () => {
  secure.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${JSON.stringify({ port: portOf(plain), tlsPort: portOf(secure) })}\n`)
  })
})
// Whoever started it holds its input: gone with it.
process.stdin.resume().on("end", () => process.exit(0))
