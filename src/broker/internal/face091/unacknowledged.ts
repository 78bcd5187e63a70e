/**
 * What a channel was given and has not acknowledged, by delivery tag.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"
import type { Entry } from "../../Model.ts"
import type { Content } from "./content.ts"
import type { Subscription } from "./subscription.ts"

/** @internal */
export interface Held {
  readonly tag: number
  readonly entry: Entry<Content>
  /** Who got it; nobody for `basic.get`. */
  readonly consumer: Subscription | undefined
  /** When, in milliseconds; `Infinity` once nobody waits for it any more. */
  since: number
}

/** @internal */
export class Unacknowledged {
  /** In the order of their tags. */
  #held = new Map<number, Held>()
  /** The next delivery's. */
  nextTag = 1

  get size(): number {
    return this.#held.size
  }

  /** When the oldest delivery went out; `Infinity` when there is none. */
  get since(): number {
    for (const { since } of this.#held.values()) if (since !== Infinity) return since
    return Infinity
  }

  values(): Iterable<Held> {
    return this.#held.values()
  }

  hold(entry: Entry<Content>, consumer: Subscription | undefined, since: number): number {
    const tag = this.nextTag++
    this.#held.set(tag, { tag, entry, consumer, since })
    return tag
  }

  take(tag: number): Held | undefined {
    const held = this.#held.get(tag)
    if (held !== undefined) this.#held.delete(tag)
    return held
  }

  /** All up to a tag, which must be there itself (else `undefined`); all there are for 0 (0-9-1, basic.ack). */
  takeUpTo(tag: number): ReadonlyArray<Held> | undefined {
    if (tag !== 0 && !this.#held.has(tag)) return undefined
    const taken: Array<Held> = []
    for (const held of this.#held.values()) {
      if (tag !== 0 && held.tag > tag) break
      taken.push(held)
    }
    if (taken.length === this.#held.size) this.#held.clear()
    else for (const { tag } of taken) this.#held.delete(tag)
    return taken
  }

  /** Puts back what was taken. */
  restore(taken: ReadonlyArray<Held>): void {
    if (taken.length === 0) return
    const all = Arr.sortWith([...this.#held.values(), ...taken], ({ tag }) => tag, Order.number)
    this.#held = new Map(all.map((held) => [held.tag, held]))
  }
}
