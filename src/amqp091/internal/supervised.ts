/**
 * The connection's two halves put together: the supervisor that dials and the core that lives on, and what a user may tell
 * them: dial, pause, go elsewhere, close. One such change is made at a time; a close wins over all of them.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RecoverableError } from "../../AmqpError.ts"
import { ConnectError, ConnectionClosed, OperationTimeout } from "../../AmqpError.ts"
import * as ErrorPolicy from "../../ErrorPolicy.ts"
import { Addresses } from "../../internal/addresses.ts"
import { Cell } from "../../internal/cell.ts"
import type { Fork } from "../../internal/forks.ts"
import { makeFork } from "../../internal/forks.ts"
import { warn } from "../../internal/log.ts"
import type { Rounds } from "../../internal/rounds.ts"
import type { Address, Ending, Restore, Supervised } from "../../internal/supervisor.ts"
import { Supervisor } from "../../internal/supervisor.ts"
import { whole } from "../../internal/whole.ts"
import * as Reconnect from "../../Reconnect.ts"
import { Transport } from "../../Transport.ts"
import type { Info, State, Supervision } from "../Connection.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import * as Method from "../Method.ts"
import { ConnectionCore } from "./connection.ts"
import type { Dialled } from "./dial.ts"
import { dial } from "./dial.ts"
import { beforeDial, doubts, endpointOf, type Endpoints, failoverName, makeRounds, readEndpoint } from "./endpoints.ts"
import { renewing } from "./renewing.ts"
import type { Renewed } from "./secrets.ts"

const defaultConnect = (options: ConnectionOptions): Schedule.Schedule<unknown, ConnectError> =>
  options.connectionAttempts <= 1
    ? Schedule.stop
    : Schedule.intersect(Schedule.recurs(options.connectionAttempts - 1), Schedule.spaced(options.retryDelay))

// One for all connections: a Schedule is a value, its state is the supervisor's.
const defaultReconnect = Reconnect.exponential()

const fresh = { fault: undefined, round: 0 }

const orderOfAddresses = (strategy: string) =>
  strategy === "in-order" || strategy === "priority"
    ? "as listed"
    : strategy === "shuffle" || strategy === "random"
    ? "shuffled"
    : "on from the last"

const tooLate = (options: ConnectionOptions): ConnectError =>
  ConnectError.at(endpointOf(options), "Refused", "the connection is closed")

const isDecided = (state: State): boolean =>
  state._tag === "Open" || state._tag === "Closed" || (state._tag === "Idle" && state.fault !== undefined)

/** What a connection lives on, and what its user has said of its life. @internal */
export interface LifeOptions {
  readonly endpoints: Endpoints
  readonly supervision: Supervision
  readonly secrets: ReadonlyArray<Renewed>
  readonly transport: Context.Tag.Service<Transport>
  readonly clock: Clock.Clock
  readonly fork: Fork
}

/** @internal */
export class Life implements Supervised<ConnectionOptions, Dialled> {
  readonly core: ConnectionCore
  readonly state: Cell<State>
  readonly options: LifeOptions
  readonly rounds: Rounds<ConnectionOptions>
  readonly stableAfter: Duration.Duration
  private readonly opened = Deferred.unsafeMake<void, ConnectError>(FiberId.none)
  private readonly supervisor: Supervisor<ConnectionOptions, Dialled>
  private readonly found: Addresses
  private readonly failover: Info["failover"]
  private isFinalFault: ErrorPolicy.IsFinal
  /** What the next dial comes after. */
  private before: { readonly fault: RecoverableError | undefined; readonly round: number } = fresh
  // Nothing runs while it is paused, or lazy and not used yet.
  private running: Fiber.RuntimeFiber<void> | undefined
  /** Paused, or on the way from one socket to another: no use of the connection makes it dial. */
  private isHeld = false
  private changing: Effect.Semaphore | undefined

