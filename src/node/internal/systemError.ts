/**
 * Node's error codes in plain words, sorted by what a user does about them.
 */
import type { ConnectReason, ListenError } from "../../AmqpError.ts"

/** @internal */
export interface SystemError extends Error {
  readonly code?: string | undefined
  readonly syscall?: string | undefined
  readonly address?: string | undefined
  readonly port?: number | undefined
  readonly reason?: string | undefined
}

/** @internal */
export interface ConnectFault {
  readonly reason: ConnectReason
  readonly text: string
}

/** @internal */
export const endpointOf = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/** @internal */
export const toError = (cause: unknown): SystemError => cause instanceof Error ? cause : new Error(String(cause))

/** @internal */
export const connectFault = (error: SystemError): ConnectFault => {
  if (error instanceof AggregateError) {
    const faults = error.errors.map((each) => connectFault(toError(each)))
    return {
      reason: faults.find((fault) => fault.reason !== "Timeout")?.reason ?? "Timeout",
      text: faults.map((fault) => fault.text).join(", ")
    }
  }
  if (error.syscall === "getaddrinfo") return { reason: "Dns", text: dnsText(error) }
  const where = error.address === undefined ? "the peer" : endpointOf(error.address, error.port ?? 0)
  switch (error.code) {
    case "ECONNREFUSED":
      return { reason: "Refused", text: `${where} refused the connection` }
    case "EHOSTUNREACH":
      return { reason: "Refused", text: `${where} cannot be reached: no route to the host` }
    case "ENETUNREACH":
      return { reason: "Refused", text: `${where} cannot be reached: no route to its network` }
    case "ECONNRESET":
      return { reason: "Refused", text: `${where} reset the connection` }
    case "ETIMEDOUT":
      return { reason: "Timeout", text: `${where} did not answer` }
    default:
      return { reason: "Refused", text: error.message }
  }
}

/**
 * OpenSSL's messages bury the reason between addresses and paths of its source, and some reasons say little.
 *
 * @internal
 */
export const wordsOf = (error: SystemError): string => {
  switch (error.code) {
    case "ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED":
      return "it is encrypted, and there is no passphrase"
    case "ERR_OSSL_PEM_NO_START_LINE":
    case "ERR_OSSL_UNSUPPORTED":
      return "it is not in PEM"
    default:
      return error.reason ?? error.message
  }
}

const dnsText = (error: SystemError): string => {
  switch (error.code) {
    case "ENOTFOUND":
      return "no such host"
    case "EAI_AGAIN":
      return "the name server did not answer"
    default:
      return `the host's name could not be looked up: ${error.code ?? error.message}`
  }
}

const tlsText = (error: SystemError): string => {
  switch (error.code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `the certificate is of an unknown authority (${error.message})`
    case "CERT_HAS_EXPIRED":
      return "the certificate has expired"
    case "CERT_NOT_YET_VALID":
      return "the certificate is not valid yet"
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate is for another name (${wordsOf(error)})`
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return "the peer does not speak TLS"
    default:
      return `the TLS handshake failed: ${wordsOf(error)}`
  }
}

/** What a peer without a word leaves behind: one that restarts does so too, which is no matter of trust. @internal */
export const closedInTls: ConnectFault = {
  reason: "Refused",
  text: "the peer closed the connection during the TLS handshake"
}

/** @internal */
export const tlsFault = (error: SystemError): ConnectFault =>
  error.code === "ECONNRESET" || error.code === "EPIPE" ? closedInTls : { reason: "Tls", text: tlsText(error) }

/** @internal */
export const listenFault = (error: SystemError): Pick<ListenError, "reason" | "text"> => {
  switch (error.code) {
    case "EADDRINUSE":
      return { reason: "AddressInUse", text: "another program listens there" }
    case "EACCES":
      return { reason: "Denied", text: "not allowed to listen there" }
    default:
      return { reason: "Other", text: error.message }
  }
}
