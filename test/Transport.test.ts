import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { makeEnd, pattern, pipeContract, turns } from "./pipeContract.ts"

const at = (port: number, scheme: Transport.Target["scheme"] = "amqp"): Transport.Target => ({
  scheme,
  host: "anywhere",
  port
})

/** Listens, and writes one byte to whoever comes: the low byte of the port. */
const greet = (port: number) =>
  Effect.gen(function*() {
    const server = yield* Transport.TransportServer
    const accepted: Array<ReturnType<typeof makeEnd>> = []
    const bound = yield* server.listen({ host: "localhost", port }, (pipe) => {
      const end = makeEnd(pipe)
      accepted.push(end)
      end.start()
      pipe.write(Uint8Array.of(port))
    })
    return { ...bound, accepted }
  })

const dial = (target: Transport.Target) =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const end = makeEnd(yield* transport.dial(target))
    end.start()
    return end
  })

const greeting = (target: Transport.Target) =>
  Effect.gen(function*() {
    const end = yield* dial(target)
    yield* end.until(() => end.received().length === 1)
    return end.received()[0]
  })

describe("Transport in memory", () => {
  pipeContract({
    layer: Transport.layerMemory,
    it: it.scoped,
    listenAt: { host: "localhost", port: 0 },
    dialTo: ({ port }) => at(port)
  })

  it.scoped("goes by the port, whatever the host", () =>
    Effect.gen(function*() {
      yield* greet(1)
      yield* greet(2)
      assert.strictEqual(yield* greeting(at(1)), 1)
      assert.strictEqual(yield* greeting(at(2, "amqps")), 2)
      assert.strictEqual(yield* greeting(at(2, "memory")), 2)
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("with the scheme memory reaches the only listener whatever the port", () =>
    Effect.gen(function*() {
      yield* greet(1)
      assert.strictEqual(yield* greeting(at(5672, "memory")), 1)
      assert.strictEqual((yield* Effect.flip(dial(at(5672)))).reason, "Refused")
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("refuses by naming the port where nobody listens", () =>
    Effect.gen(function*() {
      const fault = yield* Effect.flip(dial(at(5672, "memory")))
      assert.deepStrictEqual(fault.attempts, [
        { endpoint: "memory:5672", reason: "Refused", text: "nobody listens there" }
      ])
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("is a network of its own each time the Layer is built", () =>
    Effect.gen(function*() {
      yield* greet(1)
      const fault = yield* Effect.flip(dial(at(1))).pipe(Effect.provide(Layer.fresh(Transport.layerMemory)))
      assert.strictEqual(fault.reason, "Refused")
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("ends a dial whose listener closes in the same turn, and shows the pipe to nobody", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { accepted } = yield* Scope.extend(greet(1), scope)
      const client = yield* Effect.zipLeft(dial(at(1)), Scope.close(scope, Exit.void))
      yield* client.until(() => client.closes.length === 1)
      assert.deepStrictEqual(accepted, [])
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("names pipes after what they reach, and has no TLS", () =>
    Effect.gen(function*() {
      const { accepted } = yield* greet(5672)
      const client = yield* dial(at(5672, "amqps"))
      yield* client.until(() => client.received().length === 1)
      assert.strictEqual(client.pipe.remote, "memory:5672")
      assert.isUndefined(client.pipe.tls)
      assert.deepStrictEqual(accepted.map(({ pipe }) => pipe.remote), ["memory:client-1"])
    }).pipe(Effect.provide(Transport.layerMemory)))
})

describe("Transport.memoryPair", () => {
  it.effect("joins two pipes", () =>
    Effect.gen(function*() {
      const [one, other] = Transport.memoryPair().map((pipe) => makeEnd(pipe))
      assert.isDefined(one)
      assert.isDefined(other)
      one.start()
      other.start()
      one.pipe.write(pattern(10))
      other.pipe.write(pattern(20))
      yield* other.until(() => other.received().length === 10)
      yield* one.until(() => one.received().length === 20)
    }))

  it.effect("takes 1 MiB before it says stop, and copies what is written at once", () =>
    Effect.gen(function*() {
      const [one, other] = Transport.memoryPair()
      const bytes = Buffer.from(pattern(1024 * 1024))
      assert.isTrue(one.write(bytes))
      bytes.fill(0)
      assert.isFalse(one.write(Uint8Array.of(7)))
      const reader = makeEnd(other)
      reader.start()
      yield* reader.until(() => reader.received().length === 1024 * 1024 + 1)
      assert.deepStrictEqual(reader.received().subarray(0, 1024), pattern(1024))
    }))

  it.effect("delivers in the order of microtasks, the same each time", () =>
    Effect.gen(function*() {
      const run = Effect.gen(function*() {
        const [one, other] = Transport.memoryPair()
        const events: Array<string> = []
        const handler = (name: string, echo?: Transport.Pipe): Transport.PipeHandler => ({
          onData: (_, start, end) => {
            events.push(`${name} ${end - start}`)
            echo?.write(new Uint8Array(end - start))
          },
          onDrain: () => events.push(`${name} drain`),
          onClose: () => events.push(`${name} close`)
        })
        one.start(handler("one"))
        other.start(handler("other", other))
        one.write(new Uint8Array(1), () => events.push("written 1"))
        one.write(new Uint8Array(2), () => events.push("written 2"))
        one.endOfTurn(() => events.push("end of turn"))
        one.end()
        yield* turns(one)
        return events
      })
      const first = yield* run
      assert.deepStrictEqual(first, [
        "other 1",
        "other 2",
        "other close",
        "written 1",
        "written 2",
        "end of turn",
        "one 1",
        "one 2",
        "one close"
      ])
      assert.deepStrictEqual(yield* run, first)
    }))
})

describe("Transport.cuttable", () => {
  it.scoped("cuts every open pipe: its owner is told once with a cause, the peer sees the end", () =>
    Effect.gen(function*() {
      const { accepted } = yield* greet(1)
      const network = yield* Transport.cuttable
      const via = Effect.provideService(Transport.Transport, network.transport)
      const one = yield* via(dial(at(1)))
      const other = yield* via(dial(at(1)))
      const gone = yield* via(dial(at(1)))
      yield* gone.until(() => gone.received().length === 1)
      gone.pipe.destroy()

      assert.strictEqual(yield* network.cut, 2)
      yield* one.until(() => one.closes.length === 1)
      yield* other.until(() => other.closes.length === 1)
      yield* turns(one.pipe)
      assert.instanceOf(one.closes[0], Error)
      assert.lengthOf([...one.closes, ...other.closes], 2)
      assert.deepStrictEqual(gone.closes, [])
      assert.deepStrictEqual(accepted.map((end) => end.closes), [[undefined], [undefined], [undefined]])

      assert.strictEqual(yield* network.cut, 0)
      assert.strictEqual(yield* via(greeting(at(1))), 1)
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("leaves alone what was not dialled through it", () =>
    Effect.gen(function*() {
      yield* greet(1)
      const network = yield* Transport.cuttable
      const beside = yield* dial(at(1))
      assert.strictEqual(yield* network.cut, 0)
      yield* turns(beside.pipe)
      assert.deepStrictEqual(beside.closes, [])
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("tells a pipe that starts only after it was cut", () =>
    Effect.gen(function*() {
      yield* greet(1)
      const network = yield* Transport.cuttable
      const end = makeEnd(yield* network.transport.dial(at(1)))
      yield* network.cut
      yield* turns(end.pipe)
      end.start()
      yield* end.until(() => end.closes.length === 1)
      assert.instanceOf(end.closes[0], Error)
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("tells nothing to an owner who destroys the pipe in the same turn", () =>
    Effect.gen(function*() {
      yield* greet(1)
      const network = yield* Transport.cuttable
      const end = yield* Effect.provideService(dial(at(1)), Transport.Transport, network.transport)
      yield* Effect.zipRight(network.cut, Effect.sync(() => end.pipe.destroy()))
      yield* turns(end.pipe)
      assert.deepStrictEqual(end.closes, [])
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.scoped("counts no pipe that has ended by itself, or whose scope has closed", () =>
    Effect.gen(function*() {
      const { accepted } = yield* greet(1)
      const network = yield* Transport.cuttable
      const via = Effect.provideService(Transport.Transport, network.transport)
      const ended = yield* via(dial(at(1)))
      yield* ended.until(() => ended.received().length === 1)
      accepted[0]?.pipe.end()
      yield* ended.until(() => ended.closes.length === 1)
      assert.deepStrictEqual(ended.closes, [undefined])
      yield* Effect.scoped(via(dial(at(1))))
      assert.strictEqual(yield* network.cut, 0)
    }).pipe(Effect.provide(Transport.layerMemory)))

  describe("keeps the rules of a pipe", () => {
    pipeContract({
      layer: Layer.unwrapEffect(Effect.map(Transport.makeMemory, ({ server, transport }) =>
        Layer.merge(
          Layer.effect(
            Transport.Transport,
            Transport.cuttable.pipe(
              Effect.map((network) => network.transport),
              Effect.provideService(Transport.Transport, transport)
            )
          ),
          Layer.succeed(Transport.TransportServer, server)
        ))),
      it: it.scoped,
      listenAt: { host: "localhost", port: 0 },
      dialTo: ({ port }) => at(port)
    })
  })
})
