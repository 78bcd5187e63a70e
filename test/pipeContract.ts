/**
 * The rules every Transport keeps, as one suite: run on memory, TCP and TLS.
 */
import { assert, describe } from "@effect/vitest"
import { Transport } from "effect-amqp"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** One end of a pipe, with everything its handler was told. */
export interface End {
  readonly pipe: Transport.Pipe
  readonly received: () => Uint8Array
  readonly closes: Array<unknown>
  readonly drains: () => number
  readonly start: () => void
  /** Waits until `isTrue`, which is asked again after each call of the handler. */
  readonly until: (isTrue: () => boolean) => Effect.Effect<void>
}

export const makeEnd = (pipe: Transport.Pipe, onData?: (end: End, bytes: Uint8Array) => void): End => {
  let chunks: Array<Uint8Array> = []
  let length = 0
  let drains = 0
  const closes: Array<unknown> = []
  const waiting = new Set<() => void>()
  const notify = () => {
    for (const check of waiting) check()
  }
  const end: End = {
    pipe,
    closes,
    drains: () => drains,
    received: () => {
      const all = new Uint8Array(length)
      let at = 0
      for (const chunk of chunks) {
        all.set(chunk, at)
        at += chunk.length
      }
      chunks = [all]
      return all
    },
    start: () =>
      pipe.start({
        onData: (bytes, start, stop) => {
          assert.deepStrictEqual(closes, [], "data after the close")
          const chunk = bytes.slice(start, stop)
          chunks.push(chunk)
          length += chunk.length
          onData?.(end, chunk)
          notify()
        },
        onDrain: () => {
          assert.deepStrictEqual(closes, [], "drain after the close")
          drains += 1
          notify()
        },
        onClose: (cause) => {
          closes.push(cause)
          notify()
        }
      }),
    until: (isTrue) =>
      Effect.async<void>((resume) => {
        const check = () => {
          if (!isTrue()) return
          waiting.delete(check)
          resume(Effect.void)
        }
        waiting.add(check)
        check()
      })
  }
  return end
}

/** Turns of the event loop, for what must not happen. */
export const turns = (pipe: Transport.Pipe, count = 20): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const next = (left: number): void => left === 0 ? resume(Effect.void) : pipe.endOfTurn(() => next(left - 1))
    next(count)
  })

/** Bytes that differ at every place and in every run of 256. */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}

export const isSame = (actual: Uint8Array, expected: Uint8Array): boolean =>
  actual.length === expected.length && actual.every((byte, index) => byte === expected[index])

/** Writes all of it in pieces, and heeds what `write` and `onDrain` say. */
export const writeAll = (end: End, bytes: Uint8Array, piece: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let at = 0; at < bytes.length; at += piece) {
      const drains = end.drains()
      if (!end.pipe.write(bytes.subarray(at, at + piece))) yield* end.until(() => end.drains() > drains)
    }
  })

export interface Subject {
  readonly layer: Layer.Layer<Transport.Transport | Transport.TransportServer>
  readonly it: (title: string, run: () => Effect.Effect<void, unknown, Scope.Scope>) => void
  readonly listenAt: Transport.ListenTarget
  readonly dialTo: (bound: { readonly port: number }) => Transport.Target
}

