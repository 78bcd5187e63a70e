/**
 * The faults that a broker was asked for, and what they make of each of its connections: what happens at once, and what
 * is wrong with it for now, found anew whenever a fault comes or goes, a client tells its name or is open.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Pipe } from "../../Transport.ts"
import type { Active, Fault, Injected, Name } from "../Fault.ts"
import { nameOf } from "../Fault.ts"
import type { Publish, PublishHook } from "./face091/peer.ts"
import type { Fault as Reason } from "./face091/refusals.ts"
import { fault as reasonOf } from "./face091/refusals.ts"
import type { Reader } from "./faultyPipe.ts"
import { FaultyPipe } from "./faultyPipe.ts"
import type { Conditions, Cut } from "./faultyWrites.ts"

/** A client's connection, as faults see it. @internal */
export interface Victim extends Reader {
  /** As its client called it, or its address. */
  readonly name: string
  readonly isOpen: boolean
  /** Cuts the pipe, without a word. */
  readonly drop: () => void
  readonly goodbye: (reason: Reason) => void
  /** Both say how many. */
  readonly closeChannels: (reason: Reason, number: number | undefined) => number
  readonly cancelConsumers: (isMeant: (tag: string, queue: string) => boolean) => number
  /** Tells why it shall not publish; `undefined`: it may again. */
  readonly block: (reason: string | undefined) => void
  /** Sees each publish before the channel does; `undefined`: nobody does. */
  onPublish: PublishHook | undefined
}

type Observer = (connection: string, publish: Publish) => void

/** @internal */
export interface FaultsOptions {
  readonly now: () => number
  readonly due: (deadline: number) => void
}

interface Entry {
  readonly pipe: FaultyPipe
  readonly arrival: number
  victim: Victim | undefined
  readonly cuts: Map<number, Cut>
}

interface Lasting<F extends Fault = Fault> {
  readonly id: number
  readonly fault: F
  /** Connections that arrived later are new to it. */
  readonly since: number
  remaining: number | undefined
}

/** @internal */
export class Faults {
  private readonly options: FaultsOptions
  private readonly entries = new Map<FaultyPipe, Entry>()
  private readonly lasting = new Map<number, Lasting>()
  private readonly observers = new Set<Observer>()
  private ids = 0
  private arrivals = 0

  constructor(options: FaultsOptions) {
    this.options = options
  }

  // --- Connections ---

  /** A client came; `undefined`: it is refused. */
  accept(pipe: Pipe): FaultyPipe | undefined {
    if (this.any("Refuse", ({ fault }) => fault.connection === undefined)) {
      pipe.destroy()
      return undefined
    }
    const faulty = new FaultyPipe(pipe, {
      now: this.options.now,
      due: this.options.due,
      onGone: (pipe) => void this.entries.delete(pipe)
    })
    this.entries.set(faulty, { pipe: faulty, arrival: ++this.arrivals, victim: undefined, cuts: new Map() })
    return faulty
  }

  /** It has a face; also when that has news of it. */
  attend(pipe: FaultyPipe, victim: Victim): void {
    const entry = this.entries.get(pipe)
    if (entry === undefined) return
    entry.victim = victim
    entry.pipe.reader = victim
    this.afflict(entry)
  }

  nextDeadline(): number {
    let earliest = Infinity
    if (this.lasting.size > 0) {
      for (const { pipe } of this.entries.values()) earliest = Math.min(earliest, pipe.nextDeadline)
    }
    return earliest
  }

  tick(): void {
    for (const { pipe } of this.entries.values()) pipe.pump()
  }

  // --- Asking and healing ---

  inject(fault: Fault): Injected {
    const id = ++this.ids
    const met = this.happen(fault)
    if (met !== undefined) return { id, fault, affected: met, heal: Effect.void }
    this.lasting.set(id, { id, fault, since: this.arrivals, remaining: timesOf(fault) })
    this.afflictAll()
    const affected = fault._tag === "Refuse" || fault._tag === "Stall" ? 0 : this.meant(fault).length
    return { id, fault, affected, heal: Effect.sync(() => void this.heal(id)) }
  }

  /** One, all of a kind, or all; how many. */
  heal(which?: number | Name): number {
    const healed = this.list.filter(({ fault, id }) =>
      which === undefined || which === id || which === nameOf.get(fault._tag)
    )
    for (const { id } of healed) this.lasting.delete(id)
    if (healed.length > 0) this.afflictAll()
    return healed.length
  }

  get list(): ReadonlyArray<Active> {
    return Array.from(this.lasting.values(), ({ fault, id, remaining }) => ({ id, fault, remaining }))
  }

  /** Sees each publish to the broker until the result is called. */
  observe(observer: Observer): () => void {
    this.observers.add(observer)
    this.afflictAll()
    return () => {
      this.observers.delete(observer)
      this.afflictAll()
    }
  }

  // --- What happens at once ---

  /** How many it met; `undefined`: it lasts. */
  private happen(fault: Fault): number | undefined {
    switch (fault._tag) {
      case "Drop":
        return this.each(fault, ({ pipe, victim }) => {
          pipe.kill()
          victim.drop()
          return 1
        })
      case "CloseConnection": {
        const reason = reasonFor(fault.code ?? 320, fault.text)
        return this.each(fault, ({ victim }) => {
          if (!victim.isOpen) return 0
          victim.goodbye(reason)
          return 1
        })
      }
      case "CloseChannel": {
        const reason = reasonFor(fault.code, fault.text)
        return this.each(fault, ({ victim }) => victim.closeChannels(reason, fault.channel))
      }
      case "CancelConsumer": {
        const isMeant = (tag: string, queue: string) =>
          (fault.consumerTag ?? tag) === tag && (fault.queue ?? queue) === queue
        return this.each(fault, ({ victim }) => victim.cancelConsumers(isMeant))
      }
      default:
        return undefined
    }
  }

