/**
 * TCP and TLS on Node's sockets: the `Transport` that dials and the `TransportServer` that listens. It moves bytes and
 * says in plain words why a peer could not be reached; it knows no AMQP, and never dials twice.
 *
 * TLS is spoken where the target's scheme is `amqps` or it has `tls`. PEM files are read anew at each dial.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Dns from "node:dns"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { ConnectError, ListenError } from "../AmqpError.ts"
import {
  type ListenTarget,
  type Pipe,
  type PipeTls,
  type Target,
  type TlsOptions,
  Transport,
  TransportServer
} from "../Transport.ts"
import { SocketPipe } from "./internal/socketPipe.ts"
import {
  closedInTls,
  type ConnectFault,
  connectFault,
  endpointOf,
  listenFault,
  type SystemError,
  tlsFault,
  toError
} from "./internal/systemError.ts"
import { readTlsMaterial, unusable, UnusableTls } from "./internal/tlsMaterial.ts"

const defaultConnectTimeout = Duration.seconds(10)

/** Above this, Node's timers fire at once. */
const longestTimer = 2 ** 31 - 1

/**
 * After how many milliseconds the next one of several addresses is tried; the last has all that is left. Node's 250 are
 * too few for a far one, and it would be given up for good.
 */
const addressTimeout = 2500

/** How long an accepted peer may take to say hello in TLS. */
const handshakeTimeout = 15_000

const readBufferSize = 64 * 1024

/** Key and certificate that do not belong together, unknown ciphers. */
const unusableMaterial = unusable("certificate, key and ciphers cannot be used")

const describeTls = (socket: Tls.TLSSocket, isPeerKnown: boolean): PipeTls => {
  // Without a certificate Node returns an object without any field, and several names come as an array.
  const certificate: Partial<Tls.PeerCertificate> = isPeerKnown ? socket.getPeerCertificate() : {}
  const name: string | ReadonlyArray<string> | undefined = certificate.subject?.CN
  return {
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().standardName,
    peerName: typeof name === "string" ? name : name?.[0]
  }
}

// --- Dialling ---

interface DialTls {
  readonly secureContext: Tls.SecureContext
  readonly rejectUnauthorized: boolean
  readonly checkServerIdentity: typeof Tls.checkServerIdentity
  readonly servername?: string
}

const dialTls = (target: Target, options: TlsOptions): Effect.Effect<DialTls, UnusableTls> =>
  Effect.gen(function*() {
    const material = yield* readTlsMaterial(options)
    const isVerified = options.verify ?? true
    const isNamed = options.checkHostname ?? isVerified
    const name = options.serverName ?? target.host
    return {
      secureContext: yield* Effect.try({ try: () => Tls.createSecureContext(material), catch: unusableMaterial }),
      rejectUnauthorized: isVerified,
      checkServerIdentity: (_, certificate) => isNamed ? Tls.checkServerIdentity(name, certificate) : undefined,
      // RFC 6066: SNI names hosts, never addresses.
      ...(options.serverName === null || Net.isIP(name) !== 0 ? {} : { servername: name })
    }
  })

