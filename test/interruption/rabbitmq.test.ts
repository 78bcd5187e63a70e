import { assert } from "@effect/vitest"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { everywhere, patience, turn } from "./everywhere.ts"
import { cases } from "./operations.ts"

describeRabbit("On RabbitMQ, interrupted after any turn of the event loop, nothing is left of", (it) => {
  for (const each of cases) {
    it.scoped(each.title, () =>
      Effect.gen(function*() {
        const { url } = yield* SharedRabbitMq
        yield* everywhere({
          url,
          step: turn,
          // An answer takes many turns here.
          next: (steps) => Math.ceil(steps * 1.6),
          eventually,
          // `rabbitmqctl` takes a second: what it counts is looked at once, below.
          counts: undefined,
          hasTransactions: true
        }, each)
      }).pipe(Effect.provide(NodeTransport.layer)), patience)
  }

  it.scoped("all of these: RabbitMQ counts no connection and no channel", () =>
    Effect.gen(function*() {
      const { ctl, vhost } = yield* SharedRabbitMq
      for (const what of ["list_connections", "list_channels"]) {
        const mine = Effect.map(
          ctl(what, "--no-table-headers", "vhost"),
          (text) => text.split("\n").filter((line) => line === vhost)
        )
        yield* eventually(mine, [])
      }
      assert.isAbove(cases.length, 100)
    }))
})
