import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { fileURLToPath } from "node:url"
import { version } from "../src/internal/version.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, "utf8")

// What is committed or about to be: no build output, nothing that git ignores.
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  .toString().trim().split("\n")
const sources = files.filter((file) => /\.(ts|mjs)$/.test(file))

const Names = Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Unknown }), { default: () => ({}) })
const manifest = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({
  name: Schema.String,
  version: Schema.String,
  scripts: Names,
  dependencies: Names,
  devDependencies: Names,
  peerDependencies: Names
})))(read("package.json"))

const imports =
  /^(?:import|export)\b(?:[^"\n]*\bfrom)? "([^"./$][^"]*)"|^\} from "([^"./$][^"]*)"|\bimport\("([^"./$][^"]*)"\)/gm

/** The packages that a file imports, by whatever form of import; a name that a template makes up is not seen. */
const imported = (file: string): ReadonlyArray<string> =>
  [...read(file).matchAll(imports)].flatMap(([, plain, closing, later]) => {
    const name = plain ?? closing ?? later ?? ""
    const [first = "", second = ""] = name.split("/")
    if (name.startsWith("node:") || builtinModules.includes(name) || first === manifest.name) return []
    return [name.startsWith("@") ? `${first}/${second}` : first]
  })

describe("package.json", () => {
  const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies }
  const used = new Set(sources.flatMap(imported))

  // Those that no import names: what names them instead.
  const configurations = ["tsconfig.json", "dprint.json", "vitest.config.ts", ".oxlintrc.json"].map(read).join("\n")
  const namedElsewhere: Record<string, boolean> = {
    "@dprint/json": configurations.includes("@dprint/json/plugin.wasm"),
    "@dprint/markdown": configurations.includes("@dprint/markdown/plugin.wasm"),
    "@dprint/typescript": configurations.includes("@dprint/typescript/plugin.wasm"),
    "@types/node": configurations.includes(`"types": ["node"]`),
    "dprint": /\bdprint /.test(JSON.stringify(manifest.scripts)),
    "oxlint": /\boxlint /.test(JSON.stringify(manifest.scripts)),
    "tsx": /\btsx /.test(JSON.stringify(manifest.scripts)),
    "typescript": /\btsc /.test(JSON.stringify(manifest.scripts))
  }

  // What a package that is imported leaves for us to install.
  const askedFor = new Set(
    [...used].filter((name) => name in all).flatMap((name) => {
      const { peerDependencies = {}, peerDependenciesMeta = {} } = JSON.parse(read(`node_modules/${name}/package.json`))
      return Object.keys(peerDependencies).filter((peer) => peerDependenciesMeta[peer]?.optional !== true)
    })
  )

  for (const name of Object.keys(all)) {
    it(`lists ${name} because something uses it`, () => {
      assert.isTrue(used.has(name) || askedFor.has(name) || namedElsewhere[name] === true)
    })
  }

  it("names the version that the library tells", () => {
    assert.strictEqual(version, manifest.version)
  })

  for (const file of sources) {
    it(`lists what ${file} imports`, () => {
      const allowed = file.startsWith("src/") ? { ...manifest.dependencies, ...manifest.peerDependencies } : all
      assert.deepStrictEqual(imported(file).filter((name) => !(name in allowed)), [])
    })
  }
})

describe("the repository", () => {
  it("has these entries at its top, and no others", () => {
    const allowed = new Set([
      "src test scratchpad .ci .gitignore .oxlintrc.json dprint.json package-lock.json package.json tsconfig.json",
      "vitest.config.ts ARCHITECTURE.md CHANGELOG.md LICENSE README.md"
    ].flatMap((names) => names.split(" ")))
    const top = new Set(files.map((file) => file.split("/")[0] ?? ""))
    assert.deepStrictEqual([...top].filter((name) => !allowed.has(name)), [])
  })
})

describe("src", () => {
  const categories = new Set([
    "type ids",
    "guards",
    "tags",
    "models",
    "errors",
    "constructors",
    "combinators",
    "layers",
    "schemas",
    "encoding",
    "decoding",
    "metrics",
    "references",
    "constants"
  ])

  for (const file of sources.filter((file) => file.startsWith("src/"))) {
    const text = read(file)

    const internal = file.includes("/internal/")

    it(`${file} begins with a header: what lives there`, () => {
      const header = /^(?:#!.*\n)?\/\*\*\n \* (?!@)((?:(?!\*\/)[^])*)\*\/\n/.exec(text)?.[1]
      assert.isDefined(header)
      if (!internal) assert.match(header ?? "", /@since \d+\.\d+\.\d+\n $/)
    })

    it(`${file} casts nothing by way of unknown`, () => {
      assert.notMatch(text, /\bas unknown as\b/)
    })

    if (internal || file.endsWith("/index.ts")) continue
    it(`${file} documents each export: what it is, since when, in which category`, () => {
      const lines = text.split("\n")
      const undocumented = lines.flatMap((line, index) => {
        const [, kind = "", name = ""] =
          /^export (?:declare )?(?:abstract )?(const|let|function|class|interface|type|namespace) ([\w$]+)/.exec(
            line
          ) ?? []
        // The signatures of an overloaded function share the documentation of the first.
        const earlier = lines.slice(0, index).some((line) => new RegExp(`^export .*\\b${kind} ${name}\\b`).test(line))
        if (name === "" || earlier) return []
        const doc = /\/\*\*((?:(?!\*\/)[^])*)\*\/$/.exec(lines.slice(0, index).join("\n"))?.[1] ?? ""
        const category = /@category (.*)/.exec(doc)?.[1] ?? ""
        const complete = /@internal/.test(doc) ||
          (/^\s*\*? ?(?!@)\S/.test(doc) && /@since \d+\.\d+\.\d+/.test(doc) && categories.has(category))
        return complete ? [] : [`${file}:${index + 1} ${name} (${category})`]
      })
      assert.deepStrictEqual(undocumented, [])
    })
  }
})
