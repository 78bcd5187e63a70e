/**
 * One consumer of a channel: the deliveries that arrived and were not taken yet, and the stream that takes them a batch at
 * a time. It outlives sockets and channel lives; subscribing it again is its channel's business.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { CallError, ConsumerCancelled } from "../../AmqpError.ts"
import { ConsumerOverflow } from "../../AmqpError.ts"
import type { FieldTable } from "../FieldTable.ts"
import type * as Method from "../Method.ts"
import type { DeliveryRecord } from "./delivery.ts"

/** @internal */
export type ConsumeFault = CallError | ConsumerCancelled | ConsumerOverflow

/** @internal */
export interface ConsumerSettings {
  readonly queue: () => string
  readonly consumerTag: string
  readonly prefetch: number
  /** The most deliveries the stream takes at once. */
  readonly batch: number
  readonly noAck: boolean
  readonly noLocal: boolean
  readonly exclusive: boolean
  readonly arguments: FieldTable
}

/** The no-ack buffer that stops reading, and the one that ends the consumer. */
const softLimit = 1024 * 1024
const hardLimit = 16 * softLimit

// A delivery costs memory besides its content.
const sizeOf = (delivery: DeliveryRecord): number => delivery.content.length + 64

/** @internal */
export class Consumer {
  readonly settings: ConsumerSettings
  /** Whether the broker has accepted it once: then it is subscribed again in each life of the channel. */
  established = false
  private buffer: Array<DeliveryRecord> = []
  private bytes = 0
  private taker: ((effect: Effect.Effect<Chunk.Chunk<DeliveryRecord>, Option.Option<ConsumeFault>>) => void) | undefined
  private end: Effect.Effect<never, Option.Option<ConsumeFault>> | undefined
  private readonly onTaken: () => void

  constructor(settings: ConsumerSettings, onTaken: () => void) {
    this.settings = settings
    this.onTaken = onTaken
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
      noWait: false,
      arguments: settings.arguments
    }
  }

  get hasEnded(): boolean {
    return this.end !== undefined
  }

  /** Nothing stops a broker from sending to a no-ack consumer but our not reading. */
  get isFull(): boolean {
    return this.settings.noAck && this.bytes >= softLimit
  }

  /** `false` when the delivery did not fit and the consumer is over. */
  push(delivery: DeliveryRecord): boolean {
    if (this.end !== undefined) return true
    this.buffer.push(delivery)
    if (this.settings.noAck) {
      this.bytes += sizeOf(delivery)
      if (this.bytes > hardLimit) {
        this.finish(Option.some(
          new ConsumerOverflow({ consumerTag: this.settings.consumerTag, bytes: this.bytes })
        ))
        return false
      }
    }
    this.wake()
    return true
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

  /** Ends the stream, after what it can still take: with a fault, or (`none`) as done. */
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
  readonly take: Effect.Effect<Chunk.Chunk<DeliveryRecord>, Option.Option<ConsumeFault>> = Effect.suspend(
    () => {
      if (this.buffer.length > 0) {
        return Effect.succeed(Chunk.unsafeFromArray(this.takeBatch()))
      }
      if (this.end !== undefined) return this.end
      return Effect.async((resume) => {
        this.taker = resume
      })
    }
  )

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

  readonly stream: Stream.Stream<DeliveryRecord, ConsumeFault> = Stream.repeatEffectChunkOption(this.take)
}
