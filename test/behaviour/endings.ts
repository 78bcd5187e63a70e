/** How a broker ends what broke the rules: connections, and handshakes. */
import { Frame, type Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import type { Case, Sent, Talk } from "./talk.ts"
import { closeChannel, closeConnection, consume, declare, ends, one, publish, qos, together } from "./talk.ts"
import * as Wire from "./wire.ts"

const emptyHeader = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

/** On a connection with channel 1, which ends with them. */
const endings: ReadonlyArray<Case> = [
  ["recover without requeue", ends({ _tag: "BasicRecover", requeue: false }), [
    "0 connection.close 540 NOT_IMPLEMENTED - requeue=false (60.110)",
    "end"
  ]],
  [
    "a consumer tag used twice",
    ends(declare({ queue: "wire-2" }), consume({ queue: "wire-2" }), consume({ queue: "wire-2" })),
    [
      "1 queue.declare-ok {\"queue\":\"wire-2\",\"messageCount\":0,\"consumerCount\":0}",
      "0 connection.close 530 NOT_ALLOWED - attempt to reuse consumer tag 'mine' (60.20)",
      "end"
    ]
  ],
  ["flow, inactive", ends({ _tag: "ChannelFlow", active: false }), [
    "0 connection.close 540 NOT_IMPLEMENTED - active=false (20.20)",
    "end"
  ]],
  ["a prefetch in bytes", ends(qos(0, false, 1)), [
    "0 connection.close 540 NOT_IMPLEMENTED - prefetch_size!=0 (1) (60.10)",
    "end"
  ]],
  ["immediate", ends(publish({ immediate: true }), ...one), [
    "0 connection.close 540 NOT_IMPLEMENTED - immediate=true (60.40)",
    "end"
  ]],
  ["channel.open on an open channel", ends({ _tag: "ChannelOpen" }), [
    "0 connection.close 504 CHANNEL_ERROR - second 'channel.open' seen (20.10)",
    "end"
  ]],
  ["a method on a channel that is not open", ends(Wire.on(2, declare())), [
    "0 connection.close 504 CHANNEL_ERROR - expected 'channel.open' (50.10)",
    "end"
  ]],
  ["a close of a channel that is not open", ends(Wire.on(2, closeChannel)), [
    "0 connection.close 504 CHANNEL_ERROR - expected 'channel.open' (20.40)",
    "end"
  ]],
  ["access.request-ok, which is a broker's to say", ends({ _tag: "AccessRequestOk", ticket: 1 }), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (30.11)",
    "end"
  ]],
  ["a close-ok that nothing asked for", ends({ _tag: "ChannelCloseOk" }), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (20.41)",
    "end"
  ]],
  ["channel.open on channel 0", ends(Wire.on(0, { _tag: "ChannelOpen" })), [
    "0 connection.close 504 CHANNEL_ERROR - unexpected method in connection state running (20.10)",
    "end"
  ]],
  ["a method of class connection on channel 1", ends(Wire.on(1, closeConnection)), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (10.50)",
    "end"
  ]],
  ["a publish without its header", ends(publish(), declare()), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead (60.40)",
    "end"
  ]],
  ["a publish without its body", ends(publish(), one[0]!, declare()), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead (60.40)",
    "end"
  ]],
  ["a header without its method", ends(one[0]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead (0.0)",
    "end"
  ]],
  ["a body without its method", ends(one[1]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead (0.0)",
    "end"
  ]],
  ["a second header", ends(publish(), one[0]!, one[0]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead (60.40)",
    "end"
  ]],
  ["a body before its header", ends(publish(), one[1]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead (60.40)",
    "end"
  ]],
  ["a header of another class", ends(publish(), Wire.frame(2, 1, [0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead (60.40)",
    "end"
  ]],
  [
    "a header with octets left over",
    ends(publish(), Wire.frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])),
    ["0 connection.close 541 INTERNAL_ERROR (0.0)", "end"],
    ["0 connection.close 502 basic at byte 14: 1 octets after the last property (Trailing) (0.0)", "end"]
  ],
  ["a header that is cut short", ends(publish(), Wire.frame(2, 1, [0, 60, 0, 0, 0, 0])), [
    "0 connection.close 501 FRAME_ERROR - type 2, all octets = <<0,60,0,0,0,0>>: unknown_frame (0.0)",
    "end"
  ]],
  ["a method that is cut short", ends(Wire.frame(1, 1, [0, 50, 0, 10, 0])), [
    "0 connection.close 501 FRAME_ERROR - cannot decode <<0>> (50.10)",
    "end"
  ]],
  ["a method of the server's", ends({ _tag: "QueueDeclareOk", queue: "wire", messageCount: 0, consumerCount: 0 }), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (50.11)",
    "end"
  ]],
  ["an unknown type of frame", ends(Wire.frame(7, 1, [1, 2, 3])), [
    "0 connection.close 501 FRAME_ERROR - type 7, all octets = <<1,2,3>>: unknown_frame (0.0)",
    "end"
  ]],
  ["a frame with a wrong end", ends(Wire.frame(1, 1, [0, 20, 0, 10, 0], 0)), [
    "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0} (0.0)",
    "end"
  ]],
  ["a header on channel 0", ends(Wire.frame(2, 0, emptyHeader)), [
    "0 connection.close 505 UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>> (0.0)",
    "end"
  ]],
  ["a body on channel 0", ends(Wire.frame(3, 0, [65, 34, 66])), [
    "0 connection.close 505 UNEXPECTED_FRAME - type 3, all octets = <<\"A\\\"B\">> (0.0)",
    "end"
  ]],
  ["a long body on channel 0", ends(Wire.frame(3, 0, Array.from({ length: 20 }, (_, index) => index))), [
    "0 connection.close 505 UNEXPECTED_FRAME - type 3, first 16 octets = <<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15>> (0.0)",
    "end"
  ]],
  ["a body on a channel that is not open", ends(Wire.frame(3, 2, [65])), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead (0.0)",
    "end"
  ]],
  ["a heartbeat with something in it", ends(Wire.frame(8, 0, [65])), [
    "0 connection.close 501 FRAME_ERROR - type 8, all octets = <<\"A\">>: unknown_frame (0.0)",
    "end"
  ]],
  ["a method of three octets", ends(Wire.frame(1, 1, [0, 50, 0])), [
    "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<0,50,0>>: unknown_frame (0.0)",
    "end"
  ]],
  ["a method with octets left over", ends(Wire.frame(1, 1, [0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9])), [
    "0 connection.close 501 FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,1,0,9>> (60.80)",
    "end"
  ]],
  ["a frame that is too large by nine octets", ends(Uint8Array.of(1, 0, 1, 0, 2, 0, 1)), [
    "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,131073,131064} (0.0)",
    "end"
  ]],
  ["a header with a weight", ends(publish(), Wire.frame(2, 1, [0, 60, 0, 1, ...emptyHeader.slice(4)])), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead (60.40)",
    "end"
  ]],
  ...(["ConnectionStartOk", "ConnectionTuneOk", "ConnectionOpen", "ConnectionBlocked"] as const).map((tag): Case => {
    const methods = {
      ConnectionStartOk: [Wire.startOk(), 11],
      ConnectionTuneOk: [Wire.tuneOk(), 31],
      ConnectionOpen: [Wire.open("/"), 40],
      ConnectionBlocked: [{ _tag: "ConnectionBlocked", reason: "no" }, 60]
    } as const
    const [method, id] = methods[tag]
    return [`${tag} on an open connection`, ends(method), [
      `0 connection.close 504 CHANNEL_ERROR - unexpected method in connection state running (10.${id})`,
      "end"
    ]]
  }),
  ...([["flow-ok", { _tag: "ChannelFlowOk", active: true }, "20.21"], [
    "cancel-ok",
    { _tag: "BasicCancelOk", consumerTag: "x" },
    "60.31"
  ]] as const).map(([name, method, ids]): Case => [`${name} that nothing asked for`, ends(method), [
    `0 connection.close 503 COMMAND_INVALID - unimplemented method (${ids})`,
    "end"
  ]]),
  ["a heartbeat on channel 1", ends(Wire.frame(8, 1, [])), [
    "0 connection.close 505 UNEXPECTED_FRAME - type 8, all octets = <<>> (0.0)",
    "end"
  ]],
  ["the protocol header again", ends(Frame.protocolHeader), [
    "0 connection.close 501 FRAME_ERROR - type 65, all octets = <<>>: {frame_too_large,1342177289,131064} (0.0)",
    "end"
  ]],
  ["connection.close", (wire) => Effect.zipRight(wire.send(closeConnection), wire.until("0 connection.close-ok")), [
    "0 connection.close-ok"
  ]],
  [
    "a method after connection.close",
    (wire) => Effect.zipRight(wire.send(closeConnection, declare()), wire.until("0 connection.close-ok")),
    ["0 connection.close-ok"]
  ],
  [
    "an exchange of an unknown type",
    ends({
      _tag: "ExchangeDeclare",
      exchange: "x",
      type: "no-such-type",
      passive: false,
      durable: false,
      autoDelete: false,
      internal: false,
      noWait: false,
      arguments: {}
    }),
    ["0 connection.close 503 COMMAND_INVALID - unknown exchange type 'no-such-type' (40.10)", "end"]
  ]
]

