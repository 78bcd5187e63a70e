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

/** @internal */
export class Numbered<A extends object> {
  private slots: Array<A | undefined> = []
  private mask = -1
  /** From the lowest number in the slots to one above the highest. */
  private start = 0
  private end = 0
  private count = 0
  /** Lower than all in the slots: those that so many overtook that a slot for each number between would cost too much. */
  private overtaken: Map<number, A> | undefined

  get size(): number {
    return this.count + (this.overtaken?.size ?? 0)
  }

  /** For how many numbers there is room. */
  get capacity(): number {
    return this.slots.length
  }

  /** The lowest number there is, else `Infinity`. */
  get lowest(): number {
    for (const number of this.overtaken?.keys() ?? []) return number
    return this.count === 0 ? Infinity : this.start
  }

  get first(): A | undefined {
    for (const value of this.overtaken?.values() ?? []) return value
    return this.count === 0 ? undefined : this.slots[this.start & this.mask]
  }

  get(number: number): A | undefined {
    if (number >= this.start && number < this.end) return this.slots[number & this.mask]
    return this.overtaken?.get(number)
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
    if (number < this.start || number >= this.end) return this.overtaken?.delete(number) === true
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
    this.overtaken = undefined
  }

  /** All of them as they are now, the lowest first. */
  toArray(): Array<A> {
    const all = this.overtaken === undefined ? [] : Array.from(this.overtaken.values())
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
      this.overtaken ??= new Map()
      this.overtaken.set(start, value)
      slots[start & this.mask] = undefined
      this.count--
    }
    if (this.count === 0) this.start = number
    else this.advance()
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
