/**
 * What a channel consumes: its consumers, how much each and all of them may hold, and the one that waits for replies.
 *
 * @since 0.1.0
 */
import * as Method from "../../../amqp091/Method.ts"
import type { Client, Entry, Message, Refusal } from "../../Model.ts"
import * as Model from "../../Model.ts"
import { argumentsOf } from "./arguments.ts"
import { consumerPriority } from "./consumerArguments.ts"
import type { Content } from "./content.ts"
import { withDeliveryCount } from "./deadLetter.ts"
import type { ChannelPeer } from "./peer.ts"
import type { Fault } from "./refusals.ts"
import { fault } from "./refusals.ts"
import { replyQueue } from "./replyTo.ts"
import type { Subscription } from "./subscription.ts"
import type { Held, Unacknowledged } from "./unacknowledged.ts"

/** @internal */
export class Consuming {
  private readonly number: number
  private readonly peer: ChannelPeer
  private readonly client: Client<Content>
  private readonly unacknowledged: Unacknowledged
  private readonly subscriptions = new Map<string, Subscription>()
  /** For each consumer made afterwards. */
  private prefetch = 0
  /** For the channel as a whole; 0 is no bound. */
  private limit = 0
  /** What counts against `limit`. */
  private volume = 0
  private reply: { readonly tag: string; readonly address: string } | undefined

  constructor(number: number, peer: ChannelPeer, client: Client<Content>, unacknowledged: Unacknowledged) {
    this.number = number
    this.peer = peer
    this.client = client
    this.unacknowledged = unacknowledged
  }

  /** Where this channel waits for replies, if it does. */
  get replyAddress(): string | undefined {
    return this.reply?.address
  }

  release(): void {
    if (this.reply !== undefined) this.peer.replyTo.close(this.reply.address)
    this.reply = undefined
  }

  /** Room or credit may have come back. */
  resume(): void {
    // Together: else the first consumer would take all there is before the second has its turn.
    this.client.together(() => {
      for (const subscription of this.subscriptions.values()) subscription.consumer?.resume()
    })
  }

  // --- Credit ---

  qos(method: Method.BasicQos): Fault | undefined {
    if (method.prefetchSize !== 0) {
      return fault(Method.ReplyCode.notImplemented, `prefetch_size!=0 (${method.prefetchSize})`)
    }
    if (method.global && this.peer.profile.globalQos) {
      // RabbitMQ counts what `basic.get` gave as well when the bound is new.
      if (this.limit === 0) this.volume = this.unacknowledged.size
      this.limit = method.prefetchCount
    } else {
      // It also takes away the bound that `global` put on the channel.
      this.prefetch = method.prefetchCount
      this.limit = 0
    }
    if (this.limit === 0) this.volume = 0
    return undefined
  }

  private hasCredit(subscription: Subscription): boolean {
    if (!this.peer.hasRoom) return false
    // The channel's bound holds up consumers without acknowledgement too, although they do not count.
    if (this.limit !== 0 && this.volume >= this.limit) return false
    return subscription.prefetch === 0 || subscription.unacked < subscription.prefetch
  }

  /** What became of a delivery is settled: it counts no more. */
  credit(held: Held): void {
    if (held.consumer === undefined) return
    held.consumer.unacked--
    if (this.volume > 0) this.volume--
  }

  // --- Consumers ---

