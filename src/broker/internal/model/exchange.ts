/**
 * Exchanges and how each type finds the bindings of a routing key. A binding's destination is a type of its own, so
 * that another kind of destination needs no other router.
 *
 * @since 0.1.0
 */
import type * as Model from "../../Model.ts"
import { sameValue } from "./arguments.ts"
import { Topics } from "./topics.ts"

/** @internal */
export interface Binding<D> {
  readonly exchange: Exchange<D>
  readonly destination: D
  readonly routingKey: string
  readonly arguments: Model.Arguments
}

/** One exchange type: which bindings a message with this routing key takes. Destinations may repeat. */
interface Router<D> {
  readonly add: (binding: Binding<D>) => void
  readonly remove: (binding: Binding<D>) => void
  /** To be read before the next change. */
  readonly match: (routingKey: string) => Iterable<Binding<D>>
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

const routers = { direct, fanout, topic }

/** @internal */
export const isExchangeType = (type: string): type is Model.ExchangeType => Object.hasOwn(routers, type)

/** @internal */
export class Exchange<D> implements Model.Exchange {
  readonly name: string
  readonly type: Model.ExchangeType
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly internal: boolean
  readonly arguments: Model.Arguments
  readonly #router: Router<D>
  readonly #bindings = new Map<D, Map<string, Array<Binding<D>>>>()
  bindingCount = 0

  constructor(name: string, type: Model.ExchangeType, options: Model.ExchangeOptions) {
    this.name = name
    this.type = type
    this.durable = options.durable ?? false
    this.autoDelete = options.autoDelete ?? false
    this.internal = options.internal ?? false
    this.arguments = options.arguments ?? {}
    this.#router = routers[type]<D>()
  }

  match(routingKey: string): Iterable<Binding<D>> {
    return this.#router.match(routingKey)
  }

  find(destination: D, routingKey: string, args: Model.Arguments): Binding<D> | undefined {
    return this.#bindings.get(destination)?.get(routingKey)?.find((binding) => sameValue(binding.arguments, args))
  }

  /** The new binding; none when the same one exists. */
  bind(destination: D, routingKey: string, args: Model.Arguments): Binding<D> | undefined {
    if (this.find(destination, routingKey, args) !== undefined) return undefined
    const binding: Binding<D> = { exchange: this, destination, routingKey, arguments: args }
    let byKey = this.#bindings.get(destination)
    if (byKey === undefined) this.#bindings.set(destination, byKey = new Map())
    const same = byKey.get(routingKey)
    if (same === undefined) byKey.set(routingKey, [binding])
    else same.push(binding)
    this.#router.add(binding)
    this.bindingCount++
    return binding
  }

  unbind(binding: Binding<D>): void {
    const byKey = this.#bindings.get(binding.destination)
    const same = byKey?.get(binding.routingKey)
    const index = same?.indexOf(binding) ?? -1
    if (byKey === undefined || same === undefined || index < 0) return
    same.splice(index, 1)
    if (same.length === 0) byKey.delete(binding.routingKey)
    if (byKey.size === 0) this.#bindings.delete(binding.destination)
    this.#router.remove(binding)
    this.bindingCount--
  }

  *bindings(): IterableIterator<Binding<D>> {
    for (const byKey of this.#bindings.values()) {
      for (const same of byKey.values()) yield* same
    }
  }
}
