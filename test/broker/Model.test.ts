import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as FastCheck from "effect/FastCheck"
import * as Order from "effect/Order"
import * as Redacted from "effect/Redacted"
import * as Model from "../../src/broker/Model.ts"

type Client = Model.Client<string>

const open = () => {
  const vhost = Model.make<string>().addVhost("/")
  return { vhost, client: vhost.client() }
}

const granted = <A>(result: A | Model.Refusal): A => {
  if (Model.isRefusal(result)) throw new Error(`refused: ${JSON.stringify(result)}`)
  return result
}

const notFound = (kind: Model.Kind, name: string): Model.Refusal => ({ _tag: "NotFound", kind, name, vhost: "/" })

const locked = (name: string): Model.Refusal => ({ _tag: "Locked", name, vhost: "/" })

const inUse = (kind: Model.Kind, name: string): Model.Refusal => ({ _tag: "InUse", kind, name, vhost: "/" })

const refused = (reason: Model.AccessRefused["reason"], kind: Model.Kind, name: string): Model.Refusal => ({
  _tag: "AccessRefused",
  reason,
  kind,
  name,
  vhost: "/"
})

const publish = (client: Client, routingKey: string, content: string, exchange = "") =>
  client.publish({ exchange, routingKey, persistent: false, size: content.length, content })

const publishAll = (client: Client, queue: string, contents: Iterable<string>) => {
  for (const content of contents) publish(client, queue, content)
}

/** Takes all that is ready, for good. */
const drain = (client: Client, queue: string) => {
  const found: Array<string> = []
  let entry = granted(client.get(queue, { noAck: true }))
  while (entry !== undefined) {
    found.push(entry.redelivered ? `${entry.message.content}!` : entry.message.content)
    entry = granted(client.get(queue, { noAck: true }))
  }
  return found
}

const take = (client: Client, queue: string) => {
  const entry = granted(client.get(queue))
  assert.isDefined(entry)
  return entry!
}

/** A consumer with `credit` places that keeps what it gets. */
const listen = (
  client: Client,
  queue: string,
  options: Partial<Model.SubscribeOptions<string>> & { readonly credit?: number } = {}
) => {
  const state = {
    credit: options.credit ?? Number.POSITIVE_INFINITY,
    entries: new Array<Model.Entry<string>>(),
    asked: 0,
    cancelled: 0,
    contents: () => state.entries.map((entry) => entry.message.content)
  }
  const consumer = granted(client.subscribe({
    queue,
    hasCredit: () => {
      state.asked++
      return state.credit > 0
    },
    receive: (entry) => {
      state.credit--
      state.entries.push(entry)
    },
    onCancelled: () => {
      state.cancelled++
    },
    ...options
  }))
  consumer.resume()
  return Object.assign(state, { consumer })
}

