import { assert, describe, it } from "@effect/vitest"
import { setImmediate as turn } from "node:timers/promises"
import type { Author } from "./ledger.ts"
import { Ledger } from "./ledger.ts"
import { simulate } from "./simulate.ts"

const seeds = 2000

describe("The simulator", () => {
  it(`finds nothing wrong with ${seeds} seeds`, async () => {
    const wrong: Array<string> = []
    let faultless = 0
    let messages = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await simulate(seed)
      // A simulation never waits, and the test runner wants to be heard now and then.
      await turn()
      if (result.isFaultless) faultless++
      messages += result.messages
      for (const violation of result.violations) {
        wrong.push(`seed ${seed}: ${violation} (npm run simulate -- --seed ${seed})`)
      }
    }
    assert.deepStrictEqual(wrong, [])
    // They are not all of one kind, and not empty.
    assert.isAbove(faultless, seeds / 20)
    assert.isBelow(faultless, seeds / 5)
    assert.isAbove(messages, seeds * 10)
  }, 600_000)

  it("replays a seed exactly, whatever ran before", async () => {
    const first: Array<ReadonlyArray<string>> = []
    for (const seed of [3, 12, 73]) first.push((await simulate(seed)).log)
    await simulate(99)
    for (const seed of [73, 12, 3]) assert.deepStrictEqual((await simulate(seed)).log, first.pop())
    assert.notDeepEqual((await simulate(3)).log, (await simulate(12)).log)
  })
})

const reader = () => ({ name: "c", queue: "q", last: new Map<string, number>() })

describe("The ledger of a simulation", () => {
  const confirmed: Author = { name: "p", guarantee: "confirmed" }
  const published = (ledger: Ledger, count: number, author = confirmed) =>
    Array.from({ length: count }, (_, number) => ledger.begin(author, number, ["q"]))

  it("finds nothing wrong with what arrived in order", () => {
    const ledger = new Ledger({ isFaultless: true })
    const to = reader()
    for (const entry of published(ledger, 2)) {
      ledger.ended(entry, "confirmed")
      ledger.delivered(to, entry.id, false)
    }
    ledger.recorded(["p/0", "p/1"])
    ledger.judge()
    assert.deepStrictEqual(ledger.violations, [])
  })

  it("finds a confirmed message that is lost", () => {
    const ledger = new Ledger()
    for (const entry of published(ledger, 1)) ledger.ended(entry, "confirmed")
    ledger.recorded(["p/0"])
    ledger.judge()
    assert.deepStrictEqual(ledger.violations, ["p/0 was confirmed, and is lost in q"])
  })

  it("finds a message that comes again as if new, and one sent twice without leave", () => {
    const ledger = new Ledger()
    for (const entry of published(ledger, 1)) ledger.ended(entry, "confirmed")
    ledger.delivered(reader(), "p/0", false)
    ledger.delivered(reader(), "p/0", true)
    ledger.delivered(reader(), "p/0", false)
    ledger.recorded(["p/0"])
    ledger.judge()
    assert.deepStrictEqual(ledger.violations, ["p/0 came 2 times to q as if new, sent 1 times"])

    const twice = new Ledger()
    for (const entry of published(twice, 1)) twice.ended(entry, "unknown")
    twice.recorded(["p/0", "p/0"])
    assert.deepStrictEqual(twice.violations, ["p/0 was sent 2 times, confirmed"])
  })

  it("finds what comes out of order, at the broker and at a consumer", () => {
    const ledger = new Ledger()
    published(ledger, 2)
    const to = reader()
    ledger.delivered(to, "p/1", false)
    ledger.delivered(to, "p/0", false)
    ledger.recorded(["p/1", "p/0"])
    assert.deepStrictEqual(ledger.violations, [
      "c was given p/0 after number 1 of its author, and not as a repetition",
      "the broker was given p/0 after number 1 of its author"
    ])
  })

  it("finds a refused message that came, one without an outcome, and a transaction in part", () => {
    const ledger = new Ledger()
    const author: Author = { name: "t", guarantee: "transaction" }
    const [first, second] = [ledger.begin(author, 0, ["q"], 1), ledger.begin(author, 1, ["q"], 1)]
    ledger.ended(first, "refused")
    ledger.delivered(reader(), first.id, false)
    ledger.recorded([first.id])
    ledger.judge()
    assert.strictEqual(second.outcome, "pending")
    assert.deepStrictEqual(ledger.violations, [
      "t/0 was refused, and came to q",
      "t/1 has no outcome",
      "transaction 1 of t in q came in part"
    ])
  })
})
