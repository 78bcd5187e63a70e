/**
 * A channel as its user has it: one thing that outlives sockets and the broker's closing of it. Each time it is opened, a
 * new life begins: settings and consumers are restored, deliveries of earlier lives cannot be settled any more, and what
 * was in flight ends by the rules of `Calls` and `Publishing`.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Predicate from "effect/Predicate"
import type { CallError } from "../../AmqpError.ts"
import { ChannelError, FrameError, OperationTimeout } from "../../AmqpError.ts"
import { bounded } from "../../internal/bounded.ts"
import { Events } from "../../internal/events.ts"
import { warn } from "../../internal/log.ts"
import { tally } from "../../internal/tally.ts"
import * as Metrics from "../../Metrics.ts"
import type { Returned } from "../Channel.ts"
import * as Method from "../Method.ts"
import type { BasicProperties } from "../Properties.ts"
import type { Call, Reply } from "./calls.ts"
import { Calls, deadlineOf } from "./calls.ts"
import type { ChannelHost, ChannelOnSocket } from "./channelHost.ts"
import type { ChannelSettings } from "./channelSettings.ts"
import { noFreeChannels, selectMode, unsupported } from "./channelSettings.ts"
import { ChannelWriter } from "./channelWriter.ts"
import { Consumers } from "./consumers.ts"
import { DeliveryRecord } from "./delivery.ts"
import type { ContentMethod } from "./engine.ts"
import { findQueue } from "./openOn.ts"
import { Prefetch } from "./prefetch.ts"
import { Publishing } from "./publishing.ts"
import { closedByBroker, isHeld, Reopening, silence } from "./reopening.ts"
import { Settling } from "./settling.ts"

const consumeName = "basic.consume"

type Status = "down" | "open" | "closed"

/** @internal */
export class ChannelCore implements ChannelOnSocket {
  readonly prefetch: Prefetch
  readonly publishing: Publishing
  readonly settling = new Settling({
    acknowledge: (deliveryTag, multiple, prefix) => this.writer.acknowledge(deliveryTag, multiple, prefix),
    refuse: (method) => this.writer.late(method),
    canNack: () => this.host.capabilities.basicNack
  })
  readonly host: ChannelHost
  private readonly settings: ChannelSettings
  private readonly writer: ChannelWriter
  readonly calls: Calls
  readonly consumers: Consumers
  private status: Status = "down"
  private closedBy: CallError | undefined
  private restoring = false
  private flowing = true
  private readonly reopening = new Reopening()
  private closeWaiter: (() => void) | undefined
  /** What ended the last life. */
  private lostBy: CallError | undefined
  /** Queues that lost a consumer with it. */
  private left: ReadonlyArray<string> = []
  private readonly returns = new Events<Returned>()
  /** Messages that came back and belong to no confirmed publish. */
  readonly returned = this.returns.stream(() => [])
  private openWaiters: Array<() => void> = []

  constructor(host: ChannelHost, settings: ChannelSettings) {
    this.host = host
    this.settings = settings
    this.prefetch = new Prefetch(settings.prefetch)
    this.writer = new ChannelWriter(host)
    if (settings.mode === "tx") this.settling.beginTransactions()
    this.calls = new Calls((method) => this.send(method))
    this.publishing = new Publishing(host, {
      isOpen: () => this.status === "open" && this.flowing,
      transmit: (outgoing, urgent) => this.writer.publish(outgoing, urgent),
      isSpare: () => this.isSpare,
      renew: () => this.renew()
    }, settings)
    this.consumers = new Consumers({
      call: (method, repeatable) => this.call(method, repeatable),
      transmit: (method) => this.writer.late(method),
      isAnswering: () => this.status === "open" && this.closedBy === undefined && !host.isBlocked,
      fork: host.fork,
      onFull: () => host.consumerFull(),
      onGone: (queue) => {
        host.readingMayChange()
        if (queue !== undefined) host.consumerGone(queue)
      },
      closeTimeout: host.closeTimeout,
      find: (queue) => findQueue(host, queue),
      acceptsCancelOk: () => host.capabilities.acceptConsumerCancelOk
    }, this.settling)
    if (settings.resident?.consumer !== undefined) this.consumers.establish(settings.resident.consumer)
  }

