import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { DeliveryRecord } from "../../../src/amqp091/internal/delivery.ts"
import { Settling } from "../../../src/amqp091/internal/settling.ts"
import type * as Method from "../../../src/amqp091/Method.ts"
import { type Both, connected, framesOf, openChannel, pattern, publish } from "./engines.ts"

/** The settlements of one channel, as its client's engine sends them. */
const settlingOn = ({ client }: Both, channel: number) =>
  new Settling({
    acknowledge: (...how) => client.engine.acknowledge(channel, ...how),
    refuse: (method) => void client.engine.send(channel, method),
    canNack: () => true
  })

const delivered = (settling: Settling, deliveryTag: number): DeliveryRecord => {
  const fields = { deliveryTag, redelivered: false, exchange: "", routingKey: "q" }
  const delivery = new DeliveryRecord(settling, fields, "c", false, {}, new Uint8Array(0))
  settling.add(delivery)
  return delivery
}

const methodsOf = (bytes: Uint8Array): ReadonlyArray<Method.Method> =>
  framesOf(bytes).flatMap((frame) => frame._tag === "MethodFrame" ? [frame.method] : [])

/** A broker's book of one channel: what it delivered, and how that was settled. */
class Book {
  readonly settled = new Map<number, string>()
  readonly outstanding = new Set<number>()

  take(method: Method.Method): void {
    if (method._tag === "BasicReject") return this.settle(method.deliveryTag, method.requeue ? "requeue" : "discard")
    if (method._tag !== "BasicAck" && method._tag !== "BasicNack") return
    const settlement = method._tag === "BasicAck" ? "ack" : method.requeue ? "requeue" : "discard"
    if (!method.multiple) return this.settle(method.deliveryTag, settlement)
    for (const tag of this.outstanding) if (tag <= method.deliveryTag) this.settle(tag, settlement)
  }

  private settle(tag: number, settlement: string): void {
    assert.isTrue(this.outstanding.delete(tag), `unknown delivery tag ${tag} (406)`)
    this.settled.set(tag, settlement)
  }
}

const step = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constant({ _tag: "deliver" } as const) },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("settle" as const),
      // Mostly one of the oldest, as handlers do.
      which: FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(3), FastCheck.nat(20)),
      settlement: FastCheck.oneof(
        FastCheck.constant("ack" as const),
        FastCheck.constantFrom("ack" as const, "requeue" as const, "discard" as const)
      )
    })
  },
  FastCheck.constantFrom({ _tag: "flush" } as const, { _tag: "publish" } as const, { _tag: "large" } as const)
)

describe("acknowledging", () => {
  it("settles each delivery as it was asked to, whatever the order, and whatever is sent in between", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const both = connected()
        const channel = openChannel(both)
        const settling = settlingOn(both, channel)
        const book = new Book()
        const expected = new Map<number, string>()
        const held: Array<DeliveryRecord> = []
        let tags = 0
        const flush = () => {
          for (const method of methodsOf(both.client.take())) book.take(method)
        }
        for (const each of steps) {
          switch (each._tag) {
            case "deliver": {
              book.outstanding.add(++tags)
              held.push(delivered(settling, tags))
              break
            }
            case "settle": {
              const [delivery] = held.splice(each.which % Math.max(1, held.length), 1)
              if (delivery === undefined) break
              expected.set(delivery.deliveryTag, each.settlement)
              settling.settle(delivery, each.settlement)
              break
            }
            case "publish":
            case "large":
              both.client.engine.sendContent(channel, publish("q"), {}, pattern(each._tag === "large" ? 20_000 : 10))
              break
            case "flush":
              flush()
          }
        }
        flush()
        assert.deepStrictEqual(book.settled, expected)
        assert.deepStrictEqual(book.outstanding, new Set(held.map(({ deliveryTag }) => deliveryTag)))
      }),
      { numRuns: 300 }
    )
  })

  it("says what a turn acknowledged in order in one frame", () => {
    const both = connected()
    const channel = openChannel(both)
    const settling = settlingOn(both, channel)
    const held = Array.from({ length: 300 }, (_, index) => delivered(settling, index + 1))
    for (const delivery of held.slice(0, 100)) settling.settle(delivery, "ack")
    assert.deepStrictEqual(methodsOf(both.client.take()), [{ _tag: "BasicAck", deliveryTag: 100, multiple: true }])
    // One that is not settled stops it; those behind go one by one.
    for (const delivery of held.slice(101, 103)) settling.settle(delivery, "ack")
    settling.settle(held[100]!, "ack")
    settling.settle(held[103]!, "ack")
    assert.deepStrictEqual(methodsOf(both.client.take()), [
      { _tag: "BasicAck", deliveryTag: 102, multiple: false },
      { _tag: "BasicAck", deliveryTag: 103, multiple: false },
      { _tag: "BasicAck", deliveryTag: 104, multiple: true }
    ])
  })

  it("tells tags beyond 32 bits", () => {
    const both = connected()
    const channel = openChannel(both)
    both.client.engine.acknowledge(channel, 2 ** 40 + 1, false, true)
    both.client.engine.acknowledge(channel, 2 ** 40 + 7, false, true)
    assert.deepStrictEqual(methodsOf(both.client.take()), [
      { _tag: "BasicAck", deliveryTag: 2 ** 40 + 7, multiple: true }
    ])
  })

  it("does not change what belongs to another channel", () => {
    const both = connected()
    const channels = [openChannel(both), openChannel(both)]
    const all = channels.map((channel) => ({ channel, settling: settlingOn(both, channel) }))
    for (const { settling } of [...all, ...all]) {
      settling.settle(delivered(settling, settling === all[0]?.settling ? 1 : 2), "ack")
    }
    const acks = framesOf(both.client.take()).map((frame) => frame._tag === "MethodFrame" ? frame.channel : 0)
    assert.deepStrictEqual(acks, [channels[0], channels[1], channels[0], channels[1]])
  })
})
