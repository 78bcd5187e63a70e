/**
 * One life of a program, from the handshake to the goodbye, and a fault at one point of it: what became of each step, and
 * what is wrong with that.
 */
import { AmqpError } from "effect-amqp"
import { Channel, Connection, Consumer, Message, Publisher, Topology } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Author, Reader } from "../simulation/ledger.ts"
import { Ledger } from "../simulation/ledger.ts"
import { perform } from "../simulation/perform.ts"
import { World } from "../simulation/world.ts"
import type { Happening } from "./faults.ts"
import type { Point, Side } from "./network.ts"
import * as Network from "./network.ts"

/** What goes wrong, where, and whether it is healed. */
export interface Trouble {
  readonly point: Point
  readonly happening: Happening
  /** After so long; `undefined`: when the life is over. */
  readonly healsAfter: number | undefined
}

export interface Result {
  /** What failed, as `step: Tag Reason`, in order. */
  readonly faults: ReadonlyArray<string>
  readonly violations: ReadonlyArray<string>
  readonly passed: Readonly<Record<Side, number>>
}

const heartbeat = 2000
const operationTimeout = 5000
const channelTimeout = 4000
const publishTimeout = 6000
const closeTimeout = 1500
const stackTimeout = 3000
const drainTimeout = 1000

/** Until a dead line is noticed, at the longest. */
const noticed = 2 * heartbeat
/** Pauses between rounds, and how many rounds follow each other where it is not to go on for ever. */
const pause = 500
const rounds = 4
/** From the loss of a socket to the end of a connection that nobody lets in any more. */
const givenUp = (rounds + 1) * (noticed + pause + stackTimeout + operationTimeout)
const healing = 3000
/** From a fault that is healed to a connection on which everything works. */
const healed = noticed + healing + 2 * (pause + stackTimeout + operationTimeout)

/** A publish waits for room, and then for its confirm. */
const published = 2 * publishTimeout

/** The broker has said that it did not take a message, or it was never sent. */
const refusals = new Set(["PublishNacked", "PublishReturned", "OperationTimeout"])

type Tagged = { readonly _tag: string; readonly reason?: unknown }

const tagOf = (error: Tagged): string => typeof error.reason === "string" ? `${error._tag} ${error.reason}` : error._tag

const outcomeOf = (error: Tagged) => refusals.has(error._tag) ? "refused" : "unknown"

