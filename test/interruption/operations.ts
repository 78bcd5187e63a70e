/**
 * Every public operation of connections, channels, deliveries, publishers, consumers and pools, as something that can be
 * interrupted anywhere. A new one without a case here does not compile.
 */
import type { Pool, Transport } from "effect-amqp"
import {
  Channel,
  ChannelPool,
  Connection,
  ConnectionOptions,
  ConnectionPool,
  Consumer,
  Message,
  Publisher,
  Retry,
  Rpc,
  SimpleQueue,
  Topology
} from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** What operations are tried on. Before each try `queue` holds two messages, and `spare` is there, bound to nothing. */
export interface Ground {
  /** For connections of one's own. */
  readonly url: string
  readonly connection: Connection.Connection
  /** Whose deliveries, publishes and calls are interrupted; both windows hold two. */
  readonly plain: Channel.Channel
  readonly confirm: Channel.ConfirmChannel
  /** Where the broker knows transactions. */
  readonly tx: Channel.TxChannel | undefined
  readonly publishers: { readonly [G in Publisher.Guarantee]: Publisher.Publisher<string, G> }
  readonly queue: string
  readonly spare: string
  /** Of this try alone. */
  readonly fresh: string
}

export type Run = (
  ground: Ground
) => Effect.Effect<unknown, unknown, Scope.Scope | Connection.Connection | Transport.Transport>

export interface Case {
  readonly title: string
  readonly run: Run
  readonly rabbitOnly: boolean
}

/** One way to run it, or several by name; the one named `rabbitOnly` needs what the embedded broker does not know so far. */
type Runs = Run | { readonly [form: string]: Run }
type Members<T, Not extends keyof T = never> = { readonly [K in Exclude<keyof T, Not>]: Runs }

// --- Channels ---

type Pick = (ground: Ground) => Channel.ChannelBase

const some = { content: "x" }
const five = Array.from({ length: 5 }, (_, index) => `${index}`)
const to = ({ queue }: Ground) => ({ ...some, routingKey: queue })
const manyTo = (ground: Ground) => five.map((content) => ({ ...to(ground), content }))

/** Both messages of the queue, which go back when they were not settled. */
const withTwo =
  (pick: Pick, use: (deliveries: ReadonlyArray<Message.Delivery>) => Effect.Effect<unknown>): Run => (ground) => {
    const { get } = pick(ground)
    const take = Effect.flatten(
      Effect.map(get({ queue: ground.queue }), (one) => Effect.map(one, ({ delivery }) => delivery))
    )
    return Effect.flatMap(
      Effect.acquireRelease(
        Effect.all([take, take]),
        (all) => Effect.forEach(all, (delivery) => Effect.ignore(delivery.nackOrFail()))
      ),
      use
    )
  }

const acknowledged = Stream.runForEach((delivery: Message.Delivery) => delivery.ack)

