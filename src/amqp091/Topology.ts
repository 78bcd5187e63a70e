/**
 * Topology: exchanges, queues and bindings as values. What a program wants declared (`layer`), what that would do to a
 * broker (`plan`), and what of the topology a connection brings back on a new socket (`RecoveryOptions`,
 * `RecoveryReport`). Single declarations are a channel's (`Channel.queueDeclare`).
 *
 * Calls fail with `CallError`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CallError } from "../AmqpError.ts"
import { whole } from "../internal/whole.ts"
import type { DurationText } from "../Reconnect.ts"
import type { ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions } from "./Channel.ts"
import { Connection } from "./Connection.ts"
import type { FieldTable } from "./FieldTable.ts"
import { declareAll, recordsOf } from "./internal/declaring.ts"
import { describe, planOf } from "./internal/planning.ts"

// --- What there is ---

/**
 * An exchange as it was declared.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exchange {
  readonly _tag: "Exchange"
  readonly exchange: string
  readonly type: string
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly internal: boolean
  readonly arguments: FieldTable
}

/**
 * A queue as it was declared, under its present name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue {
  readonly _tag: "Queue"
  readonly queue: string
  /** The broker chose the name, and chooses another one when the queue is declared again. */
  readonly serverNamed: boolean
  readonly durable: boolean
  readonly exclusive: boolean
  readonly autoDelete: boolean
  readonly arguments: FieldTable
}

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueBinding {
  readonly _tag: "QueueBinding"
  readonly queue: string
  readonly exchange: string
  readonly routingKey: string
  readonly arguments: FieldTable
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExchangeBinding {
  readonly _tag: "ExchangeBinding"
  readonly destination: string
  readonly source: string
  readonly routingKey: string
  readonly arguments: FieldTable
}

/**
 * What a topology is made of.
 *
 * @since 0.1.0
 * @category models
 */
export type Entity = Exchange | Queue | QueueBinding | ExchangeBinding

/**
 * @since 0.1.0
 * @category models
 */
export interface Consumer {
  readonly _tag: "Consumer"
  readonly consumerTag: string
  readonly queue: string
}

// --- What comes back ---

/**
 * What a connection brings back on a new socket, of what was declared through it. Default of each: all of it.
 *
 * Exchanges come first, then queues and bindings between exchanges, then bindings of queues, then channels with their
 * settings and consumers; only then is the state `Open`. What was deleted, unbound or cancelled through the connection
 * does not come back; neither does a queue that goes by itself (`autoDelete`, `x-expires`) once its last consumer here is
 * gone, nor an auto-delete exchange once its last binding is gone. Predefined exchanges and what was only asked for
 * (`passive`) were never declared. A declaration with `noWait` counts from when it was sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecoveryOptions {
  /**
   * "all". "transientOnly": exclusive and auto-delete queues, auto-delete exchanges, the bindings of both, and consumers.
   * "consumersOnly". "none": not even consumers, whose streams fail with the loss. What `layer` declared comes back
   * always. Default: "all".
   */
  readonly mode?: "all" | "transientOnly" | "consumersOnly" | "none" | undefined
  /**
   * Asked besides for each of them: of consumers when a socket is lost, of the rest on the next. Default: yes; so it is where
   * it throws.
   */
  readonly filter?: ((entity: Entity | Consumer) => boolean) | undefined
  /**
   * What becomes of the recovery when the broker refuses something. "skip": it goes on without it, and the report says
   * so. "abort": the socket is given up, with the fault as the cause of `ConnectionLost`, and `reconnect` decides when
   * the next one tries again. Default: "skip".
   */
  readonly onFailure?: "skip" | "abort" | undefined
  /**
   * The least time between two declarations of a recovery, for brokers that many clients come back to at once; what comes
   * after them waits. Default: none, they go as fast as they are answered, eight at a time.
   */
  readonly pace?: DurationText | undefined
}

/**
 * How a recovery of topology went.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecoveryReport {
  /** The socket it was for, as in `Connection.State`. */
  readonly epoch: number
  /** How many exchanges, queues and bindings are there again. */
  readonly restored: number
  /** Queues that the broker named: their `QueueRef`s, bindings and consumers follow. */
  readonly renamed: ReadonlyArray<{ readonly from: string; readonly to: string }>
  /** What was refused, or needs what was refused. Tried again on the next socket, unless the connection went over it. */
  readonly failures: ReadonlyArray<{ readonly entity: Entity; readonly error: CallError }>
}

// --- What is wanted ---

/**
 * @since 0.1.0
 * @category models
 */
export interface QueueDeclaration extends Omit<QueueDeclareOptions, "passive" | "noWait"> {
  /** Not "": a queue that is declared again and again needs a name. */
  readonly queue: string
}

/**
 * @since 0.1.0
 * @category models
 */
export type ExchangeDeclaration = Omit<ExchangeDeclareOptions, "passive" | "noWait">

