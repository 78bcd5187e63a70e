import { assert, describe, it } from "@effect/vitest"
import { Reconnect } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { onNetwork, print, seconds, states } from "./network.ts"

/** A delay, or between what it lies, in milliseconds. */
type Delay = number | readonly [least: number, most: number]

interface Preset {
  readonly title: string
  readonly schedule: Schedule.Schedule<unknown>
  /** The first delays. */
  readonly delays: ReadonlyArray<Delay>
  /** Whether there are no more. */
  readonly ends: boolean
}

const range = (count: number, delay: (round: number) => Delay) => Array.from({ length: count }, (_, at) => delay(at))
const doubled = (first: number, most: number, count: number) =>
  range(count, (round) => Math.min(first * 2 ** round, most))

const presets: ReadonlyArray<Preset> = [
  {
    title: "exponential(), the default",
    schedule: Reconnect.exponential(),
    delays: range(12, (round) => [Math.min(50 * 2 ** round, 5000), Math.min(100 * 2 ** round, 10_000)]),
    ends: false
  },
  {
    title: "linear({ first: 1 s, step: 3 s, max: 9 s })",
    schedule: Reconnect.linear({ first: "1 second", step: "3 seconds", max: "9 seconds" }),
    delays: [1000, 4000, 7000, 9000, 9000],
    ends: false
  },
  { title: "pika()", schedule: Reconnect.pika(), delays: [], ends: true },
  {
    title: "pika({ attempts: 4, delay: 3 s })",
    schedule: Reconnect.pika({ attempts: 4, delay: "3 seconds" }),
    delays: [3000, 3000, 3000],
    ends: true
  },
  {
    title: "pikaRecovery",
    schedule: Reconnect.pikaRecovery,
    delays: doubled(1000, 30_000, 5),
    ends: true
  },
  {
    title: "kombu()",
    schedule: Reconnect.kombu(),
    delays: range(18, (round) => Math.min(2000 * (round + 1), 30_000)),
    ends: false
  },
  {
    title: "kombu({ maxRetries: 3 })",
    schedule: Reconnect.kombu({ maxRetries: 3 }),
    delays: [2000, 4000, 6000],
    ends: true
  },
  { title: "kombuEnsure()", schedule: Reconnect.kombuEnsure(), delays: range(6, () => 1000), ends: false },
  {
    title: "proton",
    schedule: Reconnect.proton,
    delays: [0, ...doubled(100, 10_000, 10)],
    ends: false
  },
  {
    title: "rabbitmqClient",
    schedule: Reconnect.rabbitmqClient,
    delays: range(8, (round) => [1000, Math.min(2000 * 2 ** round, 30_000)]),
    ends: false
  },
  {
    title: "amqplib",
    schedule: Reconnect.amqplib,
    delays: range(12, (round) => [0.8 * Math.min(100 * 2 ** round, 25_000), Math.min(120 * 2 ** round, 30_000)]),
    ends: false
  },
  { title: "amqpClient", schedule: Reconnect.amqpClient, delays: doubled(1000, 30_000, 8), ends: false },
  { title: "go", schedule: Reconnect.go, delays: range(5, () => 5000), ends: true },
  { title: "java", schedule: Reconnect.java, delays: range(6, () => 5000), ends: false },
  { title: "effectMessaging", schedule: Reconnect.effectMessaging, delays: range(6, () => 1000), ends: false },
  { title: "uamqp()", schedule: Reconnect.uamqp(), delays: [1000, 2000, 4000, 8000], ends: true },
  { title: "none", schedule: Reconnect.none, delays: [], ends: true }
]

const show = (delay: Delay | undefined) =>
  delay === undefined
    ? "none: it ends"
    : typeof delay === "number"
    ? seconds(delay)
    : `${seconds(delay[0])} to ${seconds(delay[1])}`

/** How long all of that takes at most, and a while more. */
const lasting = ({ delays }: Preset) =>
  delays.reduce<number>((sum, delay) => sum + (typeof delay === "number" ? delay : delay[1]), 900)

/** The times of the rounds, against what they are to be; `start` is when the first one was, or the loss. */
const check = ({ delays, ends, title }: Preset, what: string, start: number, times: ReadonlyArray<number>) => {
  const most = delays.length
  const rows = Array.from({ length: ends ? most + 1 : most }, (_, at) => [
    `${at + 1}`,
    show(delays[at]),
    times[at] === undefined ? "-" : seconds(times[at] - (times[at - 1] ?? start)),
    times[at] === undefined ? "-" : seconds(times[at] - start)
  ])
  print(`Reconnect.${title}, ${what}`, ["round", "delay expected", "delay", "dialled at"], rows)
  if (ends) assert.lengthOf(times, most, "it ends")
  else assert.isAtLeast(times.length, most, "it goes on")
  delays.forEach((delay, at) => {
    const [least, longest] = typeof delay === "number" ? [delay, delay] : delay
    const waited = (times[at] ?? NaN) - (times[at - 1] ?? start)
    // What is drawn by chance is rounded to milliseconds.
    assert.isAtLeast(waited, Math.floor(least), `before round ${at + 1}`)
    assert.isAtMost(waited, Math.ceil(longest), `before round ${at + 1}`)
  })
}

describe("a lost connection is dialled again by", () => {
  for (const preset of presets) {
    it.scoped(`Reconnect.${preset.title}`, () =>
      onNetwork(({ dials, lose }) =>
        Effect.gen(function*() {
          const connection = yield* Connection.make({ url: "amqp://a", reconnect: preset.schedule })
          const seen = yield* states(connection)
          yield* TestClock.adjust("10 seconds")
          dials.length = 0
          yield* lose("a")
          yield* TestClock.adjust(lasting(preset))
          check(preset, "after a loss", 10_000, dials.map(({ at }) => at))
          const recovering = seen.flatMap((state) => state._tag === "Recovering" ? [state] : [])
          assert.deepStrictEqual(
            recovering.slice(0, 3).map(({ round }) => round),
            [1, 2, 3].slice(0, recovering.length)
          )
          assert.strictEqual(seen.at(-1)?._tag, preset.ends ? "Closed" : "Recovering")
        })
      ))
  }
})

describe("a first connect is patient by", () => {
  for (const preset of presets) {
    it.scoped(`Reconnect.${preset.title}, each round over all endpoints without a pause`, () =>
      onNetwork(({ dials, down }) =>
        Effect.gen(function*() {
          down.add("a").add("b")
          const connecting = yield* Effect.fork(
            Effect.flip(Connection.make({ urls: ["amqp://a", "amqp://b"], connect: preset.schedule }))
          )
          yield* TestClock.adjust(lasting(preset))
          const rounds = dials.filter(({ where }) => where === "a").map(({ at }) => at)
          assert.deepStrictEqual(dials.filter(({ where }) => where === "b").map(({ at }) => at), rounds)
          check(preset, "first connect", 0, rounds.slice(1))
          if (!preset.ends) return yield* Fiber.interrupt(connecting)
          const fault = yield* Fiber.join(connecting)
          assert.deepStrictEqual(
            fault.attempts.map(({ endpoint }) => endpoint),
            dials.map(({ where }) => `${where}:5672`)
          )
          return
        })
      ))
  }
})
