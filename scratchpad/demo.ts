/**
 * The main job: thousands of messages published at least once and consumed, while the connection is cut three times. It
 * ends with a ledger by message id, and fails when a message is missing.
 *
 * On the embedded broker: `npm run demo`. On a real one: `AMQP_URL=amqp://localhost npm run demo`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Transport } from "effect-amqp"
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"

const total = 5000
const batch = 250
const cutsAt = [0.2, 0.5, 0.8].map((part) => part * total)

const describe = (state: Connection.State): string => {
  switch (state._tag) {
    case "Idle":
      return `idle until ${state.until}`
    case "Connecting":
      return `connecting to ${state.endpoint}`
    case "Open":
      return `open on ${state.endpoint}, socket number ${state.epoch}`
    case "Blocked":
      return `blocked: ${state.reason}`
    case "Recovering":
      return `${state.fault.message}; dialling again in ${Duration.format(state.delay)}`
    case "Closing":
      return "closing"
    case "Closed":
      return "closed"
  }
}

const program = Effect.fn("demo")(function*(cut: Effect.Effect<number>) {
  const connection = yield* Connection.Connection
  yield* connection.changes.pipe(
    Stream.runForEach((state) => Console.log(`  ${describe(state)}`)),
    Effect.forkScoped
  )

  const admin = yield* Channel.make()
  const orders = yield* admin.queueDeclare({
    queue: `effect-amqp-demo-${yield* Effect.clockWith((clock) => clock.currentTimeMillis)}`
  })
  const received = new Map<string, number>()
  let confirmed = 0
  const progress = Effect.suspend(() => Console.log(`confirmed ${confirmed}, received ${received.size}`))

  const publisher = yield* Channel.makeConfirm({ guarantee: "at-least-once", window: batch })
  const publish = Effect.gen(function*() {
    for (let first = 0; first < total; first += batch) {
      yield* publisher.publishAll(
        Array.from({ length: batch }, (_, index) => ({
          routingKey: orders.queue,
          content: JSON.stringify({ order: first + index }),
          properties: { messageId: String(first + index), contentType: "application/json", persistent: true }
        }))
      )
      confirmed += batch
    }
  })

  const consumer = yield* Channel.make({ prefetch: 50 })
  const cuts = new Set(cutsAt)
  const consume = consumer.consume({ queue: orders }).pipe(
    Stream.runForEach((delivery) =>
      Effect.gen(function*() {
        const id = delivery.properties.messageId ?? ""
        received.set(id, (received.get(id) ?? 0) + 1)
        if (received.size % 1000 === 0 && received.get(id) === 1) yield* progress
        // With unsettled deliveries here and unconfirmed publishes there.
        if (cuts.delete(received.size)) {
          yield* Console.log(`cutting the connection after ${received.size} messages`)
          yield* cut
        }
        yield* delivery.ack
      })
    )
  )

  const consuming = yield* Effect.fork(consume)
  yield* publish

  // The last of what is on its way: the queue is empty, and every id was seen.
  yield* admin.queueDeclare({ queue: orders.queue, passive: true }).pipe(
    Effect.filterOrFail((queue) => queue.messageCount === 0 && received.size === total, () => "not empty" as const),
    Effect.retry({ schedule: Schedule.spaced("50 millis"), while: (error) => error === "not empty", times: 200 }),
    Effect.ignore
  )
  yield* Fiber.interrupt(consuming)
  yield* admin.queueDelete({ queue: orders })

  const duplicates = Array.from(received.values()).reduce((sum, count) => sum + count - 1, 0)
  const lost = total - received.size
  yield* Console.log(
    `published ${total}, confirmed ${confirmed}, received ${received.size}, duplicates ${duplicates}, lost ${lost}`
  )
  if (lost > 0 || confirmed < total) return yield* Effect.dieMessage("messages are missing")
})

const main = Effect.gen(function*() {
  const given = yield* Config.option(Config.redacted("AMQP_URL"))
  const network = yield* Transport.cuttable
  const url = Option.getOrElse(given, () => Redacted.make("memory://"))
  return yield* program(network.cut).pipe(
    Effect.scoped,
    Effect.provide(Connection.layer({ url, name: "effect-amqp-demo" })),
    Effect.provideService(Transport.Transport, network.transport)
  )
}).pipe(
  Effect.provide(
    Layer.unwrapEffect(Effect.map(
      Config.option(Config.redacted("AMQP_URL")),
      (given) => Option.isSome(given) ? NodeTransport.layer : Broker.layerMemory
    ))
  ),
  // What the library warns of, the state stream shows here.
  Logger.withMinimumLogLevel(LogLevel.Error)
)

NodeRuntime.runMain(main)
