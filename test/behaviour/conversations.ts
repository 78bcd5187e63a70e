/** What a broker answers to what no well-behaved client says, frame by frame. */
import { assert } from "@effect/vitest"
import { FieldTable, Frame, type Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { Place } from "./place.ts"
import * as Wire from "./wire.ts"

type Talk = (wire: Wire.Wire, vhost: string) => Effect.Effect<ReadonlyArray<string>>

const declare = (options: Partial<Method.QueueDeclare> = {}): Method.QueueDeclare => ({
  _tag: "QueueDeclare",
  queue: "wire",
  passive: false,
  durable: false,
  exclusive: true,
  autoDelete: false,
  noWait: false,
  arguments: {},
  ...options
})

const publish = (options: Partial<Method.BasicPublish> = {}): Method.BasicPublish => ({
  _tag: "BasicPublish",
  exchange: "",
  routingKey: "wire",
  mandatory: false,
  immediate: false,
  ...options
})

const consume = (options: Partial<Method.BasicConsume> = {}): Method.BasicConsume => ({
  _tag: "BasicConsume",
  queue: "wire",
  consumerTag: "mine",
  noLocal: false,
  noAck: false,
  exclusive: false,
  noWait: false,
  arguments: {},
  ...options
})

const ack = (deliveryTag: number, multiple = false): Method.Method => ({ _tag: "BasicAck", deliveryTag, multiple })
const get: Method.Method = { _tag: "BasicGet", queue: "wire", noAck: false }
const closeChannel: Method.Method = { _tag: "ChannelClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 }
const closeConnection: Method.Method = { ...closeChannel, _tag: "ConnectionClose" }
const qos = (prefetchCount: number, global = false, prefetchSize = 0): Method.Method => ({
  _tag: "BasicQos",
  prefetchSize,
  prefetchCount,
  global
})
const confirm: Method.Method = { _tag: "ConfirmSelect", noWait: false }

type Sent = ReadonlyArray<Frame.Frame | Method.Method | Uint8Array>

/** Sends all, then asks to close the channel: what came before the answer is what the broker had to say. */
const said = (...frames: Sent): Talk => (wire) =>
  Effect.zipRight(
    Effect.zipRight(wire.send(...frames), wire.send(closeChannel)),
    wire.until("1 channel.close")
  )

/** Sends all, and waits for the end of the connection, which the broker is to bring about. */
const ends = (...frames: Sent): Talk => (wire) =>
  Effect.gen(function*() {
    yield* wire.send(...frames)
    const seen = yield* wire.until("0 connection.close")
    yield* wire.send({ _tag: "ConnectionCloseOk" })
    return seen.concat(yield* wire.rest)
  })

const one = Wire.content("1")
const two = [publish(), ...Wire.content("1"), publish(), ...Wire.content("2")]

/**
 * What RabbitMQ 3.10.8 answers; and the embedded broker, where it differs on purpose. It says in its own words where frames
 * are wrong, with the codes of the specification (501 for a frame, 502 for its contents) where RabbitMQ's are another's;
 * it names the fault that ends a handshake, where RabbitMQ hangs up; and it takes no channel above the agreed limit.
 */
type Case = readonly [
  title: string,
  talk: Talk,
  expected: ReadonlyArray<string>,
  embedded?: ReadonlyArray<string>
]

const expectedOf = (kind: "embedded" | "rabbitmq", [, , expected, embedded = expected]: Case): ReadonlyArray<string> =>
  kind === "embedded" ? embedded : expected

/** On a connection with channel 1, which outlives them. */
const answers: ReadonlyArray<Case> = [
  ["an ack of a tag that was never given", said(ack(7)), [
    "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 7 (60.80)"
  ]],
  [
    "a nack of a tag that was never given",
    said({ _tag: "BasicNack", deliveryTag: 7, multiple: false, requeue: true }),
    ["1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 7 (60.120)"]
  ],
  ["a reject of a tag that was never given", said({ _tag: "BasicReject", deliveryTag: 7, requeue: false }), [
    "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 7 (60.90)"
  ]],
  ["an ack of all up to a tag that was never given", said(ack(7, true)), [
    "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 7 (60.80)"
  ]],
  ["an ack of all when there is nothing", said(ack(0, true)), ["1 channel.close-ok"]],
  ["an ack of tag 0", said(ack(0)), ["1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 0 (60.80)"]],
  ["a second ack", said(declare(), ...two, get, ack(1), ack(1)), [
    "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
    "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 1 (60.80)"
  ]],
  ["an ack of all up to a settled tag", said(declare(), ...two, get, get, ack(1), ack(1, true)), [
    "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
    "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 basic.get-ok {\"deliveryTag\":2,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":0}",
    "1 header 1 {}",
    "1 body 2",
    "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 1 (60.80)"
  ]],
  [
    "an ack of all up to a settled tag, with others before",
    said(declare(), ...two, get, get, ack(2), ack(2, true)),
    [
      "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
      "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
      "1 header 1 {}",
      "1 body 1",
      "1 basic.get-ok {\"deliveryTag\":2,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":0}",
      "1 header 1 {}",
      "1 body 2",
      "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 2 (60.80)"
    ]
  ],
  [
    "a reject with requeue",
    said(declare(), ...two, get, { _tag: "BasicReject", deliveryTag: 1, requeue: true }, get),
    [
      "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
      "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
      "1 header 1 {}",
      "1 body 1",
      "1 basic.get-ok {\"deliveryTag\":2,\"redelivered\":true,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
      "1 header 1 {}",
      "1 body 1",
      "1 channel.close-ok"
    ]
  ],
  ["recover with requeue", said(declare(), ...two, get, get, { _tag: "BasicRecover", requeue: true }, get), [
    "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
    "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 basic.get-ok {\"deliveryTag\":2,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":0}",
    "1 header 1 {}",
    "1 body 2",
    "1 basic.recover-ok",
    "1 basic.get-ok {\"deliveryTag\":3,\"redelivered\":true,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 channel.close-ok"
  ]],
  ["recover-async with requeue", said(declare(), ...two, get, { _tag: "BasicRecoverAsync", requeue: true }, get), [
    "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
    "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 basic.get-ok {\"deliveryTag\":2,\"redelivered\":true,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":1}",
    "1 header 1 {}",
    "1 body 1",
    "1 channel.close-ok"
  ]],
  ["the cancel of a consumer that is not there", said({ _tag: "BasicCancel", consumerTag: "none", noWait: false }), [
    "1 basic.cancel-ok {\"consumerTag\":\"none\"}",
    "1 channel.close-ok"
  ]],
  ["a consumer of no queue", said(consume({ queue: "" })), [
    "1 channel.close 404 NOT_FOUND - no previously declared queue (60.20)"
  ]],
  ["a get from no queue", said({ _tag: "BasicGet", queue: "", noAck: true }), [
    "1 channel.close 404 NOT_FOUND - no previously declared queue (60.70)"
  ]],
  [
    "a bind of no queue",
    said({ _tag: "QueueBind", queue: "", exchange: "amq.direct", routingKey: "", noWait: false, arguments: {} }),
    ["1 channel.close 404 NOT_FOUND - no previously declared queue (50.20)"]
  ],
  ["a passive declaration of no queue", said(declare({ queue: "", passive: true })), [
    "1 channel.close 404 NOT_FOUND - no queue '' in vhost VHOST (50.10)"
  ]],
  [
    "a delete of no queue",
    said({ _tag: "QueueDelete", queue: "", ifEmpty: false, ifUnused: false, noWait: false }),
    ["1 channel.close 404 NOT_FOUND - no previously declared queue (50.40)"]
  ],
  ["flow, active", said({ _tag: "ChannelFlow", active: true }), [
    "1 channel.flow-ok {\"active\":true}",
    "1 channel.close-ok"
  ]],
  ["a prefetch", said(qos(1)), ["1 basic.qos-ok", "1 channel.close-ok"]],
  [
    "a mandatory message without a route, without confirms",
    said(publish({ routingKey: "nowhere", mandatory: true }), ...one),
    [
      "1 basic.return {\"replyCode\":312,\"replyText\":\"NO_ROUTE\",\"exchange\":\"\",\"routingKey\":\"nowhere\"}",
      "1 header 1 {}",
      "1 body 1",
      "1 channel.close-ok"
    ]
  ],
  [
    "a mandatory message without a route: the return comes before the confirm",
    said(confirm, publish({ routingKey: "nowhere", mandatory: true }), ...one),
    [
      "1 confirm.select-ok",
      "1 basic.return {\"replyCode\":312,\"replyText\":\"NO_ROUTE\",\"exchange\":\"\",\"routingKey\":\"nowhere\"}",
      "1 header 1 {}",
      "1 body 1",
      "1 basic.ack {\"deliveryTag\":1,\"multiple\":false}",
      "1 channel.close-ok"
    ]
  ],
  ["confirm.select twice", said(confirm, confirm), [
    "1 confirm.select-ok",
    "1 confirm.select-ok",
    "1 channel.close-ok"
  ]],
  ["a publish to a missing exchange", said(publish({ exchange: "none" }), ...one), [
    "1 channel.close 404 NOT_FOUND - no exchange 'none' in vhost VHOST (60.40)"
  ]],
  [
    "publishes after a fault are dropped",
    said(declare(), publish({ exchange: "none" }), ...one, publish(), ...one),
    [
      "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
      "1 channel.close 404 NOT_FOUND - no exchange 'none' in vhost VHOST (60.40)"
    ]
  ],
  ["declarations nobody waits for", said(declare({ noWait: true }), declare({ passive: true })), [
    "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
    "1 channel.close-ok"
  ]],
  ["a declaration nobody waits for that is refused", said(declare({ queue: "none", passive: true, noWait: true })), [
    "1 channel.close 404 NOT_FOUND - no queue 'none' in vhost VHOST (50.10)"
  ]],
  ["a heartbeat", said(Frame.heartbeat), ["1 channel.close-ok"]],
  [
    "channel.open above channel_max",
    (wire) =>
      Effect.zipRight(wire.send(Wire.on(5000, { _tag: "ChannelOpen" }), closeChannel), wire.until("1 channel.close")),
    ["5000 channel.open-ok", "1 channel.close-ok"],
    ["0 connection.close 504 channel.open at byte 0: channel 5000 is above channel-max 2047 (Channel) (20.10)"]
  ],
  [
    "a header table of another client's",
    said(declare(), publish(), ...Wire.content("1", { headers: { a: FieldTable.uint16(1) } }), get),
    [
      "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}",
      "1 basic.get-ok {\"deliveryTag\":1,\"redelivered\":false,\"exchange\":\"\",\"routingKey\":\"wire\",\"messageCount\":0}",
      "1 header 1 {\"headers\":{\"a\":1}}",
      "1 body 1",
      "1 channel.close-ok"
    ]
  ]
]

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
  ], ["0 connection.close 504 channel.open at byte 0: channel 1 is open already (Channel) (20.10)", "end"]],
  ["a method on a channel that is not open", ends(Wire.on(2, declare())), [
    "0 connection.close 504 CHANNEL_ERROR - expected 'channel.open' (50.10)",
    "end"
  ], ["0 connection.close 504 queue.declare at byte 0: channel 2 is not open (Channel) (50.10)", "end"]],
  ["a close of a channel that is not open", ends(Wire.on(2, closeChannel)), [
    "0 connection.close 504 CHANNEL_ERROR - expected 'channel.open' (20.40)",
    "end"
  ], ["0 connection.close 504 channel.close at byte 0: channel 2 is not open (Channel) (20.40)", "end"]],
  ["a close-ok that nothing asked for", ends({ _tag: "ChannelCloseOk" }), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (20.41)",
    "end"
  ], ["0 connection.close 503 channel.close-ok at byte 0: no channel.close was sent (Command) (20.41)", "end"]],
  ["channel.open on channel 0", ends(Wire.on(0, { _tag: "ChannelOpen" })), [
    "0 connection.close 504 CHANNEL_ERROR - unexpected method in connection state running (20.10)",
    "end"
  ], ["0 connection.close 503 channel.open at byte 0: channel.open came on channel 0 (Command) (20.10)", "end"]],
  ["a method of class connection on channel 1", ends(Wire.on(1, closeConnection)), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (10.50)",
    "end"
  ], [
    "0 connection.close 503 connection.close at byte 0: connection.close came on channel 1 (Command) (10.50)",
    "end"
  ]],
  ["a publish without its header", ends(publish(), declare()), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead (60.40)",
    "end"
  ], [
    "0 connection.close 505 queue.declare at byte 0: queue.declare came inside a content (Unexpected) (50.10)",
    "end"
  ]],
  ["a publish without its body", ends(publish(), one[0]!, declare()), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead (60.40)",
    "end"
  ], [
    "0 connection.close 505 queue.declare at byte 0: queue.declare came inside a content (Unexpected) (50.10)",
    "end"
  ]],
  ["a header without its method", ends(one[0]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead (0.0)",
    "end"
  ], [
    "0 connection.close 505 content header at byte 0: a content header frame without its method (Unexpected) (0.0)",
    "end"
  ]],
  ["a body without its method", ends(one[1]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead (0.0)",
    "end"
  ], [
    "0 connection.close 505 content body at byte 0: a content body frame without its method (Unexpected) (0.0)",
    "end"
  ]],
  ["a second header", ends(publish(), one[0]!, one[0]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead (60.40)",
    "end"
  ], ["0 connection.close 505 content header at byte 0: a second content header (Unexpected) (0.0)", "end"]],
  ["a body before its header", ends(publish(), one[1]!), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead (60.40)",
    "end"
  ], ["0 connection.close 505 content body at byte 0: a content body without its header (Unexpected) (0.0)", "end"]],
  ["a header of another class", ends(publish(), Wire.frame(2, 1, [0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), [
    "0 connection.close 505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead (60.40)",
    "end"
  ], ["0 connection.close 501 header.class at byte 0: only class basic has content (FrameType) (0.0)", "end"]],
  [
    "a header with octets left over",
    ends(publish(), Wire.frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])),
    ["0 connection.close 541 INTERNAL_ERROR (0.0)", "end"],
    ["0 connection.close 502 basic at byte 14: 1 octets after the last property (Trailing) (0.0)", "end"]
  ],
  ["a header that is cut short", ends(publish(), Wire.frame(2, 1, [0, 60, 0, 0, 0, 0])), [
    "0 connection.close 501 FRAME_ERROR - type 2, all octets = <<0,60,0,0,0,0>>: unknown_frame (0.0)",
    "end"
  ], ["0 connection.close 502 basic.bodySize at byte 4: needs 8 octets, 2 are left (Truncated) (0.0)", "end"]],
  ["a method that is cut short", ends(Wire.frame(1, 1, [0, 50, 0, 10, 0])), [
    "0 connection.close 501 FRAME_ERROR - cannot decode <<0>> (50.10)",
    "end"
  ], ["0 connection.close 502 queue.declare.reserved at byte 4: needs 2 octets, 1 are left (Truncated) (0.0)", "end"]],
  ["a method of the server's", ends({ _tag: "QueueDeclareOk", queue: "wire", messageCount: 0, consumerCount: 0 }), [
    "0 connection.close 503 COMMAND_INVALID - unimplemented method (50.11)",
    "end"
  ], [
    "0 connection.close 503 queue.declare-ok at byte 0: queue.declare-ok may not come to a server now (Command) (50.11)",
    "end"
  ]],
  ["an unknown type of frame", ends(Wire.frame(7, 1, [1, 2, 3])), [
    "0 connection.close 501 FRAME_ERROR - type 7, all octets = <<1,2,3>>: unknown_frame (0.0)",
    "end"
  ], [
    "0 connection.close 501 frame.type at byte 0: \\x07\\x00\\x01\\x00\\x00\\x00\\x03\\x01\\x02\\x03\\xce (FrameType) (0.0)",
    "end"
  ]],
  ["a frame with a wrong end", ends(Wire.frame(1, 1, [0, 20, 0, 10, 0], 0)), [
    "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0} (0.0)",
    "end"
  ], ["0 connection.close 501 frame.end at byte 12: 0x00 is not 0xce (FrameEnd) (0.0)", "end"]],
  ["a heartbeat on channel 1", ends(Wire.frame(8, 1, [])), [
    "0 connection.close 505 UNEXPECTED_FRAME - type 8, all octets = <<>> (0.0)",
    "end"
  ], ["0 connection.close 501 heartbeat at byte 0: a heartbeat belongs to channel 0 (FrameType) (0.0)", "end"]],
  ["the protocol header again", ends(Frame.protocolHeader), [
    "0 connection.close 501 FRAME_ERROR - type 65, all octets = <<>>: {frame_too_large,1342177289,131064} (0.0)",
    "end"
  ], ["0 connection.close 501 frame.type at byte 0: AMQP\\x00\\x00\\x09\\x01 (FrameType) (0.0)", "end"]],
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

