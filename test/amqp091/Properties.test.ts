import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { dialect } from "../../src/amqp091/method/types.ts"
import * as Properties from "../../src/amqp091/Properties.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Compiler from "../../src/wire/Compiler.ts"
import { fault, hex, unhex } from "../wire/bytes.ts"
import { recorded } from "./recorded.ts"

const header = (bodySize: number, properties: Properties.BasicProperties): string => {
  const writer = new ByteWriter()
  Properties.encodeHeader(writer, bodySize, properties)
  return hex(writer.toBytes())
}
const decode = (text: string) => Properties.decodeHeader(new ByteReader().reset(unhex(text)))

const arbitrary = Arbitrary.make(Properties.BasicProperties).map((properties): Properties.BasicProperties =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined))
)

for (const [mode, make] of Object.entries({ "generated code": Compiler.specialise, interpreter: Compiler.interpret })) {
  const codec = make<Properties.BasicProperties, object>(Properties.plan, dialect)

  describe(`properties by ${mode}`, () => {
    it("survive the wire, and those that are not there have no key", () => {
      const writer = new ByteWriter()
      FastCheck.assert(
        FastCheck.property(arbitrary, (properties) => {
          codec.encode(writer.reset(), properties)
          const reader = new ByteReader().reset(writer.bytes, 0, writer.length)
          assert.deepStrictEqual(codec.decode(reader, {}), properties)
          assert.strictEqual(reader.remaining, 0)
        }),
        { numRuns: 500 }
      )
    })

    for (const [i, { by, bytes }] of recorded.filter(({ frame }) => frame.type === 2).entries()) {
      it(`are those ${by} sends (${i})`, () => {
        const reader = new ByteReader().reset(bytes, 19, bytes.length - 1)
        const properties = codec.decode(reader, { decode: "typed" })
        assert.isTrue(Schema.is(Properties.BasicProperties)(properties))
        const writer = new ByteWriter()
        codec.encode(writer, properties)
        assert.strictEqual(hex(writer.toBytes()), hex(bytes.subarray(19, -1)))
      })
    }

    it("name the one at fault", () => {
      const reader = new ByteReader().reset(unhex("8800 0161 0203"), 0, 6)
      assert.deepInclude(fault(() => codec.decode(reader.reset(unhex("8800 0161")), {})), {
        reason: "Truncated",
        field: "basic.priority"
      })
      const writer = new ByteWriter()
      const encode = (properties: object) => fault(() => codec.encode(writer.reset(), properties))
      assert.deepInclude(encode({ priority: 256 }), { reason: "Range", field: "basic.priority" })
      assert.deepInclude(encode({ headers: { a: { b: () => 1 } } }), { reason: "Value", field: "basic.headers.a.b" })
      assert.deepInclude(encode({ expiration: 60000 }), { reason: "Value", field: "basic.expiration" })
    })
  })
}

describe("a content header", () => {
  it("has class, weight, size of the body, flags and properties", () => {
    assert.strictEqual(header(2 ** 40, {}), "003c000000000100000000000000")
    assert.strictEqual(header(0, { contentType: "a", clusterId: "b" }), "003c00000000000000000000800401610162")
    assert.deepStrictEqual(decode("003c 0000 0000010000000000 0000"), { bodySize: 2 ** 40, properties: {} })
  })

  it("has all fourteen properties as RabbitMQ, amqplib and pika see them", () => {
    const all = recorded.filter(({ frame }) => frame.type === 2)
      .map(({ bytes }) => Properties.decodeHeader(new ByteReader().reset(bytes, 7, bytes.length - 1)))
    const names = new Set(all.flatMap(({ properties }) => Object.keys(properties)))
    assert.strictEqual(names.size, 14)
    const full = all.find(({ properties }) => properties.messageId === "m-1")!.properties
    assert.deepInclude(full, {
      expiration: "60000",
      timestamp: 1700000000,
      deliveryMode: 2,
      priority: 2,
      userId: "guest"
    })
    assert.deepInclude(full.headers, { text: "snø", big: 2 ** 40, list: [1, "two", { three: 3 }], nothing: null })
  })

  it("may say that more flags follow, as long as none of them is set", () => {
    assert.deepStrictEqual(decode("003c 0000 0000000000000000 1001 0001 0000 02"), {
      bodySize: 0,
      properties: { deliveryMode: 2 }
    })
    assert.deepInclude(fault(() => decode("003c 0000 0000000000000000 0001 8000")), { reason: "FieldType", offset: 14 })
    assert.deepInclude(fault(() => decode("003c 0000 0000000000000000 0002")), { reason: "FieldType", offset: 12 })
    assert.deepInclude(fault(() => decode("003c 0000 0000000000000000 0001")), { reason: "Truncated" })
  })

  it("is refused with a class that has no content, a body beyond 2^53 - 1, and octets left over", () => {
    assert.deepInclude(fault(() => decode("0032 0000 0000000000000000 0000")), { reason: "Value", offset: 0 })
    assert.deepInclude(fault(() => decode("003c 0000 0020000000000000 0000")), {
      reason: "Range",
      field: "basic.bodySize",
      offset: 4
    })
    assert.deepInclude(fault(() => decode("003c 0000 0000000000000000 0000 00")), { reason: "Trailing", offset: 14 })
  })

  it("keeps a timestamp beyond 2^53 - 1 as a bigint", () => {
    const { properties } = decode("003c 0000 0000000000000000 0040 ffffffffffffffff")
    assert.deepStrictEqual(properties, { timestamp: 2n ** 64n - 1n })
    assert.strictEqual(header(0, properties).slice(-16), "f".repeat(16))
  })
})

describe("Properties.FromBytes", () => {
  it("is over flags and properties", () => {
    const bytes = Schema.encodeSync(Properties.FromBytes)({ type: "t" })
    assert.strictEqual(hex(bytes), "00200174")
    assert.deepStrictEqual(Schema.decodeSync(Properties.FromBytes)(bytes), { type: "t" })
  })
})
