import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as FieldTable from "../../src/amqp091/FieldTable.ts"
import * as Frame from "../../src/amqp091/Frame.ts"
import * as Method from "../../src/amqp091/Method.ts"
import { dialect } from "../../src/amqp091/method/types.ts"
import * as Properties from "../../src/amqp091/Properties.ts"
import { FrameError } from "../../src/AmqpError.ts"
import * as Allocation from "../../src/wire/Allocation.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Compiler from "../../src/wire/Compiler.ts"
import { fault, hex, unhex } from "../wire/bytes.ts"
import { recorded } from "./recorded.ts"

// A key with `undefined` means the same as no key, which is what a decode yields.
const withoutUndefined = (frame: Frame.Frame): Frame.Frame =>
  frame._tag === "HeaderFrame"
    ? {
      ...frame,
      properties: Object.fromEntries(Object.entries(frame.properties).filter(([, value]) => value !== undefined))
    }
    : frame

const frames = Arbitrary.make(Schema.typeSchema(Frame.Frame)).map(withoutUndefined)

const encode = (...all: ReadonlyArray<Frame.Frame>): Uint8Array => {
  const writer = new ByteWriter()
  for (const frame of all) Frame.encode(writer, frame)
  return writer.toBytes()
}

const flow: Method.ChannelFlow = { _tag: "ChannelFlow", active: true }

describe("encoding", () => {
  it("puts type, channel, size and the end octet around a payload", () => {
    assert.strictEqual(hex(encode({ _tag: "MethodFrame", channel: 258, method: flow })), "010102000000050014001401ce")
    assert.strictEqual(
      hex(encode({ _tag: "HeaderFrame", channel: 1, bodySize: 3, properties: { priority: 4 } })),
      "0200010000000f003c00000000000000000003080004ce"
    )
    const payload = Uint8Array.of(1, 2, 3)
    assert.strictEqual(hex(encode({ _tag: "BodyFrame", channel: 1, payload })), "03000100000003010203ce")
    assert.strictEqual(hex(encode({ _tag: "HeartbeatFrame", channel: 0 })), hex(Frame.heartbeat))
    assert.strictEqual(hex(Frame.heartbeat), "08000000000000ce")
    assert.strictEqual(hex(Frame.protocolHeader), "414d515000000901")
  })

  it("writes a body frame around octets that go another way", () => {
    const writer = new ByteWriter()
    Frame.encodeBodyStart(writer, 7, 70000)
    Frame.encodeBodyEnd(writer)
    assert.strictEqual(hex(writer.toBytes()), "03000700011170ce")
    Frame.encodeBody(writer.reset(), 1, Uint8Array.of(1, 2, 3, 4), 1, 3)
    assert.strictEqual(hex(writer.toBytes()), "030001000000020203ce")
  })

  it("leaves nothing of a frame whose value does not fit", () => {
    const writer = new ByteWriter(16)
    Frame.encodeMethod(writer, 1, flow)
    const before = hex(writer.toBytes())
    const failing: ReadonlyArray<() => void> = [
      () => Frame.encodeMethod(writer, 1, { _tag: "BasicCancelOk", consumerTag: "x".repeat(256) }),
      () => Frame.encodeMethod(writer, 65536, flow),
      () => Frame.encodeHeader(writer, 1, 1, { headers: { deep: { a: [1n << 64n] } } }),
      () => Frame.encodeHeader(writer, 1, -1, {})
    ]
    for (const run of failing) {
      fault(run)
      assert.strictEqual(hex(writer.toBytes()), before)
    }
    assert.deepInclude(fault(failing[1]!), { reason: "Range", field: "frame.channel", offset: 1 })
    const deep = fault(failing[2]!)
    assert.deepInclude(deep, { reason: "Range", field: "basic.headers.deep.a.0" })
    Frame.encodeMethod(writer, 1, flow)
    assert.strictEqual(hex(writer.toBytes()), before + before)
  })

  it("refuses a method or header that is larger than a frame may be", () => {
    const writer = new ByteWriter()
    const headers = { big: "x".repeat(5000) }
    assert.deepInclude(fault(() => Frame.encodeHeader(writer, 1, 0, { headers }, 4096)), {
      reason: "FrameSize",
      field: "frame.size",
      offset: 3
    })
    assert.strictEqual(writer.length, 0)
    Frame.encodeMethod(writer, 1, flow, 13)
    assert.deepInclude(fault(() => Frame.encodeMethod(writer, 1, flow, 12)), { reason: "FrameSize" })
  })
})

