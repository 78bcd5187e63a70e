/**
 * What every channel can do, as calls of its core: the public interface in `Channel.ts`, method by method.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ChannelBase, ConsumeOptions } from "../Channel.ts"
import type { Delivery } from "../Message.ts"
import * as Method from "../Method.ts"
import type { ChannelCore } from "./channel.ts"
import { consuming, refused } from "./consuming.ts"
import * as declarations from "./declarations.ts"
import type { Settlement } from "./delivery.ts"
import { DeliveryRecord } from "./delivery.ts"

/** @internal */
export const base = (core: ChannelCore): ChannelBase => {
  const call = (method: Method.Method) => Effect.asVoid(core.call(method, true))
  const chain = (method: Method.ExchangeBind | Method.ExchangeUnbind) =>
    Effect.suspend(() =>
      core.host.capabilities.exchangeExchangeBindings ? call(method) : Effect.fail(
        refused(Method.name(method), "the broker does not bind exchanges to exchanges, and would close the connection")
      )
    )
  return {
    queueDeclare: (options = {}) => {
      const method = declarations.queueDeclare(options)
      const { noWait, queue } = method
      if (noWait && queue === "") {
        return Effect.fail(refused("queue.declare", "noWait needs a queue name: the broker's own would never be known"))
      }
      return Effect.map(
        core.call(method, true),
        ({ method }) => {
          if (method._tag !== "QueueDeclareOk") return { queue, messageCount: 0, consumerCount: 0 }
          const { consumerCount, messageCount } = method
          if (queue !== "") return { queue: method.queue, messageCount, consumerCount }
          const ref = core.host.recovery.ledger.ref(core, method.queue)
          return {
            get queue() {
              return ref.queue
            },
            messageCount,
            consumerCount
          }
        }
      )
    },
    queueBind: (options) => call(declarations.queueBind(options)),
    queueUnbind: (options) =>
      call({
        _tag: "QueueUnbind",
        queue: declarations.queueName(options.queue),
        exchange: options.exchange,
        routingKey: options.routingKey ?? "",
        arguments: options.arguments ?? {}
      }),
    queuePurge: (queue, options) =>
      Effect.map(
        core.call(
          { _tag: "QueuePurge", queue: declarations.queueName(queue), noWait: options?.noWait === true },
          false
        ),
        ({ method }) => method._tag === "QueuePurgeOk" ? method.messageCount : 0
      ),
    queueDelete: (options) =>
      Effect.map(
        core.call({
          _tag: "QueueDelete",
          queue: declarations.queueName(options.queue),
          ifUnused: options.ifUnused === true,
          ifEmpty: options.ifEmpty === true,
          noWait: options.noWait === true
        }, false),
        ({ method }) => method._tag === "QueueDeleteOk" ? method.messageCount : 0
      ),
    exchangeDeclare: (options) => call(declarations.exchangeDeclare(options)),
    exchangeDelete: (options) =>
      Effect.asVoid(core.call({
        _tag: "ExchangeDelete",
        exchange: options.exchange,
        ifUnused: options.ifUnused === true,
        noWait: options.noWait === true
      }, false)),
    exchangeBind: (options) => chain(declarations.exchangeBind(options)),
    exchangeUnbind: (options) => chain({ ...declarations.exchangeBind(options), _tag: "ExchangeUnbind" }),
    qos: ({ global = false, prefetch }) => {
      if (!(prefetch >= 0 && prefetch <= 0xffff && Number.isInteger(prefetch))) {
        return Effect.fail(refused("basic.qos", `prefetch ${prefetch} is not a whole number from 0 to 65535`))
      }
      if (global) return core.limit(prefetch)
      return Effect.sync(() => {
        core.prefetch.ofConsumers = prefetch
      })
    },
    flow: (active) =>
      active
        ? call({ _tag: "ChannelFlow", active })
        : Effect.fail(refused("channel.flow", "RabbitMQ closes the connection over active=false (540)")),
    number: Effect.sync(() => core.number),
    returned: core.returned,
    recover: core.recover,
    consume: (options) => consume(core, options),
    get: ({ noAck = false, queue }) =>
      Effect.map(
        core.get(declarations.queueName(queue), noAck),
        ({ delivery, method }) =>
          method._tag === "BasicGetOk" && delivery !== undefined
            ? Option.some({ delivery, messageCount: method.messageCount })
            : Option.none()
      ),
    ackAll: (deliveries) => settleAll(core, deliveries, "ack"),
    nackAll: (deliveries, options) => settleAll(core, deliveries, options?.requeue === false ? "discard" : "requeue")
  }
}

const settleAll = (
  core: ChannelCore,
  deliveries: Iterable<Delivery> | undefined,
  settlement: Settlement
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { settling } = core
    if (deliveries === undefined) return Effect.sync(() => settling.settleEverything(settlement))
    const records: Array<DeliveryRecord> = []
    for (const delivery of deliveries) if (delivery instanceof DeliveryRecord) records.push(delivery)
    return Effect.forEach(settling.settleAll(records, settlement), settling.onUnsettled, { discard: true })
  })

// A batch becomes a chunk as it is: nobody else has the array.
const consume = (core: ChannelCore, options: ConsumeOptions): ReturnType<ChannelBase["consume"]> =>
  Stream.unwrapScoped(Effect.map(
    consuming(core, options),
    (take) => Stream.repeatEffectChunkOption(Effect.map(take, Chunk.unsafeFromArray))
  ))
