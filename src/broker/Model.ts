/**
 * What every broker is made of: virtual hosts, exchanges, bindings, queues, consumers and users, with RabbitMQ's
 * semantics. It knows no protocol: what a message holds is opaque, a request that cannot be granted is answered with a
 * `Refusal`, and each face puts that into its own codes and words.
 *
 * Plain, synchronous and deterministic: no clock or timer of its own, no chance, no I/O. It is told the time, says when it
 * wants to be woken next, and does then what is due. Everything is in memory; what is durable survives the clients, not
 * the process.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import { Access } from "./internal/model/access.ts"
import { Alarms } from "./internal/model/alarms.ts"
import type { Queue as QueueImpl } from "./internal/model/queue.ts"
import { type Shared, VirtualHost as VirtualHostImpl } from "./internal/model/virtualHost.ts"
import type { QueueType, Refusal } from "./model/refusal.ts"

export * from "./model/refusal.ts"
export * from "./model/typed.ts"

/**
 * How an exchange chooses: by equal routing key, all, by pattern (`*` is one word, `#` any number of words), or by the
 * message's headers, which a binding's arguments are held against.
 *
 * Of those `x-match` says how: `all` must be there and equal, or `any` one of them; names that start with `x-` count only
 * with `all-with-x` and `any-with-x`. A `null` asks for no more than that the header be there. Default: `all`.
 *
 * @since 0.1.0
 * @category models
 */
export type ExchangeType = "direct" | "fanout" | "topic" | "headers"

/**
 * The extra arguments of a declaration or binding, by name. Values may be {@link Typed}. A declaration and what exists
 * are held against each other by value, whatever the type, but for floats, which are no integers; two bindings are one
 * only if types are the same too.
 *
 * @since 0.1.0
 * @category models
 */
export type Arguments = Readonly<Record<string, unknown>>

/**
 * A message as it was published, never changed and shared by all queues that took it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message<out C> {
  readonly exchange: string
  readonly routingKey: string
  /** Routed by these besides: a queue that several lead to takes it once. Default: none. */
  readonly furtherKeys?: ReadonlyArray<string> | undefined
  readonly persistent: boolean
  /** Of the body, in bytes. */
  readonly size: number
  /** Whole, from 0 on: the higher goes first in a queue with `x-max-priority`. Default: 0. */
  readonly priority?: number | undefined
  /** How long it may wait in a queue, in milliseconds. Default: as long as the queue lets it. */
  readonly expiration?: number | undefined
  /** The face's own. */
  readonly content: C
}

/**
 * A message and the queues, by name, that it was for when it was routed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Routed<out C> {
  readonly message: Message<C>
  readonly queues: ReadonlyArray<string>
}

/**
 * Why a message left a queue without having been processed: a client refused it, it waited too long, the queue was full,
 * or it came back too often.
 *
 * @since 0.1.0
 * @category models
 */
export type DeathReason = "rejected" | "expired" | "maxlen" | "delivery_limit"

/**
 * A message on its way from a queue to the queue's dead-letter exchange.
 *
 * @since 0.1.0
 * @category models
 */
export interface Death<out C> {
  /** As it was in the queue. */
  readonly message: Message<C>
  readonly reason: DeathReason
  readonly queue: string
  /** When, in milliseconds. */
  readonly time: number
  /** Where it goes. */
  readonly exchange: string
  /** With which routing key; `undefined`: with its own. */
  readonly routingKey: string | undefined
}

/**
 * What became of a message that died.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeadLetter<out C> {
  /** As it is published now: to the exchange and with the routing key of the death, and without an expiration. */
  readonly message: Message<C>
  /** Where and why it died so far, the latest first. It does not go where that would make it go round for ever. */
  readonly deaths: ReadonlyArray<{ readonly queue: string; readonly reason: string }>
}

