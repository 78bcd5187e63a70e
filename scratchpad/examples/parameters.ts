/**
 * Parameters of a connection: as a URL (both ways), from the configuration, and as options. Nothing here dials.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Credentials } from "effect-amqp"
import { ConnectionOptions } from "effect-amqp/amqp091"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { isMain } from "./main.ts"

const decode = Schema.decode(ConnectionOptions.FromUrl)
const encode = Schema.encode(ConnectionOptions.FromUrl)

// A URL may hold a password, so it is Redacted from the start.
const url = Redacted.make(
  "amqps://me:s%40fe@broker-1/%2Fprod?heartbeat=30&connection_attempts=3&retry_delay=2"
)

// As options a length of time is a Duration or a text, never a bare number.
const options = ConnectionOptions.make({
  host: "::1",
  credentials: Credentials.plain("me", Redacted.make("safe")),
  frameMax: 131072,
  heartbeat: "30 seconds"
})

export const program = Effect.gen(function*() {
  const decoded = yield* decode(url)
  const canonical = yield* encode(decoded)
  const again = yield* decode(canonical)

  // A failover list; what a later member leaves out, it has from the first.
  const endpoints = yield* ConnectionOptions.config("AMQP_URL").pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["AMQP_URL", "amqp://me:safe@a,b:5673/vhost"]])))
  )

  // The message names the parameter and what comes near it; the password is not in it.
  const mistake = yield* Effect.flip(decode(Redacted.make("amqp://me:safe@broker-1?hartbeat=30")))

  return {
    vhost: decoded.vhost,
    // For logs: every secret is `**`.
    shown: ConnectionOptions.display(decoded),
    same: Equal.equals(decoded, again),
    endpoints: endpoints.map(ConnectionOptions.display),
    options: ConnectionOptions.display(options),
    mistake: mistake.message
  }
})

if (isMain(import.meta.url)) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
