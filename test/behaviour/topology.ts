/** Exchanges, queues and bindings: what may be declared, what is refused and in which words, and where messages go. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { consume, drain, eventually, failing, fresh, look, open, openConfirm, openOn, Place, refused } from "./place.ts"

/** A reply text has 255 bytes at most; RabbitMQ cuts a longer one so. */
const limited = (text: string): string => text.length > 255 ? `${text.slice(0, 252)}...` : text

const locked = (queue: string, vhost: string): string =>
  limited(
    `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${queue}' in vhost '${vhost}'. It could be ` +
      "originally declared on another connection or the exclusive property value does not match that of the original " +
      "declaration."
  )

export const notFound = (method: string, text: string) => ({
  reason: "NotFound" as const,
  code: 404,
  text: limited(`NOT_FOUND - ${text}`),
  method
})

export const precondition = (method: string, text: string) => ({
  reason: "PreconditionFailed" as const,
  code: 406,
  text: limited(`PRECONDITION_FAILED - ${text}`),
  method
})

export const forbidden = (method: string, text: string) => ({
  reason: "AccessRefused" as const,
  code: 403,
  text: `ACCESS_REFUSED - ${text}`,
  method
})

export const queues = (it: It): void => {
  it.scoped("a declared queue says how many messages are ready in it and how many consumers it has", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = fresh("q")
      const empty = { queue, messageCount: 0, consumerCount: 0 }
      assert.deepStrictEqual(yield* channel.queueDeclare({ queue, exclusive: true }), empty)
      yield* channel.publishAll(["1", "2"].map((content) => ({ routingKey: queue, content })))
      assert.deepStrictEqual(yield* look(channel, queue), { ...empty, messageCount: 2 })
      assert.deepStrictEqual(yield* channel.queueDeclare({ queue, exclusive: true }), { ...empty, messageCount: 2 })
      yield* consume(channel, { queue, prefetch: 1 })
      assert.deepStrictEqual(yield* look(channel, queue), { queue, messageCount: 1, consumerCount: 1 })
    }))

  it.scoped("a queue without a name gets one from the broker, another each time", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const first = yield* channel.queueDeclare()
      const second = yield* channel.queueDeclare()
      assert.match(first.queue, /^amq\.gen-./)
      assert.match(second.queue, /^amq\.gen-./)
      assert.notStrictEqual(first.queue, second.queue)
    }))

  it.scoped("a named queue is durable by default; declaring it otherwise is refused, in words that name the difference", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue })
      yield* refused(
        channel,
        channel.queueDeclare({ queue, durable: false }),
        precondition(
          "queue.declare",
          `inequivalent arg 'durable' for queue '${queue}' in vhost '${vhost}': received 'false' but current is 'true'`
        )
      )
      yield* refused(
        channel,
        channel.queueDeclare({ queue, autoDelete: true }),
        precondition(
          "queue.declare",
          `inequivalent arg 'auto_delete' for queue '${queue}' in vhost '${vhost}': received 'true' but current is 'false'`
        )
      )
      yield* channel.queueDelete({ queue })
    }))

  it.scoped("arguments of a queue must be the same when it is declared again", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true, arguments: { "x-max-length": 10, "mine": 1 } })
      yield* channel.queueDeclare({ queue, exclusive: true, arguments: { "x-max-length": 10 } })
      yield* refused(
        channel,
        channel.queueDeclare({ queue, exclusive: true, arguments: { "x-max-length": 11 } }),
        precondition(
          "queue.declare",
          `inequivalent arg 'x-max-length' for queue '${queue}' in vhost '${vhost}': received '11' but ` +
            "current is '10'"
        )
      )
      yield* refused(
        channel,
        channel.queueDeclare({ queue, exclusive: true }),
        precondition(
          "queue.declare",
          `inequivalent arg 'x-max-length' for queue '${queue}' in vhost '${vhost}': received none but current is the ` +
            "value '10' of type 'signedint'"
        )
      )
      yield* refused(
        channel,
        channel.queueDeclare({ queue, exclusive: true, arguments: { "x-max-length": 10, "x-max-priority": 3 } }),
        precondition(
          "queue.declare",
          `inequivalent arg 'x-max-priority' for queue '${queue}' in vhost '${vhost}': received the value '3' of type ` +
            "'signedint' but current is none"
        )
      )
    }))

  it.scoped("a missing queue is not found by any method that needs it", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const queue = fresh("missing")
      const text = `no queue '${queue}' in vhost '${vhost}'`
      yield* refused(channel, look(channel, queue), notFound("queue.declare", text))
      yield* refused(channel, channel.queuePurge(queue), notFound("queue.purge", text))
      yield* refused(channel, channel.queueBind({ queue, exchange: "amq.direct" }), notFound("queue.bind", text))
      yield* refused(channel, channel.get({ queue }), notFound("basic.get", text))
    }))

  it.scoped("deleting a queue that is not there is fine, and so is unbinding it", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const queue = fresh("missing")
      assert.strictEqual(yield* channel.queueDelete({ queue }), 0)
      yield* channel.queueUnbind({ queue, exchange: "amq.direct" })
    }))

  it.scoped("names that start with amq. are the broker's", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      yield* refused(
        channel,
        channel.queueDeclare({ queue: "amq.mine" }),
        forbidden("queue.declare", "queue name 'amq.mine' contains reserved prefix 'amq.*'")
      )
    }))

  it.scoped("names are any text of up to 255 octets, whatever the specification's pattern says", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      for (const name of [`${fresh("q")} a/b?#%*$ \t"'\\ \u0002 ünï 🐇`, fresh("é").padEnd(254, "x")]) {
        yield* channel.queueDeclare({ queue: name, exclusive: true })
        yield* channel.exchangeDeclare({ exchange: name, autoDelete: true, durable: false })
        yield* channel.queueBind({ queue: name, exchange: name, routingKey: name })
        yield* channel.publish({ exchange: name, routingKey: name, mandatory: true, content: name })
        assert.deepStrictEqual(yield* drain(channel, name), [name])
      }
      const long = "é".repeat(128)
      for (const refusal of [channel.queueDeclare({ queue: long }), channel.exchangeDeclare({ exchange: long })]) {
        assert.deepInclude<object>({ ...yield* failing(refusal) }, { _tag: "ChannelError", reason: "Refused", code: 0 })
      }
    }))

  it.scoped("a queue that the broker named may be declared again by that name", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      assert.strictEqual((yield* look(channel, queue)).queue, queue)
      const exit = yield* Effect.either(channel.queueDeclare({ queue, exclusive: true, durable: false }))
      assert.strictEqual(exit._tag, "Left")
    }))

  it.scoped("an exclusive queue is locked for other connections, and open to other channels of its own", () =>
    Effect.gen(function*() {
      const { channel, connection, vhost } = yield* open()
      const { channel: stranger } = yield* open()
      const sibling = yield* openOn(connection)
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      assert.strictEqual((yield* look(sibling, queue)).queue, queue)
      const error = (method: string) => ({
        reason: "ResourceLocked" as const,
        code: 405,
        text: locked(queue, vhost),
        method
      })
      yield* refused(stranger, look(stranger, queue), error("queue.declare"))
      yield* refused(stranger, stranger.queueDeclare({ queue, exclusive: true }), error("queue.declare"))
      yield* refused(stranger, stranger.queueDelete({ queue }), error("queue.delete"))
      yield* refused(stranger, stranger.queuePurge(queue), error("queue.purge"))
      yield* refused(stranger, stranger.get({ queue }), error("basic.get"))
      yield* refused(stranger, stranger.queueBind({ queue, exchange: "amq.direct" }), error("queue.bind"))
    }))

  it.scoped("an exclusive queue declared as shared by its owner is locked as well", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* refused(channel, channel.queueDeclare({ queue, exclusive: false, durable: false }), {
        reason: "ResourceLocked",
        code: 405,
        text: locked(queue, vhost),
        method: "queue.declare"
      })
    }))

  it.scoped("an exclusive queue goes with its connection", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const queue = fresh("q")
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* open()
        yield* other.channel.queueDeclare({ queue, exclusive: true })
      }))
      yield* eventually(Effect.isSuccess(look(channel, queue)), false)
    }))

  it.scoped("an auto-delete queue goes with its last consumer, and stays before its first", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, durable: false, autoDelete: true })
      assert.isTrue(yield* Effect.isSuccess(look(channel, queue)))
      const first = yield* consume(channel, { queue })
      const second = yield* consume(channel, { queue })
      yield* first.cancel
      assert.isTrue(yield* Effect.isSuccess(look(channel, queue)))
      yield* second.cancel
      yield* eventually(Effect.isSuccess(look(channel, queue)), false)
    }))

  it.scoped("a purge counts the ready messages it drops, and leaves the unacknowledged ones", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
      const held = yield* channel.get({ queue })
      assert.strictEqual(yield* channel.queuePurge(queue), 2)
      assert.strictEqual(yield* channel.queuePurge(queue), 0)
      assert.isTrue(held._tag === "Some")
      if (held._tag === "Some") yield* held.value.delivery.nack()
      assert.deepStrictEqual(yield* drain(channel, queue), ["1"])
    }))

  it.scoped("a delete counts the messages that go, and may ask for an empty or unused queue", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* channel.publish({ routingKey: queue, content: "1" })
      yield* refused(
        channel,
        channel.queueDelete({ queue, ifEmpty: true }),
        precondition("queue.delete", `queue '${queue}' in vhost '${vhost}' not empty`)
      )
      assert.strictEqual(yield* channel.queueDelete({ queue, ifUnused: true }), 1)
      yield* channel.queueDeclare({ queue, exclusive: true })
      const consumer = yield* consume(channel, { queue })
      yield* refused(
        channel,
        channel.queueDelete({ queue, ifUnused: true }),
        precondition("queue.delete", `queue '${queue}' in vhost '${vhost}' in use`)
      )
      yield* eventually(Effect.map(look(channel, queue), (seen) => seen.consumerCount), 1)
      yield* consumer.cancel
      assert.strictEqual(yield* channel.queueDelete({ queue, ifUnused: true, ifEmpty: true }), 0)
    }))

  it.scoped("an empty name after a declaration means the queue declared last on the channel", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      yield* refused(channel, channel.queuePurge(""), {
        reason: "NotFound",
        code: 404,
        text: "NOT_FOUND - no previously declared queue",
        method: "queue.purge"
      })
      const { queue } = yield* channel.queueDeclare()
      yield* channel.queueBind({ queue: "", exchange: "amq.direct" })
      yield* channel.publish({ exchange: "amq.direct", routingKey: queue, content: "1" })
      assert.strictEqual(yield* channel.queuePurge(""), 1)
    }))

  it.scoped("virtual hosts have names of their own", () =>
    Effect.gen(function*() {
      const place = yield* Place
      const { channel } = yield* open()
      const vhost = yield* place.addVhost
      const elsewhere = yield* openOn(yield* place.connect(vhost))
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* refused(
        elsewhere,
        look(elsewhere, queue),
        notFound("queue.declare", `no queue '${queue}' in vhost '${vhost}'`)
      )
      yield* elsewhere.queueDeclare({ queue, exclusive: true })
    }))
}

