import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Method from "../../src/amqp091/Method.ts"
import { dialect } from "../../src/amqp091/method/types.ts"
import * as Properties from "../../src/amqp091/Properties.ts"
import { FrameError } from "../../src/AmqpError.ts"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Compiler from "../../src/wire/Compiler.ts"
import { fault, hex, unhex } from "../wire/bytes.ts"
import { recorded } from "./recorded.ts"
import { readSpecification } from "./specification.ts"

const encode = (method: Method.Method): Uint8Array => {
  const writer = new ByteWriter()
  Method.encode(writer, method)
  return writer.toBytes()
}
const decode = (bytes: Uint8Array): Method.Method => Method.decode(new ByteReader().reset(bytes))

// pika still sets the bit of connection.open that was once `insist`; we write it as the reserved zero it is now.
const setsReserved = (by: string, name: string) => by.startsWith("pika") && name === "connection.open"

const modes = { "generated code": Compiler.specialise, interpreter: Compiler.interpret }

for (const [mode, make] of Object.entries(modes)) {
  describe(`methods by ${mode}`, () => {
    for (const definition of Method.definitions) {
      const codec = make<Method.Method, object>(definition.plan, dialect)
      it(`${definition.name} survives the wire`, () => {
        const writer = new ByteWriter()
        FastCheck.assert(
          FastCheck.property(Arbitrary.make(definition.schema), (method: Method.Method) => {
            codec.encode(writer.reset(), method)
            const reader = new ByteReader().reset(writer.bytes, 0, writer.length)
            assert.deepStrictEqual(codec.decode(reader, {}), method)
            assert.strictEqual(reader.remaining, 0)
          }),
          { numRuns: 100 }
        )
      })
    }

    for (const { by, bytes, frame } of recorded.filter(({ frame }) => frame.type === 1)) {
      const definition = Method.definitions.find((d) => d.classId === frame.classId && d.methodId === frame.methodId)!
      it(`${definition.name} as ${by} sends it`, () => {
        const codec = make<Method.Method, object>(definition.plan, dialect)
        const reader = new ByteReader().reset(bytes, 11, bytes.length - 1)
        const method = codec.decode(reader, { decode: "typed" })
        assert.strictEqual(reader.remaining, 0)
        assert.isTrue(Schema.is(definition.schema)(method))
        const writer = new ByteWriter()
        codec.encode(writer, method)
        const sent = hex(bytes.subarray(11, -1))
        assert.strictEqual(hex(writer.toBytes()), setsReserved(by, definition.name) ? sent.replace(/1$/, "0") : sent)
      })
    }
  })
}

describe("recorded frames", () => {
  it("are there for every method: none is one that nobody sends", () => {
    const seen = new Set(recorded.map(({ frame }) => `${frame.type} ${frame.classId} ${frame.methodId}`))
    const unseen = Method.definitions.filter((d) => !seen.has(`1 ${d.classId} ${d.methodId}`))
    assert.deepStrictEqual(unseen.map((d) => d.name), [])
  })
})

