/**
 * Runs a program in a world and on its network, to its end: what it logs is written down, and what it leaves behind, or
 * logs as an error, is a violation.
 */
import { Transport } from "effect-amqp"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import type { Ledger } from "./ledger.ts"
import type { World } from "./world.ts"
import { Violation } from "./world.ts"

export interface Performance {
  readonly world: World
  readonly ledger: Ledger
  readonly network: Transport.Memory
  /** What else is looked at afterwards. */
  readonly judge: () => void
}

export const perform = async (
  { judge, ledger, network, world }: Performance,
  program: Effect.Effect<unknown, unknown, Scope.Scope | Transport.Transport | Transport.TransportServer>
): Promise<void> => {
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) => {
      world.tell(`log ${logLevel.label} ${String(message)}`)
      if (LogLevel.greaterThanEqual(logLevel, LogLevel.Error)) ledger.violated(`logged: ${String(message)}`)
    })
  )
  // Faults by the thousand: where they were made costs more than all the rest, and the log says more.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    const exit = await world.run(
      program.pipe(
        Effect.scoped,
        Effect.provideService(Transport.Transport, network.transport),
        Effect.provideService(Transport.TransportServer, network.server),
        Effect.provide(logger)
      )
    )
    if (Exit.isFailure(exit)) ledger.violated(`the play failed: ${Cause.pretty(exit.cause)}`)
    judge()
    if (world.sleepers > 0) ledger.violated(`${world.sleepers} timers are left`)
    if (world.fibers > 0) ledger.violated(`${world.fibers} fibers are left`)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    ledger.violated(error.message)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
