/** Remote calls on RabbitMQ: both ways of replying, cuts of the connection, callers that have gone. */
import { assert } from "@effect/vitest"
import { Metrics, Transport } from "effect-amqp"
import { Channel, Connection, Message, Rpc, SimpleQueue } from "effect-amqp/amqp091"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import { eventually } from "../behaviour/place.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"

class Network extends Effect.Service<Network>()("test/Network", { effect: Transport.cuttable }) {}

/** A connection that can be cut. */
const Live = Layer.unwrapEffect(Effect.map(SharedRabbitMq, ({ url }) => Connection.layer({ url }))).pipe(
  Layer.provide(Layer.effect(Transport.Transport, Effect.map(Network, ({ transport }) => transport))),
  Layer.provideMerge(Network.Default),
  Layer.provide(NodeTransport.layer),
  Layer.provide(Logger.remove(Logger.defaultLogger))
)

const declare = (queue: string) =>
  Effect.scoped(Effect.flatMap(Channel.make(), (channel) => channel.queueDeclare({ queue })))

const echo = (queue: string) =>
  Effect.zipRight(declare(queue), Effect.forkScoped(Rpc.serve({ queue, concurrency: 8 }, Effect.succeed)))

describeRabbit("remote calls on RabbitMQ", (it) => {
  for (const replies of ["direct", "queue"] as const) {
    it.scoped(`replies: ${replies}: each of 500 calls has its own reply, also after a cut`, () =>
      Effect.gen(function*() {
        yield* echo("echo")
        const network = yield* Network
        const rpc = yield* Rpc.client({ replies })
        const texts = Array.from({ length: 500 }, (_, index) => `${index}`)
        const calls = Effect.forEach(
          texts,
          (content) => Effect.map(rpc.call({ routingKey: "echo", content }), ({ text }) => text),
          { concurrency: 100 }
        )
        assert.deepStrictEqual(yield* calls, texts)

        yield* declare("silent")
        const lost = yield* Effect.fork(Effect.flip(rpc.call({ routingKey: "silent", content: "" })))
        yield* Effect.sleep("50 millis")
        yield* network.cut
        assert.deepInclude({ ...yield* Fiber.join(lost) }, { _tag: "RpcError", reason: "Lost" })
        assert.deepStrictEqual(yield* calls, texts)
      }).pipe(Effect.provide(Live), Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.scoped(`replies: ${replies}: is told at once when nobody serves, and when a reply takes too long`, () =>
      Effect.gen(function*() {
        const rpc = yield* Rpc.client({ replies })
        const nobody = yield* Effect.flip(rpc.call({ routingKey: "nobody", content: "" }))
        assert.deepInclude({ ...nobody }, { _tag: "PublishReturned", code: 312 })
        yield* declare("slow")
        const late = yield* Effect.flip(rpc.call({ routingKey: "slow", content: "", timeout: "100 millis" }))
        assert.strictEqual(late._tag, "OperationTimeout")
        // The request has expired with it.
        yield* eventually(
          Effect.map(Effect.flatten(Channel.queueExists("slow")), ({ messageCount }) => messageCount),
          0
        )
        assert.strictEqual(yield* rpc.pending, 0)
      }).pipe(Effect.provide(Live)))
  }

  it.scoped("a reply to a queue that has gone is counted, and the server goes on", () =>
    Effect.gen(function*() {
      const before = (yield* Metric.value(Metrics.lostReplies)).count
      yield* echo("echo")
      const channel = yield* Channel.makeConfirm()
      yield* channel.publish({ routingKey: "echo", content: "", properties: { replyTo: "gone" } })
      yield* eventually(Effect.map(Metric.value(Metrics.lostReplies), ({ count }) => count - before), 1)
      const rpc = yield* Rpc.client()
      assert.strictEqual((yield* rpc.call({ routingKey: "echo", content: "still" })).text, "still")
    }).pipe(Effect.provide(Live)))

  it.scoped("a simple queue and a buffer survive a cut while they are waited on", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const jobs = yield* SimpleQueue.make("simple", { content: Message.text })
      const notes = yield* SimpleQueue.buffer("notes", { content: Message.text })
      const waiting = yield* Effect.fork(Effect.all([jobs.get(), notes.get()], { concurrency: 2 }))
      yield* Effect.sleep("100 millis")
      yield* network.cut
      // What is sent into the cut itself has an unknown outcome.
      yield* Effect.sleep("50 millis")
      yield* jobs.put("one")
      yield* notes.put("two")
      const [job, note] = yield* Fiber.join(waiting)
      assert.deepStrictEqual([job.value, note.value], ["one", "two"])
      yield* job.delivery.ack
    }).pipe(Effect.provide(Live), Effect.provide(Logger.remove(Logger.defaultLogger))))
})
