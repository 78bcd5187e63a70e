/**
 * A virtual host: its exchanges and queues by name, and what routing, deletion and the end of a client do to them.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Access } from "./access.ts"
import type { Alarms } from "./alarms.ts"
import { Client } from "./client.ts"
import type { Consumer } from "./consumer.ts"
import { closesCycle } from "./deaths.ts"
import { Dispatcher } from "./dispatcher.ts"
import { type Destination, Exchange } from "./exchange.ts"
import { type Host, type Owner, Queue } from "./queue.ts"

const predeclared: ReadonlyArray<readonly [string, Model.ExchangeType, Model.ExchangeOptions?]> = [
  ["", "direct"],
  ["amq.direct", "direct"],
  ["amq.fanout", "fanout"],
  ["amq.topic", "topic"],
  ["amq.headers", "headers"],
  ["amq.match", "headers"],
  ["amq.rabbitmq.trace", "topic", { internal: true }]
]

const none: Model.Arguments = {}

/** What all virtual hosts of a broker share. @internal */
export interface Shared<in out C> {
  readonly access: Access
  readonly alarms: Alarms<Queue<C>>
  readonly now: () => number
  readonly generateName: () => string
  readonly deadLetter: Model.Options<C>["deadLetter"]
  readonly headers: (content: C) => Model.Arguments | undefined
}

/** @internal */
export class VirtualHost<C> implements Model.VirtualHost<C>, Host<C> {
  readonly name: string
  readonly exchanges = new Map<string, Exchange<Queue<C>>>()
  readonly queues = new Map<string, Queue<C>>()
  readonly dispatcher = new Dispatcher<Queue<C>>()
  readonly alarms: Alarms<Queue<C>>
  readonly now: () => number
  readonly #shared: Shared<C>
  /** A stack: a publish within another one works on what is above its own. */
  readonly #chosen: Array<Queue<C>> = []
  readonly #passed: Array<Exchange<Queue<C>>> = []
  readonly #deaths: Array<Model.Death<C>> = []
  #burying = false
  #pass = 0

  constructor(name: string, shared: Shared<C>) {
    this.name = name
    this.alarms = shared.alarms
    this.now = shared.now
    this.#shared = shared
    for (const [exchange, type, further] of predeclared) {
      this.exchanges.set(exchange, new Exchange(exchange, type, { durable: true, ...further }))
    }
  }

  client(user?: string): Client<C> {
    return new Client(this, undefined, user === undefined ? undefined : this.#shared.access.rights(user, this.name))
  }

  generateName(): string {
    return `amq.gen-${this.#shared.generateName()}`
  }

  addQueue(name: string, owner: Owner<C> | undefined, options: Model.QueueOptions): Queue<C> {
    const queue = new Queue<C>(name, owner, options, this)
    this.queues.set(name, queue)
    owner?.queues.add(queue)
    return queue
  }

  addExchange(name: string, type: Model.ExchangeType, options: Model.ExchangeOptions): Exchange<Queue<C>> {
    const exchange = new Exchange<Queue<C>>(name, type, options)
    this.exchanges.set(name, exchange)
    return exchange
  }

  removeQueue(queue: Queue<C>): number {
    this.queues.delete(queue.name)
    queue.owner?.queues.delete(queue)
    this.#unbindFrom(queue)
    const { consumers, count } = queue.drop()
    for (const consumer of consumers) consumer.options.onCancelled()
    return count
  }

  removeExchange(exchange: Exchange<Queue<C>>): void {
    this.exchanges.delete(exchange.name)
    for (const binding of exchange.outgoing()) binding.destination.bindings.delete(binding)
    this.#unbindFrom(exchange)
  }

  /** All that led there leads there no more, and takes what lived for it alone along, however long that chain is. */
  #unbindFrom(destination: Destination<Queue<C>>): void {
    const gone = [destination]
    for (const { bindings } of gone) {
      for (const binding of bindings) {
        const { exchange } = binding
        exchange.unbind(binding)
        if (exchange.autoDelete && exchange.bindingCount === 0 && this.exchanges.delete(exchange.name)) {
          gone.push(exchange)
        }
      }
      bindings.clear()
    }
  }

  /** To be called after a binding went: an exchange that never had one stays. */
  autoDelete(exchange: Exchange<Queue<C>>): void {
    if (exchange.autoDelete && exchange.bindingCount === 0) this.removeExchange(exchange)
  }

  removeConsumer(consumer: Consumer<C>): void {
    const queue = consumer.queue
    queue.remove(consumer)
    if (queue.autoDelete && queue.consumerCount === 0) this.removeQueue(queue)
    // It may be another one's turn now.
    this.dispatcher.run()
  }

  /** All queues are chosen before the first delivery, which may change what is bound. */
  publish(
    exchange: Exchange<Queue<C>>,
    message: Model.Message<C>,
    isExcluded?: (queue: Queue<C>) => boolean
  ): number | "Rejected" {
    const first = this.#chosen.length
    this.#choice(exchange, message)
    return this.#enqueue(message, first, isExcluded)
  }

