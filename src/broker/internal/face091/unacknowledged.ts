/**
 * What a channel was given and has not acknowledged, by delivery tag.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"
import { Numbered } from "../../../internal/numbered.ts"
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
  readonly #held = new Numbered<Held>()
  /** The next delivery's. */
  nextTag = 1

  get size(): number {
    return this.#held.size
  }

  /** When the oldest delivery went out; `Infinity` when there is none. */
  get since(): number {
    const oldest = this.#held.first
    if (oldest === undefined || oldest.since !== Infinity) return oldest?.since ?? Infinity
    return this.#held.toArray().find(({ since }) => since !== Infinity)?.since ?? Infinity
  }

  values(): Iterable<Held> {
    return this.#held.toArray()
  }

  hold(entry: Entry<Content>, consumer: Subscription | undefined, since: number): number {
    const tag = this.nextTag++
    this.#held.add(tag, { tag, entry, consumer, since })
    return tag
  }

  take(tag: number): Held | undefined {
    const held = this.#held.get(tag)
    if (held !== undefined) this.#held.delete(tag)
    return held
  }

  /** All up to a tag, which must be there itself (else `undefined`); all there are for 0 (0-9-1, basic.ack). */
  takeUpTo(tag: number): ReadonlyArray<Held> | undefined {
    if (tag !== 0 && this.#held.get(tag) === undefined) return undefined
    const taken: Array<Held> = []
    for (let held = this.#held.first; held !== undefined; held = this.#held.first) {
      if (tag !== 0 && held.tag > tag) break
      taken.push(held)
      this.#held.delete(held.tag)
    }
    return taken
  }

  /** Puts back what was taken. */
  restore(taken: ReadonlyArray<Held>): void {
    if (taken.length === 0) return
    const all = Arr.sortWith([...this.#held.toArray(), ...taken], ({ tag }) => tag, Order.number)
    this.#held.clear()
    for (const held of all) this.#held.add(held.tag, held)
  }
}
