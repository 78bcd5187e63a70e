import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../../src/amqp091/internal/replyText.ts"

// As RabbitMQ 3.10.8 sent them, and (the acknowledgement timeout) as its sources word it.
const texts: ReadonlyArray<readonly [text: string, details: ReturnType<typeof parse>]> = [
  [
    "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'",
    {
      _tag: "Inequivalent",
      kind: "queue",
      name: "q",
      vhost: "/",
      argument: "durable",
      received: "false",
      current: "true"
    }
  ],
  [
    "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'it's mine' in vhost '/a': received none but " +
    "current is the value '1000' of type 'signedint'",
    {
      _tag: "Inequivalent",
      kind: "queue",
      name: "it's mine",
      vhost: "/a",
      argument: "x-message-ttl",
      received: undefined,
      current: "1000"
    }
  ],
  [
    "NOT_FOUND - no exchange 'nope' in vhost '/'",
    { _tag: "Missing", kind: "exchange", name: "nope", vhost: "/" }
  ],
  ["NOT_FOUND - no queue 'nope' in vhost 'v'", { _tag: "Missing", kind: "queue", name: "nope", vhost: "v" }],
  [
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in vhost '/'. It could be originally " +
    "declared on another connection or the exclusive property value does not match that of the original declaration.",
    { _tag: "Locked", name: "mine", vhost: "/" }
  ],
  [
    "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",
    { _tag: "InUse", kind: "queue", name: "q", vhost: "/" }
  ],
  [
    "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
    { _tag: "InUse", kind: "queue", name: "q", vhost: "/" }
  ],
  [
    "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty",
    { _tag: "NotEmpty", kind: "queue", name: "q", vhost: "/" }
  ],
  ["PRECONDITION_FAILED - unknown delivery tag 7", { _tag: "UnknownDeliveryTag", deliveryTag: 7 }],
  [
    "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This " +
    "timeout value can be configured, see consumers doc guide to learn more",
    { _tag: "AckTimeout", milliseconds: 1_800_000 }
  ],
  [
    "PRECONDITION_FAILED - message size 17 is larger than configured max size 16",
    { _tag: "MessageTooLarge", size: 17, limit: 16 }
  ],
  [
    "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'me'",
    { _tag: "PermissionDenied", kind: "exchange", name: "x", user: "me" }
  ],
  ["what a plugin says", undefined]
]

describe("reply texts", () => {
  for (const [text, details] of texts) it(text, () => assert.deepStrictEqual(parse(text), details))
})
