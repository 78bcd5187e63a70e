/**
 * What a pool tells of itself while it is used: its gauges, and borrowers that keep what they have for too long.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import * as Metrics from "../Metrics.ts"
import type { Options } from "../Pool.ts"
import type { Fork } from "./forks.ts"
import { warn } from "./log.ts"

const holder = (where: string, context: Context.Context<never>): string => {
  const span = context.unsafeMap.get(Tracer.ParentSpan.key)
  return Predicate.hasProperty(span, "name") ? `in span "${String(span.name)}" ${where}` : where
}

/** @internal */
export class PoolWatch {
  private readonly name: string
  private readonly fork: Fork
  private readonly warnAfter: Duration.Duration | undefined
  private readonly open: Metric.Metric.Gauge<number>
  private readonly leases: Metric.Metric.Gauge<number>
  private readonly waiting: Metric.Metric.Gauge<number>
  private last: readonly [open: number, leases: number, waiting: number] = [0, 0, 0]

  constructor(name: string, fork: Fork, { warnAfter }: Options) {
    this.name = name
    this.fork = fork
    this.warnAfter = warnAfter === undefined ? undefined : Duration.decode(warnAfter)
    this.open = Metric.tagged(Metrics.poolOpen, "pool", name)
    this.leases = Metric.tagged(Metrics.poolLeases, "pool", name)
    this.waiting = Metric.tagged(Metrics.poolWaiting, "pool", name)
  }

  /** Adds up with all pools of its name; what has not changed costs three comparisons. */
  tell(open: number, leases: number, waiting: number): void {
    const { last } = this
    if (open === last[0] && leases === last[1] && waiting === last[2]) return
    this.last = [open, leases, waiting]
    if (open !== last[0]) this.open.unsafeModify(open - last[0], Metrics.noTags)
    if (leases !== last[1]) this.leases.unsafeModify(leases - last[1], Metrics.noTags)
    if (waiting !== last[2]) this.waiting.unsafeModify(waiting - last[2], Metrics.noTags)
  }

  /**
   * Who called the function that asks, as the engine prints it: `at place (/app/orders.ts:12:20)`. Asked while the program
   * builds its Effect: when that runs, nobody of it is on the stack any more.
   */
  caller(): string | undefined {
    if (this.warnAfter === undefined) return undefined
    const lines = (new Error().stack ?? "").split("\n")
    // Some engines print the error above its frames; then come this function, and the one that asks.
    const [, , frame] = lines[0]?.startsWith("Error") === true ? lines.slice(1) : lines
    return frame?.trim() ?? "at an unknown place"
  }

  /** Warns once of a lease that is not over in time; the fiber is to be interrupted when it is. */
  taken(where: string | undefined, context: Context.Context<never>): Fiber.RuntimeFiber<void> | undefined {
    const { warnAfter } = this
    if (warnAfter === undefined || where === undefined) return undefined
    const text = `${this.name}: a lease is held for longer than ${Duration.format(warnAfter)}`
    return this.fork(Effect.delay(warn("Pool", `${text}, taken ${holder(where, context)}`), warnAfter))
  }
}
