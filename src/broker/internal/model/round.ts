/**
 * Whose turn it is: those of the highest priority one after the other, the others when none of those is there.
 *
 * @since 0.1.0
 */
import { type Linked, Links } from "./links.ts"

/** @internal */
export interface Ranked<A> extends Linked<A> {
  readonly priority: number
}

interface Level<A extends Ranked<A>> {
  readonly priority: number
  readonly links: Links<A>
}

/** @internal */
export class Round<A extends Ranked<A>> {
  /** The highest first; none of them empty, unless it is the only one. */
  #levels: Array<Level<A>> = []

  get head(): A | undefined {
    return this.#levels[0]?.links.head
  }

  push(node: A): void {
    this.#level(node.priority).links.push(node)
  }

  remove(node: A): void {
    const { links } = this.#level(node.priority)
    links.remove(node)
    if (links.head === undefined && this.#levels.length > 1) {
      this.#levels = this.#levels.filter((level) => level.links !== links)
    }
  }

  /** The head goes behind its equals. */
  rotate(): void {
    this.#levels[0]?.links.rotate()
  }

  #level(priority: number): Level<A> {
    const first = this.#levels[0]
    if (first?.priority === priority) return first
    const index = this.#levels.findIndex((level) => level.priority <= priority)
    const found = this.#levels[index]
    if (found?.priority === priority) return found
    const made: Level<A> = { priority, links: new Links() }
    // One that was kept although it is empty must not stand before the new one.
    if (first !== undefined && first.links.head === undefined) this.#levels = [made]
    else this.#levels.splice(index < 0 ? this.#levels.length : index, 0, made)
    return made
  }
}
