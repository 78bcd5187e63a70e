import { assert, describe, it } from "@effect/vitest"
import { Channel } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { layerMemory } from "../../harness/scriptedPeer.ts"
import { connected, openOn, settle } from "../scripted.ts"

const rounds = 11
const window = 1000

describe("offer", () => {
  it.scoped("keeps the first ten thousand failures for a drain that does not come, and counts the others", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm({ window }))
      const number = yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      for (let round = 1; round <= rounds; round++) {
        for (let each = 0; each < window; each++) yield* channel.offer({ content: "" })
        yield* settle
        yield* peer.send(number, {
          _tag: "BasicNack",
          deliveryTag: round * window,
          multiple: true,
          requeue: false
        })
        yield* settle
      }
      const { failures, message, omitted } = yield* Effect.flip(channel.drain)
      assert.deepStrictEqual([failures.length, failures.at(-1)?.index, omitted], [10_000, 9_999, 1000])
      assert.match(message, /^11000 messages were not confirmed, first number 0: /)
      yield* channel.drain
    }).pipe(Effect.provide(layerMemory)))
})