export const exchanges = (it: It): void => {
  it.scoped("an exchange is durable by default; declaring it otherwise is refused, in words that name the difference", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const exchange = fresh("x")
      const differs = (argument: string, received: string, current: string) =>
        precondition(
          "exchange.declare",
          `inequivalent arg '${argument}' for exchange '${exchange}' in vhost '${vhost}': received '${received}' but ` +
            `current is '${current}'`
        )
      yield* channel.exchangeDeclare({ exchange, type: "topic" })
      yield* channel.exchangeDeclare({ exchange, type: "topic" })
      yield* refused(channel, channel.exchangeDeclare({ exchange, type: "fanout" }), differs("type", "fanout", "topic"))
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange, type: "topic", durable: false }),
        differs("durable", "false", "true")
      )
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange, type: "topic", autoDelete: true }),
        differs("auto_delete", "true", "false")
      )
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange, type: "topic", internal: true }),
        differs("internal", "true", "false")
      )
      yield* channel.exchangeDelete({ exchange })
    }))

  it.scoped("a passive declaration only asks whether the exchange exists, whatever its type", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const exchange = fresh("missing")
      yield* channel.exchangeDeclare({ exchange: "amq.topic", type: "direct", passive: true })
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange, passive: true }),
        notFound("exchange.declare", `no exchange '${exchange}' in vhost '${vhost}'`)
      )
    }))

  it.scoped("a bind to an exchange that is missing is not found; an unbind is fine", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const exchange = fresh("missing")
      const { queue } = yield* channel.queueDeclare()
      yield* refused(
        channel,
        channel.queueBind({ queue, exchange }),
        notFound("queue.bind", `no exchange '${exchange}' in vhost '${vhost}'`)
      )
      yield* channel.queueUnbind({ queue, exchange })
    }))

  it.scoped("nobody declares, deletes or binds the default exchange", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      const text = "operation not permitted on the default exchange"
      yield* refused(channel, channel.exchangeDeclare({ exchange: "" }), forbidden("exchange.declare", text))
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange: "", passive: true }),
        forbidden("exchange.declare", text)
      )
      yield* refused(channel, channel.exchangeDelete({ exchange: "" }), forbidden("exchange.delete", text))
      yield* refused(channel, channel.queueBind({ queue, exchange: "" }), forbidden("queue.bind", text))
      yield* refused(channel, channel.queueUnbind({ queue, exchange: "" }), forbidden("queue.unbind", text))
    }))

  it.scoped("exchanges whose names start with amq. are the broker's", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange: "amq.mine" }),
        forbidden("exchange.declare", "exchange name 'amq.mine' contains reserved prefix 'amq.*'")
      )
      yield* refused(
        channel,
        channel.exchangeDelete({ exchange: "amq.direct" }),
        forbidden("exchange.delete", `deletion of system exchange 'amq.direct' in vhost '${vhost}' not allowed`)
      )
      yield* channel.exchangeDeclare({ exchange: "amq.direct" })
      yield* channel.exchangeDeclare({ exchange: "amq.fanout", type: "fanout" })
      yield* channel.exchangeDeclare({ exchange: "amq.topic", type: "topic" })
    }))

  it.scoped("an exchange is deleted at will, or only when unused; one that is not there counts as deleted", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const exchange = fresh("x")
      const { queue } = yield* channel.queueDeclare()
      yield* channel.exchangeDeclare({ exchange, durable: false })
      yield* channel.queueBind({ queue, exchange, routingKey: "k" })
      yield* refused(
        channel,
        channel.exchangeDelete({ exchange, ifUnused: true }),
        precondition("exchange.delete", `exchange '${exchange}' in vhost '${vhost}' in use`)
      )
      yield* channel.queueUnbind({ queue, exchange, routingKey: "k" })
      yield* channel.exchangeDelete({ exchange, ifUnused: true })
      yield* channel.exchangeDelete({ exchange })
      yield* refused(
        channel,
        channel.exchangeDeclare({ exchange, passive: true }),
        notFound("exchange.declare", `no exchange '${exchange}' in vhost '${vhost}'`)
      )
    }))

  it.scoped("an auto-delete exchange goes with its last binding, and stays before its first", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const exchange = fresh("x")
      const there = Effect.isSuccess(channel.exchangeDeclare({ exchange, passive: true }))
      const { queue } = yield* channel.queueDeclare()
      yield* channel.exchangeDeclare({ exchange, autoDelete: true, durable: false })
      assert.isTrue(yield* there)
      yield* channel.queueBind({ queue, exchange, routingKey: "1" })
      yield* channel.queueBind({ queue, exchange, routingKey: "2" })
      yield* channel.queueUnbind({ queue, exchange, routingKey: "1" })
      assert.isTrue(yield* there)
      yield* channel.queueDelete({ queue })
      yield* eventually(there, false)
    }))

  for (const [kind, type] of [["unknown", "no-such-type"], ["unknown", "Direct"], ["invalid", ""]]) {
    it.scoped(`an exchange of type "${type}" costs the connection: it is ${kind}`, () =>
      Effect.gen(function*() {
        const { channel } = yield* open()
        const error = yield* failing(channel.exchangeDeclare({ exchange: fresh("x"), type }))
        assert.deepInclude({ ...error }, {
          _tag: "ConnectionClosed",
          reason: "Peer",
          code: 503,
          text: `COMMAND_INVALID - ${kind} exchange type '${type}'`
        })
      }))
  }
}

