/** Those who publish and consume, as planned: each writes into the ledger what it was told. */
import type { AmqpError } from "effect-amqp"
import { Channel, Connection, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Author, Entry, Ledger, Outcome, Reader } from "./ledger.ts"
import type { ConsumerPlan, PublisherPlan } from "./plan.ts"
import type { World } from "./world.ts"

/** Bounds that every connection of a simulation has. */
export const bounds = {
  operationTimeout: "10 seconds",
  publishTimeout: "10 seconds",
  closeTimeout: "3 seconds"
} as const

/** The longest that a publish may take by these bounds: the wait for room, then for the confirm; and a little for the rest. */
const longestPublish = 10_000 + 10_000 + 1000

/** Messages that are published together, at most. In a full window they may wait for each other. */
const most = 12

/** How long a handler may go on when its consumer ends. */
const drainTimeout = 2000

/** To cancel, to drain and to close the channel of a consumer, by these bounds; and a little for the rest. */
const longestEnd = 10_000 + drainTimeout + 3000 + 1000

/** Where it plays. */
export interface Stage {
  readonly world: World
  readonly ledger: Ledger
  /** Nothing goes wrong, ever. */
  readonly isFaultless: boolean
  /** Nothing goes wrong any more: nobody dawdles either. */
  isHealed: boolean
}

/** Why an actor breaks off by itself. */
class Restless extends Data.TaggedError("Restless")<{}> {}
class RolledBack extends Data.TaggedError("RolledBack")<{}> {}

/** Milliseconds of nothing, at most: less when all is healed. */
export const pause = (stage: Stage, most: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const longest = stage.isHealed ? Math.min(most, 100) : Math.round(most)
    return longest === 0 ? Effect.void : Effect.sleep(Duration.millis(stage.world.chance.int(0, longest)))
  })

/** A defect is a bug, wherever it comes from. */
export const noDefect = ({ ledger }: Stage, who: string, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isFailure(exit) && Option.isSome(Cause.dieOption(exit.cause))) {
    ledger.violated(`${who} died: ${Cause.pretty(exit.cause)}`)
  }
}

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
const isDone = <A, E>(exit: Exit.Exit<Option.Option<A>, E>): boolean =>
  Exit.isSuccess(exit) && Option.isSome(exit.value)

const outcomeOf = (error: AmqpError.ConfirmError): Outcome =>
  // Waiting for room that did not come, it was never sent.
  error._tag === "PublishNacked" || (error._tag === "OperationTimeout" && error.operation === "basic.publish")
    ? "refused"
    : "unknown"

const isOver = (error: AmqpError.CallError | AmqpError.ConfirmError): boolean =>
  error._tag === "ChannelError" && error.reason === "ReopenedTooOften"

const bodyOf = (id: string, size: number): string => `${id}|${size}|${"x".repeat(size)}`

const isWhole = (text: string, id: string): boolean => {
  const [, size = ""] = text.split("|", 2)
  return text === bodyOf(id, Number(size))
}

// --- Publishers ---

interface Sends {
  readonly publish: (message: Message.Message) => Effect.Effect<void, AmqpError.ConfirmError>
  readonly publishAll: (
    messages: ReadonlyArray<Message.Message>
  ) => Effect.Effect<void, AmqpError.CallError | AmqpError.PublishManyError>
}

const textOf = ({ content }: Message.Message): string => typeof content === "string" ? content : ""

/** Text can always be encoded. */
const throughPublisher = (
  publisher: Publisher.Publisher<string, Publisher.Guarantee>
): Sends & { readonly sink: Sends["publishAll"] } => {
  const all = (effect: ReturnType<typeof publisher.publishAll>) =>
    Effect.catchAll(effect, (error) => error._tag === "ContentError" ? Effect.die(error) : Effect.fail(error))
  return {
    publish: (message) =>
      Effect.catchAll(
        publisher.publish(textOf(message)),
        (error) => error._tag === "ContentError" ? Effect.die(error) : Effect.fail(error)
      ),
    publishAll: (messages) => all(publisher.publishAll(messages.map(textOf))),
    sink: (messages) => all(Stream.run(Stream.fromIterable(messages.map(textOf)), publisher.sink))
  }
}

type Open = <A>(
  make: Effect.Effect<A, AmqpError.CallError, Connection.Connection | Scope.Scope>,
  use: (channel: A) => Effect.Effect<void, AmqpError.CallError>
) => Effect.Effect<void>

