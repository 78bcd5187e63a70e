/**
 * The embedded broker: a model of exchanges and queues behind a face for AMQP 0-9-1, in memory for tests or on TCP for any
 * client in any language. It is for development, tests and small single-process work: everything is in memory, and what is
 * durable survives connections, not the process.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { BasicProperties } from "../amqp091/Properties.ts"
import type { ListenError } from "../AmqpError.ts"
import * as Timer from "../internal/timer.ts"
import * as Transport from "../Transport.ts"
import * as Fault from "./Fault.ts"
import { headersOf } from "./internal/face091/arguments.ts"
import { ConnectionFace } from "./internal/face091/connection.ts"
import type { Content } from "./internal/face091/content.ts"
import { deadLetter } from "./internal/face091/deadLetter.ts"
import { offered } from "./internal/face091/login.ts"
import { randomName } from "./internal/face091/names.ts"
import { profiles } from "./internal/face091/profile.ts"
import { fault } from "./internal/face091/refusals.ts"
import { ReplyTo } from "./internal/face091/replyTo.ts"
import { Faults } from "./internal/faults.ts"
import { record } from "./internal/recording.ts"
import * as Model from "./Model.ts"

/**
 * A client's connection, as the broker sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionInfo {
  /** The name the client gave itself (`connection_name`), or its address. */
  readonly name: string
  readonly remote: string
  readonly user: string
  readonly vhost: string
  /** How many channels are open. */
  readonly channels: number
  /** Why it shall not publish; `undefined`: it may. */
  readonly blocked: string | undefined
}

/**
 * A queue, as the broker sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueInfo {
  readonly name: string
  /** Messages ready for delivery. */
  readonly ready: number
  /** Messages delivered and not settled. */
  readonly unsettled: number
  readonly consumers: number
}

/**
 * A message as a client published it, whatever became of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Published {
  /** Its connection, as in {@link ConnectionInfo}. */
  readonly connection: string
  readonly channel: number
  readonly exchange: string
  readonly routingKey: string
  readonly mandatory: boolean
  readonly properties: BasicProperties
  readonly body: Uint8Array
}

/**
 * What can be done to a running broker from outside, and what it shows. Each {@link Fault} has its method.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends Fault.Methods {
  readonly host: string
  /** The port it listens on, also when 0 was asked for. */
  readonly port: number
  /** Clients that have finished their handshake. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
  /** The queues of a virtual host. Default: "/". */
  readonly queues: (vhost?: string) => Effect.Effect<ReadonlyArray<QueueInfo>>
  /** What is published from now on until the scope closes: the latest `last` (default: 1000) and 16 MiB of bodies. */
  readonly record: (
    options?: { readonly last?: number | undefined }
  ) => Effect.Effect<Effect.Effect<ReadonlyArray<Published>>, never, Scope.Scope>
  /** Does what a fault says: a value that was read, or made up, elsewhere. */
  readonly inject: (fault: Fault.Fault) => Effect.Effect<Fault.Injected>
  /** Faults that are not over, the oldest first. */
  readonly faults: Effect.Effect<ReadonlyArray<Fault.Active>>
  /** Ends the fault with that number, those of a kind, or all; how many. */
  readonly heal: (which?: number | Fault.Name) => Effect.Effect<number>
  /** Cuts every client's pipe without a word; how many those were. {@link Fault.Methods.drop} chooses. */
  readonly dropConnections: Effect.Effect<number>
  /** Adds a user, or gives a known one another password, and opens virtual hosts to it. */
  readonly addUser: (user: User) => Effect.Effect<void>
  /** Adds a virtual host, open to `guest`. */
  readonly addVhost: (name: string) => Effect.Effect<void>
}

/**
 * A running broker.
 *
 * @since 0.1.0
 * @category tags
 */
export class Broker extends Context.Tag("effect-amqp/Broker")<Broker, Service>() {}

/**
 * Somebody who may come in.
 *
 * @since 0.1.0
 * @category models
 */
export interface User {
  readonly name: string
  readonly password: Redacted.Redacted
  /** Where it may come in. Default: "/". */
  readonly vhosts?: ReadonlyArray<string> | undefined
  /** What it may do there. Default: everything. */
  readonly permissions?: Model.Permissions | undefined
}

/**
 * The version of RabbitMQ whose rules a broker keeps to. Those of 4.3 that 3.10 has not:
 *
 * - a queue must be durable or exclusive (541, and the connection ends);
 * - `basic.qos` with `global` bounds each consumer made afterwards, as one without does;
 * - who acknowledges too late loses its consumer (`basic.cancel`), and not its channel;
 * - `frame_max` is at least 8192, also during the handshake; a message has at most 16 MiB, where 3.10 takes 128.
 *
 * What is said of 3.10 is held against RabbitMQ 3.10.8 by this project's tests; 4.3's rules are taken from its source, and
 * proved on this broker alone.
 *
 * @since 0.1.0
 * @category models
 */
export type Profile = "3.10" | "4.3"

/**
 * A way to log in. RABBIT-CR-DEMO is RabbitMQ's example of one that asks back.
 *
 * @since 0.1.0
 * @category models
 */
export type Mechanism = "PLAIN" | "AMQPLAIN" | "RABBIT-CR-DEMO"

