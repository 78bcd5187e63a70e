/**
 * From a Schema to a binary codec. A struct whose fields are annotated with wire types is walked once into a
 * {@link Plan}; the plan becomes straight-line code through `new Function`, or is interpreted where the runtime forbids
 * that. What the wire types are, and how they are read and written, is a {@link Dialect}: nothing here knows a protocol.
 *
 * A codec checks what the wire cannot hold, and throws `FrameError`; it does not validate against the Schema.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { ByteReader } from "./ByteReader.ts"
import type { ByteWriter } from "./ByteWriter.ts"

/**
 * The annotation that names the wire type of a field: put on last, since a later refinement would hide it.
 *
 * @since 0.1.0
 * @category type ids
 */
export const WireTypeId: unique symbol = Symbol.for("effect-amqp/wire/WireType")

/**
 * The annotation of a struct for fields that are on the wire and not in the value: a wire type by the number of its
 * place among all fields. They are written as the type's `zero` and ignored when read.
 *
 * @since 0.1.0
 * @category type ids
 */
export const ReservedId: unique symbol = Symbol.for("effect-amqp/wire/Reserved")

/**
 * The wire type every dialect has: a boolean as one bit. Adjacent ones share octets, the first in the lowest bit.
 *
 * @since 0.1.0
 * @category references
 */
export const bit = "bit"

/**
 * How one wire type is read and written. `Options` is what a decode is called with.
 *
 * @since 0.1.0
 * @category models
 */
export interface WireType<A, Options> {
  readonly read: (reader: ByteReader, options: Options) => A
  // A method, because methods are bivariant: what binds a field's type to its wire type is the annotated Schema.
  write(writer: ByteWriter, value: A): void
  /** What is written where the wire has a field and the value has none. */
  readonly zero: A
}

/**
 * The wire types of a protocol by name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialect<Options> {
  readonly types: { readonly [name: string]: WireType<unknown, Options> }
  /** Which fields of a struct with optional fields are there: a mask before the first of them. */
  readonly presence?: {
    readonly read: (reader: ByteReader) => number
    readonly write: (writer: ByteWriter, mask: number) => void
    /** The bit of the field with this index. */
    readonly bit: (index: number) => number
    /** How many fields one mask has room for. */
    readonly room: number
  } | undefined
}

/**
 * One field in the order of the wire. `name` is `undefined` for a reserved one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Field {
  readonly name: string | undefined
  /** What errors call it. */
  readonly path: string
  readonly wire: string
}

/**
 * What the walk over a Schema found.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan {
  readonly tag: string | undefined
  /** `optional`: each field is there or not, as a mask before them says. */
  readonly layout: "sequence" | "optional"
  readonly fields: ReadonlyArray<Field>
}

/**
 * Reads and writes values of one struct. Both throw `FrameError`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec<A, Options> {
  readonly decode: (reader: ByteReader, options: Options) => A
  readonly encode: (writer: ByteWriter, value: A) => void
}

const wireTypeOf = (ast: AST.AST): Option.Option<string> =>
  Option.orElse(AST.getAnnotation<string>(ast, WireTypeId), () => {
    switch (ast._tag) {
      case "Refinement":
        return wireTypeOf(ast.from)
      case "Transformation":
        return wireTypeOf(ast.to)
      case "Union": {
        const present = ast.types.filter((type) => !AST.isUndefinedKeyword(type))
        return present.length === 1 ? wireTypeOf(present[0]!) : Option.none()
      }
      default:
        return Option.none()
    }
  })

/**
 * Walks a struct. Throws, at load, on a field that no wire type is known for: that is a mistake in a definition.
 *
 * @since 0.1.0
 * @category constructors
 */
