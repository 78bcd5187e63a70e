/** What faults make of octets, seen by a client that reads them raw: in memory and over TCP. */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Frame } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Wire from "../behaviour/wire.ts"
import { until } from "../node/sockets.ts"
import { declare } from "./clients.ts"

const dial = Effect.gen(function*() {
  const { host, port } = yield* Broker.Broker
  return yield* (yield* Transport.Transport).dial({ scheme: "amqp", host, port })
})

/** What is read, piece by piece. */
const raw = Effect.map(dial, (pipe) => {
  const reads: Array<Uint8Array> = []
  let isOver = false
  pipe.start({
    onData: (bytes, start, end) => void reads.push(bytes.slice(start, end)),
    onDrain: () => {},
    onClose: () => {
      isOver = true
      pipe.destroy()
    }
  })
  return {
    pipe,
    reads,
    size: () => reads.reduce((sum, { length }) => sum + length, 0),
    isOver: () => isOver
  }
})

const opened = Effect.gen(function*() {
  const wire = yield* Wire.make(yield* dial)
  yield* Wire.introduce(wire, "/")
  return wire
})

const connectionStart = Effect.gen(function*() {
  const client = yield* raw
  client.pipe.write(Frame.protocolHeader)
  yield* until(() => client.size() > 100)
  return client
})

const cases: Record<
  string,
  Effect.Effect<void, unknown, Broker.Broker | Transport.Transport | Scope.Scope>
> = {
  "cutFrame ends the stream after the first half of a frame": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const whole = (yield* connectionStart).size()
    yield* broker.cutFrame()
    const cut = yield* connectionStart
    yield* until(cut.isOver)
    assert.strictEqual(cut.size(), whole >> 1)
    assert.strictEqual((yield* connectionStart).size(), whole)
  }),
  "dropAfter gives the last frame of the broker to a client that has more to say": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const wire = yield* opened
    yield* broker.dropAfter(1, { of: "broker" })
    yield* wire.send(declare({ queue: "q" }), ...Array.from({ length: 1000 }, () => declare({ queue: "q" })))
    const lines = yield* wire.rest
    assert.strictEqual(lines.length, 2)
    assert.include(lines[0], "1 queue.declare-ok")
  }),
  "splitWrites sends each octet by itself, and all of them": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const whole = (yield* connectionStart).size()
    yield* broker.splitWrites()
    const split = yield* connectionStart
    yield* until(() => split.size() === whole)
    // A socket may have more than one by the time it is read.
    assert.isAbove(split.reads.length, whole / 2)
  }),
  "dropAfter counts from the next whole frame when one has begun": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const wire = yield* opened
    const [first, second] = [Wire.octetsOf(declare({ queue: "first" })), Wire.octetsOf(declare({ queue: "second" }))]
    yield* wire.send(first.subarray(0, 20))
    // The half has arrived once what was sent behind it on another connection is done.
    const other = yield* opened
    yield* other.send(declare({ queue: "other" }))
    yield* other.until("1 queue.declare-ok")
    yield* broker.dropAfter(1)
    yield* wire.send(first.subarray(20), second, Wire.octetsOf(declare({ queue: "third" })))
    assert.notInclude((yield* wire.rest).join("\n"), "second")
    assert.deepStrictEqual((yield* broker.queues()).map(({ name }) => name), ["other", "first", "second"])
  }),
  "dropAfter healed in the midst of a frame lets its rest through": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const wire = yield* opened
    const bytes = Wire.octetsOf(declare({ queue: "q" }))
    const drop = yield* broker.dropAfter(10)
    yield* wire.send(bytes.subarray(0, 20))
    const other = yield* opened
    yield* other.send(declare({ queue: "other" }))
    yield* other.until("1 queue.declare-ok")
    yield* drop.heal
    yield* wire.send(bytes.subarray(20))
    assert.include((yield* wire.until("1 queue.declare-ok")).join("\n"), "\"q\"")
  }),
  "a frame that announces more than any may have is refused all the same": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const wire = yield* opened
    yield* broker.dropAfter(10)
    yield* wire.send(Uint8Array.of(1, 0, 1, 255, 255, 255, 255, 0, 0))
    assert.include((yield* wire.rest).join("\n"), "0 connection.close 501")
  }),
  "silence says nothing until it is healed, and forgets a client that goes": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const [going, staying] = [yield* opened, yield* opened]
    yield* broker.silence()
    yield* going.send(declare({ queue: "going" }))
    yield* staying.send(declare({ queue: "staying" }))
    yield* Effect.sync(() => going.pipe.destroy())
    while ((yield* broker.connections).length > 1) yield* Effect.promise(() => new Promise(setImmediate))
    yield* broker.heal()
    assert.include(yield* staying.next, "staying")
  }),
  "skipHeartbeats takes nothing else out of a large message": Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const wire = yield* opened
    yield* broker.skipHeartbeats()
    yield* wire.send(declare({ queue: "q" }))
    yield* wire.until("1 queue.declare-ok")
    const body = "x".repeat(100_000)
    yield* wire.send(
      { _tag: "BasicPublish", exchange: "", routingKey: "q", mandatory: false, immediate: false },
      ...Wire.content(body),
      { _tag: "BasicGet", queue: "q", noAck: true }
    )
    yield* wire.until("1 basic.get-ok")
    assert.strictEqual(yield* wire.next, "1 header 100000 {}")
    assert.strictEqual(yield* wire.next, `1 body ${body}`)
  })
}

describe("faults on the wire, in memory", () => {
  for (const [title, test] of Object.entries(cases)) {
    it.scoped(title, () => Effect.provide(test, Broker.layerMemory))
  }
})

describe("faults on the wire, over TCP", () => {
  const Live = Layer.merge(
    Layer.provide(Broker.layer({ port: 0 }), NodeTransport.layerServer),
    NodeTransport.layer
  )
  for (const [title, test] of Object.entries(cases)) {
    it.scopedLive(title, () => Effect.provide(test, Live))
  }
})
