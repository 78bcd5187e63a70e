/**
 * A value that synchronous code sets from a socket's callback and Effects observe. Not a `SubscriptionRef`, whose `set`
 * is an Effect, nor over a `PubSub`: a full one refuses what is offered from outside an Effect, a sliding one too.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** @internal */
export interface Cell<A> {
  readonly unsafeGet: () => A
  readonly unsafeSet: (value: A) => void
  /** The current value, then each later one. A subscriber that lags by more than 64 misses the oldest. */
  readonly changes: Stream.Stream<A>
  /** Ends `changes` for everyone, after what was set so far. */
  readonly unsafeEnd: () => void
}

interface Subscriber<A> {
  values: Array<A>
  wake: (() => void) | undefined
}

const largestLag = 64

/** @internal */
export const make = <A>(initial: A): Effect.Effect<Cell<A>> =>
  Effect.sync(() => {
    let current = initial
    let ended = false
    const subscribers = new Set<Subscriber<A>>()

    const take = (subscriber: Subscriber<A>): Effect.Effect<Chunk.Chunk<A>, Option.Option<never>> =>
      Effect.suspend(() => {
        const { values } = subscriber
        if (values.length > 0) {
          subscriber.values = []
          return Effect.succeed(Chunk.unsafeFromArray(values))
        }
        if (ended) return Effect.fail(Option.none())
        return Effect.async((resume) => {
          subscriber.wake = () => resume(take(subscriber))
        })
      })

    const tell = (subscriber: Subscriber<A>): void => {
      const { wake } = subscriber
      subscriber.wake = undefined
      wake?.()
    }

    return {
      unsafeGet: () => current,
      unsafeSet: (value) => {
        if (ended || Equal.equals(current, value)) return
        current = value
        for (const subscriber of subscribers) {
          if (subscriber.values.length === largestLag) subscriber.values.shift()
          subscriber.values.push(value)
          tell(subscriber)
        }
      },
      unsafeEnd: () => {
        if (ended) return
        ended = true
        for (const subscriber of subscribers) tell(subscriber)
      },
      changes: Stream.unwrapScoped(
        Effect.acquireRelease(
          Effect.sync((): Subscriber<A> => {
            const subscriber: Subscriber<A> = { values: [current], wake: undefined }
            subscribers.add(subscriber)
            return subscriber
          }),
          (subscriber) => Effect.sync(() => subscribers.delete(subscriber))
        ).pipe(Effect.map((subscriber) => Stream.repeatEffectChunkOption(take(subscriber))))
      )
    }
  })