/**
 * Where a broker listens, what its rules are, and who may come in besides `guest`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Default: "127.0.0.1". */
  readonly host?: string | undefined
  /** 0 takes a free port. Default: 5672. */
  readonly port?: number | undefined
  readonly tls?: Transport.TlsOptions | undefined
  /** Default: "3.10". */
  readonly profile?: Profile | undefined
  /** Virtual hosts besides "/", open to `guest`. Default: none. */
  readonly vhosts?: ReadonlyArray<string> | undefined
  /** Default: none. */
  readonly users?: ReadonlyArray<User> | undefined
  /** What clients may log in with, in the order they are told. Default: PLAIN, AMQPLAIN, as with RabbitMQ. */
  readonly mechanisms?: ReadonlyArray<Mechanism> | undefined
  /** Whether a client may go on with a new secret (`connection.update-secret`). Default: always, as with RabbitMQ's own users. */
  readonly acceptSecret?: ((user: string, secret: Redacted.Redacted) => boolean) | undefined
  /**
   * How long a delivery may stay unacknowledged: RabbitMQ's `consumer_timeout`. Default: for ever (RabbitMQ: 30 minutes).
   */
  readonly consumerTimeout?: Exclude<Duration.DurationInput, number | bigint> | undefined
  /**
   * What follows `amq.gen-` and `amq.ctag-` in the names of queues and consumers without one; never twice the same.
   * Default: 22 random characters, as with RabbitMQ.
   */
  readonly generateName?: (() => string) | undefined
}

/**
 * Starts a broker until the scope closes; then its clients are told so (320) and dropped.
 *
 * Fails with `ListenError` when the port is taken or not allowed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Service, ListenError, Transport.TransportServer | Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* Transport.TransportServer
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const due = (deadline: number): void => timer.due(deadline)
    const generateName = options.generateName ?? randomName
    const model = Model.make<Content>({
      now,
      onDeadline: due,
      generateName,
      deadLetter,
      headers: ({ properties }) => headersOf(properties)
    })
    const faces = new Set<ConnectionFace>()
    const common = {
      model,
      now,
      due,
      generateName,
      profile: profiles[options.profile ?? "3.10"],
      replyTo: new ReplyTo(),
      mechanisms: offered(options.mechanisms ?? ["PLAIN", "AMQPLAIN"]),
      acceptSecret: options.acceptSecret ?? (() => true),
      ackTimeout: Duration.toMillis(options.consumerTimeout ?? Duration.infinity),
      onGone: (face: ConnectionFace) => void faces.delete(face)
    }

    const addVhost = (name: string): void => {
      model.addVhost(name)
      model.permit("guest", name)
    }
    const addUser = (user: User): void => {
      model.addUser(user.name, user.password)
      for (const vhost of user.vhosts ?? ["/"]) model.permit(user.name, vhost, user.permissions)
    }
    for (const vhost of options.vhosts ?? []) addVhost(vhost)
    for (const user of options.users ?? []) addUser(user)

    const faults = new Faults({ now, due })
    const timer = yield* Timer.make(clock, {
      nextDeadline: () => {
        let earliest = model.nextDeadline()
        for (const face of faces) earliest = Math.min(earliest, face.nextDeadline())
        return Math.min(earliest, faults.nextDeadline())
      },
      tick: (now, late) => {
        model.tick(now)
        for (const face of faces) if (face.nextDeadline() <= now) face.tick(now, late)
        if (faults.nextDeadline() <= now) faults.tick()
      }
    })

    const accept = (pipe: Transport.Pipe): void => {
      const faulty = faults.accept(pipe)
      if (faulty === undefined) return
      const attend = (face: ConnectionFace) => faults.attend(faulty, face)
      const face = new ConnectionFace({ ...common, pipe: faulty, onNews: attend })
      faces.add(face)
      attend(face)
    }

    const { host, port } = yield* server.listen(
      { host: options.host ?? "127.0.0.1", port: options.port ?? 5672, tls: options.tls },
      accept
    )
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        faults.heal()
        faults.inject({ _tag: "Refuse" })
        for (const face of Array.from(faces)) {
          face.dismiss(fault(320, "broker forced connection closure with reason 'shutdown'"))
        }
      })
    )

    const inject = (fault: Fault.Fault) => Effect.sync(() => faults.inject(fault))

    return {
      ...Fault.methods(inject),
      host,
      port,
      connections: Effect.sync(() => Array.from(faces).filter((face) => face.isOpen).map((face) => face.info)),
      queues: (vhost = "/") =>
        Effect.sync(() =>
          Array.from(model.vhosts.get(vhost)?.queues.values() ?? [], (queue) => ({
            name: queue.name,
            ready: queue.readyCount,
            unsettled: queue.unsettledCount,
            consumers: queue.consumerCount
          }))
        ),
      record: (options) => record(faults, options?.last ?? 1000),
      inject,
      faults: Effect.sync(() => faults.list),
      heal: (which) => Effect.sync(() => faults.heal(which)),
      dropConnections: Effect.map(inject({ _tag: "Drop" }), ({ affected }) => affected),
      addUser: (user) => Effect.sync(() => addUser(user)),
      addVhost: (name) => Effect.sync(() => addVhost(name))
    }
  })

/**
 * A broker that listens on TCP, for clients in any language; needs `NodeTransport.layerServer`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Broker, ListenError, Transport.TransportServer> =>
  Layer.scoped(Broker, make(options))

/**
 * What a broker in memory is made with: it needs no place to listen.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryOptions extends Omit<Options, "host" | "port" | "tls"> {}

/**
 * A broker in memory together with the Transport that reaches it: `memory://` connections need nothing else, and time is
 * whatever Clock the program has, so that tests run under TestClock.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemoryWith = (options: MemoryOptions): Layer.Layer<Broker | Transport.Transport> =>
  Layer.provideMerge(
    // A hub of our own has every port free.
    Layer.orDie(layer(options)),
    Transport.layerMemory
  )

/**
 * The same as it comes: for most tests.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Broker | Transport.Transport> = layerMemoryWith({})
