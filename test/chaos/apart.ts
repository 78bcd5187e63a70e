/**
 * A client in a process of its own: one that hangs, or dies, takes nobody with it, and none shares its thread with the proxy.
 * What it enters in its ledger comes in batches.
 */
import * as Effect from "effect/Effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Assignment, Client } from "./client.ts"

/** Published so many; confirmed; received, and whether redelivered; damaged so many; spoilt. */
export interface Batch {
  readonly published: number
  readonly confirmed: ReadonlyArray<number>
  readonly received: ReadonlyArray<readonly [id: number, redelivered: boolean]>
  readonly damaged: number
  readonly spoilt: ReadonlyArray<number | null>
}

export type Word = "working" | "stopped" | Batch

const child = fileURLToPath(new URL("apartChild.ts", import.meta.url))

export const apart = (name: string): Client => ({
  name,
  start: ({ firstId, ledger, prefetch, queue, reconnect, urls, window }) =>
    Effect.gen(function*() {
      const started = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const told: Assignment = { firstId, prefetch, queue, reconnect, urls, window }
          const started = fork(child, [name, JSON.stringify(told)], {
            execArgv: ["--import", "tsx"],
            stdio: ["ignore", "ignore", "inherit", "ipc"]
          })
          return started.on("message", (word: Word) => {
            if (typeof word === "string") return
            for (let count = 0; count < word.published; count++) ledger.next()
            for (const id of word.confirmed) ledger.confirmed(id)
            for (const [id, redelivered] of word.received) ledger.received(id, redelivered)
            for (let count = 0; count < word.damaged; count++) ledger.damaged()
            for (const id of word.spoilt) ledger.spoilt(id ?? undefined)
          })
        }),
        (started) => Effect.sync(() => started.kill("SIGKILL"))
      )
      const heard = (expected: Word) =>
        Effect.async<void>((resume) => {
          started.on("message", (word: Word) => {
            if (word === expected) resume(Effect.void)
          })
          // Whoever waits for confirms finds that none come.
          started.once("exit", () => resume(Effect.void))
        })
      yield* heard("working")
      return {
        stop: Effect.zipRight(Effect.sync(() => started.connected && started.send("stop")), heard("stopped"))
      }
    })
})