const run = (talk: Talk, isIntroduced: boolean) =>
  Effect.gen(function*() {
    const { dial, vhost } = yield* Place
    const wire = yield* Wire.make(yield* dial)
    if (isIntroduced) yield* Wire.introduce(wire, vhost, { capabilities: { consumer_cancel_notify: true } })
    const seen = yield* talk(wire, vhost)
    // Whether a consume-ok comes before a fault that ends the connection is a matter of time on RabbitMQ.
    return seen.filter((line) => !line.includes("consume-ok")).map((line) => line.replaceAll(`'${vhost}'`, "VHOST"))
  })

/** RabbitMQ takes its time before it ends a pipe: these are all talked at once. */
const together = (cases: ReadonlyArray<Case>, isIntroduced: boolean) =>
  Effect.gen(function*() {
    const { kind } = yield* Place
    const seen = yield* Effect.forEach(cases, ([title, talk]) =>
      run(talk, isIntroduced).pipe(
        Effect.timeout("6 seconds"),
        Effect.catchAll(() => Effect.succeed(["nothing"])),
        Effect.scoped,
        Effect.map((lines) => [title, lines] as const)
      ), { concurrency: "unbounded" })
    assert.deepStrictEqual(
      Object.fromEntries(seen),
      Object.fromEntries(cases.map((each) => [each[0], expectedOf(kind, each)]))
    )
  })

export const conversations = (it: It): void => {
  for (const each of answers) {
    const [title, talk] = each
    it.scoped(`is answered: ${title}`, () =>
      Effect.gen(function*() {
        const seen = yield* run(talk, true)
        assert.deepStrictEqual(seen, expectedOf((yield* Place).kind, each))
      }))
  }
  it.scoped("a connection ends over what breaks the rules, with RabbitMQ's code and words", () =>
    together(endings, true))
  it.scoped("a handshake that breaks the rules ends with RabbitMQ's code and words", () => together(handshakes, false))
}
