/**
 * What RabbitMQ reads in the arguments of a consumer.
 *
 * @since 0.1.0
 */
import type * as FieldTable from "../../../amqp091/FieldTable.ts"
import type { Fault } from "./refusals.ts"
import { notInteger, unacceptableType } from "./refusals.ts"

/** @internal */
export const consumerPriority = (args: FieldTable.FieldTable, queue: string, vhost: string): number | Fault => {
  const { "x-cancel-on-ha-failover": failover, "x-priority": priority = 0 } = args
  if (typeof priority !== "bigint" && !Number.isInteger(priority)) {
    return notInteger("x-priority", queue, vhost, priority)
  }
  if (failover !== undefined && typeof failover !== "boolean") {
    return unacceptableType("x-cancel-on-ha-failover", queue, vhost, failover)
  }
  return Number(priority)
}
