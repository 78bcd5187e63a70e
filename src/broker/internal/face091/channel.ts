/**
 * One channel of a client of the broker: its methods put to the model, and the model's answers put on the wire.
 *
 * @since 0.1.0
 */
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import * as Method from "../../../amqp091/Method.ts"
import type { Client, Refusal } from "../../Model.ts"
import * as Model from "../../Model.ts"
import { argumentsOf } from "./arguments.ts"
import { Consuming } from "./consuming.ts"
import type { Content } from "./content.ts"
import { stripped } from "./names.ts"
import type { ChannelPeer, Publisher } from "./peer.ts"
import { transientQueuesDenied } from "./profile.ts"
import { Publishing } from "./publishing.ts"
import type { Fault } from "./refusals.ts"
import { fault, isFault, isHard, isHardCode, toFault } from "./refusals.ts"
import { isReplyQueue } from "./replyTo.ts"
import type { Outcome } from "./transaction.ts"
import type { Held } from "./unacknowledged.ts"
import { Unacknowledged } from "./unacknowledged.ts"

/** @internal */
export class ChannelFace implements Publisher {
  private readonly number: number
  private readonly peer: ChannelPeer
  private readonly client: Client<Content>
  private readonly unacknowledged = new Unacknowledged()
  private readonly consuming: Consuming
  private readonly publishing: Publishing
  /** What an empty queue name means (0-9-1, queue.bind: "the last declared queue on the channel"). */
  private lastQueue: string | undefined

  constructor(number: number, peer: ChannelPeer, client: Client<Content>) {
    this.number = number
    this.peer = peer
    this.client = client
    this.consuming = new Consuming(number, peer, client, this.unacknowledged)
    this.publishing = new Publishing(number, peer, client, this.consuming)
  }

  /** Its consumers and what it did not settle go back to the model. */
  release(): void {
    this.consuming.release()
    this.client.release()
  }

  /** Room or credit may have come back. */
  resume(): void {
    this.consuming.resume()
  }

  /** Answers for all publishes since the last time. */
  confirm(): void {
    this.publishing.confirm()
  }

  get isConfirming(): boolean {
    return this.publishing.isConfirming
  }

  nack(): void {
    this.publishing.nack()
  }

  lose(take?: () => void): void {
    this.publishing.lose(take)
  }

  cancelConsumers(isMeant: (tag: string, queue: string) => boolean): number {
    return this.consuming.cancelConsumers(isMeant)
  }

  nextDeadline(): number {
    return this.consuming.nextDeadline()
  }

  tick(now: number): void {
    const late = this.consuming.expire(now)
    if (late !== undefined) this.peer.closeChannel(this.number, late)
  }

  receive(method: Method.Method): void {
    switch (method._tag) {
      case "ChannelOpen":
        return this.answer({ _tag: "ChannelOpenOk" })
      case "ChannelFlow":
        return this.ends(method, this.flow(method))
      case "AccessRequest":
        // The ticket is RabbitMQ's, and means nothing: what a client may do is its user's affair.
        return this.answer({ _tag: "AccessRequestOk", ticket: 1 })
      case "ExchangeDeclare":
        return this.exchangeDeclare(method)
      case "ExchangeDelete":
        return this.done(
          method,
          this.client.deleteExchange(stripped(method.exchange), { ifUnused: method.ifUnused }),
          () => method.noWait ? undefined : { _tag: "ExchangeDeleteOk" }
        )
      case "ExchangeBind":
        return this.done(
          method,
          this.client.bindExchange(exchangeBinding(method)),
          () => method.noWait ? undefined : { _tag: "ExchangeBindOk" }
        )
      case "ExchangeUnbind":
        return this.done(
          method,
          this.client.unbindExchange(exchangeBinding(method)),
          () => method.noWait ? undefined : { _tag: "ExchangeUnbindOk" }
        )
      case "QueueDeclare":
        return this.queueDeclare(method)
      case "QueueBind":
        return this.queueBind(method)
      case "QueueUnbind":
        return this.queueUnbind(method)
      case "QueuePurge":
        return this.withQueue(
          method,
          (queue) =>
            this.done(
              method,
              this.client.purgeQueue(queue),
              (messageCount) => method.noWait ? undefined : { _tag: "QueuePurgeOk", messageCount }
            )
        )
      case "QueueDelete":
        return this.withQueue(method, (queue) =>
          this.done(
            method,
            this.client.deleteQueue(stripped(queue), { ifUnused: method.ifUnused, ifEmpty: method.ifEmpty }),
            (messageCount) => method.noWait ? undefined : { _tag: "QueueDeleteOk", messageCount }
          ))
      case "BasicQos":
        return this.qos(method)
      case "BasicConsume":
        return this.withQueue(method, (queue) => this.ends(method, this.consuming.consume(method, queue)))
      case "BasicCancel":
        this.consuming.cancel(method.consumerTag)
        if (!method.noWait) this.answer({ _tag: "BasicCancelOk", consumerTag: method.consumerTag })
        return
      case "BasicCancelOk":
        if (!this.peer.profile.cancelsLateConsumers) return this.unimplemented(method)
        return this.consuming.cancel(method.consumerTag)
      case "BasicGet":
        return this.withQueue(method, (queue) => this.ends(method, this.consuming.get(method, queue)))
      case "BasicAck":
        return this.settle(method, method.deliveryTag, method.multiple, "settle")
      case "BasicReject":
        return this.settle(method, method.deliveryTag, false, method.requeue ? "requeue" : "discard")
      case "BasicNack":
        return this.settle(method, method.deliveryTag, method.multiple, method.requeue ? "requeue" : "discard")
      case "BasicRecover":
      case "BasicRecoverAsync":
        return this.recover(method)
      case "ConfirmSelect":
        return this.done(
          method,
          this.publishing.selectConfirm(),
          () => method.noWait ? undefined : { _tag: "ConfirmSelectOk" }
        )
      case "TxSelect":
        return this.done(method, this.publishing.selectTransaction(), () => ({ _tag: "TxSelectOk" }))
      case "TxCommit":
        return this.commit(method)
      case "TxRollback":
        return this.rollback(method)
      default:
        return this.unimplemented(method)
    }
  }

