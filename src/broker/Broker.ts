/**
 * The embedded broker: a model of exchanges and queues behind a face for AMQP 0-9-1, in memory for tests or on TCP for any
 * client in any language. It is for development, tests and small single-process work: everything is in memory, and what is
 * durable survives connections, not the process.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { BasicProperties } from "../amqp091/Properties.ts"
import type { ListenError } from "../AmqpError.ts"
import * as Timer from "../internal/timer.ts"
import * as Transport from "../Transport.ts"
import * as Fault from "./Fault.ts"
import { ConnectionFace } from "./internal/face091/connection.ts"
import type { Content } from "./internal/face091/content.ts"
import { deadLetter } from "./internal/face091/deadLetter.ts"
import { fault } from "./internal/face091/refusals.ts"
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
 * Where a broker listens, and who may come in besides `guest`.
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
  /** Virtual hosts besides "/", open to `guest`. Default: none. */
  readonly vhosts?: ReadonlyArray<string> | undefined
  /** Default: none. */
  readonly users?: ReadonlyArray<User> | undefined
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
    const model = Model.make<Content>({
      now,
      onDeadline: (deadline) => timer.due(deadline),
      deadLetter,
      headers: ({ properties }) => properties.decoded.headers
    })
    const faces = new Set<ConnectionFace>()
    let tags = 0

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

    const due = (deadline: number): void => timer.due(deadline)
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
      const face = new ConnectionFace({
        pipe: faulty,
        model,
        now,
        due,
        generateTag: () => String(++tags),
        onNews: attend,
        onGone: (face) => void faces.delete(face)
      })
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
 * A broker in memory together with the Transport that reaches it: `memory://` connections need nothing else, and time is
 * whatever Clock the program has, so that tests run under TestClock.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Broker | Transport.Transport> = Layer.provideMerge(
  // A hub of our own has every port free.
  Layer.orDie(layer()),
  Transport.layerMemory
)
