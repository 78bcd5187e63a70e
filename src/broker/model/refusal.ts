/**
 * Why the model does not grant a request.
 *
 * @since 0.1.0
 */

/**
 * What has a name in a virtual host.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "exchange" | "queue"

/**
 * What a queue is: `classic`, or `quorum`, which here has the rules of RabbitMQ's quorum queues, but no replicas.
 *
 * @since 0.1.0
 * @category models
 */
export type QueueType = "classic" | "quorum"

/**
 * No exchange or queue of this name.
 *
 * @since 0.1.0
 * @category errors
 */
export interface NotFound {
  readonly _tag: "NotFound"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
}

/**
 * It exists, but not as declared here. `argument` is RabbitMQ's name of the first difference (`type`, `durable`,
 * `auto_delete`, `internal`, or an argument's own name); an absent argument is `undefined`.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Inequivalent {
  readonly _tag: "Inequivalent"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
  readonly argument: string
  readonly received: unknown
  readonly current: unknown
}

/**
 * The queue is exclusive to another client, or was declared again with the other choice of `exclusive`.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Locked {
  readonly _tag: "Locked"
  readonly name: string
  readonly vhost: string
}

/**
 * Not deleted, for it was to be deleted only if unused: the queue has consumers, or the exchange bindings.
 *
 * @since 0.1.0
 * @category errors
 */
export interface InUse {
  readonly _tag: "InUse"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
}

/**
 * Not deleted, for the queue was to be deleted only if empty, and has ready messages.
 *
 * @since 0.1.0
 * @category errors
 */
export interface NotEmpty {
  readonly _tag: "NotEmpty"
  readonly name: string
  readonly vhost: string
}

/**
 * Nobody may do this. `ReservedName`: declare a name that starts with `amq.`. `DefaultExchange`: declare, bind or delete
 * the exchange without a name. `SystemExchange`: delete one of the broker's own. `InternalExchange`: publish to an
 * exchange that is fed by bindings alone. `ExclusiveConsumer`: consume from a queue that has an exclusive consumer, or
 * exclusively from one that has any.
 *
 * @since 0.1.0
 * @category errors
 */
export interface AccessRefused {
  readonly _tag: "AccessRefused"
  readonly reason: "ReservedName" | "DefaultExchange" | "SystemExchange" | "InternalExchange" | "ExclusiveConsumer"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
}

/**
 * The user has not this permission on it. The default exchange goes by the name of `amq.default` here, as it does for
 * the patterns of permissions.
 *
 * @since 0.1.0
 * @category errors
 */
export interface NotPermitted {
  readonly _tag: "NotPermitted"
  readonly permission: "configure" | "write" | "read"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
  readonly user: string
}

/**
 * Not declared, for an argument that names an exchange is no text.
 *
 * @since 0.1.0
 * @category errors
 */
export interface NotAName {
  readonly _tag: "NotAName"
  readonly kind: Kind
  readonly name: string
  readonly vhost: string
  readonly argument: string
  readonly received: unknown
}

/**
 * Not bound to a headers exchange, for this `x-match` is none of the four there are.
 *
 * @since 0.1.0
 * @category errors
 */
export interface UnknownMatch {
  readonly _tag: "UnknownMatch"
  readonly received: unknown
}

/**
 * No exchange is of this type.
 *
 * @since 0.1.0
 * @category errors
 */
export interface UnknownExchangeType {
  readonly _tag: "UnknownExchangeType"
  readonly type: string
}

/**
 * What is wrong with an argument. `NotInteger`, `WrongType`: its type. `Negative`, `Zero`, `TooLarge` (a time above ten
 * years), `AboveMaximum`: the number. `UnknownValue`: not one of those there are. `NoExchange`: a routing key for dead
 * letters without an exchange for them. `NotForType`: queues of this type know no such argument. `NotImplemented`:
 * RabbitMQ would take it, this broker does not.
 *
 * @since 0.1.0
 * @category errors
 */
export type ArgumentProblem =
  | "NotInteger"
  | "WrongType"
  | "Negative"
  | "Zero"
  | "TooLarge"
  | "AboveMaximum"
  | "UnknownValue"
  | "NoExchange"
  | "NotForType"
  | "NotImplemented"

/**
 * A queue cannot be declared with this argument. `name` is the one it would have had.
 *
 * @since 0.1.0
 * @category errors
 */
export interface InvalidArgument {
  readonly _tag: "InvalidArgument"
  readonly name: string
  readonly vhost: string
  readonly type: QueueType
  readonly argument: string
  readonly value: unknown
  readonly problem: ArgumentProblem
}

/**
 * Queues of this type do not do this: be declared `AutoDelete`, `Exclusive`, `Transient` or `ServerNamed` (without a
 * name), be deleted `IfUnused` or `IfEmpty`.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Unsupported {
  readonly _tag: "Unsupported"
  readonly what: "AutoDelete" | "Exclusive" | "Transient" | "ServerNamed" | "IfUnused" | "IfEmpty"
  readonly name: string
  readonly vhost: string
  readonly type: QueueType
}

/**
 * Why a request was not granted. It changed nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export type Refusal =
  | NotFound
  | Inequivalent
  | Locked
  | InUse
  | NotEmpty
  | AccessRefused
  | NotPermitted
  | NotAName
  | UnknownMatch
  | UnknownExchangeType
  | InvalidArgument
  | Unsupported

/**
 * Tells a refusal from every other result of this module: nothing else here has a `_tag`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRefusal = (result: unknown): result is Refusal =>
  typeof result === "object" && result !== null && "_tag" in result
