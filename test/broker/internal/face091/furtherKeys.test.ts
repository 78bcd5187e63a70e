import { assert, describe, it } from "@effect/vitest"
import { FieldTable, Properties } from "effect-amqp/amqp091"
import type { RawProperties } from "../../../../src/amqp091/internal/rawProperties.ts"
import { furtherKeys, withoutBcc } from "../../../../src/broker/internal/face091/furtherKeys.ts"
import { ByteReader } from "../../../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../../../src/wire/ByteWriter.ts"

const raw = (properties: Properties.BasicProperties): RawProperties => {
  const writer = new ByteWriter()
  Properties.encode(writer, properties)
  const octets = writer.toBytes()
  return { decoded: Properties.decode(new ByteReader().reset(octets, 0, octets.length)), octets }
}

describe("furtherKeys", () => {
  it("are those of CC, then those of BCC, and no list at all where neither is there", () => {
    assert.isUndefined(furtherKeys(raw({})))
    assert.isUndefined(furtherKeys(raw({ headers: { cc: ["a"], headers: 1 } })))
    assert.deepStrictEqual(furtherKeys(raw({ headers: { BCC: ["c"], CC: ["a", "b"] } })), ["a", "b", "c"])
    assert.deepStrictEqual(furtherKeys(raw({ headers: { CC: [] } })), [])
  })

  it("passes over what in a list is no text", () => {
    assert.deepStrictEqual(furtherKeys(raw({ headers: { CC: ["a", 1, null, Uint8Array.of(1), ["b"]] } })), ["a"])
  })

  it("takes nothing but a list", () => {
    for (const [BCC, type] of [["b", "longstr"], [FieldTable.int8(1), "byte"]] as const) {
      assert.deepStrictEqual(furtherKeys(raw({ headers: { CC: ["a"], BCC } })), {
        code: 406,
        text: `PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"BCC",${type}}`
      })
    }
  })
})

describe("withoutBcc", () => {
  it("leaves properties without BCC alone, to the very object", () => {
    const properties = raw({ headers: { CC: ["a"] }, type: "t" })
    assert.strictEqual(withoutBcc(properties), properties)
  })

  it("takes BCC out of what is read and of the octets, and keeps the wire types of all else", () => {
    const kept = {
      CC: ["a"],
      byte: FieldTable.uint8(7),
      wide: FieldTable.int64(1n),
      single: FieldTable.float(0.5),
      __proto__x: { nested: FieldTable.int8(-1) }
    }
    const { decoded, octets } = withoutBcc(raw({ headers: { BCC: ["b"], ...kept }, deliveryMode: 2, type: "t" }))
    const expected = raw({ headers: kept, deliveryMode: 2, type: "t" })
    assert.deepStrictEqual(octets, expected.octets)
    assert.deepStrictEqual(decoded, expected.decoded)
  })
})
