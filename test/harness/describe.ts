/**
 * Tests that need what Debian packages. Where it is missing they are skipped, and the end of the run says so; with
 * `AMQP_REQUIRE_BROKERS=1` they fail.
 */
import { assert, describe, it, layer, type Vitest } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { appendFileSync } from "node:fs"
import { connect } from "node:net"
import { inject } from "vitest"
import type { Package } from "./debian.ts"
import { howToInstall, missing } from "./debian.ts"
import * as RabbitMq from "./rabbitmq.ts"

/** A `describe` whose tests need the packages. */
export const describeWith = (packages: ReadonlyArray<Package>, title: string, tests: () => void): void => {
  const absent = missing(packages)
  if (absent.length === 0) {
    describe(title, tests)
  } else if (process.env["AMQP_REQUIRE_BROKERS"] === "1") {
    describe(title, () => {
      it(`needs ${absent.join(", ")}`, () => assert.fail(`Not installed. ${howToInstall(absent)}`))
    })
  } else {
    appendFileSync(inject("skips"), `${title}\t${absent.join(" ")}\n`)
    describe.skip(title, tests)
  }
}

/** The node that the whole run shares, seen from a virtual host that nobody else uses. */
export class SharedRabbitMq extends Context.Tag("test/SharedRabbitMq")<SharedRabbitMq, RabbitMq.RabbitMq>() {}

const place = Effect.async<RabbitMq.Place, RabbitMq.RabbitMqUnavailable>((resume) => {
  let answer = ""
  connect(inject("rabbitmq"))
    .setEncoding("utf8")
    .on("data", (text: string) => {
      answer += text
    })
    .once("error", (error) => resume(new RabbitMq.RabbitMqUnavailable({ text: error.message })))
    .once("end", () => {
      const found: RabbitMq.Place | { readonly unavailable: string } = JSON.parse(answer)
      resume(
        "unavailable" in found
          ? new RabbitMq.RabbitMqUnavailable({ text: found.unavailable })
          : Effect.succeed(found)
      )
    })
})

/** Has the shared node started by the first who asks, and makes the virtual host. */
export const layerShared: Layer.Layer<SharedRabbitMq, RabbitMq.RabbitMqUnavailable> = Layer.effect(
  SharedRabbitMq,
  Effect.flatMap(place, (place) =>
    Effect.mapError(
      RabbitMq.at(place).addVhost(`test-${randomUUID()}`),
      ({ message }) => new RabbitMq.RabbitMqUnavailable({ text: message })
    ))
)

/**
 * A `describe` with `SharedRabbitMq` at hand. Time is real here: `it.effect` and `it.scoped` have no TestClock.
 * `packages` are further ones, for foreign clients.
 */
export const describeRabbit = (
  title: string,
  tests: (it: Vitest.MethodsNonLive<SharedRabbitMq, true>) => void,
  packages: ReadonlyArray<Package> = []
): void =>
  describeWith([...RabbitMq.packages, ...packages], title, () => {
    layer(layerShared, { excludeTestServices: true, timeout: "60 seconds" })(tests)
  })
