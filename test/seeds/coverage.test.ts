import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { kombu } from "./kombu.words.ts"
import { pika } from "./pika.words.ts"
import type { Seed } from "./words.ts"

const here = import.meta.dirname

/** The titles of all tests in the folder of a seed: of those that run, for a test that is skipped or alone is no answer. */
const titles = ({ name }: Seed): ReadonlyArray<string> =>
  readdirSync(join(here, name)).filter((file) => file.endsWith(".test.ts")).flatMap((file) => {
    const text = readFileSync(join(here, name, file), "utf8")
    const tests = text.matchAll(/^ *it(?:\.(?:effect|scoped|live|scopedLive))?\(\s*("(?:[^"\\\n]|\\.)*")/gm)
    return Array.from(tests, ([, title = ""]) => String(JSON.parse(title)))
  })

/** A title is the word, or the word, a colon, and what the test shows. */
const isOf = (word: string) => (title: string) => title === word || title.startsWith(`${word}: `)

const wordsOf = ({ headings }: Seed) => headings.flatMap(({ words }) => words)

/** What README's tables answer for users of the other client: the words in code of a row's first cell, and the second. */
const rows = (): ReadonlyMap<string, string> => {
  const text = readFileSync(join(here, "../../README.md"), "utf8")
  const [, section = ""] = /^### Coming from pika or kombu$(.*?)^## /ms.exec(text) ?? []
  return new Map(
    section.split("\n").flatMap((line) => {
      const [, words = "", answer = ""] = /^\| (.*?) +\| (.*?) +\|$/.exec(line) ?? []
      return Array.from(words.matchAll(/`([^`]+)`/g), ([, word = ""]) => [word, answer] as const)
    })
  )
}

for (const seed of [pika, kombu]) {
  const words = wordsOf(seed)
  const found = titles(seed)

  describe(`what ${seed.name} describes`, () => {
    it("is listed once", () => {
      assert.deepStrictEqual(words.filter((word, at) => words.indexOf(word) < at), [])
      assert.deepStrictEqual(seed.inDocs.filter((word) => !words.includes(word)), [])
    })

    it("has a test or a line in README, word by word", () => {
      const answered = rows()
      const missing = words.filter((word) =>
        seed.inDocs.includes(word) ? (answered.get(word) ?? "") === "" : !found.some(isOf(word))
      )
      assert.deepStrictEqual(missing, [])
    })

    it("has one test each, and no test a title that is not a word of it", () => {
      assert.deepStrictEqual(found.filter((title) => words.filter((word) => isOf(word)(title)).length !== 1), [])
      assert.deepStrictEqual(words.filter((word) => found.filter(isOf(word)).length > 1), [])
      assert.deepStrictEqual(seed.inDocs.filter((word) => found.some(isOf(word))), [])
    })

    it("is told where no test can show it", () => {
      const answered = rows()
      const lines = seed.inDocs.map((word) => `  ${word}: ${answered.get(word) ?? "nothing"}`)
      console.log([
        `${seed.name}: ${words.length} words, ${found.length} tests; README answers ${seed.inDocs.length}`,
        ...lines
      ].join("\n"))
      assert.strictEqual(found.length + seed.inDocs.length, words.length)
    })
  })
}
