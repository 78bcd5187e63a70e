/**
 * One consumer of a channel: the deliveries that arrived and were not taken yet, to be taken a batch at a time. It outlives
 * sockets and channel lives; subscribing it again is its channel's business.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CallError, ConsumerCancelled } from "../../AmqpError.ts"
import { ConsumerOverflow } from "../../AmqpError.ts"
import type { FieldTable } from "../FieldTable.ts"
import { isTyped } from "../FieldTable.ts"
import type * as Method from "../Method.ts"
import type { DeliveryRecord } from "./delivery.ts"

/** @internal */
export type ConsumeFault = CallError | ConsumerCancelled | ConsumerOverflow

/**
 * Waits for deliveries, and takes those that are there, in an array that is the taker's; fails with a fault, or with none
 * where the consumer is done. With a `Sink` there are none to take: it only ends.
 *
 * @internal
 */
export type Take = Effect.Effect<Array<DeliveryRecord>, Option.Option<ConsumeFault>>

/** @internal */
export interface ConsumerSettings {
  readonly queue: () => string
  readonly consumerTag: string
  readonly prefetch: number
  /** The most deliveries that are taken at once. */
  readonly batch: number
  readonly noAck: boolean
  readonly noLocal: boolean
  readonly exclusive: boolean
  readonly noWait: boolean
  readonly arguments: FieldTable
}

/** The no-ack buffer that stops reading, and the one that ends the consumer. */
const softLimit = 1024 * 1024
const hardLimit = 16 * softLimit

// A delivery costs memory besides its content.
const sizeOf = (delivery: DeliveryRecord): number => delivery.content.length + 64

/**
 * What waits in a sink, and nobody has started on: without acknowledgement it counts as if it were still in the buffer.
 *
 * @internal
 */
export class Backlog {
  bytes = 0
  private readonly onRoom: () => void

  /** `onRoom`: there is less again than stops reading. */
  constructor(onRoom: () => void) {
    this.onRoom = onRoom
  }

  added(delivery: DeliveryRecord): void {
    this.bytes += sizeOf(delivery)
  }

  started(delivery: DeliveryRecord): void {
    const before = this.bytes
    this.bytes = before - sizeOf(delivery)
    if (before >= softLimit && this.bytes < softLimit) this.onRoom()
  }
}

/** Where deliveries go as they are read, instead of waiting to be taken. @internal */
export interface Sink {
  readonly backlog: Backlog
  readonly add: (delivery: DeliveryRecord) => void
}

const streamOffset = "x-stream-offset"

/** Where in its stream a delivery lies, as RabbitMQ tells it. */
const offsetOf = ({ properties }: DeliveryRecord): number | bigint | undefined => {
  const told = properties.headers?.[streamOffset]
  const value = isTyped(told) ? told.value : told
  return typeof value === "number" || typeof value === "bigint" ? value : undefined
}

const following = (offset: number | bigint): number | bigint => typeof offset === "number" ? offset + 1 : offset + 1n

/** @internal */
export class Consumer {
  readonly settings: ConsumerSettings
  /** Whether the broker has accepted it once: then it is subscribed again in each life of the channel. */
  established = false
  /** What its queue is called where the broker has accepted it in the channel's present life. */
  consumes: string | undefined
  /** How often in a row a new life of the channel was refused it. */
  refusals = 0
  /** Whether it is being given up. */
  leaving = false
  /** Of a stream: the offset of the last delivery, and where the next subscription begins. */
  private lastOffset: number | bigint | undefined
  private resumeAt: number | bigint | undefined
  private buffer: Array<DeliveryRecord> = []
  private bytes = 0
  private taker: ((take: Take) => void) | undefined
  private end: Effect.Effect<never, Option.Option<ConsumeFault>> | undefined
  private readonly onTaken: () => void
  private readonly sink: Sink | undefined

  constructor(settings: ConsumerSettings, onTaken: () => void, sink: Sink | undefined) {
    this.settings = settings
    this.onTaken = onTaken
    this.sink = sink
  }

