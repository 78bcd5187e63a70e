import { describe, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Layer from "effect/Layer"
import { layerPlace } from "./embedded.ts"
import { behaviour } from "./suite.ts"

const Live = layerPlace.pipe(
  Layer.provide(Broker.layer({ port: 0 })),
  Layer.provide(Layer.merge(NodeTransport.layer, NodeTransport.layerServer))
)

describe("behaviour on the embedded broker over TCP", () => {
  layer(Live, { excludeTestServices: true })(behaviour)
})
