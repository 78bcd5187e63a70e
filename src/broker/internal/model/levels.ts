/**
 * What waits in a queue with priorities: the highest level first, and within a level the order of arrival.
 *
 * @since 0.1.0
 */
import { Ready, type Sequenced, type Waiting } from "./ready.ts"

/** @internal */
export class Levels<A extends Sequenced> implements Waiting<A> {
  readonly #levels: ReadonlyArray<Ready<A>>
  readonly #levelOf: (item: A) => number
  /** No level above this one has anything. */
  #top = 0
  size = 0

  /** Levels from 0 to `highest`; an item that asks for more goes to the highest. */
  constructor(highest: number, levelOf: (item: A) => number) {
    this.#levels = Array.from({ length: highest + 1 }, () => new Ready<A>())
    this.#levelOf = levelOf
  }

  push(item: A): void {
    this.#choose(item).push(item)
  }

  restore(item: A): void {
    this.#choose(item).restore(item)
  }

  peek(): A | undefined {
    return this.#highest()?.peek()
  }

  take(): A | undefined {
    const taken = this.#highest()?.take()
    if (taken !== undefined) this.size--
    return taken
  }

  clear(): void {
    for (const level of this.#levels) level.clear()
    this.#top = 0
    this.size = 0
  }

  #choose(item: A): Ready<A> {
    const level = Math.max(0, Math.min(Math.trunc(this.#levelOf(item)), this.#levels.length - 1))
    this.#top = Math.max(this.#top, level)
    this.size++
    return this.#levels[level]! // from 0 to the last
  }

  #highest(): Ready<A> | undefined {
    while (this.#top > 0 && this.#levels[this.#top]?.size === 0) this.#top--
    return this.#levels[this.#top]
  }
}
