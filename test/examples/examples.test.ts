/**
 * Each program of `scratchpad/examples` runs, on the embedded broker, and computes what its header promises. In memory time
 * stands still, so that none of them can owe its result to a wait; TCP is where an example is about TCP.
 */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { ConnectionOptions } from "effect-amqp/amqp091"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { readdirSync, readFileSync } from "node:fs"
import * as channelLayers from "../../scratchpad/examples/channelLayers.ts"
import * as configuredConnection from "../../scratchpad/examples/configuredConnection.ts"
import * as connectionStates from "../../scratchpad/examples/connectionStates.ts"
import * as consuming from "../../scratchpad/examples/consuming.ts"
import * as credentials from "../../scratchpad/examples/credentials.ts"
import * as failover from "../../scratchpad/examples/failover.ts"
import { Live, NetworkLive } from "../../scratchpad/examples/main.ts"
import * as orders from "../../scratchpad/examples/orders.ts"
import * as parameters from "../../scratchpad/examples/parameters.ts"
import * as publishing from "../../scratchpad/examples/publishing.ts"
import * as publishSubscribe from "../../scratchpad/examples/publishSubscribe.ts"
import * as severalConnections from "../../scratchpad/examples/severalConnections.ts"
import * as standaloneBroker from "../../scratchpad/examples/standaloneBroker.ts"
import * as topicRouting from "../../scratchpad/examples/topicRouting.ts"
import * as typedFaults from "../../scratchpad/examples/typedFaults.ts"
import * as virtualHosts from "../../scratchpad/examples/virtualHosts.ts"
import * as workQueue from "../../scratchpad/examples/workQueue.ts"

/** As without `AMQP_URL`, whatever the environment of the test. */
const embedded = Layer.setConfigProvider(ConfigProvider.fromMap(new Map()))

const onMemory = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  program.pipe(Effect.provide(Live), Effect.provide(embedded))

describe("parameters", () => {
  it.effect("read and print a URL, a failover list and options without showing a secret", () =>
    Effect.gen(function*() {
      const { endpoints, mistake, options, same, shown, vhost } = yield* parameters.program
      assert.strictEqual(vhost, "/prod")
      assert.isTrue(same)
      assert.strictEqual(
        shown,
        "amqps://me:**@broker-1/%2Fprod?heartbeat=30&connection_attempts=3"
      )
      assert.deepStrictEqual(endpoints, ["amqp://me:**@a/vhost", "amqp://me:**@b:5673/vhost"])
      assert.include(options, "amqp://me:**@[::1]")
      assert.include(mistake, "heartbeat")
      assert.notInclude(mistake, "safe")
    }))
})

describe("connections", () => {
  it.effect("configuredConnection: the configuration says where, code wins over it", () =>
    Effect.gen(function*() {
      const program = configuredConnection.program.pipe(
        Effect.provide(configuredConnection.ConnectionLive),
        Effect.provide(NetworkLive)
      )
      assert.deepStrictEqual(yield* Effect.provide(program, embedded), { endpoint: "localhost:5672", heartbeat: "30s" })
    }))

  it.effect("configuredConnection: a bad URL fails as configuration, before any dial", () =>
    Effect.gen(function*() {
      const fault = yield* configuredConnection.program.pipe(
        Effect.provide(configuredConnection.ConnectionLive),
        Effect.provide(Transport.layerMemory),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["AMQP_URL", "amqp://me:s3cret@host?hartbeat=1"]]))),
        Effect.flip
      )
      assert.notInclude(String(fault), "s3cret")
      assert.include(String(fault), "hartbeat")
    }))

  it.effect("failover: goes on to the next node, and from there to the next", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.provide(failover.program, Transport.layerMemory))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [
        "node-2:5672",
        "node-3:5673",
        "node-2:5672"
      ])
    }))

  it.effect("connectionStates: tells each state of a life with one cut, and what was agreed on", () =>
    Effect.gen(function*() {
      const fiber = yield* connectionStates.program.pipe(
        Effect.provide(NetworkLive),
        Effect.provide(embedded),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        states: [
          "open, socket 1",
          "recovering from ConnectionLost",
          "connecting",
          "open, socket 2",
          "closing",
          "closed"
        ],
        recovered: "Some",
        after: "Closed",
        agreed: { mechanism: "PLAIN", frameMax: 131072, heartbeat: "1m" }
      })
    }))

  it.effect("severalConnections: publishes on one and consumes on the other", () =>
    Effect.gen(function*() {
      const received = yield* severalConnections.program.pipe(
        Effect.provide(severalConnections.ConnectionsLive),
        Effect.provide(NetworkLive),
        Effect.provide(embedded)
      )
      assert.deepStrictEqual(received, ["one", "two", "three"])
    }))

  it.effect("virtualHosts: keeps tenants apart, and reuses a tenant's connection", () =>
    Effect.gen(function*() {
      const result = yield* virtualHosts.program.pipe(
        Effect.provide(virtualHosts.Vhosts.Default),
        Effect.provide(virtualHosts.BrokerLive)
      )
      assert.deepStrictEqual(result, { ofA: 2, ofB: 1, missing: "Vhost" })
    }))

  it.effect("credentials: asks for a token at each dial", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.provide(credentials.program, credentials.BrokerLive))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: 1, afterLoss: 2, users: ["orders-service"] })
    }))

  it("credentials: a client certificate speaks TLS, and no secret shows", () => {
    assert.strictEqual(credentials.byCertificate.scheme, "amqps")
    assert.deepStrictEqual(credentials.byCertificate.credentials.map((each) => each._tag), ["External"])
    assert.notInclude(ConnectionOptions.display(credentials.byCertificate), "of the key")
    assert.notInclude(JSON.stringify(credentials.byCertificate), "of the key")
  })
})

