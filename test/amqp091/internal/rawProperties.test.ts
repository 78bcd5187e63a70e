import { assert, describe, it } from "@effect/vitest"
import { makeCodec, rewrite } from "../../../src/amqp091/internal/rawProperties.ts"
import * as Properties from "../../../src/amqp091/Properties.ts"
import { ByteReader } from "../../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../../src/wire/ByteWriter.ts"

const read = (codec: ReturnType<typeof makeCodec>, properties: Properties.BasicProperties, bodySize = 0) => {
  const writer = new ByteWriter()
  Properties.encodeHeader(writer, bodySize, properties)
  return codec.read(new ByteReader().reset(writer.toBytes()))
}

describe("properties of a relay", () => {
  it("are the same ones while they come again, with each message's own size", () => {
    const codec = makeCodec()
    const first = read(codec, { deliveryMode: 2, headers: { a: 1 } }, 3)
    const second = read(codec, { deliveryMode: 2, headers: { a: 1 } }, 5)
    assert.strictEqual(second.properties, first.properties)
    assert.deepStrictEqual([first.bodySize, second.bodySize], [3, 5])
    const third = read(codec, { deliveryMode: 2, headers: { a: 2 } }, 5)
    assert.notStrictEqual(third.properties, first.properties)
    assert.deepStrictEqual(third.properties.decoded, { deliveryMode: 2, headers: { a: 2 } })
  })

  it("say what they said, also after others came", () => {
    const codec = makeCodec()
    const first = read(codec, { messageId: "1" })
    read(codec, { messageId: "2" })
    assert.deepStrictEqual(first.properties.decoded, { messageId: "1" })
  })

  it("keep the octets of what a change does not touch", () => {
    const properties = read(makeCodec(), { headers: { small: 1, big: 1n, text: "a" }, priority: 3 }).properties
    assert.deepStrictEqual(rewrite(properties, (typed) => typed).octets, properties.octets)
  })
})
