/** What is tried again, and when. */
import { AmqpError, Reconnect } from "effect-amqp"
import * as Effect from "effect/Effect"
import { now } from "../setup.ts"

export const lost = new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "a:5672" })

/** An effect that fails so often, and when it was run. */
export const failing = (times: number) => {
  const runs: Array<number> = []
  const effect = Effect.flatMap(now, (at) => runs.push(at) <= times ? Effect.fail(lost) : Effect.succeed("done"))
  return { runs, effect }
}

/** Seconds between times in milliseconds. */
export const differences = (times: ReadonlyArray<number>) =>
  times.slice(1).map((time, at) => (time - (times[at] ?? NaN)) / 1000)

/** kombu's `interval_start`, `interval_step` and `interval_max`, in seconds. */
export const growing = (interval: { readonly start: number; readonly step: number; readonly max: number }) =>
  Reconnect.linear({
    first: `${interval.start} seconds`,
    step: `${interval.step} seconds`,
    max: `${interval.max} seconds`
  })
