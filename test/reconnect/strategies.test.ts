import { assert, describe, it } from "@effect/vitest"
import { AmqpError, Credentials, Reconnect, Transport } from "effect-amqp"
import { Connection, type ConnectionOptions, ConnectionPool } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { warnings } from "../amqp091/onBroker.ts"
import { onNetwork, print, settle, states } from "./network.ts"

const urls = ["amqp://a", "amqp://b", "amqp://c"] as const

/** Who is dialled at each time, in order: `2000: b c a`. */
const rounds = (dials: ReadonlyArray<{ readonly at: number; readonly where: string }>) => {
  const byTime = new Map<number, Array<string>>()
  for (const { at, where } of dials) byTime.set(at, [...byTime.get(at) ?? [], where])
  return Array.from(byTime, ([at, nodes]) => `${at}: ${nodes.join(" ")}`)
}

const table = (title: string, lines: ReadonlyArray<string>) =>
  print(title, ["at (ms)", "dialled, in order"], lines.map((line) => line.split(": ")))

/** Connected to `a`, then everything is lost after 10 s, `b` is back at 12.5 s, and lost again at 30 s. */
const story = (failover: Connection.Failover, title: string) =>
  onNetwork(({ dials, down, lose }) =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ urls, failover, reconnect: Schedule.spaced("1 second") })
      yield* TestClock.adjust("10 seconds")
      yield* lose("a", "b", "c")
      yield* TestClock.adjust("2500 millis")
      down.delete("b")
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual((yield* connection.info).endpoint, "b:5672")
      yield* TestClock.adjust("16 seconds")
      yield* lose("b")
      yield* TestClock.adjust("1500 millis")
      const lines = rounds(dials)
      table(`failover: ${title}`, lines)
      return lines
    })
  )

describe("the endpoints of each round, by", () => {
  it.scoped("in-order: from the first, each time", () =>
    Effect.map(story("in-order", "\"in-order\""), (lines) =>
      assert.deepStrictEqual(lines, [
        "0: a",
        "10000: a b c",
        "11000: a b c",
        "12000: a b c",
        "13000: a b",
        "30000: a b c",
        "31000: a b c"
      ])))

  it.scoped("round-robin: on from the one that was dialled last", () =>
    Effect.map(story("round-robin", "\"round-robin\""), (lines) =>
      assert.deepStrictEqual(lines, [
        "0: a",
        "10000: b c a",
        "11000: b c a",
        "12000: b c a",
        "13000: b",
        "30000: c a b",
        "31000: c a b"
      ])))

  it.scoped("shuffle: each once, in an order of chance", () =>
    onNetwork(({ dials, lose }) =>
      Effect.gen(function*() {
        yield* Connection.make({ urls, failover: "shuffle", reconnect: Schedule.spaced("1 second") })
        yield* TestClock.adjust("10 seconds")
        yield* lose("a", "b", "c")
        yield* TestClock.adjust("8500 millis")
        const lines = rounds(dials).slice(1)
        table("failover: \"shuffle\"", lines)
        assert.lengthOf(lines, 9)
        const orders = lines.map((line) => line.split(": ")[1] ?? "")
        for (const order of orders) assert.sameMembers(order.split(" "), ["a", "b", "c"])
        assert.isAbove(new Set(orders).size, 2)
      })
    ))

  it.scoped("random: as many as there are, each drawn from all", () =>
    onNetwork(({ dials, down, lose }) =>
      Effect.gen(function*() {
        down.add("c")
        yield* Connection.make({
          urls,
          failover: "random",
          connect: Schedule.spaced("1 second"),
          reconnect: Schedule.spaced("1 second")
        })
        yield* TestClock.adjust("10 seconds")
        dials.length = 0
        yield* lose("a", "b", "c")
        yield* TestClock.adjust("8500 millis")
        const lines = rounds(dials)
        table("failover: \"random\"", lines)
        const orders = lines.map((line) => (line.split(": ")[1] ?? "").split(" "))
        for (const order of orders) assert.lengthOf(order, 3)
        assert.isTrue(orders.some((order) => new Set(order).size < 3), "one may be drawn twice")
        assert.strictEqual(new Set(orders.flat()).size, 3)
      })
    ))

  it.scoped("priority: from the first, each time; and back to a better one when that answers again", () =>
    onNetwork(({ dials, down, lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({
          urls,
          failover: "priority",
          reconnect: Schedule.spaced("1 second")
        })
        const seen = yield* states(connection)
        yield* TestClock.adjust("10 seconds")
        yield* lose("a", "b")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* connection.info).endpoint, "c:5672")
        yield* TestClock.adjust("5500 millis")
        down.delete("b")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* connection.info).endpoint, "b:5672")
        yield* TestClock.adjust("4500 millis")
        down.delete("a")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* connection.info).endpoint, "a:5672")
        yield* TestClock.adjust("1 minute")
        const lines = rounds(dials)
        table("failover: \"priority\"", lines)
        assert.deepStrictEqual(lines, [
          "0: a",
          "10000: a b c",
          // It has proved stable after five seconds.
          "15000: a b",
          "16000: a b",
          "17000: a b",
          "22000: a",
          "23000: a"
        ])
        // It is dialled beside the open one, which is left only then.
        assert.deepStrictEqual(
          seen.map((state) => "endpoint" in state ? `${state._tag} ${state.endpoint}` : state._tag),
          [
            "Open a:5672",
            "Recovering",
            "Connecting a:5672",
            "Connecting b:5672",
            "Connecting c:5672",
            "Open c:5672",
            "Connecting b:5672",
            "Open b:5672",
            "Connecting a:5672",
            "Open a:5672"
          ]
        )
        assert.lengthOf(read(), 12)
      })
    ))

  it.scoped("a function of one's own, which knows the last one and the fault", () => {
    const asked: Array<string> = []
    const lastFirst: Connection.Failover = ({ endpoints, fault, last, round }) => {
      asked.push(`${round} ${last?.host ?? "-"} ${fault?._tag ?? "-"}`)
      return last === undefined ? endpoints : [last, ...endpoints.filter((each) => each !== last)]
    }
    return Effect.map(story(lastFirst, "a function: the last one first"), (lines) => {
      assert.deepStrictEqual(lines, [
        "0: a",
        "10000: a b c",
        "11000: c a b",
        "12000: b a c",
        "13000: c a b",
        "30000: b a c",
        "31000: c a b"
      ])
      assert.deepStrictEqual(asked.slice(0, 4), [
        "0 - -",
        "1 a ConnectionLost",
        "2 c ConnectError",
        "3 b ConnectError"
      ])
    })
  })

  it.scoped("a function that names nobody: a round that failed, as Discovery", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        const fault = yield* Effect.flip(Connection.make({ urls, failover: () => [] }))
        assert.strictEqual(fault.reason, "Discovery")
        assert.lengthOf(dials, 0)
      })
    ))

  it.scoped("the URL's failover_strategy", () =>
    onNetwork(({ lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({
          url: "amqp://a?failover_strategy=in-order;amqp://b",
          reconnect: Schedule.spaced("1 second")
        })
        assert.strictEqual((yield* connection.info).failover, "in-order")
        yield* TestClock.adjust("10 seconds")
        yield* lose()
        yield* settle
        assert.deepStrictEqual(read(), ["0 a", "10000 a"])
      })
    ))
})

