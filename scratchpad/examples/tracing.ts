/**
 * Spans: a publish and the handling of its message are one trace, whose context travels in the message. The tracer here
 * prints what it sees; in a program it is `NodeSdk.layer` of `@effect/opentelemetry`, and nothing else changes:
 *
 *   import { NodeSdk } from "@effect/opentelemetry"
 *   const TracingLive = NodeSdk.layer(() => ({
 *     resource: { serviceName: "orders" },
 *     spanProcessor: new BatchSpanProcessor(new OTLPTraceExporter()),
 *     metricReader: new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })
 *   }))
 *
 * The library's counters (`effect-amqp`'s `Metrics`) are Effect metrics, and go the same way.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Metrics } from "effect-amqp"
import { Channel, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { isMain, Live } from "./main.ts"

interface Line {
  readonly name: string
  readonly traceId: string
  readonly parent: string | undefined
}

/** Keeps each span as a line. */
const writing = (lines: Array<Line>): Tracer.Tracer => {
  let count = 0
  const id = (digits: number) => `${++count}`.padStart(digits, "0")
  return Tracer.make({
    context: (run) => run(),
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const traceId = Option.match(parent, { onNone: () => id(32), onSome: (span) => span.traceId })
      const spanId = id(16)
      lines.push({ name, traceId, parent: Option.getOrUndefined(Option.map(parent, (span) => span.spanId)) })
      return {
        _tag: "Span",
        name,
        spanId,
        traceId,
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
        end: () => {}
      }
    }
  })
}

export const program = Effect.gen(function*() {
  const lines: Array<Line> = []
  const publishedBefore = (yield* Metric.value(Metrics.published)).count
  yield* Effect.gen(function*() {
    const channel = yield* Channel.make()
    const { queue } = yield* channel.queueDeclare({ queue: "examples.traced", exclusive: true })
    const handled = yield* Deferred.make<void>()
    yield* Effect.forkScoped(Consumer.run(
      { queue, content: Message.text, spans: true },
      (order) => Effect.zipRight(Effect.withSpan(Effect.log(order), "bake"), Deferred.succeed(handled, undefined))
    ))
    const orders = yield* Publisher.make({ routingKey: queue, content: Message.text, spans: true })
    yield* Effect.withSpan(orders.publish("cake"), "POST /orders")
    yield* Deferred.await(handled)
  }).pipe(Effect.scoped, Effect.provide(Layer.setTracer(writing(lines))))
  return {
    spans: lines.map(({ name }) => name),
    traces: new Set(lines.map(({ traceId }) => traceId)).size,
    published: (yield* Metric.value(Metrics.published)).count - publishedBefore
  }
})

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
