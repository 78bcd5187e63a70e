import { assert, describe, it } from "@effect/vitest"
import { AmqpError } from "effect-amqp"
import * as ErrorPolicy from "../src/ErrorPolicy.ts"

const connect = (reason: AmqpError.ConnectReason) => AmqpError.ConnectError.at("host:5672", reason, "")
const round = (...reasons: ReadonlyArray<AmqpError.ConnectReason>) =>
  new AmqpError.ConnectError({
    reason: reasons.at(-1) ?? "Refused",
    attempts: reasons.flatMap((reason) => connect(reason).attempts)
  })
const lost = new AmqpError.ConnectionLost({ reason: "Socket", endpoint: "host:5672" })
const closed = (code: number) =>
  new AmqpError.ConnectionClosed({ reason: "Peer", endpoint: "host:5672", code, text: "" })

describe("ErrorPolicy.isFinal", () => {
  it("ends at what dialling again cannot heal: Auth, Vhost, Tls, Protocol", () => {
    for (const reason of ["Auth", "Vhost", "Tls", "Protocol"] as const) {
      assert.isTrue(ErrorPolicy.isFinal(connect(reason)))
    }
    for (const reason of ["Refused", "Timeout", "Dns", "Credentials", "Capability", "Url"] as const) {
      assert.isFalse(ErrorPolicy.isFinal(connect(reason)))
    }
    assert.isFalse(ErrorPolicy.isFinal(lost))
    assert.isFalse(ErrorPolicy.isFinal(closed(320)))
  })
})

describe("ErrorPolicy.isFinal with several endpoints", () => {
  it("goes on while one of them may still let us in, whatever their order", () => {
    assert.isFalse(ErrorPolicy.isFinal(round("Auth", "Refused")))
    assert.isFalse(ErrorPolicy.isFinal(round("Refused", "Auth")))
    assert.isTrue(ErrorPolicy.isFinal(round("Auth", "Vhost")))
  })
})

describe("ErrorPolicy.forgiveGarbling", () => {
  it("ends at the first handshake that is not understood, if there was never a connection", () => {
    assert.isTrue(ErrorPolicy.forgiveGarbling(ErrorPolicy.isFinal)(connect("Protocol")))
  })

  it("ends at the fourth in a row after one", () => {
    const policy = ErrorPolicy.forgiveGarbling(ErrorPolicy.isFinal)
    const faults = [lost, ...Array.from({ length: 3 }, () => connect("Protocol")), connect("Refused")]
    assert.notInclude([...faults, ...faults.slice(1)].map(policy), true)
    assert.deepStrictEqual(Array.from({ length: 4 }, () => policy(connect("Protocol"))), [false, false, false, true])
  })

  it("needs no loss to know of one, where whoever asks does", () => {
    let hasBeenOpen = false
    const policy = ErrorPolicy.forgiveGarbling(ErrorPolicy.isFinal, () => hasBeenOpen)
    assert.isTrue(policy(connect("Protocol")))
    hasBeenOpen = true
    assert.isFalse(policy(connect("Protocol")))
  })

  it("keeps what the policy below it says of anything else", () => {
    const policy = ErrorPolicy.forgiveGarbling(ErrorPolicy.isFinal)
    assert.deepStrictEqual([lost, connect("Auth"), round("Auth", "Protocol")].map(policy), [false, true, true])
  })
})

describe("ErrorPolicy.capInternalErrors", () => {
  it("ends at the fourth 541 in a row, failed dials in between aside", () => {
    const policy = ErrorPolicy.capInternalErrors(ErrorPolicy.isFinal)
    const faults = [closed(541), closed(541), connect("Refused"), closed(541), connect("Refused"), closed(541)]
    assert.deepStrictEqual(faults.map(policy), [false, false, false, false, false, true])
  })

  it("counts anew after any other loss, and for each connection", () => {
    const policy = ErrorPolicy.capInternalErrors(ErrorPolicy.isFinal)
    const faults = [closed(541), closed(541), closed(541), lost, closed(541), closed(541), closed(541)]
    assert.notInclude(faults.map(policy), true)
    assert.isFalse(ErrorPolicy.capInternalErrors(ErrorPolicy.isFinal)(closed(541)))
  })

  it("keeps what the policy below it says", () => {
    const policy = ErrorPolicy.capInternalErrors((fault) => fault._tag === "ConnectionLost")
    assert.isTrue(policy(lost))
    assert.isFalse(policy(connect("Auth")))
  })
})
