/** Direct reply-to: answers that go straight to the channel that asked. */
import { assert } from "@effect/vitest"
import type { Frame, Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { failing, open, openConfirm, Place, queueOf } from "./place.ts"
import type { Case } from "./talk.ts"
import { consume, declare, get, one, publish, said, tests } from "./talk.ts"
import * as Wire from "./wire.ts"

const replies = "amq.rabbitmq.reply-to"
const listen = (options: Partial<Method.BasicConsume> = {}) => consume({ queue: replies, noAck: true, ...options })
const cancel: Method.Method = { _tag: "BasicCancel", consumerTag: "mine", noWait: false }
const isThere = "1 queue.declare-ok {\"queue\":\"amq.rabbitmq.reply-to\",\"messageCount\":0,\"consumerCount\":1}"
const noQueue = (name: string, ids: string) =>
  `1 channel.close 404 NOT_FOUND - no queue '${name}' in vhost VHOST (${ids})`
const returned = (routingKey: string): ReadonlyArray<string> => [
  `1 basic.return ${JSON.stringify({ replyCode: 312, replyText: "NO_ROUTE", exchange: "", routingKey })}`,
  "1 header 1 {}",
  "1 body 1"
]

const cases: ReadonlyArray<Case> = [
  ["a question with nobody to hear the answer", said(publish(), ...Wire.content("1", { replyTo: replies })), [
    "1 channel.close 406 PRECONDITION_FAILED - fast reply consumer does not exist (60.40)"
  ]],
  [
    "a question to a missing exchange with nobody to hear the answer",
    said(publish({ exchange: "none" }), ...Wire.content("1", { replyTo: replies })),
    ["1 channel.close 404 NOT_FOUND - no exchange 'none' in vhost VHOST (60.40)"]
  ],
  ["a reply consumer that would acknowledge", said(listen({ noAck: false })), [
    "1 channel.close 406 PRECONDITION_FAILED - reply consumer cannot acknowledge (60.20)"
  ]],
  ["a second reply consumer", said(listen(), listen({ consumerTag: "other" })), [
    "1 channel.close 406 PRECONDITION_FAILED - reply consumer already set (60.20)"
  ]],
  ["a second reply consumer by the same tag", said(listen(), listen()), [
    "1 channel.close 406 PRECONDITION_FAILED - reply consumer already set (60.20)"
  ]],
  ["a second reply consumer, once the first was cancelled", said(listen(), cancel, listen()), [
    "1 basic.cancel-ok {\"consumerTag\":\"mine\"}",
    "1 channel.close-ok"
  ]],
  [
    "a question after the reply consumer was cancelled",
    said(
      listen(),
      cancel,
      publish(),
      ...Wire.content("1", { replyTo: replies })
    ),
    [
      "1 basic.cancel-ok {\"consumerTag\":\"mine\"}",
      "1 channel.close 406 PRECONDITION_FAILED - fast reply consumer does not exist (60.40)"
    ]
  ],
  ["a declaration of the pseudo-queue", said(declare({ queue: replies })), [isThere, "1 channel.close-ok"]],
  ["a passive declaration of the pseudo-queue", said(declare({ queue: replies, passive: true })), [
    isThere,
    "1 channel.close-ok"
  ]],
  ["a declaration of an address nobody has", said(declare({ queue: `${replies}.abc`, passive: true })), [
    noQueue(`${replies}.abc`, "50.10")
  ]],
  ["a declaration of a queue that only begins so", said(declare({ queue: `${replies}xx` })), [
    noQueue(`${replies}xx`, "50.10")
  ]],
  ["a get from the pseudo-queue", said({ ...get, queue: replies } as Method.BasicGet), [noQueue(replies, "60.70")]],
  [
    "a binding of the pseudo-queue",
    said({
      _tag: "QueueBind",
      queue: replies,
      exchange: "amq.direct",
      routingKey: "x",
      noWait: false,
      arguments: {}
    }),
    [noQueue(replies, "50.20")]
  ],
  ["a reply that nobody waits for", said(publish({ routingKey: `${replies}.abc` }), ...one), ["1 channel.close-ok"]],
  [
    "a mandatory reply that nobody waits for",
    said(publish({ routingKey: `${replies}.abc`, mandatory: true }), ...one),
    [...returned(`${replies}.abc`), "1 channel.close-ok"]
  ]
]

/** Two connections, of which the one has asked the other; what the other may send its answer to. */
const asked = Effect.gen(function*() {
  const { dial, vhost } = yield* Place
  const asker = yield* Wire.make(yield* dial)
  yield* Wire.introduce(asker, vhost)
  const answerer = yield* Wire.make(yield* dial)
  yield* Wire.introduce(answerer, vhost)
  yield* answerer.send(declare({ queue: "", exclusive: false, autoDelete: true }))
  const [declared] = yield* answerer.until("1 queue.declare-ok")
  const queue = String(/"queue":"([^"]*)"/.exec(String(declared))?.[1])
  yield* asker.send(listen())
  yield* asker.until("1 basic.consume-ok")
  yield* asker.send(
    publish({ routingKey: queue }),
    ...Wire.content("question", { replyTo: replies, correlationId: "7" }),
    declare({ queue, passive: true, exclusive: false, autoDelete: true })
  )
  yield* asker.until("1 queue.declare-ok")
  yield* answerer.send({ _tag: "BasicGet", queue, noAck: true })
  const seen = yield* answerer.until("1 body")
  const address = String(/"replyTo":"([^"]*)"/.exec(seen.join())?.[1])
  yield* answerer.send({ _tag: "QueueDelete", queue, ifEmpty: false, ifUnused: false, noWait: false })
  yield* answerer.until("1 queue.delete-ok")
  return { asker, answerer, address }
})

