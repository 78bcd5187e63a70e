/**
 * What one channel was delivered and has not settled. Deliveries belong to a life of the channel, and can be settled in it
 * alone: in the next one the broker delivers them again.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import type { SettleError } from "../../AmqpError.ts"
import { Numbered } from "../../internal/numbered.ts"
import { tally } from "../../internal/tally.ts"
import * as Metrics from "../../Metrics.ts"
import type * as Method from "../Method.ts"
import type { DeliveryRecord, Settlement, Settler } from "./delivery.ts"

const byTag = Order.mapInput(Order.number, ({ deliveryTag }: DeliveryRecord) => deliveryTag)

/** What carries settlements out. @internal */
export interface SettlingHost {
  /** `prefix`: no tag up to this one is unsettled. */
  readonly acknowledge: (deliveryTag: number, multiple: boolean, prefix: boolean) => void
  readonly refuse: (method: Method.BasicNack | Method.BasicReject) => void
  /** Whether the broker knows basic.nack, an extension. */
  readonly canNack: () => boolean
}

/** @internal */
export class Settling implements Settler {
  life = 0
  private recovering = false
  /** In a channel of transactions: settled since the last commit or rollback. */
  private provisional: Array<DeliveryRecord> | undefined
  private readonly unsettled = new Numbered<DeliveryRecord>()
  /** The tag of the last delivery of this life. */
  newest = 0
  private readonly settler: SettlingHost

  constructor(settler: SettlingHost) {
    this.settler = settler
  }

  /** Nothing that was delivered is left to settle. */
  get isClear(): boolean {
    return this.unsettled.size === 0 && !this.recovering
  }

  /** The life is over: nothing of it can be settled any more. */
  end(): void {
    this.life++
    this.recovering = false
    this.unsettled.clear()
    this.newest = 0
    this.commit()
  }

  /** From now on settlements wait for a commit. */
  beginTransactions(): void {
    this.provisional = []
  }

  /** What was settled so far is settled for good. */
  commit(): void {
    if (this.provisional !== undefined) this.provisional = []
  }

  /** What was settled since the last commit is not, and can be settled again. */
  rollBack(): void {
    const undone = this.provisional ?? []
    if (undone.length === 0) return
    this.provisional = []
    for (const delivery of undone) delivery.settled = false
    const all = Arr.sort([...this.unsettled.toArray(), ...undone], byTag)
    this.unsettled.clear()
    for (const delivery of all) this.unsettled.add(delivery.deliveryTag, delivery)
  }

  /** Called in the order of the tags; `false` when it comes again, and must not be worked on. */
  add(delivery: DeliveryRecord): boolean {
    if (delivery.noAck) return true
    delivery.recovered = this.recovering
    this.newest = delivery.deliveryTag
    if (!this.recovering) this.unsettled.add(delivery.deliveryTag, delivery)
    return !this.recovering
  }

  settle(delivery: DeliveryRecord, settlement: Settlement): void {
    this.settled(delivery, settlement)
    const deliveryTag = delivery.deliveryTag
    // A stream takes nothing back: RabbitMQ closes the connection over a nack or reject (540).
    this.send(delivery.ofStream ? "ack" : settlement, deliveryTag, false)
  }

  private settled(delivery: DeliveryRecord, settlement: Settlement): void {
    delivery.settled = true
    if (settlement === "ack") tally.acknowledged++
    else tally.rejected++
    this.unsettled.delete(delivery.deliveryTag)
    this.provisional?.push(delivery)
  }

  private send(settlement: Settlement, deliveryTag: number, multiple: boolean): void {
    const { settler } = this
    if (settlement === "ack") return settler.acknowledge(deliveryTag, multiple, this.unsettled.lowest > deliveryTag)
    const requeue = settlement === "requeue"
    if (settler.canNack()) settler.refuse({ _tag: "BasicNack", deliveryTag, multiple, requeue })
    // A broker without basic.nack can only be given one back at a time.
    else settler.refuse({ _tag: "BasicReject", deliveryTag, requeue })
  }

  /** Settles many: as far as they are the oldest unsettled ones, in one frame. */
  settleAll(deliveries: Iterable<DeliveryRecord>, settlement: Settlement): ReadonlyArray<SettleError> {
    const faults: Array<SettleError> = []
    const batch = new Set<number>()
    for (const delivery of deliveries) {
      const fault = delivery.faultOn(this)
      if (fault === undefined) batch.add(delivery.deliveryTag)
      else faults.push(fault)
    }
    if (settlement === "ack" || this.settler.canNack()) this.settleOldest(settlement, (tag) => batch.delete(tag))
    for (const tag of batch) {
      const delivery = this.unsettled.get(tag)
      if (delivery !== undefined) this.settle(delivery, settlement)
    }
    return faults
  }

  /** Settles all there is. */
  settleEverything(settlement: Settlement): void {
    if (settlement === "ack" || this.settler.canNack()) this.settleOldest(settlement, () => true)
    for (const delivery of this.unsettled.toArray()) this.settle(delivery, settlement)
  }

  private settleOldest(settlement: Settlement, belongs: (tag: number) => boolean): void {
    let last = 0
    for (let delivery = this.unsettled.first; delivery !== undefined; delivery = this.unsettled.first) {
      if ((delivery.ofStream && settlement !== "ack") || !belongs(delivery.deliveryTag)) break
      this.settled(delivery, settlement)
      last = delivery.deliveryTag
    }
    if (last > 0) this.send(settlement, last, true)
  }

  /**
   * The broker is told to take everything back (basic.recover) and deliver it again under new tags. It does so before it
   * comes to whatever is sent from now on, and knows the old tags no more.
   */
  recover(): void {
    this.recovering = true
    for (const delivery of this.unsettled.toArray()) delivery.recovered = true
    this.unsettled.clear()
  }

  /** It has: what it sends from now on is new. */
  recovered(): void {
    this.recovering = false
  }

  /** What nobody will settle goes back to its queue. */
  giveBack(delivery: DeliveryRecord): void {
    if (!this.recovering && delivery.fault() === undefined) this.settle(delivery, "requeue")
  }

  /** The oldest delivery of a consumer that is not settled. */
  oldest(consumerTag: string): DeliveryRecord | undefined {
    const { first } = this.unsettled
    // As nearly always: a channel with one consumer.
    if (first === undefined || first.consumerTag === consumerTag) return first
    return this.unsettled.toArray().find((delivery) => delivery.consumerTag === consumerTag)
  }

  /** The same for all that a consumer was delivered. */
  giveBackAll(consumerTag: string): void {
    for (const delivery of this.unsettled.toArray()) {
      if (delivery.consumerTag === consumerTag) this.giveBack(delivery)
    }
  }

  readonly onUnsettled = (fault: SettleError): Effect.Effect<void> => {
    Metrics.unsettled.unsafeUpdate(1, Metrics.noTags)
    return Effect.logWarning(fault.message)
  }
}
