/** What a behaviour case knows of the broker it runs on, and the small steps that the cases are made of. */
import { assert, type Vitest } from "@effect/vitest"
import type { AmqpError, Transport } from "effect-amqp"
import { Arguments, Channel, Connection, type Message } from "effect-amqp/amqp091"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"

/** The broker a suite runs on. */
export class Place extends Context.Tag("test/Place")<Place, {
  readonly kind: "embedded" | "rabbitmq"
  /** The virtual host that the cases have for themselves. */
  readonly vhost: string
  /** A connection of its own, which does not dial again. Default: to `vhost`. */
  readonly connect: (vhost?: string) => Effect.Effect<Connection.Connection, AmqpError.ConnectError, Scope.Scope>
  /** A new user who may do so much in `vhost` (patterns as RabbitMQ has them), and a connection of its own. */
  readonly connectAs: (permissions: {
    readonly configure: RegExp
    readonly write: RegExp
    readonly read: RegExp
  }) => Effect.Effect<
    { readonly connection: Connection.Connection; readonly user: string },
    AmqpError.ConnectError,
    Scope.Scope
  >
  /** A pipe to the broker, on which nothing was said yet. */
  readonly dial: Effect.Effect<Transport.Pipe, AmqpError.ConnectError, Scope.Scope>
  /** How many channels are open in `vhost`, as the broker counts. */
  readonly channels: Effect.Effect<number>
  /** Another virtual host, open to `guest`. */
  readonly addVhost: Effect.Effect<string>
}>() {}

/** What the cases are defined with. */
export type It = Pick<Vitest.MethodsNonLive<Place, true>, "scoped">

let count = 0

/** A name that no other case uses. */
export const fresh = (kind: string): string => `${kind}-${++count}`

/** A connection, and a channel on it. */
export const open = (options?: Channel.Options) =>
  Effect.gen(function*() {
    const { connect, vhost } = yield* Place
    const connection = yield* connect()
    return { connection, channel: yield* openOn(connection, options), vhost }
  })

/** The same with confirms. */
export const openConfirm = (options?: Channel.ConfirmOptions) =>
  Effect.gen(function*() {
    const { connect, vhost } = yield* Place
    const connection = yield* connect()
    const channel = yield* Effect.provideService(
      Channel.makeConfirm(options),
      Connection.Connection,
      connection
    )
    return { connection, channel, vhost }
  })

export const openOn = (connection: Connection.Connection, options?: Channel.Options) =>
  Effect.provideService(Channel.make(options), Connection.Connection, connection)

/** A transient queue with a name of its own that goes with the connection, and messages with these texts in it. */
export const queueOf = (channel: Channel.ConfirmChannel, ...texts: ReadonlyArray<string>) =>
  queueWith(channel, {}, ...texts)

/** The same with arguments; a quorum queue stays. */
export const queueWith = (
  channel: Channel.ConfirmChannel,
  options: Arguments.QueueArguments,
  ...texts: ReadonlyArray<string>
) =>
  Effect.gen(function*() {
    const queue = fresh("q")
    yield* channel.queueDeclare({
      queue,
      exclusive: options.type !== "quorum",
      arguments: Arguments.queue(options)
    })
    yield* channel.publishAll(texts.map((content) => ({ routingKey: queue, content })))
    return queue
  })

/** Lets time pass: TestClock's where it is the clock, else real time. */
export const elapse = (millis: number): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.clock,
    (clock) => "adjust" in clock ? TestClock.adjust(millis) : clock.sleep(Duration.millis(millis))
  )

/** Waits until so many messages are ready: what a queue drops or dead-letters, others see a little later. */
export const holds = (channel: Channel.ChannelBase, queue: string, count: number) =>
  eventually(Effect.map(look(channel, queue), ({ messageCount }) => messageCount), count)

