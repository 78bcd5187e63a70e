/**
 * TCP and TLS on Node's sockets: the `Transport` that dials and the `TransportServer` that listens. It moves bytes and
 * says in plain words why a peer could not be reached; it knows no AMQP, and never dials twice.
 *
 * TLS is spoken where the target's scheme is `amqps` or it has `tls`. PEM files are read anew at each dial.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { ConnectError, type ConnectReason, ListenError } from "../AmqpError.ts"
import {
  type ListenTarget,
  type Pem,
  type Pipe,
  type PipeHandler,
  type PipeTls,
  type Target,
  type TlsOptions,
  Transport,
  TransportServer
} from "../Transport.ts"

const defaultConnectTimeout = Duration.seconds(10)

/** How long an accepted peer may take to say hello in TLS. */
const handshakeTimeout = 15_000

const readBufferSize = 64 * 1024

/**
 * What a socket may hold unsent before `write` says stop. Node's own mark of 16 KiB lies below one flush of an engine,
 * which would so be told to wait for bytes that the system has already taken.
 */
const highWaterMark = 128 * 1024

// --- The pipe ---

class SocketPipe implements Pipe {
  readonly remote: string
  tls: PipeTls | undefined
  readonly #socket: Net.Socket
  #handler: PipeHandler | undefined
  /** Read, but the handler is not there yet or has paused: TLS hands over all of a record it has decrypted. */
  #held: Array<Uint8Array> = []
  #paused = false
  #releasing = false
  #full = false
  #ended = false
  #peerEnded = false
  #fault: { readonly cause: unknown } | undefined
  #closed = false

