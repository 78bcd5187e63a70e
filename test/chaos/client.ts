/** What is put under chaos: a client that publishes with confirms as fast as they come, and consumes with acknowledgements. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Ledger } from "./ledger.ts"

export interface Task {
  readonly url: string
  /** Declared already, durable. */
  readonly queue: string
  /** How many publishes are in flight at most. */
  readonly window: number
  readonly prefetch: number
  readonly ledger: Ledger
}

export interface Client {
  readonly name: string
  /** Works until the scope closes. */
  readonly start: (task: Task) => Effect.Effect<
    {
      /** Begins no further publish; ends when those that are in flight are answered for. */
      readonly stop: Effect.Effect<void>
    },
    unknown,
    Scope.Scope
  >
}
