import { assert, describe, it } from "@effect/vitest"
import * as Model from "../../src/broker/Model.ts"

interface Content {
  readonly text: string
  readonly deaths: ReadonlyArray<{ readonly queue: string; readonly reason: string }>
}

/** A broker with a clock of its own, whose messages remember their deaths. */
const open = () => {
  const state = { now: 1000, deadlines: new Array<number>(), deaths: new Array<string>() }
  const model = Model.make<Content>({
    now: () => state.now,
    onDeadline: (deadline) => void state.deadlines.push(deadline),
    deadLetter: ({ exchange, message, queue, reason, routingKey, time }) => {
      state.deaths.push(`${message.content.text} ${queue} ${reason} ${time}`)
      const deaths = [{ queue, reason }, ...message.content.deaths]
      return {
        message: {
          ...message,
          exchange,
          routingKey: routingKey ?? message.routingKey,
          expiration: undefined,
          content: { ...message.content, deaths }
        },
        deaths
      }
    }
  })
  const client = model.addVhost("/").client()
  return {
    model,
    client,
    state,
    queue: (name: string, args: Model.Arguments = {}) =>
      granted(client.declareQueue({ name, durable: true, arguments: args })),
    pass: (millis: number) => {
      state.now += millis
      model.tick(state.now)
    },
    publish: (routingKey: string, text: string, options: Partial<Model.Message<Content>> = {}) =>
      client.publish({
        exchange: "",
        routingKey,
        persistent: false,
        size: text.length,
        content: { text, deaths: [] },
        ...options
      })
  }
}

const granted = <A>(result: A | Model.Refusal): A => {
  if (Model.isRefusal(result)) throw new Error(`refused: ${JSON.stringify(result)}`)
  return result
}

const deadTo = (queue: string): Model.Arguments => ({
  "x-dead-letter-exchange": "",
  "x-dead-letter-routing-key": queue
})

const drain = (client: Model.Client<Content>, queue: string) => {
  const found: Array<string> = []
  for (;;) {
    const entry = granted(client.get(queue, { noAck: true }))
    if (entry === undefined) return found
    found.push(entry.message.content.text)
  }
}

const listen = (
  client: Model.Client<Content>,
  queue: string,
  options: Partial<Model.SubscribeOptions<Content>> = {}
) => {
  const texts: Array<string> = []
  const consumer = granted(client.subscribe({
    queue,
    hasCredit: () => true,
    receive: (entry) => void texts.push(entry.message.content.text),
    onCancelled: () => {},
    ...options
  }))
  consumer.resume()
  return { consumer, texts }
}

