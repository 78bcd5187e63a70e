/**
 * Content encodings: bytes compressed and decompressed, with a limit on what may come out. `gzip` and `deflate` are what
 * every runtime has (`CompressionStream`); more come through the service `Compression`, which `NodeCompression` provides.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/**
 * Content encodings, by their registered names. "deflate" is the zlib format (RFC 1950).
 *
 * @since 0.1.0
 * @category models
 */
export type Encoding = PortableEncoding | "br" | "zstd"

/**
 * Those that need no service.
 *
 * @since 0.1.0
 * @category models
 */
export type PortableEncoding = "gzip" | "deflate"

/**
 * Bytes could not be decompressed. `Corrupt`: they are not of that format, or not all of them are there. `Size`: more came
 * out than the limit allows; it was stopped there.
 *
 * @since 0.1.0
 * @category errors
 */
export class CompressionError extends Data.TaggedError("CompressionError")<{
  readonly reason: "Corrupt" | "Size"
  readonly encoding: Encoding
}> {
  override get message() {
    return this.reason === "Corrupt" ? `it is not ${this.encoding}` : "it is larger than allowed once decompressed"
  }
}

/**
 * Compresses and decompresses by one encoding.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec {
  readonly compress: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
  /** Fails `Size` as soon as more than `limit` bytes have come out: nothing beyond is kept. */
  readonly decompress: (bytes: Uint8Array, limit: number) => Effect.Effect<Uint8Array, CompressionError>
}

/**
 * The encodings that a runtime adds.
 *
 * @since 0.1.0
 * @category tags
 */
export class Compression extends Context.Tag("effect-amqp/Compression")<Compression, {
  /** Brotli. */
  readonly br: Codec
  /** Zstandard (RFC 8878), where the runtime has it. */
  readonly zstd?: Codec | undefined
}>() {}

const concat = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

// What is wrong with the input is told by the reader; elsewhere it only must not go unhandled.
const ignore = () => {}

interface Transforming {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<BufferSource>
}

/** What comes out of a transform, up to a limit. */
const through = (
  make: () => Transforming,
  bytes: Uint8Array,
  encoding: Encoding,
  limit: number
): Effect.Effect<Uint8Array, CompressionError> =>
  Effect.suspend(() => {
    const corrupt = () => new CompressionError({ reason: "Corrupt", encoding })
    const { readable, writable } = make()
    const reader = readable.getReader()
    const writer = writable.getWriter()
    // No message lies in shared memory.
    writer.write(bytes as Uint8Array<ArrayBuffer>).catch(ignore)
    writer.close().catch(ignore)
    const chunks: Array<Uint8Array> = []
    let size = 0
    const step: Effect.Effect<Uint8Array, CompressionError> = Effect.flatMap(
      Effect.tryPromise({ try: () => reader.read(), catch: corrupt }),
      ({ done, value }) => {
        if (done) return Effect.succeed(concat(chunks, size))
        size += value.length
        if (size > limit) return Effect.fail(new CompressionError({ reason: "Size", encoding }))
        chunks.push(value)
        return step
      }
    )
    return Effect.onExit(step, (exit) =>
      exit._tag === "Success" ? Effect.void : Effect.sync(() => {
        reader.cancel().catch(ignore)
      }))
  })

const portable = (encoding: PortableEncoding): Codec => ({
  // Compressing cannot fail.
  compress: (bytes) => Effect.orDie(through(() => new CompressionStream(encoding), bytes, encoding, Infinity)),
  decompress: (bytes, limit) => through(() => new DecompressionStream(encoding), bytes, encoding, limit)
})

/**
 * RFC 1952.
 *
 * @since 0.1.0
 * @category constructors
 */
export const gzip: Codec = portable("gzip")

/**
 * RFC 1950.
 *
 * @since 0.1.0
 * @category constructors
 */
export const deflate: Codec = portable("deflate")