/** A channel after the other until the work is done: one that was closed too often stays closed. */
const reopening = (stage: Stage, done: () => boolean, connection: Connection.Connection): Open => (make, use) =>
  Effect.gen(function*() {
    while (!done()) {
      const result = yield* Effect.either(Effect.scoped(Effect.flatMap(make, use)))
      if (Either.isLeft(result)) yield* pause(stage, 1000)
    }
  }).pipe(Effect.provideService(Connection.Connection, connection))

export const publisher = (
  stage: Stage,
  plan: PublisherPlan,
  connection: Connection.Connection
): Effect.Effect<void> => {
  const { ledger, world } = stage
  const { chance } = world
  const author: Author = { name: plan.name, guarantee: plan.guarantee }
  let next = 0
  let transactions = 0

  const message = (transaction?: number): readonly [Entry, Message.Message] => {
    const entry = ledger.begin(author, next++, plan.route.queues, transaction)
    return [entry, {
      exchange: plan.route.exchange,
      routingKey: plan.route.routingKey,
      content: bodyOf(entry.id, chance.int(0, plan.size)),
      properties: { messageId: entry.id }
    }]
  }
  const batch = (transaction?: number) =>
    Array.from({ length: Math.min(chance.int(1, most), plan.count - next) }, () => message(transaction))
  const end = (entry: Entry, outcome: Outcome): void => {
    ledger.ended(entry, outcome)
    world.tell(`${entry.id} ${outcome}`)
  }

  /** How something went that may be given up; within its bound. */
  const trial = <A, E>(what: string, effect: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<Option.Option<A>, E>> =>
    Effect.gen(function*() {
      const begun = world.now
      const exit = yield* Effect.exit(
        chance.of(plan.impatience)
          ? Effect.timeoutOption(effect, Duration.millis(chance.int(0, 100)))
          : Effect.asSome(effect)
      )
      noDefect(stage, `${plan.name}: ${what}`, exit)
      // At least once means: for as long as the connection tries.
      const isSingle = plan.way === "publish" && plan.guarantee !== "transaction"
      const longest = isSingle ? longestPublish : most * longestPublish
      if (plan.guarantee !== "at-least-once" && world.now - begun > longest) {
        ledger.violated(`${plan.name}: ${what} took ${world.now - begun} ms`)
      }
      return exit
    })
  const publishes = (publish: Sends["publish"], done: Outcome) =>
    Effect.gen(function*() {
      const [entry, outgoing] = message()
      const exit = yield* trial(`publish ${entry.id}`, publish(outgoing))
      const error = failureOf(exit)
      end(entry, isDone(exit) ? done : error === undefined ? "unknown" : outcomeOf(error))
      if (error !== undefined && isOver(error)) return yield* new Restless()
    })

  const many = (
    entries: ReadonlyArray<Entry | undefined>,
    exit: Exit.Exit<Option.Option<void>, AmqpError.CallError | AmqpError.PublishManyError>,
    done: Outcome,
    /** What follows the first failure is as it may be. */
    isOneByOne = false
  ) =>
    Effect.gen(function*() {
      const error = failureOf(exit)
      const each = new Map(
        error?._tag === "PublishManyError" ? error.failures.map(({ error, index }) => [index, error] as const) : []
      )
      entries.forEach((entry, index) => {
        if (entry === undefined) return
        const failure = each.get(index)
        const isBefore = !isOneByOne || index < Math.min(...each.keys())
        const whole = isDone(exit) || (error?._tag === "PublishManyError" && isBefore)
        end(entry, failure !== undefined ? outcomeOf(failure) : whole ? done : "unknown")
      })
      if (Array.from(each.values()).some(isOver)) return yield* new Restless()
    })

  const publishesMany = (publishAll: Sends["publishAll"], done: Outcome, isOneByOne = false) =>
    Effect.gen(function*() {
      const all = batch()
      const exit = yield* trial("publishAll", publishAll(all.map(([, outgoing]) => outgoing)))
      yield* many(all.map(([entry]) => entry), exit, done, isOneByOne)
    })

  const offers = (channel: Channel.ConfirmChannel) =>
    Effect.gen(function*() {
      // Those that are not offered after all have their number too.
      const offered: Array<Entry | undefined> = []
      for (const [entry, outgoing] of batch()) {
        const exit = yield* trial(`offer ${entry.id}`, channel.offer(outgoing))
        offered.push(isDone(exit) ? entry : undefined)
        const unconfirmed = yield* channel.unconfirmed
        if (unconfirmed > plan.window) ledger.violated(`${plan.name} has ${unconfirmed} of ${plan.window} in flight`)
        if (!isDone(exit)) end(entry, "unknown")
      }
      const exit = yield* trial("drain", channel.drain)
      if (Exit.isSuccess(exit) && Option.isNone(exit.value)) {
        for (const entry of offered) if (entry !== undefined) end(entry, "unknown")
        // What became of these would be told to the next drain.
        return yield* new Restless()
      }
      yield* many(offered, exit, "confirmed")
    })

  const transacts = (channel: Channel.TxChannel) =>
    Effect.gen(function*() {
      const all = batch(++transactions)
      const rollsBack = chance.of(plan.rollsBack)
      let isComplete = false
      const exit = yield* trial(
        "transaction",
        channel.transaction((transaction) =>
          Effect.gen(function*() {
            for (const [, outgoing] of all) {
              yield* transaction.publish(outgoing)
              yield* pause(stage, Math.min(plan.pace, 1000))
            }
            if (rollsBack) return yield* new RolledBack()
            isComplete = true
          })
        )
      )
      const error = failureOf(exit)
      for (const [entry] of all) end(entry, isDone(exit) ? "confirmed" : isComplete ? "unknown" : "refused")
      if (error !== undefined && error._tag !== "RolledBack" && isOver(error)) return yield* new Restless()
    })

  const steadily = (step: Effect.Effect<void, Restless>): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (next < plan.count) {
        yield* step
        yield* pause(stage, plan.pace)
      }
    }).pipe(Effect.ignore)

  const open = reopening(stage, () => next >= plan.count, connection)
  if (plan.isHighLevel && plan.guarantee !== "transaction") {
    const { guarantee, route, way, window } = plan
    const done = guarantee === "at-most-once" ? "sent" : "confirmed"
    const make: Effect.Effect<
      Publisher.Publisher<string, Publisher.Guarantee>,
      AmqpError.CallError,
      Connection.Connection | Scope.Scope
    > = Publisher.make<string, never, Publisher.Guarantee>({
      exchange: route.exchange,
      routingKey: route.routingKey,
      content: Message.text,
      guarantee,
      window,
      messageId: (text) => text.split("|", 1)[0] ?? ""
    })
    return open(make, (publisher) => {
      const sends = throughPublisher(publisher)
      return steadily(
        way === "publish"
          ? publishes(sends.publish, done)
          : way === "publishAll"
          ? publishesMany(sends.publishAll, done)
          : publishesMany(sends.sink, done, true)
      )
    })
  }
  switch (plan.guarantee) {
    case "at-most-once":
      return open(
        Channel.make(),
        (channel) =>
          steadily(
            plan.way === "publish" ? publishes(channel.publish, "sent") : publishesMany(channel.publishAll, "sent")
          )
      )
    case "confirmed":
    case "at-least-once":
      return open(
        Channel.makeConfirm({ window: plan.window, guarantee: plan.guarantee }),
        (channel) =>
          steadily(
            plan.way === "publish"
              ? publishes(channel.publish, "confirmed")
              : plan.way === "offer"
              ? offers(channel)
              : publishesMany(channel.publishAll, "confirmed")
          )
      )
    case "transaction":
      return open(Channel.makeTx(), (channel) => steadily(transacts(channel)))
  }
}

