/** Programs on the embedded broker in memory, in virtual time. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Connection from "../../src/amqp091/Connection.ts"
import * as Broker from "../../src/broker/Broker.ts"

/** A broker, and a connection to it. */
export const Embedded = Connection.layer({ url: "memory://" }).pipe(Layer.provideMerge(Broker.layerMemory))

/** Lets everything run that can, and a little time pass. */
export const pass = TestClock.adjust("20 millis")

/** Waits until something holds, and fails when it never does. */
export const eventually = (what: string, holds: () => boolean, tick: Effect.Effect<void> = pass): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let count = 0; count < 500; count++) {
      if (holds()) return
      yield* tick
    }
    assert.fail(`never: ${what}`)
  })

/** What the broker says of a queue. */
export const look = (name: string) =>
  Effect.gen(function*() {
    const broker = yield* Broker.Broker
    const found = (yield* broker.queues()).find((queue) => queue.name === name)
    if (found === undefined) return assert.fail(`no queue ${name}`)
    return { ready: found.ready, unsettled: found.unsettled, consumers: found.consumers }
  })

/** A queue with these messages, in order. */
export const queueOf = (queue: string, ...contents: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = yield* Channel.makeConfirm()
    yield* channel.queueDeclare({ queue })
    yield* channel.publishAll(contents.map((content) => ({ routingKey: queue, content })))
    return queue
  }))

/** The texts of a queue, which is empty afterwards. */
export const drained = (queue: string) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = yield* Channel.make()
    const texts: Array<string> = []
    for (;;) {
      const got = yield* channel.get({ queue, noAck: true })
      if (got._tag === "None") return texts
      texts.push(got.value.delivery.text)
    }
  }))

/** Collects what is logged from warnings on, as text, instead of printing it. */
export const warnings = (into: Array<string>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      if (logLevel.ordinal >= 30_000) {
        const module = HashMap.get(annotations, "module")
        into.push(`${module._tag === "Some" ? String(module.value) : "-"}: ${String(message)}`)
      }
    })
  )
