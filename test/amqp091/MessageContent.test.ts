import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import type { Content } from "../../src/amqp091/Message.ts"
import * as Message from "../../src/amqp091/Message.ts"
import type { BasicProperties } from "../../src/amqp091/Properties.ts"
import type { ContentError } from "../../src/AmqpError.ts"

class Order extends Schema.Class<Order>("Order")({
  id: Schema.String,
  count: Schema.Int.pipe(Schema.positive()),
  due: Schema.optional(Schema.Date),
  labels: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number }))
}) {}
const orders = Message.json(Order)

const delivered = (content: Uint8Array | string, properties: BasicProperties = {}) => ({
  content: Message.toBytes(content),
  properties
})

const decode = <A>(content: Content<A>, body: Uint8Array | string, properties?: BasicProperties) =>
  Effect.runSync(Effect.either(content.decode(delivered(body, properties))))

const failure = <A>(either: Either.Either<A, ContentError>): ContentError =>
  Either.isLeft(either) ? either.left : assert.fail("it was decoded")

const decodeFault = <A>(content: Content<A>, body: Uint8Array | string, properties?: BasicProperties) =>
  failure(decode(content, body, properties))

const encodeFault = <A>(content: Content<A>, value: A) => failure(Effect.runSync(Effect.either(content.encode(value))))

const valid = `{"id":"a","count":1}`

describe("Message.json", () => {
  const Parcel = Schema.Struct({
    id: Schema.String,
    weights: Schema.Array(Schema.NumberFromString.pipe(Schema.int())),
    sender: Schema.NullOr(Schema.NonEmptyString)
  })

  it.prop("gives back what was encoded", [Schema.typeSchema(Parcel)], ([parcel]) => {
    const parcels = Message.json(Parcel)
    const sent = { ...parcel, weights: parcel.weights.map((weight) => weight + 0) }
    assert.deepStrictEqual(decode(parcels, Effect.runSync(parcels.encode(sent))), Either.right(sent))
  })

  it("takes every JSON type, with parameters, in any case, and none at all", () => {
    const types = [
      undefined,
      "",
      "application/json",
      "Application/JSON",
      "application/json; charset=UTF-8",
      `application/json;charset="utf-8"`,
      "application/vnd.order+json",
      "text/json"
    ]
    for (const contentType of types) {
      const properties = contentType === undefined ? {} : { contentType }
      assert.isTrue(Either.isRight(decode(orders, valid, properties)), contentType)
    }
  })

  it("refuses another type, and says which", () => {
    for (const contentType of ["text/plain", "application/octet-stream", "application/jsonx", "json"]) {
      const error = decodeFault(orders, valid, { contentType })
      assert.strictEqual(error.reason, "ContentType")
      assert.include(error.message, contentType)
    }
  })

  it("takes the type it writes, whatever that is", () => {
    const own = Message.json(Order, { contentType: "application/x-order" })
    assert.strictEqual(own.contentType, "application/x-order")
    assert.isTrue(Either.isRight(decode(own, valid, { contentType: "application/x-order" })))
    assert.strictEqual(decodeFault(orders, valid, { contentType: "application/x-order" }).reason, "ContentType")
  })

  it("refuses what is compressed or in another character set", () => {
    for (
      const properties of [
        { contentEncoding: "gzip" },
        { contentType: "application/json; charset=iso-8859-1" },
        { contentEncoding: "latin1" }
      ]
    ) assert.strictEqual(decodeFault(orders, valid, properties).reason, "ContentEncoding")
    for (const contentEncoding of ["", "identity", "utf-8", "UTF-8"]) {
      assert.isTrue(Either.isRight(decode(orders, valid, { contentEncoding })))
    }
  })

  it("keeps refusing after it has taken", () => {
    assert.isTrue(Either.isRight(decode(orders, valid, { contentType: "text/json" })))
    assert.strictEqual(decodeFault(orders, valid, { contentType: "text/xml" }).reason, "ContentType")
    assert.strictEqual(
      decodeFault(orders, valid, { contentType: "text/json", contentEncoding: "br" }).reason,
      "ContentEncoding"
    )
  })

  it("takes a byte order mark, and refuses what is not UTF-8 or not JSON", () => {
    assert.isTrue(Either.isRight(decode(orders, `\uFEFF${valid}`)))
    assert.strictEqual(decodeFault(orders, Uint8Array.of(0x22, 0xff, 0x22)).reason, "Text")
    for (const body of ["", "{", "undefined", "{}{}"]) assert.strictEqual(decodeFault(orders, body).reason, "Json")
  })

  it("says where a value does not fit, and what is expected there", () => {
    const nested = Message.json(Schema.Struct({ lines: Schema.Array(Schema.Struct({ price: Schema.Number })) }))
    const error = decodeFault(nested, `{"lines":[{"price":1},{"price":"x"}]}`)
    assert.strictEqual(error.reason, "Schema")
    assert.deepStrictEqual(error.issues, [{ path: ["lines", 1, "price"], expected: "number" }])
    assert.include(error.message, "lines.1.price: expected number")
    assert.deepStrictEqual(decodeFault(orders, `{"id":"a"}`).issues.map(({ path }) => path), [["count"]])
    assert.deepStrictEqual(decodeFault(orders, `{"id":"a","count":-1}`).issues.map(({ path }) => path), [["count"]])
  })

  it("never shows the content, nor a key that the schema does not name", () => {
    const bodies = [
      `{"id":"hunter2","count":"hunter2"}`,
      `"hunter2"`,
      `{"id":"a","count":1,"due":"hunter2"}`,
      `{"id":"a","count":1,"labels":{"hunter2":"hunter2"}}`,
      `{"id":"hunter2`,
      "hunter2"
    ]
    for (const body of bodies) {
      const error = decodeFault(orders, body)
      for (const shown of [error.message, String(error), JSON.stringify(error), inspect(error, { depth: 20 })]) {
        assert.notInclude(shown, "hunter2", body)
      }
    }
    const record = decodeFault(orders, `{"id":"a","count":1,"labels":{"hunter2":"x"}}`)
    assert.deepStrictEqual(record.issues, [{ path: ["labels", "*"], expected: "number" }])
  })

  it("fails to encode what the schema or JSON has no place for", () => {
    const loose = Message.json(Schema.Unknown)
    assert.strictEqual(encodeFault(loose, undefined).reason, "Json")
    assert.strictEqual(encodeFault(loose, 1n).reason, "Json")
    const error = encodeFault(Message.json(Schema.Number.pipe(Schema.positive())), -1)
    assert.strictEqual(error.reason, "Schema")
    assert.strictEqual(error.operation, "encode")
  })

  it.effect("runs a schema that is asynchronous or needs a service", () =>
    Effect.gen(function*() {
      const Slow = Schema.transformOrFail(Schema.String, Schema.Number, {
        decode: (text) => Effect.as(Effect.yieldNow(), Number(text)),
        encode: (value) => Effect.as(Effect.yieldNow(), String(value))
      })
      const slow = Message.json(Slow)
      assert.strictEqual(yield* slow.encode(3), `"3"`)
      assert.strictEqual(yield* slow.decode(delivered(`"4"`)), 4)
      const error = yield* Effect.flip(slow.decode(delivered("5")))
      assert.strictEqual(error.reason, "Schema")
    }))
})

