/**
 * A message's place in one queue: waiting there, or held by the client it was handed to.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Linked, Links } from "./links.ts"
import type { Queue } from "./queue.ts"
import type { Sequenced } from "./ready.ts"

/** Who holds what was handed out. @internal */
export interface Unsettled<C> {
  readonly unsettled: Links<Entry<C>>
}

/** A message as it waits. There may be millions: each field costs as many words. @internal */
export interface Item<C> extends Sequenced {
  readonly message: Model.Message<C>
  /** How often it came back. */
  readonly returns: number
  /** Until when it may wait; `undefined` is for ever. */
  readonly expiry: number | undefined
}

/** What is handed out. @internal */
export class Entry<C> implements Model.Entry<C>, Linked<Entry<C>> {
  readonly queue: Queue<C>
  readonly item: Item<C>
  #holder: Unsettled<C> | undefined = undefined
  previous: Entry<C> | undefined = undefined
  next: Entry<C> | undefined = undefined
  linked = false

  constructor(queue: Queue<C>, item: Item<C>) {
    this.queue = queue
    this.item = item
  }

  get message(): Model.Message<C> {
    return this.item.message
  }

  get redelivered(): boolean {
    return this.item.returns > 0
  }

  get deliveryCount(): number | undefined {
    return this.queue.type === "quorum" ? this.item.returns : undefined
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
    this.queue.reject(this.item)
    return true
  }

  requeue(): boolean {
    if (!this.settle()) return false
    this.queue.restore(this.item, "returned")
    return true
  }

  /** Its holder is gone. */
  abandon(): void {
    if (this.settle()) this.queue.restore(this.item, "abandoned")
  }
}
