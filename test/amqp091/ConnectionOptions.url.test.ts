import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as ConnectionOptions from "../../src/amqp091/ConnectionOptions.ts"
import * as Credentials from "../../src/Credentials.ts"
import {
  arbitraryInput,
  decode,
  encode,
  encodeFault,
  left,
  list,
  make,
  right,
  seconds,
  user
} from "./ConnectionOptions.fixtures.ts"

const hosts = (text: string) => list(text).map(({ host, port, vhost }) => `${host}:${port}/${vhost}`)

describe("a URL of the documentation reads as it says", () => {
  it("pika's: amqp://user:pass@localhost:5672/%2F?heartbeat=300", () => {
    const options = right("amqp://user:pass@localhost:5672/%2F?heartbeat=300")
    assert.deepInclude(options, { scheme: "amqp", host: "localhost", port: 5672, vhost: "/" })
    assert.deepStrictEqual(user(options), [["Plain", "user", "pass"]])
    assert.strictEqual(seconds(options.heartbeat), 300)
  })

  it("pika's template amqp://username:password@host:port/ is no URL yet: the port is named", () => {
    const text = left("amqp://username:password@host:port/")
    assert.include(text, "port: a port is a whole number from 1 to 65535")
    assert.notInclude(text, "password")
  })

  it("kombu's bare rabbit.example.com is a member of a list", () => {
    assert.deepStrictEqual(list("rabbit.example.com").map(({ host, port }) => [host, port]), [[
      "rabbit.example.com",
      5672
    ]])
  })

  it("RabbitMQ's query parameters, examples A to C", () => {
    const plain = right("amqp://myhost?heartbeat=5&connection_timeout=10000")
    assert.deepStrictEqual([seconds(plain.heartbeat), seconds(plain.socketTimeout)], [5, 10])
    const files =
      "cacertfile=/path/to/ca_certificate.pem&certfile=/path/to/client_certificate.pem&keyfile=/path/to/client_key.pem"
    const peer = right(`amqps://myhost?${files}&verify=verify_peer&server_name_indication=myhost`)
    assert.deepStrictEqual(peer.tls, {
      ca: [{ file: "/path/to/ca_certificate.pem" }],
      cert: { file: "/path/to/client_certificate.pem" },
      key: { file: "/path/to/client_key.pem" },
      serverName: "myhost"
    })
    assert.deepStrictEqual(peer.warnings, [])
    const none = right(`amqps://myhost?${files}&verify=verify_none&server_name_indication=myhost`)
    assert.strictEqual(none.tls?.verify, false)
    assert.lengthOf(none.warnings, 1)
  })
})

