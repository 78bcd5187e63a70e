/**
 * From an endpoint to an open socket: TCP, TLS, and the handshake of 0-9-1 §2.2.4 with its authentication and tuning.
 * Every way it can fail is a `ConnectError` that says what was wrong, within its bound.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ConnectReason, FrameError } from "../../AmqpError.ts"
import { ConnectError } from "../../AmqpError.ts"
import type * as Credentials from "../../Credentials.ts"
import { warn } from "../../internal/log.ts"
import { version } from "../../internal/version.ts"
import type { PipeTls, Target, Transport } from "../../Transport.ts"
import type { Capabilities } from "../Connection.ts"
import * as ConnectionOptions from "../ConnectionOptions.ts"
import type { FieldTable } from "../FieldTable.ts"
import type * as Method from "../Method.ts"
import { capabilitiesOf } from "./capabilities.ts"
import { endpointOf } from "./endpoints.ts"
import type { Tuning } from "./engine.ts"
import { LiveSocket } from "./liveSocket.ts"
import type { SocketEnd } from "./liveSocket.ts"
import * as Sasl from "./sasl.ts"

/** An open connection's socket and what was agreed on. @internal */
export interface Dialled {
  readonly socket: LiveSocket
  readonly endpoint: string
  readonly address: string | undefined
  readonly serverProperties: FieldTable
  readonly capabilities: Capabilities
  readonly options: ConnectionOptions.ConnectionOptions
  readonly mechanism: string
  /** The secret it was let in with, where that expires. */
  readonly issued: Sasl.Issued | undefined
  /** What the server offers. */
  readonly mechanisms: ReadonlyArray<string>
  readonly locales: ReadonlyArray<string>
  readonly tuning: Tuning
  readonly tls: PipeTls | undefined
}

/** How far a dial has come: what a peer that stops answering is said to have stopped at. */
type Stage = "dial" | "greeting" | "login" | "tuning" | "vhost"

const silence: Record<Stage, string> = {
  dial: "no connection",
  greeting: "accepted the connection and sent no AMQP greeting",
  login: "did not answer the login",
  tuning: "did not go on after the login",
  vhost: "did not open the virtual host"
}

const clientProperties = (options: ConnectionOptions.ConnectionOptions): { readonly [name: string]: unknown } => {
  const capabilities = {
    authentication_failure_close: true,
    "basic.nack": true,
    "connection.blocked": true,
    consumer_cancel_notify: true,
    exchange_exchange_bindings: true,
    publisher_confirms: true
  }
  const own = options.clientProperties
  const theirs = own["capabilities"]
  return {
    product: "effect-amqp",
    version,
    platform: "JavaScript",
    information: "AMQP 0-9-1 for Effect",
    ...(options.name === undefined ? {} : { connection_name: options.name }),
    ...own,
    capabilities: typeof theirs === "object" && theirs !== null ? { ...capabilities, ...theirs } : capabilities
  }
}

// 0 means "no limit" on either side (0-9-1, connection.tune).
const narrower = (ours: number, theirs: number): number =>
  ours === 0 ? theirs : theirs === 0 ? ours : Math.min(ours, theirs)

const notAmqp = (fault: FrameError): string => {
  if (fault.text?.includes("HTTP") === true) return "the peer speaks HTTP, not AMQP"
  return `the peer does not speak AMQP 0-9-1: ${fault.message}`
}

const refusals: Record<number, ConnectReason> = { 402: "Vhost", 403: "Auth", 530: "Vhost" }

/** What the end of a socket means at each stage of the handshake; `tells`: the server would say if it refused us. */
const toConnectError = (endpoint: string, stage: Stage, end: SocketEnd, tells: boolean): ConnectError => {
  const failed = (reason: ConnectReason, text: string) => ConnectError.at(endpoint, reason, text)
  switch (end._tag) {
    case "Header":
      return failed("Protocol", `the peer speaks AMQP ${end.version}, not 0-9-1`)
    case "Fault":
      return failed("Protocol", stage === "greeting" ? notAmqp(end.fault) : end.fault.message)
    case "Closed": {
      const { replyCode, replyText } = end.close
      const reason = stage === "vhost" && replyCode === 403 ? "Vhost" : refusals[replyCode] ?? "Refused"
      return failed(reason, `${replyCode} ${replyText}`)
    }
    // A broker that does not know `authentication_failure_close` just drops the socket. From one that does, it is a loss:
    // to take that for a refusal would end a connection for good because its broker was restarted.
    case "Socket":
      if (stage === "login" && !tells) {
        return failed("Auth", "the peer closed the socket on the login: probably refused")
      }
      if (stage === "vhost" && !tells) {
        return failed("Vhost", "the peer closed the socket on the virtual host: probably refused")
      }
      return failed(
        "Refused",
        `the peer closed the socket during the handshake${end.cause instanceof Error ? `: ${end.cause.message}` : ""}`
      )
    default:
      return failed("Refused", "the peer closed the connection during the handshake")
  }
}

/** What a dial is told besides the endpoint's options. @internal */
export interface DialSettings {
  readonly transport: Context.Tag.Service<Transport>
  readonly now: () => number
  /** How tables that arrive are read. */
  readonly decode: "plain" | "typed"
  /** Those of the options, with what was changed on an open connection. */
  readonly credentials: ReadonlyArray<Credentials.Credentials>
  /** What the broker must offer. */
  readonly requires: ReadonlyArray<keyof Capabilities>
}

