/**
 * What is counted of every message: plain numbers, which become metrics once for each read and each write of a socket.
 * One for all sockets, as metrics are; what happens seldom goes to `Metrics` at once.
 *
 * @since 0.1.0
 */
import type * as Metric from "effect/Metric"
import * as Metrics from "../Metrics.ts"

const counters = {
  published: Metrics.published,
  confirmed: Metrics.confirmed,
  nacked: Metrics.nacked,
  unconfirmed: Metrics.unconfirmed,
  consumed: Metrics.consumed,
  acknowledged: Metrics.acknowledged,
  rejected: Metrics.rejected,
  sentBytes: Metrics.sentBytes,
  receivedBytes: Metrics.receivedBytes
} as const

type Name = keyof typeof counters

// An object's keys are its keys.
const each = Object.entries(counters) as ReadonlyArray<
  readonly [Name, Pick<Metric.Metric.Gauge<number> | Metric.Metric.Counter<number>, "unsafeModify">]
>

/** What was counted since the last report. @internal */
export const tally: Record<Name, number> = {
  published: 0,
  confirmed: 0,
  nacked: 0,
  unconfirmed: 0,
  consumed: 0,
  acknowledged: 0,
  rejected: 0,
  sentBytes: 0,
  receivedBytes: 0
}

/** @internal */
export const report = (): void => {
  for (const [name, metric] of each) {
    const count = tally[name]
    if (count === 0) continue
    tally[name] = 0
    metric.unsafeModify(count, Metrics.noTags)
  }
}
