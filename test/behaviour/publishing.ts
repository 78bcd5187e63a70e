/** Publishing: confirms, returns, refusals, and what of a message survives its way through the broker. */
import { assert } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { FieldTable, type Message } from "effect-amqp/amqp091"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import type { It } from "./place.ts"
import { drain, eventually, failing, fresh, look, open, openConfirm, refused } from "./place.ts"

const missing = (exchange: string, vhost: string) => ({
  reason: "NotFound" as const,
  code: 404,
  text: `NOT_FOUND - no exchange '${exchange}' in vhost '${vhost}'`,
  method: "basic.publish"
})

/** What failed, by index. */
const failures = (error: AmqpError.PublishManyError) =>
  Array.sortWith(error.failures, ({ index }) => index, Order.number).map(({ error, index }) => [index, error._tag])

const bytes = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 255)

const properties: Message.Message["properties"] = {
  contentType: "text/plain",
  contentEncoding: "utf-8",
  headers: { a: 1 },
  persistent: true,
  priority: 7,
  correlationId: "correlation",
  replyTo: "answers",
  expiration: "1 hour",
  messageId: "message",
  timestamp: 1_700_000_000,
  type: "kind",
  userId: "guest",
  appId: "tests",
  clusterId: ""
}

const headers: FieldTable.FieldTable = {
  text: "Grüße, 世界",
  empty: "",
  yes: true,
  no: false,
  nothing: null,
  int8: FieldTable.int8(-128),
  uint8: FieldTable.uint8(255),
  int16: FieldTable.int16(-32768),
  uint16: FieldTable.uint16(65535),
  int32: FieldTable.int32(-2147483648),
  uint32: FieldTable.uint32(4294967295),
  int64: FieldTable.int64(-9223372036854775808n),
  float: FieldTable.float(0.5),
  double: FieldTable.double(0.1),
  timestamp: FieldTable.timestamp(1_700_000_000),
  decimal: FieldTable.decimal(2, 314),
  bytes: Uint8Array.of(0, 255, 128),
  longstr: FieldTable.longstr(Uint8Array.of(255, 254)),
  list: [1, "two", [3, { four: 4 }], null, true],
  table: { nested: { deeper: "yes" }, none: {} }
}

const untyped = (value: unknown): unknown => FieldTable.isTyped(value) ? value.value : value