describe("URL rules", () => {
  it("R01 schemes in any case; a foreign or missing one is a typed error, never a throw", () => {
    assert.strictEqual(right("AMQPS://h").scheme, "amqps")
    for (const text of ["http://h", "h", "", "//h", "://"]) assert.include(left(text), "UnsupportedScheme")
  })

  it("R02 decodes after splitting: the vector of the URI specification", () => {
    const options = right("amqp://user%61:%61pass@ho%61st:10000/v%2fhost")
    assert.deepInclude(options, { host: "hoast", port: 10000, vhost: "v/host" })
    assert.deepStrictEqual(user(options), [["Plain", "usera", "apass"]])
    assert.deepStrictEqual(user(right("amqp://a+b:c+d@h/e+f")), [["Plain", "a+b", "c+d"]])
    assert.strictEqual(right("amqp://h/e+f?name=a+b").vhost, "e+f")
  })

  it("R03 a broken escape, white space, NUL or a fragment names the component and never its content", () => {
    for (
      const [text, component] of [
        ["amqp://me:hunter2%zz@h", "password"],
        ["amqp://me:hunter2%@h", "password"],
        ["amqp://me:hunter2%ff@h", "password"],
        ["amqp://me:hunter2%00@h", "password"],
        ["amqp://me:hunter2 @h", "password"],
        ["amqp://me:hunter#2@h", "fragment"],
        ["amqp://h/hunter2%zz", "path"]
      ]
    ) {
      assert.include(left(text ?? ""), `${component}: `)
      assert.notInclude(left(text ?? ""), "hunter")
    }
  })

  it("R04 the twelve rows of appendix A", () => {
    const rows: ReadonlyArray<readonly [string, string, string, string, number, string]> = [
      ["amqp://user:pass@host:10000/vhost", "user", "pass", "host", 10000, "vhost"],
      ["amqp://user%61:%61pass@ho%61st:10000/v%2fhost", "usera", "apass", "hoast", 10000, "v/host"],
      ["amqp://", "guest", "guest", "localhost", 5672, "/"],
      ["amqp://:@/", "", "", "localhost", 5672, "/"],
      ["amqp://user@", "user", "", "localhost", 5672, "/"],
      ["amqp://user:pass@", "user", "pass", "localhost", 5672, "/"],
      ["amqp://host", "guest", "guest", "host", 5672, "/"],
      ["amqp://:10000", "guest", "guest", "localhost", 10000, "/"],
      ["amqp:///vhost", "guest", "guest", "localhost", 5672, "vhost"],
      ["amqp://host/", "guest", "guest", "host", 5672, "/"],
      ["amqp://host/%2f", "guest", "guest", "host", 5672, "/"],
      ["amqp://[::1]", "guest", "guest", "::1", 5672, "/"]
    ]
    for (const [text, username, password, host, port, vhost] of rows) {
      const options = right(text)
      assert.deepInclude(options, { host, port, vhost }, text)
      assert.deepStrictEqual(user(options), [["Plain", username, password]], text)
      assert.isTrue(Equal.equals(right(encode(options)), options), text)
    }
  })

  it("R05 a user without a password has an empty one, and :@ is an empty user, not guest", () => {
    assert.deepStrictEqual(user(right("amqp://user@h")), [["Plain", "user", ""]])
    assert.deepStrictEqual(user(right("amqp://user:@h")), [["Plain", "user", ""]])
    assert.deepStrictEqual(user(right("amqp://:@h")), [["Plain", "", ""]])
    assert.deepStrictEqual(user(right("amqp://user@h?auth_mechanism=external")), [["External", "user"]])
  })

  it("R06 vhost: absent, %2F and // are /, //app is an error with a hint, and /app is printed /%2Fapp", () => {
    for (const text of ["amqp://h", "amqp://h/%2F", "amqp://h//", "amqp://h/"]) {
      assert.strictEqual(right(text).vhost, "/")
    }
    assert.include(left("amqp://h//app"), "the vhost /app is written /%2Fapp")
    assert.strictEqual(encode(make({ host: "h", vhost: "/app" })), "amqp://h/%2Fapp")
    assert.strictEqual(right("amqp://h/%2Fapp").vhost, "/app")
  })

  it("R06 a trailing / is the empty vhost where the reading follows the URI specification", () => {
    assert.strictEqual(right("amqp://h/", { emptyPath: "empty" }).vhost, "")
    assert.strictEqual(right("amqp://h", { emptyPath: "empty" }).vhost, "/")
    const empty = make({ host: "h", vhost: "" })
    assert.include(encodeFault(empty), "vhost: a URL that ends in / means the vhost /")
    const text = Either.getOrThrow(Schema.encodeEither(ConnectionOptions.fromUrl({ emptyPath: "empty" }))(empty))
    assert.strictEqual(Redacted.value(text), "amqp://h/")
  })

  it("R07 a second segment of the path is an error with a hint", () => {
    for (const text of ["amqp://h/a/b", "amqp://h/a/", "amqp://h/a//"]) {
      assert.include(left(text), "vhost: a path of more than one segment: a / in a vhost is written %2F")
    }
  })

  it("R08 IPv6 in brackets with port and zone, printed with brackets", () => {
    for (const text of ["amqp://[::1]", "amqp://[::1]:2000", "amqp://[fe80::1%25eth0]:1"]) {
      assert.strictEqual(encode(right(text)), text)
    }
    assert.strictEqual(right("amqp://[fe80::1%25eth0]").host, "fe80::1%eth0")
  })

  it("R09 an unknown name is an error with near names; lenient makes it a warning", () => {
    assert.include(left("amqp://h?hartbeat=5"), "query: \"hartbeat\" is not known; did you mean heartbeat?")
    assert.include(left("amqp://h?Heartbeat=5"), "did you mean heartbeat?")
    assert.include(left("amqp://h?constructor=5"), "query: \"constructor\" is not known")
    assert.include(left("amqp://h?idle_timeout=5"), "idle_timeout: belongs to AMQP 1.0; AMQP 0-9-1 has heartbeat")
    const options = right("amqp://h?hartbeat=5&frame_max=8192&idle_timeout=5", { lenient: true })
    assert.strictEqual(options.frameMax, 8192)
    assert.lengthOf(options.warnings, 2)
    assert.include(options.warnings[0] ?? "", "hartbeat")
  })

  it("R09 a value that goes with an unknown name is not shown, a mistyped password's above all", () => {
    const text = left("amqps://h?certfile=/c&keyfile=/k&pasword=hunter2")
    assert.include(text, "did you mean password")
    assert.notInclude(text, "hunter2")
  })

  it("R09 a repeated name is an error, but auth_mechanism's; so is an empty value", () => {
    assert.include(left("amqp://h?heartbeat=5&heartbeat=5"), "heartbeat: is given more than once")
    assert.include(left("amqp://h?verify=verify_peer&verify=verify_peer"), "Repeated")
    assert.include(left("amqp://h?heartbeat="), "heartbeat: has no value")
    assert.include(left("amqp://h?heartbeat"), "heartbeat: has no value")
  })

  it("R09 names are case-sensitive, with camelCase aliases; two spellings must agree", () => {
    assert.strictEqual(right("amqp://h?channelMax=5").channelMax, 5)
    assert.strictEqual(right("amqp://h?channelMax=5&channel_max=5").channelMax, 5)
    assert.include(left("amqp://h?channelMax=5&channel_max=6"), "channel_max: contradicts channelMax")
    assert.include(left("amqp://h?CHANNEL_MAX=5"), "UnknownName")
    assert.include(
      left("amqps://h?serverNameIndication=a&server_name_indication=b"),
      "contradicts serverNameIndication"
    )
    assert.include(left("amqp://h?tcpOptions={}&tcp_options={}"), "tcp_options: is given more than once")
  })

  it("R09 numbers are strictly decimal", () => {
    for (const bad of ["1e3", "12abc", "0x10", "1_000", "Infinity", "NaN", " 1", "1.0"]) {
      assert.include(left(`amqp://h?channel_max=${encodeURIComponent(bad)}`), "channel_max")
    }
    for (const bad of ["1e3", ".5", "1.", "1,5", "5s"]) {
      assert.include(left(`amqp://h?retry_delay=${encodeURIComponent(bad)}`), "retry_delay")
    }
  })

  it("R12 a name has one unit, and the value is a Duration without one", () => {
    const same = [
      right("amqp://h?socket_timeout=2.5"),
      right("amqp://h?connect_timeout=2.5"),
      right("amqp://h?connection_timeout=2500"),
      make({ host: "h", socketTimeout: "2500 millis" }),
      make({ host: "h", socketTimeout: Duration.nanos(2_500_000_000n) })
    ]
    for (const options of same) assert.isTrue(Equal.equals(options, same[0]))
  })

  it("R14 the canonical URL leaves defaults out and escapes everything", () => {
    assert.strictEqual(encode(make()), "amqp://localhost")
    assert.strictEqual(
      encode(right("AMQPS://guest:guest@h:5671/%2f?locale=en_US&connection_timeout=2500")),
      "amqps://h?socket_timeout=2.5"
    )
    assert.strictEqual(
      encode(make({ host: "h", vhost: "a b/ü", username: "u@x", password: Redacted.make("p:/?#%") })),
      "amqp://u%40x:p%3A%2F%3F%23%25@h/a%20b%2F%C3%BC"
    )
  })

  it("R14 what no URL can say is a typed failure of the encoding", () => {
    const secret = Redacted.make("hunter2")
    const start = Effect.succeed(new Uint8Array())
    const cases: ReadonlyArray<readonly [string, ConnectionOptions.ConnectionOptions.Input]> = [
      ["heartbeat: a function", { heartbeat: (server) => server }],
      ["credentials: a token", { credentials: Credentials.oauth2(secret) }],
      ["credentials: the mechanism X-MINE", {
        credentials: Credentials.custom({ mechanism: "X-MINE", start, challenge: Effect.succeed })
      }],
      ["password: an Effect", { username: "me", password: Effect.succeed(secret) }],
      ["credentials: a URL has one user", {
        credentials: [Credentials.plain("a", secret), Credentials.amqPlain("b", secret)]
      }],
      ["credentials: a URL has one user", { credentials: [Credentials.plain("a", secret), Credentials.external("b")] }],
      ["credentials: the trace", { credentials: Credentials.anonymous("me") }],
      ["client_properties: holds a value that JSON", { clientProperties: { n: 1n } }],
      ["username: holds half a surrogate pair", { username: "\uD800" }],
      ["keyfile: in a URL, PEM starts with", { tls: { cert: { file: "/c" }, key: { pem: secret } } }]
    ]
    for (const [expected, input] of cases) {
      assert.include(encodeFault(make(input)), expected)
      assert.notInclude(encodeFault(make(input)), "hunter2")
      assert.notInclude(ConnectionOptions.display(make(input)), "hunter2")
    }
  })

  it("R14 toString, toJSON and inspect show ** for each secret", () => {
    const options = right("amqps://me:hunter2@h/v?certfile=/c&keyfile=/k&password=hunter2")
    for (
      const shown of [
        String(options),
        JSON.stringify({ options }),
        inspect({ options }, { depth: 9, showHidden: true })
      ]
    ) {
      assert.notInclude(shown, "hunter2")
      assert.include(shown, "amqps://me:**@h/v?certfile=%2Fc&keyfile=%2Fk&password=**")
    }
  })

  it("R15 lists are split before parsing: ; always, a comma between authorities or before a scheme", () => {
    assert.deepStrictEqual(hosts("amqp://a;amqp://b"), ["a:5672//", "b:5672//"])
    assert.deepStrictEqual(hosts("amqp://u:p@a,b:5673/v"), ["a:5672/v", "b:5673/v"])
    assert.deepStrictEqual(hosts("amqp://a/v,amqp://b:1/w"), ["a:5672/v", "b:1/w"])
    assert.deepStrictEqual(hosts("amqp://u,1:p,2@a"), ["a:5672//"])
    const properties = "{\"x\":\"a,amqp://b;c\"}"
    assert.deepStrictEqual(list(`amqp://a?client_properties=${properties}`).map((o) => o.clientProperties), [
      { x: "a,amqp://b;c" }
    ])
  })
})

