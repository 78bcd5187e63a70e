/** amqplib: a channel's promises, its events, and connections that its users open again. */
import * as amqplib from "amqplib"
import { once } from "node:events"
import { ask, limited, say, until, url, vhost } from "./dialogue.ts"

const connect = async (to = url) => {
  const connection = await amqplib.connect(to)
  // Without a listener an error would end the program; what it is, each step tells.
  connection.on("error", () => {})
  return connection
}

const text = (error: unknown): string => error instanceof Error ? error.message : String(error)

const connection = await connect()

const channelOf = async (connection: amqplib.ChannelModel) => {
  const channel = await connection.createChannel()
  channel.on("error", () => {})
  return channel
}

/** A refusal that ends a channel of its own: what the call fails with, or the channel's error where it has no answer. */
const refused = async (
  what: string,
  act: (channel: amqplib.Channel) => unknown,
  on: amqplib.ChannelModel = connection
): Promise<void> => {
  const channel = await on.createChannel()
  const error = new Promise((resolve) => channel.once("error", resolve))
  try {
    await act(channel)
  } catch {
    // The event says the same.
  }
  say(what, text(await error))
}

/** A refusal that ends a connection of its own. */
const ended = async (what: string, act: (channel: amqplib.Channel) => unknown): Promise<void> => {
  const other = await amqplib.connect(url)
  const error = new Promise((resolve) => other.once("error", resolve))
  const channel = await channelOf(other)
  await Promise.resolve(act(channel)).catch(() => {})
  say(what, text(await error))
}

const channel = await connection.createConfirmChannel()
const got = async (queue: string) => {
  const message = await channel.get(queue, { noAck: true })
  return message === false ? "nothing" : message.content.toString()
}
const holding = (queue: string, count: number) =>
  until(() => channel.checkQueue(queue), ({ messageCount }) => messageCount === count)

// Declarations, and what contradicts them
say(await channel.assertQueue("mine", { durable: true }))
await refused("passive", (channel) => channel.checkQueue("missing"))
await refused("passive", (channel) => channel.checkExchange("missing"))
await refused("durable", (channel) => channel.assertQueue("mine", { durable: false }))
await refused("argument", (channel) => channel.assertQueue("mine", { maxLength: 5 }))
await refused("argument", (channel) => channel.assertQueue("bad", { messageTtl: -1 }))
await refused("type", (channel) => channel.assertExchange("amq.topic", "direct"))
await refused("reserved", (channel) => channel.assertExchange("amq.mine", "direct"))
await refused("bind", (channel) => channel.bindQueue("mine", "missing", "k"))
await refused("bind", (channel) => channel.bindExchange("missing", "amq.direct", "k"))
await refused("delete", (channel) => channel.deleteExchange("amq.headers"))
await refused("get", (channel) => channel.get("missing"))
await refused("consume", (channel) => channel.consume("missing", () => {}))
await refused("purge", (channel) => channel.purgeQueue("missing"))
await refused("publish", (channel) => channel.publish("missing", "k", Buffer.from("x")))
const stray = { fields: { deliveryTag: 9 } } as amqplib.ConsumeMessage // all that an acknowledgement takes of it
await refused("ack", (channel) => channel.ack(stray))
await ended("type", (channel) => channel.assertExchange("x", "nonsense"))
await ended("tag", async (channel) => {
  await channel.consume("mine", () => {}, { consumerTag: "tag" })
  await channel.consume("mine", () => {}, { consumerTag: "tag" })
})
await channel.assertQueue("private", { exclusive: true })
const other = await connect()
await refused("locked", (channel) => channel.assertQueue("private", { exclusive: true }), other)
await refused("locked", (channel) => channel.consume("private", () => {}), other)
await other.close()
const limits = await connect(limited)
await refused("configure", (channel) => channel.assertQueue("yours"), limits)
await refused("write", (channel) => channel.publish("amq.direct", "k", Buffer.from("x")), limits)
await refused("read", (channel) => channel.consume("yours", () => {}), limits)
await limits.close()
for (const to of [url.replace("guest:guest", "guest:wrong"), url.replace(vhost, "nowhere")]) {
  say("not let in", await connect(to).then(() => "let in", text))
}

