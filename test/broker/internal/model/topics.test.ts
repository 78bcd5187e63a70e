import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as FastCheck from "effect/FastCheck"
import * as Order from "effect/Order"
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
    assert.strictEqual(topics.match(topic).size === 1, expected)
    topics.remove(pattern, "value")
    assert.strictEqual(topics.match(topic).size, 0)
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

  it("answers a hostile key on a hostile pattern", () => {
    const topics = new Topics<string>()
    topics.add(Array.from({ length: 64 }, () => "#.a").join("."), "hostile")
    // 127 words that fit the pattern in more ways than could ever be tried, but for the last one.
    assert.strictEqual(topics.match(`${Array.from({ length: 126 }, () => "a").join(".")}.b`).size, 0)
  })
})
