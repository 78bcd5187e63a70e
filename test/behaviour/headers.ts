/** Where messages go by their headers. */
import { assert } from "@effect/vitest"
import { Arguments, FieldTable } from "effect-amqp/amqp091"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { drain, fresh, open, openConfirm, refused } from "./place.ts"
import { bound, bytes, exchangeOf } from "./routing.ts"
import { precondition } from "./topology.ts"

type Table = FieldTable.FieldTable

const matches: ReadonlyArray<
  readonly [
    title: string,
    asked: Table,
    taking: ReadonlyArray<Table | undefined>,
    other: ReadonlyArray<Table | undefined>
  ]
> = [
  ["all that it asks for must be there and equal", { a: 1, b: "x" }, [{ a: 1, b: "x" }, { a: 1, b: "x", c: 2 }], [
    { a: 1 },
    { a: 1, b: "y" },
    {},
    undefined
  ]],
  ["all is what no x-match means", { "x-match": "all", a: 1 }, [{ a: 1 }], [{ b: 1 }]],
  ["any needs one that is there and equal", { "x-match": "any", a: 1, b: 2 }, [{ a: 1 }, { a: 9, b: 2 }], [
    { a: 2, b: 1 },
    {},
    undefined
  ]],
  ["all of nothing takes every message", {}, [{}, { a: 1 }, undefined], []],
  ["any of nothing takes none", { "x-match": "any" }, [], [{}, { a: 1 }, undefined]],
  ["names that start with x- do not count", { "x-a": 1, b: 1 }, [{ b: 1 }, { b: 1, "x-a": 2 }], [{ "x-a": 1 }]],
  ["nor do they with any", { "x-match": "any", "x-a": 1, b: 1 }, [{ b: 1 }], [{ "x-a": 1 }]],
  ["all-with-x counts them", { "x-match": "all-with-x", "x-a": 1, b: 1 }, [{ b: 1, "x-a": 1 }], [
    { b: 1 },
    { b: 1, "x-a": 2 }
  ]],
  ["any-with-x counts them", { "x-match": "any-with-x", "x-a": 1, b: 1 }, [{ "x-a": 1 }, { b: 1 }], [{ "x-a": 2 }]],
  ["a null asks that the header be there, whatever it is", { a: null }, [{ a: 1 }, { a: "x" }, { a: null }], [
    { b: 1 },
    {}
  ]],
  ["a null header is no other value", { a: "null" }, [{ a: "null" }], [{ a: null }]],
  ["text is no number, and no boolean either", { a: "1" }, [{ a: "1" }], [{ a: 1 }, { a: true }]],
  ["a number is itself in every width, float or not", { a: 1 }, [
    { a: FieldTable.int8(1) },
    { a: FieldTable.int64(1n) },
    { a: FieldTable.double(1) },
    { a: FieldTable.float(1) }
  ], [{ a: 2 }, { a: FieldTable.double(1.5) }, { a: "1" }, { a: true }]],
  ["a boolean is itself", { a: true }, [{ a: true }], [{ a: false }, { a: 1 }, { a: "true" }]],
  ["text and the bytes it is made of are equal", { a: "é" }, [{ a: bytes("é") }], [{ a: bytes("e") }]],
  ["a time and its seconds are equal", { a: DateTime.unsafeMake(5000) }, [{ a: 5 }, { a: DateTime.unsafeMake(5000) }], [
    { a: 6 },
    { a: "5" }
  ]],
  ["lists and tables are equal by what they hold", { a: [1, "x"], b: { c: 1 } }, [{ a: [1, "x"], b: { c: 1 } }], [
    { a: [1], b: { c: 1 } },
    { a: [1, "x"], b: { c: 2 } }
  ]],
  ["a decimal is itself", { a: FieldTable.decimal(2, 150) }, [
    { a: FieldTable.decimal(2, 150) }
  ], [{ a: 1.5 }, { a: FieldTable.decimal(1, 15) }]],
  ["names are told apart by case", { a: 1 }, [{ a: 1 }], [{ A: 1 }]]
]

const textOf = (headers: Table | undefined, index: number) => `${index}: ${Object.keys(headers ?? {})}`

