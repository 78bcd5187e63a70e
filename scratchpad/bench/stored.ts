/**
 * `npx tsx scratchpad/bench/stored.ts`: what the standalone broker needs for a million ready messages of 100 bytes, in RSS
 * of its whole process. They are published over TCP with confirms, and all taken out again, so that a message that was
 * kept wrong or not at all is noticed. Fails above the limit.
 *
 *   --count 1000000   messages
 *   --size 100        bytes in a body
 *   --limit 600       MiB
 *   --distinct        each with other properties: an id, a time, a header
 *   --built           the broker as `npm run build` leaves it in `dist`, as users start it; else its sources, through tsx
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Channel, Connection, type Message } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { parseArgs } from "node:util"
import { residentMemory } from "../../test/harness/childProcess.ts"
import { root } from "./build.ts"

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "1000000" },
    size: { type: "string", default: "100" },
    limit: { type: "string", default: "600" },
    distinct: { type: "boolean", default: false },
    built: { type: "boolean", default: false }
  }
})
const count = Number(options.count)
const size = Number(options.size)
const batch = 10_000

const startBroker = Effect.acquireRelease(
  Effect.async<{ readonly pid: number; readonly port: number; readonly stop: () => void }, Error>((resume) => {
    const program = options.built ? ["dist/node/bin.js"] : ["--import", "tsx", "src/node/bin.ts"]
    const child = spawn(process.execPath, [...program, "broker", "--port", "0"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"]
    })
    child.once("exit", (code) => resume(Effect.fail(new Error(`the broker ended with ${code}`))))
    child.stdout.setEncoding("utf8").once("data", (text: string) => {
      const port = Number(/:(\d+)\s*$/.exec(text)?.[1])
      resume(Effect.succeed({ pid: child.pid ?? 0, port, stop: () => child.kill() }))
    })
  }),
  ({ stop }) => Effect.sync(stop)
)

const body = (index: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(0, index)
  return bytes
}

const message = (index: number): Message.Message => ({
  routingKey: "stored",
  content: body(index),
  properties: options.distinct
    ? { persistent: true, messageId: `message-${index}`, timestamp: 1_700_000_000 + index, headers: { index } }
    : { persistent: true }
})

const program = Effect.gen(function*() {
  const broker = yield* startBroker
  const before = residentMemory(broker.pid)
  const connection = yield* Connection.make({ port: broker.port })
  const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
  yield* channel.queueDeclare({ queue: "stored" })
  for (let from = 0; from < count; from += batch) {
    yield* channel.publishAll(
      Array.from({ length: Math.min(batch, count - from) }, (_, index) => message(from + index))
    )
  }
  const { messageCount } = yield* channel.queueDeclare({ queue: "stored", passive: true })
  const after = residentMemory(broker.pid)
  yield* Console.log(
    `${messageCount} ready messages of ${size} bytes: RSS ${after.toFixed(0)} MiB, ${before.toFixed(0)} MiB before`
  )
  if (messageCount !== count) return yield* Effect.dieMessage(`${count} were published`)

  let next = 0
  yield* channel.consume({ queue: "stored", noAck: true }).pipe(
    Stream.take(count),
    Stream.runForEachChunk((chunk) =>
      Effect.sync(() => {
        for (const { content } of Chunk.toReadonlyArray(chunk)) {
          if (content.length !== size || new DataView(content.buffer, content.byteOffset).getUint32(0) !== next++) {
            throw new Error(`message ${next - 1} came back as another one`)
          }
        }
      })
    )
  )
  if (after > Number(options.limit)) return yield* Effect.dieMessage(`more than ${options.limit} MiB`)
})

NodeRuntime.runMain(Effect.scoped(Effect.provide(program, NodeTransport.layer)))
