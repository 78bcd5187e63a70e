/** Every id of a run under chaos: what was confirmed, how often each was received, and how long nothing was confirmed. */

export interface Report {
  readonly published: number
  readonly confirmed: number
  /** Confirmed, and never received. */
  readonly lost: number
  /** Received again. */
  readonly duplicates: number
  readonly confirmsPerSecond: number
  /** The longest time without a confirm, in seconds: what recovery took. */
  readonly longestGap: number
}

export class Ledger {
  private published = 0
  private readonly confirms = new Set<number>()
  private readonly receipts = new Map<number, number>()
  private readonly begun = performance.now()
  private stopped: number | undefined
  private lastConfirm = performance.now()
  private longestGap = 0

  /** The id of one more message. */
  next(): number {
    return this.published++
  }

  confirmed(id: number): void {
    this.confirms.add(id)
    const now = performance.now()
    if (this.stopped === undefined) this.longestGap = Math.max(this.longestGap, now - this.lastConfirm)
    this.lastConfirm = now
  }

  received(id: number): void {
    this.receipts.set(id, (this.receipts.get(id) ?? 0) + 1)
  }

  get confirmCount(): number {
    return this.confirms.size
  }

  /** Nothing more is published from now on. */
  stop(): void {
    this.stopped ??= performance.now()
  }

  /** Confirmed ids that nobody has received. */
  get missing(): ReadonlyArray<number> {
    return Array.from(this.confirms).filter((id) => !this.receipts.has(id))
  }

  get report(): Report {
    const seconds = ((this.stopped ?? performance.now()) - this.begun) / 1000
    let receipts = 0
    for (const count of this.receipts.values()) receipts += count
    return {
      published: this.published,
      confirmed: this.confirms.size,
      lost: this.missing.length,
      duplicates: receipts - this.receipts.size,
      confirmsPerSecond: Math.round(this.confirms.size / seconds),
      longestGap: Math.round(this.longestGap / 100) / 10
    }
  }
}
