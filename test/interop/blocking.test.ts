/** Who is blocked by an alarm, and when: the same on RabbitMQ and on the embedded broker that is asked for it. */
import { assert, it } from "@effect/vitest"
import { Transport } from "effect-amqp"
import type { Method } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Wire from "../behaviour/wire.ts"
import { describeWith } from "../harness/describe.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"

const publish: Method.Method = {
  _tag: "BasicPublish",
  exchange: "amq.fanout",
  routingKey: "",
  mandatory: false,
  immediate: false
}

/** Is answered whatever the state of the channel. */
const recover: Method.Method = { _tag: "BasicRecover", requeue: true }

const send = (wire: Wire.Wire) => wire.send(publish, ...Wire.content("x"))

const answers = ["1 basic.ack {\"deliveryTag\":1,\"multiple\":false}", "1 basic.recover-ok"]

/** What each client hears, in order, while an alarm comes and goes. */
const heard = (port: number, alarm: (on: boolean) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const client = (capabilities: Record<string, boolean>) =>
      Effect.gen(function*() {
        const wire = yield* Wire.make(yield* transport.dial({ scheme: "amqp", host: "127.0.0.1", port }))
        yield* Wire.introduce(wire, "/", { capabilities })
        yield* wire.send({ _tag: "ConfirmSelect", noWait: false })
        yield* wire.until("1 confirm.select-ok")
        return wire
      })
    const lines: Array<string> = []
    const knows = { "connection.blocked": true }

    const publisher = yield* client(knows)
    const deaf = yield* client({})
    const idle = yield* client({})

    yield* alarm(true)
    yield* send(publisher)
    lines.push(yield* publisher.next)
    yield* send(deaf)
    // Nothing more is read of these two, the publish included: none of it is answered before the alarm is over.
    for (const wire of [publisher, deaf]) yield* wire.send(recover)
    yield* Effect.sleep("300 millis")
    yield* idle.send(recover)
    lines.push(yield* idle.next)
    yield* alarm(false)
    for (const wire of [publisher, deaf]) lines.push(...yield* wire.until("1 basic.recover-ok"))
    return lines
  }).pipe(
    Effect.scoped,
    Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => new Error("a client heard less than it should") }),
    Effect.provide(NodeTransport.layer)
  )

describeWith(RabbitMq.packages, "an alarm blocks who publishes, and when it does", () => {
  it.scopedLive("in the same words on RabbitMQ and on the embedded broker", () =>
    Effect.gen(function*() {
      const rabbit = yield* RabbitMq.node()
      const port = Number(new URL(rabbit.url.replace("amqp:", "http:")).port)
      const real = yield* heard(port, (on) => Effect.orDie(rabbit.memoryAlarm(on)))
      const broker = yield* Broker.Broker
      const embedded = yield* heard(broker.port, (on) =>
        on ? Effect.asVoid(broker.block("low on memory")) : Effect.asVoid(broker.heal("block")))
      assert.deepStrictEqual(embedded, real)
      assert.deepStrictEqual(real, [
        "0 connection.blocked {\"reason\":\"low on memory\"}",
        "1 basic.recover-ok",
        "0 connection.unblocked",
        ...answers,
        ...answers
      ])
    }).pipe(Effect.provide(Layer.provide(Broker.layer({ port: 0 }), NodeTransport.layerServer))), 90_000)
})
