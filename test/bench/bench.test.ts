import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cases } from "../../scratchpad/bench/cases.ts"
import { run } from "../harness/childProcess.ts"

describe("npm run bench -- --quick", () => {
  // It says whether all clients send and receive what they should; what it measures in so few messages says nothing.
  it.live("sends and receives every message of every case", () =>
    Effect.map(
      run("npm", ["run", "--silent", "bench", "--", "--quick"], { timeoutMillis: 170_000 }),
      ({ stdout }) => {
        for (const { name } of cases) assert.include(stdout, `| ${name} `)
      }
    ), 180_000)
})

describe("scratchpad/bench/throughput.ts --quick", () => {
  it.live("moves every message from one amqplib process to another through the standalone broker", () =>
    Effect.map(
      run("npx", ["tsx", "scratchpad/bench/throughput.ts", "--quick"], { timeoutMillis: 90_000 }),
      ({ stdout }) => assert.match(stdout, /^effect-amqp: \d+ messages\/s of 100 bytes/m)
    ), 100_000)
})