  constructor(options: LifeOptions) {
    const { clock, endpoints, fork, supervision, transport } = options
    const [first] = endpoints
    this.options = options
    this.stableAfter = Duration.decode(supervision.stableAfter ?? "5 seconds")
    this.isFinalFault = this.makePolicy()
    this.rounds = makeRounds(endpoints, supervision.failover)
    this.failover = failoverName(endpoints, supervision.failover)
    this.found = new Addresses(transport, orderOfAddresses(this.failover))
    this.state = new Cell<State>(
      this.isLazy
        ? { _tag: "Idle", until: "use", fault: undefined }
        : { _tag: "Connecting", endpoint: endpointOf(first), fault: undefined }
    )
    this.core = new ConnectionCore({
      options: first,
      whenDisconnected: supervision.whenDisconnected ?? "wait",
      publishTimeout: Duration.decode(supervision.publishTimeout ?? "30 seconds"),
      recovery: supervision.recovery ?? {},
      state: this.state,
      clock,
      fork,
      wake: () => {
        if (this.running === undefined && !this.isHeld) this.start()
      }
    })
    this.core.secrets.renewed = options.secrets
    this.supervisor = new Supervisor(clock, this, (exit) => Deferred.unsafeDone(this.opened, exit))
  }

  private get isLazy(): boolean {
    return this.options.supervision.lazy === true
  }

  // --- What the supervisor asks ---

  get connect(): Schedule.Schedule<unknown, ConnectError> {
    return this.options.supervision.connect ?? defaultConnect(this.options.endpoints[0])
  }

  get reconnect(): Schedule.Schedule<unknown, RecoverableError> {
    return this.options.supervision.reconnect ?? defaultReconnect
  }

  get leave(): Effect.Effect<void> {
    return this.core.leave
  }

  get isClosing(): boolean {
    return this.core.isClosing
  }

  addresses(options: ConnectionOptions) {
    return this.found.of({
      endpoint: endpointOf(options),
      host: options.host,
      port: options.port,
      limit: options.socketTimeout
    })
  }

  dial(options: ConnectionOptions, address: Address) {
    const { supervision, transport } = this.options
    // Where the connection has ended, nobody is dialled.
    const asked = Effect.suspend(() =>
      this.core.over === undefined
        ? beforeDial(supervision.beforeDial, { options, address, ...this.before })
        : tooLate(options)
    )
    return Effect.flatMap(asked, (changed) => {
      this.found.tried(endpointOf(options), address)
      return dial(changed, changed.host === options.host ? address : undefined, {
        transport,
        now: () => this.core.now(),
        decode: supervision.decode ?? "plain",
        credentials: this.core.secrets.newest(changed.credentials),
        requires: supervision.requires ?? []
      })
    })
  }

  up(dialled: Dialled) {
    return this.core.up(dialled)
  }

  ended(dialled: Dialled) {
    const ended = this.core.ended(dialled)
    return dialled.issued === undefined ? ended : Effect.raceFirst(ended, renewing(this.core, dialled.issued))
  }

  isFinal(fault: RecoverableError, isStable: boolean): boolean {
    // Trouble that was over in between, or whose cause is known and left out from now on, is not the same again.
    if (this.core.recovery.takeBlame() || isStable) this.isFinalFault = this.makePolicy()
    return this.core.isClosing || this.isFinalFault(fault)
  }

  private makePolicy(): ErrorPolicy.IsFinal {
    return ErrorPolicy.capInternalErrors(
      this.options.supervision.isFinal ??
        ErrorPolicy.forgiveGarbling(ErrorPolicy.isFinal, () => this.core.info.epoch > 0)
    )
  }

  /** 320, as by an operator or a node that shuts down: it will not be back at once. */
  isLeaving(fault: RecoverableError): boolean {
    return fault._tag === "ConnectionClosed" && fault.code === Method.ReplyCode.connectionForced
  }

  onDialling(options: ConnectionOptions, fault: RecoverableError | undefined): void {
    if (this.core.isClosing) return
    const endpoint = endpointOf(options)
    if (fault !== undefined) {
      this.before = { ...this.before, fault }
      this.warn(`${fault.message}; dialling ${endpoint}`)
    }
    const present = this.state.unsafeGet()
    // Whoever started this round has said so already.
    if (fault === undefined && present._tag === "Connecting" && present.endpoint === endpoint) return
    this.state.unsafeSet({ _tag: "Connecting", endpoint, fault })
  }

