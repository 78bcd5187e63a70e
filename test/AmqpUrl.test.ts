import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as AmqpUrl from "../src/AmqpUrl.ts"

const right = (text: string) => Either.getOrThrowWith(AmqpUrl.parse(text), (error) => error)

const left = (text: string) =>
  Either.getOrThrowWith(Either.flip(AmqpUrl.parse(text)), () => new Error(`${text} parsed`))

const members = (text: string) =>
  Either.getOrThrowWith(AmqpUrl.parseList(text), (error) => error).map(({ bare, url }) => ({
    bare,
    host: url.host,
    port: url.port,
    username: url.username,
    password: url.password === undefined ? undefined : Redacted.value(url.password),
    path: url.path,
    query: url.query.map(([name, value]) => `${name}=${value}`).join("&")
  }))

const nul = (text: string) => text.replaceAll("\0", "0")

const hosts = (text: string) => members(text).map(({ host, port }) => port === undefined ? host : `${host}:${port}`)

describe("the twelve rows of RabbitMQ's URI specification, appendix A", () => {
  const rows: ReadonlyArray<
    readonly [
      url: string,
      username: string | undefined,
      password: string | undefined,
      host: string,
      port: number | undefined,
      vhost: string | undefined
    ]
  > = [
    ["amqp://user:pass@host:10000/vhost", "user", "pass", "host", 10000, "vhost"],
    ["amqp://user%61:%61pass@ho%61st:10000/v%2fhost", "usera", "apass", "hoast", 10000, "v/host"],
    ["amqp://", undefined, undefined, "", undefined, undefined],
    ["amqp://:@/", "", "", "", undefined, ""],
    ["amqp://user@", "user", undefined, "", undefined, undefined],
    ["amqp://user:pass@", "user", "pass", "", undefined, undefined],
    ["amqp://host", undefined, undefined, "host", undefined, undefined],
    ["amqp://:10000", undefined, undefined, "", 10000, undefined],
    ["amqp:///vhost", undefined, undefined, "", undefined, "vhost"],
    ["amqp://host/", undefined, undefined, "host", undefined, ""],
    ["amqp://host/%2f", undefined, undefined, "host", undefined, "/"],
    ["amqp://[::1]", undefined, undefined, "::1", undefined, undefined]
  ]
  for (const [url, username, password, host, port, vhost] of rows) {
    it(url, () => {
      const parsed = right(url)
      assert.strictEqual(parsed.username, username)
      assert.strictEqual(parsed.password === undefined ? undefined : Redacted.value(parsed.password), password)
      assert.strictEqual(parsed.host, host)
      assert.strictEqual(parsed.port, port)
      assert.strictEqual(parsed.path === undefined ? undefined : parsed.segments.join("|"), vhost)
    })
  }
})

describe("AMQP 1.0 documentation's URLs parse too", () => {
  const urls = [
    "amqps://example.com",
    "amqps://example.net:56720",
    "amqp://127.0.0.1",
    "amqp://[::1]:2000",
    "amqp://example.com",
    "amqp://alpha.example.com",
    "amqp://beta.example.com"
  ]
  for (const url of urls) {
    it(url, () => {
      assert.strictEqual(Redacted.value(Either.getOrThrow(AmqpUrl.print(right(url)))), url)
    })
  }
})

