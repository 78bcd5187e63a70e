/**
 * The byte pipe as two services: `Transport` dials, `TransportServer` listens. A `Pipe` is what both hand out: plain and
 * callback-driven, because it stands on the path of every byte. Here are the contracts and the in-memory pair; TCP and
 * TLS live in `node/NodeTransport`. Nothing here knows AMQP.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ConnectError, ListenError } from "./AmqpError.ts"
import * as memory from "./internal/memoryTransport.ts"

/**
 * What a pipe calls, always from the event loop and never from inside `write`. After `onClose` nothing is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeHandler {
  /** `bytes` from `start` to `end` are valid during the call only: the pipe reads into the same buffer again. */
  readonly onData: (bytes: Uint8Array, start: number, end: number) => void
  /** The pipe takes bytes again after a `write` that returned `false`. */
  readonly onDrain: () => void
  /** Called once: the peer ended or reset the pipe, or it failed (then with the cause). Not after our own `destroy`. */
  readonly onClose: (cause?: unknown) => void
}

/**
 * An open, ordered, two-way pipe of bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pipe {
  /** The peer as `host:port`, for errors and logs. */
  readonly remote: string
  /** What TLS agreed on; `undefined` on a plain pipe. */
  readonly tls: PipeTls | undefined
  /** Starts reading. Called once; nothing is read before. */
  readonly start: (handler: PipeHandler) => void
  /**
   * Hands bytes over, in order. They must not change until `onWritten` is called (also when the pipe closes first).
   * `false`: the pipe holds more than it wants to; what was given is kept, and `onDrain` says when to go on.
   */
  readonly write: (bytes: Uint8Array, onWritten?: () => void) => boolean
  /** Runs `task` when the work of the present turn of the event loop is done: the moment to flush. */
  readonly endOfTurn: (task: () => void) => void
  readonly pause: () => void
  readonly resume: () => void
  /** Ends our direction after what was written, and closes when the peer has ended its own. */
  readonly end: () => void
  /** Closes at once. What was not written yet is lost. */
  readonly destroy: () => void
}

/**
 * What TLS agreed on.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeTls {
  readonly protocol: string
  readonly cipher: string
  /** Common name of the peer's certificate, where it has one. */
  readonly peerName: string | undefined
}

/**
 * PEM text given as it is, or the file that has it.
 *
 * @since 0.1.0
 * @category models
 */
export type Pem = { readonly file: string } | { readonly pem: Redacted.Redacted }

/**
 * How TLS is spoken. An empty object means: system certificate authorities, verification on, SNI = host.
 *
 * @since 0.1.0
 * @category models
 */
export interface TlsOptions {
  /** Trusted authorities instead of the system's. */
  readonly ca?: ReadonlyArray<Pem> | undefined
  /** A folder whose `.pem`, `.crt` and `.cer` files are trusted authorities. */
  readonly caPath?: string | undefined
  /** The client's (or, listening, the server's) certificate; needs `key`. */
  readonly cert?: Pem | undefined
  readonly key?: Pem | undefined
  readonly passphrase?: Redacted.Redacted | undefined
  /** Whether the peer's certificate must be trusted. Default: dialling true, listening false. */
  readonly verify?: boolean | undefined
  /** Whether the certificate must name the host. Default: as `verify`. */
  readonly checkHostname?: boolean | undefined
  /** The name sent as SNI and looked for in the certificate; `null` sends none. Default: the host, unless an address. */
  readonly serverName?: string | null | undefined
  readonly ciphers?: string | undefined
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
}

/**
 * TCP's own knobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface TcpOptions {
  /** Default: true. */
  readonly noDelay?: boolean | undefined
  /** Idle time before the first keep-alive probe; `false` turns probes off. Default: false. */
  readonly keepAlive?: Duration.Duration | false | undefined
}

/**
 * Where to dial.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly scheme: "amqp" | "amqps" | "memory"
  readonly host: string
  readonly port: number
  readonly tls?: TlsOptions | undefined
  readonly tcp?: TcpOptions | undefined
  /** One of those that the host was resolved to: what is dialled, while TLS goes by the host. Default: the host's. */
  readonly address?: string | undefined
  /** Bound on DNS and TCP together, `null` for none. Default: 10 seconds. TLS is bounded by whoever bounds the whole dial. */
  readonly connectTimeout?: Duration.Duration | null | undefined
}

/**
 * Dials pipes.
 *
 * `dial` fails with a `ConnectError` of one attempt: `Refused`, `Timeout`, `Dns`, `Tls` or `Url`. The pipe is destroyed
 * when the scope closes. `resolve` gives the addresses behind a host, each of which a connection dials as an endpoint of its
 * own, or fails with `Dns`; a Transport without it dials by the host alone.
 *
 * @since 0.1.0
 * @category tags
 */
export class Transport extends Context.Tag("effect-amqp/Transport")<Transport, {
  readonly dial: (target: Target) => Effect.Effect<Pipe, ConnectError, Scope.Scope>
  readonly resolve?:
    | ((name: Pick<Target, "host" | "port">) => Effect.Effect<ReadonlyArray<string>, ConnectError>)
    | undefined
}>() {}

