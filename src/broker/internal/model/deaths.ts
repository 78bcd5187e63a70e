/**
 * Whether a dead letter goes round in a circle.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"

/**
 * It has been to this queue before, and nobody refused it since: nothing but the queues' own rules made it come back, and
 * so they would for ever. `deaths` begin with the latest.
 *
 * @internal
 */
export const closesCycle = (queue: string, deaths: Model.DeadLetter<unknown>["deaths"]): boolean => {
  const before = deaths.findIndex((death) => death.queue === queue)
  return before >= 0 && deaths.slice(0, before + 1).every((death) => death.reason !== "rejected")
}
