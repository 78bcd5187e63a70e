import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Method from "../../src/amqp091/Method.ts"
import { dialect } from "../../src/amqp091/method/types.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Compiler from "../../src/wire/Compiler.ts"

const modes = { "generated code": Compiler.specialise, interpreter: Compiler.interpret }

for (const [mode, make] of Object.entries(modes)) {
  describe(`methods by ${mode}`, () => {
    for (const definition of Method.definitions) {
      const codec = make<Method.Method, object>(definition.plan, dialect)
      it(`${definition.name} survives the wire`, () => {
        const writer = new ByteWriter()
        FastCheck.assert(
          FastCheck.property(Arbitrary.make(definition.schema), (method: Method.Method) => {
            codec.encode(writer.reset(), method)
            const reader = new ByteReader().reset(writer.bytes, 0, writer.length)
            assert.deepStrictEqual(codec.decode(reader, {}), method)
            assert.strictEqual(reader.remaining, 0)
          }),
          { numRuns: 50 }
        )
      })
    }
  })
}

describe("Method.FromBytes", () => {
  it("has a Schema for each method, over class, number and arguments", () => {
    const bytes = Schema.encodeSync(Method.FromBytes.ChannelFlow)({ _tag: "ChannelFlow", active: true })
    assert.deepStrictEqual(bytes, Uint8Array.of(0, 20, 0, 20, 1))
    assert.deepStrictEqual(Schema.decodeSync(Method.MethodFromBytes)(bytes), { _tag: "ChannelFlow", active: true })
  })
})