  /** The names of the queues that take a message now. */
  route(exchange: Exchange<Queue<C>>, message: Model.Message<C>): ReadonlyArray<string> {
    const first = this.#chosen.length
    this.#choice(exchange, message)
    return this.#chosen.splice(first).map((queue) => queue.name)
  }

  deliver({ message, queues }: Model.Routed<C>): number | "Rejected" {
    const first = this.#chosen.length
    for (const name of queues) {
      const queue = this.queues.get(name)
      if (queue !== undefined) this.#chosen.push(queue)
    }
    return this.#enqueue(message, first)
  }

  #enqueue(
    message: Model.Message<C>,
    first: number,
    isExcluded?: (queue: Queue<C>) => boolean
  ): number | "Rejected" {
    const chosen = this.#chosen
    let count = 0
    let rejected = false
    for (let index = first; index < chosen.length; index++) {
      const queue = chosen[index]
      if (queue === undefined || isExcluded?.(queue) === true) continue
      count++
      if (!queue.enqueue(message)) rejected = true
    }
    chosen.length = first
    this.dispatcher.run()
    return rejected ? "Rejected" : count
  }

  // --- Dead letters ---

  /** One after the other: what a dead letter displaces waits for its turn, so that no stack grows. */
  readonly deadLetter = (queue: Queue<C>, message: Model.Message<C>, reason: Model.DeathReason): void => {
    const { deadLetterExchange: exchange, deadLetterRoutingKey: routingKey } = queue.settings
    if (exchange === undefined || this.#shared.deadLetter === undefined) return
    this.#deaths.push({ message, reason, queue: queue.name, time: this.now(), exchange, routingKey })
    if (this.#burying) return
    this.#burying = true
    try {
      for (const death of this.#deaths) this.#bury(death)
    } finally {
      this.#deaths.length = 0
      this.#burying = false
    }
  }

  #bury(death: Model.Death<C>): void {
    const exchange = this.exchanges.get(death.exchange)
    const letter = this.#shared.deadLetter?.(death)
    if (exchange === undefined || letter === undefined) return
    const { deaths, message } = letter
    this.publish(
      exchange,
      message,
      death.reason === "rejected" ? undefined : (queue) => closesCycle(queue.name, deaths)
    )
  }

  #choice(exchange: Exchange<Queue<C>>, message: Model.Message<C>): void {
    if (exchange.name === "") this.#routeByName(message)
    else this.#route(exchange, message)
  }

  /** The default exchange: every queue is bound to it by its name. */
  #routeByName({ furtherKeys, routingKey }: Model.Message<C>): void {
    const queue = this.queues.get(routingKey)
    if (furtherKeys === undefined) {
      if (queue !== undefined) this.#chosen.push(queue)
      return
    }
    const pass = ++this.#pass
    if (queue !== undefined) this.#choose(queue, pass)
    for (const key of furtherKeys) {
      const further = this.queues.get(key)
      if (further !== undefined) this.#choose(further, pass)
    }
  }

  #route(first: Exchange<Queue<C>>, message: Model.Message<C>): void {
    const pass = ++this.#pass
    first.pass = pass
    this.#follow(first, message, pass)
    const passed = this.#passed
    if (passed.length === 0) return
    // It grows meanwhile.
    for (const exchange of passed) this.#follow(exchange, message, pass)
    passed.length = 0
  }

  #follow(exchange: Exchange<Queue<C>>, message: Model.Message<C>, pass: number): void {
    const { furtherKeys } = message
    const headers = exchange.type === "headers" ? this.#shared.headers(message.content) ?? none : none
    let taken = this.#match(exchange, message.routingKey, headers, pass)
    // The other types look at no key.
    if (furtherKeys !== undefined && (exchange.type === "direct" || exchange.type === "topic")) {
      for (const key of furtherKeys) taken = this.#match(exchange, key, headers, pass) || taken
    }
    if (taken || exchange.alternate === undefined) return
    // As RabbitMQ has it, the default exchange takes nothing as an alternate: no binding of it is on record.
    const alternate = this.exchanges.get(exchange.alternate)
    if (alternate !== undefined) this.#choose(alternate, pass)
  }

  /** Whether any binding took it. */
  #match(exchange: Exchange<Queue<C>>, routingKey: string, headers: Model.Arguments, pass: number): boolean {
    let taken = false
    for (const binding of exchange.match(routingKey, headers)) {
      taken = true
      this.#choose(binding.destination, pass)
    }
    return taken
  }

  #choose(destination: Queue<C> | Exchange<Queue<C>>, pass: number): void {
    if (destination.pass === pass) return
    destination.pass = pass
    if (destination instanceof Exchange) this.#passed.push(destination)
    else this.#chosen.push(destination)
  }
}
