/** rabbitmq-client: publishers, consumers and calls that open their connection and channels again by themselves. */
import type { EventEmitter } from "node:events"
import { type Channel, Connection, ConsumerStatus, type ReturnedMessage } from "rabbitmq-client"
import { ask, limited, say, until, url, vhost } from "./dialogue.ts"

const connect = (to = url) => {
  const connection = new Connection({ url: to, retryLow: 20, retryHigh: 100, connectionTimeout: 5000 })
  // Without a listener an error would end the program; what it is, each step tells.
  connection.on("error", () => {})
  return connection
}

/** What comes with the next such event. That of Node fails with any error that comes before. */
const once = (emitter: EventEmitter, name: string) =>
  new Promise<ReadonlyArray<unknown>>((resolve) => emitter.once(name, (...details) => resolve(details)))

const told = (error: unknown): string =>
  error instanceof Error ? `${"code" in error ? `${String(error.code)} ` : ""}${error.message}` : String(error)

const connection = connect()
await connection.onConnect()

const refused = async (what: string, act: (channel: Channel) => unknown, on = connection): Promise<void> => {
  const channel = await on.acquire({ emitErrorsFromChannel: true })
  const error = new Promise((resolve) => channel.once("error", resolve))
  say(what, await Promise.race([Promise.resolve(act(channel)).then(() => error), error]).then(told, told))
}

const got = async (queue: string): Promise<unknown> => {
  const message = await connection.basicGet({ queue, noAck: true })
  return message === undefined ? "nothing" : message.body instanceof Buffer ? message.body.toString() : message.body
}
const holding = (queue: string, count: number) =>
  until(() => connection.queueDeclare({ queue, passive: true }), ({ messageCount }) => messageCount === count)

// Declarations, and what contradicts them
say(await connection.queueDeclare({ queue: "mine", durable: true }))
await refused("passive", (channel) => channel.queueDeclare({ queue: "missing", passive: true }))
await refused("passive", (channel) => channel.exchangeDeclare({ exchange: "missing", passive: true }))
await refused("durable", (channel) => channel.queueDeclare({ queue: "mine" }))
await refused(
  "argument",
  (channel) => channel.queueDeclare({ queue: "mine", durable: true, arguments: { "x-max-length": 5 } })
)
await refused("argument", (channel) => channel.queueDeclare({ queue: "bad", arguments: { "x-max-priority": 256 } }))
await refused("type", (channel) => channel.exchangeDeclare({ exchange: "amq.topic", type: "direct", durable: true }))
await refused("reserved", (channel) => channel.queueDeclare("amq.mine"))
await refused("bind", (channel) => channel.queueBind({ queue: "mine", exchange: "missing", routingKey: "k" }))
await refused(
  "bind",
  (channel) => channel.exchangeBind({ source: "missing", destination: "amq.direct", routingKey: "k" })
)
await refused("delete", (channel) => channel.exchangeDelete({ exchange: "amq.headers" }))
await refused("get", (channel) => channel.basicGet("missing"))
await refused("consume", (channel) => channel.basicConsume({ queue: "missing" }, () => {}))
await refused("purge", (channel) => channel.queuePurge("missing"))
await refused("publish", (channel) => channel.basicPublish({ exchange: "missing", routingKey: "k" }, "x"))
await refused("ack", (channel) => channel.basicAck({ deliveryTag: 9 }))
await refused("rollback", (channel) => channel.txRollback())
const other = connect()
const owner = await other.acquire()
await owner.queueDeclare({ queue: "private", exclusive: true })
await refused("locked", (channel) => channel.queueDeclare({ queue: "private", exclusive: true }))
await refused("locked", (channel) => channel.basicGet("private"))
await owner.close()
await other.close()
const limits = connect(limited)
await refused("configure", (channel) => channel.queueDeclare("yours"), limits)
await refused("write", (channel) => channel.basicPublish({ exchange: "amq.direct", routingKey: "k" }, "x"), limits)
await refused("read", (channel) => channel.basicConsume({ queue: "yours" }, () => {}), limits)
await limits.close()
for (const to of [url.replace("guest:guest", "guest:wrong"), url.replace(vhost, "nowhere")]) {
  const other = new Connection({ url: to, retryLow: 20 })
  const [error] = await once(other, "error")
  say("not let in", told(error))
  other.unsafeDestroy()
}

