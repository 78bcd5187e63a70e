/**
 * A fixed number of long-lived workers, and the deliveries that wait for them: what `Consumer.run` is made of. Per message
 * there is no fiber and no catch: a worker's loop ends only when a handler fails, and starts again.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { ContentError } from "../../AmqpError.ts"
import { Numbered } from "../../internal/numbered.ts"
import * as Metrics from "../../Metrics.ts"
import type { Settlement } from "../Consumer.ts"
import type { Content, Delivery } from "../Message.ts"
import type { Backlog, Sink } from "./consumer.ts"
import { immediate } from "./content.ts"
import { DeliveryRecord } from "./delivery.ts"

/** How to go on after a handler's failure. @internal */
export type Policy<E, R> = (cause: Cause.Cause<E>, delivery: Delivery) => Effect.Effect<Settlement, never, R>

// --- What waits for a worker ---

type Resume = (effect: Effect.Effect<DeliveryRecord | undefined>) => void

/** Deliveries nobody has started on, and workers that have none. @internal */
export class Waiting implements Sink {
  readonly backlog: Backlog
  // Not an array with an index of its head: under a load that never lets it run empty, it would keep all it ever held.
  private readonly deliveries = new Numbered<DeliveryRecord>()
  private count = 0
  private idle: Array<Resume> = []
  private stopped = false
  private readonly started: (delivery: DeliveryRecord) => void

  constructor(backlog: Backlog, started: (delivery: DeliveryRecord) => void) {
    this.backlog = backlog
    this.started = started
  }

  get isStopped(): boolean {
    return this.stopped
  }

  add(delivery: DeliveryRecord): void {
    // Lives follow each other: as long as the oldest is of this one, all are.
    if (this.deliveries.first?.isStale === true) this.clear()
    this.deliveries.add(++this.count, delivery)
    this.backlog.added(delivery)
    this.idle.shift()?.(this.next)
  }

  /** Nobody starts on anything any more: ends the workers that wait. */
  stop(): void {
    this.stopped = true
    for (const resume of this.idle.splice(0)) resume(Effect.succeed(undefined))
  }

  /** Takes out what nobody started on. */
  unstarted(): ReadonlyArray<DeliveryRecord> {
    return this.clear().filter((delivery) => !delivery.isStale)
  }

  /** The next delivery, if one is here. */
  take(): DeliveryRecord | undefined {
    if (this.stopped) return undefined
    for (let delivery = this.shift(); delivery !== undefined; delivery = this.shift()) {
      if (!delivery.isStale) {
        this.started(delivery)
        return delivery
      }
    }
    return undefined
  }

  private shift(): DeliveryRecord | undefined {
    const { first, lowest } = this.deliveries
    if (first === undefined) return undefined
    this.deliveries.delete(lowest)
    this.backlog.started(first)
    return first
  }

  private clear(): ReadonlyArray<DeliveryRecord> {
    const all = this.deliveries.toArray()
    this.deliveries.clear()
    for (const delivery of all) this.backlog.started(delivery)
    return all
  }

  // Looked at when the worker runs: one that was interrupted meanwhile must not swallow a delivery.
  readonly next: Effect.Effect<DeliveryRecord | undefined> = Effect.suspend(() => {
    const delivery = this.take()
    if (delivery !== undefined || this.stopped) return Effect.succeed(delivery)
    return Effect.async<DeliveryRecord | undefined>((resume) => {
      // The fiber may have yielded since it looked.
      if (this.stopped || this.deliveries.size > 0) resume(this.next)
      else this.idle.push(resume)
    })
  })
}

// --- Settling ---

/** Settles a delivery at once, unless its handler has done so; what it returns only tells why it could not. */
const settleNow = (delivery: DeliveryRecord, settlement: Settlement): Effect.Effect<void> =>
  delivery.settled ? Effect.void : delivery.settleNow(settlement === "reject" ? "discard" : settlement)

/** When deliveries are settled: as soon as their handlers have ended, or not before those delivered earlier. @internal */
export interface SettleOrder {
  readonly started: (delivery: DeliveryRecord) => void
  readonly settle: (delivery: DeliveryRecord, settlement: Settlement) => Effect.Effect<void>
}

/** @internal */
export const atOnce: SettleOrder = { started: () => {}, settle: settleNow }

/** Of a consumer that does not acknowledge. @internal */
export const never: SettleOrder = { started: () => {}, settle: () => Effect.void }

/** @internal */
export const inOrder = (): SettleOrder => {
  // In the order of delivery.
  const open: Array<{ readonly delivery: DeliveryRecord; settlement: Settlement | undefined }> = []
  let settling = false
  const settleNext: Effect.Effect<void> = Effect.suspend(() => {
    const [oldest] = open
    if (oldest?.settlement === undefined) {
      settling = false
      return Effect.void
    }
    open.shift()
    return Effect.zipRight(settleNow(oldest.delivery, oldest.settlement), settleNext)
  })
  const settleReady = Effect.uninterruptible(settleNext)
  return {
    // Without a settlement while the handler runs.
    started: (delivery) => void open.push({ delivery, settlement: undefined }),
    settle: (delivery, settlement) =>
      Effect.suspend(() => {
        // From the end, where those are that run: behind a slow one there may be many that have ended.
        let place = open.length - 1
        while (place >= 0 && open[place]?.delivery !== delivery) place--
        const entry = open[place]
        // Given up while it waited for earlier ones: what its handler achieved stands.
        if (entry !== undefined) entry.settlement ??= settlement
        // An earlier one is not done, or whoever settles already will come to this one too.
        if (settling || place !== 0) return Effect.void
        settling = true
        return settleReady
      })
  }
}

