/**
 * A server of remote calls as a handler for `Consumer.run`: it decodes the request, runs the user's handler and sends what
 * came of it to where the request says.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Types from "effect/Types"
import type { ContentError } from "../../AmqpError.ts"
import * as Metrics from "../../Metrics.ts"
import type { Settlement } from "../Consumer.ts"
import type { FieldTable } from "../FieldTable.ts"
import type { Content, Delivery } from "../Message.ts"
import { copyProperties, toBytes } from "../Message.ts"
import type { BasicProperties } from "../Properties.ts"
import type { ChannelCore } from "./channel.ts"
import type { Resident } from "./channelHost.ts"
import { sendUnconfirmed } from "./channelModes.ts"
import { immediate, typeOf } from "./content.ts"
import { directReplyTo } from "./rpcClient.ts"

// --- What a reply says of itself ---

const header = "rpc-outcome"
const outcomes = ["error", "failed", "refused"] as const

/** What went wrong, where a reply says that something did. @internal */
export type Outcome = (typeof outcomes)[number]

/** @internal */
export const outcomeOf = ({ properties }: Delivery): Outcome | undefined => {
  const told = properties.headers?.[header]
  return outcomes.find((outcome) => outcome === told)
}

const headersOf: Record<Outcome, FieldTable> = {
  error: { [header]: "error" },
  failed: { [header]: "failed" },
  refused: { [header]: "refused" }
}

// --- The channel that carries replies ---

/** Counts the replies that come back: their callers have gone. @internal */
export class Replies implements Resident {
  readonly isWaiting = false
  readonly prepare = () => []
  readonly opened = () => {}
  readonly down = () => {}
  readonly closed = () => {}
  readonly returned = (): boolean => {
    Metrics.lostReplies.unsafeUpdate(1, Metrics.noTags)
    return true
  }
}

type Type = ReturnType<typeof typeOf>

const plainText: Type = { contentType: "text/plain" }

const logged = Effect.annotateLogs({ package: "effect-amqp", module: "Rpc" })

const send = (
  channel: ChannelCore,
  { properties: { correlationId, replyTo = "" } }: Delivery,
  content: Uint8Array | string,
  type: Type,
  outcome?: Outcome
): Effect.Effect<void> => {
  const mandatory = !replyTo.startsWith(directReplyTo)
  const properties: Types.Mutable<BasicProperties> = copyProperties(type)
  if (correlationId !== undefined) properties.correlationId = correlationId
  if (outcome !== undefined) properties.headers = headersOf[outcome]
  const sending = sendUnconfirmed(channel, {
    method: { _tag: "BasicPublish", exchange: "", routingKey: replyTo, mandatory, immediate: false },
    properties,
    body: toBytes(content)
  })
  // Nearly always: no step of the fiber.
  if (sending === Effect.void) return Effect.void
  return Effect.catchAll(sending, (error) => {
    Metrics.lostReplies.unsafeUpdate(1, Metrics.noTags)
    return logged(Effect.logWarning(`A reply could not be sent: ${error.message}`))
  })
}

// --- Handling ---

/** A request, or why it is none. */
type Request<A> = Either.Either<A, ContentError>

const readable = <A, R>(request: Content<A, R>): Content<Request<A>, R> => ({
  contentType: request.contentType,
  encode: (value) => Effect.flatMap(value, request.encode),
  decode: (delivery) => {
    const decoding = request.decode(delivery)
    const decoded = immediate(decoding)
    return decoded === undefined ? Effect.either(decoding) : Either.right(decoded)
  }
})

/** The outcome, where the effect is one already, as that of a plain function of the request. */
const over = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? effect as Exit.Exit<A, E> : undefined

/** @internal */
export const serving = <A, B, E, R1, R2>({ channel, error, handler, request, response }: {
  readonly channel: ChannelCore
  readonly request: Content<A, R1>
  readonly response: Content<B, R1>
  readonly error: Content<E, R1> | undefined
  readonly handler: (request: A, delivery: Delivery) => Effect.Effect<B, E, R2>
}) => {
  const type = typeOf(response)

  const respond = (value: B, delivery: Delivery): Effect.Effect<void, Unencodable, R1> => {
    const encoding = response.encode(value)
    const encoded = immediate(encoding)
    if (encoded === undefined) {
      return Effect.matchEffect(encoding, {
        onSuccess: (content) => send(channel, delivery, content, type),
        onFailure: (fault) => Effect.fail(new Unencodable(fault))
      })
    }
    return Either.isRight(encoded)
      ? send(channel, delivery, encoded.right, type)
      : Effect.fail(new Unencodable(encoded.left))
  }

  const handle = (decoded: Request<A>, delivery: Delivery): Effect.Effect<void, E | Unencodable, R1 | R2> => {
    const { replyTo } = delivery.properties
    if (replyTo === undefined || replyTo === "") {
      Metrics.unanswerable.unsafeUpdate(1, Metrics.noTags)
      return Effect.void
    }
    if (Either.isLeft(decoded)) {
      Metrics.undecodable.unsafeUpdate(1, Metrics.noTags)
      return send(channel, delivery, decoded.left.message, plainText, "refused")
    }
    const handling = handler(decoded.right, delivery)
    const handled = over(handling)
    return handled !== undefined && Exit.isSuccess(handled)
      ? respond(handled.value, delivery)
      : Effect.flatMap(handling, (value) => respond(value, delivery))
  }

  const failed = (cause: Cause.Cause<unknown>, delivery: Delivery): Effect.Effect<void> =>
    Effect.zipRight(
      logged(Effect.logWarning("A request failed, and its caller is told so", cause)),
      send(channel, delivery, "the request failed at the server", plainText, "failed")
    )

  const onFailure = (
    cause: Cause.Cause<E | Unencodable>,
    delivery: Delivery
  ): Effect.Effect<Settlement, never, R1> => {
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    const told = failure === undefined || failure instanceof Unencodable || error === undefined
      ? failed(cause, delivery)
      : Effect.matchEffect(error.encode(failure), {
        onSuccess: (content) => send(channel, delivery, content, typeOf(error), "error"),
        onFailure: (fault) => failed(Cause.fail(fault), delivery)
      })
    return Effect.as(told, "ack")
  }

  return { content: readable(request), handle, onFailure }
}

/** A response that its codec cannot express: no error of the handler's. @internal */
export class Unencodable {
  readonly fault: ContentError

  constructor(fault: ContentError) {
    this.fault = fault
  }
}
