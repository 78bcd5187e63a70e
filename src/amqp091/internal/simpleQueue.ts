/**
 * What simple queues are made of: their declaration, made again wherever it is gone, and the two ways of getting a delivery
 * out of a queue, on demand and by a consumer that stays.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CallError, ConsumerOverflow } from "../../AmqpError.ts"
import { ConsumerCancelled } from "../../AmqpError.ts"
import type { Definition, Options } from "../SimpleQueue.ts"
import type { ChannelCore } from "./channel.ts"
import { confirm } from "./channelModes.ts"
import type { ConsumeFault, Sink } from "./consumer.ts"
import { Backlog } from "./consumer.ts"
import { consuming } from "./consuming.ts"
import type { DeliveryRecord } from "./delivery.ts"
import { isNotFound } from "./openOn.ts"

/** Hears of a delivery as it is taken: who waits for it may be gone before it comes through. @internal */
export type Hold = (delivery: DeliveryRecord) => void

/** Where values come from, a delivery at a time. @internal */
export interface Source<E> {
  readonly now: (hold: Hold) => Effect.Effect<Option.Option<DeliveryRecord>, CallError | ConsumerCancelled | E>
  readonly next: (hold: Hold) => Effect.Effect<DeliveryRecord, CallError | ConsumerCancelled | E>
  /** Of a delivery that nobody got in the end. */
  readonly putBack: (delivery: DeliveryRecord) => void
  /** Values that have left the queue and wait here. */
  readonly held: () => number
  readonly drop: () => void
}

/** The queue on the wire, declared anew in each life of its channel. @internal */
export interface Ground {
  readonly core: ChannelCore
  readonly queue: string
  /** Runs something once everything is declared, and once more where it turns out to be gone. */
  readonly there: <A, E, R>(use: Effect.Effect<A, E | CallError, R>) => Effect.Effect<A, E | CallError, R>
}

/** @internal */
export const onGround = (
  core: ChannelCore,
  definition: Definition,
  options: Pick<Options<never>, "queue" | "exchange">
): Ground => {
  const { exchange = "", queue, routingKey = queue } = definition
  const channel = confirm(core)
  let declaredIn = -1
  const declare = Effect.suspend(() => {
    const { life } = core.settling
    return Effect.zipRight(
      exchange === "" ? Effect.void : channel.exchangeDeclare({ ...options.exchange, exchange }),
      channel.queueDeclare({ ...options.queue, queue })
    ).pipe(
      Effect.zipRight(exchange === "" ? Effect.void : channel.queueBind({ queue, exchange, routingKey })),
      Effect.andThen(Effect.sync(() => {
        declaredIn = life
      }))
    )
  })
  // Transient ones went with their socket; and where something is missing (404), the broker has closed the channel.
  const ready = Effect.suspend(() => declaredIn === core.settling.life ? Effect.void : declare)
  return {
    core,
    queue,
    there: (use) => {
      const once = Effect.zipRight(ready, use)
      return Effect.catchAll(once, (fault) => isMissing(fault) ? once : Effect.fail(fault))
    }
  }
}

const isMissing = (fault: unknown): boolean =>
  typeof fault === "object" && fault !== null && "_tag" in fault && typeof fault._tag === "string" &&
  isNotFound({ ...fault, _tag: fault._tag })

/** What getting asks for, declarations included. */
const asking = new Set(["basic.get", "basic.consume", "queue.declare", "exchange.declare", "queue.bind"])

/** The socket or the channel went while it was asked, over nothing that was asked: what it gave, if anything, comes again. */
const isBystander = (fault: ConsumeFault): boolean => {
  switch (fault._tag) {
    case "ConnectionLost":
      return true
    case "ConnectionClosed":
      return fault.reason === "Peer"
    case "ChannelError":
      return fault.code !== 0 && fault.reason !== "ReopenedTooOften" && !asking.has(fault.method)
    default:
      return false
  }
}

const reasonOf = (end: Option.Option<ConsumeFault> | CallError): ConsumeFault =>
  Option.isOption(end)
    // Only a consumer whose policy is "end" is done without a reason.
    ? Option.getOrElse(end, () => new ConsumerCancelled({ reason: "Other", consumerTag: "", queue: "" }))
    : end

/** basic.get, with the delivery held. Acknowledged, also for a buffer: an answer that nobody awaits any more goes back. */
const getting = ({ core, queue, there }: Ground, hold: Hold) =>
  Effect.map(there(core.get(queue, false, hold)), ({ delivery }) => Option.fromNullable(delivery))

/** Takes a message out of the queue when it is asked for one, and none before. It is the taker's to settle. @internal */
export const onDemand = (ground: Ground): Source<never> => {
  const { core, queue, there } = ground
  const now = (hold: Hold) => getting(ground, hold)
  // A consumer that lives for one message: the prefetch keeps the broker from sending another.
  const one = (hold: Hold) =>
    Effect.scoped(Effect.flatMap(consuming(core, { queue, prefetch: 1 }), (take) =>
      Effect.map(take, ([delivery]) => {
        if (delivery !== undefined) hold(delivery)
        return delivery
      }))).pipe(
        Effect.mapError(reasonOf),
        Effect.catchTag("ConsumerOverflow", Effect.die), // its prefetch bounds it
        Effect.flatMap((delivery) =>
          delivery === undefined ? Effect.dieMessage("an empty batch") : Effect.succeed(delivery)
        )
      )
  const once = (hold: Hold) =>
    Effect.flatMap(now(hold), Option.match({ onSome: Effect.succeed, onNone: () => there(one(hold)) }))
  const next = (hold: Hold): ReturnType<typeof once> => Effect.catchIf(once(hold), isBystander, () => next(hold))
  return { now, next, putBack: (delivery) => core.settling.giveBack(delivery), held: () => 0, drop: () => {} }
}

