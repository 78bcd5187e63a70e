import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./harness/childProcess.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

const Strings = Schema.Record({ key: Schema.String, value: Schema.String })
const Manifest = Schema.parseJson(Schema.Struct({
  name: Schema.String,
  files: Schema.Array(Schema.String),
  bin: Strings,
  exports: Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Strings) })
}))
const manifest = Schema.decodeSync(Manifest)(readFileSync(join(root, "package.json"), "utf8"))

/** What an importing program may write: `effect-amqp`, `effect-amqp/amqp091`, … */
const entries = Object.keys(manifest.exports).filter((key) => key !== "./package.json")
  .map((key) => `${manifest.name}${key.slice(1)}`)

/** A project outside the repository, into which the packed package was installed. */
class Consumer extends Context.Tag("test/Consumer")<Consumer, {
  readonly folder: string
  /** The files of the installed package, from its root. */
  readonly files: ReadonlyArray<string>
}>() {
  static readonly layer = Layer.scoped(
    Consumer,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-amqp-package-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      // Packed from a copy: what an earlier build left in dist would not be noticed.
      const origin = join(folder, "origin")
      const project = join(folder, "project")
      for (const name of [...manifest.files, "package.json", "tsconfig.json", "LICENSE", "README.md"]) {
        const from = join(root, name)
        if (name !== "dist" && existsSync(from)) cpSync(from, join(origin, name), { recursive: true })
      }
      symlinkSync(join(root, "node_modules"), join(origin, "node_modules"))
      mkdirSync(project)
      writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))

      const bounds = { timeoutMillis: 120_000 }
      yield* run("npm", ["pack", "--pack-destination", folder], { cwd: origin, ...bounds })
      const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "no tarball"
      // npm brings the required peers; the optional ones stay away, and no entry may need them.
      const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock"]
      yield* run("npm", ["install", ...quiet, join(folder, tarball)], { cwd: project, ...bounds })
      symlinkSync(join(root, "node_modules/@types"), join(project, "node_modules/@types"))

      const installed = join(project, "node_modules", manifest.name)
      const files = readdirSync(installed, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
      return { folder: project, files }
    })
  )
}

const program = `${entries.map((entry, index) => `import * as Entry${index} from ${JSON.stringify(entry)}`).join("\n")}
import manifest from "${manifest.name}/package.json" with { type: "json" }
const entries: ReadonlyArray<object> = [${entries.map((_, index) => `Entry${index}`).join(", ")}]
console.log(JSON.stringify([manifest.name, ...entries.map((entry) => Object.keys(entry).length > 0)]))
`

const tryAll = (specifiers: ReadonlyArray<string>) => `
const codes = {}
for (const specifier of ${JSON.stringify(specifiers)}) {
  codes[specifier] = await import(specifier).then(() => "imported", (error) => error.code)
}
console.log(JSON.stringify(codes))
`

/** Each way to name a file of the package: with and without its folder, its extension, and its being an index. */
const internals = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = files.filter((file) => file !== "package.json").flatMap((file) => {
    const inside = file.replace(/^(dist|src)\//, "")
    return [file, inside].flatMap((name) => {
      const bare = name.replace(/(\.d)?\.[a-z]+(\.map)?$/, "")
      return [name, bare, bare.replace(/\/index$/, "")]
    })
  })
  return [...new Set(names.map((name) => `${manifest.name}/${name}`))].filter((name) => !entries.includes(name))
}

const compilerOptions = {
  module: "NodeNext",
  target: "ES2022",
  lib: ["ES2022", "DOM", "DOM.Iterable"],
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  resolveJsonModule: true,
  skipLibCheck: false,
  outDir: "out"
}

layer(Consumer.layer, { timeout: "4 minutes" })("the packed package, installed elsewhere", (it) => {
  it.effect("holds what it lists, and nothing else", () =>
    Effect.gen(function*() {
      const { files } = yield* Consumer
      const top = new Set(files.map((file) => file.split("/")[0] ?? ""))
      assert.deepStrictEqual(
        [...top].filter((name) => ![...manifest.files, "package.json", "LICENSE", "README.md"].includes(name)),
        []
      )
      const targets = Object.values(manifest.exports).flatMap((target) =>
        typeof target === "string" ? [target] : Object.values(target)
      )
      for (const target of [...targets, ...Object.values(manifest.bin)]) {
        assert.include(files, target.replace(/^\.\//, ""))
      }
    }))

  it.effect(
    "type-checks and runs a program that imports each entry, and types no internal path",
    () =>
      Effect.gen(function*() {
        const { files, folder } = yield* Consumer
        const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
        write("program.ts", program)
        write(
          "internals.ts",
          internals(files).map((name, index) =>
            `// @ts-expect-error\nexport type Internal${index} = typeof import("${name}")\n`
          ).join("")
        )
        write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["program.ts", "internals.ts"] }))
        yield* run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: folder, timeoutMillis: 60_000 })
        const { stdout } = yield* run(process.execPath, ["out/program.js"], { cwd: folder })
        assert.deepStrictEqual(JSON.parse(stdout), [manifest.name, ...entries.map(() => true)])
      }),
    90_000
  )

  it.effect("refuses every internal path", () =>
    Effect.gen(function*() {
      const { files, folder } = yield* Consumer
      const specifiers = internals(files)
      assert.include(specifiers, `${manifest.name}/AmqpError`)
      assert.include(specifiers, `${manifest.name}/dist/AmqpError.js`)
      writeFileSync(join(folder, "internals.js"), tryAll(specifiers))
      const { stdout } = yield* run(process.execPath, ["internals.js"], { cwd: folder })
      const codes = Schema.decodeSync(Schema.parseJson(Strings))(stdout)
      assert.deepStrictEqual(Object.entries(codes).filter(([, code]) => code !== "ERR_PACKAGE_PATH_NOT_EXPORTED"), [])
      assert.lengthOf(Object.keys(codes), specifiers.length)
    }), 60_000)
})