/** Opens a socket, and says once how it went. The bound on DNS and TCP is Node's timer: no virtual time moves a kernel. */
const open = (
  target: Target,
  secure: DialTls | undefined,
  onread: (pipe: () => SocketPipe) => Net.OnReadOpts,
  done: (exit: Exit.Exit<Pipe, ConnectError>) => void
): SocketPipe => {
  const endpoint = endpointOf(target.host, target.port)
  const options: Net.TcpNetConnectOpts = {
    host: target.address ?? target.host,
    port: target.port,
    onread: onread(() => pipe),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: addressTimeout
  }
  let phase: "tcp" | "tls" | "over" = "tcp"
  const end = (exit: Exit.Exit<Pipe, ConnectError>): void => {
    phase = "over"
    clearTimeout(timer)
    done(exit)
  }
  const fail = (fault: ConnectFault): void => {
    end(Exit.fail(ConnectError.at(endpoint, fault.reason, fault.text)))
    socket.destroy()
  }
  const socket = secure === undefined ? Net.connect(options) : Tls.connect({ ...options, ...secure })
  const pipe = new SocketPipe(socket, endpoint)
  const limit = target.connectTimeout === undefined ? defaultConnectTimeout : target.connectTimeout
  const timer = limit === null ? undefined : setTimeout(
    () => fail({ reason: "Timeout", text: `no connection within ${Duration.format(limit)}` }),
    Math.min(Duration.toMillis(limit), longestTimer)
  )
  socket.once("connect", () => {
    socket.setNoDelay(target.tcp?.noDelay ?? true)
    const keepAlive = target.tcp?.keepAlive ?? false
    if (keepAlive !== false) socket.setKeepAlive(true, Duration.toMillis(keepAlive))
    clearTimeout(timer)
    if (secure === undefined) end(Exit.succeed(pipe))
    else phase = "tls"
  })
  socket.once("error", (error: SystemError) => {
    if (phase !== "over") fail(phase === "tcp" ? connectFault(error) : tlsFault(error))
  })
  socket.once("close", () => {
    if (phase !== "over") fail(phase === "tcp" ? { reason: "Refused", text: "the connection was closed" } : closedInTls)
  })
  if (secure !== undefined && socket instanceof Tls.TLSSocket) {
    socket.once("secureConnect", () => {
      // With `verify` off Node asks nobody about the name; `checkHostname` may still insist on it.
      const mismatch = secure.rejectUnauthorized ?
        undefined :
        secure.checkServerIdentity(target.host, socket.getPeerCertificate())
      if (mismatch !== undefined) return fail(tlsFault(mismatch))
      pipe.tls = describeTls(socket, true)
      end(Exit.succeed(pipe))
    })
  }
  return pipe
}

const makeTransport = (): Context.Tag.Service<Transport> => {
  // One for all plain sockets: what is read into it is handed over before the next read. TLS may decrypt for one socket
  // while another one's handler runs (on an empty write), so there each has its own.
  const shared = new Uint8Array(readBufferSize)
  const onread = (isSecure: boolean) => (pipe: () => SocketPipe): Net.OnReadOpts => ({
    buffer: isSecure ? new Uint8Array(readBufferSize) : shared,
    callback: (length, bytes) => pipe().receive(bytes, length)
  })

  const dial = Effect.fnUntraced(function*(target: Target) {
    const endpoint = endpointOf(target.host, target.port)
    const cannot = (error: { readonly text: string }) => ConnectError.at(endpoint, "Url", error.text)
    if (target.scheme === "memory") {
      return yield* cannot({ text: "the scheme memory needs the in-memory Transport" })
    }
    const options = target.tls ?? (target.scheme === "amqps" ? {} : undefined)
    const secure = options && (yield* Effect.mapError(dialTls(target, options), cannot))
    let pipe: SocketPipe | undefined
    const destroy = Effect.sync(() => pipe?.destroy())
    // First of all, so that there is no socket at any time that nobody would close.
    yield* Scope.addFinalizer(yield* Effect.scope, destroy)
    return yield* Effect.async<Pipe, ConnectError>((resume) => {
      try {
        pipe = open(target, secure, onread(secure !== undefined), resume)
      } catch (cause) {
        resume(cannot({ text: toError(cause).message }))
      }
      return destroy
    })
  })

  return { dial, resolve }
}

/** In the order of the system's resolver, which knows what can be reached from here (RFC 6724). */
const resolve = ({ host, port }: Pick<Target, "host" | "port">): Effect.Effect<ReadonlyArray<string>, ConnectError> =>
  Net.isIP(host) !== 0
    ? Effect.succeed([host])
    : Effect.async((resume) =>
      Dns.lookup(host, { all: true, verbatim: true }, (error, found) => {
        if (error === null) return resume(Effect.succeed(found.map(({ address }) => address)))
        const { reason, text } = connectFault(error)
        resume(ConnectError.at(endpointOf(host, port), reason, text))
      })
    )

// --- Listening ---

