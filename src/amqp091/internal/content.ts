/**
 * The codecs of a message's content. Where nothing is asynchronous they return an `Either`, which the path of a message
 * takes without a step of the fiber.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { ContentIssue, ContentReason } from "../../AmqpError.ts"
import { ContentError } from "../../AmqpError.ts"
import type { Content } from "../Message.ts"
import type { BasicProperties } from "../Properties.ts"

const none: ReadonlyArray<ContentIssue> = []

/** The outcome, where the effect is one already: schemas and codecs that do nothing asynchronous return an `Either`. @internal */
export const immediate = <A, E, R>(effect: Effect.Effect<A, E, R>): Either.Either<A, E> | undefined =>
  // An Effect that is an Either succeeds and fails with what the Either holds.
  Either.isEither(effect) ? effect as Either.Either<A, E> : undefined

/** What messages of a codec say of their content. @internal */
export const typeOf = ({ contentEncoding, contentType }: Pick<Content<never>, "contentType" | "contentEncoding">): {
  readonly contentType: string
  readonly contentEncoding?: string
} => contentEncoding === undefined ? { contentType } : { contentType, contentEncoding }

// --- What a message says of its content ---

interface MediaType {
  /** Type and subtype, in lower case. */
  readonly essence: string
  readonly charset: string | undefined
}

const charsetIn = /;\s*charset\s*=\s*"?([^\s;"]*)/i

const mediaType = (contentType: string): MediaType => ({
  essence: (contentType.split(";", 1)[0] ?? "").trim().toLowerCase(),
  charset: charsetIn.exec(contentType)?.[1]?.toLowerCase()
})

// US-ASCII is a part of UTF-8.
const unicode = new Set(["utf-8", "utf8", "us-ascii", "ascii"])
// kombu writes the character set into content-encoding.
/** @internal */
export const unencoded = new Set(["", "identity", ...unicode])

/** Checks messages against what a codec takes, and remembers the last content type that passed. */
const checker = (contentType: string, takes: (essence: string) => boolean) => {
  const fault = (reason: ContentReason, text: string) =>
    new ContentError({ reason, operation: "decode", contentType, text, issues: none })
  let passed: string | undefined = contentType
  return ({ contentEncoding, contentType: given }: BasicProperties): ContentError | undefined => {
    if (contentEncoding !== undefined && !unencoded.has(contentEncoding.toLowerCase())) {
      return fault("ContentEncoding", `the content's encoding is "${contentEncoding}"`)
    }
    if (given === undefined || given === "" || given === passed) return undefined
    const { charset, essence } = mediaType(given)
    if (!takes(essence)) return fault("ContentType", `the message is of type "${given}"`)
    if (charset !== undefined && !unicode.has(charset)) {
      return fault("ContentEncoding", `the message is of type "${given}"`)
    }
    passed = given
    return undefined
  }
}

// --- Faults without the content ---

/** The key, where it is the schema's own word or an index: a key of a record is content. */
const toldKey = (key: PropertyKey, container: AST.AST): string | number =>
  typeof key === "number" ||
    (typeof key === "string" && AST.isTypeLiteral(container) &&
      container.propertySignatures.some(({ name }) => name === key))
    ? key
    : "*"

// An optional field is one of its type or undefined, which JSON has not: that half explains nothing.
const isOptional = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Type" && AST.isUndefinedKeyword(issue.ast)

const collect = (
  issue: ParseResult.ParseIssue,
  path: ContentIssue["path"],
  container: AST.AST,
  into: Array<ContentIssue>
): void => {
  switch (issue._tag) {
    case "Pointer": {
      const keys = typeof issue.path === "object" ? issue.path : [issue.path]
      return collect(issue.issue, [...path, ...keys.map((key) => toldKey(key, container))], container, into)
    }
    case "Composite": {
      for (const each of Arr.ensure(issue.issues)) if (!isOptional(each)) collect(each, path, issue.ast, into)
      return
    }
    case "Refinement":
      if (issue.kind === "From") return collect(issue.issue, path, container, into)
      return void into.push({ path, expected: String(issue.ast) })
    case "Transformation":
      if (issue.kind !== "Transformation") return collect(issue.issue, path, container, into)
      return void into.push({ path, expected: String(issue.ast) })
    case "Unexpected":
      return void into.push({ path, expected: "nothing" })
    case "Missing":
    case "Type":
    case "Forbidden":
      return void into.push({ path, expected: String(issue.ast) })
  }
}