const base = (pick: Pick): Members<Channel.ChannelBase> => ({
  queueDeclare: {
    "": (ground) => pick(ground).queueDeclare({ queue: ground.fresh, exclusive: true }),
    "of the broker's naming": (ground) => pick(ground).queueDeclare({ autoDelete: true }),
    passive: (ground) => pick(ground).queueDeclare({ queue: ground.queue, passive: true }),
    noWait: (ground) => pick(ground).queueDeclare({ queue: ground.fresh, exclusive: true, noWait: true }),
    refused: (ground) => Effect.flip(pick(ground).queueDeclare({ queue: "none", passive: true }))
  },
  queueBind: {
    "": (ground) => pick(ground).queueBind({ queue: ground.spare, exchange: "amq.topic" }),
    noWait: (ground) => pick(ground).queueBind({ queue: ground.spare, exchange: "amq.topic", noWait: true })
  },
  queueUnbind: (ground) => pick(ground).queueUnbind({ queue: ground.spare, exchange: "amq.topic" }),
  queuePurge: {
    "": (ground) => pick(ground).queuePurge(ground.queue),
    noWait: (ground) => pick(ground).queuePurge(ground.queue, { noWait: true })
  },
  queueDelete: {
    "": (ground) => pick(ground).queueDelete({ queue: ground.spare }),
    noWait: (ground) => pick(ground).queueDelete({ queue: ground.spare, noWait: true })
  },
  exchangeDeclare: {
    "": (ground) => pick(ground).exchangeDeclare({ exchange: "amq.topic", type: "topic" }),
    passive: (ground) => pick(ground).exchangeDeclare({ exchange: "amq.topic", passive: true }),
    noWait: (ground) => pick(ground).exchangeDeclare({ exchange: "amq.topic", type: "topic", noWait: true })
  },
  exchangeDelete: {
    "": (ground) => pick(ground).exchangeDelete({ exchange: "none" }),
    noWait: (ground) => pick(ground).exchangeDelete({ exchange: "none", noWait: true })
  },
  exchangeBind: {
    "": (ground) => pick(ground).exchangeBind({ source: "amq.topic", destination: "amq.fanout" })
  },
  exchangeUnbind: {
    "": (ground) => pick(ground).exchangeUnbind({ source: "amq.topic", destination: "amq.fanout" })
  },
  qos: {
    "": (ground) => pick(ground).qos({ prefetch: 10 }),
    global: (ground) => pick(ground).qos({ prefetch: 10, global: true })
  },
  flow: (ground) => pick(ground).flow(true),
  number: (ground) => pick(ground).number,
  returned: (ground) => Effect.raceFirst(Stream.runDrain(pick(ground).returned), Effect.repeatN(Effect.yieldNow(), 5)),
  consume: {
    "": (ground) => pick(ground).consume({ queue: ground.queue }).pipe(Stream.take(2), acknowledged),
    "one at a time": (ground) =>
      pick(ground).consume({ queue: ground.queue, batch: 1, prefetch: 1 }).pipe(Stream.take(1), acknowledged),
    noAck: (ground) => Stream.runDrain(Stream.take(pick(ground).consume({ queue: ground.queue, noAck: true }), 2)),
    "that is asked for again": (ground) =>
      pick(ground).consume({ queue: ground.queue, onCancel: "reconsume" }).pipe(Stream.take(2), acknowledged),
    "whose handler fails": (ground) =>
      Effect.flip(Stream.runForEach(pick(ground).consume({ queue: ground.queue }), () => Effect.fail("no"))),
    noWait: (ground) => pick(ground).consume({ queue: ground.queue, noWait: true }).pipe(Stream.take(2), acknowledged),
    refused: (ground) => Effect.flip(Stream.runDrain(pick(ground).consume({ queue: "none" })))
  },
  get: {
    // Between the get and whatever uses it there is no place to be interrupted at.
    "": (ground) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          Effect.flatten(restore(pick(ground).get({ queue: ground.queue }))),
          ({ delivery }) => delivery.ack
        )
      ),
    noAck: (ground) => pick(ground).get({ queue: ground.queue, noAck: true }),
    "of nothing": (ground) => pick(ground).get({ queue: ground.spare })
  },
  ackAll: {
    "": (ground) => withTwo(pick, (deliveries) => pick(ground).ackAll(deliveries))(ground),
    "of everything": (ground) => withTwo(pick, () => pick(ground).ackAll())(ground)
  },
  nackAll: {
    "": (ground) => withTwo(pick, (deliveries) => pick(ground).nackAll(deliveries))(ground),
    "of everything": (ground) => withTwo(pick, () => pick(ground).nackAll(undefined, { requeue: false }))(ground)
  },
  recover: (ground) => withTwo(pick, () => Effect.orDie(pick(ground).recover))(ground)
})

const confirmBase = base(({ confirm }) => confirm)

const confirmChannel: Members<Channel.ConfirmChannel, "mode" | keyof Channel.ChannelBase> = {
  publish: {
    "": (ground) => ground.confirm.publish(to(ground)),
    "that comes back": (ground) => Effect.flip(ground.confirm.publish({ ...some, routingKey: "none", mandatory: true }))
  },
  publishAll: (ground) => ground.confirm.publishAll(manyTo(ground)),
  offer: (ground) => Effect.forEach(manyTo(ground), ground.confirm.offer),
  drain: (ground) => Effect.zipRight(Effect.forEach(manyTo(ground), ground.confirm.offer), ground.confirm.drain),
  unconfirmed: (ground) => ground.confirm.unconfirmed
}

