/**
 * The publishes of one channel: those that wait for room, in order, and (in confirm mode) those the broker has not
 * answered for. Says for each, once, what became of it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CallError, ChannelError, ConfirmError, FrameError } from "../../AmqpError.ts"
import { OperationTimeout, OutcomeUnknown, PublishNacked, PublishReturned } from "../../AmqpError.ts"
import type { Waiter } from "../../internal/sendWindow.ts"
import { SendWindow } from "../../internal/sendWindow.ts"
import { tally } from "../../internal/tally.ts"
import * as Metrics from "../../Metrics.ts"
import type { Message } from "../Message.ts"
import { toBasicProperties, toBytes } from "../Message.ts"
import type * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import { refusedLocally } from "./calls.ts"
import type { ChannelHost, Starving } from "./channelHost.ts"
import type { Renewable } from "./refusals.ts"
import { Refusals } from "./refusals.ts"

/** A message as the wire has it. @internal */
export interface Outgoing {
  readonly method: Method.BasicPublish
  readonly properties: BasicProperties
  readonly body: Uint8Array
}

/** @internal */
export type PublishWaiter = Waiter<ConfirmError>

interface Waiting {
  readonly outgoing: Outgoing
  readonly waiter: PublishWaiter
  /** `Infinity` for what is sent again: it waits for as long as the connection tries. */
  readonly deadline: number
}

/** @internal */
export const toOutgoing = (message: Message): Outgoing => ({
  method: {
    _tag: "BasicPublish",
    exchange: message.exchange ?? "",
    routingKey: message.routingKey ?? "",
    mandatory: message.mandatory === true,
    immediate: message.immediate === true
  },
  properties: toBasicProperties(message.properties),
  body: toBytes(message.content)
})

const nacked = ({ method }: Outgoing): ConfirmError =>
  new PublishNacked({ exchange: method.exchange, routingKey: method.routingKey })

const publishFailed = (): void => Metrics.publishFailed.unsafeUpdate(1, Metrics.noTags)

const unknown = (reason: OutcomeUnknown["reason"], cause?: unknown) => ({ method }: Outgoing): ConfirmError => {
  publishFailed()
  return new OutcomeUnknown({ reason, exchange: method.exchange, routingKey: method.routingKey, cause })
}

const fail = (waiter: PublishWaiter, error: ConfirmError): void => {
  publishFailed()
  waiter.failed(error)
}

/** What a channel does for its publishes. @internal */
export interface Carrier extends Renewable {
  /** Whether the channel is open for publishes. */
  readonly isOpen: () => boolean
  /** Puts a message into the output; `urgent`: nothing else is in flight, and someone waits. */
  readonly transmit: (outgoing: Outgoing, urgent: boolean) => FrameError | undefined
}

/** @internal */
export interface PublishingOptions {
  /** The most unconfirmed publishes; `undefined` without confirms. */
  readonly window: number | undefined
  /**
   * What the end of a life does to publishes of that life: those that wait belong to the next one as well, those without an
   * answer are told so ("fail") or sent again ("resend"). In a transaction neither: all of it is over ("drop").
   */
  readonly atEnd: "fail" | "resend" | "drop"
}

/** @internal */
export class Publishing implements Starving {
  starves = false
  private readonly host: ChannelHost
  private readonly carrier: Carrier
  private readonly window: SendWindow<Outgoing, ConfirmError> | undefined
  private readonly atEnd: PublishingOptions["atEnd"]
  private waiting: Array<Waiting> = []
  private idle: Array<() => void> = []
  private counted = 0
  private readonly refusals: Refusals | undefined

  constructor(host: ChannelHost, carrier: Carrier, options: PublishingOptions) {
    this.host = host
    this.carrier = carrier
    this.window = options.window === undefined ? undefined : new SendWindow(options.window)
    this.atEnd = options.atEnd
    this.refusals = this.atEnd === "resend" ? new Refusals(carrier, host.fork) : undefined
  }

