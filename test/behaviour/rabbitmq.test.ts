import { layer } from "@effect/vitest"
import { Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import * as Reconnect from "../../src/Reconnect.ts"
import { Transport } from "../../src/Transport.ts"
import { describeWith, layerShared, SharedRabbitMq } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"
import { Place } from "./place.ts"
import { behaviour } from "./suite.ts"

const layerPlace = Layer.effect(
  Place,
  Effect.gen(function*() {
    const rabbit = yield* SharedRabbitMq
    const transport = yield* Transport
    const { host, port } = rabbit
    return {
      kind: "rabbitmq" as const,
      vhost: rabbit.vhost,
      connect: (vhost = rabbit.vhost) =>
        Effect.provideService(
          Connection.make({ host, port, vhost, reconnect: Reconnect.none }),
          Transport,
          transport
        ),
      connectAs: ({ configure, read, write }) =>
        Effect.gen(function*() {
          const user = `user-${randomUUID()}`
          const patterns = { configure: configure.source, write: write.source, read: read.source }
          yield* Effect.orDie(rabbit.addUser(user, "secret", patterns))
          const connection = yield* Effect.provideService(
            Connection.make({
              host,
              port,
              vhost: rabbit.vhost,
              username: user,
              password: Redacted.make("secret"),
              reconnect: Reconnect.none
            }),
            Transport,
            transport
          )
          return { connection, user }
        }),
      dial: transport.dial({ scheme: "amqp", host, port }),
      channels: rabbit.ctl("list_channels", "--no-table-headers", "pid", "vhost").pipe(
        Effect.map((text) => text.split("\n").filter((line) => line.endsWith(rabbit.vhost)).length),
        Effect.orDie
      ),
      addVhost: Effect.map(Effect.orDie(rabbit.addVhost(`test-${randomUUID()}`)), ({ vhost }) => vhost)
    }
  })
).pipe(Layer.provide(layerShared), Layer.provide(NodeTransport.layer))

describeWith(RabbitMq.packages, "behaviour on RabbitMQ", () => {
  layer(layerPlace, { excludeTestServices: true, timeout: "60 seconds" })(behaviour)
})
