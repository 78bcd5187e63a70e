/**
 * The connection's two halves put together: the supervisor that dials and the core that lives on, and what a user may tell
 * them: dial, pause, go elsewhere, close. One such change is made at a time; a close wins over all of them.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectionClosed, RecoverableError } from "../../AmqpError.ts"
import { ConnectError, OperationTimeout } from "../../AmqpError.ts"
import * as ErrorPolicy from "../../ErrorPolicy.ts"
import { makeAddresses } from "../../internal/addresses.ts"
import * as Cell from "../../internal/cell.ts"
import { makeFork } from "../../internal/forks.ts"
import { warn } from "../../internal/log.ts"
import type { Ending, Restore } from "../../internal/supervisor.ts"
import { makeSupervisor } from "../../internal/supervisor.ts"
import * as Reconnect from "../../Reconnect.ts"
import { Transport } from "../../Transport.ts"
import type { State, Supervision } from "../Connection.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import * as Method from "../Method.ts"
import { ConnectionCore } from "./connection.ts"
import { dial } from "./dial.ts"
import { beforeDial, endpointOf, type Endpoints, failoverName, makeRounds, readEndpoint } from "./endpoints.ts"

const defaultConnect = (options: ConnectionOptions): Schedule.Schedule<unknown, ConnectError> =>
  options.connectionAttempts <= 1
    ? Schedule.stop
    : Schedule.intersect(Schedule.recurs(options.connectionAttempts - 1), Schedule.spaced(options.retryDelay))

// One for all connections: a Schedule is a value, its state is the supervisor's.
const defaultReconnect = Reconnect.exponential()

/** 320, as by an operator or a node that shuts down: it will not be back at once. */
const isLeaving = (fault: RecoverableError): boolean =>
  fault._tag === "ConnectionClosed" && fault.code === Method.ReplyCode.connectionForced

const orderOfAddresses = (strategy: string) =>
  strategy === "in-order" || strategy === "priority"
    ? "as listed"
    : strategy === "shuffle" || strategy === "random"
    ? "shuffled"
    : "on from the last"

const isDecided = (state: State): boolean =>
  state._tag === "Open" || state._tag === "Closed" || (state._tag === "Idle" && state.fault !== undefined)

