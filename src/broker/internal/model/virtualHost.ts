/**
 * A virtual host: its exchanges and queues by name, and what routing, deletion and the end of a client do to them.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { Client } from "./client.ts"
import { Dispatcher } from "./dispatcher.ts"
import { Exchange } from "./exchange.ts"
import { type Consumer, type Owner, Queue } from "./queue.ts"

const predeclared: ReadonlyArray<readonly [string, Model.ExchangeType]> = [
  ["", "direct"],
  ["amq.direct", "direct"],
  ["amq.fanout", "fanout"],
  ["amq.topic", "topic"]
]

/** @internal */
export class VirtualHost<C> implements Model.VirtualHost<C> {
  readonly name: string
  readonly exchanges = new Map<string, Exchange<Queue<C>>>()
  readonly queues = new Map<string, Queue<C>>()
  readonly dispatcher = new Dispatcher<Queue<C>>()
  readonly #generateName: () => string
  readonly #chosen: Array<Queue<C>> = []
  #pass = 0

  constructor(name: string, generateName: () => string) {
    this.name = name
    this.#generateName = generateName
    for (const [exchange, type] of predeclared) {
      this.exchanges.set(exchange, new Exchange(exchange, type, { durable: true }))
    }
  }

  client(): Client<C> {
    return new Client(this, undefined)
  }

  addQueue(name: string, owner: Owner<C> | undefined, options: Model.QueueOptions): Queue<C> {
    const queue = new Queue<C>(name === "" ? `amq.gen-${this.#generateName()}` : name, owner, options, this.dispatcher)
    this.queues.set(queue.name, queue)
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
    for (const binding of queue.bindings) {
      binding.exchange.unbind(binding)
      this.autoDelete(binding.exchange)
    }
    queue.bindings.clear()
    const { consumers, count } = queue.drop()
    for (const consumer of consumers) consumer.options.onCancelled()
    return count
  }

  removeExchange(exchange: Exchange<Queue<C>>): void {
    this.exchanges.delete(exchange.name)
    for (const binding of exchange.bindings()) binding.destination.bindings.delete(binding)
  }

  /** To be called after a binding went: an exchange that never had one stays. */
  autoDelete(exchange: Exchange<Queue<C>>): void {
    if (exchange.autoDelete && exchange.bindingCount === 0) this.removeExchange(exchange)
  }

  removeConsumer(consumer: Consumer<C>): void {
    const queue = consumer.queue
    queue.remove(consumer)
    if (queue.autoDelete && queue.consumerCount === 0) this.removeQueue(queue)
  }

  /** All queues are chosen before the first delivery, which may change what is bound. */
  publish(exchange: Exchange<Queue<C>>, message: Model.Message<C>): number {
    const chosen = this.#chosen
    this.#route(exchange, message.routingKey)
    const count = chosen.length
    for (let index = 0; index < count; index++) chosen[index]?.enqueue(message)
    chosen.length = 0
    this.dispatcher.run()
    return count
  }

  #route(exchange: Exchange<Queue<C>>, routingKey: string): void {
    if (exchange.name === "") {
      const queue = this.queues.get(routingKey)
      if (queue !== undefined) this.#chosen.push(queue)
      return
    }
    const pass = ++this.#pass
    for (const binding of exchange.match(routingKey)) {
      const queue = binding.destination
      if (queue.pass === pass) continue
      queue.pass = pass
      this.#chosen.push(queue)
    }
  }
}
