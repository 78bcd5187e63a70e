/**
 * What declaring something would do, found out by questions: a passive one, and for what is there the declaration itself.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CallError, ChannelError } from "../../AmqpError.ts"
import type { Entity, Plan, Step } from "../Topology.ts"
import type { ChannelHost } from "./channelHost.ts"
import * as declarations from "./declarations.ts"
import type { Ask } from "./declaring.ts"
import { makeAsk } from "./declaring.ts"
import type { ExchangeRecord, Record } from "./ledger.ts"
import { BindingRecord, QueueRecord } from "./ledger.ts"
import { isNotFound } from "./openOn.ts"

/** An entity, for a line of text. @internal */
export const describe = (entity: Entity): string => {
  switch (entity._tag) {
    case "Exchange":
      return `exchange "${entity.exchange}" (${entity.type})`
    case "Queue":
      return `queue "${entity.queue}"`
    case "QueueBinding":
      return `binding "${entity.exchange}" -> queue "${entity.queue}", routing key "${entity.routingKey}"`
    case "ExchangeBinding":
      return `binding "${entity.source}" -> exchange "${entity.destination}", routing key "${entity.routingKey}"`
  }
}

type Conflict = Omit<Extract<Step, { readonly _tag: "Conflict" }>, "_tag" | "entity">

/**
 * What the broker has against a declaration; none where it does not speak of the declaration. `current`: what it means for
 * exclusiveness that the queue is locked.
 */
const conflictOf = (
  record: QueueRecord | ExchangeRecord,
  fault: ChannelError,
  current: string
): Conflict | undefined => {
  const { details, reason, text } = fault
  if (details?._tag === "Inequivalent") {
    return { argument: details.argument, wanted: details.received, current: details.current, text }
  }
  if (reason === "ResourceLocked" && record instanceof QueueRecord) {
    return { argument: "exclusive", wanted: String(record.method.exclusive), current, text }
  }
  return reason === "PreconditionFailed"
    ? { argument: undefined, wanted: undefined, current: undefined, text }
    : undefined
}

/** The broker refuses to make what is called so (403): queues in any case, exchanges where they are not there. */
const isReserved = ({ name }: QueueRecord | ExchangeRecord): boolean => name.startsWith("amq.")

const planEntity = (ask: Ask, record: QueueRecord | ExchangeRecord): Effect.Effect<Step, CallError> => {
  const { entity, method } = record
  const reserved: Step = {
    _tag: "Conflict",
    entity,
    argument: undefined,
    wanted: undefined,
    current: undefined,
    text: "names with amq. are the broker's"
  }
  if (record instanceof QueueRecord && isReserved(record)) return Effect.succeed(reserved)
  const refusedAs = (current: string) => (fault: ChannelError): Effect.Effect<Step, CallError> => {
    if (isNotFound(fault)) return Effect.succeed(isReserved(record) ? reserved : { _tag: "Create", entity })
    const conflict = conflictOf(record, fault, current)
    return conflict === undefined ? Effect.fail(fault) : Effect.succeed({ _tag: "Conflict", entity, ...conflict })
  }
  const compared = Effect.map(ask(method), (): Step => ({ _tag: "Same", entity })).pipe(
    // Anybody may look at it, and yet it is not ours alone.
    Effect.catchTag("ChannelError", refusedAs("false"))
  )
  return Effect.matchEffect(ask({ ...method, passive: true }), {
    onSuccess: () => compared,
    onFailure: (fault) => fault._tag === "ChannelError" ? refusedAs("another connection's")(fault) : Effect.fail(fault)
  })
}

/** @internal */
export const planOf = (host: ChannelHost, records: ReadonlyArray<Record>): Effect.Effect<Plan, CallError> =>
  Effect.scoped(Effect.gen(function*() {
    const ask = yield* makeAsk(host)
    /** By key: what is there, and what will be. */
    const found = new Map<string, "there" | "created" | "missing">([["exchange ", "there"]])
    const steps: Array<Step> = []

    const look = (key: string): Effect.Effect<"there" | "created" | "missing", CallError> => {
      const known = found.get(key)
      if (known !== undefined) return Effect.succeed(known)
      const name = key.slice(key.indexOf(" ") + 1)
      const method = key.startsWith("queue ")
        ? declarations.queueDeclare({ queue: name, passive: true })
        : declarations.exchangeDeclare({ exchange: name, passive: true })
      return Effect.tap(
        Effect.matchEffect(ask(method), {
          onSuccess: () => Effect.succeed("there" as const),
          onFailure: (fault) => isNotFound(fault) ? Effect.succeed("missing" as const) : Effect.fail(fault)
        }),
        (is) => Effect.sync(() => found.set(key, is))
      )
    }

    const planBinding = (record: BindingRecord): Effect.Effect<Step, CallError> =>
      Effect.gen(function*() {
        const { destination, entity, source } = record
        const [from, to] = [yield* look(`exchange ${source}`), yield* look(destination)]
        const missing = from === "missing" ? source : to === "missing" ? destination : undefined
        if (missing === undefined) {
          return { _tag: from === "created" || to === "created" ? "Create" : "Unknown", entity }
        }
        const isQueue = entity._tag === "QueueBinding"
        const argument = from === "missing" ? isQueue ? "exchange" : "source" : isQueue ? "queue" : "destination"
        const wanted = from === "missing" ? source : destination.slice(destination.indexOf(" ") + 1)
        return {
          _tag: "Conflict",
          entity,
          argument,
          wanted,
          current: undefined,
          text: `there is no ${argument} "${wanted}"`
        }
      })

    for (const record of records) {
      if (record instanceof BindingRecord) {
        steps.push(yield* planBinding(record))
      } else {
        const step = yield* planEntity(ask, record)
        // Who binds to what nobody may make asks whether it is there.
        if (!isReserved(record)) found.set(record.key, step._tag === "Create" ? "created" : "there")
        steps.push(step)
      }
    }
    return { steps, isPossible: steps.every(({ _tag }) => _tag !== "Conflict") }
  }))
