import { assert, describe, it } from "@effect/vitest"
import { AmqpError } from "effect-amqp"
import * as Duration from "effect/Duration"

const endpoint = "host:5672"
const publish = { exchange: "x", routingKey: "k" }
const nacked = new AmqpError.PublishNacked(publish)

const one = {
  ConnectError: AmqpError.ConnectError.at(endpoint, "Refused", "nobody listens"),
  ConnectionLost: new AmqpError.ConnectionLost({ reason: "Socket", endpoint, cause: new Error("reset") }),
  ConnectionClosed: new AmqpError.ConnectionClosed({ reason: "Peer", endpoint, code: 320, text: "stop" }),
  ChannelError: new AmqpError.ChannelError({ reason: "NotFound", code: 404, text: "no queue", method: "queue.bind" }),
  OperationTimeout: new AmqpError.OperationTimeout({ operation: "queue.bind", limit: Duration.seconds(30) }),
  NotReady: new AmqpError.NotReady({ operation: "queue.bind", reason: "Blocked" }),
  PublishNacked: nacked,
  PublishReturned: new AmqpError.PublishReturned({ ...publish, code: 312, text: "NO_ROUTE" }),
  OutcomeUnknown: new AmqpError.OutcomeUnknown({ ...publish, reason: "Lost" }),
  PublishManyError: new AmqpError.PublishManyError({ failures: [{ index: 3, error: nacked }] }),
  ConsumerCancelled: new AmqpError.ConsumerCancelled({ reason: "AckTimeout", consumerTag: "c", queue: "q" }),
  ConsumerOverflow: new AmqpError.ConsumerOverflow({ consumerTag: "c", bytes: 7 }),
  SettleError: new AmqpError.SettleError({ reason: "Stale", deliveryTag: 9 }),
  PoolError: new AmqpError.PoolError({ reason: "Exhausted", pool: "channels", text: "all 8 are in use" }),
  ListenError: new AmqpError.ListenError({ reason: "Denied", address: endpoint, text: "not allowed" }),
  FrameError: new AmqpError.FrameError({ reason: "Length", field: "queue.declare.queue", offset: 4 })
}

/** What every message must say. */
const said: Record<keyof typeof one, ReadonlyArray<string>> = {
  ConnectError: [endpoint, "nobody listens", "Refused"],
  ConnectionLost: [endpoint, "Socket", "reset"],
  ConnectionClosed: [endpoint, "peer", "320 stop"],
  ChannelError: ["queue.bind", "404 no queue", "NotFound"],
  OperationTimeout: ["queue.bind", "30s"],
  NotReady: ["queue.bind", "Blocked"],
  PublishNacked: ["x", "k"],
  PublishReturned: ["312 NO_ROUTE", "x", "k"],
  OutcomeUnknown: ["x", "k", "Lost"],
  PublishManyError: ["1 message ", "3", nacked.message],
  ConsumerCancelled: ["c", "q", "AckTimeout"],
  ConsumerOverflow: ["c", "7"],
  SettleError: ["9", "Stale"],
  PoolError: ["channels", "all 8 are in use", "Exhausted"],
  ListenError: [endpoint, "not allowed", "Denied"],
  FrameError: ["queue.declare.queue", "4", "Length"]
}

describe("guards", () => {
  it("tell faults of connections from those of channels, and from anything else", () => {
    const lost = new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "host:5672" })
    const refused = AmqpError.ConnectError.at("host:5672", "Refused", "")
    const closed = new AmqpError.ConnectionClosed({ reason: "Peer", endpoint: "host:5672", code: 320, text: "" })
    const channel = new AmqpError.ChannelError({ reason: "NotFound", code: 404, text: "", method: "queue.declare" })
    const all = [lost, refused, closed, channel, new Error("no"), "no", undefined]
    assert.deepStrictEqual(all.filter(AmqpError.isConnectionError), [lost, refused, closed])
    assert.deepStrictEqual(all.filter(AmqpError.isChannelError), [channel])
  })
})

describe("every fault", () => {
  for (const [tag, fault] of Object.entries(one)) {
    it(`${tag}: its tag is its name, and its message says what and where`, () => {
      assert.strictEqual(fault._tag, tag)
      assert.strictEqual(fault.name, tag)
      assert.instanceOf(fault, Error)
      for (const text of said[fault._tag]) assert.include(fault.message, text)
    })
  }
})

describe("isTransient", () => {
  it("what trying again may heal", () => {
    const transient = Object.values(one).filter(AmqpError.isTransient).map(({ _tag }) => _tag)
    assert.sameMembers(transient, [
      "ConnectError",
      "ConnectionLost",
      "ConnectionClosed",
      "OperationTimeout",
      "NotReady",
      "PublishNacked",
      "OutcomeUnknown",
      "PoolError"
    ])
  })

  it("not a refusal, a client's own close, or anything else", () => {
    for (const reason of ["Auth", "Vhost", "Tls", "Protocol", "Capability", "Url"] as const) {
      assert.isFalse(AmqpError.isTransient(AmqpError.ConnectError.at(endpoint, reason, "")))
    }
    for (const reason of ["Client", "Recovery"] as const) {
      assert.isFalse(AmqpError.isTransient(new AmqpError.ConnectionClosed({ reason, endpoint, code: 200, text: "" })))
    }
    for (const reason of ["LimitExceeded", "Released", "Closed"] as const) {
      assert.isFalse(AmqpError.isTransient(new AmqpError.PoolError({ reason, pool: "channels", text: "" })))
    }
    for (const other of [undefined, null, "ConnectionLost", new Error("x"), { _tag: "Other" }]) {
      assert.isFalse(AmqpError.isTransient(other))
    }
  })

  it("a lock may be let go of", () => {
    assert.isTrue(AmqpError.isTransient(
      new AmqpError.ChannelError({ reason: "ResourceLocked", code: 405, text: "", method: "queue.declare" })
    ))
  })
})
