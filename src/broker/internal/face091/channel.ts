/**
 * One channel of a client of the broker: its methods put to the model, and the model's answers put on the wire.
 *
 * @since 0.1.0
 */
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import * as Method from "../../../amqp091/Method.ts"
import type { Client, Consumer, Entry, Refusal } from "../../Model.ts"
import * as Model from "../../Model.ts"
import { consumerPriority } from "./consumerArguments.ts"
import type { Content } from "./content.ts"
import { withDeliveryCount } from "./deadLetter.ts"
import { furtherKeys, withoutBcc } from "./furtherKeys.ts"
import { expirationFault, Publication } from "./publication.ts"
import type { Fault } from "./refusals.ts"
import { fault, isHard, toFault } from "./refusals.ts"

/** The connection, as its channels see it. @internal */
export interface ChannelPeer {
  readonly send: (channel: number, method: Method.Method) => void
  readonly sendContent: (
    channel: number,
    method: Method.BasicDeliver | Method.BasicReturn | Method.BasicGetOk,
    content: Content
  ) => void
  /** The client's own socket takes more: one that does not read must not fill our memory. */
  readonly hasRoom: boolean
  readonly cancelNotify: boolean
  /** Who the client is. */
  readonly user: string
  readonly vhost: string
  readonly closeChannel: (channel: number, fault: Fault, method: Method.Method) => void
  readonly closeConnection: (fault: Fault, method: Method.Method) => void
  readonly generateTag: () => string
}

/** A publish, before its channel has seen it. @internal */
export interface Publish {
  readonly channel: ChannelFace
  readonly number: number
  readonly method: Method.BasicPublish
  readonly content: Content
  /** Gives it to the channel. */
  readonly take: () => void
}

/** Sees each publish, and decides what becomes of it. @internal */
export type PublishHook = (publish: Publish) => void

interface Unacked {
  readonly entry: Entry<Content>
  readonly consumer: Subscription | undefined
}

interface Subscription {
  readonly tag: string
  readonly noAck: boolean
  readonly prefetch: number
  unacked: number
  consumer: Consumer | undefined
}

/** A name as RabbitMQ takes it where things are declared, deleted or bound. */
const oneLine = (name: string): string => name.replaceAll(/[\r\n]/g, "")

const exchangeBinding = (method: Method.ExchangeBind | Method.ExchangeUnbind): Model.ExchangeBinding => ({
  destination: oneLine(method.destination),
  source: oneLine(method.source),
  routingKey: method.routingKey,
  arguments: method.arguments
})
/** With the number of times it came back, from `least` on, where the queue counts them. */
const contentOf = ({ deliveryCount, message }: Entry<Content>, least: number): Content =>
  deliveryCount === undefined || deliveryCount < least
    ? message.content
    : withDeliveryCount(message.content, deliveryCount)

/** @internal */
export class ChannelFace {
  private readonly number: number
  private readonly peer: ChannelPeer
  private readonly client: Client<Content>
  private readonly subscriptions = new Map<string, Subscription>()
  private readonly unacked = new Map<number, Unacked>()
  private nextTag = 1
  private confirming = false
  private published = 0
  private confirmed = 0
  /** A publish is never answered for: `multiple` would do it. */
  private hasLost = false
  private consumerPrefetch = 0
  private channelPrefetch = 0
  private consumed = 0
  /** What an empty queue name means (0-9-1, queue.bind: "the last declared queue on the channel"). */
  private lastQueue: string | undefined

  constructor(number: number, peer: ChannelPeer, client: Client<Content>) {
    this.number = number
    this.peer = peer
    this.client = client
  }

  /** Its consumers and what it did not settle go back to the model. */
  release(): void {
    this.client.release()
  }

  /** Room or credit may have come back. */
  resume(): void {
    // Together: else the first consumer would take all there is before the second has its turn.
    this.client.together(() => {
      for (const subscription of this.subscriptions.values()) subscription.consumer?.resume()
    })
  }

  /** Answers for all publishes since the last time, in one frame. */
  confirm(): void {
    if (!this.confirming || this.confirmed === this.published) return
    if (this.hasLost) return this.confirmEach()
    const multiple = this.published - this.confirmed > 1
    this.confirmed = this.published
    this.peer.send(this.number, { _tag: "BasicAck", deliveryTag: this.published, multiple })
  }