describe("the specification", () => {
  const specification = readSpecification()
  // What RabbitMQ has and its XML has not.
  const extensions = [
    "connection.blocked",
    "connection.unblocked",
    "connection.update-secret",
    "connection.update-secret-ok",
    "access.request",
    "access.request-ok"
  ]
  // RabbitMQ always answers basic.recover; the XML does not say so.
  const answered = new Map([["basic.recover", ["basic.recover-ok"]]])
  // Long strings that are text by what the specification says of them.
  const texts = new Set(["connection.start.mechanisms", "connection.start.locales", "channel.open-ok.reserved-1"])

  it("has every method that is here, but for RabbitMQ's extensions, and no other", () => {
    const here = Method.definitions.map((definition) => definition.name)
    assert.sameMembers(here, [...specification.methods.map((method) => method.name), ...extensions])
    assert.strictEqual(new Set(here).size, here.length)
  })

  for (const method of specification.methods) {
    it(`says of ${method.name} what is here, field by field`, () => {
      const definition = Method.definitions.find(({ name }) => name === method.name)!
      const replies = answered.get(method.name)
      assert.deepStrictEqual({
        classId: definition.classId,
        methodId: definition.methodId,
        content: definition.content,
        synchronous: definition.synchronous,
        deprecated: definition.deprecated,
        to: definition.to,
        replies: definition.replies.map((tag) => Method.definition(tag).name)
      }, {
        classId: method.classId,
        methodId: method.methodId,
        content: method.content,
        synchronous: method.synchronous || replies !== undefined,
        deprecated: method.deprecated,
        to: method.to,
        replies: replies ?? method.replies
      })
      assert.deepStrictEqual(
        definition.plan.fields.map(({ name, wire }) => ({ name, wire })),
        method.fields.map((field) => ({
          name: field.reserved ? undefined : camel(field.name === "nowait" ? "no-wait" : field.name),
          wire: texts.has(`${method.name}.${field.name}`) ? "longtext" : field.type
        }))
      )
    })
  }

  it("has the fourteen properties, in this order", () => {
    assert.deepStrictEqual(
      Properties.plan.fields.map(({ name, wire }) => ({ name, wire })),
      specification.properties.map(({ name, type }) => ({
        name: name === "reserved" ? "clusterId" : camel(name),
        wire: type
      }))
    )
  })

  it("has every reply code but 312, which is RabbitMQ's", () => {
    const { noRoute, ...specified } = Method.ReplyCode
    assert.strictEqual(noRoute, 312)
    assert.deepStrictEqual(
      Object.fromEntries(specification.replyCodes.map(({ name, code }) => [camel(name), code])),
      { ...specified }
    )
    for (const { code, hard } of specification.replyCodes) assert.strictEqual(Method.isHardError(code), hard)
  })

  it("is followed by the extensions as RabbitMQ numbers them", () => {
    const numbers = extensions.map((name) => Method.definitions.find((definition) => definition.name === name)!)
    assert.deepStrictEqual(
      numbers.map((d) => [d.classId, d.methodId]),
      [[10, 60], [10, 61], [10, 70], [10, 71], [30, 10], [30, 11]]
    )
  })
})

const camel = (name: string): string => name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

