/**
 * What is counted of every message: plain numbers, which become metrics once for each read and each write of a socket.
 * One for all sockets, as metrics are; what happens seldom goes to `Metrics` at once.
 *
 * @since 0.1.0
 */
import type * as Metric from "effect/Metric"
import {
  acknowledged,
  confirmed,
  consumed,
  nacked,
  noTags,
  published,
  receivedBytes,
  rejected,
  sentBytes,
  unconfirmed
} from "../Metrics.ts"

/** What was counted since the last report. @internal */
export const tally = {
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

type Adding = Pick<Metric.Metric.Gauge<number> | Metric.Metric.Counter<number>, "unsafeModify">

/** What is left to tell. */
const told = (metric: Adding, count: number): number => {
  if (count !== 0) metric.unsafeModify(count, noTags)
  return 0
}

// Field by field: by name, in a loop, one that has nothing to tell costs many times as much.
/** @internal */
export const report = (): void => {
  tally.published = told(published, tally.published)
  tally.confirmed = told(confirmed, tally.confirmed)
  tally.nacked = told(nacked, tally.nacked)
  tally.unconfirmed = told(unconfirmed, tally.unconfirmed)
  tally.consumed = told(consumed, tally.consumed)
  tally.acknowledged = told(acknowledged, tally.acknowledged)
  tally.rejected = told(rejected, tally.rejected)
  tally.sentBytes = told(sentBytes, tally.sentBytes)
  tally.receivedBytes = told(receivedBytes, tally.receivedBytes)
}
