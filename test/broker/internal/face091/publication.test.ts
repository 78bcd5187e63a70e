import { assert, describe, it } from "@effect/vitest"
import { expirationFault } from "../../../../src/broker/internal/face091/publication.ts"
import { rawOf } from "./raw.ts"

describe("an expiration", () => {
  it.each([
    ["0", undefined],
    ["+5", undefined],
    ["315360000000", undefined],
    ["315360000001", "{value_too_large,315360000001}"],
    ["-1", "{value_negative,-1}"],
    ["", "no_integer"],
    ["abc", "no_integer"],
    [" 10", "no_integer"],
    ["10 ", `{leftover_string," "}`],
    ["1.5", `{leftover_string,".5"}`],
    ["1e3", `{leftover_string,"e3"}`]
  ])("%j: %s", (expiration, why) => {
    assert.deepStrictEqual(
      expirationFault(rawOf({ expiration })),
      why === undefined
        ? undefined
        : { code: 406, text: `PRECONDITION_FAILED - invalid expiration '${expiration}': ${why}` }
    )
  })
})
