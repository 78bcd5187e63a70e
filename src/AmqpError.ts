/**
 * Every typed fault of the library, one `_tag` per thing a user decides on and the kinds of it in `reason`.
 * No fault carries a password or a URL: an endpoint is always `host:port`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/**
 * Why one attempt to reach one endpoint failed.
 *
 * `Auth`: the server refused who we are. `Credentials`: an Effect that was asked for a password, a token or a response
 * failed; the next attempt asks again. `Discovery`: nobody was named to be dialled, or an Effect that was asked where or
 * how to dial (`failover`, `beforeDial`) failed; the next round asks again. `Capability`: the server lacks something the
 * options insist on. `Url`: the endpoint asks for what the provided
 * Transport cannot do (a scheme it does not speak, a certificate file it cannot read).
 *
 * @since 0.1.0
 * @category models
 */
export type ConnectReason =
  | "Refused"
  | "Timeout"
  | "Dns"
  | "Tls"
  | "Auth"
  | "Credentials"
  | "Discovery"
  | "Vhost"
  | "Protocol"
  | "Capability"
  | "Url"

/**
 * One failed attempt at one endpoint: where, why, and the broker's or the system's own words.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectAttempt {
  readonly endpoint: string
  readonly reason: ConnectReason
  readonly text: string
  /** Which address of the endpoint's name this was, where the name has several. */
  readonly address?: string | undefined
}

/**
 * No endpoint could be reached, or none let us in. `reason` is that of the last attempt; `attempts` has all of them,
 * in order.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectError extends Data.TaggedError("ConnectError")<{
  readonly reason: ConnectReason
  readonly attempts: ReadonlyArray<ConnectAttempt>
}> {
  override get message() {
    const attempts = this.attempts.map(({ address, endpoint, reason, text }) =>
      `${endpoint}${address === undefined ? "" : ` at ${address}`}: ${text} (${reason})`
    )
    return `Could not connect: ${attempts.length === 0 ? this.reason : attempts.join("; ")}`
  }

  /** A fault of one attempt. */
  static at(endpoint: string, reason: ConnectReason, text: string): ConnectError {
    return new ConnectError({ reason, attempts: [{ endpoint, reason, text }] })
  }
}

/**
 * The socket of an open connection is gone without the protocol's goodbye, or was given up as dead.
 *
 * `Socket`: reset or ended by the peer. `Heartbeat`: silent for two intervals. `BlockedTimeout`: the broker kept the
 * connection blocked for longer than allowed. `FrameError`: the peer sent what AMQP forbids; `cause` is the
 * {@link FrameError}. `Left`: this client left it, with a goodbye, to pause, to dial anew or to go to another endpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly reason: "Socket" | "Heartbeat" | "BlockedTimeout" | "FrameError" | "Left"
  readonly endpoint: string
  readonly cause?: unknown
}> {
  override get message() {
    const cause = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `Lost the connection to ${this.endpoint} (${this.reason})${cause}`
  }
}

/**
 * The connection was closed with a goodbye: by the peer (`code` and `text` are its own, and `method` is the one that it was
 * closed over, where the peer names one), by this client, or for good by recovery, whose Schedule ended or which met a final
 * fault (then `cause` is that fault).
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionClosed extends Data.TaggedError("ConnectionClosed")<{
  readonly reason: "Peer" | "Client" | "Recovery"
  readonly endpoint: string
  readonly code: number
  readonly text: string
  readonly method?: string | undefined
  readonly cause?: unknown
}> {
  override get message() {
    const over = this.method === undefined ? "" : `, over ${this.method}`
    return `Connection to ${this.endpoint} closed by ${this.reason.toLowerCase()}: ${this.code} ${this.text}${over}`
  }
}

/**
 * The kinds of {@link ChannelError}.
 *
 * @since 0.1.0
 * @category models
 */
export type ChannelReason =
  | "NotFound"
  | "AccessRefused"
  | "PreconditionFailed"
  | "ResourceLocked"
  | "ContentTooLarge"
  | "NoRoute"
  | "NoFreeChannels"
  | "Refused"
  | "ReopenedTooOften"
  | "Closed"
  | "Other"

/**
 * What a broker's reply text says, as structure, where it is one that is known (RabbitMQ's). Values are as it prints them;
 * an absent argument is `undefined`.
 *
 * @since 0.1.0
 * @category models
 */
