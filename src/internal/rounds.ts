/**
 * Which endpoints a round of dialling tries, and in which order: the strategies, a function of the user's, or a list that
 * is asked for before each round. Knows no protocol.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Random from "effect/Random"
import { ConnectError } from "../AmqpError.ts"
import type { Round, Strategy } from "../Reconnect.ts"

/** @internal */
export interface Rounds<Endpoint> {
  /** The endpoints of the next round: one at least. */
  readonly next: (round: Omit<Round<Endpoint>, "endpoints" | "last">) => Effect.Effect<List<Endpoint>, ConnectError>
  /** This one is dialled. */
  readonly tried: (endpoint: Endpoint) => void
  /** Those that are better than this one, the best first; with "priority" only. */
  readonly better: (endpoint: Endpoint) => ReadonlyArray<Endpoint>
  /** Those it knows of: as they were given, or as they were listed last. */
  readonly known: () => List<Endpoint>
}

type List<Endpoint> = readonly [Endpoint, ...Array<Endpoint>]

const none: ReadonlyArray<never> = []

const isNonEmpty = <A>(list: ReadonlyArray<A>): list is List<A> => list.length > 0

/** Nobody was named that could be dialled. */
const nobody = (text: string): ConnectError => ConnectError.at("failover", "Discovery", text)

/**
 * Rounds over a fixed list.
 *
 * @internal
 */
export const fixed = <Endpoint>(endpoints: List<Endpoint>, strategy: Strategy<Endpoint>): Rounds<Endpoint> => {
  let last: Endpoint | undefined
  const indexOf = (endpoint: Endpoint) => {
    // An endpoint may be given twice.
    const index = endpoints.indexOf(endpoint)
    return index < 0 ? endpoints.findIndex((each) => Equal.equals(each, endpoint)) : index
  }
  const order = (round: Omit<Round<Endpoint>, "endpoints" | "last">): Effect.Effect<Iterable<Endpoint>> => {
    if (typeof strategy === "function") return Effect.sync(() => strategy({ ...round, endpoints, last }))
    switch (strategy) {
      case "in-order":
      case "priority":
        return Effect.succeed(endpoints)
      case "round-robin": {
        const next = last === undefined ? 0 : indexOf(last) + 1
        return Effect.succeed([...endpoints.slice(next), ...endpoints.slice(0, next)])
      }
      case "shuffle":
        return Random.shuffle(endpoints)
      case "random":
        return Effect.forEach(endpoints, () =>
          // An index below the length.
          Effect.map(Random.nextIntBetween(0, endpoints.length), (index) => endpoints[index]!))
    }
  }
  return {
    next: (round) =>
      Effect.flatMap(order(round), (list) => {
        const all = Array.from(list)
        return isNonEmpty(all) ? Effect.succeed(all) : nobody("the failover function named no endpoint")
      }),
    tried: (endpoint) => {
      last = endpoint
    },
    better: (endpoint) => {
      if (strategy !== "priority") return none
      const index = indexOf(endpoint)
      return index < 0 ? endpoints : endpoints.slice(0, index)
    },
    known: () => endpoints
  }
}

/**
 * Rounds in the order of a list that is asked for before each: a list without entries, or none, is a round that failed.
 *
 * @internal
 */
export const discovered = <Endpoint>(
  list: Effect.Effect<ReadonlyArray<Endpoint>, ConnectError>,
  initial: List<Endpoint>
): Rounds<Endpoint> => {
  let known = initial
  return {
    next: () =>
      Effect.flatMap(list, (all) => {
        if (!isNonEmpty(all)) return nobody("no endpoint is listed")
        known = all
        return Effect.succeed(all)
      }),
    tried: () => {},
    better: () => none,
    known: () => known
  }
}
