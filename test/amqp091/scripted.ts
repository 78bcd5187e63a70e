/**
 * Connections and channels against a scripted peer, under TestClock.
 */
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { type HandshakeOptions, Peers } from "../harness/scriptedPeer.ts"

/** A connection to a scripted peer that is past its handshake. */
export const connected = (options: Partial<Connection.Options> = {}, handshake: HandshakeOptions = {}) =>
  Effect.gen(function*() {
    const { accept } = yield* Peers
    const connecting = yield* Effect.fork(
      Effect.flatMap(
        Effect.scope,
        (scope) => Scope.extend(Connection.make({ url: "memory://", ...options } as Connection.Options), scope)
      )
    )
    const peer = yield* accept
    yield* peer.handshake(handshake)
    return { accept, peer, connection: yield* Fiber.join(connecting) }
  })

/** Opens what needs a connection on this one, in a fiber. */
export const openOn = <A, E>(
  connection: Connection.Connection,
  make: Effect.Effect<A, E, Connection.Connection | Scope.Scope>
) => Effect.fork(Effect.provideService(make, Connection.Connection, connection))

/** Lets everything that can run without time passing do so. */
export const settle = TestClock.adjust(0)
