import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Zlib from "node:zlib"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Publisher from "../../src/amqp091/Publisher.ts"
import * as SimpleQueue from "../../src/amqp091/SimpleQueue.ts"
import * as Compression from "../../src/Compression.ts"
import * as NodeCompression from "../../src/node/NodeCompression.ts"
import { Embedded } from "./onBroker.ts"

const text = "what is said often compresses well. ".repeat(100)
const bytes = new TextEncoder().encode(text)
const MiB = 1024 * 1024

/** A delivery as a broker would bring it. */
const delivery = (content: Uint8Array, contentEncoding?: string) => ({
  content,
  properties: { contentType: "text/plain", ...(contentEncoding === undefined ? {} : { contentEncoding }) }
})

const withNode = Effect.provide(NodeCompression.layer)

const foreign = {
  gzip: [Zlib.gzipSync, Zlib.gunzipSync],
  deflate: [Zlib.deflateSync, Zlib.inflateSync],
  br: [Zlib.brotliCompressSync, Zlib.brotliDecompressSync]
} as const

describe("Message.compressed", () => {
  for (const encoding of ["gzip", "deflate", "br"] as const) {
    const [compress, decompress] = foreign[encoding]
    const codec = Message.compressed(Message.text, { encoding })

    it.effect(`${encoding}: what it writes others read, and the other way round`, () =>
      Effect.gen(function*() {
        assert.strictEqual(codec.contentEncoding, encoding)
        assert.strictEqual(codec.contentType, Message.text.contentType)
        const written = yield* codec.encode(text)
        assert.instanceOf(written, Uint8Array)
        assert.isBelow(written.length, bytes.length / 10)
        assert.strictEqual(decompress(written as Uint8Array).toString(), text)
        assert.strictEqual(yield* codec.decode(delivery(compress(bytes), encoding)), text)
        assert.strictEqual(yield* codec.decode(delivery(compress(bytes), encoding.toUpperCase())), text)
      }).pipe(withNode))

    it.effect(`${encoding}: nothing and much survive`, () =>
      Effect.gen(function*() {
        const raw = Message.compressed(Message.bytes, { encoding })
        for (const size of [0, 1, 65_536, MiB]) {
          const content = new Uint8Array(size).map((_, index) => index * 7 + (index >> 9))
          const written = yield* raw.encode(content)
          assert.deepStrictEqual(
            new Uint8Array(yield* raw.decode(delivery(written as Uint8Array, encoding))),
            content
          )
        }
      }).pipe(withNode))

    it.effect(`${encoding}: refuses what is not of that format, or cut off`, () =>
      Effect.gen(function*() {
        for (const wrong of [bytes, compress(bytes).subarray(0, 40), new Uint8Array(0)]) {
          const error = yield* Effect.flip(codec.decode(delivery(wrong, encoding)))
          assert.deepInclude({ ...error }, { _tag: "ContentError", reason: "ContentEncoding", operation: "decode" })
          assert.include(error.message, `it is not ${encoding}`)
        }
      }).pipe(withNode))

    it.effect(`${encoding}: takes what is exactly as large as allowed, and no byte more`, () =>
      Effect.gen(function*() {
        const exact = Message.compressed(Message.text, { encoding, limit: bytes.length })
        assert.strictEqual(yield* exact.decode(delivery(compress(bytes), encoding)), text)
        const less = Message.compressed(Message.text, { encoding, limit: bytes.length - 1 })
        const error = yield* Effect.flip(less.decode(delivery(compress(bytes), encoding)))
        assert.strictEqual(error.reason, "Size")
      }).pipe(withNode))

    it.effect(`${encoding}: a bomb costs no more memory than the limit and a little`, () =>
      Effect.gen(function*() {
        const bomb = compress(new Uint8Array(96 * MiB))
        const codec = Message.compressed(Message.bytes, { encoding, limit: MiB })
        const before = process.memoryUsage()
        const error = yield* Effect.flip(codec.decode(delivery(bomb, encoding)))
        const after = process.memoryUsage()
        assert.strictEqual(error.reason, "Size")
        assert.isBelow(after.external - before.external + after.heapUsed - before.heapUsed, 32 * MiB)
      }).pipe(withNode), 60_000)
  }

  it.effect("stops at the limit, and refuses what would be larger", () =>
    Effect.gen(function*() {
      const codec = Message.compressed(Message.bytes, { limit: 1000 })
      const error = yield* Effect.flip(codec.decode(delivery(Zlib.gzipSync(new Uint8Array(1001)), "gzip")))
      assert.deepInclude({ ...error }, { _tag: "ContentError", reason: "Size", operation: "decode" })
      assert.include(error.message, "larger than allowed")
    }))

  it.effect("lets no more than 64 MiB come out, unless told otherwise", () =>
    Effect.gen(function*() {
      const bomb = delivery(Zlib.gzipSync(new Uint8Array(64 * MiB + 1)), "gzip")
      const error = yield* Effect.flip(Message.compressed(Message.bytes).decode(bomb))
      assert.strictEqual(error.reason, "Size")
    }), 60_000)

  it.effect("takes what is not compressed as it is, and x-gzip for gzip", () =>
    Effect.gen(function*() {
      const codec = Message.compressed(Message.text)
      for (const plain of [undefined, "", "identity", "utf-8"]) {
        assert.strictEqual(yield* codec.decode(delivery(bytes, plain)), text)
      }
      assert.strictEqual(yield* codec.decode(delivery(Zlib.gzipSync(bytes), "x-gzip")), text)
    }))

  it.effect("refuses an encoding it does not accept, whatever its inner codec thinks", () =>
    Effect.gen(function*() {
      const codec = Message.compressed(Message.bytes, { accept: ["gzip"] })
      for (const other of ["deflate", "br", "zstd", "gzip, br", "__proto__"]) {
        const error = yield* Effect.flip(codec.decode(delivery(bytes, other)))
        assert.deepInclude({ ...error }, { reason: "ContentEncoding" })
        assert.include(error.message, other)
      }
    }))

  it.effect("fails as its inner codec does", () =>
    Effect.gen(function*() {
      const codec = Message.compressed(Message.json(Schema.Number))
      const wrong = delivery(Zlib.gzipSync("{}"), "gzip")
      const typed = { ...wrong, properties: { ...wrong.properties, contentType: "application/json" } }
      assert.strictEqual((yield* Effect.flip(codec.decode(typed))).reason, "Schema")
      assert.strictEqual((yield* Effect.flip(codec.decode(wrong))).reason, "ContentType")
    }))

  it.effect("is not of a runtime: the portable ones need no service", () =>
    Effect.gen(function*() {
      const squeezed = yield* Compression.gzip.compress(bytes)
      assert.strictEqual(Zlib.gunzipSync(squeezed).toString(), text)
    }))
})

