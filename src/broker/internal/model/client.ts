/**
 * What a client of a virtual host may do, and what it leaves behind. Each operation checks in RabbitMQ's order, so that
 * a request with two faults is refused for the same one.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { differing } from "./arguments.ts"
import { type Exchange, isExchangeType } from "./exchange.ts"
import { Links } from "./links.ts"
import { Consumer, type Entry, type Holder, type Owner, type Queue } from "./queue.ts"
import type { VirtualHost } from "./virtualHost.ts"

const isReserved = (name: string): boolean => name.startsWith("amq.")

/** @internal */
export class Client<C> implements Model.Client<C>, Holder<C> {
  readonly consumers = new Set<Consumer<C>>()
  readonly unsettled = new Links<Entry<C>>()
  readonly #vhost: VirtualHost<C>
  readonly #parent: Client<C> | undefined
  /** Whose exclusive queues it may use: shared by parent and children. */
  readonly #owner: Owner<C>
  readonly #children = new Set<Client<C>>()

  constructor(vhost: VirtualHost<C>, parent: Client<C> | undefined) {
    this.#vhost = vhost
    this.#parent = parent
    this.#owner = parent === undefined ? { queues: new Set() } : parent.#owner
  }

  child(): Client<C> {
    const child = new Client(this.#vhost, this)
    this.#children.add(child)
    return child
  }

  release(): void {
    const vhost = this.#vhost
    if (this.#parent !== undefined) this.#parent.#children.delete(this)
    vhost.dispatcher.together(() => {
      // Nobody who leaves may be handed what another who leaves gives back: so all stop before the first returns.
      const leaving = this.#family()
      for (const client of leaving) {
        for (const consumer of client.consumers) vhost.removeConsumer(consumer)
      }
      if (this.#parent === undefined) {
        for (const queue of this.#owner.queues) vhost.removeQueue(queue)
      }
      for (const client of leaving) {
        while (client.unsettled.head !== undefined) client.unsettled.head.requeue()
      }
    })
  }

  declareExchange(name: string, type: string, options: Model.ExchangeOptions = {}): Model.Exchange | Model.Refusal {
    if (!isExchangeType(type)) return { _tag: "UnknownExchangeType", type }
    if (name === "") return this.#defaultExchange()
    const current = this.#vhost.exchanges.get(name)
    if (current !== undefined) {
      return this.#inequivalent(current, "exchange", options, [
        ["type", current.type, type],
        ["durable", current.durable, options.durable ?? false],
        ["auto_delete", current.autoDelete, options.autoDelete ?? false],
        ["internal", current.internal, options.internal ?? false]
      ]) ?? current
    }
    if (isReserved(name)) return this.#refused("ReservedName", "exchange", name)
    return this.#vhost.addExchange(name, type, options)
  }

  findExchange(name: string): Model.Exchange | Model.Refusal {
    return name === "" ? this.#defaultExchange() : this.#vhost.exchanges.get(name) ?? this.#notFound("exchange", name)
  }

  deleteExchange(name: string, options: { readonly ifUnused?: boolean | undefined } = {}): Model.Refusal | undefined {
    if (name === "") return this.#defaultExchange()
    if (isReserved(name)) return this.#refused("SystemExchange", "exchange", name)
    const exchange = this.#vhost.exchanges.get(name)
    if (exchange === undefined) return undefined
    if (options.ifUnused === true && exchange.bindingCount > 0) {
      return { _tag: "InUse", kind: "exchange", name, vhost: this.#vhost.name }
    }
    this.#vhost.removeExchange(exchange)
    return undefined
  }

  declareQueue(options: Model.QueueOptions = {}): Model.Queue | Model.Refusal {
    const name = options.name ?? ""
    const owner = options.exclusive === true ? this.#owner : undefined
    if (isReserved(name)) return this.#refused("ReservedName", "queue", name)
    const current = this.#vhost.queues.get(name)
    if (current !== undefined) {
      if (current.owner !== owner) return this.#locked(name)
      return this.#inequivalent(current, "queue", options, [
        ["durable", current.durable, (options.durable ?? false) && owner === undefined],
        ["auto_delete", current.autoDelete, options.autoDelete ?? false]
      ]) ?? current
    }
    return this.#vhost.addQueue(name, owner, options)
  }

  findQueue(name: string): Model.Queue | Model.Refusal {
    return this.#withQueue(name, (queue) => queue)
  }

