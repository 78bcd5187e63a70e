import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, ConnectionPool, Rpc, SimpleQueue, Topology } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { whole } from "../../src/internal/whole.ts"
import { Embedded } from "../amqp091/onBroker.ts"

/** Something of two parts, the second of which is `second`; and what became of them. */
const parts = <E>(second: Effect.Effect<void, E>) => {
  const diary: Array<string> = []
  const part = (name: string) =>
    Effect.acquireRelease(
      Effect.sync(() => diary.push(name)),
      () => Effect.sync(() => diary.push(`end of ${name}`))
    )
  return { diary, make: whole(Effect.zipRight(Effect.zipRight(part("first"), second), part("second"))) }
}

/** How much an open scope has to do at its end: Effect tells nobody. */
const held = (scope: Scope.CloseableScope): number => {
  const state: unknown = Reflect.get(scope, "state")
  assert(typeof state === "object" && state !== null && "finalizers" in state && state.finalizers instanceof Map)
  return state.finalizers.size
}

describe("whole", () => {
  it.effect("ends with its scope, in reverse order, before what was made before it", () =>
    Effect.gen(function*() {
      const { diary, make } = parts(Effect.void)
      const scope = yield* Scope.make()
      yield* Scope.addFinalizer(scope, Effect.sync(() => diary.push("end of what was before")))
      yield* Scope.extend(make, scope)
      assert.deepStrictEqual(diary, ["first", "second"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(diary.slice(2), ["end of second", "end of first", "end of what was before"])
    }))

  it.effect("that fails is over at once, and its scope has forgotten it", () =>
    Effect.gen(function*() {
      const { diary, make } = parts(Effect.fail("no"))
      const scope = yield* Scope.make()
      assert.strictEqual(yield* Effect.flip(Scope.extend(make, scope)), "no")
      assert.deepStrictEqual(diary, ["first", "end of first"])
      assert.strictEqual(held(scope), 0)
    }))

  it.effect("that is interrupted is over at once, and its scope has forgotten it", () =>
    Effect.gen(function*() {
      const { diary, make } = parts(Effect.never)
      const scope = yield* Scope.make()
      const making = yield* Effect.fork(Scope.extend(make, scope))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(making)
      assert.deepStrictEqual(diary, ["first", "end of first"])
      assert.strictEqual(held(scope), 0)
    }))
})

describe("a scope keeps nothing of", () => {
  it.effect("connections and pools that could not be made, however often they are tried", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      for (let count = 0; count < 3; count++) {
        yield* Effect.flip(Scope.extend(Connection.make({ url: "memory://" }), scope))
        yield* Effect.flip(Scope.extend(ConnectionPool.make({ url: "memory://", preconnect: 2 }), scope))
      }
      assert.strictEqual(held(scope), 0)
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("channels that could not be opened", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Channel.make({ number: 1 })
      for (let count = 0; count < 3; count++) {
        yield* Effect.flip(Scope.extend(Channel.make({ number: 1 }), scope))
      }
      assert.strictEqual(held(scope), 0)
    }).pipe(Effect.provide(Embedded)))

  it.scoped("clients of remote calls that found no channel", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const connection = yield* Connection.make({ url: "memory://", channelMax: 1 })
      const on = Effect.provideService(Connection.Connection, connection)
      yield* on(Channel.make())
      for (let count = 0; count < 3; count++) {
        assert.propertyVal(yield* Effect.flip(Scope.extend(on(Rpc.client()), scope)), "reason", "NoFreeChannels")
      }
      assert.strictEqual(held(scope), 0)
    }).pipe(Effect.provide(Broker.layerMemory)))

  it.scoped("what the broker refused: neither a channel nor a topology that is declared again", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const { recoveries } = yield* Connection.Connection
      const reports: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(
          recoveries,
          ({ failures }) => Effect.sync(() => reports.push(...failures.map(({ error }) => error.message)))
        )
      )
      const shared = yield* Channel.make()
      yield* shared.queueDeclare({ queue: "taken", durable: false, autoDelete: true })
      const scope = yield* Scope.make()
      const refused = [
        SimpleQueue.make("taken"),
        SimpleQueue.buffer("taken", { exclusive: false, queue: { arguments: { "x-max-length": 1 } } }),
        Topology.declare({ queues: [{ queue: "taken" }] })
      ]
      for (const each of refused) {
        assert.propertyVal(yield* Effect.flip(Scope.extend(each, scope)), "reason", "PreconditionFailed")
        assert.strictEqual(held(scope), 0)
      }
      assert.deepStrictEqual((yield* broker.connections).map(({ channels }) => channels), [1])
      yield* broker.dropConnections
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(reports, [])
    }).pipe(Effect.provide(Embedded)))
})
