/**
 * What this library says, read by others: the suite's cases on the embedded broker, the octets of each of their
 * connections recorded both ways and given to tshark, whose list of frames is held against what was sent.
 */
import { assert, layer } from "@effect/vitest"
import { Credentials } from "effect-amqp"
import { Connection, Frame, Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reconnect from "../../src/Reconnect.ts"
import { Transport } from "../../src/Transport.ts"
import { readSpecification } from "../amqp091/specification.ts"
import { describeWith } from "../harness/describe.ts"
import * as Tshark from "../harness/tshark.ts"
import { layerPlace } from "./embedded.ts"
import { openOn, Place } from "./place.ts"
import { behaviour } from "./suite.ts"
import * as Wire from "./wire.ts"

const conversations: Array<Tshark.Conversation> = []

/** The library's connections are recorded, and not the pipes on which cases speak frame by frame, often wrongly. */
const Live = Layer.unwrapEffect(Effect.gen(function*() {
  const { host, port } = yield* Broker.Broker
  const transport = yield* Transport
  const place = Layer.map(layerPlace, (context) => {
    const dial = transport.dial({ scheme: "amqp", host, port })
    return Context.make(Place, { ...Context.get(context, Place), dial })
  })
  return Layer.provideMerge(place, Layer.succeed(Transport, Tshark.recorded(transport, conversations)))
})).pipe(Layer.provideMerge(Broker.layerMemoryWith({ mechanisms: ["PLAIN", "RABBIT-CR-DEMO"] })))

const specification = readSpecification()
const specified = new Map(specification.methods.map((method) => [method.name, method]))

// Tables and times tshark shows in ways of its own, and octets are no text to it.
const types = new Set(["shortstr", "octet", "short", "long", "longlong", "bit"])
const properties = specification.properties.filter(({ name, type }) => name !== "reserved" && types.has(type))
const argumentsOf = ({ fields }: typeof specification.methods[number]) =>
  fields.filter(({ reserved, type }) => !reserved && types.has(type))

const propertyField = (name: string): string => `amqp.method.properties.${name.replaceAll("-", "_")}`
const argumentField = (name: string): string =>
  `amqp.method.arguments.${name === "no-wait" ? "nowait" : name.replaceAll("-", "_")}`

const ours = (name: string): string =>
  name === "nowait" ? "noWait" : name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())

const envelope = ["amqp.type", "amqp.channel", "amqp.method.class", "amqp.method.method"]
const fields = [
  ...envelope,
  "amqp.header.class",
  "amqp.header.body-size",
  ...properties.map(({ name }) => propertyField(name)),
  ...new Set(specification.methods.flatMap(argumentsOf).map(({ name }) => argumentField(name)))
]

type Values = Record<string, ReadonlyArray<string>>

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** As tshark shows it, to which texts are ASCII: each other octet is U+FFFD. */
const shown = (value: unknown): string =>
  typeof value === "boolean"
    ? value ? "1" : "0"
    : String(value)
      .replaceAll(/[\n\r\t]/g, (escaped) => escapes[escaped] ?? escaped)
      .replaceAll(/\P{ASCII}/gu, (character) => "\ufffd".repeat(Buffer.byteLength(character)))

const collect = (each: Iterable<readonly [field: string, value: unknown]>): Values => {
  const values: Record<string, Array<string>> = Object.fromEntries(fields.map((field) => [field, []]))
  for (const [field, value] of each) {
    // tshark does not tell an empty text from none.
    if (value !== "" && value !== undefined) values[field]?.push(shown(value))
  }
  return values
}

/** As this library's codec reads it, its methods and their arguments numbered and named by the specification. */
const byCodec = function*(frames: ReadonlyArray<Frame.Frame>): Iterable<readonly [string, unknown]> {
  for (const frame of frames) {
    if (frame._tag === "ProtocolHeader") continue
    yield ["amqp.channel", frame.channel]
    yield ["amqp.type", { MethodFrame: 1, HeaderFrame: 2, BodyFrame: 3, HeartbeatFrame: 8 }[frame._tag]]
    if (frame._tag === "HeaderFrame") {
      yield ["amqp.header.class", 60]
      yield ["amqp.header.body-size", frame.bodySize]
      const values = new Map<string, unknown>(Object.entries(frame.properties))
      for (const { name } of properties) yield [propertyField(name), values.get(ours(name))]
    } else if (frame._tag === "MethodFrame") {
      const method = specified.get(Method.name(frame.method))
      assert(method !== undefined)
      const values = new Map<string, unknown>(Object.entries(frame.method))
      yield ["amqp.method.class", method.classId]
      yield ["amqp.method.method", method.methodId]
      for (const { name } of argumentsOf(method)) yield [argumentField(name), values.get(ours(name))]
    }
  }
}

