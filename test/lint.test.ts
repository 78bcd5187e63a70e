import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./harness/childProcess.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What no file may say: the file, its text, the rule that refuses it, and words of the refusal. */
const refused: ReadonlyArray<readonly [file: string, text: string, rule: string, words: string]> = [
  ["src/Barrel.ts", `export { Effect } from "effect"`, "no-restricted-imports", "effect/Effect"],
  ["src/Platform.ts", `export { Socket } from "@effect/platform"`, "no-restricted-imports", "@effect/platform/"],
  ["src/OwnBarrel.ts", `export * from "./wire/index.ts"`, "no-restricted-imports", "never barrels"],
  ["src/OwnName.ts", `export * from "effect-amqp/amqp091"`, "no-restricted-imports", "never barrels"],
  ["src/Node.ts", `import * as Net from "node:net"\nexport const x = Net`, "no-restricted-imports", "Only src/node"],
  ["src/NodeType.ts", `export type { Socket } from "node:net"`, "no-restricted-imports", "Only src/node"],
  ["src/NodeLater.ts", `export const x = () => import("node:net")`, "no-restricted-imports", "Only src/node"],
  ["src/Upward.ts", `export * from "./node/NodeTransport.ts"`, "no-restricted-imports", "depends on node/"],
  ["src/Scratchpad.ts", `export * from "../scratchpad/demo.ts"`, "no-restricted-imports", "scratchpad/"],
  ["src/Protocol.ts", `export * from "./amqp091/Frame.ts"`, "no-restricted-imports", "knows none of them"],
  ["src/internal/shared.ts", `export * from "../amqp091/Frame.ts"`, "no-restricted-imports", "knows none of them"],
  ["src/internal/shared10.ts", `export * from "../amqp10/Frame.ts"`, "no-restricted-imports", "knows none of them"],
  ["src/wire/Up.ts", `export * from "../amqp091/Frame.ts"`, "no-restricted-imports", "lowest room"],
  ["src/wire/internal/up.ts", `export * from "../../internal/pool.ts"`, "no-restricted-imports", "lowest room"],
  ["src/wire/Beside.ts", `export * from "../Transport.ts"`, "no-restricted-imports", "nothing above it"],
  ["src/amqp091/Frame.ts", `export * from "./internal/engine.ts"`, "no-restricted-imports", "below the engines"],
  ["src/amqp091/Method.ts", `export * from "./Channel.ts"`, "no-restricted-imports", "import wire/ alone"],
  ["src/amqp091/FieldTable.ts", `export * from "../broker/Model.ts"`, "no-restricted-imports", "import wire/ alone"],
  ["src/amqp091/internal/engine.ts", `export * from "../Channel.ts"`, "no-restricted-imports", "below the services"],
  [
    "src/amqp091/internal/engine2.ts",
    `export * from "effect/Effect"`,
    "no-restricted-imports",
    "plain and synchronous"
  ],
  ["src/amqp091/Channel.ts", `export * from "../broker/Broker.ts"`, "no-restricted-imports", "nor the broker"],
  ["src/amqp091/Publisher.ts", `export * from "../node/NodeTransport.ts"`, "no-restricted-imports", "neither node/"],
  ["src/amqp091/Rpc.ts", `export * from "../amqp10/Rpc.ts"`, "no-restricted-imports", "never import each other"],
  ["src/broker/Model.ts", `export * from "../amqp091/Frame.ts"`, "no-restricted-imports", "no protocol"],
  [
    "src/broker/internal/model/queue.ts",
    `export * from "../../../wire/Bytes.ts"`,
    "no-restricted-imports",
    "no protocol"
  ],
  ["src/broker/internal/face091.ts", `export * from "../../amqp091/Channel.ts"`, "no-restricted-imports", "the engine"],
  ["src/broker/Broker.ts", `export * from "../node/NodeTransport.ts"`, "no-restricted-imports", "nothing of node/"],
  [
    "src/node/bin.ts",
    `export * from "../../test/harness/rabbitmq.ts"`,
    "no-restricted-imports",
    "scratchpad/ or test/"
  ],
  ["src/Timeout.ts", `export const x = () => setTimeout(() => {}, 1)`, "no-restricted-globals", "setTimeout"],
  ["src/Interval.ts", `export const x = () => setInterval(() => {}, 1)`, "no-restricted-globals", "setInterval"],
  ["src/Now.ts", `export const x = () => Date.now()`, "no-restricted-globals", "Date"],
  ["src/Promised.ts", `export const x = () => new Promise(() => {})`, "no-restricted-globals", "Promise"],
  ["src/Buffered.ts", `export const x = () => Buffer.from("")`, "no-restricted-globals", "Buffer"],
  ["src/Process.ts", `export const x = () => process.cwd()`, "no-restricted-globals", "process"],
  ["src/Abort.ts", `export const x = () => new AbortController()`, "no-restricted-globals", "AbortController"],
  ["src/Random.ts", `export const x = () => Math.random()`, "no-restricted-properties", "effect/Random"],
  [
    "src/Run.ts",
    `import * as Effect from "effect/Effect"\nexport const x = () => Effect.runSync(Effect.void)`,
    "no-restricted-properties",
    "the user's"
  ],
  [
    "src/Daemon.ts",
    `import * as Effect from "effect/Effect"\nexport const x = Effect.forkDaemon(Effect.void)`,
    "no-restricted-properties",
    "owner"
  ],
  ["src/Any.ts", `export const x = (y: any) => y`, "no-explicit-any", "any"],
  ["src/Console.ts", `export const x = () => console.log("")`, "no-console", "console"],
  ["src/Default.ts", `export default 1`, "no-default-export", "named export"],
  ["src/Throw.ts", `export const x = () => {\n  throw "text"\n}`, "no-throw-literal", "error object"],
  ["src/Silenced.ts", `// @ts-ignore\nexport const x = 1`, "ban-ts-comment", "@ts-ignore"],
  ["src/Later.ts", `// TODO: later\nexport const x = 1`, "no-warning-comments", "todo"],
  ["src/Long.ts", "export const x = 1\n" + "// a line\n".repeat(600), "max-lines", "600"],
  ["src/Types.ts", `import { x } from "./Fine.ts"\nexport type X = typeof x`, "consistent-type-imports", "type"],
  ["src/Brackets.ts", `export const x: string[] = []`, "array-type", "Array<string>"],
  ["src/Cycle.ts", `export * from "./Cycle2.ts"`, "no-cycle", "cycle"],
  ["src/Cycle2.ts", `export * from "./Cycle.ts"`, "no-cycle", "cycle"]
]