// Confirms, returns, refusals of publishes
const properties = {
  headers: { n: 1, list: [true, { a: "b" }] },
  persistent: true,
  contentType: "text/plain",
  priority: 2
}
for (let n = 0; n < 5; n++) channel.sendToQueue("mine", Buffer.from(`m${n}`), properties)
await channel.waitForConfirms()
say("confirmed", (await channel.checkQueue("mine")).messageCount)
const returned = once(channel, "return")
await new Promise((resolve) => channel.publish("", "nowhere", Buffer.from("lost"), { mandatory: true }, resolve))
const [{ content, fields }] = await returned
say("returned", fields, content.toString())
await channel.assertQueue("full", { exclusive: true, maxLength: 0, arguments: { "x-overflow": "reject-publish" } })
say(
  "nacked",
  await new Promise((resolve) => channel.sendToQueue("full", Buffer.from("x"), {}, (error) => resolve(text(error))))
)

// Get, redelivery, consumers, prefetch
const first = await channel.get("mine")
if (first !== false) {
  say("got", first.fields, first.properties, first.content.toString())
  channel.nack(first)
}
await holding("mine", 5)
await channel.prefetch(2)
const seen: Array<amqplib.ConsumeMessage> = []
const { consumerTag } = await channel.consume("mine", (message) => {
  if (message !== null) seen.push(message)
}, { consumerTag: "bounded" })
const count = (expected: number) => until(() => seen.length, (length) => length === expected)
await count(2)
say("held", consumerTag, seen.map((message) => [message.content.toString(), message.fields.redelivered]))
channel.ack(seen[1]!, true) // two were seen
await count(4)
channel.reject(seen[2]!, false) // and then four
channel.nack(seen[3]!)
await count(6)
say("then", seen.slice(4).map((message) => [message.content.toString(), message.fields.redelivered]))
await channel.cancel(consumerTag)
channel.ackAll()
await holding("mine", 0)
channel.sendToQueue("mine", Buffer.from("again"))
await channel.waitForConfirms()
await channel.get("mine")
await channel.recover()
await holding("mine", 1)
say("recovered", await got("mine"))

// Consumers that the broker ends, and exclusive ones
await channel.assertQueue("gone")
const cancelled = new Promise((resolve) =>
  void channel.consume("gone", resolve).then(() => channel.deleteQueue("gone"))
)
say("cancelled", await cancelled)
await channel.consume("mine", () => {}, { exclusive: true, consumerTag: "only" })
await refused("exclusive", (channel) => channel.consume("mine", () => {}))
await refused("in use", (channel) => channel.deleteQueue("mine", { ifUnused: true }))
await channel.cancel("only")
channel.sendToQueue("mine", Buffer.from("left"))
await channel.waitForConfirms()
await refused("not empty", (channel) => channel.deleteQueue("mine", { ifEmpty: true }))
say("purged", await channel.purgeQueue("mine"))

// Routing
for (const queue of ["a", "b", "rest"]) await channel.assertQueue(queue, { exclusive: true })
await channel.assertExchange("spare", "fanout", { durable: false })
await channel.assertExchange("main", "topic", { alternateExchange: "spare", durable: false })
await channel.assertExchange("next", "headers", { durable: false, internal: true })
await channel.bindQueue("rest", "spare", "")
await channel.bindQueue("a", "main", "*.a")
await channel.bindExchange("next", "main", "#.b")
await channel.bindQueue("b", "next", "", { "x-match": "any", h: 1, i: "x" })
channel.publish("main", "x.a", Buffer.from("1"), { CC: ["a.b.c.a", "y.a"] })
channel.publish("main", "x.y.b", Buffer.from("2"), { headers: { h: 1 } })
channel.publish("main", "x.y.b", Buffer.from("3"), { headers: { h: "1" } })
channel.publish("main", "", Buffer.from("4"))
await channel.waitForConfirms()
for (const queue of ["a", "b", "rest"]) say(queue, [await got(queue), await got(queue)])
await channel.unbindExchange("next", "main", "#.b")
await channel.unbindQueue("a", "main", "*.a")
for (const key of ["x.a", "x.b"]) channel.publish("main", key, Buffer.from(key))
await channel.waitForConfirms()
say("unbound", [await got("rest"), await got("rest")])
await refused("internal", (channel) => channel.publish("next", "", Buffer.from("x")))
for (const exchange of ["main", "next", "spare"]) await channel.deleteExchange(exchange)

