/**
 * Retry ladders: a message whose handler failed waits in a queue of its own for each delay, comes back, and is parked in
 * the end. Delays are the broker's (TTL and dead-lettering, no plugin), so they outlive the program. A ladder is a plain
 * value: queues to be declared, and a policy for `Consumer.run`. Where RabbitMQ has its plugin for delayed messages,
 * each message may have a delay of its own.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { CallError, ConnectError } from "../AmqpError.ts"
import { isConnectionError } from "../AmqpError.ts"
import type { DurationText } from "../Reconnect.ts"
import * as Reconnect from "../Reconnect.ts"
import * as Arguments from "./Arguments.ts"
import type { ExchangeDeclareOptions, QueueDeclareOptions } from "./Channel.ts"
import * as Channel from "./Channel.ts"
import { Connection } from "./Connection.ts"
import type { Settlement } from "./Consumer.ts"
import type { FieldTable } from "./FieldTable.ts"
import { isTyped } from "./FieldTable.ts"
import { refused } from "./internal/consuming.ts"
import type { Delivery, Message } from "./Message.ts"
import * as Method from "./Method.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface LadderOptions {
  /** The queue that is worked on. */
  readonly queue: string
  /** How long to wait before each attempt after the first. */
  readonly delays: ReadonlyArray<DurationText>
  /** Where messages go that failed each time, or could not be decoded. Default: the queue's name and ".parked". */
  readonly parkingLot?: string | undefined
  /** Further arguments of all its queues, such as `Arguments.queue({ type: "quorum" })`. */
  readonly arguments?: FieldTable | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** The queue's name, ".retry." and the delay in milliseconds. */
  readonly queue: string
  readonly delay: Duration.Duration
}

/**
 * A queue with its delays and its parking lot.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ladder {
  readonly queue: string
  readonly steps: ReadonlyArray<Step>
  readonly parkingLot: string
  /**
   * All of its queues, as they are to be declared, the one that is worked on included: what it rejects is parked. All are
   * durable.
   */
  readonly queues: ReadonlyArray<QueueDeclareOptions & { readonly queue: string }>
}

/**
 * A ladder. A delay that is there twice is one queue.
 *
 * @example
 * ```ts
 * import { Consumer, Message, Retry } from "effect-amqp/amqp091"
 * import * as Effect from "effect/Effect"
 *
 * const ladder = Retry.ladder({ queue: "orders", delays: ["1 second", "10 seconds", "5 minutes"] })
 *
 * const program = Effect.gen(function*() {
 *   yield* Retry.declare(ladder)
 *   const onFailure = yield* Retry.onFailure(ladder)
 *   yield* Consumer.run({ queue: ladder.queue, content: Message.text, onFailure }, (order) => Effect.log(order))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ladder = (options: LadderOptions): Ladder => {
  const { delays, parkingLot = `${options.queue}.parked`, queue } = options
  const steps = delays.map((text): Step => {
    const delay = Duration.decode(text)
    return { queue: `${queue}.retry.${Math.ceil(Duration.toMillis(delay))}`, delay }
  })
  const distinct = new Map(steps.map((step) => [step.queue, step]))
  const declared = (queue: string, own: FieldTable) => ({
    queue,
    durable: true,
    arguments: { ...options.arguments, ...own }
  })
  return {
    queue,
    steps,
    parkingLot,
    queues: [
      declared(queue, Arguments.queue({ deadLetterExchange: "", deadLetterRoutingKey: parkingLot })),
      ...Array.from(distinct.values(), ({ delay, queue: name }) =>
        declared(
          name,
          Arguments.queue({ messageTtl: delay, deadLetterExchange: "", deadLetterRoutingKey: queue })
        )),
      declared(parkingLot, {})
    ]
  }
}

// What x-message-ttl holds (RabbitMQ): milliseconds in 32 bits.
const longestDelay = 0xffffffff

/**
 * Declares the queues of a ladder. Fails `ChannelError` `PreconditionFailed` where one is there already and declared
 * otherwise, and `Refused` for a delay of more than 49 days, which no queue can have (an infinite one would keep messages).
 *
 * @since 0.1.0
 * @category combinators
 */
export const declare = (ladder: Ladder): Effect.Effect<void, CallError, Connection> => {
  const step = ladder.steps.find(({ delay }) => Duration.toMillis(delay) > longestDelay)
  if (step !== undefined) {
    return refused(
      "queue.declare",
      `the delay of "${step.queue}" is longer than the ${longestDelay} ms a queue can have`
    )
  }
  return Effect.scoped(Effect.flatMap(
    Channel.make(),
    (channel) => Effect.forEach(ladder.queues, (queue) => channel.queueDeclare(queue), { discard: true })
  ))
}

const header = "x-retries"

/**
 * How often a message has been put off by a ladder.
 *
 * @since 0.1.0
 * @category decoding
 */
export const attempts = ({ properties }: Pick<Delivery, "properties">): number => {
  const told = properties.headers?.[header]
  const count = Number(isTyped(told) ? told.value : told)
  return Number.isSafeInteger(count) && count > 0 ? count : 0
}