describe("discovery", () => {
  it.scoped("is asked before each round, and its order is the round's; what it leaves out is the options'", () =>
    onNetwork(({ broker, dials, down, lose }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: Redacted.make("safe") })
        yield* broker.addUser({ name: "you", password: Redacted.make("safe") })
        const lists: Array<ReadonlyArray<ConnectionOptions.ConnectionOptions.Endpoint>> = [
          ["a"],
          ["b", "a:5673", { host: "c", username: "you", password: Redacted.make("safe") }],
          ["amqp://you:safe@d:1234/?heartbeat=7"]
        ]
        let asked = 0
        const connection = yield* Connection.make({
          url: "amqp://me:safe@seed/?heartbeat=30",
          failover: Effect.sync(() => lists[asked++] ?? []),
          reconnect: Schedule.spaced("1 second")
        })
        assert.strictEqual((yield* connection.info).failover, "discovery")
        yield* TestClock.adjust("10 seconds")
        down.add("b")
        down.add("c")
        yield* lose("a")
        yield* TestClock.adjust("2 seconds")
        const info = yield* connection.info
        assert.strictEqual(info.endpoint, "d:1234")
        assert.deepStrictEqual(info.alternates, ["d:1234"])
        assert.strictEqual(Number(info.heartbeat.value._tag === "Millis" && info.heartbeat.value.millis), 7000)
        table("failover: an Effect that lists endpoints", rounds(dials))
        assert.deepStrictEqual(rounds(dials).map((line) => line.split(": ")[1]), ["a", "b a c", "d"])
        assert.strictEqual(asked, 3)
      })
    ))

  it.scoped("that fails, lists nobody, names what is no endpoint or does not answer is a failed round, typed", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        const answers: ReadonlyArray<
          Effect.Effect<ReadonlyArray<string>, { readonly _tag: string; readonly secret: string }>
        > = [
          Effect.fail({ _tag: "ConsulError", secret: "s3cr3t" }),
          Effect.succeed([]),
          Effect.succeed(["amqp://u:s3cr3t@a/?no_such_thing=1"]),
          Effect.never,
          Effect.succeed(["a"])
        ]
        let asked = 0
        const connecting = yield* Effect.fork(Connection.make({
          url: "amqp://seed",
          failover: Effect.suspend(() => answers[asked++] ?? Effect.never),
          connect: Schedule.spaced("1 second")
        }))
        yield* TestClock.adjust("1 minute")
        const connection = yield* Fiber.join(connecting)
        assert.strictEqual((yield* connection.info).endpoint, "a:5672")
        assert.deepStrictEqual(rounds(dials), ["19000: a"])

        asked = 0
        const failing = yield* Effect.fork(Effect.flip(Connection.make({
          url: "amqp://seed",
          failover: Effect.suspend(() => answers[asked++] ?? Effect.never),
          connect: Schedule.recurs(3)
        })))
        yield* TestClock.adjust("1 minute")
        const fault = yield* Fiber.join(failing)
        assert.deepStrictEqual(fault.attempts.map(({ reason, text }) => `${reason}: ${text.slice(0, 60)}`), [
          "Discovery: the list of endpoints failed (ConsulError)",
          "Discovery: no endpoint is listed",
          fault.attempts[2] === undefined ? "" : `Url: ${fault.attempts[2].text.slice(0, 60)}`,
          "Discovery: the list of endpoints did not answer within 15s"
        ])
        assert.notInclude(fault.message, "s3cr3t")
        assert.isTrue(AmqpError.isTransient(fault))
      })
    ))
})

