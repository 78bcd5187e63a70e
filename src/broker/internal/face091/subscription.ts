/**
 * A consumer, as its channel keeps it.
 *
 * @since 0.1.0
 */
import type { Consumer } from "../../Model.ts"

/** @internal */
export interface Subscription {
  readonly tag: string
  readonly noAck: boolean
  /** The most it may hold unacknowledged; 0 is no bound. */
  readonly prefetch: number
  unacked: number
  consumer: Consumer | undefined
}
