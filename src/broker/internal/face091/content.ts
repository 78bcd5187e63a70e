/**
 * What the face stores in the model.
 *
 * @since 0.1.0
 */
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"

/** @internal */
export interface Content {
  readonly properties: RawProperties
  readonly body: Uint8Array
}
