/** Transactions: what waits for the commit, what a rollback undoes, and what neither touches. */
import { assert } from "@effect/vitest"
import { Channel, Connection, type Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { It } from "./place.ts"
import { consume, drain, failing, fresh, look, openConfirm, queueOf, texts } from "./place.ts"
import type { Case, Sent } from "./talk.ts"
import { ack, confirm, declare, get, one, publish, said, stepped, tests, two } from "./talk.ts"
import * as Wire from "./wire.ts"

const select: Method.Method = { _tag: "TxSelect" }
const commit: Method.Method = { _tag: "TxCommit" }
const rollback: Method.Method = { _tag: "TxRollback" }
const nack = (deliveryTag: number, requeue = true): Method.Method => ({
  _tag: "BasicNack",
  deliveryTag,
  multiple: false,
  requeue
})

const declared = "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}"
const got = (tag: number, text: string, left: number, redelivered = false): ReadonlyArray<string> => [
  `1 basic.get-ok ${
    JSON.stringify({ deliveryTag: tag, redelivered, exchange: "", routingKey: "wire", messageCount: left })
  }`,
  `1 header ${text.length} {}`,
  `1 body ${text}`
]
const returned = (routingKey: string, exchange = ""): ReadonlyArray<string> => [
  `1 basic.return ${JSON.stringify({ replyCode: 312, replyText: "NO_ROUTE", exchange, routingKey })}`,
  "1 header 1 {}",
  "1 body 1"
]

type Step = readonly [Sent, string]
const taken: Step = [[get], "body"]
const committed: Step = [[commit], "tx.commit-ok"]
const rolledBack: Step = [[rollback], "tx.rollback-ok"]
const selected: Step = [[select], "tx.select-ok"]
const empty: Step = [[get], "basic.get-empty"]

const cases: ReadonlyArray<Case> = [
  ["confirm.select in a transaction", said(select, confirm), [
    "1 tx.select-ok",
    "1 channel.close 406 PRECONDITION_FAILED - cannot switch from tx to confirm mode (85.10)"
  ]],
  ["tx.select after confirm.select", said(confirm, select), [
    "1 confirm.select-ok",
    "1 channel.close 406 PRECONDITION_FAILED - cannot switch from confirm to tx mode (90.10)"
  ]],
  ["a commit without a transaction", said(commit), [
    "1 channel.close 406 PRECONDITION_FAILED - channel is not transactional (90.20)"
  ]],
  ["a rollback without a transaction", said(rollback), [
    "1 channel.close 406 PRECONDITION_FAILED - channel is not transactional (90.30)"
  ]],
  ["tx.select twice, and transactions of nothing", stepped(selected, selected, committed, committed, rolledBack), [
    "1 tx.select-ok",
    "1 tx.select-ok",
    "1 tx.commit-ok",
    "1 tx.commit-ok",
    "1 tx.rollback-ok",
    "1 channel.close-ok"
  ]],
  [
    "a publish before and after its commit",
    stepped([[declare(), select], "tx.select-ok"], [[publish(), ...one, get], "basic.get-empty"], committed, taken),
    [declared, "1 tx.select-ok", "1 basic.get-empty", "1 tx.commit-ok", ...got(1, "1", 0), "1 channel.close-ok"]
  ],
  [
    "a publish that was rolled back",
    stepped([[declare(), select, publish(), ...one], "tx.select-ok"], rolledBack, committed, empty),
    [declared, "1 tx.select-ok", "1 tx.rollback-ok", "1 tx.commit-ok", "1 basic.get-empty", "1 channel.close-ok"]
  ],
  [
    "a mandatory message without a route, at the commit",
    stepped([[select, publish({ routingKey: "nowhere", mandatory: true }), ...one], "tx.select-ok"], committed),
    ["1 tx.select-ok", ...returned("nowhere"), "1 tx.commit-ok", "1 channel.close-ok"]
  ],
  [
    "a mandatory message without a route that was rolled back",
    stepped([[select, publish({ routingKey: "nowhere", mandatory: true }), ...one], "tx.select-ok"], rolledBack),
    ["1 tx.select-ok", "1 tx.rollback-ok", "1 channel.close-ok"]
  ],
  [
    "a publish to a missing exchange, at once",
    said(select, publish({ exchange: "none" }), ...one),
    ["1 tx.select-ok", "1 channel.close 404 NOT_FOUND - no exchange 'none' in vhost VHOST (60.40)"]
  ],
  [
    "a commit of which a queue that is full refuses a part (reject-publish)",
    stepped(
      [[
        declare({ arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } }),
        select,
        publish(),
        ...one,
        publish(),
        ...Wire.content("2")
      ], "tx.select-ok"],
      [[commit], "channel.close"]
    ),
    [
      declared,
      "1 tx.select-ok",
      "1 channel.close 406 PRECONDITION_FAILED - partial tx completion (90.20)"
    ]
  ],
  [
    "a message whose queue is deleted before the commit",
    stepped(
      [[declare(), select, publish({ mandatory: true }), ...one], "tx.select-ok"],
      [[{ _tag: "QueueDelete", queue: "wire", ifEmpty: false, ifUnused: false, noWait: false }], "queue.delete-ok"],
      committed
    ),
    [
      declared,
      "1 tx.select-ok",
      "1 queue.delete-ok {\"messageCount\":0}",
      ...returned("wire"),
      "1 tx.commit-ok",
      "1 channel.close-ok"
    ]
  ],
  [
    "a message whose binding comes after it",
    stepped(
      [[declare(), select, publish({ exchange: "amq.direct", routingKey: "late", mandatory: true }), ...one], "tx.sel"],
      [[{
        _tag: "QueueBind",
        queue: "wire",
        exchange: "amq.direct",
        routingKey: "late",
        noWait: false,
        arguments: {}
      }], "queue.bind-ok"],
      committed,
      empty
    ),
    [
      declared,
      "1 tx.select-ok",
      "1 queue.bind-ok",
      ...returned("late", "amq.direct"),
      "1 tx.commit-ok",
      "1 basic.get-empty",
      "1 channel.close-ok"
    ]
  ],
  [
    "an ack that was rolled back: the delivery is unacknowledged again, and can be acknowledged",
    stepped(
      [[declare(), ...two, select], "tx.select-ok"],
      taken,
      taken,
      [[ack(1), rollback], "tx.rollback-ok"],
      [[ack(1), commit], "tx.commit-ok"],
      empty
    ),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 1),
      ...got(2, "2", 0),
      "1 tx.rollback-ok",
      "1 tx.commit-ok",
      "1 basic.get-empty",
      "1 channel.close-ok"
    ]
  ],
  [
    "acks one by one and of all that were rolled back, and an ack of all after it",
    stepped(
      [[declare(), ...two, select], "tx.select-ok"],
      taken,
      taken,
      [[ack(1), ack(2, true), rollback], "tx.rollback-ok"],
      [[ack(2, true), commit], "tx.commit-ok"],
      [[ack(0, true), ack(2)], "channel.close"]
    ),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 1),
      ...got(2, "2", 0),
      "1 tx.rollback-ok",
      "1 tx.commit-ok",
      "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 2 (60.80)"
    ]
  ],
  [
    "an ack twice in a transaction",
    stepped([[declare(), ...two, select], "tx.select-ok"], taken, [[ack(1), ack(1)], "channel.close"]),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 1),
      "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 1 (60.80)"
    ]
  ],
  [
    "a nack goes back with the commit",
    stepped([[declare(), publish(), ...one, select], "tx.select-ok"], taken, [[nack(1), get], "basic.get-empty"], [
      [commit],
      "tx.commit-ok"
    ], taken),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 0),
      "1 basic.get-empty",
      "1 tx.commit-ok",
      ...got(2, "1", 0, true),
      "1 channel.close-ok"
    ]
  ],
  [
    "recover leaves alone what the transaction acknowledged",
    stepped(
      [[declare(), ...two, select], "tx.select-ok"],
      taken,
      taken,
      [[ack(1), { _tag: "BasicRecover", requeue: true }], "basic.recover-ok"],
      taken,
      rolledBack,
      [[ack(1), commit], "tx.commit-ok"],
      empty
    ),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 1),
      ...got(2, "2", 0),
      "1 basic.recover-ok",
      ...got(3, "2", 0, true),
      "1 tx.rollback-ok",
      "1 tx.commit-ok",
      "1 basic.get-empty",
      "1 channel.close-ok"
    ]
  ],
  [
    "publishes and settlements of one commit",
    stepped(
      [[declare(), publish(), ...one, select], "tx.select-ok"],
      taken,
      [[ack(1), publish(), ...Wire.content("2"), publish(), ...Wire.content("3"), commit], "tx.commit-ok"],
      taken,
      taken
    ),
    [
      declared,
      "1 tx.select-ok",
      ...got(1, "1", 0),
      "1 tx.commit-ok",
      ...got(2, "2", 1),
      ...got(3, "3", 0),
      "1 channel.close-ok"
    ]
  ]
]

