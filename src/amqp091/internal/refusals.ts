/**
 * Whether a broker that refuses what a channel publishes would take it on a new one, and after how long to find out.
 *
 * RabbitMQ refuses what a channel publishes to a quorum queue if its first publish there found the leader's node gone, until
 * that node is back (seen with 3.10); a new channel finds the new leader. But a queue that refuses on purpose (`x-overflow`)
 * refuses a new channel too: hence the delays; and it takes some of what one channel publishes: that one is left alone.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Method from "../Method.ts"

/** @internal */
export interface Renewable {
  /** Whether a new life would cost nothing but publishes that are sent twice. */
  readonly isSpare: () => boolean
  /** Gives the channel's life up, and brings up a new one. */
  readonly renew: () => Effect.Effect<void>
}

// How many exchanges and routing keys of each kind are remembered.
const most = 64

const keyOf = ({ exchange, routingKey }: Method.BasicPublish): string => `${exchange}\0${routingKey}`

/** Forgets the oldest where there are too many. */
const remember = (keys: Set<string>, key: string): void => {
  keys.add(key)
  if (keys.size <= most) return
  for (const oldest of keys) {
    keys.delete(oldest)
    return
  }
}

/** @internal */
export class Refusals {
  /** Where lives were given up for a refusal, and nothing was taken since. */
  private readonly doubted = new Set<string>()
  /** Where a refusal may end this life. */
  private pending = new Set<string>()
  /** What refuses takes something as well, in this life. */
  private mixed = new Set<string>()
  /** Lives given up since something was taken where one had been. */
  private count = 0
  private readonly channel: Renewable
  private readonly fork: (effect: Effect.Effect<void>) => void

  constructor(channel: Renewable, fork: (effect: Effect.Effect<void>) => void) {
    this.channel = channel
    this.fork = fork
  }

  /** Whether `taken` makes a difference. */
  get isInDoubt(): boolean {
    return this.pending.size > 0 || this.doubted.size > 0
  }

  refused(method: Method.BasicPublish): void {
    const { pending } = this
    const key = keyOf(method)
    // Of too many that are pending none is forgotten: else none might last until its time.
    if (this.mixed.has(key) || pending.has(key) || pending.size >= most) return
    pending.add(key)
    const giveUp = Effect.suspend(() => {
      if (this.pending !== pending || !pending.delete(key) || !this.channel.isSpare()) return Effect.void
      remember(this.doubted, key)
      this.count++
      return this.channel.renew()
    })
    this.fork(Effect.delay(giveUp, Duration.millis(Math.min(100 * 2 ** this.count, 10_000))))
  }

  taken(method: Method.BasicPublish): void {
    const key = keyOf(method)
    if (this.pending.delete(key)) remember(this.mixed, key)
    if (this.doubted.delete(key)) this.count = 0
  }

  /** The life is over. */
  interrupted(): void {
    this.pending = new Set()
    this.mixed = new Set()
  }
}