describe("a name with several addresses", () => {
  it.scoped("is several endpoints: each is dialled for itself, and round-robin goes on with the next", () =>
    onNetwork(({ dials, down, lose, names }) =>
      Effect.gen(function*() {
        names.set("cluster", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        down.add("10.0.0.1")
        const connection = yield* Connection.make({ url: "amqp://cluster", reconnect: Schedule.spaced("1 second") })
        assert.strictEqual((yield* connection.info).address, "10.0.0.2")
        yield* TestClock.adjust("10 seconds")
        yield* lose("10.0.0.2", "10.0.0.3")
        yield* TestClock.adjust("1500 millis")
        table("a name with three addresses", rounds(dials))
        assert.deepStrictEqual(rounds(dials), [
          "0: cluster@10.0.0.1 cluster@10.0.0.2",
          // At once: there are others behind the same name.
          "10000: cluster@10.0.0.3 cluster@10.0.0.1 cluster@10.0.0.2",
          "11000: cluster@10.0.0.3 cluster@10.0.0.1 cluster@10.0.0.2"
        ])
        const state = yield* connection.state
        assert(state._tag === "Recovering" && state.fault._tag === "ConnectError")
        assert.deepStrictEqual(state.fault.attempts.map(({ address, endpoint }) => `${endpoint} ${address}`), [
          "cluster:5672 10.0.0.3",
          "cluster:5672 10.0.0.1",
          "cluster:5672 10.0.0.2"
        ])
        assert.include(state.fault.message, "cluster:5672 at 10.0.0.3: down")
      })
    ))

  it.scoped("goes in the resolver's order with in-order, and is asked for again before each dial", () =>
    onNetwork(({ dials, down, lose, names }) =>
      Effect.gen(function*() {
        names.set("cluster", ["10.0.0.1", "10.0.0.2"])
        down.add("10.0.0.1")
        yield* Connection.make({
          url: "amqp://cluster",
          failover: "in-order",
          reconnect: Schedule.spaced("1 second")
        })
        yield* TestClock.adjust("10 seconds")
        names.set("cluster", ["10.0.0.9", "10.0.0.2"])
        yield* lose("10.0.0.9")
        yield* settle
        assert.deepStrictEqual(rounds(dials), [
          "0: cluster@10.0.0.1 cluster@10.0.0.2",
          "10000: cluster@10.0.0.9 cluster@10.0.0.2"
        ])
      })
    ))

  it.scoped("has the whole bound of a dial for each of them", () =>
    onNetwork(({ broker, dials, names }) =>
      Effect.gen(function*() {
        names.set("cluster", ["10.0.0.1", "10.0.0.2"])
        yield* broker.stall()
        const connecting = yield* Effect.fork(Effect.flip(Connection.make({ url: "amqp://cluster" })))
        yield* TestClock.adjust("29999 millis")
        assert.isNull(connecting.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual((yield* Fiber.join(connecting)).attempts.map(({ reason }) => reason), [
          "Timeout",
          "Timeout"
        ])
        assert.deepStrictEqual(rounds(dials), ["0: cluster@10.0.0.1", "15000: cluster@10.0.0.2"])
      })
    ))

  it.scoped("that cannot be resolved fails alone: those after it are dialled", () =>
    onNetwork(({ dials, names }) =>
      Effect.gen(function*() {
        names.set("gone", [])
        const connection = yield* Connection.make({ urls: ["amqp://gone", "amqp://b"] })
        const info = yield* connection.info
        assert.strictEqual(info.endpoint, "b:5672")
        assert.deepStrictEqual(rounds(dials), ["0: b"])
        const fault = yield* Effect.flip(Connection.make({ url: "amqp://gone" }))
        assert.deepStrictEqual(fault.attempts, [{ endpoint: "gone:5672", reason: "Dns", text: "no such host" }])
      })
    ))

  it.scoped("whose resolver does not answer is Dns, at the socket timeout", () =>
    onNetwork(({ names }) =>
      Effect.gen(function*() {
        names.set("slow", ["10.0.0.1"])
        const connecting = yield* Effect.fork(
          Effect.flip(Connection.make({ url: "amqp://slow" })).pipe(
            Effect.provideServiceEffect(
              Transport.Transport,
              Effect.map(Transport.Transport, (transport) => ({ ...transport, resolve: () => Effect.never }))
            )
          )
        )
        yield* TestClock.adjust("10 seconds")
        const fault = yield* Fiber.join(connecting)
        assert.strictEqual(fault.reason, "Dns")
        assert.include(fault.message, "did not answer within 10s")
      })
    ))
})

describe("each endpoint of a list", () => {
  it.scoped("has credentials, virtual host and TLS of its own; a bare host has the first one's", () =>
    onNetwork(({ broker, dials, lose }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("prod")
        yield* broker.addUser({ name: "me", password: Redacted.make("mine"), vhosts: ["/", "prod"] })
        yield* broker.addUser({ name: "you", password: Redacted.make("yours"), vhosts: ["/", "prod"] })
        const connection = yield* Connection.make({
          urls: ["amqps://me:mine@a/prod?verify=verify_none", "b", "amqp://you:yours@c:1234/prod", "amqps://d"],
          failover: "in-order",
          reconnect: Schedule.spaced("1 second")
        })
        const seen: Array<string> = []
        for (const [at, node] of ["a", "b", "c", "d"].entries()) {
          const { options } = yield* connection.info
          const [user] = options.credentials
          assert.strictEqual(options.host, node)
          seen.push(
            `${node} ${
              Credentials.isCredentials(user) && "username" in user ? String(user.username) : ""
            } ${options.vhost}`
          )
          yield* TestClock.adjust("10 seconds")
          if (at === 3) break
          yield* lose(node)
          yield* settle
        }
        assert.deepStrictEqual(seen, ["a me prod", "b me prod", "c you prod", "d me prod"])
        const tls = new Map(
          dials.map(({ target, where }) => [where, `${target.scheme}:${target.port} ${target.tls?.verify}`])
        )
        assert.deepStrictEqual(Object.fromEntries(tls), {
          a: "amqps:5671 false",
          b: "amqps:5671 false",
          c: "amqp:1234 undefined",
          d: "amqps:5671 false"
        })
      })
    ))
})

describe("what a later endpoint says for itself, and is the whole connection's,", () => {
  it.scoped("is warned of: the first one's holds", () => {
    const told: Array<string> = []
    return onNetwork(({ lose, read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({
          endpoints: ["a", { host: "b", heartbeat: "7 seconds" }, "amqp://c?failover_strategy=in-order&rpc_timeout=3"],
          reconnect: Schedule.spaced("1 second")
        })
        yield* settle
        assert.deepStrictEqual(told, [
          "Connection: c:5672: failover is the connection's, and the first endpoint has another",
          "Connection: c:5672: operationTimeout is the connection's, and the first endpoint has another"
        ])
        assert.strictEqual((yield* connection.info).failover, "round-robin")
        yield* TestClock.adjust("10 seconds")
        yield* lose()
        yield* settle
        assert.deepStrictEqual(read(), ["0 a", "10000 b"])
      })
    ).pipe(Effect.provide(warnings(told)))
  })

  it.scoped("is one doubt of several, each of which is told once", () => {
    const told: Array<string> = []
    return onNetwork(() =>
      Effect.gen(function*() {
        yield* Connection.make({ urls: ["amqp://a?frame_max=4096&hartbeat=3", "b", "amqp://c/w"], lenient: true })
        yield* settle
        assert.deepStrictEqual(told.map((line) => line.split(" ", 2).join(" ")), [
          "Connection: query:",
          "Connection: frame_max:",
          "Connection: url:"
        ])
      })
    ).pipe(Effect.provide(warnings(told)))
  })

  it.scoped("is said by nobody who inherits it, nor where the program says it of all", () => {
    const told: Array<string> = []
    return onNetwork(() =>
      Effect.gen(function*() {
        yield* Connection.make({ url: "amqp://a?failover_strategy=in-order&close_timeout=1;b;amqp://c" })
        yield* Connection.make({ urls: ["amqp://a", "amqp://b?rpc_timeout=3"], operationTimeout: "5 seconds" })
        yield* settle
        assert.deepStrictEqual(told, [])
      })
    ).pipe(Effect.provide(warnings(told)))
  })
})

describe("beforeDial", () => {
  it.scoped("runs before every dial, knows why it is made, and may change credentials or endpoint", () =>
    onNetwork(({ broker, dials, lose }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: Redacted.make("old") })
        let password = "old"
        const told: Array<string> = []
        const connection = yield* Connection.make({
          urls: ["amqp://me@a", "amqp://me@b"],
          reconnect: Schedule.spaced("1 second"),
          beforeDial: ({ fault, options, round }) =>
            Effect.sync(() => {
              told.push(`${options.host} ${round} ${fault?._tag ?? "-"}`)
              return options.host === "b"
                ? { host: "elsewhere", password: Redacted.make(password) }
                : { password: Redacted.make(password) }
            })
        })
        password = "new"
        yield* broker.addUser({ name: "me", password: Redacted.make("new") })
        yield* TestClock.adjust("10 seconds")
        yield* lose("elsewhere")
        yield* TestClock.adjust("1500 millis")
        assert.deepStrictEqual(rounds(dials), ["0: a", "10000: elsewhere a"])
        assert.deepStrictEqual(told, ["a 0 -", "b 1 ConnectionLost", "a 1 ConnectError"])
        assert.strictEqual((yield* connection.state)._tag, "Open")
      })
    ))

  it.scoped("that does not answer is bounded as a dial is", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        const connecting = yield* Effect.fork(Connection.make({
          urls: ["amqp://a", "amqp://b"],
          beforeDial: ({ options }) => options.host === "a" ? Effect.never : Effect.void
        }))
        yield* TestClock.adjust("15 seconds")
        yield* Fiber.join(connecting)
        assert.deepStrictEqual(rounds(dials), ["15000: b"])
      })
    ))

  it.scoped("that fails is a failed attempt: the next endpoint is tried, and it is asked again", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        let count = 0
        const fault = yield* Effect.flip(Connection.make({
          urls: ["amqp://a", "amqp://b"],
          beforeDial: () => Effect.fail({ _tag: "VaultError", token: `s3cr3t ${++count}` })
        }))
        assert.deepStrictEqual(fault.attempts, [
          { endpoint: "a:5672", reason: "Discovery", text: "beforeDial failed (VaultError)" },
          { endpoint: "b:5672", reason: "Discovery", text: "beforeDial failed (VaultError)" }
        ])
        assert.strictEqual(count, 2)
        assert.lengthOf(dials, 0)
      })
    ))
})