const openTx = Effect.gen(function*() {
  const { channel, connection } = yield* openConfirm()
  const tx = yield* Effect.provideService(Channel.makeTx(), Connection.Connection, connection)
  return { channel, tx, queue: yield* queueOf(channel) }
})

export const transactions = (it: It): void => {
  tests(it, cases)

  it.scoped("a transaction's messages arrive together and in order, when it commits", () =>
    Effect.gen(function*() {
      const { channel, queue, tx } = yield* openTx
      yield* tx.transaction(({ publish, publishAll }) =>
        Effect.gen(function*() {
          yield* publish({ routingKey: queue, content: "1" })
          yield* publishAll(["2", "3"].map((content) => ({ routingKey: queue, content })))
          assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
        })
      )
      assert.deepStrictEqual(yield* drain(channel, queue), ["1", "2", "3"])
    }))

  it.scoped("a transaction that fails leaves nothing behind, and the next one works", () =>
    Effect.gen(function*() {
      const { channel, queue, tx } = yield* openTx
      const error = yield* failing(
        tx.transaction(({ publish }) =>
          Effect.zipRight(publish({ routingKey: queue, content: "1" }), Effect.fail("no" as const))
        )
      )
      assert.strictEqual(error, "no")
      yield* tx.transaction(({ publish }) => publish({ routingKey: queue, content: "2" }))
      assert.deepStrictEqual(yield* drain(channel, queue), ["2"])
    }))

  it.scoped("what a failed transaction acknowledged is still unsettled, and goes back with its channel", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* openConfirm()
      const queue = yield* queueOf(channel, "1")
      yield* Effect.scoped(Effect.gen(function*() {
        const tx = yield* Effect.provideService(Channel.makeTx(), Connection.Connection, connection)
        const message = Option.getOrThrow(yield* tx.get({ queue }))
        yield* failing(tx.transaction(() => Effect.zipRight(message.delivery.ack, Effect.fail("no"))))
        assert.strictEqual((yield* look(channel, queue)).messageCount, 0)
      }))
      assert.deepStrictEqual(yield* drain(channel, queue), ["1"])
    }))

  it.scoped("an acknowledgement frees its place in the prefetch with the commit", () =>
    Effect.gen(function*() {
      const { channel, queue, tx } = yield* openTx
      yield* channel.publishAll(["1", "2"].map((content) => ({ routingKey: queue, content })))
      const consumer = yield* consume(tx, { queue, prefetch: 1 })
      const first = yield* consumer.next
      yield* tx.transaction(() =>
        Effect.gen(function*() {
          yield* first.ack
          yield* look(tx, queue)
          assert.strictEqual(yield* consumer.arrived, 0)
        })
      )
      assert.deepStrictEqual(texts([yield* consumer.next]), ["2"])
    }))

  it.scoped("a publish to a missing exchange fails its transaction, and the channel works again", () =>
    Effect.gen(function*() {
      const { channel, queue, tx } = yield* openTx
      const error = yield* failing(
        tx.transaction(({ publish }) =>
          Effect.zipRight(
            publish({ routingKey: queue, content: "1" }),
            publish({ exchange: fresh("missing"), content: "2" })
          )
        )
      )
      assert.strictEqual(error._tag, "ChannelError")
      yield* tx.transaction(({ publish }) => publish({ routingKey: queue, content: "3" }))
      assert.deepStrictEqual(yield* drain(channel, queue), ["3"])
    }))
}
