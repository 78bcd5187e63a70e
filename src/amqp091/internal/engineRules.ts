/**
 * What 0-9-1 lets a peer send when, and the reply code of each way to break it. Tables and pure functions; the state they
 * are asked about is the engine's.
 *
 * @since 0.1.0
 */
import type { FrameError } from "../../AmqpError.ts"
import * as Method from "../Method.ts"
import type { Offending } from "./frameParser.ts"

/** @internal */
export type Role = "client" | "server"

type Tag = Method.Method["_tag"]

// Before tune-ok both sides keep to this: RabbitMQ 4.1 and later take a large token in start-ok (0-9-1 says 4096).
/** @internal */
export const handshakeFrameMax = 8192

/** By how much a frame may be too large: quite a few clients are wrong by an envelope (RabbitMQ). @internal */
export const slack: Record<Role, number> = { client: 0, server: 8 }

/** What may come on channel 0 before the connection is open, by what was sent last. @internal */
export const expected: Record<Role, Record<string, ReadonlyArray<Tag>>> = {
  client: {
    header: ["ConnectionStart"],
    startOk: ["ConnectionSecure", "ConnectionTune"],
    tuneOk: ["ConnectionOpenOk"]
  },
  server: {
    start: ["ConnectionStartOk"],
    secure: ["ConnectionSecureOk"],
    tune: ["ConnectionTuneOk"],
    tuned: ["ConnectionOpen"]
  }
}

const anytime: ReadonlySet<Tag> = new Set([
  "ConnectionBlocked",
  "ConnectionUnblocked",
  "ConnectionUpdateSecret",
  "ConnectionUpdateSecretOk"
])

/** @internal */
export const connectionClass = 10

/** What an open connection may be sent, by role: the other side's methods are `command-invalid` (0-9-1 §4.2.4). */
const acceptableTo = (role: Role): ReadonlySet<string> =>
  new Set(
    Method.definitions
      .filter(({ classId, tag, to }) =>
        (to === role || to === "both") && (classId !== connectionClass || anytime.has(tag))
      )
      .map(({ tag }) => tag)
  )

/** What an open connection may be sent, by role. @internal */
export const acceptable: Record<Role, ReadonlySet<string>> = {
  client: acceptableTo("client"),
  server: acceptableTo("server")
}

/** @internal */
export const channelClass = 20

// The numbers of close; those of close-ok are one more (0-9-1 §1.4.2.9, §1.5.2.5).
/** @internal */
export const connectionClose = 50
/** @internal */
export const channelClose = 40

/** Whether a method frame's payload is close or close-ok, without decoding it: what is dropped may be malformed. @internal */
export const isGoodbye = (bytes: Uint8Array, start: number, end: number, classId: number, close: number): boolean =>
  end - start >= 4 && bytes[start] === 0 && bytes[start + 1] === classId && bytes[start + 2] === 0 &&
  (bytes[start + 3] === close || bytes[start + 3] === close + 1)

// The one class that has content.
const basicClass = 60

const wrongClass = ["header.class", "only class basic has content"] as const
const wrongWeight = ["header.weight", "it must be 0"] as const

/** What is wrong with a content header before its size; a client is lenient where RabbitMQ's server is not. @internal */
export const headerFault = (
  role: Role,
  bytes: Uint8Array,
  start: number,
  end: number
): readonly [field: string, text: string] | undefined => {
  if (end - start < 4) return undefined
  if (bytes[start] !== 0 || bytes[start + 1] !== basicClass) return wrongClass
  return role === "server" && (bytes[start + 2] !== 0 || bytes[start + 3] !== 0) ? wrongWeight : undefined
}

const utf8Size = (code: number): number => code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4

/** As much of a text as a goodbye can carry: 255 octets, no half characters. @internal */
export const replyTextOf = (text: string): string => {
  let size = 0
  let kept = ""
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const whole = code >= 0xd800 && code <= 0xdfff ? "\ufffd" : character
    size += utf8Size(code)
    if (size > 255) break
    kept += whole
  }
  return kept
}

/** The specification's reply code for each kind of bad input (0-9-1 §1.7 "constants"). */
const replyCodeOf = (fault: FrameError): number => {
  switch (fault.reason) {
    case "FrameEnd":
    case "FrameType":
    case "FrameSize":
      return Method.ReplyCode.frameError
    case "UnknownMethod":
      return Method.ReplyCode.notImplemented
    case "Command":
      return Method.ReplyCode.commandInvalid
    case "Channel":
      return Method.ReplyCode.channelError
    case "Unexpected":
    case "BodySize":
      return Method.ReplyCode.unexpectedFrame
    case "MessageSize":
      return Method.ReplyCode.resourceError
    default:
      return Method.ReplyCode.syntaxError
  }
}

/** What a peer is told that broke the protocol. @internal */
export type Goodbye = Pick<Method.ConnectionClose, "replyCode" | "replyText" | "classId" | "methodId">

/** The frame at fault, and where it came. @internal */
export interface Offence extends Offending {
  /** The connection is open. */
  readonly isOpen: boolean
  readonly isChannelOpen: boolean
  /** What was to come on the channel. */
  readonly awaits: "method" | "header" | "body"
  readonly frameMax: number
  readonly channels: number
  readonly channelMax: number
}

// A fault of a method has its name: the peer is told its numbers too.
const idsOf = new Map(Method.definitions.map((definition) => [definition.name, definition]))
const noIds = { classId: 0, methodId: 0 }

/** What a fault is called where nobody has other words for it. @internal */
export const goodbyeOf = (fault: FrameError): Goodbye => {
  const { classId, methodId } = idsOf.get(fault.field) ?? noIds
  return { replyCode: replyCodeOf(fault), replyText: replyTextOf(fault.message), classId, methodId }
}