/** One message taken with `get`; there must be one. */
export const took = (channel: Channel.ChannelBase, queue: string, options: { readonly noAck?: boolean } = {}) =>
  Effect.map(
    channel.get({ queue, ...options }),
    (option) => Option.getOrThrowWith(option, () => new Error(`${queue} is empty`)).delivery
  )

/** What the broker says of a queue now. */
export const look = (channel: Channel.ChannelBase, queue: string) => channel.queueDeclare({ queue, passive: true })

/** Asks until the answer is right, in real time: what one connection does, another sees a little later. */
export const eventually = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  expected: A
): Effect.Effect<void, E, R> =>
  ask.pipe(
    Effect.repeat({
      until: (answer) => JSON.stringify(answer) === JSON.stringify(expected),
      schedule: Schedule.intersect(Schedule.spaced("5 millis"), Schedule.recurs(600))
    }),
    Effect.withClock(Clock.make()),
    Effect.zipRight(ask),
    Effect.map((answer) => assert.deepStrictEqual(answer, expected))
  )

/** All ready messages of a queue, taken one by one. */
export const drain = (channel: Channel.ChannelBase, queue: string) =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    while (true) {
      const next = yield* channel.get({ queue, noAck: true })
      if (next._tag === "None") return texts
      texts.push(next.value.delivery.text)
    }
  })

/** The error of an effect that must fail. */
export const failing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.flip(effect).pipe(
    Effect.catchAll((value) => Effect.die(new Error(`It should have failed, and gave ${JSON.stringify(value)}`)))
  )

/** A refusal by the broker, which names the method it refuses; after it the channel works again. */
export const refused = <A, E extends object, R>(
  channel: Channel.ChannelBase,
  effect: Effect.Effect<A, E, R>,
  expected: Pick<AmqpError.ChannelError, "reason" | "code" | "text" | "method">
): Effect.Effect<void, AmqpError.CallError, R> =>
  Effect.zipRight(
    Effect.map(failing(effect), (error) => {
      assert.deepInclude<object>({ ...error }, { _tag: "ChannelError", ...expected })
    }),
    channel.exchangeDeclare({ exchange: "amq.direct", passive: true })
  )

export type ConsumeFault = AmqpError.CallError | AmqpError.ConsumerCancelled | AmqpError.ConsumerOverflow

export interface Consuming {
  /** The next delivery; waits for it. */
  readonly next: Effect.Effect<Message.Delivery>
  readonly take: (count: number) => Effect.Effect<ReadonlyArray<Message.Delivery>>
  /** Deliveries that arrived and nobody asked for yet. */
  readonly arrived: Effect.Effect<number>
  /** Ends the stream, as its user would. */
  readonly cancel: Effect.Effect<void>
  readonly fiber: Fiber.Fiber<void, ConsumeFault>
}

/** A consumer that the broker knows of. */
export const consume = (
  channel: Channel.ChannelBase,
  options: Channel.ConsumeOptions
): Effect.Effect<Consuming, AmqpError.CallError, Scope.Scope> =>
  Effect.gen(function*() {
    const deliveries = yield* Queue.unbounded<Message.Delivery>()
    const queue = typeof options.queue === "string" ? options.queue : options.queue.queue
    const { consumerCount } = yield* look(channel, queue)
    const fiber = yield* channel.consume(options).pipe(
      Stream.runForEach((delivery) => Queue.offer(deliveries, delivery)),
      Effect.forkScoped
    )
    yield* eventually(Effect.map(look(channel, queue), (seen) => seen.consumerCount), consumerCount + 1)
    return {
      next: Queue.take(deliveries),
      take: (count) => Effect.map(Queue.takeN(deliveries, count), (taken) => Array.from(taken)),
      arrived: Queue.size(deliveries),
      cancel: Effect.asVoid(Fiber.interrupt(fiber)),
      fiber
    }
  })

export const texts = (deliveries: Iterable<Message.Delivery>): ReadonlyArray<string> =>
  Array.from(deliveries, (delivery) => delivery.text)
