import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "effect-amqp"
import { ConnectionOptions } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import { defaults } from "../pika.words.ts"

type Input = ConnectionOptions.ConnectionOptions.Input

/**
 * What pika's getter and setter do: reads the default; sets another value, in a copy, which reads it back and leaves the
 * rest, the original too, as it was; and refuses what cannot be, by its name.
 */
const property = <K extends keyof Input & keyof ConnectionOptions.ConnectionOptions>(
  name: K,
  values: { readonly unset: unknown; readonly set: Input[K]; readonly then?: unknown; readonly refused: unknown }
): void => {
  const parameters = ConnectionOptions.make()
  const same = (actual: unknown, expected: unknown) =>
    assert.isTrue(Equal.equals(actual, expected), `${name}: ${String(actual)} is not ${String(expected)}`)
  const set = (value: unknown): Input => ({ [name]: value })
  same(parameters[name], values.unset)
  const other = ConnectionOptions.clone(parameters, set(values.set))
  same(other[name], "then" in values ? values.then : values.set)
  same(parameters[name], values.unset)
  same(ConnectionOptions.clone(other, set(values.set)), other)
  assert.isFalse(Equal.equals(other, parameters))
  assert.throws(() => ConnectionOptions.clone(parameters, set(values.refused)), name)
}

describe("Connection Parameters, as properties", () => {
  it("ConnectionParameters.host", () => property("host", { unset: defaults.host, set: "rabbit-1", refused: "" }))

  it("ConnectionParameters.port", () => property("port", { unset: defaults.port, set: 5673, refused: 65536 }))

  it("ConnectionParameters.virtual_host", () =>
    property("vhost", { unset: defaults.virtual_host, set: "/app", refused: "v".repeat(128) }))

  it("ConnectionParameters.credentials", () => {
    const parameters = ConnectionOptions.make()
    const [guest] = parameters.credentials
    assert.deepInclude(guest, { _tag: "Plain", username: "guest" })
    const other = ConnectionOptions.clone(parameters, { credentials: Credentials.plain("me", Redacted.make("s@fe")) })
    assert.deepInclude(other.credentials[0], { _tag: "Plain", username: "me" })
    assert.strictEqual(parameters.credentials[0], guest)
    assert.notInclude(JSON.stringify(other) + String(other), "s@fe")
    assert.throws(() => ConnectionOptions.clone(other, { credentials: Credentials.guest, username: "you" }), "username")
  })

  it("ConnectionParameters.channel_max", () =>
    property("channelMax", { unset: defaults.channel_max, set: 255, refused: 65536 }))

  it("ConnectionParameters.frame_max", () =>
    property("frameMax", { unset: defaults.frame_max, set: 8192, refused: 4095 }))

  it("ConnectionParameters.heartbeat", () =>
    property("heartbeat", {
      unset: defaults.heartbeat,
      set: "30 seconds",
      then: Duration.seconds(30),
      refused: "1500 millis"
    }))

  it("ConnectionParameters.ssl_options", () => {
    const parameters = ConnectionOptions.make()
    assert.isUndefined(parameters.tls)
    const other = ConnectionOptions.clone(parameters, { tls: { serverName: "rabbitmq.example.com" } })
    assert.deepInclude(other, { scheme: "amqps", port: 5671, tls: { serverName: "rabbitmq.example.com" } })
    assert.deepInclude(ConnectionOptions.clone(other, { tls: null, scheme: "amqp" }), { port: 5672, tls: undefined })
    assert.throws(() => ConnectionOptions.clone(parameters, { tls: { cert: { file: "client.pem" } } }), "tls")
  })

  it("ConnectionParameters.connection_attempts", () =>
    property("connectionAttempts", { unset: defaults.connection_attempts, set: 3, refused: 0 }))

  it("ConnectionParameters.retry_delay", () =>
    property("retryDelay", {
      unset: Duration.seconds(defaults.retry_delay),
      set: "5 seconds",
      then: Duration.seconds(5),
      refused: Duration.infinity
    }))

  it("ConnectionParameters.socket_timeout", () =>
    property("socketTimeout", {
      unset: Duration.seconds(defaults.socket_timeout),
      set: null,
      refused: "0 seconds"
    }))

  it("ConnectionParameters.stack_timeout", () =>
    property("stackTimeout", {
      unset: Duration.seconds(defaults.stack_timeout),
      set: null,
      refused: "0 seconds"
    }))

  it("ConnectionParameters.locale", () => property("locale", { unset: defaults.locale, set: "de_DE", refused: "" }))

  it("ConnectionParameters.blocked_connection_timeout", () =>
    property("blockedTimeout", {
      unset: defaults.blocked_connection_timeout,
      set: "5 minutes",
      then: Duration.minutes(5),
      refused: 300
    }))

  it("ConnectionParameters.client_properties", () => {
    const parameters = ConnectionOptions.make()
    assert.deepStrictEqual(parameters.clientProperties, {})
    const other = ConnectionOptions.clone(parameters, { clientProperties: { team: "billing" } })
    assert.deepStrictEqual(other.clientProperties, { team: "billing" })
    assert.deepStrictEqual(parameters.clientProperties, {})
    assert.throws(() => ConnectionOptions.make({ clientProperties: { team: Symbol("billing") } }), "clientProperties")
  })

  it("ConnectionParameters.tcp_options", () => {
    const parameters = ConnectionOptions.make()
    assert.isUndefined(parameters.tcp)
    const other = ConnectionOptions.clone(parameters, { tcp: { noDelay: false, keepAlive: "1 minute" } })
    assert.deepStrictEqual(other.tcp, { noDelay: false, keepAlive: Duration.minutes(1) })
    assert.isUndefined(parameters.tcp)
    assert.throws(() => ConnectionOptions.make({ tcp: { keepAlive: Duration.infinity } }), "tcp")
  })
})
