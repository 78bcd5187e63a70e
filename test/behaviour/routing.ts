/** Where messages go besides by their key: to alternates, over bindings between exchanges, by CC and BCC. */
import { assert } from "@effect/vitest"
import { Arguments, Channel, Connection, FieldTable, type Message } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { consume, drain, eventually, failing, fresh, open, openConfirm, refused } from "./place.ts"
import { forbidden, notFound, precondition } from "./topology.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** An exchange that nobody else uses; it goes with its last binding. */
export const exchangeOf = (
  channel: Channel.ChannelBase,
  type: string,
  options: Partial<Channel.ExchangeDeclareOptions> = {}
) => {
  const exchange = fresh("x")
  return Effect.as(channel.exchangeDeclare({ exchange, type, durable: false, autoDelete: true, ...options }), exchange)
}

/** A queue, bound with these keys. */
export const bound = (channel: Channel.ChannelBase, exchange: string, ...keys: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { queue } = yield* channel.queueDeclare()
    for (const routingKey of keys) yield* channel.queueBind({ queue, exchange, routingKey })
    return queue
  })

const there = (connection: Connection.Connection, exchange: string) =>
  Effect.provideService(Channel.exchangeExists(exchange), Connection.Connection, connection)

/** Published as mandatory, it came back. */
const returned = (channel: Channel.ConfirmChannel, message: Message.Message) =>
  Effect.map(failing(channel.publish({ ...message, mandatory: true })), (error) => {
    assert.deepInclude({ ...error }, { _tag: "PublishReturned", code: 312, text: "NO_ROUTE" })
  })

export const alternates = (it: It): void => {
  it.scoped("what no binding takes goes to the alternate exchange, what one takes does not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const alternate = yield* exchangeOf(channel, "fanout", { internal: true })
      const rest = yield* bound(channel, alternate, "")
      const exchange = yield* exchangeOf(channel, "direct", {
        arguments: Arguments.exchange({ alternateExchange: alternate })
      })
      const queue = yield* bound(channel, exchange, "k")
      for (const routingKey of ["k", "other"]) {
        yield* channel.publish({ exchange, routingKey, content: routingKey, mandatory: true })
      }
      assert.deepStrictEqual(yield* drain(channel, queue), ["k"])
      assert.deepStrictEqual(yield* drain(channel, rest), ["other"])
    }))

  it.scoped("alternates are followed one after the other; only what none of them takes is unroutable", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [first, second, third] = [fresh("x"), fresh("x"), fresh("x")]
      const next = [[first, second], [second, third], [third, first]] as const
      for (const [exchange, alternate] of next) {
        yield* channel.exchangeDeclare({ exchange, durable: false, arguments: { "alternate-exchange": alternate } })
      }
      const queue = yield* bound(channel, third, "k")
      yield* channel.publish({ exchange: first, routingKey: "k", content: "x", mandatory: true })
      assert.deepStrictEqual(yield* drain(channel, queue), ["x"])
      yield* returned(channel, { exchange: first, routingKey: "other", content: "x" })
      for (const [exchange] of next) yield* channel.exchangeDelete({ exchange })
    }))

  it.scoped("an alternate that is missing, or is the default exchange, takes nothing", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      for (const alternate of [fresh("missing"), ""]) {
        const exchange = yield* exchangeOf(channel, "direct", { arguments: { "alternate-exchange": alternate } })
        yield* returned(channel, { exchange, routingKey: queue, content: "x" })
        yield* channel.exchangeDelete({ exchange })
      }
    }))

  it.scoped("a message that a binding took to a dead end does not go to the alternate", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = yield* exchangeOf(channel, "direct", { arguments: { "alternate-exchange": "amq.fanout" } })
      const end = yield* exchangeOf(channel, "direct")
      const { queue } = yield* channel.queueDeclare()
      yield* channel.queueBind({ queue, exchange: "amq.fanout" })
      yield* channel.exchangeBind({ destination: end, source: exchange, routingKey: "k" })
      yield* returned(channel, { exchange, routingKey: "k", content: "x" })
      assert.deepStrictEqual(yield* drain(channel, queue), [])
      yield* channel.exchangeDelete({ exchange: end })
    }))

  it.scoped("an alternate must be a name, and the same again", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const exchange = fresh("x")
      const declare = (alternate: FieldTable.Value | undefined) =>
        channel.exchangeDeclare({ exchange, durable: false, arguments: { "alternate-exchange": alternate, mine: 1 } })
      const differs = (text: string) =>
        precondition(
          "exchange.declare",
          `inequivalent arg 'alternate-exchange' for exchange '${exchange}' in vhost '${vhost}': ${text}`
        )
      const noName = (type: string) =>
        precondition(
          "exchange.declare",
          `invalid type '${type}' for arg 'alternate-exchange' in exchange '${exchange}' in vhost '${vhost}'`
        )
      yield* refused(channel, declare(5), noName("signedint"))
      yield* refused(channel, declare(true), noName("bool"))
      yield* refused(channel, declare(null), noName("void"))
      yield* refused(channel, declare(["a"]), noName("array"))
      yield* declare("a")
      yield* declare("a")
      yield* declare(bytes("a"))
      yield* channel.exchangeDeclare({ exchange, durable: false, arguments: { "alternate-exchange": "a", mine: 2 } })
      yield* refused(channel, declare("b"), differs("received 'b' but current is 'a'"))
      yield* refused(channel, declare(7), differs("received '7' but current is 'a'"))
      yield* refused(
        channel,
        declare(undefined),
        differs("received none but current is the value 'a' of type 'longstr'")
      )
      yield* channel.exchangeDelete({ exchange })
      yield* declare(undefined)
      yield* refused(
        channel,
        declare([1, "a"]),
        differs("received the value '[{signedint,1},{longstr,<<\"a\">>}]' of type 'array' but current is none")
      )
      yield* refused(
        channel,
        declare(bytes("ab")),
        differs("received the value 'ab' of type 'binary' but current is none")
      )
      yield* channel.exchangeDelete({ exchange })
    }))
}