/** Has one consumer from the first `get` on: what comes waits here, by the rules of those that do not acknowledge. @internal */
export class Feed implements Source<ConsumerOverflow>, Sink {
  readonly backlog: Backlog
  private deliveries: Array<DeliveryRecord> = []
  private waiters: Array<(fault?: ConsumeFault) => void> = []
  /** Why it ended while nobody waited: for the next who asks, after what is held. Perhaps something was lost. */
  private end: ConsumeFault | undefined
  private feeding = false
  private readonly ground: Ground
  private readonly scope: Scope.Scope

  constructor(ground: Ground, scope: Scope.Scope) {
    this.ground = ground
    this.scope = scope
    this.backlog = new Backlog(ground.core.onTaken)
  }

  readonly held = (): number => this.deliveries.length

  readonly drop = (): void => {
    for (const delivery of this.deliveries.splice(0)) this.backlog.started(delivery)
  }

  readonly putBack = (delivery: DeliveryRecord): void => {
    // Not one that the consumer was sent.
    if (!delivery.noAck) return this.ground.core.settling.giveBack(delivery)
    this.deliveries.unshift(delivery)
    this.backlog.added(delivery)
    this.wake()
  }

  now(hold: Hold): Effect.Effect<Option.Option<DeliveryRecord>, ConsumeFault> {
    return Effect.suspend(() => {
      const delivery = this.shift(hold)
      if (delivery !== undefined) return Effect.succeedSome(delivery)
      return this.untold() ?? getting(this.ground, hold)
    })
  }

  next(hold: Hold): Effect.Effect<DeliveryRecord, ConsumeFault> {
    return Effect.suspend(() => {
      const delivery = this.shift(hold)
      if (delivery !== undefined) return Effect.succeed(delivery)
      const fault = this.untold()
      if (fault !== undefined) return fault
      const wait = Effect.async<DeliveryRecord, ConsumeFault>((resume) => {
        // Others may have run since it was looked at, and would have had nobody to wake.
        if (this.deliveries.length > 0 || !this.feeding) return resume(this.next(hold))
        const waiter = (fault?: ConsumeFault) => resume(fault === undefined ? this.next(hold) : Effect.fail(fault))
        this.waiters.push(waiter)
        return Effect.sync(() => {
          this.waiters = this.waiters.filter((each) => each !== waiter)
        })
      })
      return this.feeding ? wait : Effect.zipRight(this.start, wait)
    })
  }

  private untold(): Effect.Effect<never, ConsumeFault> | undefined {
    const { end } = this
    this.end = undefined
    return end && Effect.fail(end)
  }

  // Interrupted with its scope, it still tells: also where it never came to run, in a scope that was closed before.
  private readonly start: Effect.Effect<void> = Effect.uninterruptible(Effect.suspend(() => {
    // Another may have begun, or come to its end, since it was looked at.
    if (this.feeding || this.end !== undefined) return Effect.void
    this.feeding = true
    const feed = Effect.onInterrupt(
      Effect.interruptible(this.feed),
      () => Effect.sync(() => this.finish(this.ground.core.closed))
    )
    return Effect.asVoid(Effect.forkIn(feed, this.scope))
  }))

  private get feed(): Effect.Effect<void> {
    const { core, queue, there } = this.ground
    const consume = Effect.scoped(Effect.flatMap(consuming(core, { queue, noAck: true }, this), Effect.forever))
    // Each life of the channel in which the queue turns out to be gone declares it anew; so does one whose consumer the
    // connection was told not to keep.
    const again: Effect.Effect<never, ConsumeFault> = Effect.catchAll(
      there(Effect.mapError(consume, reasonOf)),
      (fault) => isMissing(fault) || isBystander(fault) ? again : Effect.fail(fault)
    )
    return Effect.catchAll(again, (fault) => Effect.sync(() => this.finish(fault)))
  }

  private finish(fault: ConsumeFault): void {
    this.feeding = false
    if (this.waiters.length === 0) this.end = fault
    else this.wake(fault)
  }

  add(delivery: DeliveryRecord): void {
    this.deliveries.push(delivery)
    this.backlog.added(delivery)
    this.wake()
  }

  // All of them: one that was interrupted since would leave the others asleep.
  private wake(fault?: ConsumeFault): void {
    for (const waiter of this.waiters.splice(0)) waiter(fault)
  }

  private shift(hold: Hold): DeliveryRecord | undefined {
    const delivery = this.deliveries.shift()
    if (delivery === undefined) return undefined
    this.backlog.started(delivery)
    hold(delivery)
    return delivery
  }
}
