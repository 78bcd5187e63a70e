/**
 * Publishing as the two modes of a channel offer it: without confirms, and with.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import type { CallError, ConfirmError } from "../../AmqpError.ts"
import { isCallError, PublishManyError } from "../../AmqpError.ts"
import type { Channel, ConfirmChannel, Transaction, TxChannel } from "../Channel.ts"
import type { Message } from "../Message.ts"
import type { ChannelCore } from "./channel.ts"
import { base } from "./channelOperations.ts"
import type { Outgoing, PublishWaiter } from "./publishing.ts"
import { toOutgoing } from "./publishing.ts"
import type { Failures } from "./publishRun.ts"
import { PublishRun } from "./publishRun.ts"

/** A publish whose waiter is told by a `resume`, and nothing else: the path of every message. */
class Single implements PublishWaiter {
  private readonly resume: (effect: Effect.Effect<void, ConfirmError>) => void

  constructor(resume: (effect: Effect.Effect<void, ConfirmError>) => void) {
    this.resume = resume
  }

  done(): void {
    this.resume(Effect.void)
  }

  failed(error: ConfirmError): void {
    this.resume(Effect.fail(error))
  }
}

const publishOne = (core: ChannelCore, message: Message): Effect.Effect<void, ConfirmError> =>
  sendOne(core, () => toOutgoing(message))

const sendOne = (core: ChannelCore, outgoing: () => Outgoing): Effect.Effect<void, ConfirmError> =>
  Effect.async<void, ConfirmError>((resume) => {
    const refusal = core.refusal("basic.publish", true)
    if (refusal !== undefined) return resume(Effect.fail(refusal))
    const { publishing } = core
    const waiter = new Single(resume)
    const { hasRoom } = publishing
    publishing.submit(outgoing(), waiter)
    // With room it has gone at once, and there is nothing left to cancel: a canceller would cost four times the rest.
    return hasRoom ? undefined : Effect.sync(() => publishing.withdraw(waiter))
  })

/** Without confirms a publish that has room is over when it returns; it can fail as a call does, and no other way. */
const publishUnconfirmed = (core: ChannelCore, message: Message): Effect.Effect<void, CallError> =>
  Effect.suspend(() => sendUnconfirmed(core, toOutgoing(message)))

/** The same for what is a message of the wire already; the caller suspends. @internal */
export const sendUnconfirmed = (core: ChannelCore, outgoing: Outgoing): Effect.Effect<void, CallError> => {
  const refusal = core.refusal("basic.publish", true)
  if (refusal !== undefined) return Effect.fail(refusal)
  const { publishing } = core
  if (!publishing.hasRoom) {
    return Effect.catchAll(
      sendOne(core, () => outgoing),
      (error) => isCallError(error) ? Effect.fail(error) : Effect.die(error)
    )
  }
  const sent = new Sent()
  publishing.submit(outgoing, sent)
  return sent.outcome
}

/** Hears the outcome of a publish while it is being submitted. */
class Sent implements PublishWaiter {
  outcome: Effect.Effect<void, CallError> = Effect.void

  done(): void {}

  failed(error: ConfirmError): void {
    this.outcome = isCallError(error) ? Effect.fail(error) : Effect.die(error)
  }
}

/** @internal */
export const plain = (core: ChannelCore): Channel => {
  const publish = (message: Message) => publishUnconfirmed(core, message)
  return {
    ...base(core),
    mode: "plain",
    publish,
    publishAll: (messages) =>
      Effect.suspend(() => {
        const run = new PublishRun(core, "first")
        return Effect.zipRight(
          run.send(messages),
          Effect.suspend(() => {
            const fault = run.failures[0]?.error
            if (fault === undefined) return Effect.void
            return isCallError(fault) ? Effect.fail(fault) : Effect.die(fault)
          })
        )
      })
  }
}