/**
 * Of a queue to an exchange, or of an exchange (`destination`) to another (`source`).
 *
 * @since 0.1.0
 * @category models
 */
export type BindingDeclaration =
  | Omit<QueueBindOptions, "noWait">
  | Omit<ExchangeBindOptions, "noWait">

/**
 * What is wanted of a broker: the options of a channel's `exchangeDeclare`, `queueDeclare`, `queueBind` and
 * `exchangeBind`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Topology {
  readonly exchanges?: ReadonlyArray<ExchangeDeclaration> | undefined
  readonly queues?: ReadonlyArray<QueueDeclaration> | undefined
  readonly bindings?: ReadonlyArray<BindingDeclaration> | undefined
}

/**
 * Declares a topology now, and again on each new socket of the connection until the scope closes, whatever the
 * connection's `recovery` says. Nothing is deleted at the end.
 *
 * Fails with what the broker refuses first: `ChannelError` `PreconditionFailed` where something is there that differs;
 * `Refused` for a queue without a name.
 *
 * @since 0.1.0
 * @category constructors
 */
export const declare = (topology: Topology): Effect.Effect<void, CallError, Connection | Scope.Scope> =>
  whole(Effect.gen(function*() {
    const { core } = yield* Connection
    const records = yield* recordsOf(topology)
    // Kept before it is declared: a socket that goes meanwhile may take with it what was.
    yield* Effect.acquireRelease(
      Effect.sync(() => core.recovery.ledger.keep(records)),
      () => Effect.sync(() => core.recovery.ledger.release(records))
    )
    yield* declareAll(core, records, { insist: true, width: 1, pace: 0 })
  }))

/**
 * A topology as a Layer, which provides nothing: what needs it is built after it.
 *
 * @example
 * import { Arguments, Topology } from "effect-amqp/amqp091"
 *
 * const TopologyLive = Topology.layer({
 *   exchanges: [{ exchange: "orders", type: "topic" }],
 *   queues: [{ queue: "billing", arguments: Arguments.queue({ type: "quorum" }) }],
 *   bindings: [{ queue: "billing", exchange: "orders", routingKey: "order.#" }]
 * })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (topology: Topology): Layer.Layer<never, CallError, Connection> =>
  Layer.scopedDiscard(declare(topology))

// --- What that would do ---

/**
 * What declaring one entity would do. `Unknown`: a binding between things that are there, which nobody can ask for; it is
 * made, or is there already. `Conflict`: the declaration would be refused.
 *
 * @since 0.1.0
 * @category models
 */
export type Step =
  | { readonly _tag: "Create"; readonly entity: Entity }
  | { readonly _tag: "Same"; readonly entity: Entity }
  | { readonly _tag: "Unknown"; readonly entity: Entity }
  | {
    readonly _tag: "Conflict"
    readonly entity: Entity
    /** The field or argument that differs, or is missing; none where the broker does not say. */
    readonly argument: string | undefined
    /** Both as the broker prints them; none where it is absent. A queue may be exclusively `another connection's`. */
    readonly wanted: string | undefined
    readonly current: string | undefined
    /** The broker's own words, where it was asked. */
    readonly text: string
  }

/**
 * What declaring a topology would do, in its order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan {
  readonly steps: ReadonlyArray<Step>
  /** Whether all of it can be declared. */
  readonly isPossible: boolean
}

/**
 * Says what declaring a topology would do, and changes nothing: asked on channels of its own, which a "no" closes.
 *
 * Whether something is there is asked passively. AMQP compares arguments only in a declaration itself, so what is there
 * is then declared as wanted, which makes nothing and tells the first argument that differs: no more than one of each
 * entity. It also counts as a use for `x-expires`. Only what somebody deletes between the two questions would be made.
 *
 * Fails with `ChannelError` `AccessRefused` where something may not be looked at.
 *
 * @example
 * import { Topology } from "effect-amqp/amqp091"
 * import { Console, Effect } from "effect"
 *
 * const program = Topology.plan({ queues: [{ queue: "billing", durable: false }] }).pipe(
 *   Effect.tap((plan) => Console.log(Topology.show(plan)))
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const plan = (topology: Topology): Effect.Effect<Plan, CallError, Connection> =>
  Effect.flatMap(Connection, ({ core }) => Effect.flatMap(recordsOf(topology), (records) => planOf(core, records)))

const reason = (step: Step): string => {
  if (step._tag !== "Conflict") return ""
  const { argument, current, text, wanted } = step
  return argument === undefined ? `: ${text}` : `: ${argument} is ${current ?? "absent"}, wanted ${wanted ?? "absent"}`
}

/**
 * A plan as text, a line for each step: `conflict  queue "billing": durable is true, wanted false`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const show = (plan: Plan): string =>
  plan.steps.map((step) => `${step._tag.toLowerCase().padEnd(8)}  ${describe(step.entity)}${reason(step)}`).join("\n")
