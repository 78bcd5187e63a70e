/**
 * Rare events that synchronous code reports and Streams observe. Not a `PubSub`: a full one refuses what is offered from
 * outside an Effect, a sliding one too.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

interface Subscriber<A> {
  values: Array<A>
  wake: (() => void) | undefined
}

// Of a subscriber that lags by more than this the oldest events are dropped.
const largestLag = 64

/** @internal */
export class Events<A> {
  private ended = false
  private readonly subscribers = new Set<Subscriber<A>>()

  offer(value: A): void {
    if (this.ended) return
    for (const subscriber of this.subscribers) {
      if (subscriber.values.length === largestLag) subscriber.values.shift()
      subscriber.values.push(value)
      this.tell(subscriber)
    }
  }

  /** Ends every stream, after what was offered so far. */
  end(): void {
    if (this.ended) return
    this.ended = true
    for (const subscriber of this.subscribers) this.tell(subscriber)
  }

  /** `initial`, asked for when the stream starts, and everything offered from then on. */
  stream(initial: () => ReadonlyArray<A>): Stream.Stream<A> {
    return Stream.unwrapScoped(
      Effect.acquireRelease(
        Effect.sync((): Subscriber<A> => {
          const subscriber: Subscriber<A> = { values: Array.from(initial()), wake: undefined }
          this.subscribers.add(subscriber)
          return subscriber
        }),
        (subscriber) => Effect.sync(() => this.subscribers.delete(subscriber))
      ).pipe(Effect.map((subscriber) => Stream.repeatEffectChunkOption(this.take(subscriber))))
    )
  }

  private take(subscriber: Subscriber<A>): Effect.Effect<Chunk.Chunk<A>, Option.Option<never>> {
    return Effect.suspend(() => {
      const { values } = subscriber
      if (values.length > 0) {
        subscriber.values = []
        return Effect.succeed(Chunk.unsafeFromArray(values))
      }
      if (this.ended) return Effect.fail(Option.none())
      return Effect.async((resume) => {
        subscriber.wake = () => resume(this.take(subscriber))
      })
    })
  }

  private tell(subscriber: Subscriber<A>): void {
    const { wake } = subscriber
    subscriber.wake = undefined
    wake?.()
  }
}