/** @internal */
export const supervised = Effect.fnUntraced(function*(
  endpoints: Endpoints,
  supervision: Supervision,
  secret?: Redacted.Redacted | undefined
) {
  const transport = yield* Transport
  const clock = yield* Effect.clock
  const fork = yield* makeFork
  const first = endpoints[0]
  const isLazy = supervision.lazy === true
  const state = yield* Cell.make<State>(
    isLazy
      ? { _tag: "Idle", until: "use", fault: undefined }
      : { _tag: "Connecting", endpoint: endpointOf(first), fault: undefined }
  )
  const core = new ConnectionCore({
    options: first,
    whenDisconnected: supervision.whenDisconnected ?? "wait",
    publishTimeout: Duration.decode(supervision.publishTimeout ?? "30 seconds"),
    recovery: supervision.recovery ?? {},
    state,
    clock,
    fork,
    wake: () => {
      if (running === undefined && !isHeld) start()
    }
  })
  core.secret = secret
  const isFinal = ErrorPolicy.capInternalErrors(supervision.isFinal ?? ErrorPolicy.isFinal)
  for (const warning of new Set(endpoints.flatMap(({ warnings }) => warnings))) yield* warn("Connection", warning)

  const rounds = makeRounds(endpoints, supervision.failover)
  const failover = failoverName(endpoints, supervision.failover)
  const addresses = makeAddresses(transport, orderOfAddresses(failover))
  const opened = Deferred.unsafeMake<void, ConnectError>(FiberId.none)
  /** What the next dial comes after. */
  let before: { readonly fault: RecoverableError | undefined; readonly round: number } = { fault: undefined, round: 0 }

  const supervisor = yield* makeSupervisor({
    rounds,
    addresses: (options) =>
      addresses.of({
        endpoint: endpointOf(options),
        host: options.host,
        port: options.port,
        limit: options.socketTimeout
      }),
    dial: (options, address) =>
      Effect.flatMap(beforeDial(supervision.beforeDial, { options, address, ...before }), (changed) => {
        addresses.tried(endpointOf(options), address)
        return dial(changed, changed.host === options.host ? address : undefined, {
          transport,
          now: core.now,
          decode: supervision.decode ?? "plain",
          secret: core.secret,
          requires: supervision.requires ?? []
        })
      }),
    up: (dialled) => core.up(dialled),
    ended: (dialled) => core.ended(dialled),
    leave: core.leave,
    connect: supervision.connect ?? defaultConnect(first),
    reconnect: supervision.reconnect ?? defaultReconnect,
    isFinal: (fault) => core.isClosing || isFinal(fault),
    isLeaving,
    stableAfter: Duration.decode(supervision.stableAfter ?? "5 seconds"),
    onDialling: (options, fault) => {
      if (core.isClosing) return
      if (fault !== undefined) {
        before = { ...before, fault }
        fork(warn("Connection", `${fault.message}; dialling ${endpointOf(options)}`))
      }
      const present = state.unsafeGet()
      const endpoint = endpointOf(options)
      // Whoever started this round has said so already.
      if (fault === undefined && present._tag === "Connecting" && present.endpoint === endpoint) return
      state.unsafeSet({ _tag: "Connecting", endpoint, fault })
    },
    onOpen: ({ endpoint }) => {
      before = { fault: undefined, round: 0 }
      core.opened(endpoint)
    },
    onRecovering: (fault, round, delay) => {
      if (core.isClosing) return
      before = { fault, round }
      state.unsafeSet({ _tag: "Recovering", fault, round, delay })
      fork(warn("Connection", `${fault.message}; dialling again in ${Duration.format(delay)}`))
    }
  }, (exit) => Deferred.unsafeDone(opened, exit))

  // --- Life: nothing runs while it is paused, or lazy and not used yet ---

  let running: Fiber.RuntimeFiber<void> | undefined
  /** Paused, or on the way from one socket to another: no use of the connection makes it dial. */
  let isHeld = false
  const changing = Effect.unsafeMakeSemaphore(1)

  const onEnd = ({ fault, first, isFinal }: Ending): void => {
    if (!isLazy || first === undefined || isFinal || core.over !== undefined) {
      // A first connect fails whoever made the connection. After that, or if it is lazy, perhaps nobody waits for it.
      if (core.over === undefined && (isLazy || first === undefined)) {
        fork(warn("Connection", `${fault.message}; giving up`))
      }
      return core.end(fault)
    }
    running = undefined
    state.unsafeSet({ _tag: "Idle", until: "use", fault: first })
    core.notConnected(first)
  }

  const start = (): void => {
    if (core.over !== undefined) return
    isHeld = false
    state.unsafeSet({ _tag: "Connecting", endpoint: endpointOf(rounds.known()[0]), fault: undefined })
    running = fork(Effect.asVoid(Effect.onExit(supervisor.run, (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) return onEnd(exit.value)
        if (Cause.isInterruptedOnly(exit.cause)) return
        core.end(undefined)
        // A defect (a Schedule, a policy or credentials that throw) must not leave the first connect waiting.
        Deferred.unsafeDone(opened, Effect.failCause(exit.cause))
      }))))
  }

  /** Whatever it is at (a socket whose peer did not answer, a dial, a delay), it is over. */
  const stop = Effect.suspend(() => {
    const stopped = running
    running = undefined
    isHeld = true
    return Effect.zipRight(stopped === undefined ? Effect.void : Fiber.interrupt(stopped), supervisor.discard)
  })

  const halt = Effect.zipRight(core.leave, stop)

  const change = (effect: Effect.Effect<void>): Effect.Effect<void> =>
    changing.withPermits(1)(
      Effect.uninterruptible(Effect.suspend(() => core.over === undefined ? effect : Effect.void))
    )

  const pause = change(Effect.zipRight(
    halt,
    Effect.sync(() => {
      const present = state.unsafeGet()
      if (core.over !== undefined || (present._tag === "Idle" && present.until === "resume")) return
      state.unsafeSet({ _tag: "Idle", until: "resume", fault: undefined })
    })
  ))

  const resume = change(Effect.sync(() => {
    if (running === undefined) start()
  }))

  const reconnectNow = change(Effect.zipRight(
    halt,
    Effect.sync(() => {
      supervisor.reset()
      start()
    })
  ))

  const goTo = (options: ConnectionOptions, restore: Restore): Effect.Effect<void, ConnectError> =>
    Effect.gen(function*() {
      const gone = ConnectError.at(endpointOf(options), "Refused", "the connection is closed")
      if (core.over !== undefined) return yield* gone
      const session = yield* supervisor.dial(options, restore)
      yield* halt
      if (core.over !== undefined) {
        yield* Scope.close(session.scope, Exit.void)
        return yield* gone
      }
      supervisor.reset()
      supervisor.adopt(session)
      start()
    })

  const switchEndpoint = (endpoint: ConnectionOptions.Endpoint): Effect.Effect<void, ConnectError> =>
    Effect.flatMap(
      readEndpoint(first, endpoint, "switchEndpoint"),
      (options) => changing.withPermits(1)(Effect.uninterruptibleMask((restore) => goTo(options, restore)))
    )

  const closed: Effect.Effect<RecoverableError | undefined> = Effect.suspend(() =>
    Effect.map(Stream.runDrain(state.changes), () => {
      const last = state.unsafeGet()
      return last._tag === "Closed" ? last.cause : undefined
    })
  )

  const close = (code: number, text: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (core.isClosing) return Effect.asVoid(closed)
      return core.sayGoodbye(code, text).pipe(
        Effect.zipRight(Effect.sync(() => core.end(undefined))),
        Effect.zipRight(stop),
        Effect.asVoid,
        Effect.uninterruptible
      )
    })

  const ready = (limit: Duration.Duration): Effect.Effect<void, ConnectError | ConnectionClosed | OperationTimeout> =>
    Effect.gen(function*() {
      if (core.over !== undefined) return yield* core.over
      if (running === undefined && !isHeld) start()
      const decided = yield* Stream.runHead(Stream.filter(state.changes, isDecided)).pipe(
        Effect.timeoutFail({
          duration: limit,
          onTimeout: () => new OperationTimeout({ operation: "connection.ready", limit })
        })
      )
      const failed = Option.isSome(decided) && decided.value._tag === "Idle" ? decided.value.fault : core.over
      if (failed !== undefined) return yield* failed
    })

  // Added last, so it runs first: the goodbye still has its supervisor, timer and socket.
  yield* Scope.addFinalizer(yield* Effect.scope, Effect.suspend(() => close(200, "Normal shutdown")))
  if (!isLazy) {
    start()
    yield* Deferred.await(opened)
  }

  return {
    core,
    state,
    closed,
    close,
    pause,
    resume,
    reconnectNow,
    switchEndpoint,
    ready,
    info: Effect.sync(() => ({ ...core.info, failover, alternates: rounds.known().map(endpointOf) })),
    transport
  }
})
