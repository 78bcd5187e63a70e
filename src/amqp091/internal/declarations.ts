/**
 * What declares and binds, as methods: the options of `Channel` and `Topology` with their defaults.
 *
 * @since 0.1.0
 */
import type { ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions } from "../Channel.ts"
import type { QueueRef } from "../Channel.ts"
import type * as Method from "../Method.ts"

/** @internal */
export const queueName = (queue: string | QueueRef): string => typeof queue === "string" ? queue : queue.queue

/** @internal */
export const queueDeclare = (options: QueueDeclareOptions): Method.QueueDeclare => {
  const queue = options.queue ?? ""
  const exclusive = options.exclusive ?? queue === ""
  return {
    _tag: "QueueDeclare",
    queue,
    passive: options.passive === true,
    durable: options.durable ?? (queue !== "" && !exclusive),
    exclusive,
    autoDelete: options.autoDelete === true,
    noWait: options.noWait === true,
    arguments: options.arguments ?? {}
  }
}

/** @internal */
export const exchangeDeclare = (options: ExchangeDeclareOptions): Method.ExchangeDeclare => ({
  _tag: "ExchangeDeclare",
  exchange: options.exchange,
  type: options.type ?? "direct",
  passive: options.passive === true,
  durable: options.durable ?? true,
  autoDelete: options.autoDelete === true,
  internal: options.internal === true,
  noWait: options.noWait === true,
  arguments: options.arguments ?? {}
})

/** @internal */
export const queueBind = (options: QueueBindOptions): Method.QueueBind => ({
  _tag: "QueueBind",
  queue: queueName(options.queue),
  exchange: options.exchange,
  routingKey: options.routingKey ?? "",
  noWait: options.noWait === true,
  arguments: options.arguments ?? {}
})

/** @internal */
export const exchangeBind = (options: ExchangeBindOptions): Method.ExchangeBind => ({
  _tag: "ExchangeBind",
  destination: options.destination,
  source: options.source,
  routingKey: options.routingKey ?? "",
  noWait: options.noWait === true,
  arguments: options.arguments ?? {}
})
