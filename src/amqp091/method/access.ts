/**
 * The methods of class access, which 0-9-1 has no more. RabbitMQ grants whatever they ask for, and so does this package's
 * broker: permissions are a user's there.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Bit, Short, ShortStr } from "./types.ts"

/**
 * Asks for a ticket, by which clients of 0-8 and 0-9 showed what they may do (RabbitMQ).
 *
 * @since 0.1.0
 * @category schemas
 */
export const AccessRequest = Schema.Struct({
  _tag: Schema.tag("AccessRequest"),
  realm: ShortStr,
  exclusive: Bit,
  passive: Bit,
  active: Bit,
  write: Bit,
  read: Bit
}).annotations({ identifier: "AccessRequest" })

/**
 * @since 0.1.0
 * @category models
 */
export interface AccessRequest extends Schema.Schema.Type<typeof AccessRequest> {}

/**
 * The ticket; RabbitMQ looks at none.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AccessRequestOk = Schema.Struct({
  _tag: Schema.tag("AccessRequestOk"),
  ticket: Short
}).annotations({ identifier: "AccessRequestOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface AccessRequestOk extends Schema.Schema.Type<typeof AccessRequestOk> {}
