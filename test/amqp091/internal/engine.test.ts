import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Frame from "../../../src/amqp091/Frame.ts"
import type * as Method from "../../../src/amqp091/Method.ts"
import * as Allocation from "../../../src/wire/Allocation.ts"
import type { Both, Cut } from "./engines.ts"
import {
  body,
  concat,
  connected,
  deliver,
  frame,
  framesOf,
  header,
  openChannel,
  pattern,
  publish,
  raw,
  scriptHandshake,
  settle,
  Side,
  single,
  start,
  startOk,
  whole
} from "./engines.ts"

const cuts: Record<string, Cut> = { "whole": whole, "an octet at a time": single, "in sevens": () => 7 }

const closeIn = (bytes: Uint8Array): Method.ConnectionClose | undefined => {
  for (const each of framesOf(bytes)) {
    if (each._tag === "MethodFrame" && each.method._tag === "ConnectionClose") return each.method
  }
  return undefined
}

const closeMethod = (code = 200): Method.ConnectionClose => ({
  _tag: "ConnectionClose",
  replyCode: code,
  replyText: "bye",
  classId: 0,
  methodId: 0
})

const contents = (side: Side) => side.drain().filter((report) => report._tag === "Content")

/** A client whose interval is ten seconds, and whose clocks start at 0. */
const at10s = () => {
  const both = connected({ tuning: { heartbeat: 10 } })
  both.client.engine.heartbeats.touch(0)
  return both.client
}

/** The side was told off with this code, has said so once, and is dead: nothing goes in or out any more. */
const assertDead = (side: Side, code: number | undefined, reason: string): void => {
  const faults = side.drain().filter((report) => report._tag === "Fault")
  assert.deepStrictEqual(faults.map(({ fault }) => fault.reason), [reason])
  assert.isTrue(side.engine.isDead)
  assert.isFalse(side.engine.isOpen)
  assert.strictEqual(closeIn(side.take())?.replyCode, code)
  side.silent = true
  side.receive(concat([frame(1, deliver()), header(1, 0), frame(0, { _tag: "ConnectionCloseOk" }), raw(9, 9, [9])]))
  side.receive(Frame.protocolHeader)
  side.engine.start()
  side.engine.opened()
  side.engine.handshake(startOk)
  side.engine.tune({ channelMax: 1, frameMax: 4096, heartbeat: 1 })
  side.engine.send(0, { _tag: "ConnectionCloseOk" })
  side.engine.closeChannel(1, 200, "")
  side.engine.close(200, "")
  assert.isTrue(side.engine.isDead)
  assert.strictEqual(side.engine.heartbeats.nextDeadline(), Infinity)
  assert.isTrue(side.engine.heartbeats.tick(1e12))
  assert.strictEqual(side.take().length, 0)
}

