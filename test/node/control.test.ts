/** The broker as a program of its own, with faults over HTTP: its client is amqplib, its tester `fetch`. */
import { assert, layer } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Fault } from "effect-amqp/broker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import { start } from "../harness/childProcess.ts"

class Program extends Context.Tag("test/Program")<Program, {
  readonly url: string
  readonly control: string
}>() {
  static readonly layer = Layer.scoped(
    Program,
    Effect.gen(function*() {
      const broker = yield* start(
        process.execPath,
        ["--import", "tsx", "src/node/bin.ts", "broker", "--port", "0", "--control", "0"],
        { timeoutMillis: 60_000 }
      )
      const [, address] = yield* broker.seen(/listening on (\S+)\n/)
      const [, control = ""] = yield* broker.seen(/control on (\S+)\n/)
      return { url: `amqp://guest:guest@${address}/%2F`, control }
    })
  )
}

const request = (method: string, path: string, body?: unknown) =>
  Effect.flatMap(Program, ({ control }) =>
    Effect.promise(async () => {
      const text = typeof body === "string" ? body : JSON.stringify(body)
      const response = await fetch(`${control}${path}`, { method, ...text === undefined ? {} : { body: text } })
      return { status: response.status, json: await response.json() }
    }))

const get = (path: string) => Effect.map(request("GET", path), ({ json }) => json)

const connect = (name: string) =>
  Effect.acquireRelease(
    Effect.flatMap(Program, ({ url }) =>
      Effect.promise(async () => {
        const connection = await amqplib.connect(url, { clientProperties: { connection_name: name } })
        // Without a listener an error would end the program.
        connection.on("error", () => {})
        return connection
      })),
    (connection) => Effect.promise(() => connection.close().catch(() => {}))
  )

const confirming = (name: string) =>
  Effect.flatMap(connect(name), (connection) =>
    Effect.promise(async () => {
      const channel = await connection.createConfirmChannel()
      channel.on("error", () => {})
      await channel.assertQueue(name, { durable: false })
      return { connection, channel }
    }))

/** `once` of Node would take an error before it for its own. */
const closing = (connection: amqplib.ChannelModel) =>
  new Promise<void>((resolve) => void connection.once("close", () => resolve()))

/** The confirm, or its refusal. */
const publish = (channel: amqplib.ConfirmChannel, queue: string, text: string) =>
  Effect.async<"confirmed" | "nacked">((resume) => {
    channel.sendToQueue(
      queue,
      Buffer.from(text),
      { headers: { n: 1 } },
      (error) => resume(Effect.succeed(error === null || error === undefined ? "confirmed" : "nacked"))
    )
  })

const runBroker = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(
    start(process.execPath, ["--import", "tsx", "src/node/bin.ts", "broker", ...args], { timeoutMillis: 60_000 }),
    ({ exit }) => exit
  )

