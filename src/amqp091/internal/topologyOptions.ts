/**
 * What queues, exchanges and bindings are declared with, and what is known of them then: public as types of `Channel`.
 *
 * @since 0.1.0
 */
import type { FieldTable } from "../FieldTable.ts"

/**
 * A declared queue, to be given wherever a queue is asked for. Of a queue that the broker named, `queue` is always the
 * present name: it has another one after the loss of its connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueRef {
  readonly queue: string
}

/**
 * What the broker says of a queue when it is declared.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeclaredQueue extends QueueRef {
  /** Messages ready for delivery. */
  readonly messageCount: number
  readonly consumerCount: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface NoWait {
  /**
   * Asks for no answer: the operation ends when its frame is in the output buffer, with 0 for each count. What the broker
   * has against it closes the channel, which is logged as a warning and fails what else is in flight there; the channel
   * opens again. A loss of the socket may take the operation with it. Default: false.
   */
  readonly noWait?: boolean | undefined
}

/**
 * With `noWait` the queue needs a name.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueDeclareOptions extends NoWait {
  /** "" lets the broker choose a name. Default: "". */
  readonly queue?: string | undefined
  /** Only asks whether the queue exists. Default: false. */
  readonly passive?: boolean | undefined
  /**
   * Survives a restart of the broker. Default: true for a named queue that is not exclusive, else false. RabbitMQ 4.3 ends
   * the connection (541) over a queue that is neither durable nor exclusive.
   */
  readonly durable?: boolean | undefined
  /** Belongs to this connection, and goes with its socket. Default: true for a queue the broker names, else false. */
  readonly exclusive?: boolean | undefined
  /** Goes with its last consumer. Default: false. */
  readonly autoDelete?: boolean | undefined
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeDeclareOptions extends NoWait {
  readonly exchange: string
  /** Default: "direct". */
  readonly type?: "direct" | "fanout" | "topic" | "headers" | (string & {}) | undefined
  readonly passive?: boolean | undefined
  /** Default: true. */
  readonly durable?: boolean | undefined
  /** Goes with its last binding. Default: false. */
  readonly autoDelete?: boolean | undefined
  /** Takes messages from other exchanges only. Default: false. */
  readonly internal?: boolean | undefined
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueBindOptions extends NoWait {
  readonly queue: string | QueueRef
  readonly exchange: string
  /** Default: "". */
  readonly routingKey?: string | undefined
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeBindOptions extends NoWait {
  readonly destination: string
  readonly source: string
  /** Default: "". */
  readonly routingKey?: string | undefined
  readonly arguments?: FieldTable | undefined
}