export type ChannelDetails =
  | {
    readonly _tag: "Inequivalent"
    readonly kind: "queue" | "exchange"
    readonly name: string
    readonly vhost: string
    readonly argument: string
    readonly received: string | undefined
    readonly current: string | undefined
  }
  | {
    readonly _tag: "Missing" | "InUse" | "NotEmpty"
    readonly kind: "queue" | "exchange"
    readonly name: string
    readonly vhost: string
  }
  | { readonly _tag: "Locked"; readonly name: string; readonly vhost: string }
  | { readonly _tag: "UnknownDeliveryTag"; readonly deliveryTag: number }
  /** A delivery was held for longer than the broker allows. */
  | { readonly _tag: "AckTimeout"; readonly milliseconds: number }
  | { readonly _tag: "MessageTooLarge"; readonly size: number; readonly limit: number }
  | { readonly _tag: "PermissionDenied"; readonly kind: string; readonly name: string; readonly user: string }

/**
 * The broker closed the channel, or refused to open one. `code` and `text` are the broker's own words, `method` is what
 * it objected to (`queue.declare`), `details` what the text says where it is a known one. The channel opens again by itself; the operation that failed is not repeated.
 *
 * With `code` 0 the fault is a local refusal: `Refused` (what the broker would close the connection for),
 * `NoFreeChannels`, `Closed` (this channel's scope has ended). `ReopenedTooOften`: the channel was opened again
 * five times within a minute without a success in between, and stays closed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChannelError extends Data.TaggedError("ChannelError")<{
  readonly reason: ChannelReason
  readonly code: number
  readonly text: string
  readonly method: string
  readonly details?: ChannelDetails | undefined
}> {
  override get message() {
    return `${this.method} failed: ${this.code === 0 ? "" : `${this.code} `}${this.text} (${this.reason})`
  }
}

/**
 * An operation took longer than its bound. For a publish that is already on the wire see {@link OutcomeUnknown}.
 *
 * @since 0.1.0
 * @category errors
 */
export class OperationTimeout extends Data.TaggedError("OperationTimeout")<{
  readonly operation: string
  readonly limit: Duration.Duration
}> {
  override get message() {
    return `${this.operation} took longer than its bound of ${String(this.limit)}`
  }
}

/**
 * The connection cannot take the operation now, and was asked not to wait (`whenDisconnected: "fail"`).
 *
 * @since 0.1.0
 * @category errors
 */
export class NotReady extends Data.TaggedError("NotReady")<{
  readonly operation: string
  readonly reason: "Disconnected" | "Blocked" | "Recovering"
}> {
  override get message() {
    return `${this.operation}: the connection is not ready (${this.reason})`
  }
}

/**
 * The broker refused responsibility for a message (`basic.nack`): it is not stored, and may be published again.
 *
 * @since 0.1.0
 * @category errors
 */
export class PublishNacked extends Data.TaggedError("PublishNacked")<{
  readonly exchange: string
  readonly routingKey: string
}> {
  override get message() {
    return `The broker refused the message to "${this.exchange}" with routing key "${this.routingKey}"`
  }
}

/**
 * A mandatory message reached no queue and came back; `code` and `text` are the broker's (312 NO_ROUTE).
 *
 * @since 0.1.0
 * @category errors
 */
export class PublishReturned extends Data.TaggedError("PublishReturned")<{
  readonly code: number
  readonly text: string
  readonly exchange: string
  readonly routingKey: string
}> {
  override get message() {
    return `Returned by the broker: ${this.code} ${this.text} ("${this.exchange}", routing key "${this.routingKey}")`
  }
}

/**
 * The message was sent, and whether the broker has it cannot be known: the connection or the channel went before the
 * confirm came (`Lost`; `cause` says how), or the confirm did not come in time (`Timeout`). Sending it again may
 * duplicate it.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutcomeUnknown extends Data.TaggedError("OutcomeUnknown")<{
  readonly reason: "Lost" | "Timeout"
  readonly exchange: string
  readonly routingKey: string
  readonly cause?: unknown
}> {
  override get message() {
    return `No confirm for the message to "${this.exchange}" with routing key "${this.routingKey}" (${this.reason})`
  }
}

/**
 * A remote call has no result. `Lost`: it was sent, and the connection or the channel went before its reply came (`cause` says
 * how); whether it was served is not known. `Failed`: the server's handler died, or failed in a way that has no codec.
 * `Refused`: the server could not read the request; `text` says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class RpcError extends Data.TaggedError("RpcError")<{
  readonly reason: "Lost" | "Failed" | "Refused"
  readonly exchange: string
  readonly routingKey: string
  readonly text: string
  readonly cause?: unknown
}> {
  override get message() {
    const text = this.text === "" ? "" : `: ${this.text}`
    return `No result of the call to "${this.exchange}" with routing key "${this.routingKey}" (${this.reason})${text}`
  }
}

/**
 * Some messages of a bulk publish failed; `index` counts from 0 in the order they were given. `omitted`: how many further
 * failures were counted and not kept, where a report would have grown without end.
 *
 * @since 0.1.0
 * @category errors
 */
