/**
 * The consumers of one channel: asked for, delivered to, cancelled by either side, and asked for again in each life of the
 * channel.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { CallError } from "../../AmqpError.ts"
import { ChannelError, ConsumerCancelled } from "../../AmqpError.ts"
import { bounded } from "../../internal/bounded.ts"
import { tally } from "../../internal/tally.ts"
import type * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import type { Reply } from "./calls.ts"
import type { Consumer } from "./consumer.ts"
import { DeliveryRecord } from "./delivery.ts"
import { isHeld } from "./reopening.ts"
import type { Settling } from "./settling.ts"

/** What a channel does for its consumers. @internal */
export interface ConsumersHost {
  readonly call: (method: Method.Method, repeatable: boolean) => Effect.Effect<Reply, CallError>
  /** Sends what nobody waits on. */
  readonly transmit: (method: Method.Method) => void
  /** Whether a call would be answered soon: while the channel is brought up, or blocked, that may take long. */
  readonly isAnswering: () => boolean
  readonly fork: (effect: Effect.Effect<void>) => void
  /** The buffer of a no-ack consumer has reached its limit. */
  readonly onFull: () => void
  /** A consumer is gone: its buffer stops reading no more, and the queue that the broker had it on has one less. */
  readonly onGone: (queue: string | undefined) => void
  readonly closeTimeout: Duration.Duration
  /** Looks for a queue, without harm to this channel. */
  readonly find: (queue: string) => Effect.Effect<unknown, CallError>
  /** Whether the broker takes an answer when it ends a consumer. */
  readonly acceptsCancelOk: () => boolean
}

// With half a second in between.
const mostRefusals = 6

/** @internal */
export class Consumers {
  private readonly byTag = new Map<string, Consumer>()
  private readonly host: ConsumersHost
  private readonly settling: Settling

  constructor(host: ConsumersHost, settling: Settling) {
    this.host = host
    this.settling = settling
  }

  get isEmpty(): boolean {
    return this.byTag.size === 0
  }

  get someFull(): boolean {
    for (const consumer of this.byTag.values()) if (consumer.isFull) return true
    return false
  }

  /** Those that each new life begins with. */
  get established(): ReadonlyArray<Consumer> {
    return Array.from(this.byTag.values()).filter((consumer) => consumer.established)
  }

  get(tag: string): Consumer | undefined {
    return this.byTag.get(tag)
  }

  /** Makes a consumer known that each life begins with. */
  establish(consumer: Consumer): void {
    consumer.established = true
    this.byTag.set(consumer.settings.consumerTag, consumer)
  }

