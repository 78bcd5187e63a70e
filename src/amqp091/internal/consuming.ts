/**
 * Consuming as a program has it: a consumer asked for and, in the end, given up; one that the broker ended, asked for
 * again. What comes is taken in batches by a stream (`Channel.consume`), or goes to a sink (`Consumer.run`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CallError, ConsumerCancelled } from "../../AmqpError.ts"
import { ChannelError } from "../../AmqpError.ts"
import * as Reconnect from "../../Reconnect.ts"
import type { CancelPolicy, ConsumeOptions } from "../Channel.ts"
import type { ChannelCore } from "./channel.ts"
import type { ConsumeFault, ConsumerSettings, Sink, Take } from "./consumer.ts"
import { Consumer } from "./consumer.ts"
import { findQueue, isNotFound } from "./openOn.ts"

/** A request the broker would close the connection for. @internal */
export const refused = (method: string, text: string): ChannelError =>
  new ChannelError({ reason: "Refused", code: 0, text, method })

let consumerCount = 0

const settingsOf = (
  core: ChannelCore,
  { batch = Infinity, ...options }: ConsumeOptions
): ConsumerSettings | ChannelError => {
  const prefetch = options.prefetch ?? core.prefetch.ofConsumers
  if (!Number.isInteger(prefetch) || prefetch < 0 || prefetch > 0xffff) {
    return refused("basic.consume", `prefetch ${prefetch} is not a whole number from 0 to 65535`)
  }
  if (options.arguments?.["x-stream-offset"] !== undefined && (options.noAck === true || prefetch === 0)) {
    return refused(
      "basic.consume",
      "a consumer with x-stream-offset must acknowledge its deliveries and have a prefetch above 0"
    )
  }
  if (!(batch >= 1)) return refused("basic.consume", `batch ${batch} is less than 1`)
  // Found now: a queue that the broker named may have another name by the time that this consumer comes back.
  const queue = typeof options.queue === "string" ? core.host.recovery.ledger.ref(core, options.queue) : options.queue
  return {
    queue: () => queue.queue,
    // Not even for "" is the broker asked for a tag: deliveries may come before its answer.
    consumerTag: options.consumerTag || `effect-amqp-${++consumerCount}`,
    prefetch,
    batch,
    noAck: options.noAck === true,
    noLocal: options.noLocal === true,
    exclusive: options.exclusive === true,
    noWait: options.noWait === true,
    arguments: options.arguments ?? {}
  }
}

/** Consumes until the scope closes: closed with a failure, it also gives back what was taken and not settled. @internal */
export const consuming = (
  core: ChannelCore,
  options: ConsumeOptions,
  sink?: Sink
): Effect.Effect<Take, CallError, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = settingsOf(core, options)
    if (settings instanceof ChannelError) return yield* settings
    let consumer = new Consumer(settings, core.onTaken, sink)
    // First the finalizer: interrupted between the two, there would be a consumer that nobody cancels.
    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => core.consumers.unsubscribe(consumer, Exit.isFailure(exit)))
    )
    yield* core.consumers.subscribe(consumer)
    const { onCancel = "fail" } = options
    if (onCancel === "fail") return consumer.take
    const again = Effect.suspend(() => {
      consumer = new Consumer(settings, core.onTaken, sink)
      return core.consumers.subscribe(consumer)
    })
    return following(core, onCancel, () => consumer, again)
  })

// A queue that is gone when a new life of the channel begins (404) was deleted as much as one that is cancelled.
const isCancel = (fault: ConsumeFault): fault is ConsumerCancelled | ChannelError =>
  fault._tag === "ConsumerCancelled" || isNotFound(fault)

/**
 * What a consumer takes and, by the policy, those that follow it when the broker ends it. `again` makes the next consumer
 * the present one, and asks the broker for it.
 */
const following = (
  core: ChannelCore,
  onCancel: Exclude<CancelPolicy, "fail">,
  present: () => Consumer,
  again: Effect.Effect<void, CallError>
): Take => {
  const schedule = onCancel === "end" || onCancel === "reconsume" ? Reconnect.exponential() : onCancel
  const askAgain = (fault: ConsumerCancelled | ChannelError): Effect.Effect<void, CallError | ConsumerCancelled> => {
    // The fault itself is the first that the Schedule sees: no attempt comes before its first delay.
    let attempt: Effect.Effect<void, CallError | ConsumerCancelled> = Effect.fail(fault)
    return Effect.suspend(() => {
      const now = attempt
      // To consume from a queue that is not there would close the channel, and in the end for good.
      attempt = Effect.zipRight(findQueue(core.host, present().settings.queue()), again)
      return now
    }).pipe(Effect.retry({ schedule, while: (each) => isCancel(each) || each._tag === "NotReady" }))
  }
  const take: Take = Effect.suspend(() => present().take).pipe(
    Effect.catchAll((end) => {
      if (Option.isNone(end) || !isCancel(end.value)) return Effect.fail(end)
      if (onCancel === "end") return Effect.fail(Option.none())
      return Effect.zipRight(Effect.mapError(askAgain(end.value), Option.some), take)
    })
  )
  return take
}
