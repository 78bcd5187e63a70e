import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as ConnectionOptions from "../../src/amqp091/ConnectionOptions.ts"
import * as Credentials from "../../src/Credentials.ts"
import {
  json,
  left,
  list,
  listFault,
  make,
  refused,
  refusedUntyped,
  right,
  seconds,
  user
} from "./ConnectionOptions.fixtures.ts"

const choose = (input: ConnectionOptions.ConnectionOptions.Input) => ConnectionOptions.chooseHeartbeat(make(input), 60)

const resolve = (...args: Parameters<typeof ConnectionOptions.resolve>) =>
  Either.getOrThrowWith(ConnectionOptions.resolve(...args), (error) => error)

const fault = (...args: Parameters<typeof ConnectionOptions.resolve>) =>
  Either.getOrThrow(Either.flip(ConnectionOptions.resolve(...args)))

/** Client properties of a URL, the name of the connection among them. */
const properties = (name: unknown) => json({ connection_name: name, team: "billing" })

const hosts = (...args: Parameters<typeof ConnectionOptions.resolve>) => resolve(...args).map(({ host }) => host)

const load = (env: Record<string, string>) =>
  Effect.withConfigProvider(ConnectionOptions.config("AMQP_URL"), ConfigProvider.fromMap(new Map(Object.entries(env))))