describe("a method's bytes", () => {
  it("are class, number and arguments, bits packed and reserved fields zero", () => {
    const method: Method.QueueDeclare = {
      _tag: "QueueDeclare",
      queue: "q",
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      noWait: true,
      arguments: {}
    }
    assert.deepStrictEqual(encode(method), unhex("0032000a 0000 0171 1a 00000000"))
  })

  it("ignore what comes in reserved fields", () => {
    const bytes = unhex("000a0028 012f 03616263 ff")
    assert.deepStrictEqual(decode(bytes), { _tag: "ConnectionOpen", virtualHost: "/" })
    assert.deepStrictEqual(encode({ _tag: "ConnectionOpen", virtualHost: "/" }), unhex("000a0028 012f 00 00"))
  })

  it("take a delivery tag up to 2^53 - 1, and no further", () => {
    assert.deepStrictEqual(decode(unhex("003c0050 001fffffffffffff 00")), {
      _tag: "BasicAck",
      deliveryTag: Number.MAX_SAFE_INTEGER,
      multiple: false
    })
    assert.deepInclude(fault(() => decode(unhex("003c0050 0020000000000000 00"))), {
      reason: "Range",
      field: "basic.ack.deliveryTag",
      offset: 4
    })
  })

  it("are refused with the field and the offset where they end too early", () => {
    const whole = encode({ _tag: "BasicReturn", replyCode: 312, replyText: "NO_ROUTE", exchange: "x", routingKey: "k" })
    const cut = fault(() => decode(whole.subarray(0, 9)))
    assert.deepInclude(cut, { reason: "Truncated", field: "basic.return.replyText", offset: 7 })
    assert.include(cut.message, "basic.return.replyText at byte 7")
    for (let size = 0; size < whole.length; size++) {
      assert.strictEqual(fault(() => decode(whole.subarray(0, size))).reason, "Truncated")
    }
  })

  it("are refused where octets follow the last argument", () => {
    assert.deepInclude(fault(() => decode(unhex("00140014 01 00"))), {
      reason: "Trailing",
      field: "channel.flow",
      offset: 5
    })
  })

  it("are refused where class or method is unknown, with both numbers", () => {
    const unknown = fault(() => decode(unhex("003c00c8")))
    assert.deepInclude(unknown, { reason: "UnknownMethod", field: "method", offset: 0 })
    assert.include(unknown.message, "class 60 has no method 200")
  })

  it("are not made of a text that does not fit, a wrong type or an unknown tag", () => {
    const publish: Method.BasicPublish = {
      _tag: "BasicPublish",
      exchange: "x",
      routingKey: "ø".repeat(128),
      mandatory: false,
      immediate: false
    }
    assert.deepInclude(fault(() => encode(publish)), { reason: "Length", field: "basic.publish.routingKey" })
    const wrong = (change: object) => fault(() => encode(Object.assign({ ...publish, routingKey: "" }, change)))
    assert.deepInclude(wrong({ mandatory: "yes" }), { reason: "Value", field: "basic.publish.mandatory" })
    assert.deepInclude(wrong({ exchange: undefined }), { reason: "Value", field: "basic.publish.exchange" })
    assert.deepInclude(wrong({ exchange: "\ud800" }), { reason: "Value", field: "basic.publish.exchange" })
    assert.deepInclude(wrong({ _tag: "BasicPublished" }), { reason: "Value", field: "method" })
    assert.deepInclude(wrong({ _tag: "ChannelClose", replyCode: 65536 }), {
      reason: "Range",
      field: "channel.close.replyCode"
    })
    assert.deepInclude(wrong({ _tag: "BasicAck", deliveryTag: -1, multiple: false }), {
      reason: "Range",
      field: "basic.ack.deliveryTag"
    })
  })

  it("hold malformed text of a foreign peer as U+FFFD", () => {
    const bytes = unhex("00140028 0194 02c328 0000 0000")
    assert.deepStrictEqual(decode(bytes), {
      _tag: "ChannelClose",
      replyCode: 404,
      replyText: "\ufffd(",
      classId: 0,
      methodId: 0
    })
  })
})

describe("names", () => {
  it("are as brokers write them, by method and by numbers", () => {
    assert.strictEqual(Method.name({ _tag: "ConnectionUpdateSecretOk" }), "connection.update-secret-ok")
    assert.strictEqual(Method.nameOf(50, 10), "queue.declare")
    assert.isUndefined(Method.nameOf(0, 0))
  })
})

describe("Method.FromBytes", () => {
  it("has a Schema for each method, over class, number and arguments", () => {
    assert.sameMembers(Object.keys(Method.FromBytes), Method.definitions.map((definition) => definition.tag))
    const bytes = Schema.encodeSync(Method.FromBytes.ChannelFlow)({ _tag: "ChannelFlow", active: true })
    assert.deepStrictEqual(bytes, Uint8Array.of(0, 20, 0, 20, 1))
    const flow: Method.ChannelFlow = Schema.decodeSync(Method.FromBytes.ChannelFlow)(bytes)
    assert.deepStrictEqual(flow, { _tag: "ChannelFlow", active: true })
    assert.deepStrictEqual(Schema.decodeSync(Method.MethodFromBytes)(bytes), flow)
  })

  it("fails to parse another method, and what the codec refuses", () => {
    const other = Schema.decodeEither(Method.FromBytes.ChannelFlow)(Uint8Array.of(0, 20, 0, 21, 1))
    assert.include(String(Either.getOrThrowWith(Either.flip(other), () => new Error("parsed"))), "channel.flow-ok")
    const cut = Schema.decodeEither(Method.MethodFromBytes)(Uint8Array.of(0, 20, 0, 20))
    assert.include(String(Either.getOrThrowWith(Either.flip(cut), () => new Error("parsed"))), "channel.flow.active")
  })

  it("lets no fault but FrameError out of the codec", () => {
    assert.instanceOf(fault(() => decode(new Uint8Array(3))), FrameError)
  })
})
