/**
 * What waits in a queue, in order of arrival: a ring buffer for what has never left, and a heap for what came back.
 *
 * Items are only ever taken from the front, so whatever comes back is older than everything in the ring: the smallest
 * sequence number is the heap's top whenever the heap holds anything. A return costs O(log returned), all else O(1).
 *
 * @since 0.1.0
 */

/** @internal */
export interface Sequenced {
  readonly sequence: number
}

/** @internal */
export interface Waiting<A> {
  readonly size: number
  /** Adds an item younger than all that were ever pushed. */
  push(item: A): void
  /** Puts an item that was taken back where it was. */
  restore(item: A): void
  /** The one that `take` would remove. */
  peek(): A | undefined
  take(): A | undefined
  clear(): void
}

const smallest = 16

const slots = <A>(capacity: number): Array<A | undefined> => {
  const ring: Array<A | undefined> = []
  ring.length = capacity
  return ring
}

/** @internal */
export class Ready<A extends Sequenced> implements Waiting<A> {
  #ring = slots<A>(smallest)
  #first = 0
  #count = 0
  #returned: Array<A> = []

  get size(): number {
    return this.#count + this.#returned.length
  }

  push(item: A): void {
    if (this.#count === this.#ring.length) this.#resize(this.#ring.length * 2)
    this.#ring[(this.#first + this.#count++) & (this.#ring.length - 1)] = item
  }

  restore(item: A): void {
    const heap = this.#returned
    let index = heap.push(item) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]!
      if (above.sequence < item.sequence) break
      heap[index] = above
      index = parent
    }
    heap[index] = item
  }

  peek(): A | undefined {
    return this.#returned[0] ?? this.#ring[this.#first]
  }

  take(): A | undefined {
    if (this.#returned.length > 0) return this.#takeReturned()
    if (this.#count === 0) return undefined
    const item = this.#ring[this.#first]
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    this.#count--
    // A quarter, not a half: a queue that hovers around a power of two must not copy at each step.
    if (this.#ring.length > smallest && this.#count * 4 < this.#ring.length) this.#resize(this.#ring.length / 2)
    return item
  }

  clear(): void {
    this.#ring = slots(smallest)
    this.#first = 0
    this.#count = 0
    this.#returned = []
  }

  #takeReturned(): A | undefined {
    const heap = this.#returned
    const top = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return top
    let index = 0
    while (true) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.sequence < heap[child]!.sequence) child++
      const below = heap[child]!
      if (below.sequence > last.sequence) break
      heap[index] = below
      index = child
    }
    heap[index] = last
    return top
  }

  #resize(capacity: number): void {
    const ring = slots<A>(capacity)
    for (let index = 0; index < this.#count; index++) {
      ring[index] = this.#ring[(this.#first + index) & (this.#ring.length - 1)]
    }
    this.#ring = ring
    this.#first = 0
  }
}
