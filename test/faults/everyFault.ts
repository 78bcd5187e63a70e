/**
 * One way to provoke each tag and each reason of `AmqpError`: a tag or a reason that is there and not here is a type error.
 */
import { assert } from "@effect/vitest"
import { AmqpError, type Transport } from "effect-amqp"
import {
  Arguments,
  Channel,
  ChannelPool,
  Connection,
  FieldTable,
  Frame,
  Message,
  type Method,
  Rpc
} from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { listenFault } from "../../src/node/internal/systemError.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import { connected, openOn, settle } from "../amqp091/scripted.ts"
import type { Peer, Peers } from "../harness/scriptedPeer.ts"

/** What a program on RabbitMQ is given: a channel, and a queue of its own connection. */
export interface OnRabbit {
  readonly connection: Connection.Connection
  readonly channel: Channel.ConfirmChannel
  readonly queue: string
  /** A further connection. */
  readonly connect: Effect.Effect<Connection.Connection, unknown, Scope.Scope>
}

type Provoked<R> = Effect.Effect<unknown, unknown, R>

export type Provocation =
  | { readonly on: "RabbitMQ"; readonly provoke: (given: OnRabbit) => Provoked<Scope.Scope> }
  | { readonly on: "a scripted peer"; readonly provoke: Provoked<Scope.Scope | Peers | Transport.Transport> }
  /** A test of this folder, by its title. */
  | { readonly on: "its own"; readonly file: string; readonly title: string }

type Instance<C> = C extends new(...args: never) => infer E ? (E extends { readonly _tag: string } ? E : never) : never
type Fault = { readonly [K in keyof typeof AmqpError]: Instance<(typeof AmqpError)[K]> }[keyof typeof AmqpError]
type Reasons<E> = E extends { readonly reason: infer R extends string } ? R : "without a reason"

export type Table = {
  readonly [Tag in Fault["_tag"]]: {
    readonly [Reason in Reasons<Extract<Fault, { readonly _tag: Tag }>>]: Provocation
  }
}

const rabbit = (provoke: (given: OnRabbit) => Provoked<Scope.Scope>): Provocation => ({ on: "RabbitMQ", provoke })
const peer = (provoke: Provoked<Scope.Scope | Peers | Transport.Transport>): Provocation => ({
  on: "a scripted peer",
  provoke
})
const own = (file: string, title: string): Provocation => ({ on: "its own", file, title })

/** What a plain call throws. */
const thrown = (run: () => unknown): Provocation => peer(Effect.flip(Effect.try({ try: run, catch: (error) => error })))

const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

/** A connection to the scripted peer, and a channel on it. */
const scripted = (options: Partial<Connection.Options> = {}) =>
  Effect.gen(function*() {
    const given = yield* connected({ reconnect: Schedule.spaced("1 minute"), ...options })
    const opening = yield* openOn(given.connection, Channel.makeConfirm())
    const number = yield* given.peer.openConfirmChannel
    return { ...given, number, channel: yield* Fiber.join(opening) }
  })

/** Why the connection is recovering. */
const lossOf = (connection: Connection.Connection) =>
  Effect.map(connection.state, (state) => state._tag === "Recovering" ? state.fault : assert.fail(state._tag))

/** The loss of a connection whose peer does this. */
const lossBy = (
  act: (peer: Peer, channel: number) => Effect.Effect<unknown>,
  options: Partial<Connection.Options> = {}
) =>
  Effect.gen(function*() {
    const { connection, number, peer } = yield* scripted(options)
    yield* act(peer, number)
    yield* settle
    return yield* lossOf(connection)
  })

/** The fault in frames that the peer sends. */
const frameFault = (act: (peer: Peer, channel: number) => Effect.Effect<unknown>) =>
  peer(Effect.map(lossBy(act), (loss) => loss._tag === "ConnectionLost" ? loss.cause : loss))