  /** Makes a consumer known and asks the broker for it. */
  subscribe(consumer: Consumer): Effect.Effect<void, CallError> {
    return Effect.suspend(() => {
      const tag = consumer.settings.consumerTag
      if (this.byTag.has(tag)) {
        return Effect.fail(
          new ChannelError({
            reason: "Refused",
            code: 0,
            text: `consumer tag "${tag}" is in use on this channel; the broker would close the connection (530)`,
            method: "basic.consume"
          })
        )
      }
      this.byTag.set(tag, consumer)
      return this.host.call(consumer.method, true).pipe(
        Effect.andThen(Effect.sync(() => {
          consumer.established = true
        })),
        // After a timeout the broker may have it all the same: its finalizer cancels it.
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error._tag !== "OperationTimeout") this.byTag.delete(tag)
          })
        )
      )
    })
  }

  /**
   * Ends a consumer: the broker sends it nothing more, and takes back what nobody took; where whoever took it has failed,
   * also what was taken and not settled.
   */
  unsubscribe(consumer: Consumer, hasFailed = false): Effect.Effect<void> {
    return Effect.suspend(() => {
      const tag = consumer.settings.consumerTag
      if (this.byTag.get(tag) !== consumer) return Effect.void
      // One that overflowed is on its way out already, and holds nothing to give back.
      if (consumer.leaving) return Effect.void
      const queue = consumer.established ? consumer.settings.queue() : undefined
      consumer.leaving = true
      consumer.established = false
      consumer.finish(Option.none())
      let cancelled = false
      const forget = Effect.sync(() => {
        this.byTag.delete(tag)
        // A broker that goes on delivering to nobody would get each message back, and deliver it again, for ever.
        if (!cancelled) this.host.transmit({ _tag: "BasicCancel", consumerTag: tag, noWait: true })
        for (const delivery of consumer.unstarted()) this.settling.giveBack(delivery)
        if (hasFailed) this.settling.giveBackAll(tag)
        this.host.onGone(queue)
      })
      if (!this.host.isAnswering()) return forget
      return this.host.call({ _tag: "BasicCancel", consumerTag: tag, noWait: false }, false).pipe(
        Effect.tap(() => {
          cancelled = true
        }),
        bounded(this.host.closeTimeout),
        Effect.ensuring(forget)
      )
    })
  }

  delivered(method: Method.BasicDeliver, properties: BasicProperties, body: Uint8Array): void {
    tally.consumed++
    const consumer = this.byTag.get(method.consumerTag)
    const noAck = consumer?.settings.noAck === true
    const delivery = new DeliveryRecord(this.settling, method, method.consumerTag, noAck, properties, body)
    // Sent before the broker knew that the consumer is over: it goes back to where it was.
    if (consumer === undefined || consumer.hasEnded) return this.settling.giveBack(delivery)
    delivery.ofStream = consumer.isOfStream
    if (!this.settling.add(delivery)) return
    if (!consumer.push(delivery)) this.host.fork(this.unsubscribe(consumer))
    if (consumer.isFull) this.host.onFull()
  }

  /** The broker has ended a consumer. */
  cancelled(tag: string): void {
    const consumer = this.byTag.get(tag)
    if (consumer === undefined) return
    const queue = consumer.settings.queue()
    this.byTag.delete(tag)
    this.host.onGone(queue)
    const isHolding = this.settling.oldest(tag) !== undefined
    if (!consumer.leaving) this.confirmEnd(tag, isHolding)
    const finish = (reason: ConsumerCancelled["reason"]) =>
      consumer.finish(Option.some(new ConsumerCancelled({ reason, consumerTag: tag, queue })))
    // Who held nothing cannot have held it for too long.
    if (!isHolding) return finish("Other")
    this.host.fork(
      this.host.find(queue).pipe(
        Effect.onExit((exit) => Effect.sync(() => finish(Exit.isSuccess(exit) ? "AckTimeout" : "Other"))),
        Effect.ignore
      )
    )
  }

  /**
   * RabbitMQ 4.3 keeps a consumer that was late, and its tag, until it is answered, although its cancel asks for no answer.
   * From 4.3.7 on it advertises that it takes cancel-ok; before, it takes a cancel, as brokers do for what has ended.
   */
  private confirmEnd(consumerTag: string, isHolding: boolean): void {
    if (this.host.acceptsCancelOk()) this.host.transmit({ _tag: "BasicCancelOk", consumerTag })
    else if (isHolding) this.host.transmit({ _tag: "BasicCancel", consumerTag, noWait: true })
  }

  /** The broker does not take a consumer back in a new life. */
  refused(consumer: Consumer, error: ChannelError): void {
    // Its own predecessor may still hold the queue: then it keeps its place for the next attempts.
    if (isHeld(error) && consumer.refusals++ < mostRefusals) return
    this.remove(consumer, error)
  }

  /** A life of the channel has begun with all of them. */
  opened(): void {
    for (const consumer of this.byTag.values()) consumer.refusals = 0
  }

  private remove(consumer: Consumer, error: CallError): void {
    this.byTag.delete(consumer.settings.consumerTag)
    consumer.finish(Option.some(error))
    this.host.onGone(consumer.settings.queue())
  }

  /** The socket is gone, and with it those that are not to outlive it. */
  lost(error: CallError, keeps: (tag: string, queue: string) => boolean): void {
    for (const consumer of this.established) {
      const { consumerTag, queue } = consumer.settings
      if (!keeps(consumerTag, queue())) this.remove(consumer, error)
    }
  }

  /** Of those that each new life begins with. */
  get queues(): ReadonlyArray<string> {
    return this.established.map(({ settings }) => settings.queue())
  }

  /** Whether the broker has one of them on this queue, in the channel's present life. */
  consumes(queue: string): boolean {
    for (const consumer of this.byTag.values()) if (consumer.consumes === queue) return true
    return false
  }

  /** The channel's life is over: the queues that lost a consumer with it, as they were called. */
  left(): ReadonlyArray<string> {
    const queues: Array<string> = []
    for (const consumer of this.byTag.values()) {
      if (consumer.consumes !== undefined) queues.push(consumer.consumes)
      consumer.consumes = undefined
    }
    return queues
  }

  /** The channel's life is about to be over: those of streams remember how far they came. */
  keepPlaces(): void {
    for (const [tag, consumer] of this.byTag) {
      if (consumer.isOfStream) consumer.keepPlace(this.settling.oldest(tag))
    }
  }

  /** The channel's life is over. */
  forget(): void {
    for (const consumer of this.byTag.values()) consumer.forget()
  }

  /** The channel is over. */
  end(error: CallError): void {
    const all = Array.from(this.byTag.values())
    this.byTag.clear()
    for (const consumer of all) {
      consumer.finish(Option.some(error))
      this.host.onGone(consumer.established ? consumer.settings.queue() : undefined)
    }
  }
}
