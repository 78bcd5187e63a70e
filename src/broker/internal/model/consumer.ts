/**
 * A client's place at a queue.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import type { Unsettled } from "./entry.ts"
import type { Queue } from "./queue.ts"
import type { Ranked } from "./round.ts"

/** @internal */
export interface Holder<C> extends Unsettled<C> {
  readonly consumers: Set<Consumer<C>>
}

/** @internal */
export class Consumer<C> implements Model.Consumer, Ranked<Consumer<C>> {
  readonly queue: Queue<C>
  readonly holder: Holder<C>
  readonly options: Model.SubscribeOptions<C>
  readonly priority: number
  readonly #cancel: (consumer: Consumer<C>) => void
  /** It may be handed entries: its client knows of it. */
  started = false
  cancelled = false
  previous: Consumer<C> | undefined = undefined
  next: Consumer<C> | undefined = undefined
  linked = false

  constructor(
    queue: Queue<C>,
    holder: Holder<C>,
    options: Model.SubscribeOptions<C>,
    cancel: (consumer: Consumer<C>) => void
  ) {
    this.queue = queue
    this.holder = holder
    this.options = options
    this.priority = options.priority ?? 0
    this.#cancel = cancel
  }

  resume(): void {
    this.started = true
    if (!this.cancelled && !this.linked) this.queue.resume(this)
  }

  cancel(): void {
    if (!this.cancelled) this.#cancel(this)
  }
}
