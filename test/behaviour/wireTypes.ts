/**
 * The types that the values of arguments have on the wire: where they count, and what they are called.
 *
 * Named exceptions, RabbitMQ 3.10.8: it ends the connection with 541, for it falls over them, where a decimal differs from
 * another value, an `x-credit` is no table, or an `x-queue-master-locator` no text; the embedded broker tells the
 * difference, and ignores the other two. And it breaks a long list or table into lines.
 */
import { assert } from "@effect/vitest"
import { FieldTable } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { It } from "./place.ts"
import { drain, fresh, open, openConfirm, queueOf, queueWith, refused } from "./place.ts"
import { bytes, exchangeOf } from "./routing.ts"
import { precondition } from "./topology.ts"

type Value = FieldTable.Value

const { double, float, int16, int32, int64, int8, longstr, uint16, uint32, uint8 } = FieldTable

/**
 * One number in every type for whole ones, by RabbitMQ's name; but for `L`, which tshark does not know, and RabbitMQ reads
 * as it reads `l` (test/interop/arguments.test.ts).
 */
const integers = (value: number): ReadonlyArray<readonly [Value, name: string]> => [
  [int8(value), "byte"],
  [uint8(value), "unsignedbyte"],
  [int16(value), "short"],
  [uint16(value), "unsignedshort"],
  [int32(value), "signedint"],
  [uint32(value), "unsignedint"],
  [int64(value), "long"]
]

const noText = longstr(Uint8Array.of(0x61, 0xff))

/** All others. */
const others: ReadonlyArray<readonly [Value, name: string]> = [
  [float(1), "float"],
  [double(1), "double"],
  [FieldTable.decimal(0, 1), "decimal"],
  [DateTime.unsafeMake(1000), "timestamp"],
  [FieldTable.timestamp(2n ** 62n), "timestamp"],
  [bytes("1"), "binary"],
  [null, "void"],
  [[1], "array"],
  [{ a: 1 }, "table"]
]

const texts: ReadonlyArray<readonly [Value, name: string]> = [["1", "longstr"], [noText, "longstr"]]
const booleans: ReadonlyArray<readonly [Value, name: string]> = [[true, "bool"]]

/** Arguments of queues, values for them of types they do not have, and what is said of those. */
const unacceptable: ReadonlyArray<
  readonly [
    argument: string,
    values: ReadonlyArray<readonly [Value, name: string]>,
    text: (type: string, argument: string) => string
  ]
> = [
  ...["x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority", "x-queue-version"].map((
    argument
  ) =>
    [
      argument,
      [...others, ...texts, ...booleans],
      (type: string) => `invalid arg '${argument}' for QUEUE: "expected integer, got ${type}"`
    ] as const
  ),
  ...["x-overflow", "x-queue-mode", "x-queue-type", "x-dead-letter-routing-key"].map((argument) =>
    [
      argument,
      [...integers(1), ...others, ...booleans],
      (type: string) => `invalid arg '${argument}' for QUEUE: {unacceptable_type,${type}}`
    ] as const
  ),
  [
    "x-single-active-consumer",
    [...integers(1), ...others, ...texts],
    (type, argument) => `invalid arg '${argument}' for QUEUE: {unacceptable_type,${type}}`
  ],
  [
    "x-dead-letter-exchange",
    [...integers(1), ...others, ...booleans],
    (type, argument) => `invalid type '${type}' for arg '${argument}' in QUEUE`
  ]
]

/** What a queue was declared with, what it is declared with now, and what is said of that, if anything. */
const again: ReadonlyArray<readonly [title: string, current: Value, received: Value, text?: string]> = [
  ["a time is its seconds", int32(5), DateTime.unsafeMake(5000)],
  ["a float is a double", float(5), double(5)],
  ["a float is no integer", double(5), int8(5), "received '5' but current is '5.0'"],
  ["an integer is no float", int8(5), double(-0), "received '-0.0' but current is '5'"],
  ["a large float is written with an exponent", 5, double(1e10), "received '1.0e10' but current is '5'"],
  ["text is the bytes it is made of", "5", bytes("5")],
  ["text is no number", int8(5), "5", "received '5' but current is '5'"],
  ["a boolean is itself alone", true, uint8(1), "received '1' but current is 'true'"],
  ["nothing is none", int8(5), null, "received none but current is '5'"],
  ["within lists types count", [5], [int8(5)], "received '[{byte,5}]' but current is '[{signedint,5}]'"],
  [
    "within tables too",
    { a: float(1) },
    { a: double(1) },
    "received '[{<<\"a\">>,double,1.0}]' but current is '[{<<\"a\">>,float,1.0}]'"
  ],
  [
    "and so does their order",
    { a: 1, b: 2 },
    { b: 2, a: 1 },
    "received '[{<<\"b\">>,signedint,2},{<<\"a\">>,signedint,1}]' but current is '[{<<\"a\">>,signedint,1},{<<\"b\">>,signedint,2}]'"
  ],
  ["an empty list is an empty table", [], {}]
]