const topics: ReadonlyArray<readonly [pattern: string, matching: ReadonlyArray<string>, other: ReadonlyArray<string>]> =
  [
    ["a", ["a"], ["", "b", "a.a", "A"]],
    ["a.b", ["a.b"], ["a", "b", "a.b.c", "a..b"]],
    ["*", ["a"], ["", "a.b", "."]],
    ["#", ["", "a", "a.b", "a.b.c", ".", ".."], []],
    ["a.*", ["a.b", "a."], ["a", "a.b.c", "b.a"]],
    ["a.#", ["a", "a.b", "a.b.c", "a."], ["b", "b.a", "ab"]],
    ["#.a", ["a", "b.a", "c.b.a", ".a"], ["a.b", "ba"]],
    ["*.*", ["a.b", "."], ["a", "a.b.c", ""]],
    ["a.*.c", ["a.b.c", "a..c"], ["a.c", "a.b.b.c"]],
    ["a.#.c", ["a.c", "a.b.c", "a.b.b.c", "a.c.c"], ["a", "c", "a.b"]],
    ["#.#", ["", "a", "a.b"], []],
    ["*.#", ["a", "a.b"], [""]],
    ["#.*", ["a", "a.b"], [""]],
    ["a*", ["a*"], ["ab", "a"]],
    ["#a", ["#a"], ["a", "ba"]],
    ["", [""], ["a", "."]],
    ["a.", ["a."], ["a", "a.b"]],
    ["*.stock.#", ["usd.stock", "eur.stock.db"], ["stock.nasdaq", "stock", "a.b.stock"]],
    ["#.*.#.x", ["a.x", "a.b.x"], ["x", ""]]
  ]