const plainChannel: Members<Channel.Channel, "mode" | keyof Channel.ChannelBase> = {
  publish: (ground) => ground.plain.publish(to(ground)),
  publishAll: (ground) => ground.plain.publishAll(manyTo(ground))
}

const transaction = (
  { tx }: Ground,
  use: (transaction: Channel.Transaction, channel: Channel.TxChannel) => Effect.Effect<unknown, unknown, Scope.Scope>
) => tx === undefined ? Effect.dieMessage("no transactions") : tx.transaction((transaction) => use(transaction, tx))

const txChannel: Members<Channel.TxChannel, "mode" | keyof Channel.ChannelBase> & Members<Channel.Transaction> = {
  publish: { rabbitOnly: (ground) => transaction(ground, ({ publish }) => publish(to(ground))) },
  publishAll: { rabbitOnly: (ground) => transaction(ground, ({ publishAll }) => publishAll(manyTo(ground))) },
  transaction: {
    rabbitOnly: (ground) =>
      transaction(ground, ({ publishAll }, tx) =>
        Effect.gen(function*() {
          yield* publishAll(manyTo(ground))
          const taken = yield* Effect.acquireRelease(
            Effect.flatten(tx.get({ queue: ground.queue })),
            // Where the transaction was rolled back, its message goes back in one of its own.
            ({ delivery }) => Effect.ignore(tx.transaction(() => delivery.nackOrFail()))
          )
          yield* taken.delivery.ack
        }))
  }
}

const rollback: { readonly rollback: Runs } = {
  rollback: {
    rabbitOnly: (ground) =>
      Effect.flip(
        transaction(ground, ({ publishAll }) => Effect.zipRight(publishAll(manyTo(ground)), Effect.fail("no")))
      )
  }
}

const another = ({ url }: Ground) => Connection.make({ url })
const tags = ["Channel", "ConfirmChannel", "TxChannel"] as const

const channelModule: Members<typeof Channel, (typeof tags)[number]> = {
  make: {
    "": () => Channel.make({ prefetch: 1 }),
    "with a number": () => Channel.make({ number: 77 })
  },
  makeConfirm: {
    "": () => Channel.makeConfirm({ window: 1 }),
    noWait: () => Channel.makeConfirm({ noWait: true })
  },
  // It outlives its first use: on a connection that does not.
  shared: (ground) =>
    Effect.flatMap(another(ground), (connection) =>
      Effect.provideService(
        Effect.flatMap(Channel.shared, ({ queueDeclare }) => queueDeclare({ queue: ground.fresh, exclusive: true })),
        Connection.Connection,
        connection
      )),
  makeTx: { rabbitOnly: () => Channel.makeTx() },
  queueExists: {
    "": ({ queue }) => Channel.queueExists(queue),
    "of none": () => Channel.queueExists("none")
  },
  exchangeExists: {
    "": () => Channel.exchangeExists("amq.topic"),
    "of none": () => Channel.exchangeExists("none")
  },
  layer: () => Layer.build(Channel.layer()),
  layerConfirm: () => Layer.build(Channel.layerConfirm()),
  layerTx: { rabbitOnly: () => Layer.build(Channel.layerTx()) }
}

type Data =
  | "content"
  | "text"
  | "properties"
  | "exchange"
  | "routingKey"
  | "redelivered"
  | "deliveryTag"
  | "consumerTag"

const settling = (settle: (delivery: Message.Delivery) => Effect.Effect<unknown, unknown>) =>
  withTwo(({ plain }) => plain, (deliveries) => Effect.orDie(Effect.forEach(deliveries, settle)))

const delivery: Members<Message.Delivery, Data> = {
  ack: settling((each) => each.ack),
  ackOrFail: settling((each) => each.ackOrFail),
  nack: settling((each) => each.nack()),
  nackOrFail: settling((each) => each.nackOrFail({ requeue: false })),
  reject: settling((each) => each.reject())
}

// --- Connections ---

const config = ({ url }: Ground) => Config.sync(() => Either.getOrThrow(ConnectionOptions.resolve({ url })))

