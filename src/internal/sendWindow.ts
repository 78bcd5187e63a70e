/**
 * What was sent and not yet answered for: a ring of slots by sequence number, with a place for each item in flight.
 * Numbers start at 1 and are given in order; answers may come out of order and for many at once. Waiters may push,
 * answer and reset from inside their own answer. Knows no protocol.
 *
 * @since 0.1.0
 */

/** Whoever waits for the outcome of one item. @internal */
export interface Waiter<E> {
  /** It has its place in the window. */
  readonly placed?: () => void
  readonly done: () => void
  readonly failed: (error: E) => void
}

/** @internal */
export class SendWindow<A, E> {
  /** The most numbers from the oldest unanswered one to the newest. */
  readonly limit: number
  private readonly mask: number
  private items: Array<A | undefined>
  private waiters: Array<Waiter<E> | undefined>
  private failures: Array<E | undefined>
  private readonly sentAt: Float64Array
  private oldest = 1
  private next = 1
  private open = 0
  /** Up to here there may be some that were given up without an answer, which may still come. */
  private expiredThrough = 0
  /** How many have been settled so far, by whatever answer. */
  settled = 0
  /** Numbers before a reset and after it are not the same numbers. */
  private epoch = 0

  constructor(limit: number) {
    let size = 1
    while (size < limit) size *= 2
    this.limit = limit
    this.mask = size - 1
    this.items = Array.from({ length: size })
    this.waiters = Array.from({ length: size })
    this.failures = Array.from({ length: size })
    this.sentAt = new Float64Array(size)
  }

  /** How many items have no answer yet. */
  get unanswered(): number {
    return this.open
  }

  get hasRoom(): boolean {
    return this.next - this.oldest < this.limit
  }

  /** When the oldest unanswered item was sent; `Infinity` when there is none. */
  get oldestSentAt(): number {
    return this.open === 0 ? Infinity : this.sentAt[this.oldest & this.mask]!
  }

  /** Takes the next number; the caller has seen `hasRoom`. */
  push(item: A, waiter: Waiter<E>, now: number): number {
    const number = this.next++
    const slot = number & this.mask
    this.items[slot] = item
    this.waiters[slot] = waiter
    this.sentAt[slot] = now
    this.open++
    waiter.placed?.()
    return number
  }

  /**
   * Answers for one number, or for all up to it; 0 with `multiple` means all. `fault` makes it a refusal, where it gives one.
   * `false` when there is nothing to answer for: the number was never given, or had its answer. One that came too late
   * for its item is no second one.
   */
  answer(number: number, multiple: boolean, fault?: (item: A) => E | undefined): boolean {
    if (number >= this.next || (number === 0 && !multiple)) return false
    if (number === 0) this.settleThrough(this.next - 1, fault)
    else if (number < this.oldest) return number <= this.expiredThrough
    else if (multiple) this.settleThrough(number, fault)
    else if (this.waiters[number & this.mask] === undefined) return number <= this.expiredThrough
    else this.settle(number & this.mask, fault)
    return true
  }

  /** Marks the oldest matching item: whatever its answer, it fails with `error`. */
  markFirst(matches: (item: A) => boolean, error: E): boolean {
    for (let each = this.oldest; each < this.next; each++) {
      const slot = each & this.mask
      const item = this.items[slot]
      if (item !== undefined && this.failures[slot] === undefined && matches(item)) {
        this.failures[slot] = error
        return true
      }
    }
    return false
  }

  /** Fails the oldest matching item at once. */
  failFirst(matches: (item: A) => boolean, error: E): boolean {
    for (let each = this.oldest; each < this.next; each++) {
      const slot = each & this.mask
      const item = this.items[slot]
      if (item !== undefined && matches(item)) {
        this.settle(slot, () => error)
        return true
      }
    }
    return false
  }

  /** Fails what was sent `limit` milliseconds before `now`, or earlier; a late answer for it is ignored. */
  expire(now: number, limit: number, fault: (item: A) => E): void {
    const { epoch, oldest } = this
    this.settleThrough(this.next - 1, fault, now, limit)
    if (this.epoch === epoch && this.oldest > oldest) this.expiredThrough = this.oldest - 1
  }

  /** Takes everything unanswered out, oldest first, and starts numbering at 1 again. */
  reset(): ReadonlyArray<{ readonly item: A; readonly waiter: Waiter<E> }> {
    const rest: Array<{ readonly item: A; readonly waiter: Waiter<E> }> = []
    const failed: Array<{ readonly waiter: Waiter<E>; readonly failure: E }> = []
    for (let each = this.oldest; each < this.next; each++) {
      const slot = each & this.mask
      const item = this.items[slot]
      const waiter = this.waiters[slot]
      const failure = this.failures[slot]
      this.clear(slot)
      if (item === undefined || waiter === undefined) continue
      if (failure === undefined) rest.push({ item, waiter })
      else failed.push({ waiter, failure })
    }
    this.oldest = 1
    this.next = 1
    this.open = 0
    this.expiredThrough = 0
    this.epoch++
    for (const { failure, waiter } of failed) waiter.failed(failure)
    return rest
  }

  // The oldest is always one without an answer, also while a waiter is being called.
  private settleThrough(
    last: number,
    fault: ((item: A) => E | undefined) | undefined,
    now = Infinity,
    limit = 0
  ): void {
    const { epoch } = this
    while (this.epoch === epoch && this.open > 0 && this.oldest <= last && this.oldestSentAt + limit <= now) {
      this.settle(this.oldest & this.mask, fault)
    }
  }

  private settle(slot: number, fault: ((item: A) => E | undefined) | undefined): void {
    const waiter = this.waiters[slot]
    const item = this.items[slot]
    if (waiter === undefined || item === undefined) return
    const failure = this.failures[slot] ?? (fault === undefined ? undefined : fault(item))
    this.clear(slot)
    this.open--
    this.settled++
    this.advance()
    if (failure === undefined) waiter.done()
    else waiter.failed(failure)
  }

  private clear(slot: number): void {
    this.items[slot] = undefined
    this.waiters[slot] = undefined
    this.failures[slot] = undefined
  }

  private advance(): void {
    while (this.oldest < this.next && this.waiters[this.oldest & this.mask] === undefined) this.oldest++
  }
}
