/** Faults of the network and of the broker, of which the seed picks. */
import type { Connection } from "effect-amqp/amqp091"
import type { Broker } from "effect-amqp/broker"
import { Fault } from "effect-amqp/broker"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Network } from "./network.ts"
import type { Chance } from "./random.ts"
import type { World } from "./world.ts"

/** The broker's own: any of those it knows, each with what it needs. */
const ofBroker = (chance: Chance): Fault.Fault => {
  const selected = chance.of(0.5) ? { connection: `client-${chance.int(0, 2)}` } : {}
  const name = chance.pick(Object.keys(Fault.definitions).filter(Fault.isName))!
  switch (name) {
    case "drop":
      return { _tag: "Drop", ...selected }
    case "dropAfter":
      return { _tag: "DropAfter", frames: chance.int(1, 30), of: chance.pick(["client", "broker"]), ...selected }
    case "refuse":
      return { _tag: "Refuse", ...selected }
    case "stall":
      return { _tag: "Stall", ...selected }
    case "block":
      return { _tag: "Block", reason: "memory", ...selected }
    case "nackNext":
      return { _tag: "NackNext", count: chance.int(1, 5), ...selected }
    case "loseNext":
      return { _tag: "LoseNext", count: chance.int(1, 3), stored: chance.of(0.5), ...selected }
    case "closeChannel":
      return { _tag: "CloseChannel", code: chance.pick([403, 404, 406]), ...selected }
    case "closeConnection":
      return { _tag: "CloseConnection", code: chance.pick([320, 501]), ...selected }
    case "cancelConsumer":
      return { _tag: "CancelConsumer", ...(chance.of(0.5) ? { queue: "q0" } : {}), ...selected }
    case "delay":
      return { _tag: "Delay", by: Duration.millis(chance.int(1, 3000)), ...selected }
    case "silence":
      return { _tag: "Silence", ...selected }
    case "skipHeartbeats":
      return { _tag: "SkipHeartbeats", ...selected }
    case "cutFrame":
      return { _tag: "CutFrame", frames: chance.int(0, 20), ...selected }
    case "splitWrites":
      return { _tag: "SplitWrites", ...selected }
  }
}

const ofNetwork = (
  network: Network,
  chance: Chance,
  nodes: readonly [string, ...Array<string>]
): readonly [string, () => unknown, undo: () => void] => {
  const millis = chance.int(50, 4000)
  const node = chance.pick(nodes)
  return chance.pick<readonly [string, () => unknown, () => void]>([
    ["cuts a link", () => network.cut(false), () => {}],
    ["cuts a link", () => network.cut(false), () => {}],
    ["cuts all links", () => network.cut(true), () => {}],
    ["makes a link deaf", () => network.deafen(), () => {}],
    [`slows a link by ${millis}`, () => network.slow(millis), () => network.heal()],
    ["refuses dials", () => network.refuse(true), () => network.refuse(false)],
    ["ignores dials", () => network.ignore(true), () => network.ignore(false)],
    ["forgets names", () => network.forget(true), () => network.forget(false)],
    [`loses ${node}`, () => network.lose(node), () => network.find(node)],
    [`loses ${node}`, () => network.lose(node), () => network.find(node)]
  ])
}

/** What a program may ask of its connection at any time; each comes to its end. */
const ofClient = (
  connection: Connection.Connection,
  chance: Chance,
  nodes: readonly [string, ...Array<string>]
): readonly [string, Effect.Effect<unknown>, undo: Effect.Effect<void>] => {
  const host = chance.pick(nodes)
  return chance.pick<readonly [string, Effect.Effect<unknown>, Effect.Effect<void>]>([
    ["pauses", connection.pause, connection.resume],
    ["dials anew", connection.reconnectNow, Effect.void],
    [`goes to ${host}`, Effect.exit(connection.switchEndpoint({ host })), Effect.void]
  ])
}

/** Where it happens. */
export interface Place {
  readonly world: World
  readonly network: Network
  readonly broker: Broker.Service
  readonly nodes: readonly [string, ...Array<string>]
  /** Those that are there by now. */
  readonly connections: ReadonlyArray<Connection.Connection>
}

/** One fault, for a while. */
export const one = ({ broker, connections, network, nodes, world }: Place): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { chance } = world
    const lasting = Duration.millis(chance.pick([10, 1000, 20_000]))
    const connection = chance.of(0.2) ? chance.pick(connections) : undefined
    if (connection !== undefined) {
      const [what, ask, undo] = ofClient(connection, chance, nodes)
      world.tell(`a client ${what}`)
      yield* ask
      yield* Effect.sleep(lasting)
      return yield* undo
    }
    if (chance.of(0.5)) {
      const [what, make, undo] = ofNetwork(network, chance, nodes)
      world.tell(`the network ${what}: ${make()}`)
      yield* Effect.sleep(lasting)
      return undo()
    }
    const fault = ofBroker(chance)
    const injected = yield* broker.inject(fault)
    world.tell(`the broker has ${JSON.stringify(fault)}: ${injected.affected}`)
    yield* Effect.sleep(lasting)
    yield* injected.heal
  })
