/**
 * The methods of 0-9-1 and of RabbitMQ: a Schema and a type of one name each, their numbers, and the codec. Methods are
 * plain object literals with a `_tag`; fields that the protocol reserves are not part of them. Frames are not known here.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { ByteReader } from "../wire/ByteReader.ts"
import type { ByteWriter } from "../wire/ByteWriter.ts"
import * as Compiler from "../wire/Compiler.ts"
import * as Bytes from "../wire/FromBytes.ts"
import type { DecodeOptions } from "./FieldTable.ts"
import * as access from "./method/access.ts"
import * as basic from "./method/basic.ts"
import * as channel from "./method/channel.ts"
import * as confirm from "./method/confirm.ts"
import * as connection from "./method/connection.ts"
import * as exchange from "./method/exchange.ts"
import * as queue from "./method/queue.ts"
import * as tx from "./method/tx.ts"
import { dialect } from "./method/types.ts"

export * from "./method/access.ts"
export * from "./method/basic.ts"
export * from "./method/channel.ts"
export * from "./method/confirm.ts"
export * from "./method/connection.ts"
export * from "./method/exchange.ts"
export * from "./method/queue.ts"
export * from "./method/tx.ts"

/**
 * Any method.
 *
 * @since 0.1.0
 * @category models
 */
export type Method =
  | connection.ConnectionStart
  | connection.ConnectionStartOk
  | connection.ConnectionSecure
  | connection.ConnectionSecureOk
  | connection.ConnectionTune
  | connection.ConnectionTuneOk
  | connection.ConnectionOpen
  | connection.ConnectionOpenOk
  | connection.ConnectionClose
  | connection.ConnectionCloseOk
  | connection.ConnectionBlocked
  | connection.ConnectionUnblocked
  | connection.ConnectionUpdateSecret
  | connection.ConnectionUpdateSecretOk
  | channel.ChannelOpen
  | channel.ChannelOpenOk
  | channel.ChannelFlow
  | channel.ChannelFlowOk
  | channel.ChannelClose
  | channel.ChannelCloseOk
  | access.AccessRequest
  | access.AccessRequestOk
  | exchange.ExchangeDeclare
  | exchange.ExchangeDeclareOk
  | exchange.ExchangeDelete
  | exchange.ExchangeDeleteOk
  | exchange.ExchangeBind
  | exchange.ExchangeBindOk
  | exchange.ExchangeUnbind
  | exchange.ExchangeUnbindOk
  | queue.QueueDeclare
  | queue.QueueDeclareOk
  | queue.QueueBind
  | queue.QueueBindOk
  | queue.QueueUnbind
  | queue.QueueUnbindOk
  | queue.QueuePurge
  | queue.QueuePurgeOk
  | queue.QueueDelete
  | queue.QueueDeleteOk
  | basic.BasicQos
  | basic.BasicQosOk
  | basic.BasicConsume
  | basic.BasicConsumeOk
  | basic.BasicCancel
  | basic.BasicCancelOk
  | basic.BasicPublish
  | basic.BasicReturn
  | basic.BasicDeliver
  | basic.BasicGet
  | basic.BasicGetOk
  | basic.BasicGetEmpty
  | basic.BasicAck
  | basic.BasicReject
  | basic.BasicRecoverAsync
  | basic.BasicRecover
  | basic.BasicRecoverOk
  | basic.BasicNack
  | tx.TxSelect
  | tx.TxSelectOk
  | tx.TxCommit
  | tx.TxCommitOk
  | tx.TxRollback
  | tx.TxRollbackOk
  | confirm.ConfirmSelect
  | confirm.ConfirmSelectOk

/**
 * The `_tag` of any method.
 *
 * @since 0.1.0
 * @category models
 */
export type Tag = Method["_tag"]

/**
 * The method with this `_tag`.
 *
 * @since 0.1.0
 * @category models
 */
export type OfTag<T extends Tag> = Extract<Method, { readonly _tag: T }>

/**
 * What the specification says about one method.
 *
 * @since 0.1.0
 * @category models
 */
export interface Definition {
  readonly tag: Tag
  /** As brokers write it: `queue.declare-ok`. */
  readonly name: string
  readonly classId: number
  readonly methodId: number
  /** Who may be sent it. */
  readonly to: "client" | "server" | "both"
  /** Whether a message's header and body follow. */
  readonly content: boolean
  /** Whether it waits for a reply, or is one. */
  readonly synchronous: boolean
  /** The methods that answer it; without a request's `noWait` exactly one of them comes. */
  readonly replies: ReadonlyArray<Tag>
  readonly deprecated: boolean
  /** The Schema of this method alone; its type is the one of the same name. */
  readonly schema: Schema.Schema.AnyNoContext
  /** What the wire has of it, in order. */
  readonly plan: Compiler.Plan
  /** Its arguments, without its numbers. Only given methods of this tag. */
  readonly codec: Compiler.Codec<Method, DecodeOptions>
}

