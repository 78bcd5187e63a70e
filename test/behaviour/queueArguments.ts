/** Which arguments a queue may be declared with, and declared again. */
import { FieldTable } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { It } from "./place.ts"
import { consume, fresh, open, openConfirm, queueOf, refused } from "./place.ts"

const quorum = { "x-queue-type": "quorum" }

/** Arguments, and what the broker has against them: `QUEUE` stands for the queue. */
const invalid: ReadonlyArray<readonly [args: FieldTable.FieldTable, text: string]> = [
  [{ "x-expires": 0 }, "invalid arg 'x-expires' for QUEUE: {value_zero,0}"],
  [{ "x-expires": -1 }, "invalid arg 'x-expires' for QUEUE: {value_negative,-1}"],
  [{ "x-expires": "1" }, `invalid arg 'x-expires' for QUEUE: "expected integer, got longstr"`],
  [{ "x-message-ttl": -1 }, "invalid arg 'x-message-ttl' for QUEUE: {value_negative,-1}"],
  [{ "x-message-ttl": 2 ** 40 }, "invalid arg 'x-message-ttl' for QUEUE: {value_too_large,1099511627776}"],
  [{ "x-message-ttl": true }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got bool"`],
  [{ "x-message-ttl": 1.5 }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got double"`],
  [{ "x-message-ttl": null }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got void"`],
  [{ "x-message-ttl": [1] }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got array"`],
  [{ "x-message-ttl": { a: 1 } }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got table"`],
  [
    { "x-message-ttl": FieldTable.decimal(1, 15) },
    `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got decimal"`
  ],
  [
    { "x-message-ttl": FieldTable.timestamp(1) },
    `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got timestamp"`
  ],
  [{ "x-message-ttl": Uint8Array.of(255) }, `invalid arg 'x-message-ttl' for QUEUE: "expected integer, got binary"`],
  [{ "x-max-length": -1 }, "invalid arg 'x-max-length' for QUEUE: {value_negative,-1}"],
  [{ "x-max-length-bytes": "a" }, `invalid arg 'x-max-length-bytes' for QUEUE: "expected integer, got longstr"`],
  [{ "x-max-priority": 256 }, "invalid arg 'x-max-priority' for QUEUE: {max_value_exceeded,256}"],
  [{ "x-max-priority": -1 }, "invalid arg 'x-max-priority' for QUEUE: {value_negative,-1}"],
  [{ "x-overflow": "spill" }, "invalid arg 'x-overflow' for QUEUE: invalid_overflow"],
  [{ "x-overflow": 1 }, "invalid arg 'x-overflow' for QUEUE: {unacceptable_type,signedint}"],
  [{ "x-overflow": 2 ** 40 }, "invalid arg 'x-overflow' for QUEUE: {unacceptable_type,long}"],
  [{ "x-dead-letter-exchange": 1 }, "invalid type 'signedint' for arg 'x-dead-letter-exchange' in QUEUE"],
  [
    { "x-dead-letter-routing-key": "a" },
    "invalid arg 'x-dead-letter-routing-key' for QUEUE: routing_key_but_no_dlx_defined"
  ],
  [
    { "x-dead-letter-routing-key": 1 },
    "invalid arg 'x-dead-letter-routing-key' for QUEUE: {unacceptable_type,signedint}"
  ],
  [
    { "x-single-active-consumer": "yes" },
    "invalid arg 'x-single-active-consumer' for QUEUE: {unacceptable_type,longstr}"
  ],
  [{ "x-queue-mode": "x" }, `invalid arg 'x-queue-mode' for QUEUE: "unsupported queue mode 'x'"`],
  [{ "x-queue-version": 3 }, `invalid arg 'x-queue-version' for QUEUE: "unsupported queue version '3'"`],
  [{ "x-queue-type": "Quorum" }, `invalid arg 'x-queue-type' for QUEUE: "unsupported queue type 'Quorum'"`],
  [{ "x-queue-type": true }, "invalid arg 'x-queue-type' for QUEUE: {unacceptable_type,bool}"],
  [{ "x-delivery-limit": 5 }, "invalid arg 'x-delivery-limit' for QUEUE of queue type rabbit_classic_queue"],
  [{ "x-max-age": "1h" }, "invalid arg 'x-max-age' for QUEUE of queue type rabbit_classic_queue"],
  [{ ...quorum, "x-max-priority": 5 }, "invalid arg 'x-max-priority' for QUEUE of queue type rabbit_quorum_queue"],
  [{ ...quorum, "x-queue-mode": "lazy" }, "invalid arg 'x-queue-mode' for QUEUE of queue type rabbit_quorum_queue"],
  [
    { ...quorum, "x-dead-letter-strategy": "a" },
    "invalid arg 'x-dead-letter-strategy' for QUEUE: invalid_dlx_strategy"
  ],
  [
    { ...quorum, "x-queue-leader-locator": "a" },
    "invalid arg 'x-queue-leader-locator' for QUEUE: invalid_queue_locator_arg"
  ],
  [
    { ...quorum, "x-quorum-initial-group-size": 0 },
    "invalid arg 'x-quorum-initial-group-size' for QUEUE: {value_zero,0}"
  ],
  // Of two, always the same one.
  [{ "x-message-ttl": -1, "x-expires": -1 }, "invalid arg 'x-expires' for QUEUE: {value_negative,-1}"],
  [
    { "x-queue-type": "a", "x-dead-letter-exchange": 1 },
    "invalid type 'signedint' for arg 'x-dead-letter-exchange' in QUEUE"
  ],
  [{ "x-delivery-limit": 5, "x-message-ttl": -1 }, "invalid arg 'x-message-ttl' for QUEUE: {value_negative,-1}"]
]

/** Declared with the first, and then with the second arguments. */
const different: ReadonlyArray<readonly [FieldTable.FieldTable, FieldTable.FieldTable, text: string]> = [
  [
    { "x-message-ttl": 1000 },
    {},
    "'x-message-ttl' for QUEUE: received none but current is the value '1000' of type 'signedint'"
  ],
  [
    { "x-message-ttl": 1000 },
    { "x-message-ttl": -1 },
    "'x-message-ttl' for QUEUE: received '-1' but current is '1000'"
  ],
  [
    {},
    { "x-overflow": "drop-head" },
    "'x-overflow' for QUEUE: received the value 'drop-head' of type 'longstr' but current is none"
  ],
  [
    { "x-single-active-consumer": false },
    {},
    "'x-single-active-consumer' for QUEUE: received none but current is the value 'false' of type 'bool'"
  ],
  [{}, quorum, "'x-queue-type' for QUEUE: received the value 'quorum' of type 'longstr' but current is none"],
  [quorum, {}, "'x-queue-type' for QUEUE: received none but current is the value 'quorum' of type 'longstr'"],
  [
    quorum,
    { ...quorum, "x-delivery-limit": 3 },
    "'x-delivery-limit' for QUEUE: received the value '3' of type 'signedint' but current is none"
  ],
  [
    { "x-message-ttl": 1, "x-max-length": 2, "x-expires": 50_000 },
    { "x-message-ttl": 2, "x-max-length": 3, "x-expires": 60_000 },
    "'x-expires' for QUEUE: received '60000' but current is '50000'"
  ]
]

export const queueArguments = (it: It): void => {
  for (const [args, text] of invalid) {
    it.scoped(`no queue is declared with ${JSON.stringify(args)}`, () =>
      Effect.gen(function*() {
        const { channel, vhost } = yield* open()
        const queue = fresh("q")
        yield* refused(channel, channel.queueDeclare({ queue, durable: true, arguments: args }), {
          reason: "PreconditionFailed",
          code: 406,
          text: `PRECONDITION_FAILED - ${text.replace("QUEUE", `queue '${queue}' in vhost '${vhost}'`)}`,
          method: "queue.declare"
        })
      }))
  }

  for (const [current, received, text] of different) {
    it.scoped(`a queue with ${JSON.stringify(current)} is not one with ${JSON.stringify(received)}`, () =>
      Effect.gen(function*() {
        const { channel, vhost } = yield* open()
        const queue = fresh("q")
        yield* channel.queueDeclare({ queue, durable: true, arguments: current })
        yield* refused(channel, channel.queueDeclare({ queue, durable: true, arguments: received }), {
          reason: "PreconditionFailed",
          code: 406,
          text: `PRECONDITION_FAILED - inequivalent arg ${
            text.replace("QUEUE", `queue '${queue}' in vhost '${vhost}'`)
          }`,
          method: "queue.declare"
        })
        yield* channel.queueDelete({ queue })
      }))
  }

  it.scoped("a queue declared again with the same arguments, or with the type it has anyway, is the same", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      for (
        const [current, received] of [
          [{}, { "x-queue-type": "classic" }],
          [{ "x-queue-type": "classic" }, {}],
          [{ "x-message-ttl": 1000 }, { "x-message-ttl": FieldTable.int64(1000) }],
          [{ "x-unknown": 1 }, { "x-unknown": 2 }],
          [quorum, { ...quorum, "x-max-priority": 5 }]
        ] as const
      ) {
        const queue = fresh("q")
        yield* channel.queueDeclare({ queue, durable: true, arguments: current })
        yield* channel.queueDeclare({ queue, durable: true, arguments: received })
        yield* channel.queueDelete({ queue })
      }
    }))

  it.scoped("a consumer's priority must be a whole number", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      yield* refused(channel, Stream.runDrain(channel.consume({ queue, arguments: { "x-priority": "high" } })), {
        reason: "PreconditionFailed",
        code: 406,
        text:
          `PRECONDITION_FAILED - invalid arg 'x-priority' for queue '${queue}' in vhost '${vhost}': "expected integer, got longstr"`,
        method: "basic.consume"
      })
      yield* consume(channel, { queue, arguments: { "x-priority": FieldTable.int64(-5) } })
    }))
}
