/**
 * The types of what the model uses of qlobber, which ships none.
 */
declare module "qlobber" {
  /** By word; the values of a pattern that ends there are under the separator. */
  export type Trie<A> = Map<string, Trie<A> | Set<A>>

  export class QlobberDedup<A> {
    constructor(options: {
      readonly match_empty_levels: boolean
      readonly max_words: number
      readonly max_wildcard_somes: number
    })
    readonly _trie: Trie<A>
    add(pattern: string, value: A): this
    remove(pattern: string, value: A): this
  }
}
