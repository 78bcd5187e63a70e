/** How much a channel and its consumers may hold, and what comes back when. */
import { assert } from "@effect/vitest"
import type { Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { consume, look, openConfirm, queueOf, texts } from "./place.ts"
import type { Case } from "./talk.ts"
import { ack, consume as subscribe, declare, ends, get, one, publish, qos, stepped, tests, two } from "./talk.ts"
import * as Wire from "./wire.ts"

const declared = "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}"
const delivered = (consumerTag: string, tag: number, text: string, redelivered = false): ReadonlyArray<string> => [
  `1 basic.deliver ${JSON.stringify({ consumerTag, deliveryTag: tag, redelivered, exchange: "", routingKey: "wire" })}`,
  `1 header ${text.length} {}`,
  `1 body ${text}`
]
const three = [...two, publish(), ...Wire.content("3")]
const looked = (messageCount: number, consumerCount: number) =>
  `1 queue.declare-ok ${JSON.stringify({ queue: "wire", messageCount, consumerCount })}`
const lookAt = [[declare({ passive: true })], "queue.declare-ok"] as const
const nack = (deliveryTag: number, multiple = false): Method.Method => ({
  _tag: "BasicNack",
  deliveryTag,
  multiple,
  requeue: true
})

const cases: ReadonlyArray<Case> = [
  [
    "a bound on the channel holds for all of its consumers together",
    stepped(
      [[declare(), ...three, qos(2, true)], "basic.qos-ok"],
      [[subscribe({ consumerTag: "a" })], "body 2"],
      [[subscribe({ consumerTag: "b" })], "basic.consume-ok"],
      lookAt
    ),
    [
      declared,
      "1 basic.qos-ok",
      ...delivered("a", 1, "1"),
      ...delivered("a", 2, "2"),
      looked(1, 2),
      "1 channel.close-ok"
    ]
  ],
  [
    "a bound on the channel that is reached holds up consumers without acknowledgement",
    stepped(
      [[declare(), ...two, qos(1, true)], "basic.qos-ok"],
      [[subscribe({ consumerTag: "a" })], "body 1"],
      [[subscribe({ consumerTag: "b", noAck: true })], "basic.consume-ok"],
      lookAt
    ),
    [declared, "1 basic.qos-ok", ...delivered("a", 1, "1"), looked(1, 2), "1 channel.close-ok"]
  ],
  [
    "a bound on the channel that is new counts what get gave",
    stepped(
      [[declare(), ...two], "queue.declare-ok"],
      [[get], "body"],
      [[qos(1, true)], "basic.qos-ok"],
      [[subscribe()], "basic.consume-ok"],
      lookAt
    ),
    [
      declared,
      "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
      "1 header 1 {}",
      "1 body 1",
      "1 basic.qos-ok",
      looked(1, 1),
      "1 channel.close-ok"
    ]
  ],
  [
    "a bound on the channel that is lifted lets deliveries through",
    stepped(
      [[declare(), ...three, qos(1, true)], "basic.qos-ok"],
      [[subscribe()], "body 1"],
      [[qos(0, true)], "body 3"]
    ),
    [
      declared,
      "1 basic.qos-ok",
      ...delivered("mine", 1, "1"),
      "1 basic.qos-ok",
      ...delivered("mine", 2, "2"),
      ...delivered("mine", 3, "3"),
      "1 channel.close-ok"
    ]
  ],
  [
    "a bound for consumers lifts the channel's",
    stepped(
      [[declare(), ...three, qos(1, true)], "basic.qos-ok"],
      [[subscribe()], "body 1"],
      [[qos(7)], "body 3"]
    ),
    [
      declared,
      "1 basic.qos-ok",
      ...delivered("mine", 1, "1"),
      "1 basic.qos-ok",
      ...delivered("mine", 2, "2"),
      ...delivered("mine", 3, "3"),
      "1 channel.close-ok"
    ]
  ],
  [
    "a bound for consumers holds for those that come after it only",
    stepped(
      [[declare(), ...three], "queue.declare-ok"],
      [[subscribe()], "body 3"],
      [[qos(1)], "basic.qos-ok"],
      [[nack(0, true)], "body 3"]
    ),
    [
      declared,
      ...delivered("mine", 1, "1"),
      ...delivered("mine", 2, "2"),
      ...delivered("mine", 3, "3"),
      "1 basic.qos-ok",
      ...delivered("mine", 4, "1", true),
      ...delivered("mine", 5, "2", true),
      ...delivered("mine", 6, "3", true),
      "1 channel.close-ok"
    ]
  ],
  [
    "what a full consumer gives back it gets again, before what waited",
    stepped(
      [[declare(), ...two, qos(1)], "basic.qos-ok"],
      [[subscribe()], "body"],
      [[nack(1)], "body"],
      [[ack(2)], "body"],
      lookAt
    ),
    [
      declared,
      "1 basic.qos-ok",
      ...delivered("mine", 1, "1"),
      ...delivered("mine", 2, "1", true),
      ...delivered("mine", 3, "2"),
      looked(0, 1),
      "1 channel.close-ok"
    ]
  ],
  [
    "recover gives a consumer what it holds again, marked",
    stepped([[declare(), ...two], "queue.declare-ok"], [[subscribe()], "body 2"], [
      [{ _tag: "BasicRecover", requeue: true }],
      "body 2"
    ]),
    [
      declared,
      ...delivered("mine", 1, "1"),
      ...delivered("mine", 2, "2"),
      "1 basic.recover-ok",
      ...delivered("mine", 3, "1", true),
      ...delivered("mine", 4, "2", true),
      "1 channel.close-ok"
    ]
  ],
  [
    "an ack of a delivery that recover gave back",
    stepped([[declare(), publish(), ...one], "queue.declare-ok"], [[get], "body"], [
      [{ _tag: "BasicRecover", requeue: true }, ack(1)],
      "channel.close"
    ]),
    [
      declared,
      "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":0}",
      "1 header 1 {}",
      "1 body 1",
      "1 basic.recover-ok",
      "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 1 (60.80)"
    ]
  ],
  ["a prefetch in bytes for the channel", ends(qos(0, true, 100)), [
    "0 connection.close 540 NOT_IMPLEMENTED - prefetch_size!=0 (100) (60.10)",
    "end"
  ]]
]

export const qosCases = (it: It): void => {
  tests(it, cases)

  it.scoped("an acknowledgement of several frees as many places at once", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1", "2", "3", "4", "5", "6")
      const consumer = yield* consume(channel, { queue, prefetch: 3 })
      const first = yield* consumer.take(3)
      yield* channel.ackAll(first)
      assert.deepStrictEqual(texts(yield* consumer.take(3)), ["4", "5", "6"])
      assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
    }))

  it.scoped("a bound on the channel is shared: what one consumer frees another may get", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm({ prefetch: 0 })
      const one = yield* queueOf(channel, "1")
      const two = yield* queueOf(channel)
      yield* channel.qos({ prefetch: 1, global: true })
      const first = yield* consume(channel, { queue: one, prefetch: 0 })
      const second = yield* consume(channel, { queue: two, prefetch: 0 })
      const held = yield* first.next
      yield* channel.publish({ routingKey: two, content: "3" })
      assert.strictEqual((yield* look(channel, two)).messageCount, 1)
      yield* held.ack
      assert.deepStrictEqual(texts([yield* second.next]), ["3"])
    }))
}
