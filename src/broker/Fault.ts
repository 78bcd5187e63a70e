/**
 * Faults that a broker is asked for: each a plain value with a Schema, so that the {@link Broker} service, its control
 * over HTTP and a generator of random faults are made of this one list. What they do to a client is done elsewhere.
 *
 * Some happen and are over (`drop`, `closeChannel`, `closeConnection`, `cancelConsumer`), some end by themselves after so
 * many times (`dropAfter`, `cutFrame`, `nackNext`, `loseNext`), and the others last until they are healed.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { DurationText } from "../Reconnect.ts"

const isDurationText = (input: unknown): input is DurationText =>
  typeof input !== "number" && typeof input !== "bigint" &&
  Option.exists(Duration.decodeUnknown(input), Duration.isFinite)

const DurationFromText = Schema.transformOrFail(
  Schema.declare(isDurationText, { identifier: "a finite duration such as \"2 seconds\"" }),
  Schema.DurationFromSelf,
  {
    strict: true,
    decode: (text) => ParseResult.succeed(Duration.decode(text)),
    encode: (duration) => ParseResult.succeed<DurationText>(`${Duration.toMillis(duration)} millis`)
  }
)

// A reply code is a short (0-9-1 §1.2).
const Code = Schema.Int.pipe(Schema.between(0, 0xffff))
// What a short string has room for (0-9-1 §4.2.5.3).
const ShortText = Schema.String.pipe(
  Schema.filter((text) => new TextEncoder().encode(text).length <= 255 || "at most 255 octets of UTF-8")
)
const Count = Schema.Int.pipe(Schema.positive())

const selected = {
  /** The name that a client gave its connection, or its address. Default: all connections, also those still to come. */
  connection: Schema.optional(Schema.String)
}

const define = <Tag extends string, Fields extends Schema.Struct.Fields, First extends keyof Fields & string = never>(
  tag: Tag,
  fields: Fields,
  first?: First
) => {
  const schema = Schema.TaggedStruct(tag, { ...fields, ...selected })
  return { tag, first, schema, decode: Schema.decodeUnknown(schema, { onExcessProperty: "error" }) }
}

/**
 * Every fault there is, by the name of the method that asks for it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const definitions = {
  /** Cuts connections without a word. */
  drop: define("Drop", {}),
  /**
   * Cuts a connection after that many more frames, the protocol header being one: of the client (what it is to answer
   * the last one is not said any more), or of the broker. Over after `times` cuts (default: 1).
   */
  dropAfter: define("DropAfter", {
    frames: Count,
    of: Schema.optional(Schema.Literal("client", "broker")),
    times: Schema.optional(Count)
  }, "frames"),
  /** Cuts new connections as soon as they are there; one chosen by name as soon as it has told it. */
  refuse: define("Refuse", {}),
  /** Takes new connections and says nothing on them; on one chosen by name, from the moment it has told it. */
  stall: define("Stall", {}),
  /**
   * An alarm. Who knows `connection.blocked` is told the reason at once (RabbitMQ tells it when the first publish comes).
   * Nothing more is read of who publishes all the same, from that publish on: as RabbitMQ does, until it is healed.
   */
  block: define("Block", { reason: ShortText }, "reason"),
  /** Refuses the next publishes that are to be confirmed: they reach no queue. */
  nackNext: define("NackNext", { count: Count }, "count"),
  /** Never confirms the next publishes that are to be. Unless `stored` (default: false) they reach no queue either. */
  loseNext: define("LoseNext", { count: Count, stored: Schema.optional(Schema.Boolean) }, "count"),
  /** Closes channels: the one with that number, or all. The text has a default that says so. */
  closeChannel: define("CloseChannel", {
    code: Code,
    text: Schema.optional(ShortText),
    channel: Schema.optional(Schema.Int.pipe(Schema.between(1, 0xffff)))
  }),
  /** Closes connections. Default: 320, as by an operator. */
  closeConnection: define("CloseConnection", { code: Schema.optional(Code), text: Schema.optional(ShortText) }),
  /** Ends consumers as if their queue had gone; who knows `basic.cancel` is told. Default: all of them. */
  cancelConsumer: define("CancelConsumer", {
    consumerTag: Schema.optional(Schema.String),
    queue: Schema.optional(Schema.String)
  }),
  /** All that the broker says comes so much later. */
  delay: define("Delay", { by: DurationFromText }, "by"),
  /** Reads and says nothing, no heartbeat and no end either: half-open. What it would have said comes when healed. */
  silence: define("Silence", {}),
  /** Sends no heartbeats. */
  skipHeartbeats: define("SkipHeartbeats", {}),
  /** Cuts a connection in the middle of the broker's next frame, or after `frames` whole ones. Over after `times` (1). */
  cutFrame: define("CutFrame", {
    frames: Schema.optional(Schema.NonNegativeInt),
    times: Schema.optional(Count)
  }),
  /** Writes octet by octet. */
  splitWrites: define("SplitWrites", {})
}

