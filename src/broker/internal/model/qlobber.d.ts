/**
 * The types of what the model uses of qlobber, which ships none.
 */
declare module "qlobber" {
  export class QlobberDedup<A> {
    constructor(options: {
      readonly match_empty_levels: boolean
      readonly max_words: number
      readonly max_wildcard_somes: number
    })
    add(pattern: string, value: A): this
    remove(pattern: string, value: A): this
    match(topic: string): Set<A>
  }
}
