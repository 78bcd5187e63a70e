import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Channel from "../../src/amqp091/Channel.ts"
import * as Consumer from "../../src/amqp091/Consumer.ts"
import { parentOf } from "../../src/amqp091/internal/tracing.ts"
import * as Message from "../../src/amqp091/Message.ts"
import * as Publisher from "../../src/amqp091/Publisher.ts"
import * as Rpc from "../../src/amqp091/Rpc.ts"
import { Embedded, pass, warnings } from "./onBroker.ts"

interface Seen {
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly traceId: string
  readonly spanId: string
  readonly parent: string | undefined
  readonly attributes: ReadonlyMap<string, unknown>
  exit: Exit.Exit<unknown, unknown> | undefined
}

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0")

/** A tracer that keeps what it sees. */
const collecting = (spans: Array<Seen>) => {
  let count = 0
  return Tracer.make({
    context: (run) => run(),
    span: (name, parent, context, links, startTime, kind) => {
      const number = ++count
      const attributes = new Map<string, unknown>()
      const seen: Seen = {
        name,
        kind,
        traceId: Option.match(parent, { onNone: () => hex(number, 32), onSome: ({ traceId }) => traceId }),
        spanId: hex(number, 16),
        parent: Option.getOrUndefined(parent)?.spanId,
        attributes,
        exit: undefined
      }
      spans.push(seen)
      return {
        _tag: "Span",
        name,
        spanId: seen.spanId,
        traceId: seen.traceId,
        parent,
        context,
        links: [...links],
        kind,
        sampled: true,
        status: { _tag: "Started", startTime },
        attributes,
        attribute: (key, value) => void attributes.set(key, value),
        event: () => {},
        addLinks: () => {},
        end: (_, exit) => {
          seen.exit = exit
        }
      }
    }
  })
}

const traced = <A, E, R>(use: (spans: Array<Seen>) => Effect.Effect<A, E, R>) => {
  const spans: Array<Seen> = []
  return Effect.withTracer(use(spans), collecting(spans))
}

const named = (spans: ReadonlyArray<Seen>, name: string) => spans.filter((span) => span.name === name)

/** What a span is, and whose child. */
const place = (span: Seen | undefined) => [span?.name, span?.kind, span?.traceId, span?.parent]

const trace = "0af7651916cd43dd8448eb211c80319c"
const of = (traceparent: string | number) => parentOf({ properties: { headers: { traceparent } } })

const declare = (queue: string) =>
  Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDeclare({ queue })))

const taken = (queue: string) =>
  Effect.scoped(
    Effect.flatMap(Channel.make(), (channel) =>
      Effect.map(Effect.flatten(channel.get({ queue, noAck: true })), ({ delivery }) => delivery))
  )

