import { describe, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import * as Layer from "effect/Layer"
import { layerPlace } from "./embedded.ts"
import { behaviour } from "./suite.ts"

// Under TestClock: nothing that a broker or client does here needs time to pass.
describe("behaviour on the embedded broker in memory", () => {
  layer(Layer.provide(layerPlace, Broker.layerMemory))(behaviour)
})
