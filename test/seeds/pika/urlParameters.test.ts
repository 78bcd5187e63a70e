import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "effect-amqp"
import { Connection, ConnectionOptions } from "effect-amqp/amqp091"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { onNetwork } from "../setup.ts"

/** What a URL with this query says. */
const read = (query: string) => Schema.decodeEither(ConnectionOptions.FromUrl)(Redacted.make(`amqp://h/?${query}`))

const taken = (query: string) => Either.getOrThrow(read(query))

/** Each of them is refused, by the parameter's name. */
const refuses = (name: string, ...values: ReadonlyArray<string>): void => {
  for (const value of values) {
    const fault = Either.getOrThrow(Either.flip(read(`${name}=${encodeURIComponent(value)}`)))
    assert.include(String(fault), name, value)
  }
}

const json = (value: unknown) => encodeURIComponent(JSON.stringify(value))

describe("URL-Based Parameters", () => {
  it("URLParameters: the same value as options give, and back to a URL", () => {
    const options = taken("heartbeat=30&retry_delay=0.5")
    assert.isTrue(Equal.equals(
      options,
      ConnectionOptions.make({ host: "h", heartbeat: "30 seconds", retryDelay: "500 millis" })
    ))
    const url = Either.getOrThrow(Schema.encodeEither(ConnectionOptions.FromUrl)(options))
    assert.strictEqual(Redacted.value(url), "amqp://h?heartbeat=30&retry_delay=0.5")
    assert.include(String(Either.getOrThrow(Either.flip(read("hartbeat=30")))), "did you mean heartbeat?")
  })

  it.effect("URLParameters(url): scheme, user, password, host, port and virtual host, each escaped", () =>
    onNetwork(({ broker, dials }) =>
      Effect.gen(function*() {
        yield* broker.addVhost("a/b")
        yield* broker.addUser({ name: "me", password: Redacted.make("s@fe"), vhosts: ["a/b"] })
        yield* Connection.make({ url: Redacted.make("amqp://me:s%40fe@rabbit-1:5673/a%2Fb?heartbeat=30") })
        assert.deepInclude(dials[0]?.target, { scheme: "amqp", host: "rabbit-1", port: 5673 })
        const [client] = yield* broker.connections
        assert.deepInclude(client, { user: "me", vhost: "a/b" })
        const whole = yield* ConnectionOptions.resolve({ url: "amqp://" })
        assert.isTrue(Equal.equals(whole[0], ConnectionOptions.make({ credentials: Credentials.guest })))
      })
    ))

  it("URLParameters(url?channel_max)", () => {
    assert.strictEqual(taken("channel_max=255").channelMax, 255)
    refuses("channel_max", "65536", "-1", "2.5", "many")
  })

  it("URLParameters(url?client_properties): JSON", () => {
    const properties = { team: "billing", nested: { n: 1, list: [true, null] } }
    assert.deepStrictEqual(taken(`client_properties=${json(properties)}`).clientProperties, properties)
    refuses("client_properties", "{'team': 'billing'}", "[1]", "1")
  })

  it("URLParameters(url?connection_attempts)", () => {
    assert.strictEqual(taken("connection_attempts=3").connectionAttempts, 3)
    refuses("connection_attempts", "0", "1.5", "three")
  })

  it("URLParameters(url?frame_max)", () => {
    assert.strictEqual(taken("frame_max=8192").frameMax, 8192)
    refuses("frame_max", "4095", "4294967296", "8k")
  })

  it("URLParameters(url?heartbeat): seconds", () => {
    assert.deepStrictEqual(taken("heartbeat=30").heartbeat, Duration.seconds(30))
    assert.deepStrictEqual(taken("heartbeat=0").heartbeat, Duration.zero)
    refuses("heartbeat", "-1", "1.5", "65536", "30s")
  })

  it("URLParameters(url?locale)", () => {
    assert.strictEqual(taken("locale=de_DE").locale, "de_DE")
    refuses("locale", "")
  })

  it("URLParameters(url?ssl_options): JSON with the names of Python's ssl", () => {
    const options = taken(`ssl_options=${
      json({
        cafile: "ca.pem",
        certfile: "client.pem",
        keyfile: "client.key",
        password: "s@fe",
        server_hostname: "rabbitmq.example.com"
      })
    }`)
    assert.deepInclude(options, {
      port: 5671,
      tls: {
        ca: [{ file: "ca.pem" }],
        cert: { file: "client.pem" },
        key: { file: "client.key" },
        passphrase: Redacted.make("s@fe"),
        serverName: "rabbitmq.example.com"
      }
    })
    assert.include(options.warnings.join(), "amqps")
    assert.notInclude(String(options), "s@fe")
    refuses("ssl_options", "{", "[]", JSON.stringify({ certfile: "client.pem" }), JSON.stringify({ hostname: "h" }))
  })

  it("URLParameters(url?retry_delay): seconds, with fractions", () => {
    assert.deepStrictEqual(taken("retry_delay=2.5").retryDelay, Duration.millis(2500))
    refuses("retry_delay", "-1", "soon")
  })

  it("URLParameters(url?socket_timeout): seconds, with fractions", () => {
    assert.deepStrictEqual(taken("socket_timeout=0.25").socketTimeout, Duration.millis(250))
    refuses("socket_timeout", "0", "-1", "10s")
  })

  it("URLParameters(url?stack_timeout): seconds, with fractions", () => {
    assert.deepStrictEqual(taken("stack_timeout=20.5").stackTimeout, Duration.millis(20_500))
    refuses("stack_timeout", "0", "-1", "15s")
  })

  it("URLParameters(url?blocked_connection_timeout): seconds, with fractions", () => {
    assert.deepStrictEqual(taken("blocked_connection_timeout=300.5").blockedTimeout, Duration.millis(300_500))
    refuses("blocked_connection_timeout", "-1", "ever")
  })

  it("URLParameters(url?tcp_options): JSON with the names of the socket options", () => {
    const options = taken(`tcp_options=${json({ TCP_KEEPIDLE: 60, TCP_KEEPINTVL: 10 })}`)
    assert.deepStrictEqual(options.tcp, { keepAlive: Duration.seconds(60) })
    assert.include(options.warnings.join(), "TCP_KEEPINTVL", "what Node has no setting for is said")
    refuses("tcp_options", "{", JSON.stringify({ TCP_CORK: 1 }), JSON.stringify({ TCP_KEEPIDLE: "long" }))
  })
})
