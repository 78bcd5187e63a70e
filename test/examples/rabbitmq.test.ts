/**
 * The examples on RabbitMQ, as with `AMQP_URL`: they compute what they do on the embedded broker.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Live } from "../../scratchpad/examples/main.ts"
import { describeRabbit, SharedRabbitMq } from "../harness/describe.ts"
import { checks, rabbitChecks } from "./checks.ts"

describeRabbit("on RabbitMQ", (it) => {
  for (const [title, check] of Object.entries({ ...checks, ...rabbitChecks })) {
    it.effect(title, () =>
      Effect.flatMap(SharedRabbitMq, ({ url }) =>
        check.pipe(
          Effect.provide(Live),
          Effect.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["AMQP_URL", url]]))))
        )))
  }
})
