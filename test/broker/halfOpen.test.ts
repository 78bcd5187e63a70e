import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { execFileSync } from "node:child_process"
import * as Net from "node:net"
import { residentMemory, start } from "../harness/childProcess.ts"

const wanted = 10_000
/** What a process has open besides. */
const spare = 200

/** How many sockets a process may have; Node takes all that it may. */
const allowed = (): number => {
  const limit = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim()
  return limit === "unlimited" ? wanted : Math.min(wanted, Number(limit) - spare)
}

const header = [65, 77, 81, 80, 0, 0, 9, 1]
const startOk = [1, 0, 0, 0, 0, 15, 0, 0, 10, 0, 11]

const broker = Effect.gen(function*() {
  const program = yield* start(process.execPath, ["--import", "tsx", "src/node/bin.ts", "broker", "--port", "0"])
  const [, port] = yield* program.seen(/listening on \S+:(\d+)/)
  return { pid: program.pid, port: Number(port) }
})

/** What the broker says to a hello. */
const greeted = (port: number) =>
  Effect.async<string>((resume) => {
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(Uint8Array.from(header)))
    socket.once("data", (bytes) => {
      socket.destroy()
      resume(Effect.succeed(bytes.subarray(7, 11).toString("hex")))
    })
    socket.once("error", (error) => resume(Effect.succeed(error.message)))
  })

describe("the standalone broker", () => {
  const count = allowed()

  it.scopedLive(
    "10,000 half-open handshakes on real sockets cost little, keep nobody out, and are dropped after ten seconds",
    () =>
      Effect.gen(function*() {
        if (count < wanted) {
          process.stderr.write(
            `\nONLY ${count} HALF-OPEN HANDSHAKES on real sockets, not ${wanted}: ulimit -Hn allows no more files.\n`
          )
        }
        const { pid, port } = yield* broker
        assert.strictEqual(yield* greeted(port), "000a000a")
        const before = residentMemory(pid)
        const sockets: Array<Net.Socket> = []
        yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
        const gone = new Set<Net.Socket>()
        const open = (index: number) =>
          Effect.async<void, Error>((resume) => {
            const socket = Net.connect(port, "127.0.0.1", () => {
              // Some say nothing, some no more than hello, and some stop in the middle of who they are.
              if (index % 3 > 0) socket.write(Uint8Array.from(index % 3 > 1 ? [...header, ...startOk] : header))
              resume(Effect.void)
            })
            socket.on("error", (error) => resume(Effect.fail(error)))
            socket.on("close", () => gone.add(socket))
            socket.resume()
            sockets.push(socket)
          })
        const from = performance.now()
        yield* Effect.forEach(Array.from({ length: count }, (_, index) => index), open, {
          concurrency: 100,
          discard: true
        })
        assert.strictEqual(yield* greeted(port), "000a000a")
        // 20 KiB each, with the buffers of the system's that are ours.
        assert.isBelow(residentMemory(pid) - before, count * 20 / 1024)
        // Ten seconds are over for the first ones when there were as many; for the last ones a little later.
        yield* Effect.repeat(Effect.sync(() => gone.size), {
          schedule: Schedule.spaced("100 millis"),
          until: (size) => size === count
        }).pipe(Effect.timeout("120 seconds"))
        assert.isAbove(performance.now() - from, 9500)
        assert.strictEqual(yield* greeted(port), "000a000a")
      }),
    180_000
  )
})