  private confirmEach(): void {
    while (this.confirmed < this.published) {
      this.peer.send(this.number, { _tag: "BasicAck", deliveryTag: ++this.confirmed, multiple: false })
    }
  }

  // --- Faults on demand ---

  get isConfirming(): boolean {
    return this.confirming
  }

  /** Refuses the publish that has come. */
  nack(): void {
    this.confirm()
    this.confirmed = ++this.published
    this.peer.send(this.number, { _tag: "BasicNack", deliveryTag: this.published, multiple: false, requeue: false })
  }

  /** Never answers for the publish that has come, which `take` gives to the queues, if it is there. */
  lose(take?: () => void): void {
    this.confirm()
    if (take === undefined) this.published++
    else take()
    this.confirmed = this.published
    this.hasLost = true
  }

  /** Ends consumers as if their queue had gone; how many. */
  cancelConsumers(isMeant: (tag: string, queue: string) => boolean): number {
    const meant = Array.from(this.subscriptions.values()).filter(({ consumer, tag }) =>
      consumer !== undefined && isMeant(tag, consumer.queue.name)
    )
    for (const subscription of meant) {
      subscription.consumer?.cancel()
      this.cancelled(subscription)
    }
    return meant.length
  }

  receive(method: Method.Method): void {
    switch (method._tag) {
      case "ChannelOpen":
        return this.answer({ _tag: "ChannelOpenOk" })
      case "ChannelFlow":
        if (!method.active) {
          return this.peer.closeConnection(fault(Method.ReplyCode.notImplemented, "active=false"), method)
        }
        return this.answer({ _tag: "ChannelFlowOk", active: true })
      case "ExchangeDeclare":
        return this.exchangeDeclare(method)
      case "ExchangeDelete":
        return this.done(
          method,
          this.client.deleteExchange(oneLine(method.exchange), { ifUnused: method.ifUnused }),
          () => method.noWait ? undefined : { _tag: "ExchangeDeleteOk" }
        )
      case "ExchangeBind":
        return this.done(
          method,
          this.client.bindExchange(exchangeBinding(method)),
          () => method.noWait ? undefined : { _tag: "ExchangeBindOk" }
        )
      case "ExchangeUnbind":
        return this.done(
          method,
          this.client.unbindExchange(exchangeBinding(method)),
          () => method.noWait ? undefined : { _tag: "ExchangeUnbindOk" }
        )
      case "QueueDeclare":
        return this.queueDeclare(method)
      case "QueueBind":
        return this.withBinding(method, (binding) =>
          this.done(
            method,
            this.client.bindQueue(binding),
            () => method.noWait ? undefined : { _tag: "QueueBindOk" }
          ))
      case "QueueUnbind":
        return this.withBinding(
          method,
          (binding) => this.done(method, this.client.unbindQueue(binding), () => ({ _tag: "QueueUnbindOk" }))
        )
      case "QueuePurge":
        return this.withQueue(
          method,
          (queue) =>
            this.done(
              method,
              this.client.purgeQueue(queue),
              (messageCount) => method.noWait ? undefined : { _tag: "QueuePurgeOk", messageCount }
            )
        )
      case "QueueDelete":
        return this.withQueue(method, (queue) =>
          this.done(
            method,
            this.client.deleteQueue(oneLine(queue), { ifUnused: method.ifUnused, ifEmpty: method.ifEmpty }),
            (messageCount) => method.noWait ? undefined : { _tag: "QueueDeleteOk", messageCount }
          ))
      case "BasicQos":
        return this.qos(method)
      case "BasicConsume":
        return this.consume(method)
      case "BasicCancel":
        this.cancel(method.consumerTag)
        if (!method.noWait) this.answer({ _tag: "BasicCancelOk", consumerTag: method.consumerTag })
        return
      case "BasicGet":
        return this.get(method)
      case "BasicAck":
        return this.settle(method, method.deliveryTag, method.multiple, (entry) => entry.settle())
      case "BasicReject":
        return this.giveBack(method, method.deliveryTag, false, method.requeue)
      case "BasicNack":
        return this.giveBack(method, method.deliveryTag, method.multiple, method.requeue)
      case "BasicRecover":
      case "BasicRecoverAsync":
        return this.recover(method)
      case "ConfirmSelect":
        this.confirming = true
        if (!method.noWait) this.answer({ _tag: "ConfirmSelectOk" })
        return
      default:
        return this.peer.closeConnection(
          fault(Method.ReplyCode.notImplemented, `${Method.name(method)} is not implemented`),
          method
        )
    }
  }