describe("parameters", () => {
  it("U01 host: a name, an address or [v6]; of no length it is localhost; never empty as an option", () => {
    assert.strictEqual(right("amqp://broker-1").host, "broker-1")
    assert.strictEqual(right("amqp://10.0.0.1").host, "10.0.0.1")
    assert.strictEqual(right("amqp://[::1]").host, "::1")
    assert.strictEqual(right("amqp://").host, "localhost")
    assert.strictEqual(make().host, "localhost")
    assert.strictEqual(make({ host: "::1" }).host, "::1")
    assert.strictEqual(make({ host: "[::1]" }).host, "::1")
    for (const host of ["", "a b", "amqp://u:hunter2@h", "a/b", "a:1", "[a]"]) {
      const error = refused({ host })
      assert.deepInclude(error, { reason: "Value", parameter: "host" })
      assert.notInclude(error.message, "hunter2")
    }
  })

  it("U02 port: 1 to 65535; 5672, with TLS 5671", () => {
    assert.strictEqual(right("amqp://h").port, 5672)
    assert.strictEqual(right("amqps://h").port, 5671)
    assert.strictEqual(right("amqps://h:5672").port, 5672)
    assert.strictEqual(make({ tls: {} }).port, 5671)
    for (const port of [0, 65536, 1.5, -1, Number.NaN]) assert.strictEqual(refused({ port }).parameter, "port")
  })

  it("U03, U04 username and password: decoded UTF-8, Redacted, guest and guest by default, also as options", () => {
    assert.deepStrictEqual(user(right("amqp://m%C3%A9:s%40fe@h")), [["Plain", "mé", "s@fe"]])
    assert.deepStrictEqual(user(right("amqp://h")), [["Plain", "guest", "guest"]])
    assert.deepStrictEqual(user(make({ username: "me", password: Redacted.make("x") })), [["Plain", "me", "x"]])
    assert.deepStrictEqual(user(make({ username: "me" })), [["Plain", "me", ""]])
    assert.strictEqual(refusedUntyped({ password: "hunter2" }).parameter, "password")
    assert.notInclude(refusedUntyped({ password: "hunter2" }).message, "hunter2")
  })

  it("U05 credentials: mechanisms in order of preference; an unknown one is an error that lists them", () => {
    assert.deepStrictEqual(user(right("amqp://me:x@h?auth_mechanism=external&auth_mechanism=PLAIN")), [
      ["External", undefined],
      ["Plain", "me", "x"]
    ])
    assert.deepStrictEqual(user(right("amqp://me@h?auth_mechanism=external")), [["External", "me"]])
    assert.deepStrictEqual(user(right("amqp://h?auth_mechanism=anonymous")), [["Anonymous"]])
    assert.deepStrictEqual(user(right("amqp://h?login_method=AMQPLAIN")), [["AmqPlain", "guest", "guest"]])
    assert.deepStrictEqual(user(right("amqp://a:b@h?auth_mechanism=rabbit-cr-demo")), [["RabbitCrDemo", "a", "b"]])
    assert.include(left("amqp://h?auth_mechanism=kerberos"), "\"kerberos\" is not one of plain, amqplain, external")
    assert.include(left("amqp://h?login_method=PLAIN&auth_mechanism=external"), "Contradiction")
    assert.deepStrictEqual(right("amqp://me:hunter2@h?auth_mechanism=external").warnings, [
      "password: not used by external"
    ])
    const two = [Credentials.external(), Credentials.guest] as const
    assert.deepStrictEqual(make({ credentials: two }).credentials.map(({ _tag }) => _tag), ["External", "Plain"])
    assert.strictEqual(refusedUntyped({ credentials: [] }).parameter, "credentials")
    assert.strictEqual(refusedUntyped({ credentials: { _tag: "Plain" } }).parameter, "credentials")
    assert.strictEqual(refused({ credentials: Credentials.guest, username: "me" }).reason, "Contradiction")
  })

  it("U06 virtual_host: the path; at most 127 octets", () => {
    assert.strictEqual(right("amqp://h/prod").vhost, "prod")
    assert.strictEqual(right(`amqp://h/${"v".repeat(127)}`).vhost.length, 127)
    assert.include(left(`amqp://h/${"v".repeat(128)}`), "vhost: has at most 127 octets")
    assert.strictEqual(refused({ vhost: "é".repeat(64) }).parameter, "vhost")
    assert.strictEqual(refusedUntyped({ vhost: null }).parameter, "vhost")
    assert.strictEqual(make({ vhost: "" }).vhost, "")
  })

  it("U07 channel_max: 0 to 65535, 0 for as many as there can be; 65535 by default", () => {
    assert.strictEqual(make().channelMax, 65535)
    assert.strictEqual(right("amqp://h?channel_max=0").channelMax, 65535)
    assert.strictEqual(right("amqp://h?channelMax=2047").channelMax, 2047)
    for (const bad of ["65536", "-1", "1.5", "x"]) {
      assert.include(
        left(`amqp://h?channel_max=${bad}`),
        `channel_max: "${bad}" is not allowed: a whole number from 0 to`
      )
    }
    assert.strictEqual(refused({ channelMax: -1 }).parameter, "channelMax")
  })

  it("U08 frame_max: 4096 to 2^32-1, with a warning below 8192 and above 131072", () => {
    assert.strictEqual(make().frameMax, 131072)
    assert.deepStrictEqual(right("amqp://h?frameMax=8192").warnings, [])
    assert.match(right("amqp://h?frame_max=4096").warnings[0] ?? "", /^frame_max: RabbitMQ 4\.1/)
    assert.match(make({ frameMax: 2 ** 32 - 1 }).warnings[0] ?? "", /131072/)
    for (const frameMax of [0, 4095, 2 ** 32, 8192.5]) assert.strictEqual(refused({ frameMax }).parameter, "frameMax")
  })

  it("U09 heartbeat: whole seconds, 0 is off, null the server's, a function of the server's as an option", () => {
    assert.isNull(make().heartbeat)
    assert.strictEqual(seconds(right("amqp://h?heartbeat=0").heartbeat), 0)
    assert.isNull(right("amqp://h?heartbeat=null").heartbeat)
    assert.strictEqual(seconds(make({ heartbeat: "1 minute" }).heartbeat), 60)
    for (const bad of ["-1", "1.5", "65536", "1e3", "12abc", "+5", "0x10"]) {
      assert.include(left(`amqp://h?heartbeat=${bad.replace("+", "%2B")}`), `heartbeat: "${bad}" is not allowed`)
    }
    for (const heartbeat of ["1500 millis", "-5 seconds", "18 hours 13 minutes"] as const) {
      assert.strictEqual(refusedUntyped({ heartbeat }).parameter, "heartbeat")
    }
    // @ts-expect-error a bare number would be milliseconds to Effect and seconds to AMQP
    assert.include(refused({ heartbeat: 60 }).text, "never a bare number")
  })

  it("U09 ours wins over the server's heartbeat, and a function must give whole seconds", () => {
    assert.deepStrictEqual(choose({}), Either.right(60))
    assert.deepStrictEqual(choose({ heartbeat: "90 seconds" }), Either.right(90))
    assert.deepStrictEqual(choose({ heartbeat: "0 seconds" }), Either.right(0))
    assert.deepStrictEqual(choose({ heartbeat: (server) => Duration.times(server, 0.5) }), Either.right(30))
    for (const bad of [Duration.millis(1500), Duration.infinity]) {
      const chosen = choose({ heartbeat: () => bad })
      assert.isTrue(Either.isLeft(chosen) && chosen.left.parameter === "heartbeat")
    }
  })

  it("U10 connection_attempts: 1 or more", () => {
    assert.strictEqual(make().connectionAttempts, 1)
    assert.strictEqual(right("amqp://h?connection_attempts=3").connectionAttempts, 3)
    assert.include(left("amqp://h?connection_attempts=0"), "connection_attempts: \"0\" is not allowed")
  })

  it("U11 retry_delay: seconds with a fraction, 0 or more", () => {
    assert.strictEqual(seconds(make().retryDelay), 2)
    assert.strictEqual(Duration.toMillis(right("amqp://h?retry_delay=0.25").retryDelay), 250)
    assert.strictEqual(seconds(right("amqp://h?retry_delay=0").retryDelay), 0)
    assert.include(left("amqp://h?retry_delay=-1"), "retry_delay: \"-1\" is not allowed: seconds, 0 or more")
    assert.strictEqual(refused({ retryDelay: "-1 seconds" }).parameter, "retryDelay")
    assert.strictEqual(refused({ retryDelay: Duration.infinity }).parameter, "retryDelay")
  })

  it("U12 socket_timeout: seconds, more than 0; null is none", () => {
    assert.strictEqual(seconds(make().socketTimeout), 10)
    assert.strictEqual(seconds(right("amqp://h?socket_timeout=2.5").socketTimeout), 2.5)
    assert.isNull(right("amqp://h?socket_timeout=null").socketTimeout)
    assert.isNull(make({ socketTimeout: Duration.infinity }).socketTimeout)
    assert.include(
      left("amqp://h?socket_timeout=0"),
      "socket_timeout: \"0\" is not allowed: seconds, more than 0, or null"
    )
  })

  it("U13 stack_timeout: the same, with a warning where it is shorter than socket_timeout", () => {
    assert.strictEqual(seconds(make().stackTimeout), 15)
    assert.isNull(right("amqp://h?stack_timeout=null").stackTimeout)
    assert.include(left("amqp://h?stack_timeout=0"), "stack_timeout")
    assert.match(right("amqp://h?stack_timeout=5").warnings[0] ?? "", /^stack_timeout: shorter than socket_timeout/)
  })

  it("U14 connection_timeout is milliseconds, connect_timeout seconds, and unequal ones contradict", () => {
    assert.strictEqual(seconds(right("amqp://h?connection_timeout=2500").socketTimeout), 2.5)
    assert.isNull(right("amqp://h?connection_timeout=0").socketTimeout)
    assert.strictEqual(seconds(right("amqp://h?connect_timeout=4").socketTimeout), 4)
    assert.strictEqual(seconds(right("amqp://h?connectionTimeout=4000&connect_timeout=4").socketTimeout), 4)
    assert.include(
      left("amqp://h?socket_timeout=4&connection_timeout=4"),
      "connection_timeout: contradicts socket_timeout"
    )
    assert.include(left("amqp://h?connection_timeout=2.5"), "whole milliseconds")
  })

  it("U16 blocked_connection_timeout: seconds, 0 or more; none by default", () => {
    assert.isNull(make().blockedTimeout)
    assert.strictEqual(seconds(right("amqp://h?blocked_connection_timeout=300").blockedTimeout), 300)
    assert.strictEqual(seconds(make({ blockedTimeout: "5 minutes" }).blockedTimeout), 300)
    assert.include(left("amqp://h?blocked_connection_timeout=-1"), "blocked_connection_timeout")
  })

  it("U17 locale: a text", () => {
    assert.strictEqual(make().locale, "en_US")
    assert.strictEqual(right("amqp://h?locale=de_DE").locale, "de_DE")
  })

  it("U18 client_properties: a JSON object; what no field table holds is refused", () => {
    const value = { team: "billing", n: 1.5, nested: { list: [true, null] } }
    assert.deepStrictEqual(right(`amqp://h?client_properties=${json(value)}`).clientProperties, value)
    assert.deepStrictEqual(make({ clientProperties: { a: undefined, b: 1n } }).clientProperties, { b: 1n })
    for (const bad of ["[1]", "1", "null", "{'a':1}", "{"]) {
      assert.include(left(`amqp://h?client_properties=${encodeURIComponent(bad)}`), "client_properties:")
    }
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const bad of [() => 1, Symbol("x"), cycle]) {
      assert.match(refused({ clientProperties: { bad } }).parameter, /^clientProperties\.bad/)
    }
    assert.strictEqual(refused({ clientProperties: { ["k".repeat(256)]: 1 } }).parameter, "clientProperties")
    assert.include(left(`amqp://h?client_properties=${encodeURIComponent("{\"__proto__\":{\"a\":1}}")}`), "Value")
  })

  it("U18 client properties are copied: changing the object given changes nothing", () => {
    const given = { nested: { n: 1 } }
    const options = make({ clientProperties: given })
    given.nested.n = 2
    assert.deepStrictEqual(options.clientProperties, { nested: { n: 1 } })
  })

  it("U19 connection name: name, or connection_name", () => {
    assert.strictEqual(make().name, undefined)
    assert.strictEqual(right("amqp://h?name=orders").name, "orders")
    assert.strictEqual(right("amqp://h?connection_name=orders+service").name, "orders service")
    assert.include(left("amqp://h?name=a&connection_name=b"), "connection_name: contradicts name")
  })

  it("U19 among client properties it is the same parameter: options win over the URL, and one source says it once", () => {
    const named = right(`amqp://h?client_properties=${properties("orders")}`)
    assert.deepInclude(named, { name: "orders", clientProperties: { team: "billing" } })
    assert.isTrue(Equal.equals(named, make({ host: "h", name: "orders", clientProperties: { team: "billing" } })))
    const [byName] = resolve({ url: `amqp://h?client_properties=${properties("url")}`, name: "option" })
    assert.deepInclude(byName, { name: "option", clientProperties: { team: "billing" } })
    const [byProperty] = resolve({ url: "amqp://h?name=url", clientProperties: { connection_name: "option" } })
    assert.deepInclude(byProperty, { name: "option", clientProperties: {} })
    assert.strictEqual(right(`amqp://h?client_properties=${properties("a")}&name=a`).name, "a")
    for (
      const query of [`name=b&client_properties=${properties("a")}`, `client_properties=${properties("a")}&name=b`]
    ) {
      assert.include(left(`amqp://h?${query}`), "client_properties: its connection_name contradicts name")
    }
    const refusal = refused({ name: "a", clientProperties: { connection_name: "b" } })
    assert.deepInclude(refusal, { reason: "Contradiction", parameter: "clientProperties" })
    for (const bad of ["", 1, "n".repeat(256)]) {
      assert.include(
        left(`amqp://h?client_properties=${properties(bad)}`),
        "client_properties.connection_name: must be"
      )
    }
  })

  it("U20 ssl_options: pika's keys, on amqp: with a warning, an explicit null on amqps: an error", () => {
    const value = {
      ca_certs: "/ca.pem",
      ca_path: "/cas",
      cadata: "-----BEGIN X",
      certfile: "/c.pem",
      keyfile: "/k.pem",
      password: "hunter2",
      ciphers: "HIGH",
      protocol: "PROTOCOL_TLSv1_2",
      server_hostname: "h.example"
    }
    const options = right(`amqps://h?ssl_options=${json(value)}`)
    const tls = options.tls
    assert.deepStrictEqual(tls?.ca?.map((pem) => "file" in pem ? pem.file : Redacted.value(pem.pem)), [
      "/ca.pem",
      "-----BEGIN X"
    ])
    assert.deepInclude(tls, {
      caPath: "/cas",
      cert: { file: "/c.pem" },
      key: { file: "/k.pem" },
      ciphers: "HIGH",
      minVersion: "TLSv1.2",
      serverName: "h.example"
    })
    assert.strictEqual(tls?.passphrase === undefined ? undefined : Redacted.value(tls.passphrase), "hunter2")
    assert.deepStrictEqual(options.warnings, [])
    assert.notInclude(inspect(options, { depth: 9 }), "hunter2")

    assert.deepStrictEqual(right("amqps://h").tls, {})
    assert.strictEqual(right("amqp://h").tls, undefined)
    assert.strictEqual(right("amqp://h?ssl_options=null").tls, undefined)
    const upgraded = right("amqp://h?ssl_options=%7B%7D")
    assert.deepInclude(upgraded, { scheme: "amqps", port: 5671, tls: {} })
    assert.match(upgraded.warnings[0] ?? "", /write amqps/)

    assert.include(left("amqps://h?ssl_options=null"), "ssl_options: turns TLS off in an amqps: URL")
    assert.strictEqual(refused({ scheme: "amqps", tls: null }).reason, "Contradiction")
    assert.include(left(`amqps://h?ssl_options=${json({ cafil: "x" })}`), "\"cafil\" is not known; did you mean cafile")
    assert.include(
      left(`amqps://h?ssl_options=${json({ protocol: "SSLv3" })}`),
      "\"SSLv3\" is not one of TLSv1.2, TLSv1.3"
    )
    assert.include(left(`amqps://h?ssl_options=${json({ certfile: "/c.pem" })}`), "needs both certfile and keyfile")
    assert.include(left("amqps://h?ssl_options=%5B%5D"), "must be a JSON object or null")
    assert.include(left(`amqps://h?ssl_options=${json({ ca_certs: 1 })}`), "ssl_options.ca_certs: must be a text")
    const both = ["cacertfile=/ca&ssl_ca_data=-----BEGIN", "ssl_ca_data=-----BEGIN&cacertfile=/ca"].map((q) =>
      right(`amqps://h?${q}`)
    )
    assert.isTrue(Equal.equals(both[0], both[1]))
    assert.include(left(`amqps://h?cacertfile=/a&ssl_options=${json({ ca_certs: "/b" })}`), "contradicts cacertfile")
  })

  it("U21 TLS by files, as RabbitMQ and amqp-client.js name them; verification is on", () => {
    const pem = encodeURIComponent("-----BEGIN PRIVATE KEY-----\nhunter2")
    const options = right(
      `amqps://h?certfile=/c.pem&keyfile=${pem}&password=hunter2&serverNameIndication=disable&depth=3`
    )
    assert.strictEqual(options.tls?.serverName, null)
    assert.strictEqual(options.tls?.verify, undefined)
    assert.isTrue(options.tls?.key !== undefined && "pem" in options.tls.key)
    assert.match(options.warnings[0] ?? "", /^depth: has no effect/)
    assert.notInclude(ConnectionOptions.display(options), "hunter2")

    assert.strictEqual(right("amqps://h?insecure=true").tls?.verify, false)
    assert.match(right("amqps://h?verify=verify_none").warnings[0] ?? "", /verify_none/)
    for (const query of ["cacertfile=/ca", "insecure=false", "depth=3", "fail_if_no_peer_cert=true"]) {
      const upgraded = right(`amqp://h?${query}`)
      assert.deepInclude(upgraded, { scheme: "amqps", port: 5671 })
      assert.include(upgraded.warnings.join(), "write amqps")
    }
    assert.include(left("amqp://h?ssl=false&depth=3"), "Contradiction")
    assert.include(left("amqps://h?keyfile=/k"), "keyfile: a client certificate needs both")
    assert.include(left("amqps://h?verify=sometimes"), "verify: \"sometimes\" is not one of verify_peer, verify_none")
    assert.include(left("amqps://h?verify=verify_peer&insecure=true"), "insecure: contradicts verify")
    assert.include(left("amqps://h?depth=x"), "depth: \"x\" is not a whole number")
    assert.include(left("amqps://h?fail_if_no_peer_cert=perhaps"), "fail_if_no_peer_cert")
    const misplaced = left("amqp://h?password=hunter2")
    assert.include(misplaced, "password is that of the key")
    assert.notInclude(misplaced, "hunter2")
  })

  it("U24 kombu's ssl: a bool or an object, and its ssl_* names; false on amqps: is an error", () => {
    assert.deepInclude(right("amqp://h?ssl=true"), { scheme: "amqps", port: 5671 })
    assert.strictEqual(right("amqp://h?ssl=false").scheme, "amqp")
    assert.strictEqual(right(`amqps://h?ssl=${json({ cert_reqs: "CERT_NONE" })}`).tls?.verify, false)
    assert.deepStrictEqual(
      right("amqps://h?ssl_ca_certs=/ca&ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=false").tls,
      { ca: [{ file: "/ca" }], checkHostname: false }
    )
    assert.include(left("amqps://h?ssl=false"), "ssl: turns TLS off in an amqps: URL")
    assert.include(left("amqp://h?ssl=false&cacertfile=/ca"), "Contradiction")
    assert.include(left("amqps://h?ssl_cert_reqs=maybe"), "ssl_cert_reqs: \"maybe\" is not one of CERT_REQUIRED")
    assert.strictEqual(make({ tls: true }).scheme, "amqps")
    assert.strictEqual(make({ tls: false }).scheme, "amqp")
  })

  it("U25 tcp_options: pika's keys in seconds, noDelay and keepAlive; what Node cannot set is a warning", () => {
    const options = right(`amqp://h?tcp_options=${json({ TCP_KEEPIDLE: 60, TCP_KEEPCNT: 4, noDelay: false })}`)
    assert.strictEqual(options.tcp?.noDelay, false)
    assert.isTrue(Equal.equals(options.tcp?.keepAlive, Duration.seconds(60)))
    assert.match(options.warnings[0] ?? "", /TCP_KEEPCNT has no effect/)
    assert.isTrue(
      Equal.equals(right(`amqp://h?tcp_options=${json({ TCP_KEEPINTVL: 5 })}`).tcp?.keepAlive, Duration.zero)
    )
    assert.strictEqual(make().tcp, undefined)
    assert.isTrue(Equal.equals(make({ tcp: { keepAlive: "30 seconds" } }).tcp?.keepAlive, Duration.seconds(30)))
    assert.include(left(`amqp://h?tcp_options=${json({ TCP_KEEPIDL: 1 })}`), "did you mean TCP_KEEPIDLE")
    assert.include(
      left(`amqp://h?tcp_options=${json({ TCP_KEEPIDLE: "1" })}`),
      "tcp_options.TCP_KEEPIDLE: must be a number"
    )
    assert.include(left("amqp://h?tcp_options=1"), "must be a JSON object")
    assert.strictEqual(refusedUntyped({ tcp: { nodelay: true } }).reason, "UnknownName")
    assert.strictEqual(refusedUntyped({ tcp: { keepAlive: 30 } }).parameter, "tcp.keepAlive")
  })

  it("U26 insist: accepted", () => {
    assert.isFalse(make().insist)
    assert.isTrue(right("amqp://h?insist=true").insist)
    assert.include(left("amqp://h?insist=yes"), "insist: \"yes\" is not allowed: true or false")
  })

  it("U27 transport: kombu's names mean amqp; memory is one; the others want a Layer", () => {
    for (const scheme of ["pyamqp", "librabbitmq", "amqplib", "pika"]) {
      assert.strictEqual(right(`${scheme}://h`).scheme, "amqp")
    }
    assert.strictEqual(right("memory://").scheme, "memory")
    for (const scheme of ["redis", "sqs", "kombu.transport.pyamqplib.Transport"]) {
      assert.include(left(`${scheme}://h`), `scheme: "${scheme}" is none of amqp, amqps, memory`)
      assert.include(left(`${scheme}://h`), "Layer of Transport")
    }
    for (const scheme of ["ws", "wss"]) assert.include(left(`${scheme}://h`), "has no transport yet")
    assert.include(left("ws://h"), "UnsupportedTransport")
    assert.strictEqual(refusedUntyped({ scheme: "ws" }).reason, "UnsupportedTransport")
    assert.strictEqual(refused({ scheme: "memory", tls: {} }).reason, "Contradiction")
  })

  it("U29 failover hosts: each inherits from the first what it leaves out, but never the port", () => {
    const endpoints = list("amqps://me:x@a:99/v?heartbeat=30&verify=verify_none;b;c:5673;amqps://d/w?heartbeat=5")
    assert.deepStrictEqual(endpoints.map(({ host, port, vhost }) => [host, port, vhost]), [
      ["a", 99, "v"],
      ["b", 5671, "v"],
      ["c", 5673, "v"],
      ["d", 5671, "w"]
    ])
    assert.deepStrictEqual(endpoints.map(({ heartbeat }) => seconds(heartbeat)), [30, 30, 30, 5])
    for (const endpoint of endpoints) {
      assert.deepStrictEqual(user(endpoint), [["Plain", "me", "x"]])
      assert.strictEqual(endpoint.tls?.verify, false)
    }
    assert.include(listFault("amqp://a;;b"), "empty element")
  })

  it("U29 a list of mixed vhosts, users or schemes is warned of", () => {
    const [, b, c, d] = list("amqps://a;amqps://b/w;amqps://me@c;amqp://d")
    assert.match(b?.warnings[0] ?? "", /another vhost$/)
    assert.match(c?.warnings[0] ?? "", /another user$/)
    assert.match(d?.warnings[0] ?? "", /another scheme$/)
  })

  it("U29 a member that says amqp: is plain, whatever TLS the first one asks for", () => {
    const [, b] = list("amqps://a?verify=verify_none;amqp://b")
    assert.deepInclude(b, { scheme: "amqp", port: 5672, tls: undefined })
  })

  it("U29 a list is written so that it reads back the same", () => {
    const endpoints = list("amqps://me:x@a/v?heartbeat=30&cacertfile=/ca;b;amqp://c/%2F?heartbeat=null")
    const text = Either.getOrThrow(Schema.encodeEither(ConnectionOptions.ListFromUrl)(endpoints))
    assert.strictEqual(
      Redacted.value(text),
      "amqps://me:x@a/v?heartbeat=30&cacertfile=%2Fca;amqps://b;amqp://c/%2F?heartbeat=null"
    )
    assert.deepStrictEqual(list(Redacted.value(text)).map(String), endpoints.map(String))
  })

  it("U30 failover_strategy: one of five names", () => {
    assert.strictEqual(make().failover, "round-robin")
    for (const name of ["in-order", "round-robin", "shuffle", "random", "priority"] as const) {
      assert.strictEqual(right(`amqp://h?failover_strategy=${name}`).failover, name)
    }
    assert.include(left("amqp://h?failover_strategy=roundrobin"), "one of in-order, round-robin, shuffle")
  })

  it("U32 a credential provider is an Effect, kept as it is", () => {
    const password = Effect.succeed(Redacted.make("x"))
    const [credentials] = make({ username: "me", password }).credentials
    assert.isTrue(credentials._tag === "Plain" && credentials.password === password)
  })

  it("U33 rpc_timeout, close_timeout, channel_timeout: more than 0", () => {
    const { channelTimeout, closeTimeout, operationTimeout } = make()
    assert.deepStrictEqual([operationTimeout, closeTimeout, channelTimeout].map(seconds), [30, 10, 30])
    const options = right("amqp://h?rpc_timeout=1&close_timeout=2&channel_timeout=3.5")
    assert.deepStrictEqual([options.operationTimeout, options.closeTimeout, options.channelTimeout].map(seconds), [
      1,
      2,
      3.5
    ])
    for (const name of ["rpc_timeout", "close_timeout", "channel_timeout"]) {
      assert.include(left(`amqp://h?${name}=0`), `${name}: "0" is not allowed: seconds, more than 0`)
    }
  })

  it("U34 inbound limits: 512 MiB, 32 levels, 4096 entries", () => {
    assert.deepInclude(make(), { maxMessageSize: 536_870_912, maxTableDepth: 32, maxTableEntries: 4096 })
    assert.deepInclude(right("amqp://h?max_message_size=1&max_table_depth=2&max_table_entries=3"), {
      maxMessageSize: 1,
      maxTableDepth: 2,
      maxTableEntries: 3
    })
  })
})

