/**
 * Who we are to a broker: what is known, not how it is exchanged (each protocol's SASL does that). Secrets are Redacted,
 * or Effects that are asked for one at each dial; nothing here shows one.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { DurationText } from "./Reconnect.ts"

/**
 * Marks what this module made.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/Credentials")

/**
 * The type of that mark.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A secret that is good for some time only, as access tokens are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Expiring {
  readonly secret: Redacted.Redacted
  /** From when it was given on. */
  readonly expiresIn: DurationText
}

/**
 * A secret, or an Effect that is run for one before every dial; where it fails, that attempt failed and the next asks
 * again.
 *
 * Where the Effect also says when its secret expires, an open connection asks again after four fifths of that time, and
 * gives the broker the new one (connection.update-secret); where that fails it warns and tries again. Credentials whose
 * secret was replaced by `updateSecret` are asked no more; where the connection logs in with others, those are.
 *
 * @since 0.1.0
 * @category models
 */
export type Secret = Redacted.Redacted | Effect.Effect<Redacted.Redacted | Expiring, unknown>

/**
 * User name and password as one response: SASL PLAIN (RFC 4616).
 *
 * @since 0.1.0
 * @category models
 */
export class Plain extends Data.TaggedClass("Plain")<{ readonly username: string; readonly password: Secret }> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * User name and password as a field table: RabbitMQ's AMQPLAIN, of AMQP 0-9-1 only.
 *
 * @since 0.1.0
 * @category models
 */
export class AmqPlain extends Data.TaggedClass("AmqPlain")<{ readonly username: string; readonly password: Secret }> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * What the transport has already proved, as a rule by a client certificate: SASL EXTERNAL. `identity` asks to act as
 * someone else; RabbitMQ does not look at it.
 *
 * @since 0.1.0
 * @category models
 */
export class External extends Data.TaggedClass("External")<{ readonly identity: string | undefined }> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * Nobody: SASL ANONYMOUS (RFC 4505). `trace` is a text for the server's log.
 *
 * @since 0.1.0
 * @category models
 */
export class Anonymous extends Data.TaggedClass("Anonymous")<{ readonly trace: string | undefined }> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * An OAuth 2 access token, asked for at each dial. RabbitMQ's plugin takes it as the password of PLAIN and finds the
 * user in the token.
 *
 * @since 0.1.0
 * @category models
 */
export class OAuth2 extends Data.TaggedClass("OAuth2")<{ readonly username: string; readonly token: Secret }> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * RabbitMQ's RABBIT-CR-DEMO: the user name first, the password when challenged. As safe as PLAIN; it shows that
 * challenges work.
 *
 * @since 0.1.0
 * @category models
 */
export class RabbitCrDemo
  extends Data.TaggedClass("RabbitCrDemo")<{ readonly username: string; readonly password: Secret }>
{
  readonly [TypeId]: TypeId = TypeId
}

/**
 * A mechanism of one's own.
 *
 * @since 0.1.0
 * @category models
 */
export class Custom extends Data.TaggedClass("Custom")<{
  /** Its SASL name, as the server offers it. */
  readonly mechanism: string
  /** Run once per dial: the first response. */
  readonly start: Effect.Effect<Uint8Array, unknown>
  /** Run for each challenge of the server: the response to it. */
  readonly challenge: (challenge: Uint8Array) => Effect.Effect<Uint8Array, unknown>
}> {
  readonly [TypeId]: TypeId = TypeId
}

/**
 * Everything a broker may be told; which of it, its mechanisms decide.
 *
 * @since 0.1.0
 * @category models
 */
export type Credentials = Plain | AmqPlain | External | Anonymous | OAuth2 | RabbitCrDemo | Custom

/**
 * Whether a value was made here.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCredentials = (u: unknown): u is Credentials => Predicate.hasProperty(u, TypeId)

/**
 * Whether a value can be a {@link Secret}: Redacted, or an Effect.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSecret = (u: unknown): u is Secret => Redacted.isRedacted(u) || Effect.isEffect(u)

/**
 * User name and password; the password may be an Effect, asked at each dial.
 *
 * @example
 * import { Credentials } from "effect-amqp"
 * import * as Redacted from "effect/Redacted"
 *
 * const credentials = Credentials.plain("me", Redacted.make("s@fe"))
 *
 * @since 0.1.0
 * @category constructors
 */
export const plain = (username: string, password: Secret): Plain => new Plain({ username, password })

/**
 * As {@link plain}, in RabbitMQ's own wrapping.
 *
 * @since 0.1.0
 * @category constructors
 */
export const amqPlain = (username: string, password: Secret): AmqPlain => new AmqPlain({ username, password })

/**
 * The client certificate speaks for us.
 *
 * @since 0.1.0
 * @category constructors
 */
export const external = (identity?: string | undefined): External => new External({ identity })

/**
 * No identity at all.
 *
 * @since 0.1.0
 * @category constructors
 */
export const anonymous = (trace?: string | undefined): Anonymous => new Anonymous({ trace })

/**
 * An access token, asked for at each dial, and before it expires where it says when that is. The user name is for the
 * server's log only. Default: "".
 *
 * @example
 * import { Credentials } from "effect-amqp"
 * import * as Effect from "effect/Effect"
 * import * as Redacted from "effect/Redacted"
 *
 * declare const askProvider: Effect.Effect<{ readonly access_token: string; readonly expires_in: number }>
 *
 * const credentials = Credentials.oauth2(Effect.map(askProvider, ({ access_token, expires_in }) => ({
 *   secret: Redacted.make(access_token),
 *   expiresIn: `${expires_in} seconds`
 * })))
 *
 * @since 0.1.0
 * @category constructors
 */
export const oauth2 = (token: Secret, username: string = ""): OAuth2 => new OAuth2({ token, username })

/**
 * RabbitMQ's demonstration of challenge and response.
 *
 * @since 0.1.0
 * @category constructors
 */
export const rabbitCrDemo = (username: string, password: Secret): RabbitCrDemo =>
  new RabbitCrDemo({ username, password })

/**
 * A mechanism of one's own: the first response, and the response to each challenge.
 *
 * @since 0.1.0
 * @category constructors
 */
export const custom = (options: {
  readonly mechanism: string
  readonly start: Effect.Effect<Uint8Array, unknown>
  readonly challenge: (challenge: Uint8Array) => Effect.Effect<Uint8Array, unknown>
}): Custom => new Custom(options)

/**
 * RabbitMQ's default user, who may connect from the same machine only.
 *
 * @since 0.1.0
 * @category constructors
 */
export const guest: Plain = plain("guest", Redacted.make("guest"))

/**
 * The same credentials with another password or token; those that have none stay as they are.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withSecret = (credentials: Credentials, secret: Secret): Credentials => {
  switch (credentials._tag) {
    case "Plain":
      return plain(credentials.username, secret)
    case "AmqPlain":
      return amqPlain(credentials.username, secret)
    case "RabbitCrDemo":
      return rabbitCrDemo(credentials.username, secret)
    case "OAuth2":
      return oauth2(secret, credentials.username)
    case "External":
    case "Anonymous":
    case "Custom":
      return credentials
  }
}
