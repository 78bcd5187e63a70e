/**
 * Direct reply-to: pseudo-queues that lead straight to the channel that asked, across connections and virtual hosts, and
 * keep nothing.
 *
 * @since 0.1.0
 */
import type { Message } from "../../Model.ts"
import type { Content } from "./content.ts"
import { randomName } from "./names.ts"

/** What a client consumes from, and gives as its `reply-to`. @internal */
export const replyQueue = "amq.rabbitmq.reply-to"

const prefix = `${replyQueue}.`

/** @internal */
export const isReplyQueue = (name: string): boolean => name.startsWith(replyQueue)

/** Whether a routing key of the default exchange is somebody's address for replies. @internal */
export const isReplyAddress = (routingKey: string): boolean => routingKey.startsWith(prefix)

/** @internal */
export class ReplyTo {
  readonly #takers = new Map<string, (message: Message<Content>) => void>()

  /** An address of its own for somebody who waits for replies. */
  open(take: (message: Message<Content>) => void): string {
    const address = `${prefix}${randomName()}.${randomName()}`
    this.#takers.set(address, take)
    return address
  }

  close(address: string): void {
    this.#takers.delete(address)
  }

  /** Whether there is such a pseudo-queue. */
  has(name: string): boolean {
    return name === replyQueue || this.#takers.has(name)
  }

  /** Gone, when nobody waits for it. */
  deliver(message: Message<Content>): void {
    this.#takers.get(message.routingKey)?.(message)
  }
}