/**
 * A message in one queue, handed out once. It stays unsettled, and with the client that got it, until one of the three
 * is called; each says whether it did something: not for an entry already settled, or handed out without
 * acknowledgement. After its queue is gone they only end the client's hold.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry<out C> {
  readonly queue: Queue
  readonly message: Message<C>
  /** Handed out before, and come back. */
  readonly redelivered: boolean
  /** How often it came back, in a quorum queue; others do not count. */
  readonly deliveryCount: number | undefined
  /** It was processed. */
  settle(): boolean
  /** It was refused for good: a dead letter, where the queue has an exchange for them. */
  discard(): boolean
  /**
   * Back to its place in the queue, as a new entry marked `redelivered`. A quorum queue takes it back before all others
   * if it has a delivery limit, which may be reached now, else behind them.
   */
  requeue(): boolean
}

/**
 * An exchange as it stands; `bindingCount` is how many bindings lead away from it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exchange {
  readonly name: string
  readonly type: ExchangeType
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly internal: boolean
  readonly arguments: Arguments
  readonly bindingCount: number
}

/**
 * A queue as it stands, to be read at any time. Of one that was deleted nothing is ready, and nobody consumes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue {
  readonly name: string
  readonly type: QueueType
  /** Never of an exclusive queue, whatever its declaration said. */
  readonly durable: boolean
  readonly exclusive: boolean
  readonly autoDelete: boolean
  readonly arguments: Arguments
  readonly readyCount: number
  readonly unsettledCount: number
  readonly consumerCount: number
}

/**
 * A place in a queue's round of consumers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Consumer {
  readonly queue: Queue
  /**
   * Asks for entries: to be called once after `subscribe`, when the client can be told of them, and each time credit
   * returned after `hasCredit` said no. More often does no harm. Entries may arrive before it returns.
   */
  resume(): void
  /** Ends it; what it got stays unsettled. An auto-delete queue goes with its last consumer. */
  cancel(): void
}

/**
 * What an exchange is declared with.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExchangeOptions {
  /** Default: false. */
  readonly durable?: boolean | undefined
  /** Goes when its last binding goes. Default: false. */
  readonly autoDelete?: boolean | undefined
  /** Clients may not publish to it. Default: false. */
  readonly internal?: boolean | undefined
  /**
   * Default: none. `alternate-exchange` names the exchange that gets what no binding of this one takes; it alone must be
   * the same when this one is declared again.
   */
  readonly arguments?: Arguments | undefined
}

/**
 * What a queue is declared with.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueOptions {
  /** Default: a new name, `amq.gen-…`. */
  readonly name?: string | undefined
  /** Default: false. */
  readonly durable?: boolean | undefined
  /** For this client, its parent and children alone, and gone with the eldest. Default: false. */
  readonly exclusive?: boolean | undefined
  /** Goes when its last consumer goes; one that never had any stays. Default: false. */
  readonly autoDelete?: boolean | undefined
  /**
   * Those of RabbitMQ, by its names and rules, which must be the same when it is declared again: `x-queue-type`;
   * `x-expires`, `x-message-ttl`; `x-max-length`, `x-max-length-bytes`, `x-overflow`; `x-dead-letter-exchange`,
   * `x-dead-letter-routing-key`; `x-max-priority`; `x-single-active-consumer`; for quorum queues `x-delivery-limit`.
   * Others are kept and mean nothing. Default: none.
   */
  readonly arguments?: Arguments | undefined
}

/**
 * When a queue is not to be deleted.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeleteQueueOptions {
  /** Refuse while it has consumers. Default: false. */
  readonly ifUnused?: boolean | undefined
  /** Refuse while it has ready messages. Default: false. */
  readonly ifEmpty?: boolean | undefined
}

/**
 * Which messages of an exchange a queue takes. Two with equal fields are one.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueBinding {
  readonly queue: string
  readonly exchange: string
  readonly routingKey: string
  /** Default: none. */
  readonly arguments?: Arguments | undefined
}

/**
 * Which messages of one exchange, `source`, another takes. Two with equal fields are one; a message that comes round in a
 * circle of them is routed by each exchange once.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExchangeBinding {
  readonly destination: string
  readonly source: string
  readonly routingKey: string
  /** Default: none. */
  readonly arguments?: Arguments | undefined
}