  get unconfirmed(): number {
    return this.window?.unanswered ?? 0
  }

  private count(): void {
    tally.unconfirmed += this.unconfirmed - this.counted
    this.counted = this.unconfirmed
  }

  /** Nothing waits, and everything is answered for. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.unconfirmed === 0
  }

  get hasRoom(): boolean {
    return this.waiting.length === 0 && this.mayTransmit
  }

  private get mayTransmit(): boolean {
    return this.carrier.isOpen() && !this.host.isBlocked && this.host.hasRoom && (this.window?.hasRoom ?? true)
  }

  /** Publishes now when there is room (`hasRoom`), else when there will be. */
  submit(outgoing: Outgoing, waiter: PublishWaiter): void {
    if (this.hasRoom) return this.transmit(outgoing, waiter)
    const deadline = this.host.now() + this.host.publishTimeoutMillis
    this.waiting.push({ outgoing, waiter, deadline })
    this.host.starve(this)
    this.host.due(deadline)
    this.host.readingMayChange()
  }

  /** The interest in a publish is gone: unsent, it is not sent at all. What was sent once is still sent again. */
  withdraw(waiter: PublishWaiter): void {
    this.waiting = this.waiting.filter((each) => each.waiter !== waiter || each.deadline === Infinity)
    this.settled()
  }

  /** Room may have come: publishes what waits, in order. `true` when nothing waits any more. */
  release(): boolean {
    if (this.waiting.length === 0) return true
    let sent = 0
    while (sent < this.waiting.length && this.mayTransmit) {
      const { outgoing, waiter } = this.waiting[sent++]!
      this.transmit(outgoing, waiter)
    }
    if (sent > 0) this.waiting.splice(0, sent)
    this.settled()
    return this.waiting.length === 0
  }

  private transmit(outgoing: Outgoing, waiter: PublishWaiter): void {
    const { window } = this
    const fault = this.carrier.transmit(outgoing, window !== undefined && window.unanswered === 0)
    if (fault !== undefined) return fail(waiter, refusedLocally("basic.publish", fault))
    if (window === undefined) return waiter.done()
    const now = this.host.now()
    window.push(outgoing, waiter, now)
    this.count()
    this.host.due(now + this.host.publishTimeoutMillis)
    this.host.readingMayChange()
  }

  /** The broker answers for one publish or for all up to it; `false` when nothing awaits it. */
  confirmed(tag: number, multiple: boolean, ack: boolean): boolean {
    if (this.window === undefined) return false
    const { settled } = this.window
    const known = this.window.answer(tag, multiple, ack ? this.whenTaken : this.whenRefused)
    tally[ack ? "confirmed" : "nacked"] += this.window.settled - settled
    this.release()
    this.settled()
    return known
  }

  private readonly whenRefused = (outgoing: Outgoing): ConfirmError => {
    this.refusals?.refused(outgoing.method)
    return nacked(outgoing)
  }

  /** Looked at only while it makes a difference: nobody is told anything by it. */
  private get whenTaken(): ((outgoing: Outgoing) => undefined) | undefined {
    const { refusals } = this
    return refusals?.isInDoubt === true ? ({ method }) => void refusals.taken(method) : undefined
  }

  /**
   * A mandatory message came back. It belongs to the oldest unconfirmed one of the same exchange and routing key (and
   * message-id, where set): a broker returns before it confirms, in order.
   */
  returned(method: Method.BasicReturn, properties: BasicProperties): boolean {
    const { exchange, replyCode, replyText, routingKey } = method
    return this.window !== undefined && this.window.markFirst(
      (sent) =>
        sent.method.mandatory && sent.method.exchange === exchange && sent.method.routingKey === routingKey &&
        sent.properties.messageId === properties.messageId,
      new PublishReturned({ code: replyCode, text: replyText, exchange, routingKey })
    )
  }