describe("Engine, the handshake", () => {
  for (const [name, cut] of Object.entries(cuts)) {
    for (const rounds of [0, 1, 3]) {
      it(`opens with ${rounds} rounds of secure, bytes ${name}`, () => {
        const client = new Side("client")
        const server = new Side("server")
        scriptHandshake(client, server, undefined, rounds)
        client.engine.start()
        settle(client, server, cut)
        assert.isTrue(client.engine.isOpen)
        assert.isTrue(server.engine.isOpen)
        const secure = Array.from({ length: rounds }, () => "ConnectionSecure")
        assert.deepStrictEqual(client.tags(), ["ConnectionStart", ...secure, "ConnectionTune", "ConnectionOpenOk"])
        assert.deepStrictEqual(server.tags(), [
          "Header",
          "ConnectionStartOk",
          ...secure.map((tag) => `${tag}Ok`),
          "ConnectionTuneOk",
          "ConnectionOpen"
        ])
        assert.strictEqual(client.engine.heartbeats.interval, 60_000)
      })
    }
  }

  it("reports the version of a server that answers with its own header, and is dead without a word", () => {
    const client = new Side("client")
    client.engine.start()
    client.take()
    client.receive(Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0), single)
    assert.deepStrictEqual(client.drain(), [{ _tag: "Header", version: "0-1-0-0" }])
    assert.isTrue(client.engine.isDead)
    assert.strictEqual(client.take().length, 0)
  })

  it("does not tell a peer that speaks no AMQP, and says what came", () => {
    const client = new Side("client")
    client.engine.start()
    client.take()
    client.receive(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n"))
    const [report] = client.reports
    assert.isTrue(report?._tag === "Fault" && report.fault.text?.startsWith("HTTP/1.1 400"))
    assertDead(client, undefined, "FrameType")
  })

  it("shows a client that speaks no AMQP what a server speaks", () => {
    const server = new Side("server")
    server.receive(new TextEncoder().encode("GET / HTTP/1.1\r\n"))
    assert.deepStrictEqual(server.take(), Frame.protocolHeader)
    assertDead(server, undefined, "FrameType")
  })

  it("takes frames from a client only after its protocol header", () => {
    const server = new Side("server")
    server.receive(frame(0, startOk))
    assertDead(server, undefined, "FrameType")
  })

  it("does not tell a client off before it was answered", () => {
    const server = new Side("server")
    server.receive(Frame.protocolHeader)
    assert.deepStrictEqual(server.drain(), [{ _tag: "Header", version: "0-0-9-1" }])
    server.receive(frame(0, startOk))
    assertDead(server, undefined, "Command")
  })

  const early: Record<string, { readonly role: "client" | "server"; readonly bytes: ReadonlyArray<Uint8Array> }> = {
    "tune-ok for start-ok": {
      role: "server",
      bytes: [Frame.protocolHeader, frame(0, { _tag: "ConnectionTuneOk", channelMax: 0, frameMax: 0, heartbeat: 0 })]
    },
    "open for start-ok": {
      role: "server",
      bytes: [Frame.protocolHeader, frame(0, { _tag: "ConnectionOpen", virtualHost: "/" })]
    },
    "start-ok on a channel": { role: "server", bytes: [Frame.protocolHeader, frame(1, startOk)] },
    "channel.open for start-ok": { role: "server", bytes: [Frame.protocolHeader, frame(1, { _tag: "ChannelOpen" })] },
    "start-ok twice": { role: "server", bytes: [Frame.protocolHeader, frame(0, startOk), frame(0, startOk)] },
    "open-ok for tune": { role: "client", bytes: [frame(0, start), frame(0, { _tag: "ConnectionOpenOk" })] },
    "start twice": { role: "client", bytes: [frame(0, start), frame(0, start)] },
    "close-ok for tune": { role: "client", bytes: [frame(0, start), frame(0, { _tag: "ConnectionCloseOk" })] },
    "blocked for tune": {
      role: "client",
      bytes: [frame(0, start), frame(0, { _tag: "ConnectionBlocked", reason: "" })]
    },
    "tune twice": {
      role: "client",
      bytes: [
        frame(0, start),
        frame(0, { _tag: "ConnectionTune", channelMax: 0, frameMax: 0, heartbeat: 0 }),
        frame(0, { _tag: "ConnectionTune", channelMax: 0, frameMax: 0, heartbeat: 0 })
      ]
    }
  }
  for (const [name, { bytes, role }] of Object.entries(early)) {
    it(`answers ${name} with 503`, () => {
      const side = new Side(role)
      scriptHandshake(role === "client" ? side : new Side("client"), role === "server" ? side : new Side("server"))
      if (role === "client") side.engine.start()
      for (const each of bytes) side.receive(each, single)
      assertDead(side, 503, "Command")
    })
  }

  it("answers a second secure before the first is answered with 503", () => {
    const client = new Side("client")
    client.engine.start()
    client.receive(frame(0, start))
    client.engine.handshake(startOk)
    const secure = frame(0, { _tag: "ConnectionSecure", challenge: Uint8Array.of(1) })
    client.receive(secure)
    assert.isFalse(client.engine.isDead)
    client.receive(secure)
    assertDead(client, 503, "Command")
  })

  it("answers content before the connection is open with 504", () => {
    const client = new Side("client")
    client.engine.start()
    client.receive(concat([frame(0, start), header(1, 3)]))
    client.engine.handshake(startOk)
    assertDead(client, 504, "Channel")
  })

  it("keeps to 8192 octets a frame before tuning, and tells a larger one off before its payload comes", () => {
    const client = new Side("client")
    client.engine.start()
    client.receive(frame(0, start))
    client.engine.handshake(startOk)
    client.receive(Uint8Array.of(1, 0, 0, 0, 0, 0x1f, 0xf9))
    assertDead(client, 501, "FrameSize")
  })

  it("is open at once with open-ok: a method right behind it is taken", () => {
    const client = new Side("client")
    const server = new Side("server")
    scriptHandshake(client, server)
    const script = client.script
    // As a fiber does: it learns of open-ok later.
    client.script = (report) => {
      if (report._tag === "Method" && report.method._tag !== "ConnectionOpenOk") script?.(report)
    }
    client.engine.start()
    server.receive(client.take())
    client.receive(server.take())
    server.receive(client.take())
    client.receive(server.take())
    server.receive(client.take())
    server.engine.send(0, { _tag: "ConnectionBlocked", reason: "low on memory" })
    client.receive(server.take())
    assert.deepStrictEqual(client.tags().slice(-2), ["ConnectionOpenOk", "ConnectionBlocked"])
    assert.isTrue(client.engine.isOpen)
    assert.isFalse(client.engine.isDead)
  })

  it("takes a refusal of the login at any stage, and answers it", () => {
    const close = { replyCode: 403, replyText: "ACCESS_REFUSED", classId: 0, methodId: 0 }
    const server = new Side("server")
    scriptHandshake(new Side("client"), server)
    server.receive(concat([Frame.protocolHeader]))
    server.take()
    server.engine.close(403, "ACCESS_REFUSED")
    const client = new Side("client")
    client.engine.start()
    client.receive(frame(0, start))
    client.engine.handshake(startOk)
    client.take()
    client.receive(server.take())
    assert.deepStrictEqual(client.drain().at(-1), { _tag: "Closed", close: { _tag: "ConnectionClose", ...close } })
    assert.isTrue(client.engine.isDead)
    server.receive(client.take())
    assert.deepStrictEqual(server.tags(), ["Header", "ConnectionCloseOk"])
    assert.isTrue(server.engine.isDead)
  })

  it("just dies when closed before there is a peer to tell", () => {
    const client = new Side("client")
    client.engine.start()
    client.take()
    client.engine.close(200, "")
    assert.isTrue(client.engine.isDead)
    assert.strictEqual(client.take().length, 0)
  })
})

