/**
 * A channel of one's own on the connection from the context, for the modules above channels.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CallError } from "../../AmqpError.ts"
import { Connection } from "../Connection.ts"
import type { ChannelCore } from "./channel.ts"
import type { ChannelSettings } from "./channelSettings.ts"
import { openOn } from "./openOn.ts"

/** Opens a channel until the scope closes; then it says goodbye on the wire, within the close timeout. @internal */
export const openChannel = (
  settings: ChannelSettings
): Effect.Effect<ChannelCore, CallError, Connection | Scope.Scope> =>
  Effect.flatMap(Connection, ({ core }) => openOn(core, settings))
