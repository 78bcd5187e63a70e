/**
 * Queues: the entries in them, the consumers at them, and what their limits do. Names, rights and life belong to the
 * virtual host.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Alarms, Sleeper } from "./alarms.ts"
import type { Consumer, Holder } from "./consumer.ts"
import type { Dispatchable, Dispatcher } from "./dispatcher.ts"
import { Entry, type Item } from "./entry.ts"
import type { Binding } from "./exchange.ts"
import { Levels } from "./levels.ts"
import { type QueueSettings, settingsOf } from "./queueSettings.ts"
import { Ready, type Waiting } from "./ready.ts"
import { Round } from "./round.ts"

/**
 * Whose exclusive queues are whose.
 *
 * @internal
 */
export interface Owner<C> {
  readonly queues: Set<Queue<C>>
}

/** What a queue needs of where it is. @internal */
export interface Host<C> {
  readonly dispatcher: Dispatcher<Queue<C>>
  readonly alarms: Alarms<Queue<C>>
  readonly now: () => number
  readonly deadLetter: (queue: Queue<C>, message: Model.Message<C>, reason: Model.DeathReason) => void
  readonly removeQueue: (queue: Queue<C>) => void
}

// Before all numbers that entries get as they arrive.
const beforeAll = -(2 ** 30)

/** @internal */
export class Queue<C> implements Model.Queue, Dispatchable<Queue<C>>, Sleeper {
  readonly name: string
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly arguments: Model.Arguments
  readonly settings: QueueSettings
  /** Whose alone it is. */
  readonly owner: Owner<C> | undefined
  readonly bindings = new Set<Binding<Queue<C>>>()
  readonly consumers = new Set<Consumer<C>>()
  readonly #host: Host<C>
  readonly #ready: Waiting<Item<C>>
  /** Consumers that had room when last asked, the one whose turn it is first. */
  readonly #able = new Round<Consumer<C>>()
  /** The only one that gets anything, where only one does. */
  #active: Consumer<C> | undefined = undefined
  #sequence = 0
  #returned = beforeAll
  #bytes = 0
  /** Some entry had a time limit. */
  #mortal = false
  #usedAt = 0
  #deleted = false
  /** The routing pass that chose this queue last: what keeps a message from entering twice. */
  pass = 0
  unsettledCount = 0
  exclusiveConsumer: Consumer<C> | undefined = undefined
  previous: Queue<C> | undefined = undefined
  next: Queue<C> | undefined = undefined
  linked = false
  alarm = Infinity
  place = 0

  constructor(name: string, owner: Owner<C> | undefined, options: Model.QueueOptions, host: Host<C>) {
    this.name = name
    this.owner = owner
    this.durable = (options.durable ?? false) && owner === undefined
    this.autoDelete = options.autoDelete ?? false
    this.arguments = options.arguments ?? {}
    this.settings = settingsOf(this.arguments)
    this.#host = host
    const { maxPriority } = this.settings
    this.#ready = maxPriority > 0
      ? new Levels<Item<C>>(maxPriority, ({ message }) => message.priority ?? 0)
      : new Ready<Item<C>>()
    this.touch()
  }

  get type(): Model.QueueType {
    return this.settings.type
  }

  get exclusive(): boolean {
    return this.owner !== undefined
  }

  get readyCount(): number {
    return this.#ready.size
  }

  get consumerCount(): number {
    return this.consumers.size
  }

  // --- Entries ---

  /** Adds a message, or refuses it; the caller runs the dispatcher once it went to all its queues. */
  enqueue(message: Model.Message<C>): boolean {
    if (this.settings.overflow !== "drop-head" && this.#isFull(message)) {
      if (this.settings.overflow === "reject-publish-dlx") this.#bury(message, "maxlen")
      return false
    }
    this.#add({ message, sequence: this.#sequence++, returns: 0, expiry: this.#expiryOf(message) }, false)
    return true
  }

  /** Back at its place: who still has the entry can do nothing with it any more. */
  restore(item: Item<C>, how: "returned" | "abandoned"): void {
    if (this.#deleted) return
    const { expiry, message } = item
    const { deliveryLimit, type } = this.settings
    const returns = item.returns + 1
    if (returns > deliveryLimit) return this.#bury(message, "delivery_limit")
    // RabbitMQ's quorum queues take an entry back before all others; without a limit they put what a client returned
    // behind all others instead, lest it comes round for ever.
    if (type === "quorum" && deliveryLimit === Infinity && how === "returned") {
      this.#add({ message, sequence: this.#sequence++, returns, expiry }, false)
    } else {
      const sequence = type === "quorum" ? this.#returned++ : item.sequence
      this.#add({ message, sequence, returns, expiry }, true)
    }
    this.#host.dispatcher.run()
  }

  /** It was refused for good. */
  reject({ message }: Item<C>): void {
    if (!this.#deleted) this.#bury(message, "rejected")
  }

  get(holder: Holder<C>, noAck: boolean): Entry<C> | undefined {
    this.touch()
    this.#dropExpired(this.#host.now())
    const item = this.#take()
    const entry = item === undefined ? undefined : new Entry(this, item)
    if (!noAck) entry?.hold(holder)
    this.#watch()
    return entry
  }

  purge(): number {
    const count = this.#ready.size
    this.#ready.clear()
    this.#bytes = 0
    return count
  }

  #add(item: Item<C>, back: boolean): void {
    if (back) this.#ready.restore(item)
    else this.#ready.push(item)
    this.#bytes += item.message.size
    if (item.expiry !== undefined) this.#mortal = true
    this.#wake()
  }

  #take(): Item<C> | undefined {
    const item = this.#ready.take()
    if (item !== undefined) this.#bytes -= item.message.size
    return item
  }