const define = <M extends Method>(
  schema: Schema.Schema<M>,
  name: string,
  classId: number,
  methodId: number,
  to: Definition["to"],
  is: Partial<Pick<Definition, "synchronous" | "content" | "deprecated" | "replies">> = {}
): Definition => {
  const plan = Compiler.plan(name, schema, dialect)
  return {
    // Every method's Schema has the tag of its type.
    tag: plan.tag as Tag,
    name,
    classId,
    methodId,
    to,
    content: is.content === true,
    synchronous: is.synchronous === true,
    replies: is.replies ?? [],
    deprecated: is.deprecated === true,
    schema,
    plan,
    codec: Compiler.compile<Method, DecodeOptions>(plan, dialect)
  }
}

/**
 * Every method, in the order of the specification.
 *
 * @since 0.1.0
 * @category references
 */
export const definitions: ReadonlyArray<Definition> = [
  define(connection.ConnectionStart, "connection.start", 10, 10, "client", {
    synchronous: true,
    replies: ["ConnectionStartOk"]
  }),
  define(connection.ConnectionStartOk, "connection.start-ok", 10, 11, "server", { synchronous: true }),
  define(connection.ConnectionSecure, "connection.secure", 10, 20, "client", {
    synchronous: true,
    replies: ["ConnectionSecureOk"]
  }),
  define(connection.ConnectionSecureOk, "connection.secure-ok", 10, 21, "server", { synchronous: true }),
  define(connection.ConnectionTune, "connection.tune", 10, 30, "client", {
    synchronous: true,
    replies: ["ConnectionTuneOk"]
  }),
  define(connection.ConnectionTuneOk, "connection.tune-ok", 10, 31, "server", { synchronous: true }),
  define(connection.ConnectionOpen, "connection.open", 10, 40, "server", {
    synchronous: true,
    replies: ["ConnectionOpenOk"]
  }),
  define(connection.ConnectionOpenOk, "connection.open-ok", 10, 41, "client", { synchronous: true }),
  define(connection.ConnectionClose, "connection.close", 10, 50, "both", {
    synchronous: true,
    replies: ["ConnectionCloseOk"]
  }),
  define(connection.ConnectionCloseOk, "connection.close-ok", 10, 51, "both", { synchronous: true }),
  define(connection.ConnectionBlocked, "connection.blocked", 10, 60, "client"),
  define(connection.ConnectionUnblocked, "connection.unblocked", 10, 61, "client"),
  define(connection.ConnectionUpdateSecret, "connection.update-secret", 10, 70, "server", {
    synchronous: true,
    replies: ["ConnectionUpdateSecretOk"]
  }),
  define(connection.ConnectionUpdateSecretOk, "connection.update-secret-ok", 10, 71, "client", { synchronous: true }),
  define(channel.ChannelOpen, "channel.open", 20, 10, "server", { synchronous: true, replies: ["ChannelOpenOk"] }),
  define(channel.ChannelOpenOk, "channel.open-ok", 20, 11, "client", { synchronous: true }),
  define(channel.ChannelFlow, "channel.flow", 20, 20, "both", { synchronous: true, replies: ["ChannelFlowOk"] }),
  define(channel.ChannelFlowOk, "channel.flow-ok", 20, 21, "both"),
  define(channel.ChannelClose, "channel.close", 20, 40, "both", { synchronous: true, replies: ["ChannelCloseOk"] }),
  define(channel.ChannelCloseOk, "channel.close-ok", 20, 41, "both", { synchronous: true }),
  define(access.AccessRequest, "access.request", 30, 10, "server", { synchronous: true, replies: ["AccessRequestOk"] }),
  define(access.AccessRequestOk, "access.request-ok", 30, 11, "client", { synchronous: true }),
  define(exchange.ExchangeDeclare, "exchange.declare", 40, 10, "server", {
    synchronous: true,
    replies: ["ExchangeDeclareOk"]
  }),
  define(exchange.ExchangeDeclareOk, "exchange.declare-ok", 40, 11, "client", { synchronous: true }),
  define(exchange.ExchangeDelete, "exchange.delete", 40, 20, "server", {
    synchronous: true,
    replies: ["ExchangeDeleteOk"]
  }),
  define(exchange.ExchangeDeleteOk, "exchange.delete-ok", 40, 21, "client", { synchronous: true }),
  define(exchange.ExchangeBind, "exchange.bind", 40, 30, "server", { synchronous: true, replies: ["ExchangeBindOk"] }),
  define(exchange.ExchangeBindOk, "exchange.bind-ok", 40, 31, "client", { synchronous: true }),
  define(exchange.ExchangeUnbind, "exchange.unbind", 40, 40, "server", {
    synchronous: true,
    replies: ["ExchangeUnbindOk"]
  }),
  define(exchange.ExchangeUnbindOk, "exchange.unbind-ok", 40, 51, "client", { synchronous: true }),
  define(queue.QueueDeclare, "queue.declare", 50, 10, "server", { synchronous: true, replies: ["QueueDeclareOk"] }),
  define(queue.QueueDeclareOk, "queue.declare-ok", 50, 11, "client", { synchronous: true }),
  define(queue.QueueBind, "queue.bind", 50, 20, "server", { synchronous: true, replies: ["QueueBindOk"] }),
  define(queue.QueueBindOk, "queue.bind-ok", 50, 21, "client", { synchronous: true }),
  define(queue.QueueUnbind, "queue.unbind", 50, 50, "server", { synchronous: true, replies: ["QueueUnbindOk"] }),
  define(queue.QueueUnbindOk, "queue.unbind-ok", 50, 51, "client", { synchronous: true }),
  define(queue.QueuePurge, "queue.purge", 50, 30, "server", { synchronous: true, replies: ["QueuePurgeOk"] }),
  define(queue.QueuePurgeOk, "queue.purge-ok", 50, 31, "client", { synchronous: true }),
  define(queue.QueueDelete, "queue.delete", 50, 40, "server", { synchronous: true, replies: ["QueueDeleteOk"] }),
  define(queue.QueueDeleteOk, "queue.delete-ok", 50, 41, "client", { synchronous: true }),
  define(basic.BasicQos, "basic.qos", 60, 10, "server", { synchronous: true, replies: ["BasicQosOk"] }),
  define(basic.BasicQosOk, "basic.qos-ok", 60, 11, "client", { synchronous: true }),
  define(basic.BasicConsume, "basic.consume", 60, 20, "server", { synchronous: true, replies: ["BasicConsumeOk"] }),
  define(basic.BasicConsumeOk, "basic.consume-ok", 60, 21, "client", { synchronous: true }),
  define(basic.BasicCancel, "basic.cancel", 60, 30, "both", { synchronous: true, replies: ["BasicCancelOk"] }),
  define(basic.BasicCancelOk, "basic.cancel-ok", 60, 31, "both", { synchronous: true }),
  define(basic.BasicPublish, "basic.publish", 60, 40, "server", { content: true }),
  define(basic.BasicReturn, "basic.return", 60, 50, "client", { content: true }),
  define(basic.BasicDeliver, "basic.deliver", 60, 60, "client", { content: true }),
  define(basic.BasicGet, "basic.get", 60, 70, "server", {
    synchronous: true,
    replies: ["BasicGetOk", "BasicGetEmpty"]
  }),
  define(basic.BasicGetOk, "basic.get-ok", 60, 71, "client", { synchronous: true, content: true }),
  define(basic.BasicGetEmpty, "basic.get-empty", 60, 72, "client", { synchronous: true }),
  define(basic.BasicAck, "basic.ack", 60, 80, "both"),
  define(basic.BasicReject, "basic.reject", 60, 90, "server"),
  define(basic.BasicRecoverAsync, "basic.recover-async", 60, 100, "server", { deprecated: true }),
  define(basic.BasicRecover, "basic.recover", 60, 110, "server", { synchronous: true, replies: ["BasicRecoverOk"] }),
  define(basic.BasicRecoverOk, "basic.recover-ok", 60, 111, "client", { synchronous: true }),
  define(basic.BasicNack, "basic.nack", 60, 120, "both"),
  define(tx.TxSelect, "tx.select", 90, 10, "server", { synchronous: true, replies: ["TxSelectOk"] }),
  define(tx.TxSelectOk, "tx.select-ok", 90, 11, "client", { synchronous: true }),
  define(tx.TxCommit, "tx.commit", 90, 20, "server", { synchronous: true, replies: ["TxCommitOk"] }),
  define(tx.TxCommitOk, "tx.commit-ok", 90, 21, "client", { synchronous: true }),
  define(tx.TxRollback, "tx.rollback", 90, 30, "server", { synchronous: true, replies: ["TxRollbackOk"] }),
  define(tx.TxRollbackOk, "tx.rollback-ok", 90, 31, "client", { synchronous: true }),
  define(confirm.ConfirmSelect, "confirm.select", 85, 10, "server", {
    synchronous: true,
    replies: ["ConfirmSelectOk"]
  }),
  define(confirm.ConfirmSelectOk, "confirm.select-ok", 85, 11, "client", { synchronous: true })
]