export const routing = (it: It): void => {
  it.scoped("the default exchange routes to the queue with the name of the routing key", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const other = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "mine" })
      yield* channel.publish({ routingKey: `${queue}x`, content: "nobody's" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["mine"])
      assert.deepStrictEqual(yield* drain(channel, other.queue), [])
    }))

  it.scoped("a direct exchange routes by equal keys, to every queue bound so", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = fresh("x")
      const first = yield* channel.queueDeclare()
      const second = yield* channel.queueDeclare()
      yield* channel.exchangeDeclare({ exchange, durable: false, autoDelete: true })
      yield* channel.queueBind({ queue: first, exchange, routingKey: "a" })
      yield* channel.queueBind({ queue: first, exchange, routingKey: "b" })
      yield* channel.queueBind({ queue: second, exchange, routingKey: "a" })
      for (const routingKey of ["a", "b", "c", ""]) {
        yield* channel.publish({ exchange, routingKey, content: routingKey })
      }
      assert.deepStrictEqual(yield* drain(channel, first.queue), ["a", "b"])
      assert.deepStrictEqual(yield* drain(channel, second.queue), ["a"])
    }))

  it.scoped("a fanout exchange routes to every queue once, whatever the keys", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const first = yield* channel.queueDeclare()
      const second = yield* channel.queueDeclare()
      const exchange = fresh("x")
      yield* channel.exchangeDeclare({ exchange, type: "fanout", durable: false, autoDelete: true })
      yield* channel.queueBind({ queue: first, exchange, routingKey: "a" })
      yield* channel.queueBind({ queue: first, exchange, routingKey: "b" })
      yield* channel.queueBind({ queue: second, exchange })
      yield* channel.publish({ exchange, routingKey: "z", content: "all" })
      assert.deepStrictEqual(yield* drain(channel, first.queue), ["all"])
      assert.deepStrictEqual(yield* drain(channel, second.queue), ["all"])
    }))

  it.scoped("a queue bound by two patterns that match gets the message once", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      for (const routingKey of ["once.#", "once.*", "once.b"]) {
        yield* channel.queueBind({ queue, exchange: "amq.topic", routingKey })
      }
      yield* channel.publish({ exchange: "amq.topic", routingKey: "once.b", content: "once" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["once"])
    }))

  it.scoped("a binding made twice is one, and one unbind ends it; other arguments make another", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const binding = { queue, exchange: "amq.direct", routingKey: fresh("k") }
      const arrives = Effect.zipRight(
        channel.publish({ exchange: "amq.direct", routingKey: binding.routingKey, content: "x" }),
        Effect.map(drain(channel, queue), (all) => all.length)
      )
      yield* channel.queueBind(binding)
      yield* channel.queueBind(binding)
      assert.strictEqual(yield* arrives, 1)
      yield* channel.queueUnbind(binding)
      assert.strictEqual(yield* arrives, 0)
      yield* channel.queueUnbind(binding)
      yield* channel.queueBind(binding)
      yield* channel.queueBind({ ...binding, arguments: { n: 1 } })
      yield* channel.queueUnbind(binding)
      assert.strictEqual(yield* arrives, 1)
      yield* channel.queueUnbind({ ...binding, arguments: { n: 1 } })
      assert.strictEqual(yield* arrives, 0)
    }))

  it.scoped("a queue declared again after its deletion has none of its old bindings", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = fresh("q")
      const routingKey = fresh("k")
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* channel.queueBind({ queue, exchange: "amq.direct", routingKey })
      yield* channel.queueDelete({ queue })
      yield* channel.queueDeclare({ queue, exclusive: true })
      yield* channel.publish({ exchange: "amq.direct", routingKey, content: "x" })
      assert.deepStrictEqual(yield* drain(channel, queue), [])
    }))

  it.scoped("an internal exchange takes nothing from clients", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const exchange = fresh("x")
      yield* channel.exchangeDeclare({ exchange, internal: true, durable: false })
      yield* refused(
        channel,
        channel.publish({ exchange, content: "x" }),
        forbidden("basic.publish", `cannot publish to internal exchange '${exchange}' in vhost '${vhost}'`)
      )
      yield* channel.exchangeDelete({ exchange })
    }))

  for (const [pattern, matching, other] of topics) {
    it.scoped(`a topic binding "${pattern}" takes ${JSON.stringify(matching)}, not ${JSON.stringify(other)}`, () =>
      Effect.gen(function*() {
        const { channel } = yield* openConfirm()
        const exchange = fresh("x")
        const { queue } = yield* channel.queueDeclare()
        yield* channel.exchangeDeclare({ exchange, type: "topic", durable: false, autoDelete: true })
        yield* channel.queueBind({ queue, exchange, routingKey: pattern })
        yield* channel.publishAll(
          [...matching, ...other].map((routingKey) => ({ exchange, routingKey, content: routingKey }))
        )
        assert.deepStrictEqual(yield* drain(channel, queue), matching)
      }))
  }
}
