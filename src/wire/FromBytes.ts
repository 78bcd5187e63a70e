/**
 * A compiled codec as a public `Schema<A, Uint8Array>`: whole values from whole byte arrays, for tests, tools and
 * proxies. The engines call the codecs themselves.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { FrameError } from "../AmqpError.ts"
import { ByteReader } from "./ByteReader.ts"
import { ByteWriter } from "./ByteWriter.ts"

const attempt = <A>(ast: ParseResult.Type["ast"], actual: unknown, run: () => A) => {
  try {
    return ParseResult.succeed(run())
  } catch (error) {
    if (error instanceof FrameError) return ParseResult.fail(new ParseResult.Type(ast, actual, error.message))
    throw error
  }
}

/**
 * A Schema over the bytes of one value, all of them: bytes that are left over are a fault.
 *
 * @since 0.1.0
 * @category schemas
 */
export const make = <A, I>(identifier: string, schema: Schema.Schema<A, I>, codec: {
  readonly decode: (reader: ByteReader) => A
  readonly encode: (writer: ByteWriter, value: A) => void
}): Schema.Schema<A, Uint8Array> =>
  Schema.transformOrFail(Schema.Uint8ArrayFromSelf, Schema.typeSchema(schema), {
    strict: true,
    decode: (bytes, _, ast) =>
      attempt(ast, bytes, () => {
        const reader = new ByteReader().reset(bytes)
        const value = codec.decode(reader)
        if (reader.remaining > 0) reader.fail("Trailing", `${reader.remaining} octets are left over`)
        return value
      }),
    encode: (value, _, ast) =>
      attempt(ast, value, () => {
        const writer = new ByteWriter(256)
        codec.encode(writer, value)
        return writer.toBytes()
      })
  }).annotations({ identifier })
