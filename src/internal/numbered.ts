/**
 * What is kept under numbers that only grow, most of it for a short time.
 *
 * Not a `Map`: as a map changes it leaves table after table behind, each of which points to the next. Once the first is
 * old, no scavenge frees any of them, nor what they held: what should have cost nothing is copied, promoted and marked.
 *
 * @since 0.1.0
 */

const smallest = 16
// What an empty one keeps for next time.
const largestKept = 1024

interface Overtaken<A> {
  readonly number: number
  value: A | undefined
}

/** @internal */
export class Numbered<A extends object> {
  private slots: Array<A | undefined> = []
  private mask = -1
  /** From the lowest number in the slots to one above the highest. */
  private start = 0
  private end = 0
  private count = 0
  /** Lower than all in the slots: those that so many overtook that a slot for each number between would cost too much. */
  private overtaken: Array<Overtaken<A>> = []
  /** Before it in `overtaken` there are none any more. */
  private head = 0
  private overtakenCount = 0

  get size(): number {
    return this.count + this.overtakenCount
  }

  /** For how many numbers there is room. */
  get capacity(): number {
    return this.slots.length
  }

  /** The lowest number there is, else `Infinity`. */
  get lowest(): number {
    return this.overtaken[this.head]?.number ?? (this.count === 0 ? Infinity : this.start)
  }

  get first(): A | undefined {
    return this.overtaken[this.head]?.value ?? (this.count === 0 ? undefined : this.slots[this.start & this.mask])
  }

  get(number: number): A | undefined {
    if (number >= this.start && number < this.end) return this.slots[number & this.mask]
    return this.overtakenAt(number)?.value
  }

  /** The number is higher than all before it, up to the last `clear`. */
  add(number: number, value: A): void {
    if (this.count === 0) this.start = number
    while (number - this.start > this.mask) this.makeRoom(number)
    this.slots[number & this.mask] = value
    this.end = number + 1
    this.count++
  }

  delete(number: number): boolean {
    if (number < this.start || number >= this.end) return this.deleteOvertaken(number)
    const slot = number & this.mask
    if (this.slots[slot] === undefined) return false
    this.slots[slot] = undefined
    this.count--
    this.advance()
    return true
  }

  clear(): void {
    this.slots = []
    this.mask = -1
    this.start = 0
    this.end = 0
    this.count = 0
    this.overtaken = []
    this.head = 0
    this.overtakenCount = 0
  }

  /** All of them as they are now, the lowest first. */
  toArray(): Array<A> {
    const all: Array<A> = []
    for (const { value } of this.overtaken) if (value !== undefined) all.push(value)
    for (let number = this.start; number < this.end; number++) {
      const value = this.slots[number & this.mask]
      if (value !== undefined) all.push(value)
    }
    return all
  }

  private advance(): void {
    if (this.count > 0) {
      while (this.slots[this.start & this.mask] === undefined) this.start++
      return
    }
    this.start = this.end
    if (this.slots.length > largestKept) {
      this.slots = []
      this.mask = -1
    }
  }

  private makeRoom(number: number): void {
    const { count, slots, start } = this
    if (count * 2 >= slots.length) return this.grow()
    const value = slots[start & this.mask]
    if (value !== undefined) {
      this.overtaken.push({ number: start, value })
      this.overtakenCount++
      slots[start & this.mask] = undefined
      this.count--
    }
    if (this.count === 0) this.start = number
    else this.advance()
  }

  private overtakenAt(number: number): Overtaken<A> | undefined {
    let low = this.head
    let high = this.overtaken.length
    while (low < high) {
      const middle = (low + high) >> 1
      const each = this.overtaken[middle]! // between two of its places
      if (each.number === number) return each
      if (each.number < number) low = middle + 1
      else high = middle
    }
    return undefined
  }

  private deleteOvertaken(number: number): boolean {
    const found = this.overtakenAt(number)
    if (found?.value === undefined) return false
    found.value = undefined
    this.overtakenCount--
    const { overtaken } = this
    while (this.head < overtaken.length && overtaken[this.head]?.value === undefined) this.head++
    if (overtaken.length > this.overtakenCount * 2 + smallest) {
      this.overtaken = overtaken.filter(({ value }) => value !== undefined)
      this.head = 0
    }
    return true
  }

  private grow(): void {
    const { end, mask, slots, start } = this
    const size = Math.max(smallest, slots.length * 2)
    const grown: Array<A | undefined> = Array.from({ length: size })
    for (let number = start; number < end; number++) grown[number & (size - 1)] = slots[number & mask]
    this.slots = grown
    this.mask = size - 1
  }
}
