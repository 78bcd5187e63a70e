/**
 * Queues, the entries in them and the consumers at them. Names, rights and life belong to the virtual host.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Dispatchable, Dispatcher } from "./dispatcher.ts"
import type { Binding } from "./exchange.ts"
import { type Linked, Links } from "./links.ts"
import { Ready } from "./ready.ts"

/**
 * Who holds what was handed out.
 *
 * @internal
 */
export interface Holder<C> {
  readonly consumers: Set<Consumer<C>>
  readonly unsettled: Links<Entry<C>>
}

/**
 * Whose exclusive queues are whose.
 *
 * @internal
 */
export interface Owner<C> {
  readonly queues: Set<Queue<C>>
}

/** @internal */
export class Entry<C> implements Model.Entry<C>, Linked<Entry<C>> {
  readonly queue: Queue<C>
  readonly message: Model.Message<C>
  readonly sequence: number
  readonly redelivered: boolean
  #holder: Holder<C> | undefined = undefined
  previous: Entry<C> | undefined = undefined
  next: Entry<C> | undefined = undefined
  linked = false

  constructor(queue: Queue<C>, message: Model.Message<C>, sequence: number, redelivered: boolean) {
    this.queue = queue
    this.message = message
    this.sequence = sequence
    this.redelivered = redelivered
  }

  /** Unsettled from now on. */
  hold(holder: Holder<C>): void {
    this.#holder = holder
    holder.unsettled.push(this)
    this.queue.unsettledCount++
  }

  settle(): boolean {
    const holder = this.#holder
    if (holder === undefined) return false
    this.#holder = undefined
    holder.unsettled.remove(this)
    this.queue.unsettledCount--
    return true
  }

  discard(): boolean {
    return this.settle()
  }

  requeue(): boolean {
    if (!this.settle()) return false
    this.queue.restore(this)
    return true
  }
}

/** @internal */
export class Consumer<C> implements Model.Consumer, Linked<Consumer<C>> {
  readonly queue: Queue<C>
  readonly holder: Holder<C>
  readonly options: Model.SubscribeOptions<C>
  readonly #cancel: (consumer: Consumer<C>) => void
  cancelled = false
  previous: Consumer<C> | undefined = undefined
  next: Consumer<C> | undefined = undefined
  linked = false

  constructor(
    queue: Queue<C>,
    holder: Holder<C>,
    options: Model.SubscribeOptions<C>,
    cancel: (consumer: Consumer<C>) => void
  ) {
    this.queue = queue
    this.holder = holder
    this.options = options
    this.#cancel = cancel
  }

  resume(): void {
    if (!this.cancelled && !this.linked) this.queue.resume(this)
  }

  cancel(): void {
    if (!this.cancelled) this.#cancel(this)
  }
}

/** @internal */
export class Queue<C> implements Model.Queue, Dispatchable<Queue<C>> {
  readonly name: string
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly arguments: Model.Arguments
  /** Whose alone it is. */
  readonly owner: Owner<C> | undefined
  readonly bindings = new Set<Binding<Queue<C>>>()
  readonly consumers = new Set<Consumer<C>>()
  readonly #dispatcher: Dispatcher<Queue<C>>
  readonly #ready = new Ready<Entry<C>>()
  /** Consumers that had room when last asked, the one whose turn it is first. */
  readonly #able = new Links<Consumer<C>>()
  #sequence = 0
  #deleted = false
  /** The routing pass that chose this queue last: what keeps a message from entering twice. */
  pass = 0
  unsettledCount = 0
  exclusiveConsumer: Consumer<C> | undefined = undefined
  previous: Queue<C> | undefined = undefined
  next: Queue<C> | undefined = undefined
  linked = false

  constructor(
    name: string,
    owner: Owner<C> | undefined,
    options: Model.QueueOptions,
    dispatcher: Dispatcher<Queue<C>>
  ) {
    this.name = name
    this.owner = owner
    this.durable = (options.durable ?? false) && owner === undefined
    this.autoDelete = options.autoDelete ?? false
    this.arguments = options.arguments ?? {}
    this.#dispatcher = dispatcher
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

  /** Adds a message; the caller runs the dispatcher once it went to all its queues. */
  enqueue(message: Model.Message<C>): void {
    this.#ready.push(new Entry(this, message, this.#sequence++, false))
    this.#wake()
  }

  /** A new entry at the old place: who still has the old one can do nothing with it any more. */
  restore(entry: Entry<C>): void {
    if (this.#deleted) return
    this.#ready.restore(new Entry(this, entry.message, entry.sequence, true))
    this.#wake()
    this.#dispatcher.run()
  }

  take(holder: Holder<C>, noAck: boolean): Entry<C> | undefined {
    const entry = this.#ready.take()
    if (entry !== undefined && !noAck) entry.hold(holder)
    return entry
  }

  purge(): number {
    const count = this.#ready.size
    this.#ready.clear()
    return count
  }

  add(consumer: Consumer<C>): void {
    this.consumers.add(consumer)
    consumer.holder.consumers.add(consumer)
    if (consumer.options.exclusive === true) this.exclusiveConsumer = consumer
  }

  remove(consumer: Consumer<C>): void {
    consumer.cancelled = true
    this.consumers.delete(consumer)
    consumer.holder.consumers.delete(consumer)
    if (consumer.linked) this.#able.remove(consumer)
    if (this.exclusiveConsumer === consumer) this.exclusiveConsumer = undefined
  }

  resume(consumer: Consumer<C>): void {
    this.#able.push(consumer)
    this.#wake()
    this.#dispatcher.run()
  }

  deliver(most: number): boolean {
    for (let left = most; this.#ready.size > 0; left--) {
      let consumer = this.#able.head
      while (consumer !== undefined && !consumer.options.hasCredit()) {
        this.#able.remove(consumer)
        consumer = this.#able.head
      }
      if (consumer === undefined) return false
      if (left === 0) return true
      this.#able.rotate()
      const entry = this.take(consumer.holder, consumer.options.noAck === true)
      if (entry !== undefined) consumer.options.receive(entry)
    }
    return false
  }

  /** Drops all it holds, for good; the number of ready entries, and the consumers that had not asked for this. */
  drop(): { readonly count: number; readonly consumers: ReadonlyArray<Consumer<C>> } {
    this.#deleted = true
    this.#dispatcher.remove(this)
    const count = this.purge()
    const consumers = Array.from(this.consumers)
    for (const consumer of consumers) this.remove(consumer)
    return { count, consumers }
  }

  #wake(): void {
    if (this.#able.head !== undefined) this.#dispatcher.add(this)
  }
}
