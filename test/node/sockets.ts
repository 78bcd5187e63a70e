/**
 * Sockets for the tests of NodeTransport: dials that must fail, servers of Node's own, what is left over.
 */
import { assert } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { NodeTransport } from "effect-amqp/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Net from "node:net"
import { type Certificates, makeCertificates } from "./certificates.ts"

export const live = Layer.merge(NodeTransport.layer, NodeTransport.layerServer)

export class Pki extends Context.Tag("Pki")<Pki, Certificates>() {}

export const livePki = Layer.merge(live, Layer.scoped(Pki, makeCertificates))

export const dial = (target: Omit<Transport.Target, "scheme"> & { readonly scheme?: Transport.Target["scheme"] }) =>
  Effect.flatMap(Transport.Transport, (transport) => transport.dial({ scheme: "amqp", ...target }))

export const refusal = (target: Parameters<typeof dial>[0]) =>
  Effect.map(Effect.flip(dial(target)), (fault) => {
    assert.lengthOf(fault.attempts, 1)
    assert.strictEqual(fault.attempts[0]?.reason, fault.reason)
    return { reason: fault.reason, text: fault.attempts[0]?.text ?? "", endpoint: fault.attempts[0]?.endpoint }
  })

/** A server of Node's own, to be told apart from ours. */
export const nodeServer = <S extends Net.Server>(server: S) =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: S; readonly port: number; readonly sockets: Set<Net.Socket> }>((resume) => {
      const sockets = new Set<Net.Socket>()
      server.on("connection", (socket: Net.Socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
      })
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const address = server.address()
        assert(address !== null && typeof address === "object")
        resume(Effect.succeed({ server, port: address.port, sockets }))
      })
    }),
    ({ server, sockets }) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )

/** Turns of the event loop until `isTrue`. */
export const until = (isTrue: () => boolean): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const check = () => isTrue() ? resume(Effect.void) : void setImmediate(check)
    check()
  })

export const tcpResources = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Timeout$)/.test(name))