  onOpen({ endpoint }: Dialled): void {
    this.before = fresh
    this.core.opened(endpoint)
  }

  onRecovering(fault: RecoverableError, round: number, delay: Duration.Duration): void {
    if (this.core.isClosing) return
    this.before = { fault, round }
    this.state.unsafeSet({ _tag: "Recovering", fault, round, delay })
    this.warn(`${fault.message}; dialling again in ${Duration.format(delay)}`)
  }

  private warn(text: string): void {
    this.options.fork(warn("Connection", text))
  }

  // --- Start and stop ---

  /** Up to the end of the first connect, unless that waits for a use. */
  get begin(): Effect.Effect<void, ConnectError> {
    return Effect.suspend(() => {
      if (this.isLazy) return Effect.void
      this.start()
      return Deferred.await(this.opened)
    })
  }

  private start(): void {
    const { core } = this
    if (core.over !== undefined) return
    this.isHeld = false
    this.state.unsafeSet({ _tag: "Connecting", endpoint: endpointOf(this.rounds.known()[0]), fault: undefined })
    this.running = this.options.fork(Effect.asVoid(Effect.onExit(this.supervisor.run, (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) return this.onEnd(exit.value)
        if (Cause.isInterruptedOnly(exit.cause)) return
        this.onDefect(exit.cause)
        // It must not leave the first connect waiting.
        Deferred.unsafeDone(this.opened, Effect.failCause(exit.cause))
      }))))
  }

  /** What it says may hold anything, secrets too: it is in the cause, and in no text. */
  private onDefect(cause: Cause.Cause<unknown>): void {
    const { core } = this
    const text = "a Schedule, a policy or an Effect of the program's own has thrown"
    this.warn(`${text}; giving up`)
    const { endpoint } = core.info
    core.end(new ConnectionClosed({ reason: "Recovery", endpoint, code: 0, text, cause: Cause.squash(cause) }))
  }

  private onEnd({ fault, first, isFinal }: Ending): void {
    const { core, isLazy } = this
    if (!isLazy || first === undefined || isFinal || core.over !== undefined) {
      // A first connect fails whoever made the connection. After that, or if it is lazy, perhaps nobody waits for it.
      if (core.over === undefined && (isLazy || first === undefined)) this.warn(`${fault.message}; giving up`)
      return core.end(fault)
    }
    this.running = undefined
    this.state.unsafeSet({ _tag: "Idle", until: "use", fault: first })
    core.notConnected(first)
  }

  /** Whatever it is at (a socket whose peer did not answer, a dial, a delay), it is over. */
  private get stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const stopped = this.running
      this.running = undefined
      this.isHeld = true
      return Effect.zipRight(stopped === undefined ? Effect.void : Fiber.interrupt(stopped), this.supervisor.discard)
    })
  }

  private get halt(): Effect.Effect<void> {
    return Effect.zipRight(this.core.leave, this.stop)
  }

  // --- What its user tells it, one at a time ---

  private inTurn<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    this.changing ??= Effect.unsafeMakeSemaphore(1)
    return this.changing.withPermits(1)(effect)
  }

  private change(effect: () => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.inTurn(
        Effect.uninterruptible(Effect.suspend(() => this.core.over === undefined ? effect() : Effect.void))
      )
    )
  }

  get pause(): Effect.Effect<void> {
    return this.change(() =>
      Effect.map(this.halt, () => {
        const present = this.state.unsafeGet()
        if (this.core.over !== undefined || (present._tag === "Idle" && present.until === "resume")) return
        this.state.unsafeSet({ _tag: "Idle", until: "resume", fault: undefined })
      })
    )
  }

  get resume(): Effect.Effect<void> {
    return this.change(() =>
      Effect.sync(() => {
        if (this.running === undefined) this.start()
      })
    )
  }

  get reconnectNow(): Effect.Effect<void> {
    return this.change(() =>
      Effect.map(this.halt, () => {
        this.supervisor.reset()
        this.start()
      })
    )
  }

  switchEndpoint(endpoint: ConnectionOptions.Endpoint): Effect.Effect<void, ConnectError> {
    return Effect.flatMap(
      readEndpoint(this.options.endpoints[0], endpoint, "switchEndpoint"),
      (options) => this.inTurn(Effect.uninterruptibleMask((restore) => this.goTo(options, restore)))
    )
  }

  private goTo(options: ConnectionOptions, restore: Restore): Effect.Effect<void, ConnectError> {
    const { core, supervisor } = this
    return Effect.gen(this, function*() {
      if (core.over !== undefined) return yield* tooLate(options)
      // It has nobody else to end it: the fiber that dials is the caller's.
      const session = yield* supervisor.dial(
        options,
        (effect) =>
          restore(Effect.raceFirst(effect, Effect.zipRight(Effect.interruptible(this.closed), tooLate(options))))
      )
      // A goodbye for good has the present socket to itself.
      if (core.over === undefined) yield* this.halt
      if (core.over !== undefined) {
        yield* Scope.close(session.scope, Exit.void)
        return yield* tooLate(options)
      }
      supervisor.reset()
      supervisor.adopt(session)
      this.start()
    })
  }

  get closed(): Effect.Effect<RecoverableError | undefined> {
    return Effect.suspend(() =>
      Effect.map(Stream.runDrain(this.state.changes), () => {
        const last = this.state.unsafeGet()
        return last._tag === "Closed" ? last.cause : undefined
      })
    )
  }

  close(code: number, text: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { core } = this
      if (core.isClosing) return Effect.asVoid(this.closed)
      return core.sayGoodbye(code, text).pipe(
        Effect.zipRight(Effect.sync(() => core.end(undefined))),
        Effect.zipRight(this.stop),
        // Whoever still waits for the first connect, where another fiber closes the scope.
        Effect.zipRight(Effect.sync(() => Deferred.unsafeDone(this.opened, tooLate(this.options.endpoints[0])))),
        Effect.asVoid,
        Effect.uninterruptible
      )
    })
  }

  ready(limit: Duration.Duration): Effect.Effect<void, ConnectError | ConnectionClosed | OperationTimeout> {
    return Effect.gen(this, function*() {
      const { core } = this
      if (core.over !== undefined) return yield* core.over
      if (this.running === undefined && !this.isHeld) this.start()
      const decided = yield* Stream.runHead(Stream.filter(this.state.changes, isDecided)).pipe(
        Effect.timeoutFail({
          duration: limit,
          onTimeout: () => new OperationTimeout({ operation: "connection.ready", limit })
        })
      )
      const failed = Option.isSome(decided) && decided.value._tag === "Idle" ? decided.value.fault : core.over
      if (failed !== undefined) return yield* failed
    })
  }

  get info(): Info {
    return { ...this.core.info, failover: this.failover, alternates: this.rounds.known().map(endpointOf) }
  }
}

const live = Effect.fnUntraced(function*(
  endpoints: Endpoints,
  supervision: Supervision,
  secrets: ReadonlyArray<Renewed>
) {
  const life = new Life({
    endpoints,
    supervision,
    secrets,
    transport: yield* Transport,
    clock: yield* Effect.clock,
    fork: yield* makeFork
  })
  for (const warning of doubts(endpoints)) yield* warn("Connection", warning)
  // Added last, so it runs first: the goodbye still has its supervisor, timer and socket.
  yield* Scope.addFinalizer(yield* Effect.scope, Effect.suspend(() => life.close(200, "Normal shutdown")))
  yield* life.begin
  return life
})

/** Lives up to the end of the scope, or of its first connect where that comes to nothing. @internal */
export const supervised = (
  endpoints: Endpoints,
  supervision: Supervision,
  secrets: ReadonlyArray<Renewed> = []
): Effect.Effect<Life, ConnectError, Transport | Scope.Scope> => whole(live(endpoints, supervision, secrets))
