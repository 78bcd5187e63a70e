/**
 * The synchronous methods of one channel, one outstanding at a time, first in first out (0-9-1 has no request numbers:
 * an answer belongs to the oldest question). Knows what becomes of a call when its channel or its socket goes.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { CallError, FrameError } from "../../AmqpError.ts"
import { ChannelError, OperationTimeout } from "../../AmqpError.ts"
import * as Method from "../Method.ts"
import type { DeliveryRecord } from "./delivery.ts"

/** The answer to a call, with the message where it brings one. @internal */
export interface Reply {
  readonly method: Method.Method
  readonly delivery?: DeliveryRecord | undefined
}

/** @internal */
export interface Call {
  method: Method.Method
  /** Whether it may be sent again when the socket went before its answer came. */
  readonly repeatable: boolean
  /** Whether it makes sense in the channel's present life alone, also while it was not sent yet. Default: false. */
  readonly ofLife?: boolean | undefined
  readonly deadline: number
  readonly limit: Duration.Duration
  /** Hears the answer at once, before the fiber that waits for it runs. */
  readonly onReply?: ((reply: Reply) => void) | undefined
  /** Gone when nobody waits any more: the answer is then taken silently. */
  resume: ((effect: Effect.Effect<Reply, CallError>) => void) | undefined
}

const repliesTo = new Map<string, ReadonlyArray<string>>(
  Method.definitions.map((definition) => [definition.tag, definition.replies])
)

const expects = (method: Method.Method): ReadonlyArray<string> =>
  "noWait" in method && method.noWait ? [] : repliesTo.get(method._tag) ?? []

/** A value that no octets can express, as the fault of the operation that was given it. @internal */
export const refusedLocally = (method: string, fault: FrameError): ChannelError =>
  new ChannelError({ reason: "Refused", code: 0, text: fault.message, method })

const finish = (call: Call, effect: Effect.Effect<Reply, CallError>): void => {
  const resume = call.resume
  call.resume = undefined
  resume?.(effect)
}

/** @internal */
export class Calls {
  /** Calls that bring the channel up: they go before, and without waiting for, the user's. */
  private setup: Array<Call> = []
  private queue: Array<Call> = []
  private active: Call | undefined
  /** Whether the user's calls may go. */
  private open = false
  private readonly send: (method: Method.Method) => FrameError | undefined

  constructor(send: (method: Method.Method) => FrameError | undefined) {
    this.send = send
  }

  get outstanding(): number {
    return this.queue.length + this.setup.length + (this.active === undefined ? 0 : 1)
  }

  /** What the next answer belongs to. */
  get current(): Method.Method | undefined {
    return this.active?.method
  }

  /** Whether somebody still waits for that answer. */
  get awaited(): boolean {
    return this.active?.resume !== undefined
  }

  add(call: Call): void {
    this.queue.push(call)
    this.pump()
  }

  addSetup(call: Call): void {
    this.setup.push(call)
    this.pump()
  }

  /** The interest in a call is gone: unsent, it is not sent at all. */
  cancel(call: Call): void {
    call.resume = undefined
    const at = this.queue.indexOf(call)
    if (at >= 0) this.queue.splice(at, 1)
  }

  /** What waits for the next life is about the queue by its new name. */
  renamed(from: string, to: string): void {
    for (const call of this.queue) {
      if ("queue" in call.method && call.method.queue === from) call.method = { ...call.method, queue: to }
    }
  }

  opened(): void {
    this.open = true
    this.pump()
  }

  /** Takes an answer; `false` when no question awaits it. */
  answered(reply: Reply): boolean {
    const call = this.active
    if (call === undefined || !expects(call.method).includes(reply.method._tag)) return false
    this.active = undefined
    if (call.resume !== undefined) call.onReply?.(reply)
    finish(call, Effect.succeed(reply))
    this.pump()
    return true
  }

  /**
   * The broker closed the channel over the method `classId`.`methodId`: the outstanding call fails, whether it was its
   * fault or not; what was not sent yet waits for the channel to open again. `true` when the call was the cause.
   */
  refused(error: ChannelError, classId: number, methodId: number): boolean {
    this.open = false
    const call = this.active
    this.active = undefined
    this.failAll(this.setup, error)
    this.endLife(error)
    if (call === undefined) return false
    finish(call, Effect.fail(error))
    return Method.name(call.method) === Method.nameOf(classId, methodId)
  }

  /**
   * The socket is gone: what is safe to repeat waits for the next one, the rest fails. So does the call that made the
   * broker close the connection, by its method `culprit`: repeated, it would only do so again.
   */
  lost(error: CallError, culprit?: string | undefined): void {
    this.open = false
    const call = this.active
    this.active = undefined
    this.failAll(this.setup, error)
    this.endLife(error)
    if (call === undefined) return
    if (call.repeatable && call.resume !== undefined && Method.name(call.method) !== culprit) this.queue.unshift(call)
    else finish(call, Effect.fail(error))
  }

  /** The channel is gone for good. */
  closed(error: CallError): void {
    this.lost(error)
    this.failAll(this.queue, error)
  }

  nextDeadline(): number {
    let earliest = this.active?.resume === undefined ? Infinity : this.active.deadline
    for (const call of this.setup) earliest = Math.min(earliest, call.deadline)
    for (const call of this.queue) earliest = Math.min(earliest, call.deadline)
    return earliest
  }

  expire(now: number): void {
    // The active one stays: its answer may still come, and must not be taken for another's.
    if (this.active !== undefined && this.active.deadline <= now) this.timeOut(this.active)
    this.setup = this.setup.filter((call) => call.deadline > now || this.timeOut(call))
    this.queue = this.queue.filter((call) => call.deadline > now || this.timeOut(call))
  }

  private timeOut(call: Call): false {
    finish(call, Effect.fail(new OperationTimeout({ operation: Method.name(call.method), limit: call.limit })))
    return false
  }

  private endLife(error: CallError): void {
    const over = this.queue.filter((call) => call.ofLife === true)
    if (over.length === 0) return
    this.queue = this.queue.filter((call) => call.ofLife !== true)
    this.failAll(over, error)
  }

  private failAll(calls: Array<Call>, error: CallError): void {
    for (const call of calls.splice(0)) finish(call, Effect.fail(error))
  }

  private pump(): void {
    while (this.active === undefined) {
      const call = this.setup.shift() ?? (this.open ? this.queue.shift() : undefined)
      if (call === undefined) return
      const fault = this.send(call.method)
      if (fault !== undefined) {
        finish(call, Effect.fail(refusedLocally(Method.name(call.method), fault)))
      } else if (expects(call.method).length === 0) {
        finish(call, Effect.succeed({ method: call.method }))
      } else {
        this.active = call
      }
    }
  }
}

/** The bound of a call in milliseconds from `now`. @internal */
export const deadlineOf = (now: number, limit: Duration.Duration): number => now + Duration.toMillis(limit)