describe("parse", () => {
  it("takes a scheme in any case, and names of a protocol's own", () => {
    assert.strictEqual(right("AmQpS://h").scheme, "amqps")
    const aliased = Either.getOrThrow(AmqpUrl.parse("PyAMQP://h", { aliases: { pyamqp: "amqp" } }))
    assert.strictEqual(aliased.scheme, "amqp")
  })

  it("refuses a missing or foreign scheme", () => {
    for (const text of ["", "host", "//host", "amqp:host", "amqp:/host", "redis://h", "http://h", "constructor://h"]) {
      assert.strictEqual(left(text).reason, "UnsupportedScheme", text)
    }
    assert.include(left("redis://h").text, "\"redis\"")
    assert.include(left("redis://h").text, "Layer")
  })

  it("knows ws, wss and memory, each with its port", () => {
    assert.strictEqual(right("ws://h").scheme, "ws")
    assert.strictEqual(right("memory://").scheme, "memory")
    assert.deepStrictEqual(["amqp", "amqps", "ws", "wss"].map((s) => AmqpUrl.defaultPort(right(`${s}://h`).scheme)), [
      5672,
      5671,
      80,
      443
    ])
  })

  it("decodes after splitting, so that an escaped separator separates nothing", () => {
    const url = right("amqp://a%40b%3Ac:d%2F%3F%23@h/x%2Fy%3F?n%26=v%3D%26")
    assert.strictEqual(url.username, "a@b:c")
    assert.strictEqual(Redacted.value(url.password ?? Redacted.make("")), "d/?#")
    assert.deepStrictEqual([...url.segments], ["x/y?"])
    assert.deepStrictEqual(url.query.map((pair) => Array.from(pair)), [["n&", "v=&"]])
  })

  it("keeps a plus everywhere but in the query, where it is a space", () => {
    const url = right("amqp://a+b:c+d@h/v+w?n=x+y%2B")
    assert.strictEqual(url.username, "a+b")
    assert.strictEqual(Redacted.value(url.password ?? Redacted.make("")), "c+d")
    assert.deepStrictEqual([...url.segments], ["v+w"])
    assert.strictEqual(url.query[0]?.[1], "x y+")
  })

  it("decodes escapes as UTF-8 and takes what is not escaped as it stands", () => {
    assert.strictEqual(right("amqp://%C3%BC%F0%9F%90%87ö@h").username, "ü🐇ö")
    assert.strictEqual(right("amqp://%EF%BB%BFa@h").username, "\uFEFFa")
  })

  it("names the component of a broken escape, of white space and of NUL, and never shows what stood there", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["amqp://us%zzer@h", "username"],
      ["amqp://user%@h", "username"],
      ["amqp://u:hunter2%4@h", "password"],
      ["amqp://u:hunter2%ff@h", "password"],
      ["amqp://u:hun ter2@h", "password"],
      ["amqp://u:hunter2%00@h", "password"],
      ["amqp://u:hunter2\n@h", "password"],
      ["amqp://u:hunter2\uD800@h", "password"],
      ["amqp://h/%20\uDC00", "path"],
      ["amqp://ho%zzst", "host"],
      ["amqp://ho st", "host"],
      ["amqp://h/v%c3", "path"],
      ["amqp://h/v w", "path"],
      ["amqp://h?n=%e0%a4", "query"],
      ["amqp://h?n=a b", "query"]
    ]
    for (const [text, component] of cases) {
      const error = left(text)
      assert.strictEqual(error.parameter, component, text)
      assert.strictEqual(error.reason, "Syntax")
      assert.notInclude(error.message, "hunter2")
    }
  })

  it("refuses a fragment and says how to write a #", () => {
    const error = left("amqp://u:hun#ter2@h")
    assert.strictEqual(error.parameter, "fragment")
    assert.include(error.text, "%23")
    assert.notInclude(error.message, "hun#")
  })

  it("takes ports from 1 to 65535, and an empty one as none", () => {
    assert.strictEqual(right("amqp://h:1").port, 1)
    assert.strictEqual(right("amqp://h:65535").port, 65535)
    assert.strictEqual(right("amqp://h:").port, undefined)
    for (const port of ["0", "65536", "-1", "5672a", "1e3", "port", "999999999"]) {
      assert.strictEqual(left(`amqp://h:${port}`).parameter, "port", port)
    }
  })

  it("reads IPv6 in brackets, with zone and port, and nothing else in brackets", () => {
    assert.deepInclude(right("amqp://[fe80::1%25eth0]:99"), { host: "fe80::1%eth0", port: 99 })
    assert.strictEqual(right("amqp://[::ffff:10.0.0.1]").host, "::ffff:10.0.0.1")
    assert.strictEqual(right("amqp://[1:2:3:4:5:6:7:8]").host, "1:2:3:4:5:6:7:8")
    for (
      const host of [
        "[",
        "[]",
        "[::1",
        "[1.2.3.4]",
        "[h]",
        "[:::]",
        "[1:2]",
        "[::1]x",
        "[fe80::1%eth0]",
        "[::10.0.0.256]"
      ]
    ) {
      assert.strictEqual(left(`amqp://${host}`).parameter, "host", host)
    }
    assert.strictEqual(left("amqp://::1").parameter, "port")
  })

  it("refuses separators in a host, escaped or not", () => {
    for (const host of ["a%2Fb", "a%40b", "a,b", "a%3Bb", "a]b"]) {
      assert.strictEqual(left(`amqp://${host}`).parameter, "host")
    }
  })

  it("guesses that a user name or password was not escaped, and hides its halves", () => {
    for (
      const text of [
        "amqp://u:hunter/2secret@h/v",
        "amqp://u:12/secret@h/v",
        "amqp://u:hunter?2secret@h",
        "amqp://u:12?secret@h",
        "amqp://u:12?a&secret@h",
        "amqp://u:hun@ter@h"
      ]
    ) {
      const error = left(text)
      assert.include(error.text, "%2F", text)
      for (const half of ["hunter", "secret", "12", "2secret"]) assert.notInclude(error.message, half, text)
    }
  })

  it("reads pairs of the query in order, and takes empty ones as nothing", () => {
    assert.deepStrictEqual(right("amqp://h?a=1&&b=&c&a=2=3&").query.map((pair) => Array.from(pair)), [
      ["a", "1"],
      ["b", ""],
      ["c", ""],
      ["a", "2=3"]
    ])
    assert.strictEqual(right("amqp://h?").query.length, 0)
  })

  it("compares by content", () => {
    assert.isTrue(Equal.equals(right("amqp://u:p@h/v?a=1"), right("AMQP://u:%70@h/v?a=%31")))
    assert.isFalse(Equal.equals(right("amqp://u:p@h/v?a=1"), right("amqp://u:p@h/v?a=2")))
  })

  it("takes a long component without harm", () => {
    assert.strictEqual(right(`amqp://${"u".repeat(300_000)}%20@h`).username?.length, 300_001)
  })

  it.prop("answers any text with a value or a ParameterError", [
    FastCheck.oneof(
      FastCheck.string16bits(),
      FastCheck.stringOf(FastCheck.constantFrom(..."amqp:/@?#[]%&=;,.0aZ{}\"\\ \0"), { maxLength: 40 }),
      FastCheck.stringOf(FastCheck.constantFrom(..."u:/@?[]%25&=;,.09aF"), { maxLength: 40 }).map((s) => `amqp://${s}`)
    )
  ], ([text]) => {
    const results: ReadonlyArray<Either.Either<unknown, unknown>> = [AmqpUrl.parse(text), AmqpUrl.parseList(text)]
    for (const result of results) {
      if (Either.isLeft(result)) assert.instanceOf(result.left, AmqpUrl.ParameterError)
    }
  }, { fastCheck: { numRuns: 2000 } })
})