/** What a declare fails with when the peer closes the channel over it. */
const closedWith = (replyCode: number) =>
  peer(Effect.gen(function*() {
    const { channel, number, peer } = yield* scripted()
    const declaring = yield* Effect.fork(Effect.flip(channel.queueDeclare({ queue: "q" })))
    yield* peer.expect("QueueDeclare")
    yield* peer.send(number, { _tag: "ChannelClose", replyCode, replyText: "", classId: 50, methodId: 10 })
    return yield* Fiber.join(declaring)
  }))

/** What a call fails with that does not wait, after the peer did this. */
const notReady = (act: (peer: Peer) => Effect.Effect<unknown>) =>
  peer(Effect.gen(function*() {
    const { channel, peer } = yield* scripted({ whenDisconnected: "fail" })
    yield* act(peer)
    yield* settle
    return yield* Effect.flip(channel.publish({ content: "" }))
  }))

/** What becomes of a publish when the peer does this instead of confirming it. */
const unconfirmed = (act: (peer: Peer) => Effect.Effect<unknown>) =>
  peer(Effect.gen(function*() {
    const { channel, peer } = yield* scripted({ publishTimeout: "5 seconds" })
    const publishing = yield* Effect.fork(Effect.flip(channel.publish({ content: "" })))
    yield* peer.expect("BasicPublish")
    yield* act(peer)
    return yield* Fiber.join(publishing)
  }))

const deliver: Method.BasicDeliver = {
  _tag: "BasicDeliver",
  consumerTag: "c",
  deliveryTag: 1,
  redelivered: false,
  exchange: "",
  routingKey: "q"
}

/** What a caller is told by a server that reads requests so, and does this with them. */
const unserved = <A>(server: { readonly request: Message.Content<A> }, response: Effect.Effect<string>) =>
  rabbit(({ connection, queue }) =>
    on(
      connection,
      Effect.gen(function*() {
        yield* Effect.forkScoped(Rpc.serve({ ...server, queue }, () => response))
        const rpc = yield* Rpc.client()
        const asked = Rpc.procedure({ queue, request: Message.text, response: Message.text })
        return yield* Effect.flip(rpc.ask(asked, "one"))
      })
    )
  )

/** A body announced with `bodySize` octets, then one of three. */
const body = (bodySize: number) => (peer: Peer, channel: number) =>
  peer.frame(
    { _tag: "MethodFrame", channel, method: deliver },
    { _tag: "HeaderFrame", channel, bodySize, properties: {} },
    { _tag: "BodyFrame", channel, payload: new Uint8Array(3) }
  )

const overflow = peer(Effect.gen(function*() {
  const { channel, number, peer } = yield* scripted({ operationTimeout: "1 hour" })
  const consuming = yield* channel.consume({ queue: "q", consumerTag: "c", noAck: true }).pipe(
    Stream.runForEach(() => Effect.sleep("1 minute")),
    Effect.flip,
    Effect.fork
  )
  yield* peer.expect("BasicConsume")
  yield* peer.send(number, { _tag: "BasicConsumeOk", consumerTag: "c" })
  yield* peer.deliver(number, deliver, "first")
  yield* settle
  // An answer is awaited, so reading goes on.
  yield* Effect.fork(channel.queueDeclare({ queue: "slow" }))
  yield* settle
  for (let deliveryTag = 2; deliveryTag < 180; deliveryTag++) {
    yield* peer.deliver(number, { ...deliver, deliveryTag }, "x".repeat(100_000))
  }
  yield* TestClock.adjust("3 hours")
  return yield* Fiber.join(consuming)
}))

/** One delivery of the queue. */
const taken = ({ channel, queue }: OnRabbit, noAck = false) =>
  Effect.zipRight(
    channel.publish({ routingKey: queue, content: "" }),
    Effect.map(channel.get({ queue, noAck }), (got) => Option.getOrThrow(got).delivery)
  )