describe("Engine, what a peer may not do", () => {
  const body3 = Uint8Array.of(1, 2, 3)
  const cases: Record<
    string,
    {
      readonly to: "client" | "server"
      readonly code: number
      readonly reason: string
      readonly bytes: (channel: number) => ReadonlyArray<Uint8Array>
    }
  > = {
    "a wrong frame end": { to: "client", code: 501, reason: "FrameEnd", bytes: () => [raw(8, 0, [], 0xcd)] },
    "a wrong frame end of a body": {
      to: "client",
      code: 501,
      reason: "FrameEnd",
      bytes: (n) => [frame(n, deliver()), header(n, 3), raw(3, n, [1, 2, 3], 0)]
    },
    "an unknown frame type": { to: "server", code: 501, reason: "FrameType", bytes: () => [raw(4, 0, [])] },
    "a second protocol header": {
      to: "server",
      code: 501,
      reason: "FrameType",
      bytes: () => [Frame.protocolHeader]
    },
    "a frame above frame_max": {
      to: "server",
      code: 501,
      reason: "FrameSize",
      // A server lets eight octets pass.
      bytes: () => [Uint8Array.of(1, 0, 1, 0, 0, 0x10, 0x01)]
    },
    "a heartbeat with a payload": { to: "client", code: 501, reason: "FrameSize", bytes: () => [raw(8, 0, [1])] },
    "a heartbeat on a channel": { to: "client", code: 501, reason: "FrameType", bytes: (n) => [raw(8, n, [])] },
    "an unknown class": { to: "client", code: 540, reason: "UnknownMethod", bytes: (n) => [raw(1, n, [0, 61, 0, 10])] },
    "an unknown method": {
      to: "server",
      code: 540,
      reason: "UnknownMethod",
      bytes: (n) => [raw(1, n, [0, 60, 0, 13])]
    },
    "a method without its numbers": { to: "server", code: 502, reason: "Truncated", bytes: (n) => [raw(1, n, [0])] },
    "a method cut short": {
      to: "client",
      code: 502,
      reason: "Truncated",
      bytes: (n) => [raw(1, n, [0, 60, 0, 80, 0])]
    },
    "octets after the last argument": {
      to: "client",
      code: 502,
      reason: "Trailing",
      bytes: (n) => [raw(1, n, [0, 60, 0, 11, 0])]
    },
    "a malformed table": {
      to: "server",
      code: 502,
      reason: "FieldType",
      // queue.declare "" with a table of one field of type "?"
      bytes: (n) => [raw(1, n, [0, 50, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0x6b, 0x3f])]
    },
    "a header of another class": {
      to: "client",
      code: 501,
      reason: "FrameType",
      bytes: (n) => [frame(n, deliver()), raw(2, n, [0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0])]
    },
    "a header that is cut short": {
      to: "client",
      code: 502,
      reason: "Truncated",
      bytes: (n) => [frame(n, deliver()), raw(2, n, [0, 60, 0, 0, 0, 0])]
    },
    "a body size above 2^53": {
      to: "client",
      code: 502,
      reason: "Range",
      bytes: (n) => [frame(n, deliver()), raw(2, n, [0, 60, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0])]
    },
    "a method on a channel that is not open": {
      to: "client",
      code: 504,
      reason: "Channel",
      bytes: () => [frame(9, { _tag: "BasicAck", deliveryTag: 1, multiple: false })]
    },
    "a header on a channel that is not open": {
      to: "server",
      code: 504,
      reason: "Channel",
      bytes: () => [header(9, 3)]
    },
    "a body on a channel that is not open": {
      to: "client",
      code: 504,
      reason: "Channel",
      bytes: () => [body(9, body3)]
    },
    "content on channel 0": { to: "client", code: 504, reason: "Channel", bytes: () => [header(0, 3)] },
    "channel.open of an open channel": {
      to: "server",
      code: 504,
      reason: "Channel",
      bytes: (n) => [frame(n, { _tag: "ChannelOpen" })]
    },
    "channel.open beyond channel-max channels, whatever their numbers": {
      to: "server",
      code: 504,
      reason: "Channel",
      bytes: () => Array.from({ length: 2047 }, (_, index) => frame(5000 + index, { _tag: "ChannelOpen" }))
    },
    "channel.close of a channel that is not open": {
      to: "client",
      code: 504,
      reason: "Channel",
      bytes: () => [frame(9, { _tag: "ChannelClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 })]
    },
    "open-ok of an open channel": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "ChannelOpenOk" })]
    },
    "channel.close-ok without a close": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "ChannelCloseOk" })]
    },
    "connection.close-ok without a close": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: () => [frame(0, { _tag: "ConnectionCloseOk" })]
    },
    "a method of the handshake when it is over (client)": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: () => [frame(0, { _tag: "ConnectionOpenOk" })]
    },
    "a method of the handshake when it is over (server)": {
      to: "server",
      code: 503,
      reason: "Command",
      bytes: () => [frame(0, startOk)]
    },
    "a client's method to a client": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "TxSelect" })]
    },
    "a server's content to a server": {
      to: "server",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, deliver())]
    },
    "a server's answer to a server": {
      to: "server",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "TxSelectOk" })]
    },
    "a channel's method on channel 0": {
      to: "server",
      code: 503,
      reason: "Command",
      bytes: () => [frame(0, { _tag: "TxSelect" })]
    },
    "a connection's method on a channel": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "ConnectionUnblocked" })]
    },
    "connection.close on a channel": {
      to: "client",
      code: 503,
      reason: "Command",
      bytes: (n) => [frame(n, { _tag: "ConnectionClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 })]
    },
    "a header without its method": { to: "client", code: 505, reason: "Unexpected", bytes: (n) => [header(n, 3)] },
    "a body without its method": { to: "server", code: 505, reason: "Unexpected", bytes: (n) => [body(n, body3)] },
    "a body without its header": {
      to: "client",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, deliver()), body(n, body3)]
    },
    "an empty body without its header": {
      to: "client",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, deliver()), raw(3, n, [])]
    },
    "a header twice": {
      to: "client",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, deliver()), header(n, 3), header(n, 3)]
    },
    "a body frame after an empty body": {
      to: "client",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, deliver()), header(n, 0), raw(3, n, [])]
    },
    "a body longer than announced": {
      to: "server",
      code: 505,
      reason: "BodySize",
      bytes: (n) => [frame(n, publish("k")), header(n, 2), body(n, body3)]
    },
    "a second body frame longer than announced": {
      to: "client",
      code: 505,
      reason: "BodySize",
      bytes: (n) => [frame(n, deliver()), header(n, 5), body(n, body3), body(n, body3)]
    },
    "a method inside a content": {
      to: "client",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, deliver()), header(n, 3), frame(n, deliver())]
    },
    "a method between a content's method and header": {
      to: "server",
      code: 505,
      reason: "Unexpected",
      bytes: (n) => [frame(n, publish("k")), frame(n, { _tag: "TxSelect" })]
    }
  }
  for (const [name, { bytes, code, reason, to }] of Object.entries(cases)) {
    for (const [how, cut] of [["whole", whole], ["an octet at a time", single]] as const) {
      it(`answers ${name} with ${code} (${how})`, () => {
        const both = connected()
        const channel = openChannel(both)
        const side = both[to]
        side.receive(concat(bytes(channel)), cut)
        const contents = side.reports.filter((report) => report._tag === "Content").length
        assert.strictEqual(contents, name === "a body frame after an empty body" ? 1 : 0)
        assertDead(side, code, reason)
      })
    }
  }

  it("tells off in as much text as a shortstr holds, whatever the peer named its fields", () => {
    for (const name of ["\u{1f600}".repeat(60), "é".repeat(120), "\ud7ff".repeat(80)]) {
      const { server, ...both } = connected()
      const channel = openChannel({ server, ...both })
      const key = new TextEncoder().encode(name)
      const table = [key.length, ...key, 0x3f]
      server.receive(raw(1, channel, [0, 50, 0, 10, 0, 0, 0, 0, 0, 0, 0, table.length, ...table]))
      const close = closeIn(server.take())
      assert.strictEqual(close?.replyCode, 502)
      assert.isAbove(close?.replyText.length ?? 0, 50)
      assert.isFalse(close?.replyText.includes("\ufffd"))
    }
  })

  it("ends any octets in a fault or in reports, never in a throw", () => {
    const octets = FastCheck.uint8Array({ maxLength: 60 })
    const shaped = FastCheck.tuple(FastCheck.constantFrom(1, 1, 2, 3, 8), FastCheck.nat(3), octets).map((
      [type, channel, payload]
    ) => raw(type, channel, [...payload]))
    const method = FastCheck.tuple(
      FastCheck.constantFrom(10, 20, 40, 50, 60, 85, 90),
      FastCheck.integer({ min: 1, max: 12 }),
      octets
    ).map(([classId, number, payload]) => raw(1, 1, [0, classId, 0, number * 10, ...payload]))
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom("client" as const, "server" as const),
        FastCheck.array(FastCheck.oneof(octets, shaped, method), { maxLength: 8 }),
        FastCheck.integer({ min: 1, max: 40 }),
        (role, chunks, size) => {
          const both = connected()
          openChannel(both)
          const side = both[role]
          side.receive(concat(chunks), () => size)
          const dead = side.engine.isDead
          const close = closeIn(side.take())
          const faults = side.reports.filter((report) => report._tag === "Fault")
          const closed = side.reports.some((report) => report._tag === "Closed")
          assert.strictEqual(faults.length, dead && !closed ? 1 : 0)
          assert.strictEqual(close !== undefined, faults.length === 1)
        }
      ),
      { numRuns: 300 }
    )
  })
})

