/** A program that keeps its thread for itself for longer than two heartbeat intervals, and a broker in another thread. */
import { assert, describe, it } from "@effect/vitest"
import { Reconnect } from "effect-amqp"
import { Connection, Frame, type Method } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Worker } from "node:worker_threads"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

const said = (method: Method.Method): Uint8Array => {
  const writer = new ByteWriter(1024)
  Frame.encode(writer, { _tag: "MethodFrame", channel: 0, method })
  return writer.bytes.slice(0, writer.length)
}

/** What a broker answers to the protocol header, to start-ok, and to tune-ok with open. */
const answers = [
  said({
    _tag: "ConnectionStart",
    versionMajor: 0,
    versionMinor: 9,
    serverProperties: {},
    mechanisms: "PLAIN",
    locales: "en_US"
  }),
  said({ _tag: "ConnectionTune", channelMax: 0, frameMax: 0, heartbeat: 1 }),
  said({ _tag: "ConnectionOpenOk" })
]

const broker = `
  const { parentPort, workerData } = require("node:worker_threads")
  const server = require("node:net").createServer((socket) => {
    let answered = 0
    let beating
    socket.on("error", () => {})
    socket.on("close", () => clearInterval(beating))
    socket.on("data", () => {
      if (answered === workerData.answers.length) return
      socket.write(workerData.answers[answered++])
      if (answered < workerData.answers.length || !workerData.beats) return
      beating = setInterval(() => socket.write(workerData.heartbeat), 250)
    })
  })
  server.listen({ host: "127.0.0.1", port: 0 }, () => parentPort.postMessage(server.address().port))
`

/** The port of a broker that goes on sending heartbeats, or does not. */
const listening = (beats: boolean) =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => new Worker(broker, { eval: true, workerData: { answers, beats, heartbeat: Frame.heartbeat } })),
      (worker) => Effect.promise(() => worker.terminate())
    ),
    (worker) => Effect.async<number>((resume) => void worker.once("message", (port) => resume(Effect.succeed(port))))
  )

/** Nothing else runs on this thread meanwhile. */
const busy = (millis: number) =>
  Effect.sync(() => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis))

const connected = (port: number) =>
  Connection.make({ host: "127.0.0.1", port, reconnect: Reconnect.none, closeTimeout: "100 millis" })

describe("After the program was busy for longer than two heartbeat intervals", () => {
  it.live("what the broker sent meanwhile is read before its silence is judged: the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* connected(yield* listening(true))
      assert.deepStrictEqual((yield* connection.info).heartbeat, Duration.seconds(1))
      yield* Effect.sleep("300 millis")
      yield* busy(2600)
      yield* Effect.sleep("500 millis")
      assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 1 })
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)))

  it.live("a broker that said nothing all the while is lost a moment later", () =>
    Effect.gen(function*() {
      const connection = yield* connected(yield* listening(false))
      const closed = yield* Effect.fork(connection.closed)
      yield* busy(2600)
      assert.propertyVal(yield* Effect.timeout(Fiber.join(closed), "1 second"), "reason", "Heartbeat")
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)))
})