export class PublishManyError extends Data.TaggedError("PublishManyError")<{
  readonly failures: ReadonlyArray<{ readonly index: number; readonly error: ConfirmError }>
  readonly omitted?: number | undefined
}> {
  override get message() {
    const first = this.failures[0]
    const length = this.failures.length + (this.omitted ?? 0)
    return `${length} ${length === 1 ? "message was" : "messages were"} not confirmed${
      first === undefined ? "" : `, first number ${first.index}: ${first.error.message}`
    }`
  }
}

/**
 * The broker ended a consumer.
 *
 * `AckTimeout`: it held a delivery for longer than the broker allows (RabbitMQ from 4.3 on; before, the channel is closed with
 * the details `AckTimeout`, and heals). The broker gives no reason: this one is told when the consumer held deliveries and
 * its queue is still there. `Other`: its queue was deleted, or the node that held it went away.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConsumerCancelled extends Data.TaggedError("ConsumerCancelled")<{
  readonly reason: "AckTimeout" | "Other"
  readonly consumerTag: string
  readonly queue: string
}> {
  override get message() {
    const why = this.reason === "AckTimeout" ? ", which held a delivery for too long (AckTimeout)" : ""
    return `The broker cancelled consumer "${this.consumerTag}" of queue "${this.queue}"${why}`
  }
}

/**
 * A consumer without acknowledgements was sent more than its buffer may ever hold, while reading could not pause.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConsumerOverflow extends Data.TaggedError("ConsumerOverflow")<{
  readonly consumerTag: string
  readonly bytes: number
}> {
  override get message() {
    return `Consumer "${this.consumerTag}" has ${this.bytes} bytes of unread deliveries and takes none`
  }
}

/**
 * A delivery could not be settled: it was settled before, belongs to a channel life that is over (the broker delivers it
 * again), or was delivered without acknowledgement.
 *
 * @since 0.1.0
 * @category errors
 */
export class SettleError extends Data.TaggedError("SettleError")<{
  readonly reason: "Stale" | "AlreadySettled" | "NoAck"
  readonly deliveryTag: number
}> {
  override get message() {
    return `Delivery ${this.deliveryTag} cannot be settled (${this.reason})`
  }
}

/**
 * Where a content does not fit its schema: the path to the value, and what the schema expects there. Neither the value nor
 * a key that the schema does not name is told: such a key is "*".
 *
 * @since 0.1.0
 * @category models
 */
export interface ContentIssue {
  readonly path: ReadonlyArray<string | number>
  readonly expected: string
}

/**
 * The kinds of {@link ContentError}.
 *
 * `ContentType`: the message says that it is something else. `ContentEncoding`: it is compressed in a way its reader does
 * not take, or not as it says, or in another character set. `Text`: not UTF-8. `Json`: not JSON, or a value that JSON cannot
 * express. `Schema`: `issues` says where. `Size`: larger than its publisher allows, or, decompressed, than its reader does.
 *
 * @since 0.1.0
 * @category models
 */
export type ContentReason = "ContentType" | "ContentEncoding" | "Text" | "Json" | "Schema" | "Size"

/**
 * A message's content is not what its reader expects, or a value could not be made into one. `contentType` is what the
 * reader or writer stands for, `text` what is wrong. The content itself is never in it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContentError extends Data.TaggedError("ContentError")<{
  readonly reason: ContentReason
  readonly operation: "encode" | "decode"
  readonly contentType: string
  readonly text: string
  readonly issues: ReadonlyArray<ContentIssue>
}> {
  override get message() {
    const issues = this.issues.map(({ expected, path }) =>
      `${path.length === 0 ? "" : `${path.join(".")}: `}expected ${expected}`
    )
    return `Cannot ${this.operation} ${this.contentType}: ${[this.text, ...issues].join("; ")} (${this.reason})`
  }
}

/**
 * The kinds of {@link PoolError}.
 *
 * `Exhausted`: everything is in use, and the borrower would not wait. `Timeout`: nothing came free in time.
 * `LimitExceeded`: more than the pool may hold was asked for, or fewer than are in use. `Released`: the lease has ended.
 * `Closed`: the pool is closed, or took the lease away.
 *
 * @since 0.1.0
 * @category models
 */
export type PoolReason = "Exhausted" | "Timeout" | "LimitExceeded" | "Released" | "Closed"

/**
 * A pool cannot give, or take back, what it is asked to.
 *
 * @since 0.1.0
 * @category errors
 */
