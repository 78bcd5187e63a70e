/** Where the programme of a foreign client runs, and what it says there. */
import { Broker } from "effect-amqp/broker"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import { fileURLToPath } from "node:url"
import { type CommandFailed, start } from "../harness/childProcess.ts"
import type * as RabbitMq from "../harness/rabbitmq.ts"

/** What a programme may ask for, of all connections in its virtual host. */
type Wish = "drop" | "close" | "block" | "unblock"

export interface Stage {
  readonly url: string
  /** The same as a user who may do everything with what is called `mine`, and nothing else. */
  readonly limited: string
  readonly vhost: string
  readonly grant: Readonly<Record<Wish, Effect.Effect<unknown, CommandFailed>>>
}

const user = "limited"
const password = "secret"
const closing = "maintenance"
const alarm = "low on memory"

// As long as those on the shared node: texts are cut after so many octets.
export const embedded = Effect.gen(function*() {
  const broker = yield* Broker.Broker
  const vhost = `test-${randomUUID()}`
  const permissions = { configure: /^mine/, write: /^mine/, read: /^mine/ }
  yield* broker.addVhost(vhost)
  yield* broker.addUser({ name: user, password: Redacted.make(password), vhosts: [vhost], permissions })
  const at = `${broker.host}:${broker.port}/${vhost}`
  const stage: Stage = {
    url: `amqp://guest:guest@${at}`,
    limited: `amqp://${user}:${password}@${at}`,
    vhost,
    grant: {
      drop: broker.drop(),
      close: broker.closeConnection({ text: `CONNECTION_FORCED - ${closing}` }),
      block: broker.block(alarm),
      unblock: broker.heal("block")
    }
  }
  return stage
})

export const rabbitmq = (rabbit: RabbitMq.RabbitMq) =>
  Effect.gen(function*() {
    const { host, port, vhost } = rabbit
    yield* rabbit.addUser(user, password, { configure: "^mine", write: "^mine", read: "^mine" })
    // Of this virtual host alone, on the node that others use too.
    const each = (erlang: string) =>
      rabbit.evaluate(
        `[${erlang} || P <- rabbit_networking:connections(), ` +
          `(catch rabbit_networking:connection_info(P, [vhost])) =:= [{vhost, <<"${vhost}">>}]].`
      )
    const conserve = (on: boolean) => each(`rabbit_reader:conserve_resources(P, memory, {true, ${on}, node()})`)
    const stage: Stage = {
      url: rabbit.url,
      limited: `amqp://${user}:${password}@${host}:${port}/${vhost}`,
      vhost,
      grant: {
        drop: each("exit(P, kill)"),
        close: rabbit.closeAllConnections(closing),
        block: conserve(true),
        unblock: conserve(false)
      }
    }
    return stage
  })

const isWish = (text: string, grant: Stage["grant"]): text is Wish => Object.hasOwn(grant, text)

const commands: Readonly<Record<string, ReadonlyArray<string>>> = {
  py: ["/usr/bin/python3"],
  sh: ["/bin/sh"],
  ts: [process.execPath, "--import", "tsx"]
}

export const folder = fileURLToPath(new URL("./clients/", import.meta.url))

/** Its transcript: what it says, but for its wishes, which are granted one by one. */
export const transcript = (file: string, { grant, limited, url, vhost }: Stage) =>
  Effect.gen(function*() {
    const [command = "", ...before] = commands[file.split(".").at(-1) ?? ""] ?? []
    const running = yield* start(command, [...before, `${folder}${file}`, url, limited, vhost], {
      env: { PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "1" },
      timeoutMillis: 60_000
    })
    const granting = Effect.gen(function*() {
      for (let count = 1;; count++) {
        const [, wish = ""] = yield* running.seen(new RegExp(`(?:^! (.*)\\n[^]*?){${count}}`, "m"), 60_000).pipe(
          // The end of the programme is told below.
          Effect.catchAll(() => Effect.never)
        )
        if (!isWish(wish, grant)) return yield* Effect.dieMessage(`No wish: ${wish}`)
        yield* grant[wish]
        yield* running.send("done\n")
      }
    })
    const { stdout } = yield* Effect.raceFirst(running.success, granting)
    return stdout.replaceAll(/^! .*\n/gm, "").replaceAll(vhost, "VHOST")
  }).pipe(Effect.scoped)