const connectionModule: Members<typeof Connection, "TypeId" | "Connection"> = {
  make: another,
  makeConfig: (ground) => Connection.makeConfig(config(ground)),
  layer: ({ url }) => Layer.build(Connection.layer({ url })),
  layerConfig: (ground) => Layer.build(Connection.layerConfig(config(ground))),
  ensure: {
    "": (ground) => Connection.ensure(ground.confirm.publish(to(ground))),
    "of what fails at first": () => {
      let count = 0
      return Connection.ensure(Effect.suspend(() => count++ < 2 ? Effect.fail("once more") : Effect.void), {
        schedule: Schedule.recurs(3),
        while: () => true
      })
    }
  },
  ensureConnection: () => Connection.ensureConnection()
}

const connection: Members<Connection.Connection, typeof Connection.TypeId | "core"> = {
  state: ({ connection }) => connection.state,
  changes: ({ connection }) => Stream.runHead(connection.changes),
  recoveries: ({ connection }) =>
    Effect.raceFirst(Stream.runHead(connection.recoveries), Effect.repeatN(Effect.yieldNow(), 5)),
  info: ({ connection }) => connection.info,
  isOpen: ({ connection }) => connection.isOpen,
  ready: {
    "": ({ connection }) => connection.ready(),
    "of a lazy one": ({ url }) => Effect.flatMap(Connection.make({ url, lazy: true }), (own) => own.ready())
  },
  silence: ({ connection }) => connection.silence,
  pause: (ground) => Effect.flatMap(another(ground), (own) => own.pause),
  resume: (ground) => Effect.flatMap(another(ground), (own) => Effect.all([own.pause, own.resume, own.ready()])),
  reconnectNow: (ground) => Effect.flatMap(another(ground), (own) => Effect.zipRight(own.reconnectNow, own.ready())),
  switchEndpoint: {
    "": (ground) => Effect.flatMap(another(ground), (own) => own.switchEndpoint(ground.url)),
    "from a delay": (ground) =>
      Effect.flatMap(another(ground), (own) => Effect.zipRight(own.pause, own.switchEndpoint(ground.url)))
  },
  clone: ({ connection }) => connection.clone({ name: "clone" }),
  drainEvents: {
    "": ({ connection, queue }) =>
      Effect.all([connection.drainEvents(), Channel.queueExists(queue)], { concurrency: 2 }),
    "without a wait": ({ connection }) => Effect.ignore(connection.drainEvents({ timeout: "0 seconds" }))
  },
  isClosed: ({ connection }) => connection.isClosed,
  closed: {
    "": ({ connection }) => Effect.raceFirst(connection.closed, Effect.repeatN(Effect.yieldNow(), 5)),
    "of one that closes": (ground) =>
      Effect.flatMap(another(ground), ({ close, closed }) => Effect.all([closed, close()], { concurrency: 2 }))
  },
  updateSecret: { rabbitOnly: ({ connection }) => connection.updateSecret(Redacted.make("guest"), "rotated") },
  close: (ground) => Effect.flatMap(another(ground), ({ close }) => close())
}

// --- Topology ---

const topology = ({ fresh, queue }: Ground): Topology.Topology => ({
  exchanges: [{ exchange: "amq.topic", type: "topic" }],
  queues: [{ queue: fresh, exclusive: true }, { queue, exclusive: true }],
  bindings: [{ queue: fresh, exchange: "amq.topic" }, { source: "amq.topic", destination: "amq.fanout" }]
})

const topologyModule: Members<typeof Topology, "show"> = {
  declare: (ground) => Topology.declare(topology(ground)),
  layer: (ground) => Layer.build(Topology.layer(topology(ground))),
  plan: (ground) => Topology.plan(topology(ground))
}

// --- Publishers and consumers ---

const publisher = <G extends Publisher.Guarantee>(
  guarantee: G
): Members<Publisher.Publisher<string, G>, typeof Publisher.TypeId | "guarantee"> => {
  const run = (
    use: (publisher: AnyPublisher) => Effect.Effect<unknown, unknown>
  ): Run =>
  ({ publishers }) => use(publishers[guarantee])
  return {
    publish: run(({ publish }) => publish("x")),
    publishAll: run(({ publishAll }) => publishAll(five)),
    sink: run(({ sink }) => Stream.run(Stream.fromIterable(five), sink))
  }
}

