import { assert, describe, it } from "@effect/vitest"
import { NodeTransport } from "effect-amqp/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as Credentials from "../../src/Credentials.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { nodeServer } from "../node/sockets.ts"
import { password, refusal } from "./refusal.ts"

describeRabbit("a connect that RabbitMQ refuses", (it) => {
  it.effect("a wrong password is Auth, in the broker's words", () =>
    Effect.gen(function*() {
      const { port } = yield* SharedRabbitMq
      const fault = yield* refusal({ host: "127.0.0.1", port, username: "guest", password })
      assert.strictEqual(fault.reason, "Auth")
      assert.include(fault.text, "403 ACCESS_REFUSED")
      assert.strictEqual(fault.endpoint, `127.0.0.1:${port}`)
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.effect("a virtual host that is not there is Vhost, and named", () =>
    Effect.gen(function*() {
      const { port } = yield* SharedRabbitMq
      const fault = yield* refusal({ host: "127.0.0.1", port, vhost: "nowhere" })
      assert.strictEqual(fault.reason, "Vhost")
      assert.include(fault.text, "530")
      assert.include(fault.text, "nowhere")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.effect("a certificate that nobody trusts is Tls", () =>
    Effect.gen(function*() {
      const rabbit = yield* SharedRabbitMq
      const fault = yield* refusal({ host: "localhost", port: rabbit.tlsPort, username: "guest", password, tls: true })
      assert.strictEqual(fault.reason, "Tls")
      assert.match(fault.text, /certificate/)
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.effect("no mechanism in common is Auth, and says what the server offers", () =>
    Effect.gen(function*() {
      const { port } = yield* SharedRabbitMq
      const fault = yield* refusal({
        host: "127.0.0.1",
        port,
        credentials: Credentials.anonymous()
      })
      assert.strictEqual(fault.reason, "Auth")
      assert.include(fault.text, "PLAIN")
    }).pipe(Effect.provide(NodeTransport.layer)))
})

describe("a connect on real sockets", () => {
  it.live("a port nobody listens on is Refused", () =>
    Effect.gen(function*() {
      const { port, server } = yield* nodeServer(Net.createServer())
      yield* Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
      const fault = yield* refusal({ host: "127.0.0.1", port, username: "guest", password })
      assert.strictEqual(fault.reason, "Refused")
      assert.include(fault.text, "refused")
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)))

  it.live("a host that does not resolve is Dns, and named", () =>
    Effect.gen(function*() {
      const fault = yield* refusal({ host: "no-such-host.invalid", port: 5672, username: "guest", password })
      assert.strictEqual(fault.reason, "Dns")
      assert.include(`${fault.endpoint} ${fault.text}`, "no-such-host.invalid")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("a peer that accepts and says nothing is a Timeout, at its bound", () =>
    Effect.gen(function*() {
      const { port } = yield* nodeServer(Net.createServer())
      const fault = yield* refusal({ host: "127.0.0.1", port, stackTimeout: "100 millis", username: "u", password })
      assert.strictEqual(fault.reason, "Timeout")
      assert.include(fault.text, "accepted the connection and sent no AMQP greeting within 100ms")
      assert.isBelow(Duration.toMillis(fault.elapsed), 2000)
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)))

  it.live("a peer that speaks HTTP is Protocol, and said to", () =>
    Effect.gen(function*() {
      const { port } = yield* nodeServer(Net.createServer((socket) => {
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
      }))
      const fault = yield* refusal({ host: "127.0.0.1", port, username: "guest", password })
      assert.strictEqual(fault.reason, "Protocol")
      assert.strictEqual(fault.text, "the peer speaks HTTP, not AMQP")
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layer)))
})
