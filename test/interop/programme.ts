/**
 * A programme of a foreign client (`clients/`) and the transcript of it, which is the same whichever broker it runs on:
 * what RabbitMQ says is what the embedded broker says.
 */
import { assert, layer } from "@effect/vitest"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import type { Package } from "../harness/debian.ts"
import { describeRabbit, describeWith, SharedRabbitMq } from "../harness/describe.ts"
import { embedded, folder, rabbitmq, transcript } from "./stage.ts"

/** Runs it on both; the file beside it, with the ending `.txt`, is what it has to say. */
export const programme = (file: string, packages: ReadonlyArray<Package>): void => {
  const expected = readFileSync(`${folder}${file.replace(/\.\w+$/, ".txt")}`, "utf8").split("\n")
  const says = (said: string) => assert.deepStrictEqual(said.split("\n"), expected)

  describeWith(packages, `${file} on the embedded broker`, () => {
    layer(Layer.provide(Broker.layer({ port: 0 }), NodeTransport.layerServer), { excludeTestServices: true })((it) => {
      it.effect(
        "has the transcript that it has on RabbitMQ",
        () => Effect.map(Effect.flatMap(embedded, (stage) => transcript(file, stage)), says),
        90_000
      )
    })
  })

  describeRabbit(`${file} on RabbitMQ`, (it) => {
    it.effect(
      "has the transcript that was written down",
      () =>
        SharedRabbitMq.pipe(
          Effect.flatMap(rabbitmq),
          Effect.flatMap((stage) => transcript(file, stage)),
          Effect.map(says)
        ),
      90_000
    )
  }, packages)
}