  constructor(socket: Net.Socket, remote: string) {
    this.#socket = socket
    this.remote = remote
    // Nothing is read before `start`.
    socket.pause()
    socket.on("drain", () => {
      if (!this.#full || this.#closed) return
      this.#full = false
      this.#handler?.onDrain()
    })
    socket.on("error", (cause) => this.#lost({ cause }))
    socket.on("end", () => this.#lost(undefined))
    socket.on("close", () => this.#lost(undefined))
  }

  start(handler: PipeHandler): void {
    this.#handler = handler
    if (!this.#paused) this.#release()
  }

  /** Whether the socket may go on reading. */
  receive(bytes: Uint8Array, length: number): boolean {
    if (this.#closed) return false
    if (this.#handler === undefined || this.#paused || this.#held.length > 0) {
      this.#held.push(bytes.slice(0, length))
      return false
    }
    this.#handler.onData(bytes, 0, length)
    return true
  }

  write(bytes: Uint8Array, onWritten?: () => void): boolean {
    if (this.#closed || this.#ended || this.#peerEnded) {
      if (onWritten !== undefined) queueMicrotask(onWritten)
      return false
    }
    this.#socket.write(bytes, onWritten)
    if (this.#socket.writableLength < highWaterMark) return true
    this.#full = true
    return false
  }

  endOfTurn(task: () => void): void {
    setImmediate(task)
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined) this.#release()
  }

  end(): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    this.#socket.end()
  }

  destroy(): void {
    this.#closed = true
    this.#held = []
    this.#socket.destroy()
  }

  /** Hands over what is held, in a turn of its own, then lets the socket read. */
  #release(): void {
    if (this.#releasing) return
    this.#releasing = true
    queueMicrotask(() => {
      this.#releasing = false
      while (!this.#paused && !this.#closed && this.#fault === undefined) {
        const bytes = this.#held.shift()
        if (bytes === undefined) break
        this.#handler?.onData(bytes, 0, bytes.length)
      }
      if (this.#paused || this.#closed) return
      if (this.#peerEnded) this.#close()
      else this.#socket.resume()
    })
  }

  /** Of several reports of one loss the first one counts. What was read before the peer's end is delivered first. */
  #lost(fault: { readonly cause: unknown } | undefined): void {
    if (this.#closed || this.#peerEnded) return
    this.#peerEnded = true
    this.#fault = fault
    if (this.#handler === undefined || (fault === undefined && this.#held.length > 0)) return
    this.#close()
  }

  #close(): void {
    this.#closed = true
    this.#held = []
    this.#handler?.onClose(this.#fault?.cause)
  }
}

// --- Faults ---

interface SystemError extends Error {
  readonly code?: string | undefined
  readonly syscall?: string | undefined
  readonly address?: string | undefined
  readonly port?: number | undefined
}

const endpointOf = (host: string, port: number): string => host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

const toError = (cause: unknown): SystemError => cause instanceof Error ? cause : new Error(String(cause))

const connectFault = (error: SystemError): { readonly reason: ConnectReason; readonly text: string } => {
  if (error instanceof AggregateError) {
    const faults = error.errors.map((each) => connectFault(toError(each)))
    return {
      reason: faults.find((fault) => fault.reason !== "Timeout")?.reason ?? "Timeout",
      text: faults.map((fault) => fault.text).join(", ")
    }
  }
  if (error.syscall === "getaddrinfo") return { reason: "Dns", text: dnsText(error) }
  const where = error.address === undefined ? "the peer" : endpointOf(error.address, error.port ?? 0)
  switch (error.code) {
    case "ECONNREFUSED":
      return { reason: "Refused", text: `${where} refused the connection` }
    case "EHOSTUNREACH":
      return { reason: "Refused", text: `${where} cannot be reached: no route to the host` }
    case "ENETUNREACH":
      return { reason: "Refused", text: `${where} cannot be reached: no route to its network` }
    case "ECONNRESET":
      return { reason: "Refused", text: `${where} reset the connection` }
    case "ETIMEDOUT":
      return { reason: "Timeout", text: `${where} did not answer` }
    default:
      return { reason: "Refused", text: error.message }
  }
}

const dnsText = (error: SystemError): string => {
  switch (error.code) {
    case "ENOTFOUND":
      return "no such host"
    case "EAI_AGAIN":
      return "the name server did not answer"
    default:
      return `the host's name could not be looked up: ${error.code ?? error.message}`
  }
}

const tlsText = (error: SystemError): string => {
  switch (error.code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `the certificate is of an unknown authority (${error.message})`
    case "CERT_HAS_EXPIRED":
      return "the certificate has expired"
    case "CERT_NOT_YET_VALID":
      return "the certificate is not valid yet"
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate is for another name (${error.message})`
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return "the peer does not speak TLS"
    case "ECONNRESET":
      return "the peer closed the connection during the TLS handshake"
    default:
      return `the TLS handshake failed: ${error.message}`
  }
}

// --- TLS material ---

/** TLS options that cannot be used as they are given; `text` holds no key and no passphrase. */
class UnusableTls extends Data.TaggedError("UnusableTls")<{ readonly text: string }> {}

const unusable = (what: string) => (cause: unknown): UnusableTls =>
  new UnusableTls({ text: `${what}: ${toError(cause).message}` })

const readFile = (what: string, file: string): Effect.Effect<Buffer, UnusableTls> =>
  Effect.tryPromise({
    try: (signal) => Fs.readFile(file, { signal }),
    catch: unusable(`the ${what} cannot be read`)
  })

const readPem = (what: string, pem: Pem): Effect.Effect<string, UnusableTls> =>
  "file" in pem ?
    Effect.map(readFile(what, pem.file), (bytes) => bytes.toString("utf8")) :
    Effect.succeed(Redacted.value(pem.pem))

/** Node passes over authorities it cannot parse, and then says that the peer's is unknown. */
const readAuthority = (pem: Pem): Effect.Effect<string, UnusableTls> =>
  Effect.tap(readPem("certificate authority", pem), (text) =>
    Effect.try({
      try: () => new Crypto.X509Certificate(text),
      catch: unusable(`the certificate authority${"file" in pem ? ` ${pem.file}` : ""} is not a PEM certificate`)
    }))

const readFolder = (folder: string): Effect.Effect<ReadonlyArray<string>, UnusableTls> =>
  Effect.gen(function*() {
    const names = yield* Effect.tryPromise({
      try: () => Fs.readdir(folder),
      catch: unusable("the folder of certificate authorities cannot be read")
    })
    const files = names.filter((name) => /\.(pem|crt|cer)$/i.test(name)).map((name) => Path.join(folder, name))
    if (files.length === 0) {
      return yield* new UnusableTls({ text: `${folder} has no .pem, .crt or .cer file` })
    }
    return yield* Effect.forEach(files, (file) => readAuthority({ file }))
  })

/** What Node wants, with every file read. The texts of its complaints about it hold no secret. */
const readMaterial = (options: TlsOptions): Effect.Effect<Tls.SecureContextOptions, UnusableTls> =>
  Effect.gen(function*() {
    if (options.cert !== undefined && options.key === undefined) {
      return yield* new UnusableTls({ text: "a certificate is given without its key" })
    }
    if (options.key !== undefined && options.cert === undefined) {
      return yield* new UnusableTls({ text: "a key is given without its certificate" })
    }
    const authorities = [
      ...(yield* Effect.forEach(options.ca ?? [], readAuthority)),
      ...(options.caPath === undefined ? [] : yield* readFolder(options.caPath))
    ]
    return {
      ca: options.ca === undefined && options.caPath === undefined ? undefined : authorities,
      cert: options.cert && (yield* readPem("certificate", options.cert)),
      key: options.key && (yield* readPem("key", options.key)),
      passphrase: options.passphrase && Redacted.value(options.passphrase),
      ciphers: options.ciphers,
      minVersion: options.minVersion
    }
  })

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
    const material = yield* readMaterial(options)
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

interface Attempt {
  readonly pipe: SocketPipe
  readonly connected: Deferred.Deferred<void, ConnectError>
  readonly ready: Deferred.Deferred<void, ConnectError>
}

const attempt = (
  target: Target,
  secure: DialTls | undefined,
  onread: (pipe: () => SocketPipe) => Net.OnReadOpts,
  limit: Duration.Duration
): Attempt => {
  const endpoint = endpointOf(target.host, target.port)
  const connected = Deferred.unsafeMake<void, ConnectError>(FiberId.none)
  const ready = Deferred.unsafeMake<void, ConnectError>(FiberId.none)
  const fail = (reason: ConnectReason, text: string): void => {
    const fault = Effect.fail(ConnectError.at(endpoint, reason, text))
    Deferred.unsafeDone(connected, fault)
    Deferred.unsafeDone(ready, fault)
  }
  const options: Net.TcpNetConnectOpts = {
    host: target.host,
    port: target.port,
    onread: onread(() => pipe),
    autoSelectFamily: true,
    // Node gives each of several addresses 250 ms, too little for a far one; the last may take what is left.
    autoSelectFamilyAttemptTimeout: Math.max(250, Math.floor(Duration.toMillis(limit) / 4))
  }
  let isConnected = false
  const socket = secure === undefined ? Net.connect(options) : Tls.connect({ ...options, ...secure })
  const pipe = new SocketPipe(socket, endpoint)
  socket.once("connect", () => {
    isConnected = true
    socket.setNoDelay(target.tcp?.noDelay ?? true)
    const keepAlive = target.tcp?.keepAlive ?? false
    if (keepAlive !== false) socket.setKeepAlive(true, Duration.toMillis(keepAlive))
    Deferred.unsafeDone(connected, Effect.void)
    if (secure === undefined) Deferred.unsafeDone(ready, Effect.void)
  })
  socket.once("error", (error: SystemError) => {
    if (isConnected) return fail("Tls", tlsText(error))
    const fault = connectFault(error)
    fail(fault.reason, fault.text)
  })
  socket.once("close", () => fail(isConnected ? "Tls" : "Refused", "the connection was closed"))
  if (secure !== undefined && socket instanceof Tls.TLSSocket) {
    socket.once("secureConnect", () => {
      // With `verify` off Node asks nobody about the name; `checkHostname` may still insist on it.
      const mismatch = secure.rejectUnauthorized ?
        undefined :
        secure.checkServerIdentity(target.host, socket.getPeerCertificate())
      if (mismatch !== undefined) return fail("Tls", tlsText(mismatch))
      pipe.tls = describeTls(socket, true)
      Deferred.unsafeDone(ready, Effect.void)
    })
  }
  return { pipe, connected, ready }
}

const makeTransport = (): Context.Tag.Service<Transport> => {
  // One for all plain sockets: what is read into it is handed over before the next read. TLS may decrypt for one socket
  // while another one's handler runs (on an empty write), so there each has its own.
  const shared = new Uint8Array(readBufferSize)
  const onread = (isSecure: boolean) => (pipe: () => SocketPipe): Net.OnReadOpts => ({
    buffer: isSecure ? new Uint8Array(readBufferSize) : shared,
    callback: (length, bytes) => pipe().receive(bytes, length)
  })

  const connect = (target: Target): Effect.Effect<Pipe, ConnectError> =>
    Effect.gen(function*() {
      const endpoint = endpointOf(target.host, target.port)
      const cannot = (error: { readonly text: string }) => ConnectError.at(endpoint, "Url", error.text)
      if (target.scheme === "memory") {
        return yield* cannot({ text: "the scheme memory needs the in-memory Transport" })
      }
      const options = target.tls ?? (target.scheme === "amqps" ? {} : undefined)
      const secure = options &&
        (yield* Effect.interruptible(Effect.mapError(dialTls(target, options), cannot)))
      const limit = target.connectTimeout ?? defaultConnectTimeout
      const { connected, pipe, ready } = yield* Effect.try({
        try: () => attempt(target, secure, onread(secure !== undefined), limit),
        catch: (cause) => cannot({ text: toError(cause).message })
      })
      return yield* Deferred.await(connected).pipe(
        Effect.timeoutFail({
          duration: limit,
          onTimeout: () => ConnectError.at(endpoint, "Timeout", `no connection within ${Duration.format(limit)}`)
        }),
        Effect.zipRight(Deferred.await(ready)),
        Effect.interruptible,
        Effect.onError(() => Effect.sync(() => pipe.destroy())),
        Effect.as(pipe)
      )
    })

  return { dial: (target) => Effect.acquireRelease(connect(target), (pipe) => Effect.sync(() => pipe.destroy())) }
}

// --- Listening ---

const readListenTls = (options: TlsOptions): Effect.Effect<Tls.TlsOptions, UnusableTls> =>
  Effect.gen(function*() {
    if (options.cert === undefined) {
      return yield* new UnusableTls({ text: "TLS needs a certificate and its key" })
    }
    return {
      ...(yield* readMaterial(options)),
      // A client's certificate is asked for when there is somebody to judge it by, and insisted on by `verify`.
      requestCert: options.verify === true || options.ca !== undefined || options.caPath !== undefined,
      rejectUnauthorized: options.verify ?? false,
      handshakeTimeout,
      noDelay: true
    }
  })

const listenFault = (error: SystemError): Pick<ListenError, "reason" | "text"> => {
  switch (error.code) {
    case "EADDRINUSE":
      return { reason: "AddressInUse", text: "another program listens there" }
    case "EACCES":
      return { reason: "Denied", text: "not allowed to listen there" }
    default:
      return { reason: "Other", text: error.message }
  }
}

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
 * handshake, so that arrives as `onClose` of a pipe that was open.
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
