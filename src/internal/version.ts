/**
 * The version that peers and users are told; a test holds it against package.json.
 *
 * @since 0.1.0
 */

/** @internal */
export const version = "0.1.0"