  /** The channel number, or 0 while the channel is down. */
  get number(): number {
    return this.writer.number
  }

  /** Calls, publishes and a goodbye whose answer may still come: while there are any, reading must go on. */
  get isWaiting(): boolean {
    return this.calls.outstanding > 0 || !this.publishing.isIdle || this.closeWaiter !== undefined ||
      this.settings.resident?.isWaiting === true
  }

  get hasFullConsumer(): boolean {
    return this.consumers.someFull
  }

  // --- Calls and publishes ---

  private send(method: Method.Method): FrameError | undefined {
    // An engine that gives a number says channel.open with it.
    if (method._tag === "ChannelOpen" || this.host.socket === undefined) return undefined
    this.settleWith(method)
    const fault = this.writer.call(method, method._tag === "BasicConsume" ? this.prefetchOf(method) : [])
    if (fault === undefined && "noWait" in method && method.noWait) this.declared(method, undefined, true)
    return fault
  }

  private prefetchOf(method: Method.BasicConsume): ReadonlyArray<Method.BasicQos> {
    const consumer = this.consumers.get(method.consumerTag)
    return consumer === undefined || method.noAck ? [] : this.prefetch.before(consumer.settings.prefetch)
  }

  /**
   * What it means for the connection's topology that the broker has answered, or never will (`noWait`). At once: in the same
   * read the channel may close, and with it go the queues that it consumed.
   */
  private declared(method: Method.Method, reply: Method.Method | undefined, awaited: boolean): void {
    if (method._tag === "BasicConsume") this.consumers.get(method.consumerTag)?.accepted()
    if (this.settings.ofTopology !== true) this.host.recovery.ledger.answered(this, method, reply, awaited)
  }

  /** What a method does to settlements holds for whatever is sent after it, answered or not. */
  private settleWith({ _tag }: Method.Method): void {
    switch (_tag) {
      case "BasicRecover":
        this.consumers.forget()
        return this.settling.recover()
      case "TxCommit":
        return this.settling.commit()
      case "TxRollback":
        return this.settling.rollBack()
      default:
        return
    }
  }

  /** Why a new operation is refused, if so. */
  refusal(operation: string, publishes: boolean): CallError | undefined {
    return this.closedBy ?? this.host.refusal(operation, publishes)
  }

  /** A synchronous method and its answer. `ofLife`: it is over with the channel's present life, sent or not. */
  call(method: Method.Method, repeatable: boolean, ofLife = false): Effect.Effect<Reply, CallError> {
    return Effect.suspend(() => {
      const refusal = this.refusal(Method.name(method), false)
      if (refusal !== undefined) return Effect.fail(refusal)
      return this.ask({ method, repeatable, ofLife, limit: this.host.operationTimeout }, false)
    })
  }

  private ask(
    question: Pick<Call, "method" | "repeatable" | "ofLife" | "limit" | "onReply">,
    setup: boolean
  ): Effect.Effect<Reply, CallError> {
    return Effect.async<Reply, CallError>((resume) => {
      const deadline = deadlineOf(this.host.now(), question.limit)
      const call: Call = { ...question, deadline, resume }
      if (setup) this.calls.addSetup(call)
      else this.calls.add(call)
      this.host.due(deadline)
      this.host.readingMayChange()
      return Effect.sync(() => this.calls.cancel(call))
    })
  }

  // --- Lives ---

