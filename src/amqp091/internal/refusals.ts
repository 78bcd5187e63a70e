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

/** @internal */
export class Refusals {
  /** The publish whose exchange and routing key are in doubt, from its refusal until one is taken there. */
  private doubted: Method.BasicPublish | undefined
  /** The same while its refusal may end this life. */
  private pending: Method.BasicPublish | undefined
  /** What refuses takes something as well, in this life. */
  private isMixed = false
  /** Lives given up since then. */
  private count = 0
  private readonly channel: Renewable
  private readonly fork: (effect: Effect.Effect<void>) => void

  constructor(channel: Renewable, fork: (effect: Effect.Effect<void>) => void) {
    this.channel = channel
    this.fork = fork
  }

  /** Whether `taken` makes a difference. */
  get isInDoubt(): boolean {
    return this.doubted !== undefined
  }

  refused(method: Method.BasicPublish): void {
    if (this.isMixed || this.pending !== undefined) return
    this.doubted = method
    this.pending = method
    const giveUp = Effect.suspend(() => {
      if (this.pending !== method) return Effect.void
      this.pending = undefined
      if (!this.channel.isSpare()) return Effect.void
      this.count++
      return this.channel.renew()
    })
    this.fork(Effect.delay(giveUp, Duration.millis(Math.min(100 * 2 ** this.count, 10_000))))
  }

  taken({ exchange, routingKey }: Method.BasicPublish): void {
    if (this.doubted?.exchange !== exchange || this.doubted.routingKey !== routingKey) return
    this.isMixed = this.pending !== undefined
    this.doubted = undefined
    this.pending = undefined
    this.count = 0
  }

  /** The life is over. */
  interrupted(): void {
    this.pending = undefined
    this.isMixed = false
  }
}