// A publisher: confirms, returns, refusals
const publisher = connection.createPublisher({
  confirm: true,
  maxAttempts: 20,
  exchanges: [{ exchange: "main", type: "topic" }],
  queueBindings: [{ queue: "mine", exchange: "main", routingKey: "m.#" }]
})
const properties = { headers: { n: 1, list: [true, { a: "b" }] }, durable: true, priority: 2, messageId: "id" }
await publisher.send({ exchange: "main", routingKey: "m.a", ...properties }, { json: true })
const returned = new Promise<ReturnedMessage>((resolve) => publisher.once("basic.return", resolve))
await publisher.send({ exchange: "main", routingKey: "nowhere", mandatory: true }, "lost")
const { body, exchange, replyCode, replyText, routingKey } = await returned
say("returned", replyCode, replyText, exchange, routingKey, body)
await connection.queueDeclare({ queue: "full", arguments: { "x-max-length": 0, "x-overflow": "reject-publish" } })
const single = connection.createPublisher({ confirm: true, maxAttempts: 1 })
say("nacked", await single.send("full", "x").then(() => "confirmed", told))
await single.close()
await connection.queueDelete("full")
const message = await connection.basicGet({ queue: "mine", noAck: true })
say(
  "got",
  message?.body,
  message?.headers,
  message?.durable,
  message?.priority,
  message?.messageId,
  message?.contentType
)

