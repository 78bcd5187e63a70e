/** How the cases talk to a broker frame by frame: what is sent, and what is told of the answers. */
import { assert } from "@effect/vitest"
import type { Frame, Method } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import type { It } from "./place.ts"
import { Place } from "./place.ts"
import * as Wire from "./wire.ts"

export type Talk = (wire: Wire.Wire, vhost: string) => Effect.Effect<ReadonlyArray<string>>

export const declare = (options: Partial<Method.QueueDeclare> = {}): Method.QueueDeclare => ({
  _tag: "QueueDeclare",
  queue: "wire",
  passive: false,
  durable: false,
  exclusive: true,
  autoDelete: false,
  noWait: false,
  arguments: {},
  ...options
})

export const publish = (options: Partial<Method.BasicPublish> = {}): Method.BasicPublish => ({
  _tag: "BasicPublish",
  exchange: "",
  routingKey: "wire",
  mandatory: false,
  immediate: false,
  ...options
})

export const consume = (options: Partial<Method.BasicConsume> = {}): Method.BasicConsume => ({
  _tag: "BasicConsume",
  queue: "wire",
  consumerTag: "mine",
  noLocal: false,
  noAck: false,
  exclusive: false,
  noWait: false,
  arguments: {},
  ...options
})

export const ack = (deliveryTag: number, multiple = false): Method.Method => ({
  _tag: "BasicAck",
  deliveryTag,
  multiple
})
export const get: Method.Method = { _tag: "BasicGet", queue: "wire", noAck: false }
export const closeChannel: Method.Method = {
  _tag: "ChannelClose",
  replyCode: 200,
  replyText: "",
  classId: 0,
  methodId: 0
}
export const closeConnection: Method.Method = { ...closeChannel, _tag: "ConnectionClose" }
export const qos = (prefetchCount: number, global = false, prefetchSize = 0): Method.Method => ({
  _tag: "BasicQos",
  prefetchSize,
  prefetchCount,
  global
})
export const confirm: Method.Method = { _tag: "ConfirmSelect", noWait: false }

export type Sent = ReadonlyArray<Frame.Frame | Method.Method | Uint8Array>

/** Sends all, then asks to close the channel: what came before the answer is what the broker had to say. */
export const said = (...frames: Sent): Talk => (wire) =>
  Effect.zipRight(
    Effect.zipRight(wire.send(...frames), wire.send(closeChannel)),
    wire.until("1 channel.close")
  )

/** Sends all, and waits for the end of the connection, which the broker is to bring about. */
export const ends = (...frames: Sent): Talk => (wire) =>
  Effect.gen(function*() {
    yield* wire.send(...frames)
    const seen = yield* wire.until("0 connection.close")
    yield* wire.send({ _tag: "ConnectionCloseOk" })
    return seen.concat(yield* wire.rest)
  })

export const one = Wire.content("1")
export const two = [publish(), ...Wire.content("1"), publish(), ...Wire.content("2")]

/** Sends each when the one before was answered, then asks to close the channel. */
export const stepped = (...steps: ReadonlyArray<readonly [sent: Sent, answer: string]>): Talk => (wire) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    for (const [frames, answer] of steps) {
      yield* wire.send(...frames)
      seen.push(...yield* wire.until(`1 ${answer}`))
      if (seen.at(-1)?.includes(".close ") === true) return seen
    }
    yield* wire.send(closeChannel)
    return seen.concat(yield* wire.until("1 channel.close"))
  })

/**
 * What RabbitMQ 3.10.8 answers; and the embedded broker, where it differs on purpose: it tells what is wrong where RabbitMQ
 * falls over (properties with octets left over, a method nobody knows) or hangs up (a handshake out of order).
 */
export type Case = readonly [
  title: string,
  talk: Talk,
  expected: ReadonlyArray<string>,
  embedded?: ReadonlyArray<string>
]

export const expectedOf = (
  kind: "embedded" | "rabbitmq",
  [, , expected, embedded = expected]: Case
): ReadonlyArray<string> => kind === "embedded" ? embedded : expected

export const run = (talk: Talk, isIntroduced: boolean) =>
  Effect.gen(function*() {
    const { dial, vhost } = yield* Place
    const wire = yield* Wire.make(yield* dial)
    if (isIntroduced) yield* Wire.introduce(wire, vhost, { capabilities: { consumer_cancel_notify: true } })
    const seen = yield* talk(wire, vhost)
    // Whether a consume-ok comes before a fault that ends the connection is a matter of time on RabbitMQ.
    return seen.filter((line) => !line.includes("consume-ok")).map((line) =>
      line.replaceAll(`'${vhost}'`, "VHOST").replace(/amq\.gen-[\w-]{22}"/, "amq.gen-…\"")
    )
  })

/** RabbitMQ takes its time before it ends a pipe: these are all talked at once. */
export const together = (cases: ReadonlyArray<Case>, isIntroduced: boolean) =>
  Effect.gen(function*() {
    const { kind } = yield* Place
    const seen = yield* Effect.forEach(cases, ([title, talk]) =>
      run(talk, isIntroduced).pipe(
        Effect.timeout("6 seconds"),
        Effect.catchAll(() => Effect.succeed(["nothing"])),
        Effect.scoped,
        Effect.map((lines) => [title, lines] as const)
      ), { concurrency: "unbounded" })
    assert.deepStrictEqual(
      Object.fromEntries(seen),
      Object.fromEntries(cases.map((each) => [each[0], expectedOf(kind, each)]))
    )
  })

/** A test for each case, on a connection with channel 1. */
export const tests = (it: It, cases: ReadonlyArray<Case>): void => {
  for (const each of cases) {
    const [title, talk] = each
    it.scoped(`is answered: ${title}`, () =>
      Effect.gen(function*() {
        const seen = yield* run(talk, true)
        assert.deepStrictEqual(seen, expectedOf((yield* Place).kind, each))
      }))
  }
}