interface AnyPublisher {
  readonly publish: (value: string) => Effect.Effect<unknown, unknown>
  readonly publishAll: (values: Iterable<string>) => Effect.Effect<unknown, unknown>
  readonly sink: Publisher.Publisher<string, Publisher.Guarantee>["sink"]
}

const publisherModule: Members<typeof Publisher, "TypeId"> = {
  make: () => Publisher.make({ content: Message.text, guarantee: "at-least-once" })
}

/** A consumer that never ends by itself, until it has handled both messages. */
const until = (
  consume: (
    queue: string,
    handler: () => Effect.Effect<unknown>
  ) => Effect.Effect<never, unknown, Connection.Connection>
): Run =>
({ queue }) =>
  Effect.flatMap(Deferred.make<void>(), (done) => {
    let handled = 0
    const consumer = consume(queue, () =>
      Effect.suspend(() => ++handled < 2 ? Effect.void : Deferred.succeed(done, undefined)))
    return Effect.raceFirst(consumer, Deferred.await(done))
  })

const running = (options: Partial<Consumer.RunOptions<string>>): Run =>
  until((queue, handler) => Consumer.run({ queue, content: Message.text, ...options }, handler))

const consumerModule: Members<typeof Consumer> = {
  run: {
    "": running({}),
    concurrently: running({ concurrency: 2 }),
    "in order": running({ concurrency: 2, ordered: true })
  },
  runNoAck: until((queue, handler) => Consumer.runNoAck({ queue, content: Message.text }, handler)),
  stream: ({ queue }) =>
    Consumer.stream({ queue, content: Message.text }).pipe(
      Stream.take(2),
      Stream.runForEach(({ delivery }) => delivery.ack)
    )
}

// --- Pools ---

const aPool = { limit: 2, preconnect: 1 }

const channelPool =
  (use: (pool: ChannelPool.ChannelPool, ground: Ground) => Effect.Effect<unknown, unknown, Scope.Scope>): Run =>
  (ground) => Effect.flatMap(ChannelPool.make(aPool), (pool) => use(pool, ground))

const connectionPool =
  (use: (pool: ConnectionPool.ConnectionPool) => Effect.Effect<unknown, unknown, Scope.Scope>): Run => ({ url }) =>
    Effect.flatMap(ConnectionPool.make({ url, ...aPool }), use)

/** What all pools do; each is the try's own, so that what is left of it would be seen at the broker. */
const poolMembers = <A>(
  pooled: (use: (pool: Pool.Pool<A, unknown>) => Effect.Effect<unknown, unknown, Scope.Scope>) => Run
): Members<Pool.Pool<A, unknown>> => ({
  get: {
    "": pooled((pool) => Effect.all([pool.get(), pool.get()])),
    "while others wait": pooled((pool) =>
      Effect.forEach([1, 2, 3, 4, 5], () => Effect.scoped(pool.get()), { concurrency: "unbounded" })
    ),
    "in its time": pooled((pool) => pool.get({ timeout: "1 minute" })),
    "without waiting": pooled((pool) => pool.get({ wait: false }))
  },
  use: pooled((pool) =>
    Effect.forEach([1, 2, 3], () => pool.use(() => Effect.yieldNow()), { concurrency: "unbounded" })
  ),
  replace: pooled((pool) => Effect.zipRight(Effect.flatMap(pool.get(), pool.replace), pool.get())),
  grow: pooled((pool) => pool.grow(1, { connect: true })),
  resize: {
    "": pooled((pool) => pool.resize(1)),
    "by force": pooled((pool) => Effect.zipRight(Effect.all([pool.get(), pool.get()]), pool.resize(1, { force: true })))
  },
  stats: pooled((pool) => pool.stats),
  closeAll: {
    "": pooled((pool) => pool.closeAll),
    "while one is borrowed": pooled((pool) =>
      Effect.flatMap(Effect.fork(pool.use(() => Effect.repeatN(Effect.yieldNow(), 5))), () => pool.closeAll)
    )
  },
  forceCloseAll: {
    "": pooled((pool) => Effect.zipRight(pool.get(), pool.forceCloseAll())),
    "but for the pool": pooled((pool) =>
      Effect.zipRight(pool.get(), Effect.zipRight(pool.forceCloseAll({ closePool: false }), pool.get()))
    )
  }
})

