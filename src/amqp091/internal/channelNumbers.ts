/**
 * Which channel numbers are in use, as a bitmap that grows with the highest of them.
 *
 * @since 0.1.0
 */

const lowestZero = (word: number): number => 31 - Math.clz32(~word & -~word)

/** @internal */
export class ChannelNumbers {
  /** The highest number that may be used. */
  readonly max: number
  /** A set bit means: taken. What lies behind the last word is free. */
  private readonly words: Array<number> = []
  /** No word before this one has a free number. */
  private first = 0

  constructor(max: number) {
    this.max = Math.min(max, 65535)
    this.take(0)
  }

  /** The lowest free number, taken; `undefined` when all are in use. */
  lowest(): number | undefined {
    while (this.words[this.first] === -1) this.first++
    const number = this.first * 32 + lowestZero(this.words[this.first] ?? 0)
    if (number > this.max) return undefined
    this.take(number)
    return number
  }

  /** This very number, taken; `undefined` when it is in use, or none that may be used. */
  claim(number: number): number | undefined {
    if (number > this.max || this.isTaken(number)) return undefined
    this.take(number)
    return number
  }

  isTaken(number: number): boolean {
    return ((this.words[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0
  }

  take(number: number): void {
    const at = number >>> 5
    while (this.words.length <= at) this.words.push(0)
    this.words[at]! |= 1 << (number & 31)
  }

  release(number: number): void {
    const at = number >>> 5
    if (at >= this.words.length) return
    this.words[at]! &= ~(1 << (number & 31))
    this.first = Math.min(this.first, at)
  }
}