  consume(method: Method.BasicConsume, queue: string): Refusal | Fault | undefined {
    if (method.consumerTag !== "" && this.subscriptions.has(method.consumerTag)) {
      return fault(Method.ReplyCode.notAllowed, `attempt to reuse consumer tag '${method.consumerTag}'`)
    }
    const tag = method.consumerTag === "" ? `amq.ctag-${this.peer.generateName()}` : method.consumerTag
    if (queue === replyQueue) return this.consumeReplies(method, tag)
    const found = this.client.findQueue(queue, "read")
    if (Model.isRefusal(found)) return found
    const { vhost } = this.peer
    const priority = consumerPriority(argumentsOf(method.arguments), found, vhost)
    if (typeof priority === "object") return priority
    if (found.type === "quorum" && this.limit > 0) {
      return fault(
        Method.ReplyCode.notImplemented,
        `queue '${queue}' in vhost '${vhost}' does not support global qos`
      )
    }
    const subscription: Subscription = {
      tag,
      noAck: method.noAck,
      prefetch: method.noAck ? 0 : this.prefetch,
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
    if (Model.isRefusal(result)) return result
    subscription.consumer = result
    this.subscriptions.set(tag, subscription)
    if (!method.noWait) this.peer.send(this.number, { _tag: "BasicConsumeOk", consumerTag: tag })
    result.resume()
    return undefined
  }

  private consumeReplies(method: Method.BasicConsume, tag: string): Fault | undefined {
    if (!method.noAck) return fault(Method.ReplyCode.preconditionFailed, "reply consumer cannot acknowledge")
    if (this.reply !== undefined) return fault(Method.ReplyCode.preconditionFailed, "reply consumer already set")
    this.reply = { tag, address: this.peer.replyTo.open((message) => this.deliverReply(tag, message)) }
    if (!method.noWait) this.peer.send(this.number, { _tag: "BasicConsumeOk", consumerTag: tag })
    return undefined
  }

  cancel(tag: string): void {
    if (this.reply?.tag === tag) return this.release()
    const subscription = this.subscriptions.get(tag)
    this.subscriptions.delete(tag)
    subscription?.consumer?.cancel()
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

  private cancelled(subscription: Subscription): void {
    this.subscriptions.delete(subscription.tag)
    if (this.peer.cancelNotify) {
      this.peer.send(this.number, { _tag: "BasicCancel", consumerTag: subscription.tag, noWait: true })
    }
  }

  // --- Deliveries ---

  /** The tag of what the client is given now. */
  private hold(entry: Entry<Content>, consumer: Subscription | undefined): number {
    const { ackTimeout } = this.peer
    if (ackTimeout === Infinity) return this.unacknowledged.hold(entry, consumer, 0)
    const now = this.peer.now()
    this.peer.due(now + ackTimeout)
    return this.unacknowledged.hold(entry, consumer, now)
  }

  private deliver(subscription: Subscription, entry: Entry<Content>): void {
    const { message } = entry
    let deliveryTag
    if (subscription.noAck) {
      deliveryTag = this.unacknowledged.nextTag++
    } else {
      deliveryTag = this.hold(entry, subscription)
      subscription.unacked++
      if (this.limit !== 0) this.volume++
    }
    this.peer.sendContent(this.number, {
      _tag: "BasicDeliver",
      consumerTag: subscription.tag,
      deliveryTag,
      redelivered: entry.redelivered,
      exchange: message.exchange,
      routingKey: message.routingKey
    }, contentOf(entry, 1))
  }

  private deliverReply(consumerTag: string, message: Message<Content>): void {
    if (!this.peer.hasRoomForReplies) return
    this.peer.sendContent(this.number, {
      _tag: "BasicDeliver",
      consumerTag,
      // RabbitMQ counts no delivery for a reply.
      deliveryTag: this.unacknowledged.nextTag,
      redelivered: false,
      exchange: message.exchange,
      routingKey: message.routingKey
    }, message.content)
  }

  get(method: Method.BasicGet, queue: string): Refusal | undefined {
    const result = this.client.get(queue, { noAck: method.noAck })
    if (Model.isRefusal(result)) return result
    if (result === undefined) {
      this.peer.send(this.number, { _tag: "BasicGetEmpty" })
      return undefined
    }
    const { message } = result
    this.peer.sendContent(this.number, {
      _tag: "BasicGetOk",
      deliveryTag: method.noAck ? this.unacknowledged.nextTag++ : this.hold(result, undefined),
      redelivered: result.redelivered,
      exchange: message.exchange,
      routingKey: message.routingKey,
      messageCount: result.queue.readyCount
    }, contentOf(result, 0))
    return undefined
  }

  // --- Late acknowledgements ---

  /** When the oldest delivery has waited for its acknowledgement for too long. */
  nextDeadline(): number {
    return this.unacknowledged.since + this.peer.ackTimeout
  }

  /**
   * What follows from deliveries that nobody acknowledged in time: up to RabbitMQ 4.2 the channel ends; later the
   * consumer does, and what it was late with goes back.
   */
  expire(now: number): Fault | undefined {
    if (this.nextDeadline() > now) return undefined
    const late = Array.from(this.unacknowledged.values()).filter(({ since }) => since + this.peer.ackTimeout <= now)
    if (!this.peer.profile.cancelsLateConsumers || !this.peer.cancelNotify || late.some(isGot)) {
      return fault(
        Method.ReplyCode.preconditionFailed,
        `delivery acknowledgement on channel ${this.number} timed out. Timeout value used: ${this.peer.ackTimeout} ms. ` +
          "This timeout value can be configured, see consumers doc guide to learn more"
      )
    }
    for (const held of late) {
      held.since = Infinity
      if (held.consumer !== undefined && this.subscriptions.get(held.consumer.tag) === held.consumer) {
        held.consumer.consumer?.cancel()
        this.cancelled(held.consumer)
      }
    }
    // Their tags stay known: an acknowledgement that comes after all does no harm.
    this.client.requeue(late.map(({ entry }) => entry))
    return undefined
  }
}

/** With the number of times it came back, from `least` on, where the queue counts them. */
const contentOf = ({ deliveryCount, message }: Entry<Content>, least: number): Content =>
  deliveryCount === undefined || deliveryCount < least
    ? message.content
    : withDeliveryCount(message.content, deliveryCount)

const isGot = (held: Held): boolean => held.consumer === undefined
