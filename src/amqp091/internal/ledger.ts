/**
 * What was declared through a connection and is still wanted: exchanges, queues and bindings, whichever channel declared
 * them. Plain code that hears of each method the broker has answered; bringing it back is `declaring`'s business.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"
import type { CallError } from "../../AmqpError.ts"
import { ByteWriter } from "../../wire/ByteWriter.ts"
import type { QueueRef } from "../Channel.ts"
import * as FieldTable from "../FieldTable.ts"
import * as Method from "../Method.ts"
import type { Entity, RecoveryOptions } from "../Topology.ts"

/** @internal */
export class ExchangeRecord {
  /** Why it is not declared again: the broker closed the connection over it. */
  fatal: CallError | undefined
  readonly method: Method.ExchangeDeclare

  constructor(method: Method.ExchangeDeclare) {
    this.method = { ...method, noWait: false }
  }

  get name(): string {
    return this.method.exchange
  }

  get key(): string {
    return `exchange ${this.name}`
  }

  get entity(): Entity {
    const { arguments: table, autoDelete, durable, exchange, internal, type } = this.method
    return { _tag: "Exchange", exchange, type, durable, autoDelete, internal, arguments: table }
  }

  get isTransient(): boolean {
    return this.method.autoDelete
  }
}

/** A queue, and the reference to it that its users have: of one that the broker named, the name changes. @internal */
export class QueueRecord implements QueueRef {
  fatal: CallError | undefined
  queue: string
  readonly method: Method.QueueDeclare

  constructor(method: Method.QueueDeclare, queue: string) {
    this.method = { ...method, noWait: false }
    this.queue = queue
  }

  get name(): string {
    return this.queue
  }

  get key(): string {
    return `queue ${this.queue}`
  }

  get isServerNamed(): boolean {
    return this.method.queue === ""
  }

  get entity(): Entity {
    const { isServerNamed: serverNamed, queue } = this
    const { arguments: table, autoDelete, durable, exclusive } = this.method
    return { _tag: "Queue", queue, serverNamed, durable, exclusive, autoDelete, arguments: table }
  }

  get isTransient(): boolean {
    return this.method.autoDelete || this.method.exclusive
  }

  /** Left alone by its consumers it goes, at once or later. */
  get goesByItself(): boolean {
    return this.method.autoDelete || this.method.arguments["x-expires"] !== undefined
  }
}

type Bind = Method.QueueBind | Method.ExchangeBind

// Names have up to 255 octets, and no brokers take this one in them.
const between = "\u0000"

/** Tables that differ only in the order of their names are the same binding. */
const printed = (table: FieldTable.FieldTable): string => {
  const names = Arr.sort(Object.keys(table).filter((name) => table[name] !== undefined), Order.string)
  if (names.length === 0) return ""
  const writer = new ByteWriter()
  FieldTable.encode(writer, Object.fromEntries(names.map((name) => [name, table[name]])))
  return Array.from(writer.toBytes(), (octet) => String.fromCharCode(octet)).join("")
}

/** @internal */
export class BindingRecord {
  fatal: CallError | undefined
  private readonly bind: Bind
  /** The queue, where its name may change. */
  readonly ref: QueueRef | undefined
  private readonly rest: string

  constructor(bind: Bind, ref: QueueRef | undefined) {
    this.bind = { ...bind, noWait: false }
    this.ref = ref
    this.rest = [this.source, bind.routingKey, printed(bind.arguments)].join(between)
  }

  get method(): Bind {
    const { bind, ref } = this
    return bind._tag === "QueueBind" && ref !== undefined ? { ...bind, queue: ref.queue } : bind
  }

  get source(): string {
    return this.bind._tag === "QueueBind" ? this.bind.exchange : this.bind.source
  }

  /** What messages go to: the key of its record. */
  get destination(): string {
    return this.bind._tag === "QueueBind"
      ? `queue ${this.ref?.queue ?? this.bind.queue}`
      : `exchange ${this.bind.destination}`
  }

  get key(): string {
    return [this.destination, this.rest].join(between)
  }

  get entity(): Entity {
    const { method } = this
    const { arguments: table, routingKey } = method
    return method._tag === "QueueBind"
      ? { _tag: "QueueBinding", queue: method.queue, exchange: method.exchange, routingKey, arguments: table }
      : {
        _tag: "ExchangeBinding",
        destination: method.destination,
        source: method.source,
        routingKey,
        arguments: table
      }
  }
}

