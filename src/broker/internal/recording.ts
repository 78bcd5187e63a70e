/**
 * What clients published lately, for a test to look at.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Published } from "../Broker.ts"
import type { Publish } from "./face091/peer.ts"
import type { Faults } from "./faults.ts"

// Of bodies: a program that publishes large ones must not fill the memory with those that nobody looks at.
const mostBytes = 16 * 1024 * 1024

/** @internal */
export const record = (
  faults: Faults,
  last: number
): Effect.Effect<Effect.Effect<ReadonlyArray<Published>>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const all: Array<Published> = []
    let bytes = 0
    const add = (connection: string, { content, method, number }: Publish): void => {
      all.push({
        connection,
        channel: number,
        exchange: method.exchange,
        routingKey: method.routingKey,
        mandatory: method.mandatory,
        properties: content.properties.decoded,
        body: content.body
      })
      bytes += content.body.length
      while (all.length > last || bytes > mostBytes) bytes -= all.shift()?.body.length ?? bytes
    }
    yield* Effect.acquireRelease(Effect.sync(() => faults.observe(add)), (stop) => Effect.sync(stop))
    return Effect.sync(() => Array.from(all))
  })
