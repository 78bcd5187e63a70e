/** The embedded broker as a place for the suite, behind any Transport. */
import { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reconnect from "../../src/Reconnect.ts"
import { Transport } from "../../src/Transport.ts"
import { fresh, Place } from "./place.ts"

export const layerPlace: Layer.Layer<Place, never, Broker.Broker | Transport> = Layer.effect(
  Place,
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const transport = yield* Transport
    return {
      kind: "embedded" as const,
      vhost: "/",
      connect: (vhost = "/") =>
        Effect.provideService(
          Connection.make({ host: broker.host, port: broker.port, vhost, reconnect: Reconnect.none }),
          Transport,
          transport
        ),
      connectAs: (permissions) =>
        Effect.gen(function*() {
          const user = fresh("user")
          const password = Redacted.make("secret")
          yield* broker.addUser({ name: user, password, permissions })
          const connection = yield* Effect.provideService(
            Connection.make({
              host: broker.host,
              port: broker.port,
              username: user,
              password,
              reconnect: Reconnect.none
            }),
            Transport,
            transport
          )
          return { connection, user }
        }),
      dial: transport.dial({ scheme: "amqp", host: broker.host, port: broker.port }),
      channels: Effect.map(broker.connections, (all) => all.reduce((sum, { channels }) => sum + channels, 0)),
      addVhost: Effect.suspend(() => {
        const vhost = fresh("vhost")
        return Effect.as(broker.addVhost(vhost), vhost)
      })
    }
  })
)
