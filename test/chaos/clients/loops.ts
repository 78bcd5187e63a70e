/** For clients whose publishes are promises: so many at a time, again and again. */
import * as Effect from "effect/Effect"
import { setTimeout } from "node:timers/promises"
import type { Working } from "../client.ts"

export const loops = (count: number, publish: () => Promise<void>): Working => {
  const until = { isOver: false }
  const loop = async () => {
    while (!until.isOver) {
      try {
        await publish()
      } catch {
        // Not confirmed. Who refuses at once is not asked again at once.
        await setTimeout(100)
      }
    }
  }
  const publishing = Promise.all(Array.from({ length: count }, loop))
  return {
    stop: Effect.suspend(() => {
      until.isOver = true
      return Effect.asVoid(Effect.promise(() => publishing))
    })
  }
}
