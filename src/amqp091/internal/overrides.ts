/**
 * A connection's options taken apart, and put over those of another connection.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { ConnectError } from "../../AmqpError.ts"
import type { Options, Supervision } from "../Connection.ts"
import * as ConnectionOptions from "../ConnectionOptions.ts"
import type { Endpoints } from "./endpoints.ts"

/** Apart: how it is supervised, and the parameters, which a strategy by name belongs to. @internal */
export const split = (options: Options) => {
  const {
    beforeDial,
    connect,
    decode,
    failover,
    isFinal,
    lazy,
    publishTimeout,
    reconnect,
    recovery,
    requires,
    stableAfter,
    whenDisconnected,
    ...parameters
  } = options
  const isNamed = typeof failover === "string"
  const supervision: Supervision = {
    beforeDial,
    connect,
    decode,
    failover: isNamed ? undefined : failover,
    isFinal,
    lazy,
    publishTimeout,
    reconnect,
    recovery,
    requires,
    stableAfter,
    whenDisconnected
  }
  return { supervision, parameters: { ...parameters, failover: isNamed ? failover : undefined } }
}

/** @internal */
export const wrong = (fault: { readonly message: string }) => ConnectError.at("options", "Url", fault.message)

/** The endpoints with some parameters replaced; a host leaves the first alone. @internal */
export const cloned = (
  [first, ...others]: Endpoints,
  parameters: ConnectionOptions.ConnectionOptions.Input
): Either.Either<Endpoints, ConnectError> => {
  const clone = (each: ConnectionOptions.ConnectionOptions) => ConnectionOptions.cloneEither(each, parameters)
  return Either.all([clone(first), Either.all(parameters.host === undefined ? others.map(clone) : [])]).pipe(
    Either.mapBoth({ onLeft: wrong, onRight: ([first, others]): Endpoints => [first, ...others] })
  )
}

/** What is not `undefined`. @internal */
export const said = <A extends object>(options: A): Partial<A> => {
  const stated: Partial<A> = { ...options }
  for (const key of Object.keys(stated)) {
    const name = key as keyof A // an object's keys are its keys
    if (stated[name] === undefined) delete stated[name]
  }
  return stated
}