const readListenTls = (options: TlsOptions): Effect.Effect<Tls.TlsOptions, UnusableTls> =>
  Effect.gen(function*() {
    if (options.cert === undefined) {
      return yield* new UnusableTls({ text: "TLS needs a certificate and its key" })
    }
    return {
      ...(yield* readTlsMaterial(options)),
      // A client's certificate is asked for when there is somebody to judge it by, and insisted on by `verify`.
      requestCert: options.verify === true || options.ca !== undefined || options.caPath !== undefined,
      rejectUnauthorized: options.verify ?? false,
      handshakeTimeout,
      noDelay: true
    }
  })

interface Listener {
  readonly server: Net.Server
  readonly host: string
  readonly port: number
  readonly close: Effect.Effect<void>
}

const accept = (server: Net.Server, onPipe: (pipe: Pipe) => void): Effect.Effect<void> => {
  // Sockets that are still in their TLS handshake have no pipe yet.
  const sockets = new Set<Net.Socket>()
  const pipes = new Set<Pipe>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  server.on(server instanceof Tls.Server ? "secureConnection" : "connection", (socket: Net.Socket) => {
    const pipe = new SocketPipe(socket, endpointOf(socket.remoteAddress ?? "unknown", socket.remotePort ?? 0))
    // An unverified name must not pass for one.
    if (socket instanceof Tls.TLSSocket) pipe.tls = describeTls(socket, socket.authorized)
    socket.on("data", (bytes: Uint8Array) => pipe.receive(bytes, bytes.length))
    pipes.add(pipe)
    socket.once("close", () => pipes.delete(pipe))
    onPipe(pipe)
  })
  return Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    for (const pipe of pipes) pipe.destroy()
    for (const socket of sockets) socket.destroy()
  })
}

const listen = (target: ListenTarget, onPipe: (pipe: Pipe) => void): Effect.Effect<Listener, ListenError> =>
  Effect.gen(function*() {
    const address = endpointOf(target.host, target.port)
    const cannot = (error: { readonly text: string }) => new ListenError({ reason: "Other", address, text: error.text })
    const options = target.tls &&
      (yield* Effect.interruptible(Effect.mapError(readListenTls(target.tls), cannot)))
    const server = yield* Effect.try({
      try: () =>
        options === undefined ? Net.createServer({ noDelay: true, pauseOnConnect: true }) : Tls.createServer(options),
      catch: (cause) => cannot(unusableMaterial(cause))
    })
    const close = accept(server, onPipe)
    const bound = yield* Effect.async<Net.AddressInfo, ListenError>((resume) => {
      // It stays: what goes wrong with one accepted socket later must not end the program.
      server.on("error", (error: SystemError) => resume(new ListenError({ address, ...listenFault(error) })))
      server.listen({ host: target.host, port: target.port }, () => {
        const address = server.address()
        if (address !== null && typeof address === "object") resume(Effect.succeed(address))
      })
      // Interrupted during the look-up of the host, it would begin to listen after it was closed.
      return Effect.sync(() => server.once("listening", () => server.close()))
    }).pipe(Effect.interruptible, Effect.onError(() => close))
    return { server, host: bound.address, port: bound.port, close }
  })

const makeServer = (): Context.Tag.Service<TransportServer> => ({
  listen: (target, onPipe) =>
    Effect.map(
      Effect.acquireRelease(listen(target, onPipe), (listener) => listener.close),
      ({ host, port }) => ({ host, port })
    )
})

// --- Layers ---

/**
 * Dials over TCP and TLS.
 *
 * A pipe reads into a buffer of 64 KiB that is used again for the next read; its `write` returns `false` while the
 * socket holds 128 KiB or more; its `endOfTurn` is `setImmediate`. The text of a fault of a name with several addresses
 * tells what became of each. Over TLS 1.3 a server that refuses the client's certificate says so only after the
 * handshake: that arrives as the `onClose` of a pipe that was open.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Transport> = Layer.sync(Transport, makeTransport)

/**
 * Listens on TCP and TLS.
 *
 * With `tls`, a certificate and its key are needed; a client's certificate is asked for when there is a `ca` to judge it
 * by, and one that is missing or not trusted is refused with `verify: true`. `tls.peerName` of an accepted pipe is only
 * ever a verified name. A peer has 15 seconds for its TLS handshake. The address returned is the one that was bound.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer: Layer.Layer<TransportServer> = Layer.sync(TransportServer, makeServer)