describe("spans", () => {
  for (const guarantee of ["at-most-once", "confirmed", "at-least-once"] as const) {
    it.scoped(`a publish is one, and its context travels with the message (${guarantee})`, () =>
      traced((spans) =>
        Effect.gen(function*() {
          yield* declare("q")
          const publisher = yield* Publisher.make({
            routingKey: "q",
            content: Message.text,
            guarantee,
            spans: true,
            messageId: (text) => text,
            properties: { headers: { mine: 1, traceparent: "an old one" } }
          })
          yield* Effect.withSpan(publisher.publish("a"), "outer")
          const [outer, send] = spans
          assert.deepStrictEqual(place(send), ["send amq.default", "producer", outer?.traceId, outer?.spanId])
          assert.deepStrictEqual(Object.fromEntries(send?.attributes ?? []), {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": "amq.default",
            "messaging.rabbitmq.destination.routing_key": "q",
            "messaging.message.id": "a"
          })
          yield* pass
          const { properties } = yield* taken("q")
          assert.deepStrictEqual(properties.headers, {
            mine: 1,
            traceparent: `00-${send?.traceId}-${send?.spanId}-01`
          })
        })
      ).pipe(Effect.provide(Embedded)))
  }

  it.scoped("many published at once are one, which all of them carry", () =>
    traced((spans) =>
      Effect.gen(function*() {
        yield* declare("q")
        const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, spans: true })
        yield* publisher.publishAll(["a", "b"])
        assert.strictEqual(spans.length, 1)
        assert.strictEqual(spans[0]?.attributes.get("messaging.batch.message_count"), 2)
        const told = `00-${spans[0]?.traceId}-${spans[0]?.spanId}-01`
        assert.strictEqual((yield* taken("q")).properties.headers?.["traceparent"], told)
        assert.strictEqual((yield* taken("q")).properties.headers?.["traceparent"], told)
      })
    ).pipe(Effect.provide(Embedded)))

  it.scoped("a handler is one, in its sender's trace, and fails with it", () =>
    traced((spans) =>
      Effect.gen(function*() {
        yield* declare("q")
        const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text, spans: true })
        const bare = yield* Publisher.make({ routingKey: "q", content: Message.text })
        yield* publisher.publish("a")
        yield* bare.publish("b")
        const done = yield* Deferred.make<void>()
        yield* Effect.forkScoped(Effect.withSpan(
          Consumer.run(
            { queue: "q", content: Message.text, spans: true, onFailure: "reject" },
            (text) => text === "a" ? Effect.withSpan(Effect.fail("no"), "inner") : Deferred.succeed(done, undefined)
          ),
          "never ending"
        ))
        yield* Deferred.await(done)
        yield* pass
        const [send] = named(spans, "send amq.default")
        const [first, second] = named(spans, "process q")
        assert.deepStrictEqual(place(first), ["process q", "consumer", send?.traceId, send?.spanId])
        assert.strictEqual(first?.exit?._tag, "Failure")
        assert.strictEqual(first?.attributes.get("messaging.destination.subscription.name"), "q")
        assert.strictEqual(named(spans, "inner")[0]?.parent, first?.spanId)
        // Nobody's child: not the consumer's, which never ends.
        assert.isUndefined(second?.parent)
        assert.strictEqual(second?.exit?._tag, "Success")
      })
    ).pipe(Effect.provide(warnings([])), Effect.provide(Embedded)))

  it.scoped("a call and its handler are one trace", () =>
    traced((spans) =>
      Effect.gen(function*() {
        yield* declare("q")
        yield* Effect.forkScoped(Rpc.serve({ queue: "q", spans: true }, Effect.succeed))
        const rpc = yield* Rpc.client({ spans: true })
        yield* rpc.call({ routingKey: "q", content: "x" })
        const [call, served] = spans
        assert.deepInclude({ ...call }, { name: "send amq.default", kind: "client" })
        assert.deepStrictEqual(place(served), ["process q", "consumer", call?.traceId, call?.spanId])
      })
    ).pipe(Effect.provide(Embedded)))

  it.scoped("there are none, and no header, where nobody asked for them", () =>
    traced((spans) =>
      Effect.gen(function*() {
        yield* declare("q")
        const publisher = yield* Publisher.make({ routingKey: "q", content: Message.text })
        yield* publisher.publish("a")
        assert.isUndefined((yield* taken("q")).properties.headers)
        assert.deepStrictEqual(spans, [])
      })
    ).pipe(Effect.provide(Embedded)))
})

describe("the header traceparent", () => {
  it("is read as Trace Context has it", () => {
    const parent = of(`00-${trace}-b7ad6b7169203331-01`)
    assert.deepInclude({ ...parent }, { traceId: trace, spanId: "b7ad6b7169203331", sampled: true })
    assert.isFalse(of(`00-${trace}-b7ad6b7169203331-00`)?.sampled)
    assert.strictEqual(of(`cc-${trace}-b7ad6b7169203331-01-what the future brings`)?.traceId, trace)
  })

  it("is ignored where it is none", () => {
    const wrong = [
      "",
      1,
      `ff-${trace}-b7ad6b7169203331-01`,
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
      `00-${trace.toUpperCase()}-b7ad6b7169203331-01`,
      `00-${trace}-b7ad6b7169203331-0`,
      `00-${trace}-b7ad6b7169203331-011`
    ]
    for (const each of wrong) assert.isUndefined(of(each), String(each))
    assert.isUndefined(parentOf({ properties: {} }))
  })
})