describe("Engine, the ends", () => {
  for (const [name, cut] of Object.entries(cuts)) {
    for (const first of ["client", "server"] as const) {
      it(`closes the connection from the ${first}, bytes ${name}`, () => {
        const both = connected()
        const other = first === "client" ? "server" : "client"
        both[first].engine.close(320, "bye", 1, 2)
        assert.isFalse(both[first].engine.isOpen)
        settle(both.client, both.server, cut)
        assert.deepStrictEqual(both[other].drain(), [{
          _tag: "Closed",
          close: { ...closeMethod(320), classId: 1, methodId: 2 }
        }])
        assert.deepStrictEqual(both[first].drain(), [{
          _tag: "Method",
          channel: 0,
          method: { _tag: "ConnectionCloseOk" }
        }])
        assert.isTrue(both.client.engine.isDead && both.server.engine.isDead)
      })
    }
  }

  it("closes the connection from both sides at once", () => {
    const { client, server } = connected()
    client.engine.close(200, "bye")
    server.engine.close(320, "bye")
    client.engine.close(200, "again")
    settle(client, server, single)
    assert.deepStrictEqual(client.tags(), ["ConnectionCloseOk"])
    assert.deepStrictEqual(server.tags(), ["ConnectionCloseOk"])
    assert.isTrue(client.engine.isDead && server.engine.isDead)
  })

  it("drops everything but close and close-ok after its close, malformed or not, and sends nothing more", () => {
    const both = connected()
    const channel = openChannel(both)
    const { client } = both
    client.receive(frame(channel, deliver()))
    client.engine.close(200, "")
    client.take()
    client.engine.send(channel, { _tag: "BasicAck", deliveryTag: 1, multiple: false })
    client.engine.sendContent(channel, publish("k"), {}, Uint8Array.of(1))
    client.engine.closeChannel(channel, 200, "")
    client.engine.handshake(startOk)
    client.receive(
      concat([
        header(channel, 3),
        body(channel, Uint8Array.of(1, 2, 3)),
        frame(channel, deliver()),
        frame(77, deliver()),
        raw(1, 1, [9, 9, 9, 9]),
        raw(1, 1, []),
        raw(2, 1, []),
        frame(3, { _tag: "ConnectionCloseOk" }),
        frame(0, start),
        raw(8, 0, [])
      ]),
      single
    )
    assert.deepStrictEqual(client.drain(), [])
    assert.strictEqual(client.take().length, 0)
    client.receive(frame(0, { _tag: "ConnectionCloseOk" }))
    assert.deepStrictEqual(client.tags(), ["ConnectionCloseOk"])
  })

  it("tells a peer off only once: bad octets after its own close end it silently", () => {
    const { client } = connected()
    client.engine.close(200, "")
    client.take()
    client.receive(raw(7, 0, []))
    assertDead(client, undefined, "FrameType")
  })

  it("cuts a reply text that no shortstr holds, and refuses a code that no short holds", () => {
    const { client } = connected()
    assert.strictEqual(client.engine.close(70_000, "")?.reason, "Range")
    assert.isTrue(client.engine.isOpen)
    assert.strictEqual(client.take().length, 0)
    client.engine.close(200, `${"é".repeat(150)}\ud800`)
    assert.strictEqual(closeIn(client.take())?.replyText, "é".repeat(127))
  })

  it("says goodbye behind the bodies that wait", () => {
    const both = connected()
    const channel = openChannel(both)
    both.client.engine.sendContent(channel, publish("k"), {}, pattern(40_000))
    both.client.engine.close(200, "")
    settle(both.client, both.server)
    assert.deepStrictEqual(both.server.tags(), ["BasicPublish", "Closed"])
    assert.deepStrictEqual(both.client.tags(), ["ConnectionCloseOk"])
  })

  it("answers a close at once, without the bodies that wait", () => {
    const both = connected()
    const channel = openChannel(both)
    both.client.engine.sendContent(channel, publish("k"), {}, pattern(40_000))
    both.client.engine.close(200, "")
    both.server.engine.close(320, "")
    both.client.receive(both.server.take())
    assert.deepStrictEqual(both.client.drain(), [])
    const first = both.client.take()
    assert.deepStrictEqual(
      framesOf(first).filter((each) => each._tag === "MethodFrame").map((each) => each.method._tag),
      ["BasicPublish", "ConnectionCloseOk", "ConnectionClose"]
    )
    both.server.receive(first)
    assert.deepStrictEqual(both.server.tags(), ["ConnectionCloseOk"])

    const other = connected()
    other.client.engine.sendContent(openChannel(other), publish("k"), {}, pattern(40_000))
    other.server.engine.close(320, "")
    other.client.receive(other.server.take())
    assert.isBelow(other.client.engine.output.unflushed, 200)
    other.server.receive(other.client.take())
    assert.deepStrictEqual(other.server.tags(), ["ConnectionCloseOk"])
  })

  for (const first of ["client", "server"] as const) {
    it(`closes a channel from the ${first}, and drops what comes meanwhile`, () => {
      const both = connected()
      const channel = openChannel(both)
      const side = both[first]
      const other = first === "client" ? both.server : both.client
      side.engine.closeChannel(channel, 406, "no", 60, 40)
      side.engine.closeChannel(channel, 406, "again")
      assert.isFalse(side.engine.isChannelOpen(channel))
      const content = first === "client" ? deliver() : publish("k")
      side.receive(concat([
        frame(channel, content),
        header(channel, 2),
        body(channel, Uint8Array.of(1, 2, 3)),
        raw(1, channel, [9, 9, 9, 9]),
        frame(channel, { _tag: "BasicAck", deliveryTag: 1, multiple: false })
      ]))
      assert.deepStrictEqual(side.drain(), [])
      settle(both.client, both.server, single)
      assert.deepStrictEqual(other.drain(), [{
        _tag: "ChannelClosed",
        channel,
        close: { _tag: "ChannelClose", replyCode: 406, replyText: "no", classId: 60, methodId: 40 }
      }])
      assert.deepStrictEqual(side.drain(), [{ _tag: "Method", channel, method: { _tag: "ChannelCloseOk" } }])
      assert.strictEqual(openChannel(both), channel)
    })
  }

  it("closes a channel from both sides at once", () => {
    const both = connected()
    const channel = openChannel(both)
    both.client.engine.closeChannel(channel, 200, "")
    both.server.engine.closeChannel(channel, 406, "")
    settle(both.client, both.server, single)
    assert.deepStrictEqual(both.client.tags(), ["ChannelCloseOk"])
    assert.deepStrictEqual(both.server.tags(), ["ChannelCloseOk"])
    assert.strictEqual(openChannel(both), channel)
  })

  it("sends nothing on a channel that the peer has closed: the answer to it would end the connection", () => {
    const both = connected()
    const channel = openChannel(both)
    both.server.engine.closeChannel(channel, 406, "")
    both.client.receive(both.server.take())
    both.client.take()
    assert.isUndefined(both.client.engine.send(channel, { _tag: "BasicAck", deliveryTag: 1, multiple: false }))
    assert.isUndefined(both.client.engine.sendContent(channel, publish("k"), {}, pattern(20_000)))
    assert.isUndefined(both.client.engine.sendContent(0, publish("k"), {}, pattern(20_000)))
    assert.strictEqual(both.client.take().length, 0)
  })

  it("takes nothing but open-ok and close on a channel that is being opened", () => {
    for (const answer of ["ok", "close", "early"] as const) {
      const { client } = connected()
      const channel = client.engine.openChannel()!
      client.take()
      if (answer === "early") {
        client.receive(frame(channel, { _tag: "BasicQosOk" }))
        assertDead(client, 503, "Command")
      } else if (answer === "close") {
        client.receive(frame(channel, { ...closeMethod(541), _tag: "ChannelClose" }))
        assert.deepStrictEqual(client.tags(), ["ChannelClosed"])
        assert.strictEqual(client.engine.openChannel(), channel)
      } else {
        client.receive(frame(channel, { _tag: "ChannelOpenOk" }))
        assert.deepStrictEqual(client.tags(), ["ChannelOpenOk"])
      }
    }
  })
})