const hello = (...frames: Sent): Talk => (wire) => Effect.zipRight(wire.send(...frames), wire.rest)

/** What the broker says first. */
const greeting = (...header: ReadonlyArray<number>): Talk => (wire) =>
  Effect.zipRight(wire.send(Uint8Array.of(65, 77, 81, 80, ...header)), Effect.map(wire.next, (line) => [line]))

/** Ends of a handshake, each step sent when the one before was answered. */
const steps = (...all: ReadonlyArray<Sent[number]>): Talk => (wire) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    for (const each of all) {
      yield* wire.send(each)
      const line = yield* wire.next
      seen.push(line)
      if (line === "end") return seen
      if (line.startsWith("0 connection.close ")) {
        yield* wire.send({ _tag: "ConnectionCloseOk" })
        return seen.concat(yield* wire.rest)
      }
    }
    return seen.concat(yield* wire.rest)
  })

const header = Frame.protocolHeader
const tells = { authentication_failure_close: true }
/** Instead of a handshake. */
const handshakes: ReadonlyArray<Case> = [
  ["another version", hello(Uint8Array.of(65, 77, 81, 80, 0, 9, 9, 9)), ["AMQP 0-0-9-1", "end"]],
  ["0-9 with its version where 0-9-1 has it", hello(Uint8Array.of(65, 77, 81, 80, 0, 0, 9, 0)), [
    "AMQP 0-0-9-1",
    "end"
  ]],
  ["0-9 by its own header, which RabbitMQ takes for 0-9-1", greeting(1, 1, 0, 9), ["0 connection.start"]],
  // RabbitMQ 3.10 speaks it still; nobody else does.
  ["0-8", greeting(1, 1, 8, 0), ["0 connection.start"], ["AMQP 0-0-9-1"]],
  ["AMQP 1.0", hello(Uint8Array.of(65, 77, 81, 80, 0, 1, 0, 0)), ["AMQP 0-0-9-1", "end"]],
  ["HTTP", hello(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")), ["AMQP 0-0-9-1", "end"]],
  ["a frame instead of the header", hello(Frame.heartbeat), ["AMQP 0-0-9-1", "end"]],
  ["a wrong password", steps(header, Wire.startOk({ password: "wrong" })), ["0 connection.start", "end"]],
  [
    "a wrong password of a client that can be told",
    steps(header, Wire.startOk({ password: "wrong", capabilities: tells })),
    [
      "0 connection.start",
      "0 connection.close 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile. (0.0)",
      "end"
    ]
  ],
  ["an unknown user", steps(header, Wire.startOk({ user: "nobody", capabilities: tells })), [
    "0 connection.start",
    "0 connection.close 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile. (0.0)",
    "end"
  ]],
  ["an unknown mechanism", steps(header, Wire.startOk({ mechanism: "NONE", capabilities: tells })), [
    "0 connection.start",
    "end"
  ], [
    "0 connection.start",
    "0 connection.close 503 COMMAND_INVALID - unknown authentication mechanism 'NONE' (10.11)",
    "end"
  ]],
  [
    "a password that is no PLAIN response",
    steps(header, { ...Wire.startOk({ capabilities: tells }), response: Uint8Array.of(1) } as Method.Method),
    ["0 connection.start", "end"],
    [
      "0 connection.start",
      "0 connection.close 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile. (0.0)",
      "end"
    ]
  ],
  ["tune-ok first", steps(header, Wire.tuneOk()), ["0 connection.start", "end"], [
    "0 connection.start",
    "0 connection.close 503 connection.tune-ok at byte 0: connection.tune-ok came during the handshake (Command) (10.31)",
    "end"
  ]],
  ["open first", steps(header, Wire.open("/")), ["0 connection.start", "end"], [
    "0 connection.start",
    "0 connection.close 503 connection.open at byte 0: connection.open came during the handshake (Command) (10.40)",
    "end"
  ]],
  ["a channel during the handshake", steps(header, { _tag: "ChannelOpen" }), ["0 connection.start", "end"], [
    "0 connection.start",
    "0 connection.close 503 channel.open at byte 0: channel.open came during the handshake (Command) (20.10)",
    "end"
  ]],
  ["a goodbye during the handshake", steps(header, Wire.startOk(), closeConnection), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close-ok",
    "end"
  ]],
  ["start-ok twice", steps(header, Wire.startOk(), Wire.startOk()), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 503 connection.start-ok at byte 0: connection.start-ok came during the handshake (Command) (10.11)",
    "end"
  ]],
  ["open instead of tune-ok", steps(header, Wire.startOk(), Wire.open("/")), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 503 connection.open at byte 0: connection.open came during the handshake (Command) (10.40)",
    "end"
  ]],
  ["a frame_max too high", steps(header, Wire.startOk(), Wire.tuneOk(2047, 131073)), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 530 NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072) (10.31)",
    "end"
  ]],
  ["a frame_max too low", steps(header, Wire.startOk(), Wire.tuneOk(2047, 100)), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 530 NOT_ALLOWED - negotiated frame_max = 100 is lower than the minimum allowed value (4096) (10.31)",
    "end"
  ]],
  ["a channel_max too high", steps(header, Wire.startOk(), Wire.tuneOk(2048)), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 530 NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047) (10.31)",
    "end"
  ]],
  ["a channel_max without a limit", steps(header, Wire.startOk(), Wire.tuneOk(0)), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 530 NOT_ALLOWED - negotiated channel_max = no limit is higher than the maximum allowed value (2047) (10.31)",
    "end"
  ]],
  ["a frame_max without a limit", steps(header, Wire.startOk(), Wire.tuneOk(2047, 0)), [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "end"
  ], [
    "0 connection.start",
    "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}",
    "0 connection.close 530 NOT_ALLOWED - negotiated frame_max = no limit is higher than the maximum allowed value (131072) (10.31)",
    "end"
  ]],
  ["a missing virtual host", (wire) =>
    Effect.gen(function*() {
      yield* wire.send(header)
      yield* wire.next
      yield* wire.send(Wire.startOk())
      yield* wire.next
      return yield* ends(Wire.tuneOk(), Wire.open("missing"))(wire, "")
    }), ["0 connection.close 530 NOT_ALLOWED - vhost missing not found (10.40)", "end"]]
]

export const faults = (it: It): void => {
  it.scoped("a connection ends over what breaks the rules, with RabbitMQ's code and words", () =>
    together(endings, true))
  it.scoped("a handshake that breaks the rules ends with RabbitMQ's code and words", () => together(handshakes, false))
}