// --- Workers ---

/** Marks our own logs, and never those of a handler. @internal */
export const annotate = Effect.annotateLogs({ package: "effect-amqp", module: "Consumer" })

/** A content that nobody can read, for the log and the metric. @internal */
export const undecodable = (error: ContentError, delivery: Delivery): Effect.Effect<void> =>
  Effect.suspend(() => {
    Metrics.undecodable.unsafeUpdate(1, Metrics.noTags)
    const fate = delivery instanceof DeliveryRecord && delivery.noAck ? "Dropped" : "Rejected"
    return annotate(
      Effect.logWarning(
        `${fate} a delivery to consumer "${delivery.consumerTag}": ${error.message}`
      )
    )
  })

/** A failed handler, for the log: the policy has acted for the user. @internal */
export const failed = (cause: Cause.Cause<unknown>, settlement: Settlement): Effect.Effect<void> =>
  annotate(Effect.logWarning(`A handler failed, and its message was ${past[settlement]}`, cause))

/** The same, where the message is gone in any case. @internal */
export const lost = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  annotate(Effect.logWarning("A handler failed, and its message is lost", cause))

const past: Record<Settlement, string> = { ack: "acknowledged", requeue: "requeued", reject: "rejected" }

/** Back to the queue, unless it has been there before: a message that fails every time would go round for ever. @internal */
export const requeueOnce = (delivery: Delivery): Settlement => delivery.redelivered ? "reject" : "requeue"

/** Handles deliveries one after another, until there are none to come. @internal */
export const worker = <A, E, R, R1, R2>(options: {
  readonly waiting: Waiting
  readonly settling: SettleOrder
  readonly content: Content<A, R1>
  readonly handler: (value: A, delivery: Delivery) => Effect.Effect<unknown, E, R>
  readonly policy: Policy<E, R2>
}): Effect.Effect<void, never, R | R1 | R2> => {
  const { content, handler, policy, settling, waiting } = options
  let current: DeliveryRecord | undefined
  /** How the current one is settled, once its handler has ended well. */
  let pending: Effect.Effect<void> | undefined

  const rejectUndecodable = (error: ContentError, delivery: DeliveryRecord): Effect.Effect<void> => {
    pending = Effect.zipRight(settling.settle(delivery, "reject"), undecodable(error, delivery))
    return pending
  }

  const pass = (decoded: Either.Either<A, ContentError>, delivery: DeliveryRecord): Effect.Effect<unknown, E, R> =>
    Either.isRight(decoded) ? handler(decoded.right, delivery) : rejectUndecodable(decoded.left, delivery)

  const handle = (delivery: DeliveryRecord): Effect.Effect<unknown, E, R | R1> => {
    current = delivery
    const decoding = content.decode(delivery)
    const decoded = immediate(decoding)
    return decoded === undefined
      ? Effect.flatMap(Effect.either(decoding), (decoded) => pass(decoded, delivery))
      : pass(decoded, delivery)
  }

  const next = (): Effect.Effect<unknown, E, R | R1> => {
    const delivery = waiting.take()
    if (delivery !== undefined) return handle(delivery)
    return Effect.flatMap(waiting.next, (delivery) => delivery === undefined ? Effect.void : handle(delivery))
  }

  // A loop without a generator: nothing is made for a message but what its handler is.
  const handleAll = Effect.whileLoop({
    while: () => pending !== undefined || !waiting.isStopped,
    body: () => pending ?? next(),
    step: () => {
      if (pending === undefined && current !== undefined) {
        const settled = settling.settle(current, "ack")
        if (settled !== Effect.void) {
          pending = settled
          return
        }
      }
      pending = undefined
      current = undefined
    }
  })

  /** Interrupted: the time that running handlers had when the consumer ended is over. */
  const isGivenUp = (cause: Cause.Cause<unknown>) => waiting.isStopped && Cause.isInterrupted(cause)

  const decide = (exit: Exit.Exit<Settlement>, delivery: DeliveryRecord): Effect.Effect<Settlement> => {
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    if (isGivenUp(exit.cause)) return Effect.succeed("requeue")
    const settlement = requeueOnce(delivery)
    return Effect.as(failed(exit.cause, settlement), settlement)
  }

  return Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      while (true) {
        const exit = yield* Effect.exit(restore(handleAll))
        const delivery = current
        current = undefined
        pending = undefined
        if (Exit.isSuccess(exit)) return
        // No handler was at work: the end of a worker that waited, or a defect of ours.
        if (delivery === undefined) return yield* Effect.failCause(Cause.stripFailures(exit.cause))
        const settlement = isGivenUp(exit.cause)
          ? "requeue"
          : yield* decide(yield* Effect.exit(restore(Effect.suspend(() => policy(exit.cause, delivery)))), delivery)
        yield* settling.settle(delivery, settlement)
      }
    })
  )
}
