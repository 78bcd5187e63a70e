/**
 * Names that were mistyped.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"

const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substituted, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}

const lettersOf = (name: string): string => name.toLowerCase().replaceAll("_", "")

const byDistance = Order.mapInput(Order.number, (entry: { readonly far: number }) => entry.far)

/**
 * The known names nearest to a mistyped one, at most three.
 *
 * @internal
 */
export const nearest = (name: string, known: Iterable<string>): ReadonlyArray<string> => {
  const written = lettersOf(name.slice(0, 64))
  const near = Array.from(known, (candidate) => ({ candidate, far: distance(written, lettersOf(candidate)) }))
    .filter(({ candidate, far }) => far <= Math.max(2, Math.floor(candidate.length / 3)))
  return Arr.sort(near, byDistance).slice(0, 3).map(({ candidate }) => candidate)
}
