/**
 * The server's side of the handshake (0-9-1 §2.2.4): who the client is, what both agree on, and which virtual host it opens.
 *
 * @since 0.1.0
 */
import * as FieldTable from "../../../amqp091/FieldTable.ts"
import type { Engine } from "../../../amqp091/internal/engine.ts"
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import * as Method from "../../../amqp091/Method.ts"
import type { Model, VirtualHost } from "../../Model.ts"
import type { Content } from "./content.ts"
import type { Login, Mechanism } from "./login.ts"
import type { Profile } from "./profile.ts"
import type { Fault } from "./refusals.ts"
import { fault } from "./refusals.ts"
import { tuning, tuningFault } from "./tuning.ts"

/** What it needs of the connection. @internal */
export interface HandshakeOptions {
  readonly engine: Engine<RawProperties>
  readonly model: Model<Content>
  readonly profile: Profile
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  /** The client has told its name; `false`: it is gone over that. */
  readonly onNamed: () => boolean
  readonly onOpen: (vhost: VirtualHost<Content>) => void
  /** It is refused, over a method or in general. */
  readonly refuse: (reason: Fault, method?: Method.Method) => void
  /** Cuts the pipe, without a word. */
  readonly drop: () => void
}

const capabilities: FieldTable.FieldTable = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  "basic.nack": true,
  consumer_cancel_notify: true,
  "connection.blocked": true,
  consumer_priorities: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
  direct_reply_to: true
}

/** @internal */
export class Handshake {
  user = ""
  private readonly options: HandshakeOptions
  private clientProperties: FieldTable.FieldTable = {}
  /** What the last challenge is answered to. */
  private mechanism: { readonly name: string; readonly read: Mechanism } | undefined

  constructor(options: HandshakeOptions) {
    this.options = options
  }

  /** What the client calls itself, if anything. */
  get clientName(): string | undefined {
    const name = this.clientProperties["connection_name"]
    return typeof name === "string" ? name : undefined
  }

  /** Whether the client says that it knows this. */
  knows(capability: string): boolean {
    const capabilities = this.clientProperties["capabilities"]
    return FieldTable.isFieldTable(capabilities) && capabilities[capability] === true
  }

  begin(): void {
    const { engine, mechanisms, profile } = this.options
    engine.handshake({
      _tag: "ConnectionStart",
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: {
        product: "effect-amqp",
        version: profile.version,
        platform: "JavaScript",
        information: "An embedded broker in memory, with the rules of RabbitMQ of this version",
        capabilities
      },
      mechanisms: Array.from(mechanisms.keys()).join(" "),
      locales: "en_US"
    })
  }

  start(method: Method.ConnectionStartOk): void {
    this.clientProperties = method.clientProperties
    if (!this.options.onNamed()) return
    const read = this.options.mechanisms.get(method.mechanism)
    if (read === undefined) {
      return this.options.refuse(
        fault(Method.ReplyCode.commandInvalid, `unknown authentication mechanism '${method.mechanism}'`),
        method
      )
    }
    this.mechanism = { name: method.mechanism, read }
    this.authenticate(method.response)
  }

  authenticate(response: Uint8Array): void {
    if (this.mechanism === undefined) return
    const { name, read } = this.mechanism
    const step = read(response)
    this.mechanism = undefined
    if (step?._tag === "Challenge") {
      this.mechanism = { name, read: step.answered }
      this.options.engine.handshake({ _tag: "ConnectionSecure", challenge: step.challenge })
      return
    }
    this.login(name, step)
  }

  private login(mechanism: string, login: Login | undefined): void {
    if (login === undefined || !this.options.model.authenticate(login.user, login.password)) {
      // Clients that cannot be told so see the socket go (RabbitMQ, `authentication_failure_close`).
      if (!this.knows("authentication_failure_close")) return this.options.drop()
      return this.options.refuse(fault(
        Method.ReplyCode.accessRefused,
        `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`
      ))
    }
    this.user = login.user
    this.options.engine.handshake({ _tag: "ConnectionTune", ...tuning })
  }

  tune(method: Method.ConnectionTuneOk): void {
    const wrong = tuningFault(method, this.options.profile)
    if (wrong !== undefined) return this.options.refuse(wrong, method)
    this.options.engine.tune({
      channelMax: method.channelMax,
      frameMax: method.frameMax,
      heartbeat: method.heartbeat
    })
  }

  open(method: Method.ConnectionOpen): void {
    const { engine, model } = this.options
    const vhost = model.vhosts.get(method.virtualHost)
    if (vhost === undefined) {
      return this.options.refuse(
        fault(Method.ReplyCode.notAllowed, `vhost ${method.virtualHost} not found`),
        method
      )
    }
    if (!model.canAccess(this.user, vhost.name)) {
      return this.options.refuse(
        fault(Method.ReplyCode.notAllowed, `access to vhost '${vhost.name}' refused for user '${this.user}'`),
        method
      )
    }
    engine.handshake({ _tag: "ConnectionOpenOk" })
    this.options.onOpen(vhost)
  }
}
