import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Reconnect, Transport } from "effect-amqp"
import { Connection, ConnectionOptions } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { defaults } from "../pika.words.ts"
import { away, onNetwork, settle, wiretap } from "../setup.ts"

describe("Connection Workflow", () => {
  it.effect("AMQPConnectionWorkflow: the first connect, in rounds over all endpoints, by a Schedule", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a").add("b")
        const fiber = yield* Effect.fork(Connection.make({
          urls: ["amqp://a", "amqp://b"],
          connect: Reconnect.pika({ attempts: 3, delay: `${defaults.retry_delay} seconds` })
        }))
        yield* TestClock.adjust("3 seconds")
        down.clear()
        yield* TestClock.adjust("3 seconds")
        assert.isTrue(yield* (yield* Fiber.join(fiber)).isOpen)
        assert.deepStrictEqual(read(), ["0 a", "0 b", "2000 a", "2000 b", "4000 a"])
      })
    ))

  it.effect("AMQPConnectionWorkflow(parameters): several sets are endpoints to fail over between", () =>
    onNetwork(({ down, read }) =>
      Effect.gen(function*() {
        down.add("a")
        const sets = [ConnectionOptions.make({ host: "a" }), ConnectionOptions.make({ host: "b", port: 5673 })] as const
        yield* Connection.make({ failover: Effect.succeed(sets) })
        assert.deepStrictEqual(read(), ["0 a", "0 b"])
      })
    ))

  it.effect("AMQPConnectionWorkflow(on_done_callback): the Exit, a connection or a fault with every attempt", () =>
    onNetwork(({ down }) =>
      Effect.gen(function*() {
        const called: Array<Exit.Exit<Connection.Connection, AmqpError.ConnectError>> = []
        const onDone = (exit: Exit.Exit<Connection.Connection, AmqpError.ConnectError>) =>
          Effect.sync(() => called.push(exit))
        yield* Effect.forkScoped(Effect.onExit(Connection.make({}), onDone))
        yield* settle
        down.add(away.host)
        yield* Effect.forkScoped(
          Effect.onExit(Connection.make({ ...away, connectionAttempts: 2 }), onDone)
        )
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(called.map(Exit.isSuccess), [true, false])
        const fault = yield* Effect.flip(called[1] ?? Effect.die("not called"))
        assert.lengthOf(fault.attempts, 2)
      })
    ))

  it.effect("AMQPConnectionWorkflow(nbio_interface): a Transport, which may be one's own", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const mine = yield* wiretap
        yield* Effect.provideService(Connection.make({}), Transport.Transport, mine.transport)
        assert.isTrue(mine.written().startsWith("AMQP"))
      })
    ))

  it.effect("AMQPConnectionWorkflow.start: nothing is dialled before the effect runs", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        const workflow = Connection.make({})
        yield* settle
        assert.lengthOf(dials, 0)
        yield* workflow
        assert.lengthOf(dials, 1)
      })
    ))

  it.effect("AMQPConnectionWorkflow.abort: Fiber.interrupt, in a dial as in a delay; nothing is left", () =>
    onNetwork(({ broker, dials, down }) =>
      Effect.gen(function*() {
        yield* broker.stall()
        const dialling = yield* Effect.fork(Effect.scoped(Connection.make({})))
        yield* settle
        yield* Fiber.interrupt(dialling)
        down.add(away.host)
        const waiting = yield* Effect.fork(Effect.scoped(Connection.make({ ...away, connectionAttempts: 9 })))
        yield* settle
        yield* Fiber.interrupt(waiting)
        assert.lengthOf(dials, 2)
        yield* broker.heal()
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(dials, 2)
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))
})
