import { assert, describe, it, vi } from "@effect/vitest"
import { Transport } from "effect-amqp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ChildProcess from "node:child_process"
import Dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import { makeEnd, pattern, pipeContract, turns } from "../pipeContract.ts"
import { dial, live, livePki, nodeServer, Pki, refusal, tcpResources, until } from "./sockets.ts"

const dnsFault = (code: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: "getaddrinfo" })
const soon = (task: () => void) => void setImmediate(task)

const listenFault = (target: Transport.ListenTarget) =>
  Effect.flip(Effect.flatMap(Transport.TransportServer, (server) => server.listen(target, () => {})))

describe("NodeTransport over TCP", () => {
  pipeContract({
    layer: live,
    it: it.scopedLive,
    listenAt: { host: "127.0.0.1", port: 0 },
    dialTo: ({ port }) => ({ scheme: "amqp", host: "127.0.0.1", port })
  })
})

describe("NodeTransport's faults of a dial", () => {
  it.scopedLive("Refused: nobody listens on the port, and the text says where", () =>
    Effect.gen(function*() {
      const { port } = yield* Effect.scoped(nodeServer(Net.createServer()))
      assert.deepStrictEqual(yield* refusal({ host: "127.0.0.1", port }), {
        reason: "Refused",
        text: `127.0.0.1:${port} refused the connection`,
        endpoint: `127.0.0.1:${port}`
      })
    }).pipe(Effect.provide(live)))

  it.scopedLive("Timeout: a full backlog answers nothing within the bound", () =>
    Effect.gen(function*() {
      // A process that listens and then never accepts: its queue takes two, and the system drops the rest.
      const port = yield* Effect.acquireRelease(
        Effect.sync(() =>
          ChildProcess.spawn(process.execPath, [
            "-e",
            `const server = require("net").createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
              require("fs").writeSync(1, String(server.address().port))
              Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
            })`
          ], { stdio: ["ignore", "pipe", "ignore"] })
        ),
        (child) =>
          Effect.async<void>((resume) => {
            child.once("exit", () => resume(Effect.void))
            child.kill("SIGKILL")
          })
      ).pipe(Effect.flatMap((child) =>
        Effect.async<number>((resume) => {
          child.stdout.once("data", (bytes) => resume(Effect.succeed(Number(bytes))))
        })
      ))
      const before = tcpResources().length
      const target = { host: "127.0.0.1", port, connectTimeout: Duration.millis(300) }
      const outcomes = yield* Effect.all(
        Array.from({ length: 6 }, () => Effect.either(Effect.scoped(dial(target)))),
        { concurrency: "unbounded" }
      )
      const faults = outcomes.flatMap((outcome) => outcome._tag === "Left" ? [outcome.left] : [])
      assert.isAtLeast(faults.length, 1)
      assert.deepStrictEqual(faults.map((fault) => fault.reason), faults.map(() => "Timeout"))
      assert.strictEqual(faults[0]?.attempts[0]?.text, "no connection within 300ms")
      yield* until(() => tcpResources().length <= before)
    }).pipe(Effect.provide(live)))

  it.scopedLive("Dns: the host has no address", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* refusal({ host: "does-not-exist.invalid", port: 5672 }), {
        reason: "Dns",
        endpoint: "does-not-exist.invalid:5672"
      })
    }).pipe(Effect.provide(live)))

  it.scopedLive("Url: a scheme that needs another Transport, and a port that is none", () =>
    Effect.gen(function*() {
      assert.include(yield* refusal({ scheme: "memory", host: "", port: 1 }), {
        reason: "Url",
        text: "the scheme memory needs the in-memory Transport"
      })
      assert.strictEqual((yield* refusal({ host: "127.0.0.1", port: 70000 })).reason, "Url")
    }).pipe(Effect.provide(live)))

  describe("with what the name server says", () => {
    type Answer = (callback: (error: NodeJS.ErrnoException | null, addresses?: unknown) => void) => void
    const lookUp = (answer: Answer) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          vi.spyOn(Dns, "lookup").mockImplementation(
            // The callback is the last argument of each of its overloads.
            ((...args: Array<unknown>) => {
              const callback = args.at(-1)
              if (typeof callback === "function") answer((error, addresses) => callback(error, addresses))
            }) as typeof Dns.lookup
          )
        ),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
    it.scopedLive("Dns: in plain words for each fault", () =>
      Effect.gen(function*() {
        for (
          const [code, text] of [
            ["ENOTFOUND", "no such host"],
            ["EAI_AGAIN", "the name server did not answer"],
            ["EAI_FAIL", "the host's name could not be looked up: EAI_FAIL"]
          ] as const
        ) {
          const spy = yield* lookUp((callback) => soon(() => callback(dnsFault(code))))
          assert.include(yield* refusal({ host: "broker", port: 1 }), { reason: "Dns", text })
          spy.mockRestore()
        }
      }).pipe(Effect.provide(live)))

    it.effect("resolves a name to all of its addresses, in the system's order, and an address to itself", () =>
      Effect.gen(function*() {
        const resolve = (yield* Transport.Transport).resolve ?? assert.fail("no resolver")
        // The names that a module exports follow only then.
        const follow = Effect.sync(() => syncBuiltinESMExports())
        yield* Effect.addFinalizer(() => follow)
        yield* lookUp((callback) =>
          soon(() => callback(null, [{ address: "10.0.0.2", family: 4 }, { address: "::2", family: 6 }]))
        )
        yield* follow
        assert.deepStrictEqual(yield* resolve({ host: "cluster", port: 1 }), ["10.0.0.2", "::2"])
        assert.deepStrictEqual(yield* resolve({ host: "::1", port: 1 }), ["::1"])
        yield* lookUp((callback) => soon(() => callback(dnsFault("ENOTFOUND"))))
        yield* follow
        const fault = yield* Effect.flip(resolve({ host: "gone", port: 1 }))
        assert.deepStrictEqual(fault.attempts, [{ endpoint: "gone:1", reason: "Dns", text: "no such host" }])
      }).pipe(Effect.scoped, Effect.provide(live)))

    it.scopedLive("Timeout: a name server that never answers is under the same bound", () =>
      Effect.gen(function*() {
        yield* lookUp(() => {})
        const target = { host: "broker", port: 1, connectTimeout: Duration.millis(50) }
        assert.include(yield* refusal(target), { reason: "Timeout", endpoint: "broker:1" })
      }).pipe(Effect.provide(live)))

    it.scopedLive("Timeout: not at all where the bound is null, and a bound of years is what a timer can wait for", () =>
      Effect.gen(function*() {
        yield* lookUp(() => {})
        for (
          const [connectTimeout, expected] of [
            [undefined, [10_000]],
            [null, []],
            [Duration.days(365), [2 ** 31 - 1]]
          ] as const
        ) {
          const timers = vi.spyOn(globalThis, "setTimeout")
          const dialling = yield* Effect.fork(dial({ host: "broker", port: 1, connectTimeout }))
          yield* Effect.async<void>((resume) => soon(() => resume(Effect.void)))
          const delays = timers.mock.calls.map(([, delay]) => delay ?? 0).filter((delay) => delay > 1000)
          timers.mockRestore()
          assert.isNull(dialling.unsafePoll())
          assert.deepStrictEqual(delays, [...expected])
          yield* Fiber.interrupt(dialling)
        }
      }).pipe(Effect.provide(live)))

    for (const secure of [false, true]) {
      const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"].map((address) => ({ address, family: 4 }))

      it.scopedLive(`several addresses are tried in turn ${secure ? "(TLS)" : "(TCP)"}`, () =>
        Effect.gen(function*() {
          const pki = yield* Pki
          const server = yield* Transport.TransportServer
          const tls = { cert: { file: pki.server.cert }, key: { file: pki.server.key } }
          const bound = yield* server.listen(
            { host: "127.0.0.1", port: 0, ...(secure ? { tls } : {}) },
            (pipe) => {
              makeEnd(pipe, (end, bytes) => end.pipe.write(bytes)).start()
            }
          )
          yield* lookUp((callback) => soon(() => callback(null, addresses)))
          const client = makeEnd(
            yield* dial({ host: "localhost", port: bound.port, ...(secure ? { tls: { ca: [{ file: pki.ca }] } } : {}) })
          )
          client.start()
          client.pipe.write(pattern(100_000))
          yield* client.until(() => client.received().length === 100_000)
        }).pipe(Effect.provide(livePki)))

      it.scopedLive(`Refused by all of several addresses: each is named ${secure ? "(TLS)" : "(TCP)"}`, () =>
        Effect.gen(function*() {
          const { port } = yield* Effect.scoped(nodeServer(Net.createServer()))
          yield* lookUp((callback) => soon(() => callback(null, addresses)))
          assert.deepStrictEqual(yield* refusal({ host: "broker", port, ...(secure ? { tls: {} } : {}) }), {
            reason: "Refused",
            text: addresses.map(({ address }) => `${address}:${port} refused the connection`).join(", "),
            endpoint: `broker:${port}`
          })
        }).pipe(Effect.provide(live)))
    }
  })
})

