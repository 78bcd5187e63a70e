import { assert, describe, it } from "@effect/vitest"
import type * as Properties from "../../../../src/amqp091/Properties.ts"
import { deadLetter } from "../../../../src/broker/internal/face091/deadLetter.ts"
import { Publication } from "../../../../src/broker/internal/face091/publication.ts"
import * as Limits from "../../../../src/wire/Limits.ts"
import { rawOf } from "./raw.ts"

const dead = (properties: Properties.BasicProperties, exchange = "") =>
  deadLetter({
    message: new Publication("from", "key", rawOf(properties), Uint8Array.of(1)),
    reason: "expired",
    queue: "q",
    time: 5000,
    exchange,
    routingKey: undefined
  })

describe("a dead letter", () => {
  it("keeps its keys for copies while it goes by its own, and tells of them", () => {
    const letter = dead({ headers: { CC: ["a", "b"] } }, "to")
    assert.deepInclude(letter?.message, { exchange: "to", routingKey: "key" })
    const { headers } = letter?.message.content.properties.decoded ?? {}
    assert.deepStrictEqual(headers?.["CC"], ["a", "b"])
    assert.deepNestedInclude(headers, { "x-death[0].routing-keys": ["key", "a", "b"] })
    assert.deepStrictEqual(letter?.deaths, [{ queue: "q", reason: "expired" }])
  })

  it("is none when its headers have no room left for its death", () => {
    const headers = Object.fromEntries(
      Array.from({ length: Limits.defaults.maxTableEntries }, (_, key) => [`k${key}`, 1])
    )
    assert.isUndefined(dead({ headers }))
  })
})
