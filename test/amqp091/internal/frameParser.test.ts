import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { FrameHandler } from "../../../src/amqp091/internal/frameParser.ts"
import { FrameParser } from "../../../src/amqp091/internal/frameParser.ts"
import { FrameError } from "../../../src/AmqpError.ts"
import * as Allocation from "../../../src/wire/Allocation.ts"
import { fault, hex, unhex } from "../../wire/bytes.ts"
import { recorded } from "../recorded.ts"

// What the handler saw, a line each; the pieces of one body frame are put together.
const logger = () => {
  const log: Array<string> = []
  let body = ""
  const handler: FrameHandler = {
    onMethod: (channel, bytes, start, end) => void log.push(`method ${channel} ${hex(bytes.subarray(start, end))}`),
    onHeader: (channel, bytes, start, end) => void log.push(`header ${channel} ${hex(bytes.subarray(start, end))}`),
    onBody: (_, bytes, start, end) => {
      assert.isTrue(end > start)
      body += hex(bytes.subarray(start, end))
    },
    onBodyEnd: (channel) => {
      log.push(`body ${channel} ${body}`)
      body = ""
    },
    onHeartbeat: (channel) => void log.push(`heartbeat ${channel}`),
    onProtocolHeader: (...octets) => void log.push(`protocol ${octets.join(" ")}`)
  }
  return { log, handler }
}

const receive = (parser: FrameParser, bytes: Uint8Array) => parser.receive(bytes, 0, bytes.length)

const parse = (
  bytes: Uint8Array,
  options?: { readonly expectProtocolHeader?: boolean; readonly maxFrameSize?: number }
) => {
  const { handler, log } = logger()
  const parser = new FrameParser(handler, options)
  parser.maxFrameSize = options?.maxFrameSize ?? 0
  receive(parser, bytes)
  return log
}

const frame = (type: number, channel: number, payload: string) => {
  const size = unhex(payload).length
  const head = [type.toString(16).padStart(2, "0"), channel.toString(16).padStart(4, "0")]
  return [...head, size.toString(16).padStart(8, "0"), payload, "ce"].join(" ")
}
const method = frame(1, 1, "0014000b00000000")

