/**
 * What a client of a virtual host may do, and what it leaves behind. Each operation checks in RabbitMQ's order, so that
 * a request with two faults is refused for the same one.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { allows, type Rights } from "./access.ts"
import { differing, textOf } from "./arguments.ts"
import { Consumer, type Holder } from "./consumer.ts"
import type { Entry } from "./entry.ts"
import { type Binding, type Exchange, isExchangeType } from "./exchange.ts"
import { unknownMatch } from "./headers.ts"
import { Links } from "./links.ts"
import type { Owner, Queue } from "./queue.ts"
import { inequivalent, invalidArgument, typeOf } from "./queueSettings.ts"
import type { VirtualHost } from "./virtualHost.ts"

// What permissions know the default exchange by.
const defaultExchange = "amq.default"

type Route = { readonly routingKey: string; readonly arguments?: Model.Arguments | undefined }
const exchangeArguments: ReadonlyArray<string> = ["alternate-exchange"]

const isReserved = (name: string): boolean => name.startsWith("amq.")

/** Quorum queues do not ask: RabbitMQ's let anybody consume. */
const isTaken = <C>(queue: Queue<C>, exclusive: boolean): boolean =>
  queue.exclusiveConsumer !== undefined ||
  (exclusive && (queue.consumerCount > 0 || queue.settings.singleActiveConsumer))

/** @internal */
export class Client<C> implements Model.Client<C>, Holder<C> {
  readonly consumers = new Set<Consumer<C>>()
  readonly unsettled = new Links<Entry<C>>()
  readonly #vhost: VirtualHost<C>
  readonly #parent: Client<C> | undefined
  /** Whose exclusive queues it may use: shared by parent and children. */
  readonly #owner: Owner<C>
  readonly #children = new Set<Client<C>>()
  /** `undefined`: may do everything. */
  readonly #rights: Rights | undefined

  constructor(vhost: VirtualHost<C>, parent: Client<C> | undefined, rights: Rights | undefined) {
    this.#vhost = vhost
    this.#parent = parent
    this.#rights = rights
    this.#owner = parent === undefined ? { queues: new Set() } : parent.#owner
  }

