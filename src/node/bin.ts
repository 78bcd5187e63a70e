#!/usr/bin/env node
/**
 * The command line: `effect-amqp broker` runs the embedded broker for any AMQP client.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Broker from "../broker/Broker.ts"
import { version } from "../internal/version.ts"
import * as Control from "./internal/control.ts"
import * as NodeTransport from "./NodeTransport.ts"

const broker = Command.make(
  "broker",
  {
    host: Options.text("host").pipe(
      Options.withDefault("127.0.0.1"),
      Options.withDescription("address to listen on; 0.0.0.0 for all")
    ),
    port: Options.integer("port").pipe(
      Options.withDefault(5672),
      Options.withDescription("port to listen on; 0 takes a free one")
    ),
    vhost: Options.text("vhost").pipe(
      Options.repeated,
      Options.withDescription("a virtual host besides /, open to guest; may be repeated")
    ),
    control: Options.integer("control").pipe(
      Options.optional,
      Options.withDescription(
        "port for control over HTTP, 0 takes a free one: POST /faults/NAME with the fields as JSON, DELETE /faults, " +
          "/faults/NAME and /faults/ID, GET /faults, /connections, /queues?vhost= and /published. " +
          `Names and fields, each with connection? besides: ${Control.usage}`
      )
    ),
    controlHost: Options.text("control-host").pipe(
      Options.withDefault("127.0.0.1"),
      Options.withDescription("address for control to listen on: who reaches it may do all of that")
    ),
    profile: Options.choice("profile", ["3.10", "4.3"]).pipe(
      Options.withDefault("3.10" as const),
      Options.withDescription("the version of RabbitMQ whose rules it keeps to")
    )
  },
  ({ control, controlHost, host, port, profile, vhost }) =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* Console.log(`listening on ${broker.host}:${broker.port}`)
      if (Option.isSome(control)) {
        const address = yield* Control.serve(broker, { host: controlHost, port: control.value })
        yield* Console.log(`control on ${address}`)
      }
      return yield* Effect.never
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(Broker.layer({ host, port, profile, vhosts: vhost }), NodeTransport.layerServer)),
      Effect.catchTag("ListenError", (error) => Effect.zipRight(Console.error(error.message), Effect.fail(error)))
    )
).pipe(Command.withDescription("runs a broker for AMQP 0-9-1, in memory: it keeps nothing when it ends"))

const main = Command.make("effect-amqp").pipe(
  Command.withDescription("AMQP for Effect"),
  Command.withSubcommands([broker])
)

Command.run(main, { name: "effect-amqp", version })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