const schemaError = (
  operation: ContentError["operation"],
  contentType: string,
  ast: AST.AST
) =>
(issue: ParseResult.ParseIssue): ContentError => {
  const issues: Array<ContentIssue> = []
  collect(issue, [], ast, issues)
  return new ContentError({
    reason: "Schema",
    operation,
    contentType,
    text: "the value does not fit the schema",
    issues
  })
}

// --- The codecs ---

// A byte order mark is no JSON, but some write one; in a text it is a character like others.
const jsonDecoder = new TextDecoder("utf-8", { fatal: true })
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decodeText = (
  decoder: TextDecoder,
  contentType: string,
  content: Uint8Array
): Either.Either<string, ContentError> => {
  try {
    return Either.right(decoder.decode(content))
  } catch {
    return Either.left(
      new ContentError({ reason: "Text", operation: "decode", contentType, text: "it is not UTF-8", issues: none })
    )
  }
}

/** @internal */
export const json = <A, I, R>(
  schema: Schema.Schema<A, I, R>,
  options?: { readonly contentType?: string | undefined }
): Content<A, R> => {
  const contentType = options?.contentType ?? "application/json"
  const own = mediaType(contentType).essence
  const check = checker(
    contentType,
    (essence) =>
      essence === own || essence === "application/json" || essence === "text/json" || essence.endsWith("+json")
  )
  const encodeValue = ParseResult.encode(schema)
  const decodeValue = ParseResult.decodeUnknown(schema)
  const misfitEncoding = schemaError("encode", contentType, schema.ast)
  const misfitDecoding = schemaError("decode", contentType, schema.ast)
  const fault = (operation: ContentError["operation"], text: string) =>
    new ContentError({ reason: "Json", operation, contentType, text, issues: none })

  const stringify = (encoded: I): Either.Either<string, ContentError> => {
    try {
      const text: string | undefined = JSON.stringify(encoded)
      return text === undefined
        ? Either.left(fault("encode", "JSON has nothing for the value"))
        : Either.right(text)
    } catch {
      return Either.left(fault("encode", "JSON cannot express the value (a cycle, or a bigint)"))
    }
  }
  const parse = (text: string): Either.Either<unknown, ContentError> => {
    try {
      const value: unknown = JSON.parse(text)
      return Either.right(value)
    } catch {
      return Either.left(fault("decode", "it is not JSON"))
    }
  }

  return {
    contentType,
    encode: (value) => ParseResult.flatMap(ParseResult.mapError(encodeValue(value), misfitEncoding), stringify),
    decode: ({ content, properties }) => {
      const refused = check(properties)
      if (refused !== undefined) return Either.left(refused)
      const parsed = Either.flatMap(decodeText(jsonDecoder, contentType, content), parse)
      return Either.isLeft(parsed)
        ? Either.left(parsed.left)
        : ParseResult.mapError(decodeValue(parsed.right), misfitDecoding)
    }
  }
}

const checkText = checker("text/plain", (essence) => essence.startsWith("text/"))

/** @internal */
export const text: Content<string> = {
  contentType: "text/plain; charset=utf-8",
  encode: Either.right,
  decode: ({ content, properties }) => {
    const refused = checkText(properties)
    return refused === undefined ? decodeText(textDecoder, "text/plain", content) : Either.left(refused)
  }
}

/** @internal */
export const bytes: Content<Uint8Array> = {
  contentType: "application/octet-stream",
  encode: Either.right,
  decode: ({ content }) => Either.right(content)
}

const isOfAnotherType = (fault: ContentError): boolean => fault.reason === "ContentType"

/** @internal */
export const oneOf = <A, R>(first: Content<A, R>, ...others: ReadonlyArray<Content<A, R>>): Content<A, R> => {
  const all = [first, ...others]
  const nobody = new ContentError({
    reason: "ContentType",
    operation: "decode",
    contentType: all.map(({ contentType }) => contentType).join(", "),
    text: "the message is of another type",
    issues: none
  })
  type Delivered = Parameters<Content<A, R>["decode"]>[0]
  const from = (index: number, delivery: Delivered): Effect.Effect<A, ContentError, R> => {
    const content = all[index]
    if (content === undefined) return Either.left(nobody)
    const decoded = content.decode(delivery)
    const now = immediate(decoded)
    if (now === undefined) return Effect.catchIf(decoded, isOfAnotherType, () => from(index + 1, delivery))
    return Either.isLeft(now) && isOfAnotherType(now.left) ? from(index + 1, delivery) : now
  }
  return { ...first, decode: (delivery) => from(0, delivery) }
}
