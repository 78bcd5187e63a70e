/** What consumers keep of messages: in a file of its own, as it collects garbage. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Consumer from "../../src/amqp091/Consumer.ts"
import * as Message from "../../src/amqp091/Message.ts"
import { Embedded, eventually, queueOf } from "./onBroker.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

describe("Consumer.run", () => {
  it.scoped("keeps nothing of what was handled, however long more is always waiting", () =>
    Effect.gen(function*() {
      yield* queueOf("q", ...Array.from({ length: 300 }, String))
      let handled = 0
      let first: WeakRef<object> | undefined
      yield* Effect.forkScoped(Consumer.run({ queue: "q", prefetch: 10, content: Message.text }, (_, delivery) => {
        first ??= new WeakRef(delivery)
        return ++handled === 250 ? Effect.never : Effect.yieldNow()
      }))
      yield* eventually("all but the last are handled", () => handled === 250)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collectGarbage()
      assert.isUndefined(first?.deref())
    }).pipe(Effect.provide(Embedded)))
})