/** @internal */
export const tx = (core: ChannelCore, semaphore: Effect.Semaphore): TxChannel => {
  return {
    ...base(core),
    mode: "tx",
    transaction: (use) =>
      semaphore.withPermits(1)(Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const refusal = core.refusal("tx.select", true)
          if (refusal !== undefined) return Effect.fail(refusal)
          const { life } = core.settling
          // What a socket or a closed channel took with it was never committed, and must not be joined by what follows.
          const alive = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | CallError> =>
            Effect.suspend((): Effect.Effect<A, E | CallError> =>
              core.settling.life === life ? effect : Effect.fail(core.ended)
            )
          const publish = (message: Message) => alive(publishUnconfirmed(core, message))
          const transaction: Transaction = {
            publish,
            publishAll: (messages) => Effect.forEach(messages, publish, { discard: true })
          }
          const commit = alive(Effect.asVoid(core.call({ _tag: "TxCommit" }, false, true)))
          const rollback = alive(Effect.asVoid(core.call({ _tag: "TxRollback" }, false, true)))
          return Effect.matchCauseEffect(restore(use(transaction)), {
            onSuccess: (value) => Effect.as(commit, value),
            // The failure is the caller's own; a rollback that fails has nothing left to roll back.
            onFailure: (cause) => Effect.zipRight(Effect.ignore(rollback), Effect.failCause(cause))
          })
        })
      ))
  }
}

const outcome = (failures: Failures, omitted = 0): Effect.Effect<void, PublishManyError> =>
  failures.length === 0
    ? Effect.void
    : Effect.fail(
      new PublishManyError({
        failures: Arr.sortWith(failures, ({ index }) => index, Order.number),
        ...(omitted === 0 ? {} : { omitted })
      })
    )

// Nobody may ever drain: what is kept for it has a bound.
const keptFailures = 10_000

/** One of many publishes: first it waits for a place in the window, then for its answer, which `answered` hears. */
class Placing implements PublishWaiter {
  resume: ((effect: Effect.Effect<void, CallError>) => void) | undefined
  /** Why it never got a place. */
  refused: CallError | undefined
  private isPlaced = false
  private readonly answered: (error: ConfirmError | undefined) => void

  constructor(answered: (error: ConfirmError | undefined) => void) {
    this.answered = answered
  }

  placed(): void {
    this.isPlaced = true
    this.resume?.(Effect.void)
  }

  done(): void {
    this.answered(undefined)
  }

  failed(error: ConfirmError): void {
    if (this.isPlaced || !isCallError(error)) return this.answered(error)
    this.refused = error
    this.resume?.(Effect.fail(error))
  }
}

/** @internal */
export const confirm = (core: ChannelCore): ConfirmChannel => {
  const { publishing } = core
  let offered = 0
  let failures: Failures = []
  let omitted = 0

  /** Sends a message, and ends when it has its place in the window; fails when it never gets one. */
  const place = (message: Message, placing: Placing): Effect.Effect<void, CallError> =>
    Effect.suspend(() => {
      const refusal = core.refusal("basic.publish", true)
      if (refusal !== undefined) return Effect.fail(refusal)
      const outgoing = toOutgoing(message)
      if (publishing.hasRoom) {
        publishing.submit(outgoing, placing)
        return placing.refused === undefined ? Effect.void : Effect.fail(placing.refused)
      }
      return Effect.async<void, CallError>((resume) => {
        placing.resume = resume
        publishing.submit(outgoing, placing)
        return Effect.sync(() => publishing.withdraw(placing))
      })
    })

  const offer = (message: Message): Effect.Effect<void, CallError> =>
    Effect.suspend(() => {
      const index = offered++
      return place(
        message,
        new Placing((error) => {
          if (error === undefined) return
          if (failures.length < keptFailures) failures.push({ index, error })
          else omitted++
        })
      )
    })

  const publishAll = (messages: Iterable<Message>): Effect.Effect<void, PublishManyError> =>
    Effect.suspend(() => {
      const run = new PublishRun(core, "all")
      return Effect.zipRight(
        Effect.zipRight(run.send(messages), run.answers),
        Effect.suspend(() => outcome(run.failures))
      )
    })

  return {
    ...base(core),
    mode: "confirm",
    publish: (message) => publishOne(core, message),
    publishAll,
    offer,
    drain: Effect.zipRight(
      publishing.whenIdle,
      Effect.suspend(() => {
        const failed = outcome(failures, omitted)
        failures = []
        omitted = 0
        offered = 0
        return failed
      })
    ),
    unconfirmed: Effect.sync(() => publishing.unconfirmed)
  }
}
