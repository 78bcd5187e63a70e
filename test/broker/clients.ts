/** Clients of an embedded broker in memory, for its tests: such as talk in frames, and such as are the library's own. */
import { assert, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Connection, Frame, type Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Reconnect from "../../src/Reconnect.ts"
import * as Wire from "../behaviour/wire.ts"

export const dial = Effect.gen(function*() {
  const { host, port } = yield* Broker.Broker
  const transport = yield* Transport.Transport
  return yield* transport.dial({ scheme: "memory", host, port })
})

export const wire = Effect.flatMap(dial, Wire.make)

export const connect = (options: Partial<Connection.Options> = {}) =>
  Connection.make({ host: "memory", reconnect: Reconnect.none, url: undefined, urls: undefined, ...options })

export const introduced = (introduction?: Wire.Introduction, tuning?: Method.Method) =>
  Effect.tap(wire, (wire) => Wire.introduce(wire, "/", introduction, tuning))

/** What the broker says to a client that logs in so, from `connection.start` on. */
export const login = (introduction: Wire.Introduction, ...then: ReadonlyArray<Method.Method>) =>
  Effect.gen(function*() {
    const one = yield* wire
    yield* one.send(Frame.protocolHeader)
    yield* one.next
    const seen: Array<string> = []
    for (const method of [Wire.startOk(introduction), ...then]) {
      yield* one.send(method)
      seen.push(yield* one.next)
    }
    return seen
  })

/** Each on a broker of its own. */
export const scopedWith =
  (options: Broker.MemoryOptions) =>
  <A, E>(title: string, test: Effect.Effect<A, E, Broker.Broker | Transport.Transport | Scope.Scope>): void =>
    it.scoped(title, () => Effect.provide(test, Broker.layerMemoryWith(options)))

export const scoped = scopedWith({})

/** The broker goes on as if nothing had been. */
export const works = Effect.scoped(Effect.gen(function*() {
  const one = yield* introduced()
  yield* one.send({ _tag: "ConnectionClose", replyCode: 200, replyText: "", classId: 0, methodId: 0 })
  assert.deepStrictEqual(yield* one.rest, ["0 connection.close-ok", "end"])
}))

export const declare = (options: Partial<Method.QueueDeclare> = {}): Method.QueueDeclare => ({
  _tag: "QueueDeclare",
  queue: "q",
  passive: false,
  durable: true,
  exclusive: false,
  autoDelete: false,
  noWait: false,
  arguments: {},
  ...options
})

export const publish = (options: Partial<Method.BasicPublish> = {}): Method.BasicPublish => ({
  _tag: "BasicPublish",
  exchange: "",
  routingKey: "q",
  mandatory: false,
  immediate: false,
  ...options
})

export const consume = (options: Partial<Method.BasicConsume> = {}): Method.BasicConsume => ({
  _tag: "BasicConsume",
  queue: "q",
  consumerTag: "mine",
  noLocal: false,
  noAck: false,
  exclusive: false,
  noWait: false,
  arguments: {},
  ...options
})
