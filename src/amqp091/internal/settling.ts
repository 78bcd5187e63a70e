/**
 * What one channel was delivered and has not settled. Deliveries belong to a life of the channel, and can be settled in it
 * alone: in the next one the broker delivers them again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SettleError } from "../../AmqpError.ts"
import * as Metrics from "../../Metrics.ts"
import type * as Method from "../Method.ts"
import type { DeliveryRecord, Settlement, Settler } from "./delivery.ts"

/** @internal */
export class Settling implements Settler {
  life = 0
  private readonly unsettled = new Map<number, DeliveryRecord>()
  private readonly transmit: (method: Method.BasicAck | Method.BasicNack) => void

  constructor(transmit: (method: Method.BasicAck | Method.BasicNack) => void) {
    this.transmit = transmit
  }

  /** The life is over: nothing of it can be settled any more. */
  end(): void {
    this.life++
    this.unsettled.clear()
  }

  /** Called in the order of the tags. */
  add(delivery: DeliveryRecord): void {
    if (!delivery.noAck) this.unsettled.set(delivery.deliveryTag, delivery)
  }

  settle(delivery: DeliveryRecord, settlement: Settlement): void {
    delivery.settled = true
    this.unsettled.delete(delivery.deliveryTag)
    const deliveryTag = delivery.deliveryTag
    this.transmit(
      settlement === "ack"
        ? { _tag: "BasicAck", deliveryTag, multiple: false }
        : { _tag: "BasicNack", deliveryTag, multiple: false, requeue: settlement === "requeue" }
    )
  }

  /** Acknowledges many: as far as they are the oldest unsettled ones, in one frame. */
  settleAll(deliveries: Iterable<DeliveryRecord>): ReadonlyArray<SettleError> {
    const faults: Array<SettleError> = []
    const batch = new Set<number>()
    for (const delivery of deliveries) {
      const fault = delivery.faultOn(this)
      if (fault === undefined) batch.add(delivery.deliveryTag)
      else faults.push(fault)
    }
    let last = 0
    for (const [tag, delivery] of this.unsettled) {
      if (!batch.delete(tag)) break
      delivery.settled = true
      this.unsettled.delete(tag)
      last = tag
    }
    if (last > 0) this.transmit({ _tag: "BasicAck", deliveryTag: last, multiple: true })
    for (const tag of batch) {
      const delivery = this.unsettled.get(tag)
      if (delivery !== undefined) this.settle(delivery, "ack")
    }
    return faults
  }

  /** What nobody will settle goes back to its queue. */
  giveBack(delivery: DeliveryRecord): void {
    if (delivery.fault() === undefined) this.settle(delivery, "requeue")
  }

  /** The same for all that a consumer was delivered. */
  giveBackAll(consumerTag: string): void {
    for (const delivery of this.unsettled.values()) {
      if (delivery.consumerTag === consumerTag) this.giveBack(delivery)
    }
  }

  readonly onUnsettled = (fault: SettleError): Effect.Effect<void> => {
    Metrics.unsettled.unsafeUpdate(1, [])
    return Effect.logWarning(fault.message)
  }
}
