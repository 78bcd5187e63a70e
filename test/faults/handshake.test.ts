import { assert, describe, it } from "@effect/vitest"
import type { AmqpError } from "effect-amqp"
import { Credentials, Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { layerMemory, type Peer, Peers } from "../harness/scriptedPeer.ts"
import { password, refusal, secret } from "./refusal.ts"

/** Connects to a peer that follows `script`. */
const against = (script: (peer: Peer) => Effect.Effect<unknown>, options: Partial<Connection.Options> = {}) =>
  Effect.gen(function*() {
    const { accept } = yield* Peers
    yield* Effect.fork(Effect.flatMap(accept, script))
    return yield* refusal({ url: "memory://", username: "guest", password, ...options } as Connection.Options)
  }).pipe(Effect.provide(layerMemory))

/** A server that closes over the virtual host. */
const close = (replyCode: number, replyText: string) => (peer: Peer) =>
  peer.start().pipe(
    Effect.zipRight(peer.expect("ConnectionStartOk")),
    Effect.zipRight(peer.tune()),
    Effect.zipRight(peer.expect("ConnectionOpen")),
    Effect.zipRight(peer.send(0, { _tag: "ConnectionClose", replyCode, replyText, classId: 10, methodId: 40 }))
  )

describe("a handshake that goes wrong", () => {
  it.effect("another protocol version is Protocol, and named", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.bytes(Uint8Array.of(65, 77, 81, 80, 0, 1, 0, 0)))
      assert.strictEqual(fault.reason, "Protocol")
      assert.include(fault.text, "0-1-0-0")
    }))

  it.effect("a socket that goes on the login is Auth: probably refused", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) =>
        peer.start().pipe(Effect.zipRight(peer.expect("ConnectionStartOk")), Effect.zipRight(peer.cut))
      )
      assert.deepInclude(fault, { reason: "Auth", text: "the peer closed the socket on the login: probably refused" })
    }))

  it.effect("a socket that goes on open is Vhost: probably refused", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) =>
        peer.start().pipe(
          Effect.zipRight(peer.expect("ConnectionStartOk")),
          Effect.zipRight(peer.tune()),
          Effect.zipRight(peer.expect("ConnectionOpen")),
          Effect.zipRight(peer.cut)
        )
      )
      assert.deepInclude(fault, {
        reason: "Vhost",
        text: "the peer closed the socket on the virtual host: probably refused"
      })
    }))

  it.effect("a socket that goes during the login is Refused, where the server would say that it refuses", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) =>
        peer.start({ tells: true }).pipe(Effect.zipRight(peer.expect("ConnectionStartOk")), Effect.zipRight(peer.cut))
      )
      assert.deepInclude(fault, { reason: "Refused", text: "the peer closed the socket during the handshake" })
    }))

  it.effect("a socket that goes before the greeting is Refused", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.cut)
      assert.strictEqual(fault.reason, "Refused")
    }))

  it.effect("a frame_max below 4096 is Protocol", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.handshake({ frameMax: 2048 }))
      assert.deepInclude(fault, {
        reason: "Protocol",
        text: "the server proposes a frame_max of 2048; 4096 is the least"
      })
    }))

  it.effect("no mechanism in common is Auth", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.start({ mechanisms: "EXTERNAL GSSAPI" }))
      assert.strictEqual(fault.reason, "Auth")
      assert.include(fault.text, "EXTERNAL GSSAPI")
    }))

  it.effect("a method out of turn is Protocol", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.tune())
      assert.strictEqual(fault.reason, "Protocol")
      assert.include(fault.text, "connection.tune")
    }))

  it.effect("a close from the server is told in its own words", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* against(close(530, "NOT_ALLOWED - vhost x not found")), {
        reason: "Vhost",
        text: "530 NOT_ALLOWED - vhost x not found"
      })
      assert.strictEqual((yield* against(close(403, "ACCESS_REFUSED"))).reason, "Vhost")
      assert.strictEqual((yield* against(close(402, "INVALID_PATH"))).reason, "Vhost")
      assert.deepInclude(yield* against(close(320, "CONNECTION_FORCED")), {
        reason: "Refused",
        text: "320 CONNECTION_FORCED"
      })
    }))

  for (
    const [stage, script, text] of [
      ["the greeting", () => Effect.void, "accepted the connection and sent no AMQP greeting"],
      ["the login", (peer: Peer) => peer.start(), "did not answer the login"],
      [
        "open",
        (peer: Peer) =>
          peer.start().pipe(
            Effect.zipRight(peer.expect("ConnectionStartOk")),
            Effect.zipRight(peer.tune())
          ),
        "did not open the virtual host"
      ]
    ] as const
  ) {
    it.effect(`silence at ${stage} is a Timeout after fifteen seconds, and says so`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(against(script))
        yield* TestClock.adjust("14999 millis")
        assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
        yield* TestClock.adjust("1 millis")
        const fault = yield* Fiber.join(fiber)
        assert.deepInclude(fault, { reason: "Timeout", text: `${text} within 15s` })
      }))
  }

  it.effect("a handshake in pieces of one byte is one like any other", () =>
    Effect.gen(function*() {
      const { accept } = yield* Peers
      const server = yield* Effect.fork(Effect.flatMap(accept, (peer) => {
        peer.bytewise = true
        return Effect.zipRight(peer.handshake({ heartbeat: 7 }), peer.goodbye)
      }))
      const info = yield* Effect.scoped(
        Effect.flatMap(Connection.make({ url: "memory://" }), (connection) => connection.info)
      )
      assert.strictEqual(Duration.toSeconds(info.heartbeat), 7)
      yield* Fiber.join(server)
    }).pipe(Effect.provide(layerMemory)))

  it.scoped("a token that cannot be had fails its attempt as Credentials, without its cause; the next one asks again", () =>
    Effect.gen(function*() {
      const { accept } = yield* Peers
      let asked = 0
      const token = Effect.suspend(() =>
        ++asked === 2 ? Effect.fail(new Error(`no token for ${secret}`)) : Effect.succeed(password)
      )
      const connecting = yield* Effect.fork(
        Connection.make({ url: "memory://", credentials: Credentials.oauth2(token) })
      )
      const peer = yield* accept
      yield* peer.handshake()
      const connection = yield* Fiber.join(connecting)
      yield* peer.cut
      yield* TestClock.adjust("100 millis")
      yield* Effect.flatMap(accept, (second) => second.start())
      yield* TestClock.adjust(0)
      const state = yield* connection.state
      assert(state._tag === "Recovering" && state.fault._tag === "ConnectError")
      assert.deepInclude(state.fault.attempts[0], { reason: "Credentials", text: "PLAIN: the token could not be had" })
      yield* TestClock.adjust("1 seconds")
      const third = yield* accept
      yield* third.handshake()
      yield* TestClock.adjust(0)
      assert.deepInclude(yield* connection.state, { _tag: "Open", epoch: 2 })
      assert.strictEqual(asked, 3)
    }).pipe(Effect.provide(layerMemory)))

  it.effect("a server that lacks what is required is Capability, and says what", () =>
    Effect.gen(function*() {
      const fault = yield* against((peer) => peer.start(), {
        requires: ["basicNack", "directReplyTo", "perConsumerQos"]
      })
      assert.deepInclude(fault, {
        reason: "Capability",
        text: "the server does not offer directReplyTo, perConsumerQos"
      })
    }))

  it.scoped("one that has it is found among those that lack it", () =>
    Effect.gen(function*() {
      const { accept } = yield* Peers
      const connecting = yield* Effect.fork(
        Connection.make({ urls: ["memory://a", "memory://b"], requires: ["directReplyTo"] })
      )
      yield* Effect.flatMap(accept, (peer) => peer.start())
      const second = yield* accept
      yield* second.handshake({ capabilities: { direct_reply_to: true } })
      assert.isTrue((yield* Effect.flatMap(Fiber.join(connecting), ({ info }) => info)).capabilities.directReplyTo)
    }).pipe(Effect.provide(layerMemory)))

  it.effect("a wrong option is Url, before anything is dialled", () =>
    Effect.gen(function*() {
      const fault = yield* refusal({ url: "memory://", heartbeat: "1500 millis" })
      assert.strictEqual(fault.reason, "Url")
      const unparsed = yield* refusal({ url: `amqp://guest:${secret}@host:port` })
      assert.strictEqual(unparsed.reason, "Url")
    }).pipe(Effect.provide(Transport.layerMemory)))

  it.effect("every attempt of every round is in the fault, in order", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(Effect.scoped(
        Connection.make({ urls: ["memory://a:1", "memory://b:2"], connectionAttempts: 3, retryDelay: "5 seconds" })
      )))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const fault: AmqpError.ConnectError = yield* Fiber.join(fiber)
      assert.deepStrictEqual(fault.attempts.map(({ reason }) => reason), Array.from({ length: 6 }, () => "Refused"))
    }).pipe(Effect.provide(Transport.layerMemory)))
})
