/**
 * `npm run bench`: effect-amqp beside amqplib, rabbitmq-client and `@cloudamqp/amqp-client`, against a broker that costs
 * less than they do. CPU time of the client's process for each message comes first, because it is what a busy machine
 * disturbs least; what counts are ratios between clients of one run.
 *
 *   --quick          few messages, one round: only says whether everything works
 *   --rounds 5       how often each sample is taken; rounds are interleaved, medians shown
 *   --only TEXT      the cases whose name contains it
 *   --save FOLDER    also writes bench.md and bench.svg there
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as RabbitMq from "../../test/harness/rabbitmq.ts"
import { build, type Built, root } from "./build.ts"
import { type Case, cases, type ClientName, peers } from "./cases.ts"
import { plot } from "./plot.ts"
import type { Request, Sample } from "./sample.ts"
import { type Row, rowsOf, table } from "./table.ts"

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
    save: { type: "string" }
  }
})

/** What a child writes to its output, as it ends; a failure where it does not end well. */
const output = (child: ChildProcess, name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    child.stdout?.setEncoding("utf8").on("data", (more: string) => {
      text += more
    })
    child.once("error", reject)
    child.once("close", (code, signal) =>
      code === 0 ? resolve(text) : reject(new Error(`${name} ended with ${code ?? signal}`)))
  })

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    child.stdout?.setEncoding("utf8").once("data", (text: string) => resolve(text))
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the null broker ended with ${code}`)))
  })

const sampleTimeout = 120_000

const sampler =
  (built: Built, target: Request["target"]) =>
  async (client: ClientName, cases: ReadonlyArray<Case>): Promise<ReadonlyArray<Sample>> => {
    const request: Request = { client, cases, target }
    const child = spawn(process.execPath, [
      "--expose-gc",
      "--enable-source-maps",
      built.sample,
      JSON.stringify(request)
    ], {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: sampleTimeout,
      killSignal: "SIGKILL"
    })
    const text = await output(child, `${client}: ${cases.map((each) => each.name).join("; ")}`)
    const samples: ReadonlyArray<Sample> = text.trim().split("\n").map((line) => JSON.parse(line))
    if (samples.length !== cases.length) throw new Error(`${client}: ${samples.length} of ${cases.length} samples`)
    return samples
  }

// Every thing once, in numbers that only show whether it works.
const quickened = (each: Case): Case => ({
  ...each,
  count: Math.max(
    each.kind === "window" && each.channels !== undefined ? each.channels * 2 : 4,
    Math.ceil(each.count / 40)
  )
})

/** Remote calls need a broker that routes: RabbitMQ where it is installed, else the embedded one in a process of its own. */
const startRouting = async (): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> => {
  const scope = await Effect.runPromise(Scope.make())
  const started = await Effect.runPromise(Effect.either(Scope.extend(RabbitMq.node(), scope)))
  if (Either.isRight(started)) {
    return { port: started.right.port, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
  }
  process.stderr.write(`${started.left.message}; remote calls go through the embedded broker\n`)
  const child = spawn(process.execPath, ["--import", "tsx", "src/node/bin.ts", "broker", "--port", "0"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const port = Number(/:(\d+)\s*$/.exec(await firstLine(child))?.[1])
  child.removeAllListeners()
  return { port, stop: async () => void child.kill("SIGKILL") }
}

const run = async (built: Built): Promise<ReadonlyArray<Row>> => {
  const chosen = cases.filter((each) => each.name.includes(options.only))
  const routing = chosen.some(({ kind }) => kind === "calls") ? await startRouting() : undefined
  const broker = spawn(process.execPath, [built.broker, built.cert, built.key], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  try {
    const target: Request["target"] = { ...JSON.parse(await firstLine(broker)), ca: built.ca }
    const onNull = sampler(built, target)
    const onRouting = sampler(built, { ...target, port: routing?.port ?? 0 })
    const sample = async (client: ClientName, cases: ReadonlyArray<Case>): Promise<ReadonlyArray<Sample>> => {
      const calls = cases.filter(({ kind }) => kind === "calls")
      const others = cases.filter(({ kind }) => kind !== "calls")
      return [
        ...others.length > 0 ? await onNull(client, others) : [],
        ...calls.length > 0 ? await onRouting(client, calls) : []
      ]
    }
    const samples: Array<Sample> = []
    if (options.quick) {
      const clients: ReadonlyArray<ClientName> = ["ours", ...peers, "bare"]
      for (const client of clients) {
        const its = chosen.filter((each) => each.clients.includes(client)).map(quickened)
        if (its.length > 0) samples.push(...await sample(client, its))
      }
      return rowsOf(chosen, samples)
    }
    const rounds = Number(options.rounds)
    for (let round = 1; round <= rounds; round++) {
      for (const each of chosen) {
        process.stderr.write(`round ${round} of ${rounds}: ${each.name}\n`)
        for (const client of each.clients) samples.push(...await sample(client, [each]))
      }
    }
    return rowsOf(chosen, samples)
  } finally {
    broker.removeAllListeners()
    broker.kill("SIGKILL")
    await routing?.stop()
  }
}

const built = build()
try {
  const rows = await run(built)
  const text = table(rows)
  process.stdout.write(`${text}\n`)
  if (options.save !== undefined) {
    Fs.writeFileSync(Path.join(options.save, "bench.md"), `${text}\n`)
    Fs.writeFileSync(Path.join(options.save, "bench.svg"), plot(rows))
  }
} finally {
  Fs.rmSync(built.folder, { recursive: true, force: true })
}