/** Dials one address of an endpoint; the socket goes with the scope. @internal */
export const dial = (
  options: ConnectionOptions.ConnectionOptions,
  address: string | undefined,
  settings: DialSettings
): Effect.Effect<Dialled, ConnectError, Scope.Scope> =>
  Effect.suspend(() => {
    const endpoint = endpointOf(options)
    let stage: Stage = "dial"
    let tells = false

    const handshake = Effect.gen(function*() {
      const target: Target = {
        scheme: options.scheme,
        host: options.host,
        port: options.port,
        address,
        tls: options.tls,
        tcp: options.tcp,
        connectTimeout: options.socketTimeout
      }
      const pipe = yield* settings.transport.dial(target)
      const socket = new LiveSocket({
        pipe,
        endpoint,
        now: settings.now,
        maxMessageSize: options.maxMessageSize,
        limits: {
          decode: settings.decode,
          limits: { maxTableDepth: options.maxTableDepth, maxTableEntries: options.maxTableEntries }
        }
      })
      const { engine } = socket
      const next = Effect.mapError(socket.next, (end) => toConnectError(endpoint, stage, end, tells))
      const refuse = (reason: ConnectReason, text: string) => Effect.fail(ConnectError.at(endpoint, reason, text))
      const send = (...methods: ReadonlyArray<Method.Method>): Effect.Effect<void, ConnectError> =>
        Effect.suspend(() => {
          for (const method of methods) {
            const fault = engine.handshake(method)
            if (fault !== undefined) return refuse("Url", fault.message)
          }
          socket.flushNow()
          return Effect.void
        })

      stage = "greeting"
      engine.start()
      socket.flushNow()
      const start = yield* next
      if (start._tag !== "ConnectionStart") return yield* refuse("Protocol", `unexpected ${start._tag}`)
      const mechanisms = start.mechanisms.split(" ")
      const locales = start.locales.split(" ")
      const exchange = Sasl.select(settings.credentials, mechanisms)
      if (Option.isNone(exchange)) {
        return yield* refuse("Auth", `the server offers ${start.mechanisms}; none of them is allowed by the options`)
      }
      const authFault = (fault: Sasl.AuthFault) => ConnectError.at(endpoint, fault.reason, fault.message)

      const capabilities = capabilitiesOf(start.serverProperties)
      tells = capabilities.authenticationFailureClose
      const missing = settings.requires.filter((name) => !capabilities[name])
      if (missing.length > 0) return yield* refuse("Capability", `the server does not offer ${missing.join(", ")}`)
      if (!locales.includes(options.locale)) {
        yield* warn("Connection", `${endpoint} speaks ${start.locales}, not ${options.locale}`)
      }
      stage = "login"
      const { challenge, initial, mechanism } = exchange.value
      yield* send({
        _tag: "ConnectionStartOk",
        // The encoder looks at each value, and refuses what no table can hold.
        clientProperties: clientProperties(options) as FieldTable,
        mechanism,
        response: yield* Effect.mapError(initial, authFault),
        locale: options.locale
      })
      let answer = yield* next
      while (answer._tag === "ConnectionSecure") {
        const response = yield* Effect.mapError(challenge(answer.challenge), authFault)
        yield* send({ _tag: "ConnectionSecureOk", response })
        answer = yield* next
      }
      if (answer._tag !== "ConnectionTune") return yield* refuse("Protocol", `unexpected ${answer._tag}`)

      stage = "tuning"
      if (answer.frameMax !== 0 && answer.frameMax < 4096) {
        return yield* refuse("Protocol", `the server proposes a frame_max of ${answer.frameMax}; 4096 is the least`)
      }
      const heartbeat = yield* Effect.mapError(
        ConnectionOptions.chooseHeartbeat(options, answer.heartbeat),
        (fault) => ConnectError.at(endpoint, "Url", fault.message)
      )
      const tuning: Tuning = {
        channelMax: narrower(options.channelMax, answer.channelMax) || 65535,
        frameMax: narrower(options.frameMax, answer.frameMax) || options.frameMax,
        heartbeat
      }
      stage = "vhost"
      // tune-ok and open go in one write: with two small ones Nagle's algorithm costs 40 ms.
      yield* send(
        { _tag: "ConnectionTuneOk", ...tuning },
        { _tag: "ConnectionOpen", virtualHost: options.vhost }
      )
      engine.tune(tuning)
      const opened = yield* next
      if (opened._tag !== "ConnectionOpenOk") return yield* refuse("Protocol", `unexpected ${opened._tag}`)
      engine.heartbeats.touch(settings.now())
      return {
        socket,
        endpoint,
        address,
        serverProperties: start.serverProperties,
        capabilities,
        options,
        mechanism,
        issued: exchange.value.issued(),
        mechanisms,
        locales,
        tuning,
        tls: pipe.tls
      }
    })

    const limit = options.stackTimeout
    return limit === null ? handshake : Effect.timeoutFail(handshake, {
      duration: limit,
      onTimeout: () => {
        const text = stage === "dial" && options.tls !== undefined ? "no TLS connection" : silence[stage]
        return ConnectError.at(endpoint, "Timeout", `${text} within ${Duration.format(limit)}`)
      }
    })
  })
