/**
 * Who has to be looked at next, and when: a heap with each sleeper in it at most once. A sleeper says when it wakes at the
 * earliest, and finds out by itself whether that was too early: so moving a deadline back costs nothing.
 *
 * @since 0.1.0
 */

/** @internal */
export interface Sleeper {
  /** When it is to be woken, in milliseconds; `Infinity` while it is in no heap. Written by the heap. */
  alarm: number
  /** Where it is in the heap. Written by the heap. */
  place: number
}

/** @internal */
export class Alarms<A extends Sleeper> {
  readonly #heap: Array<A> = []
  readonly #onNext: ((at: number) => void) | undefined

  /** `onNext` is told when the earliest alarm has become an earlier one. */
  constructor(onNext?: (at: number) => void) {
    this.#onNext = onNext
  }

  /** The earliest alarm; `Infinity` when there is none. */
  get next(): number {
    return this.#heap[0]?.alarm ?? Infinity
  }

  /** Wakes it at this time, or earlier if it was to be woken earlier. */
  set(sleeper: A, at: number): void {
    if (at >= sleeper.alarm) return
    const place = sleeper.alarm === Infinity ? this.#heap.push(sleeper) - 1 : sleeper.place
    sleeper.alarm = at
    this.#rise(sleeper, place)
    if (sleeper.place === 0) this.#onNext?.(at)
  }

  remove(sleeper: A): void {
    if (sleeper.alarm === Infinity) return
    sleeper.alarm = Infinity
    const last = this.#heap.pop()
    if (last === undefined || last === sleeper) return
    this.#rise(last, sleeper.place)
    this.#sink(last, last.place)
  }

  /** Takes out one that is due, if any. */
  due(now: number): A | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.alarm > now) return undefined
    this.remove(first)
    return first
  }

  #rise(sleeper: A, from: number): void {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = this.#heap[parent]! // its index is below that of one that is there
      if (above.alarm <= sleeper.alarm) break
      this.#put(above, place)
      place = parent
    }
    this.#put(sleeper, place)
  }

  #sink(sleeper: A, from: number): void {
    let place = from
    while (true) {
      let child = place * 2 + 1
      if (child >= this.#heap.length) break
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.alarm < this.#heap[child]!.alarm) child++
      const below = this.#heap[child]! // both indices were held against the length
      if (below.alarm >= sleeper.alarm) break
      this.#put(below, place)
      place = child
    }
    this.#put(sleeper, place)
  }

  #put(sleeper: A, place: number): void {
    this.#heap[place] = sleeper
    sleeper.place = place
  }
}
