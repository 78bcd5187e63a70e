/**
 * How a client says who it is: the mechanisms of SASL that RabbitMQ offers, each from what came so far to a login, to the
 * next question, or to nothing that can be read.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as FieldTable from "../../../amqp091/FieldTable.ts"
import { ByteReader } from "../../../wire/ByteReader.ts"

/** @internal */
export interface Login {
  readonly _tag: "Login"
  readonly user: string
  readonly password: Redacted.Redacted
}

/** A question, and what to do with the answer. @internal */
export interface Challenge {
  readonly _tag: "Challenge"
  readonly challenge: Uint8Array
  readonly answered: Mechanism
}

/** `undefined`: this was no response of the mechanism. @internal */
export type Mechanism = (response: Uint8Array) => Login | Challenge | undefined

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const login = (user: string, password: string): Login => ({ _tag: "Login", user, password: Redacted.make(password) })

/** RFC 4616: identity, user and password, each after a zero octet. */
const plain: Mechanism = (response) => {
  const parts = decoder.decode(response).split("\u0000")
  const [, user, password] = parts
  return parts.length === 3 && user !== undefined && password !== undefined ? login(user, password) : undefined
}

/** A field table without its length. */
const amqplain: Mechanism = (response) => {
  const bytes = new Uint8Array(response.length + 4)
  new DataView(bytes.buffer).setUint32(0, response.length)
  bytes.set(response, 4)
  const table = FieldTable.decode(new ByteReader().reset(bytes, 0, bytes.length))
  const { LOGIN: user, PASSWORD: password } = table
  return typeof user === "string" && typeof password === "string" ? login(user, password) : undefined
}

const confession = "My password is "

/** RabbitMQ's own, to show how a mechanism asks back: the user first, then the password in a sentence. */
const demo: Mechanism = (response) => {
  const user = decoder.decode(response)
  return {
    _tag: "Challenge",
    challenge: encoder.encode("Please tell me your password"),
    answered: (answer) => {
      const text = decoder.decode(answer)
      return text.startsWith(confession) ? login(user, text.slice(confession.length)) : undefined
    }
  }
}

const mechanisms = { PLAIN: plain, AMQPLAIN: amqplain, "RABBIT-CR-DEMO": demo }

/** Those a client may choose from, by the name it gives: any word, `constructor` too. @internal */
export const offered = (names: ReadonlyArray<keyof typeof mechanisms>): ReadonlyMap<string, Mechanism> =>
  new Map(names.map((name) => [name, mechanisms[name]]))
