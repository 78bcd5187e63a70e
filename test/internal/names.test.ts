import { assert, describe, it } from "@effect/vitest"
import { nearest } from "../../src/internal/names.ts"

describe("nearest", () => {
  it("offers at most three names, the nearest first, whatever their case and underscores", () => {
    const known = ["heartbeat", "frame_max", "frameMax", "channel_max", "locale"]
    assert.deepStrictEqual(nearest("hartbeat", known), ["heartbeat"])
    assert.deepStrictEqual(nearest("FRAMEMAX", known), ["frame_max", "frameMax"])
    assert.deepStrictEqual(nearest("zzz", known), [])
  })
})
