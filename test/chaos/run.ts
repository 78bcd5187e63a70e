/** Puts a client under chaos, and counts. */
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ChaosProxy from "../harness/chaosProxy.ts"
import type { RabbitMq } from "../harness/rabbitmq.ts"
import type { Client } from "./client.ts"
import type { Report } from "./ledger.ts"
import { Ledger } from "./ledger.ts"

export const window = 100
export const prefetch = 100

/** Something done to a proxy; it is healed after the rest of the interval. */
export type Fault = (proxy: ChaosProxy.ChaosProxy) => Effect.Effect<unknown>

export const faults = {
  cut: (proxy) => proxy.cut,
  reset: (proxy) => proxy.reset,
  deafen: (proxy) => proxy.deafen,
  delay: (proxy) => proxy.delay(150),
  throttle: (proxy) => proxy.throttle(50_000),
  singleOctets: (proxy) => proxy.singleOctets,
  refuse: (proxy) => Effect.zipRight(proxy.refuse, proxy.reset)
} satisfies Record<string, Fault>

/** The time it may take until all that was confirmed was received, with a machine that has others to serve. */
const patience = Duration.seconds(90)

/** Runs a client while `chaos` lasts, and for as long as it takes to receive everything that was confirmed. */
export const underChaos = <E, R>(
  rabbit: RabbitMq,
  client: Client,
  chaos: (proxy: ChaosProxy.ChaosProxy, ledger: Ledger) => Effect.Effect<unknown, E, R>
): Effect.Effect<Report, E, R> =>
  Effect.gen(function*() {
    const proxy = yield* ChaosProxy.make(rabbit)
    const queue = `chaos-${client.name}`
    const declare = (make: "declare" | "delete") =>
      Effect.gen(function*() {
        const channel = yield* Channel.make()
        return yield* make === "declare" ? channel.queueDeclare({ queue }) : channel.queueDelete({ queue })
      }).pipe(
        Effect.provide(Connection.layer({ url: rabbit.url })),
        Effect.provide(NodeTransport.layer),
        Effect.scoped,
        Effect.orDie
      )
    yield* Effect.acquireRelease(declare("declare"), () => declare("delete"))
    const ledger = new Ledger()
    const url = rabbit.url.replace(`:${rabbit.port}/`, `:${proxy.port}/`)
    const running = yield* Effect.orDie(client.start({ url, queue, window, prefetch, ledger }))
    yield* chaos(proxy, ledger)
    yield* proxy.heal
    yield* Effect.timeoutOption(running.stop, patience)
    ledger.stop()
    yield* Effect.suspend(() => Effect.sleep("200 millis")).pipe(
      Effect.repeat({ until: () => ledger.missing.length === 0 }),
      Effect.timeoutOption(patience)
    )
    return ledger.report
  }).pipe(Effect.scoped)

/** Faults one after the other, each for a part of the interval. */
export const oneByOne =
  (list: ReadonlyArray<Fault>, interval: Duration.DurationInput) => (proxy: ChaosProxy.ChaosProxy) =>
    Effect.forEach(list, (fault) =>
      Effect.gen(function*() {
        yield* fault(proxy)
        yield* Effect.sleep(Duration.times(interval, 0.6))
        yield* proxy.heal
        yield* Effect.sleep(Duration.times(interval, 0.4))
      }), { discard: true })
