/**
 * OpenTelemetry: a publish and the handling of its message are one trace, whose context travels in the message, and the
 * library's counters go out beside it. The exporters here keep what they are given; in a program they are those of
 * OTLP (`OTLPTraceExporter`, `OTLPMetricExporter`), and nothing else changes.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { BatchSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace-base"
import { Metrics } from "effect-amqp"
import { Channel, Consumer, Message, Publisher } from "effect-amqp/amqp091"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { isMain, Live } from "./main.ts"

/** Takes an order and bakes it: `spans` is all it takes. */
const bakery = Effect.gen(function*() {
  const channel = yield* Channel.make()
  const { queue } = yield* channel.queueDeclare({ queue: "examples.traced", exclusive: true })
  const baked = yield* Deferred.make<void>()
  yield* Effect.forkScoped(Consumer.run(
    { queue, content: Message.text, spans: true },
    (order) => Effect.zipRight(Effect.withSpan(Effect.log(order), "bake"), Deferred.succeed(baked, undefined))
  ))
  const orders = yield* Publisher.make({ routingKey: queue, content: Message.text, spans: true })
  yield* Effect.withSpan(orders.publish("cake"), "POST /orders")
  yield* Deferred.await(baked)
})

/** What the exporters were given. */
const exported = (spans: InMemorySpanExporter, metrics: InMemoryMetricExporter, publishedBefore: number) => {
  const finished = spans.getFinishedSpans()
  const nameOf = (id: string | undefined) => finished.find((span) => span.spanContext().spanId === id)?.name
  const counters = metrics.getMetrics().at(-1)?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
  const published = counters.find(({ descriptor }) => descriptor.name === "amqp_client_published_messages")
  return {
    parents: Object.fromEntries(finished.map((span) => [span.name, nameOf(span.parentSpanContext?.spanId)])),
    traces: new Set(finished.map((span) => span.spanContext().traceId)).size,
    service: finished[0]?.resource.attributes["service.name"],
    published: Number(published?.dataPoints[0]?.value) - publishedBefore
  }
}

export const program = Effect.gen(function*() {
  const spans = new InMemorySpanExporter()
  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const spanProcessor = new BatchSpanProcessor(spans)
  const metricReader = new PeriodicExportingMetricReader({ exporter: metrics })
  const TelemetryLive = NodeSdk.layer(() => ({ resource: { serviceName: "orders" }, spanProcessor, metricReader }))

  return yield* Effect.gen(function*() {
    const before = (yield* Metric.value(Metrics.published)).count
    yield* Effect.scoped(bakery)
    // A program leaves that to the end of the Layer: these exporters forget what they have at theirs.
    yield* Effect.promise(() => Promise.all([spanProcessor.forceFlush(), metricReader.forceFlush()]))
    return exported(spans, metrics, before)
  }).pipe(Effect.provide(TelemetryLive))
})

if (isMain(import.meta.url)) NodeRuntime.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(Live)))