  /** Opens the channel on the present socket and restores what it had, as often as the broker closes it on the way. */
  readonly restore: Effect.Effect<void, CallError> = Effect.suspend(() => {
    // Without a socket there is nothing to do: the connection restores every channel on its next one.
    if (this.restoring || this.status === "open" || this.host.socket === undefined) return Effect.void
    if (this.closedBy !== undefined) return Effect.fail(this.closedBy)
    const topology = this.settings.ofTopology === true ? undefined : this.host.recovery.pending
    if (topology !== undefined) return Effect.zipRight(topology, this.restore)
    this.restoring = true
    return this.bringUp.pipe(
      Effect.catchTag("ChannelError", (error) =>
        // A consumer whose queue is gone has been dropped: the next attempt does without it, and is no repetition.
        error.code === 0 || (error.method !== consumeName && this.tooOften(error))
          ? Effect.fail(this.closedBy ?? error)
          : Effect.zipRight(isHeld(error) ? this.reopening.patience : this.healed, this.restoreAgain)),
      Effect.ensuring(Effect.sync(() => {
        this.restoring = false
      }))
    )
  })

  /** After a pause the queues are there again that the broker deleted when it closed the channel of their consumers. */
  private readonly healed: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(this.reopening.backOff, Effect.suspend(() => this.host.heal(this.left)))
  )

  private readonly restoreAgain: Effect.Effect<void, CallError> = Effect.suspend(() => {
    this.restoring = false
    return this.restore
  })

  private readonly bringUp: Effect.Effect<void, CallError> = Effect.suspend(() => {
    const { host, settings } = this
    const { socket } = host
    const fault = socket === undefined ? undefined : unsupported(settings, host.capabilities)
    if (fault !== undefined) return Effect.fail(fault)
    const number = socket?.engine.openChannel(settings.number)
    if (number === undefined) return Effect.fail(noFreeChannels(settings))
    this.writer.number = number
    this.flowing = true
    host.carry(number, this)
    socket?.flushNow()
    const { life } = this.settling
    const begin = [selectMode(settings), this.prefetch.begin()].filter(Predicate.isNotUndefined)
    // Between an answer and what follows it, the life may have ended.
    const alive = Effect.suspend(() => this.settling.life === life ? Effect.void : Effect.fail(this.ended))
    const setup = (method: Method.Method) =>
      Effect.zipRight(alive, this.ask({ method, repeatable: false, limit: host.operationTimeout }, true))
    return setup({ _tag: "ChannelOpen" }).pipe(
      Effect.andThen(Effect.forEach(begin, setup, { discard: true })),
      Effect.andThen(
        Effect.suspend(() => Effect.forEach(this.settings.resident?.prepare() ?? [], setup, { discard: true }))
      ),
      Effect.andThen(
        Effect.forEach(
          this.consumers.established,
          (consumer) =>
            Effect.suspend(() => {
              // It may have been cancelled since.
              if (!consumer.established) return Effect.void
              return Effect.tapError(setup(consumer.method), (error) =>
                Effect.sync(() => {
                  if (error._tag !== "ChannelError" || error.method !== consumeName) return
                  this.consumers.refused(consumer, error)
                }))
            }),
          { discard: true }
        )
      ),
      Effect.andThen(alive),
      Effect.andThen(Effect.sync(() => this.opened()))
    )
  })

  private opened(): void {
    this.status = "open"
    Metrics.channels.unsafeModify(1, Metrics.noTags)
    this.consumers.opened()
    for (const resume of this.openWaiters.splice(0)) resume()
    this.calls.opened()
    this.publishing.release()
    this.settings.resident?.opened()
  }

  /** Waits until the channel is open for the first time, on this socket or a later one. */
  readonly whenOpen: Effect.Effect<void, CallError> = Effect.suspend(() =>
    this.restore.pipe(
      // A socket that goes meanwhile is the connection's to replace; the channel is opened on the next one.
      Effect.catchTags({ ConnectionLost: () => Effect.void, ConnectionClosed: () => Effect.void }),
      Effect.zipRight(this.opening),
      Effect.timeoutFail({
        duration: this.host.channelTimeout,
        onTimeout: () => new OperationTimeout({ operation: "channel.open", limit: this.host.channelTimeout })
      })
    )
  )

  /** Waits for an opening that somebody else has begun. */
  readonly opening: Effect.Effect<void, CallError> = Effect.suspend(() => {
    if (this.closedBy !== undefined) return Effect.fail(this.closedBy)
    if (this.status === "open") return Effect.void
    return Effect.async<void, CallError>((resume) => {
      const waiter = () => resume(this.closedBy === undefined ? Effect.void : Effect.fail(this.closedBy))
      this.openWaiters.push(waiter)
      return Effect.sync(() => {
        this.openWaiters = this.openWaiters.filter((each) => each !== waiter)
      })
    })
  })

  /** A consumer's buffer was taken: reading may go on. */
  readonly onTaken = (): void => this.host.readingMayChange()

  /** Counts a reopening; `true` when it is one too many, and the channel stays closed. */
  private tooOften(error: ChannelError): boolean {
    if (this.reopening.mayGoOn(this.host.now())) return false
    const { code, method, text } = error
    this.end(new ChannelError({ reason: "ReopenedTooOften", code, text, method }))
    return true
  }

  /** The life is over: its deliveries are stale, its number is not ours any more. */
  private down(fault: CallError): void {
    this.lostBy = fault
    if (this.status === "open") Metrics.channels.unsafeModify(-1, Metrics.noTags)
    this.status = "down"
    this.writer.number = 0
    this.consumers.keepPlaces()
    this.left = this.consumers.left()
    this.settling.end()
    this.consumers.forget()
    this.closeWaiter?.()
    this.settings.resident?.down(fault)
  }

  /** The socket is gone, perhaps because the broker closed the connection over the method `culprit`. */
  lost(fault: CallError, culprit?: string | undefined): void {
    if (this.status === "closed") return
    this.consumers.lost(fault, (tag, queue) => this.host.recovery.keeps(tag, queue))
    this.down(fault)
    this.calls.lost(fault, culprit)
    const unconfirmed = this.publishing.interrupted(fault)
    if (fault._tag === "ConnectionClosed" && fault.reason === "Client") this.reportUnconfirmed(unconfirmed)
    if (this.closedBy !== undefined) this.end(this.closedBy)
  }

  /** The broker closed the channel. */
  readonly onClosed = (close: Method.ChannelClose): void => {
    if (this.status === "closed") return
    const error = closedByBroker(close)
    this.down(error)
    const isPublish = error.method === "basic.publish"
    const told = this.calls.refused(error, close.classId, close.methodId) ||
      (isPublish && this.publishing.poisoned(error))
    this.publishing.interrupted(error)
    if (!told) {
      this.host.fork(Effect.logWarning(`The broker closed a channel: ${error.message}`))
    }
    if (this.closedBy !== undefined) return this.end(this.closedBy)
    if (this.settings.once === true) return this.end(error)
    if (this.restoring || this.tooOften(error)) return
    this.host.fork(this.reopenAfter(this.healed))
  }

  private reopenAfter(before: Effect.Effect<void, CallError>): Effect.Effect<void> {
    return Effect.zipRight(before, this.restore).pipe(
      Effect.catchAll((fault) =>
        Effect.sync(() => {
          // A loss is the connection's to heal: it restores every channel on its next socket.
          if (fault._tag === "ChannelError") this.end(fault)
          else if (fault._tag === "OperationTimeout") this.host.abandon(fault)
        })
      )
    )
  }

  /** A new life would cost nothing but publishes that are sent twice. */
  private get isSpare(): boolean {
    return this.status === "open" && this.closedBy === undefined && !this.host.isBlocked &&
      this.consumers.isEmpty && this.settling.isClear && this.calls.outstanding === 0
  }

  /** Our own channel.close ends the life, at once; its answer frees the number for the next one. */
  private renew(): Effect.Effect<void> {
    const limit = this.host.operationTimeout
    const left = Deferred.unsafeMake<void>(FiberId.none)
    this.writer.close()
    this.down(this.closed)
    this.calls.lost(this.closed)
    this.publishing.interrupted(this.closed)
    this.closeWaiter = () => {
      this.closeWaiter = undefined
      Deferred.unsafeDone(left, Effect.void)
    }
    this.host.readingMayChange()
    return Effect.zipRight(
      warn("Channel", "The broker refuses what a channel publishes: it is opened anew"),
      this.reopenAfter(Effect.raceFirst(
        Deferred.await(left),
        Effect.zipRight(
          silence(limit, () => this.host.isBlocked),
          new OperationTimeout({ operation: "channel.close", limit })
        )
      ))
    )
  }

  /** The channel is gone for good: everything that waits on it fails. */
  end(error: CallError): void {
    if (this.status === "closed") return
    this.down(error)
    this.status = "closed"
    this.closedBy = error
    this.calls.closed(error)
    this.returns.end()
    this.reportUnconfirmed(this.publishing.closed(error))
    this.settings.resident?.closed(error)
    for (const resume of this.openWaiters.splice(0)) resume()
    this.consumers.end(error)
    this.host.drop(this)
  }

  /** Each of them fails; but of those that nobody waits on, nobody would hear. */
  private reportUnconfirmed(unconfirmed: number): void {
    if (unconfirmed === 0) return
    const count = unconfirmed === 1 ? "1 publish" : `${unconfirmed} publishes`
    this.host.fork(Effect.logWarning(`A channel was closed before the broker had confirmed ${count}`))
  }

  /** It could not be opened: it is over, also for a broker that has opened it all the same. */
  giveUp(error: CallError = this.closed): void {
    this.writer.close()
    this.end(error)
  }

  get isOver(): boolean {
    return this.closedBy !== undefined
  }

  /** The goodbye: what was published is confirmed or given up, then channel.close and its answer. Bounded. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.closedBy !== undefined) return Effect.sync(() => this.end(this.closed))
    this.closedBy = this.closed
    return this.publishing.whenIdle.pipe(
      Effect.andThen(this.goodbye),
      bounded(this.host.closeTimeout),
      Effect.ensuring(Effect.sync(() => {
        // Also where the time was spent on confirms that did not come: else the broker would keep the channel.
        this.writer.close()
        this.end(this.closed)
      }))
    )
  })

  /** What an operation fails with that this side's close ends. */
  get closed(): ChannelError {
    return new ChannelError({ reason: "Closed", code: 0, text: "the channel is closed", method: "channel.close" })
  }

  private readonly goodbye: Effect.Effect<void> = Effect.suspend(() => {
    // A broker that blocks us does not read for now: it is told, and its answer not awaited.
    if (this.host.socket === undefined || this.number === 0 || this.host.isBlocked) return Effect.void
    return Effect.async<void>((resume) => {
      this.closeWaiter = () => resume(Effect.void)
      this.writer.close()
      this.host.readingMayChange()
    })
  })

  // --- What the socket brings ---

  readonly onMethod = (method: Method.Method): void => {
    switch (method._tag) {
      case "BasicAck":
      case "BasicNack": {
        this.reopening.succeeded()
        if (this.publishing.confirmed(method.deliveryTag, method.multiple, method._tag === "BasicAck")) return
        return this.unexpected(method, `a confirm for publish ${method.deliveryTag}, which awaits none`)
      }
      case "BasicQosOk":
        if (this.prefetch.answered()) return
        break
      case "BasicRecoverOk":
        // At once: what follows it in the same read is new.
        this.settling.recovered()
        break
      case "BasicCancel":
        return this.consumers.cancelled(method.consumerTag)
      case "ChannelFlow":
        this.flowing = method.active
        this.writer.late({ _tag: "ChannelFlowOk", active: method.active })
        this.publishing.release()
        return
      case "ChannelCloseOk":
        return this.closeWaiter?.()
      default:
        break
    }
    this.answered({ method })
  }

  private answered(reply: Reply): void {
    const { awaited, current } = this.calls
    if (!this.calls.answered(reply)) return this.unexpected(reply.method, "an answer to nothing")
    if (current !== undefined) this.declared(current, reply.method, awaited)
    if (this.status === "open") this.reopening.succeeded()
    this.host.readingMayChange()
  }

  private unexpected(method: Method.Method, text: string): void {
    this.host.onFault(new FrameError({ reason: "Command", field: Method.name(method), offset: 0, text }))
  }

  readonly onContent = (method: ContentMethod, properties: BasicProperties, body: Uint8Array): void => {
    switch (method._tag) {
      case "BasicDeliver":
        if (this.repeats(method)) return
        this.reopening.succeeded()
        return this.consumers.delivered(method, properties, body)
      case "BasicGetOk":
        return this.taken(method, properties, body)
      case "BasicReturn":
        Metrics.returned.unsafeUpdate(1, Metrics.noTags)
        if (this.publishing.returned(method, properties)) return
        if (this.settings.resident?.returned(method, properties) !== true) this.cameBack(method, properties, body)
        return
      default:
        return
    }
  }

  /** Tags grow. By one that does not, no delivery could be told from another: nothing this socket says is to be trusted. */
  private repeats(method: Method.BasicDeliver | Method.BasicGetOk): boolean {
    const { newest } = this.settling
    if (method.deliveryTag > newest) return false
    this.unexpected(method, `delivery tag ${method.deliveryTag} after ${newest}`)
    return true
  }

  private cameBack(method: Method.BasicReturn, properties: BasicProperties, content: Uint8Array): void {
    const { exchange, replyCode: code, replyText: text, routingKey } = method
    this.returns.offer({ code, text, exchange, routingKey, properties, content })
    this.host.fork(Effect.logWarning(
      `A message came back: ${code} ${text} ("${exchange}", routing key "${routingKey}")`
    ))
  }

  /** The delivery of a get: known here in the order of its tag, whenever its caller runs. */
  private taken(method: Method.BasicGetOk, properties: BasicProperties, body: Uint8Array): void {
    const { awaited, current } = this.calls
    const noAck = current?._tag === "BasicGet" && current.noAck
    if (this.repeats(method)) return
    const delivery = new DeliveryRecord(this.settling, method, "", noAck, properties, body)
    this.settling.add(delivery)
    tally.consumed++
    this.answered({ method, delivery })
    if (!awaited) this.settling.giveBack(delivery)
  }

  /** basic.recover, which RabbitMQ knows with requeue alone. */
  readonly recover: Effect.Effect<void, CallError> = Effect.suspend(() =>
    Effect.asVoid(this.call({ _tag: "BasicRecover", requeue: true }, false, true))
  )

  /** Bounds all consumers of the channel together, in this life and those to come. */
  limit(prefetch: number): Effect.Effect<void, CallError> {
    return Effect.suspend(() => Effect.asVoid(this.call(this.prefetch.limit(prefetch), true)))
  }

  /** What ended the last life, for an operation that belonged to it. */
  get ended(): CallError {
    return this.lostBy ?? this.closed
  }

  /**
   * basic.get, whose message goes back when the caller is interrupted before it has it: here, or by whom it is shown to as
   * it comes (`hold`).
   */
  get(queue: string, noAck: boolean, hold?: (delivery: DeliveryRecord) => void): Effect.Effect<Reply, CallError> {
    return Effect.suspend(() => {
      const refusal = this.refusal("basic.get", false)
      if (refusal !== undefined) return Effect.fail(refusal)
      let held: DeliveryRecord | undefined
      const onReply = ({ delivery }: Reply) => {
        if (delivery === undefined) return
        if (hold === undefined) held = delivery
        else hold(delivery)
      }
      const limit = this.host.operationTimeout
      return this.ask({ method: { _tag: "BasicGet", queue, noAck }, repeatable: false, limit, onReply }, false).pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            if (held !== undefined) this.settling.giveBack(held)
          })
        )
      )
    })
  }

  // --- Time ---

  nextDeadline(): number {
    return Math.min(this.calls.nextDeadline(), this.publishing.nextDeadline())
  }

  tick(now: number): void {
    this.calls.expire(now)
    this.publishing.expire(now)
  }
}
