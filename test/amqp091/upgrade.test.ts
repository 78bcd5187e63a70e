/** A program that was at home on RabbitMQ 3.10, on a broker by the rules of 4.3. */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import type { Topology } from "effect-amqp/amqp091"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { pass, warnings } from "./onBroker.ts"

const On43 = Connection.layer({ url: "memory://", reconnect: Schedule.spaced("1 second") }).pipe(
  Layer.provideMerge(Broker.layerMemoryWith({ profile: "4.3" }))
)

describe("A queue that is neither durable nor exclusive", () => {
  it.scoped("is refused with the connection (541): its declaration fails in the broker's words, and nothing else is lost", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.Connection
      const [one, other] = [yield* Channel.make(), yield* Channel.make()]
      for (const epoch of [2, 3, 4]) {
        const declaring = yield* Effect.fork(Effect.flip(one.queueDeclare({ queue: "q", durable: false })))
        const beside = yield* Effect.fork(other.exchangeDeclare({ exchange: `fine-${epoch}` }))
        yield* TestClock.adjust("2 seconds")
        const fault = yield* Fiber.join(declaring)
        assert.deepInclude<object>({ ...fault }, { _tag: "ConnectionClosed", reason: "Peer", code: 541 })
        assert.include(fault.message, "transient_nonexcl_queues")
        yield* Fiber.join(beside)
        assert.deepInclude(yield* connection.state, { _tag: "Open", epoch })
      }
    }).pipe(Effect.provide(On43), Effect.provide(warnings([]))))
})

describe("A topology with queues that are refused since", () => {
  it.scoped("comes back without them, however many there are, and says so", () =>
    Effect.gen(function*() {
      const memory = yield* Transport.makeMemory
      const start = (port: number, profile: Broker.Profile) =>
        Effect.provideService(Broker.make({ port, profile }), Transport.TransportServer, memory.server)
      const old = yield* Scope.make()
      yield* Scope.extend(start(1, "3.10"), old)
      const broker = yield* start(2, "4.3")
      const connection = yield* Effect.provideService(
        Connection.make({ urls: ["amqp://old:1", "amqp://new:2"], reconnect: Schedule.spaced("1 second") }),
        Transport.Transport,
        memory.transport
      )
      const reports: Array<Topology.RecoveryReport> = []
      yield* Effect.fork(Stream.runForEach(connection.recoveries, (report) => Effect.sync(() => reports.push(report))))
      const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
      const refused = ["a", "b", "c", "d", "e"]
      for (const queue of refused) yield* channel.queueDeclare({ queue, durable: false })
      yield* channel.queueDeclare({ queue: "kept" })
      yield* Scope.close(old, Exit.void)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* connection.state)._tag, "Open")
      assert.deepStrictEqual(
        reports.map(({ failures, restored }) => [
          restored,
          failures.map(({ entity, error }) => `${entity._tag === "Queue" ? entity.queue : ""} ${error._tag}`)
        ]),
        [[1, refused.map((queue) => `${queue} ConnectionClosed`)]]
      )
      assert.deepStrictEqual((yield* broker.queues()).map(({ name }) => name), ["kept"])
      yield* pass
    }).pipe(Effect.provide(warnings([]))))
})