  private answer(method: Method.Method): void {
    this.peer.send(this.number, method)
  }

  private refuse(method: Method.Method, refusal: Refusal): void {
    if (isHard(refusal)) this.peer.closeConnection(toFault(refusal), method)
    else this.peer.closeChannel(this.number, toFault(refusal), method)
  }

  private done<A>(
    method: Method.Method,
    result: A | Refusal,
    answer: (result: A) => Method.Method | undefined
  ): void {
    if (Model.isRefusal(result)) return this.refuse(method, result)
    const reply = answer(result)
    if (reply !== undefined) this.answer(reply)
  }

  // --- Topology ---

  private exchangeDeclare(method: Method.ExchangeDeclare): void {
    const exchange = oneLine(method.exchange)
    const result = method.passive
      ? this.client.findExchange(exchange)
      : this.client.declareExchange(exchange, method.type, {
        durable: method.durable,
        autoDelete: method.autoDelete,
        internal: method.internal,
        arguments: method.arguments
      })
    this.done(method, result, () => method.noWait ? undefined : { _tag: "ExchangeDeclareOk" })
  }

  private queueDeclare(method: Method.QueueDeclare): void {
    // Unlike every other method, a passive declaration takes an empty name as it is.
    const result = method.passive
      ? this.client.findQueue(oneLine(method.queue))
      : this.client.declareQueue({
        name: oneLine(method.queue),
        durable: method.durable,
        exclusive: method.exclusive,
        autoDelete: method.autoDelete,
        arguments: method.arguments
      })
    this.done(method, result, (queue) => {
      this.lastQueue = queue.name
      return method.noWait ? undefined : {
        _tag: "QueueDeclareOk",
        queue: queue.name,
        messageCount: queue.readyCount,
        consumerCount: queue.consumerCount
      }
    })
  }

  private nameOf(queue: string): string | undefined {
    return queue === "" ? this.lastQueue : queue
  }

  private noQueue(method: Method.Method): void {
    this.peer.closeChannel(
      this.number,
      fault(Method.ReplyCode.notFound, "no previously declared queue"),
      method
    )
  }

  private withQueue(method: Method.Method & { readonly queue: string }, use: (queue: string) => void): void {
    const queue = this.nameOf(method.queue)
    if (queue === undefined) this.noQueue(method)
    else use(queue)
  }

  private withBinding(
    method: Method.QueueBind | Method.QueueUnbind,
    use: (binding: Model.QueueBinding) => void
  ): void {
    this.withQueue(method, (queue) =>
      use({
        queue: oneLine(queue),
        exchange: oneLine(method.exchange),
        // Both empty: the last declared queue, bound by its own name (0-9-1, queue.bind).
        routingKey: method.queue === "" && method.routingKey === "" ? queue : method.routingKey,
        arguments: method.arguments
      }))
  }

  // --- Publishing ---