export class PoolError extends Data.TaggedError("PoolError")<{
  readonly reason: PoolReason
  /** What it is a pool of. */
  readonly pool: string
  readonly text: string
}> {
  override get message() {
    return `Pool of ${this.pool}: ${this.text} (${this.reason})`
  }
}

/**
 * A port could not be listened on.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly reason: "AddressInUse" | "Denied" | "Other"
  readonly address: string
  readonly text: string
}> {
  override get message() {
    return `Cannot listen on ${this.address}: ${this.text} (${this.reason})`
  }
}

/**
 * The kinds of {@link FrameError}.
 *
 * Of bytes read: `Truncated` (a field ends beyond its frame), `Trailing` (bytes left over), `FrameEnd`, `FrameType`,
 * `FrameSize`, `UnknownMethod`, `FieldType`, `Depth`, `Entries`, `Range` (a number JavaScript cannot hold exactly),
 * `BodySize`, `MessageSize`. Of protocol state: `Unexpected` (content out of order), `Channel` (a frame on a channel
 * that is not open), `Command` (a method that may not come now). Of values to write: `Length` (a text too long for its
 * field), `Range`, `Value` (no wire type holds it), `Depth` (cycles included).
 *
 * @since 0.1.0
 * @category models
 */
export type FrameReason =
  | "Truncated"
  | "Trailing"
  | "FrameEnd"
  | "FrameType"
  | "FrameSize"
  | "UnknownMethod"
  | "FieldType"
  | "Depth"
  | "Entries"
  | "Range"
  | "BodySize"
  | "MessageSize"
  | "Unexpected"
  | "Channel"
  | "Command"
  | "Length"
  | "Value"

/**
 * Bytes that AMQP forbids, or a value that no bytes can express. `field` names the field (`queue.declare.arguments`),
 * `offset` is where it was met, in bytes from the start of the frame's payload (of the frame, where its envelope is
 * wrong).
 *
 * @since 0.1.0
 * @category errors
 */
export class FrameError extends Data.TaggedError("FrameError")<{
  readonly reason: FrameReason
  readonly field: string
  readonly offset: number
  readonly text?: string | undefined
}> {
  override get message() {
    return `${this.field} at byte ${this.offset}: ${this.text ?? this.reason} (${this.reason})`
  }
}

/**
 * What any call on a channel can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type CallError = ConnectionLost | ConnectionClosed | OperationTimeout | NotReady | ChannelError

/**
 * What a confirmed publish can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type ConfirmError = CallError | PublishNacked | PublishReturned | OutcomeUnknown

/**
 * Whether a publish failed as any call does, and not by what became of the message.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCallError = (error: ConfirmError): error is CallError =>
  error._tag !== "PublishNacked" && error._tag !== "PublishReturned" && error._tag !== "OutcomeUnknown"

/**
 * What a connection recovers from, and so what a reconnect Schedule sees as its input.
 *
 * @since 0.1.0
 * @category models
 */
export type RecoverableError = ConnectError | ConnectionLost | ConnectionClosed

/**
 * Whether something is a fault of a connection: it could not be opened, was lost or was closed.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnectionError = (u: unknown): u is RecoverableError =>
  u instanceof ConnectError || u instanceof ConnectionLost || u instanceof ConnectionClosed

/**
 * Whether something is a fault of a channel, whose connection goes on.
 *
 * @since 0.1.0
 * @category guards
 */
export const isChannelError = (u: unknown): u is ChannelError => u instanceof ChannelError

const isTagged = (u: unknown): u is { readonly _tag: string } =>
  typeof u === "object" && u !== null && "_tag" in u && typeof u._tag === "string"

/**
 * Whether trying the same operation again later may succeed: the connection was away, slow or not ready, a pool had
 * nothing left, or a message was refused for the moment. A fault of the request itself (no such queue, access refused) is not transient.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTransient = (error: unknown): boolean => {
  if (!isTagged(error)) return false
  switch (error._tag) {
    case "ConnectionLost":
    case "OperationTimeout":
    case "NotReady":
    case "PublishNacked":
    case "OutcomeUnknown":
      return true
    case "ConnectionClosed":
      return error instanceof ConnectionClosed && error.reason === "Peer"
    case "ConnectError":
      return error instanceof ConnectError &&
        (error.reason === "Refused" || error.reason === "Timeout" || error.reason === "Dns" ||
          error.reason === "Credentials" || error.reason === "Discovery")
    case "PoolError":
      return error instanceof PoolError && (error.reason === "Exhausted" || error.reason === "Timeout")
    case "ChannelError":
      return error instanceof ChannelError && error.reason === "ResourceLocked"
    default:
      return false
  }
}