describe("makeDecoder", () => {
  it("yields the same frames for any split of the stream", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(frames.filter((frame) => frame._tag !== "ProtocolHeader"), { maxLength: 6 }),
        FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (expected, cuts) => {
          const bytes = encode(...expected)
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
      { numRuns: 200 }
    )
  })

  it("yields frames that refer to nothing of what was pushed", () => {
    const expected: Frame.Frame = { _tag: "BodyFrame", channel: 1, payload: Uint8Array.of(1, 2) }
    const bytes = encode(expected)
    const actual = Frame.makeDecoder().push(bytes)
    bytes.fill(0)
    assert.deepStrictEqual(actual, [expected])
  })

  it("takes frames of 131072 octets unless told otherwise, and nothing after a fault", () => {
    const decoder = Frame.makeDecoder()
    assert.deepInclude(fault(() => decoder.push(unhex("03 0001 0001fff9"))), { reason: "FrameSize" })
    assert.deepStrictEqual(decoder.push(encode({ _tag: "MethodFrame", channel: 1, method: flow })), [])
    assert.deepStrictEqual(Frame.makeDecoder().push(unhex("03 0001 0001fff8")), [])
    assert.deepInclude(fault(() => Frame.makeDecoder({ maxFrameSize: 4096 }).push(unhex("03 0001 00000ff9"))), {
      reason: "FrameSize"
    })
  })

  it("reads tables as it is told to", () => {
    const properties = { headers: { n: FieldTable.uint8(1) } }
    const bytes = encode({ _tag: "HeaderFrame", channel: 1, bodySize: 0, properties })
    const typed = Frame.makeDecoder({ decode: "typed" }).push(bytes)
    assert.deepStrictEqual(typed, [{ _tag: "HeaderFrame", channel: 1, bodySize: 0, properties }])
    const limits = { maxTableDepth: 1, maxTableEntries: 0 }
    assert.deepInclude(fault(() => Frame.makeDecoder({ limits }).push(bytes)), { reason: "Entries" })
  })
})

describe("the Schemas of frames", () => {
  it("are over the bytes of exactly one frame", () => {
    const decode = Schema.decodeSync(Frame.FrameFromBytes)
    FastCheck.assert(FastCheck.property(frames, (frame) => {
      assert.deepStrictEqual(decode(Schema.encodeSync(Frame.FrameFromBytes)(frame)), frame)
    }))
    assert.throws(() => decode(Frame.heartbeat.subarray(0, 7)), /Truncated/)
    assert.throws(() => decode(new Uint8Array(0)), /Truncated/)
    assert.throws(() => decode(Uint8Array.of(...Frame.heartbeat, ...Frame.heartbeat)), /2 frames where one is expected/)
    assert.throws(() => decode(Uint8Array.of(...Frame.heartbeat, 1)), /Truncated/)
  })

  it("exist for each kind", () => {
    const heartbeat: Frame.HeartbeatFrame = Schema.decodeSync(Frame.FromBytes.HeartbeatFrame)(Frame.heartbeat)
    assert.deepStrictEqual(heartbeat, { _tag: "HeartbeatFrame", channel: 0 })
    assert.deepStrictEqual(Schema.decodeSync(Frame.FromBytes.ProtocolHeader)(Frame.protocolHeader), {
      _tag: "ProtocolHeader",
      id: 0,
      major: 0,
      minor: 9,
      revision: 1
    })
    assert.throws(() => Schema.decodeSync(Frame.FromBytes.BodyFrame)(Frame.heartbeat), /is a HeartbeatFrame/)
  })
})

const table = (text: string) => fault(() => FieldTable.decode(new ByteReader().reset(unhex(text))))

// Seeded, so that what it finds it finds again.
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
}

