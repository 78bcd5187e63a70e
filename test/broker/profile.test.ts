import { assert, describe } from "@effect/vitest"
import type { Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Wire from "../behaviour/wire.ts"
import { connect, consume, declare, introduced, login, publish, scopedWith } from "./clients.ts"

const in310 = scopedWith({})
const in43 = scopedWith({ profile: "4.3" })

const qos = (prefetchCount: number, global: boolean): Method.Method => ({
  _tag: "BasicQos",
  prefetchSize: 0,
  prefetchCount,
  global
})
const tells = { capabilities: { consumer_cancel_notify: true } }
const deliver = (deliveryTag: number, redelivered = false, consumerTag = "mine") =>
  `1 basic.deliver ${JSON.stringify({ consumerTag, deliveryTag, redelivered, exchange: "", routingKey: "q" })}`
const three = [publish(), ...Wire.content("1"), publish(), ...Wire.content("2"), publish(), ...Wire.content("3")]

const long = (size: number) => ({ properties: { long: "x".repeat(size) } })

const denied = "0 connection.close 541 INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n" +
  "By default, this feature is not permitted anymore.\nThe feature will be removed from a future major RabbitMQ " +
  "version, regardless of the configuration; actual version to be determined.\nTo... (50.10)"

describe("Broker, the rules of 4.3", () => {
  for (const [scoped, version] of [[in310, "3.10.8"], [in43, "4.3.5"]] as const) {
    scoped(
      `it says it is ${version}, and what it can do`,
      Effect.gen(function*() {
        const connection = yield* connect()
        const { serverProperties } = yield* connection.info
        assert.strictEqual(serverProperties["version"], version)
        assert.deepStrictEqual(serverProperties["capabilities"], {
          publisher_confirms: true,
          exchange_exchange_bindings: true,
          "basic.nack": true,
          consumer_cancel_notify: true,
          "connection.blocked": true,
          consumer_priorities: true,
          authentication_failure_close: true,
          per_consumer_qos: true,
          direct_reply_to: true
        })
      })
    )
  }

  in310(
    "before, a queue may be neither durable nor exclusive",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(declare({ durable: false }))
      assert.match(yield* one.next, /^1 queue\.declare-ok/)
    })
  )

  for (const [title, queue] of [["by name", "q"], ["without a name", ""]] as const) {
    in43(
      `a queue that is neither durable nor exclusive is refused with the connection: ${title}`,
      Effect.gen(function*() {
        const one = yield* introduced()
        yield* one.send(declare({ queue, durable: false }))
        assert.strictEqual(yield* one.next, denied)
        assert.isEmpty(yield* (yield* Broker.Broker).queues())
      })
    )
  }

  in43(
    "a queue that is durable or exclusive, or there already, is none of those",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(
        declare({ queue: "durable" }),
        declare({ queue: "exclusive", durable: false, exclusive: true }),
        declare({ queue: "durable", durable: false, passive: true }),
        declare({ queue: "durable", durable: false })
      )
      for (const name of ["durable", "exclusive", "durable"]) {
        assert.include(yield* one.next, `1 queue.declare-ok {"queue":"${name}"`)
      }
      assert.match(yield* one.next, /^1 channel\.close 406 PRECONDITION_FAILED - inequivalent arg 'durable'/)
    })
  )

  in43(
    "a reserved name is refused as such, whatever the queue",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(declare({ queue: "amq.mine", durable: false }))
      assert.match(yield* one.next, /^1 channel\.close 403 ACCESS_REFUSED - queue name 'amq\.mine'/)
    })
  )

  in43(
    "basic.qos with global bounds each consumer made afterwards, and not the channel",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(declare(), ...three, qos(1, true), consume({ consumerTag: "a" }))
      assert.deepInclude(yield* one.until("1 body"), deliver(1, false, "a"))
      yield* one.send(consume({ consumerTag: "b" }))
      assert.deepInclude(yield* one.until("1 body"), deliver(2, false, "b"))
      assert.strictEqual((yield* (yield* Broker.Broker).queues())[0]?.ready, 1)
    })
  )

  for (
    const [scoped, least, version] of [[in310, 4096, "3.10"], [in43, 8192, "4.3"]] as const
  ) {
    scoped(
      `a frame_max below ${least} is refused in ${version}`,
      Effect.gen(function*() {
        assert.strictEqual(
          (yield* login({}, Wire.tuneOk(2047, least - 1))).at(-1),
          `0 connection.close 530 NOT_ALLOWED - negotiated frame_max = ${
            least - 1
          } is lower than the minimum allowed value (${least}) (10.31)`
        )
        yield* introduced({}, Wire.tuneOk(2047, least))
      })
    )

    scoped(
      `a frame of the handshake has at most ${least} octets in ${version}`,
      Effect.gen(function*() {
        const overhead = 100
        assert.match((yield* login(long(least - overhead)))[0] ?? "", /^0 connection\.tune/)
        assert.match((yield* login(long(least)))[0] ?? "", /^0 connection\.close 501 .*a frame of/)
      })
    )
  }

  in43(
    "a message has at most 16 MiB",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(declare(), publish(), {
        _tag: "HeaderFrame",
        channel: 1,
        bodySize: 16 * 1024 * 1024 + 1,
        properties: {}
      })
      assert.include(
        (yield* one.until("1 channel.close")).at(-1),
        "406 PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216 (60.40)"
      )
    })
  )
})

