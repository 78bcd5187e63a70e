/**
 * A connection as its user has it: a face on a life.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectError } from "../../AmqpError.ts"
import { Transport } from "../../Transport.ts"
import type { Connection, State, Supervision, TypeId as PublicTypeId } from "../Connection.ts"
import type { Endpoints } from "./endpoints.ts"
import { cloned, said, split } from "./overrides.ts"
import type { Renewed } from "./secrets.ts"
import type { Life } from "./supervised.ts"
import { supervised } from "./supervised.ts"

/** @internal */
export const TypeId: PublicTypeId = Symbol.for("effect-amqp/amqp091/Connection") as PublicTypeId

const isUp = (state: State): boolean => state._tag === "Open" || state._tag === "Blocked"

/** One context for all of its closures: many connections are idle, and each of them has this. */
const face = (life: Life): Connection => {
  const { core, state } = life
  return {
    [TypeId]: TypeId,
    state: Effect.sync(() => state.unsafeGet()),
    changes: Stream.suspend(() => state.changes),
    recoveries: Stream.suspend(() => core.recovery.reports),
    info: Effect.sync(() => life.info),
    isOpen: Effect.sync(() => isUp(state.unsafeGet())),
    isClosed: Effect.sync(() => state.unsafeGet()._tag === "Closed"),
    silence: Effect.sync(() => core.silence),
    ready: (options) => life.ready(Duration.decode(options?.timeout ?? core.operationTimeout)),
    pause: Effect.suspend(() => life.pause),
    resume: Effect.suspend(() => life.resume),
    reconnectNow: Effect.suspend(() => life.reconnectNow),
    switchEndpoint: (endpoint) => life.switchEndpoint(endpoint),
    clone: (overrides = {}) => {
      const { parameters, supervision: replaced } = split(overrides)
      const { endpoints, supervision, transport } = life.options
      const failover = parameters.failover === undefined ? supervision.failover : undefined
      return Effect.flatMap(
        cloned(endpoints, parameters),
        (all) => fromEndpoints(all, { ...supervision, failover, ...said(replaced) }, core.secrets.renewed)
      ).pipe(Effect.provideService(Transport, transport))
    },
    drainEvents: (options) =>
      core.drainEvents(options?.timeout === undefined ? undefined : Duration.decode(options.timeout)),
    updateSecret: (secret, reason) => core.secrets.update(secret, reason),
    closed: Effect.suspend(() => life.closed),
    close: (options) => life.close(options?.code ?? 200, options?.text ?? "Normal shutdown"),
    core
  }
}

/** @internal */
export const fromEndpoints = (
  endpoints: Endpoints,
  supervision: Supervision,
  secrets?: ReadonlyArray<Renewed>
): Effect.Effect<Connection, ConnectError, Transport | Scope.Scope> =>
  Effect.map(supervised(endpoints, supervision, secrets), face)