/**
 * A consumer to be. The three functions are called from within operations on the model, never one inside another's
 * `receive`; they may call the model.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubscribeOptions<in C> {
  readonly queue: string
  /** Refuse any other consumer; a quorum queue does not care. Default: false. */
  readonly exclusive?: boolean | undefined
  /** Those of the highest that have credit take turns, the others get nothing meanwhile. Default: 0. */
  readonly priority?: number | undefined
  /** Entries are settled as they are handed out. Default: false. */
  readonly noAck?: boolean | undefined
  /** Asked before each entry; after a `false` not again until `resume`. */
  readonly hasCredit: () => boolean
  readonly receive: (entry: Entry<C>) => void
  /** The queue was deleted, and the consumer with it. Not called for `cancel` and `release`. */
  readonly onCancelled: () => void
}

/**
 * Somebody at work in a virtual host: who may use which exclusive queue, and who holds which consumers and unsettled
 * entries. A child shares its parent's rights and is released with it, or alone.
 *
 * Permissions are asked for at each call: to declare or delete, `configure`; to publish, `write` the exchange; to get,
 * consume or purge, `read` the queue; to bind or unbind, `write` the destination and `read` the source; and for what is
 * made with an alternate or a dead-letter exchange, also `read` it and `write` that exchange. To find needs none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client<in out C> {
  child(): Client<C>
  /** The exchange as it is now: made, or found to be equivalent. */
  declareExchange(name: string, type: string, options?: ExchangeOptions): Exchange | Refusal
  findExchange(name: string): Exchange | Refusal
  /** One that does not exist counts as deleted. */
  deleteExchange(name: string, options?: { readonly ifUnused?: boolean | undefined }): Refusal | undefined
  /** The queue as it is now: made, or found to be equivalent. */
  declareQueue(options?: QueueOptions): Queue | Refusal
  /** Whoever lacks the permission, where one is needed, does not learn whether there is such a queue. */
  findQueue(name: string, permission?: keyof Permissions): Queue | Refusal
  /** How many ready messages went with it; 0 for one that does not exist. */
  deleteQueue(name: string, options?: DeleteQueueOptions): number | Refusal
  /** How many ready messages were dropped; unsettled ones stay. */
  purgeQueue(name: string): number | Refusal
  bindQueue(binding: QueueBinding): Refusal | undefined
  /** A binding, exchange or queue that does not exist counts as unbound. */
  unbindQueue(binding: QueueBinding): Refusal | undefined
  bindExchange(binding: ExchangeBinding): Refusal | undefined
  /** A binding or exchange that does not exist counts as unbound. */
  unbindExchange(binding: ExchangeBinding): Refusal | undefined
  /** How many queues it was for; `Rejected`: one of them was full and refused it, whatever the others did. */
  publish(message: Message<C>): number | "Rejected" | Refusal
  /** The first half of `publish`: whether the message may go where, by what is bound now. Changes nothing. */
  route(message: Message<C>): Routed<C> | Refusal
  /** The second half, at any time later: as `publish`, to those of the queues that there are then. */
  deliver(routed: Routed<C>): number | "Rejected"
  /** Why `publish` would refuse any message to this exchange; it need not be asked before. */
  canPublish(exchange: string): Refusal | undefined
  /** The oldest ready entry, if any; `queue.readyCount` is what remains. */
  get(queue: string, options?: { readonly noAck?: boolean | undefined }): Entry<C> | Refusal | undefined
  /** A consumer that gets nothing before its first `resume`. */
  subscribe(options: SubscribeOptions<C>): Consumer | Refusal
  /** All of them back in their places before any is handed out again. */
  requeue(entries: Iterable<Entry<C>>): void
  /**
   * Makes several changes before the next entry is handed out: consumers resumed together take turns from the first
   * entry on.
   */
  together(changes: () => void): void
  /**
   * The end of this client and its children, not to be used any more: their consumers are cancelled, their unsettled
   * entries requeued, and, unless it is a child, their exclusive queues deleted.
   */
  release(): void
}

/**
 * A name space of exchanges and queues.
 *
 * @since 0.1.0
 * @category models
 */
export interface VirtualHost<in out C> {
  readonly name: string
  readonly exchanges: ReadonlyMap<string, Exchange>
  readonly queues: ReadonlyMap<string, Queue>
  /** Somebody with the permissions of this user, as they are at each call; without a user, somebody who may do all. */
  client(user?: string): Client<C>
}

