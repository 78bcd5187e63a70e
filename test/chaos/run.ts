/** Puts a client under chaos, and counts. */
import { Channel, Connection } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ChaosProxy from "../harness/chaosProxy.ts"
import type { RabbitMq } from "../harness/rabbitmq.ts"
import type { Assignment, Bounds, Client } from "./client.ts"
import type { Report } from "./ledger.ts"
import { Ledger } from "./ledger.ts"

export const bounds: Bounds = { window: 100, prefetch: 100 }

/** Something done to a proxy; it is healed after the rest of the interval. */
export type Fault = (proxy: ChaosProxy.ChaosProxy) => Effect.Effect<unknown>

export const faults = {
  cut: (proxy) => proxy.cut,
  reset: (proxy) => proxy.reset,
  deafen: (proxy) => proxy.deafen,
  delay: (proxy) => proxy.delay(150),
  throttle: (proxy) => proxy.throttle(50_000),
  singleOctets: (proxy) => proxy.singleOctets,
  refuse: (proxy) => Effect.zipRight(proxy.refuse, proxy.reset)
} satisfies Record<string, Fault>

/**
 * A flipped bit in each part of a frame, from each side, after which nothing that was confirmed may be lost: it breaks the
 * framing or a command, which the peer notices, or one message.
 *
 * The arguments of methods are left alone. A bit flipped there says in good order what nobody said: a confirm for another
 * publish, an acknowledgement of another delivery, another routing key. No client could know, and what is lost is lost.
 * The sizes of our frames are left alone too: a broker that waits for the rest of a longer frame sends its heartbeats and
 * no confirm, so that publishes fail `OutcomeUnknown` after the publish timeout, until they have filled the frame.
 */
export const flips: ReadonlyArray<Fault> = [
  ...(["envelope", "size", "command", "properties", "body"] as const).map((part): Fault => (proxy) =>
    proxy.flip("server", part)
  ),
  ...(["envelope", "command", "properties", "body"] as const).map((part): Fault => (proxy) =>
    proxy.flip("client", part)
  )
]

/**
 * What is known besides the ledger: how much was in flight at most, how often the client lost a connection it worked on, and
 * how many bits were flipped.
 */
export interface Outcome extends Report, Bounds {
  readonly cuts: number
  readonly flipped: number
  /** Nothing moved for as long as `patience` says, and it was given up. */
  readonly isStuck: boolean
}

/**
 * What is wrong with an outcome. One loss of a connection may cost this much and no more: each publish that is not confirmed
 * is sent again once, each delivery that is not acknowledged is handed out again once. A node that was killed may besides
 * have forgotten acknowledgements it had not written yet: what comes again is not bounded by the client then.
 */
export const failures = (
  { cuts, isStuck, lost, prefetch, redelivered, republished, window }: Outcome,
  fails: "network" | "broker" = "network"
): ReadonlyArray<string> => [
  ...isStuck ? ["got stuck"] : [],
  ...lost > 0 ? [`${lost} confirmed messages are lost`] : [],
  ...republished > cuts * window
    ? [`${republished} were published again, over ${cuts} cuts with ${window} in flight`]
    : [],
  ...fails === "network" && redelivered > cuts * prefetch
    ? [`${redelivered} came again, over ${cuts} cuts with a prefetch of ${prefetch}`]
    : []
]

/** The time it may take until all that was confirmed was received, with a machine that has others to serve. */
const patience = Duration.seconds(90)

const onQueue = (rabbit: RabbitMq, act: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>) =>
  Effect.flatMap(Channel.make(), act).pipe(
    Effect.provide(Connection.layer({ url: rabbit.url })),
    Effect.provide(NodeTransport.layer),
    Effect.scoped,
    Effect.orDie
  )

export interface Options {
  readonly bounds?: Bounds | undefined
  readonly reconnect?: Assignment["reconnect"]
  readonly onFault?: ((fault: unknown) => void) | undefined
  /** How long a client may make no progress at all before it is given up. Default: it is never. */
  readonly stuckAfter?: Duration.Duration | undefined
}

const stuck = (ledger: Ledger, after: Duration.Duration | undefined) =>
  after === undefined ? Effect.never : Effect.sleep("500 millis").pipe(
    Effect.repeat({ until: () => performance.now() - ledger.progressedAt > Duration.toMillis(after) })
  )

/** Runs a client while `chaos` lasts, and for as long as it takes to receive everything that was confirmed. */
export const underChaos = <E, R>(
  rabbit: RabbitMq,
  client: Client,
  chaos: (proxy: ChaosProxy.ChaosProxy, ledger: Ledger) => Effect.Effect<unknown, E, R>,
  { bounds: given = bounds, onFault, reconnect, stuckAfter }: Options = {}
): Effect.Effect<Outcome, E, R> =>
  Effect.gen(function*() {
    const proxy = yield* ChaosProxy.make(rabbit)
    const queue = `chaos-${client.name}`
    yield* Effect.acquireRelease(
      onQueue(rabbit, (channel) => channel.queueDeclare({ queue })),
      () => onQueue(rabbit, (channel) => channel.queueDelete({ queue }))
    )
    const ledger = new Ledger()
    const url = rabbit.url.replace(`:${rabbit.port}/`, `:${proxy.port}/`)
    const running = yield* Effect.orDie(
      client.start({ ...given, onFault, reconnect, urls: [url], firstId: 0, queue, ledger })
    )
    ledger.begin()
    const work = Effect.gen(function*() {
      yield* chaos(proxy, ledger)
      yield* proxy.heal
      yield* Effect.timeoutOption(running.stop, patience)
      ledger.stop()
      const isMissing = () => ledger.missing.length > 0
      const waited = yield* Effect.sleep("200 millis").pipe(
        Effect.repeat({ while: isMissing }),
        Effect.timeoutOption(patience)
      )
      return Option.isNone(waited) && isMissing()
    })
    const isStuck = yield* Effect.raceFirst(work, Effect.as(stuck(ledger, stuckAfter), true))
    ledger.stop()
    return { ...ledger.report, ...given, cuts: yield* proxy.ended, flipped: yield* proxy.flipped, isStuck }
  }).pipe(Effect.scoped)

/**
 * Faults one after the other, each for a part of the interval: as soon as messages flow again after the one before, or
 * `whenever`, which may be in the middle of a handshake.
 */
export const oneByOne = (
  list: ReadonlyArray<Fault>,
  interval: Duration.DurationInput,
  moment: "flowing" | "whenever" = "flowing"
) =>
(proxy: ChaosProxy.ChaosProxy, ledger: Ledger) =>
  Effect.forEach(list, (fault) =>
    Effect.gen(function*() {
      if (moment === "flowing") yield* Effect.timeoutOption(flowing(ledger), "10 seconds")
      ledger.fault()
      // A bit is flipped once there is one: the connection may still be away.
      yield* Effect.timeoutOption(fault(proxy), "20 seconds")
      yield* Effect.sleep(Duration.times(interval, 0.6))
      yield* proxy.heal
      yield* Effect.sleep(Duration.times(interval, 0.4))
    }), { discard: true })

/** Waits for one more confirm. */
export const flowing = (ledger: Ledger): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = ledger.confirmCount
    return Effect.asVoid(Effect.repeat(Effect.sleep("50 millis"), { until: () => ledger.confirmCount > before }))
  })