describe("options", () => {
  it("R16 the object form: complete, immutable, equal by content, unknown keys refused", () => {
    const input = {
      host: "h",
      credentials: Credentials.plain("me", Redacted.make("x")),
      clientProperties: { a: { b: [1, new Uint8Array([1])] } },
      tls: { ca: [{ pem: Redacted.make("-----BEGIN") }] },
      tcp: { keepAlive: "30 seconds" }
    } as const
    assert.isTrue(Equal.equals(make(input), make({ ...input, vhost: "/" })))
    assert.strictEqual(Hash.hash(make(input)), Hash.hash(make(input)))
    assert.isFalse(Equal.equals(make(input), make({ ...input, clientProperties: { a: { b: [2] } } })))
    assert.isFalse(Equal.equals(make(input), make({ ...input, tls: {} })))
    // @ts-expect-error there is no such option
    const error = refused({ heartBeat: "30 seconds" })
    assert.deepInclude(error, { reason: "UnknownName", parameter: "options" })
    assert.include(error.text, "did you mean heartbeat")
    assert.throws(() => make({ port: 0 }), /^port: 0 is not a whole number/)
    assert.throws(() => new ConnectionOptions.ConnectionOptions({ ...make(), port: 0 }))
    // @ts-expect-error the class takes the fields it has
    assert.throws(() => new ConnectionOptions.ConnectionOptions({ ...make(), extra: 1 }))
  })

  it("R16 clone replaces some parameters, and a port that followed from the scheme follows the new one", () => {
    const options = make({ host: "h", vhost: "v", heartbeat: "30 seconds" })
    const clone = ConnectionOptions.clone(options, { vhost: "w" })
    assert.deepInclude(clone, { host: "h", vhost: "w" })
    assert.strictEqual(seconds(clone.heartbeat), 30)
    assert.isTrue(Equal.equals(ConnectionOptions.clone({})(options), options))
    assert.deepInclude(ConnectionOptions.clone(options, { tls: true }), { scheme: "amqps", port: 5671, warnings: [] })
    assert.deepInclude(ConnectionOptions.clone(make({ scheme: "amqps" }), { scheme: "amqp" }), {
      port: 5672,
      tls: undefined
    })
    assert.strictEqual(ConnectionOptions.clone(make({ port: 1 }), { tls: {} }).port, 1)
    const renewed = ConnectionOptions.clone(make({ username: "me", password: Redacted.make("old") }), {
      password: Redacted.make("new")
    })
    assert.isTrue(Equal.equals(renewed, make({ username: "me", password: Redacted.make("new") })), "the user stays")
    assert.throws(() => ConnectionOptions.clone(options, { port: 0 }), /^port:/)
    assert.isTrue(Either.isLeft(ConnectionOptions.cloneEither(options, { port: 0 })))
  })
})

