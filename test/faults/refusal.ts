/**
 * What a connect that fails must be like.
 */
import { assert } from "@effect/vitest"
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"

export const secret = "s3cr3t-w0rd"
export const password = Redacted.make(secret)

/** The fault of a connect, of one attempt, that tells no secret, however it is shown. */
export const refusal = (options: Connection.Options) =>
  Effect.gen(function*() {
    const [elapsed, fault] = yield* Effect.timed(Effect.flip(Effect.scoped(Connection.make(options))))
    assert.strictEqual(fault._tag, "ConnectError")
    assert.lengthOf(fault.attempts, 1)
    assert.strictEqual(fault.attempts[0]?.reason, fault.reason)
    const shown = `${fault} ${fault.message} ${JSON.stringify(fault)} ${fault.stack} ${inspect(fault, { depth: null })}`
    assert.notInclude(shown, secret)
    return { reason: fault.reason, text: fault.attempts[0]?.text ?? "", endpoint: fault.attempts[0]?.endpoint, elapsed }
  })
