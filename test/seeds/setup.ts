/** What the tests of both seeds share: the network of named nodes, and a few shorthands. */
import { Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"

export { onNetwork, settle, states } from "../reconnect/network.ts"

/** Milliseconds of virtual time. */
export const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Runs something that wants a connection on this one. */
export const on = <A, E, R>(connection: Connection.Connection, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Connection.Connection, connection)

/** A node that is away, and nothing else to dial. */
export const away = { host: "away" } as const

/** Listens to what is written through the Transport of the context: text enough to find a name in a table. */
export const wiretap = Effect.map(Transport.Transport, (transport) => {
  let written = ""
  const tapped = (pipe: Transport.Pipe): Transport.Pipe => ({
    remote: pipe.remote,
    tls: pipe.tls,
    start: (handler) => pipe.start(handler),
    write: (bytes, onWritten) => {
      written += Buffer.from(bytes).toString("latin1")
      return pipe.write(bytes, onWritten)
    },
    endOfTurn: (task) => pipe.endOfTurn(task),
    pause: () => pipe.pause(),
    resume: () => pipe.resume(),
    end: () => pipe.end(),
    destroy: () => pipe.destroy()
  })
  return {
    transport: Transport.Transport.of({
      ...transport,
      dial: (target) => Effect.map(transport.dial(target), tapped)
    }),
    written: () => written
  }
})
