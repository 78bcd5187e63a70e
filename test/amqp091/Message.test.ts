import { assert, describe, it } from "@effect/vitest"
import { Message } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"

describe("toBasicProperties", () => {
  it("of nothing is nothing, and what is not given is not sent", () => {
    assert.deepStrictEqual(Message.toBasicProperties(undefined), {})
    assert.deepStrictEqual(Message.toBasicProperties({}), {})
  })

  it("persistent is delivery mode 2, and its opposite 1", () => {
    assert.deepStrictEqual(Message.toBasicProperties({ persistent: true }), { deliveryMode: 2 })
    assert.deepStrictEqual(Message.toBasicProperties({ persistent: false }), { deliveryMode: 1 })
  })

  it("expiration is whole milliseconds, as text", () => {
    assert.deepStrictEqual(Message.toBasicProperties({ expiration: "1 minute" }), { expiration: "60000" })
    assert.deepStrictEqual(Message.toBasicProperties({ expiration: Duration.micros(1600n) }), { expiration: "2" })
    assert.deepStrictEqual(Message.toBasicProperties({ expiration: Duration.zero }), { expiration: "0" })
  })

  it("an expiration that never comes is none", () => {
    assert.deepStrictEqual(Message.toBasicProperties({ expiration: Duration.infinity }), {})
  })

  it("a timestamp is whole seconds since 1970", () => {
    const timestamp = DateTime.unsafeMake(1_700_000_000_999)
    assert.deepStrictEqual(Message.toBasicProperties({ timestamp }), { timestamp: 1_700_000_000 })
    assert.deepStrictEqual(Message.toBasicProperties({ timestamp: 5 }), { timestamp: 5 })
    assert.deepStrictEqual(Message.toBasicProperties({ timestamp: 2n ** 63n }), { timestamp: 2n ** 63n })
  })

  it("all others go as they are", () => {
    const properties = { headers: { n: 1 }, messageId: "m", correlationId: "c", replyTo: "r", priority: 9 }
    assert.deepStrictEqual(Message.toBasicProperties(properties), properties)
  })
})

describe("toBytes", () => {
  it("text goes as UTF-8, bytes as they are", () => {
    assert.deepStrictEqual(Message.toBytes("é"), Uint8Array.of(0xc3, 0xa9))
    const bytes = Uint8Array.of(1, 2, 3)
    assert.strictEqual(Message.toBytes(bytes), bytes)
  })
})
