import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as FastCheck from "effect/FastCheck"
import * as Order from "effect/Order"
import { vi } from "vitest"
import { Topics } from "../../../../src/broker/internal/model/topics.ts"

const words = (text: string) => text === "" ? [] : text.split(".")

/** The rule as one would say it, slow and plain. */
const matches = (pattern: ReadonlyArray<string>, topic: ReadonlyArray<string>): boolean => {
  const [expected, ...rest] = pattern
  if (expected === undefined) return topic.length === 0
  if (expected === "#") return matches(rest, topic) || (topic.length > 0 && matches(pattern, topic.slice(1)))
  return topic.length > 0 && (expected === "*" || expected === topic[0]) && matches(rest, topic.slice(1))
}

const joined = (word: FastCheck.Arbitrary<string>) =>
  FastCheck.array(word, { maxLength: 6 }).map((found) => found.join("."))
const pattern = joined(FastCheck.constantFrom("a", "b", "", "*", "#", "#"))
const topic = joined(FastCheck.constantFrom("a", "b", "", "*", "#"))

/** What a search of hostile patterns looks up: each has `#` twice and could go on at any place of the key. */
const lookups = (patterns: number, length: number): number => {
  const topics = new Topics<number>()
  for (let index = 0; index < patterns; index++) {
    const words = Array.from({ length: 12 }, (_, bit) => (index >> bit) % 2 === 0 ? "a" : "*")
    topics.add(`#.${words.join(".")}.#.z`, index)
  }
  const key = Array.from({ length }, () => "a").join(".")
  const get = vi.spyOn(Map.prototype, "get")
  try {
    assert.deepStrictEqual(topics.match(key), [])
    return get.mock.calls.length
  } finally {
    get.mockRestore()
  }
}

describe("Topics", () => {
  it.each([
    ["a.#", "a", true],
    ["a.#", "a.b.c", true],
    ["#", "", true],
    ["#", "a.b", true],
    ["*", "", false],
    ["#.*", "", false],
    ["*", "a", true],
    ["*", "a.b", false],
    ["*.*", ".", true],
    ["a.*.b", "a..b", true],
    ["a.*.b", "a.b", false],
    ["a.*", "a.", true],
    ["", "", true],
    ["", ".", false],
    ["*.stock.#", "usd.stock", true],
    ["#.a.#.a.#.a.#", "a.b.a.a", true],
    ["#.a.#.a.#.a.#", "a.b.a", false]
  ])("pattern '%s' and key '%s': %s", (pattern, topic, expected) => {
    const topics = new Topics<string>()
    topics.add(pattern, "value")
    assert.strictEqual(topics.match(topic).length === 1, expected)
    topics.remove(pattern, "value")
    assert.strictEqual(topics.match(topic).length, 0)
  })

  it.prop(
    "finds exactly what a plain matcher finds, after any removals",
    [FastCheck.array(FastCheck.tuple(pattern, FastCheck.boolean()), { maxLength: 12 }), topic],
    ([patterns, topic]) => {
      const topics = new Topics<number>()
      patterns.forEach(([pattern], index) => topics.add(pattern, index))
      patterns.forEach(([pattern, stays], index) => stays || topics.remove(pattern, index))
      const expected = patterns.flatMap(([pattern, stays], index) =>
        stays && matches(words(pattern), words(topic)) ? [index] : []
      )
      assert.deepStrictEqual(Arr.sort(topics.match(topic), Order.number), expected)
    },
    { fastCheck: { numRuns: 2000 } }
  )

  it("takes keys and patterns of any number of words", () => {
    const topics = new Topics<string>()
    const long = Array.from({ length: 300 }, () => "a").join(".")
    topics.add(long, "exact")
    topics.add("#", "all")
    assert.deepStrictEqual(Arr.sort(topics.match(long), Order.string), ["all", "exact"])
  })

  it("finds a word at every place of a key of any length", () => {
    const topics = new Topics<string>()
    for (const pattern of ["#.b", "#.b.*", "#.b.#", "#.b.#.b"]) topics.add(pattern, pattern)
    for (const length of [1, 29, 30, 31, 59, 60, 61, 90]) {
      for (let place = 0; place < length; place++) {
        const key = Array.from({ length }, (_, index) => index === place ? "b" : "a").join(".")
        const behind = place === length - 1 ? ["#.b"] : place === length - 2 ? ["#.b.*"] : []
        assert.deepStrictEqual(Arr.sort(topics.match(key), Order.string), Arr.sort(["#.b.#", ...behind], Order.string))
      }
    }
  })

  it("answers a hostile key on a hostile pattern", () => {
    const topics = new Topics<string>()
    topics.add(Array.from({ length: 64 }, () => "#.a").join("."), "hostile")
    // 127 words that fit the pattern in more ways than could ever be tried, but for the last one.
    assert.deepStrictEqual(topics.match(`${Array.from({ length: 126 }, () => "a").join(".")}.b`), [])
  })

  it("looks at each part of a hostile pattern once, however long the key is", () => {
    const short = lookups(256, 32)
    const long = lookups(256, 128)
    assert.isAbove(short, 256)
    assert.isBelow(long, short + 1000) // the key's own words
  })

  it("takes twice as many steps for twice as many hostile patterns", () => {
    assert.isBelow(lookups(512, 128), 2.1 * lookups(256, 128))
  })

  it("takes no longer for patterns that the key has nothing of", () => {
    const topics = new Topics<number>()
    for (let index = 0; index < 10_000; index++) topics.add(`#.word${index}.#`, index)
    const get = vi.spyOn(Map.prototype, "get")
    try {
      assert.deepStrictEqual(topics.match("a.word7.b"), [7])
      assert.isBelow(get.mock.calls.length, 100)
    } finally {
      get.mockRestore()
    }
  })
})
