/**
 * Declares what a ledger or a program wants, in the order in which one needs another, on channels of its own: what the
 * broker refuses closes nobody else's.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { CallError, ChannelError } from "../../AmqpError.ts"
import * as Reconnect from "../../Reconnect.ts"
import type * as Method from "../Method.ts"
import type { RecoveryReport, Topology } from "../Topology.ts"
import type { Reply } from "./calls.ts"
import type { ChannelCore } from "./channel.ts"
import type { ChannelHost } from "./channelHost.ts"
import type { ChannelSettings } from "./channelSettings.ts"
import { refused } from "./consuming.ts"
import * as declarations from "./declarations.ts"
import type { Record } from "./ledger.ts"
import { BindingRecord, ExchangeRecord, QueueRecord } from "./ledger.ts"
import { openOn } from "./openOn.ts"

const settings: ChannelSettings = {
  mode: "plain",
  prefetch: 0,
  window: undefined,
  atEnd: "fail",
  once: true,
  ofTopology: true
}

/** @internal */
export type Ask = (method: Method.Method) => Effect.Effect<Reply, CallError>

/** Calls on a channel that is opened when it is needed: anew after the broker has closed it over a call. @internal */
export const makeAsk = (host: ChannelHost): Effect.Effect<Ask, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let present: ChannelCore | undefined
    const open = Effect.tap(Scope.extend(openOn(host, settings), scope), (channel) => {
      present = channel
    })
    return (method) =>
      Effect.suspend(() => present === undefined ? open : Effect.succeed(present)).pipe(
        Effect.flatMap((channel) => channel.call(method, true)),
        Effect.tapErrorTag("ChannelError", ({ code }) =>
          Effect.sync(() => {
            if (code !== 0) present = undefined
          }))
      )
  })

// The broker may not have noticed yet that the last socket is gone, and keeps for it what was exclusive.
const patience = Schedule.intersect(
  Reconnect.exponential({ first: "50 millis", max: "1 second" }),
  Schedule.recurs(8)
)

const isHeld = (error: CallError): boolean => error._tag === "ChannelError" && error.reason === "ResourceLocked"

const undone = (record: Record, queue: string): Method.Method => {
  if (record instanceof QueueRecord) return { _tag: "QueueDelete", queue, ifUnused: true, ifEmpty: true, noWait: false }
  if (record instanceof ExchangeRecord) {
    return { _tag: "ExchangeDelete", exchange: record.name, ifUnused: true, noWait: false }
  }
  const { method } = record
  return method._tag === "QueueBind" ? { ...method, _tag: "QueueUnbind" } : { ...method, _tag: "ExchangeUnbind" }
}

/**
 * A queue that the broker named and that needs no connection may be there still, with its messages: another one is asked for
 * only where it is gone.
 */
const askFor = (ask: Ask, record: Record): Effect.Effect<Reply, CallError> => {
  const { method } = record
  if (!(record instanceof QueueRecord) || !record.isServerNamed || record.method.exclusive) return ask(method)
  return Effect.catchIf(
    ask({ ...record.method, queue: record.queue, passive: true }),
    (error) => error._tag === "ChannelError" && error.reason === "NotFound",
    () => ask(method)
  )
}

/** Declares one record, and hears by which name the broker calls it. */
const declareOne = (host: ChannelHost, ask: Ask, record: Record): Effect.Effect<Reply, CallError> =>
  Effect.suspend(() => {
    const { ledger } = host.recovery
    const { fatal, method } = record
    if (fatal !== undefined) return Effect.fail(fatal)
    if (method._tag === "ExchangeBind" && !host.capabilities.exchangeExchangeBindings) {
      return Effect.fail(refused("exchange.bind", "the broker does not bind exchanges to exchanges"))
    }
    ledger.declaring.add(record)
    return askFor(ask, record).pipe(
      method._tag === "QueueDeclare" && method.exclusive
        ? Effect.retry({ schedule: patience, while: isHeld })
        : (declared) => declared,
      Effect.tap(({ method }) => {
        if (ledger.has(record)) return Effect.void
        // It was given up meanwhile: what came too late must not bring it back.
        const queue = method._tag === "QueueDeclareOk" ? method.queue : ""
        return Effect.catchTag(ask(undone(record, queue)), "ChannelError", () => Effect.void)
      }),
      Effect.ensuring(Effect.sync(() => ledger.declaring.delete(record)))
    )
  })

