import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Model from "../../src/broker/Model.ts"

type Client = Model.Client<Model.Arguments>

const open = (options?: Model.Options<Model.Arguments>) => {
  const vhost = Model.make<Model.Arguments>({ headers: (content) => content, ...options }).addVhost("/")
  return { vhost, client: vhost.client() }
}

const publish = (
  client: Client,
  exchange: string,
  routingKey = "",
  content: Model.Arguments = {},
  furtherKeys?: ReadonlyArray<string>
) => client.publish({ exchange, routingKey, furtherKeys, persistent: false, size: 1, content })

const ready = (vhost: Model.VirtualHost<Model.Arguments>, ...names: ReadonlyArray<string>) =>
  names.map((name) => vhost.queues.get(name)?.readyCount)

describe("Model routing", () => {
  it("asks for the headers of a message only when it meets a headers exchange", () => {
    let asked = 0
    const { client } = open({
      headers: (content) => {
        asked++
        return content
      }
    })
    client.declareQueue({ name: "q" })
    for (const exchange of ["amq.direct", "amq.fanout", "amq.topic"]) {
      client.bindQueue({ queue: "q", exchange, routingKey: "" })
      publish(client, exchange)
    }
    publish(client, "", "q", {}, ["q"])
    assert.strictEqual(asked, 0)
    client.bindQueue({ queue: "q", exchange: "amq.match", routingKey: "", arguments: { a: 1 } })
    assert.strictEqual(publish(client, "amq.match", "", { a: 1 }), 1)
    assert.strictEqual(asked, 1)
  })

  it("knows no headers unless told how to find them", () => {
    const client = Model.make<Model.Arguments>().addVhost("/").client()
    client.declareQueue({ name: "some" })
    client.declareQueue({ name: "all" })
    client.bindQueue({ queue: "some", exchange: "amq.headers", routingKey: "", arguments: { a: 1 } })
    client.bindQueue({ queue: "all", exchange: "amq.headers", routingKey: "" })
    assert.strictEqual(publish(client, "amq.headers", "", { a: 1 }), 1)
  })

  it("refuses a binding for its x-match before it looks whose queue it is", () => {
    const { client, vhost } = open()
    vhost.client().declareQueue({ name: "q", exclusive: true })
    const binding = { queue: "q", exchange: "amq.headers", routingKey: "" }
    assert.deepStrictEqual(client.bindQueue({ ...binding, arguments: { "x-match": "some" } }), {
      _tag: "UnknownMatch",
      received: "some"
    })
    assert.deepStrictEqual(client.bindQueue(binding), { _tag: "Locked", name: "q", vhost: "/" })
  })

  it("counts each queue once, whichever of the keys lead to it", () => {
    const { client, vhost } = open()
    for (const name of ["a", "b"]) {
      client.declareQueue({ name })
      client.bindQueue({ queue: name, exchange: "amq.direct", routingKey: name })
    }
    assert.strictEqual(publish(client, "", "a", {}, ["a", "b", "b", "c"]), 2)
    assert.strictEqual(publish(client, "amq.direct", "a", {}, ["b", "a"]), 2)
    assert.strictEqual(publish(client, "amq.direct", "z", {}, []), 0)
    assert.deepStrictEqual(ready(vhost, "a", "b"), [2, 2])
  })

  it("goes through a chain of exchanges of any length, and takes it down with its end", () => {
    const { client, vhost } = open()
    const length = 20_000
    const before = vhost.exchanges.size
    client.declareQueue({ name: "q" })
    for (let index = 0; index < length; index++) {
      client.declareExchange(`x${index}`, "fanout", { autoDelete: true })
      if (index > 0) client.bindExchange({ destination: `x${index}`, source: `x${index - 1}`, routingKey: "" })
    }
    client.bindQueue({ queue: "q", exchange: `x${length - 1}`, routingKey: "" })
    assert.strictEqual(publish(client, "x0"), 1)
    client.deleteQueue("q")
    assert.strictEqual(vhost.exchanges.size, before)
  })

  it("lets no binding outlive one of its ends, in circles either", () => {
    const { client, vhost } = open()
    for (const name of ["a", "b"]) client.declareExchange(name, "fanout", { autoDelete: name === "b" })
    for (const [destination, source] of [["b", "a"], ["a", "b"], ["a", "a"]] as const) {
      client.bindExchange({ destination, source, routingKey: "" })
    }
    assert.strictEqual(publish(client, "a"), 0)
    client.deleteExchange("a")
    assert.isFalse(vhost.exchanges.has("b"))
    client.declareExchange("a", "fanout")
    assert.strictEqual(vhost.exchanges.get("a")?.bindingCount, 0)
  })

  it("says in advance what a publish would be refused for, and nothing of one that would not", () => {
    const { client } = open()
    assert.isUndefined(client.canPublish("amq.direct"))
    assert.isUndefined(client.canPublish(""))
    assert.deepStrictEqual(client.canPublish("x"), publish(client, "x"))
    assert.deepStrictEqual(client.canPublish("amq.rabbitmq.trace"), publish(client, "amq.rabbitmq.trace"))
  })

  const small = FastCheck.nat(4)
  it.prop(
    "reaches what a plain walk reaches, over any bindings and alternates",
    [
      FastCheck.array(FastCheck.tuple(small, small, FastCheck.constantFrom("k", "l")), { maxLength: 12 }),
      FastCheck.array(FastCheck.option(small, { nil: undefined }), { minLength: 5, maxLength: 5 }),
      FastCheck.array(FastCheck.tuple(small, small), { maxLength: 5 })
    ],
    ([bindings, alternates, queues]) => {
      const { client, vhost } = open()
      alternates.forEach((alternate, index) => {
        client.declareExchange(`x${index}`, "direct", {
          arguments: alternate === undefined ? {} : { "alternate-exchange": `x${alternate}` }
        })
        client.declareQueue({ name: `q${index}` })
      })
      for (const [source, destination, routingKey] of bindings) {
        client.bindExchange({ source: `x${source}`, destination: `x${destination}`, routingKey })
      }
      for (const [exchange, queue] of queues) {
        client.bindQueue({ exchange: `x${exchange}`, queue: `q${queue}`, routingKey: "k" })
      }

      const passed = new Set<number>()
      const reached = new Set<number>()
      const walk = (exchange: number): void => {
        if (passed.has(exchange)) return
        passed.add(exchange)
        const next = bindings.flatMap(([source, destination, key]) =>
          source === exchange && key === "k" ? [destination] : []
        )
        const found = queues.flatMap(([source, queue]) => source === exchange ? [queue] : [])
        for (const queue of found) reached.add(queue)
        for (const destination of next) walk(destination)
        const alternate = alternates[exchange]
        if (next.length + found.length === 0 && alternate !== undefined) walk(alternate)
      }
      walk(0)

      assert.strictEqual(publish(client, "x0", "k"), reached.size)
      const all = alternates.map((_, index) => index)
      assert.deepStrictEqual(
        ready(vhost, ...all.map((index) => `q${index}`)),
        all.map((index) => reached.has(index) ? 1 : 0)
      )
    },
    { fastCheck: { numRuns: 500 } }
  )
})