export const live = async (trouble?: Trouble): Promise<Result> => {
  const world = new World(1)
  const ledger = new Ledger({ isFaultless: trouble === undefined })
  const faults: Array<string> = []
  let isOver = false
  let passed = { client: 0, broker: 0 }
  const heals = trouble === undefined || trouble.healsAfter !== undefined
  let undo: (() => void) | undefined
  let broker: Broker.Service | undefined
  const heal = () => {
    const now = undo
    undo = undefined
    now?.()
  }
  const network = Network.make(world, trouble?.point, (line) => {
    // Afterwards it is looked at what is left.
    if (broker === undefined || trouble === undefined || isOver) return
    undo = trouble.happening({ network, broker, line })
    if (trouble.healsAfter !== undefined) world.after(trouble.healsAfter, heal)
  })

  /** Runs a step, which ends within its bound, and by a typed fault if by any. */
  const step = <A, E extends Tagged, R>(name: string, within: number, effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const begun = world.now
      const exit = yield* Effect.exit(effect)
      const took = world.now - begun
      if (took > within) ledger.violated(`${name} took ${took} ms of ${within}`)
      if (Exit.isSuccess(exit)) return Option.some(exit.value)
      const failure = Cause.failureOption(exit.cause)
      if (Option.isNone(failure) || Cause.defects(exit.cause).length > 0) {
        ledger.violated(`${name} died: ${Cause.pretty(exit.cause)}`)
      } else {
        for (const error of flatten(failure.value)) faults.push(`${name}: ${tagOf(error)}`)
      }
      return Option.none<A>()
    })

  const authors = {
    confirmed: { name: "confirmed", guarantee: "confirmed" },
    again: { name: "again", guarantee: "at-least-once" }
  } satisfies Record<string, Author>

  /** The consumer has had all that is known to be there. */
  const isDone = () =>
    Array.from(ledger.entries.values()).every(({ outcome, seen }) => outcome !== "confirmed" || seen.has("q"))

  const begin = (author: Author, first: number, count: number) =>
    Array.from({ length: count }, (_, index) => ledger.begin(author, first + index, ["q"]))

  const outcomes = (entries: ReturnType<typeof begin>, exit: Exit.Exit<void, Tagged>) => {
    const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
    const each = error instanceof AmqpError.PublishManyError
      ? new Map(error.failures.map(({ error, index }) => [index, error] as const))
      : undefined
    entries.forEach((entry, index) => {
      const failure = each === undefined ? error : each.get(index)
      ledger.ended(entry, failure === undefined ? "confirmed" : outcomeOf(failure))
    })
  }

  const client = Effect.gen(function*() {
    const limit = heals ? healed : givenUp
    const connection = yield* step(
      "connect",
      stackTimeout,
      Connection.make({
        host: "broker",
        name: "life",
        heartbeat: `${heartbeat} millis`,
        frameMax: 4096,
        stackTimeout: `${stackTimeout} millis`,
        operationTimeout: `${operationTimeout} millis`,
        channelTimeout: `${channelTimeout} millis`,
        publishTimeout: `${publishTimeout} millis`,
        closeTimeout: `${closeTimeout} millis`,
        reconnect: heals
          ? Schedule.spaced(Duration.millis(pause))
          : Schedule.intersect(Schedule.spaced(Duration.millis(pause)), Schedule.recurs(rounds))
      })
    )
    if (Option.isNone(connection)) return
    yield* work(limit).pipe(Effect.provideService(Connection.Connection, connection.value))
    yield* step("close", closeTimeout, connection.value.close())
  })

  const work = (limit: number) =>
    Effect.gen(function*() {
      const channels = yield* Scope.make()
      const done = yield* Effect.exit(Scope.extend(onChannels(limit), channels))
      if (Exit.isFailure(done)) ledger.violated(`the life died: ${Cause.pretty(done.cause)}`)
      yield* step("close channels", 4 * closeTimeout, Scope.close(channels, Exit.void))
      // Nothing is said for a while, but by heartbeats.
      yield* Effect.sleep(Duration.millis(healing + pause))
      if (!heals) return
      // Every number is free again; the socket may go just when it was given away.
      const next = yield* step(
        "open",
        healed + channelTimeout,
        Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.number))
      )
      if (Option.isSome(next) && next.value > 1) ledger.violated(`the next channel is number ${next.value}`)
    })

  const onChannels = (limit: number) =>
    Effect.gen(function*() {
      const opened = yield* step("open", channelTimeout, Channel.makeConfirm({ window: 2 }))
      if (Option.isNone(opened)) return
      const channel = opened.value
      yield* step("declare", operationTimeout, channel.exchangeDeclare({ exchange: "x", type: "topic" }))
      yield* step("declare", operationTimeout, channel.queueDeclare({ queue: "q" }))
      yield* step("declare", operationTimeout, channel.queueBind({ queue: "q", exchange: "x", routingKey: "k.#" }))
      yield* step(
        "declare",
        2 * (operationTimeout + channelTimeout),
        Topology.declare({
          queues: [{ queue: "own", exclusive: true }],
          bindings: [{ queue: "own", exchange: "x", routingKey: "other" }]
        })
      )

      const single = begin(authors.confirmed, 0, 2)
      for (const entry of single) {
        const message = {
          routingKey: "q",
          mandatory: true,
          content: bodyOf(entry.id),
          properties: { messageId: entry.id }
        }
        let exit: Exit.Exit<void, AmqpError.ConfirmError> = Exit.void
        yield* step(
          "publish",
          published,
          Effect.onExit(channel.publish(message), (now) => Effect.sync(() => void (exit = now)))
        )
        outcomes([entry], exit)
      }

      const publisher = yield* step(
        "open",
        channelTimeout,
        Publisher.make({
          routingKey: "q",
          content: Message.text,
          guarantee: "at-least-once",
          window: 2,
          mandatory: true,
          messageId: (text) => text.split("|", 1)[0] ?? ""
        })
      )
      if (Option.isSome(publisher)) {
        const many = begin(authors.again, 0, 3)
        let exit: Exit.Exit<void, AmqpError.PublishManyError | AmqpError.ContentError> = Exit.void
        yield* step(
          "publish many",
          limit + 2 * published,
          Effect.onExit(
            publisher.value.publishAll(many.map(({ id }) => bodyOf(id))),
            (now) => Effect.sync(() => void (exit = now))
          )
        )
        outcomes(many, exit)
      }

      const all = yield* Deferred.make<void>()
      const reader: Reader = { name: "consumer", queue: "q", last: new Map() }
      const consumer = yield* Effect.fork(Consumer.run(
        { queue: "q", content: Message.text, concurrency: 1, prefetch: 3, drainTimeout: `${drainTimeout} millis` },
        (text, delivery) =>
          Effect.gen(function*() {
            const id = delivery.properties.messageId ?? ""
            if (text !== bodyOf(id)) ledger.violated(`${id} came with another body`)
            ledger.delivered(reader, id, delivery.redelivered)
            // Longer than nothing: something can happen while a handler is at work.
            yield* Effect.sleep("50 millis")
            if (isDone()) yield* Deferred.succeed(all, undefined)
          })
      ))
      if (isDone()) yield* Deferred.succeed(all, undefined)
      const consumed = yield* Effect.raceFirst(
        Effect.as(Deferred.await(all), Option.none()),
        Effect.asSome(Effect.exit(Fiber.join(consumer)))
      ).pipe(Effect.timeoutOption(Duration.millis(limit + 60_000)))
      if (Option.isNone(consumed)) {
        if (heals) ledger.violated("the consumer neither ends nor gets everything")
      } else if (Option.isSome(consumed.value)) {
        yield* step("consume", 0, consumed.value.value)
      }
      // It waits for handlers, and then says goodbye; a consumer that has ended by itself is no news here.
      yield* step("stop", drainTimeout + operationTimeout + 2 * closeTimeout, Fiber.interrupt(consumer))
    })

  const program = Effect.gen(function*() {
    let names = 0
    broker = yield* Broker.make({ generateName: () => `${++names}` })
    const recorded = yield* broker.record()
    const over = yield* Effect.disconnect(client).pipe(Effect.scoped, Effect.timeoutOption("10 minutes"))
    if (Option.isNone(over)) ledger.violated("the life does not end")
    passed = { ...network.passed }
    isOver = true
    heal()
    yield* broker.heal()

    // What is left of it, a while later: a line that went dead is noticed at the broker, too.
    yield* Effect.sleep(Duration.millis(2 * noticed))
    const queues = yield* broker.queues()
    for (const { consumers, name, unsettled } of queues) {
      if (consumers + unsettled > 0) ledger.violated(`${name} has ${consumers} consumers, ${unsettled} unsettled`)
      if (name === "own") ledger.violated("an exclusive queue is left")
    }
    const connections = yield* broker.connections
    if (connections.length > 0) ledger.violated(`connections are left: ${JSON.stringify(connections)}`)
    ledger.recorded(Array.from(yield* recorded, ({ properties }) => properties.messageId ?? ""))
    if (queues.some(({ name }) => name === "q")) yield* drain
    ledger.judge()
  })

  /** What nobody has handled is there still. */
  const drain = Effect.gen(function*() {
    const reader: Reader = { name: "the last", queue: "q", last: new Map() }
    const connection = yield* Connection.make({ host: "broker", name: "last", heartbeat: "0 seconds" })
    const channel = yield* Effect.provideService(Channel.make(), Connection.Connection, connection)
    for (;;) {
      const got = yield* channel.get({ queue: "q", noAck: true })
      if (Option.isNone(got)) return
      const { delivery } = got.value
      ledger.delivered(reader, delivery.properties.messageId ?? "", delivery.redelivered)
    }
  }).pipe(Effect.scoped)

  const judge = () => {
    if (network.lines.size > 0) ledger.violated(`${network.lines.size} lines are left`)
  }
  await perform({ world, ledger, network, judge }, program)
  return { faults, violations: ledger.violations, passed }
}

// More than a frame holds: a body of several.
const bodyOf = (id: string): string => `${id}|${id === "confirmed/1" ? "x".repeat(5000) : ""}`

const flatten = (error: Tagged): ReadonlyArray<Tagged> =>
  error instanceof AmqpError.PublishManyError ? error.failures.map(({ error }) => error) : [error]