describe("Model", () => {
  describe("exchanges", () => {
    it("has the exchanges of RabbitMQ in every virtual host", () => {
      const { vhost } = open()
      assert.deepStrictEqual(
        Array.from(vhost.exchanges.values(), ({ durable, internal, name, type }) => [name, type, durable, internal]),
        [
          ["", "direct", true, false],
          ["amq.direct", "direct", true, false],
          ["amq.fanout", "fanout", true, false],
          ["amq.topic", "topic", true, false],
          ["amq.headers", "headers", true, false],
          ["amq.match", "headers", true, false],
          ["amq.rabbitmq.trace", "topic", true, true]
        ]
      )
    })

    it("is declared once, and found again when nothing differs", () => {
      const { client } = open()
      const made = client.declareExchange("x", "topic", { durable: true, arguments: { custom: 1 } })
      assert.strictEqual(client.declareExchange("x", "topic", { durable: true, arguments: { custom: 2 } }), made)
      assert.strictEqual(client.findExchange("x"), made)
      assert.isFalse(Model.isRefusal(client.declareExchange("amq.topic", "topic", { durable: true })))
    })

    it.each<[string, string, Model.ExchangeOptions, string, unknown, unknown]>([
      ["its type", "fanout", { durable: true }, "type", "fanout", "direct"],
      ["durable", "direct", {}, "durable", false, true],
      ["auto-delete", "direct", { durable: true, autoDelete: true }, "auto_delete", true, false],
      ["internal", "direct", { durable: true, internal: true }, "internal", true, false],
      [
        "its alternate",
        "direct",
        { durable: true, arguments: { "alternate-exchange": "a" } },
        "alternate-exchange",
        "a",
        undefined
      ]
    ])("is not declared again with another choice of %s", (_, type, options, argument, received, current) => {
      const { client } = open()
      client.declareExchange("x", "direct", { durable: true })
      assert.deepStrictEqual(client.declareExchange("x", type, options), {
        _tag: "Inequivalent",
        kind: "exchange",
        name: "x",
        vhost: "/",
        argument,
        received,
        current
      })
    })

    it("refuses an unknown type before anything else", () => {
      const { client } = open()
      assert.deepStrictEqual(client.declareExchange("", "constructor"), {
        _tag: "UnknownExchangeType",
        type: "constructor"
      })
    })

    it("keeps the default exchange and the reserved names out of reach", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const byDefault = { queue: "q", exchange: "", routingKey: "q" }
      assert.deepStrictEqual(client.declareExchange("", "direct"), refused("DefaultExchange", "exchange", ""))
      assert.deepStrictEqual(client.findExchange(""), refused("DefaultExchange", "exchange", ""))
      assert.deepStrictEqual(client.deleteExchange(""), refused("DefaultExchange", "exchange", ""))
      assert.deepStrictEqual(client.bindQueue(byDefault), refused("DefaultExchange", "exchange", ""))
      assert.deepStrictEqual(client.unbindQueue(byDefault), refused("DefaultExchange", "exchange", ""))
      assert.deepStrictEqual(
        client.declareExchange("amq.new", "direct"),
        refused("ReservedName", "exchange", "amq.new")
      )
      assert.deepStrictEqual(client.deleteExchange("amq.direct"), refused("SystemExchange", "exchange", "amq.direct"))
    })

    it("is deleted with its bindings, refused while in use when asked so, and missing without complaint", () => {
      const { client } = open()
      client.declareExchange("x", "fanout")
      client.declareQueue({ name: "q" })
      client.bindQueue({ queue: "q", exchange: "x", routingKey: "" })
      assert.deepStrictEqual(client.deleteExchange("x", { ifUnused: true }), inUse("exchange", "x"))
      assert.isUndefined(client.deleteExchange("x"))
      assert.isUndefined(client.deleteExchange("x"))
      const missing = notFound("exchange", "x")
      assert.deepStrictEqual(client.findExchange("x"), missing)
      assert.deepStrictEqual(publish(client, "", "a", "x"), missing)
      client.declareExchange("x", "fanout")
      assert.strictEqual(publish(client, "", "a", "x"), 0)
      assert.strictEqual(client.deleteQueue("q"), 0)
    })

    it("goes with its last binding when auto-delete, by unbind or by the queue's end, never before the first", () => {
      const { client, vhost } = open()
      client.declareExchange("x", "direct", { autoDelete: true })
      client.declareQueue({ name: "a" })
      client.declareQueue({ name: "b" })
      client.unbindQueue({ queue: "a", exchange: "x", routingKey: "k" })
      assert.isTrue(vhost.exchanges.has("x"))
      client.bindQueue({ queue: "a", exchange: "x", routingKey: "k" })
      client.bindQueue({ queue: "b", exchange: "x", routingKey: "k" })
      client.unbindQueue({ queue: "a", exchange: "x", routingKey: "k" })
      assert.isTrue(vhost.exchanges.has("x"))
      client.deleteQueue("b")
      assert.isFalse(vhost.exchanges.has("x"))
    })

    it("takes no publish when internal", () => {
      const { client } = open()
      client.declareExchange("x", "fanout", { internal: true })
      assert.deepStrictEqual(publish(client, "", "a", "x"), refused("InternalExchange", "exchange", "x"))
    })
  })

  describe("routing", () => {
    it("reaches a queue by its name through the default exchange, and nobody else", () => {
      const { client } = open()
      client.declareQueue({ name: "a" })
      assert.strictEqual(publish(client, "a", "1"), 1)
      assert.strictEqual(publish(client, "b", "2"), 0)
      assert.deepStrictEqual(drain(client, "a"), ["1"])
    })

    it.each<[Model.ExchangeType, ReadonlyArray<string>, string, boolean]>([
      ["direct", ["k"], "k", true],
      ["direct", ["#", "k.x"], "k", false],
      ["fanout", ["x"], "anything", true],
      ["topic", ["k.*"], "k.a", true],
      ["topic", ["k.*"], "k.a.b", false]
    ])("%s with %s and key %s: %s", (type, keys, key, expected) => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      for (const routingKey of keys) client.bindQueue({ queue: "q", exchange: `amq.${type}`, routingKey })
      assert.strictEqual(publish(client, key, "a", `amq.${type}`), expected ? 1 : 0)
      for (const routingKey of keys) client.unbindQueue({ queue: "q", exchange: `amq.${type}`, routingKey })
      assert.strictEqual(publish(client, key, "b", `amq.${type}`), 0)
      assert.deepStrictEqual(drain(client, "q"), expected ? ["a"] : [])
    })

    it.each(["direct", "fanout", "topic"])("a message enters a queue once through many bindings of a %s", (type) => {
      const { client } = open()
      for (const queue of ["a", "b"]) {
        client.declareQueue({ name: queue })
        client.bindQueue({ queue, exchange: `amq.${type}`, routingKey: "k" })
        client.bindQueue({ queue, exchange: `amq.${type}`, routingKey: "k", arguments: { n: 1 } })
        client.bindQueue({ queue, exchange: `amq.${type}`, routingKey: "#" })
        client.bindQueue({ queue, exchange: `amq.${type}`, routingKey: "*" })
      }
      assert.strictEqual(publish(client, "k", "1", `amq.${type}`), 2)
      assert.strictEqual(publish(client, "k", "2", `amq.${type}`), 2)
      assert.deepStrictEqual(drain(client, "a"), ["1", "2"])
      assert.deepStrictEqual(drain(client, "b"), ["1", "2"])
    })

    it("counts an equal binding once, and one with other arguments apart", () => {
      const { client, vhost } = open()
      client.declareQueue({ name: "q" })
      const binding = { queue: "q", exchange: "amq.direct", routingKey: "k" }
      for (const args of [undefined, {}, { n: 1 }, { n: 1n }]) client.bindQueue({ ...binding, arguments: args })
      assert.strictEqual(vhost.exchanges.get("amq.direct")?.bindingCount, 2)
      client.unbindQueue(binding)
      assert.strictEqual(publish(client, "k", "a", "amq.direct"), 1)
      client.unbindQueue({ ...binding, arguments: { n: 1 } })
      assert.strictEqual(publish(client, "k", "a", "amq.direct"), 0)
    })

    it("needs exchange and queue to bind, and misses nothing to unbind", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const neither = { queue: "none", exchange: "none", routingKey: "" }
      assert.deepStrictEqual(client.bindQueue(neither), notFound("exchange", "none"))
      assert.deepStrictEqual(client.bindQueue({ ...neither, exchange: "amq.direct" }), notFound("queue", "none"))
      assert.isUndefined(client.unbindQueue(neither))
      assert.isUndefined(client.unbindQueue({ ...neither, queue: "q" }))
    })

    it("finds the one that matches among 20,000 topic bindings, 20,000 times", () => {
      const { client } = open()
      for (let index = 0; index < 20_000; index++) {
        client.declareQueue({ name: `q${index}` })
        client.bindQueue({ queue: `q${index}`, exchange: "amq.topic", routingKey: `a.${index}.*` })
      }
      let routed = 0
      for (let index = 0; index < 20_000; index++) {
        routed += Number(granted(publish(client, `a.${index}.b`, "", "amq.topic")))
      }
      assert.strictEqual(routed, 20_000)
    })
  })

  describe("queues", () => {
    it("is named by the generator when it has no name", () => {
      const names = ["one", "two"]
      const client = Model.make<string>({ generateName: () => names.shift() ?? "" }).addVhost("/").client()
      assert.strictEqual(granted(client.declareQueue()).name, "amq.gen-one")
      assert.strictEqual(granted(client.declareQueue({ name: "" })).name, "amq.gen-two")
      assert.strictEqual(publish(client, "amq.gen-two", "a"), 1)
    })

    it("may not be declared with a reserved name, not even one that exists", () => {
      const { client } = open()
      const { name } = granted(client.declareQueue())
      assert.deepStrictEqual(client.declareQueue({ name }), refused("ReservedName", "queue", name))
      assert.strictEqual(granted(client.findQueue(name)).name, name)
      assert.strictEqual(client.deleteQueue(name), 0)
    })

    it("is found again, with its counts, when nothing differs", () => {
      const { client } = open()
      const made = client.declareQueue({ name: "q", durable: true, arguments: { "x-max-length": 5 } })
      publishAll(client, "q", "abc")
      take(client, "q")
      const again = granted(client.declareQueue({ name: "q", durable: true, arguments: { "x-max-length": 5n, z: 1 } }))
      assert.strictEqual(again, made)
      assert.deepStrictEqual([again.readyCount, again.unsettledCount, again.consumerCount], [2, 1, 0])
    })

    it.each<[Model.QueueOptions, string, unknown, unknown]>([
      [{}, "durable", false, true],
      [{ durable: true, autoDelete: true }, "auto_delete", true, false],
      [{ durable: true, arguments: { "x-max-length": 6 } }, "x-max-length", 6, 5],
      [{ durable: true }, "x-max-length", undefined, 5]
    ])("is not declared again with %j", (options, argument, received, current) => {
      const { client } = open()
      client.declareQueue({ name: "q", durable: true, arguments: { "x-max-length": 5 } })
      assert.deepStrictEqual(client.declareQueue({ name: "q", ...options }), {
        _tag: "Inequivalent",
        kind: "queue",
        name: "q",
        vhost: "/",
        argument,
        received,
        current
      })
    })

    it("answers every operation on a missing queue with NotFound, but a deletion with 0", () => {
      const { client } = open()
      const missing = notFound("queue", "q")
      assert.deepStrictEqual(client.findQueue("q"), missing)
      assert.deepStrictEqual(client.purgeQueue("q"), missing)
      assert.deepStrictEqual(client.get("q"), missing)
      assert.deepStrictEqual(
        client.subscribe({ queue: "q", hasCredit: () => true, receive: () => {}, onCancelled: () => {} }),
        missing
      )
      assert.strictEqual(client.deleteQueue("q"), 0)
    })

    it("purges what is ready and leaves what is unsettled", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      publishAll(client, "q", "abcd")
      const entry = take(client, "q")
      assert.strictEqual(client.purgeQueue("q"), 3)
      entry.requeue()
      publish(client, "q", "e")
      assert.deepStrictEqual(drain(client, "q"), ["a!", "e"])
    })

    it("is deleted only empty and unused when asked so, and tells how much went with it", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      publishAll(client, "q", "ab")
      const { consumer } = listen(client, "q", { credit: 0 })
      assert.deepStrictEqual(client.deleteQueue("q", { ifEmpty: true, ifUnused: true }), {
        _tag: "NotEmpty",
        name: "q",
        vhost: "/"
      })
      assert.deepStrictEqual(client.deleteQueue("q", { ifUnused: true }), inUse("queue", "q"))
      consumer.cancel()
      assert.strictEqual(client.deleteQueue("q", { ifUnused: true }), 2)
    })

    it("counts unsettled entries as empty", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      publish(client, "q", "a")
      const entry = take(client, "q")
      assert.strictEqual(client.deleteQueue("q", { ifEmpty: true }), 0)
      client.declareQueue({ name: "q" })
      assert.isTrue(entry.requeue())
      assert.deepStrictEqual(drain(client, "q"), [])
    })

    it("tells its consumers when it is deleted, and takes its bindings along", () => {
      const { client, vhost } = open()
      client.declareQueue({ name: "q" })
      client.bindQueue({ queue: "q", exchange: "amq.fanout", routingKey: "" })
      const [first, second] = [listen(client, "q"), listen(vhost.client(), "q")]
      client.deleteQueue("q")
      assert.deepStrictEqual([first.cancelled, second.cancelled], [1, 1])
      assert.strictEqual(vhost.exchanges.get("amq.fanout")?.bindingCount, 0)
      first.consumer.resume()
      first.consumer.cancel()
      assert.strictEqual(first.cancelled, 1)
    })

    it("goes with its last consumer when auto-delete, and stays as long as it never had one", () => {
      const { client, vhost } = open()
      client.declareQueue({ name: "q", autoDelete: true })
      publish(client, "q", "a")
      const [first, second] = [listen(client, "q", { credit: 0 }), listen(client, "q", { credit: 0 })]
      first.consumer.cancel()
      assert.isTrue(vhost.queues.has("q"))
      second.consumer.cancel()
      assert.isFalse(vhost.queues.has("q"))
      assert.strictEqual(second.cancelled, 0)
    })
  })

  describe("exclusive queues", () => {
    it("serve their owner's family and nobody else", () => {
      const { client, vhost } = open()
      const child = client.child()
      const stranger = vhost.client()
      child.declareQueue({ name: "q", exclusive: true })
      assert.isFalse(Model.isRefusal(client.declareQueue({ name: "q", exclusive: true })))
      assert.isFalse(Model.isRefusal(client.child().findQueue("q")))
      const binding = { queue: "q", exchange: "amq.direct", routingKey: "k" }
      assert.deepStrictEqual(stranger.declareQueue({ name: "q", exclusive: true }), locked("q"))
      assert.deepStrictEqual(stranger.findQueue("q"), locked("q"))
      assert.deepStrictEqual(stranger.get("q"), locked("q"))
      assert.deepStrictEqual(stranger.purgeQueue("q"), locked("q"))
      assert.deepStrictEqual(stranger.deleteQueue("q"), locked("q"))
      assert.deepStrictEqual(stranger.bindQueue(binding), locked("q"))
      assert.isUndefined(stranger.unbindQueue(binding))
      client.bindQueue(binding)
      assert.deepStrictEqual(stranger.unbindQueue(binding), locked("q"))
      assert.strictEqual(publish(stranger, "q", "a"), 1)
    })

    it("are locked to who declares them again without exclusive, and the other way round", () => {
      const { client } = open()
      client.declareQueue({ name: "mine", exclusive: true })
      client.declareQueue({ name: "ours" })
      assert.deepStrictEqual(client.declareQueue({ name: "mine" }), locked("mine"))
      assert.deepStrictEqual(client.declareQueue({ name: "ours", exclusive: true }), locked("ours"))
    })

    it("are never durable", () => {
      const { client } = open()
      assert.isFalse(granted(client.declareQueue({ name: "q", exclusive: true, durable: true })).durable)
      assert.isFalse(Model.isRefusal(client.declareQueue({ name: "q", exclusive: true, durable: false })))
    })

    it("end with their owner, not with its child", () => {
      const { client, vhost } = open()
      const child = client.child()
      child.declareQueue({ name: "q", exclusive: true })
      child.release()
      assert.isTrue(vhost.queues.has("q"))
      client.release()
      assert.isFalse(vhost.queues.has("q"))
      assert.isFalse(Model.isRefusal(vhost.client().declareQueue({ name: "q", exclusive: true })))
      client.release()
      assert.isTrue(vhost.queues.has("q"))
    })
  })

  describe("entries", () => {
    it("do one thing once, and nothing when there was nothing to settle", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      publishAll(client, "q", "abcd")
      const [a, b, c] = [take(client, "q"), take(client, "q"), take(client, "q")]
      const d = granted(client.get("q", { noAck: true }))
      assert.strictEqual(queue.unsettledCount, 3)
      assert.deepStrictEqual([a.settle(), a.settle(), a.requeue()], [true, false, false])
      assert.deepStrictEqual([b.discard(), b.requeue()], [true, false])
      assert.deepStrictEqual([c.requeue(), c.requeue(), c.settle()], [true, false, false])
      assert.isFalse(d?.requeue())
      assert.strictEqual(queue.unsettledCount, 0)
      assert.deepStrictEqual(drain(client, "q"), ["c!"])
    })

    it("stay what they are when the one that came back is handed to another", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      publish(client, "q", "a")
      const old = take(client, "q")
      old.requeue()
      const current = take(client, "q")
      assert.deepStrictEqual([old.redelivered, current.redelivered], [false, true])
      assert.isFalse(old.settle())
      assert.strictEqual(queue.unsettledCount, 1)
      assert.isTrue(current.settle())
    })

    it.prop(
      "return to where they were, whatever else happens",
      [
        FastCheck.array(
          FastCheck.tuple(
            FastCheck.constantFrom("publish", "get", "get", "requeue", "settle", "requeueAll"),
            FastCheck.nat()
          ),
          { maxLength: 120 }
        )
      ],
      ([steps]) => {
        const { client } = open()
        client.declareQueue({ name: "q" })
        let next = 0
        let ready: Array<number> = []
        const returned = new Set<number>()
        const held: Array<Model.Entry<string>> = []
        const back = (entries: ReadonlyArray<Model.Entry<string>>) => {
          const numbers = entries.map((entry) => Number(entry.message.content))
          for (const number of numbers) returned.add(number)
          ready = Arr.sort([...ready, ...numbers], Order.number)
        }
        for (const [step, choice] of steps) {
          if (step === "publish") {
            ready.push(next)
            publish(client, "q", String(next++))
          } else if (step === "get") {
            const entry = granted(client.get("q"))
            const expected = ready.shift()
            assert.strictEqual(entry?.message.content, expected?.toString())
            if (entry === undefined || expected === undefined) continue
            assert.strictEqual(entry.redelivered, returned.has(expected))
            assert.strictEqual(entry.queue.readyCount, ready.length)
            held.push(entry)
          } else if (step === "requeueAll") {
            const entries = held.splice(0)
            back(entries)
            client.requeue(choice % 2 === 0 ? entries : Arr.reverse(entries))
          } else if (held.length > 0) {
            const entries = held.splice(choice % held.length, 1)
            if (step === "requeue") back(entries)
            for (const entry of entries) assert.isTrue(step === "requeue" ? entry.requeue() : entry.settle())
          }
        }
        assert.strictEqual(client.purgeQueue("q"), ready.length)
      },
      { fastCheck: { numRuns: 500 } }
    )
  })

  describe("consumers", () => {
    it("get nothing before the first resume", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      publish(client, "q", "a")
      const got: Array<string> = []
      const consumer = granted(client.subscribe({
        queue: "q",
        hasCredit: () => true,
        receive: (entry) => void got.push(entry.message.content),
        onCancelled: () => {}
      }))
      publish(client, "q", "b")
      assert.deepStrictEqual(got, [])
      consumer.resume()
      assert.deepStrictEqual(got, ["a", "b"])
    })

    it("take turns, in the order in which they came", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const consumers = [listen(client, "q"), listen(client, "q"), listen(client, "q")]
      publishAll(client, "q", "abcdefg")
      assert.deepStrictEqual(consumers.map((consumer) => consumer.contents().join("")), ["adg", "be", "cf"])
    })

    it.prop(
      "with equal credit get equally much, and all of it goes to who has room",
      [FastCheck.array(FastCheck.nat(6), { minLength: 1, maxLength: 6 }), FastCheck.nat(60)],
      ([credits, count]) => {
        const { client } = open()
        const queue = granted(client.declareQueue({ name: "q" }))
        const consumers = credits.map((credit) => listen(client, "q", { credit }))
        for (let index = 0; index < count; index++) publish(client, "q", String(index))
        // One entry a round to each that has room is as fair as it can be.
        const expected = credits.map(() => new Array<string>())
        const left = Array.from({ length: count }, (_, index) => String(index))
        for (let round = 0; round < 6; round++) {
          credits.forEach((credit, index) => credit > round && expected[index]?.push(...left.splice(0, 1)))
        }
        assert.deepStrictEqual(consumers.map((consumer) => consumer.contents()), expected)
        assert.strictEqual(queue.readyCount, left.length)
        const room = consumers.find((consumer) => consumer.credit === 0)
        if (room === undefined) return
        room.credit = left.length
        room.consumer.resume()
        assert.strictEqual(queue.readyCount, 0)
      },
      { fastCheck: { numRuns: 300 } }
    )

    it("without credit are asked once, not at every message", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const full = Array.from({ length: 1000 }, () => listen(client, "q", { credit: 0 }))
      const able = listen(client, "q")
      for (let index = 0; index < 1000; index++) publish(client, "q", "")
      assert.strictEqual(able.entries.length, 1000)
      assert.isTrue(full.every((consumer) => consumer.asked === 1))
    })

    it("go on from where the queue stands when credit returns, and join the round at its end", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const [first, second] = [listen(client, "q", { credit: 1 }), listen(client, "q", { credit: 2 })]
      publishAll(client, "q", "abcdef")
      assert.deepStrictEqual([first.contents(), second.contents()], [["a"], ["b", "c"]])
      first.credit = 1
      first.consumer.resume()
      first.consumer.resume()
      assert.deepStrictEqual(first.contents(), ["a", "d"])
      second.credit = 5
      second.consumer.resume()
      assert.deepStrictEqual(second.contents(), ["b", "c", "e", "f"])
    })

    it("take turns from the first entry on when they resume together", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const consumers = [listen(client, "q", { credit: 0 }), listen(client, "q", { credit: 0 })]
      publishAll(client, "q", "abcd")
      client.together(() => {
        for (const listener of consumers) {
          listener.credit = 100
          listener.consumer.resume()
          assert.deepStrictEqual(listener.contents(), [])
        }
      })
      assert.deepStrictEqual(consumers.map((listener) => listener.contents()), [["a", "c"], ["b", "d"]])
    })

    it("keep what they got when cancelled, and get no more", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const listener = listen(client, "q")
      publish(client, "q", "a")
      listener.consumer.cancel()
      publish(client, "q", "b")
      listener.consumer.resume()
      assert.deepStrictEqual([queue.readyCount, queue.unsettledCount, queue.consumerCount], [1, 1, 0])
      assert.isTrue(listener.entries[0]?.settle())
    })

    it("without acknowledgement leave nothing unsettled", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const listener = listen(client, "q", { noAck: true })
      publish(client, "q", "a")
      assert.strictEqual(queue.unsettledCount, 0)
      assert.isFalse(listener.entries[0]?.requeue())
      client.release()
      assert.strictEqual(queue.readyCount, 0)
    })

    it("are alone when exclusive, from both sides, until they go", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      const options = { queue: "q", hasCredit: () => true, receive: () => {}, onCancelled: () => {} }
      const taken = refused("ExclusiveConsumer", "queue", "q")
      const shared = granted(client.subscribe(options))
      assert.deepStrictEqual(client.subscribe({ ...options, exclusive: true }), taken)
      shared.cancel()
      const alone = granted(client.subscribe({ ...options, exclusive: true }))
      assert.deepStrictEqual(client.subscribe(options), taken)
      assert.deepStrictEqual(client.subscribe({ ...options, exclusive: true }), taken)
      alone.cancel()
      assert.isFalse(Model.isRefusal(client.subscribe(options)))
    })

    it("get what comes back, in its order, when it comes back together", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      publishAll(client, "q", "abc")
      const entries = [take(client, "q"), take(client, "q"), take(client, "q")]
      const listener = listen(client, "q")
      client.requeue(Arr.reverse(entries))
      assert.deepStrictEqual(listener.contents(), ["a", "b", "c"])
      assert.isTrue(listener.entries.every((entry) => entry.redelivered))
    })
  })

  describe("release", () => {
    it("gives back what the client held, in its order, and nobody who leaves gets it", () => {
      const { client, vhost } = open()
      const [left, right] = [client.child(), client.child()]
      vhost.client().declareQueue({ name: "q" })
      const leaving = [listen(left, "q", { credit: 2 }), listen(right, "q", { credit: 2 })]
      publishAll(client, "q", "abcdef")
      for (const consumer of leaving) consumer.credit = 100
      const staying = listen(vhost.client(), "q", { credit: 0 })
      leaving[0]?.entries[0]?.settle()
      client.release()
      staying.credit = 100
      staying.consumer.resume()
      assert.deepStrictEqual(staying.contents(), ["b", "c", "d", "e", "f"])
      assert.deepStrictEqual(staying.entries.map((entry) => entry.redelivered), [true, true, true, false, false])
      assert.deepStrictEqual(leaving.map((consumer) => consumer.cancelled), [0, 0])
    })

    it("of a child leaves its sisters alone", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const [left, right] = [client.child(), client.child()]
      publishAll(client, "q", "ab")
      take(left, "q")
      take(right, "q")
      left.release()
      assert.deepStrictEqual([queue.readyCount, queue.unsettledCount], [1, 1])
    })

    it("ends auto-delete queues with their last consumer, and what was unsettled there", () => {
      const { client, vhost } = open()
      client.declareQueue({ name: "q", autoDelete: true })
      const listener = listen(client, "q")
      publish(client, "q", "a")
      client.release()
      assert.isFalse(vhost.queues.has("q"))
      assert.isFalse(listener.entries[0]?.settle())
    })
  })

  describe("reentrancy", () => {
    it("lets a receiver publish to its own queue, settle and cancel", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const got: Array<string> = []
      const consumer = granted(client.subscribe({
        queue: "q",
        hasCredit: () => true,
        receive: (entry) => {
          got.push(entry.message.content)
          if (got.length === 100_000) consumer.cancel()
          publish(client, "q", String(got.length))
          entry.settle()
        },
        onCancelled: () => {}
      }))
      consumer.resume()
      publish(client, "q", "0")
      assert.strictEqual(got.length, 100_000)
      assert.strictEqual(got.at(-1), "99999")
      assert.deepStrictEqual([queue.readyCount, queue.unsettledCount], [1, 0])
    })

    it("passes a message through 20,000 queues, each fed by the receiver before", () => {
      const { client } = open()
      for (let index = 0; index < 20_000; index++) {
        client.declareQueue({ name: String(index) })
        listen(client, String(index), {
          noAck: true,
          receive: (entry) => {
            publish(client, String(index + 1), entry.message.content)
          }
        })
      }
      client.declareQueue({ name: "20000" })
      publish(client, "0", "a")
      assert.deepStrictEqual(drain(client, "20000"), ["a"])
    })

    it("chooses all queues of a message before a receiver can change what is bound", () => {
      const { client } = open()
      for (const queue of ["a", "b"]) {
        client.declareQueue({ name: queue })
        client.bindQueue({ queue, exchange: "amq.topic", routingKey: "#" })
      }
      const got: Array<string> = []
      const consumer = granted(client.subscribe({
        queue: "a",
        noAck: true,
        hasCredit: () => got.length < 2,
        receive: (entry) => {
          got.push(entry.message.content)
          client.unbindQueue({ queue: "b", exchange: "amq.topic", routingKey: "#" })
          if (got.length === 1) assert.strictEqual(publish(client, "k", "2", "amq.topic"), 1)
        },
        onCancelled: () => {}
      }))
      consumer.resume()
      assert.strictEqual(publish(client, "k", "1", "amq.topic"), 2)
      assert.deepStrictEqual(got, ["1", "2"])
      assert.deepStrictEqual(drain(client, "b"), ["1"])
    })

    it("lets a receiver delete the queue it is fed from", () => {
      const { client, vhost } = open()
      client.declareQueue({ name: "q" })
      publishAll(client, "q", "abc")
      const listener = listen(client, "q", { receive: () => void client.deleteQueue("q") })
      assert.isFalse(vhost.queues.has("q"))
      assert.strictEqual(listener.cancelled, 1)
    })

    it("lets another queue have its turn before a long one is through", () => {
      const { client } = open()
      const order: Array<string> = []
      for (const queue of ["long", "short"]) {
        client.declareQueue({ name: queue })
        publishAll(client, queue, queue === "long" ? Array.from({ length: 1000 }, () => "l") : ["s"])
      }
      const receive = (entry: Model.Entry<string>) => {
        order.push(entry.message.content)
        if (order.length === 1) listen(client, "short", { receive })
      }
      listen(client, "long", { receive })
      assert.isBelow(order.indexOf("s"), 100)
      assert.strictEqual(order.length, 1001)
    })

    it("stays usable after a receiver threw", () => {
      const { client } = open()
      client.declareQueue({ name: "q" })
      let failing = true
      const got: Array<string> = []
      assert.throws(() =>
        listen(client, "q", {
          receive: (entry) => {
            if (failing) throw new Error("boom")
            got.push(entry.message.content)
          }
        }) && publish(client, "q", "a")
      )
      failing = false
      publish(client, "q", "b")
      assert.deepStrictEqual(got, ["b"])
    })
  })

  describe("load", () => {
    it("asks and hands out once per message, 200,000 times, waiting or passing through", () => {
      const { client } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const count = 200_000
      let [asked, received, sum] = [0, 0, 0]
      const consumer = granted(client.subscribe({
        queue: "q",
        hasCredit: () => {
          asked++
          return true
        },
        receive: (entry) => {
          sum += Number(entry.message.content) === received++ % count ? 1 : 0
          entry.settle()
        },
        onCancelled: () => {}
      }))
      for (let index = 0; index < count; index++) publish(client, "q", String(index))
      assert.strictEqual(queue.readyCount, count)
      consumer.resume()
      for (let index = 0; index < count; index++) publish(client, "q", String(index))
      assert.deepStrictEqual([received, sum, queue.readyCount, queue.unsettledCount], [2 * count, 2 * count, 0, 0])
      // One more question at the end of each turn of a long queue.
      assert.isBelow(asked, 2 * count * 1.05)
    })

    it("gives 200,000 entries back on release without moving each past all others", () => {
      const { client, vhost } = open()
      const queue = granted(client.declareQueue({ name: "q" }))
      const worker = vhost.client()
      for (let index = 0; index < 200_000; index++) publish(client, "q", String(index))
      listen(worker, "q")
      assert.strictEqual(queue.unsettledCount, 200_000)
      worker.release()
      assert.deepStrictEqual([queue.readyCount, queue.unsettledCount], [200_000, 0])
      assert.strictEqual(take(client, "q").message.content, "0")
    })
  })

  describe("virtual hosts and users", () => {
    it("keep names apart", () => {
      const model = Model.make<string>()
      const [one, two] = [model.addVhost("/"), model.addVhost("two")]
      one.client().declareQueue({ name: "q" })
      assert.isFalse(two.queues.has("q"))
      assert.strictEqual(publish(two.client(), "q", "a"), 0)
      assert.strictEqual(model.addVhost("two"), two)
      assert.deepStrictEqual(Array.from(model.vhosts.keys()), ["/", "two"])
    })

    it("let guest into / by default, and nobody else anywhere", () => {
      const model = Model.make<string>()
      assert.isTrue(model.authenticate("guest", Redacted.make("guest")))
      assert.isTrue(model.canAccess("guest", "/"))
      assert.isFalse(model.canAccess("guest", "two"))
      assert.isFalse(model.canAccess("me", "/"))
      for (const wrong of ["", "guesT", "guest ", "gues", "guestguest"]) {
        assert.isFalse(model.authenticate("guest", Redacted.make(wrong)), wrong)
      }
      assert.isFalse(model.authenticate("me", Redacted.make("guest")))
    })

    it("know a user by the newest password, with the rights it has", () => {
      const model = Model.make<string>()
      model.addUser("me", Redacted.make("old"))
      model.permit("me", "two")
      model.addUser("me", Redacted.make("new"))
      model.permit("nobody", "two")
      assert.deepStrictEqual(
        ["old", "new"].map((password) => model.authenticate("me", Redacted.make(password))),
        [false, true]
      )
      assert.deepStrictEqual([model.canAccess("me", "two"), model.canAccess("nobody", "two")], [true, false])
    })
  })
})