/** Arguments of bindings, and whether the second ones make another binding. */
const bindings: ReadonlyArray<readonly [title: string, one: Value, other: Value, isAnother: boolean]> = [
  ["the same type", int8(1), int8(1), false],
  ["another integer type", int8(1), int32(1), true],
  ["a wider one", int32(1), int64(1), true],
  ["a float of other width", float(1), double(1), true],
  ["a float and an integer", double(1), int32(1), true],
  ["the two zeros", double(0), double(-0), false],
  ["text and bytes", "x", bytes("x"), true],
  ["a time and its seconds", DateTime.unsafeMake(1000), int64(1), true],
  ["lists of other types", [int8(1)], [int32(1)], true],
  ["tables in another order", { a: 1, b: 2 }, { b: 2, a: 1 }, true]
]

/** What a headers binding asks for; of the headers, those that fit and those that do not. */
const matches: ReadonlyArray<
  readonly [title: string, asked: Value, fits: ReadonlyArray<Value>, other: ReadonlyArray<Value>]
> = [
  ["a number is itself in every type", int8(5), [
    ...integers(5).map(([value]) => value),
    float(5),
    double(5),
    DateTime.unsafeMake(5000)
  ], [double(5.5), "5", FieldTable.decimal(0, 5)]],
  ["large ones are exact", int64(2n ** 53n + 1n), [int64(2n ** 53n + 1n)], [double(2 ** 53)]],
  ["a 32-bit float is what its bits say", float(0.1), [float(0.1)], [double(0.1)]],
  ["so is a negative one", int64(-1), [int8(-1), double(-1)], [1]],
  ["text need not be text", noText, [noText, Uint8Array.of(0x61, 0xff)], ["a"]],
  ["within lists types count", [int8(5)], [[int8(5)]], [[5], [float(5)], 5]],
  ["within tables types and order count", { a: 5, b: 6 }, [{ a: 5, b: 6 }], [{ b: 6, a: 5 }, { a: int8(5), b: 6 }]],
  ["an empty list is an empty table", [], [[], {}], [null, [1]]]
]

const textOf = (_: Value, index: number) => `${index}`

