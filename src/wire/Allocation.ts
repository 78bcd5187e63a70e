/**
 * Where the codec gets its memory: every byte array it makes comes from {@link allocate}, which counts, so that a test
 * can hold the memory a frame costs against the frame's size. Small copies share slabs.
 *
 * @since 0.1.0
 */

/**
 * What was handed out since the last {@link reset}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Allocated {
  readonly count: number
  readonly bytes: number
}

let count = 0
let bytes = 0

/**
 * Bytes in one slab. A copy that is kept keeps its whole slab alive.
 *
 * @since 0.1.0
 * @category references
 */
export const slabSize = 65536

// Larger copies get memory of their own: they would leave too much of a slab unused.
const largestShared = slabSize / 4

const empty = new Uint8Array(0)
let slab = empty
let used = 0

/**
 * A zeroed byte array of its own. The caller has held `size` against a limit.
 *
 * @since 0.1.0
 * @category constructors
 */
export const allocate = (size: number): Uint8Array<ArrayBuffer> => {
  count++
  bytes += size
  return new Uint8Array(size)
}

/**
 * A copy of `source` from `start` to `end` that nothing writes to again. Copies up to 16 KiB lie in a shared slab:
 * `slice()` one to keep it for long without its neighbours.
 *
 * @since 0.1.0
 * @category constructors
 */
export const copy = (source: Uint8Array, start: number, end: number): Uint8Array => {
  const size = end - start
  if (size === 0) return empty
  const view = start === 0 && end === source.length ? source : source.subarray(start, end)
  if (size > largestShared) {
    const own = allocate(size)
    own.set(view)
    return own
  }
  if (slab.length - used < size) {
    slab = allocate(slabSize)
    used = 0
  }
  const at = used
  used += size
  slab.set(view, at)
  return slab.subarray(at, used)
}

// Copied ahead for each octet asked for: few enough that what is not asked for in the end costs little.
const ahead = 32

/**
 * Copies, as {@link copy} does, of pieces of one read that follow each other: the next ones are copied along with the
 * first, because a view of the source and a call for each costs as much as the copy.
 *
 * @since 0.1.0
 * @category models
 */
export class Reading {
  /** What was read; valid until the next read. */
  source: Uint8Array = empty
  private end = 0
  private kept = empty
  // Where in the source the kept copy begins and ends, and begins in its slab.
  private from = 0
  private to = 0
  private at = 0

  /** The source from now on, up to `end`. */
  begin(source: Uint8Array, end: number): void {
    this.source = source
    this.end = end
    this.to = 0
  }

  copy(start: number, end: number): Uint8Array {
    const size = end - start
    if (size > largestShared) return copy(this.source, start, end)
    if (start < this.from || end > this.to) {
      if (slab.length - used < size) {
        slab = allocate(slabSize)
        used = 0
      }
      const to = start + Math.min(this.end - start, size * ahead, slab.length - used)
      slab.set(this.source.subarray(start, to), used)
      this.kept = slab
      this.from = start
      this.to = to
      this.at = used
      used += to - start
    }
    const at = this.at + start - this.from
    return this.kept.subarray(at, at + size)
  }
}

/**
 * What was allocated since the last {@link reset}.
 *
 * @since 0.1.0
 * @category metrics
 */
export const allocated = (): Allocated => ({ count, bytes })

/**
 * Starts counting anew.
 *
 * @since 0.1.0
 * @category metrics
 */
export const reset = (): void => {
  count = 0
  bytes = 0
}