describe("Engine, channel numbers", () => {
  it("gives the lowest free number, again only after both close-oks, and none above channel-max", () => {
    const both = connected({ tuning: { channelMax: 3 } })
    const { client } = both
    assert.deepStrictEqual([openChannel(both), openChannel(both), openChannel(both)], [1, 2, 3])
    assert.isUndefined(client.engine.openChannel())
    client.engine.closeChannel(2, 200, "")
    assert.isUndefined(client.engine.openChannel())
    settle(client, both.server)
    assert.strictEqual(openChannel(both), 2)
  })

  it("has 65,535 channels where neither side has a limit", () => {
    const { client } = connected({ tuning: { channelMax: 0 } })
    for (let channel = 1; channel <= 65535; channel++) assert.strictEqual(client.engine.openChannel(), channel)
    assert.isUndefined(client.engine.openChannel())
  })

  it("leaks nothing over 100,000 openings and closings by either side", () => {
    const both = connected({ tuning: { channelMax: 8 } })
    const { client, server } = both
    const sizes: Array<number> = []
    for (let cycle = 0; cycle < 100_000; cycle++) {
      const channel = client.engine.openChannel()
      if (channel !== 1) assert.fail(`cycle ${cycle} got channel ${channel}`)
      server.receive(client.take())
      client.receive(server.take())
      const side = cycle % 2 === 0 ? client : server
      side.engine.closeChannel(channel, 200, "")
      server.receive(client.take())
      client.receive(server.take())
      server.receive(client.take())
      client.drain()
      server.drain()
      client.writes.length = 0
      server.writes.length = 0
      if (cycle === 1000 || cycle === 99_999) sizes.push(Object.keys(client.engine["channels"]).length)
    }
    assert.deepStrictEqual(sizes, [1, 1])
    assert.isFalse(client.engine.isDead || server.engine.isDead)
  })
})