export const plan = <Options>(path: string, schema: Schema.Schema.Any, dialect: Dialect<Options>): Plan => {
  const ast = schema.ast
  if (!AST.isTypeLiteral(ast)) throw new Error(`${path}: a wire struct must be a Schema.Struct, not ${ast._tag}`)
  const known = (name: string, wire: string): string => {
    if (wire !== bit && !Object.hasOwn(dialect.types, wire)) throw new Error(`${name}: no wire type ${wire}`)
    return wire
  }
  let tag: string | undefined
  const fields: Array<Field> = []
  const optional: Array<boolean> = []
  for (const signature of ast.propertySignatures) {
    const name = String(signature.name)
    if (name === "_tag" && AST.isLiteral(signature.type)) {
      tag = String(signature.type.literal)
      continue
    }
    const wire = wireTypeOf(signature.type)
    if (Option.isNone(wire)) throw new Error(`${path}.${name}: no wire type is annotated`)
    fields.push({ name, path: `${path}.${name}`, wire: known(`${path}.${name}`, wire.value) })
    optional.push(signature.isOptional)
  }
  const reserved = Option.getOrElse(
    AST.getAnnotation<{ readonly [place: number]: string }>(ast, ReservedId),
    (): { readonly [place: number]: string } => ({})
  )
  // Own keys that are whole numbers come in ascending order, so each place is right when its turn comes.
  for (const [place, wire] of Object.entries(reserved)) {
    fields.splice(Number(place), 0, {
      name: undefined,
      path: `${path}.reserved`,
      wire: known(`${path}.reserved`, wire)
    })
  }
  const layout = optional.includes(true) ? "optional" : "sequence"
  if (layout === "optional") {
    const presence = dialect.presence
    if (presence === undefined || optional.includes(false) || fields.length > presence.room) {
      throw new Error(`${path}: the dialect has no room for these optional fields`)
    }
  }
  return { tag, layout, fields }
}

/**
 * Whether this runtime lets a program make code. False under a strict Content-Security-Policy.
 *
 * @since 0.1.0
 * @category guards
 */
export const canSpecialise: boolean = Option.isSome(Option.liftThrowable(() => new Function("return 1"))())

/**
 * The codec of a plan: generated where the runtime allows it, else interpreted. `A` is the type the plan was made from.
 *
 * @since 0.1.0
 * @category constructors
 */
export const compile = <A, Options>(plan: Plan, dialect: Dialect<Options>): Codec<A, Options> =>
  canSpecialise ? specialise(plan, dialect) : interpret(plan, dialect)

interface Emit {
  readonly decode: Array<string>
  readonly encode: Array<string>
  /** The properties of the object a decode returns. */
  readonly value: Array<string>
}

// Only names written in our own definitions reach this text, each quoted; nothing that a peer sends ever does.
const emitSequence = (plan: Plan): Emit => {
  const out: Emit = { decode: [], encode: [], value: [] }
  if (plan.tag !== undefined) out.value.push(`_tag: ${JSON.stringify(plan.tag)}`)
  for (let i = 0; i < plan.fields.length; i++) {
    const field = plan.fields[i]!
    const path = JSON.stringify(field.path)
    out.decode.push(`r.field = ${path}`)
    out.encode.push(`w.field = ${path}`)
    if (field.wire === bit) {
      const bits = bitsFrom(plan.fields, i)
      out.decode.push(`const b${i} = r.octet()`)
      const terms = bits.map((flag, n) => {
        if (flag.name === undefined) return "0"
        const name = JSON.stringify(flag.name)
        out.value.push(`${name}: (b${i} & ${1 << n}) !== 0`)
        return `(v[${name}] === true ? ${1 << n} : v[${name}] === false ? 0 : notBit(w, ${JSON.stringify(flag.path)}))`
      })
      out.encode.push(`w.octet(${terms.join(" | ")})`)
      i += bits.length - 1
    } else if (field.name === undefined) {
      const type = JSON.stringify(field.wire)
      out.decode.push(`types[${type}].read(r, o)`)
      out.encode.push(`types[${type}].write(w, types[${type}].zero)`)
    } else {
      const name = JSON.stringify(field.name)
      out.decode.push(`const v${i} = read_${field.wire}(r, o)`)
      out.value.push(`${name}: v${i}`)
      out.encode.push(`write_${field.wire}(w, v[${name}])`)
    }
  }
  out.decode.push(`return {${out.value.join(", ")}}`)
  return out
}

const emitOptional = (plan: Plan, maskOf: (index: number) => number): Emit => {
  const out: Emit = { decode: [], encode: [], value: [] }
  const values: Array<string> = []
  out.decode.push(`r.field = ${JSON.stringify(plan.fields[0]!.path)}`, "const m = presence.read(r)", "const v = {}")
  plan.fields.forEach((field, i) => {
    const name = JSON.stringify(field.name)
    const path = JSON.stringify(field.path)
    const mask = maskOf(i)
    out.decode.push(`if (m & ${mask}) { r.field = ${path}; v[${name}] = read_${field.wire}(r, o) }`)
    out.encode.push(`const v${i} = v[${name}]`)
    values.push(`if (v${i} !== undefined) { w.field = ${path}; write_${field.wire}(w, v${i}) }`)
  })
  out.decode.push("return v")
  const mask = plan.fields.map((_, i) => `(v${i} === undefined ? 0 : ${maskOf(i)})`).join(" | ")
  out.encode.push(`presence.write(w, ${mask})`, ...values)
  return out
}