/**
 * On which names a user has which permission, in one virtual host. A pattern that is not anchored fits a part of a name;
 * `/^$/` fits none. Default of each: all names.
 *
 * @since 0.1.0
 * @category models
 */
export interface Permissions {
  readonly configure?: RegExp | undefined
  readonly write?: RegExp | undefined
  readonly read?: RegExp | undefined
}

/**
 * A broker's whole state. `C` is what the messages hold.
 *
 * @since 0.1.0
 * @category models
 */
export interface Model<in out C> {
  readonly vhosts: ReadonlyMap<string, VirtualHost<C>>
  /** The one there is, if there is one. */
  addVhost(name: string): VirtualHost<C>
  /** A new user, or a new password. */
  addUser(name: string, password: Redacted.Redacted<string>): void
  /**
   * Opens a virtual host to a user, or changes what it may do there; nothing for a user that does not exist. Default:
   * everything.
   */
  permit(user: string, vhost: string, permissions?: Permissions): void
  authenticate(user: string, password: Redacted.Redacted<string>): boolean
  /** May the user enter; whether the virtual host exists is not asked. */
  canAccess(user: string, vhost: string): boolean
  /** When the next message or queue may have been left alone for too long, in milliseconds; `Infinity` for none. */
  nextDeadline(): number
  /** Does what is due: to be called when that time has come. More often does no harm. */
  tick(now: number): void
}

/**
 * What a broker is made with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in out C> {
  /** The time in milliseconds, which does not go back. Default: it stands still, and nothing expires. */
  readonly now?: (() => number) | undefined
  /** `nextDeadline` has become this early. Default: nobody is told. */
  readonly onDeadline?: ((deadline: number) => void) | undefined
  /**
   * Writes down in a message how it died; `undefined` drops it. Default: all are dropped, for nobody could tell those that
   * go round for ever.
   */
  readonly deadLetter?: ((death: Death<C>) => DeadLetter<C> | undefined) | undefined
  /** The headers of a message; asked only when it meets a headers exchange. Default: it has none. */
  readonly headers?: ((content: C) => Arguments | undefined) | undefined
  /**
   * What follows `amq.gen-` in the name of a queue declared without one; never twice the same. Default: 1, 2, 3, …, which
   * tests can rely on and strangers can guess.
   */
  readonly generateName?: (() => string) | undefined
}

/**
 * A broker with the virtual host `/`, and the user `guest`, password `guest`, who may enter it.
 *
 * @example
 * import { Model } from "effect-amqp/broker"
 *
 * const client = Model.make<string>().addVhost("/").client()
 * client.declareQueue({ name: "orders" })
 * client.publish({ exchange: "", routingKey: "orders", persistent: false, size: 1, content: "a" }) // 1
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <C>(options: Options<C> = {}): Model<C> => {
  let generated = 0
  const { deadLetter, headers = () => undefined, now = () => 0 } = options
  const alarms = new Alarms<QueueImpl<C>>(options.onDeadline)
  const access = new Access()
  const shared: Shared<C> = {
    access,
    alarms,
    now,
    deadLetter,
    headers,
    generateName: options.generateName ?? (() => String(++generated))
  }
  const vhosts = new Map<string, VirtualHostImpl<C>>()
  const addVhost = (name: string): VirtualHostImpl<C> => {
    const known = vhosts.get(name)
    if (known !== undefined) return known
    const vhost = new VirtualHostImpl<C>(name, shared)
    vhosts.set(name, vhost)
    return vhost
  }
  addVhost("/")
  access.addUser("guest", Redacted.make("guest"))
  access.permit("guest", "/")
  return {
    vhosts,
    addVhost,
    addUser: (name, password) => access.addUser(name, password),
    permit: (user, vhost, permissions) => access.permit(user, vhost, permissions),
    authenticate: (user, password) => access.authenticate(user, password),
    canAccess: (user, vhost) => access.canAccess(user, vhost),
    nextDeadline: () => alarms.next,
    tick: (time) => {
      let queue = alarms.due(time)
      while (queue !== undefined) {
        queue.wake(time)
        queue = alarms.due(time)
      }
    }
  }
}