  /** The broker has accepted it in the channel's present life. */
  accepted(): void {
    this.consumes = this.settings.queue()
  }

  get method(): Method.BasicConsume {
    const { settings } = this
    return {
      _tag: "BasicConsume",
      queue: settings.queue(),
      consumerTag: settings.consumerTag,
      noLocal: settings.noLocal,
      noAck: settings.noAck,
      exclusive: settings.exclusive,
      // Again only with an answer: it says which of the consumers a broker refuses.
      noWait: settings.noWait && !this.established,
      arguments: this.resumeAt === undefined
        ? settings.arguments
        : { ...settings.arguments, [streamOffset]: this.resumeAt }
    }
  }

  /** Reads a stream, which keeps its messages and delivers them again from wherever it is told to. */
  get isOfStream(): boolean {
    return this.settings.arguments[streamOffset] !== undefined
  }

  /** The channel's life is over: the next one begins at the oldest delivery that was not settled, or after the last. */
  keepPlace(unsettled: DeliveryRecord | undefined): void {
    const oldest = unsettled === undefined ? undefined : offsetOf(unsettled)
    if (oldest !== undefined) this.resumeAt = oldest
    else if (this.lastOffset !== undefined) this.resumeAt = following(this.lastOffset)
  }

  get hasEnded(): boolean {
    return this.end !== undefined
  }

  /** Nothing stops a broker from sending to a no-ack consumer but our not reading. */
  get isFull(): boolean {
    return this.settings.noAck && this.held >= softLimit
  }

  private get held(): number {
    return this.bytes + (this.sink?.backlog.bytes ?? 0)
  }

  /** `false` when the delivery did not fit and the consumer is over. */
  push(delivery: DeliveryRecord): boolean {
    if (this.end !== undefined) return true
    if (delivery.ofStream) this.lastOffset = offsetOf(delivery) ?? this.lastOffset
    if (this.sink === undefined) {
      this.buffer.push(delivery)
      if (this.settings.noAck) this.bytes += sizeOf(delivery)
      this.wake()
    } else {
      this.sink.add(delivery)
    }
    if (!this.settings.noAck || this.held <= hardLimit) return true
    this.finish(Option.some(
      new ConsumerOverflow({ consumerTag: this.settings.consumerTag, bytes: this.held })
    ))
    return false
  }

  /** Forgets what the broker will deliver again: the channel's life is over. */
  forget(): void {
    if (!this.settings.noAck) this.buffer = []
  }

  /** Takes out what nobody started on. */
  unstarted(): ReadonlyArray<DeliveryRecord> {
    const rest = this.buffer
    this.buffer = []
    this.bytes = 0
    return rest
  }

  /** Ends it, after what can still be taken: with a fault, or (`none`) as done. */
  finish(fault: Option.Option<ConsumeFault>): void {
    if (this.end !== undefined) return
    this.end = Effect.fail(fault)
    this.wake()
  }

  private wake(): void {
    const taker = this.taker
    this.taker = undefined
    taker?.(this.take)
  }

  // Looked at when the fiber runs: a taker that was interrupted meanwhile must not swallow a batch.
  readonly take: Take = Effect.suspend(() => {
    if (this.buffer.length > 0) return Effect.succeed(this.takeBatch())
    if (this.end !== undefined) return this.end
    return Effect.async((resume) => {
      // The fiber may have yielded since it looked.
      if (this.buffer.length > 0 || this.end !== undefined) resume(this.take)
      else this.taker = resume
    })
  })

  private takeBatch(): Array<DeliveryRecord> {
    const { batch, noAck } = this.settings
    const all = this.buffer
    if (all.length <= batch) {
      this.buffer = []
      this.bytes = 0
    } else {
      this.buffer = all.splice(batch)
      if (noAck) { for (const delivery of all) this.bytes -= sizeOf(delivery) }
    }
    this.onTaken()
    return all
  }
}
