import { assert, describe } from "@effect/vitest"
import { FieldTable, Frame, type Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Wire from "../behaviour/wire.ts"
import { connect, declare, introduced, login, scoped, scopedWith, wire } from "./clients.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const tells = { authentication_failure_close: true }
const tune = "0 connection.tune {\"channelMax\":2047,\"frameMax\":131072,\"heartbeat\":60}"
const refused = (mechanism: string) =>
  `0 connection.close 403 ACCESS_REFUSED - Login was refused using authentication mechanism ${mechanism}. For details ` +
  "see the broker logfile. (0.0)"

/** The same introduction with another response. */
const responding = (mechanism: string, response: Uint8Array) =>
  Effect.gen(function*() {
    const one = yield* wire
    yield* one.send(Frame.protocolHeader)
    yield* one.next
    yield* one.send({ ...Wire.startOk({ mechanism, capabilities: tells }), response } as Method.Method)
    return one
  })

const amqplain = (table: FieldTable.FieldTable): Uint8Array => {
  const writer = new ByteWriter()
  FieldTable.encode(writer, table)
  return writer.bytes.slice(4, writer.length)
}

const challenge = "0 connection.secure "
const secureOk = (text: string): Method.Method => ({ _tag: "ConnectionSecureOk", response: bytes(text) })
const demo = scopedWith({ mechanisms: ["PLAIN", "RABBIT-CR-DEMO"] })

describe("Broker, logging in", () => {
  scoped(
    "AMQPLAIN takes a table of LOGIN and PASSWORD",
    Effect.gen(function*() {
      const good = yield* responding("AMQPLAIN", amqplain({ LOGIN: "guest", PASSWORD: "guest" }))
      assert.strictEqual(yield* good.next, tune)
      const bad = yield* responding("AMQPLAIN", amqplain({ LOGIN: "guest" }))
      assert.strictEqual(yield* bad.next, refused("AMQPLAIN"))
    })
  )

  scoped(
    "RABBIT-CR-DEMO is not offered unless asked for, and EXTERNAL and ANONYMOUS never are",
    Effect.forEach(["RABBIT-CR-DEMO", "EXTERNAL", "ANONYMOUS"], (mechanism) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* login({ mechanism, capabilities: tells }), [
          `0 connection.close 503 COMMAND_INVALID - unknown authentication mechanism '${mechanism}' (10.11)`
        ])
      }))
  )

  demo(
    "RABBIT-CR-DEMO asks back for the password",
    Effect.gen(function*() {
      const one = yield* responding("RABBIT-CR-DEMO", bytes("guest"))
      assert.include(yield* one.next, challenge)
      yield* one.send(secureOk("My password is guest"))
      assert.strictEqual(yield* one.next, tune)
    })
  )

  for (
    const [what, text] of [["wrong password", "My password is wrong"], ["answer in other words", "guest"]] as const
  ) {
    demo(
      `RABBIT-CR-DEMO refuses a ${what}`,
      Effect.gen(function*() {
        const one = yield* responding("RABBIT-CR-DEMO", bytes("guest"))
        assert.include(yield* one.next, challenge)
        yield* one.send(secureOk(text))
        assert.strictEqual(yield* one.next, refused("RABBIT-CR-DEMO"))
      })
    )
  }

  demo(
    "an answer that nothing asked for ends the handshake",
    Effect.gen(function*() {
      const one = yield* responding("PLAIN", bytes("\u0000guest\u0000guest"))
      assert.strictEqual(yield* one.next, tune)
      yield* one.send(secureOk("My password is guest"))
      assert.match(yield* one.next, /^0 connection\.close 503 connection\.secure-ok/)
    })
  )
})

describe("Broker, new secrets", () => {
  const picky = scopedWith({ acceptSecret: (user, secret) => user === "guest" && Redacted.value(secret) === "good" })

  picky(
    "one that will do is confirmed, and the connection goes on",
    Effect.gen(function*() {
      const connection = yield* connect()
      yield* connection.updateSecret(Redacted.make("good"), "it was time")
      assert.strictEqual((yield* connection.state)._tag, "Open")
    })
  )

  picky(
    "one that will not ends the connection, with RabbitMQ's words",
    Effect.gen(function*() {
      const one = yield* introduced()
      yield* one.send({ _tag: "ConnectionUpdateSecret", newSecret: bytes("bad"), reason: "" })
      assert.strictEqual(
        yield* one.next,
        "0 connection.close 530 NOT_ALLOWED - New secret was refused by one of the backends (10.70)"
      )
    })
  )
})

describe("Broker, names", () => {
  scoped(
    "queues and consumers without a name get one that nobody guesses",
    Effect.gen(function*() {
      const one = yield* introduced()
      const seen = new Set<string>()
      for (let time = 0; time < 20; time++) {
        yield* one.send(declare({ queue: "", exclusive: true }), {
          _tag: "BasicConsume",
          queue: "",
          consumerTag: "",
          noLocal: false,
          noAck: true,
          exclusive: false,
          noWait: false,
          arguments: {}
        })
        const queue = /"queue":"amq\.gen-([\w-]{22})"/.exec(yield* one.next)?.[1]
        const tag = /"consumerTag":"amq\.ctag-([\w-]{22})"/.exec(yield* one.next)?.[1]
        assert.isDefined(queue)
        assert.isDefined(tag)
        seen.add(String(queue)).add(String(tag))
      }
      assert.strictEqual(seen.size, 40)
    })
  )

  let count = 0
  scopedWith({ generateName: () => `name-${++count}` })(
    "or the names that a test wants",
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const one = yield* introduced()
      yield* one.send(declare({ queue: "", exclusive: true }))
      yield* one.next
      assert.deepStrictEqual((yield* broker.queues()).map(({ name }) => name), ["amq.gen-name-1"])
    })
  )
})
