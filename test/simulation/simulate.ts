/** One seed, from its plan to the verdict. */
import { Channel, Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Stage } from "./actors.ts"
import { bounds, consumer, publisher } from "./actors.ts"
import * as Faults from "./faults.ts"
import { Ledger } from "./ledger.ts"
import * as Network from "./network.ts"
import { leaver, owner, probe } from "./owners.ts"
import { perform } from "./perform.ts"
import * as Plan from "./plan.ts"
import type { Pace } from "./world.ts"
import { World } from "./world.ts"

export interface Result {
  readonly seed: number
  readonly violations: ReadonlyArray<string>
  /** What happened, a line each. */
  readonly log: ReadonlyArray<string>
  readonly steps: number
  readonly messages: number
  readonly deliveries: number
  readonly isFaultless: boolean
  /** Virtual milliseconds. */
  readonly time: number
}

/** What a pipe may hold of a load as small as this. */
const mostHeld = 2 * 1024 * 1024

/** What takes longer does not end: faults are healed, and every bound is a fraction of it. */
const forEver = Duration.minutes(10)

const ends = <A, E, R>(stage: Stage, what: string, effect: Effect.Effect<A, E, R>, within = forEver) =>
  Effect.timed(effect).pipe(
    Effect.map(([took]) => {
      if (Duration.greaterThan(took, within)) stage.ledger.violated(`${what} took ${Duration.toMillis(took)} ms`)
    }),
    Effect.disconnect,
    Effect.timeoutOption(Duration.times(within, 2)),
    Effect.map((ended) => {
      if (ended._tag === "None") stage.ledger.violated(`${what} does not end`)
    })
  )

const becomes = (stage: Stage, what: string, check: Effect.Effect<string | undefined>, seconds: number) =>
  Effect.gen(function*() {
    let found = yield* check
    for (let second = 0; second < seconds * 4 && found !== undefined; second++) {
      yield* Effect.sleep("250 millis")
      found = yield* check
    }
    if (found !== undefined) stage.ledger.violated(`${what}: ${found}`)
  })

