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