export const exchangeBindings = (it: It): void => {
  it.scoped("a message goes from source to destination by the source's rule, then on by the destination's", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const source = yield* exchangeOf(channel, "topic")
      const destination = yield* exchangeOf(channel, "direct", { internal: true })
      const queue = yield* bound(channel, destination, "a.b")
      yield* channel.exchangeBind({ destination, source, routingKey: "a.*" })
      yield* channel.exchangeBind({ destination, source, routingKey: "a.*" })
      for (const routingKey of ["a.b", "a.c", "b"]) {
        yield* channel.publish({ exchange: source, routingKey, content: routingKey })
      }
      const got = yield* channel.get({ queue, noAck: true })
      assert.deepInclude(got._tag === "Some" ? { ...got.value.delivery } : {}, { exchange: source, routingKey: "a.b" })
      assert.deepStrictEqual(yield* drain(channel, queue), [])
      yield* channel.exchangeUnbind({ destination, source, routingKey: "a.*" })
      // Its last binding is gone.
      assert.isFalse(yield* there(connection, source))
      assert.isTrue(yield* there(connection, destination))
    }))

  it.scoped("a queue reached on several ways, circles among them, gets a message once", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [first, second, third] = [fresh("x"), fresh("x"), fresh("x")]
      const all = [first, second, third]
      for (const exchange of all) yield* channel.exchangeDeclare({ exchange, type: "fanout", durable: false })
      for (const destination of all) {
        for (const source of all) yield* channel.exchangeBind({ destination, source })
      }
      const { queue } = yield* channel.queueDeclare()
      for (const exchange of all) yield* channel.queueBind({ queue, exchange })
      yield* channel.publish({ exchange: second, content: "once" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["once"])
      for (const exchange of all) yield* channel.exchangeDelete({ exchange })
    }))

  it.scoped("auto-delete exchanges in a row go one after the other when the last has no binding left", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const first = yield* exchangeOf(channel, "fanout")
      const second = yield* exchangeOf(channel, "fanout")
      const { queue } = yield* channel.queueDeclare()
      yield* channel.exchangeBind({ destination: second, source: first })
      yield* channel.queueBind({ queue, exchange: second })
      yield* channel.queueDelete({ queue })
      yield* eventually(there(connection, second), false)
      yield* eventually(there(connection, first), false)
    }))

  it.scoped("a deleted exchange takes its bindings along in both directions", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const [source, middle, end] = [fresh("x"), fresh("x"), fresh("x")]
      const fanout = (exchange: string) => channel.exchangeDeclare({ exchange, type: "fanout", durable: false })
      for (const exchange of [source, middle, end]) yield* fanout(exchange)
      yield* channel.exchangeBind({ destination: middle, source })
      yield* channel.exchangeBind({ destination: end, source: middle })
      const queue = yield* bound(channel, end, "")
      yield* channel.exchangeDelete({ exchange: middle })
      yield* fanout(middle)
      yield* returned(channel, { exchange: source, content: "x" })
      yield* returned(channel, { exchange: middle, content: "x" })
      yield* channel.publish({ exchange: end, content: "x", mandatory: true })
      assert.deepStrictEqual(yield* drain(channel, queue), ["x"])
      for (const exchange of [source, middle, end]) {
        yield* channel.exchangeDelete({ exchange, ifUnused: exchange !== end })
      }
    }))

  it.scoped("a source is in use, a destination is not", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const source = yield* exchangeOf(channel, "fanout", { autoDelete: false })
      const destination = yield* exchangeOf(channel, "fanout")
      yield* channel.exchangeBind({ destination, source })
      yield* refused(
        channel,
        channel.exchangeDelete({ exchange: source, ifUnused: true }),
        precondition("exchange.delete", `exchange '${source}' in vhost '${vhost}' in use`)
      )
      yield* channel.exchangeDelete({ exchange: destination, ifUnused: true })
      yield* channel.exchangeDelete({ exchange: source, ifUnused: true })
    }))

  it.scoped("of a binding between missing exchanges the source is asked for first; an unbind is fine", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      const missing = fresh("missing")
      const text = (name: string) => notFound("exchange.bind", `no exchange '${name}' in vhost '${vhost}'`)
      yield* refused(channel, channel.exchangeBind({ destination: `${missing}-2`, source: missing }), text(missing))
      yield* refused(channel, channel.exchangeBind({ destination: missing, source: "amq.fanout" }), text(missing))
      yield* refused(channel, channel.exchangeBind({ destination: "amq.fanout", source: missing }), text(missing))
      yield* channel.exchangeUnbind({ destination: missing, source: `${missing}-2` })
      yield* channel.exchangeUnbind({ destination: "amq.fanout", source: "amq.direct", routingKey: missing })
    }))

  it.scoped("the default exchange is neither source nor destination", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const text = "operation not permitted on the default exchange"
      for (const [destination, source] of [["", "amq.fanout"], ["amq.fanout", ""]] as const) {
        yield* refused(channel, channel.exchangeBind({ destination, source }), forbidden("exchange.bind", text))
        yield* refused(channel, channel.exchangeUnbind({ destination, source }), forbidden("exchange.unbind", text))
      }
    }))

  it.scoped("the broker says that it binds exchanges to exchanges", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      assert.isTrue((yield* connection.info).capabilities.exchangeExchangeBindings)
    }))
}