describe("any bytes", () => {
  const below = ((next) => (n: number) => Math.floor(next() * n))(random(0x09_01))
  const sources = recorded.map(({ bytes }) => bytes)
  const nasty = [0, 1, 0x7f, 0x80, 0xce, 0xff, 0x41, 0x46, 0x53]

  const noise = () => Uint8Array.from({ length: below(120) }, () => below(256))
  const mutant = () => {
    let bytes = Array.from(sources[below(sources.length)]!)
    for (let n = below(6); n >= 0; n--) {
      const at = below(bytes.length + 1)
      const other = sources[below(sources.length)]!
      switch (below(7)) {
        case 0:
          bytes[at] = below(256)
          break
        case 1:
          bytes[at] = nasty[below(nasty.length)]!
          break
        case 2:
          bytes.splice(at, below(8))
          break
        case 3:
          bytes.splice(at, 0, ...Array.from({ length: below(8) }, () => below(256)))
          break
        case 4:
          bytes = [...bytes.slice(0, at), ...other.subarray(below(other.length))]
          break
        case 5:
          bytes.push(...other)
          break
        default: {
          // A length somewhere inside becomes a huge one, or one that is nearly right.
          const value = below(2) === 0 ? 0xffffffff - below(3) : below(64)
          for (let i = 0; i < 4; i++) bytes[at + i] = (value >>> (24 - 8 * i)) & 0xff
        }
      }
    }
    return Uint8Array.from(bytes, (octet) => octet ?? 0)
  }
  // The size of the first frame set right again, so that the mutation reaches what reads the payload.
  const repaired = () => {
    const bytes = mutant()
    if (bytes.length < 8) return bytes
    new DataView(bytes.buffer).setUint32(3, bytes.length - 8)
    bytes[bytes.length - 1] = 0xce
    return bytes
  }

  const reader = new ByteReader()
  const stream = (options: Frame.DecoderOptions) => (bytes: Uint8Array) => {
    const decoder = Frame.makeDecoder(options)
    const cut = below(bytes.length + 1)
    decoder.push(bytes.subarray(0, cut))
    decoder.push(bytes.subarray(cut))
  }
  const interpreted = Method.definitions.map((definition) =>
    Compiler.interpret<unknown, object>(definition.plan, dialect)
  )
  const targets: ReadonlyArray<(bytes: Uint8Array) => unknown> = [
    stream({}),
    stream({ decode: "typed", maxFrameSize: 0 }),
    stream({ expectProtocolHeader: true }),
    (bytes) => Method.decode(reader.reset(bytes, Math.min(7, bytes.length), bytes.length)),
    (bytes) => Properties.decodeHeader(reader.reset(bytes)),
    (bytes) => Properties.decode(reader.reset(bytes), { decode: "typed" }),
    (bytes) => FieldTable.decode(reader.reset(bytes)),
    (bytes) => interpreted[below(interpreted.length)]!.decode(reader.reset(bytes, Math.min(11, bytes.length)), {})
  ]

  it("end in frames or a FrameError, and in no more memory than they are worth", { timeout: 60_000 }, () => {
    const makers = [noise, mutant, repaired]
    const reasons = new Map<string, number>()
    const inputs = 120_000
    let accepted = 0
    for (let i = 0; i < inputs; i++) {
      const bytes = makers[i % makers.length]!()
      const target = targets[below(targets.length)]!
      Allocation.reset()
      try {
        target(bytes)
        accepted++
      } catch (error) {
        if (!(error instanceof FrameError)) throw new Error(`input ${i}: ${hex(bytes)}`, { cause: error })
        assert.isAtMost(error.offset, bytes.length + 7)
        assert.isAtLeast(error.offset, 0)
        assert.notStrictEqual(error.field, "")
        reasons.set(error.reason, (reasons.get(error.reason) ?? 0) + 1)
      }
      // A carry or a body that grows by doubling and is copied once; a slab and the parser's own buffers.
      if (Allocation.allocated().bytes > 4 * bytes.length + Allocation.slabSize + 2048) {
        throw new Error(`input ${i} of ${bytes.length} octets took ${Allocation.allocated().bytes}`)
      }
    }
    assert.isAbove(accepted, inputs / 50)
    // The faults that bytes alone can make: were one missing, the inputs would be too tame.
    const expected = [
      "Truncated",
      "Trailing",
      "FrameEnd",
      "FrameType",
      "FrameSize",
      "UnknownMethod",
      "FieldType",
      "Range"
    ]
    assert.includeMembers([...reasons.keys()], expected)
  })

  it("that nest, repeat or announce without end are refused at once", () => {
    // Thousands of tables, each the only entry of the one before.
    const levels = 5000
    const lengths = Array.from({ length: levels }, (_, i) => (7 * (levels - i)).toString(16).padStart(8, "0"))
    const nested = `${lengths.join(" 0161 46 ")} 0161 46 00000000`
    assert.deepInclude(table(nested), { reason: "Depth", field: `table${".a".repeat(32)}` })
    assert.deepInclude(table(`0000c357 0161 41 0000c350 ${"56".repeat(50_000)}`), {
      reason: "Entries",
      field: "table.a.4094"
    })
    Allocation.reset()
    for (
      const text of [
        "fffffffe 0161 78 fffffff0 00",
        "00000009 0161 78 fffffff0 00 00",
        "00000009 0161 53 fffffff0 00 00"
      ]
    ) {
      assert.deepInclude(table(text), { reason: "Truncated" })
    }
    assert.strictEqual(Allocation.allocated().bytes, 0)
  })
})
