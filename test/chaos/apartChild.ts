/** The other side of `apart`: a client of this name, with this assignment, until it is killed. */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Batch, Word } from "./apart.ts"
import type { Assignment } from "./client.ts"
import { clients } from "./clients/all.ts"

const say = (word: Word): void => void process.send?.(word)

let published = 0
let told = 0
let confirmed: Array<number> = []
let received: Array<Batch["received"][number]> = []
let damaged = 0
let spoilt: Array<number | null> = []

const tell = (): void => {
  if (published === told && confirmed.length + received.length + damaged + spoilt.length === 0) return
  say({ published: published - told, confirmed, received, damaged, spoilt })
  told = published
  confirmed = []
  received = []
  damaged = 0
  spoilt = []
}
setInterval(tell, 10)
process.once("disconnect", () => process.exit())

const [, , name, text = "{}"] = process.argv
const client = clients.find((client) => client.name === name)
const assignment: Assignment = JSON.parse(text)

const program = Effect.gen(function*() {
  if (client === undefined) return yield* Effect.dieMessage(`no client is called ${name}`)
  const working = yield* client.start({
    ...assignment,
    ledger: {
      next: () => assignment.firstId + published++,
      confirmed: (id) => void confirmed.push(id),
      received: (id, redelivered) => void received.push([id, redelivered]),
      damaged: () => void damaged++,
      spoilt: (id) => void spoilt.push(id ?? null)
    }
  })
  say("working")
  yield* Effect.async<void>((resume) => {
    process.on("message", (word) => {
      if (word === "stop") resume(Effect.void)
    })
  })
  yield* working.stop
  tell()
  say("stopped")
  return yield* Effect.never
})

// What it says of each fault is what the report counts.
await Effect.runPromise(program.pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error)))
