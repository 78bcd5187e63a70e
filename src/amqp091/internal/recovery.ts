/**
 * When the topology of a connection comes back: all of it on a new socket, before any channel; what went with a channel
 * that the broker closed, before that channel. One pass at a time, and none outlives its socket.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Stream from "effect/Stream"
import type { CallError } from "../../AmqpError.ts"
import { Events } from "../../internal/events.ts"
import type { Fork } from "../../internal/forks.ts"
import { warn } from "../../internal/log.ts"
import type { RecoveryOptions, RecoveryReport } from "../Topology.ts"
import type { ChannelHost } from "./channelHost.ts"
import { declareAll } from "./declaring.ts"
import type { Record } from "./ledger.ts"
import { Ledger } from "./ledger.ts"
import { describe } from "./planning.ts"

// Channels that declare side by side: over a slow network a long list would else take a round trip for each entry.
const mostAtATime = 8

type Filter = RecoveryOptions["filter"]

/** Asked where the end of a socket, or a channel, has more to see to than one entity: its mistakes are a yes, told once. */
const careful = (filter: NonNullable<Filter>, fork: Fork): Filter => {
  let isTold = false
  return (entity) => {
    try {
      return filter(entity)
    } catch {
      // What it threw may hold anything, secrets too.
      if (!isTold) fork(warn("Connection", "recovery.filter has thrown: what it cannot judge is brought back"))
      isTold = true
      return true
    }
  }
}

/** @internal */
export class Recovery {
  // Most connections have nothing to bring back, and nobody who asks how that went.
  private made: Ledger | undefined
  private events: Events<RecoveryReport> | undefined
  private isOver = false
  /** While a pass for a new socket is under way: waits until it is over. */
  pending: Effect.Effect<void> | undefined
  private readonly options: RecoveryOptions
  private readonly pace: number
  private turn: Effect.Semaphore | undefined

  constructor(options: RecoveryOptions, fork: Fork) {
    this.options = options.filter === undefined ? options : { ...options, filter: careful(options.filter, fork) }
    this.pace = Duration.toMillis(options.pace ?? 0)
  }

  get ledger(): Ledger {
    return this.made ??= new Ledger()
  }

  /** How each pass went, from now on. */
  get reports(): Stream.Stream<RecoveryReport> {
    return Stream.suspend(() => {
      if (this.isOver) return Stream.empty
      this.events ??= new Events<RecoveryReport>()
      return this.events.stream(() => [])
    })
  }

  /** What a new socket needs. */
  get wanted(): ReadonlyArray<Record> {
    return this.made === undefined ? [] : this.made.wanted(this.options)
  }

  /** Whether, since this was last asked, a loss was found to be over one entity, which is left out from now on. */
  takeBlame(): boolean {
    return this.made?.takeBlame() === true
  }

  /** Whether a consumer outlives the socket. */
  keeps(consumerTag: string, queue: string): boolean {
    const { filter, mode } = this.options
    return mode !== "none" && (filter?.({ _tag: "Consumer", consumerTag, queue }) ?? true)
  }

  /** Brings everything back on a new socket; until then no channel is opened on it. */
  restore(host: ChannelHost, records: ReadonlyArray<Record>, epoch: number): Effect.Effect<void, CallError> {
    return Effect.suspend(() => {
      const over = Deferred.unsafeMake<void>(FiberId.none)
      this.pending = Deferred.await(over)
      return this.pass(host, () => records, epoch).pipe(
        Effect.ensuring(Effect.sync(() => {
          this.pending = undefined
          Deferred.unsafeDone(over, Effect.void)
        }))
      )
    })
  }

  /**
   * Brings back the queues that went with their consumers when the broker closed the channel of these: `left`, asked when it
   * is their turn, since another channel that was closed may bring them back before.
   */
  heal(host: ChannelHost, left: () => ReadonlyArray<string>, epoch: number): Effect.Effect<void, CallError> {
    return this.pass(host, () => {
      const queues = left()
      return queues.length === 0 ? [] : this.ledger.goneWith(new Set(queues), this.wanted)
    }, epoch)
  }

  private pass(host: ChannelHost, wanted: () => ReadonlyArray<Record>, epoch: number): Effect.Effect<void, CallError> {
    const insist = this.options.onFailure === "abort"
    this.turn ??= Effect.unsafeMakeSemaphore(1)
    return this.turn.withPermits(1)(Effect.suspend(() => {
      const records = wanted()
      if (records.length === 0) return Effect.void
      const width = this.ledger.oneByOne ? 1 : Math.min(mostAtATime, host.channelMax)
      return Effect.flatMap(declareAll(host, records, { insist, pace: this.pace, width }), (outcome) => {
        this.ledger.oneByOne = false
        this.events?.offer({ epoch, ...outcome })
        const [first] = outcome.failures
        if (first === undefined) return Effect.void
        const count = `${outcome.failures.length} of ${records.length} entities of the topology`
        return warn("Connection", `${count} did not come back, first ${describe(first.entity)}: ${first.error.message}`)
      })
    }))
  }

  /** The connection is over. */
  end(): void {
    this.isOver = true
    this.events?.end()
  }
}
