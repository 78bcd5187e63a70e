/** Chance that a seed decides: the same seed, the same answers (sfc32, a small generator in the public domain). */

export class Chance {
  private a: number
  private b = 0x9e3779b9
  private c = 0x243f6a88
  private count = 1

  constructor(seed: number) {
    this.a = seed | 0
    for (let warmUp = 0; warmUp < 12; warmUp++) this.next()
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    const sum = (this.a + this.b + this.count) | 0
    this.count = (this.count + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + sum) | 0
    return (sum >>> 0) / 0x1_0000_0000
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** Whether something happens that does with this probability. */
  of(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(from: readonly [A, ...Array<A>]): A
  pick<A>(from: ReadonlyArray<A>): A | undefined
  pick<A>(from: ReadonlyArray<A>): A | undefined {
    return from[this.int(0, from.length - 1)]
  }
}
