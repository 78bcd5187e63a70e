/**
 * Remote calls in flight on one channel: a record for each in a map, one consumer that takes all replies as they are read,
 * one timer for all of them. Plain code: of an Effect a call has the one `async` that waits for it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Types from "effect/Types"
import type { CallError, ConfirmError } from "../../AmqpError.ts"
import { isCallError, OperationTimeout, PublishReturned, RpcError } from "../../AmqpError.ts"
import { Numbered } from "../../internal/numbered.ts"
import type { Timed, Timer } from "../../internal/timer.ts"
import { copyProperties, toBytes } from "../Message.ts"
import type * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import type { CallFault, CallOptions } from "../Rpc.ts"
import type { ChannelCore } from "./channel.ts"
import type { Resident } from "./channelHost.ts"
import type { ConsumeFault } from "./consumer.ts"
import { Consumer } from "./consumer.ts"
import type { DeliveryRecord } from "./delivery.ts"
import type { Outgoing, PublishWaiter } from "./publishing.ts"

/** RabbitMQ's pseudo-queue, which leads straight to the channel that asked. @internal */
export const directReplyTo = "amq.rabbitmq.reply-to"

type Resume = (effect: Effect.Effect<DeliveryRecord, CallFault>) => void

/** One call. */
class Call implements PublishWaiter {
  readonly number: number
  readonly id: string
  readonly options: CallOptions
  readonly deadline: number
  readonly limit: Duration.Duration
  readonly resume: Resume
  isSent = false
  private readonly calls: Calls

  constructor(
    calls: Calls,
    number: number,
    options: CallOptions,
    limit: Duration.Duration,
    now: number,
    resume: Resume
  ) {
    this.calls = calls
    this.number = number
    this.id = String(number)
    this.options = options
    this.limit = limit
    this.deadline = now + Duration.toMillis(limit)
    this.resume = resume
  }

  outgoing(replyTo: string): Outgoing {
    const { exchange = "", properties, routingKey } = this.options
    return {
      method: { _tag: "BasicPublish", exchange, routingKey, mandatory: true, immediate: false },
      properties: this.addressed(properties === undefined ? {} : copyProperties(properties), replyTo),
      body: toBytes(this.options.content)
    }
  }

  private addressed(properties: Types.Mutable<BasicProperties>, replyTo: string): BasicProperties {
    properties.correlationId = this.id
    properties.replyTo = replyTo
    if (this.deadline !== Infinity) properties.expiration = this.calls.expirationOf(this.limit)
    return properties
  }

  /** Its frames are in the output. */
  done(): void {
    this.isSent = true
  }

  failed(error: ConfirmError): void {
    this.calls.unsent(this, error)
  }

  lost(text: string, cause: unknown): RpcError {
    const { exchange = "", routingKey } = this.options
    return new RpcError({ reason: "Lost", exchange, routingKey, text, cause })
  }
}

/** Takes replies as they are read: nothing of them waits here. */
class ReplyConsumer extends Consumer {
  private readonly calls: Calls

  constructor(calls: Calls, queue: () => string) {
    super(
      {
        queue,
        consumerTag: "effect-amqp-replies",
        prefetch: 0,
        batch: Infinity,
        noAck: true,
        noLocal: false,
        exclusive: false,
        noWait: false,
        arguments: {}
      },
      () => {},
      undefined
    )
    this.calls = calls
  }

  override finish(fault: Option.Option<ConsumeFault>): void {
    if (Option.isSome(fault)) this.calls.replyless(fault.value)
  }

  override push(delivery: DeliveryRecord): boolean {
    this.calls.answered(delivery)
    return true
  }
}

const exchangeIn = /exchange '([^']*)'/

/** @internal */
export class Calls implements Resident, Timed {
  readonly consumer: Consumer
  private readonly pending = new Numbered<Call>()
  /** Of an own queue: those that wait for its next name. */
  private parked: Array<Call> = []
  private count = 0
  private lives = 0
  private lostBy: CallError | undefined
  private hasEnded = false
  private lastLimit: Duration.Duration = Duration.infinity
  private lastExpiration = ""
  private channel: ChannelCore | undefined
  private timer: Timer | undefined
  private readonly queue: string | undefined

  /** `queue`: how the exclusive queues of each life begin, which take the replies; without one they come directly. */
  constructor(queue: string | undefined) {
    this.queue = queue
    this.consumer = new ReplyConsumer(this, () => this.replyTo)
  }

  begin(channel: ChannelCore, timer: Timer): void {
    this.channel = channel
    this.timer = timer
  }

  get size(): number {
    return this.pending.size
  }

  // A name for each life: a broker that has not noticed the end of a socket yet still holds the last one (405).
  private get replyTo(): string {
    return this.queue === undefined ? directReplyTo : `${this.queue}.${this.lives}`
  }

  // Most calls have their client's timeout: its text is not made anew for each.
  expirationOf(limit: Duration.Duration): string {
    if (limit !== this.lastLimit) {
      this.lastLimit = limit
      this.lastExpiration = String(Math.round(Duration.toMillis(limit)))
    }
    return this.lastExpiration
  }

