/** What is put under chaos: a client that publishes with confirms as fast as they come, and consumes with acknowledgements. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Entries } from "./ledger.ts"

/** How much may be under way. */
export interface Bounds {
  /** How many publishes are in flight at most. */
  readonly window: number
  readonly prefetch: number
}

/** What a client is told, also in a process of its own. */
export interface Assignment extends Bounds {
  /** The same broker by several addresses: each is as good as the others. */
  readonly urls: ReadonlyArray<string>
  /** Declared already, durable. */
  readonly queue: string
  /** From which its ids count in a process of its own, where it has no ledger to ask. */
  readonly firstId: number
  /** Milliseconds before it dials again, as far as it can be told so; `undefined`: as it does by itself. */
  readonly reconnect: { readonly first: number; readonly max: number } | undefined
}

export interface Task extends Assignment {
  readonly ledger: Entries
  /** Hears what ended a connection or a dial, where the client tells. */
  readonly onFault?: ((fault: unknown) => void) | undefined
}

export interface Working {
  /** Begins no further publish; ends when those that are in flight are answered for. */
  readonly stop: Effect.Effect<void>
}

export interface Client {
  readonly name: string
  /** Works until the scope closes. */
  readonly start: (task: Task) => Effect.Effect<Working, unknown, Scope.Scope>
}
