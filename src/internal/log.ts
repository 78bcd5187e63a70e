/**
 * What the library logs, and by which annotations it is told from what the program logs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/** @internal */
export const warn = (module: string, text: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning(text), { package: "effect-amqp", module })
