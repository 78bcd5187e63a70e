/**
 * A codec whose contents are compressed on the wire.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ContentReason } from "../../AmqpError.ts"
import { ContentError } from "../../AmqpError.ts"
import type { Codec, Encoding } from "../../Compression.ts"
import { Compression, deflate, gzip } from "../../Compression.ts"
import type { CompressedContent, CompressOptions, Content } from "../Message.ts"
import { unencoded } from "./content.ts"

// Unless told otherwise: ample for a message, and little for a machine.
const usualLimit = 64 * 1024 * 1024

const encoder = new TextEncoder()

const portable: ReadonlyArray<Encoding> = ["gzip", "deflate"]

/** What this runtime does not have. */
const missing = "missing"

const use = <A, E>(
  encoding: Encoding,
  run: (codec: Codec) => Effect.Effect<A, E>
): Effect.Effect<A, E | typeof missing, Compression> => {
  switch (encoding) {
    case "gzip":
      return run(gzip)
    case "deflate":
      return run(deflate)
    case "br":
      return Effect.flatMap(Compression, ({ br }) => run(br))
    case "zstd":
      return Effect.flatMap(
        Compression,
        ({ zstd }): Effect.Effect<A, E | typeof missing> => zstd === undefined ? Effect.fail(missing) : run(zstd)
      )
  }
}

/** @internal */
export const compressed = <A, R, E extends Encoding = "gzip">(
  content: Content<A, R>,
  options: CompressOptions<E> = {}
): CompressedContent<A, R, E> => {
  const encoding: Encoding = options.encoding ?? "gzip"
  const accept = new Set<string>(options.accept ?? [...portable, encoding])
  const limit = options.limit ?? usualLimit
  const { contentType } = content
  const fault = (reason: ContentReason, text: string, operation: "decode" | "encode" = "decode") =>
    new ContentError({ reason, operation, contentType, text, issues: [] })
  const lacking = (name: string, operation: "decode" | "encode") =>
    fault("ContentEncoding", `this runtime has no ${name}`, operation)
  const codec: Content<A, R | Compression> = {
    contentType,
    contentEncoding: encoding,
    encode: (value) =>
      Effect.flatMap(
        content.encode(value),
        (plain) => use(encoding, ({ compress }) => compress(typeof plain === "string" ? encoder.encode(plain) : plain))
      ).pipe(
        Effect.mapError((error) => error === missing ? lacking(encoding, "encode") : error)
      ),
    decode: (delivery) => {
      const given = delivery.properties.contentEncoding?.toLowerCase() ?? ""
      if (unencoded.has(given)) return content.decode(delivery)
      // The name of gzip before it had one (RFC 9110 §8.4.1.3).
      const name = given === "x-gzip" ? "gzip" : given
      if (!accept.has(name)) return Either.left(fault("ContentEncoding", `the content's encoding is "${given}"`))
      return use(name as Encoding, ({ decompress }) => decompress(delivery.content, limit)).pipe(
        Effect.mapError((error) =>
          error === missing
            ? lacking(name, "decode")
            : fault(error.reason === "Size" ? "Size" : "ContentEncoding", error.message)
        ),
        Effect.flatMap((bytes) =>
          content.decode({ content: bytes, properties: { ...delivery.properties, contentEncoding: undefined } })
        )
      )
    }
  }
  // Only "br" and "zstd" ask for the service.
  return codec as CompressedContent<A, R, E>
}