layer(Program.layer, { excludeTestServices: true })("control over HTTP", (it) => {
  it.scoped("nacks the next publishes of the connection named, and shows what was published", () =>
    Effect.gen(function*() {
      const { channel } = yield* confirming("nacked")
      const { channel: other } = yield* confirming("other")
      const injected = yield* request("POST", "/faults/nackNext", { count: 1, connection: "nacked" })
      assert.strictEqual(injected.status, 200)
      assert.strictEqual(injected.json.affected, 1)
      assert.strictEqual(yield* publish(other, "other", "1"), "confirmed")
      assert.strictEqual(yield* publish(channel, "nacked", "2"), "nacked")
      assert.strictEqual(yield* publish(channel, "nacked", "3"), "confirmed")
      assert.deepStrictEqual(
        (yield* get("/published")).map((each: Record<string, unknown>) => [
          each["connection"],
          each["routingKey"],
          Buffer.from(String(each["body"]), "base64").toString()
        ]),
        [["other", "other", "1"], ["nacked", "nacked", "2"], ["nacked", "nacked", "3"]]
      )
      assert.deepInclude(
        (yield* get("/queues?vhost=/")).find((queue: Record<string, unknown>) => queue["name"] === "nacked"),
        { ready: 1, unsettled: 0, consumers: 0 }
      )
      assert.deepStrictEqual(yield* get("/queues?vhost=missing"), [])
    }))

  it.scoped("blocks who publishes, lists it, and unblocks by the fault's number", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* confirming("blocked")
      yield* publish(channel, "blocked", "1")
      const blocked = once(connection, "blocked")
      const { json: { id } } = yield* request("POST", "/faults/block", { reason: "memory", connection: "blocked" })
      assert.deepStrictEqual(yield* Effect.promise(() => blocked), ["memory"])
      assert.deepStrictEqual(yield* get("/faults"), [
        { id, fault: { _tag: "Block", reason: "memory", connection: "blocked" } }
      ])
      assert.deepInclude(
        (yield* get("/connections")).find((each: Record<string, unknown>) => each["name"] === "blocked"),
        { blocked: "memory", user: "guest", vhost: "/", channels: 1 }
      )
      const unblocked = once(connection, "unblocked")
      assert.deepStrictEqual((yield* request("DELETE", `/faults/${id}`)).json, { healed: 1 })
      yield* Effect.promise(() => unblocked)
      assert.strictEqual(yield* publish(channel, "blocked", "2"), "confirmed")
    }))

  it.scoped("closes channels and connections with a code, and cancels consumers", () =>
    Effect.gen(function*() {
      const { channel, connection } = yield* confirming("closed")
      const cancelled = new Promise((resolve) => void channel.consume("closed", resolve))
      yield* Effect.promise(() => channel.checkQueue("closed"))
      assert.strictEqual((yield* request("POST", "/faults/cancelConsumer", { queue: "closed" })).json.affected, 1)
      assert.isNull(yield* Effect.promise(() => cancelled))

      const failed = once(channel, "error")
      yield* request("POST", "/faults/closeChannel", { code: 406, text: "enough", connection: "closed" })
      assert.deepInclude((yield* Effect.promise(() => failed))[0], { code: 406 })

      const ended = once(connection, "error")
      yield* request("POST", "/faults/closeConnection", { code: 541, text: "broken", connection: "closed" })
      const [error] = yield* Effect.promise(() => ended)
      assert.include(String(error), "broken")
    }))

  it.scoped("drops, refuses, delays, cuts frames and splits writes", () =>
    Effect.gen(function*() {
      const one = yield* connect("one")
      const closed = closing(one)
      assert.strictEqual((yield* request("POST", "/faults/drop", { connection: "one" })).json.affected, 1)
      yield* Effect.promise(() => closed)

      yield* request("POST", "/faults/refuse")
      const { url } = yield* Program
      yield* Effect.promise(() => amqplib.connect(url).then(() => assert.fail("it got in"), () => {}))
      assert.deepStrictEqual((yield* request("DELETE", "/faults/refuse")).json, { healed: 1 })

      yield* request("POST", "/faults/splitWrites")
      yield* request("POST", "/faults/delay", { by: "50 millis" })
      const before = performance.now()
      const { channel, connection } = yield* confirming("slow")
      assert.strictEqual(yield* publish(channel, "slow", "x".repeat(1000)), "confirmed")
      assert.isAbove(performance.now() - before, 6 * 50)
      assert.deepStrictEqual((yield* request("DELETE", "/faults")).json, { healed: 2 })

      const cut = closing(connection)
      yield* request("POST", "/faults/cutFrame", { connection: "slow" })
      channel.sendToQueue("slow", Buffer.from("y"))
      yield* Effect.promise(() => cut)
      assert.deepStrictEqual(yield* get("/faults"), [])
    }))

  it.scoped("takes every fault there is, by its name, and lists those that are not over", () =>
    Effect.gen(function*() {
      const needs: Partial<Record<Fault.Name, object>> = {
        dropAfter: { frames: 1 },
        block: { reason: "memory" },
        nackNext: { count: 1 },
        loseNext: { count: 1, stored: true },
        closeChannel: { code: 404 },
        delay: { by: "1 second" }
      }
      const over: ReadonlyArray<Fault.Name> = ["drop", "closeChannel", "closeConnection", "cancelConsumer"]
      const names = Object.keys(Fault.definitions).filter(Fault.isName)
      for (const name of names) {
        const { json, status } = yield* request("POST", `/faults/${name}`, { ...needs[name], connection: "nobody" })
        assert.deepStrictEqual([name, status, json.affected], [name, 200, 0])
      }
      const listed: ReadonlyArray<Fault.Active> = yield* get("/faults")
      assert.deepStrictEqual(
        listed.map(({ fault }) => Fault.nameOf.get(fault._tag)),
        names.filter((name) => !over.includes(name))
      )
      assert.deepStrictEqual((yield* request("DELETE", "/faults")).json, { healed: names.length - over.length })
    }))

  it.scoped("answers 400 to what does not fit, with the reason, and 404 to what it does not know", () =>
    Effect.gen(function*() {
      for (
        const [name, fields, reason] of [
          ["block", undefined, "[\"reason\"]"],
          ["nackNext", { count: 0 }, "positive"],
          ["delay", { by: 5 }, "a finite duration"],
          ["drop", { conection: "one" }, "conection"],
          ["drop", [], "Expected"],
          ["drop", "{", "JSON"]
        ] as const
      ) {
        const { json, status } = yield* request("POST", `/faults/${name}`, fields)
        assert.strictEqual(status, 400)
        assert.include(json.error, reason)
      }
      // Too long to be read to its end: the socket is closed instead.
      yield* Effect.ignore(Effect.sandbox(request("POST", "/faults/drop", "x".repeat(1_000_000))))
      for (
        const [method, path, reason] of [
          ["GET", "/nowhere", "There is no GET /nowhere"],
          ["POST", "/faults/explode", "There is no fault explode. Known: drop, "],
          ["POST", "/faults/constructor", "There is no fault constructor"],
          ["DELETE", "/faults/explode", "There is no fault explode"],
          ["PUT", "/faults/drop", "There is no PUT"]
        ] as const
      ) {
        const { json, status } = yield* request(method, path)
        assert.strictEqual(status, 404)
        assert.include(json.error, reason)
      }
      assert.deepStrictEqual(yield* get("/faults"), [])
    }))

  it.scoped("tells in its help every fault and its fields", () =>
    Effect.gen(function*() {
      const { stdout } = yield* runBroker("--help")
      assert.include(stdout, "--control integer")
      assert.include(stdout, "loseNext count stored?, closeChannel code text? channel?")
    }), 60_000)

  it.scoped("ends with a word when control cannot listen", () =>
    Effect.gen(function*() {
      const { control } = yield* Program
      const { host, hostname, port } = new URL(control)
      const { code, stderr } = yield* runBroker("--port", "0", "--control", port)
      assert.strictEqual(hostname, "127.0.0.1")
      assert.notStrictEqual(code, 0)
      assert.include(stderr, `Cannot listen on ${host}: another program listens there`)
    }), 60_000)
})
