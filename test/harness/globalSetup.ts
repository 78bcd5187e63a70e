/**
 * Runs once beside a whole run of tests: starts the shared RabbitMQ node for the first test file that asks, stops it at
 * the end, and says at the end what was skipped.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { skipSummary } from "./debian.ts"
import * as RabbitMq from "./rabbitmq.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** The socket that answers with the shared node's place. */
    rabbitmq: string
    /** The file that takes notes of skipped tests. */
    skips: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "effect-amqp-tests-"))
  const skips = join(folder, "skips")
  const rabbitmq = join(folder, "rabbitmq")
  writeFileSync(skips, "")

  const scope = Effect.runSync(Scope.make())
  const answer = Effect.runSync(Effect.cached(
    RabbitMq.node().pipe(
      Scope.extend(scope),
      Effect.match({ onFailure: ({ text }) => ({ unavailable: text }), onSuccess: ({ place }) => place })
    )
  ))
  const server = createServer((socket) => {
    socket.on("error", () => {}) // the asking test file went away
    void Effect.runPromise(answer).then((found) => socket.end(JSON.stringify(found)))
  })
  await new Promise<void>((resolve) => server.listen(rabbitmq, resolve))
  project.provide("rabbitmq", rabbitmq)
  project.provide("skips", skips)

  return async () => {
    server.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    const summary = skipSummary(skips)
    rmSync(folder, { recursive: true })
    if (summary !== undefined) process.stderr.write(`\n${summary}\n`)
  }
}
