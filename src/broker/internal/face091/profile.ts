/**
 * In what the versions of RabbitMQ differ, as far as a client can tell.
 *
 * @since 0.1.0
 */

/** @internal */
export interface Profile {
  /** The version the broker says it is like. */
  readonly version: string
  /** The smallest `frame_max`, and the largest frame before there is one. */
  readonly minFrameMax: number
  /** The largest body, in bytes. */
  readonly maxMessageSize: number
  /** Whether queues may be neither durable nor exclusive. */
  readonly transientQueues: boolean
  /** Whether `basic.qos` with `global` bounds the channel. Else it counts as one without. */
  readonly globalQos: boolean
  /** Whether who acknowledges too late loses its consumer only, and not its channel. */
  readonly cancelsLateConsumers: boolean
}

/** @internal */
export const profiles = {
  "3.10": {
    version: "3.10.8",
    minFrameMax: 4096,
    maxMessageSize: 134_217_728,
    transientQueues: true,
    globalQos: true,
    cancelsLateConsumers: false
  },
  "4.3": {
    version: "4.3.5",
    minFrameMax: 8192,
    maxMessageSize: 16_777_216,
    transientQueues: false,
    globalQos: false,
    cancelsLateConsumers: true
  }
} satisfies Record<string, Profile>

/** RabbitMQ's words for a queue that is neither durable nor exclusive, from 4.3 on. @internal */
export const transientQueuesDenied = "Feature `transient_nonexcl_queues` is deprecated.\n" +
  "By default, this feature is not permitted anymore.\n" +
  "The feature will be removed from a future major RabbitMQ version, regardless of the configuration; actual version " +
  "to be determined.\n" +
  "To continue using this feature when it is not permitted by default, set the following parameter in your " +
  "configuration:\n    \"deprecated_features.permit.transient_nonexcl_queues = true\""