describe("decode after encode is the identity", () => {
  it.prop("of one URL", [arbitraryInput], ([input]) => {
    const options = make(input)
    assert.isTrue(Equal.equals(right(encode(options)), options), encode(options))
  }, { fastCheck: { numRuns: 500 } })

  it.prop("of a failover list, where it can be written", [
    FastCheck.array(arbitraryInput, { minLength: 1, maxLength: 3 })
  ], ([
    inputs
  ]) => {
    const [first = make(), ...others] = inputs.map((input) => make(input))
    const encoded = Schema.encodeEither(ConnectionOptions.ListFromUrl)([first, ...others])
    if (Either.isLeft(encoded)) {
      // A later member can have less than the first, and no URL takes back what is inherited.
      assert.match(String(encoded.left), /take back|one user/)
      return
    }
    const decoded = list(Redacted.value(encoded.right))
    assert.lengthOf(decoded, inputs.length)
    for (const [index, options] of [first, ...others].entries()) {
      assert.isTrue(Equal.equals(decoded[index], options), Redacted.value(encoded.right))
    }
  }, { fastCheck: { numRuns: 500 } })
})

describe("any query ends in options that read back the same, or in an error", () => {
  const name = FastCheck.constantFrom(
    ..."heartbeat ssl_options ssl tcp_options client_properties auth_mechanism verify cacertfile keyfile".split(" "),
    ..."certfile password ssl_ca_data socket_timeout frameMax toString __proto__ constructor".split(" ")
  )
  const value = FastCheck.oneof(
    FastCheck.constantFrom("null", "true", "5", "{}", "[]", "-1", "1.5", "-----BEGIN"),
    FastCheck.json(),
    FastCheck.fullUnicodeString()
  )
  it.prop(
    "lenient or not",
    [FastCheck.array(FastCheck.tuple(name, value)), FastCheck.boolean()],
    ([query, lenient]) => {
      const text = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")
      const decoded = decode(`amqp://h?${text}`, { lenient })
      if (Either.isRight(decoded)) assert.isTrue(Equal.equals(right(encode(decoded.right)), decoded.right))
    },
    { fastCheck: { numRuns: 2000 } }
  )
})

