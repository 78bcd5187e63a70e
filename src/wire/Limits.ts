/**
 * How much structure one frame may hold. Sizes in bytes are limited by the frame itself; what is limited here is what a
 * few bytes can blow up into.
 *
 * @since 0.1.0
 */

/**
 * Limits of nested values, of those read and of those written (a value that holds itself meets the depth).
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** How deep tables and lists may nest. Default: 32. */
  readonly maxTableDepth: number
  /** How many entries one top-level table may hold, those of nested tables and lists included. Default: 4096. */
  readonly maxTableEntries: number
}

/**
 * The limits that hold unless others are given.
 *
 * @since 0.1.0
 * @category references
 */
export const defaults: Limits = { maxTableDepth: 32, maxTableEntries: 4096 }
