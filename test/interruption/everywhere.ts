/** Interrupts an operation after 1, 2, 3, … steps, until it gets through, and looks after each what is left of it. */
import { assert } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, Message, Publisher } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { warnings } from "../amqp091/onBroker.ts"
import type { Case, Ground } from "./operations.ts"

/** A broker, and how time passes there. */
export interface Place {
  readonly url: string
  /** Whatever runs next: in memory a step of the scheduler, with sockets a turn of the event loop. */
  readonly step: Effect.Effect<void>
  /** After how many steps the next try is interrupted. */
  readonly next: (steps: number) => number
  /** Asks until the answer is right, as long as it takes for everything that was begun to end. */
  readonly eventually: <A, E>(ask: Effect.Effect<A, E>, expected: A, message: string) => Effect.Effect<void, E>
  /** The channels of each connection, and the unsettled deliveries of each queue, as the broker counts. */
  readonly counts: Effect.Effect<readonly [ReadonlyArray<number>, ReadonlyArray<number>]> | undefined
  readonly hasTransactions: boolean
}

/** A turn of the event loop. */
export const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** What keeps the process alive, by name. */
const resources = () => {
  const counts: Record<string, number> = {}
  // Node makes and drops these by itself, for its console and its files.
  const names = process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Timeout|GetAddrInfo)/.test(name))
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Milliseconds for one operation: on a busy machine its many tries take long. */
export const patience = 60_000

let count = 0

/** Past this many steps the operation does not end: an idle event loop makes a hundred thousand turns a second. */
const most = 3_000_000

export const everywhere = (place: Place, { run }: Case) => {
  // A channel that the broker closed would heal, and nobody see it.
  const told: Array<string> = []
  return Effect.gen(function*() {
    const { eventually, step, url } = place
    const transport = yield* Transport.Transport
    const connection = yield* Connection.make({ url })
    const on = Effect.provideService(Connection.Connection, connection)
    const check = yield* on(Channel.makeConfirm())
    const plain = yield* on(Channel.make())
    const confirm = yield* on(Channel.makeConfirm({ window: 2 }))
    const tx = place.hasTransactions ? yield* on(Channel.makeTx()) : undefined
    const [queue, spare] = [`queue-${++count}`, `spare-${count}`]
    const publisher = <G extends Publisher.Guarantee>(guarantee: G) =>
      on(Publisher.make({ routingKey: queue, content: Message.text, guarantee, window: 2 }))
    const publishers = {
      "at-most-once": yield* publisher("at-most-once"),
      confirmed: yield* publisher("confirmed"),
      "at-least-once": yield* publisher("at-least-once")
    }
    yield* check.queueDeclare({ queue, exclusive: true })
    const ready = Effect.map(
      check.queueDeclare({ queue, passive: true }),
      (seen) => [seen.messageCount, seen.consumerCount]
    )
    const own = tx === undefined ? 6 : 7

    const tryAfter = (steps: number) =>
      Effect.gen(function*() {
        const after = `after ${steps} steps`
        yield* check.queueDeclare({ queue: spare, exclusive: true })
        yield* check.publishAll([{ routingKey: queue, content: "1" }, { routingKey: queue, content: "2" }])
        yield* eventually(ready, [2, 0], `${after}: two messages to begin with`)
        const ground: Ground = {
          url,
          connection,
          plain,
          confirm,
          tx,
          publishers,
          queue,
          spare,
          fresh: `fresh-${++count}`
        }
        const before = resources()
        const fiber = yield* Effect.fork(
          Effect.scoped(Effect.provideService(on(run(ground)), Transport.Transport, transport))
        )
        for (let each = 0; each < steps; each++) yield* step
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(
          Exit.isSuccess(exit) || Exit.isInterrupted(exit),
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        )

        // Nothing is left at the broker …
        if (place.counts !== undefined) {
          const unsettled = Effect.map(place.counts, ([, all]) => Math.max(...all))
          yield* eventually(Effect.map(place.counts, ([channels]) => channels), [own], `${after}: channels`)
          yield* eventually(unsettled, 0, `${after}: unsettled deliveries`)
        }
        yield* eventually(Effect.map(ready, ([, consumers]) => consumers), 0, `${after}: consumers`)
        // … nor here: no number, no place in a window, no socket, no timer.
        // A channel that the broker closed over it takes its number again when it has healed.
        const number = Effect.scoped(on(Effect.flatMap(Channel.make(), (channel) => channel.number)))
        yield* eventually(number, own + 1, `${after}: channel numbers`)
        yield* eventually(confirm.unconfirmed, 0, `${after}: unconfirmed`)
        yield* eventually(
          Effect.sync(() => Object.entries(resources()).filter(([name, now]) => now > (before[name] ?? 0))),
          [],
          `${after}: resources`
        )
        // The next publish works, on each channel, past a full window.
        yield* check.queuePurge(queue)
        const next = [1, 2, 3].map((number) => ({ routingKey: queue, content: `${number}` }))
        yield* confirm.publishAll(next)
        yield* Effect.ignore(confirm.drain)
        yield* publishers["at-most-once"].publishAll(["4", "5", "6"])
        yield* publishers.confirmed.publishAll(["4", "5", "6"])
        yield* publishers["at-least-once"].publishAll(["4", "5", "6"])
        yield* plain.publishAll(next)
        if (tx !== undefined) yield* tx.transaction(({ publishAll }) => publishAll(next))
        // And every message can be had: none is delivered to nobody.
        yield* plain.queueDeclare({ queue, passive: true })
        yield* eventually(
          ready,
          [tx === undefined ? 15 : 18, 0],
          `${after}: published afterwards`
        )
        yield* check.queuePurge(queue)
        assert.deepStrictEqual(told, [], `${after}: warnings`)
        return Exit.isSuccess(exit)
      })

    let steps = 1
    while (!(yield* tryAfter(steps))) {
      steps = place.next(steps)
      assert.isBelow(steps, most)
    }
  }).pipe(Effect.scoped, Effect.provide(warnings(told)))
}