export const wireTypes = (it: It): void => {
  for (const [argument, values, text] of unacceptable) {
    it.scoped(`no queue is declared with another type of ${argument} than it has, and the text names that type`, () =>
      Effect.gen(function*() {
        const { channel, vhost } = yield* open()
        for (const [value, type] of values) {
          const queue = fresh("q")
          yield* refused(
            channel,
            channel.queueDeclare({ queue, exclusive: true, arguments: { [argument]: value } }),
            precondition("queue.declare", text(type, argument).replace("QUEUE", `queue '${queue}' in vhost '${vhost}'`))
          )
        }
      }))
  }

  it.scoped("a whole number may have any type for whole ones, and is the same in another when declared again", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      for (const argument of ["x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority"]) {
        const queue = fresh("q")
        for (const [value] of integers(100)) {
          yield* channel.queueDeclare({ queue, exclusive: true, arguments: { [argument]: value } })
        }
        yield* channel.queueDelete({ queue })
      }
    }))

  it.scoped("a whole number counts in any type", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      for (const [value] of integers(2)) {
        const { queue } = yield* channel.queueDeclare({ exclusive: true, arguments: { "x-max-length": value } })
        yield* channel.publishAll(["1", "2", "3"].map((content) => ({ routingKey: queue, content })))
        assert.deepStrictEqual(yield* drain(channel, queue), ["2", "3"])
      }
    }))

  it.scoped("an argument that was not there is named with its type", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const exchange = yield* exchangeOf(channel, "fanout")
      const added = (name: string, kind: string, argument: string, value: string, type: string) =>
        `inequivalent arg '${argument}' for ${kind} '${name}' in vhost '${vhost}': received the value '${value}' of type ` +
        `'${type}' but current is none`
      for (
        const [value, type, text] of [
          ...integers(7).map(([value, type]) => [value, type, "7"] as const),
          [float(7), "float", "7.0"],
          [double(0.1), "double", "0.1"],
          [FieldTable.decimal(1, 7), "decimal", "{1,7}"],
          [null, "void", "undefined"],
          [[int8(7)], "array", "[{byte,7}]"]
        ] as const
      ) {
        yield* refused(
          channel,
          channel.queueDeclare({ queue, exclusive: true, arguments: { "x-message-ttl": value } }),
          precondition("queue.declare", added(queue, "queue", "x-message-ttl", text, type))
        )
        yield* refused(
          channel,
          channel.exchangeDeclare({
            exchange,
            type: "fanout",
            autoDelete: true,
            durable: false,
            arguments: { "alternate-exchange": value }
          }),
          precondition("exchange.declare", added(exchange, "exchange", "alternate-exchange", text, type))
        )
      }
    }))

  for (const [title, current, received, text] of again) {
    it.scoped(`where a queue is declared again ${title}`, () =>
      Effect.gen(function*() {
        const { channel, vhost } = yield* openConfirm()
        // The one argument of which RabbitMQ takes any value.
        const declare = (value: Value) =>
          channel.queueDeclare({
            queue,
            durable: true,
            arguments: { "x-queue-type": "quorum", "x-delivery-limit": value }
          })
        const queue = fresh("q")
        yield* declare(current)
        if (text === undefined) {
          yield* declare(received)
        } else {
          const at = `inequivalent arg 'x-delivery-limit' for queue '${queue}' in vhost '${vhost}'`
          yield* refused(channel, declare(received), precondition("queue.declare", `${at}: ${text}`))
        }
        yield* channel.queueDelete({ queue })
      }))
  }

  it.scoped("no exchange is declared with an alternate that is no text", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* open()
      for (const [value, type] of [...integers(1), ...others, ...booleans]) {
        const exchange = fresh("x")
        yield* refused(
          channel,
          channel.exchangeDeclare({ exchange, type: "fanout", arguments: { "alternate-exchange": value } }),
          precondition(
            "exchange.declare",
            `invalid type '${type}' for arg 'alternate-exchange' in exchange '${exchange}' in vhost '${vhost}'`
          )
        )
      }
    }))

  it.scoped("two bindings are one only if their arguments have the same types too", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      for (const type of ["direct", "headers"]) {
        for (const [title, one, other, isAnother] of bindings) {
          const exchange = yield* exchangeOf(channel, type, { autoDelete: false })
          const queue = yield* queueOf(channel)
          const bound = { queue, exchange, routingKey: "k" }
          yield* channel.queueBind({ ...bound, arguments: { a: one, z: 1, "x-match": "any" } })
          yield* channel.queueBind({ ...bound, arguments: { z: 1, a: other, "x-match": "any" } })
          yield* channel.queueUnbind({ ...bound, arguments: { a: one, "x-match": "any", z: 1 } })
          yield* channel.publish({ exchange, routingKey: "k", content: "x", properties: { headers: { z: 1 } } })
          assert.deepStrictEqual(yield* drain(channel, queue), isAnother ? ["x"] : [], `${type}: ${title}`)
          yield* channel.exchangeDelete({ exchange })
        }
      }
    }))

  it.scoped("so are those of exchanges", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const source = yield* exchangeOf(channel, "direct", { autoDelete: false })
      const destination = yield* exchangeOf(channel, "fanout")
      const queue = yield* queueOf(channel)
      yield* channel.queueBind({ queue, exchange: destination })
      const bound = { source, destination, routingKey: "k" }
      for (const a of [int8(1), int32(1)]) yield* channel.exchangeBind({ ...bound, arguments: { a } })
      yield* channel.exchangeUnbind({ ...bound, arguments: { a: int8(1) } })
      yield* channel.publish({ exchange: source, routingKey: "k", content: "x" })
      assert.deepStrictEqual(yield* drain(channel, queue), ["x"])
      yield* channel.exchangeUnbind({ ...bound, arguments: { a: int32(1) } })
      yield* channel.publish({ exchange: source, routingKey: "k", content: "x" })
      assert.deepStrictEqual(yield* drain(channel, queue), [])
      yield* channel.exchangeDelete({ exchange: source })
    }))

  for (const [title, asked, fits, other] of matches) {
    it.scoped(`where headers are held against a binding ${title}`, () =>
      Effect.gen(function*() {
        const { channel } = yield* openConfirm()
        const exchange = yield* exchangeOf(channel, "headers")
        const queue = yield* queueOf(channel)
        yield* channel.queueBind({ queue, exchange, arguments: { a: asked } })
        yield* channel.publishAll(
          [...fits, ...other].map((a, index) => ({
            exchange,
            content: textOf(a, index),
            properties: { headers: { a } }
          }))
        )
        assert.deepStrictEqual(yield* drain(channel, queue), fits.map(textOf))
      }))
  }

  it.scoped("an x-match that is no text is named with its type", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare({ exclusive: true })
      const refuses = (match: Value, text: string) =>
        refused(
          channel,
          channel.queueBind({ queue, exchange: "amq.headers", arguments: { "x-match": match } }),
          precondition("queue.bind", `Invalid x-match field ${text}`)
        )
      for (const [value, type] of integers(5)) yield* refuses(value, `type ${type} (value 5); expected longstr`)
      yield* refuses(float(5), "type float (value 5.0); expected longstr")
      yield* refuses(double(1e-7), "type double (value 1.0e-7); expected longstr")
      const four = "expected all, any, all-with-x, or any-with-x"
      yield* refuses("a\tb", `value <<"a\\tb">>; ${four}`)
      yield* refuses("日", `value <<230,151,165>>; ${four}`)
    }))

  it.scoped("the arguments of a consumer have types, which the texts name", () =>
    Effect.gen(function*() {
      const { channel, vhost } = yield* openConfirm()
      const queue = yield* queueOf(channel)
      const refuses = (queue: string, args: FieldTable.FieldTable, text: (at: string) => string) =>
        refused(
          channel,
          Stream.runDrain(channel.consume({ queue, arguments: args })),
          precondition("basic.consume", text(`for queue '${queue}' in vhost '${vhost}'`))
        )
      const priority = "x-priority"
      const failover = "x-cancel-on-ha-failover"
      const offset = "x-stream-offset"
      const takes = (args: FieldTable.FieldTable) =>
        Effect.gen(function*() {
          yield* channel.publish({ routingKey: queue, content: "x" })
          yield* channel.consume({ queue, noAck: true, arguments: args }).pipe(Stream.take(1), Stream.runDrain)
        })
      for (const [value] of integers(5)) yield* takes({ [priority]: value, [failover]: true })
      for (const [value, type] of [...others, ...texts, ...booleans]) {
        yield* refuses(queue, { [priority]: value }, (at) =>
          `invalid arg '${priority}' ${at}: "expected integer, got ${type}"`)
      }
      for (const [value, type] of [...integers(5), ...others, ...texts]) {
        yield* refuses(queue, { [failover]: value }, (at) =>
          `invalid arg '${failover}' ${at}: {unacceptable_type,${type}}`)
      }
      yield* refuses(
        queue,
        { [offset]: int8(1), [failover]: int8(1), [priority]: float(1) },
        (at) =>
          `invalid arg '${priority}' ${at}: "expected integer, got float"`
      )
      yield* refuses(
        queue,
        { [offset]: int8(1) },
        (at) =>
          `invalid arg '${offset}' ${at} of queue type rabbit_classic_queue`
      )
      const quorum = yield* queueWith(channel, { type: "quorum" })
      for (
        const [first, args] of [
          [failover, { [failover]: true }],
          [offset, { [offset]: "first" }],
          // Of two, the one that stands first.
          [failover, { [failover]: int8(1), [offset]: int8(1) }],
          [offset, { [offset]: int8(1), [failover]: int8(1) }]
        ] as const
      ) {
        yield* refuses(quorum, args, (at) =>
          `invalid arg '${first}' ${at} of queue type rabbit_quorum_queue`)
      }
      yield* channel.queueDelete({ queue: quorum })
    }))

  it.scoped("further routing keys that are no list are named with their type", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      for (const header of ["CC", "BCC"]) {
        for (const [value, type] of [...integers(1), ...texts, ...booleans, [float(1), "float"] as const]) {
          yield* refused(
            channel,
            channel.publish({ routingKey: "nowhere", content: "x", properties: { headers: { [header]: value } } }),
            precondition("basic.publish", `invalid message: {unacceptable_type_in_header,"${header}",${type}}`)
          )
        }
      }
    }))
}