/** @internal */
export type Record = ExchangeRecord | QueueRecord | BindingRecord

const isPredefined = (name: string): boolean => name === "" || name.startsWith("amq.")

/** @internal */
export class Ledger {
  private readonly exchanges = new Map<string, ExchangeRecord>()
  private readonly queues = new Map<string, QueueRecord>()
  private readonly bindings = new Map<string, BindingRecord>()
  /** What a `Topology` wants for as long as its scope is open, whatever becomes of it. */
  private readonly kept = new Set<Record>()
  /** By channel: what "" means where a queue is asked for. */
  private readonly lastDeclared = new WeakMap<object, QueueRef>()
  /** What is being declared again, for when the broker closes the connection over it. */
  readonly declaring = new Set<Record>()
  /** The broker closed the connection over one of several: they are declared one by one, to know which. */
  oneByOne = false
  private blamed = false

  // --- What the broker has answered ---

  /** `awaited`: whether somebody still waits for the answer. None comes where `noWait` was asked for. */
  answered(channel: object, method: Method.Method, reply: Method.Method | undefined, awaited: boolean): void {
    switch (method._tag) {
      case "ExchangeDeclare":
        if (method.passive || isPredefined(method.exchange)) return
        return void this.exchanges.set(method.exchange, new ExchangeRecord(method))
      case "ExchangeDelete":
        return this.forgetExchange(method.exchange)
      case "QueueDeclare":
        return this.queueDeclared(
          channel,
          method,
          reply?._tag === "QueueDeclareOk" ? reply.queue : method.queue,
          awaited
        )
      case "QueueDelete":
        return this.forgetQueue(this.ref(channel, method.queue).queue)
      case "QueueBind":
      case "QueueUnbind":
      case "ExchangeBind":
      case "ExchangeUnbind":
        return this.bound(channel, method)
      default:
        return
    }
  }

  private queueDeclared(channel: object, method: Method.QueueDeclare, queue: string, awaited: boolean): void {
    const known = this.queues.get(queue)
    // Of one whose name nobody has heard, nobody can want it back.
    const isUnwanted = method.passive || (method.queue === "" ? !awaited : isPredefined(queue))
    if (isUnwanted || known?.isServerNamed === true) {
      return void this.lastDeclared.set(channel, known ?? { queue })
    }
    const record = new QueueRecord(method, queue)
    this.queues.set(queue, record)
    this.lastDeclared.set(channel, record)
  }

  private bound(
    channel: object,
    method: Method.QueueBind | Method.QueueUnbind | Method.ExchangeBind | Method.ExchangeUnbind
  ): void {
    const record = this.bindingOf(channel, method)
    if (method._tag === "QueueBind" || method._tag === "ExchangeBind") this.bindings.set(record.key, record)
    else this.forgetBinding(record.key)
  }

  private bindingOf(
    channel: object,
    method: Method.QueueBind | Method.QueueUnbind | Method.ExchangeBind | Method.ExchangeUnbind
  ): BindingRecord {
    if (method._tag === "ExchangeBind" || method._tag === "ExchangeUnbind") {
      return new BindingRecord({ ...method, _tag: "ExchangeBind", noWait: false }, undefined)
    }
    const ref = this.ref(channel, method.queue)
    // RabbitMQ: where neither is told, the queue's name is the routing key too.
    const routingKey = method.queue === "" && method.routingKey === "" ? ref.queue : method.routingKey
    return new BindingRecord({ ...method, _tag: "QueueBind", queue: ref.queue, routingKey, noWait: false }, ref)
  }

  /** The queue of this name: the one that the broker named so, and may name otherwise. */
  ref(channel: object, queue: string): QueueRef {
    const known = queue === "" ? this.lastDeclared.get(channel) : this.queues.get(queue)
    return known ?? { queue }
  }

  // --- What goes ---

  /** Whether the queue, left alone by its consumers, goes at once or later. */
  goesByItself(queue: string): boolean {
    return this.queues.get(queue)?.goesByItself === true
  }

  forgetQueue(queue: string): void {
    this.queues.delete(queue)
    this.forgetBindingsTo(`queue ${queue}`)
  }

