/**
 * The content encodings that Node has besides the portable ones: Brotli, by `node:zlib`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { constants as bufferConstants } from "node:buffer"
import * as Zlib from "node:zlib"
import type { Codec } from "../Compression.ts"
import { Compression, CompressionError } from "../Compression.ts"

const br: Codec = {
  compress: (bytes) =>
    Effect.async<Uint8Array>((resume) =>
      Zlib.brotliCompress(bytes, (error, result) => resume(error === null ? Effect.succeed(result) : Effect.die(error)))
    ),
  decompress: (bytes, limit) =>
    Effect.async<Uint8Array, CompressionError>((resume) =>
      Zlib.brotliDecompress(
        bytes,
        { maxOutputLength: Math.max(1, Math.min(limit, bufferConstants.MAX_LENGTH)) },
        (error, result) => {
          if (error !== null) {
            const isSize = "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
            return resume(Effect.fail(new CompressionError({ reason: isSize ? "Size" : "Corrupt", encoding: "br" })))
          }
          resume(
            result.length > limit
              ? Effect.fail(new CompressionError({ reason: "Size", encoding: "br" }))
              : Effect.succeed(result)
          )
        }
      )
    )
}

/**
 * Brotli for `Message.compressed`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Compression> = Layer.succeed(Compression, { br })