  publish(method: Method.BasicPublish, properties: RawProperties, body: Uint8Array): void {
    if (method.immediate) {
      return this.peer.closeConnection(fault(Method.ReplyCode.notImplemented, "immediate=true"), method)
    }
    const { headers, userId } = properties.decoded
    if (userId !== undefined && userId !== this.peer.user) {
      return this.unfit(
        method,
        fault(
          Method.ReplyCode.preconditionFailed,
          `user_id property set to '${userId}' but authenticated user was '${this.peer.user}'`
        )
      )
    }
    const keys = headers === undefined ? undefined : furtherKeys(headers)
    if (keys !== undefined && "code" in keys) return this.unfit(method, keys)
    const invalid = expirationFault(properties)
    if (invalid !== undefined) return this.unfit(method, invalid)
    const kept = keys === undefined ? properties : withoutBcc(properties)
    const message = new Publication(method.exchange, method.routingKey, kept, body, keys)
    const result = this.client.publish(message)
    if (Model.isRefusal(result)) return this.refuse(method, result)
    if (result === 0 && method.mandatory) {
      this.peer.sendContent(this.number, {
        _tag: "BasicReturn",
        replyCode: Method.ReplyCode.noRoute,
        replyText: "NO_ROUTE",
        exchange: method.exchange,
        routingKey: method.routingKey
      }, message)
    }
    if (!this.confirming) return
    if (result === "Rejected") this.confirmNot()
    else this.published++
  }

  /** The publish of this moment was refused by a queue. */
  private confirmNot(): void {
    this.confirm()
    this.confirmed = ++this.published
    this.peer.send(this.number, {
      _tag: "BasicNack",
      deliveryTag: this.published,
      multiple: false,
      requeue: false
    })
  }

  /** An exchange that takes no message at all is the first thing to be wrong with one. */
  private unfit(method: Method.BasicPublish, reason: Fault): void {
    const refusal = this.client.canPublish(method.exchange)
    if (refusal === undefined) this.peer.closeChannel(this.number, reason, method)
    else this.refuse(method, refusal)
  }

  // --- Delivering ---

  private qos(method: Method.BasicQos): void {
    if (method.prefetchSize !== 0) {
      return this.peer.closeConnection(
        fault(Method.ReplyCode.notImplemented, `prefetch_size!=0 (${method.prefetchSize})`),
        method
      )
    }
    // RabbitMQ: without `global` it counts for each consumer made afterwards, and takes away the bound that it is with
    // `global`, on all of the channel together.
    if (!method.global) this.consumerPrefetch = method.prefetchCount
    this.channelPrefetch = method.global ? method.prefetchCount : 0
    this.answer({ _tag: "BasicQosOk" })
    this.resume()
  }

  private consume(method: Method.BasicConsume): void {
    if (method.consumerTag !== "" && this.subscriptions.has(method.consumerTag)) {
      return this.peer.closeConnection(
        fault(Method.ReplyCode.notAllowed, `attempt to reuse consumer tag '${method.consumerTag}'`),
        method
      )
    }
    this.withQueue(method, (queue) => {
      const found = this.client.findQueue(queue)
      if (Model.isRefusal(found)) return this.refuse(method, found)
      if (found.type === "quorum" && this.channelPrefetch > 0) {
        return this.peer.closeConnection(
          fault(
            Method.ReplyCode.notImplemented,
            `queue '${queue}' in vhost '${this.peer.vhost}' does not support global qos`
          ),
          method
        )
      }
      const priority = consumerPriority(method.arguments, queue, this.peer.vhost)
      if (typeof priority === "object") return this.peer.closeChannel(this.number, priority, method)
      const subscription: Subscription = {
        tag: method.consumerTag === "" ? `amq.ctag-${this.peer.generateTag()}` : method.consumerTag,
        noAck: method.noAck,
        prefetch: method.noAck ? 0 : this.consumerPrefetch,
        unacked: 0,
        consumer: undefined
      }
      const result = this.client.subscribe({
        queue,
        exclusive: method.exclusive,
        priority,
        noAck: method.noAck,
        hasCredit: () => this.hasCredit(subscription),
        receive: (entry) => this.deliver(subscription, entry),
        onCancelled: () => this.cancelled(subscription)
      })
      if (Model.isRefusal(result)) return this.refuse(method, result)
      subscription.consumer = result
      this.subscriptions.set(subscription.tag, subscription)
      if (!method.noWait) this.answer({ _tag: "BasicConsumeOk", consumerTag: subscription.tag })
      result.resume()
    })
  }

  private hasCredit(subscription: Subscription): boolean {
    if (!this.peer.hasRoom) return false
    if (subscription.noAck) return true
    return (subscription.prefetch === 0 || subscription.unacked < subscription.prefetch) &&
      (this.channelPrefetch === 0 || this.consumed < this.channelPrefetch)
  }

