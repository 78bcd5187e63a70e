/**
 * The addresses behind a name: each is an endpoint of its own, so that a name of three brokers fails over between them.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { ConnectError } from "../AmqpError.ts"
import type { Transport } from "../Transport.ts"
import type { Address } from "./supervisor.ts"

/** Where a name is looked up for, and for how long at most. @internal */
export interface Named {
  readonly endpoint: string
  readonly host: string
  readonly port: number
  readonly limit: Duration.Duration | null
}

type Found = readonly [Address, ...Array<Address>]

// A list that is discovered may name others each time.
const maxRemembered = 256

const asItIs: Found = [undefined]

/** From the one after `last`. */
const after = (addresses: ReadonlyArray<string>, last: string | undefined): ReadonlyArray<string> => {
  const next = last === undefined ? 0 : addresses.indexOf(last) + 1
  return [...addresses.slice(next), ...addresses.slice(0, next)]
}

/**
 * Asks the transport for the addresses of a name. `order`: as they come, in an order of chance, or on from the one that was
 * dialled last.
 *
 * @internal
 */
export class Addresses {
  private readonly transport: Context.Tag.Service<Transport>
  private readonly order: "as listed" | "shuffled" | "on from the last"
  private readonly last = new Map<string, string>()

  constructor(transport: Context.Tag.Service<Transport>, order: "as listed" | "shuffled" | "on from the last") {
    this.transport = transport
    this.order = order
  }

  of({ endpoint, host, limit, port }: Named): Effect.Effect<Found, ConnectError> {
    const { resolve } = this.transport
    if (resolve === undefined) return Effect.succeed(asItIs)
    const found = Effect.flatMap(resolve({ host, port }), (all) => {
      if (this.order === "shuffled") return Effect.map(Random.shuffle(all), (shuffled) => Array.from(shuffled))
      return Effect.succeed(this.order === "as listed" ? all : after(all, this.last.get(endpoint)))
    })
    const bounded = limit === null ? found : Effect.timeoutFail(found, {
      duration: limit,
      onTimeout: () =>
        ConnectError.at(endpoint, "Dns", `the name server did not answer within ${Duration.format(limit)}`)
    })
    return Effect.map(bounded, (all): Found => {
      const [first, ...others] = all
      return first === undefined ? asItIs : [first, ...others]
    })
  }

  /** This one is dialled. */
  tried(endpoint: string, address: Address): void {
    if (address === undefined) return
    if (this.last.size >= maxRemembered && !this.last.has(endpoint)) this.last.clear()
    this.last.set(endpoint, address)
  }
}
