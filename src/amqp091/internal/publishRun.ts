/**
 * Publishing many values through one channel: as many in flight as its window allows, in order, and one wait for the
 * answers that are left. Nothing but plain code runs for a message that has room and is encoded at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ConfirmError, ContentError } from "../../AmqpError.ts"
import type { Message } from "../Message.ts"
import type { ChannelCore } from "./channel.ts"
import { immediate } from "./content.ts"
import type { PublishWaiter } from "./publishing.ts"
import { toOutgoing } from "./publishing.ts"

/** What failed, by its index in the order of `send`. @internal */
export type Failures = Array<{ readonly index: number; readonly error: ConfirmError }>

/** One of the run's messages: a place in the ledger, without a closure of its own. */
class Slot implements PublishWaiter {
  /** Waits for a place in the window. */
  resume: ((effect: Effect.Effect<void>) => void) | undefined
  private readonly run: PublishRun
  private readonly index: number

  constructor(run: PublishRun, index: number) {
    this.run = run
    this.index = index
  }

  placed(): void {
    const { resume } = this
    this.resume = undefined
    resume?.(Effect.void)
  }

  done(): void {
    this.run.answered()
    // A channel without confirms has no window to place it in: it is done when it is sent.
    this.placed()
  }

  failed(error: ConfirmError): void {
    this.run.failures.push({ index: this.index, error })
    this.run.answered()
    this.placed()
  }
}

/** One run: what it sent, and what became of it. @internal */
export class PublishRun {
  /** With "first" bounded by what was in flight when the first came, with "all" by what was sent. */
  readonly failures: Failures = []
  private readonly core: ChannelCore
  private readonly until: "first" | "all"
  private count = 0
  private unanswered = 0
  private waiter: (() => void) | undefined

  /** `until`: whether to go on after the first failure. */
  constructor(core: ChannelCore, until: "first" | "all") {
    this.core = core
    this.until = until
  }

  /** Sends messages; ends when the last of them has its place in the window. */
  send(messages: Iterable<Message>): Effect.Effect<void> {
    const iterator = messages[Symbol.iterator]()
    const step = (): Effect.Effect<void> => {
      while (!this.isOver) {
        const next = iterator.next()
        if (next.done === true) return Effect.void
        const waiting = this.place(next.value)
        if (waiting !== undefined) return Effect.flatMap(waiting, step)
      }
      return Effect.void
    }
    return Effect.suspend(step)
  }

  /** The same with values to be encoded; fails when one cannot be. */
  sendEncoded<A, R>(
    values: ReadonlyArray<A>,
    encode: (value: A) => Effect.Effect<Message, ContentError, R>,
    from = 0
  ): Effect.Effect<void, ContentError, R> {
    return Effect.suspend(() => {
      for (let at = from; at < values.length; at++) {
        if (this.isOver) return Effect.void
        // `at` is below the length.
        const encoding = encode(values[at]!)
        const encoded = immediate(encoding)
        if (encoded === undefined) {
          return Effect.zipRight(
            Effect.flatMap(encoding, (message) => this.place(message) ?? Effect.void),
            this.sendEncoded(values, encode, at + 1)
          )
        }
        if (Either.isLeft(encoded)) return Effect.fail(encoded.left)
        const waiting = this.place(encoded.right)
        if (waiting !== undefined) return Effect.zipRight(waiting, this.sendEncoded(values, encode, at + 1))
      }
      return Effect.void
    })
  }

  private get isOver(): boolean {
    return this.until === "first" && this.failures.length > 0
  }

  /** Sends a message when there is room, else returns the wait for its place. */
  private place(message: Message): Effect.Effect<void> | undefined {
    const slot = new Slot(this, this.count++)
    this.unanswered++
    const refusal = this.core.refusal("basic.publish", true)
    if (refusal !== undefined) {
      slot.failed(refusal)
      return undefined
    }
    const { publishing } = this.core
    const outgoing = toOutgoing(message)
    if (publishing.hasRoom) {
      publishing.submit(outgoing, slot)
      return undefined
    }
    return Effect.async<void>((resume) => {
      slot.resume = resume
      publishing.submit(outgoing, slot)
      return Effect.sync(() => publishing.withdraw(slot))
    })
  }

  answered(): void {
    this.unanswered--
    if (this.unanswered === 0) this.waiter?.()
  }

  /** Waits until the broker has answered for everything that was sent. */
  readonly answers: Effect.Effect<void> = Effect.async((resume) => {
    if (this.unanswered === 0) return resume(Effect.void)
    this.waiter = () => resume(Effect.void)
  })
}
