/**
 * Topic patterns to values: words parted by dots, `*` for exactly one word, empty ones included, `#` for any number.
 * The empty text has no word at all, as in RabbitMQ, so `*` does not match it and `#` does.
 *
 * qlobber keeps the patterns as a trie and answers without looking at each. Its own search goes back and forth at every
 * `#`, and would be held for seconds by a few thousand hostile bindings; here a search carries all positions that it could
 * be at in the key along as one set, and so comes to each part of a pattern once.
 *
 * @since 0.1.0
 */
import { QlobberDedup, type Trie } from "qlobber"

/** The trie takes the empty text for one empty word: with a root word in front of all, it is the root word alone. */
const root = "^"
const rooted = (pattern: string): string => pattern === "" ? root : `${root}.${pattern}`

/** What the trie keeps values under: no word is that. */
const end = "."

/** In a key these are words that only wildcards match. */
const isWildcard = (word: string): boolean => word === "*" || word === "#"

type Below<A> = Trie<A> | Set<A> | undefined

/** Places in a key, before each of its words and behind the last one: a bit for each, small integers all. */
type Places = Array<number>

const bits = 30
const allBits = 2 ** bits - 1

const indexOf = (place: number): number => Math.trunc(place / bits)
const bitOf = (place: number): number => 1 << (place % bits)

/** What is found for one key. */
class Search<A> {
  readonly found: Array<A> = []
  readonly #words: ReadonlyArray<string>
  #behind: Behind<A> | undefined

  constructor(key: string) {
    this.#words = key === "" ? [] : key.split(".")
  }

  /** With as many words of the key behind as the pattern has: no `#` came yet. */
  visit(trie: Below<A>, place: number): void {
    if (!(trie instanceof Map)) return
    const some = trie.get("#")
    if (some !== undefined) this.#some(some, place)
    if (place === this.#words.length) return this.take(trie)
    const word = this.#words[place]! // one of them, by the line above
    if (!isWildcard(word)) this.visit(trie.get(word), place + 1)
    this.visit(trie.get("*"), place + 1)
  }

  take(trie: Trie<A>): void {
    const values = trie.get(end)
    if (values instanceof Set) { for (const value of values) this.found.push(value) }
  }

  #some(trie: Below<A>, place: number): void {
    if (!(trie instanceof Map)) return
    // Most often nothing follows it.
    if (trie.size === 1 && trie.has(end)) return this.take(trie)
    this.#behind ??= new Behind(this.#words, (trie) => this.take(trie))
    this.#behind.begin(trie, place)
  }
}

/** The search behind a `#`, from where the key may go on at several places. */
class Behind<A> {
  readonly #take: (trie: Trie<A>) => void
  readonly #width: number
  readonly #last: number
  readonly #all: Places
  /** Before which places each word stands. */
  readonly #words = new Map<string, Places>()
  /** For each depth. */
  readonly #at: Array<Places> = []

  constructor(words: ReadonlyArray<string>, take: (trie: Trie<A>) => void) {
    this.#take = take
    this.#last = words.length
    this.#width = indexOf(words.length) + 1
    this.#all = this.#none().fill(allBits)
    this.#all[this.#width - 1] = bitOf(this.#last) * 2 - 1
    words.forEach((word, place) => {
      if (isWildcard(word)) return
      let places = this.#words.get(word)
      if (places === undefined) this.#words.set(word, places = this.#none())
      places[indexOf(place)]! |= bitOf(place)
    })
  }

  begin(trie: Trie<A>, place: number): void {
    const here = this.#depth(0)
    here.fill(0)
    here[indexOf(place)] = bitOf(place)
    if (this.#onward(here, here)) this.#visit(trie, 0)
  }

  #none(): Places {
    const none: Places = []
    for (let index = 0; index < this.#width; index++) none.push(0)
    return none
  }

  #depth(depth: number): Places {
    return this.#at[depth] ??= this.#none()
  }

  #visit(trie: Below<A>, depth: number): void {
    if (!(trie instanceof Map)) return
    const here = this.#depth(depth)
    if ((here[this.#width - 1]! & bitOf(this.#last)) !== 0) this.#take(trie)
    const some = trie.get("#")
    if (some !== undefined && this.#onward(here, this.#depth(depth + 1))) this.#visit(some, depth + 1)
    this.#step(trie.get("*"), this.#all, depth)
    // By whichever there are fewer of.
    if (trie.size <= this.#words.size) {
      for (const [word, below] of trie) this.#step(below, this.#words.get(word), depth)
    } else {
      for (const [word, places] of this.#words) this.#step(trie.get(word), places, depth)
    }
  }

  /** One word further, where one of these stands. */
  #step(below: Below<A>, words: Places | undefined, depth: number): void {
    if (below === undefined || words === undefined) return
    const here = this.#depth(depth)
    const there = this.#depth(depth + 1)
    let carry = 0
    let any = 0
    for (let index = 0; index < this.#width; index++) {
      const stay = here[index]! & words[index]!
      const moved = ((stay << 1) | carry) & this.#all[index]!
      there[index] = moved
      any |= moved
      carry = stay >>> (bits - 1)
    }
    if (any !== 0) this.#visit(below, depth + 1)
  }

  /** Any number of words further: all places from the first on. */
  #onward(here: Places, there: Places): boolean {
    let isBehind = false
    for (let index = 0; index < this.#width; index++) {
      const places = here[index]!
      const onward = isBehind ? allBits : places === 0 ? 0 : -(places & -places)
      there[index] = onward & this.#all[index]!
      if (places !== 0) isBehind = true
    }
    return isBehind
  }
}

/** @internal */
export class Topics<A> {
  readonly #patterns = new QlobberDedup<A>({
    match_empty_levels: true,
    max_words: Number.POSITIVE_INFINITY,
    max_wildcard_somes: Number.POSITIVE_INFINITY
  })

  /** A value has one pattern. */
  add(pattern: string, value: A): void {
    this.#patterns.add(rooted(pattern), value)
  }

  remove(pattern: string, value: A): void {
    this.#patterns.remove(rooted(pattern), value)
  }

  /** The values whose pattern matches, each once. */
  match(topic: string): ReadonlyArray<A> {
    const search = new Search<A>(topic)
    search.visit(this.#patterns._trie.get(root), 0)
    return search.found
  }
}
