import { assert, describe, it } from "@effect/vitest"
import { Channel, type Connection, Message, Publisher } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { connected, openOn, settle } from "../amqp091/scripted.ts"
import { layerMemory, type Peer } from "../harness/scriptedPeer.ts"

const size = 32 * 1024
const total = 1000
const content = "x".repeat(size)
const routingKey = "q"

/** Makes `total` messages, and counts how many were asked for. */
const source = () => {
  const asked = { count: 0 }
  const messages = function*() {
    while (asked.count < total) {
      asked.count++
      yield { content, routingKey }
    }
  }
  return { asked, messages: messages() }
}

/** One after another, as a program of the user's would. */
const each = <E>(messages: Iterable<Message.Message>, publish: (message: Message.Message) => Effect.Effect<void, E>) =>
  Effect.gen(function*() {
    for (const message of messages) yield* publish(message)
  })

type Source = ReturnType<typeof source>

interface Way {
  readonly title: string
  readonly open: (peer: Peer) => Effect.Effect<number>
  readonly make: Effect.Effect<
    (source: Source) => Effect.Effect<unknown, unknown>,
    unknown,
    Connection.Connection | Scope.Scope
  >
}

const withConfirms = (peer: Peer) => peer.openConfirmChannel
const without = (peer: Peer) => peer.openChannel
// So large that it is the output that stops them, and not the window.
const window = 5000

const ways: ReadonlyArray<Way> = [
  {
    title: "publish, one after another",
    open: without,
    make: Effect.map(Channel.make(), ({ publish }) => ({ messages }) => each(messages, publish))
  },
  {
    title: "publish, three at a time",
    open: without,
    make: Effect.map(
      Channel.make(),
      ({ publish }) => ({ messages }) =>
        Effect.all([each(messages, publish), each(messages, publish), each(messages, publish)], { concurrency: 3 })
    )
  },
  {
    title: "publishAll without confirms",
    open: without,
    make: Effect.map(Channel.make(), ({ publishAll }) => ({ messages }) => publishAll(messages))
  },
  {
    title: "publishAll with confirms",
    open: withConfirms,
    make: Effect.map(Channel.makeConfirm({ window }), ({ publishAll }) => ({ messages }) => publishAll(messages))
  },
  {
    title: "offer",
    open: withConfirms,
    make: Effect.map(Channel.makeConfirm({ window }), ({ offer }) => ({ messages }) => each(messages, offer))
  },
  ...(["at-most-once", "confirmed", "at-least-once"] as const).map((guarantee): Way => ({
    title: `a sink, ${guarantee}`,
    open: guarantee === "at-most-once" ? without : withConfirms,
    make: Effect.map(
      Publisher.make({ routingKey, content: Message.text, guarantee, window }),
      ({ sink }) => ({ messages }) =>
        Stream.unfold(messages, (rest) => {
          const { done, value } = rest.next()
          return done === true ? Option.none() : Option.some([value.content, rest] as const)
        }).pipe(Stream.rechunk(1), Stream.run(sink))
    )
  }))
]

describe("A publisher faster than its broker suspends", () => {
  for (const { make, open, title } of ways) {
    it.scoped(`by ${title}`, () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* connected()
        const opening = yield* openOn(connection, make)
        const number = yield* open(peer)
        const publish = yield* Fiber.join(opening)
        peer.pipe.pause()
        const from = source()
        const { asked } = from
        const publishing = yield* Effect.fork(publish(from))
        yield* settle
        // The output holds 1 MiB, and so does the pipe.
        const most = asked.count
        assert.isAbove(most * size, 1024 * 1024)
        assert.isBelow(most * size, 2.25 * 1024 * 1024)
        yield* settle
        assert.strictEqual(asked.count, most)
        assert.isNull(publishing.unsafePoll())
        // The broker reads again: all of it comes.
        peer.pipe.resume()
        yield* settle
        yield* peer.send(number, { _tag: "BasicAck", deliveryTag: 0, multiple: true })
        yield* settle
        if (open === without) yield* Fiber.join(publishing)
        assert.lengthOf(peer.bodies.filter((body) => body !== ""), asked.count)
        assert.strictEqual(asked.count, total)
      }).pipe(Effect.provide(layerMemory)))
  }

  it.scoped("by its window: what is unconfirmed is never more", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const opening = yield* openOn(connection, Channel.makeConfirm({ window: 10 }))
      const number = yield* peer.openConfirmChannel
      const channel = yield* Fiber.join(opening)
      const { asked, messages } = source()
      const publishing = yield* Effect.fork(channel.publishAll(messages))
      yield* settle
      // The eleventh is asked for, and waits for its place.
      assert.strictEqual(asked.count, 11)
      assert.strictEqual(yield* channel.unconfirmed, 10)
      yield* peer.send(number, { _tag: "BasicAck", deliveryTag: 4, multiple: true })
      yield* settle
      assert.strictEqual(asked.count, 15)
      assert.strictEqual(yield* channel.unconfirmed, 10)
      yield* Fiber.interrupt(publishing)
    }).pipe(Effect.provide(layerMemory)))
})
