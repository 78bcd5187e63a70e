import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { ByteReader } from "../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"
import * as Compiler from "../../src/wire/Compiler.ts"
import { fault, hex, unhex } from "./bytes.ts"

const { WireTypeId } = Compiler

// A dialect of two types, with a mask of one octet: nothing in the compiler is 0-9-1's.
const dialect: Compiler.Dialect<{ readonly upper?: boolean }> = {
  types: {
    small: { read: (r) => r.octet(), write: (w, value: number) => w.octet(value), zero: 0xaa },
    word: {
      read: (r, options) => options.upper === true ? r.shortstr().toUpperCase() : r.shortstr(),
      write: (w, value: string) => w.shortstr(value),
      zero: ""
    }
  },
  presence: {
    read: (r) => r.octet(),
    write: (w, mask) => w.octet(mask),
    bit: (index) => 1 << index,
    room: 8
  }
}
const Small = Schema.Int.annotations({ [WireTypeId]: "small" })
const Word = Schema.String.annotations({ [WireTypeId]: "word" })
const Bit = Schema.Boolean.annotations({ [WireTypeId]: Compiler.bit })

const modes = { "generated code": Compiler.specialise, interpreter: Compiler.interpret }

for (const [mode, make] of Object.entries(modes)) {
  const codecOf = <A>(schema: Schema.Schema<A>) => {
    const codec = make<A, { readonly upper?: boolean }>(Compiler.plan("t", schema, dialect), dialect)
    return {
      encode: (value: A): string => {
        const writer = new ByteWriter()
        codec.encode(writer, value)
        return hex(writer.toBytes())
      },
      decode: (text: string, options = {}): A => codec.decode(new ByteReader().reset(unhex(text)), options)
    }
  }

  describe(`a struct by ${mode}`, () => {
    it("is its fields in the order they are written in, with its tag", () => {
      const codec = codecOf(Schema.Struct({ _tag: Schema.tag("T"), z: Small, a: Word }))
      assert.strictEqual(codec.encode({ _tag: "T", z: 1, a: "x" }), "010178")
      const value = codec.decode("010178")
      assert.deepStrictEqual(value, { _tag: "T", z: 1, a: "x" })
      assert.deepStrictEqual(Object.keys(value), ["_tag", "z", "a"])
      assert.strictEqual(codec.decode("010178", { upper: true }).a, "X")
    })

    it("packs adjacent bits into octets, the first lowest, nine into two", () => {
      const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"] as const
      const nine = Schema.Struct({
        a: Bit,
        b: Bit,
        c: Bit,
        d: Bit,
        e: Bit,
        f: Bit,
        g: Bit,
        h: Bit,
        i: Bit,
        n: Small,
        o: Bit
      })
      const codec = codecOf(nine)
      const all = {
        a: true,
        b: false,
        c: false,
        d: false,
        e: false,
        f: false,
        g: false,
        h: true,
        i: true,
        n: 5,
        o: true
      }
      assert.strictEqual(codec.encode(all), "81010501")
      assert.deepStrictEqual(codec.decode("81010501"), all)
      for (const name of names) {
        const one = { ...all, a: false, h: false, i: false, o: false, [name]: true }
        assert.deepStrictEqual(codec.decode(codec.encode(one)), one)
      }
      assert.deepInclude(fault(() => codec.encode(Object.assign({ ...all }, { b: "true" }))), {
        reason: "Value",
        field: "t.b"
      })
    })

    it("has reserved fields on the wire alone, between bits too", () => {
      const reserved = { 0: "word", 2: Compiler.bit, 4: "small" }
      const codec = codecOf(Schema.Struct({ a: Bit, b: Bit }).annotations({ [Compiler.ReservedId]: reserved }))
      assert.strictEqual(codec.encode({ a: true, b: true }), "0005aa")
      assert.deepStrictEqual(codec.decode("0179 ff 00"), { a: true, b: true })
      assert.deepInclude(fault(() => codec.decode("0179 ff")), { field: "t.reserved", offset: 3 })
    })

    it("says by a mask which optional fields are there", () => {
      const codec = codecOf(Schema.Struct({ a: Schema.optional(Small), b: Schema.optional(Word) }))
      assert.strictEqual(codec.encode({}), "00")
      assert.strictEqual(codec.encode({ b: "x", a: undefined }), "020178")
      assert.deepStrictEqual(codec.decode("020178"), { b: "x" })
      assert.deepStrictEqual(codec.decode("03 07 0178"), { a: 7, b: "x" })
      assert.deepInclude(fault(() => codec.decode("02")), { reason: "Truncated", field: "t.b" })
    })
  })
}

const plan = (schema: Schema.Schema.Any) => () => Compiler.plan("t", schema, dialect)

describe("a plan", () => {
  it("finds the mark below refinements and through transformations", () => {
    const under = Small.pipe(Schema.positive())
    const through = Schema.transform(Schema.String, Small, { strict: true, decode: Number, encode: String })
    assert.deepStrictEqual(plan(Schema.Struct({ under, through }))().fields.map(({ wire }) => wire), ["small", "small"])
  })

  it("is refused at load, by name, where a definition is wrong", () => {
    assert.throws(plan(Schema.String), /t: a wire struct must be a Schema.Struct/)
    assert.throws(plan(Schema.Struct({ a: Schema.String })), /t\.a: no wire type is annotated/)
    assert.throws(plan(Schema.Struct({ a: Schema.Union(Small, Word) })), /t\.a: no wire type is annotated/)
    const huge = Schema.String.annotations({ [WireTypeId]: "huge" })
    assert.throws(plan(Schema.Struct({ a: huge })), /t\.a: no wire type huge/)
    assert.throws(
      plan(Schema.Struct({ a: Small }).annotations({ [Compiler.ReservedId]: { 0: "huge" } })),
      /t\.reserved/
    )
    assert.throws(plan(Schema.Struct({ a: Small, b: Schema.optional(Small) })), /no room for these optional fields/)
  })
})

describe("where a runtime forbids generated code", () => {
  it("codecs are interpreted, and nothing is missing", () => {
    const program = `
      import * as Compiler from "./src/wire/Compiler.ts"
      import * as Schema from "effect/Schema"
      import * as Method from "./src/amqp091/Method.ts"
      const method = { _tag: "BasicAck", deliveryTag: 7, multiple: true }
      const bytes = Schema.encodeSync(Method.FromBytes.BasicAck)(method)
      console.log(JSON.stringify([Compiler.canSpecialise, Schema.decodeSync(Method.FromBytes.BasicAck)(bytes)]))`
    const run = (...flags: ReadonlyArray<string>) =>
      execFileSync(process.execPath, [...flags, "--import", "tsx", "--input-type=module", "--eval", program], {
        cwd: new URL("../..", import.meta.url),
        encoding: "utf8"
      })
    const method = { _tag: "BasicAck", deliveryTag: 7, multiple: true }
    assert.deepStrictEqual(JSON.parse(run("--disallow-code-generation-from-strings")), [false, method])
    assert.isTrue(Compiler.canSpecialise)
  })
})