/**
 * Where to listen.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenTarget {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly tls?: TlsOptions | undefined
}

/**
 * Listens for pipes until the scope closes; then it stops listening and destroys the pipes it accepted.
 *
 * `onPipe` is called from the event loop for each accepted pipe and must call its `start`.
 *
 * @since 0.1.0
 * @category tags
 */
export class TransportServer extends Context.Tag("effect-amqp/TransportServer")<TransportServer, {
  readonly listen: (
    target: ListenTarget,
    onPipe: (pipe: Pipe) => void
  ) => Effect.Effect<{ readonly host: string; readonly port: number }, ListenError, Scope.Scope>
}>() {}

/**
 * Both ends of one in-memory network.
 *
 * @since 0.1.0
 * @category models
 */
export interface Memory {
  readonly transport: Context.Tag.Service<Transport>
  readonly server: Context.Tag.Service<TransportServer>
}

/**
 * Two pipes that are each other's peer: what one writes, the other reads. `remote` is `memory:1` and `memory:2`.
 *
 * Bytes are copied when written and delivered in microtasks, in order. `write` returns `false` while the peer has more
 * than 1 MiB undelivered. `endOfTurn` is a microtask too, so nothing here needs a clock.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memoryPair = (): [Pipe, Pipe] => memory.makePair({ remote: "memory:2" }, { remote: "memory:1" })

/**
 * An in-memory network of its own, whose pipes behave as those of {@link memoryPair}.
 *
 * A dial reaches the listener bound to the target's port, whatever the host; one with the scheme `memory` reaches the
 * only listener whatever the port, and goes by the port when there are several. Without a listener the dial fails
 * `Refused`. Port 0 takes a free number. TLS and TCP options mean nothing here: `tls` of a pipe is `undefined`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.sync(() => {
  const hub = memory.makeHub()
  return { transport: { dial: hub.dial }, server: { listen: hub.listen } }
})

/**
 * {@link makeMemory} as a Layer: one network each time it is built.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Transport | TransportServer> = Layer.effectContext(
  Effect.map(
    makeMemory,
    ({ server, transport }) => Context.make(Transport, transport).pipe(Context.add(TransportServer, server))
  )
)

/**
 * A Transport whose open pipes can be cut, to see what a program does when its network fails.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cuttable {
  /** Dials through the Transport it was made from. */
  readonly transport: Context.Tag.Service<Transport>
  /** Destroys every open pipe, whose owner is told of it as of a reset, with a cause. Returns how many there were. */
  readonly cut: Effect.Effect<number>
}

/**
 * Puts a knife to the Transport of the context: what is dialled through the returned one can be cut.
 *
 * @example
 * ```ts
 * const network = yield* Transport.cuttable
 * yield* program.pipe(Effect.provideService(Transport.Transport, network.transport), Effect.fork)
 * yield* network.cut
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const cuttable: Effect.Effect<Cuttable, never, Transport> = Effect.map(Transport, (transport) => {
  const open = new Set<CuttablePipe>()
  return {
    transport: {
      resolve: transport.resolve,
      dial: (target) =>
        Effect.flatMap(transport.dial(target), (pipe) =>
          Effect.acquireRelease(
            Effect.sync(() => new CuttablePipe(pipe, open)),
            (pipe) => Effect.sync(() => pipe.destroy())
          ))
    },
    cut: Effect.sync(() => {
      const pipes = [...open]
      for (const pipe of pipes) pipe.cut()
      return pipes.length
    })
  }
})

class CuttablePipe implements Pipe {
  readonly remote: string
  readonly tls: PipeTls | undefined
  readonly #pipe: Pipe
  readonly #open: Set<CuttablePipe>
  #handler: PipeHandler | undefined
  #cut = false

  constructor(pipe: Pipe, open: Set<CuttablePipe>) {
    this.remote = pipe.remote
    this.tls = pipe.tls
    this.#pipe = pipe
    this.#open = open
    open.add(this)
  }

  cut(): void {
    this.#cut = true
    this.#open.delete(this)
    this.#pipe.destroy()
    this.#tell()
  }

  start(handler: PipeHandler): void {
    this.#handler = handler
    if (this.#cut) return this.#tell()
    this.#pipe.start({
      onData: (bytes, start, end) => handler.onData(bytes, start, end),
      onDrain: () => handler.onDrain(),
      onClose: (cause) => {
        this.#open.delete(this)
        handler.onClose(cause)
      }
    })
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    return this.#pipe.write(bytes, onWritten)
  }

  endOfTurn(task: () => void): void {
    this.#pipe.endOfTurn(task)
  }

  pause(): void {
    this.#pipe.pause()
  }

  resume(): void {
    this.#pipe.resume()
  }

  end(): void {
    this.#pipe.end()
  }

  destroy(): void {
    this.#cut = false
    this.#open.delete(this)
    this.#pipe.destroy()
  }

  // In a turn of its own, as any news of a pipe; and not at all when the owner destroys the pipe before that.
  #tell(): void {
    this.#pipe.endOfTurn(() => {
      if (!this.#cut || this.#handler === undefined) return
      this.#cut = false
      this.#handler.onClose(new Error("The pipe was cut"))
    })
  }
}