const byTag = new Map(definitions.map((definition) => [definition.tag, definition]))
const byId = new Map(definitions.map((definition) => [definition.classId << 16 | definition.methodId, definition]))

/**
 * The definition of a method by its `_tag`.
 *
 * @since 0.1.0
 * @category references
 */
export const definition = (tag: Tag): Definition => byTag.get(tag)! // the map has every tag

/**
 * The name of a method as brokers write it: `queue.declare-ok`.
 *
 * @since 0.1.0
 * @category references
 */
export const name = (method: { readonly _tag: Tag }): string => definition(method._tag).name

/**
 * The name of a method by its numbers, as `channel.close` gives them; `undefined` where there is none such (0 and 0).
 *
 * @since 0.1.0
 * @category references
 */
export const nameOf = (classId: number, methodId: number): string | undefined =>
  byId.get(classId << 16 | methodId)?.name

/**
 * Appends a method: class, number, arguments. Throws `FrameError` (`Length`, `Range`, `Value`, `Depth`, `Entries`)
 * after which the caller sets the writer's `length` back.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (writer: ByteWriter, method: Method): void => {
  const found = byTag.get(method._tag)
  writer.depth = 0
  if (found === undefined) {
    writer.field = "method"
    return writer.fail("Value", "is no method of AMQP 0-9-1")
  }
  writer.short(found.classId)
  writer.short(found.methodId)
  found.codec.encode(writer, method)
}

const plainOptions: DecodeOptions = {}

/**
 * Reads a method to the reader's end. Throws `FrameError`: `UnknownMethod`, `Trailing` (octets after the last argument),
 * and what its fields can be at fault with.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (reader: ByteReader, options: DecodeOptions = plainOptions): Method => {
  reader.field = "method"
  const classId = reader.short()
  const methodId = reader.short()
  const found = byId.get(classId << 16 | methodId)
  if (found === undefined) reader.fail("UnknownMethod", `class ${classId} has no method ${methodId}`, reader.offset - 4)
  const method = found.codec.decode(reader, options)
  if (reader.offset !== reader.end) {
    reader.field = found.name
    reader.fail("Trailing", `${reader.remaining} octets after the last argument`)
  }
  return method
}

/**
 * Any method as a Schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Method: Schema.Schema<Method> = Schema.Union(...definitions.map((definition) => definition.schema))
  .annotations({
    identifier: "Method"
  })

/**
 * Any method as the payload of its frame.
 *
 * @since 0.1.0
 * @category schemas
 */
