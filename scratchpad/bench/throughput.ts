/**
 * `npx tsx scratchpad/bench/throughput.ts`: how many messages a second the standalone broker moves from one amqplib process,
 * which publishes with confirms, to another one, which acknowledges each; and how many the RabbitMQ of this machine does in
 * the same run, if there is one. Both ends check what they get. Fails where RabbitMQ moves more.
 *
 *   --count 200000   messages a round
 *   --size 100       bytes in a body
 *   --rounds 5       how often; rounds are interleaved, medians shown
 *   --prof FOLDER    a CPU profile of our broker goes there
 *   --quick          few messages, one round, our broker alone: only says whether everything works
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { start } from "../../test/harness/childProcess.ts"
import { missing } from "../../test/harness/debian.ts"
import * as RabbitMq from "../../test/harness/rabbitmq.ts"
import { build } from "./build.ts"
import { median } from "./table.ts"

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "200000" },
    size: { type: "string", default: "100" },
    rounds: { type: "string", default: "5" },
    prof: { type: "string" },
    quick: { type: "boolean", default: false }
  }
})
const count = options.quick ? 2000 : Number(options.count)
const rounds = options.quick ? 1 : Number(options.rounds)
const limit = 120_000

interface Place {
  readonly name: string
  readonly port: number
  readonly pid: number
}

interface Sample {
  readonly name: string
  /** Messages a second. */
  readonly rate: number
  /** Microseconds of the broker's CPU for each message; `NaN` where the system does not tell. */
  readonly cpu: number
}

const built = Effect.acquireRelease(
  Effect.sync(build),
  ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const ours = (folder: string) =>
  Effect.gen(function*() {
    const profile = options.prof === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", options.prof]
    const broker = yield* start(process.execPath, [
      ...profile,
      join(folder, "src/node/bin.js"),
      "broker",
      "--port",
      "0"
    ])
    const [, port] = yield* broker.seen(/listening on .*:(\d+)/)
    // A profile is written by a process that ends in order.
    yield* Effect.addFinalizer(() => Effect.zipRight(broker.signal("SIGINT"), broker.exit))
    return { name: "effect-amqp", port: Number(port), pid: broker.pid } satisfies Place
  })

const theirs = Effect.gen(function*() {
  const { pid, port } = yield* RabbitMq.node()
  return { name: "RabbitMQ", port, pid: yield* pid } satisfies Place
})

/** In microseconds, of a process; the clock ticks of Linux are hundredths of a second. */
const cpuOf = (pid: number): number => {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return Number.NaN
  const fields = readFileSync(file, "utf8").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

const sample = (folder: string, { name, pid, port }: Place) =>
  Effect.scoped(Effect.gen(function*() {
    const end = (role: string) =>
      start(process.execPath, [
        join(folder, "scratchpad/bench/moving.js"),
        role,
        String(port),
        String(count),
        options.size
      ])
    const consumer = yield* end("consume")
    const publisher = yield* end("publish")
    yield* consumer.seen(/ready/)
    yield* publisher.seen(/ready/)
    const cpu = cpuOf(pid)
    const started = performance.now()
    yield* publisher.send("go\n")
    yield* Effect.all([publisher.seen(/done/, limit), consumer.seen(/done/, limit)], { concurrency: 2 })
    const millis = performance.now() - started
    yield* Effect.all([publisher.success, consumer.success])
    return { name, rate: count / millis * 1000, cpu: (cpuOf(pid) - cpu) / count } satisfies Sample
  }))

const summary = (name: string, samples: ReadonlyArray<Sample>) => {
  const its = samples.filter((each) => each.name === name)
  return { rate: median(its.map(({ rate }) => rate)), cpu: median(its.map(({ cpu }) => cpu)) }
}

const program = Effect.gen(function*() {
  const { folder } = yield* built
  const places: Array<Place> = [yield* ours(folder)]
  const absent = missing(RabbitMq.packages)
  if (!options.quick && absent.length === 0) places.push(yield* theirs)
  const samples: Array<Sample> = []
  for (let round = 0; round < rounds; round++) {
    // The one that begins is another one each time.
    for (const place of round % 2 === 0 ? places : Arr.reverse(places)) samples.push(yield* sample(folder, place))
  }
  for (const { name } of places) {
    const { cpu, rate } = summary(name, samples)
    yield* Console.log(
      `${name}: ${rate.toFixed(0)} messages/s of ${options.size} bytes, ${cpu.toFixed(1)} us of the broker's CPU each`
    )
  }
  if (options.quick) return
  if (absent.length > 0) return yield* Console.log(`RabbitMQ: not installed (${absent.join(", ")})`)
  const ratio = summary("effect-amqp", samples).rate / summary("RabbitMQ", samples).rate
  yield* Console.log(`effect-amqp / RabbitMQ: ${ratio.toFixed(2)}`)
  if (ratio <= 1) return yield* Effect.dieMessage("RabbitMQ moves more")
})

NodeRuntime.runMain(Effect.scoped(program))