const answer = (address: string, text: string, options: Partial<Method.BasicPublish> = {}) =>
  [publish({ routingKey: address, ...options }), ...Wire.content(text)] as ReadonlyArray<Frame.Frame | Method.Method>

const delivered = (address: string, text: string, deliveryTag = 1): ReadonlyArray<string> => [
  `1 basic.deliver ${
    JSON.stringify({ consumerTag: "mine", deliveryTag, redelivered: false, exchange: "", routingKey: address })
  }`,
  `1 header ${text.length} {}`,
  `1 body ${text}`
]

export const replyTo = (it: It): void => {
  tests(it, cases)

  it.scoped("a question carries the address of the channel that asked, which nobody can guess", () =>
    Effect.gen(function*() {
      const one = yield* asked
      const other = yield* asked
      assert.match(one.address, /^amq\.rabbitmq\.reply-to\.[^']{22,}$/)
      assert.notStrictEqual(one.address, other.address)
    }))

  it.scoped("answers arrive on the channel that asked, without acknowledgement, and none is counted as a delivery", () =>
    Effect.gen(function*() {
      const { address, answerer, asker } = yield* asked
      yield* answerer.send(...answer(address, "first"), ...answer(address, "second"))
      assert.deepStrictEqual([...yield* asker.until("1 body"), ...yield* asker.until("1 body")], [
        ...delivered(address, "first"),
        ...delivered(address, "second")
      ])
    }))

  it.scoped("an address can be looked at as long as somebody waits there", () =>
    Effect.gen(function*() {
      const { address, answerer, asker } = yield* asked
      yield* answerer.send(declare({ queue: address, passive: true }))
      assert.deepStrictEqual(yield* answerer.until("1 queue.declare-ok"), [
        `1 queue.declare-ok ${JSON.stringify({ queue: address, messageCount: 0, consumerCount: 1 })}`
      ])
      yield* asker.send(cancel)
      yield* asker.until("1 basic.cancel-ok")
      yield* answerer.send(declare({ queue: address, passive: true }))
      const [closed] = yield* answerer.until("1 channel.close")
      assert.include(closed, "404 NOT_FOUND - no queue 'amq.rabbitmq.reply-to.")
    }))

  it.scoped("an answer to who has gone is dropped, and returned if it is mandatory", () =>
    Effect.gen(function*() {
      const { address, answerer, asker } = yield* asked
      yield* asker.send(cancel)
      yield* asker.until("1 basic.cancel-ok")
      yield* answerer.send(...answer(address, "a"), ...answer(address, "1", { mandatory: true }))
      assert.deepStrictEqual(yield* answerer.until("1 body"), returned(address))
    }))

  it.scoped("a mandatory answer is returned even where it arrives: it is in no queue", () =>
    Effect.gen(function*() {
      const { address, answerer, asker } = yield* asked
      yield* answerer.send(...answer(address, "1", { mandatory: true }))
      assert.deepStrictEqual(yield* answerer.until("1 body"), returned(address))
      assert.deepStrictEqual(yield* asker.until("1 body"), delivered(address, "1"))
    }))

  it.scoped("an answer is confirmed like any publish", () =>
    Effect.gen(function*() {
      const { address, asker } = yield* asked
      const { channel } = yield* openConfirm()
      yield* channel.publish({ routingKey: address, content: "answer" })
      assert.deepStrictEqual(yield* asker.until("1 body"), delivered(address, "answer"))
    }))

  it.scoped("an answer does not wait for its transaction", () =>
    Effect.gen(function*() {
      const { address, answerer, asker } = yield* asked
      yield* answerer.send({ _tag: "TxSelect" }, ...answer(address, "early"))
      assert.deepStrictEqual(yield* asker.until("1 body"), delivered(address, "early"))
    }))

  it.scoped("a question through a library's channel fails with the broker's words when nobody listens", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const error = yield* failing(
        channel.publish({ routingKey: queue, content: "?", properties: { replyTo: replies } })
      )
      assert.deepInclude({ ...error }, { _tag: "ChannelError", code: 406 })
      yield* open()
    }))
}
