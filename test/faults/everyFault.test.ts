import { assert, describe, it } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { layerMemory } from "../harness/scriptedPeer.ts"
import { everyFault, type Provocation } from "./everyFault.ts"

const rows = Object.entries(everyFault).flatMap(([tag, reasons]) =>
  Object.entries<Provocation>(reasons).map(([reason, provocation]) => ({ tag, reason, provocation }))
)

const isFault = (fault: unknown, { reason, tag }: { readonly tag: string; readonly reason: string }) => {
  assert.instanceOf(fault, Error)
  assert.deepInclude<object>({ reason: "without a reason", ...fault }, { _tag: tag, reason })
  assert.isAbove(fault.message.length, 10)
}

describe("every fault that needs no broker", () => {
  for (const row of rows) {
    const { provocation, reason, tag } = row
    if (provocation.on === "a scripted peer") {
      it.scoped(`${tag}, ${reason}`, () =>
        Effect.map(provocation.provoke, (fault) => isFault(fault, row)).pipe(Effect.provide(layerMemory)))
    } else if (provocation.on === "its own") {
      it(`${tag}, ${reason}: in ${provocation.file}`, () => {
        assert.include(readFileSync(new URL(provocation.file, import.meta.url), "utf8"), `"${provocation.title}"`)
      })
    }
  }
})

describeRabbit("every fault that RabbitMQ can be brought to", (it) => {
  for (const row of rows) {
    const { provocation, reason, tag } = row
    if (provocation.on !== "RabbitMQ") continue
    it.scoped(`${tag}, ${reason}`, () =>
      Effect.gen(function*() {
        const { url } = yield* SharedRabbitMq
        const connect = Effect.provide(Connection.make({ url }), NodeTransport.layer)
        const connection = yield* connect
        const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
        const { queue } = yield* channel.queueDeclare()
        isFault(yield* provocation.provoke({ connection, channel, queue, connect }), row)
      }))
  }
})
