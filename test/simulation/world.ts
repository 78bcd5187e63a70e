/**
 * A world in one thread, whose time, order and chance come from a seed: an Effect Scheduler that runs whatever is ready in
 * any order, a Clock that jumps to the next thing to happen when nothing is, and a log of what happened. Between two runs
 * of a seed nothing differs; nothing waits for real time.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import { LivingFibers } from "../harness/livingFibers.ts"
import { Chance } from "./random.ts"

/** Something that will happen. */
export interface Timed {
  readonly at: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

const isBefore = (one: Timed, other: Timed): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order)

/** A binary heap: the earliest first, and of the same time the one asked for first. */
class Agenda {
  private readonly heap: Array<Timed> = []

  push(timed: Timed): void {
    const { heap } = this
    let index = heap.push(timed) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(timed, heap[parent]!)) break // a parent is in the heap
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = timed
  }

  get first(): Timed | undefined {
    while (this.heap[0]?.cancelled === true) this.pop()
    return this.heap[0]
  }

  pop(): Timed | undefined {
    const { heap } = this
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || last === first) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      // Both are below the length.
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

/** What is wrong with a run. */
export class Violation extends Error {
  override readonly name = "Violation"
}

/** Past this many steps a run does not end. */
const mostSteps = 3_000_000

/** How time passes. */
export interface Pace {
  /** Milliseconds. */
  readonly start: number
  /** How long a sleep of so many milliseconds lasts. */
  readonly asleep: (millis: number) => number
}

/** Whole milliseconds, as Effect's own Clock has them. */
const whole: Pace = { start: 0, asleep: Math.ceil }

export class World {
  readonly chance: Chance
  /** What happened, in order. */
  readonly log: Array<string> = []
  readonly clock: Clock.Clock
  readonly scheduler: Scheduler.Scheduler
  steps = 0
  /** Sleeps of fibers that are not over. */
  sleepers = 0
  private readonly seed: number
  private readonly agenda = new Agenda()
  private readonly ready: Array<() => void> = []
  private readonly alive = new LivingFibers()
  private time: number
  private order = 0

  constructor(seed: number, { asleep, start } = whole) {
    this.seed = seed
    this.time = start
    this.chance = new Chance(seed)
    // Some seeds let a fiber run on, others stop it after every few operations (a yield itself costs a good twenty).
    const operations = this.chance.pick([2048, 2048, 300, 100, 40])
    this.scheduler = {
      shouldYield: (fiber) => fiber.currentOpCount > operations ? 0 : false,
      scheduleTask: (task) => void this.ready.push(task)
    }
    this.clock = {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => this.time,
      unsafeCurrentTimeNanos: () => BigInt(Math.round(this.time * 1_000_000)),
      currentTimeMillis: Effect.sync(() => this.time),
      currentTimeNanos: Effect.sync(() => BigInt(Math.round(this.time * 1_000_000))),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          this.sleepers++
          const timed = this.after(asleep(Duration.toMillis(duration)), () => {
            this.sleepers--
            resume(Effect.void)
          })
          return Effect.sync(() => {
            if (!timed.cancelled) this.sleepers--
            timed.cancelled = true
          })
        })
    }
  }

  get now(): number {
    return this.time
  }

  /** Fibers that have not ended. */
  get fibers(): number {
    return this.alive.fibers.size
  }

  /** Something happened. */
  tell(what: string): void {
    this.log.push(`${this.time} ${what}`)
  }

  /** Does something in a turn of its own, in any order with what else is ready. */
  soon(run: () => void): void {
    this.ready.push(run)
  }

  /** Does something at that time from now. */
  after(millis: number, run: () => void): Timed {
    const timed = { at: this.time + millis, order: this.order++, run, cancelled: false }
    if (millis < Infinity) this.agenda.push(timed)
    return timed
  }

  /** Runs a program to its end; everything that it needs of time, order and chance comes from here. */
  async run<A, E>(program: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> {
    let exit: Exit.Exit<A, E> | undefined
    const fiber = Effect.runFork(
      program.pipe(
        Effect.withClock(this.clock),
        Effect.withRandom(Random.make(this.seed)),
        Effect.supervised(this.alive)
      ),
      { scheduler: this.scheduler }
    )
    fiber.addObserver((ended) => {
      exit = ended
    })
    for (;;) {
      this.runReady()
      // What was left to the microtasks comes now: they stand in line before us.
      await undefined
      if (this.ready.length > 0) continue
      if (exit !== undefined) return exit
      this.advance()
    }
  }

  private runReady(): void {
    const { ready } = this
    while (ready.length > 0) {
      if (++this.steps > mostSteps) throw new Violation(`no end after ${mostSteps} steps, at ${this.time}`)
      const index = ready.length === 1 ? 0 : this.chance.int(0, ready.length - 1)
      const task = ready[index]! // an index of the list
      const last = ready.pop()!
      if (task !== last) ready[index] = last
      task()
    }
  }

  private advance(): void {
    const next = this.agenda.first
    if (next === undefined) throw new Violation("nothing is left to happen, and the program has not ended")
    this.time = next.at
    for (let due = this.agenda.first; due !== undefined && due.at === next.at; due = this.agenda.first) {
      this.agenda.pop()
      const timed = due
      this.ready.push(() => {
        if (timed.cancelled) return
        timed.cancelled = true
        timed.run()
      })
    }
  }
}