/** What each room may say. */
const accepted: ReadonlyArray<readonly [file: string, text: string]> = [
  ["src/Fine.ts", `import * as Effect from "effect/Effect"\nexport const x = Effect.void`],
  ["src/index.ts", `export * as Fine from "./Fine.ts"`],
  ["src/wire/Bytes.ts", `export * as AmqpError from "../AmqpError.ts"`],
  ["src/amqp091/Properties.ts", `export * as Bytes from "../wire/Bytes.ts"`],
  ["src/amqp091/internal/engine3.ts", `export * as Method from "../Method.ts"`],
  ["src/amqp091/Connection.ts", `export * as engine from "./internal/engine3.ts"`],
  ["src/broker/internal/face.ts", `export * as engine from "../../amqp091/internal/engine3.ts"`],
  [
    "src/node/NodeTransport.ts",
    `import * as Net from "node:net"\nimport * as Transport from "../Transport.ts"\nexport const x = [Net, Transport, Date.now()]`
  ]
]

const Report = Schema.parseJson(Schema.Struct({
  diagnostics: Schema.Array(Schema.Struct({
    code: Schema.String,
    message: Schema.String,
    help: Schema.optional(Schema.String),
    filename: Schema.String
  }))
}))

/** The linter's words on all these files, laid out as in this repository under its own configuration. */
class Findings extends Context.Tag("test/Findings")<Findings, typeof Report.Type["diagnostics"]>() {
  static readonly layer = Layer.scoped(
    Findings,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-amqp-lint-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
      for (const [file, text] of [...refused, ...accepted]) {
        mkdirSync(join(folder, dirname(file)), { recursive: true })
        writeFileSync(join(folder, file), `${text}\n`)
      }
      const { stdout } = yield* Effect.merge(
        Effect.mapError(
          run(join(root, "node_modules/.bin/oxlint"), ["--deny-warnings", "--format=json"], { cwd: folder }),
          ({ output }) => output
        )
      )
      return (yield* Schema.decode(Report)(stdout)).diagnostics
    })
  )
}

layer(Findings.layer)("the linter", (it) => {
  for (const [file, text, rule, words] of refused) {
    it.effect(`refuses ${JSON.stringify(text.slice(0, 80))} in ${file}`, () =>
      Effect.gen(function*() {
        const found = (yield* Findings).filter(({ filename }) => filename === file)
        assert.isNotEmpty(found)
        for (const { code, help, message } of found) {
          assert.include(code, rule)
          assert.include(`${message} ${help}`, words)
        }
      }))
  }

  for (const [file] of accepted) {
    it.effect(`accepts ${file}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* Findings).filter(({ filename }) => filename === file), [])
      }))
  }
})