  private meant(fault: Fault): ReadonlyArray<Attended> {
    return Array.from(this.entries.values()).filter(isAttended).filter(({ victim }) => isNamed(fault, victim))
  }

  private each(fault: Fault, meet: (entry: Attended) => number): number {
    return this.meant(fault).reduce((sum, entry) => sum + meet(entry), 0)
  }

  // --- What lasts ---

  private any<T extends Fault["_tag"]>(
    tag: T,
    holds: (lasting: Lasting<Extract<Fault, { _tag: T }>>) => boolean
  ): boolean {
    return this.find(tag, holds) !== undefined
  }

  private find<T extends Fault["_tag"]>(
    tag: T,
    holds: (lasting: Lasting<Extract<Fault, { _tag: T }>>) => boolean
  ): Lasting<Extract<Fault, { _tag: T }>> | undefined {
    for (const lasting of this.lasting.values()) if (isOf(lasting, tag) && holds(lasting)) return lasting
    return undefined
  }

  private afflictAll(): void {
    for (const entry of Array.from(this.entries.values())) this.afflict(entry)
  }

  private afflict(entry: Entry): void {
    if (!isAttended(entry)) return
    const { pipe, victim } = entry
    const isMeant = ({ fault }: Lasting) => isNamed(fault, victim)
    const isNew = (lasting: Lasting) => isMeant(lasting) && entry.arrival > lasting.since
    if (this.any("Refuse", isNew)) {
      pipe.kill()
      return victim.drop()
    }
    // First: publishes that were held are answered behind it.
    victim.block(this.find("Block", isMeant)?.fault.reason)
    pipe.set(this.conditionsOf(entry, isMeant, isNew))
    const isAwaited = this.observers.size > 0 ||
      this.any("NackNext", isMeant) || this.any("LoseNext", isMeant)
    victim.onPublish = isAwaited ? (publish) => this.published(entry, publish) : undefined
  }

  private conditionsOf(
    entry: Entry,
    isMeant: (lasting: Lasting) => boolean,
    isNew: (lasting: Lasting) => boolean
  ): Conditions | undefined {
    let delayMillis = 0
    const cuts: Array<Cut> = []
    for (const lasting of this.lasting.values()) {
      if (!isMeant(lasting)) continue
      const { fault } = lasting
      if (fault._tag === "Delay") delayMillis = Math.max(delayMillis, Duration.toMillis(fault.by))
      if (fault._tag === "DropAfter" || fault._tag === "CutFrame") cuts.push(this.cutOf(entry, lasting, fault))
    }
    const conditions: Conditions = {
      isSilent: this.any("Silence", isMeant) || this.any("Stall", isNew),
      delayMillis,
      isBytewise: this.any("SplitWrites", isMeant),
      skipsHeartbeats: this.any("SkipHeartbeats", isMeant),
      holdsPublishes: this.any("Block", isMeant),
      cuts
    }
    const { holdsPublishes, isBytewise, isSilent, skipsHeartbeats } = conditions
    const isHealthy = !isSilent && delayMillis === 0 && !isBytewise && !skipsHeartbeats && !holdsPublishes
    return isHealthy && cuts.length === 0 ? undefined : conditions
  }

  /** Counted for each connection by itself, from when the fault first met it. */
  private cutOf(entry: Entry, lasting: Lasting, fault: Extract<Fault, { _tag: "DropAfter" | "CutFrame" }>): Cut {
    const known = entry.cuts.get(lasting.id)
    if (known !== undefined) return known
    const cut: Cut = {
      of: fault._tag === "CutFrame" ? "broker" : fault.of ?? "client",
      left: fault.frames ?? 0,
      isMidFrame: fault._tag === "CutFrame",
      onCut: () => this.spend(lasting)
    }
    entry.cuts.set(lasting.id, cut)
    return cut
  }

  private spend(lasting: Lasting): void {
    if (lasting.remaining === undefined || --lasting.remaining > 0) return
    this.lasting.delete(lasting.id)
    this.afflictAll()
  }

  private published(entry: Attended, publish: Publish): void {
    for (const observer of this.observers) observer(entry.victim.name, publish)
    const isMeant = ({ fault }: Lasting) => isNamed(fault, entry.victim)
    const { channel, take } = publish
    const nack = channel.isConfirming ? this.find("NackNext", isMeant) : undefined
    const lose = channel.isConfirming ? this.find("LoseNext", isMeant) : undefined
    if (nack !== undefined) {
      channel.nack()
      this.spend(nack)
    } else if (lose !== undefined) {
      channel.lose(lose.fault.stored === true ? take : undefined)
      this.spend(lose)
    } else {
      take()
    }
  }
}

interface Attended extends Entry {
  victim: Victim
}

const isAttended = (entry: Entry): entry is Attended => entry.victim !== undefined

const isNamed = (fault: Fault, victim: Victim): boolean => (fault.connection ?? victim.name) === victim.name

const isOf = <T extends Fault["_tag"]>(
  lasting: Lasting,
  tag: T
): lasting is Lasting<Extract<Fault, { _tag: T }>> => lasting.fault._tag === tag

const reasonFor = (code: number, text: string | undefined): Reason =>
  text === undefined ? reasonOf(code, "a fault on demand") : { code, text }

const timesOf = (fault: Fault): number | undefined => {
  switch (fault._tag) {
    case "DropAfter":
    case "CutFrame":
      return fault.times ?? 1
    case "NackNext":
    case "LoseNext":
      return fault.count
    default:
      return undefined
  }
}
