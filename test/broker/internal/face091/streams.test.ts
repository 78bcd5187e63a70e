import { assert, describe, it } from "@effect/vitest"
import { toFault } from "../../../../src/broker/internal/face091/refusals.ts"
import * as Model from "../../../../src/broker/Model.ts"

describe("a stream", () => {
  it("is refused, in words that say so: RabbitMQ would declare it", () => {
    const client = Model.make().addVhost("/").client()
    const refusal = client.declareQueue({ name: "s", durable: true, arguments: { "x-queue-type": "stream" } })
    assert(Model.isRefusal(refusal))
    assert.deepStrictEqual(toFault(refusal), {
      code: 406,
      text:
        `PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 's' in vhost '/': "this broker has no queues of type 'stream'"`
    })
    assert.isTrue(Model.isRefusal(client.findQueue("s")))
  })
})