// Time to live, dead letters, priorities, lengths
await channel.assertQueue("dead", { exclusive: true })
await channel.assertQueue("short", {
  exclusive: true,
  messageTtl: 60_000,
  deadLetterExchange: "",
  deadLetterRoutingKey: "dead",
  maxLength: 1
})
const letter = async () => {
  await holding("dead", 1)
  const message = await channel.get("dead", { noAck: true })
  if (message === false) return "nothing"
  const { count, queue, reason, "routing-keys": keys } = message.properties.headers?.["x-death"]?.[0] ?? {}
  return [message.content.toString(), count, queue, reason, keys, message.properties.headers?.["x-first-death-reason"]]
}
channel.sendToQueue("short", Buffer.from("expires"), { expiration: 10 })
say("dead", await letter())
for (const each of ["first", "second"]) channel.sendToQueue("short", Buffer.from(each))
say("dead", await letter())
const rejected = await channel.get("short")
if (rejected !== false) channel.reject(rejected, false)
say("dead", await letter())
await channel.assertQueue("ranked", { exclusive: true, maxPriority: 3 })
for (const priority of [0, 9, 2, 3]) channel.sendToQueue("ranked", Buffer.from(`${priority}`), { priority })
await channel.waitForConfirms()
say("ranked", [await got("ranked"), await got("ranked"), await got("ranked"), await got("ranked")])

// Direct reply-to
const answer = new Promise<amqplib.ConsumeMessage | null>((resolve) =>
  void channel.consume("amq.rabbitmq.reply-to", resolve, { noAck: true }).then(() =>
    channel.sendToQueue("mine", Buffer.from("?"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "1" })
  )
)
await holding("mine", 1)
const question = await channel.get("mine", { noAck: true })
if (question !== false) {
  const { correlationId, replyTo } = question.properties
  say("asked", String(replyTo).startsWith("amq.rabbitmq.reply-to."))
  channel.sendToQueue(String(replyTo), Buffer.from("!"), { correlationId })
}
const answered = await answer
say("answered", answered?.content.toString(), answered?.properties.correlationId)
await refused("reply-to", (channel) => channel.consume("amq.rabbitmq.reply-to", () => {}))

// A body of many frames
const large = Buffer.alloc(1_000_000, "x")
channel.sendToQueue("mine", large)
await channel.waitForConfirms()
const whole = await channel.get("mine", { noAck: true })
say("large", whole !== false && whole.content.equals(large))

// An alarm
const plain = await channelOf(connection)
const blocked = once(connection, "blocked")
await ask("block")
plain.sendToQueue("mine", Buffer.from("through the alarm"))
say("blocked", ...await blocked)
const unblocked = once(connection, "unblocked")
await ask("unblock")
await unblocked
await holding("mine", 1)
say("unblocked", await got("mine"))
await channel.close()
await connection.close()
say("closed", await connection.createChannel().then(() => "open", text))

// Connections that end: an error or none, and always `close`, after which users connect again
const work = async (attempt: number): Promise<number> => {
  const connection = await amqplib.connect(url)
  const ended = new Promise<string>((resolve) => {
    let why = "no error"
    connection.once("error", (error) => why = text(error))
    connection.once("close", () => resolve(why))
  })
  const channel = await channelOf(connection)
  await channel.prefetch(1)
  const done = new Promise<undefined>((resolve) =>
    void channel.consume("mine", (message) => {
      if (message === null) return
      const wish = message.content.toString()
      say("consumed", wish, message.fields.redelivered)
      if (wish === "end") resolve(undefined)
      else if (!message.fields.redelivered) return void ask(wish === "drop" ? "drop" : "close")
      channel.ack(message)
    })
  )
  const why = await Promise.race([done, ended])
  if (why === undefined) {
    await channel.close()
    await connection.close()
    return attempt
  }
  // How a socket ends without a word is the system's affair.
  say("ended", /ECONNRESET|Unexpected close/.test(why) ? "lost" : why)
  return work(attempt + 1)
}
const publisher = await connect()
const publishing = await publisher.createConfirmChannel()
for (const wish of ["drop", "close", "drop", "end"]) publishing.sendToQueue("mine", Buffer.from(wish))
await publishing.waitForConfirms()
await publisher.close()
say("attempts", await work(1))
const last = await connect()
say("deleted", await (await channelOf(last)).deleteQueue("mine"))
await last.close()
