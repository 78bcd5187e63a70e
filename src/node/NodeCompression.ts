/**
 * The content encodings that Node has besides the portable ones, by `node:zlib`: Brotli, and Zstandard from Node 22.15 on.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { constants as bufferConstants } from "node:buffer"
import * as Zlib from "node:zlib"
import type { Codec, Encoding } from "../Compression.ts"
import { Compression, CompressionError } from "../Compression.ts"

type Done = (error: Error | null, result: Uint8Array) => void

type Compress = (bytes: Uint8Array, done: Done) => void

type Decompress = (bytes: Uint8Array, options: { readonly maxOutputLength: number }, done: Done) => void

const codec = (encoding: Encoding, compress: Compress, decompress: Decompress): Codec => ({
  compress: (bytes) =>
    Effect.async<Uint8Array>((resume) =>
      compress(bytes, (error, result) => resume(error === null ? Effect.succeed(result) : Effect.die(error)))
    ),
  decompress: (bytes, limit) =>
    Effect.async<Uint8Array, CompressionError>((resume) =>
      decompress(
        bytes,
        { maxOutputLength: Math.max(1, Math.min(limit, bufferConstants.MAX_LENGTH)) },
        (error, result) => {
          if (error !== null) {
            const isSize = "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
            return resume(Effect.fail(new CompressionError({ reason: isSize ? "Size" : "Corrupt", encoding })))
          }
          resume(
            result.length > limit
              ? Effect.fail(new CompressionError({ reason: "Size", encoding }))
              : Effect.succeed(result)
          )
        }
      )
    )
})

const br = codec("br", Zlib.brotliCompress, Zlib.brotliDecompress)

/** What is there from Node 22.15 on, which the types of Node 20 do not know. */
interface Zstandard {
  readonly brotliCompress: Compress
  readonly zstdCompress?: Compress
  readonly zstdDecompress?: Decompress
}

const { zstdCompress, zstdDecompress }: Zstandard = Zlib

const zstd = zstdCompress === undefined || zstdDecompress === undefined
  ? undefined
  : codec("zstd", zstdCompress, zstdDecompress)

/**
 * Brotli, and Zstandard where Node has it, for `Message.compressed`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Compression> = Layer.succeed(Compression, { br, zstd })
