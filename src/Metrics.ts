/**
 * Every metric of the library, by name, of all connections together. What is counted of every message is told after each
 * read and each write of a socket, never by an Effect per message.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/**
 * Messages handed to a socket, those sent again included.
 *
 * @since 0.1.0
 * @category metrics
 */
export const published = Metric.counter("amqp_client_published_messages", { incremental: true })

/**
 * Publishes that the broker confirmed, those that came back included.
 *
 * @since 0.1.0
 * @category metrics
 */
export const confirmed = Metric.counter("amqp_client_confirmed_messages", { incremental: true })

/**
 * Publishes that the broker refused by a nack.
 *
 * @since 0.1.0
 * @category metrics
 */
export const nacked = Metric.counter("amqp_client_nacked_messages", { incremental: true })

/**
 * Mandatory messages that came back.
 *
 * @since 0.1.0
 * @category metrics
 */
export const returned = Metric.counter("amqp_client_returned_messages", { incremental: true })

/**
 * Publishes that ended without an answer of the broker: refused, given up, not in time, or of an unknown outcome.
 *
 * @since 0.1.0
 * @category metrics
 */
export const publishFailed = Metric.counter("amqp_client_failed_publishes", { incremental: true })

/**
 * Publishes that the broker has not answered for yet.
 *
 * @since 0.1.0
 * @category metrics
 */
export const unconfirmed = Metric.gauge("amqp_client_unconfirmed_messages")

/**
 * Messages delivered to consumers, or fetched by a get.
 *
 * @since 0.1.0
 * @category metrics
 */
export const consumed = Metric.counter("amqp_client_consumed_messages", { incremental: true })

/**
 * Deliveries that were acknowledged.
 *
 * @since 0.1.0
 * @category metrics
 */
export const acknowledged = Metric.counter("amqp_client_acknowledged_messages", { incremental: true })

/**
 * Deliveries that were rejected or nacked, put back into their queue or not.
 *
 * @since 0.1.0
 * @category metrics
 */
export const rejected = Metric.counter("amqp_client_rejected_messages", { incremental: true })

/**
 * Settlements that were not carried out: the delivery was settled before, its channel's life had ended, or it was
 * delivered without acknowledgement.
 *
 * @since 0.1.0
 * @category metrics
 */
export const unsettled = Metric.counter("amqp_client_stale_settlements", { incremental: true })

/**
 * Deliveries that consumers rejected because their content could not be decoded.
 *
 * @since 0.1.0
 * @category metrics
 */
export const undecodable = Metric.counter("amqp_client_undecodable_messages", { incremental: true })

/**
 * Connections that are open: their sockets, and everything on them.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connections = Metric.gauge("amqp_client_connections")

/**
 * Channels that are open.
 *
 * @since 0.1.0
 * @category metrics
 */
export const channels = Metric.gauge("amqp_client_channels")

/**
 * Octets written to sockets, handshakes and heartbeats included.
 *
 * @since 0.1.0
 * @category metrics
 */
export const sentBytes = Metric.counter("amqp_client_sent_bytes", { incremental: true })

/**
 * Octets read from sockets, handshakes and heartbeats included.
 *
 * @since 0.1.0
 * @category metrics
 */
export const receivedBytes = Metric.counter("amqp_client_received_bytes", { incremental: true })

/**
 * For how many milliseconds brokers blocked publishes, counted when that is over.
 *
 * @since 0.1.0
 * @category metrics
 */
export const blockedTime = Metric.counter("amqp_client_blocked_milliseconds", { incremental: true })

/**
 * Sockets opened after the first one of their connection.
 *
 * @since 0.1.0
 * @category metrics
 */
export const reconnects = Metric.counter("amqp_client_reconnects", { incremental: true })

/**
 * By how many milliseconds the timers of connections (heartbeats, timeouts) woke up late: a program that keeps its thread
 * busy for long shows here before its broker takes it for dead.
 *
 * @since 0.1.0
 * @category metrics
 */
export const timerLag = Metric.histogram(
  "amqp_client_timer_lag_milliseconds",
  MetricBoundaries.fromIterable([1, 5, 10, 50, 100, 500, 1000, 5000, 10_000])
)

/**
 * Requests that were dropped unread by a server of remote calls, because they say nowhere to reply to.
 *
 * @since 0.1.0
 * @category metrics
 */
export const unanswerable = Metric.counter("amqp_client_unanswerable_requests", { incremental: true })

/**
 * Replies that did not reach their caller: its queue was gone, or the reply could not be sent.
 *
 * @since 0.1.0
 * @category metrics
 */
export const lostReplies = Metric.counter("amqp_client_lost_replies", { incremental: true })

/**
 * What pools have open now, by `pool`: `connections` or `channels`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const poolOpen = Metric.gauge("amqp_client_pool_open")

/**
 * Leases of pools that are not over, by `pool`. Publishes that share a pool's channels are none.
 *
 * @since 0.1.0
 * @category metrics
 */
export const poolLeases = Metric.gauge("amqp_client_pool_leases")

/**
 * Borrowers who wait for a pool, by `pool`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const poolWaiting = Metric.gauge("amqp_client_pool_waiting")

/** One for all updates: an array for each would be the only thing that most of them make. @internal */
export const noTags: [] = []
