import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import type { RecoverableError } from "../../src/AmqpError.ts"
import { ConnectError, ConnectionClosed, ConnectionLost } from "../../src/AmqpError.ts"
import * as Rounds from "../../src/internal/rounds.ts"
import type { Supervised } from "../../src/internal/supervisor.ts"
import { Supervisor } from "../../src/internal/supervisor.ts"
import type { Strategy } from "../../src/Reconnect.ts"

type End = ConnectionLost | ConnectionClosed

interface Session {
  readonly id: number
  readonly end: Deferred.Deferred<never, End>
}

const lost = (endpoint = "a") => new ConnectionLost({ reason: "Socket", endpoint })
const refused = (endpoint: string) => ConnectError.at(endpoint, "Refused", "no one listens")

/** A network whose endpoints answer as the test says, and a diary of what happened when. */
const makeWorld = (
  settings: Partial<Supervised<string, Session>> & { readonly hosts?: string; readonly strategy?: Strategy<string> } =
    {}
) => {
  const diary: Array<string> = []
  const sessions: Array<Session> = []
  const opened: Array<Exit.Exit<void, ConnectError>> = []
  const world = {
    diary,
    opened,
    open: 0,
    /** Endpoints that accept. */
    up: new Set<string>(),
    fault: refused as (endpoint: string) => ConnectError,
    end: (end: End = lost()) => Effect.suspend(() => Deferred.fail(sessions.at(-1)!.end, end)),
    /** What was written since the last time. */
    read: () => diary.splice(0)
  }
  const note = (text: string) =>
    Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), (now) => {
      diary.push(`${now} ${text}`)
    })
  const [first = "a", ...others] = (settings.hosts ?? "a").split("")
  const options: Supervised<string, Session> = {
    rounds: Rounds.fixed([first, ...others], settings.strategy ?? "round-robin"),
    addresses: () => Effect.succeed([undefined]),
    leave: Effect.void,
    isClosing: false,
    isLeaving: (fault) => fault._tag === "ConnectionClosed" && fault.code === 320,
    dial: (endpoint) =>
      Effect.gen(function*() {
        yield* note(`dial ${endpoint}`)
        yield* Effect.acquireRelease(
          Effect.sync(() => world.open++),
          () => Effect.zipRight(Effect.sync(() => world.open--), note(`closed ${endpoint}`))
        )
        if (!world.up.has(endpoint)) return yield* world.fault(endpoint)
        const session = { id: sessions.length + 1, end: yield* Deferred.make<never, End>() }
        sessions.push(session)
        return session
      }),
    up: () => Effect.void,
    ended: (session) => Deferred.await(session.end),
    connect: Schedule.stop,
    reconnect: Schedule.spaced("1 second"),
    isFinal: () => false,
    stableAfter: Duration.seconds(5),
    onDialling: () => {},
    onOpen: (session, endpoint) => diary.push(`open ${session.id} ${endpoint}`),
    onRecovering: (fault, round, delay) => diary.push(`${fault._tag} ${round} ${Duration.toMillis(delay)}`),
    ...settings
  }
  return {
    world,
    run: Effect.flatMap(Effect.clock, (clock) => {
      const supervisor = new Supervisor(clock, options, (exit) => {
        opened.push(exit)
        diary.push(Exit.isSuccess(exit) ? "first" : "never")
      })
      return Effect.map(supervisor.run, ({ fault }) => fault)
    })
  }
}

const isAuth = (fault: RecoverableError) => fault._tag === "ConnectError" && fault.reason === "Auth"

const settled = Effect.repeatN(Effect.yieldNow(), 100)
const later = (duration: Duration.DurationInput) => Effect.zipRight(TestClock.adjust(duration), settled)

