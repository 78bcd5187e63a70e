/**
 * One process, one client: runs the cases it is given as JSON and prints a line of JSON for each. What was sent and
 * received is checked by number, ids and octets; a difference ends the process with an error.
 */
import type { Case, ClientName } from "./cases.ts"
import type { Bodies, Client, Link, Publisher, Receiver, Target } from "./client.ts"
import { median } from "./table.ts"

export interface Request {
  readonly client: ClientName
  readonly cases: ReadonlyArray<Case>
  readonly target: Omit<Target, "tls" | "frameMax">
}

export interface Sample {
  readonly case: string
  readonly client: ClientName
  /** In the case's unit. */
  readonly value: number
  /** Microseconds of wall time, and of the broker's CPU, for each message. */
  readonly wall: number
  readonly broker: number
}

const expectEqual = (what: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, and ${String(expected)} were expected`)
}

const collect = (): void => {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc")
  globalThis.gc()
}

interface Measured {
  readonly cpu: number
  readonly wall: number
}

const measure = async (work: () => Promise<unknown>): Promise<Measured> => {
  collect()
  const before = process.cpuUsage()
  const start = performance.now()
  await work()
  const wall = (performance.now() - start) * 1000
  const { system, user } = process.cpuUsage(before)
  return { cpu: user + system, wall }
}

// Enough that no two unsettled publishes share a body, and little enough that a big one fits into memory.
const bodiesOf = (size: number): Bodies =>
  Array.from({ length: size > 65536 ? 16 : size > 4096 ? 128 : 1024 }, (_, index) => {
    const body = Buffer.alloc(size, 0x2e)
    body.writeUInt32BE(index)
    return body
  })

/** What the broker must have counted. */
class Account {
  count = 0
  bytes = 0
  sum = 0
  hash = 0

  publish(bodies: Bodies, count: number): void {
    for (let i = 0; i < count; i++) {
      const id = i % bodies.length
      this.count++
      this.bytes = (this.bytes + bodies[id]!.length) >>> 0
      this.sum = (this.sum + id) >>> 0
      this.hash = (Math.imul(this.hash, 31) + id) >>> 0
    }
  }

  async check(publisher: Publisher, ordered: boolean): Promise<void> {
    const counted = await publisher.declare("stats-count")
    const ids = await publisher.declare("stats-ids")
    const acks = await publisher.declare("stats-acks")
    expectEqual("messages", counted.messageCount, this.count)
    // One of the clients reads these as signed.
    expectEqual("octets", counted.consumerCount >>> 0, this.bytes)
    expectEqual("sum of ids", ids.messageCount >>> 0, this.sum)
    if (ordered) expectEqual("hash of ids in order", ids.consumerCount >>> 0, this.hash)
    expectEqual("violations", acks.consumerCount, 0)
  }
}

const brokerCpu = async (publisher: Publisher): Promise<number> => (await publisher.declare("stats-cpu")).messageCount

const publish = async (
  link: Link,
  { channels = 1, count, kind, name, pool, size, window = 1000 }: Case,
  client: ClientName
) => {
  const bodies = bodiesOf(size)
  const account = new Account()
  const publishers = pool === undefined
    ? await link.publishers(kind !== "stream", channels, kind === "window" ? window : undefined)
    : [await link.pooled!(pool)] // such a case names the clients that have it
  const first = publishers[0]!
  const each = Math.max(1, Math.floor(count / channels))
  const run = async (count: number) => {
    await Promise.all(publishers.map((publisher) =>
      kind === "stream"
        ? publisher.stream(bodies, count)
        : kind === "loops"
        ? publisher.loops(bodies, count, window)
        : publisher.window(bodies, count, window)
    ))
    // Without confirms what was published may still be on its way.
    if (kind === "stream") await first.declare("none")
    for (let i = 0; i < channels; i++) account.publish(bodies, count)
  }
  await run(Math.ceil(each / 4))
  const broker = await brokerCpu(first)
  const { cpu, wall } = await measure(() => run(each))
  const total = each * channels
  const brokerAfter = await brokerCpu(first)
  await account.check(first, channels === 1 && pool === undefined)
  return { case: name, client, value: cpu / total, wall: wall / total, broker: (brokerAfter - broker) / total }
}

/** Takes deliveries and holds them against what the broker sends. */
class Taker implements Receiver {
  readonly done: Promise<void>
  end: Measured | undefined
  private resolve: () => void = () => {}
  private reject: (error: Error) => void = () => {}
  private readonly size: number
  private readonly left: { queues: number; count: number }
  private readonly ordered: boolean
  private next = 0
  private sum = 0
  private readonly sumExpected: number
  private cpu = process.cpuUsage()
  private start = performance.now()

  constructor(size: number, each: number, queues: number) {
    this.size = size
    this.left = { queues, count: each * queues }
    this.ordered = queues === 1
    this.sumExpected = queues * each * (each - 1) / 2
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  begin(): void {
    this.cpu = process.cpuUsage()
    this.start = performance.now()
  }

  readonly message = (body: Uint8Array, deliveryTag: number): void => {
    const id = ((body[0]! << 24) | (body[1]! << 16) | (body[2]! << 8) | body[3]!) >>> 0
    if (body.length !== this.size || (this.size > 4 && body[this.size - 1] !== 0x2e)) {
      return this.reject(
        new Error(`message ${id} came with ${body.length} octets, not ${this.size} or not the right ones`)
      )
    }
    if (this.ordered && (id !== this.next || deliveryTag !== id + 1)) {
      return this.reject(new Error(`message ${id} came with tag ${deliveryTag} where ${this.next} was expected`))
    }
    this.next++
    this.sum += id
    if (--this.left.count > 0) return
    const { system, user } = process.cpuUsage(this.cpu)
    this.end = { cpu: user + system, wall: (performance.now() - this.start) * 1000 }
    if (this.left.count < 0) return this.reject(new Error("more messages than there are"))
    if (this.sum !== this.sumExpected) return this.reject(new Error(`the sum of ids is ${this.sum}`))
    this.resolve()
  }
}

const consume = async (
  link: Link,
  { consumers = 1, count, name, noAck = false, size, way = "handler" }: Case,
  client: ClientName
) => {
  const [publisher] = await link.publishers(false, 1)
  const run = async (count: number) => {
    const taker = new Taker(size, count, consumers)
    collect()
    taker.begin()
    const queues = Array.from({ length: consumers }, () => `deliver-${count}-${size}`)
    await link.consume({ queues, prefetch: 100, noAck, way: client === "ours" ? way : "handler" }, taker)
    return taker.end!
  }
  const each = Math.max(1, Math.floor(count / consumers))
  const warm = Math.ceil(each / 4)
  await run(warm)
  // Many consumers take long to begin: what they cost is what more messages cost more.
  const begun = consumers > 1 ? await run(warm) : { cpu: 0, wall: 0 }
  const broker = await brokerCpu(publisher!)
  const measured = await run(each)
  const [cpu, wall] = [measured.cpu - begun.cpu, measured.wall - begun.wall]
  const total = each * consumers
  const counted = total - (consumers > 1 ? warm * consumers : 0)
  const brokerAfter = await brokerCpu(publisher!)
  // The last settlements are on their way: asked until they are there.
  const settled = noAck ? 0 : total + warm * consumers * (consumers > 1 ? 2 : 1)
  let acks = await publisher!.declare("stats-acks")
  for (let i = 0; i < 200 && acks.messageCount !== settled; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    acks = await publisher!.declare("stats-acks")
  }
  expectEqual("settled", acks.messageCount, settled)
  expectEqual("violations", acks.consumerCount, 0)
  return { case: name, client, value: cpu / counted, wall: wall / counted, broker: (brokerAfter - broker) / total }
}

const calls = async (link: Link, { count, name, size }: Case, client: ClientName): Promise<Sample> => {
  const bodies = bodiesOf(size)
  const queue = `bench-${client}-${process.pid}`
  const run = async (count: number) => {
    let replies = 0
    await link.calls({
      queue,
      bodies,
      count,
      inFlight: 100,
      replied: (body, index) => {
        expectEqual("octets of a reply", body.length, size)
        const id = ((body[0]! << 24) | (body[1]! << 16) | (body[2]! << 8) | body[3]!) >>> 0
        expectEqual("id of a reply", id, index % bodies.length)
        replies++
      }
    })
    expectEqual("replies", replies, count)
  }
  await run(Math.ceil(count / 4))
  const { cpu, wall } = await measure(() => run(count))
  return { case: name, client, value: cpu / count, wall: wall / count, broker: 0 }
}

const codec = async (client: Client, { count, name, size }: Case, clientName: ClientName): Promise<Sample> => {
  if (client.codec === undefined) throw new Error("no codec")
  const { deliveryOf } = await import("./codec.ts")
  const { decode, encode } = client.codec()
  const body = Buffer.alloc(size, 0x2e)
  const delivery = deliveryOf(body)
  const run = async (count: number) => {
    let octets = 0
    let right = true
    for (let i = 0; i < count; i++) {
      octets += encode(body)
      const decoded = decode(delivery, i === 0)
      right = (typeof decoded === "boolean" ? decoded : await decoded) && right
    }
    if (octets < count * size || !right) throw new Error("the codec does not do what is asked of it")
  }
  await run(Math.ceil(count / 4))
  const { cpu, wall } = await measure(() => run(count))
  return { case: name, client: clientName, value: cpu / count, wall: wall / count, broker: 0 }
}

const connections = async (
  open: () => Promise<Link>,
  { count, kind, name }: Case,
  client: ClientName
): Promise<Sample> => {
  const walls: Array<number> = []
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const start = performance.now()
      const link = await open()
      walls.push(performance.now() - start)
      await link.close()
    }
  }
  await run(Math.ceil(count / 4))
  walls.length = 0
  const { cpu, wall } = await measure(() => run(count))
  return { case: name, client, value: kind === "open" ? median(walls) : cpu / count, wall: wall / count, broker: 0 }
}

const used = (): number => {
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

const memory = async (link: Link, { count, name, size }: Case, client: ClientName): Promise<Sample> => {
  const bodies = bodiesOf(size)
  const account = new Account()
  const [publisher] = await link.publishers(false, 1)
  await publisher!.declare("slow")
  collect()
  const start = used()
  let most = start
  // What is in use, not what nobody has collected yet.
  const timer = setInterval(() => {
    collect()
    most = Math.max(most, used())
  }, 25)
  const { wall } = await measure(async () => {
    await publisher!.stream(bodies, count)
    await publisher!.declare("none")
  })
  clearInterval(timer)
  account.publish(bodies, count)
  await account.check(publisher!, true)
  return { case: name, client, value: (most - start) / 1024 / 1024, wall: wall / count, broker: 0 }
}

/** What is in use once everything that may go has gone. */
const settled = async (): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 50))
  collect()
  collect()
  return used()
}

const idle = async (open: () => Promise<Link>, { count, name }: Case, client: ClientName): Promise<Sample> => {
  // Code that is compiled on the way is no connection's.
  for (let i = 0; i < 50; i++) await (await open()).close()
  const first = await open()
  const before = await settled()
  const links: Array<Link> = []
  for (let i = 0; i < count; i++) links.push(await open())
  const after = await settled()
  for (const link of [first, ...links]) await link.close()
  return { case: name, client, value: (after - before) / count / 1024, wall: 0, broker: 0 }
}

const load = async (name: ClientName): Promise<Client> => {
  switch (name) {
    case "ours":
      return (await import("./clients/ours.ts")).client
    case "amqplib":
      return (await import("./clients/amqplib.ts")).client
    case "rabbitmq-client":
      return (await import("./clients/rabbitmqClient.ts")).client
    case "amqp-client":
      return (await import("./clients/amqpClient.ts")).client
    case "bare":
      return (await import("./clients/bare.ts")).client
  }
}

const request: Request = JSON.parse(process.argv[2] ?? "{}")
const client = await load(request.client)
for (const each of request.cases) {
  const target: Target = { ...request.target, tls: each.tls === true, frameMax: 131072 }
  const open = () => client.open(target)
  const linked = async (work: (link: Link, each: Case, client: ClientName) => Promise<Sample>) => {
    const link = await open()
    const sample = await work(link, each, request.client)
    await link.close()
    return sample
  }
  const sample = await (async (): Promise<Sample> => {
    switch (each.kind) {
      case "stream":
      case "window":
      case "loops":
        return linked(publish)
      case "consume":
        return linked(consume)
      case "calls":
        return linked(calls)
      case "codec":
        return codec(client, each, request.client)
      case "close":
      case "open":
        return connections(open, each, request.client)
      case "memory":
        return linked(memory)
      case "idle":
        return idle(open, each, request.client)
    }
  })()
  process.stdout.write(`${JSON.stringify(sample)}\n`)
}
process.exit(0)