describe("Engine, content", () => {
  for (const [name, cut] of Object.entries(cuts)) {
    for (const size of [0, 1, 4087, 4088, 4089, 16_383, 16_384, 16_385, 50_000]) {
      it(`takes a body of ${size} octets across, bytes ${name}`, () => {
        const both = connected()
        const channel = openChannel(both)
        both.client.engine.sendContent(channel, publish("k"), { contentType: "t", headers: { n: 1 } }, pattern(size))
        settle(both.client, both.server, cut)
        const [report, ...rest] = contents(both.server)
        assert.isDefined(report)
        assert.deepStrictEqual(rest, [])
        assert.deepStrictEqual(report?.properties, { contentType: "t", headers: { n: 1 } })
        assert.deepStrictEqual(report?.method, publish("k"))
        assert.deepStrictEqual(report?.body, pattern(size))
      })
    }
  }

  it("has the same octets for a body by reference as for one that is copied, and none for an empty one", () => {
    for (const frameMax of [4096, 131072]) {
      for (const size of [0, 5, 16_383, 16_384, 200_000]) {
        const { client, ...rest } = connected({ tuning: { frameMax } })
        const channel = openChannel({ client, ...rest })
        client.engine.sendContent(channel, publish("k"), {}, pattern(size))
        const expected = [frame(channel, publish("k")), header(channel, size)]
        for (let at = 0; at < size; at += frameMax - 8) {
          expected.push(body(channel, pattern(size).subarray(at, at + frameMax - 8)))
        }
        assert.deepStrictEqual(client.take(), concat(expected))
      }
    }
  })

  it("takes contents of many channels that interleave frame by frame", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.array(FastCheck.integer({ min: 0, max: 30 }), { maxLength: 4 }), {
          minLength: 1,
          maxLength: 5
        }),
        FastCheck.infiniteStream(FastCheck.nat(4)),
        FastCheck.integer({ min: 1, max: 30 }),
        (channels, choices, cut) => {
          const both: Both = connected()
          const { client } = both
          const queues = channels.map((sizes) => {
            const channel = openChannel(both)
            return sizes.flatMap((size, index) => {
              const bytes = pattern(size, channel * 50 + index)
              const pieces = [frame(channel, deliver(index + 1)), header(channel, size)]
              for (let at = 0; at < size; at += 7) pieces.push(body(channel, bytes.subarray(at, at + 7)))
              return pieces
            })
          })
          const stream: Array<Uint8Array> = []
          while (queues.some((queue) => queue.length > 0)) {
            const next = queues[choices.next().value! % queues.length]?.shift()
            if (next !== undefined) stream.push(next, raw(8, 0, []))
          }
          client.receive(concat(stream), () => cut)
          const seen = contents(client)
          for (const [index, sizes] of channels.entries()) {
            const mine = seen.filter((report) => report.channel === index + 1)
            assert.deepStrictEqual(
              mine.map((report) => report.body),
              sizes.map((size, nth) => pattern(size, (index + 1) * 50 + nth))
            )
          }
        }
      ),
      { numRuns: 60 }
    )
  })

  it("keeps a body where it is: later reads change nothing of it", () => {
    const both = connected()
    const channel = openChannel(both)
    const stream = concat(
      Array.from(
        { length: 200 },
        (_, index) =>
          concat([frame(channel, deliver(index + 1)), header(channel, 100), body(channel, pattern(100, index))])
      )
    )
    both.client.receive(stream, () => 333)
    for (const [index, report] of contents(both.client).entries()) {
      assert.deepStrictEqual(report.body, pattern(100, index))
    }
  })

  it("ignores empty body frames on the way, and takes a close of the connection inside a content", () => {
    const both = connected()
    const channel = openChannel(both)
    const { client } = both
    client.receive(concat([
      frame(channel, deliver()),
      header(channel, 2),
      raw(3, channel, []),
      body(channel, Uint8Array.of(1)),
      raw(3, channel, []),
      body(channel, Uint8Array.of(2))
    ]))
    assert.deepStrictEqual(contents(client)[0]?.body, Uint8Array.of(1, 2))
    client.receive(concat([frame(channel, deliver()), header(channel, 2)]))
    both.server.engine.close(320, "")
    client.receive(both.server.take())
    assert.deepStrictEqual(client.tags(), ["Closed"])
  })

  it("ends the connection (506) for a message above the client's limit, before its body", () => {
    const both = connected({ maxMessageSize: 100 })
    const channel = openChannel(both)
    both.client.receive(concat([frame(channel, deliver()), header(channel, 100), body(channel, pattern(100))]))
    assert.lengthOf(contents(both.client), 1)
    both.client.receive(concat([frame(channel, deliver()), header(channel, 101)]))
    assertDead(both.client, 506, "MessageSize")
  })

  it("tells a server of a message above its limit, drops its body, and goes on with the next", () => {
    for (const closes of [false, true]) {
      const both = connected({ maxMessageSize: 5000 })
      const channel = openChannel(both)
      const { client, server } = both
      const script = server.script
      server.script = (report) => {
        if (report._tag === "TooLarge" && closes) server.engine.closeChannel(channel, 406, "too large", 60, 40)
        script?.(report)
      }
      client.engine.sendContent(channel, publish("large"), {}, pattern(12_000))
      client.engine.sendContent(channel, publish("small"), {}, pattern(10))
      settle(client, server, () => 1000)
      assert.deepStrictEqual(
        server.tags(),
        closes ? ["TooLarge", "ChannelCloseOk"] : ["TooLarge", "BasicPublish"]
      )
      assert.deepStrictEqual(client.tags(), closes ? ["ChannelClosed"] : [])
    }
  })

  it("takes memory for what has arrived, not for what was announced", () => {
    const both = connected({ maxMessageSize: 1 << 30 })
    const channel = openChannel(both)
    const { client } = both
    client.receive(concat([frame(channel, deliver()), header(channel, 1 << 30)]))
    const [one, many] = [body(channel, pattern(1)), body(channel, pattern(4000))]
    Allocation.reset()
    client.receive(one)
    assert.isBelow(Allocation.allocated().bytes, 64)
    for (let sent = 1; sent < 300_000; sent += 4000) client.receive(many, () => 1500)
    assert.isBelow(Allocation.allocated().bytes, 300_000 * 18)
    assert.isBelow(Allocation.allocated().count, 12)
  })
})

