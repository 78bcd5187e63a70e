/**
 * librabbitmq's tools never dial again: a shell starts them again. What that makes up for, fault by fault. They do not
 * look at what is said to them while they wait for a message, and `amqp-publish` hears of nothing before its end.
 */
import { assert, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { eventually } from "../behaviour/place.ts"
import { describeWith } from "../harness/describe.ts"
import * as Foreign from "../harness/foreign.ts"

const queue = "jobs"

const declare = `amqp-delete-queue -u "$1" -q ${queue}; amqp-declare-queue -u "$1" -q ${queue}`
const consume = `while :; do amqp-consume -u "$1" -q ${queue} -p 1 awk 1 2>&1; echo "ended [$?]"; done`
const publish = `until amqp-publish -u "$1" -r ${queue} -b "$2" 2>/dev/null; do echo again; done`
const publishLines = `amqp-publish -u "$1" -r ${queue} -l 2>&1`
const get = `until amqp-get -u "$1" -q ${queue} 2>/dev/null; do echo again; done`

const shell = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { host, port } = yield* Broker.Broker
    const url = `amqp://guest:guest@${host}:${port}/%2F`
    return yield* Foreign.startCommand("sh", ["-c", script, "sh", url, ...args], { timeoutMillis: 30_000 })
  })

/** What a script says until its end. */
const said = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(shell(script, ...args), ({ success }) => Effect.map(success, ({ stdout }) => stdout)))

/** Waits until the queue has so many messages ready and consumers, and nothing unsettled. */
const rests = (ready: number, consumers: number) =>
  Effect.flatMap(
    Broker.Broker,
    (broker) => eventually(broker.queues(), [{ name: queue, ready, unsettled: 0, consumers }])
  )

/** The one connection there is. */
const name = Effect.gen(function*() {
  const [connection, ...others] = yield* Effect.flatMap(Broker.Broker, ({ connections }) => connections)
  assert.deepStrictEqual(others, [])
  return connection?.name ?? ""
})

/** What is done to a consumer before it is sent another message, and after. */
const faults: ReadonlyArray<
  readonly [
    title: string,
    fault: (broker: Broker.Service, connection: string) => Effect.Effect<unknown>,
    end?: (broker: Broker.Service, connection: string) => Effect.Effect<unknown>
  ]
> = [
  ["is cut off", (broker, connection) => broker.drop({ connection })],
  ["is cut off in the middle of a delivery", (broker, connection) => broker.cutFrame({ connection })],
  ["is cut off behind a part of a delivery", (broker, connection) => broker.dropAfter(1, { connection, of: "broker" })],
  [
    "hears nothing any more, and is cut off with what it was given",
    (broker, connection) => broker.silence({ connection }),
    (broker, connection) => Effect.zipRight(broker.drop({ connection }), broker.heal("silence"))
  ],
  [
    "is told to go by its name, with a code, and does not until the broker has no more patience",
    (broker, connection) => broker.closeConnection({ connection, code: 541, text: "INTERNAL_ERROR - maintenance" }),
    () => TestClock.adjust("10 seconds")
  ]
]

describeWith(["amqp-tools"], "amqp-tools, started again by a shell, on the embedded broker", () => {
  // The broker's clock is the test's: its patience ends when it is told to.
  layer(Layer.provide(Broker.layer({ port: 0 }), NodeTransport.layerServer))((it) => {
    for (const [title, fault, end] of faults) {
      it.scoped(`a consumer goes on that ${title}`, () =>
        Effect.gen(function*() {
          const broker = yield* Broker.Broker
          yield* said(declare)
          const loop = yield* shell(consume)
          yield* rests(0, 1)
          const connection = yield* name
          yield* said(publish, "before")
          yield* loop.seen(/before\n/)
          yield* rests(0, 1)
          yield* fault(broker, connection)
          yield* said(publish, "after")
          if (end !== undefined) yield* end(broker, connection)
          const [heard] = yield* loop.seen(/^[^]*after\n/)
          assert.match(heard, /^before\nwaiting for header frame: .*\nended \[1\]\nafter\n$/)
          yield* rests(0, 1)
        }))
    }

    it.scoped("a publisher told to go by its name says so, with code and text, when it is done", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* said(declare)
        const publisher = yield* shell(publishLines)
        yield* publisher.send("taken\n")
        yield* rests(1, 0)
        yield* broker.closeConnection({ connection: yield* name, code: 541, text: "INTERNAL_ERROR - maintenance" })
        yield* publisher.send("lost\n")
        yield* publisher.end
        const { code, stdout } = yield* publisher.exit
        assert.deepStrictEqual([code, stdout], [
          1,
          "closing channel: server connection error 541, message: INTERNAL_ERROR - maintenance\n"
        ])
        yield* rests(1, 0)
        yield* said(publish, "next")
        yield* rests(2, 0)
      }))

    it.scoped("a publisher is started again until it says goodbye, and may have been heard before", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        // Cut are the answers to its protocol header, login, open, channel, and, with the message taken, its goodbye.
        for (const [frames, copies] of [[0, 1], [1, 1], [2, 1], [3, 1], [4, 4]] as const) {
          yield* said(declare)
          yield* broker.cutFrame({ frames, times: 3 })
          assert.strictEqual(yield* said(publish, "x"), "again\nagain\nagain\n")
          yield* rests(copies, 0)
        }
      }))

    it.scoped("amqp-get is started again until it has its message", () =>
      Effect.gen(function*() {
        const broker = yield* Broker.Broker
        yield* said(declare)
        yield* said(publish, "x")
        // The answers before the one that hands it out: with that one it would be gone.
        for (const frames of [0, 1, 2, 3]) yield* broker.cutFrame({ frames })
        yield* broker.refuse()
        const getting = yield* shell(get)
        yield* getting.seen(/again\nagain\n/)
        yield* broker.heal("refuse")
        const { stdout } = yield* getting.success
        assert.match(stdout, /^(?:again\n)+x$/)
        assert.deepStrictEqual(yield* broker.faults, [])
        yield* rests(0, 0)
      }))
  })
})