/** As the octets stand, read by nothing of this library: the envelopes alone, and the frame end, which tshark passes over. */
const byHand = function*(octets: Uint8Array): Iterable<readonly [string, number]> {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const protocolHeader = 8
  let at = octets[0] === "A".charCodeAt(0) ? protocolHeader : 0
  while (at < octets.length) {
    const type = view.getUint8(at)
    yield ["amqp.type", type]
    yield ["amqp.channel", view.getUint16(at + 1)]
    if (type === 1) {
      yield ["amqp.method.class", view.getUint16(at + 7)]
      yield ["amqp.method.method", view.getUint16(at + 9)]
    }
    const end = at + 7 + view.getUint32(at + 3)
    assert.strictEqual(view.getUint8(end), 0xce)
    at = end + 1
  }
}

const only = (values: Values, names: ReadonlyArray<string>): Values =>
  Object.fromEntries(names.map((name) => [name, values[name] ?? []]))

/** What tshark notes of frames without fault: that the broker refused something. The cases have it do so. */
const refusals = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<string> =>
  frames.flatMap((frame) => {
    if (frame._tag !== "MethodFrame") return []
    const { method } = frame
    if (method._tag === "BasicReturn") return ["Message was not delivered"]
    if (method._tag === "ChannelClose" && method.replyCode !== 200) return ["Channel error"]
    return method._tag === "ConnectionClose" && method.replyCode !== 200 ? ["Connection error"] : []
  })

/** For brokers that throttle by flow, take a cancel-ok, or lack `basic.nack`, which this one is not; the last is deprecated. */
const neverSaid = ["channel.flow-ok", "basic.cancel-ok", "basic.reject", "basic.recover-async"]

const countsOf = (texts: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

const dissectAnswer = (...octets: ReadonlyArray<number>) =>
  Tshark.dissect([[
    { from: "client", octets: Frame.protocolHeader },
    { from: "server", octets: Wire.octetsOf({ _tag: "ChannelOpenOk" }) },
    { from: "server", octets: Uint8Array.from(octets) }
  ]], ["amqp.method.method"])

describeWith(["tshark"], "behaviour, dissected by tshark", () => {
  layer(Live)((it) => {
    behaviour(it)

    it.scoped("what remains is said too: recover, flow, and the answer to a challenge", () =>
      Effect.gen(function*() {
        const { host, port } = yield* Broker.Broker
        const credentials = Credentials.rabbitCrDemo("guest", Redacted.make("guest"))
        const connection = yield* Connection.make({ host, port, credentials, reconnect: Reconnect.none })
        const channel = yield* openOn(connection)
        yield* channel.recover
        yield* channel.flow(true)
      }))

    it.effect("every frame is read as it was sent, and none is complained of", () =>
      Effect.gen(function*() {
        const dissection = yield* Tshark.dissect(conversations, fields)
        const notes: Array<string> = []
        const said = new Set<string>()
        for (const [index, conversation] of conversations.entries()) {
          for (const from of ["client", "server"] as const) {
            const octets = Buffer.concat(conversation.filter((each) => each.from === from).map(({ octets }) => octets))
            const frames = Frame.makeDecoder({ maxFrameSize: 0 }).push(octets)
            const sent = collect(byCodec(frames))
            const read = Object.fromEntries(fields.map((field) => [field, dissection.read(index, from, field)]))
            assert.deepStrictEqual(read, sent, `connection ${index}, ${from}`)
            assert.deepStrictEqual(only(collect(byHand(octets)), envelope), only(sent, envelope))
            notes.push(...refusals(frames))
            if (from === "client") {
              for (const frame of frames) if (frame._tag === "MethodFrame") said.add(Method.name(frame.method))
            }
          }
        }
        assert.deepStrictEqual(countsOf(dissection.notes), countsOf(notes))
        const unsaid = specification.methods.filter(({ name, to }) => to !== "client" && !said.has(name))
        assert.deepStrictEqual(unsaid.map(({ name }) => name), neverSaid)
      }), 60_000)

    it.effect("it does complain of a method that is cut short, and does not of its frame end", () =>
      Effect.gen(function*() {
        const whole = yield* dissectAnswer(1, 0, 1, 0, 0, 0, 4, 0, 50, 0, 51, 0)
        assert.deepStrictEqual(whole.notes, [])
        assert.deepStrictEqual(whole.read(0, "server", "amqp.method.method"), ["11", "51"])
        assert.isNotEmpty((yield* dissectAnswer(1, 0, 1, 0, 0, 0, 4, 0, 50, 0, 31, 0xce)).notes)
      }))
  })
})