describe("channels", () => {
  it.effect("publishing: every confirmed message is in the queue, and what was not is named", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onMemory(publishing.program), {
        count: 1 + 1 + 50 + 500 + 1,
        unconfirmed: 0,
        returned: "312 NO_ROUTE",
        failed: [1]
      })
    }))

  it.effect("channelLayers: what one channel deposits another withdraws, once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onMemory(channelLayers.program), [Option.some("gold"), Option.none()])
    }))

  it.effect("consuming: settles one by one, by the batch, back, never and twice", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onMemory(consuming.program), {
        sum: 1 + 2 + 3 + 4 + 5,
        batches: 3,
        attempts: [false, true],
        taken: "22",
        twice: "AlreadySettled",
        isEmpty: true,
        left: 0
      })
    }))

  it.effect("typedFaults: tells what is wrong, and leaves the channel working", () =>
    Effect.gen(function*() {
      const { outcomes, queue, refused } = yield* onMemory(typedFaults.program)
      assert.strictEqual(queue, "examples.orders")
      assert.deepStrictEqual(outcomes, {
        known: "confirmed",
        noQueue: "nobody listens to examples.nowhere",
        noExchange: "the broker objects to basic.publish: 404",
        knownAgain: "confirmed"
      })
      assert.strictEqual(refused.reason, "Auth")
      assert.notInclude(String(refused), "s3cret")
    }))
})

describe("patterns", () => {
  it.effect("workQueue: every job is done once, by several workers, and what is no job is refused", () =>
    Effect.gen(function*() {
      const results = yield* onMemory(workQueue.program)
      assert.strictEqual(results.length, 30)
      assert.deepStrictEqual(
        Object.fromEntries(results.map(({ id, square }) => [id, square])),
        Object.fromEntries(Array.from({ length: 30 }, (_, id) => [id, id * id]))
      )
      assert.sameMembers(Array.from(new Set(results.map(({ worker }) => worker))), ["ann", "bob", "cleo"])
    }))

  it.effect("publishSubscribe: every subscriber has every message, in order", () =>
    Effect.gen(function*() {
      const news = ["rain", "sun", "snow"]
      assert.deepStrictEqual(yield* onMemory(publishSubscribe.program), [news, news, news])
    }))

  it.effect("topicRouting: each queue has what its pattern matches", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onMemory(topicRouting.program), {
        placed: ["eu.placed", "us.placed"],
        europe: ["eu.placed", "eu.paid", "eu.de.paid"],
        paid: ["eu.paid", "eu.de.paid"]
      })
    }))

  it.effect("orders: serves what was placed", () =>
    Effect.gen(function*() {
      const handled = yield* onMemory(Effect.provide(orders.program, orders.Orders.Default))
      assert.deepStrictEqual(handled, ["tea", "cake"])
    }))
})

describe("a standalone broker", () => {
  it.live("standaloneBroker: greets a client over TCP, and knows it by name", () =>
    Effect.gen(function*() {
      const result = yield* standaloneBroker.program.pipe(
        Effect.provide(standaloneBroker.ConnectionLive.pipe(Layer.provideMerge(standaloneBroker.BrokerLive)))
      )
      assert.deepStrictEqual(result, {
        greeting: "hello over TCP",
        clients: [{ channels: 1, name: "over-tcp", user: "guest", vhost: "/" }]
      })
    }))
})

describe("the examples", () => {
  it("are all run here", () => {
    const folder = new URL("../../scratchpad/examples/", import.meta.url)
    const all = readdirSync(folder).filter((name) => name.endsWith(".ts"))
    const imported = readFileSync(new URL(import.meta.url), "utf8")
    assert.deepStrictEqual(all.filter((name) => !imported.includes(`scratchpad/examples/${name}"`)), [])
  })
})