  publish(method: Method.BasicPublish, properties: RawProperties, body: Uint8Array): void {
    this.ends(
      method,
      method.immediate
        ? fault(Method.ReplyCode.notImplemented, "immediate=true")
        : this.publishing.publish(method, properties, body)
    )
  }

  // --- Answers ---

  private answer(method: Method.Method): void {
    this.peer.send(this.number, method)
  }

  /** Over what ends the channel or the connection, if anything did. */
  private ends(method: Method.Method, wrong: Refusal | Fault | undefined): void {
    if (wrong === undefined) return
    const isRefusal = Model.isRefusal(wrong)
    const reason = isRefusal ? toFault(wrong) : wrong
    if (isRefusal ? isHard(wrong) : isHardCode(reason.code)) this.peer.closeConnection(reason, method)
    else this.peer.closeChannel(this.number, reason, method)
  }

  private done<A>(
    method: Method.Method,
    result: A | Refusal | Fault,
    answer: (result: A) => Method.Method | undefined
  ): void {
    if (Model.isRefusal(result) || isFault(result)) return this.ends(method, result)
    const reply = answer(result)
    if (reply !== undefined) this.answer(reply)
  }

  private unimplemented(method: Method.Method): void {
    this.ends(method, fault(Method.ReplyCode.commandInvalid, "unimplemented method"))
  }

  private flow(method: Method.ChannelFlow): Fault | undefined {
    if (!method.active) return fault(Method.ReplyCode.notImplemented, "active=false")
    this.answer({ _tag: "ChannelFlowOk", active: true })
    return undefined
  }

  // --- Topology ---

  private exchangeDeclare(method: Method.ExchangeDeclare): void {
    const exchange = stripped(method.exchange)
    const result = method.passive
      ? this.client.findExchange(exchange)
      : this.client.declareExchange(exchange, method.type, {
        durable: method.durable,
        autoDelete: method.autoDelete,
        internal: method.internal,
        arguments: argumentsOf(method.arguments)
      })
    this.done(method, result, () => method.noWait ? undefined : { _tag: "ExchangeDeclareOk" })
  }

  private queueDeclare(method: Method.QueueDeclare): void {
    const name = stripped(method.queue)
    if (isReplyQueue(name)) return this.replyDeclare(method, name)
    if (this.isDenied(method, name)) {
      return this.ends(method, fault(Method.ReplyCode.internalError, transientQueuesDenied))
    }
    // Unlike every other method, a passive declaration takes an empty name as it is.
    const result = method.passive
      ? this.client.findQueue(name)
      : this.client.declareQueue({
        name: name === "" ? undefined : name,
        durable: method.durable,
        exclusive: method.exclusive,
        autoDelete: method.autoDelete,
        arguments: argumentsOf(method.arguments)
      })
    this.done(method, result, (queue) => {
      this.lastQueue = queue.name
      return method.noWait ? undefined : {
        _tag: "QueueDeclareOk",
        queue: queue.name,
        messageCount: queue.readyCount,
        consumerCount: queue.consumerCount
      }
    })
  }