  #bury(message: Model.Message<C>, reason: Model.DeathReason): void {
    if (this.settings.deadLetterExchange !== undefined) this.#host.deadLetter(this, message, reason)
  }

  // --- Consumers ---

  add(consumer: Consumer<C>): void {
    this.consumers.add(consumer)
    consumer.holder.consumers.add(consumer)
    if (consumer.options.exclusive === true) this.exclusiveConsumer = consumer
    if (this.settings.singleActiveConsumer) this.#active ??= consumer
  }

  remove(consumer: Consumer<C>): void {
    consumer.cancelled = true
    this.consumers.delete(consumer)
    consumer.holder.consumers.delete(consumer)
    if (consumer.linked) this.#able.remove(consumer)
    if (this.exclusiveConsumer === consumer) this.exclusiveConsumer = undefined
    if (this.#active === consumer) this.#succeed()
    if (this.consumers.size === 0) this.touch()
  }

  resume(consumer: Consumer<C>): void {
    if (this.settings.singleActiveConsumer && this.#active !== consumer) return
    this.#able.push(consumer)
    this.#wake()
    this.#host.dispatcher.run()
  }

  /** RabbitMQ: the first of those with the highest priority; in a quorum queue, the first of all. */
  #succeed(): void {
    this.#active = undefined
    for (const consumer of this.consumers) {
      if (this.#active === undefined || (this.type === "classic" && consumer.priority > this.#active.priority)) {
        this.#active = consumer
      }
    }
    if (this.#active?.started === true && !this.#deleted) {
      this.#able.push(this.#active)
      this.#wake()
    }
  }

  deliver(most: number): boolean {
    for (let left = most;; left--) {
      // What arrives with no time to wait may still go to who waits for it: so not those of this very moment.
      if (this.#mortal) this.#dropExpired(this.#host.now() - 1)
      if (this.#ready.size === 0) break
      const consumer = this.#nextConsumer()
      if (consumer === undefined) break
      if (left === 0) return true
      this.#able.rotate()
      const item = this.#take()
      if (item === undefined) break
      const entry = new Entry(this, item)
      if (consumer.options.noAck !== true) entry.hold(consumer.holder)
      consumer.options.receive(entry)
    }
    this.#trim()
    return false
  }

  #nextConsumer(): Consumer<C> | undefined {
    let consumer = this.#able.head
    while (consumer !== undefined && !consumer.options.hasCredit()) {
      this.#able.remove(consumer)
      consumer = this.#able.head
    }
    return consumer
  }

  #wake(): void {
    if (this.#able.head !== undefined || this.#mortal || this.#isOver()) this.#host.dispatcher.add(this)
  }

  // --- Limits ---

  /** Somebody used it. */
  touch(): void {
    if (this.settings.expires === undefined) return
    this.#usedAt = this.#host.now()
    this.#watch()
  }

  /** The alarm went off. */
  wake(now: number): void {
    if (this.#idleUntil() <= now) return this.#host.removeQueue(this)
    this.#dropExpired(now)
    this.#watch()
  }

  /** RabbitMQ: a classic queue never gets over its limits; a quorum queue refuses when it is over. */
  #isFull(message: Model.Message<C>): boolean {
    const { maxBytes, maxLength, type } = this.settings
    if (type === "quorum") return this.#isOver()
    return this.#ready.size + 1 > maxLength || this.#bytes + message.size > maxBytes
  }

  #isOver(): boolean {
    return this.#ready.size > this.settings.maxLength || this.#bytes > this.settings.maxBytes
  }

  #expiryOf({ expiration }: Model.Message<C>): number | undefined {
    const { messageTtl } = this.settings
    if (messageTtl === undefined && expiration === undefined) return undefined
    return this.#host.now() + Math.min(messageTtl ?? Infinity, expiration ?? Infinity)
  }

  /** What nobody took when it could be had. */
  #trim(): void {
    if (this.#mortal) this.#dropExpired(this.#host.now())
    while (this.settings.overflow === "drop-head" && this.#isOver()) {
      const item = this.#take()
      if (item === undefined) break
      this.#bury(item.message, "maxlen")
    }
    this.#watch()
  }

  /** Only from the head on, as RabbitMQ: what waits behind one that has time has it too. */
  #dropExpired(now: number): void {
    if (!this.#mortal) return
    let head = this.#ready.peek()
    while (head?.expiry !== undefined && head.expiry <= now) {
      this.#take()
      this.#bury(head.message, "expired")
      head = this.#ready.peek()
    }
  }

  #idleUntil(): number {
    const { expires } = this.settings
    return expires === undefined || this.consumers.size > 0 ? Infinity : this.#usedAt + expires
  }

  #watch(): void {
    if (this.#deleted) return
    const head = this.#mortal ? this.#ready.peek()?.expiry ?? Infinity : Infinity
    this.#host.alarms.set(this, Math.min(head, this.#idleUntil()))
  }

  // --- The end ---

  /** Drops all it holds, for good; the number of ready entries, and the consumers that had not asked for this. */
  drop(): { readonly count: number; readonly consumers: ReadonlyArray<Consumer<C>> } {
    this.#deleted = true
    const count = this.purge()
    const consumers = Array.from(this.consumers)
    for (const consumer of consumers) this.remove(consumer)
    this.#host.dispatcher.remove(this)
    this.#host.alarms.remove(this)
    return { count, consumers }
  }
}