// What comes earlier is needed by what comes later.
const phaseOf = (record: Record): number => {
  if (record instanceof ExchangeRecord) return 0
  return record instanceof QueueRecord || record.method._tag === "ExchangeBind" ? 1 : 2
}

/** @internal */
export type Outcome = Omit<RecoveryReport, "epoch">

/**
 * Declares everything, as many at a time as `width`, and one each `pace` milliseconds at most. What the broker refuses is
 * left out, and so is what needs it; or it ends with the first fault (`insist`).
 *
 * @internal
 */
export const declareAll = (
  host: ChannelHost,
  records: ReadonlyArray<Record>,
  { insist, pace, width }: { readonly insist: boolean; readonly pace: number; readonly width: number }
): Effect.Effect<Outcome, CallError> =>
  Effect.scoped(Effect.parallelFinalizers(Effect.gen(function*() {
    const faults = new Map<Record, CallError>()
    const missing = new Map<string, CallError>()
    const renamed: Array<{ readonly from: string; readonly to: string }> = []
    let restored = 0
    let turn = 0

    /** Those that declare side by side take their turns of one line. */
    const paced: Effect.Effect<void> = pace === 0 ? Effect.void : Effect.suspend(() => {
      const now = host.now()
      const mine = Math.max(now, turn)
      turn = mine + pace
      return mine > now ? Effect.sleep(mine - now) : Effect.void
    })

    const declared = (record: Record, { method }: Reply): void => {
      restored++
      if (!(record instanceof QueueRecord) || !record.isServerNamed || method._tag !== "QueueDeclareOk") return
      const { queue: from } = record
      const { queue: to } = method
      if (from === to) return
      renamed.push({ from, to })
      host.recovery.ledger.renamed(record, to)
      host.renamed(from, to)
    }
    const failed = (record: Record, fault: CallError): Effect.Effect<void, CallError> => {
      if (insist || fault._tag !== "ChannelError" && fault !== record.fatal) return Effect.fail(fault)
      faults.set(record, fault)
      missing.set(record.key, fault)
      return Effect.void
    }
    const one = (ask: Ask, record: Record): Effect.Effect<void, CallError> => {
      if (!host.recovery.ledger.has(record)) return Effect.void
      const needed = record instanceof BindingRecord
        ? missing.get(record.destination) ?? missing.get(`exchange ${record.source}`)
        : undefined
      if (needed !== undefined) return failed(record, needed)
      return Effect.matchEffect(Effect.zipRight(paced, declareOne(host, ask, record)), {
        onFailure: (fault) => failed(record, fault),
        onSuccess: (reply) => Effect.sync(() => declared(record, reply))
      })
    }

    const asks = yield* Effect.all(Array.from({ length: Math.min(width, records.length) }, () => makeAsk(host)))
    for (const phase of [0, 1, 2]) {
      const todo = records.filter((record) => phaseOf(record) === phase)
      let next = 0
      yield* Effect.forEach(asks, (ask) =>
        Effect.whileLoop({
          while: () => next < todo.length,
          body: () => one(ask, todo[next++]!), // `while` has just looked
          step: () => {}
        }), { concurrency: "unbounded", discard: true })
    }
    const failures = Array.from(records).flatMap((record) => {
      const error = faults.get(record)
      return error === undefined ? [] : [{ entity: record.entity, error }]
    })
    return { restored, renamed, failures }
  })))

/** What a program wants, as records of its own. @internal */
export const recordsOf = (topology: Topology): Effect.Effect<ReadonlyArray<Record>, ChannelError> =>
  Effect.suspend(() => {
    const { bindings = [], exchanges = [], queues = [] } = topology
    if (queues.some(({ queue }) => queue === "")) {
      return Effect.fail(refused("queue.declare", "a queue of a topology needs a name"))
    }
    return Effect.succeed([
      ...exchanges.map((exchange) => new ExchangeRecord(declarations.exchangeDeclare(exchange))),
      ...queues.map((queue) => new QueueRecord(declarations.queueDeclare(queue), queue.queue)),
      ...bindings.map((binding) =>
        "queue" in binding
          ? new BindingRecord(
            declarations.queueBind(binding),
            typeof binding.queue === "string" ? undefined : binding.queue
          )
          : new BindingRecord(declarations.exchangeBind(binding), undefined)
      )
    ])
  })
