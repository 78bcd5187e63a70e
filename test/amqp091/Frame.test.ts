import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Frame from "../../src/amqp091/Frame.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

// A key with `undefined` means the same as no key, which is what a decode yields.
const withoutUndefined = (frame: Frame.Frame): Frame.Frame =>
  frame._tag === "HeaderFrame"
    ? {
      ...frame,
      properties: Object.fromEntries(Object.entries(frame.properties).filter(([, value]) => value !== undefined))
    }
    : frame

describe("Frame", () => {
  it("is the same for any split of the stream", () => {
    const frames = Arbitrary.make(Schema.typeSchema(Frame.Frame)).filter((frame) => frame._tag !== "ProtocolHeader")
      .map(withoutUndefined)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(frames, { maxLength: 6 }),
        FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (expected, cuts) => {
          const writer = new ByteWriter()
          for (const frame of expected) Frame.encode(writer, frame)
          const bytes = writer.toBytes()
          const decoder = Frame.makeDecoder()
          const actual: Array<Frame.Frame> = []
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const size = cuts[n % cuts.length]!
            actual.push(...decoder.push(bytes.slice(at, at + size)))
            at += size
          }
          assert.deepStrictEqual(actual, expected)
          assert.isTrue(decoder.isComplete())
        }
      ),
      { numRuns: 100 }
    )
  })
})