describe("any value in the place of an option ends in options or in a ParameterError", () => {
  const key = FastCheck.constantFrom(
    ..."scheme host port vhost username password credentials tls tcp clientProperties heartbeat".split(" "),
    ..."retryDelay socketTimeout channelMax locale name insist failover".split(" ")
  )
  const value = FastCheck.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withTypedArray: true })
  it.prop("and what was made can be shown", [FastCheck.dictionary(key, value)], ([input]) => {
    const made = ConnectionOptions.makeEither(input)
    if (Either.isRight(made)) assert.match(String(made.right), /^(amqps?|memory):/)
  }, { fastCheck: { numRuns: 2000 } })
})

describe("resolve", () => {
  it("options win over the URL, the URL over defaults", () => {
    const [options] = resolve({ url: "amqp://me:x@h?heartbeat=30&locale=de", heartbeat: "5 seconds", vhost: "w" })
    assert.deepInclude(options, { host: "h", vhost: "w", locale: "de", frameMax: 131072 })
    assert.strictEqual(seconds(options.heartbeat), 5)
    assert.deepStrictEqual(user(options), [["Plain", "me", "x"]])
  })

  it("takes a text or a Redacted one, one URL that is a list, or several", () => {
    assert.deepStrictEqual(hosts(), ["localhost"])
    assert.deepStrictEqual(hosts({ host: "h" }), ["h"])
    assert.deepStrictEqual(hosts({ url: Redacted.make("amqp://a,b") }), ["a", "b"])
    assert.deepStrictEqual(hosts({ urls: ["amqp://me@a", "b", "amqp://c;d"] }), ["a", "b", "c", "d"])
    for (const options of resolve({ urls: ["amqp://me:x@a/v", "b"] })) {
      assert.deepStrictEqual([user(options), options.vhost], [[["Plain", "me", "x"]], "v"])
    }
  })

  it("holds options for every endpoint, except a host", () => {
    for (const options of resolve({ urls: ["amqp://a", "amqp://b"], vhost: "v", password: Redacted.make("x") })) {
      assert.strictEqual(options.vhost, "v")
      assert.deepStrictEqual(user(options), [["Plain", "guest", "x"]])
    }
    assert.strictEqual(resolve({ url: "amqp://a", host: "b" })[0].host, "b")
    assert.deepInclude(fault({ urls: ["amqp://a", "amqp://b"], host: "c" }), {
      reason: "Contradiction",
      parameter: "host"
    })
  })

  it("lets a password of its own go with the URL's user, and a user of its own replace it whole", () => {
    const url = "amqp://me:x@h?auth_mechanism=amqplain"
    assert.deepStrictEqual(user(resolve({ url, password: Redacted.make("y") })[0]), [["AmqPlain", "me", "y"]])
    assert.deepStrictEqual(user(resolve({ url, username: "you" })[0]), [["AmqPlain", "you", ""]])
    assert.deepStrictEqual(user(resolve({ url, credentials: Credentials.external() })[0]), [["External", undefined]])
  })

  it("turns TLS on over amqp: with a warning, and never off over amqps:", () => {
    assert.deepInclude(resolve({ url: "amqp://h", tls: {} })[0], { scheme: "amqps", port: 5671 })
    assert.match(resolve({ url: "amqp://h", tls: {} })[0].warnings[0] ?? "", /write amqps/)
    assert.strictEqual(fault({ url: "amqps://h", tls: false }).reason, "Contradiction")
    assert.strictEqual(resolve({ url: "amqps://h", scheme: "amqp", tls: false })[0].scheme, "amqp")
  })

  it("collects warnings of unknown names where it is lenient", () => {
    assert.lengthOf(resolve({ url: "amqp://h?new_name=1", lenient: true })[0].warnings, 1)
    assert.strictEqual(fault({ url: "amqp://h?new_name=1" }).reason, "UnknownName")
  })

  it("takes url or urls: both together do not compile, and are refused", () => {
    // @ts-expect-error url xor urls
    assert.strictEqual(fault({ url: "amqp://a", urls: ["amqp://b"] }).reason, "Contradiction")
    // @ts-expect-error one URL at least
    assert.strictEqual(fault({ urls: [] }).parameter, "urls")
    // @ts-expect-error a URL is a text
    assert.strictEqual(fault({ url: 5672 }).parameter, "url")
  })
})

