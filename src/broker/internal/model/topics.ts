/**
 * Topic patterns to values: words parted by dots, `*` for exactly one word, empty ones included, `#` for any number.
 * The empty text has no word at all, as in RabbitMQ, so `*` does not match it and `#` does.
 *
 * A trie answers without looking at each pattern. Its search goes back and forth at every `#`, so the rare patterns
 * with many of them are kept apart and tried one by one in a time linear in their length: else a few bindings and one
 * hostile routing key would hold the process for ever.
 *
 * @since 0.1.0
 */
import { QlobberDedup } from "qlobber"

const mostSomes = 2

/** The trie takes the empty text for one empty word: with a root word in front of all, it is the root word alone. */
const rooted = (text: string): string => text === "" ? "^" : `^.${text}`

const words = (text: string): ReadonlyArray<string> => text === "" ? [] : text.split(".")

const count = (pattern: ReadonlyArray<string>): number => pattern.reduce((n, word) => word === "#" ? n + 1 : n, 0)

const matches = (pattern: ReadonlyArray<string>, topic: ReadonlyArray<string>): boolean => {
  let at = 0
  let word = 0
  let some = -1
  let taken = 0
  while (word < topic.length) {
    const expected = pattern[at]
    if (expected === "#") {
      some = at++
      taken = word
    } else if (expected !== undefined && (expected === "*" || expected === topic[word])) {
      at++
      word++
    } else if (some >= 0) {
      at = some + 1
      word = ++taken
    } else {
      return false
    }
  }
  while (pattern[at] === "#") at++
  return at === pattern.length
}

/** @internal */
export class Topics<A> {
  readonly #trie = new QlobberDedup<A>({
    match_empty_levels: true,
    max_words: Number.POSITIVE_INFINITY,
    max_wildcard_somes: mostSomes
  })
  readonly #apart = new Map<A, ReadonlyArray<string>>()

  /** A value has one pattern. */
  add(pattern: string, value: A): void {
    const split = words(pattern)
    if (count(split) > mostSomes) this.#apart.set(value, split)
    else this.#trie.add(rooted(pattern), value)
  }

  remove(pattern: string, value: A): void {
    if (!this.#apart.delete(value)) this.#trie.remove(rooted(pattern), value)
  }

  /** The values whose pattern matches, each once. The set is the index's own: to be read before the next change. */
  match(topic: string): ReadonlySet<A> {
    const found = this.#trie.match(rooted(topic))
    if (this.#apart.size === 0) return found
    const split = words(topic)
    const all = new Set(found)
    for (const [value, pattern] of this.#apart) {
      if (matches(pattern, split)) all.add(value)
    }
    return all
  }
}