  /** The broker closed the channel over a publish: fails the one it must have been, which is never sent again. */
  poisoned(error: ChannelError): boolean {
    const found = this.window !== undefined && this.window.failFirst(culpritOf(error), error)
    if (found) publishFailed()
    return found
  }

  /**
   * The channel's life is over: says so to what is in flight, or keeps it to be sent again first. How many outcomes stay
   * unknown.
   */
  interrupted(cause: CallError): number {
    if (this.atEnd === "drop") { for (const { waiter } of this.waiting.splice(0)) fail(waiter, cause) }
    if (this.window === undefined) return 0
    this.refusals?.interrupted()
    const rest = this.window.reset()
    const keeps = this.atEnd === "resend"
    if (keeps) {
      this.waiting = [
        ...rest.map(({ item, waiter }) => ({ outgoing: item, waiter, deadline: Infinity })),
        ...this.waiting
      ]
      this.host.starve(this)
    } else {
      for (const { item, waiter } of rest) waiter.failed(unknown("Lost", cause)(item))
    }
    this.settled()
    return keeps ? 0 : rest.length
  }

  /** The channel is gone for good. How many outcomes stay unknown. */
  closed(error: ConfirmError): number {
    const rest = this.window?.reset() ?? []
    let unanswered = rest.length
    for (const { item, waiter } of rest) waiter.failed(unknown("Lost", error)(item))
    for (const { deadline, outgoing, waiter } of this.waiting.splice(0)) {
      // What is to be sent again was sent once: whether the broker has it is not known.
      if (deadline === Infinity) unanswered++
      if (deadline === Infinity) waiter.failed(unknown("Lost", error)(outgoing))
      else fail(waiter, error)
    }
    this.settled()
    return unanswered
  }

  nextDeadline(): number {
    let earliest = (this.window?.oldestSentAt ?? Infinity) + this.host.publishTimeoutMillis
    for (const { deadline } of this.waiting) {
      if (deadline === Infinity) continue
      earliest = Math.min(earliest, deadline)
      break // the first that can time out is the oldest
    }
    return earliest
  }

  expire(now: number): void {
    this.window?.expire(now, this.host.publishTimeoutMillis, unknown("Timeout"))
    if (this.waiting.some((each) => each.deadline <= now)) {
      const late = this.waiting.filter((each) => each.deadline <= now)
      this.waiting = this.waiting.filter((each) => each.deadline > now)
      const error = new OperationTimeout({ operation: "basic.publish", limit: this.host.publishTimeout })
      for (const { waiter } of late) fail(waiter, error)
    }
    this.release()
    this.settled()
  }

  private settled(): void {
    this.count()
    if (this.idle.length === 0 || !this.isIdle) return
    for (const resume of this.idle.splice(0)) resume()
  }

  /** Waits until nothing waits and everything is answered for. */
  readonly whenIdle: Effect.Effect<void> = Effect.suspend(() =>
    this.isIdle ? Effect.void : Effect.async<void>((resume) => {
      const waiter = () => resume(Effect.void)
      this.idle.push(waiter)
      return Effect.sync(() => {
        this.idle = this.idle.filter((each) => each !== waiter)
      })
    })
  )
}

const exchangeIn = /exchange '([^']*)'/
const sizeIn = /message size (\d+)/

/**
 * Which publish a broker closed the channel for. It names the exchange, the size or the user; where it names nothing, it
 * was the oldest one without an answer (a broker answers in order).
 */
const culpritOf = (error: ChannelError): (outgoing: Outgoing) => boolean => {
  const named = exchangeIn.exec(error.text)?.[1]
  // RabbitMQ's name of the default exchange, where it speaks of permissions.
  const exchange = named === "amq.default" ? "" : named
  if (exchange !== undefined) return (sent) => sent.method.exchange === exchange
  const size = sizeIn.exec(error.text)?.[1]
  if (size !== undefined) return (sent) => sent.body.length === Number(size)
  if (error.text.includes("user_id")) return (sent) => sent.properties.userId !== undefined
  return () => true
}
