import { assert, describe, it } from "@effect/vitest"
import { Arguments, Channel, FieldTable } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { Embedded } from "./onBroker.ts"

/** The letter of the wire type of the only entry. */
const wireType = (table: FieldTable.FieldTable) => {
  const writer = new ByteWriter(256)
  FieldTable.encode(writer, table)
  const [name] = Object.keys(table)
  return String.fromCharCode(writer.bytes[4 + 1 + name!.length]!)
}

const at = (streamOffset: Arguments.StreamOffset) => Arguments.consumer({ streamOffset })

describe("Arguments", () => {
  it("leaves out what is not given, also over another's", () => {
    assert.deepStrictEqual({ ...Arguments.queue({ type: undefined }) }, {})
    assert.deepStrictEqual({ "x-expires": 1, ...Arguments.queue({}) }, { "x-expires": 1 })
    assert.deepStrictEqual({ ...Arguments.exchange({}), ...Arguments.consumer({}), ...Arguments.binding({}) }, {})
  })

  it("writes each argument of a queue under RabbitMQ's key", () => {
    assert.deepStrictEqual(
      Arguments.queue({
        type: "quorum",
        messageTtl: "1 minute",
        expires: "2 hours",
        maxLength: 10,
        maxLengthBytes: 5_000_000_000,
        overflow: "reject-publish",
        deadLetterExchange: "",
        deadLetterRoutingKey: "failed",
        deadLetterStrategy: "at-least-once",
        maxPriority: 5,
        singleActiveConsumer: true,
        deliveryLimit: 3,
        queueLeaderLocator: "balanced",
        quorumInitialGroupSize: 3,
        initialClusterSize: 2,
        maxAge: "7 days",
        streamMaxSegmentSizeBytes: 1000,
        streamFilterSizeBytes: 16,
        consumerTimeout: "30 minutes"
      }),
      {
        "x-queue-type": "quorum",
        "x-message-ttl": 60_000,
        "x-expires": 7_200_000,
        "x-max-length": 10,
        "x-max-length-bytes": 5_000_000_000,
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "failed",
        "x-dead-letter-strategy": "at-least-once",
        "x-max-priority": 5,
        "x-single-active-consumer": true,
        "x-delivery-limit": 3,
        "x-queue-leader-locator": "balanced",
        "x-quorum-initial-group-size": 3,
        "x-initial-cluster-size": 2,
        "x-max-age": "7D",
        "x-stream-max-segment-size-bytes": 1000,
        "x-stream-filter-size-bytes": 16,
        "x-consumer-timeout": 1_800_000
      }
    )
  })

  it("rounds durations up to whole milliseconds, and leaves infinite ones out", () => {
    assert.deepStrictEqual(Arguments.queue({ messageTtl: Duration.nanos(1n) }), { "x-message-ttl": 1 })
    assert.deepStrictEqual(Arguments.queue({ messageTtl: Duration.zero }), { "x-message-ttl": 0 })
    assert.deepStrictEqual(Arguments.queue({ expires: Duration.infinity, maxAge: Duration.infinity }), {})
  })

  it("writes an age in its largest whole unit, seconds rounded up", () => {
    const ages: ReadonlyArray<readonly [Duration.Duration, string]> = [
      [Duration.days(14), "14D"],
      [Duration.hours(36), "36h"],
      [Duration.minutes(90), "90m"],
      [Duration.seconds(10), "10s"],
      [Duration.millis(1), "1s"],
      [Duration.zero, "0s"]
    ]
    for (const [maxAge, text] of ages) assert.deepStrictEqual(Arguments.queue({ maxAge }), { "x-max-age": text })
  })

  it("writes the arguments of exchanges and bindings", () => {
    assert.deepStrictEqual(Arguments.exchange({ alternateExchange: "rest", delayedType: "topic" }), {
      "alternate-exchange": "rest",
      "x-delayed-type": "topic"
    })
    assert.deepStrictEqual(Arguments.binding({ match: "any-with-x", headers: { n: 1, any: null } }), {
      n: 1,
      any: null,
      "x-match": "any-with-x"
    })
    assert.deepStrictEqual(Arguments.binding({ headers: { "x-match": "any" } }), { "x-match": "any" })
  })

  it("writes a stream offset in the wire type that RabbitMQ tells it by", () => {
    assert.deepStrictEqual(at({ interval: "1 hour" }), { "x-stream-offset": "1h" })
    assert.deepStrictEqual(at({ interval: Duration.infinity }), { "x-stream-offset": "first" })
    assert.deepStrictEqual(
      [at("first"), at({ interval: "1 hour" }), at(7), at(2 ** 40), at(7n), at(DateTime.unsafeMake(0))].map(wireType),
      ["S", "S", "I", "l", "l", "T"]
    )
    assert.deepStrictEqual(
      Arguments.consumer({ priority: -1, streamFilter: ["a", "b"], streamMatchUnfiltered: true }),
      { "x-priority": -1, "x-stream-filter": ["a", "b"], "x-stream-match-unfiltered": true }
    )
  })

  it.effect("a consume with a stream offset is refused here without acknowledgements or without prefetch", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make({ prefetch: 0 })
      const consume = { queue: "none", arguments: Arguments.consumer({ streamOffset: "first" }) }
      for (const options of [consume, { ...consume, noAck: true, prefetch: 10 }]) {
        const fault = yield* Effect.flip(Stream.runDrain(channel.consume(options)))
        assert(fault._tag === "ChannelError")
        assert.strictEqual(fault.reason, "Refused")
        assert.strictEqual(
          fault.text,
          "a consumer with x-stream-offset must acknowledge its deliveries and have a prefetch above 0"
        )
      }
    }).pipe(Effect.scoped, Effect.provide(Embedded)))
})
