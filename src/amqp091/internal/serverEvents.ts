/**
 * What the broker says, one thing at a time, for whoever is used to drain events. Nothing depends on it: deliveries, confirms
 * and answers go their own way, whether anybody looks here or not.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ConnectionClosed } from "../../AmqpError.ts"
import { OperationTimeout } from "../../AmqpError.ts"
import type { ServerEvent } from "../Connection.ts"
import * as Method from "../Method.ts"

type Resume = (effect: Effect.Effect<ServerEvent, ConnectionClosed>) => void

// Who does not drain for long misses the oldest.
const maxPending = 64

/** @internal */
export class ServerEvents {
  private readonly pending: Array<ServerEvent> = []
  private readonly waiting = new Set<Resume>()
  private over: ConnectionClosed | undefined

  saw(channel: number, method: Method.Method): void {
    const event = { channel, method: Method.name(method) }
    for (const resume of this.waiting) {
      this.waiting.delete(resume)
      return resume(Effect.succeed(event))
    }
    if (this.pending.length === maxPending) this.pending.shift()
    this.pending.push(event)
  }

  /** Nobody is there for now who could say anything: whoever waits is told why. */
  fail(fault: ConnectionClosed): void {
    for (const resume of this.waiting) resume(Effect.fail(fault))
    this.waiting.clear()
  }

  end(fault: ConnectionClosed): void {
    this.over = fault
    this.fail(fault)
  }

  /** `undefined`: for ever; zero: only what is there already. */
  next(limit: Duration.Duration | undefined): Effect.Effect<ServerEvent, OperationTimeout | ConnectionClosed> {
    const event = this.pending.shift()
    if (event !== undefined) return Effect.succeed(event)
    if (this.over !== undefined) return Effect.fail(this.over)
    const next = Effect.async<ServerEvent, ConnectionClosed>((resume) => {
      this.waiting.add(resume)
      return Effect.sync(() => void this.waiting.delete(resume))
    })
    if (limit === undefined) return next
    const late = new OperationTimeout({ operation: "drainEvents", limit })
    return Duration.equals(limit, Duration.zero) ? Effect.fail(late) : Effect.timeoutFail(next, {
      duration: limit,
      onTimeout: () => late
    })
  }
}
