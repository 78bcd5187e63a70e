/**
 * What needs Node.
 *
 * @since 0.1.0
 */
export * as NodeCompression from "./NodeCompression.ts"
export * as NodeTransport from "./NodeTransport.ts"
