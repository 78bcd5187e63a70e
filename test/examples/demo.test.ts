import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "../harness/childProcess.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

const ledger = /published 5000, confirmed 5000, received 5000, duplicates (\d+), lost 0\n$/

const demo = (env: Record<string, string | undefined>) =>
  Effect.map(run("npm", ["run", "--silent", "demo"], { env, timeoutMillis: 50_000 }), ({ stdout }) => {
    assert.match(stdout, ledger)
    assert.strictEqual(stdout.match(/cutting the connection/g)?.length, 3)
    assert.match(stdout, /dialling again in \d+ms/)
    assert.match(stdout, /open on .*, socket number 4/)
    // What was sent or delivered when the connection was cut comes twice; that much and no more.
    assert.isAtMost(Number(ledger.exec(stdout)?.[1]), 3 * (250 + 50))
  })

describe("npm run demo", () => {
  it.live("loses nothing on the embedded broker", () => Effect.scoped(demo({ AMQP_URL: undefined })), 60_000)
})

describeRabbit("AMQP_URL=… npm run demo", (it) => {
  it.effect(
    "loses nothing on RabbitMQ",
    () => Effect.scoped(Effect.flatMap(SharedRabbitMq, ({ url }) => demo({ AMQP_URL: url }))),
    60_000
  )
})