export const headersExchanges = (it: It): void => {
  for (const [title, asked, taking, other] of matches) {
    it.scoped(`of a headers binding ${title}`, () =>
      Effect.gen(function*() {
        const { channel } = yield* openConfirm()
        const exchange = yield* exchangeOf(channel, "headers")
        const { queue } = yield* channel.queueDeclare()
        yield* channel.queueBind({ queue, exchange, arguments: asked })
        yield* channel.publishAll(
          [...taking, ...other].map((headers, index) => ({
            exchange,
            content: textOf(headers, index),
            properties: { headers }
          }))
        )
        assert.deepStrictEqual(yield* drain(channel, queue), taking.map(textOf))
      }))
  }

  it.scoped("a headers exchange looks at no key, and hands a queue that several bindings lead to one message", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const queue = yield* bound(channel, "amq.fanout")
      const [first, second] = [{ one: fresh("h") }, { two: fresh("h") }]
      for (const exchange of ["amq.headers", "amq.match"]) {
        yield* channel.queueBind({ queue, exchange, routingKey: "k", arguments: Arguments.binding({ headers: first }) })
        yield* channel.queueBind({ queue, exchange, arguments: Arguments.binding({ headers: second, match: "any" }) })
        const properties = { headers: { ...first, ...second } }
        yield* channel.publish({ exchange, routingKey: "z", content: exchange, properties })
      }
      assert.deepStrictEqual(yield* drain(channel, queue), ["amq.headers", "amq.match"])
    }))

  it.scoped("an unbind from a headers exchange ends the binding with the same arguments alone", () =>
    Effect.gen(function*() {
      const { channel } = yield* openConfirm()
      const exchange = yield* exchangeOf(channel, "headers")
      const { queue } = yield* channel.queueDeclare()
      yield* channel.queueBind({ queue, exchange, arguments: { a: 1 } })
      yield* channel.queueBind({ queue, exchange, arguments: { a: 2 } })
      yield* channel.queueUnbind({ queue, exchange, arguments: { a: 1 } })
      yield* channel.publishAll([1, 2].map((a) => ({ exchange, content: `${a}`, properties: { headers: { a } } })))
      assert.deepStrictEqual(yield* drain(channel, queue), ["2"])
    }))

  it.scoped("another x-match than the four is refused, in words that say what it was", () =>
    Effect.gen(function*() {
      const { channel } = yield* open()
      const { queue } = yield* channel.queueDeclare()
      const refuses = (match: FieldTable.Value, text: string) =>
        refused(
          channel,
          channel.queueBind({ queue, exchange: "amq.headers", arguments: { "x-match": match } }),
          precondition("queue.bind", text)
        )
      const four = "expected all, any, all-with-x, or any-with-x"
      yield* refuses("ALL", `Invalid x-match field value <<"ALL">>; ${four}`)
      yield* refuses("", `Invalid x-match field value <<>>; ${four}`)
      yield* refuses("a\"b", `Invalid x-match field value <<"a\\"b">>; ${four}`)
      yield* refuses(5, "Invalid x-match field type signedint (value 5); expected longstr")
      yield* refuses(
        FieldTable.int64(2n ** 40n),
        `Invalid x-match field type long (value ${2 ** 40}); expected longstr`
      )
      yield* refuses(1.5, "Invalid x-match field type double (value 1.5); expected longstr")
      yield* refuses(true, "Invalid x-match field type bool (value true); expected longstr")
      yield* refuses(null, "Invalid x-match field type void (value undefined); expected longstr")
      yield* refuses(bytes("all"), "Invalid x-match field type binary (value <<\"all\">>); expected longstr")
      yield* refuses(DateTime.unsafeMake(7000), "Invalid x-match field type timestamp (value 7); expected longstr")
      yield* refuses(
        FieldTable.decimal(2, 150),
        "Invalid x-match field type decimal (value {2,150}); expected longstr"
      )
      yield* refuses(
        [1, "x"],
        "Invalid x-match field type array (value [{signedint,1},{longstr,<<\"x\">>}]); expected longstr"
      )
      yield* refuses({ a: 1 }, "Invalid x-match field type table (value [{<<\"a\">>,signedint,1}]); expected longstr")
      yield* channel.queueBind({ queue, exchange: "amq.direct", arguments: { "x-match": "ALL" } })
    }))
}