describe("zstd", () => {
  const zstd = Message.compressed(Message.text, { encoding: "zstd" })

  it.effect("is the service's, and accepted where it is asked for", () =>
    Effect.gen(function*() {
      const written = yield* zstd.encode(text)
      assert.strictEqual(yield* zstd.decode(delivery(written as Uint8Array, "zstd")), text)
      const less = Message.compressed(Message.text, { accept: ["zstd"], limit: bytes.length - 1 })
      const large = yield* Effect.flip(less.decode(delivery(written as Uint8Array, "zstd")))
      assert.strictEqual(large.reason, "Size")
      const refused = yield* Effect.flip(Message.compressed(Message.text).decode(delivery(bytes, "zstd")))
      assert.include(refused.message, "zstd")
    }).pipe(
      "zstdCompress" in Zlib
        ? Effect.provide(NodeCompression.layer)
        // Somebody else's, of another format: which one is asked for is what is to be seen.
        : Effect.provideService(Compression.Compression, { br: Compression.gzip, zstd: Compression.deflate })
    ))

  it.effect("is refused both ways, typed, by a runtime that has none", () =>
    Effect.gen(function*() {
      const writing = yield* Effect.flip(zstd.encode(text))
      assert.deepInclude({ ...writing }, { _tag: "ContentError", reason: "ContentEncoding", operation: "encode" })
      assert.include(writing.message, "this runtime has no zstd")
      const reading = yield* Effect.flip(zstd.decode(delivery(bytes, "zstd")))
      assert.deepInclude({ ...reading }, { _tag: "ContentError", reason: "ContentEncoding", operation: "decode" })
      assert.include(reading.message, "this runtime has no zstd")
    }).pipe(Effect.provideService(Compression.Compression, { br: Compression.gzip })))

  it.effect("of Node is there when `node:zlib` has it", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Compression.Compression).zstd !== undefined, "zstdCompress" in Zlib)
    }).pipe(withNode))
})

describe("Publisher, contentEncoding", () => {
  it.scopedLive("compresses contents, and says so", () =>
    Effect.gen(function*() {
      const channel = yield* Channel.make()
      yield* channel.queueDeclare({ queue: "reports" })
      const publisher = yield* Publisher.make({
        routingKey: "reports",
        content: Message.text,
        contentEncoding: "deflate"
      })
      yield* publisher.publish(text)
      yield* publisher.publishAll([text, "short"])
      for (const expected of [text, text, "short"]) {
        const { delivery } = yield* Effect.flatten(channel.get({ queue: "reports", noAck: true }))
        assert.strictEqual(delivery.properties.contentEncoding, "deflate")
        assert.strictEqual(Zlib.inflateSync(delivery.content).toString(), expected)
      }
    }).pipe(Effect.provide(Embedded)))

  it.scopedLive("goes through simple queues by the codec", () =>
    Effect.gen(function*() {
      const jobs = yield* SimpleQueue.make("jobs", {
        content: Message.compressed(Message.json(Schema.Array(Schema.Number)))
      })
      yield* jobs.put([1, 2, 3])
      const { delivery, value } = yield* jobs.get()
      assert.deepStrictEqual(value, [1, 2, 3])
      assert.strictEqual(delivery.properties.contentEncoding, "gzip")
      yield* delivery.ack
    }).pipe(Effect.provide(Embedded)))
})