describe("endpoints", () => {
  it("are of any form: complete sets, what differs, URLs and bare hosts, over what the first one has", () => {
    const complete = ConnectionOptions.make({ host: "d", heartbeat: "7 seconds" })
    const endpoints = resolve({
      endpoints: [
        { host: "a", port: 1234, vhost: "v", username: "me", password: Redacted.make("x") },
        { host: "b", tls: {} },
        Redacted.make("amqp://you:y@c"),
        "e",
        complete
      ]
    })
    assert.deepStrictEqual(endpoints.map(({ host, port, scheme, vhost }) => [scheme, host, port, vhost]), [
      ["amqp", "a", 1234, "v"],
      ["amqps", "b", 1234, "v"],
      ["amqp", "c", 5672, "v"],
      ["amqp", "e", 5672, "v"],
      ["amqp", "d", 5672, "/"]
    ])
    assert.deepStrictEqual(
      endpoints.map(({ credentials: [first] }) => first._tag === "Plain" ? first.username : first._tag),
      ["me", "me", "you", "me", "guest"]
    )
    assert.isTrue(Equal.equals(endpoints[4], complete))
  })

  it("are won over by options, which hold for all of them", () => {
    const endpoints = resolve({ endpoints: [{ host: "a", vhost: "v" }, "b"], vhost: "w" })
    assert.deepStrictEqual(endpoints.map(({ vhost }) => vhost), ["w", "w"])
    assert.strictEqual(resolve({ endpoints: [{ vhost: "v" }], host: "b" })[0].host, "b")
    assert.strictEqual(fault({ endpoints: ["a", "b"], host: "c" }).reason, "Contradiction")
  })

  it("are one at least, beside no URL, and each of them is checked", () => {
    // @ts-expect-error URL xor endpoints
    assert.strictEqual(fault({ url: "amqp://a", endpoints: ["b"] }).reason, "Contradiction")
    // @ts-expect-error one at least
    assert.strictEqual(fault({ endpoints: [] }).parameter, "endpoints")
    assert.strictEqual(fault({ endpoints: ["a", { port: 0 }] }).parameter, "port")
    assert.strictEqual(fault({ endpoints: ["a;b"] }).parameter, "endpoint")
  })
})

describe("config", () => {
  it.effect("reads a URL or a failover list from the environment", () =>
    Effect.gen(function*() {
      const endpoints = yield* load({ AMQP_URL: "amqp://me:x@a;b" })
      assert.deepStrictEqual(endpoints.map(({ host }) => host), ["a", "b"])
    }))

  it.effect("fails with the variable's name, the parameter and what is allowed, and without the secret", () =>
    Effect.gen(function*() {
      const env = { AMQP_URL: "amqp://me:hunter2@h?heartbeat=x" }
      const error = yield* Effect.flip(load(env))
      for (const shown of [String(error), JSON.stringify(error), inspect(error, { depth: 9 })]) {
        assert.notInclude(shown, "hunter2")
      }
      assert.include(String(error), "AMQP_URL")
      assert.include(String(error), "heartbeat: \"x\" is not allowed: whole seconds")
    }))

  it.effect("says that the variable is missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(load({}))
      assert.include(String(error), "AMQP_URL")
    }))
})
