/**
 * A message's place in one queue: waiting there, or held by the client it was handed to.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Linked, Links } from "./links.ts"
import type { Queue } from "./queue.ts"

/** Who holds what was handed out. @internal */
export interface Unsettled<C> {
  readonly unsettled: Links<Entry<C>>
}

/** There may be millions: each field here costs as many words. @internal */
export class Entry<C> implements Model.Entry<C>, Linked<Entry<C>> {
  readonly queue: Queue<C>
  readonly message: Model.Message<C>
  readonly sequence: number
  /** How often it came back. */
  readonly returns: number
  /** Until when it may wait; `undefined` is for ever. */
  readonly expiry: number | undefined
  #holder: Unsettled<C> | undefined = undefined
  previous: Entry<C> | undefined = undefined
  next: Entry<C> | undefined = undefined
  linked = false

  constructor(
    queue: Queue<C>,
    message: Model.Message<C>,
    sequence: number,
    returns: number,
    expiry: number | undefined
  ) {
    this.queue = queue
    this.message = message
    this.sequence = sequence
    this.returns = returns
    this.expiry = expiry
  }

  get redelivered(): boolean {
    return this.returns > 0
  }

  get deliveryCount(): number | undefined {
    return this.queue.type === "quorum" ? this.returns : undefined
  }

  /** Unsettled from now on. */
  hold(holder: Unsettled<C>): void {
    this.#holder = holder
    holder.unsettled.push(this)
    this.queue.unsettledCount++
  }

  settle(): boolean {
    const holder = this.#holder
    if (holder === undefined) return false
    this.#holder = undefined
    holder.unsettled.remove(this)
    this.queue.unsettledCount--
    return true
  }

  discard(): boolean {
    if (!this.settle()) return false
    this.queue.reject(this)
    return true
  }

  requeue(): boolean {
    if (!this.settle()) return false
    this.queue.restore(this, "returned")
    return true
  }

  /** Its holder is gone. */
  abandon(): void {
    if (this.settle()) this.queue.restore(this, "abandoned")
  }
}