describe("Message.text and Message.bytes", () => {
  it.prop("give back what was encoded", [FastCheck.fullUnicodeString(), FastCheck.uint8Array()], ([text, bytes]) => {
    assert.deepStrictEqual(decode(Message.text, Effect.runSync(Message.text.encode(text))), Either.right(text))
    assert.deepStrictEqual(decode(Message.bytes, Effect.runSync(Message.bytes.encode(bytes))), Either.right(bytes))
  })

  it("text keeps a byte order mark, takes text of every kind, and refuses the rest", () => {
    assert.deepStrictEqual(decode(Message.text, "\uFEFFa"), Either.right("\uFEFFa"))
    for (const contentType of ["text/plain", "text/csv; charset=utf-8", Message.text.contentType]) {
      assert.isTrue(Either.isRight(decode(Message.text, "a", { contentType })), contentType)
    }
    assert.strictEqual(decodeFault(Message.text, "a", { contentType: "application/json" }).reason, "ContentType")
    assert.strictEqual(
      decodeFault(Message.text, "a", { contentType: "text/plain; charset=koi8-r" }).reason,
      "ContentEncoding"
    )
    assert.strictEqual(decodeFault(Message.text, Uint8Array.of(0xc3)).reason, "Text")
  })

  it("bytes take every type", () => {
    const properties = { contentType: "image/png", contentEncoding: "gzip" }
    assert.deepStrictEqual(decode(Message.bytes, Uint8Array.of(1), properties), Either.right(Uint8Array.of(1)))
  })
})

describe("Message.oneOf", () => {
  const notes = Message.oneOf(Message.json(Schema.String), Message.text)

  it("reads by the content type, and writes as the first does", () => {
    assert.deepStrictEqual(decode(notes, `"a"`, { contentType: "application/json" }), Either.right("a"))
    assert.deepStrictEqual(decode(notes, `"a"`, { contentType: "text/plain" }), Either.right(`"a"`))
    assert.deepStrictEqual(decode(notes, `"a"`), Either.right("a"))
    assert.strictEqual(notes.contentType, "application/json")
    assert.strictEqual(Effect.runSync(notes.encode("a")), `"a"`)
  })

  it("refuses what all refuse, by all their types, and hands no misfit on", () => {
    const refused = decodeFault(notes, "x", { contentType: "image/png" })
    assert.strictEqual(refused.reason, "ContentType")
    assert.include(refused.message, "application/json, text/plain")
    assert.strictEqual(decodeFault(notes, "{", { contentType: "application/json" }).reason, "Json")
    assert.strictEqual(decodeFault(notes, "1", { contentType: "application/json" }).reason, "Schema")
  })

  it("asks codecs that take time in their turn", () => {
    const slow: Content<string> = {
      ...Message.text,
      decode: (delivery) => Effect.zipRight(Effect.yieldNow(), Message.json(Schema.String).decode(delivery))
    }
    const both = Message.oneOf(slow, Message.text)
    return Effect.runPromise(Effect.map(
      Effect.all([
        both.decode(delivered(`"a"`, { contentType: "application/json" })),
        both.decode(delivered("b", { contentType: "text/plain" }))
      ]),
      (values) => assert.deepStrictEqual(values, ["a", "b"])
    ))
  })
})
