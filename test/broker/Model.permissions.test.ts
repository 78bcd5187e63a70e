import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Model from "../../src/broker/Model.ts"

const open = (permissions?: Model.Permissions) => {
  const model = Model.make<string>({ generateName: () => "1" })
  const vhost = model.addVhost("/")
  model.addUser("me", Redacted.make("secret"))
  model.permit("me", "/", permissions)
  return { model, vhost, client: vhost.client("me") }
}

const denied = (
  permission: keyof Model.Permissions,
  kind: Model.Kind,
  name: string,
  user = "me"
): Model.NotPermitted => ({ _tag: "NotPermitted", permission, kind, name, vhost: "/", user })

const message = (exchange: string): Model.Message<string> => ({
  exchange,
  routingKey: "k",
  persistent: false,
  size: 0,
  content: ""
})

describe("Model permissions", () => {
  it("are all there are, unless some are given", () => {
    const { client } = open()
    assert.isFalse(Model.isRefusal(client.declareQueue({ name: "q" })))
    assert.isUndefined(client.bindQueue({ queue: "q", exchange: "amq.fanout", routingKey: "" }))
    assert.strictEqual(client.publish(message("amq.fanout")), 1)
    assert.isDefined(client.get("q"))
  })

  it("are none for a user who does not exist, or to whom the virtual host is closed", () => {
    const { model, vhost } = open()
    assert.deepStrictEqual(vhost.client("nobody").purgeQueue("q"), denied("read", "queue", "q", "nobody"))
    const other = model.addVhost("other")
    assert.isFalse(model.canAccess("me", "other"))
    assert.deepStrictEqual(other.client("me").deleteQueue("q"), {
      ...denied("configure", "queue", "q"),
      vhost: "other"
    })
    assert.isFalse(model.canAccess("me", "other"))
    model.permit("nobody", "/")
    assert.isFalse(model.canAccess("nobody", "/"))
  })

  it("hold from the moment they are given, also for those who are at work, and their children", () => {
    const { client, model } = open()
    const child = client.child()
    assert.isFalse(Model.isRefusal(child.declareQueue({ name: "a" })))
    model.permit("me", "/", { configure: /^b/ })
    assert.deepStrictEqual(child.declareQueue({ name: "a" }), denied("configure", "queue", "a"))
    assert.isFalse(Model.isRefusal(child.declareQueue({ name: "b" })))
    assert.strictEqual(child.purgeQueue("a"), 0)
  })

  it("fit a name whatever flags the pattern has, however often it is asked", () => {
    const { client } = open({ write: /^amq\./gy })
    for (let time = 0; time < 3; time++) assert.isUndefined(client.canPublish("amq.direct"))
  })

  it("of a queue without a name are those of the name it would get", () => {
    const { client } = open({ configure: /^mine/ })
    assert.deepStrictEqual(client.declareQueue(), denied("configure", "queue", "amq.gen-1"))
  })

  it("are asked before anybody is told whether something exists", () => {
    const { client, vhost } = open({ configure: /^$/, write: /^$/, read: /^$/ })
    vhost.client().declareQueue({ name: "q", exclusive: true })
    for (const queue of ["q", "missing"]) {
      assert.deepStrictEqual(client.get(queue), denied("read", "queue", queue))
      assert.deepStrictEqual(client.purgeQueue(queue), denied("read", "queue", queue))
      assert.deepStrictEqual(client.deleteQueue(queue), denied("configure", "queue", queue))
      assert.deepStrictEqual(
        client.subscribe({ queue, hasCredit: () => true, receive: () => {}, onCancelled: () => {} }),
        denied("read", "queue", queue)
      )
    }
    assert.deepStrictEqual(client.publish(message("missing")), denied("write", "exchange", "missing"))
    assert.deepStrictEqual(client.publish(message("")), denied("write", "exchange", "amq.default"))
    assert.deepStrictEqual(client.findQueue("missing"), {
      _tag: "NotFound",
      kind: "queue",
      name: "missing",
      vhost: "/"
    })
  })

  it("of a binding are those of the destination, then, unless one end is the default exchange, of the source", () => {
    const { client } = open({ write: /^to/, read: /^from/ })
    const bind = (destination: string, source: string) => client.bindExchange({ destination, source, routingKey: "" })
    const defaultExchange = { _tag: "AccessRefused", reason: "DefaultExchange", kind: "exchange", name: "", vhost: "/" }
    assert.deepStrictEqual(bind("x", "x"), denied("write", "exchange", "x"))
    assert.deepStrictEqual(bind("to", "x"), denied("read", "exchange", "x"))
    assert.deepStrictEqual<unknown>(bind("to", ""), defaultExchange)
    assert.deepStrictEqual(bind("", "from"), denied("write", "exchange", "amq.default"))
    assert.deepStrictEqual(bind("to", "from"), { _tag: "NotFound", kind: "exchange", name: "from", vhost: "/" })
  })

  it("of what leads on to an exchange are asked when it is made, not when it is found", () => {
    const { client, vhost } = open({ configure: /./, write: /^to/, read: /^mine/ })
    const queue = (name: string, target: unknown) =>
      client.declareQueue({ name, arguments: { "x-dead-letter-exchange": target } })
    assert.deepStrictEqual(queue("other", "to"), denied("read", "queue", "other"))
    assert.deepStrictEqual(queue("mine", "x"), denied("write", "exchange", "x"))
    assert.deepStrictEqual(queue("other", 7), {
      _tag: "NotAName",
      kind: "queue",
      name: "other",
      vhost: "/",
      argument: "x-dead-letter-exchange",
      received: 7
    })
    assert.isFalse(vhost.queues.has("mine"))
    vhost.client().declareQueue({ name: "other", arguments: { "x-dead-letter-exchange": "x" } })
    assert.isFalse(Model.isRefusal(queue("other", "x")))
    assert.isFalse(
      Model.isRefusal(client.declareExchange("mine", "topic", { arguments: { "alternate-exchange": "to" } }))
    )
    assert.deepStrictEqual(
      client.declareExchange("mine2", "topic", { arguments: { "alternate-exchange": "x" } }),
      denied("write", "exchange", "x")
    )
  })
})