describe("Model", () => {
  describe("time", () => {
    it("has no deadline while nothing can expire", () => {
      const { client, model, publish, queue } = open()
      queue("q")
      publish("q", "a")
      client.get("q")
      assert.strictEqual(model.nextDeadline(), Infinity)
    })

    it("names the first message's time as its deadline, and says so once when it becomes earlier", () => {
      const { model, publish, queue, state } = open()
      queue("q", { "x-message-ttl": 100 })
      queue("other")
      for (let count = 0; count < 50; count++) {
        publish("q", "a")
        state.now++
      }
      assert.deepStrictEqual(state.deadlines, [1100])
      publish("other", "a", { expiration: 20 })
      assert.deepStrictEqual(state.deadlines, [1100, 1070])
      assert.strictEqual(model.nextDeadline(), 1070)
    })

    it("expires exactly what is due, and moves its deadline on", () => {
      const { client, model, pass, publish, queue } = open()
      const made = queue("q", { "x-message-ttl": 100 })
      publish("q", "1")
      pass(40)
      publish("q", "2")
      pass(59)
      assert.strictEqual(made.readyCount, 2)
      pass(1)
      assert.strictEqual(made.readyCount, 1)
      assert.strictEqual(model.nextDeadline(), 1140)
      pass(40)
      assert.strictEqual(made.readyCount, 0)
      assert.strictEqual(model.nextDeadline(), Infinity)
      assert.deepStrictEqual(drain(client, "q"), [])
    })

    it("hands out nothing late, even when nobody woke it", () => {
      const { client, publish, queue, state } = open()
      queue("q", { "x-message-ttl": 100 })
      publish("q", "1")
      state.now += 100
      assert.isUndefined(client.get("q"))
      publish("q", "2")
      state.now += 101
      assert.deepStrictEqual(listen(client, "q").texts, [])
    })

    it("watches the message that becomes the first when the one before it was taken", () => {
      const { client, pass, publish, queue } = open()
      const made = queue("q")
      publish("q", "1", { expiration: 1000 })
      publish("q", "2", { expiration: 10 })
      client.get("q")
      pass(10)
      assert.strictEqual(made.readyCount, 0)
    })

    it("needs a tick for each queue at most, not for each message", () => {
      const { model, publish, queue, state } = open()
      const made = queue("q", { "x-message-ttl": 1000 })
      for (let count = 0; count < 100_000; count++) publish("q", "a")
      assert.strictEqual(state.deadlines.length, 1)
      state.now += 1000
      model.tick(state.now)
      assert.strictEqual(made.readyCount, 0)
      assert.strictEqual(model.nextDeadline(), Infinity)
    })

    it("expires in the order of the deadlines, in several queues and hosts", () => {
      const { client, model, pass, publish, queue, state } = open()
      const other = model.addVhost("other").client()
      for (const each of [client, other]) each.declareQueue({ name: "dead" })
      queue("slow", { "x-message-ttl": 300, ...deadTo("dead") })
      queue("fast", { "x-message-ttl": 100, ...deadTo("dead") })
      other.declareQueue({ name: "middle", arguments: { "x-message-ttl": 200, ...deadTo("dead") } })
      publish("slow", "3")
      other.publish({
        exchange: "",
        routingKey: "middle",
        persistent: false,
        size: 1,
        content: { text: "2", deaths: [] }
      })
      publish("fast", "1")
      pass(300)
      assert.deepStrictEqual(state.deaths, ["1 fast expired 1300", "2 middle expired 1300", "3 slow expired 1300"])
    })

    it("deletes a queue that nobody used for its time, and drops what it held", () => {
      const { client, pass, publish, queue, state } = open()
      queue("dead")
      queue("q", { "x-expires": 100, ...deadTo("dead") })
      publish("q", "1")
      pass(60)
      client.findQueue("q")
      pass(60)
      granted(client.findQueue("q"))
      const { consumer } = listen(client, "q")
      pass(1000)
      consumer.cancel()
      pass(99)
      assert.isFalse(Model.isRefusal(client.purgeQueue("q")))
      pass(1)
      assert.isTrue(Model.isRefusal(client.findQueue("q")))
      assert.deepStrictEqual(state.deaths, [])
    })

    it("stands still without a clock", () => {
      const client = Model.make<string>().addVhost("/").client()
      client.declareQueue({ name: "q", arguments: { "x-message-ttl": 1 } })
      client.publish({ exchange: "", routingKey: "q", persistent: false, size: 1, content: "a" })
      assert.strictEqual(granted(client.findQueue("q")).readyCount, 1)
    })
  })

  describe("limits", () => {
    it("costs the same for each publish, whether a queue is full, or its consumers wait", () => {
      const { client, publish, queue } = open()
      const full = queue("full", { "x-max-length": 10 })
      queue("passing", { "x-message-ttl": 1000, "x-max-length": 1 })
      let received = 0
      listen(client, "passing", { noAck: true, receive: () => void received++ })
      for (let count = 0; count < 200_000; count++) {
        publish("full", "a")
        publish("passing", "a")
      }
      assert.strictEqual(full.readyCount, 10)
      assert.strictEqual(received, 200_000)
    })

    it("says of a publish whether it was refused, and to how many queues it went else", () => {
      const { client, publish, queue } = open()
      queue("full", { "x-max-length": 1, "x-overflow": "reject-publish" })
      queue("other")
      assert.strictEqual(publish("full", "1"), 1)
      assert.strictEqual(publish("full", "2"), "Rejected")
      assert.strictEqual(publish("nowhere", "3"), 0)
      for (const name of ["full", "other"]) client.bindQueue({ queue: name, exchange: "amq.fanout", routingKey: "" })
      assert.strictEqual(publish("", "4", { exchange: "amq.fanout" }), "Rejected")
      assert.deepStrictEqual(drain(client, "other"), ["4"])
    })

    it("counts bytes of what is ready, through every way in and out", () => {
      const { client, publish, queue } = open()
      const made = queue("q", { "x-max-length-bytes": 6 })
      for (const text of ["aa", "bb", "cc"]) publish("q", text)
      const entry = granted(client.get("q"))
      publish("q", "dd")
      assert.strictEqual(made.readyCount, 3)
      entry?.requeue()
      assert.strictEqual(made.readyCount, 3)
      client.purgeQueue("q")
      for (const text of ["ee", "ff", "gg", "hh"]) publish("q", text)
      assert.deepStrictEqual(drain(client, "q"), ["ff", "gg", "hh"])
    })
  })

  describe("dead letters", () => {
    it("are dropped where nobody can write deaths down", () => {
      const client = Model.make<string>().addVhost("/").client()
      client.declareQueue({ name: "dead" })
      client.declareQueue({ name: "q", arguments: deadTo("dead") })
      client.publish({ exchange: "", routingKey: "q", persistent: false, size: 1, content: "a" })
      assert.isTrue(granted(client.get("q"))?.discard())
      assert.strictEqual(granted(client.findQueue("dead")).readyCount, 0)
    })

    it("are not made of what was discarded twice, settled, or of a queue that is gone", () => {
      const { client, publish, queue, state } = open()
      queue("dead")
      queue("q", deadTo("dead"))
      for (const text of ["1", "2", "3"]) publish("q", text)
      const [first, second, third] = [granted(client.get("q")), granted(client.get("q")), granted(client.get("q"))]
      assert.isTrue(first?.discard())
      assert.isFalse(first?.discard())
      assert.isTrue(second?.settle())
      assert.isFalse(second?.discard())
      client.deleteQueue("q")
      assert.isTrue(third?.discard())
      assert.deepStrictEqual(state.deaths, ["1 q rejected 1000"])
    })

    for (
      const [how, args] of [
        ["drop", { "x-max-length": 0 }],
        ["refuse", { "x-max-length": 0, "x-overflow": "reject-publish-dlx" }],
        ["expire", { "x-message-ttl": 0 }]
      ] as const
    ) {
      it(`go through 4,000 queues in a row that ${how} them, and end where they have been before`, () => {
        const { publish, queue, state } = open()
        for (let index = 0; index < 4000; index++) {
          queue(`q${index}`, { ...args, ...deadTo(`q${(index + 1) % 4000}`) })
        }
        publish("q0", "a")
        assert.strictEqual(state.deaths.length, 4000)
      })
    }
  })

  describe("single active consumers", () => {
    it("of a quorum queue follow each other as they came", () => {
      const { client, publish, queue } = open()
      queue("q", { "x-queue-type": "quorum", "x-single-active-consumer": true })
      const first = listen(client, "q")
      const second = listen(client, "q")
      const high = listen(client, "q", { priority: 9 })
      publish("q", "1")
      first.consumer.cancel()
      publish("q", "2")
      second.consumer.cancel()
      publish("q", "3")
      assert.deepStrictEqual([first.texts, second.texts, high.texts], [["1"], ["2"], ["3"]])
    })

    it("that never asked are passed nothing until they do", () => {
      const { client, publish, queue } = open()
      queue("q", { "x-single-active-consumer": true })
      const first = listen(client, "q")
      const texts: Array<string> = []
      const second = granted(client.subscribe({
        queue: "q",
        hasCredit: () => true,
        receive: (entry) => void texts.push(entry.message.content.text),
        onCancelled: () => {}
      }))
      first.consumer.cancel()
      publish("q", "1")
      assert.deepStrictEqual(texts, [])
      second.resume()
      assert.deepStrictEqual(texts, ["1"])
    })
  })
})