describe("Engine, values that no octets express", () => {
  it("leaves the output as it was, and goes on", () => {
    const both = connected()
    const channel = openChannel(both)
    const { engine } = both.client
    engine.send(channel, { _tag: "TxSelect" })
    const before = engine.output.unflushed
    const long = "x".repeat(256)
    assert.strictEqual(engine.send(channel, { ...publish(long) })?.reason, "Length")
    assert.strictEqual(engine.sendContent(channel, publish(long), {}, pattern(5))?.reason, "Length")
    assert.strictEqual(
      engine.sendContent(channel, publish("k"), { correlationId: long }, pattern(5))?.reason,
      "Length"
    )
    assert.strictEqual(
      engine.sendContent(channel, publish("k"), { headers: { long: "x".repeat(5000) } }, pattern(5))?.reason,
      "FrameSize"
    )
    assert.strictEqual(engine.output.unflushed, before)
    engine.sendContent(channel, publish("k"), {}, pattern(5))
    settle(both.client, both.server)
    assert.deepStrictEqual(both.server.tags(), ["TxSelect", "BasicPublish"])
  })

  it("leaves what waits behind a large body as it was, too", () => {
    const both = connected()
    const channel = openChannel(both)
    const { engine } = both.client
    engine.sendContent(channel, publish("large"), {}, pattern(30_000))
    const before = engine.output.unflushed
    assert.strictEqual(
      engine.sendContent(channel, publish("k"), { correlationId: "x".repeat(256) }, pattern(5))?.reason,
      "Length"
    )
    assert.strictEqual(engine.output.unflushed, before)
    engine.sendContent(channel, publish("small"), {}, pattern(5))
    settle(both.client, both.server)
    assert.deepStrictEqual(
      both.server.drain().map((report) => report._tag === "Content" ? report.body.length : report._tag),
      [30_000, 5]
    )
  })

  it("keeps the phase of a handshake whose answer could not be written", () => {
    const client = new Side("client")
    client.engine.start()
    client.receive(frame(0, start))
    client.take()
    assert.strictEqual(client.engine.handshake({ ...startOk, mechanism: "x".repeat(256) })?.reason, "Length")
    client.engine.handshake(startOk)
    client.receive(frame(0, { _tag: "ConnectionTune", channelMax: 0, frameMax: 0, heartbeat: 0 }))
    assert.deepStrictEqual(client.tags(), ["ConnectionStart", "ConnectionTune"])
  })
})

