import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { defaults } from "../pika.words.ts"
import { away, on, onNetwork, settle, wiretap } from "../setup.ts"

describe("Select Connection", () => {
  it.effect("SelectConnection: a connection in a fiber of its own, while the program goes on", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const delay = yield* broker.delay("1 second")
        const opening = yield* Effect.forkScoped(Connection.make({}))
        assert.isNull(opening.unsafePoll())
        yield* TestClock.adjust("10 seconds")
        assert.isTrue(yield* (yield* Fiber.join(opening)).isOpen)
        yield* delay.heal
      })
    ))

  it.effect("SelectConnection(parameters)", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        yield* Fiber.join(yield* Effect.forkScoped(Connection.make({ host: "rabbit-1", heartbeat: "30 seconds" })))
        assert.deepStrictEqual(read(), ["0 rabbit-1"])
      })
    ))

  it.effect("SelectConnection(on_open_callback): what follows the connection in the program", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const called: Array<boolean> = []
        const onOpen = ({ isOpen }: Connection.Connection) => Effect.map(isOpen, (open) => called.push(open))
        yield* Effect.forkScoped(Effect.tap(Connection.make({}), onOpen))
        yield* settle
        assert.deepStrictEqual(called, [true])
      })
    ))

  it.effect("SelectConnection(on_open_error_callback): the typed fault of the effect", () =>
    onNetwork(({ down }) =>
      Effect.gen(function*() {
        down.add(away.host)
        const called: Array<AmqpError.ConnectError> = []
        const onOpenError = (error: AmqpError.ConnectError) => Effect.sync(() => called.push(error))
        yield* Effect.forkScoped(Effect.tapError(Connection.make(away), onOpenError))
        yield* settle
        assert.deepStrictEqual(called.map(({ attempts, reason }) => [reason, attempts[0]?.endpoint]), [
          ["Refused", "away:5672"]
        ])
      })
    ))

  it.effect("SelectConnection(on_close_callback): closed, with the reason where nobody asked for it", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const called: Array<AmqpError.RecoverableError | undefined> = []
        const open = Effect.gen(function*() {
          const connection = yield* Connection.make({ isFinal: () => true })
          yield* Effect.forkScoped(Effect.map(connection.closed, (reason) => called.push(reason)))
          return connection
        })
        const asked = yield* open
        yield* asked.close()
        yield* open
        yield* broker.closeConnection({ code: 320, text: "CONNECTION_FORCED - bye" })
        yield* settle
        assert.isUndefined(called[0])
        assert.deepInclude({ ...called[1] }, { _tag: "ConnectionClosed", reason: "Peer", code: 320 })
      })
    ))

  it.effect("SelectConnection.channel: opened in a fiber of its own", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const opening = yield* Effect.forkScoped(on(connection, Channel.make()))
        yield* settle
        assert.strictEqual(yield* (yield* Fiber.join(opening)).number, 1)
        assert.strictEqual((yield* broker.connections)[0]?.channels, 1)
      })
    ))

  it.effect("SelectConnection.channel(on_open_callback): what follows the channel in the program", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const called: Array<number> = []
        const onOpen = ({ number }: Channel.Channel) => Effect.map(number, (number) => called.push(number))
        yield* Effect.forkScoped(on(connection, Effect.flatMap(Channel.make(), onOpen)))
        yield* settle
        assert.deepStrictEqual(called, [1])
      })
    ))

  it.effect("SelectConnection.channel(channel_number)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const opening = yield* Effect.forkScoped(on(connection, Channel.make({ number: 7 })))
        yield* settle
        assert.strictEqual(yield* (yield* Fiber.join(opening)).number, 7)
      })
    ))

  it.effect("SelectConnection.close: in a fiber of its own; the states say when it is done", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({})
        const states = yield* Effect.fork(Stream.runCollect(Stream.map(connection.changes, ({ _tag }) => _tag)))
        yield* settle
        yield* Effect.fork(connection.close())
        yield* settle
        assert.deepStrictEqual(Array.from(yield* Fiber.join(states)), ["Open", "Closing", "Closed"])
      })
    ))

  it.effect("SelectConnection.close(reply_code)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const codes: Array<number> = []
        for (const options of [undefined, { code: 320 }]) {
          const connection = yield* Connection.make({})
          const channel = yield* on(connection, Channel.make())
          yield* connection.close(options)
          const fault = yield* Effect.flip(channel.queueDeclare({ queue: "q" }))
          codes.push(fault._tag === "ConnectionClosed" ? fault.code : -1)
        }
        assert.deepStrictEqual(codes, [defaults.reply_code, 320])
      })
    ))

  it.effect("SelectConnection.close(reply_text)", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        for (
          const [options, text] of [[undefined, defaults.reply_text], [
            { text: "until Monday" },
            "until Monday"
          ]] as const
        ) {
          const tap = yield* wiretap
          const connection = yield* Effect.provideService(Connection.make({}), Transport.Transport, tap.transport)
          yield* connection.close(options)
          assert.include(tap.written(), text)
        }
      })
    ))
})