type Definitions = typeof definitions

/**
 * What a fault is called: `block`, `nackNext`, …
 *
 * @since 0.1.0
 * @category models
 */
export type Name = keyof Definitions

/**
 * One fault, of any kind.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Fault: Schema.Schema<Fault, Schema.Schema.Encoded<Definitions[Name]["schema"]>> = Schema.Union(
  ...Object.values(definitions).map(({ schema }) => schema)
)

/**
 * One fault, of any kind.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = Schema.Schema.Type<Definitions[Name]["schema"]>

const names = new Map<Fault["_tag"], Name>(
  // The entries of `definitions` have its names.
  Object.entries(definitions).map(([name, { tag }]) => [tag, name as Name])
)

/**
 * What a fault is called, by its tag.
 *
 * @since 0.1.0
 * @category references
 */
export const nameOf: ReadonlyMap<Fault["_tag"], Name> = names

/**
 * Whether there is a fault of this name.
 *
 * @since 0.1.0
 * @category guards
 */
export const isName = (name: string): name is Name => Object.hasOwn(definitions, name)

/**
 * Reads a fault from its fields, as a request over HTTP has them: durations as text, and nothing that it does not know.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (name: Name, fields: unknown): Effect.Effect<Fault, ParseResult.ParseError> => {
  const definition = definitions[name]
  return definition.decode(isRecord(fields) ? { ...fields, _tag: definition.tag } : fields)
}

const isRecord = Schema.is(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

/**
 * A fault that was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Injected {
  readonly id: number
  readonly fault: Fault
  /** How many connections, channels or consumers it met at once. */
  readonly affected: number
  /** Ends it; nothing when it is over. */
  readonly heal: Effect.Effect<void>
}

/**
 * A fault that is not over.
 *
 * @since 0.1.0
 * @category models
 */
export interface Active {
  readonly id: number
  readonly fault: Fault
  /** How many times it will happen still; `undefined`: until it is healed. */
  readonly remaining: number | undefined
}

/**
 * Heals a fault when the scope closes.
 *
 * @example
 * ```ts
 * yield* Fault.scoped(broker.block("memory"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const scoped = <E, R>(
  fault: Effect.Effect<Injected, E, R>
): Effect.Effect<Injected, E, R | Scope.Scope> => Effect.acquireRelease(fault, ({ heal }) => heal)

type Encoded<N extends Name> = Schema.Schema.Encoded<Definitions[N]["schema"]>
type Input<N extends Name> = Omit<Encoded<N>, "_tag">
type First<N extends Name> = Extract<Definitions[N]["first"], keyof Input<N>>
type Optional<A> = {} extends A ? [options?: A] : [options: A]
type Arguments<N extends Name> = [First<N>] extends [never] ? Optional<Input<N>>
  : [first: Input<N>[First<N>], ...options: Optional<Omit<Input<N>, First<N>>>]

/**
 * A method for each fault: its most telling field comes first, the others as options. A value that does not fit, such as
 * a negative count, is a defect.
 *
 * @since 0.1.0
 * @category models
 */
export type Methods = { readonly [N in Name]: (...args: Arguments<N>) => Effect.Effect<Injected> }

/** Asks for each fault in its own words. @internal */
export const methods = (inject: (fault: Fault) => Effect.Effect<Injected>): Methods =>
  Object.fromEntries(
    Array.from(names.values(), (name) => {
      const { first } = definitions[name]
      const method = (...args: ReadonlyArray<unknown>) => {
        const [fields, options] = first === undefined ? [args[0], undefined] : [{ [first]: args[0] }, args[1]]
        return Effect.flatMap(Effect.orDie(decode(name, { ...Object(fields), ...Object(options) })), inject)
      }
      return [name, method]
    })
    // It has the names of `definitions`, and each method takes what `Arguments` makes of its fields.
  ) as Methods