export const MethodFromBytes: Schema.Schema<Method, Uint8Array> = Bytes.make("MethodFromBytes", Method, {
  decode: (reader) => decode(reader),
  encode
})

/**
 * Each method as the payload of its frame, by its tag.
 *
 * @example
 * ```ts
 * import * as Schema from "effect/Schema"
 * import { Method } from "effect-amqp/amqp091"
 *
 * Schema.encodeSync(Method.FromBytes.ChannelFlow)({ _tag: "ChannelFlow", active: true }) // Uint8Array 0 20 0 20 1
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromBytes = Object.fromEntries(definitions.map((definition) => [
  definition.tag,
  Bytes.make(`${definition.tag}FromBytes`, definition.schema, {
    decode: (reader) => {
      const method = decode(reader)
      if (method._tag !== definition.tag) reader.fail("UnknownMethod", `is ${name(method)}`, reader.start)
      return method
    },
    encode
  })
  // The tags and their Schemas come from the same definitions.
])) as { readonly [T in Tag]: Schema.Schema<OfTag<T>, Uint8Array> }

/**
 * The reply codes of `close` and `basic.return`; 312 is RabbitMQ's.
 *
 * @since 0.1.0
 * @category references
 */
export const ReplyCode = {
  replySuccess: 200,
  contentTooLarge: 311,
  noRoute: 312,
  noConsumers: 313,
  connectionForced: 320,
  invalidPath: 402,
  accessRefused: 403,
  notFound: 404,
  resourceLocked: 405,
  preconditionFailed: 406,
  frameError: 501,
  syntaxError: 502,
  commandInvalid: 503,
  channelError: 504,
  unexpectedFrame: 505,
  resourceError: 506,
  notAllowed: 530,
  notImplemented: 540,
  internalError: 541
} as const

/**
 * Whether a reply code ends the connection, and not only the channel.
 *
 * @since 0.1.0
 * @category references
 */
export const isHardError = (code: number): boolean =>
  code === ReplyCode.connectionForced || code === ReplyCode.invalidPath || code >= ReplyCode.frameError
