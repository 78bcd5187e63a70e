/** What every client goes through in the long form, each part for as long as it is told. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ChaosProxy } from "../harness/chaosProxy.ts"
import type { DisposableRabbitMq, RabbitMqUnavailable } from "../harness/rabbitmq.ts"
import type { Ledger } from "./ledger.ts"
import { faults, flips, flowing, oneByOne } from "./run.ts"

export interface Part {
  readonly title: string
  /** Of the time of a client. */
  readonly share: number
  readonly fails: "network" | "broker"
  readonly chaos: (
    node: DisposableRabbitMq,
    seconds: number
  ) => (proxy: ChaosProxy, ledger: Ledger) => Effect.Effect<unknown, RabbitMqUnavailable>
}

const untilOver = <E>(seconds: number, once: Effect.Effect<unknown, E>): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    const end = performance.now() + seconds * 1000
    return Effect.asVoid(Effect.repeat(once, { until: () => performance.now() >= end }))
  })

/** As many faults in turn as there is time for, over and over. */
const inTurn = (seconds: number, interval: number) => {
  const all = [...Object.values(faults), ...flips]
  return oneByOne(
    Array.from({ length: Math.max(1, Math.round(seconds / interval)) }, (_, at) => all[at % all.length]!),
    Duration.seconds(interval)
  )
}

export const parts: ReadonlyArray<Part> = [
  {
    title: "reset every 2 s",
    share: 0.4,
    fails: "network",
    chaos: (_, seconds) => (proxy, ledger) =>
      Effect.sleep("2 seconds").pipe(
        Effect.zipRight(Effect.sync(() => ledger.fault())),
        Effect.zipRight(proxy.reset),
        Effect.repeatN(Math.max(1, Math.floor(seconds / 2) - 1)),
        Effect.zipRight(Effect.sleep("2 seconds"))
      )
  },
  { title: "every fault in turn", share: 0.35, fails: "network", chaos: (_, seconds) => inTurn(seconds, 1.5) },
  {
    title: "kill -9, restart",
    share: 0.25,
    fails: "broker",
    chaos: (node, seconds) => (_, ledger) =>
      untilOver(
        seconds,
        Effect.gen(function*() {
          yield* Effect.sleep("4 seconds")
          ledger.fault()
          yield* node.kill
          yield* node.start
          yield* flowing(ledger)
          yield* Effect.sleep("4 seconds")
        })
      )
  }
]