describe("NodeTransport's sockets", () => {
  it.scopedLive("a reset is a close with its cause", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* nodeServer(Net.createServer())
      const client = makeEnd(yield* dial({ host: "127.0.0.1", port }))
      client.start()
      yield* until(() => sockets.size === 1)
      for (const socket of sockets) socket.resetAndDestroy()
      yield* client.until(() => client.closes.length === 1)
      yield* turns(client.pipe)
      assert.lengthOf(client.closes, 1)
      assert.propertyVal(client.closes[0], "code", "ECONNRESET")
    }).pipe(Effect.provide(live)))

  it.scopedLive("a reset cuts off what was not written, and still calls each onWritten once", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* nodeServer(Net.createServer({ pauseOnConnect: true }))
      const client = makeEnd(yield* dial({ host: "127.0.0.1", port }))
      client.start()
      const written: Array<number> = []
      for (let i = 0; i < 16; i++) client.pipe.write(pattern(1_000_000), () => written.push(i))
      yield* until(() => sockets.size === 1)
      for (const socket of sockets) socket.resetAndDestroy()
      yield* client.until(() => client.closes.length === 1)
      yield* until(() => written.length >= 16)
      yield* turns(client.pipe)
      assert.sameMembers(written, Array.from({ length: 16 }, (_, i) => i))
      assert.isDefined(client.closes[0])
    }).pipe(Effect.provide(live)))

  it.scopedLive("have noDelay on and keep-alive off, unless told otherwise", () =>
    Effect.gen(function*() {
      const noDelay = vi.spyOn(Net.Socket.prototype, "setNoDelay")
      const keepAlive = vi.spyOn(Net.Socket.prototype, "setKeepAlive")
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          noDelay.mockRestore()
          keepAlive.mockRestore()
        })
      )
      const { port } = yield* nodeServer(Net.createServer())
      yield* dial({ host: "127.0.0.1", port })
      assert.deepStrictEqual(noDelay.mock.lastCall, [true])
      assert.strictEqual(keepAlive.mock.calls.length, 0)
      yield* dial({ host: "127.0.0.1", port, tcp: { noDelay: false, keepAlive: Duration.seconds(30) } })
      assert.deepStrictEqual(noDelay.mock.lastCall, [false])
      assert.deepStrictEqual(keepAlive.mock.lastCall, [true, 30_000])
    }).pipe(Effect.provide(live)))

  it.scopedLive("leave nothing behind: no socket, no timer", () =>
    Effect.gen(function*() {
      const before = tcpResources()
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* Transport.TransportServer
        const bound = yield* server.listen({ host: "127.0.0.1", port: 0 }, (pipe) => makeEnd(pipe).start())
        const clients = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          dial({ host: "127.0.0.1", port: bound.port }))
        for (const pipe of clients) {
          pipe.write(pattern(1_000_000))
        }
      }))
      yield* until(() =>
        tcpResources().length <= before.length
      )
    }).pipe(Effect.provide(live)))

  it.scopedLive("name the peer as it was dialled, and as it came", () =>
    Effect.gen(function*() {
      const server = yield* Transport.TransportServer
      const accepted: Array<Transport.Pipe> = []
      const bound = yield* server.listen({ host: "localhost", port: 0 }, (pipe) => {
        accepted.push(pipe)
        makeEnd(pipe).start()
      })
      assert.strictEqual(bound.host, "127.0.0.1")
      const pipe = yield* dial({ host: "localhost", port: bound.port })
      assert.strictEqual(pipe.remote, `localhost:${bound.port}`)
      yield* until(() => accepted.length === 1)
      assert.match(accepted[0]?.remote ?? "", /^127\.0\.0\.1:\d+$/)
      assert.isUndefined(pipe.tls)
    }).pipe(Effect.provide(live)))
})

describe("NodeTransport's faults of listening", () => {
  it.scopedLive("Other: an address that is not this machine's, TLS without a certificate", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* listenFault({ host: "192.0.2.1", port: 0 })).reason, "Other")
      const tls = yield* listenFault({ host: "127.0.0.1", port: 0, tls: {} })
      assert.include(tls, { reason: "Other", text: "TLS needs a certificate and its key" })
    }).pipe(Effect.provide(live)))
})