describe("parseList", () => {
  it("cuts at every semicolon", () => {
    assert.deepStrictEqual(hosts("amqp://a;amqp://b:1;c;d:2"), ["a", "b:1", "c", "d:2"])
    assert.deepStrictEqual(members("amqp://a;b").map(({ bare }) => bare), [false, true])
  })

  it("cuts at a comma between authorities, which share the path and query", () => {
    const list = members("amqp://u:p@a,b:5673,[::1]:1/v?heartbeat=3")
    assert.deepStrictEqual(list.map(({ host, port }) => [host, port]), [["a", undefined], ["b", 5673], ["::1", 1]])
    for (const member of list) {
      assert.deepInclude(member, { username: "u", password: "p", path: "v", query: "heartbeat=3", bare: false })
    }
  })

  it("lets a later authority bring its own user", () => {
    assert.deepStrictEqual(members("amqp://u:p@a,w@b").map(({ password, username }) => [username, password]), [
      ["u", "p"],
      ["w", undefined]
    ])
  })

  it("cuts at a comma before a scheme, also in path and query", () => {
    assert.deepStrictEqual(hosts("amqp://a,amqp://b/v,amqps://c?x=1,amqp://d"), ["a", "b", "c", "d"])
  })

  it("cuts at no comma of a user name, password, path or JSON value", () => {
    assert.deepInclude(members("amqp://u,1:p,2@a,b/v,w")[0], {
      username: "u,1",
      password: "p,2",
      host: "a",
      path: "v,w"
    })
    const json = "{\"a\":\"x,amqp://y;}\",\"b\":{\"c\":[1,2]},\"d\":\"\\\"}\"}"
    assert.deepStrictEqual(members(`amqp://a?p=${json};amqp://b`.replaceAll(" ", "")).map(({ query }) => query), [
      `p=${json}`,
      ""
    ])
  })

  it("takes a list of bare host names", () => {
    assert.deepStrictEqual(hosts("a"), ["a"])
    assert.deepStrictEqual(hosts("a,b:5673;[::1]"), ["a", "b:5673", "::1"])
  })

  it("refuses an empty element, and an element that is neither URL nor host", () => {
    for (const text of ["", ";", "amqp://a;", "amqp://a;;b", "amqp://a,,b", "amqp://a,", "a,,b"]) {
      const result = AmqpUrl.parseList(text)
      assert.isTrue(Either.isLeft(result) && result.left.text.includes("empty element"), text)
    }
    const stray = AmqpUrl.parseList("amqp://a;u:secret@b")
    assert.isTrue(Either.isLeft(stray) && stray.left.reason === "UnsupportedScheme")
    assert.notInclude(String(stray), "secret")
  })
})