/** The message as it goes to its next queue. */
const again = (delivery: Delivery, routingKey: string): Message => {
  // Its own expiration would cut the delay short, its user id be held against ours, its further keys route it elsewhere.
  const {
    deliveryMode,
    expiration: _,
    headers: { BCC: _bcc, CC: _cc, ...headers } = {},
    timestamp,
    userId: _user,
    ...rest
  } = delivery.properties
  return {
    routingKey,
    mandatory: true,
    content: delivery.content,
    properties: {
      ...rest,
      ...(timestamp === undefined ? {} : { timestamp }),
      persistent: deliveryMode === 2,
      headers: {
        "x-original-exchange": delivery.exchange,
        "x-original-routing-key": delivery.routingKey,
        ...headers,
        [header]: attempts(delivery) + 1
      }
    }
  }
}

const logged = Effect.annotateLogs({ package: "effect-amqp", module: "Retry" })

/**
 * A policy for `Consumer.run`: puts a message off to the next step of a ladder, and after the last one into its parking lot,
 * on a confirm channel of its own. Only when the broker has it there is the delivery acknowledged; where that fails, it goes
 * back to its queue, after a second.
 *
 * What it was published with stays in its headers (`x-original-exchange`, `x-original-routing-key`), and how often it was
 * put off (`x-retries`). A program that ends between the two keeps both: a message may come twice, and is never lost.
 *
 * @since 0.1.0
 * @category constructors
 */
export const onFailure = (
  ladder: Ladder
): Effect.Effect<
  (cause: Cause.Cause<unknown>, delivery: Delivery) => Effect.Effect<Settlement>,
  CallError,
  Connection | Scope.Scope
> =>
  Effect.map(Channel.makeConfirm(), (channel) => (cause, delivery) => {
    const attempt = attempts(delivery)
    const step = ladder.steps[attempt]
    const fate = step === undefined
      ? `is parked in "${ladder.parkingLot}"`
      : `is tried again in ${Duration.format(step.delay)} (${attempt + 1} of ${ladder.steps.length})`
    return logged(Effect.logWarning(`A handler failed, and its message ${fate}`, cause)).pipe(
      Effect.zipRight(channel.publish(again(delivery, step?.queue ?? ladder.parkingLot))),
      Effect.as<Settlement>("ack"),
      Effect.catchAll((error) =>
        logged(Effect.logWarning(`A message could not be put off, and goes back to its queue: ${error.message}`)).pipe(
          // What cannot be put off fails again at once, as often as it comes.
          Effect.zipRight(Effect.sleep("1 second")),
          Effect.as("requeue" as const)
        )
      )
    )
  })

// --- Exchanges that delay ---

/**
 * @since 0.1.0
 * @category models
 */
export interface DelayedExchange extends Omit<ExchangeDeclareOptions, "type" | "passive" | "noWait"> {
  /** How it routes once the delay is over. */
  readonly type: "direct" | "fanout" | "topic" | "headers" | (string & {})
}

const closedOver = (fault: unknown): boolean =>
  isConnectionError(fault) && fault._tag === "ConnectionClosed" && fault.code === Method.ReplyCode.commandInvalid

/**
 * Declares an exchange that delays each message by its own time ({@link delayed}): type `x-delayed-message`, of RabbitMQ's
 * plugin rabbitmq_delayed_message_exchange. It comes back after a loss, as all that is declared.
 *
 * A broker without the plugin closes the connection that asks for it (503). So another one asks first, for as long as that
 * takes: then this fails `ChannelError` `Refused`, and the connection goes on. Fails `ConnectError` when that one cannot be
 * opened.
 *
 * @since 0.1.0
 * @category combinators
 */
export const declareDelayed = (
  exchange: DelayedExchange
): Effect.Effect<void, CallError | ConnectError, Connection> =>
  Effect.gen(function*() {
    const connection = yield* Connection
    const declare = Effect.flatMap(Channel.shared, (channel) =>
      channel.exchangeDeclare({
        ...exchange,
        type: "x-delayed-message",
        arguments: { ...exchange.arguments, ...Arguments.exchange({ delayedType: exchange.type }) }
      }))
    yield* connection.clone({ reconnect: Reconnect.none, lazy: false }).pipe(
      Effect.flatMap((other) => Effect.provideService(declare, Connection, other)),
      Effect.scoped,
      Effect.catchIf(closedOver, () =>
        Effect.fail(
          refused("exchange.declare", "the broker has no exchanges of type x-delayed-message: its plugin is missing")
        ))
    )
    yield* declare
  })

/**
 * A message that an exchange of {@link declareDelayed} keeps for a time before it routes it: header `x-delay`, in whole
 * milliseconds, rounded up. The broker keeps no more than 2^32 - 1 of them, some 49 days, and returns what is mandatory.
 *
 * @since 0.1.0
 * @category combinators
 */
export const delayed: {
  (delay: DurationText): (message: Message) => Message
  (message: Message, delay: DurationText): Message
} = dual(2, (message: Message, delay: DurationText): Message => ({
  ...message,
  properties: {
    ...message.properties,
    headers: { ...message.properties?.headers, "x-delay": Math.ceil(Duration.toMillis(delay)) }
  }
}))