const ack = (deliveryTag: number): Method.Method => ({ _tag: "BasicAck", deliveryTag, multiple: false })
const late = (timeout: number) =>
  `1 channel.close 406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: ${timeout} ` +
  "ms. This timeout value can be configured, see consumers doc guide to learn more (0.0)"

describe("Broker, acknowledgements that come too late", () => {
  const patient = scopedWith({ consumerTimeout: "1 minute" })
  const patient43 = scopedWith({ profile: "4.3", consumerTimeout: "1 minute" })

  scopedWith({})(
    "without a timeout a delivery may stay unacknowledged for ever",
    Effect.gen(function*() {
      const one = yield* introduced(tells)
      yield* one.send(declare(), publish(), ...Wire.content("1"), consume())
      yield* one.until("1 body")
      yield* TestClock.adjust("365 days")
      yield* one.send(ack(1), declare({ passive: true }))
      assert.match(yield* one.next, /^1 queue\.declare-ok/)
    })
  )

  patient(
    "the channel ends when the oldest delivery is late, and what it held goes back",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const one = yield* introduced(tells)
      yield* one.send(declare(), publish(), ...Wire.content("1"), consume())
      yield* one.until("1 body")
      yield* TestClock.adjust("40 seconds")
      yield* one.send(publish(), ...Wire.content("2"))
      yield* one.until("1 body")
      yield* one.send(ack(1))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* broker.queues())[0]?.unsettled, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* one.next, late(60_000))
      assert.deepStrictEqual(yield* broker.queues(), [{ name: "q", ready: 1, unsettled: 0, consumers: 0 }])
    })
  )

  patient(
    "what get gave is late as well, and other channels do not notice",
    Effect.gen(function*() {
      const one = yield* introduced(tells)
      yield* one.send(Wire.on(2, { _tag: "ChannelOpen" }), declare(), publish(), ...Wire.content("1"), {
        _tag: "BasicGet",
        queue: "q",
        noAck: false
      })
      yield* one.until("1 body")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* one.next, late(60_000))
      yield* one.send(Wire.on(2, declare({ passive: true })))
      assert.match(yield* one.next, /^2 queue\.declare-ok .*"messageCount":1/)
    })
  )

  patient43(
    "in 4.3 the consumer ends and the channel does not: what was late goes back, and a later ack does no harm",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const one = yield* introduced(tells)
      yield* one.send(declare(), publish(), ...Wire.content("1"), consume())
      yield* one.until("1 body")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* one.next, "1 basic.cancel {\"consumerTag\":\"mine\",\"noWait\":true}")
      assert.deepStrictEqual(yield* broker.queues(), [{ name: "q", ready: 1, unsettled: 0, consumers: 0 }])
      yield* one.send(ack(1), { _tag: "BasicCancelOk", consumerTag: "mine" }, consume())
      assert.deepStrictEqual(yield* one.until("1 body"), [
        "1 basic.consume-ok {\"consumerTag\":\"mine\"}",
        deliver(2, true),
        "1 header 1 {}",
        "1 body 1"
      ])
    })
  )

  patient43(
    "in 4.3 the channel of a client that cannot be told ends",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send(declare(), publish(), ...Wire.content("1"), consume())
      yield* one.until("1 body")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* one.next, late(60_000))
    })
  )
})
