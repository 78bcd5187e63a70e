/**
 * How credentials are exchanged in AMQP 0-9-1: the response of `connection.start-ok`, and the one of each
 * `connection.secure`. Bytes only; the handshake itself is the engine's.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Credentials, Secret } from "../../Credentials.ts"

/**
 * Credentials that could not be produced: an Effect failed (`Credentials`: the next time it may not), or the server asked
 * for what the mechanism does not have (`Auth`).
 *
 * @internal
 */
export class AuthFault extends Data.TaggedError("AuthFault")<{
  readonly reason: "Auth" | "Credentials"
  readonly mechanism: string
  readonly text: string
  readonly cause?: unknown
}> {
  override get message() {
    return `${this.mechanism}: ${this.text}`
  }
}

/**
 * One run of a mechanism: good for one dial.
 *
 * @internal
 */
export interface Exchange {
  readonly mechanism: string
  readonly initial: Effect.Effect<Uint8Array, AuthFault>
  readonly challenge: (bytes: Uint8Array) => Effect.Effect<Uint8Array, AuthFault>
  /** The secret that was given last, where it expires. */
  readonly issued: () => Issued | undefined
}

/** A secret that expires. @internal */
export interface Issued {
  readonly secret: Redacted.Redacted
  /** When it was given, and for how long it is good, in milliseconds. */
  readonly at: number
  readonly life: number
  /** Asks for the one that comes after it, which may be one that does not expire. */
  readonly next: Effect.Effect<Issued | Redacted.Redacted, AuthFault>
}

const encoder = new TextEncoder()

/** The name under which the server offers what these credentials need. */
const mechanismOf = (credentials: Credentials): string => {
  switch (credentials._tag) {
    case "Plain":
    case "OAuth2":
      return "PLAIN"
    case "AmqPlain":
      return "AMQPLAIN"
    case "External":
      return "EXTERNAL"
    case "Anonymous":
      return "ANONYMOUS"
    case "RabbitCrDemo":
      return "RABBIT-CR-DEMO"
    case "Custom":
      return credentials.mechanism
  }
}

const usedBy = (credentials: ReadonlyArray<Credentials>, mechanism: string): Credentials | undefined =>
  credentials.find((each) => mechanismOf(each) === mechanism)

/** The name in a certificate or a token they do not know. */
const nameIn = (credentials: Credentials | undefined): string | undefined =>
  credentials !== undefined && credentials._tag !== "OAuth2" && "username" in credentials
    ? credentials.username
    : undefined

/** Who logged in by a mechanism, where the credentials say so. @internal */
export const userOf = (credentials: ReadonlyArray<Credentials>, mechanism: string): string | undefined =>
  nameIn(usedBy(credentials, mechanism))

/** Those that share a secret with what was used: of the same user, by whatever mechanism. @internal */
export const sharing = (credentials: ReadonlyArray<Credentials>, mechanism: string): ReadonlyArray<Credentials> => {
  const used = usedBy(credentials, mechanism)
  const user = nameIn(used)
  return credentials.filter((each) => each === used || (user !== undefined && nameIn(each) === user))
}

const ask = (
  mechanism: string,
  what: string,
  secret: Secret
): Effect.Effect<Redacted.Redacted | Issued, AuthFault> => {
  if (Redacted.isRedacted(secret)) return Effect.succeed(secret)
  const failed = (text: string, cause?: unknown) => new AuthFault({ reason: "Credentials", mechanism, text, cause })
  const next: Effect.Effect<Redacted.Redacted | Issued, AuthFault> = secret.pipe(
    Effect.mapError((cause) => failed(`the ${what} could not be had`, cause)),
    Effect.flatMap((given): Effect.Effect<Redacted.Redacted | Issued, AuthFault> => {
      if (Redacted.isRedacted(given)) return Effect.succeed(given)
      return Option.match(Duration.decodeUnknown(given.expiresIn), {
        onNone: () => failed(`the ${what} does not say how long it is good`),
        onSome: (life) =>
          Effect.map(
            Clock.currentTimeMillis,
            (at): Issued => ({ secret: given.secret, at, life: Duration.toMillis(life), next })
          )
      })
    })
  )
  return next
}