// --- Consumers ---

export const consumer = (
  stage: Stage,
  plan: ConsumerPlan,
  connection: Connection.Connection
): Effect.Effect<never> => {
  const { ledger, world } = stage
  const { chance } = world
  let runs = 0

  const seen = (reader: Reader, delivery: Message.Delivery): void => {
    const id = delivery.properties.messageId ?? ""
    if (!isWhole(delivery.text, id)) ledger.violated(`${reader.name} was given ${id} with another body`)
    world.tell(`${reader.name} ${id}${delivery.redelivered ? " again" : ""}`)
    ledger.delivered(reader, id, delivery.redelivered)
  }

  const settled = (delivery: Message.Delivery): Effect.Effect<void> => {
    if (plan.queue.isLossy) return Effect.void
    switch (plan.settling) {
      case "ack":
      case "ackAll":
        return delivery.ack
      case "ackOrFail":
        return Effect.ignore(delivery.ackOrFail)
      case "requeue some":
        return chance.of(0.2) ? delivery.nack() : delivery.ack
      case "reject some":
        return chance.of(0.2) ? delivery.reject() : delivery.ack
    }
  }

  const one = (reader: Reader) => (delivery: Message.Delivery) =>
    Effect.gen(function*() {
      seen(reader, delivery)
      yield* pause(stage, plan.pace)
      if (chance.of(plan.restlessness)) return yield* new Restless()
      yield* settled(delivery)
    })

  const chunks = (channel: Channel.Channel, reader: Reader) => (deliveries: Iterable<Message.Delivery>) =>
    Effect.gen(function*() {
      for (const delivery of deliveries) seen(reader, delivery)
      yield* pause(stage, plan.pace)
      if (chance.of(plan.restlessness)) return yield* new Restless()
      if (!plan.queue.isLossy) yield* channel.ackAll(deliveries)
    })

  const run = Effect.gen(function*() {
    const reader: Reader = { name: `${plan.name}.${++runs}`, queue: plan.queue.name, last: new Map() }
    const noAck = plan.queue.isLossy
    const channel = yield* Channel.make({ prefetch: plan.prefetch })
    if (plan.way === "get") {
      for (;;) {
        const got = yield* channel.get({ queue: plan.queue.name, noAck })
        if (Option.isSome(got)) yield* one(reader)(got.value.delivery)
        else yield* Effect.sleep("200 millis")
      }
    }
    const deliveries = channel.consume({
      queue: plan.queue.name,
      // The library's own come from a counter that all runs of a process share.
      consumerTag: reader.name,
      noAck,
      onCancel: plan.onCancel,
      batch: plan.batch
    })
    return yield* plan.settling === "ackAll"
      ? Stream.runForEachChunk(deliveries, chunks(channel, reader))
      : Stream.runForEach(deliveries, one(reader))
  })

  /** Handlers, no more at a time than asked for, and none when it has ended. */
  const handling = Effect.gen(function*() {
    const reader: Reader = { name: `${plan.name}.${++runs}`, queue: plan.queue.name, last: new Map() }
    let active = 0
    /** When it was told to. */
    let endedAt = Infinity
    const handle = (_text: string, delivery: Message.Delivery) => {
      // They are called in order; what they return may begin later.
      seen(reader, delivery)
      // As soon as it hears of it, it starts on nothing new.
      if (world.now > endedAt) ledger.violated(`${reader.name} handles ${delivery.properties.messageId} after its end`)
      return Effect.gen(function*() {
        if (++active > plan.concurrency) ledger.violated(`${reader.name} has ${active} handlers of ${plan.concurrency}`)
        yield* pause(stage, plan.pace)
        if (chance.of(plan.restlessness)) return yield* new Restless()
      }).pipe(Effect.ensuring(Effect.sync(() => void active--)))
    }
    const options = {
      queue: plan.queue.name,
      content: Message.text,
      concurrency: plan.concurrency,
      consumerTag: reader.name,
      onCancel: plan.onCancel,
      drainTimeout: `${drainTimeout} millis`
    } as const
    const fiber = yield* Effect.fork(
      plan.queue.isLossy
        ? Consumer.runNoAck(options, handle)
        : Consumer.run(
          { ...options, prefetch: plan.prefetch, ordered: plan.ordered, onFailure: plan.onFailure },
          handle
        )
    )
    const end = Effect.gen(function*() {
      endedAt = world.now
      yield* Fiber.interrupt(fiber)
      const took = world.now - endedAt
      if (active > 0) ledger.violated(`${reader.name} leaves ${active} handlers`)
      if (took > longestEnd) ledger.violated(`${reader.name} took ${took} ms to end`)
    })
    // Some are told to end before their time.
    const patience = plan.restlessness > 0 && !stage.isHealed
      ? chance.int(0, chance.pick([300, 3000, 20_000]))
      : Infinity
    yield* Effect.raceFirst(Fiber.join(fiber), Effect.sleep(Duration.millis(patience))).pipe(Effect.ensuring(end))
  })

  return Effect.gen(function*() {
    for (;;) {
      const exit = yield* Effect.exit(plan.way === "run" ? handling : Effect.scoped(run))
      noDefect(stage, plan.name, exit)
      world.tell(`${plan.name} ends ${Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "well"}`)
      yield* pause(stage, 1000)
    }
  }).pipe(Effect.provideService(Connection.Connection, connection))
}
