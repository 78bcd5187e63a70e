/** What a broker answers to what no well-behaved client says, and goes on. */
import { FieldTable, Frame } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import type { Case } from "./talk.ts"
import { ack, confirm, consume, declare, get, one, publish, qos, said, tests, two } from "./talk.ts"
import * as Wire from "./wire.ts"

const wire = "1 queue.declare-ok {\"queue\":\"wire\",\"messageCount\":0,\"consumerCount\":0}"
const binding = { queue: "wi\nre", exchange: "amq.di\rrect", routingKey: "wire", arguments: {} }

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
  [
    "access.request of an older client: it gets a ticket",
    said({
      _tag: "AccessRequest",
      realm: "/data",
      exclusive: false,
      passive: true,
      active: true,
      write: true,
      read: true
    }),
    ["1 access.request-ok {\"ticket\":1}", "1 channel.close-ok"]
  ],
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
  ["a name with line ends: they are not part of it", said(declare({ queue: "wi\r\nre" }), declare({ passive: true })), [
    wire,
    wire,
    "1 channel.close-ok"
  ]],
  ["a name of line ends only: that is none, and the broker makes one up", said(declare({ queue: "\r\n" })), [
    "1 queue.declare-ok {\"queue\":\"amq.gen-…\",\"messageCount\":0,\"consumerCount\":0}",
    "1 channel.close-ok"
  ]],
  [
    "a name with line ends, bound, unbound and deleted",
    said(
      declare(),
      { ...binding, _tag: "QueueBind", noWait: false },
      publish({ exchange: "amq.direct" }),
      ...one,
      { ...binding, _tag: "QueueUnbind" },
      { _tag: "QueueDelete", queue: "wire\n", ifEmpty: false, ifUnused: false, noWait: false }
    ),
    [wire, "1 queue.bind-ok", "1 queue.unbind-ok", "1 queue.delete-ok {\"messageCount\":1}", "1 channel.close-ok"]
  ],
  ...([["get", { ...get, queue: "wi\nre" }, "60.70"], ["consumer", consume({ queue: "wi\nre" }), "60.20"], [
    "purge",
    { _tag: "QueuePurge", queue: "wi\nre", noWait: false },
    "50.30"
  ]] as const).map(([what, method, ids]): Case => [
    `a name with line ends in a ${what}: there they are part of it`,
    said(declare(), method),
    [wire, `1 channel.close 404 NOT_FOUND - no queue 'wi\nre' in vhost VHOST (${ids})`]
  ]),
  [
    "a new secret",
    (wire) =>
      Effect.zipRight(
        wire.send({ _tag: "ConnectionUpdateSecret", newSecret: Uint8Array.of(1), reason: "why not" }),
        wire.until("0 ")
      ),
    ["0 connection.update-secret-ok"]
  ],
  [
    "channel.open above channel_max",
    (wire) => Effect.zipRight(wire.send(Wire.on(5000, { _tag: "ChannelOpen" })), wire.until("5000 ")),
    ["5000 channel.open-ok"]
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

export const conversations = (it: It): void => tests(it, answers)
