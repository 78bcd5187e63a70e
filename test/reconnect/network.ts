/** A network of named nodes in virtual time, with a diary of who was dialled when. */
import { Transport } from "effect-amqp"
import { AmqpError } from "effect-amqp"
import type { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

export interface Dialled {
  /** Milliseconds of virtual time. */
  readonly at: number
  /** The node, and which of its addresses where it has several: `a`, `cluster@10.0.0.2`. */
  readonly where: string
  readonly target: Transport.Target
}

export interface Network {
  readonly broker: Broker.Service
  readonly dials: Array<Dialled>
  /** Nodes (or addresses) that refuse. */
  readonly down: Set<string>
  /** Addresses behind names; a name with none cannot be resolved. */
  readonly names: Map<string, ReadonlyArray<string>>
  /** What was dialled since the last time, as `at where`. */
  readonly read: () => ReadonlyArray<string>
  /** Takes nodes away, and cuts everybody's connection. */
  readonly lose: (...nodes: ReadonlyArray<string>) => Effect.Effect<void>
}

/** Runs a program on a network of its own, all of whose nodes are the same broker. */
export const onNetwork = <A, E, R>(program: (network: Network) => Effect.Effect<A, E, R | Transport.Transport>) =>
  Effect.gen(function*() {
    const memory = yield* Transport.makeMemory
    const broker = yield* Effect.provideService(Broker.make(), Transport.TransportServer, memory.server)
    const dials: Array<Dialled> = []
    const down = new Set<string>()
    const names = new Map<string, ReadonlyArray<string>>()
    const transport: typeof memory.transport = {
      resolve: ({ host, port }) => {
        const addresses = names.get(host) ?? [host]
        return addresses.length === 0
          ? AmqpError.ConnectError.at(`${host}:${port}`, "Dns", "no such host")
          : Effect.succeed(addresses)
      },
      dial: (target) =>
        Effect.flatMap(now, (at) => {
          const { address = target.host, host, port } = target
          dials.push({ at, where: address === host ? host : `${host}@${address}`, target })
          return down.has(host) || down.has(address)
            ? AmqpError.ConnectError.at(`${host}:${port}`, "Refused", "down")
            : memory.transport.dial({ ...target, scheme: "memory" })
        })
    }
    const network: Network = {
      broker,
      dials,
      down,
      names,
      read: () => dials.splice(0).map(({ at, where }) => `${at} ${where}`),
      lose: (...nodes) =>
        Effect.suspend(() => {
          for (const node of nodes) down.add(node)
          return Effect.asVoid(broker.dropConnections)
        })
    }
    return yield* Effect.provideService(program(network), Transport.Transport, transport)
  }).pipe(Effect.scoped, Effect.withRandom(Random.make("reconnect")))

/** Whatever a connection is at, from now on. */
export const states = (connection: Connection.Connection) =>
  Effect.gen(function*() {
    const seen: Array<Connection.State> = []
    yield* Effect.forkScoped(
      Stream.runForEach(connection.changes, (state) => Effect.sync(() => void seen.push(state)))
    )
    yield* settle
    return seen
  })

/** Everything that can happen without time passing. */
export const settle = TestClock.adjust(0)

/** Prints what was found, as a table. */
export const print = (
  title: string,
  heads: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): void => {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`
  console.log([
    title,
    line(heads),
    line(widths.map((width) => "-".repeat(width))),
    ...rows.map(line)
  ].join("\n"))
}

export const seconds = (millis: number): string => `${millis / 1000} s`
