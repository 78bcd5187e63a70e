/** What users may do who may not do everything, and what they are told otherwise. */
import { assert } from "@effect/vitest"
import { Channel, Connection } from "effect-amqp/amqp091"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ConsumeFault, It } from "./place.ts"
import { drain, fresh, look, open, openConfirm, openOn, Place, refused } from "./place.ts"
import { forbidden, notFound, precondition } from "./topology.ts"

/** Somebody who may configure what starts with c, write to what starts with w, read what starts with r. */
const limited = Effect.gen(function*() {
  const { connectAs, vhost } = yield* Place
  const { connection, user } = yield* connectAs({ configure: /^c/, write: /^w/, read: /^r/ })
  const channel = yield* openOn(connection)
  return {
    channel,
    denied: (
      effect: Effect.Effect<unknown, ConsumeFault>,
      method: string,
      kind: string,
      name: string
    ) =>
      refused(
        channel,
        effect,
        forbidden(method, `access to ${kind} '${name}' in vhost '${vhost}' refused for user '${user}'`)
      )
  }
})

const gone = (channel: Channel.ChannelBase, queues: ReadonlyArray<string>, exchanges: ReadonlyArray<string>) =>
  Effect.zipRight(
    Effect.forEach(queues, (queue) => channel.queueDelete({ queue })),
    Effect.forEach(exchanges, (exchange) => channel.exchangeDelete({ exchange }))
  )