const play = (stage: Stage, network: Network.Network, plan: Plan.Plan) =>
  Effect.gen(function*() {
    const { ledger, world } = stage
    const { chance } = world
    let names = 0
    const broker = yield* Broker.make({ generateName: () => `${++names}` })
    const recorded = yield* broker.record({ last: 1_000_000 })
    /** Some hear only when they ask where the nodes are; and may not be told. */
    const discovered = Effect.suspend(() => {
      if (!stage.isHealed && chance.of(0.2)) return Effect.fail("nobody knows")
      const [first, ...rest] = plan.nodes
      return Effect.succeed([...rest, first].map((host) => ({ host })))
    })
    const connect = (name: string, beforeDial?: Connection.BeforeDial) =>
      // Some are opened where nothing is interrupted, as by an acquisition or a finalizer.
      (beforeDial === undefined && chance.of(0.2) ? Effect.uninterruptible : Effect.interruptible)(Connection.make({
        urls: Arr.map(plan.nodes, (node) => `amqp://${node}`),
        failover: plan.failover === "discovery" ? discovered : plan.failover,
        beforeDial,
        name,
        heartbeat: `${plan.heartbeat} seconds`,
        frameMax: plan.frameMax,
        connect: Schedule.spaced("500 millis"),
        ...bounds
      }))

    yield* Effect.scoped(Effect.gen(function*() {
      const channel = yield* Effect.provideServiceEffect(Channel.make(), Connection.Connection, connect("admin"))
      for (const each of plan.exchanges) yield* channel.exchangeDeclare(each)
      for (const { name } of plan.queues) yield* channel.queueDeclare({ queue: name })
      for (const each of plan.bindings) yield* channel.queueBind(each)
    }))

    const connections: Array<Connection.Connection> = []
    const place: Faults.Place = { world, network, broker, nodes: plan.nodes, connections }
    const faults = yield* Effect.fork(Effect.forEach(
      Array.from({ length: plan.faults }, () => chance.int(0, plan.span)),
      (at) => Effect.delay(Effect.suspend(() => Faults.one(place)), Duration.millis(at)),
      { concurrency: "unbounded", discard: true }
    ))

    const clients = yield* Scope.make()
    for (let index = 0; index < plan.connections; index++) {
      connections.push(yield* Scope.extend(connect(`client-${index}`), clients))
    }
    const of = ({ connection }: { readonly connection: number }) => connections[connection % connections.length]!
    const consumers = yield* Effect.forEach(
      plan.consumers,
      (each) => Effect.fork(consumer(stage, each, of(each)))
    )
    const publishers = yield* Effect.forEach(
      plan.publishers,
      (each) => Effect.fork(publisher(stage, each, of(each)))
    )

    const owners = yield* Effect.forEach(plan.owners, (each) => Effect.fork(owner(stage, each, of(each))))
    const leavers = yield* Effect.forEach(
      plan.leavers,
      (each) => Effect.fork(leaver(stage, each, (beforeDial) => connect(each.name, beforeDial)))
    )

    yield* Fiber.join(faults)
    network.heal()
    yield* broker.heal()
    stage.isHealed = true
    world.tell("all is healed")

    yield* ends(stage, "publishing", Fiber.joinAll(publishers))
    yield* ends(stage, "owning", Fiber.joinAll(owners))
    yield* ends(stage, "leaving", Fiber.joinAll(leavers))
    const left = Effect.map(broker.queues(), (queues) => {
      if (network.mostHeld() > mostHeld) ledger.violated(`a pipe held ${network.mostHeld()} octets`)
      const all = queues.filter(({ ready, unsettled }) => ready > 0 || unsettled > 0)
      return all.length === 0 ? undefined : JSON.stringify(all)
    })
    yield* becomes(stage, "messages are left", left, 600)
    // What does not ask for acknowledgements may still have some at hand.
    for (let before = -1; before !== ledger.deliveries;) {
      before = ledger.deliveries
      yield* Effect.sleep("1 second")
    }
    world.tell("all is consumed")

    yield* ends(stage, "the end of consumers", Fiber.interruptAll(consumers), Duration.seconds(30))
    yield* becomes(
      stage,
      "consumers are left",
      Effect.map(broker.queues(), (queues) => {
        const consumed = queues.filter(({ consumers }) => consumers > 0)
        return consumed.length === 0 ? undefined : JSON.stringify(consumed)
      }),
      60
    )
    yield* becomes(
      stage,
      "channels are left",
      Effect.map(broker.connections, (open) => {
        const used = open.filter(({ channels }) => channels > 0)
        return used.length === 0 ? undefined : JSON.stringify(used)
      }),
      60
    )
    // Its bound for each connection, one after the other, and the way there.
    const goodbyes = Duration.seconds(3.5 * plan.connections)
    yield* ends(stage, "the goodbye", Scope.close(clients, Exit.void), goodbyes)
    yield* becomes(
      stage,
      "connections are left",
      Effect.map(broker.connections, (open) => open.length === 0 ? undefined : JSON.stringify(open)),
      60
    )
    const ids = Array.from(yield* recorded, ({ properties }) => properties.messageId ?? "")
    ledger.recorded(ids.filter((id) => id !== probe))
  })

/** Some live by a clock of fractions of milliseconds, whose sleeps may end a little early. */
const paces: ReadonlyArray<Pace | undefined> = [
  undefined,
  undefined,
  undefined,
  { start: 1234.567891, asleep: (millis) => millis },
  { start: 1_795_000_000_000.3, asleep: Math.floor }
]

/** Runs a seed. */
export const simulate = async (seed: number): Promise<Result> => {
  const world = new World(seed, paces[seed % paces.length])
  const plan = Plan.make(world.chance)
  const isFaultless = plan.faults === 0
  const ledger = new Ledger({
    queuesThatLose: new Set(plan.queues.filter(({ isLossy }) => isLossy).map(({ name }) => name)),
    isFaultless
  })
  const stage: Stage = { world, ledger, isFaultless, isHealed: isFaultless }
  const network = Network.make(
    world,
    (host) => plan.addresses === 1 ? [host] : Array.from({ length: plan.addresses }, (_, index) => `${host}.${index}`)
  )
  world.tell(JSON.stringify(plan))
  const judge = () => {
    ledger.judge()
    if (network.open() > 0) ledger.violated(`${network.open()} pipes are left`)
  }
  await perform({ world, ledger, network, judge }, play(stage, network, plan))
  return {
    seed,
    violations: ledger.violations,
    log: world.log,
    steps: world.steps,
    messages: ledger.entries.size,
    deliveries: ledger.deliveries,
    isFaultless,
    time: world.now
  }
}