export const furtherKeys = (it: It): void => {
  it.scoped("CC and BCC are further keys; each queue gets the message once, under the first key and without BCC", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = yield* exchangeOf(channel, "direct")
      for (const [target, keys] of [["", ["a", "b", "c"].map(fresh)], [exchange, ["a", "b", "c"]]] as const) {
        const [main = "", cc = "", bcc = ""] = keys
        const queues: Array<string> = []
        for (const key of keys) {
          const queue = target === "" ? key : fresh("q")
          yield* channel.queueDeclare({ queue, exclusive: true })
          if (target !== "") yield* channel.queueBind({ queue, exchange, routingKey: key })
          queues.push(queue)
        }
        const headers = { CC: [cc, main, cc, 5], BCC: [bcc], weight: FieldTable.uint8(7), n: 1 }
        yield* channel.publish({ exchange: target, routingKey: main, content: "x", properties: { headers, type: "t" } })
        for (const queue of queues) {
          const got = yield* channel.get({ queue, noAck: true })
          assert.isTrue(got._tag === "Some")
          if (got._tag !== "Some") continue
          const { delivery } = got.value
          assert.strictEqual(delivery.routingKey, main)
          assert.strictEqual(delivery.properties.type, "t")
          assert.deepInclude(delivery.properties.headers, { n: 1, weight: 7 })
          assert.notProperty(delivery.properties.headers, "BCC")
          assert.deepStrictEqual(yield* drain(channel, queue), [])
        }
      }
    }))

  it.scoped("BCC alone is enough for a message to arrive, and leaves no trace when it does not", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const message = { routingKey: fresh("nowhere"), content: "x", mandatory: true }
      yield* channel.publish({ ...message, properties: { headers: { BCC: [queue] } } })
      const got = yield* channel.get({ queue, noAck: true })
      assert.deepStrictEqual(got._tag === "Some" ? got.value.delivery.properties.headers : undefined, {})
      yield* returned(channel, { ...message, properties: { headers: { BCC: [fresh("nowhere")] } } })
    }))

  it.scoped("further keys are matched by patterns too; types that know no key ignore them", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const topic = yield* exchangeOf(channel, "topic")
      const headers = yield* exchangeOf(channel, "headers")
      const queue = yield* bound(channel, topic, "a.#", "*.b")
      yield* channel.queueBind({ queue, exchange: headers, routingKey: "a.b", arguments: { n: 1 } })
      yield* channel.publish({ exchange: topic, content: "topic", properties: { headers: { CC: ["z", "a.b"] } } })
      yield* returned(channel, { exchange: headers, content: "x", properties: { headers: { CC: ["a.b"] } } })
      assert.deepStrictEqual(yield* drain(channel, queue), ["topic"])
    }))

  it.scoped("the alternate exchange is for what no key at all routed", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const alternate = yield* exchangeOf(channel, "topic")
      const rest = yield* bound(channel, alternate, "cc")
      const exchange = yield* exchangeOf(channel, "direct", { arguments: { "alternate-exchange": alternate } })
      const queue = yield* bound(channel, exchange, "k")
      const publish = (...CC: ReadonlyArray<string>) =>
        channel.publish({ exchange, routingKey: "z", content: CC.join(), properties: { headers: { CC } } })
      yield* publish("cc", "k")
      yield* publish("cc")
      assert.deepStrictEqual(yield* drain(channel, queue), ["cc,k"])
      assert.deepStrictEqual(yield* drain(channel, rest), ["cc"])
    }))

  it.scoped("CC and BCC of another type than a list are refused, once the exchange is known to be right", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const refuses = (headers: FieldTable.FieldTable, text: string) =>
        refused(
          channel,
          channel.publish({ exchange: "amq.direct", content: "x", properties: { headers } }),
          precondition("basic.publish", `invalid message: {unacceptable_type_in_header,${text}}`)
        )
      yield* refuses({ CC: "k" }, "\"CC\",longstr")
      yield* refuses({ BCC: "k" }, "\"BCC\",longstr")
      yield* refuses({ CC: 5 }, "\"CC\",signedint")
      yield* refuses({ CC: ["k"], BCC: true }, "\"BCC\",bool")
      yield* refuses({ CC: null, BCC: true }, "\"CC\",void")
      yield* refuses({ CC: { a: 1 } }, "\"CC\",table")
      const exchange = fresh("missing")
      yield* refused(
        channel,
        channel.publish({ exchange, content: "x", properties: { headers: { CC: "k" } } }),
        notFound("basic.publish", `no exchange '${exchange}' in vhost '${vhost}'`)
      )
    }))

  it.scoped("line ends are taken out of names where things are declared, bound or deleted", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const [exchange, queue] = [fresh("x"), fresh("q")]
      yield* channel.exchangeDeclare({ exchange: `${exchange}\r\n`, durable: false })
      assert.strictEqual((yield* channel.queueDeclare({ queue: `\n${queue}`, exclusive: true })).queue, queue)
      yield* channel.queueBind({ queue: `${queue}\n`, exchange: `\r${exchange}`, routingKey: "k\n" })
      yield* channel.publish({ exchange, routingKey: "k\n", content: "x", mandatory: true })
      assert.deepStrictEqual(yield* drain(channel, queue), ["x"])
      assert.strictEqual(yield* channel.queueDelete({ queue: `${queue}\r` }), 0)
      yield* channel.exchangeDelete({ exchange: `\n${exchange}` })
      assert.isFalse(yield* there(connection, exchange))
    }))

  it.scoped("a consumer sees the keys and headers that a get sees", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const consumer = yield* consume(channel, { queue, noAck: true })
      const routingKey = fresh("nowhere")
      yield* channel.publish({ routingKey, content: "x", properties: { headers: { CC: [queue], BCC: [queue], n: 1 } } })
      const { properties, routingKey: seen } = yield* consumer.next
      assert.deepStrictEqual([seen, properties.headers], [routingKey, { CC: [queue], n: 1 }])
    }))
}
