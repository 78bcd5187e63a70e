import { assert, describe, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import { Channel, Connection, ConnectionOptions, ConnectionPool, SimpleQueue } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { defaults as every } from "../kombu.words.ts"
import { on, onNetwork, settle, wiretap } from "../setup.ts"

const defaults = every.connection

/** What a connection to this URL is told. */
const read = (url: string) => Either.map(ConnectionOptions.resolve({ url }), ([first]) => first)

const taken = (url: string) => Either.getOrThrow(read(url))

const refused = (url: string) => Either.getOrThrow(Either.flip(read(url))).message

describe("BrokerConnection", () => {
  it("kombu.connection: the modules Connection, ConnectionPool and SimpleQueue", () => {
    for (const { make } of [Connection, ConnectionPool, SimpleQueue]) assert.isFunction(make)
  })

  it.effect("BrokerConnection: lazy, if asked to be; without parameters it knows where to go", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ lazy: true })
        assert.propertyVal(yield* connection.state, "_tag", "Idle")
        assert.deepStrictEqual(read(), [])
        yield* connection.ready()
        assert.deepStrictEqual(read(), [`0 ${defaults.hostname}`])
      })
    ))

  it.effect("BrokerConnection(hostname)", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        assert.strictEqual(ConnectionOptions.make().host, defaults.hostname)
        yield* Connection.make({ host: "rabbit.example.com" })
        yield* Connection.make({ url: "rabbit.example.com" })
        assert.deepStrictEqual(read(), ["0 rabbit.example.com", "0 rabbit.example.com"])
      })
    ))

  it.effect("BrokerConnection(userid)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const password = Redacted.make("s@fe")
        yield* broker.addUser({ name: "me", password })
        yield* Connection.make({})
        yield* Connection.make({ username: "me", password })
        assert.deepStrictEqual((yield* broker.connections).map(({ user }) => user), [defaults.userid, "me"])
      })
    ))

  it.effect("BrokerConnection(password)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.addUser({ name: "me", password: Redacted.make("s@fe") })
        yield* Connection.make({ username: "me", password: Redacted.make("s@fe") })
        const wrong = Connection.make({ username: "me", password: Redacted.make(defaults.password) })
        assert.strictEqual((yield* Effect.flip(wrong)).reason, "Auth")
        yield* Connection.make({ username: "guest", password: Redacted.make(defaults.password) })
        assert.isTrue(Equal.equals(ConnectionOptions.make(), taken(`amqp://guest:${defaults.password}@localhost`)))
      })
    ))

  it.effect("BrokerConnection(virtual_host)", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("app")
        yield* Connection.make({})
        yield* Connection.make({ vhost: "app" })
        assert.deepStrictEqual((yield* broker.connections).map(({ vhost }) => vhost), [defaults.virtual_host, "app"])
        assert.strictEqual(taken("amqp://h//").vhost, defaults.virtual_host)
      })
    ))

  it.effect("BrokerConnection(port): none is the transport's own", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        assert.isNull(defaults.port)
        for (const options of [{}, { tls: true }, { port: 5673 }]) yield* Connection.make(options)
        assert.deepStrictEqual(dials.map(({ target }) => target.port), [5672, 5671, 5673])
      })
    ))

  it.effect("BrokerConnection(insist): taken, and without effect, as in 0-9-1, where the bit is reserved", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        assert.strictEqual(ConnectionOptions.make().insist, defaults.insist)
        const written: Array<string> = []
        for (const options of [{}, { insist: true }]) {
          const tap = yield* wiretap
          yield* Effect.provideService(Connection.make(options), Transport.Transport, tap.transport)
          written.push(tap.written())
        }
        assert.strictEqual(written[1], written[0])
        assert.lengthOf(read(), 2)
      })
    ))

  it.effect("BrokerConnection(ssl)", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        assert.isFalse(defaults.ssl)
        assert.isUndefined(ConnectionOptions.make().tls)
        yield* Connection.make({ tls: true })
        yield* Connection.make({ url: "amqps://h?ssl=true" })
        assert.deepStrictEqual(dials.map(({ target }) => [target.scheme, target.tls]), [["amqps", {}], ["amqps", {}]])
        assert.include(refused("amqps://h?ssl=false"), "ssl")
      })
    ))

  it.effect("BrokerConnection(transport): a Layer of Transport", () => {
    const program = Effect.scoped(Effect.flatMap(Connection.make({ scheme: "memory" }), ({ isOpen }) => isOpen))
    return Effect.map(Effect.provide(program, Broker.layerMemory), (open) => assert.isTrue(open))
  })

  it.effect("BrokerConnection(transport=\"kombu.transport.pyamqplib.Transport\"): a class of one's own", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        class Mine {
          readonly dialled: Array<string> = []
          readonly #under: Transport.Transport["Type"]
          constructor(under: Transport.Transport["Type"]) {
            this.#under = under
          }
          readonly dial = (target: Transport.Target) => {
            this.dialled.push(target.host)
            return this.#under.dial(target)
          }
        }
        const mine = new Mine(yield* Transport.Transport)
        yield* Layer.build(Layer.provide(Connection.layer({ host: "h" }), Layer.succeed(Transport.Transport, mine)))
        assert.deepStrictEqual(mine.dialled, ["h"])
        assert.include(refused("kombu.transport.pyamqplib.Transport://h"), "a Layer of Transport")
      })
    ))

  it("BrokerConnection(transport=\"amqplib\"): another name of amqp", () => {
    assert.isTrue(Equal.equals(taken("amqplib://h"), taken("amqp://h")))
  })

  it("BrokerConnection(transport=\"pika\"): another name of amqp", () => {
    assert.isTrue(Equal.equals(taken("pika://h"), taken("amqp://h")))
  })

  it("BrokerConnection(transport=\"redis\"): no AMQP, and refused with what to do", () => {
    assert.include(refused("redis://h"), "another transport is provided as a Layer of Transport")
  })

  it.effect("BrokerConnection(transport=\"memory\"): the embedded broker", () =>
    Effect.gen(function*() {
      const connection = yield* Connection.make({ url: "memory://" })
      const channel = yield* on(connection, Channel.makeConfirm())
      yield* channel.queueDeclare({ queue: "q" })
      yield* channel.publish({ routingKey: "q", content: "hello" })
      assert.strictEqual((yield* Effect.flatten(channel.get({ queue: "q" }))).delivery.text, "hello")
    }).pipe(Effect.scoped, Effect.provide(Broker.layerMemory)))

  it.effect("BrokerConnection(connect_timeout): 5 seconds if said so, where pika's 10 are the default here", () =>
    onNetwork(({ dials }) =>
      Effect.gen(function*() {
        yield* Connection.make({ url: `amqp://h?connect_timeout=${defaults.connect_timeout}` })
        yield* Connection.make({ socketTimeout: `${defaults.connect_timeout} seconds` })
        yield* Connection.make({})
        assert.deepStrictEqual(dials.map(({ target }) => target.connectTimeout), [
          Duration.seconds(defaults.connect_timeout),
          Duration.seconds(defaults.connect_timeout),
          Duration.seconds(10)
        ])
      })
    ))

  it.effect("BrokerConnection(pool): one that a pool lends goes back to it when it is closed", () =>
    onNetwork(() =>
      Effect.gen(function*() {
        const pool = yield* ConnectionPool.make({ limit: 1 })
        const connection = yield* pool.get()
        yield* connection.close()
        assert.deepInclude(yield* pool.stats, { active: 0, idle: 1 })
      })
    ))
})

describe("Usage", () => {
  it.effect("sample: Usage, BrokerConnection", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "rabbit.example.com", lazy: true })

        yield* settle
        assert.deepStrictEqual(read(), [], "not before it is needed")
        yield* Effect.flatMap(on(connection, Channel.shared), (channel) => channel.queueDeclare({ queue: "q" }))
        assert.deepStrictEqual(read(), ["0 rabbit.example.com"])
      })
    ))

  it.effect("sample: Usage, connect", () =>
    onNetwork(({ read }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "rabbit.example.com", lazy: true })
        yield* connection.ready()

        assert.deepStrictEqual(read(), ["0 rabbit.example.com"])
        assert.isTrue(yield* connection.isOpen)
      })
    ))

  it.effect("sample: Usage, release", () =>
    onNetwork(({ broker }) =>
      Effect.gen(function*() {
        const connection = yield* Connection.make({ host: "rabbit.example.com" })
        yield* connection.close() // The scope would, else.

        assert.isTrue(yield* connection.isClosed)
        assert.lengthOf(yield* broker.connections, 0)
      })
    ))
})