describe("Engine, heartbeats", () => {
  it("sends one after half an interval without sending, and none before", () => {
    const client = at10s()
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), 5000)
    assert.isTrue(client.engine.heartbeats.tick(4999))
    assert.strictEqual(client.take().length, 0)
    client.engine.heartbeats.sent(3000)
    assert.isTrue(client.engine.heartbeats.tick(5000))
    assert.strictEqual(client.take().length, 0)
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), 8000)
    assert.isTrue(client.engine.heartbeats.tick(8000))
    assert.deepStrictEqual(client.take(), Frame.heartbeat)
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), 13_000)
  })

  it("takes the peer for dead after two silent intervals", () => {
    const client = at10s()
    assert.isTrue(client.engine.heartbeats.tick(19_999))
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), 20_000)
    assert.isFalse(client.engine.heartbeats.tick(20_000))
  })

  it("counts any octet as a sign of life", () => {
    const client = at10s()
    client.now = 15_000
    client.receive(Uint8Array.of(8))
    assert.isTrue(client.engine.heartbeats.tick(34_999))
    assert.isFalse(client.engine.heartbeats.tick(35_000))
    client.now = 35_000
    client.receive(Uint8Array.of(0, 0, 0, 0, 0, 0, 0xce))
    assert.isTrue(client.engine.heartbeats.tick(54_999))
  })

  it("takes a payload for a sign of life while a sixteenth of it comes within two intervals", () => {
    const client = at10s()
    client.receive(Uint8Array.of(1, 0, 1, 0, 0, 0, 160))
    for (const now of [19_000, 38_000]) {
      client.now = now
      client.receive(new Uint8Array(10))
      assert.isTrue(client.engine.heartbeats.tick(now + 19_999))
    }
    assert.isFalse(client.engine.heartbeats.tick(58_000))
  })

  it("does not take heartbeats that a frame with too large a size swallows for a sign of life", () => {
    const client = at10s()
    client.receive(Uint8Array.of(1, 0, 1, 0, 0, 15, 0, 1))
    for (let now = 5000; now < 20_000; now += 5000) {
      client.now = now
      client.receive(Frame.heartbeat)
    }
    assert.isFalse(client.engine.heartbeats.tick(20_000))
  })

  it("does not judge the peer's silence while it does not read, and goes on sending", () => {
    const client = at10s()
    client.engine.heartbeats.pauseReading()
    assert.isTrue(client.engine.heartbeats.tick(100_000))
    assert.deepStrictEqual(client.take(), Frame.heartbeat)
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), 105_000)
    client.engine.heartbeats.resumeReading(110_000)
    assert.isTrue(client.engine.heartbeats.tick(129_999))
    assert.isFalse(client.engine.heartbeats.tick(130_000))
  })

  it("gives the peer a little more time after a clock that stood still", () => {
    const client = at10s()
    client.engine.heartbeats.forgive(60_000)
    assert.isTrue(client.engine.heartbeats.tick(60_000))
    assert.isTrue(client.engine.heartbeats.tick(60_099))
    assert.isFalse(client.engine.heartbeats.tick(60_100))
    client.now = 60_100
    client.receive(Frame.heartbeat)
    client.engine.heartbeats.forgive(60_200)
    assert.isTrue(client.engine.heartbeats.tick(80_099))
  })

  it("has no deadline with heartbeats off, and sends none", () => {
    const { client } = connected({ tuning: { heartbeat: 0 } })
    assert.strictEqual(client.engine.heartbeats.nextDeadline(), Infinity)
    assert.isTrue(client.engine.heartbeats.tick(1e12))
    assert.strictEqual(client.take().length, 0)
  })

  it("goes ahead of a large body, as do methods of other channels; those of its own channel stay behind", () => {
    const both = connected({ tuning: { heartbeat: 10 } })
    const first = openChannel(both)
    const second = openChannel(both)
    const { client } = both
    client.engine.heartbeats.touch(0)
    client.engine.sendContent(first, publish("large"), {}, pattern(3_000_000))
    const written: Array<Uint8Array> = []
    const flush = () =>
      client.engine.output.flush({
        write: (bytes) => {
          written.push(bytes.slice())
          return true
        }
      })
    flush()
    client.engine.send(first, { _tag: "TxCommit" })
    client.engine.send(second, { _tag: "TxSelect" })
    client.engine.heartbeats.tick(5000)
    const before = framesOf(concat(written)).length
    assert.isBelow(before, 300)
    while (client.engine.output.unflushed > 0) flush()
    const order = framesOf(concat(written)).map((each) => each._tag === "MethodFrame" ? each.method._tag : each._tag)
    assert.deepStrictEqual(order.slice(before, before + 2), ["TxSelect", "HeartbeatFrame"])
    assert.strictEqual(order.at(-1), "TxCommit")
    assert.strictEqual(order.filter((tag) => tag === "BodyFrame").length, Math.ceil(3_000_000 / 4088))
  })
})
