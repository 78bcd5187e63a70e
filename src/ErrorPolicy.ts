/**
 * Which faults are final: what dialling again cannot heal. The supervisor's option `isFinal` takes one of these, or a
 * function of the user's.
 *
 * @since 0.1.0
 */
import type { ConnectReason, RecoverableError } from "./AmqpError.ts"

/**
 * Whether a fault ends the connection for good.
 *
 * @since 0.1.0
 * @category models
 */
export type IsFinal = (fault: RecoverableError) => boolean

const finalReasons: ReadonlySet<ConnectReason> = new Set(["Auth", "Vhost", "Tls", "Protocol"])

/**
 * The default: refused credentials, a missing virtual host, a certificate that is not trusted, and a peer that does not
 * speak AMQP 0-9-1; with several endpoints, when each of them failed for such a reason.
 *
 * @since 0.1.0
 * @category constructors
 */
export const isFinal: IsFinal = (fault) =>
  fault._tag === "ConnectError" && finalReasons.has(fault.reason) &&
  fault.attempts.every((attempt) => finalReasons.has(attempt.reason))

/**
 * Adds to a policy: once the connection has been open, a handshake that is not understood (`Protocol`, of each endpoint
 * tried) is final only the fourth time in a row. A broker that spoke AMQP before speaks it still: what came was garbled.
 * Stateful: one for each connection. The default policy of a connection is {@link isFinal} with this.
 *
 * `hasBeenOpen`: whether it has, where no loss tells (default: a fault other than a `ConnectError` does).
 *
 * @since 0.1.0
 * @category combinators
 */
export const forgiveGarbling = (policy: IsFinal, hasBeenOpen: () => boolean = () => false): IsFinal => {
  let wasOpen = false
  let inARow = 0
  return (fault) => {
    const isGarbled = fault._tag === "ConnectError" && fault.reason === "Protocol" &&
      fault.attempts.every(({ reason }) => reason === "Protocol")
    wasOpen ||= fault._tag !== "ConnectError" || hasBeenOpen()
    inARow = isGarbled ? inARow + 1 : 0
    return !(isGarbled && wasOpen && inARow < 4) && policy(fault)
  }
}

// 0-9-1 §1.7: internal-error. RabbitMQ 4.3 answers with it what will fail every time.
const internalError = 541

/**
 * Adds to a policy: an internal error (541) of the broker is final the fourth time in a row. Stateful: one for each
 * connection.
 *
 * @since 0.1.0
 * @category combinators
 */
export const capInternalErrors = (policy: IsFinal): IsFinal => {
  let inARow = 0
  return (fault) => {
    if (fault._tag === "ConnectionClosed" && fault.code === internalError) inARow++
    else if (fault._tag !== "ConnectError") inARow = 0
    return inARow >= 4 || policy(fault)
  }
}
