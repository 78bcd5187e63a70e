import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"

describe("a broker that cannot listen", () => {
  it.scoped("in memory: on a port that is taken, AddressInUse", () =>
    Effect.gen(function*() {
      yield* Broker.make({ port: 5672 })
      const fault = yield* Effect.flip(Broker.make({ port: 5672 }))
      assert.deepInclude(fault, { _tag: "ListenError", reason: "AddressInUse" })
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.live("on TCP: on a port that is taken, AddressInUse, and which it is", () =>
    Effect.gen(function*() {
      const { port } = yield* Broker.make({ port: 0 })
      const fault = yield* Effect.flip(Broker.make({ port }))
      assert.deepInclude(fault, { _tag: "ListenError", reason: "AddressInUse" })
      assert.include(fault.address, String(port))
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerServer)))
})
