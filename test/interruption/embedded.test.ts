import { assert, describe, it, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { eventually as eventuallyReal } from "../behaviour/place.ts"
import { everywhere, type Place, turn } from "./everywhere.ts"
import { cases } from "./operations.ts"

const channels = (broker: typeof Broker.Broker.Service) =>
  Effect.map(broker.connections, (all) => all.map(({ channels }) => channels))

describe("Interrupted after any step of the scheduler, nothing is left of", () => {
  for (const each of cases.filter(({ rabbitOnly }) => !rabbitOnly)) {
    it.scoped(each.title, () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        const eventually: Place["eventually"] = (ask, expected, message) =>
          Effect.gen(function*() {
            // In memory everything ends without time passing; what does not would be waiting for a timeout.
            yield* TestClock.adjust(0)
            assert.deepStrictEqual(yield* ask, expected, message)
          })
        yield* everywhere({
          url: "memory://",
          step: Effect.yieldNow(),
          eventually,
          channels: channels(broker),
          hasTransactions: false
        }, each)
      }).pipe(Effect.provide(Broker.layerMemory)))
  }
})

const Live = Broker.layer({ port: 0 }).pipe(
  Layer.provideMerge(Layer.merge(NodeTransport.layer, NodeTransport.layerServer))
)

describe("Over TCP, interrupted after any turn of the event loop, nothing is left of", () => {
  layer(Live, { excludeTestServices: true })((it) => {
    for (const each of cases.filter(({ rabbitOnly }) => !rabbitOnly)) {
      it.scoped(each.title, () =>
        Effect.gen(function*() {
          const broker = yield* Broker.Broker
          yield* everywhere({
            url: `amqp://127.0.0.1:${broker.port}`,
            step: turn,
            eventually: eventuallyReal,
            channels: channels(broker),
            hasTransactions: false
          }, each)
        }))
    }
  })
})