  private forgetExchange(exchange: string): void {
    this.exchanges.delete(exchange)
    for (const [key, { source }] of this.bindings) if (source === exchange) this.bindings.delete(key)
    this.forgetBindingsTo(`exchange ${exchange}`)
  }

  private forgetBindingsTo(destination: string): void {
    for (const [key, binding] of this.bindings) if (binding.destination === destination) this.forgetBinding(key)
  }

  private forgetBinding(key: string): void {
    const binding = this.bindings.get(key)
    if (binding === undefined) return
    this.bindings.delete(key)
    const { source } = binding
    if (this.exchanges.get(source)?.isTransient !== true) return
    for (const other of this.bindings.values()) if (other.source === source) return
    this.forgetExchange(source)
  }

  // --- What comes back ---

  keep(records: ReadonlyArray<Record>): void {
    for (const record of records) this.kept.add(record)
  }

  release(records: ReadonlyArray<Record>): void {
    for (const record of records) this.kept.delete(record)
  }

  /** Whether it is still wanted. */
  has(record: Record): boolean {
    if (this.kept.has(record)) return true
    if (record instanceof ExchangeRecord) return this.exchanges.get(record.name) === record
    return record instanceof QueueRecord
      ? this.queues.get(record.queue) === record
      : this.bindings.get(record.key) === record
  }

  /** What a new socket needs, in no particular order. */
  wanted({ filter = () => true, mode = "all" }: RecoveryOptions): ReadonlyArray<Record> {
    const wanted = new Map<string, Record>()
    if (mode === "all" || mode === "transientOnly") {
      for (const map of [this.exchanges, this.queues, this.bindings]) {
        for (const record of map.values()) {
          if ((mode === "all" || this.isTransient(record)) && filter(record.entity)) wanted.set(record.key, record)
        }
      }
    }
    for (const record of this.kept) wanted.set(record.key, record)
    return Array.from(wanted.values())
  }

  private isTransient(record: Record): boolean {
    if (!(record instanceof BindingRecord)) return record.isTransient
    const destination = record.destination.startsWith("queue ")
      ? this.queues.get(record.destination.slice("queue ".length))
      : this.exchanges.get(record.destination.slice("exchange ".length))
    return destination?.isTransient === true || this.exchanges.get(record.source)?.isTransient === true
  }

  /**
   * Of what is wanted: the queues of these names that went with their last consumer, the exchanges that went with their last
   * binding, and so on, and all bindings to any of them.
   */
  goneWith(queues: ReadonlySet<string>, wanted: ReadonlyArray<Record>): ReadonlyArray<Record> {
    const gone = new Set<string>()
    const exchanges: Array<ExchangeRecord> = []
    const destinations = new Map<string, Array<string>>()
    for (const record of wanted) {
      if (record instanceof BindingRecord) {
        const others = destinations.get(record.source)
        if (others === undefined) destinations.set(record.source, [record.destination])
        else others.push(record.destination)
      } else if (record instanceof ExchangeRecord) {
        if (record.isTransient) exchanges.push(record)
      } else if (record.method.autoDelete && queues.has(record.queue)) {
        gone.add(record.key)
      }
    }
    for (let count = -1; count < gone.size;) {
      count = gone.size
      for (const { key, name } of exchanges) {
        if (destinations.get(name)?.every((destination) => gone.has(destination)) === true) gone.add(key)
      }
    }
    return wanted.filter((record) => gone.has(record instanceof BindingRecord ? record.destination : record.key))
  }

  /** The broker has given a queue another name. */
  renamed(record: QueueRecord, queue: string): void {
    const bindings = Array.from(this.bindings).filter(([, { ref }]) => ref === record)
    if (this.queues.delete(record.queue)) this.queues.set(queue, record)
    for (const [key] of bindings) this.bindings.delete(key)
    record.queue = queue
    for (const [, binding] of bindings) this.bindings.set(binding.key, binding)
  }

  /** The broker closed the connection over the method `culprit`: it would do so again. */
  blame(error: CallError, culprit: string): void {
    const suspects = Array.from(this.declaring).filter(({ method }) => Method.name(method) === culprit)
    const [first] = suspects
    if (first !== undefined && suspects.length === 1) {
      first.fatal = error
      this.blamed = true
    }
    this.oneByOne = suspects.length > 1
  }

  /** Whether somebody was found to blame since this was last asked. */
  takeBlame(): boolean {
    const { blamed } = this
    this.blamed = false
    return blamed
  }
}