export const permissions = (it: It): void => {
  it.scoped("to declare or delete needs configure, to ask whether it exists nothing", () =>
    Effect.gen(function*() {
      const { channel, denied } = yield* limited
      const all = yield* open()
      const [mine, other] = [fresh("c"), fresh("r")]
      yield* channel.exchangeDeclare({ exchange: mine, durable: false })
      yield* channel.queueDeclare({ queue: mine, durable: false })
      yield* denied(channel.exchangeDeclare({ exchange: other }), "exchange.declare", "exchange", other)
      yield* denied(channel.exchangeDelete({ exchange: other }), "exchange.delete", "exchange", other)
      yield* denied(channel.queueDeclare({ queue: other }), "queue.declare", "queue", other)
      yield* denied(channel.queueDelete({ queue: other }), "queue.delete", "queue", other)
      yield* all.channel.queueDeclare({ queue: other, durable: false })
      yield* look(channel, other)
      yield* channel.exchangeDeclare({ exchange: "amq.topic", passive: true })
      yield* denied(channel.queueDelete({ queue: other }), "queue.delete", "queue", other)
      yield* gone(channel, [mine], [mine])
      yield* gone(all.channel, [other], [])
    }))

  it.scoped("of a name that is reserved, a queue's is refused for that and an exchange's for the permission", () =>
    Effect.gen(function*() {
      const { channel, denied } = yield* limited
      const { vhost } = yield* Place
      yield* denied(channel.exchangeDeclare({ exchange: "amq.mine" }), "exchange.declare", "exchange", "amq.mine")
      yield* refused(
        channel,
        channel.queueDeclare({ queue: "amq.mine" }),
        forbidden("queue.declare", "queue name 'amq.mine' contains reserved prefix 'amq.*'")
      )
      yield* refused(
        channel,
        channel.exchangeDelete({ exchange: "amq.direct" }),
        forbidden("exchange.delete", `deletion of system exchange 'amq.direct' in vhost '${vhost}' not allowed`)
      )
    }))

  it.scoped("to get, consume or purge needs read", () =>
    Effect.gen(function*() {
      const { channel, denied } = yield* limited
      const all = yield* openConfirm()
      const [mine, other] = [fresh("r"), fresh("w")]
      for (const queue of [mine, other]) yield* all.channel.queueDeclare({ queue, durable: false })
      yield* all.channel.publish({ routingKey: mine, content: "x" })
      assert.deepStrictEqual(yield* drain(channel, mine), ["x"])
      yield* channel.queuePurge(mine)
      yield* denied(channel.get({ queue: other }), "basic.get", "queue", other)
      yield* denied(channel.queuePurge(other), "queue.purge", "queue", other)
      const missing = fresh("missing")
      yield* denied(channel.get({ queue: missing }), "basic.get", "queue", missing)
      yield* denied(Stream.runDrain(channel.consume({ queue: other })), "basic.consume", "queue", other)
      yield* denied(Stream.runDrain(channel.consume({ queue: missing })), "basic.consume", "queue", missing)
      yield* gone(all.channel, [mine, other], [])
    }))

  it.scoped("to publish needs write, also to the default exchange, which is called amq.default there", () =>
    Effect.gen(function*() {
      const { connectAs, vhost } = yield* Place
      const { connection, user } = yield* connectAs({ configure: /^c/, write: /^w/, read: /^r/ })
      const channel = yield* Effect.provideService(Channel.makeConfirm(), Connection.Connection, connection)
      const all = yield* open()
      const exchange = fresh("w")
      yield* all.channel.exchangeDeclare({ exchange, durable: false })
      yield* channel.publish({ exchange, content: "x" })
      const denied = (name: string) =>
        forbidden("basic.publish", `access to exchange '${name}' in vhost '${vhost}' refused for user '${user}'`)
      yield* refused(channel, channel.publish({ exchange: "amq.direct", content: "x" }), denied("amq.direct"))
      yield* refused(channel, channel.publish({ routingKey: "q", content: "x" }), denied("amq.default"))
      yield* refused(channel, channel.publish({ exchange: "missing", content: "x" }), denied("missing"))
      yield* refused(
        channel,
        channel.publish({ exchange: "w-missing", content: "x" }),
        notFound("basic.publish", `no exchange 'w-missing' in vhost '${vhost}'`)
      )
      yield* gone(all.channel, [], [exchange])
    }))

  it.scoped("to bind or unbind needs write on the destination, then read on the source", () =>
    Effect.gen(function*() {
      const { channel, denied } = yield* limited
      const all = yield* open()
      const [to, from] = [fresh("w"), fresh("r")]
      yield* all.channel.queueDeclare({ queue: to, durable: false })
      for (const exchange of [to, from]) yield* all.channel.exchangeDeclare({ exchange, durable: false })
      yield* channel.queueBind({ queue: to, exchange: from })
      yield* channel.exchangeBind({ destination: to, source: from })
      yield* denied(channel.queueBind({ queue: from, exchange: to }), "queue.bind", "queue", from)
      yield* denied(channel.queueBind({ queue: to, exchange: to }), "queue.bind", "exchange", to)
      yield* denied(channel.queueUnbind({ queue: from, exchange: to }), "queue.unbind", "queue", from)
      yield* denied(channel.queueUnbind({ queue: to, exchange: to }), "queue.unbind", "exchange", to)
      yield* denied(channel.exchangeBind({ destination: from, source: to }), "exchange.bind", "exchange", from)
      yield* denied(channel.exchangeBind({ destination: to, source: to }), "exchange.bind", "exchange", to)
      yield* denied(channel.exchangeUnbind({ destination: from, source: to }), "exchange.unbind", "exchange", from)
      yield* denied(channel.exchangeBind({ destination: "", source: from }), "exchange.bind", "exchange", "amq.default")
      yield* refused(
        channel,
        channel.queueBind({ queue: to, exchange: "" }),
        forbidden("queue.bind", "operation not permitted on the default exchange")
      )
      yield* channel.queueUnbind({ queue: to, exchange: from })
      yield* gone(all.channel, [to], [to, from])
    }))

  it.scoped("an alternate or dead-letter exchange needs read on what is made and write on where it leads", () =>
    Effect.gen(function*() {
      const { connectAs, vhost } = yield* Place
      const { connection, user } = yield* connectAs({ configure: /^cr?/, write: /^w/, read: /^cr/ })
      const channel = yield* openOn(connection)
      const denied = (method: string, kind: string, name: string) =>
        forbidden(method, `access to ${kind} '${name}' in vhost '${vhost}' refused for user '${user}'`)
      const exchange = (exchange: string, alternate: string) =>
        channel.exchangeDeclare({ exchange, durable: false, arguments: { "alternate-exchange": alternate } })
      const queue = (queue: string, deadLetters: string | number) =>
        channel.queueDeclare({ queue, durable: false, arguments: { "x-dead-letter-exchange": deadLetters } })
      const [deaf, mine, there, elsewhere] = [fresh("c"), fresh("cr"), fresh("w"), fresh("z")]
      yield* refused(channel, exchange(deaf, there), denied("exchange.declare", "exchange", deaf))
      yield* refused(channel, exchange(mine, elsewhere), denied("exchange.declare", "exchange", elsewhere))
      yield* refused(channel, queue(deaf, there), denied("queue.declare", "queue", deaf))
      yield* refused(channel, queue(mine, elsewhere), denied("queue.declare", "exchange", elsewhere))
      yield* refused(channel, queue(mine, ""), denied("queue.declare", "exchange", "amq.default"))
      yield* refused(
        channel,
        queue(deaf, 7),
        precondition(
          "queue.declare",
          `invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '${deaf}' in vhost '${vhost}'`
        )
      )
      yield* exchange(mine, there)
      yield* queue(mine, there)
      yield* gone(channel, [mine], [mine])
    }))

  it.scoped("a pattern that is not anchored fits a part of a name", () =>
    Effect.gen(function*() {
      const { connectAs, vhost } = yield* Place
      const { connection, user } = yield* connectAs({ configure: /mine-/, write: /^$/, read: /^$/ })
      const channel = yield* openOn(connection)
      const queue = `${fresh("a")}-mine-b`
      yield* channel.queueDeclare({ queue, durable: false })
      yield* channel.queueDelete({ queue })
      yield* refused(
        channel,
        channel.get({ queue }),
        forbidden("basic.get", `access to queue '${queue}' in vhost '${vhost}' refused for user '${user}'`)
      )
    }))
}
