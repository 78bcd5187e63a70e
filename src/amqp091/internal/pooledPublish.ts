/**
 * A publish on a channel that many share, at the price of one on a channel of one's own: on the path of every message.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ConfirmError } from "../../AmqpError.ts"
import type { Member } from "../../internal/poolMember.ts"
import type { Message } from "../Message.ts"
import type { ChannelCore } from "./channel.ts"
import type { PublishWaiter } from "./publishing.ts"
import { toOutgoing } from "./publishing.ts"

/** What a publish asks of its pool. @internal */
export interface Sharing<A> {
  readonly takeShared: () => Member<A> | undefined
  readonly giveBack: (member: Member<A>) => void
}

/** Holds a share of a channel until the publish is answered for, whoever still wants to know. */
class Shared<A, E> implements PublishWaiter {
  private readonly pool: Sharing<A>
  private readonly member: Member<A>
  private readonly resume: (effect: Effect.Effect<void, ConfirmError | E>) => void
  private isPlaced = false
  private isOver = false

  constructor(
    pool: Sharing<A>,
    member: Member<A>,
    resume: (effect: Effect.Effect<void, ConfirmError | E>) => void
  ) {
    this.pool = pool
    this.member = member
    this.resume = resume
  }

  placed(): void {
    this.isPlaced = true
  }

  done(): void {
    this.over()
    this.resume(Effect.void)
  }

  failed(error: ConfirmError): void {
    this.over()
    this.resume(Effect.fail(error))
  }

  /** It is not wanted any more; unsent, it will never be answered for. */
  withdrawn(): void {
    if (!this.isPlaced) this.over()
  }

  private over(): void {
    if (this.isOver) return
    this.isOver = true
    this.pool.giveBack(this.member)
  }
}

/** Publishes on a channel that can be shared at once; where there is none, goes the way that waits for one. @internal */
export const publishShared = <A extends { readonly core: ChannelCore }, E>(
  pool: Sharing<A>,
  message: Message,
  waiting: Effect.Effect<void, ConfirmError | E>
): Effect.Effect<void, ConfirmError | E> =>
  // What is taken here is always given back: by the answer, which comes also when nobody hears it.
  Effect.async<void, ConfirmError | E>((resume) => {
    const member = pool.takeShared()
    if (member === undefined) return resume(waiting)
    const { core } = member.item
    const waiter = new Shared(pool, member, resume)
    const refusal = core.refusal("basic.publish", true)
    if (refusal !== undefined) return waiter.failed(refusal)
    const { publishing } = core
    const { hasRoom } = publishing
    publishing.submit(toOutgoing(message), waiter)
    return hasRoom ? undefined : Effect.sync(() => {
      publishing.withdraw(waiter)
      waiter.withdrawn()
    })
  })
