/**
 * A delivered message and its settlement, for one life of one channel. A class with fixed fields, because one is made for
 * each message; the Effects on it are made when asked for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import { SettleError } from "../../AmqpError.ts"
import type { Delivery } from "../Message.ts"
import type { BasicProperties } from "../Properties.ts"

/** How a delivery is settled. @internal */
export type Settlement = "ack" | "requeue" | "discard"

/** What settles deliveries: their channel. @internal */
export interface Settler {
  /** Counts up whenever deliveries made before can no longer be settled. */
  readonly life: number
  readonly settle: (delivery: DeliveryRecord, settlement: Settlement) => void
  /** A settlement that could not be carried out, for the log. */
  readonly onUnsettled: (fault: SettleError) => Effect.Effect<void>
}

const decoder = new TextDecoder()

/** @internal */
export class DeliveryRecord implements Delivery {
  readonly consumerTag: string
  readonly deliveryTag: number
  readonly redelivered: boolean
  readonly exchange: string
  readonly routingKey: string
  readonly properties: BasicProperties
  readonly content: Uint8Array
  readonly noAck: boolean
  settled = false
  /** Of a stream queue, which keeps its messages whatever becomes of them. */
  ofStream = false
  /** Given back with all others (basic.recover): it comes again. */
  recovered = false
  private readonly settler: Settler
  private readonly life: number

  constructor(
    settler: Settler,
    fields: {
      readonly deliveryTag: number
      readonly redelivered: boolean
      readonly exchange: string
      readonly routingKey: string
    },
    consumerTag: string,
    noAck: boolean,
    properties: BasicProperties,
    content: Uint8Array
  ) {
    this.settler = settler
    this.life = settler.life
    this.consumerTag = consumerTag
    this.deliveryTag = fields.deliveryTag
    this.redelivered = fields.redelivered
    this.exchange = fields.exchange
    this.routingKey = fields.routingKey
    this.properties = properties
    this.content = content
    this.noAck = noAck
  }

  get text(): string {
    return decoder.decode(this.content)
  }

  get ack(): Effect.Effect<void> {
    return Effect.suspend(() => this.settleNow("ack"))
  }

  get ackOrFail(): Effect.Effect<void, SettleError> {
    return Effect.suspend(() => this.orFail("ack"))
  }

  nack(options?: { readonly requeue?: boolean | undefined }): Effect.Effect<void> {
    return Effect.suspend(() => this.settleNow(options?.requeue === false ? "discard" : "requeue"))
  }

  nackOrFail(options?: { readonly requeue?: boolean | undefined }): Effect.Effect<void, SettleError> {
    return Effect.suspend(() => this.orFail(options?.requeue === false ? "discard" : "requeue"))
  }

  reject(options?: { readonly requeue?: boolean | undefined }): Effect.Effect<void> {
    return Effect.suspend(() => this.settleNow(options?.requeue === true ? "requeue" : "discard"))
  }

  /** For logs: what it says of itself, without its content, and without the channel, which holds those of others. */
  toJSON(): unknown {
    const { consumerTag, content, deliveryTag, exchange, properties, redelivered, routingKey } = this
    // JSON has no bigint, which a header may hold.
    const plain: unknown = JSON.parse(
      JSON.stringify(properties, (_, value: unknown) => typeof value === "bigint" ? String(value) : value)
    )
    return {
      _id: "Delivery",
      consumerTag,
      deliveryTag,
      redelivered,
      exchange,
      routingKey,
      properties: plain,
      octets: content.length
    }
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  /** Of a life of the channel that is over: it will come again. */
  get isStale(): boolean {
    return !this.noAck && (this.recovered || this.life !== this.settler.life)
  }

  /** Why it cannot be settled any more, if so. */
  fault(): SettleError | undefined {
    if (this.noAck) return this.unsettled("NoAck")
    if (this.settled) return this.unsettled("AlreadySettled")
    if (this.isStale) return this.unsettled("Stale")
    return undefined
  }

  /** The same, for one that is settled together with others on `settler`. */
  faultOn(settler: Settler): SettleError | undefined {
    return this.settler === settler ? this.fault() : this.unsettled("Stale")
  }

  private unsettled(reason: SettleError["reason"]): SettleError {
    return new SettleError({ reason, deliveryTag: this.deliveryTag })
  }

  /** Settles it at once; what it returns only tells why it could not. */
  settleNow(settlement: Settlement): Effect.Effect<void> {
    const fault = this.fault()
    if (fault !== undefined) return this.settler.onUnsettled(fault)
    this.settler.settle(this, settlement)
    return Effect.void
  }

  private orFail(settlement: Settlement): Effect.Effect<void, SettleError> {
    const fault = this.fault()
    if (fault !== undefined) return Effect.fail(fault)
    this.settler.settle(this, settlement)
    return Effect.void
  }
}
