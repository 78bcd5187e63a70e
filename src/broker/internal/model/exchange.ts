/**
 * Exchanges and how each type finds the bindings that take a message. They lead to other exchanges, or to destinations of
 * a type of its own, which no router looks into.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { sameArguments, textOf } from "./arguments.ts"
import { fits } from "./headers.ts"
import { Topics } from "./topics.ts"

/** @internal */
export interface Binding<D> {
  readonly exchange: Exchange<D>
  readonly destination: D | Exchange<D>
  readonly routingKey: string
  readonly arguments: Model.Arguments
}

/**
 * What bindings lead to.
 *
 * @internal
 */
export interface Destination<D> {
  readonly bindings: Set<Binding<D>>
  /** The routing pass that came here last: what keeps a message from coming twice, or going round for ever. */
  pass: number
}

/** One exchange type: which bindings a message with this routing key and headers takes. Destinations may repeat. */
interface Router<D> {
  readonly add: (binding: Binding<D>) => void
  readonly remove: (binding: Binding<D>) => void
  /** To be read before the next change. */
  readonly match: (routingKey: string, headers: Model.Arguments) => Iterable<Binding<D>>
}

const direct = <D>(): Router<D> => {
  const byKey = new Map<string, Set<Binding<D>>>()
  const none: ReadonlyArray<Binding<D>> = []
  return {
    add: (binding) => {
      const found = byKey.get(binding.routingKey)
      if (found === undefined) byKey.set(binding.routingKey, new Set([binding]))
      else found.add(binding)
    },
    remove: (binding) => {
      const found = byKey.get(binding.routingKey)
      if (found?.delete(binding) === true && found.size === 0) byKey.delete(binding.routingKey)
    },
    match: (routingKey) => byKey.get(routingKey) ?? none
  }
}

const fanout = <D>(): Router<D> => {
  const all = new Set<Binding<D>>()
  return {
    add: (binding) => void all.add(binding),
    remove: (binding) => void all.delete(binding),
    match: () => all
  }
}

const topic = <D>(): Router<D> => {
  const topics = new Topics<Binding<D>>()
  return {
    add: (binding) => topics.add(binding.routingKey, binding),
    remove: (binding) => topics.remove(binding.routingKey, binding),
    match: (routingKey) => topics.match(routingKey)
  }
}

const headers = <D>(): Router<D> => {
  const all = new Map<Binding<D>, (headers: Model.Arguments) => boolean>()
  return {
    add: (binding) => void all.set(binding, fits(binding.arguments)),
    remove: (binding) => void all.delete(binding),
    *match(_, found) {
      for (const [binding, fit] of all) if (fit(found)) yield binding
    }
  }
}

const routers = { direct, fanout, topic, headers }

/** @internal */
export const isExchangeType = (type: string): type is Model.ExchangeType => Object.hasOwn(routers, type)

/** @internal */
export class Exchange<D> implements Model.Exchange, Destination<D> {
  readonly name: string
  readonly type: Model.ExchangeType
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly internal: boolean
  readonly arguments: Model.Arguments
  /** The exchange that gets what no binding here takes. */
  readonly alternate: string | undefined
  readonly bindings = new Set<Binding<D>>()
  readonly #router: Router<D>
  readonly #outgoing = new Map<D | Exchange<D>, Map<string, Array<Binding<D>>>>()
  bindingCount = 0
  pass = 0

  constructor(name: string, type: Model.ExchangeType, options: Model.ExchangeOptions) {
    this.name = name
    this.type = type
    this.durable = options.durable ?? false
    this.autoDelete = options.autoDelete ?? false
    this.internal = options.internal ?? false
    this.arguments = options.arguments ?? {}
    this.alternate = textOf(this.arguments["alternate-exchange"])
    this.#router = routers[type]<D>()
  }

  match(routingKey: string, headers: Model.Arguments): Iterable<Binding<D>> {
    return this.#router.match(routingKey, headers)
  }

  find(destination: D | Exchange<D>, routingKey: string, args: Model.Arguments): Binding<D> | undefined {
    return this.#outgoing.get(destination)?.get(routingKey)?.find((binding) => sameArguments(binding.arguments, args))
  }

  /** The new binding; none when the same one exists. */
  bind(destination: D | Exchange<D>, routingKey: string, args: Model.Arguments): Binding<D> | undefined {
    if (this.find(destination, routingKey, args) !== undefined) return undefined
    const binding: Binding<D> = { exchange: this, destination, routingKey, arguments: args }
    let byKey = this.#outgoing.get(destination)
    if (byKey === undefined) this.#outgoing.set(destination, byKey = new Map())
    const same = byKey.get(routingKey)
    if (same === undefined) byKey.set(routingKey, [binding])
    else same.push(binding)
    this.#router.add(binding)
    this.bindingCount++
    return binding
  }

  unbind(binding: Binding<D>): void {
    const byKey = this.#outgoing.get(binding.destination)
    const same = byKey?.get(binding.routingKey)
    const index = same?.indexOf(binding) ?? -1
    if (byKey === undefined || same === undefined || index < 0) return
    same.splice(index, 1)
    if (same.length === 0) byKey.delete(binding.routingKey)
    if (byKey.size === 0) this.#outgoing.delete(binding.destination)
    this.#router.remove(binding)
    this.bindingCount--
  }

  *outgoing(): IterableIterator<Binding<D>> {
    for (const byKey of this.#outgoing.values()) {
      for (const same of byKey.values()) yield* same
    }
  }
}