const cancelled = rabbit(({ channel, queue }) =>
  Effect.gen(function*() {
    const consuming = yield* Effect.fork(Effect.flip(Stream.runDrain(channel.consume({ queue }))))
    yield* Effect.repeat(channel.queueDeclare({ queue, passive: true }), {
      until: ({ consumerCount }) => consumerCount === 1
    })
    yield* channel.queueDelete({ queue })
    return yield* Fiber.join(consuming)
  })
)

const nacked = rabbit(({ channel }) =>
  Effect.gen(function*() {
    const full = Arguments.queue({ maxLength: 1, overflow: "reject-publish" })
    const { queue } = yield* channel.queueDeclare({ arguments: full })
    yield* channel.publish({ routingKey: queue, content: "" })
    return yield* Effect.flip(channel.publish({ routingKey: queue, content: "" }))
  })
)

/** What becomes of a pool of one channel. */
const pooled = (provoke: (pool: ChannelPool.ChannelPool) => Provoked<Scope.Scope>) =>
  rabbit(({ connection }) => Effect.flatMap(on(connection, ChannelPool.make({ limit: 1 })), provoke))

const nowhere = { routingKey: "nobody-has-this", mandatory: true, content: "" }
const json = Message.json(Schema.Struct({ n: Schema.Number }))
const decoding = (content: string | Uint8Array, properties = {}) =>
  peer(Effect.flip(json.decode({ content: Message.toBytes(content), properties })))

/** The bytes of a frame. */
const bytes = (type: number, payload: ReadonlyArray<number>, end = 0xce, size = payload.length) =>
  Uint8Array.of(type, 0, 1, size >>> 24, size >>> 16, size >>> 8, size, ...payload, end)
const pushed = (frame: Uint8Array) => thrown(() => Frame.makeDecoder().push(frame))
const table = (value: FieldTable.FieldTable) => thrown(() => FieldTable.encode(new ByteWriter(64), value))
const nested = (depth: number): FieldTable.FieldTable => depth === 0 ? {} : { in: nested(depth - 1) }

const notListening = (code: string) =>
  peer(Effect.succeed(
    new AmqpError.ListenError({ address: "0.0.0.0:1", ...listenFault(Object.assign(new Error(code), { code })) })
  ))

