import { assert, describe, it, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { eventually as eventuallyReal } from "../behaviour/place.ts"
import { everywhere, patience, type Place, turn } from "./everywhere.ts"
import { cases } from "./operations.ts"

const counts = (broker: typeof Broker.Broker.Service) =>
  Effect.all([
    Effect.map(broker.connections, (all) => all.map(({ channels }) => channels)),
    Effect.map(broker.queues(), (all) => all.map(({ unsettled }) => unsettled))
  ])

/** In memory everything ends without time passing; what does not would be waiting for a timeout. */
const eventually: Place["eventually"] = (ask, expected, message) =>
  Effect.gen(function*() {
    for (let count = 0; count < 100; count++) {
      if (JSON.stringify(yield* ask) === JSON.stringify(expected)) return
      yield* Effect.yieldNow()
    }
    assert.deepStrictEqual(yield* ask, expected, message)
  })

const each = (steps: number) => steps + 1

describe("Interrupted after any step of the scheduler, nothing is left of", () => {
  for (const one of cases.filter(({ rabbitOnly }) => !rabbitOnly)) {
    it.scoped(one.title, () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* everywhere({
          url: "memory://",
          step: Effect.yieldNow(),
          next: each,
          eventually,
          counts: counts(broker),
          hasTransactions: false
        }, one)
      }).pipe(Effect.provide(Broker.layerMemory)), patience)
  }
})

const Live = Broker.layer({ port: 0 }).pipe(
  Layer.provideMerge(Layer.merge(NodeTransport.layer, NodeTransport.layerServer))
)

describe("Over TCP, interrupted after any turn of the event loop, nothing is left of", () => {
  layer(Live, { excludeTestServices: true })((it) => {
    for (const one of cases.filter(({ rabbitOnly }) => !rabbitOnly)) {
      it.scoped(one.title, () =>
        Effect.gen(function*() {
          const broker = yield* Broker.Broker
          yield* everywhere({
            url: `amqp://127.0.0.1:${broker.port}`,
            step: turn,
            next: each,
            eventually: eventuallyReal,
            counts: counts(broker),
            hasTransactions: false
          }, one)
        }), patience)
    }
  })
})