  /** Nothing is declared: who waits for replies has the queue, with one consumer. */
  private replyDeclare(method: Method.QueueDeclare, queue: string): void {
    if (!this.peer.replyTo.has(queue)) return this.done(method, this.client.findQueue(queue), () => undefined)
    this.lastQueue = queue
    if (!method.noWait) this.answer({ _tag: "QueueDeclareOk", queue, messageCount: 0, consumerCount: 1 })
  }

  /** A queue that would be new, and is of a kind that the profile does not have any more. */
  private isDenied(method: Method.QueueDeclare, name: string): boolean {
    if (this.peer.profile.transientQueues || method.passive || method.durable || method.exclusive) return false
    if (name === "") return true
    const found = this.client.findQueue(name)
    return !name.startsWith("amq.") && Model.isRefusal(found) && found._tag === "NotFound"
  }

  private withQueue(method: Method.Method & { readonly queue: string }, use: (queue: string) => void): void {
    const queue = method.queue === "" ? this.lastQueue : method.queue
    if (queue === undefined) this.ends(method, fault(Method.ReplyCode.notFound, "no previously declared queue"))
    else use(queue)
  }

  private queueBind(method: Method.QueueBind): void {
    this.withQueue(method, (queue) =>
      this.done(
        method,
        this.client.bindQueue(bindingOf(method, queue)),
        () => method.noWait ? undefined : { _tag: "QueueBindOk" }
      ))
  }

  private queueUnbind(method: Method.QueueUnbind): void {
    this.withQueue(
      method,
      (queue) => this.done(method, this.client.unbindQueue(bindingOf(method, queue)), () => ({ _tag: "QueueUnbindOk" }))
    )
  }

  // --- Settling ---

  private qos(method: Method.BasicQos): void {
    const wrong = this.consuming.qos(method)
    if (wrong !== undefined) return this.ends(method, wrong)
    this.answer({ _tag: "BasicQosOk" })
    this.resume()
  }

  private settle(method: Method.Method, tag: number, multiple: boolean, outcome: Outcome): void {
    const held = multiple ? this.unacknowledged.takeUpTo(tag) : this.unacknowledged.take(tag)
    if (held === undefined) {
      return this.ends(method, fault(Method.ReplyCode.preconditionFailed, `unknown delivery tag ${tag}`))
    }
    const { transaction } = this.publishing
    const all = "tag" in held ? [held] : held
    if (transaction === undefined) this.apply(outcome, all)
    else transaction.settle({ outcome, held: all })
  }

  private apply(outcome: Outcome, all: ReadonlyArray<Held>): void {
    // Together: what goes back is back in its place before anybody is given the next.
    this.client.together(() => {
      for (const held of all) {
        this.consuming.credit(held)
        held.entry[outcome]()
      }
      this.resume()
    })
  }

  private recover(method: Method.BasicRecover | Method.BasicRecoverAsync): void {
    if (!method.requeue) return this.ends(method, fault(Method.ReplyCode.notImplemented, "requeue=false"))
    const held = this.unacknowledged.takeUpTo(0) ?? []
    if (method._tag === "BasicRecover") this.answer({ _tag: "BasicRecoverOk" })
    this.apply("requeue", held)
  }

  // --- Transactions ---

  private commit(method: Method.TxCommit): void {
    const { transaction } = this.publishing
    if (transaction === undefined) return this.ends(method, notTransactional)
    const { publishes, settlements } = transaction.take()
    const wrong = this.publishing.commit(publishes)
    for (const { held, outcome } of settlements) this.apply(outcome, held)
    if (wrong !== undefined) return this.ends(method, wrong)
    this.answer({ _tag: "TxCommitOk" })
  }

  private rollback(method: Method.TxRollback): void {
    const { transaction } = this.publishing
    if (transaction === undefined) return this.ends(method, notTransactional)
    for (const { held } of transaction.take().settlements) this.unacknowledged.restore(held)
    this.answer({ _tag: "TxRollbackOk" })
  }
}

const notTransactional = fault(Method.ReplyCode.preconditionFailed, "channel is not transactional")

const exchangeBinding = (method: Method.ExchangeBind | Method.ExchangeUnbind): Model.ExchangeBinding => ({
  destination: stripped(method.destination),
  source: stripped(method.source),
  routingKey: method.routingKey,
  arguments: argumentsOf(method.arguments)
})

const bindingOf = (method: Method.QueueBind | Method.QueueUnbind, queue: string) => ({
  queue: stripped(queue),
  exchange: stripped(method.exchange),
  // Both empty: the last declared queue, by its own name (0-9-1, queue.bind).
  routingKey: method.queue === "" && method.routingKey === "" ? queue : method.routingKey,
  arguments: argumentsOf(method.arguments)
})