describe("FrameParser", () => {
  it("finds every frame in one read", () => {
    const text = [
      method,
      frame(2, 258, "003c00"),
      frame(3, 1, "abcdef"),
      frame(3, 1, ""),
      frame(8, 0, ""),
      frame(1, 0, "")
    ]
    assert.deepStrictEqual(parse(unhex(text.join(" "))), [
      "method 1 0014000b00000000",
      "header 258 003c00",
      "body 1 abcdef",
      "body 1 ",
      "heartbeat 0",
      "method 0 "
    ])
  })

  it("finds the same frames however the stream is cut, 1-byte reads included", () => {
    const frames = FastCheck.oneof(
      FastCheck.record({
        type: FastCheck.constantFrom(1, 2, 3),
        channel: FastCheck.integer({ min: 0, max: 65535 }),
        payload: FastCheck.uint8Array({ maxLength: 70 }).map(hex)
      }),
      FastCheck.record({ type: FastCheck.constant(8), channel: FastCheck.constant(0), payload: FastCheck.constant("") })
    ).map(({ channel, payload, type }) => frame(type, channel, payload))
    FastCheck.assert(
      FastCheck.property(
        FastCheck.boolean(),
        FastCheck.array(frames),
        FastCheck.array(FastCheck.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (server, texts, cuts) => {
          const bytes = unhex([server ? "414d5150 00000901" : "", ...texts].join(" "))
          const whole = parse(bytes, { expectProtocolHeader: server })
          const { handler, log } = logger()
          const parser = new FrameParser(handler, { expectProtocolHeader: server })
          // One buffer that is read into again and again, as a socket's is.
          const buffer = new Uint8Array(40)
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const piece = bytes.subarray(at, at + cuts[n % cuts.length]!)
            buffer.fill(0xee)
            buffer.set(piece, 5)
            parser.receive(buffer, 5, 5 + piece.length)
            at += piece.length
          }
          assert.deepStrictEqual(log, whole)
          assert.strictEqual(log.length, texts.length + (server ? 1 : 0))
          assert.isTrue(parser.isBetweenFrames)
        }
      ),
      { numRuns: 300 }
    )
  })

  it("finds the recorded frames octet by octet", () => {
    const { handler, log } = logger()
    const parser = new FrameParser(handler)
    for (const { bytes } of recorded) {
      for (let i = 0; i < bytes.length; i++) parser.receive(bytes, i, i + 1)
    }
    assert.deepStrictEqual(
      log.map((line) => line.split(" ")[2]),
      recorded.map(({ bytes }) => hex(bytes.subarray(7, -1)))
    )
  })

  it("hands bodies on as they come, before the frame is whole", () => {
    const pieces: Array<string> = []
    let ended = 0
    const parser = new FrameParser({
      ...logger().handler,
      onBody: (_, bytes, start, end) => void pieces.push(hex(bytes.subarray(start, end))),
      onBodyEnd: () => void ended++
    })
    receive(parser, unhex("03 0001 00000004 ab"))
    receive(parser, unhex("cd ef"))
    assert.deepStrictEqual(pieces, ["ab", "cdef"])
    receive(parser, unhex("01"))
    assert.strictEqual(ended, 0)
    receive(parser, unhex("ce"))
    assert.strictEqual(ended, 1)
    assert.deepStrictEqual(pieces, ["ab", "cdef", "01"])
  })

  it("refuses a frame above the limit by its head alone, whatever kind it is", () => {
    for (const type of [1, 2, 3]) {
      const head = unhex(`0${type} 0001 00001000`)
      const { handler } = logger()
      const parser = new FrameParser(handler)
      parser.maxFrameSize = 4096
      assert.deepInclude(fault(() => receive(parser, head)), { reason: "FrameSize", field: "frame.size", offset: 3 })
      assert.isTrue(parser.stopped)
    }
    const fits = frame(1, 1, "00".repeat(4088))
    assert.lengthOf(parse(unhex(fits), { maxFrameSize: 4096 }), 1)
    assert.deepInclude(fault(() => parse(unhex(fits), { maxFrameSize: 4095 })), { reason: "FrameSize" })
  })

  it("allocates by what came, not by what was announced", () => {
    const { handler } = logger()
    const parser = new FrameParser(handler)
    Allocation.reset()
    receive(parser, unhex("01 0001 fffffff0"))
    receive(parser, new Uint8Array(100))
    assert.isBelow(Allocation.allocated().bytes, 1024)
    receive(parser, new Uint8Array(100_000))
    assert.isBelow(Allocation.allocated().bytes, 250_000)
  })

  it("refuses a heartbeat with a payload", () => {
    assert.deepInclude(fault(() => parse(unhex(frame(8, 0, "00")))), { reason: "FrameSize" })
  })

  it("refuses a wrong end octet, counted from the frame's first, cut or not", () => {
    const bytes = unhex(`${method} ${method.replace(/ce$/, "cd")}`)
    const whole = fault(() => parse(bytes))
    assert.deepInclude(whole, { reason: "FrameEnd", field: "frame.end", offset: 15 })
    assert.include(whole.message, "0xcd")
    const { handler, log } = logger()
    const parser = new FrameParser(handler)
    const cut = fault(() => {
      for (let i = 0; i < bytes.length; i++) parser.receive(bytes, i, i + 1)
    })
    assert.deepInclude(cut, { reason: "FrameEnd", offset: 15 })
    assert.lengthOf(log, 1)
    const body = unhex(frame(3, 1, "ab").replace(/ce$/, "00"))
    assert.deepInclude(fault(() => parse(body)), { reason: "FrameEnd", offset: 8 })
  })

  it("refuses an unknown type, and says what came", () => {
    assert.deepInclude(fault(() => parse(unhex(`${method} 04 0000 00000000 ce`))), {
      reason: "FrameType",
      field: "frame.type",
      offset: 0,
      text: "\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\xce"
    })
  })

  it("shows what a peer is that speaks no AMQP", () => {
    const http = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n")
    assert.deepInclude(fault(() => parse(http)), {
      reason: "FrameType",
      text: "HTTP/1.1 400 Bad Request\\x0d\\x0aServer: nginx\\x0d\\x0a"
    })
    assert.include(
      fault(() => parse(new TextEncoder().encode("GET / HTTP/1.1\r\n"), { expectProtocolHeader: true })).message,
      "GET / HTTP/1.1"
    )
    assert.deepInclude(fault(() => parse(unhex("15 0301 0002 0228"))), { text: "\\x15\\x03\\x01\\x00\\x02\\x02(" })
  })

  it("tells a server's own protocol header from a frame", () => {
    assert.deepStrictEqual(parse(unhex("414d5150 00010000")), ["protocol 0 1 0 0"])
    assert.deepStrictEqual(parse(unhex(`414d5150 00000901 ${method}`)), [
      "protocol 0 0 9 1",
      "method 1 0014000b00000000"
    ])
    assert.deepInclude(fault(() => parse(unhex("414d5158 00000901"))), {
      reason: "FrameType",
      text: "AMQX\\x00\\x00\\x09\\x01"
    })
  })

  it("takes a protocol header as the very first bytes only, and as a server nothing else", () => {
    assert.deepInclude(fault(() => parse(unhex(`${method} 414d5150 00000901`))), { reason: "FrameType" })
    assert.deepInclude(fault(() => parse(unhex("414d5150 00000901 414d5150"), { expectProtocolHeader: true })), {
      reason: "FrameType"
    })
    assert.deepInclude(fault(() => parse(unhex(method), { expectProtocolHeader: true })), {
      reason: "FrameType",
      field: "protocol header"
    })
  })

  it("takes nothing once it is told to stop, or after a fault", () => {
    const { handler, log } = logger()
    const parser = new FrameParser({
      ...handler,
      onMethod: (...args) => {
        handler.onMethod(...args)
        parser.stopped = true
      }
    })
    receive(parser, unhex(`${method} ${method}`))
    receive(parser, unhex(method))
    assert.lengthOf(log, 1)

    const other = logger()
    const faulty = new FrameParser({
      ...other.handler,
      onHeader: () => {
        throw new FrameError({ reason: "Truncated", field: "f", offset: 0 })
      }
    })
    assert.deepInclude(fault(() => receive(faulty, unhex(frame(2, 1, "00")))), { field: "f" })
    receive(faulty, unhex(method))
    assert.lengthOf(other.log, 0)
  })
})
