import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Addresses } from "../../src/internal/addresses.ts"

const transport = {
  dial: () => Effect.dieMessage("nobody dials"),
  resolve: ({ host }: { readonly host: string }) => Effect.succeed(host === "none" ? [] : ["1", "2", "3"])
}
const named = (host: string) => ({ endpoint: `${host}:5672`, host, port: 5672, limit: null })

describe("addresses", () => {
  it.effect("go on from the last one that was dialled, for each name by itself", () =>
    Effect.gen(function*() {
      const addresses = new Addresses(transport, "on from the last")
      assert.deepStrictEqual(yield* addresses.of(named("a")), ["1", "2", "3"])
      addresses.tried("a:5672", "2")
      assert.deepStrictEqual(yield* addresses.of(named("a")), ["3", "1", "2"])
      assert.deepStrictEqual(yield* addresses.of(named("b")), ["1", "2", "3"])
      addresses.tried("a:5672", "gone since")
      assert.deepStrictEqual(yield* addresses.of(named("a")), ["1", "2", "3"])
    }))

  it.effect("come as they are listed, or in an order of chance", () =>
    Effect.gen(function*() {
      const listed = new Addresses(transport, "as listed")
      listed.tried("a:5672", "2")
      assert.deepStrictEqual(yield* listed.of(named("a")), ["1", "2", "3"])
      const shuffled = new Addresses(transport, "shuffled")
      const orders = new Set<string>()
      for (let count = 0; count < 100; count++) orders.add((yield* shuffled.of(named("a"))).join(""))
      assert.isAbove(orders.size, 3)
    }))

  it.effect("are left to the transport where it has no resolver, or its resolver none", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* new Addresses({ dial: transport.dial }, "as listed").of(named("a")), [undefined])
      assert.deepStrictEqual(yield* new Addresses(transport, "as listed").of(named("none")), [undefined])
    }))

  it.effect("are remembered of a bounded number of names", () =>
    Effect.gen(function*() {
      const addresses = new Addresses(transport, "on from the last")
      for (let count = 0; count < 1000; count++) addresses.tried(`${count}:5672`, "1")
      addresses.tried("a:5672", "1")
      assert.deepStrictEqual(yield* addresses.of(named("a")), ["2", "3", "1"])
    }))
})
