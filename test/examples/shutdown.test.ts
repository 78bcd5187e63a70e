/** `scratchpad/examples/gracefulShutdown.ts` in a process of its own, which is told to stop in the middle of its work. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"

/** Runs until it has begun two orders, then stops it with a signal; what it wrote, and how it ended. */
const stoppedBy = (signal: NodeJS.Signals) =>
  Effect.async<{ readonly lines: ReadonlyArray<string>; readonly code: number | null }>((resume) => {
    const child = spawn(process.execPath, ["--import", "tsx", "scratchpad/examples/gracefulShutdown.ts"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, AMQP_URL: undefined }
    })
    let text = ""
    let stopped = false
    child.stdout.setEncoding("utf8").on("data", (more: string) => {
      text += more
      if (!stopped && text.includes("begins 1") && text.includes("begins 2")) {
        stopped = true
        child.kill(signal)
      }
    })
    child.once("close", (code) => resume(Effect.succeed({ lines: text.trim().split("\n"), code })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("gracefulShutdown", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(
      `${signal}: ends what it has begun, begins nothing, and leaves the rest to others`,
      () =>
        Effect.gen(function*() {
          const { code, lines } = yield* stoppedBy(signal)
          assert.deepStrictEqual(lines, ["begins 1", "begins 2", "ends 1", "ends 2", "left for others: 4"])
          assert.strictEqual(code, 0)
        }),
      60_000
    )
  }
})