// A consumer: what its handler says is settled; errors go to a dead letter
await connection.queueDeclare({ queue: "dead" })
const seen: Array<unknown> = []
const consumer = connection.createConsumer({
  queue: "mine-too",
  queueOptions: { queue: "mine-too", arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" } },
  qos: { prefetchCount: 1 },
  concurrency: 1
}, (message) => {
  seen.push([message.body, message.redelivered])
  if (message.body === "requeue") return message.redelivered ? ConsumerStatus.ACK : ConsumerStatus.REQUEUE
  return message.body === "drop" ? ConsumerStatus.DROP : ConsumerStatus.ACK
})
consumer.on("error", () => {})
await once(consumer, "ready")
for (const text of ["ack", "requeue", "drop", "last"]) await publisher.send("mine-too", text)
await until(() => seen.length, (length) => length === 5)
await holding("dead", 1)
const dead = await connection.basicGet({ queue: "dead", noAck: true })
say("seen", seen)
say("dead", dead?.body, dead?.headers?.["x-first-death-reason"], dead?.headers?.["x-death"]?.[0]?.queue)

// The broker ends it; it declares its queue again and goes on
const ready = once(consumer, "ready")
await connection.queueDelete("mine-too")
await ready
await publisher.send("mine-too", "after the end")
await until(() => seen.length, (length) => length === 6)
say("again", seen[5])
await consumer.close()
await connection.queueDelete("mine-too")

// Routing
const channel = await connection.acquire()
for (const queue of ["a", "b", "rest"]) await channel.queueDeclare({ queue, exclusive: true })
await channel.exchangeDeclare({ exchange: "spare", type: "fanout" })
await channel.exchangeDeclare({ exchange: "first", type: "direct", arguments: { "alternate-exchange": "spare" } })
await channel.exchangeDeclare({ exchange: "next", type: "headers", internal: true })
await channel.queueBind({ queue: "rest", exchange: "spare" })
await channel.queueBind({ queue: "a", exchange: "first", routingKey: "a" })
await channel.exchangeBind({ source: "first", destination: "next", routingKey: "b" })
await channel.queueBind({ queue: "b", exchange: "next", arguments: { "x-match": "all", h: "yes" } })
await publisher.send({ exchange: "first", routingKey: "a" }, "1")
await publisher.send({ exchange: "first", routingKey: "b", headers: { h: "yes" } }, "2")
await publisher.send({ exchange: "first", routingKey: "b", headers: { h: "no" } }, "3")
await publisher.send({ exchange: "first", routingKey: "c" }, "4")
for (const queue of ["a", "b", "rest"]) say(queue, await got(queue), await got(queue))
await channel.exchangeUnbind({ source: "first", destination: "next", routingKey: "b" })
await channel.queueUnbind({ queue: "a", exchange: "first", routingKey: "a" })
for (const key of ["a", "b"]) await publisher.send({ exchange: "first", routingKey: key }, key)
say("unbound", await got("rest"), await got("rest"))
await refused("internal", (channel) => channel.basicPublish({ exchange: "next" }, "x"))
await refused(
  "in use",
  (channel) =>
    channel.exchangeDelete({ exchange: "first", ifUnused: false }).then(() =>
      channel.exchangeDelete({ exchange: "spare", ifUnused: true })
    )
)
for (const exchange of ["next", "spare"]) await channel.exchangeDelete({ exchange })

// Time to live and priorities
await channel.queueDeclare({
  queue: "short",
  exclusive: true,
  arguments: {
    "x-message-ttl": 20,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "dead"
  }
})
await publisher.send("short", "late")
await holding("dead", 1)
const late = await connection.basicGet({ queue: "dead", noAck: true })
say("late", late?.body, late?.headers?.["x-death"]?.[0]?.reason, late?.headers?.["x-death"]?.[0]?.count)
await channel.queueDeclare({ queue: "ranked", exclusive: true, arguments: { "x-max-priority": 3 } })
for (const priority of [0, 9, 2, 3]) await publisher.send({ routingKey: "ranked", priority }, `${priority}`)
say("ranked", await got("ranked"), await got("ranked"), await got("ranked"), await got("ranked"))

// Channels by themselves: qos, recover, transactions, exclusive consumers
await publisher.send("mine", "held")
await channel.basicQos({ prefetchCount: 1 })
await channel.basicGet("mine")
await channel.basicRecover({ requeue: true })
await holding("mine", 1)
say("recovered", (await connection.basicGet({ queue: "mine", noAck: true }))?.redelivered)
const { consumerTag } = await channel.basicConsume({ queue: "mine", exclusive: true, consumerTag: "only" }, () => {})
await refused("exclusive", (channel) => channel.basicConsume({ queue: "mine" }, () => {}))
await refused("in use", (channel) => channel.queueDelete({ queue: "mine", ifUnused: true }))
say(await channel.basicCancel(consumerTag))
const tx = await connection.acquire()
await tx.txSelect()
await tx.basicPublish("mine", "1")
await tx.txRollback()
await tx.basicPublish("mine", "2")
await tx.txCommit()
await refused("mode", async (channel) => {
  await channel.txSelect()
  await channel.confirmSelect()
})
await tx.close()
await refused("not empty", (channel) => channel.queueDelete({ queue: "mine", ifEmpty: true }))
say("transacted", await got("mine"), await got("mine"), await connection.queuePurge("mine"))

// Calls, by direct reply-to
const server = connection.createConsumer(
  { queue: "calls", queueOptions: { queue: "calls", exclusive: true } },
  async (message, reply) => {
    await reply(`${String(message.body)}!`)
  }
)
server.on("error", () => {})
await once(server, "ready")
const client = connection.createRPCClient({ confirm: true, maxAttempts: 20, timeout: 5000 })
say("answered", (await client.send("calls", "hello")).body)

// An alarm
await channel.close()
const plain = await connection.acquire()
const blocked = once(connection, "connection.blocked")
await ask("block")
await plain.basicPublish("mine", "through the alarm")
say("blocked", ...await blocked)
const unblocked = once(connection, "connection.unblocked")
await ask("unblock")
await unblocked
await holding("mine", 1)
say("unblocked", await got("mine"))
await plain.close()

// Connections that end: all of it comes back by itself
const words: Array<string> = []
const faithful = connection.createConsumer(
  { queue: "mine", queueOptions: { durable: true }, qos: { prefetchCount: 1 } },
  async (message) => {
    if (message.body !== "end" && !message.redelivered) {
      await ask(message.body === "close" ? "close" : "drop")
    } else words.push(message.body)
  }
)
faithful.on("error", () => {})
await once(faithful, "ready")
for (const wish of ["drop", "close", "drop again", "end"]) {
  await publisher.send("mine", wish)
  await until(() => words, (words) => words.includes(wish))
}
say("came back for", words)
say("answers", (await client.send("calls", "still there")).body)
await client.close()
await server.close()
await faithful.close()
await publisher.close()
say("deleted", await connection.queueDelete("mine"))
await connection.close()
say("over", await connection.acquire().then(() => "open", told))