describe("print", () => {
  it("escapes everything and leaves a scheme's own port out", () => {
    const url = right("AMQP://a%40b:p%2Fq@H:5672/v%2Fw?x=a+b,c")
    assert.strictEqual(Redacted.value(Either.getOrThrow(AmqpUrl.print(url))), "amqp://a%40b:p%2Fq@H/v%2Fw?x=a%20b%2Cc")
    assert.strictEqual(Redacted.value(Either.getOrThrow(AmqpUrl.print(right("amqps://h:5672")))), "amqps://h:5672")
    assert.strictEqual(
      Redacted.value(Either.getOrThrow(AmqpUrl.print(right("amqp://[fe80::1%25e]:1/")))),
      "amqp://[fe80::1%25e]:1/"
    )
  })

  it("fails for half a surrogate pair and for NUL", () => {
    for (const username of ["\uD800", "a\0"]) {
      const result = AmqpUrl.print(new AmqpUrl.AmqpUrl({ ...right("amqp://h"), username }))
      assert.isTrue(Either.isLeft(result) && result.left.reason === "Unprintable")
    }
  })

  it.prop("parses back to the same URL", [
    FastCheck.record({
      scheme: FastCheck.constantFrom("amqp" as const, "amqps" as const, "memory" as const),
      username: FastCheck.option(FastCheck.fullUnicodeString(), { nil: undefined }),
      password: FastCheck.fullUnicodeString(),
      host: FastCheck.oneof(FastCheck.domain(), FastCheck.ipV4(), FastCheck.ipV6(), FastCheck.constant("")),
      port: FastCheck.integer({ min: 1, max: 65535 }),
      segments: FastCheck.array(FastCheck.fullUnicodeString(), { minLength: 1 }),
      query: FastCheck.array(
        FastCheck.tuple(FastCheck.fullUnicodeString({ minLength: 1 }), FastCheck.fullUnicodeString())
      )
    })
  ], ([fields]) => {
    const url = new AmqpUrl.AmqpUrl({
      ...fields,
      port: fields.port === AmqpUrl.defaultPort(fields.scheme) ? undefined : fields.port,
      username: fields.username === undefined ? undefined : nul(fields.username),
      password: fields.username === undefined || (fields.password === "" && fields.username !== "") ?
        undefined :
        Redacted.make(nul(fields.password)),
      segments: fields.segments.map(nul),
      path: fields.segments.map((segment) =>
        encodeURIComponent(nul(segment)).replaceAll("'", "%27").replaceAll("(", "%28")
          .replaceAll(")", "%29").replaceAll("*", "%2A").replaceAll("!", "%21")
      ).join("/"),
      query: fields.query.filter(([name]) => fields.username !== undefined || !name.includes("@")).map((
        [name, value]
      ) => [nul(name), nul(value)] as const)
    })
    assert.isTrue(Equal.equals(right(Redacted.value(Either.getOrThrow(AmqpUrl.print(url)))), url))
  })
})

describe("display", () => {
  it("hides the password, secret values of the query, and key material", () => {
    const url = right("amqps://me:hunter2@h/v?password=hunter2&ssl_options=hunter2&x=-----BEGIN+hunter2&heartbeat=3")
    assert.strictEqual(
      AmqpUrl.display(url),
      "amqps://me:**@h/v?password=**&ssl_options=**&x=**&heartbeat=3"
    )
  })

  it("is what a parsed URL shows of itself", () => {
    const url = right("amqps://me:hunter2@h/v?password=hunter2")
    for (const shown of [String(url), JSON.stringify(url), inspect(url, { depth: 9, showHidden: true })]) {
      assert.notInclude(shown, "hunter2")
      assert.include(shown, "me:**@h")
    }
  })
})
