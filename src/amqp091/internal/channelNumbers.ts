/**
 * Which channel numbers are in use: the lowest free one is found without a scan (three levels of bitmap).
 *
 * @since 0.1.0
 */

// A word has 32 bits; three levels hold 32^3 = 32,768 words of channels, more than the 65,535 there can be.
const lowestZero = (word: number): number => 31 - Math.clz32(~word & -~word)

/** @internal */
export class ChannelNumbers {
  /** The highest number that may be used. */
  readonly max: number
  // A set bit means: taken (bottom level), or nothing free below (the levels above).
  private readonly levels: readonly [Int32Array, Int32Array, Int32Array, Int32Array] = [
    new Int32Array(2048),
    new Int32Array(64),
    new Int32Array(2),
    new Int32Array(1)
  ]

  constructor(max: number) {
    this.max = Math.min(max, 65535)
    this.take(0)
  }

  /** The lowest free number, taken; `undefined` when all are in use. */
  lowest(): number | undefined {
    let index = 0
    for (let level = 3; level >= 0; level--) {
      const word = this.levels[level as 0 | 1 | 2 | 3][index]!
      if (word === -1) return undefined
      index = index * 32 + lowestZero(word)
      if (level > 0 && index >= this.levels[level - 1 as 0 | 1 | 2].length) return undefined
    }
    if (index > this.max) return undefined
    this.take(index)
    return index
  }

  /** This very number, taken; `undefined` when it is in use, or none that may be used. */
  claim(number: number): number | undefined {
    if (number > this.max || this.isTaken(number)) return undefined
    this.take(number)
    return number
  }

  isTaken(number: number): boolean {
    return (this.levels[0][number >>> 5]! & (1 << (number & 31))) !== 0
  }

  take(number: number): void {
    let index = number
    for (const level of this.levels) {
      const at = index >>> 5
      level[at]! |= 1 << (index & 31)
      if (level[at] !== -1) return
      index = at
    }
  }

  release(number: number): void {
    let index = number
    for (const level of this.levels) {
      const at = index >>> 5
      level[at]! &= ~(1 << (index & 31))
      index = at
    }
  }
}
