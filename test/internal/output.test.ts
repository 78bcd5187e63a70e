import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Frame from "../../src/amqp091/Frame.ts"
import { byReference, Output } from "../../src/internal/output.ts"
import type { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { concat, framesOf, pattern, publish } from "../amqp091/internal/engines.ts"

const framing = { head: Frame.encodeBodyStart, tail: Frame.encodeBodyEnd }

/** Holds on to what it is given, and looks only once it calls it written. */
class SlowSink {
  readonly held: Array<{ readonly bytes: Uint8Array; readonly onWritten: (() => void) | undefined }> = []
  readonly writes: Array<Uint8Array> = []
  answer = true

  readonly write = (bytes: Uint8Array, onWritten?: () => void): boolean => {
    this.held.push({ bytes, onWritten })
    return this.answer
  }

  written(count: number = this.held.length): void {
    for (const { bytes, onWritten } of this.held.splice(0, count)) {
      this.writes.push(bytes.slice())
      onWritten?.()
      // The kernel has it: nobody may look at it any more.
    }
  }

  get bytes(): Uint8Array {
    return concat(this.writes)
  }
}

const note = (channel: number, text: string) => (writer: ByteWriter) =>
  Frame.encodeMethod(writer, channel, publish(text))

/** A publish as an engine puts it there. */
const put = (output: Output, channel: number, body: Uint8Array): void => {
  output.frames(channel, (writer) => {
    Frame.encodeMethod(writer, channel, publish(""))
    Frame.encodeHeader(writer, channel, body.length, {})
  })
  if (body.length > 0) output.body(channel, body)
}

const make = (maxBody = 4088): { readonly output: Output; readonly sink: SlowSink } => {
  const output = new Output(framing)
  output.maxBody = maxBody
  return { output, sink: new SlowSink() }
}

const flushAll = (output: Output, sink: SlowSink): void => {
  while (output.unflushed > 0) output.flush(sink)
  sink.written()
}

/** Channel by channel what went over the wire: each frame's kind, and each body whole. */
const perChannel = (bytes: Uint8Array) => {
  const seen = new Map<number, Array<string>>()
  const bodies = new Map<number, Array<Uint8Array>>()
  const left = new Map<number, number>()
  for (const frame of framesOf(bytes)) {
    if (frame._tag === "ProtocolHeader") continue
    const rest = left.get(frame.channel) ?? 0
    if (frame._tag === "BodyFrame") {
      assert.isAbove(rest, 0, "a body frame only inside its content")
      bodies.get(frame.channel)?.push(frame.payload)
      left.set(frame.channel, rest - frame.payload.length)
      continue
    }
    assert.strictEqual(rest, 0, "no other frame inside a content")
    if (frame._tag === "HeaderFrame") {
      left.set(frame.channel, frame.bodySize)
      bodies.set(frame.channel, [...bodies.get(frame.channel) ?? []])
    }
    const label = frame._tag === "MethodFrame" && frame.method._tag === "BasicPublish"
      ? `publish ${frame.method.routingKey}`
      : frame._tag
    seen.set(frame.channel, [...seen.get(frame.channel) ?? [], label])
  }
  return { seen, bodyOf: (channel: number) => concat(bodies.get(channel) ?? []) }
}

describe("Output", () => {
  it("keeps each channel's order and each content whole, whatever the sink's moods", () => {
    const step = FastCheck.oneof(
      FastCheck.tuple(
        FastCheck.constant("publish" as const),
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.nat(60_000)
      ),
      FastCheck.tuple(FastCheck.constant("note" as const), FastCheck.integer({ min: 1, max: 4 }), FastCheck.nat(9)),
      FastCheck.tuple(FastCheck.constant("flush" as const), FastCheck.nat(1), FastCheck.nat(3))
    )
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(4088, 20_000, 131_064),
        FastCheck.array(step, { maxLength: 60 }),
        (maxBody, steps) => {
          const { output, sink } = make(maxBody)
          const expected = new Map<number, Array<string>>()
          const bodies = new Map<number, Array<Uint8Array>>()
          let given = 0
          for (const [what, channel, value] of steps) {
            if (what === "flush") {
              sink.answer = channel === 1
              output.flush(sink)
              sink.written(value)
            } else if (what === "note") {
              output.frames(channel, note(channel, `${value}`))
              expected.set(channel, [...expected.get(channel) ?? [], `publish ${value}`])
            } else {
              const body = pattern(value, given++)
              put(output, channel, body)
              expected.set(channel, [...expected.get(channel) ?? [], "publish ", "HeaderFrame"])
              bodies.set(channel, [...bodies.get(channel) ?? [], body])
            }
          }
          sink.answer = true
          flushAll(output, sink)
          assert.strictEqual(output.pending, 0)
          const { bodyOf, seen } = perChannel(sink.bytes)
          assert.deepStrictEqual(seen, expected)
          for (const [channel, parts] of bodies) assert.deepStrictEqual(bodyOf(channel), concat(parts))
        }
      ),
      { numRuns: 100 }
    )
  })

  it("counts as pending what is not written yet", () => {
    const { output, sink } = make()
    put(output, 1, pattern(1000))
    put(output, 2, pattern(byReference))
    const before = output.pending
    assert.isAbove(before, 1000 + byReference)
    assert.strictEqual(output.unflushed, before)
    while (output.unflushed > 0) output.flush(sink)
    assert.isAtLeast(output.pending, before)
    let told = 0
    output.onWritten = () => told++
    const writes = sink.held.length
    sink.written(1)
    assert.isBelow(output.pending, sink.bytes.length + before)
    assert.isAbove(output.pending, 0)
    sink.written()
    assert.strictEqual(told, writes)
    assert.strictEqual(output.pending, 0)
  })

  it("uses a buffer again only when it is written, and then does", () => {
    const { output, sink } = make()
    const buffers: Array<ArrayBufferLike> = []
    const expected: Array<number> = []
    for (let turn = 0; turn < 40; turn++) {
      for (let each = 0; each < 5; each++) {
        output.frames(1, note(1, `${turn} ${each}`))
        expected.push(turn)
      }
      output.flush(sink)
      buffers.push(sink.held.at(-1)!.bytes.buffer)
      if (turn % 3 === 0) sink.written(2)
      assert.strictEqual(new Set(sink.held.map(({ bytes }) => bytes.buffer)).size, sink.held.length)
    }
    sink.written()
    assert.deepStrictEqual(
      framesOf(sink.bytes).map((frame) =>
        frame._tag === "MethodFrame" && frame.method._tag === "BasicPublish"
          ? parseInt(frame.method.routingKey, 10)
          : -1
      ),
      expected
    )
    assert.isBelow(new Set(buffers).size, buffers.length)
  })

  it("sends a large body as the bytes it was given, a small one as a copy", () => {
    const { output, sink } = make(131_064)
    const large = pattern(byReference)
    const small = pattern(byReference - 1)
    put(output, 1, large)
    put(output, 2, small)
    output.flush(sink)
    assert.isTrue(sink.held.some(({ bytes }) => bytes.buffer === large.buffer))
    assert.isFalse(sink.held.some(({ bytes }) => bytes.buffer === small.buffer))
  })

  it("lets the large bodies of several channels take turns, frame by frame, and across refusals", () => {
    for (const answer of [true, false]) {
      for (const maxBody of [4088, 40_000]) {
        const { output, sink } = make(maxBody)
        for (const channel of [1, 2, 3]) put(output, channel, pattern(maxBody * 6))
        sink.answer = answer
        while (output.unflushed > 0) output.flush(sink)
        sink.written()
        const order = framesOf(sink.bytes).flatMap((frame) => frame._tag === "BodyFrame" ? [frame.channel] : [])
        assert.deepStrictEqual(order, Array.from({ length: 6 }, () => [1, 2, 3]).flat())
      }
    }
  })

  it("hands over no more than the rest of a frame after the sink said stop", () => {
    const { output, sink } = make(20_000)
    for (const channel of [1, 2, 3]) put(output, channel, pattern(200_000))
    sink.answer = false
    output.flush(sink)
    assert.lengthOf(sink.held, 1)
    const left = output.unflushed
    assert.isFalse(output.flush(sink))
    assert.isAtMost(left - output.unflushed, 20_100)
  })

  it("hands over large bodies by a MiB a flush", () => {
    const { output, sink } = make(131_064)
    put(output, 1, pattern(5_000_000))
    const before = output.unflushed
    assert.isTrue(output.flush(sink))
    assert.isAtMost(before - output.unflushed, 2 * 1024 * 1024)
    assert.isAtLeast(before - output.unflushed, 1024 * 1024)
  })

  it("fills its writes: small frames of a large body do not go one by one", () => {
    const { output, sink } = make(4088)
    put(output, 1, pattern(200_000))
    output.flush(sink)
    assert.isAtMost(sink.held.length, 6)
  })

  it("is as it was when an encoder throws, with a body waiting or not", () => {
    for (const waiting of [false, true]) {
      const { output, sink } = make()
      if (waiting) put(output, 1, pattern(30_000))
      output.frames(1, note(1, "before"))
      const before = output.unflushed
      const bad = (writer: ByteWriter) => {
        note(1, "half")(writer)
        throw new Error("half way")
      }
      assert.throws(() => output.frames(1, bad), "half way")
      if (waiting) assert.throws(() => output.last(bad), "half way")
      assert.strictEqual(output.unflushed, before)
      output.frames(1, note(1, "after"))
      flushAll(output, sink)
      assert.deepStrictEqual(perChannel(sink.bytes).seen.get(1)?.slice(-2), ["publish before", "publish after"])
    }
  })

  it("sends what is last behind every body, and counts it", () => {
    const { output, sink } = make()
    put(output, 1, pattern(300_000))
    put(output, 2, pattern(20_000))
    const before = output.unflushed
    output.last(note(0, "last"))
    assert.isAbove(output.unflushed, before)
    output.frames(3, note(3, "urgent"))
    flushAll(output, sink)
    const frames = framesOf(sink.bytes)
    assert.deepStrictEqual(frames.at(-1), { _tag: "MethodFrame", channel: 0, method: publish("last") })
    output.last(note(0, "alone"))
    flushAll(output, sink)
    assert.deepStrictEqual(framesOf(sink.bytes).at(-1), { _tag: "MethodFrame", channel: 0, method: publish("alone") })
    assert.strictEqual(output.pending, 0)
  })

  it("forgets what was not handed over, and waits only for what was", () => {
    const { output, sink } = make()
    put(output, 1, pattern(600_000))
    output.flush(sink)
    output.frames(2, note(2, "lost"))
    output.last(note(0, "lost"))
    output.discard()
    assert.strictEqual(output.unflushed, 0)
    assert.isAbove(output.pending, 0)
    sink.written()
    assert.strictEqual(output.pending, 0)
    assert.isTrue(output.flush(sink))
    assert.lengthOf(sink.held, 0)
  })
})