  /** Sends a call; the Effect, where there is one, withdraws it. */
  start(options: CallOptions, limit: Duration.Duration, resume: Resume): Effect.Effect<void> | undefined {
    const { channel, timer } = this
    if (channel === undefined || timer === undefined) return undefined
    const refusal = channel.refusal("rpc.call", true)
    if (refusal !== undefined) {
      resume(Effect.fail(refusal))
      return undefined
    }
    const call = new Call(this, ++this.count, options, limit, timer.now(), resume)
    this.pending.add(call.number, call)
    timer.due(call.deadline)
    if (this.pending.size === 1) channel.host.readingMayChange()
    const { hasRoom } = channel.publishing
    channel.publishing.submit(call.outgoing(this.replyTo), call)
    // Sent, nothing is left to take back, and a canceller would cost more than the call: its reply or its deadline comes.
    return hasRoom && call.deadline !== Infinity ? undefined : Effect.sync(() => this.withdraw(call))
  }

  private withdraw(call: Call): void {
    this.forget(call)
    if (!call.isSent) {
      this.parked = this.parked.filter((each) => each !== call)
      this.channel?.publishing.withdraw(call)
    }
  }

  private forget(call: Call): void {
    if (this.pending.delete(call.number) && this.pending.size === 0) this.channel?.host.readingMayChange()
  }

  private fail(call: Call, error: CallFault): void {
    this.forget(call)
    call.resume(Effect.fail(error))
  }

  private callOf({ correlationId = "" }: BasicProperties): Call | undefined {
    const call = this.pending.get(Number(correlationId))
    return call?.id === correlationId ? call : undefined
  }

  answered(delivery: DeliveryRecord): void {
    const call = this.callOf(delivery.properties)
    // One that came too late.
    if (call === undefined) return
    this.forget(call)
    call.resume(Effect.succeed(delivery))
  }

  /** A call was not sent, and its place among those that wait is gone. */
  unsent(call: Call, error: ConfirmError): void {
    if (this.pending.get(call.number) !== call) return
    // It named the queue of a life that ended before it could go: the next life's is another.
    if (this.queue !== undefined && error === this.lostBy) this.parked.push(call)
    else if (isCallError(error)) this.fail(call, error)
  }

  // --- The lives of the channel ---

  get isWaiting(): boolean {
    return this.pending.size > 0
  }

  prepare(): ReadonlyArray<Method.Method> {
    return this.queue === undefined ? [] : [{
      _tag: "QueueDeclare",
      queue: this.replyTo,
      passive: false,
      durable: false,
      exclusive: true,
      autoDelete: true,
      noWait: false,
      arguments: {}
    }]
  }

  opened(): void {
    for (const call of this.parked.splice(0)) this.channel?.publishing.submit(call.outgoing(this.replyTo), call)
  }

  down(fault: CallError): void {
    this.lives++
    this.lostBy = fault
    const named = fault._tag === "ChannelError" && fault.method === "basic.publish"
      ? exchangeIn.exec(fault.text)?.[1]
      : undefined
    // It names the exchange that is not there, or not for us.
    const culprit = named === undefined ? undefined : this.sent().find(({ options }) => options.exchange === named)
    for (const call of this.sent()) this.fail(call, call === culprit ? fault : call.lost(fault.message, fault))
  }

  private sent(): ReadonlyArray<Call> {
    return this.pending.toArray().filter(({ isSent }) => isSent)
  }

  /** The broker has ended the consumer of replies, or did not take it back. */
  replyless(fault: ConsumeFault): void {
    const { channel, consumer } = this
    if (channel === undefined || this.hasEnded) return
    for (const call of this.sent()) this.fail(call, call.lost(fault.message, fault))
    channel.consumers.establish(consumer)
    const { life } = channel.settling
    const ask = Effect.forEach([...this.prepare(), consumer.method], (method) => channel.call(method, false, true))
    channel.host.fork(
      // A new life begins with it anyway.
      Effect.suspend(() => channel.settling.life === life ? ask : Effect.void).pipe(
        // What is wrong with it closes the channel, which comes back with it or, in the end, not at all.
        Effect.catchAll((error) => Effect.logDebug(error.message))
      )
    )
  }

  closed(error: CallError): void {
    this.hasEnded = true
    this.parked = []
    for (const call of this.pending.toArray()) this.fail(call, error)
  }

  returned({ exchange, replyCode, replyText, routingKey }: Method.BasicReturn, properties: BasicProperties): boolean {
    const call = this.callOf(properties)
    if (call === undefined) return false
    this.fail(call, new PublishReturned({ code: replyCode, text: replyText, exchange, routingKey }))
    return true
  }

  // --- Time ---

  nextDeadline(): number {
    let earliest = Infinity
    for (const { deadline } of this.pending.toArray()) earliest = Math.min(earliest, deadline)
    return earliest
  }

  tick(now: number): void {
    for (const call of this.pending.toArray()) {
      if (call.deadline > now) continue
      if (!call.isSent) this.withdraw(call)
      this.fail(call, new OperationTimeout({ operation: "rpc.call", limit: call.limit }))
    }
  }
}
