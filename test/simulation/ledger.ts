/**
 * Who published what, what the broker and the consumers saw of it, and what must hold of that: judged while it happens
 * where one event shows it, and at the end where only the whole does.
 */
import { Violation } from "./world.ts"

export type Guarantee = "at-most-once" | "confirmed" | "at-least-once" | "transaction"

export interface Author {
  readonly name: string
  readonly guarantee: Guarantee
}

/** What the author knows of a message. `refused`: the broker has said that it did not take it. */
export type Outcome = "pending" | "sent" | "confirmed" | "refused" | "unknown"

export interface Entry {
  readonly id: string
  readonly author: Author
  readonly number: number
  /** Queues that it is to reach. */
  readonly queues: ReadonlyArray<string>
  /** The transaction it belongs to. */
  readonly transaction: number | undefined
  outcome: Outcome
  /** How often the broker was given it. */
  recorded: number
  /** By queue: deliveries that were said to be first ones, and all. */
  readonly fresh: Map<string, number>
  readonly seen: Map<string, number>
}

/** A run of a consumer: within it deliveries that are not repeated come in order. */
export interface Reader {
  readonly name: string
  readonly queue: string
  /** By author: the number of the last fresh delivery. */
  readonly last: Map<string, number>
}

const count = (counts: Map<string, number>, key: string): number => {
  const next = (counts.get(key) ?? 0) + 1
  counts.set(key, next)
  return next
}

export class Ledger {
  readonly entries = new Map<string, Entry>()
  deliveries = 0
  /** What is wrong. */
  readonly violations: Array<string> = []
  private readonly queuesThatLose: ReadonlySet<string>
  private readonly isFaultless: boolean

  constructor(options: {
    /** Queues with consumers that do not acknowledge: what is on its way to one is lost with its socket. */
    readonly queuesThatLose?: ReadonlySet<string>
    /** Nothing goes wrong: each message arrives once. */
    readonly isFaultless?: boolean
  } = {}) {
    this.queuesThatLose = options.queuesThatLose ?? new Set()
    this.isFaultless = options.isFaultless ?? false
  }

  violated(text: string): void {
    if (this.violations.length < 20) this.violations.push(text)
  }

  begin(author: Author, number: number, queues: ReadonlyArray<string>, transaction?: number): Entry {
    const id = `${author.name}/${number}`
    if (this.entries.has(id)) throw new Violation(`${id} was published twice by the simulation itself`)
    const entry: Entry = {
      id,
      author,
      number,
      queues,
      transaction,
      outcome: "pending",
      recorded: 0,
      fresh: new Map(),
      seen: new Map()
    }
    this.entries.set(id, entry)
    return entry
  }

  ended(entry: Entry, outcome: Outcome): void {
    if (entry.outcome !== "pending") this.violated(`${entry.id} had two outcomes: ${entry.outcome}, ${outcome}`)
    entry.outcome = outcome
  }

  /** What the broker was given, in order. */
  recorded(ids: Iterable<string>): void {
    const last = new Map<string, number>()
    for (const id of ids) {
      const entry = this.entries.get(id)
      if (entry === undefined) {
        this.violated(`the broker was given ${id}, which nobody published`)
        continue
      }
      if (++entry.recorded > 1) continue
      const before = last.get(entry.author.name) ?? -1
      if (entry.number < before) this.violated(`the broker was given ${id} after number ${before} of its author`)
      last.set(entry.author.name, Math.max(before, entry.number))
    }
    for (const { author, id, recorded } of this.entries.values()) {
      const repeats = author.guarantee === "at-least-once" && !this.isFaultless
      if (recorded > 1 && !repeats) this.violated(`${id} was sent ${recorded} times, ${author.guarantee}`)
    }
  }

  delivered(reader: Reader, id: string, redelivered: boolean): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return this.violated(`${reader.name} was given ${id}, which nobody published`)
    if (!entry.queues.includes(reader.queue)) this.violated(`${id} came to ${reader.queue}, not of its queues`)
    this.deliveries++
    count(entry.seen, reader.queue)
    if (redelivered) return
    count(entry.fresh, reader.queue)
    if (entry.author.guarantee === "at-least-once" && !this.isFaultless) return
    const before = reader.last.get(entry.author.name) ?? -1
    if (entry.number <= before) {
      this.violated(`${reader.name} was given ${id} after number ${before} of its author, and not as a repetition`)
    }
    reader.last.set(entry.author.name, entry.number)
  }

  /** The last word; `recorded` was called. */
  judge(): void {
    const transactions = new Map<string, Set<boolean>>()
    for (const entry of this.entries.values()) {
      const { author, id, outcome, recorded } = entry
      if (outcome === "pending") this.violated(`${id} has no outcome`)
      for (const queue of entry.queues) {
        const seen = entry.seen.get(queue) ?? 0
        const fresh = entry.fresh.get(queue) ?? 0
        if (outcome === "confirmed" && seen === 0 && !this.queuesThatLose.has(queue)) {
          this.violated(`${id} was confirmed, and is lost in ${queue}`)
        }
        if (outcome === "refused" && seen > 0 && author.guarantee !== "at-least-once") {
          this.violated(`${id} was refused, and came to ${queue}`)
        }
        if (fresh > recorded) this.violated(`${id} came ${fresh} times to ${queue} as if new, sent ${recorded} times`)
        if (this.isFaultless && seen !== (outcome === "refused" ? 0 : 1)) {
          this.violated(`${id} came ${seen} times to ${queue} although nothing went wrong (${outcome})`)
        }
        if (entry.transaction !== undefined && !this.queuesThatLose.has(queue)) {
          const key = `transaction ${entry.transaction} of ${author.name} in ${queue}`
          const found = transactions.get(key) ?? new Set()
          transactions.set(key, found.add(seen > 0))
        }
      }
    }
    for (const [key, found] of transactions) if (found.size > 1) this.violated(`${key} came in part`)
  }
}