  child(): Client<C> {
    const child = new Client(this.#vhost, this, this.#rights)
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
        while (client.unsettled.head !== undefined) client.unsettled.head.abandon()
      }
    })
  }

  declareExchange(name: string, type: string, options: Model.ExchangeOptions = {}): Model.Exchange | Model.Refusal {
    if (!isExchangeType(type)) return { _tag: "UnknownExchangeType", type }
    if (name === "") return this.#defaultExchange()
    const barred = this.#barred("configure", "exchange", name)
    if (barred !== undefined) return barred
    const current = this.#vhost.exchanges.get(name)
    if (current !== undefined) {
      return this.#inequivalent(current, "exchange", options, [
        ["type", current.type, type],
        ["durable", current.durable, options.durable ?? false],
        ["auto_delete", current.autoDelete, options.autoDelete ?? false],
        ["internal", current.internal, options.internal ?? false]
      ], differing(exchangeArguments, current.arguments, options.arguments ?? {})) ?? current
    }
    if (isReserved(name)) return this.#refused("ReservedName", "exchange", name)
    return this.#barredForwarding("exchange", name, "alternate-exchange", options.arguments) ??
      this.#vhost.addExchange(name, type, options)
  }

  findExchange(name: string): Model.Exchange | Model.Refusal {
    return name === "" ? this.#defaultExchange() : this.#vhost.exchanges.get(name) ?? this.#notFound("exchange", name)
  }

  deleteExchange(name: string, options: { readonly ifUnused?: boolean | undefined } = {}): Model.Refusal | undefined {
    if (name === "") return this.#defaultExchange()
    if (isReserved(name)) return this.#refused("SystemExchange", "exchange", name)
    const barred = this.#barred("configure", "exchange", name)
    if (barred !== undefined) return barred
    const exchange = this.#vhost.exchanges.get(name)
    if (exchange === undefined) return undefined
    if (options.ifUnused === true && exchange.bindingCount > 0) {
      return { _tag: "InUse", kind: "exchange", name, vhost: this.#vhost.name }
    }
    this.#vhost.removeExchange(exchange)
    return undefined
  }

  declareQueue(options: Model.QueueOptions = {}): Model.Queue | Model.Refusal {
    const given = options.name ?? ""
    if (isReserved(given)) return this.#refused("ReservedName", "queue", given)
    if (given === "" && typeOf(options.arguments ?? {}) === "quorum") {
      return this.#unsupported("ServerNamed", given, "quorum")
    }
    const name = given === "" ? this.#vhost.generateName() : given
    const owner = options.exclusive === true ? this.#owner : undefined
    const barred = this.#barred("configure", "queue", name)
    if (barred !== undefined) return barred
    const current = this.#vhost.queues.get(name)
    if (current === undefined) return this.#addQueue(name, owner, options)
    if (current.owner !== owner) return this.#locked(name)
    current.touch()
    return this.#inequivalent(current, "queue", options, [
      ["durable", current.durable, (options.durable ?? false) && owner === undefined],
      ["auto_delete", current.autoDelete, options.autoDelete ?? false]
    ], inequivalent(current.arguments, options.arguments ?? {})) ?? current
  }

  #addQueue(name: string, owner: Owner<C> | undefined, options: Model.QueueOptions): Model.Queue | Model.Refusal {
    const barred = this.#barredForwarding("queue", name, "x-dead-letter-exchange", options.arguments)
    if (barred !== undefined) return barred
    const args = options.arguments ?? {}
    const type = typeOf(args)
    const vhost = this.#vhost.name
    const invalid = invalidArgument(args)
    if (invalid !== undefined) return { _tag: "InvalidArgument", name, vhost, ...invalid }
    if (type === "quorum") {
      if (options.autoDelete === true) return this.#unsupported("AutoDelete", name, type)
      if (owner !== undefined) return this.#unsupported("Exclusive", name, type)
      if (options.durable !== true) return this.#unsupported("Transient", name, type)
    }
    return this.#vhost.addQueue(name, owner, options)
  }

  findQueue(name: string, permission?: keyof Model.Permissions): Model.Queue | Model.Refusal {
    const barred = permission === undefined ? undefined : this.#barred(permission, "queue", name)
    return barred ?? this.#withQueue<Model.Queue>(name, (queue) => {
      queue.touch()
      return queue
    })
  }

  deleteQueue(name: string, options: Model.DeleteQueueOptions = {}): number | Model.Refusal {
    const barred = this.#barred("configure", "queue", name)
    if (barred !== undefined) return barred
    if (!this.#vhost.queues.has(name)) return 0
    return this.#withQueue<number>(name, (queue) => {
      if (queue.type === "quorum") {
        if (options.ifUnused === true) return this.#unsupported("IfUnused", name, queue.type)
        if (options.ifEmpty === true) return this.#unsupported("IfEmpty", name, queue.type)
      }
      if (options.ifEmpty === true && queue.readyCount > 0) return { _tag: "NotEmpty", name, vhost: this.#vhost.name }
      if (options.ifUnused === true && queue.consumerCount > 0) {
        return { _tag: "InUse", kind: "queue", name, vhost: this.#vhost.name }
      }
      return this.#vhost.removeQueue(queue)
    })
  }

  purgeQueue(name: string): number | Model.Refusal {
    return this.#barred("read", "queue", name) ?? this.#withQueue(name, (queue) => queue.purge())
  }

  bindQueue({ exchange, queue, ...route }: Model.QueueBinding): Model.Refusal | undefined {
    return this.#bind("queue", queue, exchange, route)
  }

  unbindQueue({ exchange, queue, ...route }: Model.QueueBinding): Model.Refusal | undefined {
    return this.#unbind("queue", queue, exchange, route)
  }

  bindExchange({ destination, source, ...route }: Model.ExchangeBinding): Model.Refusal | undefined {
    return this.#bind("exchange", destination, source, route)
  }

  unbindExchange({ destination, source, ...route }: Model.ExchangeBinding): Model.Refusal | undefined {
    return this.#unbind("exchange", destination, source, route)
  }

  publish(message: Model.Message<C>): number | "Rejected" | Model.Refusal {
    const exchange = this.#target(message.exchange)
    return "_tag" in exchange ? exchange : this.#vhost.publish(exchange, message)
  }

  route(message: Model.Message<C>): Model.Routed<C> | Model.Refusal {
    const exchange = this.#target(message.exchange)
    return "_tag" in exchange ? exchange : { message, queues: this.#vhost.route(exchange, message) }
  }

  deliver(routed: Model.Routed<C>): number | "Rejected" {
    return this.#vhost.deliver(routed)
  }

  canPublish(exchange: string): Model.Refusal | undefined {
    const target = this.#target(exchange)
    return "_tag" in target ? target : undefined
  }

  get(
    queue: string,
    options: { readonly noAck?: boolean | undefined } = {}
  ): Model.Entry<C> | Model.Refusal | undefined {
    return this.#barred("read", "queue", queue) ??
      this.#withQueue<Model.Entry<C> | undefined>(queue, (found) => found.get(this, options.noAck === true))
  }

  subscribe(options: Model.SubscribeOptions<C>): Model.Consumer | Model.Refusal {
    const barred = this.#barred("read", "queue", options.queue)
    if (barred !== undefined) return barred
    return this.#withQueue<Model.Consumer>(options.queue, (queue) => {
      if (queue.type === "classic" && isTaken(queue, options.exclusive === true)) {
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

  #target(name: string): Exchange<Queue<C>> | Model.Refusal {
    const barred = this.#barred("write", "exchange", name)
    if (barred !== undefined) return barred
    const exchange = this.#vhost.exchanges.get(name)
    if (exchange === undefined) return this.#notFound("exchange", name)
    return exchange.internal ? this.#refused("InternalExchange", "exchange", name) : exchange
  }

  #bind(kind: Model.Kind, to: string, from: string, route: Route): Model.Refusal | undefined {
    const barred = this.#barredBinding(kind, to, from)
    if (barred !== undefined) return barred
    const source = this.#vhost.exchanges.get(from)
    if (source === undefined) return this.#notFound("exchange", from)
    const destination = this.#destination(kind, to)
    if (destination === undefined) return this.#notFound(kind, to)
    const args = route.arguments ?? {}
    const unknown = source.type === "headers" ? unknownMatch(args) : undefined
    if (unknown !== undefined) return unknown
    if (!this.#mayUse(destination)) return this.#locked(to)
    const added = source.bind(destination, route.routingKey, args)
    if (added !== undefined) destination.bindings.add(added)
    return undefined
  }

  #unbind(kind: Model.Kind, to: string, from: string, route: Route): Model.Refusal | undefined {
    const barred = this.#barredBinding(kind, to, from)
    if (barred !== undefined) return barred
    const source = this.#vhost.exchanges.get(from)
    const destination = this.#destination(kind, to)
    if (source === undefined || destination === undefined) return undefined
    const found: Binding<Queue<C>> | undefined = source.find(destination, route.routingKey, route.arguments ?? {})
    if (found === undefined) return undefined
    if (!this.#mayUse(destination)) return this.#locked(to)
    source.unbind(found)
    destination.bindings.delete(found)
    this.#vhost.autoDelete(source)
    return undefined
  }

  #destination(kind: Model.Kind, name: string): Queue<C> | Exchange<Queue<C>> | undefined {
    return kind === "queue" ? this.#vhost.queues.get(name) : this.#vhost.exchanges.get(name)
  }

  /** What is exclusive is a queue. */
  #mayUse(thing: Queue<C> | Exchange<Queue<C>>): boolean {
    return !("owner" in thing) || thing.owner === undefined || thing.owner === this.#owner
  }

  #barred(permission: keyof Model.Permissions, kind: Model.Kind, name: string): Model.Refusal | undefined {
    const rights = this.#rights
    if (rights === undefined) return undefined
    const known = kind === "exchange" && name === "" ? defaultExchange : name
    if (allows(rights, permission, known)) return undefined
    return { _tag: "NotPermitted", permission, kind, name: known, vhost: this.#vhost.name, user: rights.user }
  }

  #barredBinding(kind: Model.Kind, to: string, from: string): Model.Refusal | undefined {
    return this.#barred("write", kind, to) ??
      (from === "" || (kind === "exchange" && to === "") ? this.#defaultExchange() : undefined) ??
      this.#barred("read", "exchange", from)
  }

  /** What is made to pass messages on to an exchange lets its maker read here and write there. */
  #barredForwarding(
    kind: Model.Kind,
    name: string,
    argument: string,
    args: Model.Arguments = {}
  ): Model.Refusal | undefined {
    const received = args[argument]
    if (received === undefined) return undefined
    const forward = textOf(received)
    if (forward === undefined) {
      return { _tag: "NotAName", kind, name, vhost: this.#vhost.name, argument, received }
    }
    return this.#barred("read", kind, name) ?? this.#barred("write", "exchange", forward)
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
    flags: ReadonlyArray<readonly [argument: string, current: unknown, received: unknown]>,
    argument: string | undefined
  ): Model.Refusal | undefined {
    const { name } = current
    const vhost = this.#vhost.name
    for (const [flag, was, received] of flags) {
      if (was !== received) return { _tag: "Inequivalent", kind, name, vhost, argument: flag, received, current: was }
    }
    return argument === undefined ? undefined : {
      _tag: "Inequivalent",
      kind,
      name,
      vhost,
      argument,
      received: options.arguments?.[argument],
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

  #unsupported(what: Model.Unsupported["what"], name: string, type: Model.QueueType): Model.Refusal {
    return { _tag: "Unsupported", what, name, vhost: this.#vhost.name, type }
  }

  #defaultExchange(): Model.Refusal {
    return this.#refused("DefaultExchange", "exchange", "")
  }
}