describe("the others of a list", () => {
  it.scoped("are dialled at once when an operator closes the connection (320), each of them once", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        yield* Connection.make({ urls, reconnect: Reconnect.java })
        // Just open: nothing has proved stable.
        for (let count = 0; count < 3; count++) {
          yield* TestClock.adjust("10 millis")
          yield* broker.closeConnection()
        }
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(rounds(dials), ["0: a", "10: b", "20: c", "5030: a"])
      })
    ))
})

describe("the whole list is there for", () => {
  it.scoped("each connection of a pool: where the first node is away, and when the one it is at goes", () =>
    onNetwork(({ dials, down, lose }) =>
      Effect.gen(function*() {
        down.add("a")
        const pool = yield* ConnectionPool.make({ urls, limit: 2, reconnect: Schedule.spaced("1 second") })
        const lent = [yield* pool.get(), yield* pool.get()]
        yield* TestClock.adjust("10 seconds")
        yield* lose("b")
        yield* settle
        const places = yield* Effect.forEach(lent, ({ info }) => Effect.map(info, ({ endpoint }) => endpoint))
        assert.deepStrictEqual(places, ["c:5672", "c:5672"])
        assert.deepStrictEqual(rounds(dials), ["0: a b a b", "10000: c c"])
      })
    ))
})
