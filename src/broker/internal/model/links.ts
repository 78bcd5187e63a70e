/**
 * An intrusive doubly linked list: push, shift and removal from the middle in constant time, no allocation per node.
 * A node is in at most one list at a time and says so in `linked`.
 *
 * @since 0.1.0
 */

/** @internal */
export interface Linked<A> {
  previous: A | undefined
  next: A | undefined
  linked: boolean
}

/** @internal */
export class Links<A extends Linked<A>> {
  head: A | undefined = undefined
  #tail: A | undefined = undefined

  push(node: A): void {
    node.previous = this.#tail
    node.linked = true
    if (this.#tail === undefined) this.head = node
    else this.#tail.next = node
    this.#tail = node
  }

  remove(node: A): void {
    if (node.previous === undefined) this.head = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.#tail = node.previous
    else node.next.previous = node.previous
    node.previous = undefined
    node.next = undefined
    node.linked = false
  }

  shift(): A | undefined {
    const node = this.head
    if (node !== undefined) this.remove(node)
    return node
  }

  /** Moves the head behind everyone else. */
  rotate(): void {
    const node = this.head
    if (node === undefined || node === this.#tail) return
    this.remove(node)
    this.push(node)
  }
}