const channelPoolMembers: Members<ChannelPool.ChannelPool, typeof ChannelPool.TypeId | keyof Pool.Pool<never, never>> =
  {
    publish: {
      "": channelPool((pool, ground) => pool.publish(to(ground))),
      "of many": channelPool((pool, ground) =>
        Effect.forEach(manyTo(ground), (message) => pool.publish(message), { concurrency: "unbounded" })
      ),
      "while all are borrowed": channelPool((pool, ground) =>
        Effect.all([
          Effect.scoped(Effect.zipRight(Effect.all([pool.get(), pool.get()]), Effect.repeatN(Effect.yieldNow(), 5))),
          pool.publish(to(ground))
        ], { concurrency: 2 })
      )
    },
    publishAll: channelPool((pool, ground) => pool.publishAll(manyTo(ground)))
  }

const connectionPoolMembers: Members<
  ConnectionPool.ConnectionPool,
  typeof ConnectionPool.TypeId | keyof Pool.Pool<never, never>
> = {
  ensure: connectionPool((pool) => pool.ensure(Effect.scoped(Channel.make())))
}

const channelPoolModule: Members<typeof ChannelPool, "TypeId" | "ChannelPool"> = {
  make: () => ChannelPool.make(aPool),
  makeOver: ({ connection }) => ChannelPool.makeOver([connection, connection], aPool),
  layer: () => Layer.build(ChannelPool.layer(aPool))
}

const connectionPoolModule: Members<typeof ConnectionPool, "TypeId" | "ConnectionPool"> = {
  make: ({ url }) => ConnectionPool.make({ url, ...aPool }),
  makeWith: (ground) => ConnectionPool.makeWith(another(ground), aPool),
  fromConnection: (ground) => Effect.flatMap(another(ground), ConnectionPool.fromConnection),
  layer: ({ url }) => Layer.build(ConnectionPool.layer({ url, ...aPool })),
  layerConfig: (ground) => Layer.build(ConnectionPool.layerConfig(config(ground), aPool))
}

// --- Retry ladders ---

const ladderOf = (queue: string) => Retry.ladder({ queue, delays: ["1 millis"], parkingLot: `${queue}.parked` })

const retryModule: Members<typeof Retry, "ladder" | "attempts" | "delayed"> = {
  declare: ({ fresh }) => Retry.declare(ladderOf(fresh)),
  // There is no plugin here: it ends with a refusal.
  declareDelayed: ({ fresh }) => Effect.flip(Retry.declareDelayed({ exchange: fresh, type: "topic" })),
  onFailure: ({ queue, spare }) =>
    Effect.gen(function*() {
      const policy = yield* Retry.onFailure({ ...ladderOf(queue), steps: [{ queue: spare, delay: Duration.zero }] })
      const channel = yield* Channel.make()
      const { delivery } = yield* Effect.flatten(channel.get({ queue }))
      yield* Logger.withMinimumLogLevel(policy(Cause.empty, delivery), LogLevel.None)
    })
}

// --- Remote calls ---

/** With a server that answers whatever is in the queue. */
const calling = (
  use: (rpc: Rpc.Client, queue: string) => Effect.Effect<unknown, unknown>,
  options?: Rpc.ClientOptions
): Run =>
({ queue }) =>
  Effect.gen(function*() {
    yield* Effect.forkScoped(Rpc.serve({ queue }, Effect.succeed))
    yield* use(yield* Rpc.client(options), queue)
  })

const rpcModule: Members<typeof Rpc, "TypeId" | "Client" | "procedure"> = {
  client: {
    "": () => Rpc.client(),
    "with a queue of its own": () => Rpc.client({ replies: "queue" })
  },
  layer: () => Layer.build(Rpc.layer()),
  // It drops what is there already: nobody has asked for an answer.
  serve: ({ queue }) =>
    Effect.flatMap(
      Rpc.client(),
      (rpc) => Effect.raceFirst(Rpc.serve({ queue }, Effect.succeed), rpc.call({ routingKey: queue, content: "" }))
    )
}