const bitsFrom = (fields: ReadonlyArray<Field>, start: number): ReadonlyArray<Field> => {
  let end = start
  while (end < fields.length && end - start < 8 && fields[end]!.wire === bit) end++
  return fields.slice(start, end)
}

const notBit = (writer: ByteWriter, path: string): never => {
  writer.field = path
  return writer.fail("Value", "must be true or false")
}

/**
 * Straight-line code for a plan.
 *
 * @since 0.1.0
 * @category constructors
 */
export const specialise = <A, Options>(plan: Plan, dialect: Dialect<Options>): Codec<A, Options> => {
  const presence = dialect.presence
  const body = plan.layout === "optional" && presence !== undefined
    ? emitOptional(plan, presence.bit)
    : emitSequence(plan)
  const names = [...new Set(plan.fields.map((field) => field.wire).filter((wire) => wire !== bit))]
  const locals = names.map((name) => {
    const type = JSON.stringify(name)
    return `const read_${name} = types[${type}].read, write_${name} = types[${type}].write`
  })
  const text = [
    `"use strict"`,
    ...locals,
    `return {`,
    `decode: (r, o) => { ${body.decode.join("; ")} },`,
    `encode: (w, v) => { ${body.encode.join("; ")} }`,
    `}`
  ].join("\n")
  // The text was made from the plan, and the plan from a Schema of `A`.
  return new Function("types", "presence", "notBit", text)(dialect.types, presence, notBit) as Codec<A, Options>
}

/**
 * The same without generated code; takes about twice the time.
 *
 * @since 0.1.0
 * @category constructors
 */
export const interpret = <A, Options>(plan: Plan, dialect: Dialect<Options>): Codec<A, Options> => {
  const presence = dialect.presence
  const types = dialect.types
  const codec: Codec<Record<string, unknown>, Options> = plan.layout === "optional" && presence !== undefined
    ? {
      decode: (reader, options) => {
        const value: Record<string, unknown> = {}
        reader.field = plan.fields[0]!.path
        const mask = presence.read(reader)
        plan.fields.forEach((field, i) => {
          if ((mask & presence.bit(i)) === 0) return
          reader.field = field.path
          value[field.name!] = types[field.wire]!.read(reader, options)
        })
        return value
      },
      encode: (writer, value) => {
        const present = (field: Field) => value[field.name!] !== undefined
        presence.write(writer, plan.fields.reduce((mask, f, i) => present(f) ? mask | presence.bit(i) : mask, 0))
        for (const field of plan.fields) {
          if (!present(field)) continue
          writer.field = field.path
          types[field.wire]!.write(writer, value[field.name!])
        }
      }
    }
    : {
      decode: (reader, options) => {
        const value: Record<string, unknown> = plan.tag === undefined ? {} : { _tag: plan.tag }
        for (let i = 0; i < plan.fields.length; i++) {
          const field = plan.fields[i]!
          reader.field = field.path
          if (field.wire === bit) {
            const bits = bitsFrom(plan.fields, i)
            const octet = reader.octet()
            bits.forEach((flag, n) => {
              if (flag.name !== undefined) value[flag.name] = (octet & (1 << n)) !== 0
            })
            i += bits.length - 1
          } else {
            const read = types[field.wire]!.read(reader, options)
            if (field.name !== undefined) value[field.name] = read
          }
        }
        return value
      },
      encode: (writer, value) => {
        for (let i = 0; i < plan.fields.length; i++) {
          const field = plan.fields[i]!
          writer.field = field.path
          if (field.wire === bit) {
            const bits = bitsFrom(plan.fields, i)
            let octet = 0
            bits.forEach((flag, n) => {
              if (flag.name === undefined || value[flag.name] === false) return
              octet |= value[flag.name] === true ? 1 << n : notBit(writer, flag.path)
            })
            writer.octet(octet)
            i += bits.length - 1
          } else {
            const type = types[field.wire]!
            type.write(writer, field.name === undefined ? type.zero : value[field.name])
          }
        }
      }
    }
  // A struct is a record of what its wire types read; that they match its Schema is what the annotations promise.
  return codec as Codec<A, Options>
}