const custom = (
  mechanism: string,
  response: Effect.Effect<Uint8Array, unknown>
): Effect.Effect<Uint8Array, AuthFault> =>
  Effect.mapError(
    response,
    (cause) => new AuthFault({ reason: "Credentials", mechanism, text: "the mechanism gave no response", cause })
  )

const unexpected = (mechanism: string) => (): Effect.Effect<Uint8Array, AuthFault> =>
  new AuthFault({ reason: "Auth", mechanism, text: "the server challenges, which this mechanism does not answer" })

/** NUL separates the parts (RFC 4616), so that none may hold one. */
const plainResponse = (username: string, password: string): Effect.Effect<Uint8Array, AuthFault> =>
  username.includes("\0") || password.includes("\0") ?
    new AuthFault({ reason: "Auth", mechanism: "PLAIN", text: "user name and password may not hold a NUL character" }) :
    Effect.succeed(encoder.encode(`\0${username}\0${password}`))

/** A field table without its length, as RabbitMQ reads it: LOGIN and PASSWORD, long strings. */
const amqPlainResponse = (username: string, password: string): Uint8Array => {
  const fields = [["LOGIN", username], ["PASSWORD", password]] as const
  const parts = fields.map(([key, value]) => [encoder.encode(key), encoder.encode(value)] as const)
  const bytes = new Uint8Array(parts.reduce((size, [key, value]) => size + 6 + key.length + value.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [key, value] of parts) {
    bytes[at] = key.length
    bytes.set(key, at + 1)
    at += 1 + key.length
    bytes[at] = 0x53 // "S"
    view.setUint32(at + 1, value.length)
    bytes.set(value, at + 5)
    at += 5 + value.length
  }
  return bytes
}

const exchange = (credentials: Credentials): Exchange => {
  const mechanism = mechanismOf(credentials)
  let last: Issued | undefined
  const issued = () => last
  const tell = (what: string, secret: Secret): Effect.Effect<string, AuthFault> =>
    Effect.map(ask(mechanism, what, secret), (given) => {
      last = Redacted.isRedacted(given) ? undefined : given
      return Redacted.value(Redacted.isRedacted(given) ? given : given.secret)
    })
  switch (credentials._tag) {
    case "Plain":
      return {
        mechanism,
        issued,
        initial: Effect.flatMap(
          tell("password", credentials.password),
          (password) => plainResponse(credentials.username, password)
        ),
        challenge: unexpected(mechanism)
      }
    case "OAuth2":
      return {
        mechanism,
        issued,
        initial: Effect.flatMap(
          tell("token", credentials.token),
          (token) => plainResponse(credentials.username, token)
        ),
        challenge: unexpected(mechanism)
      }
    case "AmqPlain":
      return {
        mechanism,
        issued,
        initial: Effect.map(
          tell("password", credentials.password),
          (password) => amqPlainResponse(credentials.username, password)
        ),
        challenge: unexpected(mechanism)
      }
    case "External":
      return {
        mechanism,
        issued,
        initial: Effect.succeed(encoder.encode(credentials.identity ?? "")),
        challenge: unexpected(mechanism)
      }
    case "Anonymous":
      return {
        mechanism,
        issued,
        initial: Effect.succeed(encoder.encode(credentials.trace ?? "")),
        challenge: unexpected(mechanism)
      }
    case "RabbitCrDemo":
      return {
        mechanism,
        issued,
        initial: Effect.succeed(encoder.encode(credentials.username)),
        // The server's question is a text for people; RabbitMQ takes this answer to it and nothing else.
        challenge: () =>
          Effect.map(
            tell("password", credentials.password),
            (password) => encoder.encode(`My password is ${password}`)
          )
      }
    case "Custom":
      return {
        mechanism,
        issued,
        initial: custom(mechanism, credentials.start),
        challenge: (bytes) => custom(mechanism, Effect.suspend(() => credentials.challenge(bytes)))
      }
  }
}

/**
 * The first of the user's credentials whose mechanism the server offers; the server's own order does not count.
 *
 * @internal
 */
export const select = (
  credentials: ReadonlyArray<Credentials>,
  offered: ReadonlyArray<string>
): Option.Option<Exchange> => {
  const chosen = credentials.find((candidate) => offered.includes(mechanismOf(candidate)))
  return chosen === undefined ? Option.none() : Option.some(exchange(chosen))
}