describe("supervise", () => {
  it.effect("dials every endpoint once a round without a pause, and pauses only after the whole round", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({
        hosts: "abc",
        connect: Schedule.spaced("2 seconds").pipe(Schedule.intersect(Schedule.recurs(2)))
      })
      const fiber = yield* Effect.fork(run)
      yield* settled
      yield* later("4 seconds")
      assert.deepStrictEqual(world.read(), [
        "0 dial a",
        "0 closed a",
        "0 dial b",
        "0 closed b",
        "0 dial c",
        "0 closed c",
        "ConnectError 1 2000",
        "2000 dial a",
        "2000 closed a",
        "2000 dial b",
        "2000 closed b",
        "2000 dial c",
        "2000 closed c",
        "ConnectError 2 2000",
        "4000 dial a",
        "4000 closed a",
        "4000 dial b",
        "4000 closed b",
        "4000 dial c",
        "4000 closed c",
        "never"
      ])
      const fault = yield* Fiber.join(fiber)
      assert.strictEqual(fault._tag, "ConnectError")
      assert.isTrue(
        fault._tag === "ConnectError" && fault.attempts.map((each) => each.endpoint).join("") === "abcabcabc"
      )
      assert.deepStrictEqual(world.opened.map((exit) => Exit.isFailure(exit) && Cause.squash(exit.cause)), [fault])
    }))

  it.effect("tries the others at once when a good connection is lost, and has its delay before the round after", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ hosts: "ab" })
      world.up.add("a")
      const fiber = yield* Effect.fork(run)
      yield* settled
      yield* later("5 seconds")
      world.up.delete("a")
      world.read()
      yield* world.end()
      yield* settled
      assert.deepStrictEqual(world.read(), [
        "5000 closed a",
        "ConnectionLost 1 0",
        "5000 dial b",
        "5000 closed b",
        "5000 dial a",
        "5000 closed a",
        "ConnectError 2 1000"
      ])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("starts each round from the first endpoint, in order", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ hosts: "abc", strategy: "in-order" })
      world.up.add("b")
      const fiber = yield* Effect.fork(run)
      yield* settled
      world.read()
      yield* world.end()
      yield* later("1 second")
      assert.deepStrictEqual(world.read(), [
        "0 closed b",
        "ConnectionLost 1 1000",
        "1000 dial a",
        "1000 closed a",
        "1000 dial b",
        "open 2 b"
      ])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("shuffles the endpoints of each round: every one once", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ hosts: "abcdef", strategy: "shuffle", connect: Schedule.recurs(19) })
      yield* run
      const dialled = world.read().filter((line) => line.includes("dial")).map((line) => line.at(-1)).join("")
      const rounds = dialled.match(/.{6}/g) ?? []
      assert.lengthOf(rounds, 20)
      assert.isTrue(rounds.every((round) => new Set(round).size === 6))
      assert.isAbove(new Set(rounds).size, 10)
    }))

  it.effect("draws endpoints at random", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ hosts: "ab", strategy: "random", connect: Schedule.recurs(19) })
      yield* run
      const dialled = world.read().filter((line) => line.includes("dial")).map((line) => line.at(-1)).join("")
      assert.lengthOf(dialled, 40)
      assert.match(dialled, /aa/)
      assert.match(dialled, /bb/)
    }))

  it.effect("keeps the last hundred attempts of a first connect that goes on and on", () =>
    Effect.gen(function*() {
      const { run } = makeWorld({
        hosts: "ab",
        connect: Schedule.spaced("1 second").pipe(Schedule.intersect(Schedule.recurs(99)))
      })
      const fiber = yield* Effect.fork(run)
      yield* settled
      for (let each = 0; each < 99; each++) yield* later("1 second")
      const fault = yield* Fiber.join(fiber)
      assert.lengthOf(fault._tag === "ConnectError" ? fault.attempts : [], 100)
    }))

  it.effect("goes on with the endpoint after the one it lost, and comes round", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ hosts: "abc" })
      world.up.add("b")
      const fiber = yield* Effect.fork(run)
      yield* settled
      assert.deepStrictEqual(world.read(), ["0 dial a", "0 closed a", "0 dial b", "open 1 b", "first"])
      yield* later("500 millis")
      yield* world.end()
      yield* settled
      assert.deepStrictEqual(world.read(), ["500 closed b", "ConnectionLost 1 1000"])
      yield* later("999 millis")
      assert.deepStrictEqual(world.read(), [])
      yield* later("1 millis")
      assert.deepStrictEqual(world.read(), [
        "1500 dial c",
        "1500 closed c",
        "1500 dial a",
        "1500 closed a",
        "1500 dial b",
        "open 2 b"
      ])
      assert.lengthOf(world.opened, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(world.read(), ["1500 closed b"])
      assert.strictEqual(world.open, 0)
    }))

  it.effect("has one Schedule for the first connect and another for every later one", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({
        connect: Schedule.spaced("3 seconds"),
        reconnect: Schedule.exponential("100 millis", 2)
      })
      const fiber = yield* Effect.fork(run)
      yield* settled
      yield* later("3 seconds")
      world.up.add("a")
      yield* later("3 seconds")
      assert.deepStrictEqual(world.read().filter((line) => line.includes("dial")), [
        "0 dial a",
        "3000 dial a",
        "6000 dial a"
      ])
      world.up.clear()
      yield* world.end()
      yield* settled
      for (const delay of [100, 200, 400]) yield* later(delay)
      assert.deepStrictEqual(world.read(), [
        "6000 closed a",
        "ConnectionLost 1 100",
        "6100 dial a",
        "6100 closed a",
        "ConnectError 2 200",
        "6300 dial a",
        "6300 closed a",
        "ConnectError 3 400",
        "6700 dial a",
        "6700 closed a",
        "ConnectError 4 800"
      ])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("starts the Schedule anew only after a session that stayed open for a while", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ reconnect: Schedule.exponential("1 second", 2) })
      world.up.add("a")
      const fiber = yield* Effect.fork(run)
      yield* settled
      const seen: Array<string> = []
      for (const [stay, delay] of [[0, 1000], [4999, 2000], [4999, 4000], [5000, 1000], [10, 2000]] as const) {
        yield* later(stay)
        world.read()
        yield* world.end()
        yield* settled
        seen.push(world.read().at(-1) ?? "")
        yield* later(delay)
      }
      assert.deepStrictEqual(seen, [
        "ConnectionLost 1 1000",
        "ConnectionLost 2 2000",
        "ConnectionLost 3 4000",
        "ConnectionLost 1 1000",
        "ConnectionLost 2 2000"
      ])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("ends with a final fault, on the first connect and later", () =>
    Effect.gen(function*() {
      const first = makeWorld({ isFinal: isAuth, connect: Schedule.spaced("1 second") })
      first.world.fault = (endpoint) => ConnectError.at(endpoint, "Auth", "no")
      const fault = yield* first.run
      assert.isTrue(fault._tag === "ConnectError" && fault.reason === "Auth")
      assert.deepStrictEqual(first.world.read(), ["0 dial a", "0 closed a", "never"])

      const second = makeWorld({ isFinal: isAuth })
      second.world.up.add("a")
      const fiber = yield* Effect.fork(second.run)
      yield* settled
      second.world.up.clear()
      yield* second.world.end()
      yield* later("1 second")
      second.world.fault = (endpoint) => ConnectError.at(endpoint, "Auth", "no")
      yield* later("1 second")
      const again = yield* Fiber.join(fiber)
      assert.isTrue(again._tag === "ConnectError" && again.reason === "Auth")
      assert.deepStrictEqual(second.world.opened, [Exit.void])
    }))

  it.effect("ends with the fault itself when the reconnect Schedule has ended", () =>
    Effect.gen(function*() {
      const { run, world } = makeWorld({ reconnect: Schedule.stop })
      world.up.add("a")
      const fiber = yield* Effect.fork(run)
      yield* settled
      const fault = new ConnectionClosed({ reason: "Peer", endpoint: "a", code: 320, text: "maintenance" })
      yield* world.end(fault)
      assert.strictEqual(yield* Fiber.join(fiber), fault)
      assert.strictEqual(world.open, 0)
    }))

  it.effect("counts a first session that is lost before it is up as an attempt of the first connect", () =>
    Effect.gen(function*() {
      for (const isFinal of [() => false, () => true]) {
        const { run, world } = makeWorld({
          isFinal,
          connect: Schedule.recurs(1),
          reconnect: Schedule.stop,
          up: () => Effect.fail(lost("a"))
        })
        world.up.add("a")
        const fault = yield* run
        assert.strictEqual(fault._tag, "ConnectError")
        assert.lengthOf(fault._tag === "ConnectError" ? fault.attempts : [], isFinal() ? 1 : 2)
        assert.deepStrictEqual(world.opened.map((exit) => Exit.isFailure(exit) && Cause.squash(exit.cause)), [fault])
        assert.strictEqual(world.open, 0)
      }
    }))

  it.effect("closes everything when it is interrupted, at whatever point", () =>
    Effect.gen(function*() {
      for (let yields = 0; yields < 60; yields++) {
        const { run, world } = makeWorld({ hosts: "ab", connect: Schedule.spaced("1 second") })
        world.up.add("b")
        const fiber = yield* Effect.fork(run)
        for (let each = 0; each < yields; each++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(world.open, 0, `after ${yields} yields`)
      }
      const waiting = makeWorld()
      waiting.world.up.add("a")
      const fiber = yield* Effect.fork(waiting.run)
      yield* settled
      yield* waiting.world.end()
      yield* settled
      yield* Fiber.interrupt(fiber)
      yield* later("1 hour")
      assert.strictEqual(waiting.world.read().filter((line) => line.includes("dial")).length, 1)
    }))

  it.effect("does not wait for a dial that hangs when it is interrupted, and cleans up after it", () =>
    Effect.gen(function*() {
      let open = 0
      const { run } = makeWorld({
        dial: () =>
          Effect.zipRight(
            Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)),
            Effect.never
          )
      })
      const fiber = yield* Effect.fork(run)
      yield* settled
      assert.strictEqual(open, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(open, 0)
    }))
})
