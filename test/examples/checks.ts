/**
 * The examples that run on any broker, with what each of them must compute.
 */
import { assert } from "@effect/vitest"
import type { Transport } from "effect-amqp"
import type { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as channelLayers from "../../scratchpad/examples/channelLayers.ts"
import * as channelPool from "../../scratchpad/examples/channelPool.ts"
import * as connectionPool from "../../scratchpad/examples/connectionPool.ts"
import * as connectionStates from "../../scratchpad/examples/connectionStates.ts"
import * as consuming from "../../scratchpad/examples/consuming.ts"
import * as orders from "../../scratchpad/examples/orders.ts"
import * as publishing from "../../scratchpad/examples/publishing.ts"
import * as publishSubscribe from "../../scratchpad/examples/publishSubscribe.ts"
import * as remoteCalls from "../../scratchpad/examples/remoteCalls.ts"
import * as retryLadder from "../../scratchpad/examples/retryLadder.ts"
import * as severalConnections from "../../scratchpad/examples/severalConnections.ts"
import * as simpleQueue from "../../scratchpad/examples/simpleQueue.ts"
import * as topicRouting from "../../scratchpad/examples/topicRouting.ts"
import * as topology from "../../scratchpad/examples/topology.ts"
import * as tracing from "../../scratchpad/examples/tracing.ts"
import * as transactions from "../../scratchpad/examples/transactions.ts"
import * as typedFaults from "../../scratchpad/examples/typedFaults.ts"
import * as typedMessages from "../../scratchpad/examples/typedMessages.ts"
import * as workQueue from "../../scratchpad/examples/workQueue.ts"

interface Checks {
  readonly [title: string]: Effect.Effect<void, unknown, Connection.Connection | Transport.Transport>
}

/** What needs more than the embedded broker has. */
export const rabbitChecks: Checks = {
  "transactions: moves a message whole, or not at all": Effect.gen(function*() {
    assert.deepStrictEqual(yield* transactions.program, {
      moved: [1, 2],
      failure: "oops is no number",
      copied: 4,
      left: Option.some("oops")
    })
  })
}

/** What a program computes on any broker that it reaches through `Live`. */
export const checks: Checks = {
  "connectionStates: tells each state of a life with one cut, and what was agreed on": Effect.gen(function*() {
    assert.deepStrictEqual(yield* connectionStates.program, {
      states: [
        "open, socket 1",
        "recovering from ConnectionLost",
        "connecting",
        "open, socket 2",
        "closing",
        "closed"
      ],
      recovered: "Some",
      after: "Closed",
      agreed: { mechanism: "PLAIN", frameMax: 131072, heartbeat: "1m" }
    })
  }),
  "severalConnections: publishes on one and consumes on the other": Effect.gen(function*() {
    const received = yield* Effect.provide(severalConnections.program, severalConnections.ConnectionsLive)
    assert.deepStrictEqual(received, ["one", "two", "three"])
  }),
  "publishing: every confirmed message is in the queue, and what was not is named": Effect.gen(function*() {
    assert.deepStrictEqual(yield* publishing.program, {
      count: 1 + 1 + 50 + 500 + 1,
      unconfirmed: 0,
      returned: "312 NO_ROUTE",
      failed: [1]
    })
  }),
  "channelLayers: what one channel deposits another withdraws, once": Effect.gen(function*() {
    assert.deepStrictEqual(yield* channelLayers.program, [Option.some("gold"), Option.none()])
  }),
  "channelPool: a thousand fibers hear of their own messages, and nothing stays borrowed": Effect.gen(function*() {
    assert.deepStrictEqual(yield* Effect.provide(channelPool.program, channelPool.ChannelsLive), {
      confirmed: 990,
      returned: 10,
      stored: 990,
      active: 0,
      isWithinLimit: true
    })
  }),
  "connectionPool: lends, replaces, grows, refuses, ensures and closes": Effect.gen(function*() {
    assert.deepStrictEqual(yield* connectionPool.program, {
      used: true,
      active: 1,
      released: "ConnectionClosed",
      refused: ["Exhausted", "LimitExceeded"],
      ensured: true,
      closed: "Closed"
    })
  }),
  "consuming: settles one by one, by the batch, back, never and twice": Effect.gen(function*() {
    assert.deepStrictEqual(yield* consuming.program, {
      sum: 1 + 2 + 3 + 4 + 5,
      batches: 3,
      attempts: [false, true],
      taken: "22",
      twice: "AlreadySettled",
      isEmpty: true,
      left: 0
    })
  }),
  "topology: plans, declares, and is there again on the next socket, under a new name where the broker gave it one":
    Effect.gen(function*() {
      const queue = "queue \"examples.topology.billing\""
      const binding = `binding "examples.topology" -> ${queue}, routing key "order.#"`
      assert.deepStrictEqual(yield* topology.program, {
        before: ["create    exchange \"examples.topology\" (topic)", `create    ${queue}`, `create    ${binding}`],
        after: [
          "same      exchange \"examples.topology\" (topic)",
          `conflict  ${queue}: x-max-length is 100, wanted 200`,
          `unknown   ${binding}`
        ],
        restored: 5,
        renamed: true,
        ready: [1, 1]
      })
    }),
  "typedFaults: tells what is wrong, and leaves the channel working": Effect.gen(function*() {
    const { outcomes, queue, refused } = yield* typedFaults.program
    assert.strictEqual(queue, "examples.orders")
    assert.deepStrictEqual(outcomes, {
      known: "confirmed",
      noQueue: "nobody listens to examples.nowhere",
      noExchange: "the broker objects to basic.publish: 404",
      knownAgain: "confirmed"
    })
    assert.strictEqual(refused.reason, "Auth")
    assert.notInclude(String(refused), "s3cret")
  }),
  "workQueue: every job is done once, by several workers, and what is no job is refused": Effect.gen(function*() {
    const results = yield* workQueue.program
    assert.strictEqual(results.length, 30)
    assert.deepStrictEqual(
      Object.fromEntries(results.map(({ id, square }) => [id, square])),
      Object.fromEntries(Array.from({ length: 30 }, (_, id) => [id, id * id]))
    )
    assert.isAbove(new Set(results.map(({ worker }) => worker)).size, 1)
  }),
  "typedMessages: handles what fits the Schema, and what failed once more": Effect.gen(function*() {
    assert.deepStrictEqual(yield* typedMessages.program, ["1 of tea", "2 of bread", "2 of bread, again", "3 of cake"])
  }),
  "publishSubscribe: every subscriber has every message, in order": Effect.gen(function*() {
    const news = ["rain", "sun", "snow"]
    assert.deepStrictEqual(yield* publishSubscribe.program, [news, news, news])
  }),
  "topicRouting: each queue has what its pattern matches": Effect.gen(function*() {
    assert.deepStrictEqual(yield* topicRouting.program, {
      placed: ["eu.placed", "us.placed"],
      europe: ["eu.placed", "eu.paid", "eu.de.paid"],
      paid: ["eu.paid", "eu.de.paid"]
    })
  }),
  "simpleQueue: puts and gets, and says when there is nothing": Effect.gen(function*() {
    assert.deepStrictEqual(yield* simpleQueue.program, {
      rooms: ["kitchen", "hall"],
      urgent: Option.some(true),
      left: 1,
      dropped: 1,
      empty: "nothing to do",
      note: "milk"
    })
  }),
  "remoteCalls: a hundred calls in flight, and what is wrong said by type": Effect.gen(function*() {
    assert.deepStrictEqual(yield* remoteCalls.program, {
      total: 5050,
      failure: "two is no number",
      reply: "42",
      nobody: "NO_ROUTE"
    })
  }),
  "retryLadder: tries again after each delay, and parks in the end": Effect.gen(function*() {
    assert.deepStrictEqual(yield* retryLadder.program, {
      tried: ["tea, attempt 1", "cake, attempt 1", "tea, attempt 2", "cake, attempt 2", "cake, attempt 3"],
      parked: "cake",
      deaths: 2
    })
  }),
  "tracing: a publish and what comes of it are exported as one trace, and counted": Effect.gen(function*() {
    assert.deepStrictEqual(yield* tracing.program, {
      parents: {
        "POST /orders": undefined,
        "send amq.default": "POST /orders",
        "process examples.traced": "send amq.default",
        bake: "process examples.traced"
      },
      traces: 1,
      service: "orders",
      published: 1
    })
  }),
  "orders: serves what was placed": Effect.gen(function*() {
    const handled = yield* Effect.provide(orders.program, orders.Orders.Default)
    assert.deepStrictEqual(handled, ["tea", "cake"])
  })
}