  private deliver(subscription: Subscription, entry: Entry<Content>): void {
    const deliveryTag = this.hold(entry, subscription)
    this.peer.sendContent(this.number, {
      _tag: "BasicDeliver",
      consumerTag: subscription.tag,
      deliveryTag,
      redelivered: entry.redelivered,
      exchange: entry.message.exchange,
      routingKey: entry.message.routingKey
    }, contentOf(entry, 1))
  }

  private hold(entry: Entry<Content>, consumer: Subscription | undefined, noAck = consumer?.noAck === true): number {
    const tag = this.nextTag++
    if (noAck) return tag
    this.unacked.set(tag, { entry, consumer })
    if (consumer !== undefined) {
      consumer.unacked++
      this.consumed++
    }
    return tag
  }

  private cancel(tag: string): void {
    const subscription = this.subscriptions.get(tag)
    this.subscriptions.delete(tag)
    subscription?.consumer?.cancel()
  }

  private cancelled(subscription: Subscription): void {
    this.subscriptions.delete(subscription.tag)
    if (this.peer.cancelNotify) {
      this.answer({ _tag: "BasicCancel", consumerTag: subscription.tag, noWait: true })
    }
  }

  private get(method: Method.BasicGet): void {
    this.withQueue(method, (queue) => {
      const result = this.client.get(queue, { noAck: method.noAck })
      if (result === undefined) return this.answer({ _tag: "BasicGetEmpty" })
      if (Model.isRefusal(result)) return this.refuse(method, result)
      const deliveryTag = this.hold(result, undefined, method.noAck)
      this.peer.sendContent(this.number, {
        _tag: "BasicGetOk",
        deliveryTag,
        redelivered: result.redelivered,
        exchange: result.message.exchange,
        routingKey: result.message.routingKey,
        messageCount: result.queue.readyCount
      }, contentOf(result, 0))
    })
  }

  // --- Settling ---

  private settle(
    method: Method.Method,
    tag: number,
    multiple: boolean,
    each: (entry: Entry<Content>) => void
  ): void {
    const entries = this.withdraw(tag, multiple)
    if (entries === undefined) {
      return this.peer.closeChannel(
        this.number,
        fault(Method.ReplyCode.preconditionFailed, `unknown delivery tag ${tag}`),
        method
      )
    }
    for (const entry of entries) each(entry)
    this.resume()
  }

  private giveBack(method: Method.Method, tag: number, multiple: boolean, requeue: boolean): void {
    if (!requeue) return this.settle(method, tag, multiple, (entry) => entry.discard())
    const back: Array<Entry<Content>> = []
    this.settle(method, tag, multiple, (entry) => void back.push(entry))
    this.client.requeue(back)
  }

  /** Takes the entries of a tag, or of all up to it, out of the unacknowledged ones; `undefined`: an unknown tag. */
  private withdraw(tag: number, multiple: boolean): ReadonlyArray<Entry<Content>> | undefined {
    const entries: Array<Entry<Content>> = []
    if (multiple) {
      // 0 means all (0-9-1, basic.ack); any other tag must be unsettled itself.
      if (tag !== 0 && !this.unacked.has(tag)) return undefined
      for (const known of this.unacked.keys()) {
        if (tag !== 0 && known > tag) break
        entries.push(...this.take(known))
      }
      return entries
    }
    const taken = this.take(tag)
    return taken.length === 0 ? undefined : taken
  }

  private take(tag: number): ReadonlyArray<Entry<Content>> {
    const held = this.unacked.get(tag)
    if (held === undefined) return []
    this.unacked.delete(tag)
    if (held.consumer !== undefined) {
      held.consumer.unacked--
      this.consumed--
    }
    return [held.entry]
  }

  private recover(method: Method.BasicRecover | Method.BasicRecoverAsync): void {
    if (!method.requeue) {
      return this.peer.closeConnection(fault(Method.ReplyCode.notImplemented, "requeue=false"), method)
    }
    const entries = this.withdraw(0, true) ?? []
    if (method._tag === "BasicRecover") this.answer({ _tag: "BasicRecoverOk" })
    this.client.requeue(entries)
    this.resume()
  }
}
