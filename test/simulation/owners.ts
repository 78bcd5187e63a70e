/**
 * Those who declare something through their connection, and find it there whenever it is open; and those who close their
 * connection in the middle of everything.
 */
import type { AmqpError, Transport } from "effect-amqp"
import { Channel, Connection, Topology } from "effect-amqp/amqp091"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Stage } from "./actors.ts"
import { bounds, noDefect } from "./actors.ts"
import type { LeaverPlan, OwnerPlan } from "./plan.ts"

/** Messages that are nobody's: they only show where they go. */
export const probe = "probe"

/** By when everything works, once all is healed. */
const patience = 120

export const owner = (stage: Stage, plan: OwnerPlan, connection: Connection.Connection): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { ledger, world } = stage
    const { name, way } = plan
    const exchange = `x-${name}`
    const gone = `gone-${name}`
    let report: Topology.RecoveryReport | undefined
    yield* Effect.forkScoped(Stream.runForEach(connection.recoveries, (next) =>
      Effect.sync(() => {
        report = next
        world.tell(`${name} has ${JSON.stringify({ restored: next.restored, renamed: next.renamed })}`)
      })))

    /** What was refused, as by a broker that has not noticed yet that the last socket is dead, is for the next socket. */
    const mend = Effect.suspend(() => {
      const hasFailed = report !== undefined && report.failures.length > 0
      if (hasFailed) report = undefined
      return hasFailed ? Effect.as(connection.reconnectNow, true) : Effect.succeed(false)
    })
    const again = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
      Effect.gen(function*() {
        for (;;) {
          const exit = yield* Effect.exit(effect)
          noDefect(stage, name, exit)
          if (Exit.isSuccess(exit)) return exit.value
          world.tell(`${name}: ${String(Cause.squash(exit.cause))}`)
          yield* Effect.sleep("500 millis")
          yield* mend
        }
      })
    // Each on a channel of its own: a fault may close it for good.
    const on = <A, E>(use: (channel: Channel.ConfirmChannel) => Effect.Effect<A, E>) =>
      again(Effect.scoped(Effect.flatMap(Channel.makeConfirm(), use)))

    let queue: string | Channel.QueueRef = `own-${name}`
    const exchanges = [{ exchange, type: "direct", durable: false, autoDelete: way === "auto-delete" }]
    if (way === "declared") {
      yield* again(
        Topology.declare({
          exchanges,
          queues: [{ queue: `own-${name}`, exclusive: true }],
          bindings: [{ queue: `own-${name}`, exchange, routingKey: probe }]
        })
      )
    } else {
      queue = yield* on((channel) =>
        channel.queueDeclare(way === "server-named" ? {} : { queue: `own-${name}`, exclusive: true })
      )
      const bound = queue
      for (const each of exchanges) yield* on((channel) => channel.exchangeDeclare(each))
      yield* on((channel) => channel.queueBind({ queue: bound, exchange, routingKey: probe }))
      yield* on((channel) => channel.queueDeclare({ queue: gone, exclusive: true }))
      yield* on((channel) => channel.queueDelete({ queue: gone }))
    }
    while (!stage.isHealed) yield* Effect.sleep("250 millis")
    if (!stage.isFaultless && world.chance.of(0.5)) yield* connection.reconnectNow

    const wrong = Effect.gen(function*() {
      yield* connection.ready({ timeout: "30 seconds" })
      if (yield* mend) return "the last recovery failed"
      const channel = yield* Channel.makeConfirm()
      yield* channel.publish({
        exchange,
        routingKey: probe,
        mandatory: true,
        content: "",
        properties: { messageId: probe }
      })
      const got = yield* channel.get({ queue, noAck: true })
      if (Option.isNone(got)) return "its message does not come"
      return Option.isSome(yield* Channel.queueExists(gone)) ? `${gone} is there` : undefined
    }).pipe(Effect.scoped)

    let found: string | undefined = "never looked"
    for (let second = 0; second < patience; second++) {
      const exit = yield* Effect.exit(wrong)
      noDefect(stage, name, exit)
      found = Exit.isSuccess(exit) ? exit.value : String(Cause.squash(exit.cause))
      if (found === undefined) break
      world.tell(`${name}: ${found}`)
      yield* Effect.sleep("1 second")
    }
    if (found !== undefined) ledger.violated(`what ${name} declared (${way}) is not there: ${found}`)
  }).pipe(Effect.scoped, Effect.provideService(Connection.Connection, connection))

type Connect = (
  beforeDial: Connection.BeforeDial
) => Effect.Effect<Connection.Connection, AmqpError.ConnectError, Transport.Transport | Scope.Scope>

/** Closing wins, whatever the connection is at: nobody is dialled any more, and who works there is told. */
export const leaver = (
  stage: Stage,
  plan: LeaverPlan,
  connect: Connect
): Effect.Effect<void, never, Transport.Transport> =>
  Effect.gen(function*() {
    const { ledger, world } = stage
    const { name } = plan
    let hasLeft = false
    const opened = yield* connect(() =>
      Effect.sync(() => {
        if (hasLeft) ledger.violated(`${name} dials after its end`)
      })
    ).pipe(Effect.timeoutOption(Duration.millis(plan.at)), Effect.option, Effect.map(Option.flatten))
    if (Option.isNone(opened)) return
    const connection = opened.value

    const work = Effect.gen(function*() {
      const channel = yield* Channel.makeConfirm()
      yield* channel.queueDeclare({ queue: `own-${name}`, exclusive: true })
      return yield* Stream.runDrain(channel.consume({ queue: `own-${name}` }))
    }).pipe(Effect.scoped, Effect.provideService(Connection.Connection, connection))
    const working = yield* Effect.fork(Effect.gen(function*() {
      for (;;) {
        const exit = yield* Effect.exit(work)
        noDefect(stage, name, exit)
        if (yield* connection.isClosed) return
        yield* Effect.sleep("100 millis")
      }
    }))
    yield* Effect.sleep(Duration.millis(Math.max(0, plan.at - world.now)))
    if (plan.before === "pause") yield* Effect.forkScoped(connection.pause)
    if (plan.before === "reconnectNow") yield* connection.reconnectNow
    if (plan.before === "switchEndpoint") {
      yield* Effect.forkScoped(Effect.exit(connection.switchEndpoint({ host: "node-0" })))
    }
    yield* Effect.sleep(Duration.millis(plan.by))

    const { _tag } = yield* connection.state
    const begun = world.now
    yield* connection.close()
    hasLeft = true
    world.tell(`${name} closes, while ${_tag}`)
    const took = world.now - begun
    if (took > Duration.toMillis(bounds.closeTimeout) + 10) ledger.violated(`${name} took ${took} ms to close`)
    yield* connection.resume
    yield* connection.reconnectNow
    yield* Effect.ignore(connection.switchEndpoint({ host: "node-0" }))
    if (!(yield* connection.isClosed)) ledger.violated(`${name} is not closed`)
    const ended = yield* Effect.timeoutOption(Fiber.join(working), "1 second")
    if (Option.isNone(ended)) ledger.violated(`${name} works on`)
    yield* Effect.sleep("1 minute")
  }).pipe(Effect.scoped)
