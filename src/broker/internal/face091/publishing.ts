/**
 * What a channel publishes: checks in RabbitMQ's order, returns, confirms, and what transactions hold back.
 *
 * @since 0.1.0
 */
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import { rewrite } from "../../../amqp091/internal/rawProperties.ts"
import * as Method from "../../../amqp091/Method.ts"
import type { Client, Message, Refusal } from "../../Model.ts"
import * as Model from "../../Model.ts"
import type { Content } from "./content.ts"
import { furtherKeys, withoutBcc } from "./furtherKeys.ts"
import type { ChannelPeer } from "./peer.ts"
import { expirationFault, Publication } from "./publication.ts"
import type { Fault } from "./refusals.ts"
import { fault, isFault } from "./refusals.ts"
import { isReplyAddress, replyQueue } from "./replyTo.ts"
import type { Publish } from "./transaction.ts"
import { Transaction } from "./transaction.ts"

/** Where a channel waits for replies, if it does. */
interface Replies {
  readonly replyAddress: string | undefined
}

/** @internal */
export class Publishing {
  /** While the channel is in transaction mode. */
  transaction: Transaction | undefined
  private readonly number: number
  private readonly peer: ChannelPeer
  private readonly client: Client<Content>
  private readonly replies: Replies
  private confirming = false
  private published = 0
  private confirmed = 0
  /** What a queue refused of the publishes not answered for yet, in their order. */
  private rejected: Array<number> = []
  /** A publish is never answered for: `multiple` would do it. */
  private hasLost = false

  constructor(number: number, peer: ChannelPeer, client: Client<Content>, replies: Replies) {
    this.number = number
    this.peer = peer
    this.client = client
    this.replies = replies
  }

  // --- Modes ---

  selectConfirm(): Fault | undefined {
    if (this.transaction !== undefined) return refused("cannot switch from tx to confirm mode")
    this.confirming = true
    return undefined
  }

  selectTransaction(): Fault | undefined {
    if (this.confirming) return refused("cannot switch from confirm to tx mode")
    this.transaction ??= new Transaction()
    return undefined
  }

  /** Answers for all publishes since the last time, in as few frames as their outcomes allow. */
  confirm(): void {
    if (!this.confirming) return
    for (const tag of this.rejected) {
      this.acknowledge(tag - 1)
      this.confirmed = tag
      this.peer.send(this.number, { _tag: "BasicNack", deliveryTag: tag, multiple: false, requeue: false })
    }
    if (this.rejected.length > 0) this.rejected = []
    this.acknowledge(this.published)
  }

  private acknowledge(last: number): void {
    if (this.hasLost) return this.acknowledgeEach(last)
    const count = last - this.confirmed
    if (count <= 0) return
    this.confirmed = last
    this.peer.send(this.number, { _tag: "BasicAck", deliveryTag: last, multiple: count > 1 })
  }

  private acknowledgeEach(last: number): void {
    while (this.confirmed < last) {
      this.peer.send(this.number, { _tag: "BasicAck", deliveryTag: ++this.confirmed, multiple: false })
    }
  }

  // --- Faults on demand ---

  get isConfirming(): boolean {
    return this.confirming
  }

  /** Refuses the publish that has come. */
  nack(): void {
    this.rejected.push(++this.published)
    this.confirm()
  }

  /** Never answers for the publish that has come, which `take` gives to the queues, if it is there. */
  lose(take?: () => void): void {
    this.confirm()
    if (take === undefined) this.published++
    else take()
    this.rejected = []
    this.confirmed = this.published
    this.hasLost = true
  }

  // --- Messages ---

  /** A refusal or fault over which the channel, or the connection, ends. */
  publish(method: Method.BasicPublish, properties: RawProperties, body: Uint8Array): Refusal | Fault | undefined {
    const keys = furtherKeys(properties)
    const wrong = this.faultOf(properties) ?? (isFault(keys) ? keys : undefined)
    // An exchange that takes no message at all is the first thing to be wrong with one.
    if (wrong !== undefined || isFault(keys)) return this.client.canPublish(method.exchange) ?? wrong
    const { exchange, mandatory, routingKey } = method
    return this.route(new Publication(exchange, routingKey, this.told(properties, keys), body, keys), mandatory)
  }

  /** The properties as receivers see them. */
  private told(properties: RawProperties, keys: ReadonlyArray<string> | undefined): RawProperties {
    const kept = keys === undefined ? properties : withoutBcc(properties)
    const { replyAddress } = this.replies
    if (properties.decoded.replyTo !== replyQueue || replyAddress === undefined) return kept
    return rewrite(kept, (typed) => ({ ...typed, replyTo: replyAddress }))
  }

  private faultOf(properties: RawProperties): Fault | undefined {
    const { replyTo, userId } = properties.decoded
    if (replyTo === replyQueue && this.replies.replyAddress === undefined) {
      return refused("fast reply consumer does not exist")
    }
    if (userId !== undefined && userId !== this.peer.user) {
      return refused(`user_id property set to '${userId}' but authenticated user was '${this.peer.user}'`)
    }
    return expirationFault(properties)
  }

  private route(message: Message<Content>, mandatory: boolean): Refusal | undefined {
    const isReply = message.exchange === "" && isReplyAddress(message.routingKey)
    if (this.transaction === undefined) {
      const result = this.client.publish(message)
      if (Model.isRefusal(result)) return result
      if (isReply) this.peer.replyTo.deliver(message)
      this.account(message, mandatory, result)
      return undefined
    }
    const routed = this.client.route(message)
    if (Model.isRefusal(routed)) return routed
    // Like RabbitMQ, which delivers replies as it routes: they do not wait for the commit.
    if (isReply) this.peer.replyTo.deliver(message)
    this.transaction.publish({ routed, mandatory })
    return undefined
  }

  /** Returns before confirms (RabbitMQ): who hears both knows what became of it once it hears the confirm. */
  private account(message: Message<Content>, mandatory: boolean, queues: number | "Rejected"): void {
    if (queues === 0 && mandatory) {
      this.peer.sendContent(this.number, {
        _tag: "BasicReturn",
        replyCode: Method.ReplyCode.noRoute,
        replyText: "NO_ROUTE",
        exchange: message.exchange,
        routingKey: message.routingKey
      }, message.content)
    }
    if (!this.confirming) return
    this.published++
    if (queues === "Rejected") this.rejected.push(this.published)
  }

  /** Publishes what a transaction held back; a fault if a queue refused any of it. */
  commit(publishes: ReadonlyArray<Publish>): Fault | undefined {
    let isRejected = false
    for (const { mandatory, routed } of publishes) {
      const queues = this.client.deliver(routed)
      if (queues === "Rejected") isRejected = true
      this.account(routed.message, mandatory, queues)
    }
    return isRejected ? refused("partial tx completion") : undefined
  }
}

const refused = (text: string): Fault => fault(Method.ReplyCode.preconditionFailed, text)
