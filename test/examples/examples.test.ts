/**
 * Each program of `scratchpad/examples` runs on the embedded broker and computes what its header promises: in memory and
 * in virtual time, over TCP where it is about TCP.
 */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { ConnectionOptions } from "effect-amqp/amqp091"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { readdirSync, readFileSync } from "node:fs"
import * as configuredConnection from "../../scratchpad/examples/configuredConnection.ts"
import * as credentials from "../../scratchpad/examples/credentials.ts"
import * as failover from "../../scratchpad/examples/failover.ts"
import * as faultsOnDemand from "../../scratchpad/examples/faultsOnDemand.ts"
import { Live, NetworkLive } from "../../scratchpad/examples/main.ts"
import * as parameters from "../../scratchpad/examples/parameters.ts"
import * as pooledTenants from "../../scratchpad/examples/pooledTenants.ts"
import * as standaloneBroker from "../../scratchpad/examples/standaloneBroker.ts"
import * as virtualHosts from "../../scratchpad/examples/virtualHosts.ts"
import { checks } from "./checks.ts"

/** As without `AMQP_URL`, whatever the environment of the test. */
const embedded = Layer.setConfigProvider(ConfigProvider.fromMap(new Map()))

describe("on the embedded broker", () => {
  for (const [title, check] of Object.entries(checks)) {
    it.effect(title, () =>
      Effect.gen(function*() {
        const fiber = yield* check.pipe(Effect.provide(Live), Effect.provide(embedded), Effect.fork)
        // For the pauses before dialling again.
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }))
  }
})

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

  it.effect("virtualHosts: keeps tenants apart, and reuses a tenant's connection", () =>
    Effect.gen(function*() {
      const result = yield* virtualHosts.program.pipe(
        Effect.provide(virtualHosts.Vhosts.Default),
        Effect.provide(virtualHosts.BrokerLive)
      )
      assert.deepStrictEqual(result, { ofA: 2, ofB: 1, missing: "Vhost" })
    }))

  it.effect("pooledTenants: a pool for each tenant, by vhost and by URL", () =>
    Effect.gen(function*() {
      const result = yield* pooledTenants.program.pipe(
        Effect.provide(pooledTenants.Tenants.Default),
        Effect.provide(pooledTenants.BrokerLive)
      )
      assert.deepStrictEqual(result, { a: "tenant-a", b: "tenant-b", byUrl: "tenant-b" })
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

describe("faults on demand", () => {
  it.effect("faultsOnDemand: an order survives a cut, twice where it must, and waits for alarms", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.provide(faultsOnDemand.program, faultsOnDemand.Test))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        cut: "placed",
        arrived: ["tea", "tea"],
        refused: "PublishNacked",
        whileBlocked: null,
        unblocked: "placed",
        took: "2s",
        left: []
      })
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
  it("are all run", () => {
    const folder = new URL("../../scratchpad/examples/", import.meta.url)
    const tests = ["checks.ts", "examples.test.ts", "shutdown.test.ts"].map((name) =>
      readFileSync(new URL(name, import.meta.url), "utf8")
    )
    const unused = readdirSync(folder).filter((name) =>
      name.endsWith(".ts") && !tests.some((test) => test.includes(`scratchpad/examples/${name}`))
    )
    assert.deepStrictEqual(unused, [])
  })
})
