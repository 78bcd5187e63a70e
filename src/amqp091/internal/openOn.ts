/**
 * A channel on a connection at hand, and questions that are asked on a channel of their own, lest a "no" (404) close
 * anybody else's.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CallError } from "../../AmqpError.ts"
import { whole } from "../../internal/whole.ts"
import type * as Method from "../Method.ts"
import type { Reply } from "./calls.ts"
import type { ChannelCore } from "./channel.ts"
import type { ChannelHost } from "./channelHost.ts"
import type { ChannelSettings } from "./channelSettings.ts"

/** @internal */
export const openOn = (
  connection: ChannelHost,
  settings: ChannelSettings
): Effect.Effect<ChannelCore, CallError, Scope.Scope> =>
  whole(Effect.gen(function*() {
    const refusal = connection.refusal("channel.open", false)
    if (refusal !== undefined) return yield* refusal
    const channel = yield* Effect.acquireRelease(
      Effect.sync(() => connection.open(settings)),
      (channel) => channel.close
    )
    // At once: its opening has taken long enough, or nobody waits for it.
    yield* Effect.onError(channel.whenOpen, () => Effect.sync(() => channel.giveUp()))
    return channel
  }))

const askedOnce: ChannelSettings = { mode: "plain", prefetch: 0, window: undefined, atEnd: "fail", once: true }

const ask = (connection: ChannelHost, method: Method.Method): Effect.Effect<Reply, CallError> =>
  Effect.scoped(Effect.flatMap(openOn(connection, askedOnce), (channel) => channel.call(method, true)))

/** The queue as it is; `ChannelError` `NotFound` where there is none. @internal */
export const findQueue = (connection: ChannelHost, queue: string): Effect.Effect<Method.QueueDeclareOk, CallError> =>
  Effect.flatMap(
    ask(connection, {
      _tag: "QueueDeclare",
      queue,
      passive: true,
      durable: false,
      exclusive: false,
      autoDelete: false,
      noWait: false,
      arguments: {}
    }),
    ({ method }) => method._tag === "QueueDeclareOk" ? Effect.succeed(method) : Effect.die(method)
  )

/** Fails with `ChannelError` `NotFound` where there is no such exchange. @internal */
export const findExchange = (connection: ChannelHost, exchange: string): Effect.Effect<void, CallError> =>
  Effect.asVoid(ask(connection, {
    _tag: "ExchangeDeclare",
    exchange,
    type: "direct",
    passive: true,
    durable: false,
    autoDelete: false,
    internal: false,
    noWait: false,
    arguments: {}
  }))

/** @internal */
export const isNotFound = (fault: { readonly _tag: string }): boolean =>
  fault._tag === "ChannelError" && "reason" in fault && fault.reason === "NotFound"
