/**
 * What a channel in transaction mode holds back until `tx.commit`. Where a message goes was settled when it was published,
 * as in RabbitMQ; whether its queues are there, when it is committed.
 *
 * @since 0.1.0
 */
import type { Routed } from "../../Model.ts"
import type { Content } from "./content.ts"
import type { Held } from "./unacknowledged.ts"

/** What is done with deliveries. @internal */
export type Outcome = "settle" | "discard" | "requeue"

/** @internal */
export interface Publish {
  readonly routed: Routed<Content>
  readonly mandatory: boolean
}

/** @internal */
export interface Settlement {
  readonly outcome: Outcome
  readonly held: ReadonlyArray<Held>
}

/** @internal */
export class Transaction {
  #publishes: Array<Publish> = []
  #settlements: Array<Settlement> = []

  publish(publish: Publish): void {
    this.#publishes.push(publish)
  }

  settle(settlement: Settlement): void {
    this.#settlements.push(settlement)
  }

  /** What was held back, publishes before settlements; the transaction begins anew. */
  take(): { readonly publishes: ReadonlyArray<Publish>; readonly settlements: ReadonlyArray<Settlement> } {
    const taken = { publishes: this.#publishes, settlements: this.#settlements }
    this.#publishes = []
    this.#settlements = []
    return taken
  }
}
