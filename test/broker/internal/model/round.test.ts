import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Round } from "../../../../src/broker/internal/model/round.ts"

interface Node {
  readonly name: number
  readonly priority: number
  previous: Node | undefined
  next: Node | undefined
  linked: boolean
}

const node = (name: number, priority: number): Node => ({
  name,
  priority,
  previous: undefined,
  next: undefined,
  linked: false
})

describe("Round", () => {
  it.prop(
    "its head is the first of those with the highest priority, whoever comes, goes or has had a turn",
    [FastCheck.array(
      FastCheck.tuple(FastCheck.constantFrom("push", "remove", "rotate"), FastCheck.nat(11)),
      { maxLength: 200 }
    )],
    ([steps]) => {
      const round = new Round<Node>()
      const nodes = Array.from({ length: 12 }, (_, name) => node(name, (name % 4) - 1))
      let expected: Array<Node> = []
      const first = () => expected.find(({ priority }) => expected.every((other) => other.priority <= priority))
      for (const [step, which] of steps) {
        const chosen = nodes[which]! // twelve were made
        if (step === "push" && !chosen.linked) {
          round.push(chosen)
          expected.push(chosen)
        } else if (step === "remove" && chosen.linked) {
          round.remove(chosen)
          expected = expected.filter((each) => each !== chosen)
        } else if (step === "rotate") {
          const head = first()
          round.rotate()
          if (head !== undefined) expected = [...expected.filter((each) => each !== head), head]
        }
        assert.strictEqual(round.head?.name, first()?.name)
      }
    },
    { fastCheck: { numRuns: 500 } }
  )
})