export const publishing = (it: It): void => {
  it.scoped("a publish without confirms arrives, and one that nothing routes is dropped in silence", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
      yield* channel.publish({ exchange: "amq.direct", routingKey: fresh("nowhere"), content: "lost" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2", "3"])
    }))

  it.scoped("a confirmed publish is in its queue when it ends; one that nothing routes is confirmed as well", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "1" })
      assert.strictEqual((yield* look(channel, queue)).messageCount, 1)
      yield* channel.publish({ routingKey: fresh("nowhere"), content: "2" })
      assert.strictEqual(yield* channel.unconfirmed, 0)
    }))

  it.scoped("publishAll keeps the order and confirms everything", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ window: 16 })
      const { queue } = yield* channel.queueDeclare()
      const contents = Array.makeBy(300, String)
      yield* channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
      assert.strictEqual((yield* look(channel, queue)).messageCount, 300)
      assert.deepStrictEqual(yield* drain(channel, queue), contents)
    }))

  it.scoped("a mandatory message that nothing routes comes back", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const routingKey = fresh("nowhere")
      const error = yield* failing(
        channel.publish({ exchange: "amq.direct", routingKey, mandatory: true, content: "x" })
      )
      assert.deepInclude({ ...error }, {
        _tag: "PublishReturned",
        code: 312,
        text: "NO_ROUTE",
        exchange: "amq.direct",
        routingKey
      })
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, mandatory: true, content: "x" })
    }))

  it.scoped("publishAll says which messages came back, by index", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const nowhere = fresh("nowhere")
      const error = yield* failing(
        channel.publishAll(
          [queue, nowhere, queue, nowhere, nowhere, queue].map((routingKey) => ({
            routingKey,
            mandatory: true,
            content: routingKey
          }))
        )
      )
      assert.deepStrictEqual(failures(error), [
        [1, "PublishReturned"],
        [3, "PublishReturned"],
        [4, "PublishReturned"]
      ])
      assert.strictEqual((yield* drain(channel, queue)).length, 3)
    }))

  it.scoped("drain says what became of the offers since the last one", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ window: 2 })
      const { queue } = yield* channel.queueDeclare()
      for (const routingKey of [queue, fresh("nowhere"), queue]) {
        yield* channel.offer({ routingKey, mandatory: true, content: "x" })
      }
      assert.deepStrictEqual(failures(yield* failing(channel.drain)), [[1, "PublishReturned"]])
      yield* channel.offer({ routingKey: queue, content: "x" })
      yield* channel.drain
      assert.strictEqual((yield* look(channel, queue)).messageCount, 3)
    }))

  it.scoped("a publish to a missing exchange fails with the broker's words, and the channel works again", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const exchange = fresh("missing")
      yield* refused(channel, channel.publish({ exchange, content: "x" }), missing(exchange, vhost))
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "again" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["again"])
    }))

  it.scoped("of many publishes the one to a missing exchange fails so; those behind it are of unknown outcome", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = fresh("q")
      yield* channel.queueDeclare({ queue, exclusive: true })
      const exchange = fresh("missing")
      const error = yield* failing(
        channel.publishAll([
          { routingKey: queue, content: "before" },
          { exchange, content: "bad" },
          { routingKey: queue, content: "after" }
        ])
      )
      const byIndex = new Map(error.failures.map(({ error, index }) => [index, error]))
      assert.deepInclude({ ...byIndex.get(1) }, { _tag: "ChannelError", ...missing(exchange, vhost) })
      assert.strictEqual(byIndex.get(2)?._tag, "OutcomeUnknown")
      // A broker may confirm the ones before, and need not: RabbitMQ 3.10.8 confirms in batches.
      assert.include(["OutcomeUnknown", undefined], byIndex.get(0)?._tag)
      assert.deepStrictEqual(yield* drain(channel, queue), ["before"])
    }))

  it.scoped("a plain publish to a missing exchange is not told, and the channel works again", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ exchange: fresh("missing"), content: "lost" })
      yield* eventually(Effect.isSuccess(look(channel, queue)), true)
      yield* channel.publish({ routingKey: queue, content: "again" })
      yield* eventually(
        Effect.map(Effect.orElseSucceed(look(channel, queue), () => undefined), (seen) => seen?.messageCount),
        1
      )
    }))

  it.scoped("a message may claim its own user, and no other", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "x", properties: { userId: "guest" } })
      yield* refused(channel, channel.publish({ routingKey: queue, content: "x", properties: { userId: "other" } }), {
        reason: "PreconditionFailed",
        code: 406,
        text: "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
        method: "basic.publish"
      })
    }))

  for (
    const [title, change] of [
      ["0", () => 0],
      ["1", () => 1],
      ["frame_max - 8", (max: number) => max - 8],
      ["frame_max - 7", (max: number) => max - 7],
      ["1 MiB", () => 1 << 20],
      ["5 MiB", () => 5 << 20]
    ] as const
  ) {
    it.scoped(`a body of ${title} bytes arrives as it went`, () =>
      Effect.gen(function*() {
        const { channel, connection } = yield* openConfirm()
        const { queue } = yield* channel.queueDeclare()
        const { frameMax } = yield* connection.info
        const content = bytes(change(frameMax))
        yield* channel.publish({ routingKey: queue, content })
        const got = yield* channel.get({ queue, noAck: true })
        assert.isTrue(got._tag === "Some" && Buffer.compare(got.value.delivery.content, content) === 0)
      }))
  }

  it.scoped("large bodies of several channels arrive whole, each", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      const contents = Array.makeBy(4, (index) => bytes(300_000 + index))
      yield* Effect.forEach(contents, (content) => channel.publish({ routingKey: queue, content }), {
        concurrency: "unbounded",
        discard: true
      })
      for (const content of contents) {
        const got = yield* channel.get({ queue, noAck: true })
        assert.isTrue(got._tag === "Some" && Buffer.compare(got.value.delivery.content, content) === 0)
      }
    }))

  it.scoped("all properties arrive as they went", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "x", properties: { ...properties } })
      const got = yield* channel.get({ queue, noAck: true })
      assert.isTrue(got._tag === "Some")
      if (got._tag === "None") return
      const { expiration: _, persistent: __, ...same } = properties
      assert.deepStrictEqual({ ...got.value.delivery.properties }, { ...same, deliveryMode: 2, expiration: "3600000" })
    }))

  it.scoped("a message without properties arrives without", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const { queue } = yield* channel.queueDeclare()
      yield* channel.publish({ routingKey: queue, content: "x" })
      const got = yield* channel.get({ queue, noAck: true })
      assert.isTrue(got._tag === "Some" && Object.keys(got.value.delivery.properties).length === 0)
    }))

  for (const [name, value] of Object.entries(headers)) {
    it.scoped(`a header keeps its value: ${name}`, () =>
      Effect.gen(function*() {
        const { channel } = yield* openConfirm()
        const { queue } = yield* channel.queueDeclare()
        yield* channel.publish({ routingKey: queue, content: "x", properties: { headers: { [name]: value } } })
        const got = yield* channel.get({ queue, noAck: true })
        assert.isTrue(got._tag === "Some")
        if (got._tag === "None") return
        const [arrived] = Object.entries(got.value.delivery.properties.headers ?? {})
        assert.deepStrictEqual(arrived?.[0], name)
        assert.deepEqual(seconds(untyped(arrived?.[1])), seconds(untyped(value)))
      }))
  }
}

/** A date as the wire has it. */
const seconds = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "epochMillis" in value ? Number(value.epochMillis) / 1000 : value
