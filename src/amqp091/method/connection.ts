/**
 * The methods of class connection: handshake, limits, goodbye, and what RabbitMQ adds.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ReservedId } from "../../wire/Compiler.ts"
import { Long, LongStr, LongText, Octet, Short, ShortStr, Table } from "./types.ts"

/**
 * The server opens the handshake: its version, what it can do, and which SASL mechanisms and locales it offers (names
 * parted by spaces).
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionStart = Schema.Struct({
  _tag: Schema.tag("ConnectionStart"),
  versionMajor: Octet,
  versionMinor: Octet,
  serverProperties: Table,
  mechanisms: LongText,
  locales: LongText
}).annotations({ identifier: "ConnectionStart" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionStart extends Schema.Schema.Type<typeof ConnectionStart> {}

/**
 * The client picks a mechanism and sends its first answer. `response` is a secret.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionStartOk = Schema.Struct({
  _tag: Schema.tag("ConnectionStartOk"),
  clientProperties: Table,
  mechanism: ShortStr,
  response: LongStr,
  locale: ShortStr
}).annotations({ identifier: "ConnectionStartOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionStartOk extends Schema.Schema.Type<typeof ConnectionStartOk> {}

/**
 * The server asks on, in the language of the mechanism.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionSecure = Schema.Struct({
  _tag: Schema.tag("ConnectionSecure"),
  challenge: LongStr
}).annotations({ identifier: "ConnectionSecure" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionSecure extends Schema.Schema.Type<typeof ConnectionSecure> {}

/**
 * The client answers. `response` is a secret.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionSecureOk = Schema.Struct({
  _tag: Schema.tag("ConnectionSecureOk"),
  response: LongStr
}).annotations({ identifier: "ConnectionSecureOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionSecureOk extends Schema.Schema.Type<typeof ConnectionSecureOk> {}

/**
 * The server proposes limits; 0 means none. `heartbeat` is in seconds.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionTune = Schema.Struct({
  _tag: Schema.tag("ConnectionTune"),
  channelMax: Short,
  frameMax: Long,
  heartbeat: Short
}).annotations({ identifier: "ConnectionTune" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionTune extends Schema.Schema.Type<typeof ConnectionTune> {}

/**
 * The client settles the limits. `heartbeat` is in seconds, 0 turns heartbeats off.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionTuneOk = Schema.Struct({
  _tag: Schema.tag("ConnectionTuneOk"),
  channelMax: Short,
  frameMax: Long,
  heartbeat: Short
}).annotations({ identifier: "ConnectionTuneOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionTuneOk extends Schema.Schema.Type<typeof ConnectionTuneOk> {}

/**
 * The client enters a virtual host.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionOpen = Schema.Struct({
  _tag: Schema.tag("ConnectionOpen"),
  virtualHost: ShortStr
}).annotations({ identifier: "ConnectionOpen", [ReservedId]: { 1: "shortstr", 2: "bit" } })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionOpen extends Schema.Schema.Type<typeof ConnectionOpen> {}

/**
 * The virtual host is open.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionOpenOk = Schema.Struct({ _tag: Schema.tag("ConnectionOpenOk") }).annotations({
  identifier: "ConnectionOpenOk",
  [ReservedId]: { 0: "shortstr" }
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionOpenOk extends Schema.Schema.Type<typeof ConnectionOpenOk> {}

/**
 * Either side ends the connection. `classId` and `methodId` name the method that was at fault, 0 and 0 none.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionClose = Schema.Struct({
  _tag: Schema.tag("ConnectionClose"),
  replyCode: Short,
  replyText: ShortStr,
  classId: Short,
  methodId: Short
}).annotations({ identifier: "ConnectionClose" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionClose extends Schema.Schema.Type<typeof ConnectionClose> {}

/**
 * The other side has seen the end of the connection.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionCloseOk = Schema.Struct({ _tag: Schema.tag("ConnectionCloseOk") }).annotations({
  identifier: "ConnectionCloseOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionCloseOk extends Schema.Schema.Type<typeof ConnectionCloseOk> {}

/**
 * RabbitMQ stops reading what is published, because memory or disk is short; `reason` says which.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionBlocked = Schema.Struct({
  _tag: Schema.tag("ConnectionBlocked"),
  reason: ShortStr
}).annotations({ identifier: "ConnectionBlocked" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionBlocked extends Schema.Schema.Type<typeof ConnectionBlocked> {}

/**
 * RabbitMQ reads what is published again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionUnblocked = Schema.Struct({ _tag: Schema.tag("ConnectionUnblocked") }).annotations({
  identifier: "ConnectionUnblocked"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionUnblocked extends Schema.Schema.Type<typeof ConnectionUnblocked> {}

/**
 * The client renews its credentials (RabbitMQ). `newSecret` is a secret.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionUpdateSecret = Schema.Struct({
  _tag: Schema.tag("ConnectionUpdateSecret"),
  newSecret: LongStr,
  reason: ShortStr
}).annotations({ identifier: "ConnectionUpdateSecret" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionUpdateSecret extends Schema.Schema.Type<typeof ConnectionUpdateSecret> {}

/**
 * The new credentials hold.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ConnectionUpdateSecretOk = Schema.Struct({ _tag: Schema.tag("ConnectionUpdateSecretOk") }).annotations({
  identifier: "ConnectionUpdateSecretOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionUpdateSecretOk extends Schema.Schema.Type<typeof ConnectionUpdateSecretOk> {}
