/**
 * Every id of a run under chaos: what was confirmed, how often each was received, how long nothing was confirmed, and how
 * long recovery took after each fault.
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"
import type { Receipts } from "./message.ts"

export interface Report {
  readonly published: number
  readonly confirmed: number
  /** Ids that were received intact. */
  readonly consumed: number
  /** Confirmed, and never received, nor known to have been damaged on the way to the broker. */
  readonly lost: number
  /** Known to have been damaged on the way to the broker. */
  readonly spoilt: number
  /** Deliveries that were damaged on their way to the consumer. */
  readonly damaged: number
  /** Intact receipts of what had been received already: `republished` and `redelivered` together. */
  readonly duplicates: number
  /** Of these, another copy: the broker had not handed it out before. Each is the work of the publisher. */
  readonly republished: number
  /** Of these, the same copy once more, or one whose first delivery never arrived. */
  readonly redelivered: number
  readonly confirmsPerSecond: number
  /** The longest time without a confirm, in seconds. */
  readonly longestGap: number
  /** From a fault to the end of the longest silence of confirms it fell into or brought about, in seconds. */
  readonly recovery: { readonly median: number; readonly max: number }
}

/** What a client enters. */
export interface Entries extends Receipts {
  /** The id of one more message. */
  readonly next: () => number
  readonly confirmed: (id: number) => void
}

// Milliseconds after a fault in which the silence begins that it brings about: what had arrived is still read.
const consequence = 250

interface Fault {
  readonly at: number
  longestGap: number
  recoveredAt: number
}

export class Ledger implements Entries {
  private published = 0
  private readonly confirms = new Set<number>()
  private readonly receipts = new Set<number>()
  private readonly spoilage = new Set<number>()
  private damage = 0
  private republished = 0
  private redelivered = 0
  private begun = performance.now()
  private stopped: number | undefined
  private lastConfirm = performance.now()
  private longestGap = 0
  private readonly faults: Array<Fault> = []
  /** Of the last confirm or receipt. */
  progressedAt = performance.now()

  /** The client is ready: its time begins. */
  begin(): void {
    this.begun = performance.now()
    this.lastConfirm = this.begun
    this.longestGap = 0
  }

  next(): number {
    return this.published++
  }

  confirmed(id: number): void {
    this.confirms.add(id)
    const now = performance.now()
    this.progressedAt = now
    if (this.stopped === undefined) this.silent(now)
    this.lastConfirm = now
  }

  private silent(now: number): void {
    const gap = now - this.lastConfirm
    this.longestGap = Math.max(this.longestGap, gap)
    for (let index = this.faults.length - 1; index >= 0; index--) {
      const fault = this.faults[index]! // below its length
      if (index < this.faults.length - 1 && fault.at <= this.lastConfirm) return
      if (gap <= fault.longestGap || this.lastConfirm - fault.at > consequence) continue
      fault.longestGap = gap
      fault.recoveredAt = now
    }
  }

  received(id: number, redelivered: boolean): void {
    this.progressedAt = performance.now()
    if (!this.receipts.has(id)) this.receipts.add(id)
    else if (redelivered) this.redelivered++
    else this.republished++
  }

  damaged(): void {
    this.damage++
  }

  spoilt(id: number | undefined): void {
    if (id !== undefined) this.spoilage.add(id)
  }

  /** Something is being done to the connection now. */
  fault(): void {
    const now = performance.now()
    this.faults.push({ at: now, longestGap: 0, recoveredAt: now })
  }

  get confirmCount(): number {
    return this.confirms.size
  }

  /** Nothing more is published from now on. */
  stop(): void {
    if (this.stopped !== undefined) return
    this.stopped = performance.now()
    this.silent(this.stopped)
  }

  /** Confirmed ids that nobody has received. */
  get missing(): ReadonlyArray<number> {
    return Array.from(this.confirms).filter((id) => !this.receipts.has(id) && !this.spoilage.has(id))
  }

  get report(): Report {
    const seconds = ((this.stopped ?? performance.now()) - this.begun) / 1000
    const recoveries = Arr.sort(this.faults.map(({ at, recoveredAt }) => recoveredAt - at), Order.number)
    return {
      published: this.published,
      confirmed: this.confirms.size,
      consumed: this.receipts.size,
      lost: this.missing.length,
      spoilt: this.spoilage.size,
      damaged: this.damage,
      duplicates: this.republished + this.redelivered,
      republished: this.republished,
      redelivered: this.redelivered,
      confirmsPerSecond: Math.round(this.confirms.size / seconds),
      longestGap: inSeconds(this.longestGap),
      recovery: {
        median: inSeconds(recoveries[Math.floor(recoveries.length / 2)] ?? 0),
        max: inSeconds(recoveries.at(-1) ?? 0)
      }
    }
  }
}

const inSeconds = (millis: number): number => Math.round(millis / 10) / 100