  deleteQueue(name: string, options: Model.DeleteQueueOptions = {}): number | Model.Refusal {
    if (!this.#vhost.queues.has(name)) return 0
    return this.#withQueue<number>(name, (queue) => {
      if (options.ifEmpty === true && queue.readyCount > 0) return { _tag: "NotEmpty", name, vhost: this.#vhost.name }
      if (options.ifUnused === true && queue.consumerCount > 0) {
        return { _tag: "InUse", kind: "queue", name, vhost: this.#vhost.name }
      }
      return this.#vhost.removeQueue(queue)
    })
  }

  purgeQueue(name: string): number | Model.Refusal {
    return this.#withQueue(name, (queue) => queue.purge())
  }

  bindQueue(binding: Model.QueueBinding): Model.Refusal | undefined {
    if (binding.exchange === "") return this.#defaultExchange()
    const exchange = this.#vhost.exchanges.get(binding.exchange)
    if (exchange === undefined) return this.#notFound("exchange", binding.exchange)
    return this.#withQueue(binding.queue, (queue) => {
      const added = exchange.bind(queue, binding.routingKey, binding.arguments ?? {})
      if (added !== undefined) queue.bindings.add(added)
      return undefined
    })
  }

  unbindQueue(binding: Model.QueueBinding): Model.Refusal | undefined {
    if (binding.exchange === "") return this.#defaultExchange()
    const exchange = this.#vhost.exchanges.get(binding.exchange)
    const queue = this.#vhost.queues.get(binding.queue)
    if (exchange === undefined || queue === undefined) return undefined
    const found = exchange.find(queue, binding.routingKey, binding.arguments ?? {})
    if (found === undefined) return undefined
    if (!this.#mayUse(queue)) return this.#locked(queue.name)
    exchange.unbind(found)
    queue.bindings.delete(found)
    this.#vhost.autoDelete(exchange)
    return undefined
  }

  publish(message: Model.Message<C>): number | Model.Refusal {
    const exchange = this.#vhost.exchanges.get(message.exchange)
    if (exchange === undefined) return this.#notFound("exchange", message.exchange)
    if (exchange.internal) return this.#refused("InternalExchange", "exchange", message.exchange)
    return this.#vhost.publish(exchange, message)
  }

  get(
    queue: string,
    options: { readonly noAck?: boolean | undefined } = {}
  ): Model.Entry<C> | Model.Refusal | undefined {
    return this.#withQueue<Model.Entry<C> | undefined>(queue, (found) => found.take(this, options.noAck === true))
  }

  subscribe(options: Model.SubscribeOptions<C>): Model.Consumer | Model.Refusal {
    return this.#withQueue<Model.Consumer>(options.queue, (queue) => {
      if (queue.exclusiveConsumer !== undefined || (options.exclusive === true && queue.consumerCount > 0)) {
        return this.#refused("ExclusiveConsumer", "queue", queue.name)
      }
      const consumer = new Consumer(queue, this, options, (cancelled) => this.#vhost.removeConsumer(cancelled))
      queue.add(consumer)
      return consumer
    })
  }

  requeue(entries: Iterable<Model.Entry<C>>): void {
    this.together(() => {
      for (const entry of entries) entry.requeue()
    })
  }

  together(changes: () => void): void {
    this.#vhost.dispatcher.together(changes)
  }

  #family(): ReadonlyArray<Client<C>> {
    const found: Array<Client<C>> = [this]
    for (const client of found) {
      for (const child of client.#children) found.push(child)
    }
    return found
  }

  #mayUse(queue: Queue<C>): boolean {
    return queue.owner === undefined || queue.owner === this.#owner
  }

  #withQueue<A>(name: string, use: (queue: Queue<C>) => A | Model.Refusal): A | Model.Refusal {
    const queue = this.#vhost.queues.get(name)
    if (queue === undefined) return this.#notFound("queue", name)
    return this.#mayUse(queue) ? use(queue) : this.#locked(name)
  }

  #inequivalent(
    current: Queue<C> | Exchange<Queue<C>>,
    kind: Model.Kind,
    options: { readonly arguments?: Model.Arguments | undefined },
    flags: ReadonlyArray<readonly [argument: string, current: unknown, received: unknown]>
  ): Model.Refusal | undefined {
    const { name } = current
    const vhost = this.#vhost.name
    for (const [argument, was, received] of flags) {
      if (was !== received) return { _tag: "Inequivalent", kind, name, vhost, argument, received, current: was }
    }
    const received = options.arguments ?? {}
    const argument = differing(kind, current.arguments, received)
    return argument === undefined ? undefined : {
      _tag: "Inequivalent",
      kind,
      name,
      vhost,
      argument,
      received: received[argument],
      current: current.arguments[argument]
    }
  }

  #notFound(kind: Model.Kind, name: string): Model.Refusal {
    return { _tag: "NotFound", kind, name, vhost: this.#vhost.name }
  }

  #locked(name: string): Model.Refusal {
    return { _tag: "Locked", name, vhost: this.#vhost.name }
  }

  #refused(reason: Model.AccessRefused["reason"], kind: Model.Kind, name: string): Model.Refusal {
    return { _tag: "AccessRefused", reason, kind, name, vhost: this.#vhost.name }
  }

  #defaultExchange(): Model.Refusal {
    return this.#refused("DefaultExchange", "exchange", "")
  }
}
