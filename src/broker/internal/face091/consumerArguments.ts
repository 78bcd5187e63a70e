/**
 * What RabbitMQ reads in the arguments of a consumer.
 *
 * @since 0.1.0
 */
import type { Arguments, Queue, QueueType } from "../../Model.ts"
import { integerOf } from "../model/arguments.ts"
import type { Fault } from "./refusals.ts"
import { notForType, notInteger, unacceptableType } from "./refusals.ts"

const priority = "x-priority"
const failover = "x-cancel-on-ha-failover"
const offset = "x-stream-offset"

/** What consumers of other queues have. */
const foreign: Record<QueueType, ReadonlyArray<string>> = { classic: [offset], quorum: [failover, offset] }

/** @internal */
export const consumerPriority = (args: Arguments, { name, type }: Queue, vhost: string): number | Fault => {
  const { [failover]: cancels, [priority]: wanted = 0 } = args
  const integer = integerOf(wanted)
  if (integer === undefined) return notInteger(priority, name, vhost, wanted)
  if (type === "classic" && cancels !== undefined && typeof cancels !== "boolean") {
    return unacceptableType(failover, name, vhost, cancels)
  }
  const unknown = Object.keys(args).find((argument) => foreign[type].includes(argument))
  return unknown === undefined ? Number(integer) : notForType(unknown, name, vhost, type)
}
