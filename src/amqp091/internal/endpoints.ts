/**
 * Where a connection dials: what its options say of failover and of the hook before a dial, as rounds of endpoints and
 * as checked parameters. Everything of the user's that fails here is a `ConnectError` `Discovery`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { ConnectError } from "../../AmqpError.ts"
import * as Rounds from "../../internal/rounds.ts"
import type { BeforeDial, Failover } from "../Connection.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import { endpointEither } from "../ConnectionOptions.ts"

/** @internal */
export type Endpoints = readonly [ConnectionOptions, ...Array<ConnectionOptions>]

/** The endpoint as errors, states and logs name it. @internal */
export const endpointOf = ({ host, port }: ConnectionOptions): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`

/** Timeouts and strategies of the connection as a whole, in which the first endpoint's hold. */
const ofConnection = [
  "connectionAttempts",
  "retryDelay",
  "blockedTimeout",
  "failover",
  "operationTimeout",
  "closeTimeout",
  "channelTimeout"
] as const

/** What is doubtful about endpoints, each of them and all together. @internal */
export const doubts = (endpoints: Endpoints): ReadonlySet<string> => {
  const [first] = endpoints
  return new Set(endpoints.flatMap((each) => [
    ...each.warnings,
    ...ofConnection.filter((name) => !Equal.equals(each[name], first[name])).map((name) =>
      `${endpointOf(each)}: ${name} is the connection's, and the first endpoint has another`
    )
  ]))
}

// What the user's own Effect failed with may hold anything, secrets too: its tag alone is told.
const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? ` (${error._tag})`
    : ""

/** What the user's Effect says, within the bound that a whole dial has. */
const ask = <A>(
  where: string,
  what: string,
  effect: Effect.Effect<A, unknown>,
  limit: Duration.Duration | null
): Effect.Effect<A, ConnectError> => {
  const failed = (text: string) => ConnectError.at(where, "Discovery", `${what} ${text}`)
  const asked = Effect.mapError(effect, (error) => failed(`failed${tagOf(error)}`))
  return limit === null ? asked : Effect.timeoutFail(asked, {
    duration: limit,
    onTimeout: () => failed(`did not answer within ${Duration.format(limit)}`)
  })
}

/** An endpoint of the user's, over what the connection has. @internal */
export const readEndpoint = (
  base: ConnectionOptions,
  endpoint: ConnectionOptions.Endpoint,
  where: string
): Effect.Effect<ConnectionOptions, ConnectError> =>
  Either.mapLeft(endpointEither(base, endpoint), (fault) => ConnectError.at(where, "Url", fault.message))

/** @internal */
export const makeRounds = (
  endpoints: Endpoints,
  failover: Failover | undefined
): Rounds.Rounds<ConnectionOptions> => {
  const [first] = endpoints
  if (!Effect.isEffect(failover)) return Rounds.fixed(endpoints, failover ?? first.failover)
  const listed = ask("failover", "the list of endpoints", failover, first.stackTimeout)
  return Rounds.discovered(
    Effect.flatMap(listed, (all) => Effect.forEach(all, (each) => readEndpoint(first, each, "failover"))),
    endpoints
  )
}

/** What it is called in `info`. @internal */
export const failoverName = (
  endpoints: Endpoints,
  failover: Failover | undefined
): ConnectionOptions["failover"] | "function" | "discovery" => {
  if (Effect.isEffect(failover)) return "discovery"
  return typeof failover === "function" ? "function" : failover ?? endpoints[0].failover
}

/** The parameters of one dial, after the user's hook. @internal */
export const beforeDial = (
  hook: BeforeDial | undefined,
  dial: Parameters<BeforeDial>[0]
): Effect.Effect<ConnectionOptions, ConnectError> => {
  const { options } = dial
  if (hook === undefined) return Effect.succeed(options)
  const where = endpointOf(options)
  return Effect.flatMap(
    ask(where, "beforeDial", Effect.suspend(() => hook(dial)), options.stackTimeout),
    (changed) => changed === undefined ? Effect.succeed(options) : readEndpoint(options, changed, where)
  )
}
