/**
 * Values of a field table that name their wire type. Exported by `FieldTable`.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-amqp/amqp091/FieldTable/Typed")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * The values whose wire type is named: what JavaScript has no type of its own for.
 *
 * @since 0.1.0
 * @category models
 */
export type Typed =
  | TypedOf<"int8" | "uint8" | "int16" | "uint16" | "int32" | "uint32" | "float" | "double", number>
  | TypedOf<"int64" | "uint64" | "timestamp", number | bigint>
  | TypedOf<"longstr", string | Uint8Array>
  | TypedOf<"decimal", Decimal>

/**
 * A value with its wire type.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedOf<Type extends string, A> {
  readonly [TypeId]: TypeId
  readonly type: Type
  readonly value: A
}

/**
 * `value` times ten to the power of minus `scale`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decimal {
  readonly scale: number
  readonly value: number
}

class TypedValue {
  readonly type: string
  readonly value: unknown
  constructor(type: string, value: unknown) {
    this.type = type
    this.value = value
  }
  get [TypeId](): TypeId {
    return TypeId
  }
}

const typed = <Type extends Typed["type"], A>(type: Type) => (value: A): TypedOf<Type, A> =>
  // The class has the interface's three properties; only their types are wider in it.
  new TypedValue(type, value) as TypedOf<Type, A>

/**
 * Whether a value names its wire type.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTyped = (u: unknown): u is Typed => Predicate.hasProperty(u, TypeId)

/**
 * A signed integer of 8 bits (`b`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const int8 = typed<"int8", number>("int8")

/**
 * An unsigned integer of 8 bits (`B`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const uint8 = typed<"uint8", number>("uint8")

/**
 * A signed integer of 16 bits (`s`, as RabbitMQ reads it).
 *
 * @since 0.1.0
 * @category constructors
 */
export const int16 = typed<"int16", number>("int16")

/**
 * An unsigned integer of 16 bits (`u`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const uint16 = typed<"uint16", number>("uint16")

/**
 * A signed integer of 32 bits (`I`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const int32 = typed<"int32", number>("int32")

/**
 * An unsigned integer of 32 bits (`i`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const uint32 = typed<"uint32", number>("uint32")

/**
 * A signed integer of 64 bits (`l`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const int64 = typed<"int64", number | bigint>("int64")

/**
 * An unsigned integer of 64 bits (`L`). RabbitMQ reads it and sends it on; many clients cannot read it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const uint64 = typed<"uint64", number | bigint>("uint64")

/**
 * A floating-point number of 32 bits (`f`): the nearest one to the number given.
 *
 * @since 0.1.0
 * @category constructors
 */
export const float = typed<"float", number>("float")

/**
 * A floating-point number of 64 bits (`d`), also where it is a whole number.
 *
 * @since 0.1.0
 * @category constructors
 */
export const double = typed<"double", number>("double")

/**
 * Seconds since 1970 (`T`), also beyond what a date can hold.
 *
 * @since 0.1.0
 * @category constructors
 */
export const timestamp = typed<"timestamp", number | bigint>("timestamp")

/**
 * A long string (`S`): bytes that need not be text, or text.
 *
 * @since 0.1.0
 * @category constructors
 */
export const longstr = typed<"longstr", string | Uint8Array>("longstr")

/**
 * A decimal number (`D`): `value` (32 bits, unsigned) times ten to the power of minus `scale` (8 bits).
 *
 * @since 0.1.0
 * @category constructors
 */
export const decimal = (scale: number, value: number): TypedOf<"decimal", Decimal> =>
  typed<"decimal", Decimal>("decimal")({ scale, value })