describe("no substring of a password shows anywhere", () => {
  const password = "Zq7xW9vK3jY5"
  const pieces = Array.from({ length: password.length - 3 }, (_, at) => password.slice(at, at + 4))
  const texts = [
    `amqp://me:${password}@h:x`,
    `amqp://me:${password}@h?a=b`,
    `amqp://me:${password}@h/a/b`,
    `amqp://me:${password}%zz@h`,
    `amqp://me:${password} @h`,
    `amqp://me:${password}#@h`,
    `amqp://me:${password}@@h`,
    `amqp://me:${password}`,
    `amqp://me:/${password}@h`,
    `amqp://me:?${password}@h`,
    `amqp://me:1/${password}@h`,
    `amqp://me:1?${password}@h`,
    `amqp://me:1?${password}=x@h`,
    `me:${password}@h`,
    `amqp:me:${password}@h`,
    `redis://me:${password}@h`,
    `ws://me:${password}@h`,
    `amqp://h?password=${password}`,
    `amqp://h?pasword=${password}`,
    `amqps://h?ssl_password=${password}`,
    `amqps://h?ssl_options=${password}`,
    `amqps://h?ssl_options={"password":"${password}"}`,
    `amqps://h?ssl_options={"pasword":"${password}"}`,
    `amqps://h?certfile=/c&keyfile=-----BEGIN${password}&verify=no`,
    `amqp://h?client_properties={${password}`,
    `amqp://a;me:${password}@h`
  ]
  const shows = (value: unknown) => {
    for (const shown of [String(value), JSON.stringify(value), inspect(value, { depth: 20, showHidden: true })]) {
      for (const piece of pieces) assert.notInclude(shown, piece)
    }
  }
  for (const text of texts) {
    it(text.replaceAll(password, "<password>"), () => {
      const one = Schema.decodeEither(ConnectionOptions.FromUrl)(Redacted.make(text))
      const many = Schema.decodeEither(ConnectionOptions.ListFromUrl)(Redacted.make(text))
      const resolved = ConnectionOptions.resolve({ url: text })
      // A semicolon is a legal character of a user name, and cuts a list.
      assert.strictEqual(Either.isRight(one), text.startsWith("amqp://a;"))
      assert.isTrue(Either.isLeft(many))
      assert.isTrue(Either.isLeft(resolved))
      for (const result of [one, many, resolved]) {
        shows(result)
        shows(Either.merge<unknown, unknown>(result))
      }
    })
  }

  it("nor is a bare text quoted that was given in the place of a Redacted one", () => {
    const text = `amqp://me:${password}@h`
    for (
      const result of [
        Schema.decodeUnknownEither(ConnectionOptions.FromUrl)(text),
        Schema.decodeUnknownEither(ConnectionOptions.ListFromUrl)(text)
      ]
    ) {
      assert.isTrue(Either.isLeft<unknown, unknown>(result))
      shows(Either.merge<unknown, unknown>(result))
    }
  })
})
