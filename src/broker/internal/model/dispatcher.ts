/**
 * Decides when queues hand out entries: never inside another hand-out, so that a receiver which publishes, settles or
 * cancels finds a settled model and no stack grows; and a bounded number at a time, so that no queue starves the next.
 *
 * @since 0.1.0
 */
import { type Linked, Links } from "./links.ts"

/** @internal */
export interface Dispatchable<A> extends Linked<A> {
  /** Hands out at most so many entries; whether more could go. */
  deliver(most: number): boolean
}

const turn = 64

/** @internal */
export class Dispatcher<A extends Dispatchable<A>> {
  readonly #waiting = new Links<A>()
  #busy = false

  add(queue: A): void {
    if (!queue.linked) this.#waiting.push(queue)
  }

  remove(queue: A): void {
    if (queue.linked) this.#waiting.remove(queue)
  }

  /** Lets all waiting queues deliver, unless somebody up the stack is about to. */
  run(): void {
    if (this.#busy) return
    this.#busy = true
    try {
      let queue = this.#waiting.shift()
      while (queue !== undefined) {
        if (queue.deliver(turn)) this.add(queue)
        queue = this.#waiting.shift()
      }
    } finally {
      this.#busy = false
    }
  }

  /** Makes several changes before anything is handed out. */
  together(changes: () => void): void {
    if (this.#busy) return changes()
    this.#busy = true
    try {
      changes()
    } finally {
      this.#busy = false
    }
    this.run()
  }
}