export const everyFault: Table = {
  ConnectError: {
    Refused: own("ConnectError.test.ts", "a port nobody listens on is Refused"),
    Timeout: own("ConnectError.test.ts", "a peer that accepts and says nothing is a Timeout, at its bound"),
    Dns: own("ConnectError.test.ts", "a host that does not resolve is Dns, and named"),
    Tls: own("ConnectError.test.ts", "a certificate that nobody trusts is Tls"),
    Auth: own("ConnectError.test.ts", "a wrong password is Auth, in the broker's words"),
    Credentials: own(
      "handshake.test.ts",
      "a token that cannot be had fails its attempt as Credentials, without its cause; the next one asks again"
    ),
    Discovery: peer(Effect.flip(Connection.make({ url: "memory://", failover: Effect.succeed([]) }))),
    Vhost: own("ConnectError.test.ts", "a virtual host that is not there is Vhost, and named"),
    Protocol: own("ConnectError.test.ts", "a peer that speaks HTTP is Protocol, and said to"),
    Capability: own("handshake.test.ts", "a server that lacks what is required is Capability, and says what"),
    Url: own("handshake.test.ts", "a wrong option is Url, before anything is dialled")
  },
  ConnectionLost: {
    Socket: peer(lossBy((peer) => peer.cut)),
    Heartbeat: peer(lossBy(() => TestClock.adjust("20 seconds"), { heartbeat: "10 seconds" })),
    BlockedTimeout: peer(lossBy(
      (peer) =>
        Effect.all([peer.send(0, { _tag: "ConnectionBlocked", reason: "" }), settle, TestClock.adjust("10 seconds")]),
      { blockedTimeout: "10 seconds" }
    )),
    FrameError: peer(lossBy((peer) => peer.text("nonsense"))),
    Left: peer(Effect.gen(function*() {
      const { channel, connection, peer } = yield* scripted()
      const purging = yield* Effect.fork(Effect.flip(channel.queuePurge("q")))
      yield* peer.expect("QueuePurge")
      yield* Effect.fork(connection.pause)
      yield* peer.goodbye
      return yield* Fiber.join(purging)
    }))
  },
  ConnectionClosed: {
    Peer: peer(
      lossBy((peer) =>
        peer.send(0, { _tag: "ConnectionClose", replyCode: 320, replyText: "", classId: 0, methodId: 0 })
      )
    ),
    Client: rabbit(({ channel, connection }) =>
      Effect.zipRight(connection.close(), Effect.flip(channel.queueDeclare()))
    ),
    Recovery: peer(Effect.gen(function*() {
      const { channel, peer } = yield* scripted({ reconnect: Schedule.stop })
      yield* peer.cut
      yield* settle
      return yield* Effect.flip(channel.queueDeclare())
    }))
  },
  ChannelError: {
    NotFound: rabbit(({ channel }) => Effect.flip(channel.queueDeclare({ queue: "none", passive: true }))),
    AccessRefused: rabbit(({ channel }) => Effect.flip(channel.exchangeDeclare({ exchange: "amq.mine" }))),
    PreconditionFailed: rabbit(({ channel }) =>
      Effect.flip(channel.exchangeDeclare({ exchange: "amq.topic", type: "fanout" }))
    ),
    ResourceLocked: rabbit(({ connect, queue }) =>
      Effect.flatMap(connect, (other) => Effect.flip(on(other, Channel.queueExists(queue))))
    ),
    // RabbitMQ says 406 to what is too large, and returns what has no route: these codes are other brokers'.
    ContentTooLarge: closedWith(311),
    NoRoute: closedWith(312),
    Other: closedWith(506),
    NoFreeChannels: rabbit(({ connection }) => Effect.flip(on(connection, Channel.make({ number: 1 })))),
    Refused: rabbit(({ channel }) => Effect.flip(channel.flow(false))),
    ReopenedTooOften: rabbit(({ channel }) =>
      Effect.repeat(Effect.flip(channel.queueDeclare({ queue: "none", passive: true })), {
        until: (fault) => fault._tag !== "ChannelError" || fault.reason !== "NotFound"
      })
    ),
    Closed: rabbit(({ connection }) =>
      Effect.flatMap(Effect.scoped(on(connection, Channel.make())), (channel) => Effect.flip(channel.queueDeclare()))
    )
  },
  OperationTimeout: {
    "without a reason": peer(Effect.gen(function*() {
      const { channel } = yield* scripted({ operationTimeout: "5 seconds" })
      const declaring = yield* Effect.fork(Effect.flip(channel.queueDeclare()))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      return yield* Fiber.join(declaring)
    }))
  },
  NotReady: {
    Blocked: notReady((peer) => peer.send(0, { _tag: "ConnectionBlocked", reason: "" })),
    Recovering: notReady((peer) => peer.cut),
    // Dialling again, with nobody who answers.
    Disconnected: notReady((peer) => Effect.all([peer.cut, settle, TestClock.adjust("1 minute")]))
  },
  PublishNacked: { "without a reason": nacked },
  PublishReturned: { "without a reason": rabbit(({ channel }) => Effect.flip(channel.publish(nowhere))) },
  PublishManyError: { "without a reason": rabbit(({ channel }) => Effect.flip(channel.publishAll([nowhere]))) },
  OutcomeUnknown: {
    Lost: unconfirmed((peer) => peer.cut),
    Timeout: unconfirmed(() => TestClock.adjust("5 seconds"))
  },
  RpcError: {
    Lost: rabbit(({ connection, queue }) =>
      on(
        connection,
        Effect.gen(function*() {
          const rpc = yield* Rpc.client()
          const calling = yield* Effect.fork(Effect.flip(rpc.call({ routingKey: queue, content: "" })))
          yield* Effect.repeatN(Effect.yieldNow(), 5)
          yield* connection.close()
          return yield* Fiber.join(calling)
        })
      )
    ),
    Failed: unserved({ request: Message.text }, Effect.die("no")),
    Refused: unserved({ request: Message.json(Schema.Number) }, Effect.succeed("never"))
  },
  ConsumerCancelled: {
    AckTimeout: own(
      "../amqp091/ackTimeout.test.ts",
      "from 4.3 on ends the consumer: ConsumerCancelled says AckTimeout; a late settlement does no harm"
    ),
    Other: cancelled
  },
  ConsumerOverflow: { "without a reason": overflow },
  SettleError: {
    Stale: rabbit((given) =>
      Effect.flatMap(
        taken(given),
        (delivery) => Effect.zipRight(given.channel.recover, Effect.flip(delivery.ackOrFail))
      )
    ),
    AlreadySettled: rabbit((given) =>
      Effect.flatMap(taken(given), (delivery) => Effect.zipRight(delivery.ack, Effect.flip(delivery.ackOrFail)))
    ),
    NoAck: rabbit((given) => Effect.flatMap(taken(given, true), (delivery) => Effect.flip(delivery.ackOrFail)))
  },
  ContentError: {
    ContentType: decoding("{}", { contentType: "text/plain" }),
    ContentEncoding: decoding("{}", { contentEncoding: "gzip" }),
    Text: decoding(Uint8Array.of(0xff)),
    Json: decoding("{"),
    Schema: decoding("{}"),
    Size: own(
      "../amqp091/Publisher.test.ts",
      "refuses a content above its limit before it is sent, alone or among many"
    )
  },
  PoolError: {
    Exhausted: pooled((pool) => Effect.zipRight(pool.get(), Effect.flip(pool.get({ wait: false })))),
    Timeout: pooled((pool) => Effect.zipRight(pool.get(), Effect.flip(pool.get({ timeout: "10 millis" })))),
    LimitExceeded: pooled((pool) => Effect.flip(pool.grow(2))),
    Released: pooled((pool) =>
      Effect.flatMap(Effect.scoped(pool.get()), (channel) => Effect.flip(channel.publish({ content: "" })))
    ),
    Closed: pooled((pool) => Effect.zipRight(pool.closeAll, Effect.flip(pool.get())))
  },
  ListenError: {
    AddressInUse: own("ListenError.test.ts", "on TCP: on a port that is taken, AddressInUse, and which it is"),
    // Who may listen where is the machine's choice, so the system's word for it is made up.
    Denied: notListening("EACCES"),
    Other: notListening("EADDRNOTAVAIL")
  },
  FrameError: {
    Truncated: pushed(bytes(1, [0, 10])),
    Trailing: pushed(bytes(1, [0, 10, 0, 51, 0])),
    FrameEnd: pushed(bytes(8, [], 0)),
    FrameType: pushed(bytes(9, [])),
    FrameSize: frameFault((peer) => peer.bytes(bytes(1, [], 0xce, 0x7fffffff))),
    UnknownMethod: pushed(bytes(1, [0, 99, 0, 1])),
    // basic.recover's neighbour, queue.unbind, with a table entry of type "z".
    FieldType: pushed(bytes(1, [0, 50, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0x61, 0x7a])),
    Depth: table(nested(40)),
    Entries: table(Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${index}`, 1]))),
    Range: table({ n: FieldTable.int8(300) }),
    Length: table({ ["x".repeat(256)]: 1 }),
    Value: table({ map: new Map() as never }),
    BodySize: frameFault(body(2)),
    MessageSize: frameFault(body(2 ** 50)),
    Unexpected: frameFault((peer, channel) => peer.frame({ _tag: "BodyFrame", channel, payload: new Uint8Array(3) })),
    Channel: frameFault((peer) => peer.send(9, { _tag: "BasicQosOk" })),
    Command: frameFault((peer, channel) => peer.send(channel, { _tag: "BasicQosOk" }))
  }
}