const rpcClient: Members<Rpc.Client, typeof Rpc.TypeId> = {
  call: {
    "": calling((rpc, queue) => rpc.call({ routingKey: queue, content: "" })),
    "to nobody": calling((rpc) => Effect.flip(rpc.call({ routingKey: "none", content: "" }))),
    "through a queue of its own": calling((rpc, queue) => rpc.call({ routingKey: queue, content: "" }), {
      replies: "queue"
    })
  },
  ask: calling((rpc, queue) =>
    rpc.ask(Rpc.procedure({ queue, request: Message.text, response: Message.bytes }), "text")
  ),
  pending: calling((rpc) => rpc.pending)
}

// --- Simple queues ---

const simple = (
  use: (queue: SimpleQueue.SimpleQueue<string>) => Effect.Effect<unknown, unknown>
): Run =>
({ queue }) => Effect.flatMap(SimpleQueue.make({ queue }, { content: Message.text, queue: { exclusive: true } }), use)

const buffered = (
  use: (queue: SimpleQueue.SimpleQueue<string, unknown>) => Effect.Effect<unknown, unknown>
): Run =>
({ fresh }) => Effect.flatMap(SimpleQueue.buffer(fresh, { content: Message.text }), use)

const simpleQueueModule: Members<typeof SimpleQueue, "TypeId"> = {
  make: ({ fresh }) => SimpleQueue.make(fresh, { queue: { exclusive: true }, exchange: { autoDelete: true } }),
  buffer: ({ fresh }) => SimpleQueue.buffer(fresh)
}

const gone = Effect.repeatN(Effect.yieldNow(), 20)

const simpleQueue: Members<SimpleQueue.SimpleQueue<string>, typeof SimpleQueue.TypeId | "queue"> = {
  put: simple(({ put }) => put("3")),
  get: {
    "": simple(({ get }) => Effect.repeatN(get(), 1)),
    "that waits": buffered(({ get, put }) => Effect.all([get(), put("1")], { concurrency: 2 })),
    "that is given up": ({ spare }) =>
      Effect.flatMap(
        SimpleQueue.make({ queue: spare }, { queue: { exclusive: true } }),
        ({ get }) => Effect.raceFirst(get(), gone)
      )
  },
  getNoWait: simple(({ getNoWait }) => Effect.repeatN(getNoWait, 1)),
  size: simple(({ size }) => size),
  clear: simple(({ clear }) => clear),
  close: simple(({ close, get }) => Effect.zipRight(get(), close))
}

// --- All of them ---

const forms = (subject: string, members: { readonly [name: string]: Runs }): ReadonlyArray<Case> =>
  Object.entries(members).flatMap(([name, runs]) =>
    Object.entries(typeof runs === "function" ? { "": runs } : runs).map(([form, run]) => {
      const rabbitOnly = form === "rabbitOnly"
      return { title: `${subject}.${name}${rabbitOnly || form === "" ? "" : ` ${form}`}`, run, rabbitOnly }
    })
  )

export const cases: ReadonlyArray<Case> = [
  ...forms("Connection", connectionModule),
  ...forms("connection", connection),
  ...forms("Channel", channelModule),
  ...forms("confirmChannel", confirmBase),
  ...forms("confirmChannel", confirmChannel),
  ...forms("plainChannel", base(({ plain }) => plain)),
  ...forms("plainChannel", plainChannel),
  ...forms("txChannel", txChannel),
  ...forms("txChannel", rollback),
  ...forms("delivery", delivery),
  ...forms("Topology", topologyModule),
  ...forms("Publisher", publisherModule),
  ...forms("at most once", publisher("at-most-once")),
  ...forms("confirmed", publisher("confirmed")),
  ...forms("at least once", publisher("at-least-once")),
  ...forms("Consumer", consumerModule),
  ...forms("ChannelPool", channelPoolModule),
  ...forms("channelPool", poolMembers(channelPool)),
  ...forms("channelPool", channelPoolMembers),
  ...forms("ConnectionPool", connectionPoolModule),
  ...forms("connectionPool", poolMembers(connectionPool)),
  ...forms("connectionPool", connectionPoolMembers),
  ...forms("Retry", retryModule),
  ...forms("Rpc", rpcModule),
  ...forms("rpc", rpcClient),
  ...forms("SimpleQueue", simpleQueueModule),
  ...forms("simpleQueue", simpleQueue)
]
