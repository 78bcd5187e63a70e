/**
 * The prefetch of one channel: that of its consumers, each told just before its consumer is made, and that of the channel
 * as a whole.
 *
 * @since 0.1.0
 */
import type * as Method from "../Method.ts"

const qos = (prefetchCount: number, global: boolean): Method.BasicQos => ({
  _tag: "BasicQos",
  prefetchSize: 0,
  prefetchCount,
  global
})

/** @internal */
export class Prefetch {
  /** Unacknowledged deliveries for each consumer opened from now on. */
  ofConsumers: number
  /** Unacknowledged deliveries for all consumers of the channel together; 0 is no limit. */
  private ofChannel = 0
  private sent = 0
  private unanswered = 0

  constructor(ofConsumers: number) {
    this.ofConsumers = ofConsumers
  }

  /** A new life of the channel, of which the broker knows nothing: what it begins with. */
  begin(): Method.BasicQos | undefined {
    this.sent = 0
    this.unanswered = 0
    return this.ofChannel === 0 ? undefined : qos(this.ofChannel, true)
  }

  /** Bounds all consumers of the channel together, in this life and those to come. */
  limit(prefetch: number): Method.BasicQos {
    this.ofChannel = prefetch
    return qos(prefetch, true)
  }

  /**
   * What goes before a consumer with this prefetch, in the same write and without a wait: RabbitMQ counts a prefetch per
   * consumer, and takes it when the consumer is made.
   */
  before(prefetch: number): ReadonlyArray<Method.BasicQos> {
    if (prefetch === this.sent) return []
    this.sent = prefetch
    // RabbitMQ (3.10.8): a prefetch for each consumer takes the channel's own away.
    const methods = this.ofChannel > 0 ? [qos(prefetch, false), qos(this.ofChannel, true)] : [qos(prefetch, false)]
    this.unanswered += methods.length
    return methods
  }

  /** Takes an answer; `false` when it is to somebody's call. */
  answered(): boolean {
    if (this.unanswered === 0) return false
    this.unanswered--
    return true
  }
}
