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

/** One run: what it sent, and what became of it. @internal */
export class PublishRun {
  /** Bounded: once there is one, nothing more is sent, so there are as many as were in flight at most. */
  readonly failures: Failures = []
  private readonly core: ChannelCore
  private count = 0
  private unanswered = 0
  private waiter: (() => void) | undefined

  constructor(core: ChannelCore) {
    this.core = core
  }

  /**
   * Sends as many as there are, up to the first failure; ends when the last of them has its place in the window. Fails
   * when a message cannot be encoded.
   */
  send<A, R>(
    values: ReadonlyArray<A>,
    encode: (value: A) => Effect.Effect<Message, ContentError, R>,
    from = 0
  ): Effect.Effect<void, ContentError, R> {
    return Effect.suspend(() => {
      for (let at = from; at < values.length; at++) {
        if (this.failures.length > 0) return Effect.void
        // `at` is below the length.
        const encoding = encode(values[at]!)
        const encoded = immediate(encoding)
        if (encoded === undefined) {
          return Effect.zipRight(
            Effect.flatMap(encoding, (message) => this.place(message) ?? Effect.void),
            this.send(values, encode, at + 1)
          )
        }
        if (Either.isLeft(encoded)) return Effect.fail(encoded.left)
        const waiting = this.place(encoded.right)
        if (waiting !== undefined) return Effect.zipRight(waiting, this.send(values, encode, at + 1))
      }
      return Effect.void
    })
  }

  /** Sends a message when there is room, else returns the wait for its place. */
  private place(message: Message): Effect.Effect<void> | undefined {
    const index = this.count++
    const refusal = this.core.refusal("basic.publish", true)
    if (refusal !== undefined) {
      this.failures.push({ index, error: refusal })
      return undefined
    }
    this.unanswered++
    const { publishing } = this.core
    const failed = (error: ConfirmError) => {
      this.failures.push({ index, error })
      this.answered()
    }
    const outgoing = toOutgoing(message)
    if (publishing.hasRoom) {
      publishing.submit(outgoing, { done: this.answered, failed })
      return undefined
    }
    return Effect.async<void>((resume) => {
      const placed = () => resume(Effect.void)
      const waiter: PublishWaiter = {
        placed,
        // A channel without confirms has no window to place it in: it is done when it is sent.
        done: () => {
          this.answered()
          placed()
        },
        failed: (error) => {
          failed(error)
          placed()
        }
      }
      publishing.submit(outgoing, waiter)
      return Effect.sync(() => publishing.withdraw(waiter))
    })
  }

  private readonly answered = (): void => {
    this.unanswered--
    if (this.unanswered === 0) this.waiter?.()
  }

  /** Waits until the broker has answered for everything that was sent. */
  readonly answers: Effect.Effect<void> = Effect.async((resume) => {
    if (this.unanswered === 0) return resume(Effect.void)
    this.waiter = () => resume(Effect.void)
  })
}
