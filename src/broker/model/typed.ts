/**
 * Values of arguments that name their type. Exported by `Model`.
 *
 * @since 0.1.0
 */

/**
 * The types that JavaScript cannot tell by the value alone, by RabbitMQ's names. A `longstr` is text like any other, but
 * may be made of bytes that are no UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export type TypeName =
  | "byte"
  | "unsignedbyte"
  | "short"
  | "unsignedshort"
  | "signedint"
  | "unsignedint"
  | "long"
  | "float"
  | "double"
  | "decimal"
  | "timestamp"
  | "longstr"

/**
 * A value with its type: for faces whose values have one. A plain number is as good where nobody asks for the type.
 *
 * @since 0.1.0
 * @category models
 */
export class Typed {
  readonly type: TypeName
  readonly value: unknown

  constructor(type: TypeName, value: unknown) {
    this.type = type
    this.value = value
  }
}