export const pipeContract = (subject: Subject): void => {
  const test = <E>(
    title: string,
    run: Effect.Effect<void, E, Scope.Scope | Transport.Transport | Transport.TransportServer>
  ) => subject.it(title, () => Effect.provide(run, subject.layer))

  const listen = (onPipe: (pipe: Transport.Pipe) => void) =>
    Effect.flatMap(Transport.TransportServer, (server) => server.listen(subject.listenAt, onPipe))

  const dial = (bound: { readonly port: number }) =>
    Effect.flatMap(Transport.Transport, (transport) => transport.dial(subject.dialTo(bound)))

  interface Handlers {
    readonly onServerData?: (end: End, bytes: Uint8Array) => void
    readonly onClientData?: (end: End, bytes: Uint8Array) => void
  }

  /** A dialled pipe and its accepted peer, not started. */
  const connect = (handlers: Handlers = {}) =>
    Effect.gen(function*() {
      let accepted: ((end: End) => void) | undefined
      const server = new Array<End>()
      const bound = yield* listen((pipe) => {
        const end = makeEnd(pipe, handlers.onServerData)
        server.push(end)
        accepted?.(end)
      })
      const client = makeEnd(yield* dial(bound), handlers.onClientData)
      const peer = yield* Effect.async<End>((resume) => {
        accepted = (end) => resume(Effect.succeed(end))
        if (server[0] !== undefined) accepted(server[0])
      })
      return { client, server: peer, bound }
    })

  const started = (handlers?: Handlers) =>
    Effect.tap(connect(handlers), ({ client, server }) =>
      Effect.sync(() => {
        client.start()
        server.start()
      }))

  describe("bytes", () => {
    test(
      "arrive whole and in order, both ways at once, whatever the pieces",
      Effect.gen(function*() {
        const { client, server } = yield* started()
        const [there, back] = [pattern(3_000_001, 1), pattern(2_500_003, 2)]
        yield* Effect.all([
          writeAll(client, there, 70_001),
          writeAll(server, back, 999),
          server.until(() => server.received().length >= there.length),
          client.until(() => client.received().length >= back.length)
        ], { concurrency: "unbounded" })
        assert.isTrue(isSame(server.received(), there))
        assert.isTrue(isSame(client.received(), back))
      })
    )

    test(
      "of two pipes of one transport do not mix",
      Effect.gen(function*() {
        const one = yield* started()
        const other = yield* started()
        const [first, second] = [pattern(1_000_000, 3), pattern(1_000_000, 4)]
        yield* Effect.all([
          writeAll(one.server, first, 40_000),
          writeAll(other.server, second, 40_000),
          one.client.until(() => one.client.received().length >= first.length),
          other.client.until(() => other.client.received().length >= second.length)
        ], { concurrency: "unbounded" })
        assert.isTrue(isSame(one.client.received(), first))
        assert.isTrue(isSame(other.client.received(), second))
      })
    )

    test(
      "written before the peer starts wait for it",
      Effect.gen(function*() {
        const { client, server } = yield* connect()
        client.start()
        client.pipe.write(pattern(1000))
        server.pipe.write(pattern(500))
        yield* client.until(() => client.received().length === 500)
        yield* turns(server.pipe)
        server.start()
        yield* server.until(() => server.received().length === 1000)
        assert.isTrue(isSame(server.received(), pattern(1000)))
      })
    )

    test(
      "may be changed once onWritten was called",
      Effect.gen(function*() {
        const { client, server } = yield* started()
        const bytes = pattern(300_000)
        yield* Effect.async<void>((resume) => void client.pipe.write(bytes, () => resume(Effect.void)))
        bytes.fill(0)
        yield* server.until(() => server.received().length === bytes.length)
        assert.isTrue(isSame(server.received(), pattern(300_000)))
      })
    )
  })

  describe("calls", () => {
    test(
      "of the handler and of onWritten never come from inside write, start, resume or end",
      Effect.gen(function*() {
        let inside = false
        const seen: Array<boolean> = []
        const during = (task: () => void) => {
          inside = true
          task()
          inside = false
        }
        const { client, server } = yield* connect({
          onServerData: () => seen.push(inside),
          onClientData: () => seen.push(inside)
        })
        during(() => void client.pipe.write(pattern(10), () => seen.push(inside)))
        yield* turns(client.pipe)
        during(server.start)
        yield* server.until(() => server.received().length === 10)
        server.pipe.pause()
        during(() => void client.pipe.write(pattern(10)))
        yield* turns(client.pipe)
        during(() => server.pipe.resume())
        yield* server.until(() => server.received().length === 20)
        during(client.start)
        during(() => server.pipe.end())
        yield* client.until(() => client.closes.length === 1)
        assert.deepStrictEqual(seen, seen.map(() => false))
        assert.isAtLeast(seen.length, 3)
      })
    )

    test(
      "of onWritten come once for each write, in order, also for what is written after the end",
      Effect.gen(function*() {
        const { client, server } = yield* started()
        const written: Array<number> = []
        for (let i = 0; i < 20; i++) client.pipe.write(pattern(50_000, i), () => written.push(i))
        client.pipe.end()
        assert.isFalse(client.pipe.write(pattern(5), () => written.push(20)))
        yield* server.until(() => server.closes.length === 1)
        yield* client.until(() => client.closes.length === 1)
        yield* turns(client.pipe)
        assert.isFalse(client.pipe.write(pattern(5), () => written.push(21)))
        yield* turns(client.pipe)
        assert.strictEqual(server.received().length, 1_000_000)
        assert.sameMembers(written, Array.from({ length: 22 }, (_, i) => i))
        assert.deepStrictEqual(written.filter((i) => i < 20), Array.from({ length: 20 }, (_, i) => i))
      })
    )

    test(
      "of onWritten come once for each write that destroy cuts off, and for those after it",
      Effect.gen(function*() {
        const { client } = yield* connect()
        client.start()
        const written: Array<number> = []
        for (let i = 0; i < 16; i++) client.pipe.write(pattern(1_000_000, i), () => written.push(i))
        client.pipe.destroy()
        assert.isFalse(client.pipe.write(pattern(10), () => written.push(16)))
        yield* Effect.iterate(0, {
          while: (n) => n < 50 && written.length < 17,
          body: (n) => Effect.as(turns(client.pipe), n + 1)
        })
        yield* turns(client.pipe)
        assert.sameMembers(written, Array.from({ length: 17 }, (_, i) => i))
        assert.deepStrictEqual(client.closes, [])
      })
    )

    test(
      "of endOfTurn's task come after the calls of the present turn, in order",
      Effect.gen(function*() {
        const { client } = yield* started()
        const order: Array<number> = []
        yield* Effect.async<void>((resume) => {
          client.pipe.endOfTurn(() => order.push(2))
          client.pipe.endOfTurn(() => {
            order.push(3)
            resume(Effect.void)
          })
          order.push(1)
        })
        assert.deepStrictEqual(order, [1, 2, 3])
      })
    )
  })

  describe("back-pressure", () => {
    for (const state of ["paused", "not started"]) {
      test(
        `write says false while the peer is ${state}; all is kept, and onDrain comes when it reads`,
        Effect.gen(function*() {
          const { client, server } = yield* connect()
          client.start()
          if (state === "paused") {
            server.start()
            server.pipe.pause()
          }
          const pieces: Array<Uint8Array> = []
          let isTaking = true
          while (isTaking && pieces.length < 1000) {
            const piece = pattern(100_000, pieces.length)
            pieces.push(piece)
            isTaking = client.pipe.write(piece)
            yield* turns(client.pipe, 2)
          }
          assert.isFalse(isTaking)
          yield* turns(client.pipe)
          assert.strictEqual(client.drains(), 0)
          if (state === "paused") server.pipe.resume()
          else server.start()
          yield* client.until(() => client.drains() === 1)
          yield* server.until(() => server.received().length === pieces.length * 100_000)
          const received = server.received()
          pieces.forEach((piece, i) => assert.isTrue(isSame(received.subarray(i * 100_000, (i + 1) * 100_000), piece)))
        })
      )
    }

    for (const reading of ["dialled", "accepted"]) {
      test(
        `a paused pipe that was ${reading} delivers nothing, also when it pauses inside onData; the end waits its turn`,
        Effect.gen(function*() {
          const { client, server } = yield* started({
            onClientData: (end) => end.pipe.pause(),
            onServerData: (end) => end.pipe.pause()
          })
          const [from, to] = reading === "dialled" ? [server, client] : [client, server]
          from.pipe.write(pattern(400_000))
          from.pipe.end()
          let received = 0
          while (received < 400_000) {
            yield* to.until(() => to.received().length > received)
            received = to.received().length
            yield* turns(to.pipe, 5)
            assert.strictEqual(to.received().length, received)
            to.pipe.resume()
          }
          yield* to.until(() => to.closes.length === 1)
          assert.isTrue(isSame(to.received(), pattern(400_000)))
        })
      )
    }

    test(
      "pause before start holds everything back until resume",
      Effect.gen(function*() {
        const { client, server } = yield* connect()
        client.start()
        server.pipe.pause()
        server.start()
        client.pipe.write(pattern(1000))
        yield* turns(client.pipe)
        assert.strictEqual(server.received().length, 0)
        server.pipe.resume()
        yield* server.until(() => server.received().length === 1000)
      })
    )
  })

  describe("the end", () => {
    test(
      "comes after everything written, without a cause, once on each side",
      Effect.gen(function*() {
        const { client, server } = yield* started()
        client.pipe.write(pattern(500_000))
        client.pipe.end()
        client.pipe.end()
        yield* server.until(() => server.closes.length === 1)
        yield* client.until(() => client.closes.length === 1)
        yield* turns(client.pipe)
        assert.isTrue(isSame(server.received(), pattern(500_000)))
        assert.deepStrictEqual(client.closes, [undefined])
        assert.deepStrictEqual(server.closes, [undefined])
      })
    )

    test(
      "leaves the other direction open: an answer given to the last bytes still arrives",
      Effect.gen(function*() {
        const { client, server } = yield* started({
          onServerData: (end) => void (end.received().length === 3 && end.pipe.write(pattern(200_000)))
        })
        client.pipe.write(pattern(3))
        client.pipe.end()
        yield* client.until(() => client.closes.length === 1)
        assert.isTrue(isSame(client.received(), pattern(200_000)))
        assert.deepStrictEqual([...client.closes, ...server.closes], [undefined, undefined])
      })
    )

    test(
      "by destroy is not told to the one who destroys, and once to the peer",
      Effect.gen(function*() {
        const { client, server } = yield* started()
        client.pipe.destroy()
        client.pipe.destroy()
        yield* server.until(() => server.closes.length === 1)
        yield* turns(server.pipe)
        assert.strictEqual(server.closes.length, 1)
        assert.deepStrictEqual(client.closes, [])
      })
    )

    test(
      "by destroy inside onData is the last call",
      Effect.gen(function*() {
        let calls = 0
        const { client } = yield* started({
          onServerData: (end) => {
            calls += 1
            end.pipe.destroy()
          }
        })
        for (let i = 0; i < 10; i++) client.pipe.write(pattern(100_000))
        yield* client.until(() => client.closes.length === 1)
        assert.strictEqual(calls, 1)
      })
    )

    test(
      "that came before start is told after it",
      Effect.gen(function*() {
        const { client, server } = yield* connect()
        server.start()
        server.pipe.write(pattern(1000))
        server.pipe.end()
        yield* turns(client.pipe)
        client.start()
        yield* client.until(() => client.closes.length === 1)
        assert.isTrue(isSame(client.received(), pattern(1000)))
        assert.deepStrictEqual(client.closes, [undefined])
      })
    )
  })

  describe("scopes", () => {
    test(
      "that dialled destroy the pipe when they close",
      Effect.gen(function*() {
        const ends: Array<End> = []
        const bound = yield* listen((pipe) => {
          const end = makeEnd(pipe)
          ends.push(end)
          end.start()
          pipe.write(pattern(10))
        })
        yield* Effect.scoped(Effect.gen(function*() {
          const client = makeEnd(yield* dial(bound))
          client.start()
          yield* client.until(() => client.received().length === 10)
        }))
        const server = ends[0]
        assert.isDefined(server)
        yield* server.until(() => server.closes.length === 1)
      })
    )

    test(
      "that listened destroy what they accepted, and nobody is let in afterwards",
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const accepted: Array<End> = []
        const bound = yield* Scope.extend(
          listen((pipe) => {
            const end = makeEnd(pipe)
            accepted.push(end)
            end.start()
            pipe.write(pattern(10))
          }),
          scope
        )
        const client = makeEnd(yield* dial(bound))
        client.start()
        yield* client.until(() => client.received().length === 10)
        yield* Scope.close(scope, Exit.void)
        yield* client.until(() => client.closes.length === 1)
        assert.deepStrictEqual(accepted.map((end) => end.closes), [[]])
        assert.strictEqual((yield* Effect.flip(dial(bound))).reason, "Refused")
      })
    )
  })

  describe("listening", () => {
    test(
      "at port 0 takes a free one each time, and a taken one is AddressInUse",
      Effect.gen(function*() {
        const one = yield* listen(() => {})
        const other = yield* listen(() => {})
        assert.notStrictEqual(one.port, other.port)
        assert.notInclude([one.port, other.port], 0)
        const server = yield* Transport.TransportServer
        const fault = yield* Effect.flip(server.listen({ ...subject.listenAt, port: one.port }, () => {}))
        assert.strictEqual(fault.reason, "AddressInUse")
      })
    )
  })
}
