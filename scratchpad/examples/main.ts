/**
 * What the examples share: the broker they run on. It is the embedded one, in memory, or with `AMQP_URL` the one behind
 * that URL: `npx tsx scratchpad/examples/workQueue.ts`, `AMQP_URL=amqp://localhost npx tsx …`.
 */
import type { Transport } from "effect-amqp"
import { Connection } from "effect-amqp/amqp091"
import { Broker } from "effect-amqp/broker"
import { NodeTransport } from "effect-amqp/node"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { pathToFileURL } from "node:url"

const given = Config.option(Config.redacted("AMQP_URL"))

/** Where the broker is: `memory://` is the embedded one. */
export const brokerUrl: Config.Config<Redacted.Redacted> = Config.map(
  given,
  Option.getOrElse(() => Redacted.make("memory://"))
)

/** What dials: sockets, or the network in memory that the embedded broker listens on. */
export const NetworkLive = Layer.unwrapEffect(
  Effect.map(
    given,
    (url): Layer.Layer<Transport.Transport> => Option.isSome(url) ? NodeTransport.layer : Broker.layerMemory
  )
)

/** One connection to the broker, and what dialled it. */
export const Live = Layer.unwrapEffect(
  Effect.map(brokerUrl, (url) => Connection.layer({ url, name: "effect-amqp-examples" }))
).pipe(Layer.provideMerge(NetworkLive))

/** Whether Node was started on this module: `isMain(import.meta.url)`. */
export const isMain = (module: string): boolean => module === pathToFileURL(process.argv[1] ?? "").href
